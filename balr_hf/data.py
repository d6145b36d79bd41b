"""Corpora: csv, folder, file, saved Dataset, parquet or Hub id -> `datasets.Dataset`; and what was skipped on the way.

A corpus has one row a recording and the columns `id`, `audio`, `speaker`, `embedding`, `ba` (all but `id` optional).
Extra columns pass through. A row that lacks a value, or whose file could not be read, keeps its place with `None`.
"""

import csv
import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.errors import UserError, name_some
from balr_hf.files import atomic_folder, atomic_path, write_json
from balr_hf.vectors import (
    VectorError,
    VectorFinder,
    as_bits,
    as_embedding,
    is_vector_file,
    read_vector,
    vector_path,
    vector_stem,
)

logger = logging.getLogger(__name__)

VECTOR_KINDS = ("embedding", "ba")

# What a name that ends so cannot be but a file.
FILE_ENDINGS = {*AUDIO_FORMATS, "csv", "parquet"}

# Beside what the commands save: where it came from.
EXTRA_FILE = "balr.json"
_CSV_FILE_COLUMNS = {"audio": "audio", "embedding": "embedding", "binary_attributes": "ba"}


@dataclass(frozen=True)
class Skipped:
    """A recording that a step left out, and why."""

    id: str
    reason: str


@dataclass
class RecordingFiles:
    """The files behind a corpus that was read from files: what is where, and where a new vector file goes.

    Attributes:
        paths: for `audio`, `embedding` and `ba`, one path (or None) a row; as strings, since there can be millions.
        root: the folder that relative paths start from.
        save_dir: where new vector files go, mirroring `root`; None puts them beside the recordings.
        named: those of `paths` that a csv names, whether they exist or not.
    """

    paths: dict[str, list[str | None]]
    root: Path
    save_dir: Path | None = None
    named: dict[str, list[str | None]] = field(default_factory=dict)
    _outside: Path | None = field(default=None, repr=False)

    def __post_init__(self):
        inside = os.path.join(self.root, "")
        outside = {os.path.dirname(p) for p in map(self.reference, range(len(self))) if not p.startswith(inside)}
        if outside:
            self._outside = Path(os.path.commonpath(outside))

    def __len__(self) -> int:
        return len(self.paths["audio"])

    def reference(self, row: int) -> str:
        """The file that stands for the recording: its audio, else its embedding, else its attributes."""
        return self.paths["audio"][row] or self.paths["embedding"][row] or self.paths["ba"][row]

    def mirrored(self, row: int) -> Path:
        """The recording's reference file, moved under `save_dir` if there is one."""
        reference = Path(self.reference(row))
        if self.save_dir is None:
            return reference
        root = self.root if reference.is_relative_to(self.root) else self._outside
        return self.save_dir / reference.relative_to(root)

    def output(self, row: int, kind: str, extension: str) -> Path:
        """Where the recording's new vector file goes: where the csv says, else beside its reference file."""
        named = self.named[kind][row] if kind in self.named and self.save_dir is None else None
        if named is None:
            return vector_path(self.mirrored(row), kind, extension)
        if not named.endswith((".txt", ".npy")):
            raise UserError(f"the csv names {named}, and only .txt and .npy are written: use --save-dir")
        return Path(named)

    def check_outputs_distinct(self, rows: Iterable[int], kind: str, extension: str) -> None:
        """Refuse to write two recordings' vectors to one file (`a.wav` and `a.flac` in one folder)."""
        first: dict[Path, int] = {}
        for row in rows:
            path = self.output(row, kind, extension)
            if path in first:
                raise UserError(
                    f"{self.reference(first[path])} and {self.reference(row)} would both write {path.name}: "
                    "rename one, restrict --audio-formats, or use --save-format dataset"
                )
            first[path] = row


