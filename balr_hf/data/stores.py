"""Stores keep new vectors while they are computed, so that a run that was stopped goes on where it was.

    corpus = read_corpus("corpus.csv", save_dir="embeddings")
    store = open_store(corpus, "embedding", Maker(model_identity(model)), save_dir="embeddings")
    filled = store.fill(partial(compute_embeddings, model), needs="audio")
    dataset = store.load()  # the corpus with its embeddings

`WespeakerModel.extract_embeddings(corpus, save_dir=...)` and
`BinaryAttributeAutoEncoder.get_binary_attributes(corpus, save_dir=...)` do the same in one call.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from balr_hf.data.audio_behind import describe_replaced_audio
from balr_hf.data.columns import (
    VECTOR_KINDS,
    add_vector_column,
    fixed_length_column,
    keep_vectors,
    recording_ids,
    vector_matrix,
    vector_present,
)
from balr_hf.data.contract import Corpus, from_dataset
from balr_hf.data.hub_datasets import one_split
from balr_hf.data.origins import (
    Maker,
    Origin,
    Standing,
    add_origins,
    append_manifest,
    compact_manifest,
    file_origins,
    origin_column,
    origins_of,
    sources_of,
)
from balr_hf.data.quality import COLUMN as QUALITY_COLUMN
from balr_hf.data.quality import FILE as QUALITY_FILE
from balr_hf.data.quality import add_quality_column, append_quality, known_quality, read_quality, write_quality
from balr_hf.data.reading import read_corpus, read_vector_files
from balr_hf.data.recording_files import RecordingFiles, paths_of_ids
from balr_hf.data.saving import (
    DATASET_RECORD,
    FILES_RECORD,
    check_replaceable,
    is_saved_dataset,
    load_saved,
    read_record,
    save_dataset,
)
from balr_hf.data.shards import Shard
from balr_hf.data.skipped import Skipped, warn_skipped
from balr_hf.data.streams import stream_vectors
from balr_hf.data.vector_files import read_vectors, write_vectors
from balr_hf.data.vectors import EXTENSIONS, VectorFinder, is_vector_file
from balr_hf.errors import ConfigError, UserError, name_some
from balr_hf.files import atomic_path, split_path, write_json
from balr_hf.identity import digest_of, shown
from balr_hf.untrusted import SafeWriter

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

SAVE_FORMATS = ("txt", "npy", "pkl", "dataset")

# The step that makes each column, for messages.
_STEPS = {"embedding": "balr extract", "ba": "balr binarize"}
# What vectors are called in messages, and what they are made of.
_NAMES = {"embedding": "embeddings", "ba": "binary attributes"}
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
        total: how many recordings the corpus has.
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


def open_store(
    corpus: Corpus,
    kind: str,
    maker: Maker,
    *,
    save_dir: str | Path | None = None,
    save_format: str | None = None,
    balr_format: bool = False,
) -> "NoStore":
    """Open the store for a corpus: files get vector files and a Dataset a Dataset, unless `save_format` is given.

    Args:
        corpus: what [`read_corpus`] returned; it must have been given the same `save_dir`.
        kind (str): `embedding` or `ba`.
        maker ([`Maker`]): the model that will make the vectors. Vectors that another one made are never taken for its
            own.
        save_dir: where to save. By default vectors go beside the recordings, which only a corpus of files has.
        save_format (str, *optional*): `txt`, `npy`, `pkl` or `dataset`; by default `txt` for files and `dataset` for
            a Dataset.
        balr_format (bool): write attributes to vector files as BALR 2.0 reads them; see [`write_vector`].

    Raises:
        ConfigError: an unknown format, a Dataset without `save_dir`, or `balr_format` without vector files.
        UserError: `save_dir` holds other things.
    """
    save_format = save_format or ("dataset" if corpus.files is None else "txt")
    if save_format not in SAVE_FORMATS:
        raise ConfigError(f"save_format={save_format!r}: expected {', '.join(SAVE_FORMATS)}")
    if save_dir is None and (corpus.files is None or save_format == "dataset"):
        raise ConfigError("a Dataset is saved to a folder of its own: say where with --save-dir (save_dir=)")
    if save_format == "dataset":
        if balr_format:
            raise ConfigError("--balr-format (balr_format) is for vector files: choose --save-format txt, npy or pkl")
        assert save_dir is not None  # as checked above
        return DatasetStore(corpus, kind, maker, save_dir)
    return FileStore(corpus, kind, maker, save_dir, f".{save_format}", balr_format)


def add_vectors(
    source: "datasets.Dataset | datasets.IterableDataset | datasets.DatasetDict | Corpus | str | Path",
    kind: str,
    compute: ComputeVectors,
    needs: str,
    maker: Maker,
    *,
    save_dir: str | Path | None = None,
    save_format: str | None = None,
    force: bool = False,
) -> Any:
    """Fill a store for whatever [`load_corpus`] reads, and log one warning for the recordings that were skipped.

    Args:
        source: the corpus, or what [`load_corpus`] reads; an `IterableDataset` goes to parquet files in `save_dir`,
            each split of a `DatasetDict` to a folder of its name in `save_dir`.
        kind, maker, save_dir, save_format: as for [`open_store`]. Nothing is saved if neither `save_dir` nor
            `save_format` is given.
        compute, needs, force: as for [`NoStore.fill`].

    Returns:
        `datasets.Dataset`: the corpus with its vectors; of a `DatasetDict`, a `datasets.DatasetDict`.
    """
    import datasets

    if isinstance(source, datasets.DatasetDict | datasets.IterableDatasetDict):
        done = {}
        for name, part in source.items():
            if not re.fullmatch(r"\w[\w.-]*", str(name)):  # it names a folder
                raise ConfigError(f"a split is called {name!r}: expected letters, digits, '_', '-' and '.'")
            folder = None if save_dir is None else Path(save_dir) / str(name)
            saving: dict[str, Any] = {"save_dir": folder, "save_format": save_format, "force": force}
            done[name] = add_vectors(part, kind, compute, needs, maker, **saving)
        return datasets.DatasetDict(done)
    shard = Shard.launched()
    if shard is not None and shard.index == 0:
        logger.warning(
            "A launcher started %d processes, and each of them does all of this work: balr extract and balr binarize "
            "share it; in a script, let the first process do it alone "
            "(accelerate's PartialState().is_main_process; on CPUs PartialState(cpu=True))",
            shard.count,
        )
    if isinstance(source, datasets.IterableDataset):
        if save_dir is None or save_format not in (None, "dataset") or force:
            raise ConfigError("a corpus that is streamed is saved as parquet files: give save_dir alone")
        return stream_vectors(source, kind, compute, needs, maker, save_dir)
    if isinstance(source, str | Path):
        source = read_corpus(source, save_dir=save_dir)
    elif not isinstance(source, Corpus):
        source = from_dataset(source, VECTOR_KINDS)
    if save_dir is None and save_format is None:
        store = NoStore(source, kind, maker)
    else:
        store = open_store(source, kind, maker, save_dir=save_dir, save_format=save_format)
    step = {"embedding": "Embedding extraction", "ba": "Binarization"}[kind]
    warn_skipped(store.fill(compute, needs, force).skipped, step)
    return store.load()


def is_dataset_source(source: str | Path) -> bool:
    """Tell whether this names a Dataset (saved, as parquet or on the Hub) rather than files."""
    path = Path(source)
    return not path.exists() or path.suffix == ".parquet" or (path.is_dir() and is_saved_dataset(path))


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
        return Filled(len(dataset), done, int(before.sum()), skipped, where, self.vectors_in)

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
        if stale.any():
            logger.warning(
                "%d of the %d %s there are of other %s than is there now (such as %s): they are computed anew",
                *(stale.sum(), present.sum(), _NAMES[self.kind], _SOURCES[self.kind], self._first(stale)),
            )
        if unknown.any():
            logger.warning(
                "%d of the %d %s there are of unknown origin, and are taken for those of %s. To be sure, compute them "
                "anew with --force (force=True)",
                *(unknown.sum(), present.sum(), _NAMES[self.kind], self._model_name()),
            )
        return present & ~stale

    def _tell_of_others(self, other: np.ndarray) -> None:
        if other.any():
            logger.warning(
                "%d %s there were made by another model or at another precision (%s), and are not used",
                *(other.sum(), _NAMES[self.kind], self._maker_of(other)),
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


class FileStore(NoStore):
    """One vector file per recording, beside it or under the save folder, written as soon as its batch is done.

    Args:
        corpus, kind, maker: as for [`NoStore`].
        save_dir: where to save. By default vectors go beside the recordings, which only a corpus of files has.
        extension (str): `.txt`, `.npy` or `.pkl`.
        balr_format (bool): write attributes as BALR 2.0 reads them; see [`write_vector`].

    Raises:
        UserError: the save folder holds the vectors of another corpus, or two recordings would write one file.
    """

    CSV_COLUMNS = ("id", "embedding", "binary_attributes")

    def __init__(
        self,
        corpus: Corpus,
        kind: str,
        maker: Maker,
        save_dir: str | Path | None = None,
        extension: str = ".txt",
        balr_format: bool = False,
    ):
        super().__init__(corpus, kind, maker)
        self.extension, self.balr_format = extension, balr_format
        self.source = Path(corpus.source or "corpus")
        self.save_dir = None if save_dir is None else Path(save_dir).absolute()
        if corpus.files is None:
            assert self.save_dir is not None  # open_store asks for it
            self.files = _files_by_id(recording_ids(self.dataset), self.save_dir, kind)
        else:
            self.files = corpus.files
        if self.save_dir == self.files.root and corpus.files is not None:
            self.save_dir = None  # the vectors go into the corpus itself
        self.path_of: dict[str, str] = {}
        self.older: dict[str, list[str]] = {}  # by new vector files, those that they take the place of
        self.copied: list[int] = []  # rows whose vectors are taken along from elsewhere
        self.stale: list[int] = []  # rows whose vector files are those of other recordings
        if corpus.files is None or kind not in self.dataset.column_names:  # else they were read with the vectors
            self.origins = file_origins(self.files, kind)
        self._forced = _ForcedRun(self.folder / f".balr-forced-{kind}", maker)
        self.record: dict[str, Any] = {
            "source": str(self.source.absolute() if corpus.files is None else self.files.root),
            "csv": [],
        }
        if self.save_dir is not None:
            self._check_record(self.save_dir)

    def load(self) -> "datasets.Dataset":
        ids = recording_ids(self.dataset)
        known = self.files.paths[self.kind]
        paths = [self.path_of.get(name, known[row]) for row, name in enumerate(ids)]
        paths = [path if valid else None for path, valid in zip(paths, self.valid, strict=True)]
        column = read_vector_files(paths, self.kind, ids, skipped=[])
        dataset = self.dataset if column is None else add_vector_column(self.dataset, self.kind, column)
        return self._described(dataset)

    def existing(self, needs: str) -> np.ndarray:
        present, own = self._there(), self._own()
        standing = self._standing(present, needs)
        if (standing.other & own).any():
            raise UserError(
                f"{(standing.other & own).sum()} of the {present.sum()} {_NAMES[self.kind]} in {self.folder} were "
                f"made by another model or at another precision, {self._maker_of(standing.other & own)}, and not by "
                f"{self._model_name()}: replace them with --force (force=True), or choose another --save-dir "
                "(save_dir=)"
            )
        self._tell_of_others(standing.other & ~own)
        # What lies elsewhere is taken along if it is known to be right, or if it cannot be computed anew.
        lacking = ~vector_present(self.dataset, needs)
        elsewhere = present & ~own & (~standing.other & ~standing.unknown | standing.unknown & lacking)
        staying = self._staying(present & own | elsewhere, standing)
        mine = np.ones(len(own), dtype=bool) if self.shard is None else self.shard.rows(len(own))
        self.copied = np.flatnonzero(staying & ~own & mine).tolist()
        self.stale = np.flatnonzero(standing.stale & own & mine).tolist()
        return staying

    def forced(self) -> np.ndarray:
        done = self._forced.read()
        paths = self.files.paths[self.kind]
        return np.array([path is not None and path in done for path in paths], dtype=bool) & self._there()

    def _there(self) -> np.ndarray:
        """Which recordings have a vector file, wherever it lies."""
        paths = self.files.paths[self.kind]
        return np.array([path is not None and os.path.exists(path) for path in paths], dtype=bool)

    def _own(self) -> np.ndarray:
        """Which recordings have theirs in the folder that is saved to."""
        if self.save_dir is None:
            return np.ones(len(self.dataset), dtype=bool)
        start = os.path.join(self.save_dir, "")
        return np.array([path is not None and path.startswith(start) for path in self.files.paths[self.kind]])

    def prepare(self, rows: np.ndarray) -> None:
        outputs = self.files.outputs([*rows.tolist(), *self.copied], self.kind, self.extension)
        ids, copied = recording_ids(self.dataset), {*self.copied}
        self.path_of = {ids[row]: path for path, row in outputs.items() if row not in copied}
        self._tell_of_places(rows)
        self.older = self._older()
        if self.save_dir is not None:
            write_json(self.save_dir / FILES_RECORD, self.record)
        if self.is_forced:
            self._forced.start(self.shard)
        for row in self.stale:  # so that none is left behind if it cannot be computed anew
            Path(str(self.files.paths[self.kind][row])).unlink(missing_ok=True)
        self._copy()

    def _tell_of_places(self, rows: np.ndarray) -> None:
        """Warn of vector files that will be written beside recordings which are not where the corpus is."""
        if self.files.save_dir is not None or self.corpus.files is None:
            return
        home = self.source.absolute().parent if self.source.suffix.lower() == ".csv" else self.files.root
        named = self.files.named.get(self.kind) or [None] * len(self.files)
        paths = (self.files.output_name(row, self.kind, self.extension) for row in rows.tolist() if not named[row])
        folders = [folder for folder in _folders(paths, home) if folder != str(home)]
        if folders:
            logger.warning(
                "Vector files will be written beside the recordings, which are not in the folder of %s but in %s: "
                "--save-dir FOLDER (save_dir=) keeps them elsewhere",
                *(self.source, name_some(folders, 3)),
            )

    def _older(self) -> dict[str, list[str]]:
        """Find files of another format beside the new ones, which could be read in their place."""
        folders: dict[str, set[str]] = {}
        found: dict[str, list[str]] = {}
        for path in self.path_of.values():
            folder, name = split_path(path)
            if folder not in folders:
                listed = os.listdir(folder) if os.path.isdir(folder) else []
                folders[folder] = {other for other in listed if is_vector_file(other)}
            if folders[folder]:
                stem = os.path.splitext(name)[0]
                others = {stem + other for other in EXTENSIONS} - {name} if is_vector_file(name) else set()
                if others & folders[folder]:
                    found[path] = [os.path.join(folder, other) for other in sorted(others & folders[folder])]
        return found

    def _copy(self) -> None:
        """Take along the vectors that stay, and lie elsewhere."""
        ids = recording_ids(self.dataset)
        known: dict[str, Origin] = {}
        rows = iter(self.copied)
        for block in read_vectors([str(self.files.paths[self.kind][row]) for row in self.copied], self.kind):
            for vector, row in zip(block, rows, strict=False):
                if isinstance(vector, str):  # why it cannot be used, which reading the corpus has told
                    continue
                target = self.files.output_name(row, self.kind, self.extension)
                write_vectors([target], vector[None], self.balr_format)
                self.path_of[ids[row]] = target
                origin = self.origins[row]
                if origin is not None:
                    known[target] = origin
        append_manifest(self.folder, known)

    def save(
        self,
        ids: list[str],
        vectors: np.ndarray,
        quality: Quality | None = None,
        origins: Sequence[Origin] | None = None,
    ) -> None:
        paths = [self.path_of[name] for name in ids]
        write_vectors(paths, vectors, self.balr_format)
        for path in paths:
            for other in self.older.get(path, ()):
                Path(other).unlink(missing_ok=True)
        append_manifest(self.folder, dict(zip(paths, origins or (), strict=False)))
        if self.is_forced:
            self._forced.add(paths)
        append_quality(self.folder / QUALITY_FILE, quality or {})

    def finish(self, count: int) -> Path:
        # Whichever processes shared the work, and in whatever order: what is written is the same.
        ids, paths = recording_ids(self.dataset), self.files.paths[self.kind]
        if self.quality:
            path = self.folder / QUALITY_FILE
            known, own = read_quality(path) | self.quality, {*ids}
            names = [*(name for name in known if name not in own), *(name for name in ids if name in known)]
            write_quality(path, {name: known[name] for name in names})
        found = (self.path_of.get(name) or path for name, path in zip(ids, paths, strict=True))
        made = [path for path in found if path is not None]
        self.vectors_in = _folders(made, self.folder)
        compact_manifest(self.folder, made)
        self._forced.end()
        if self.save_dir is not None and count:
            self._write_csv(self.save_dir)
        return self.folder

    @property
    def folder(self) -> Path:
        """The folder that is saved to: the save folder, or that of the recordings."""
        return self.files.root if self.save_dir is None else self.save_dir

    def _check_record(self, save_dir: Path) -> None:
        known = read_record(save_dir, FILES_RECORD)
        if known is None:
            return
        if known["source"] != self.record["source"]:
            raise UserError(
                f"{save_dir} holds the vectors of another corpus ({known['source']}): choose another --save-dir "
                "(save_dir=)"
            )
        self.record |= known

    def _write_csv(self, save_dir: Path) -> None:
        """Write a csv that names the vector files of the save folder, so that the folder is a corpus of its own."""
        name = self.source.name if self.source.suffix.lower() == ".csv" else "metadata.csv"
        target, dataset = save_dir / name, self.dataset
        if target == self.source.absolute() or (target.exists() and name not in self.record["csv"]):
            logger.warning("Left %s as it is: it was not written by balr", target)
            return
        ids, mirrored = recording_ids(dataset), [self.files.mirrored(row) for row in range(len(dataset))]
        finder, start = VectorFinder(mirrored), os.path.join(save_dir, "")
        own = {"id", "audio", *VECTOR_KINDS, *map(origin_column, VECTOR_KINDS), QUALITY_COLUMN}
        others = [name for name in dataset.column_names if name not in own]
        columns, embeddings = [dataset[n][:] for n in others], self._embeddings_elsewhere(save_dir)
        self.record["csv"] = sorted({*self.record["csv"], name})
        write_json(save_dir / FILES_RECORD, self.record)
        with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = SafeWriter(file)
            writer.writerow([*self.CSV_COLUMNS, *others])
            for row, recording in enumerate(ids):
                paths = [finder.find(mirrored[row], kind) for kind in VECTOR_KINDS]
                if any(paths):
                    paths[0] = paths[0] or embeddings[row]
                    names = ["" if path is None else path.removeprefix(start) for path in paths]
                    rest = ["" if column[row] is None else column[row] for column in columns]
                    writer.writerow([recording, *names, *rest])

    def _embeddings_elsewhere(self, save_dir: Path) -> list[str | None]:
        """The embeddings that attributes were made of, as a csv in the save folder names those that are not there."""
        known: list[str | None] = [None] * len(self.dataset)
        if self.kind != "ba":
            return known
        present, home = vector_present(self.dataset, "embedding"), str(save_dir)
        for row in np.flatnonzero(present).tolist():
            path = self.files.paths["embedding"][row]
            known[row] = None if path is None else _relative(path, home)
        return known


def _relative(path: str, folder: str) -> str:
    """A path as it is seen from a folder; as it is if there is no way, as from one drive of Windows to another."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return path


