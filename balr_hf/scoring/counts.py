"""Counts of activations and non-activations, which scorers are fitted on and compare."""

import hashlib
from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch

try:
    from balr_hf.data.columns import speaker_codes, vector_matrix
    from balr_hf.data.skipped import Skipped, warn_skipped
    from balr_hf.errors import UserError

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    pass  # there is no corpus there to count in

# Numbers of activations and of non-activations, `(..., attributes, 2)`.
Counts = torch.Tensor | np.ndarray


def recording_counts(bits: np.ndarray) -> np.ndarray:
    """Count the attributes of single recordings.

    Args:
        bits (bool `(recordings, attributes)`): which attributes are active.

    Returns:
        float64 `(recordings, attributes, 2)`: `(1, 0)` where the attribute is active, `(0, 1)` where it is not.
    """
    return np.stack([bits, ~bits], -1).astype(np.float64)


def speaker_counts(dataset: "datasets.Dataset") -> tuple[np.ndarray, list[str]]:
    """Sum the attributes of each speaker's recordings.

    Args:
        dataset (`datasets.Dataset`): a corpus with `ba` and `speaker`. Recordings that lack one of them are skipped,
            with one warning for all.

    Returns:
        `(counts, speakers)`: float64 `(speakers, attributes, 2)`, activations and non-activations; and the speakers'
        names, in the order in which they first appear.

    Raises:
        UserError: a column is missing, or no recording has both attributes and a speaker.
    """
    codes, speakers = speaker_codes(dataset)
    bits, present = vector_matrix(dataset, "ba")
    usable = present & (codes >= 0)
    skipped = [
        Skipped(dataset[int(row)]["id"], "no attributes" if codes[row] >= 0 else "no speaker")
        for row in np.flatnonzero(~usable)
    ]
    warn_skipped(skipped, "Counting attributes")
    if not usable.any():
        raise UserError("no recording of the corpus has both attributes and a speaker")
    codes, bits = codes[usable], bits[usable[present]]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    active = np.stack([part.sum(0) for part in np.split(bits[order], starts[1:])])
    totals = np.bincount(codes)[found]
    counts = np.stack([active, totals[:, None] - active], -1).astype(np.float64)
    return counts, [speakers[code] for code in found]


def sum_of_values(counts: torch.Tensor) -> torch.Tensor:
    """Add up the values of each attribute: counts `(..., attributes, k)` -> numbers of recordings `(..., attributes)`.

    The last axis is so short that `Tensor.sum` over it would be slow.
    """
    return reduce(torch.add, counts.unbind(-1))


def name_digests(names: Iterable[str]) -> torch.Tensor:
    """The first 64 bits of each name's SHA-256, int64 `(names,)`: a name can be recognised by them, but not read."""
    digests = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big", signed=True) for name in names]
    return torch.tensor(digests, dtype=torch.int64)