@dataclass
class Corpus:
    """A corpus with what its Dataset alone does not say: the files behind it, and the vector files that were bad."""

    dataset: "datasets.Dataset"  # noqa: F821 (imported where used: datasets takes a second to import)
    files: RecordingFiles | None
    skipped: list[Skipped]
    source_fingerprint: str | None = None

    def fingerprint(self) -> str:
        """A digest that changes with the recordings, so that unfinished work is not taken up for other ones."""
        digest = hashlib.sha256(str(self.source_fingerprint).encode())
        for row, name in enumerate(self.dataset["id"]):
            digest.update(f"{name}\n".encode())
            if self.files is not None:
                reference = Path(self.files.reference(row))
                stat = reference.stat() if reference.exists() else None
                digest.update(f"{reference} {stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
        return digest.hexdigest()


def load_corpus(
    path: "str | Path | datasets.Dataset",  # noqa: F821 (imported where used)
    *,
    audio_formats: Sequence[str] = AUDIO_FORMATS,
    root_dir: str | Path | None = None,
    split: str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    vectors: Sequence[str] = VECTOR_KINDS,
):
    """Load a corpus as a `datasets.Dataset`, one row a recording.

    Vector files beside the audio (`NAME_emb.*`, `NAME_ba.*`, `NAME_emb_ba.*` with `.txt`, `.npy` or `.pkl`) are picked
    up; in a set without audio, those beside the other vector file.

    Args:
        path: a metadata CSV (columns `id, audio, speaker, embedding, binary_attributes`, at least one of the file
            columns; `id` defaults to the audio path), a folder (its `metadata.csv`, else all audio in it), one audio
            file, a folder written by `Dataset.save_to_disk`, a parquet file, or the id of a dataset on the Hub
            (`user/name`, and what of the rest is needed: `user/name/configuration@revision:split`); or a
            `datasets.Dataset`, which is brought to the data contract.
        audio_formats: file extensions to look for in a folder.
        root_dir: what relative paths of a CSV start from; the CSV's own folder by default.
        split: which split of a dataset that has several.
        revision: commit, tag or branch of a dataset on the Hub.
        token: for the Hub; by default what `hf auth login` or `HF_TOKEN` gave.
        vectors: which of `embedding` and `ba` to read.

    Returns:
        `datasets.Dataset` with the columns `id` (string, unique), `audio` (`Audio(decode=False)`), `speaker` (string),
        `embedding` (fixed-length float32), `ba` (fixed-length bool), as far as there are any, and all others as found.

    Raises:
        UserError: nothing there, no usable column, or duplicate ids.

    Example:
        >>> corpus = load_corpus("resources/data/sample/test.csv")
        >>> corpus[0]["speaker"]
    """
    if not isinstance(path, str | Path):
        corpus = _from_dataset(_one_split(path, "the Dataset", split), vectors)
        warn_skipped(corpus.skipped, "Reading the Dataset")
        return corpus.dataset
    hub = {"revision": revision, "token": token}
    corpus = read_corpus(path, audio_formats=audio_formats, root_dir=root_dir, split=split, hub=hub, vectors=vectors)
    warn_skipped(corpus.skipped, f"Reading {path}")
    return corpus.dataset


def read_corpus(
    path: str | Path,
    *,
    audio_formats: Sequence[str] = AUDIO_FORMATS,
    root_dir: str | Path | None = None,
    save_dir: str | Path | None = None,
    split: str | None = None,
    hub: dict | None = None,
    vectors: Sequence[str] = VECTOR_KINDS,
) -> Corpus:
    """`load_corpus`, with the files and the skipped rows; vector files mirrored under `save_dir` are found too.

    `hub` are keywords of `datasets.load_dataset` for a dataset on the Hub.
    """
    local = Path(path)
    if not local.exists() and split is None and Path(str(path).rpartition(":")[0] or "/nothing").exists():
        name, _, split = str(path).rpartition(":")
        local = Path(name)
    if not local.exists():
        return _from_dataset(_load_hub_dataset(str(path), split, hub or {}), vectors)
    if local.is_dir() and is_saved_dataset(local):
        import datasets

        return _from_dataset(_one_split(datasets.load_from_disk(str(local)), path, split), vectors)
    if local.suffix == ".parquet":
        import datasets
        import pyarrow

        try:
            return _from_dataset(datasets.Dataset.from_parquet(str(local)), vectors)
        except (OSError, pyarrow.ArrowException, datasets.exceptions.DatasetGenerationError) as error:
            raise UserError(f"{local} is not a proper parquet file: {error}") from error
    save_dir = None if save_dir is None else Path(save_dir).absolute()
    if local.is_dir():
        return _from_folder(local.absolute(), audio_formats, save_dir, vectors)
    if local.suffix.lower() == ".csv":
        return _from_csv(local.absolute(), root_dir, save_dir, vectors)
    return _from_files([local.absolute()], [local.stem], local.absolute().parent, save_dir, vectors)


def is_saved_dataset(folder: Path) -> bool:
    """Whether `Dataset.save_to_disk` wrote the folder."""
    return (folder / "state.json").exists() or (folder / "dataset_dict.json").exists()


# --- files -> Dataset ---------------------------------------------------------------------------


def _from_folder(folder: Path, audio_formats, save_dir, vectors) -> Corpus:
    metadata = _metadata_of(folder)
    if metadata is not None:
        logger.info("Reading %s", metadata)
        return _from_csv(metadata, None, save_dir, vectors)
    endings = tuple("." + extension.lower().lstrip(".") for extension in audio_formats)
    audio, vector_files = [], []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if name.lower().endswith(endings):
                audio.append(Path(parent, name))
            elif is_vector_file(name):
                vector_files.append(Path(parent, name))
    if audio:
        ids = [str(path.relative_to(folder)) for path in audio]
        return _from_files(audio, ids, folder, save_dir, vectors)
    if vector_files and tuple(audio_formats) == AUDIO_FORMATS:  # else those of recordings that were not asked for
        return _from_vector_files(vector_files, folder, save_dir, vectors)
    raise UserError(f"{folder} holds no audio ({', '.join(audio_formats)}) and no metadata.csv or vector files")


def _metadata_of(folder: Path) -> Path | None:
    """The folder's `metadata.csv`; in a folder that `--save-dir` made, the one csv that was written there."""
    candidates = [folder / "metadata.csv"]
    if (folder / EXTRA_FILE).exists():
        written = json.loads((folder / EXTRA_FILE).read_text()).get("csv", [])
        candidates += [folder / name for name in written] if len(written) == 1 else []
    return next((path for path in candidates if path.exists()), None)


def _from_vector_files(vector_files: list[Path], folder: Path, save_dir, vectors) -> Corpus:
    """A folder of vector files alone: one row for each name, whatever kinds of vector it has."""
    finder = VectorFinder()
    names = {str(path.with_name(vector_stem(path)).relative_to(folder)): str(path) for path in vector_files}
    paths = {kind: [finder.find(path, kind) for path in names.values()] for kind in VECTOR_KINDS}
    paths["audio"] = [None] * len(names)
    return _assemble({"id": list(names)}, RecordingFiles(paths, folder, save_dir), vectors)


def _from_files(audio: list[Path], ids: list[str], root: Path, save_dir, vectors) -> Corpus:
    none = [None] * len(audio)
    files = RecordingFiles({"audio": list(map(str, audio)), "embedding": none, "ba": none}, root, save_dir)
    return _assemble({"id": ids}, files, vectors)


def _from_csv(path: Path, root_dir, save_dir, vectors) -> Corpus:
    table = _read_csv(path)
    columns = {name: table[name] for name in table.column_names}
    # Hugging Face's AudioFolder says file_name; a Dataset's own column is called ba.
    for name, alias in (("audio", "file_name"), ("binary_attributes", "ba")):
        if alias in columns and name not in columns:
            columns[name] = columns.pop(alias)
    present = [name for name in _CSV_FILE_COLUMNS if name in columns]
    if not present:
        raise UserError(
            f"{path} has none of the columns {', '.join(_CSV_FILE_COLUMNS)}; its columns are {', '.join(columns)}"
        )
    if "id" not in columns:
        if "audio" not in columns:
            raise UserError(f"{path} has neither an id nor an audio column; its columns are {', '.join(columns)}")
        columns = {"id": columns["audio"], **columns}
    for name in {"id", *present} & columns.keys():
        columns[name] = columns[name].to_pylist()
    if "audio" in columns:
        columns["id"] = [name or audio for name, audio in zip(columns["id"], columns["audio"], strict=True)]
    root = Path(os.path.normpath(path.parent if root_dir is None else Path(root_dir).absolute()))
    ids = columns["id"]
    paths = {kind: [None] * len(ids) for kind in ("audio", *VECTOR_KINDS)}
    start = os.path.join(root, "")
    for name in present:
        paths[_CSV_FILE_COLUMNS[name]] = [_under(start, value) for value in columns.pop(name)]
    usable = [any(row) for row in zip(*paths.values(), strict=True)]
    skipped = [
        Skipped(ids[row] or f"row {row + 2}", "the csv names no file") for row, keep in enumerate(usable) if not keep
    ]
    if skipped:
        keep = np.flatnonzero(usable)
        columns = {
            name: [values[row] for row in keep] if isinstance(values, list) else values.take(keep)
            for name, values in columns.items()
        }
        paths = {kind: [values[row] for row in keep] for kind, values in paths.items()}
    corpus = _assemble(columns, RecordingFiles(paths, root, save_dir), vectors)
    corpus.skipped[:0] = skipped
    return corpus


def _under(start: str, value: str | None) -> str | None:
    """A csv's path, relative ones from a folder, without `..` (so that what is written under a folder stays there)."""
    if value is None:
        return None
    plain = os.sep != "\\" and not value.startswith((os.sep, "."))
    if plain and "/." not in value and "//" not in value and not value.endswith("/"):
        return start + value
    return os.path.normpath(os.path.join(start, value))


def _read_csv(path: Path):
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), None)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8: {error}") from error
    if not header:
        raise UserError(f"{path} is empty: expected a header with id, audio, speaker, embedding or binary_attributes")
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise UserError(f"{path} has several columns named {', '.join(repeated)}")
    text = {name: pa.string() for name in ("id", "speaker", "file_name", "ba", *_CSV_FILE_COLUMNS)}
    options = arrow_csv.ConvertOptions(column_types=text, null_values=[""], strings_can_be_null=True)
    try:
        return arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=header, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a proper csv: {error}") from error


