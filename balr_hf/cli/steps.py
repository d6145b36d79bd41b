"""What `extract` and `binarize` share: which recordings are left to do, saving as they go, and the closing words."""

import csv
import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from balr_hf.cli.parsing import Arguments
from balr_hf.data import (
    Corpus,
    RecordingFiles,
    Skipped,
    add_vector_column,
    fixed_length_column,
    read_corpus,
    save_dataset,
    vector_matrix,
    write_skipped,
)
from balr_hf.errors import ConfigError, UserError
from balr_hf.files import atomic_path
from balr_hf.vectors import VECTOR_CSV_COLUMNS, write_vector

logger = logging.getLogger(__name__)

FORMATS = ("txt", "npy", "dataset")

# Takes a corpus and what saves new vectors; returns the corpus with the vectors, and the recordings left out.
Compute = Callable[..., tuple]


def run_step(arguments: Arguments, kind: str, needs: str, model_name: str, compute: Compute) -> int:
    """Add `kind` vectors to the corpus `arguments.input`.

    Args:
        arguments: of the command.
        kind (str): `embedding` or `ba`.
        needs (str): the column that they are computed from.
        model_name (str): identifies the model, so that an interrupted run is only resumed with the same one.
        compute: called with the corpus, `force=` and `save=`.

    Returns:
        exit status: 1 if nothing could be done, else 0.
    """
    if arguments.save_format not in (None, *FORMATS):
        raise ConfigError(f"--save-format {arguments.save_format}: expected {', '.join(FORMATS)}")
    corpus = read_corpus(
        arguments.input,
        audio_formats=arguments.audio_formats,
        root_dir=arguments.root_dir,
        save_dir=arguments.save_dir,
        vectors=("embedding", "ba") if arguments.save_format == "dataset" else {needs} & {"embedding"},
    )
    save_format = arguments.save_format or ("dataset" if corpus.files is None else "txt")
    if corpus.files is None and save_format == "dataset":
        corpus = read_corpus(arguments.input)
    if arguments.save_output and arguments.save_dir is None and (corpus.files is None or save_format == "dataset"):
        raise ConfigError("a Dataset is saved to a folder of its own: say where with --save-dir")
    if save_format == "dataset" or not arguments.save_output:
        done, before, skipped, where = _to_dataset(arguments, corpus, kind, model_name, compute)
    else:
        done, before, skipped, where = _to_files(arguments, corpus, kind, needs, f".{save_format}", compute)
    return _close(arguments, kind, done, before, [*corpus.skipped, *skipped], where, total=len(corpus.dataset))


def _to_files(arguments: Arguments, corpus: Corpus, kind: str, needs: str, extension: str, compute: Compute):
    """Vector files beside the recordings or under the save folder, each written as soon as its batch is done."""
    files, dataset = corpus.files, corpus.dataset
    if files is None:  # a Dataset saved as vector files: named by id under the save folder
        paths = {k: [None] * len(dataset) for k in ("embedding", "ba")}
        paths["audio"] = [Path(arguments.save_dir).absolute() / name for name in dataset["id"]]
        files = RecordingFiles(paths, Path(arguments.save_dir).absolute())
    files.check_outputs_distinct(kind)
    unread = {row.id for row in corpus.skipped}
    ids = dataset["id"]
    existing = [path is not None and ids[row] not in unread for row, path in enumerate(files.paths[kind])]
    todo = [row for row in range(len(dataset)) if arguments.force or not existing[row]]
    before = len(dataset) - len(todo)
    if not todo:
        done, skipped = [], []
    else:
        path_of = {ids[row]: files.output(row, kind, extension) for row in todo}
        done: list[str] = []

        def save(names: list[str], vectors: np.ndarray) -> None:
            for name, vector in zip(names, vectors, strict=True):
                write_vector(path_of[name], vector)
            done.extend(names)

        part = dataset.select(todo)
        part = part.remove_columns([kind]) if kind in part.column_names else part
        if needs not in part.column_names:
            raise UserError(_nothing_to_compute_from(arguments.input, needs, corpus))
        result, skipped = compute(part, force=True, save=save)
        done = done or [n for n, ok in zip(part["id"], vector_matrix_present(result, kind), strict=True) if ok]
    if arguments.save_dir is not None and Path(arguments.save_dir).absolute() != files.root:
        for row in todo:
            path = files.output(row, kind, extension)
            files.paths[kind][row] = path if path.exists() else files.paths[kind][row]
        _write_metadata(arguments, dataset, files)
    known = {row.id for row in corpus.skipped}  # a bad vector file is the reason already
    skipped = [row for row in skipped if row.id not in known]
    return len(done), before, skipped, Path(arguments.save_dir) if arguments.save_dir else files.root


