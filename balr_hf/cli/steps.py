"""What `extract` and `binarize` share: which recordings are left to do, saving as they go, and the closing words."""

import csv
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from balr_hf.cli.parsing import Arguments
from balr_hf.data import (
    EXTRA_FILE,
    Corpus,
    RecordingFiles,
    Skipped,
    add_vector_column,
    check_replaceable,
    fixed_length_column,
    is_saved_dataset,
    read_corpus,
    save_dataset,
    vector_matrix,
    vector_present,
    warn_skipped,
    write_skipped,
)
from balr_hf.errors import ConfigError, UserError
from balr_hf.files import atomic_path, write_json
from balr_hf.vectors import VectorFinder, is_vector_file, write_vector

logger = logging.getLogger(__name__)

# Takes the recordings left to do, and what saves new vectors; returns them with the vectors, and those skipped.
Compute = Callable[..., tuple]


def run_step(arguments: Arguments, kind: str, needs: str, model_name: str, compute: Compute) -> int:
    """Add `kind` vectors to the corpus `arguments.input`.

    Args:
        arguments: of the command.
        kind (str): `embedding` or `ba`.
        needs (str): the column that they are computed from.
        model_name (str): identifies the model, so that an interrupted run is only resumed with the same one.
        compute: called with the recordings that are left to do and `save=`.

    Returns:
        exit status: 1 if nothing could be done, else 0.
    """
    both = arguments.save_format == "dataset" or not arguments.save_output
    corpus = read_corpus(
        arguments.input,
        audio_formats=arguments.audio_formats,
        root_dir=arguments.root_dir,
        save_dir=arguments.save_dir,
        vectors=("embedding", "ba") if both or _is_dataset(arguments.input) else {needs} & {"embedding"},
    )
    save_format = arguments.save_format or ("dataset" if corpus.files is None else "txt")
    if not arguments.save_output:
        store = NoStore(corpus, kind)
    elif arguments.save_dir is None and (corpus.files is None or save_format == "dataset"):
        raise ConfigError("a Dataset is saved to a folder of its own: say where with --save-dir")
    elif save_format == "dataset":
        store = DatasetStore(arguments, corpus, kind, model_name)
    else:
        store = FileStore(arguments, corpus, kind, f".{save_format}")
    dataset = corpus.dataset
    before = np.zeros(len(dataset), dtype=bool) if arguments.force else store.existing()
    todo = np.flatnonzero(~before)
    store.prepare(todo)
    done, skipped = 0, []
    if len(todo):
        part = dataset.select(todo)
        part = part.remove_columns(kind) if kind in part.column_names else part
        if needs not in part.column_names:
            raise UserError(_nothing_to_compute_from(arguments.input, needs, corpus))
        result, skipped = compute(part, save=store.save)
        present = vector_present(result, kind)
        done = int(present.sum())
        store.add(todo[present], result)
    where = store.finish(int(before.sum()) + done)
    skipped = _all_skipped(dataset, before, corpus.skipped, skipped)
    return _close(kind, done, int(before.sum()), skipped, where, total=len(dataset))


def _is_dataset(source: str) -> bool:
    path = Path(source)
    return not path.exists() or path.suffix == ".parquet" or (path.is_dir() and is_saved_dataset(path))


class NoStore:
    """Saves nothing; the base of the stores.

    Args:
        corpus: what is worked on.
        kind (str): `embedding` or `ba`.
    """

    def __init__(self, corpus: Corpus, kind: str):
        self.dataset, self.kind = corpus.dataset, kind

    def existing(self) -> np.ndarray:
        """Which recordings have their vector already: bool `(rows,)`."""
        return vector_present(self.dataset, self.kind)

    def prepare(self, rows: np.ndarray) -> None:
        """Called with the rows that are left to do, before anything is computed."""

    def save(self, ids: list[str], vectors: np.ndarray) -> None:
        """Keep a batch as soon as it is computed."""

    def add(self, rows: np.ndarray, result) -> None:
        """Take the vectors of all rows that were computed."""

    def finish(self, count: int) -> Path | None:
        """Called at the end with the number of recordings that have a vector; returns the folder that was saved to."""