def _assemble(columns: dict[str, list], files: RecordingFiles, vectors: Sequence[str]) -> Corpus:
    """Look for vector files beside the recordings, read those wanted, and make the Dataset."""
    import datasets
    import pyarrow as pa

    ids = columns["id"] = [
        str(name) if name is not None else str(files.reference(row)) for row, name in enumerate(columns["id"])
    ]
    _check_unique(ids)
    finder = VectorFinder()
    for kind in VECTOR_KINDS:
        given = files.named[kind] = files.paths[kind]
        files.paths[kind] = [_find_vector(finder, files, row, kind) or given[row] for row in range(len(ids))]

    arrays = {name: pa.array(values) if isinstance(values, list) else values for name, values in columns.items()}
    for name in ("id", "speaker"):
        if name in arrays:
            arrays[name] = arrays[name].cast(pa.string())
    if any(files.paths["audio"]):
        audio = pa.array(files.paths["audio"], pa.string())
        parts = [pa.nulls(len(audio), pa.binary()), audio]
        arrays["audio"] = pa.StructArray.from_arrays(parts, ["bytes", "path"], mask=audio.is_null())
    skipped: list[Skipped] = []
    for kind in vectors:
        if any(files.paths[kind]):
            column = _read_vectors(files.paths[kind], kind, ids, skipped)
            if column is not None:
                arrays[kind] = column
    dataset = datasets.Dataset(pa.table(arrays))
    if "audio" in arrays:
        dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
    return Corpus(dataset, files, skipped)


