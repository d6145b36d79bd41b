"""Counts of activations and non-activations, which scorers are fitted on and compare."""

import hashlib
import logging
import unicodedata
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch

try:
    from balr_hf.data.columns import recording_ids, speaker_codes, vector_matrix
    from balr_hf.data.contract import check_unique
    from balr_hf.data.origins import makers_of
    from balr_hf.data.skipped import Skipped, warn_skipped
    from balr_hf.errors import UserError
    from balr_hf.identity import other_makers

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:  # there is no corpus there to count in
        UserError = ValueError

logger = logging.getLogger(__name__)

# Numbers of activations and of non-activations, `(..., attributes, 2)`.
Counts = torch.Tensor | np.ndarray


# The most bytes that the counts of all sides may take in float64 (1 GiB, which is 131,072 sides of 512 attributes) for
# a scorer that needs them so. Of more sides, so many trials are scored together that their sides take this at most.
COUNTS_AT_ONCE = 2**30
# How many sides are counted, or numbered, together.
SIDES_AT_ONCE = 2**14


class SideCounts:
    """The counts of many sides in an eighth of the memory that counts in float64 take, or less.

    Attributes:
        active (int `(sides, attributes)`): numbers of activations, in the smallest type that holds them.
        totals (int `(sides,)`): numbers of recordings.
    """

    def __init__(self, active: np.ndarray, totals: np.ndarray):
        self.active, self.totals = active, totals

    def __len__(self) -> int:
        return len(self.active)

    @property
    def shape(self) -> tuple[int, int, int]:
        """What the shape of all counts in float64 would be: `(sides, attributes, 2)`."""
        return (*self.active.shape, 2)

    def of(self, sides: np.ndarray | slice) -> np.ndarray:
        """The counts of some sides: float64 `(sides, attributes, 2)`, activations and non-activations."""
        active = self.active[sides]
        counts = np.empty((*active.shape, 2))
        counts[..., 0] = active
        np.subtract(self.totals[sides][:, None], active, out=counts[..., 1])
        return counts

    def whole(self) -> np.ndarray | None:
        """The counts of all sides, float64 `(sides, attributes, 2)`; None if that is too much memory."""
        return self.of(slice(None)) if self._bytes <= COUNTS_AT_ONCE else None

    def parts(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Go through the sides in blocks, with their counts."""
        for start in range(0, len(self.active), SIDES_AT_ONCE):
            part = slice(start, start + SIDES_AT_ONCE)
            yield part, self.of(part)

    @property
    def trials_at_once(self) -> int:
        """Of how many trials, with two sides each, the counts and what is made of them may be in memory together."""
        return max(1, COUNTS_AT_ONCE // (64 * max(1, self.active.shape[1])))

    @property
    def _bytes(self) -> int:
        return 16 * self.active.size

    def states(self, most: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Number the distinct counts that an attribute has.

        Args:
            most (int): how many may be possible.

        Returns:
            `(codes, states)`: the number of each count, integers `(sides, attributes)`, by activations and
            then by non-activations; and the counts that the numbers stand for, int64 `(states, 2)`. None if there may
            be too many, or if there is nothing to number.
        """
        size = int(self.totals.max(initial=0)) + 1
        if size * size > most or not self.active.size:
            return None
        used = np.zeros(size * size, dtype=bool)
        for part in self._blocks():
            used[self._numbers(part, size)] = True
        found = np.flatnonzero(used)
        states = np.stack(np.divmod(found, size), -1)
        if (self.totals == size - 1).all() and len(found) == size:
            return self.active, states  # every number of activations occurs, and is its own number
        rank = (np.cumsum(used) - 1).astype(np.min_scalar_type(len(found)))
        codes = np.empty(self.active.shape, dtype=rank.dtype)
        for part in self._blocks():
            codes[part] = rank[self._numbers(part, size)]
        return codes, states

    def _numbers(self, part: slice, size: int) -> np.ndarray:
        active = self.active[part].astype(np.int32)
        return active * size + (self.totals[part, None] - active)

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, len(self.active), 1024):  # which stay in the processor's cache
            yield slice(start, start + 1024)


def recording_counts(bits: np.ndarray) -> np.ndarray:
    """Count the attributes of single recordings.

    Args:
        bits (`(recordings, attributes)`): 1 or True for attributes that are active, 0 or False for those that are not.

    Returns:
        float64 `(recordings, attributes, 2)`: `(1, 0)` where the attribute is active, `(0, 1)` where it is not.

    Raises:
        UserError: a value is neither 0 nor 1.
    """
    bits = np.asarray(bits)
    if bits.dtype != bool:
        if not ((bits == 0) | (bits == 1)).all():
            raise UserError("binary attributes other than 0 and 1: expected which attributes are active")
        bits = bits.astype(bool)
    return np.stack([bits, ~bits], -1).astype(np.float64)


def speaker_counts(dataset: "datasets.Dataset") -> tuple[np.ndarray, list[str]]:
    """Sum the attributes of each speaker's recordings.

    A warning says if several autoencoders made the attributes, which then cannot be compared.

    Args:
        dataset (`datasets.Dataset`): a corpus with `ba` and `speaker`. Recordings that lack one of them are skipped,
            with one warning for all.

    Returns:
        `(counts, speakers)`: float64 `(speakers, attributes, 2)`, activations and non-activations; and the speakers'
        names, in the order in which they first appear.

    Raises:
        UserError: a column is missing, no recording has both attributes and a speaker, or several recordings have one
            id, so that some would count twice.
    """
    if "id" in dataset.column_names:
        check_unique(recording_ids(dataset))
    warn_of_makers(dataset)
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


def warn_of_makers(dataset: "datasets.Dataset") -> None:
    """Warn if several autoencoders made the attributes of a corpus, as far as that is known.

    Counts do not tell what made them, so that nothing else would notice. The commands refuse such corpora, by
    [`balr_hf.data.belonging.check_attributes`].
    """
    wrong = other_makers(filter(None, makers_of(dataset, "ba")), None, "attributes", "autoencoder")
    if wrong is not None:
        logger.warning("%s: counts of them mean nothing", wrong)


def sum_of_values(counts: torch.Tensor) -> torch.Tensor:
    """Add up the values of each attribute: counts `(..., attributes, k)` -> numbers of recordings `(..., attributes)`.

    The last axis is so short that `Tensor.sum` over it would be slow.
    """
    return reduce(torch.add, counts.unbind(-1))


def name_digests(names: Iterable[str]) -> torch.Tensor:
    """The first 64 bits of each name's SHA-256, int64 `(names,)`: a name can be recognised by them, but not read.

    Names count as corpora have them: without surrounding white space, in Unicode's normal form C.
    """
    cleaned = (unicodedata.normalize("NFC", str(name)).strip() for name in names)
    digests = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True) for name in cleaned]
    return torch.tensor(digests, dtype=torch.int64)