class FileStore(NoStore):
    """One vector file a recording, beside it or under the save folder, written as soon as its batch is done.

    Raises:
        UserError: the save folder holds the vectors of another corpus, or two recordings would write one file.
    """

    CSV_COLUMNS = ("id", "embedding", "binary_attributes")

    def __init__(self, arguments: Arguments, corpus: Corpus, kind: str, extension: str):
        super().__init__(corpus, kind)
        self.extension = extension
        self.source = Path(arguments.input)
        self.save_dir = None if arguments.save_dir is None else Path(arguments.save_dir).absolute()
        self.files = corpus.files or _files_by_id(list(self.dataset["id"]), self.save_dir, kind)
        if self.save_dir == self.files.root and corpus.files is not None:
            self.save_dir = None  # saving into the corpus itself
        self.path_of: dict[str, Path] = {}
        self.manifest = {"source": str(self.source.absolute() if corpus.files is None else self.files.root), "csv": []}
        if self.save_dir is not None:
            self._check_save_dir()

    def existing(self) -> np.ndarray:
        paths = self.files.paths[self.kind]
        return np.array([path is not None and os.path.exists(path) for path in paths], dtype=bool)

    def prepare(self, rows: np.ndarray) -> None:
        self.files.check_outputs_distinct(rows, self.kind, self.extension)
        ids = self.dataset["id"]
        self.path_of = {ids[int(row)]: self.files.output(int(row), self.kind, self.extension) for row in rows}
        if self.save_dir is not None:
            self._write_manifest()

    def save(self, ids: list[str], vectors: np.ndarray) -> None:
        for name, vector in zip(ids, vectors, strict=True):
            path = self.path_of[name]
            write_vector(path, vector)
            if is_vector_file(path.name):  # found by its name, and so might be read in the new one's place
                for other in {".txt", ".npy"} - {path.suffix}:
                    path.with_suffix(other).unlink(missing_ok=True)

    def finish(self, count: int) -> Path:
        if self.save_dir is None:
            return self.files.root
        if count:
            self._write_csv()
        return self.save_dir

    def _check_save_dir(self) -> None:
        path = self.save_dir / EXTRA_FILE
        if path.exists():
            known = json.loads(path.read_text())
            if known.get("source") != self.manifest["source"]:
                raise UserError(
                    f"{self.save_dir} holds the vectors of another corpus ({known.get('source')}): choose another "
                    "--save-dir"
                )
            self.manifest = known

    def _write_manifest(self) -> None:
        write_json(self.save_dir / EXTRA_FILE, self.manifest)

    def _write_csv(self) -> None:
        """A csv that names the vector files of the save folder, so that it is a corpus of its own."""
        name = self.source.name if self.source.suffix.lower() == ".csv" else "metadata.csv"
        target, dataset = self.save_dir / name, self.dataset
        if target == self.source.absolute() or (target.exists() and name not in self.manifest["csv"]):
            logger.warning("Left %s as it is: it was not written by balr", target)
            return
        ids, finder = list(dataset["id"]), VectorFinder()
        others = [n for n in dataset.column_names if n not in ("id", "audio", "embedding", "ba")]
        columns = [dataset[n] for n in others]
        self.manifest["csv"] = sorted({*self.manifest["csv"], name})
        self._write_manifest()
        with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*self.CSV_COLUMNS, *others])
            for row, recording in enumerate(ids):
                paths = [finder.find(self.files.mirrored(row), k) for k in ("embedding", "ba")]
                if any(paths):
                    names = ["" if path is None else os.path.relpath(path, self.save_dir) for path in paths]
                    rest = ["" if column[row] is None else column[row] for column in columns]
                    writer.writerow([recording, *names, *rest])


def _files_by_id(ids: list[str], save_dir: Path, kind: str) -> RecordingFiles:
    """Files for a Dataset's recordings: named by id, and never outside the save folder."""
    safe = [PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in ("/", ".."))) for name in ids]
    audio = [str(save_dir / path.with_name(f"{path.name}.audio")) for path in safe]
    finder = VectorFinder()
    paths = {k: [finder.find(path, k) if k == kind else None for path in audio] for k in ("embedding", "ba")}
    return RecordingFiles({"audio": audio, **paths}, save_dir)