def _find_vector(finder: VectorFinder, files: RecordingFiles, row: int, kind: str) -> str | None:
    """A vector file under the save folder wins; then the csv's column; then a file beside the audio."""
    if files.save_dir is not None and (found := finder.find(files.mirrored(row), kind)):
        return found
    return files.paths[kind][row] or finder.find(files.reference(row), kind)


def _read_vectors(paths: list[str | None], kind: str, ids: list[str], skipped: list[Skipped]):
    from tqdm import tqdm

    def read(path: str | None) -> np.ndarray | str | None:
        try:
            return None if path is None else read_vector(Path(path), kind)
        except VectorError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        rows = tqdm(pool.map(read, paths), total=len(paths), desc=f"Reading {kind} files", disable=len(paths) < 5000)
        vectors = list(rows)
    skipped += [Skipped(ids[row], vector) for row, vector in enumerate(vectors) if isinstance(vector, str)]
    return _fixed_length(vectors, ids, kind, skipped)


def _fixed_length(vectors: list[np.ndarray | str | None], ids: list[str], kind: str, skipped: list[Skipped]):
    """Vectors -> a fixed-length Arrow column; None where there is none, or one of another length than most."""
    lengths = Counter(len(vector) for vector in vectors if isinstance(vector, np.ndarray))
    if not lengths:
        return None
    length = lengths.most_common(1)[0][0]
    matrix = np.zeros((len(vectors), length), dtype=np.float32 if kind == "embedding" else bool)
    present = np.zeros(len(vectors), dtype=bool)
    for row, vector in enumerate(vectors):
        if not isinstance(vector, np.ndarray):
            continue
        if len(vector) != length:
            skipped.append(Skipped(ids[row], f"{kind} of {len(vector)} values where most have {length}"))
            continue
        matrix[row], present[row] = vector, True
    return fixed_length_column(matrix, present)