def _folders(paths: Iterable[str], home: Path) -> list[str]:
    """The folders of files, in which `home` stands for itself and all that is below it."""
    start = os.path.join(home, "")
    return sorted({str(home) if path.startswith(start) else os.path.dirname(path) for path in paths})


def _files_by_id(ids: list[str], save_dir: Path, kind: str) -> RecordingFiles:
    """Give a Dataset's recordings files that are named by their ids, and never lie outside the save folder."""
    audio = [str(save_dir / path.with_name(f"{path.name}.audio")) for path in paths_of_ids(ids)]
    finder = VectorFinder(audio)
    paths: dict[str, list[str | None]] = {"audio": [*audio], "embedding": [None] * len(ids), "ba": [None] * len(ids)}
    paths[kind] = [finder.find(path, kind) for path in audio]
    return RecordingFiles(paths, save_dir)


class _ForcedRun:
    """Remembers what a run that computes all vectors anew has done, so that it goes on where it was stopped.

    Args:
        path: the file that lists the vector files that are done, below a line that names the model.
        maker: the model.
    """

    def __init__(self, path: Path, maker: Maker):
        self.path = self._own = path
        self._heading = f"{digest_of(maker.model)} {maker.precision}"

    def read(self) -> set[str]:
        """The vector files that an earlier run of the same model has done; empty if there is none to go on with."""
        return set().union(*(self._read(path) or () for path in self._files()))

    def start(self, shard: Shard | None) -> None:
        """Begin a list of what is done; each share of a corpus has its own."""
        if shard is not None:
            self._own = self.path.with_name(f"{self.path.name}-{shard.index}-of-{shard.count}")
        if self._read(self._own) is None:
            self._own.parent.mkdir(parents=True, exist_ok=True)
            self._own.write_text(f"{self._heading}\0", encoding="utf-8")

    def add(self, paths: Iterable[str]) -> None:
        with self._own.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(f"{path}\0" for path in paths))

    def end(self) -> None:
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [self.path, *self.path.parent.glob(f"{self.path.name}-*-of-*")]

    def _read(self, path: Path) -> set[str] | None:
        if not path.is_file():
            return None
        heading, *done = path.read_text(encoding="utf-8", errors="surrogateescape").split("\0")
        return {*done[:-1]} if heading == self._heading else None  # after the last \0 is what a kill cut off


