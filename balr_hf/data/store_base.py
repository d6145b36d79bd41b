"""What all stores of vectors have in common: which vectors stay, which are computed, and what is said of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from balr_hf.data.audio_behind import describe_replaced_audio
from balr_hf.data.audio_sources import audio_stat
from balr_hf.data.columns import (
    add_vector_column,
    fixed_length_column,
    keep_vectors,
    recording_ids,
    vector_matrix,
    vector_present,
)
from balr_hf.data.contract import Corpus
from balr_hf.data.origins import (
    Maker,
    Origin,
    Standing,
    add_origins,
    origin_column,
    origins_of,
    sources_of,
)
from balr_hf.data.quality import add_quality_column, known_quality
from balr_hf.data.shards import Shard
from balr_hf.data.skipped import Skipped
from balr_hf.errors import UserError
from balr_hf.identity import shown
from balr_hf.quality.pauses import PAUSE

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

# The step that makes each column, for messages.
_STEPS = {"embedding": "balr extract", "ba": "balr binarize"}
# What vectors are called in messages, and what they are made of.
NAMES = {"embedding": "embeddings", "ba": "binary attributes"}
_SOURCES = {"embedding": "audio", "ba": "embeddings"}


# What was measured of recordings, by their ids; see `RecordingQuality`.
Quality = Mapping[str, Mapping[str, Any]]


class SaveVectors(Protocol):
    """Keeps a batch: the ids of its recordings, and their vectors of shape `(recordings, values)`.

    What was measured of recordings comes along, by their ids, if anything was, also of those that have no vector; and
    where each vector comes from, one entry for each, if that is known.
    """

    def __call__(
        self,
        ids: list[str],
        vectors: np.ndarray,
        quality: Quality | None = None,
        origins: Sequence[Origin] | None = None,
    ) -> None: ...


class ComputeVectors(Protocol):
    """Computes the vectors of the recordings that have none, and passes each batch to `save` as soon as it is done.

    It returns the recordings with the column of vectors and that of their origins, and those that were skipped.
    """

    def __call__(
        self, dataset: "datasets.Dataset", *, save: SaveVectors
    ) -> "tuple[datasets.Dataset, list[Skipped]]": ...


@dataclass(frozen=True)
class Filled:
    """The outcome of filling a store.

    Attributes:
        total: how many recordings the corpus has, with those that could not be read.
        done: how many vectors were computed now.
        before: how many vectors were there already.
        skipped: the recordings that have no vector, with the reasons.
        where: the folder that was saved to; None if nothing was saved.
        vectors_in: the folders of the vector files: `where` if they are there or below, and those of the recordings
            if they are beside these, outside of `where`.
    """

    total: int
    done: int
    before: int
    skipped: list[Skipped] = field(default_factory=list)
    where: Path | None = None
    vectors_in: Sequence[str] = ()


class NoStore:
    """Saves nothing; the base class of the stores.

    Args:
        corpus: whose vectors are computed.
        kind (str): `embedding` or `ba`.
    """

    def __init__(self, corpus: Corpus, kind: str, maker: Maker):
        self.corpus, self.kind, self.maker = corpus, kind, maker
        self.dataset = corpus.dataset
        self.quality = known_quality(corpus.dataset)
        self.origins = origins_of(corpus.dataset, kind)
        self.is_forced = False
        self.shard: Shard | None = None
        self.vectors_in: Sequence[str] = ()  # the folders of vector files, once they are written
        self.valid = np.zeros(len(self.dataset), dtype=bool)  # which recordings have a vector of this model
        self._result: datasets.Dataset | None = None

    def fill(self, compute: ComputeVectors, needs: str, force: bool = False, shard: Shard | None = None) -> Filled:
        """Compute the vectors that are missing, and keep each batch as soon as it is done.

        Vectors that are there already stay, if this model made them of what is there now. Those that it made of other
        audio, or of another embedding, are computed anew. Those of unknown origin stay, with a warning.

        Args:
            compute: called with the recordings that have no vector and `save=`, e.g.
                `partial(compute_embeddings, model)`.
            needs (str): the column that the vectors are computed from: `audio` or `embedding`.
            force (bool): compute all vectors anew. A forced run that was stopped goes on where it was, too.
            shard (*optional*): compute those of this share of the recordings alone. What is saved is put together by
                a call without it, once all shares are done.

        Raises:
            UserError: the corpus lacks that column, or the vectors to be replaced were made by another model, or
                the audio was replaced since the embeddings were made of it; the store and `compute` may raise others.
        """
        wrong = describe_replaced_audio(self.dataset, kinds=("embedding",)) if needs == "embedding" else None
        if wrong is not None:
            raise UserError(wrong)
        self.is_forced, self.shard = force, shard
        before = self.forced() if force else self.existing(needs)
        if force:  # what it is made from may have been replaced since the run was stopped
            before &= ~self._standing(before, needs).stale
        if shard is not None and shard.is_launched:
            shard.wait_for_all()  # before any of them saves what a slower one would take for what was there already
        self.valid = before.copy()
        self.dataset = dataset = keep_vectors(self.dataset, self.kind, before)
        own = np.ones(len(dataset), dtype=bool) if shard is None else shard.rows(len(dataset))
        todo = np.flatnonzero(~before & own)
        self.prepare(todo)
        done = 0
        skipped: list[Skipped] = []
        if len(todo):
            part = dataset.select(todo)
            part = part.remove_columns([n for n in (self.kind, origin_column(self.kind)) if n in part.column_names])
            if needs not in part.column_names:
                raise UserError(self._nothing_to_compute_from(needs))
            if needs == "embedding" and vector_present(dataset, needs).any() and not vector_present(part, needs).any():
                result, skipped = part, [Skipped(name, "no embedding") for name in recording_ids(part)]
            else:
                result, skipped = compute(part, save=self.save)
            present = vector_present(result, self.kind)
            done = int(present.sum())
            self.add(todo[present], result)
            self.valid[todo[present]] = True
            for row, origin in zip(todo.tolist(), origins_of(result, self.kind), strict=True):
                self.origins[row] = origin
            self.quality |= known_quality(result)
        where = self.finish(int(before.sum()) + done) if shard is None else None
        skipped = _all_skipped(dataset, before, self.corpus.skipped, skipped)
        total = len({*recording_ids(dataset), *(row.id for row in self.corpus.skipped)})
        return Filled(total, done, int(before.sum()), skipped, where, self.vectors_in)

    def load(self) -> "datasets.Dataset":
        """Return the corpus with its vectors, once they are computed."""
        return self._described(self.dataset if self._result is None else self._result)

    def existing(self, needs: str) -> np.ndarray:
        """Tell which recordings have a vector that stays: bool of shape `(rows,)`."""
        present = vector_present(self.dataset, self.kind)
        standing = self._standing(present, needs)
        self._tell_of_others(standing.other)
        return self._staying(present & ~standing.other, standing)

    def forced(self) -> np.ndarray:
        """Tell which recordings a forced run has done already, before it was stopped: bool of shape `(rows,)`."""
        return np.zeros(len(self.dataset), dtype=bool)

    def prepare(self, rows: np.ndarray) -> None:
        """Get ready for the rows that have no vector; called before anything is computed."""

    def save(
        self,
        ids: list[str],
        vectors: np.ndarray,
        quality: Quality | None = None,
        origins: Sequence[Origin] | None = None,
    ) -> None:
        """Keep a batch; called as soon as it is computed."""

    def add(self, rows: np.ndarray, result: "datasets.Dataset") -> None:
        """Take the vectors of all rows that were computed; called once, after all of them."""
        if not len(rows):
            return
        vectors = vector_matrix(result, self.kind)[0]
        present = vector_present(self.dataset, self.kind)
        matrix = np.zeros((len(self.dataset), vectors.shape[1]), dtype=vectors.dtype)
        if present.any():
            matrix[present] = vector_matrix(self.dataset, self.kind)[0]
        matrix[rows], present[rows] = vectors, True
        self._result = add_vector_column(self.dataset, self.kind, fixed_length_column(matrix, present))

    def finish(self, count: int) -> Path | None:
        """Finish, given how many recordings have a vector, and return the folder that was saved to, if any."""
        return None

    def _described(self, dataset: "datasets.Dataset") -> "datasets.Dataset":
        """Add to a corpus what is known of its recordings and of where its vectors come from."""
        return add_quality_column(add_origins(dataset, self.kind, self.origins), self.quality)

    def _standing(self, present: np.ndarray, needs: str) -> Standing:
        return Standing.of(present, self.origins, self.maker, partial(sources_of, self.dataset, needs))

    def _staying(self, present: np.ndarray, standing: Standing) -> np.ndarray:
        """Of the vectors that are there, those that stay; says which do not, and which are of unknown origin."""
        unknown, stale = standing.unknown & present, standing.stale & present
        self._tell_of_stale(stale, present)
        if unknown.any():
            logger.warning(
                "%d of the %d %s there are of unknown origin, and are taken for those of %s. To be sure, compute them "
                "anew with --force (force=True)",
                *(unknown.sum(), present.sum(), NAMES[self.kind], self._model_name()),
            )
        whole = self._with_whole_pauses(present & ~stale)
        if whole.any():
            logger.warning(
                "%d of the %d embeddings there are of an earlier version, which embedded pauses whole, and are of "
                "recordings that may have pauses of more than 1 s (such as %s): today's embeddings of these are "
                "others. Do not compare the one with the other: --force (force=True) computes all anew",
                *(whole.sum(), present.sum(), self._first(whole)),
            )
        return present & ~stale

    def _with_whole_pauses(self, rows: np.ndarray) -> np.ndarray:
        """Of these rows, those whose embeddings were made before long pauses were shortened: bool `(rows,)`.

        Their origins do not state the size and the time of change of the audio file either, which has been noted since
        the same day. Recordings with less than a second outside speech have no long pauses.
        """
        found = np.zeros(len(rows), dtype=bool)
        if self.kind != "embedding" or "audio" not in self.dataset.column_names:
            return found
        noted = self.dataset.features.get(origin_column(self.kind))
        lacks_stat = isinstance(noted, dict) and "stat" not in noted
        early = [
            row
            for row in np.flatnonzero(rows).tolist()
            if (origin := self.origins[row]) is not None and origin.source and not origin.stat
        ]
        ids = recording_ids(self.dataset) if early else []
        for row in early:
            measured = self.quality.get(ids[row])
            may_pause = measured is None or measured["duration"] - measured["net_speech"] > PAUSE
            found[row] = may_pause and (lacks_stat or audio_stat(self.dataset[row]["audio"]) != "")
        return found

    def _tell_of_stale(self, stale: np.ndarray, present: np.ndarray) -> None:
        if stale.any():
            logger.warning(
                "%d of the %d %s there are of other %s than is there now (such as %s): they are computed anew",
                *(stale.sum(), present.sum(), NAMES[self.kind], _SOURCES[self.kind], self._first(stale)),
            )

    def _tell_of_others(self, other: np.ndarray) -> None:
        if other.any():
            logger.warning(
                "%d %s there were made by another model or at another precision (%s), and are not used",
                *(other.sum(), NAMES[self.kind], self._maker_of(other)),
            )

    def _maker_of(self, rows: np.ndarray) -> str:
        origin = self.origins[int(np.flatnonzero(rows)[0])]
        assert origin is not None  # its maker was compared
        return f"{shown(origin.model)} at {origin.precision}"

    def _model_name(self) -> str:
        return f"{shown(self.maker.model)} at {self.maker.precision}"

    def _first(self, rows: np.ndarray) -> str:
        return str(self.dataset[int(np.flatnonzero(rows)[0])]["id"])

    def _nothing_to_compute_from(self, needs: str) -> str:
        skipped = self.corpus.skipped
        why = f"; {len(skipped)} could not be read, the first: {skipped[0].reason}" if skipped else ""
        step = f" (run {_STEPS[needs]} first)" if needs in _STEPS else ""
        return f"{self.corpus.source or 'the corpus'} has no {needs} to compute from{step}{why}"


def _all_skipped(
    dataset: "datasets.Dataset", before: np.ndarray, reading: Sequence[Skipped], computing: Sequence[Skipped]
) -> list[Skipped]:
    """List what reading and computing left out: each recording once, and none that had its vector before."""
    ids = recording_ids(dataset) if reading else []
    had = {ids[row] for row in np.flatnonzero(before).tolist()} if reading else set()
    reading = [row for row in reading if row.id not in had]
    known = {row.id for row in reading}  # the bad vector file is reason enough
    return [*reading, *(row for row in computing if row.id not in known)]