# --- Datasets -----------------------------------------------------------------------------------


def _load_hub_dataset(name: str, split: str | None, hub: dict):
    asked, hub = name, {key: value for key, value in hub.items() if value is not None}
    if split is None and ":" in name:
        name, split = name.rsplit(":", 1)
    if hub.get("revision") is None and "@" in name:
        name, revision = name.split("@", 1)
        hub["revision"] = revision
    if name.count("/") == 2:
        name, _, hub["name"] = name.rpartition("/")
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name) or Path(asked).suffix[1:] in FILE_ENDINGS:
        raise UserError(f"no such file or folder: {asked}")
    import datasets
    from huggingface_hub import HfApi, constants

    from balr_hf.checkpoints import reason_of

    try:
        if "revision" in hub and not constants.HF_HUB_OFFLINE:  # else some versions of datasets take what is cached
            HfApi(token=hub.get("token")).dataset_info(name, revision=hub["revision"])
        return _one_split(datasets.load_dataset(name, **hub), name, split)
    except UserError:
        raise
    except datasets.exceptions.DatasetGenerationError as error:
        raise UserError(f"the dataset {name} cannot be read, or is damaged ({reason_of(error)})") from error
    except Exception as error:
        raise UserError(f"{name} is neither a file or folder nor a dataset on the Hub ({reason_of(error)})") from error


def _one_split(dataset, name, split: str | None):
    import datasets

    if not isinstance(dataset, datasets.DatasetDict):
        return dataset
    if split is None and len(dataset) == 1:
        return next(iter(dataset.values()))
    if split not in dataset:
        asked = "" if split is None else f", not {split}"
        raise UserError(
            f"{name} has the splits {', '.join(dataset)}{asked}: name one (NAME:SPLIT on the command line)"
        )
    return dataset[split]