class DatasetStore(NoStore):
    """One Dataset in the save folder; until it is whole, each batch that is done is kept in a file beside that folder.

    These files, and a Dataset that was saved earlier, are only used for the same recordings and the same model.

    Args:
        corpus, kind, maker: as for [`NoStore`].
        save_dir: the Dataset's folder.

    Raises:
        UserError: the save folder holds other things.
    """

    def __init__(self, corpus: Corpus, kind: str, maker: Maker, save_dir: str | Path):
        super().__init__(corpus, kind, maker)
        self.save_dir = Path(save_dir).absolute()
        check_replaceable(self.save_dir)
        made_by = f"{digest_of(maker.model)} {maker.precision}"
        key = hashlib.sha256(f"{kind} {made_by} {corpus.fingerprint()}".encode()).hexdigest()
        self.record = {"kind": kind, "key": key}
        self._earlier = read_record(self.save_dir, DATASET_RECORD)
        self.pieces: list[tuple[np.ndarray, np.ndarray]] = []  # rows, and their vectors
        self.is_whole = False

    @property
    def parts(self) -> Path:
        """The folder of the batches that are done; a run that computes all vectors anew has its own."""
        return self._parts_of(self.record, self.is_forced)

    def _parts_of(self, record: Mapping[str, str], is_forced: bool) -> Path:
        forced = ".forced" if is_forced else ""
        return self.save_dir.with_name(f".{self.save_dir.name}.{record['key'][:12]}{forced}.parts")

    def load(self) -> "datasets.Dataset":
        if read_record(self.save_dir, DATASET_RECORD) != self.record:  # nothing could be computed
            return self._described(self.dataset)
        return one_split(load_saved(self.save_dir), self.save_dir, None)

    def existing(self, needs: str) -> np.ndarray:
        present = super().existing(needs)
        if present.any():
            kept = keep_vectors(self.dataset, self.kind, present)
            self.pieces.append((np.flatnonzero(present), vector_matrix(kept, self.kind)[0]))
        if read_record(self.save_dir, DATASET_RECORD) == self.record:
            saved = one_split(load_saved(self.save_dir), self.save_dir, None)
            found = vector_present(saved, self.kind)  # its rows are the same recordings
            if found.any():
                self.pieces.append((np.flatnonzero(found), vector_matrix(saved, self.kind)[0]))
                for row, origin in enumerate(origins_of(saved, self.kind)):
                    self.origins[row] = origin if found[row] else self.origins[row]
            self.quality |= known_quality(saved)
            self.is_whole = True
            return present | found
        return self._read_parts(present)

    def forced(self) -> np.ndarray:
        return self._read_parts(np.zeros(len(self.dataset), dtype=bool))

    def _read_parts(self, present: np.ndarray) -> np.ndarray:
        row_of = {name: row for row, name in enumerate(recording_ids(self.dataset))}
        for path in sorted(self.parts.glob("*.npz")):
            part = _read_part(path, self.kind, row_of)
            if part is None:
                logger.warning("Left out %s, which is damaged: what it held is computed anew", path)
                path.unlink()
                continue
            rows, vectors, origins, quality = part
            if len(rows):
                self.pieces.append((rows, vectors))
                present[rows] = True
            for row, origin in zip(rows.tolist(), origins, strict=False):
                self.origins[row] = origin
            self.quality |= quality
        if self.parts.exists():
            logger.info("Going on with an interrupted run: %d recordings are done already", present.sum())
        return present

    def save(
        self,
        ids: list[str],
        vectors: np.ndarray,
        quality: Quality | None = None,
        origins: Sequence[Origin] | None = None,
    ) -> None:
        with atomic_path(self.parts / f"{uuid.uuid4().hex}.npz") as temporary, temporary.open("wb") as file:
            made = np.array(json.dumps([origin._asdict() for origin in origins or ()]))
            measured = np.array(json.dumps(quality or {}))
            np.savez(file, ids=np.array(json.dumps(ids)), vectors=vectors, origins=made, quality=measured)

    def add(self, rows: np.ndarray, result: "datasets.Dataset") -> None:
        if len(rows):
            self.pieces.append((rows, vector_matrix(result, self.kind)[0]))
            self.is_whole = False

    def finish(self, count: int) -> Path:
        # A kill may have left the parts of the Dataset that is here. They go before that Dataset does: nothing would
        # name them any more if this process is killed in its turn.
        if self._earlier is not None:
            for parts in {self._parts_of(self._earlier, is_forced) for is_forced in (False, True)} - {self.parts}:
                shutil.rmtree(parts, ignore_errors=True)
        if count and not self.is_whole:
            width = self.pieces[0][1].shape[1]
            if any(vectors.shape[1] != width for _, vectors in self.pieces):
                raise UserError(f"{self.kind} vectors of another size are there already: recompute all with --force")
            matrix = np.zeros((len(self.dataset), width), dtype=self.pieces[0][1].dtype)
            present = np.zeros(len(self.dataset), dtype=bool)
            for rows, vectors in self.pieces:
                matrix[rows], present[rows] = vectors, True
            column = fixed_length_column(matrix, present)
            dataset = self._described(add_vector_column(self.dataset, self.kind, column))
            save_dataset(dataset, self.save_dir, self.record)
        shutil.rmtree(self.parts, ignore_errors=True)
        return self.save_dir