def _to_dataset(arguments: Arguments, corpus: Corpus, kind: str, model_name: str, compute: Compute):
    """One Dataset at the save folder; what is done is kept beside it in parts until it is whole."""
    dataset, parts = corpus.dataset, None
    if arguments.force and kind in dataset.column_names:
        dataset = dataset.remove_columns([kind])
    if arguments.save_output:
        parts = Parts(Path(arguments.save_dir), kind, model_name)
        dataset = parts.restore(dataset)
    before = int(vector_matrix_present(dataset, kind).sum()) if kind in dataset.column_names else 0
    result, skipped = compute(dataset, force=False, save=parts.save if parts else None)
    done = int(vector_matrix_present(result, kind).sum()) - before
    if parts is None:
        return done, before, skipped, None
    if done or before:
        save_dataset(result, Path(arguments.save_dir))
    parts.remove()
    return done, before, skipped, Path(arguments.save_dir)


class Parts:
    """Vectors of an unfinished Dataset, kept beside its folder a file a batch, so that a killed run can go on.

    Args:
        save_dir: the Dataset's folder.
        kind (str): `embedding` or `ba`.
        model_name (str): parts that another model made are not taken up.
    """

    def __init__(self, save_dir: Path, kind: str, model_name: str):
        self.kind = kind
        key = hashlib.sha256(f"{kind} {model_name}".encode()).hexdigest()[:12]
        self.folder = save_dir.absolute().with_name(f".{save_dir.name}.{key}.parts")
        self._number = 0

    def save(self, ids: list[str], vectors: np.ndarray) -> None:
        """Keep one batch."""
        import uuid

        with atomic_path(self.folder / f"{uuid.uuid4().hex}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, ids=np.array(ids), vectors=vectors)

    def restore(self, dataset):
        """Put the vectors of an interrupted run into the Dataset."""
        found = {}
        for path in sorted(self.folder.glob("*.npz")):
            with np.load(path, allow_pickle=False) as part:
                found.update(zip(part["ids"].tolist(), part["vectors"], strict=True))
        if not found:
            return dataset
        logger.info("Going on with an interrupted run: %d recordings are done already", len(found))
        length, dtype = len(next(iter(found.values()))), next(iter(found.values())).dtype
        matrix, present = np.zeros((len(dataset), length), dtype), np.zeros(len(dataset), dtype=bool)
        if self.kind in dataset.column_names:
            old, present = vector_matrix(dataset, self.kind)
            matrix[present] = old
        for row, name in enumerate(dataset["id"]):
            if name in found:
                matrix[row], present[row] = found[name], True
        return add_vector_column(dataset, self.kind, fixed_length_column(matrix, present))

    def remove(self) -> None:
        """Forget the parts: the Dataset is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)


def vector_matrix_present(dataset, kind: str) -> np.ndarray:
    """Which rows have a `kind` vector."""
    column = dataset.select_columns([kind]).with_format("arrow")[:][kind]
    return column.is_valid().to_numpy()


def _write_metadata(arguments: Arguments, dataset, files: RecordingFiles) -> None:
    """A csv in the save folder that names the vector files there, so that the folder is a corpus of its own."""
    source, save_dir = Path(arguments.input), Path(arguments.save_dir).absolute()
    target = save_dir / (source.name if source.suffix.lower() == ".csv" else "metadata.csv")
    header = [*VECTOR_CSV_COLUMNS, *(n for n in dataset.column_names if n not in ("id", "audio", "embedding", "ba"))]
    if target.exists():
        with target.open(newline="", encoding="utf-8-sig") as file:
            if next(csv.reader(file), [])[: len(VECTOR_CSV_COLUMNS)] != list(VECTOR_CSV_COLUMNS):
                logger.warning("Left %s as it is: it was not written by balr", target)
                return
    columns = {name: dataset[name] for name in header if name in dataset.column_names}
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in range(len(dataset)):
            vectors = [_relative(files.paths[kind][row], save_dir) for kind in ("embedding", "ba")]
            if any(vectors):
                rest = ["" if columns[n][row] is None else columns[n][row] for n in header[len(VECTOR_CSV_COLUMNS) :]]
                writer.writerow([columns["id"][row], *vectors, *rest])


def _relative(path: Path | None, folder: Path) -> str:
    if path is None:
        return ""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _nothing_to_compute_from(source: str, needs: str, corpus: Corpus) -> str:
    why = f"; {len(corpus.skipped)} could not be read, the first: {corpus.skipped[0].reason}" if corpus.skipped else ""
    step = " (run balr extract first)" if needs == "embedding" else ""
    return f"{source} has no {needs} to compute from{step}{why}"


def _close(
    arguments, kind: str, done: int, before: int, skipped: list[Skipped], where: Path | None, total: int
) -> int:
    """Say what was done and what was not, name the skipped recordings in `skipped.csv`, and choose the exit status."""
    what = {"embedding": "embeddings", "ba": "binary attributes"}[kind]
    logger.info("%d recordings: %d %s computed, %d there already, %d skipped", total, done, what, before, len(skipped))
    for row in skipped[:10]:
        logger.warning("  skipped %s: %s", row.id, row.reason)
    if where is not None:
        report = where / "skipped.csv"
        if skipped or report.exists():
            write_skipped(report, skipped)
        if len(skipped) > 10:
            logger.warning("  ... and %d more, all in %s", len(skipped) - 10, report)
        logger.info("Saved in %s", where)
    if before and not done and not skipped:
        logger.info("Nothing to do: --force computes them anew")
    return 0 if done or before else 1