def _from_dataset(dataset, vectors: Sequence[str]) -> Corpus:
    """Bring a Dataset that others made to the data contract."""
    import datasets

    fingerprint = dataset._fingerprint
    dataset = dataset.with_format(None)
    if "binary_attributes" in dataset.column_names and "ba" not in dataset.column_names:
        dataset = dataset.rename_column("binary_attributes", "ba")
    if isinstance(dataset.features.get("audio"), datasets.Audio):
        dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
    if "id" not in dataset.column_names:
        dataset = dataset.add_column("id", _ids_from_audio(dataset))
    for name in {"id", "speaker"} & set(dataset.column_names):
        feature = dataset.features[name]
        if isinstance(feature, datasets.ClassLabel):
            names = [None if code is None or code < 0 else feature.names[code] for code in dataset[name]]
            dataset = dataset.remove_columns(name).add_column(name, names)
        elif feature != datasets.Value("string"):
            dataset = dataset.cast_column(name, datasets.Value("string"))
    ids = list(dataset["id"])
    _check_unique(ids)
    skipped: list[Skipped] = []
    for kind in VECTOR_KINDS:
        if kind not in dataset.column_names:
            continue
        if kind not in vectors:
            dataset = dataset.remove_columns(kind)
            continue
        feature = dataset.features[kind]
        value = datasets.Value("float32" if kind == "embedding" else "bool")
        fixed = isinstance(feature, datasets.List) and feature.length > 0 and feature.feature == value
        if not fixed or (kind == "embedding" and not _all_finite(dataset)):
            rows = [_checked_row(row, kind) for row in dataset[kind]]
            skipped += [Skipped(ids[index], row) for index, row in enumerate(rows) if isinstance(row, str)]
            column = _fixed_length(rows, ids, kind, skipped)
            dataset = dataset.remove_columns(kind)
            dataset = dataset if column is None else add_vector_column(dataset, kind, column)
    return Corpus(dataset, None, skipped, fingerprint)


def _all_finite(dataset) -> bool:
    values = arrow_column(dataset, "embedding").combine_chunks().flatten()
    return bool(np.isfinite(values.to_numpy(zero_copy_only=False)).all())


def _checked_row(row, kind: str) -> np.ndarray | str | None:
    try:
        return None if row is None else (as_embedding if kind == "embedding" else as_bits)(np.asarray(row))
    except (VectorError, ValueError, TypeError) as error:
        return str(error)


def _ids_from_audio(dataset) -> list[str]:
    """The file names without their endings where these tell the recordings apart, else the row numbers."""
    if "audio" in dataset.column_names:
        paths = [row if isinstance(row, str) else (row or {}).get("path") for row in dataset["audio"]]
        names = [Path(path or "").stem for path in paths]
        if all(names) and len(set(names)) == len(names):
            return names
    return [str(row) for row in range(len(dataset))]


def _check_unique(ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        repeated = [name for name, count in Counter(ids).items() if count > 1]
        raise UserError(f"duplicate ids (trials could not tell them apart): {name_some(repeated)}")


# --- columns of vectors -------------------------------------------------------------------------


def fixed_length_column(matrix: np.ndarray, present: np.ndarray | None = None):
    """A matrix `(rows, values)` of float32 or bool as a fixed-length Arrow column; rows not `present` are null."""
    import pyarrow as pa

    values = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    mask = None if present is None or present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1], mask=mask)


def add_vector_column(dataset, name: str, column):
    """Put a fixed-length Arrow column into a Dataset, replacing one of that name."""
    import datasets

    if name in dataset.column_names:
        dataset = dataset.remove_columns(name)
    value = datasets.Value("float32" if name == "embedding" else "bool")
    return dataset.add_column(name, column, feature=datasets.List(value, length=column.type.list_size))


