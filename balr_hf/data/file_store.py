"""A store of one vector file for each recording."""

import errno
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.data.columns import VECTOR_KINDS, add_vector_column, recording_ids, vector_present
from balr_hf.data.contract import Corpus
from balr_hf.data.manifests import append_manifest, compact_manifest, file_origins
from balr_hf.data.origins import Maker, Origin, origin_column
from balr_hf.data.quality import COLUMN as QUALITY_COLUMN
from balr_hf.data.quality import FILE as QUALITY_FILE
from balr_hf.data.quality import append_quality, is_of_other_audio, read_quality, was_accepted, write_quality
from balr_hf.data.reading import read_vector_files
from balr_hf.data.recording_files import RecordingFiles, paths_of_ids
from balr_hf.data.saving import FILES_RECORD, read_record
from balr_hf.data.shards import Shard
from balr_hf.data.store_base import NAMES, NoStore, Quality
from balr_hf.data.vector_files import read_vectors, write_vectors
from balr_hf.data.vectors import EXTENSIONS, VectorFinder, is_vector_file
from balr_hf.errors import UserError, name_some
from balr_hf.files import atomic_path, split_path, write_json
from balr_hf.identity import digest_of
from balr_hf.untrusted import SafeWriter

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


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
        self.replaced: set[str] = set()  # recordings whose audio was replaced since they were embedded
        self.measured: Quality = {}  # what the folder's csv tells of recordings before anything is computed
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
                f"{(standing.other & own).sum()} of the {present.sum()} {NAMES[self.kind]} in {self.folder} were "
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
        self.replaced = {*self.dataset.select(np.flatnonzero(standing.stale))["id"]}
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
        self.measured = {} if self.is_forced else read_quality(self.folder / QUALITY_FILE)
        self.older = self._older()
        if self.save_dir is not None:
            self._check_record(self.save_dir)  # which another process may have written since
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
        self._refuse_measures_of_others(quality or {})
        paths = [self.path_of[name] for name in ids]
        try:
            append_quality(self.folder / QUALITY_FILE, quality or {})  # first, or a kill could leave earlier ones
            write_vectors(paths, vectors, self.balr_format)
            for path in paths:
                for other in self.older.get(path, ()):
                    Path(other).unlink(missing_ok=True)
            append_manifest(self.folder, dict(zip(paths, origins or (), strict=False)))
            if self.is_forced:
                self._forced.add(paths)
        except BaseException as error:
            if not self.is_forced:  # or they would be there the next time, without what is known of them
                for path in paths:
                    Path(path).unlink(missing_ok=True)
            refused = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            if refused and self.save_dir is None:
                elsewhere = "save elsewhere than beside the recordings, with --save-dir (save_dir=)"
                raise UserError(f"{error}: {elsewhere}") from error
            raise

    def _refuse_measures_of_others(self, quality: Quality) -> None:
        """Refuse to replace what was measured of other recordings that are called the same.

        What was refused for lack of speech may have been replaced by a better recording since.

        Raises:
            UserError: another corpus of this folder calls its recordings so.
        """
        others = [
            name
            for name, row in quality.items()
            if name in self.measured
            and name not in self.replaced
            and was_accepted(self.measured[name])
            and is_of_other_audio(row, self.measured[name])
        ]
        if others:
            raise UserError(
                f"{self.folder / QUALITY_FILE} has measures of other recordings that are called {name_some(others)}, "
                "as where several csvs in one folder use the same ids: save the vectors of each to a folder of its "
                "own with --save-dir (save_dir=). If the audio was replaced since it was measured, delete its lines "
                "there first"
            )

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
        self._check_record(save_dir)  # which another process may have written since
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