def _read_part(
    path: Path, kind: str, row_of: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray, list[Origin], dict[str, Any]] | None:
    """Read the rows, the vectors, their origins and the measures that a [`DatasetStore`] kept; None if damaged."""
    try:
        with np.load(path, allow_pickle=False) as part:
            rows = np.array([row_of[name] for name in json.loads(part["ids"].item())], dtype=np.int64)
            vectors = part["vectors"]
            origins = [Origin(**origin) for origin in json.loads(part["origins"].item())]
            quality = dict(json.loads(part["quality"].item()))
    except Exception:  # a damaged file can make zipfile and numpy raise almost anything
        return None
    proper = vectors.dtype == (np.float32 if kind == "embedding" else bool) and vectors.ndim == 2
    if not proper or len(vectors) != len(rows) or (kind == "embedding" and not np.isfinite(vectors).all()):
        return None
    return rows, vectors, origins, quality


def _all_skipped(
    dataset: "datasets.Dataset", before: np.ndarray, reading: Sequence[Skipped], computing: Sequence[Skipped]
) -> list[Skipped]:
    """List what reading and computing left out: each recording once, and none that had its vector before."""
    ids = recording_ids(dataset) if reading else []
    had = {ids[row] for row in np.flatnonzero(before).tolist()} if reading else set()
    reading = [row for row in reading if row.id not in had]
    known = {row.id for row in reading}  # the bad vector file is reason enough
    return [*reading, *(row for row in computing if row.id not in known)]