class DatasetStore(NoStore):
    """One Dataset at the save folder; what is done is kept beside it in parts, a file a batch, until it is whole.

    Parts, and a Dataset saved earlier, are taken up only for the same recordings and the same model.

    Raises:
        UserError: the save folder holds other things.
    """

    def __init__(self, arguments: Arguments, corpus: Corpus, kind: str, model_name: str):
        super().__init__(corpus, kind)
        self.save_dir = Path(arguments.save_dir).absolute()
        check_replaceable(self.save_dir)
        key = hashlib.sha256(f"{kind} {model_name} {corpus.fingerprint()}".encode()).hexdigest()
        self.identity = {"kind": kind, "key": key}
        self.parts = self.save_dir.with_name(f".{self.save_dir.name}.{key[:12]}.parts")
        self.pieces: list[tuple[np.ndarray, np.ndarray]] = []  # rows, and their vectors
        self.is_whole = False

    def existing(self) -> np.ndarray:
        present = vector_present(self.dataset, self.kind)
        if present.any():
            self.pieces.append((np.flatnonzero(present), vector_matrix(self.dataset, self.kind)[0]))
        extra = self.save_dir / EXTRA_FILE
        if extra.exists() and json.loads(extra.read_text()) == self.identity:
            import datasets

            saved = datasets.load_from_disk(str(self.save_dir))
            found = vector_present(saved, self.kind)  # row for row the same recordings
            self.pieces.append((np.flatnonzero(found), vector_matrix(saved, self.kind)[0]))
            self.is_whole = True
            return present | found
        row_of = {name: row for row, name in enumerate(self.dataset["id"])}
        for path in sorted(self.parts.glob("*.npz")):
            with np.load(path, allow_pickle=False) as part:
                rows = np.array([row_of[name] for name in part["ids"].tolist()])
                self.pieces.append((rows, part["vectors"]))
                present[rows] = True
        if self.parts.exists():
            logger.info("Going on with an interrupted run: %d recordings are done already", present.sum())
        return present

    def save(self, ids: list[str], vectors: np.ndarray) -> None:
        with atomic_path(self.parts / f"{uuid.uuid4().hex}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, ids=np.array(ids), vectors=vectors)

    def add(self, rows: np.ndarray, result) -> None:
        if len(rows):
            self.pieces.append((rows, vector_matrix(result, self.kind)[0]))
            self.is_whole = False

    def finish(self, count: int) -> Path:
        if count and not self.is_whole:
            width = self.pieces[0][1].shape[1]
            if any(vectors.shape[1] != width for _, vectors in self.pieces):
                raise UserError(f"{self.kind} vectors of another size are there already: recompute all with --force")
            matrix = np.zeros((len(self.dataset), width), dtype=self.pieces[0][1].dtype)
            present = np.zeros(len(self.dataset), dtype=bool)
            for rows, vectors in self.pieces:
                matrix[rows], present[rows] = vectors, True
            column = fixed_length_column(matrix, present)
            save_dataset(add_vector_column(self.dataset, self.kind, column), self.save_dir, self.identity)
        shutil.rmtree(self.parts, ignore_errors=True)
        return self.save_dir


def _nothing_to_compute_from(source: str, needs: str, corpus: Corpus) -> str:
    why = f"; {len(corpus.skipped)} could not be read, the first: {corpus.skipped[0].reason}" if corpus.skipped else ""
    step = " (run balr extract first)" if needs == "embedding" else ""
    return f"{source} has no {needs} to compute from{step}{why}"


def _all_skipped(dataset, before: np.ndarray, reading: list[Skipped], computing: list[Skipped]) -> list[Skipped]:
    """What reading and computing left out, each recording once, but none that has its vector from before."""
    had = {dataset[int(row)]["id"] for row in np.flatnonzero(before)} if reading else set()
    reading = [row for row in reading if row.id not in had]
    known = {row.id for row in reading}  # a bad vector file is the reason already
    return [*reading, *(row for row in computing if row.id not in known)]


def _close(kind: str, done: int, before: int, skipped: list[Skipped], where: Path | None, total: int) -> int:
    """Say what was done and what was not, name the skipped recordings in `skipped.csv`, and choose the exit status."""
    what = {"embedding": "embeddings", "ba": "binary attributes"}[kind]
    logger.info("%d recordings: %d %s computed, %d there already, %d skipped", total, done, what, before, len(skipped))
    if where is None:
        warn_skipped(skipped, "The run")
    else:
        skipped = _report(where / "skipped.csv", skipped)
        logger.info("Saved in %s", where)
    if before and not done and not skipped:
        logger.info("Nothing to do: --force computes them anew")
    return 0 if done or before else 1


def _report(path: Path, skipped: list[Skipped]) -> list[Skipped]:
    """Name the skipped recordings here and in `skipped.csv`, with the reason that an earlier step gave."""
    earlier = None
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        if rows[:1] == [["id", "reason"]]:
            earlier = {row[0]: row[1] for row in rows[1:] if len(row) == 2}
    if earlier:
        skipped = [
            Skipped(row.id, f"no embedding ({earlier[row.id]})")
            if row.reason == "no embedding" and not earlier.get(row.id, "no embedding").startswith("no embedding")
            else row
            for row in skipped
        ]
    for row in skipped[:10]:
        logger.warning("  skipped %s: %s", row.id, row.reason)
    if len(skipped) > 10:
        logger.warning("  ... and %d more, all in %s", len(skipped) - 10, path)
    if path.exists() and earlier is None:
        logger.warning("Left %s as it is: it was not written by balr", path)
    elif skipped or earlier is not None:
        write_skipped(path, skipped)
    return skipped