def vector_matrix(dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a column of vectors as one matrix.

    Returns:
        `(matrix, present)`: the vectors of the rows that have one, `(present.sum(), values)`, float32 or bool; and
        which rows those are, bool `(rows,)`.

    Raises:
        UserError: the Dataset has no such column, or no row has a value.
    """
    if name not in dataset.column_names:
        step = "balr extract" if name == "embedding" else "balr binarize"
        raise UserError(
            f"the corpus has no {name} column (columns: {', '.join(dataset.column_names)}): run {step} first"
        )
    column = arrow_column(dataset, name).combine_chunks()
    present = column.is_valid().to_numpy(zero_copy_only=False)
    if not present.any():
        raise UserError(f"no recording of the corpus has a value in its {name} column")
    length = getattr(column.type, "list_size", None)
    if length is None:
        lengths = set(np.asarray(column.value_lengths().drop_null()))
        if len(lengths) > 1:
            raise UserError(f"the {name} column has vectors of several lengths: {sorted(map(int, lengths))}")
        length = lengths.pop()
    matrix = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, length)
    return matrix.astype(np.float32 if name == "embedding" else bool, copy=False), present


def known_vectors(dataset, name: str, size: int, force: bool) -> tuple[np.ndarray, np.ndarray]:
    """A matrix with a row for each recording, filled where the Dataset's column has a vector already.

    Args:
        dataset (`datasets.Dataset`): a corpus, with or without the column.
        name (str): `embedding` or `ba`.
        size (int): values that the vectors must have.
        force (bool): take none as known.

    Returns:
        `(matrix, present)`: `(rows, size)`, zeros where there is no vector; and where there is one, bool `(rows,)`.

    Raises:
        UserError: vectors of another size.
    """
    matrix = np.zeros((len(dataset), size), dtype=np.float32 if name == "embedding" else bool)
    present = np.zeros(len(dataset), dtype=bool) if force else vector_present(dataset, name)
    if present.any():
        found, _ = vector_matrix(dataset, name)
        if found.shape[1] != size:
            raise UserError(
                f"the corpus has {name} vectors of {found.shape[1]} values, the model makes {size}: "
                "recompute them all with --force (force=True)"
            )
        matrix[present] = found
    return matrix, present


def vector_present(dataset, name: str) -> np.ndarray:
    """Which rows have a vector: bool `(rows,)`, all False without the column."""
    if name not in dataset.column_names:
        return np.zeros(len(dataset), dtype=bool)
    return arrow_column(dataset, name).is_valid().to_numpy()


def arrow_column(dataset, name: str):
    """A column in the order of the Dataset's rows, as Arrow holds it."""
    return dataset.select_columns([name]).with_format("arrow")[:][name]


def speaker_codes(dataset) -> tuple[np.ndarray, list[str]]:
    """Number the speakers in the order in which they first appear.

    Returns:
        `(codes, speakers)`: int64 `(rows,)`, -1 where the speaker is unknown; and the speakers' names.

    Raises:
        UserError: the Dataset has no `speaker` column.
    """
    if "speaker" not in dataset.column_names:
        raise UserError(f"the corpus has no speaker column (columns: {', '.join(dataset.column_names)})")
    encoded = arrow_column(dataset, "speaker").combine_chunks().cast("string").dictionary_encode()
    codes, speakers = encoded.indices.fill_null(-1).to_numpy().astype(np.int64), encoded.dictionary.to_pylist()
    names = getattr(dataset.features["speaker"], "names", None)  # of a ClassLabel, which holds numbers
    return codes, speakers if names is None else [names[int(speaker)] for speaker in speakers]


# --- what was skipped, and saving ---------------------------------------------------------------


def warn_skipped(skipped: Sequence[Skipped], step: str) -> None:
    """One counted warning for all rows that a step left out."""
    if skipped:
        shown = name_some([f"{row.id} ({row.reason})" for row in skipped], limit=3)
        logger.warning("%s skipped %d recording%s: %s", step, len(skipped), "s" * (len(skipped) > 1), shown)


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write `id,reason` rows; complete or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "reason"])
        writer.writerows((row.id, row.reason) for row in skipped)


def save_dataset(dataset, folder: Path, extra: dict | None = None) -> None:
    """`Dataset.save_to_disk` that leaves either the whole new folder or what was there before.

    Args:
        dataset (`datasets.Dataset`)
        folder: replaced if it holds a saved Dataset.
        extra (dict, *optional*): written beside it as `balr.json`.

    Raises:
        UserError: the folder holds anything else.
    """
    check_replaceable(folder)
    with atomic_folder(folder) as temporary:
        dataset.save_to_disk(str(temporary))
        if extra is not None:
            write_json(temporary / EXTRA_FILE, extra)


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that saving a Dataset there would empty of other things."""
    if folder.exists() and not (folder.is_dir() and (is_saved_dataset(folder) or not any(folder.iterdir()))):
        raise UserError(f"{folder} holds other things than a saved Dataset: save to a folder of its own")
