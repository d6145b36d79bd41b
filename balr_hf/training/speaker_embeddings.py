"""The embeddings that an autoencoder is trained on, as tensors."""

import hashlib
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf.attributes.binarization import UNSOUND, are_sound
from balr_hf.data.columns import speaker_codes, vector_matrix
from balr_hf.data.skipped import Skipped, warn_skipped
from balr_hf.errors import UserError, name_some

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

SOURCE = "source_id"  # the column of `balr degrade` with the id of the recording that a copy was made from


class SpeakerEmbeddings(torch.utils.data.Dataset):
    """Embeddings, speaker numbers and numbers of originals as tensors; a whole batch is gathered at once.

    Args:
        corpus (`datasets.Dataset`): a corpus with `embedding` and `speaker`. Rows that lack one of them, or whose
            embedding is zero or not finite, are skipped, with one warning for all.
        device (*optional*): where the tensors are held.
        name (str): what the set is called in messages.
    """

    def __init__(self, corpus: "datasets.Dataset", device: torch.device | str = "cpu", name: str = "training"):
        embeddings, present = vector_matrix(corpus, "embedding")
        labels, self.speakers = speaker_codes(corpus)
        sound = present.copy()
        sound[present] = are_sound(embeddings)
        usable = sound & (labels >= 0)
        if not usable.all():
            ids = corpus["id"] if "id" in corpus.column_names else range(len(corpus))
            lacking = (
                "no speaker" if fine else UNSOUND if has else "no embedding"
                for fine, has in zip(sound[~usable], present[~usable], strict=True)
            )
            names = (name for name, keep in zip(ids, usable, strict=True) if not keep)
            warn_skipped([Skipped(str(n), why) for n, why in zip(names, lacking, strict=True)], f"The {name} set")
            embeddings, labels = embeddings[usable[present]], labels[usable]
        if not len(labels):
            raise UserError(f"no recording of the {name} set has both an embedding and a speaker")
        with warnings.catch_warnings():  # this is the Dataset's own memory, read only; nothing here writes to it
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            self.embeddings = torch.from_numpy(embeddings).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        self.originals = torch.from_numpy(_originals(corpus)[usable]).to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        device = self.labels.device
        # An NVIDIA GPU need not be waited for. Apple's copy after this memory is freed (pytorch/pytorch#189690).
        index = torch.tensor(rows).to(device, non_blocking=device.type == "cuda")
        return self.embeddings[index], self.labels[index], self.originals[index]


def describe_set(dataset: SpeakerEmbeddings) -> dict[str, int | str]:
    """How many recordings and speakers there are, and a digest by which a resumed run knows its training set."""
    digest = hashlib.blake2b(dataset.embeddings.cpu().numpy().data, digest_size=8)
    digest.update(dataset.labels.cpu().numpy().data)
    if (dataset.originals >= 0).any():
        digest.update(dataset.originals.cpu().numpy().data)
    speakers = int(dataset.labels.unique().numel())
    return {"recordings": len(dataset), "speakers": speakers, "digest": digest.hexdigest()}


def check_dataset(name: str, given: Any) -> None:
    """Raise a `UserError` that says what was expected, if the set that is called `name` is no Dataset."""
    import datasets

    if isinstance(given, str | Path):
        raise UserError(
            f"{name}={str(given)!r} is a path: expected a datasets.Dataset with embeddings and speakers, such as "
            f"load_corpus({str(given)!r}) reads"
        )
    if not isinstance(given, datasets.Dataset):
        raise UserError(
            f"{name} is of type {type(given).__name__}: expected a datasets.Dataset with embeddings and speakers"
        )


def warn_shared_speakers(train: SpeakerEmbeddings, val: SpeakerEmbeddings) -> None:
    """Say that speakers are in both sets: the epoch with the best validation loss need not be best for new ones."""
    shared = sorted({*train.speakers} & {*val.speakers})
    if shared:
        logger.warning(
            "%d speakers are in the training set and in the validation set (%s): the validation loss flatters the "
            "autoencoder, and chooses its epoch by speakers whom it knows",
            *(len(shared), name_some(shared)),
        )


def _originals(corpus: "datasets.Dataset") -> np.ndarray:
    """Numbers of the originals that the rows were made from, `(rows,)`; -1 where no other row has the same one.

    The column `source_id` names the original, and is empty for a recording that is one itself.
    """
    if SOURCE not in corpus.column_names or "id" not in corpus.column_names:
        return np.full(len(corpus), -1)
    names = [source or name for source, name in zip(corpus[SOURCE], corpus["id"], strict=True)]
    _, codes, sizes = np.unique(np.array(names, dtype=str), return_inverse=True, return_counts=True)
    return np.where(sizes[codes] > 1, codes, -1)
