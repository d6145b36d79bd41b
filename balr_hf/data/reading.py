"""Reading corpora: a csv, folder, file, saved Dataset, parquet file or Hub id becomes a `datasets.Dataset`.

A corpus has one row per recording and the columns `id`, `audio`, `speaker`, `embedding` and `ba`, all but `id`
optional. Extra columns pass through. A row that lacks a value, or whose file could not be read, keeps its place with
`None` there; such files are reported as skipped.
"""

import csv
import logging
import os
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.data.columns import NAME_COLUMNS, VECTOR_KINDS
from balr_hf.data.contract import (
    Corpus,
    check_unique,
    clean_speakers,
    fixed_length,
    from_dataset,
    with_types_of_samples,
)
from balr_hf.data.hub_datasets import load_hub_dataset, one_split
from balr_hf.data.labels import describe_odd_labels
from balr_hf.data.manifests import file_origins
from balr_hf.data.origins import add_origins
from balr_hf.data.quality import FILE as QUALITY_FILE
from balr_hf.data.quality import add_quality_column, read_quality
from balr_hf.data.recording_files import RecordingFiles
from balr_hf.data.saving import (
    STREAM_RECORD,
    is_saved_dataset,
    load_parquet,
    load_saved,
    streamed_files,
    written_csvs,
)
from balr_hf.data.skipped import Skipped, warn_skipped
from balr_hf.data.vector_files import read_vectors
from balr_hf.data.vectors import VectorFinder, is_vector_file
from balr_hf.errors import ConfigError, UserError, name_some
from balr_hf.files import restore_folder
from balr_hf.untrusted import csv_value, printable

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

logger = logging.getLogger(__name__)


# The longest name and the longest path that file systems take, in bytes; temporary names need some more.
_LONGEST_NAME, _LONGEST_PATH = 255, 4096 - 256

# How much of a csv is read at once, in bytes. No row may be longer.
_CSV_BLOCK = 1 << 24

_CSV_FILE_COLUMNS = {"audio": "audio", "embedding": "embedding", "binary_attributes": "ba"}
# The columns of a csv whose names mean something in any case; `BA` may be many things, and only `ba` is ours.
_KNOWN_COLUMNS = (*NAME_COLUMNS, "file_name", *_CSV_FILE_COLUMNS)


@overload
def load_corpus(
    path: "str | Path | datasets.Dataset | datasets.DatasetDict",
    *,
    audio_formats: Sequence[str] = ...,
    root_dir: str | Path | None = ...,
    split: str | None = ...,
    revision: str | None = ...,
    token: str | bool | None = ...,
    vectors: Sequence[str] = ...,
    streaming: Literal[False] = False,
) -> "datasets.Dataset": ...


@overload
def load_corpus(
    path: "str | Path | datasets.Dataset | datasets.DatasetDict",
    *,
    audio_formats: Sequence[str] = ...,
    root_dir: str | Path | None = ...,
    split: str | None = ...,
    revision: str | None = ...,
    token: str | bool | None = ...,
    vectors: Sequence[str] = ...,
    streaming: Literal[True],
) -> "datasets.IterableDataset": ...


def load_corpus(
    path: "str | Path | datasets.Dataset | datasets.DatasetDict",
    *,
    audio_formats: Sequence[str] = AUDIO_FORMATS,
    root_dir: str | Path | None = None,
    split: str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    vectors: Sequence[str] = VECTOR_KINDS,
    streaming: bool = False,
) -> "datasets.Dataset | datasets.IterableDataset":
    """Load a corpus as a `datasets.Dataset` with one row per recording.

    Vector files beside the audio (`NAME_emb.*`, `NAME_ba.*`, `NAME_emb_ba.*` with `.txt`, `.npy` or `.pkl`) are picked
    up. In a corpus without audio, those beside a vector file of the other kind are.

    Args:
        path: a metadata CSV (columns `id, audio, speaker, embedding, binary_attributes`, at least one of the file
            columns; `id` defaults to the audio path), a folder (its `metadata.csv`, else all audio in it), one audio
            file, a folder written by `Dataset.save_to_disk`, a parquet file, or the id of a dataset on the Hub
            (`user/name`, or in full `user/name/configuration@revision:split`, also with `hf://datasets/` before it);
            or a `datasets.Dataset`, which is brought to the data contract; or a folder of parquet files that
            embeddings or attributes were streamed to.
        audio_formats: file extensions to look for in a folder.
        root_dir: what relative paths of a CSV start from; the CSV's own folder by default.
        split: which split to take of a dataset that has several.
        revision: commit, tag or branch of a dataset on the Hub.
        token: for the Hub; by default the one of `hf auth login` or `HF_TOKEN`.
        vectors: which of `embedding` and `ba` to read.
        streaming (bool): read rows only when they are used; see [`open_stream`].

    Returns:
        `datasets.Dataset` with the columns `id` (string, unique), `audio` (`Audio(decode=False)`), `speaker` (string),
        `embedding` (fixed-length float32) and `ba` (fixed-length bool), as far as the corpus has them; all other
        columns are as they were found. With `streaming=True`, a `datasets.IterableDataset`, as it is found.

    Raises:
        UserError: there is nothing at this path, no column can be used, or several recordings have the same id.

    Example:
        >>> corpus = load_corpus("resources/data/sample/test.csv")
        >>> corpus[0]["speaker"]
    """
    if streaming:
        if not isinstance(path, str | Path):
            raise ConfigError("streaming=True: expected a name or a path; a Dataset has to_iterable_dataset()")
        return open_stream(path, split, {"revision": revision, "token": token})
    if not isinstance(path, str | Path):
        corpus = from_dataset(one_split(path, "the Dataset", split), vectors)
        warn_skipped(corpus.skipped, "Reading the Dataset")
        return corpus.dataset
    hub = {"revision": revision, "token": token}
    corpus = read_corpus(path, audio_formats=audio_formats, root_dir=root_dir, split=split, hub=hub, vectors=vectors)
    warn_skipped(corpus.skipped, f"Reading {path}")
    return corpus.dataset


def open_stream(path: str | Path, split: str | None = None, hub: dict[str, Any] | None = None) -> Any:
    """Open a corpus whose rows are read only when they are used, so that it may be larger than the disk.

    Args:
        path: a dataset on the Hub, a parquet file or a folder of them, or a folder that `Dataset.save_to_disk` wrote.
        split, hub: as for [`read_corpus`].

    Returns:
        `datasets.IterableDataset`.

    Raises:
        UserError: there is nothing at this path, or it is a corpus of files, whose audio stays on the disk anyway.
    """
    import datasets

    local = Path(path)
    restore_folder(local)
    if not local.exists():
        stream: Any = load_hub_dataset(str(path), split, {**(hub or {}), "streaming": True})
    elif local.is_dir() and is_saved_dataset(local):
        stream = one_split(load_saved(local), path, split).to_iterable_dataset()
    else:
        files = [local] if local.suffix == ".parquet" else sorted(local.rglob("*.parquet")) if local.is_dir() else []
        if not files:
            raise UserError(
                f"{path} holds no parquet files to be streamed: read it as it is, its audio stays on the disk"
            )
        names = [str(file) for file in files]
        if (local / STREAM_RECORD).exists():
            names = streamed_files(local)
        stream = datasets.load_dataset("parquet", data_files=names, split="train", streaming=True)
    if isinstance((stream.features or {}).get("audio"), datasets.Audio):
        stream = stream.cast_column("audio", datasets.Audio(decode=False))  # as in every corpus
    return with_types_of_samples(stream)


def read_corpus(
    path: str | Path,
    *,
    audio_formats: Sequence[str] = AUDIO_FORMATS,
    root_dir: str | Path | None = None,
    save_dir: str | Path | None = None,
    split: str | None = None,
    hub: dict[str, Any] | None = None,
    vectors: Sequence[str] = VECTOR_KINDS,
) -> Corpus:
    """Load a corpus as [`load_corpus`] does, together with its files and the rows that were skipped.

    Args:
        path, audio_formats, root_dir, split, vectors: as for [`load_corpus`].
        save_dir: where vector files are looked for too, in folders that mirror those of the recordings.
        hub: keywords of `datasets.load_dataset` for a dataset on the Hub: `revision`, `token`.

    Raises:
        UserError: as for [`load_corpus`].
    """
    corpus = _read(path, audio_formats, root_dir, save_dir, split, hub or {}, vectors)
    corpus.source = str(path)
    if corpus.files is not None:
        corpus.dataset = add_quality_column(corpus.dataset, _quality_of(corpus))
        for kind in VECTOR_KINDS:
            if kind in corpus.dataset.column_names:
                corpus.dataset = add_origins(corpus.dataset, kind, file_origins(corpus.files, kind))
    for odd in describe_odd_labels(corpus.dataset):
        logger.warning("%s: %s", path, odd)
    return corpus


def _quality_of(corpus: Corpus) -> dict[str, dict[str, Any]]:
    """What was measured of a corpus of files, as the folders tell where its vectors are saved."""
    assert corpus.files is not None
    known: dict[str, dict[str, Any]] = {}
    for folder in (corpus.files.root, corpus.files.save_dir):
        known |= {} if folder is None else read_quality(folder / QUALITY_FILE)
    return {name: known[name] for name in corpus.dataset["id"] if name in known} if known else {}


def _read(
    path: str | Path,
    audio_formats: Sequence[str],
    root_dir: str | Path | None,
    save_dir: str | Path | None,
    split: str | None,
    hub: dict[str, Any],
    vectors: Sequence[str],
) -> Corpus:
    local = Path(path)
    restore_folder(local)
    if not local.exists() and split is None and Path(str(path).rpartition(":")[0] or "/nothing").exists():
        name, _, split = str(path).rpartition(":")
        local = Path(name)
    if not local.exists():
        return from_dataset(load_hub_dataset(str(path), split, hub), vectors)
    if local.is_dir() and is_saved_dataset(local):
        return from_dataset(one_split(load_saved(local), path, split), vectors)
    streamed = local.is_dir() and (local / STREAM_RECORD).exists()
    if local.suffix == ".parquet" or streamed:
        return from_dataset(load_parquet(streamed_files(local) if streamed else [str(local)], local), vectors)
    save_dir = None if save_dir is None else Path(save_dir).absolute()
    if local.is_dir():
        return _from_folder(local.absolute(), audio_formats, save_dir, vectors)
    if local.suffix.lower() == ".csv":
        return _from_csv(local.absolute(), root_dir, save_dir, vectors)
    return _from_files([local.absolute()], [local.stem], local.absolute().parent, save_dir, vectors)


def _from_folder(folder: Path, audio_formats: Sequence[str], save_dir: Path | None, vectors: Sequence[str]) -> Corpus:
    metadata = _metadata_of(folder)
    if metadata is not None:
        corpus = _from_csv(metadata, None, save_dir, vectors)
        _tell_of_others(metadata, corpus, audio_formats)
        return corpus
    left_out: list[str] = []
    audio, vector_files = _files_in(folder, audio_formats, left_out)
    if left_out:
        logger.warning("Not searched for recordings: %s", name_some(left_out))
    if audio:
        ids = [str(path.relative_to(folder)) for path in audio]
        return _from_files(audio, ids, folder, save_dir, vectors)
    if (
        vector_files and tuple(audio_formats) == AUDIO_FORMATS
    ):  # else they may be of recordings that were not asked for
        return _from_vector_files(vector_files, folder, save_dir, vectors)
    parquet = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    if parquet:
        raise UserError(
            f"{folder} holds parquet files ({name_some(parquet, 3)}), of which only one by its name is read, or all "
            "by balr extract and balr binarize with --stream. To read all as one corpus, save them once in Python: "
            "load_dataset('parquet', data_files='FOLDER/*.parquet', split='train').save_to_disk('CORPUS')"
        )
    raise UserError(f"{folder} holds no audio ({', '.join(audio_formats)}) and no metadata.csv or vector files")


def _tell_of_others(metadata: Path, corpus: Corpus, audio_formats: Sequence[str]) -> None:
    """Say by which csv a folder was read, and how many recordings of the folder that csv does not name."""
    logger.info("Reading %s", metadata)
    assert corpus.files is not None  # it was read from a csv
    named = {path for path in corpus.files.paths["audio"] if path is not None}
    audio, _ = _files_in(metadata.parent, audio_formats)
    others = [path for path in audio if str(path) not in named] if named else []
    if others:
        logger.warning(
            "%s names %d of the %d recordings in its folder, and only those are read (not %s). To take all of them, "
            "add them to the csv, or move it to another folder",
            *(metadata, len(audio) - len(others), len(audio), name_some([path.name for path in others], 3)),
        )


def _files_in(
    folder: Path, audio_formats: Sequence[str], left_out: list[str] | None = None
) -> tuple[list[Path], list[Path]]:
    """List the audio files and the vector files of a folder and its subfolders, sorted, without hidden ones.

    Links to folders are not followed, since they may lead to recordings that are there already.

    Args:
        folder: where to look.
        audio_formats: file extensions of audio.
        left_out: gets the subfolders that were not searched, with the reasons.
    """
    errors: list[OSError] = []
    links: list[str] = []
    endings = tuple("." + extension.lower().lstrip(".") for extension in audio_formats)
    audio: list[Path] = []
    vector_files: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += filter(os.path.islink, (os.path.join(parent, name) for name in folders))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if name.lower().endswith(endings):
                audio.append(Path(parent, name))
            elif is_vector_file(name):
                vector_files.append(Path(parent, name))
    if left_out is not None:
        left_out += [f"{error.filename} ({error.strerror})" for error in errors]
        left_out += [f"{path} (a link to a folder: name its recordings in a csv)" for path in links]
    return audio, vector_files


def _metadata_of(folder: Path) -> Path | None:
    """Find the folder's `metadata.csv`, or in a folder that `--save-dir` made, the only csv that was written there."""
    candidates = [folder / "metadata.csv"]
    written = written_csvs(folder)
    candidates += [folder / name for name in written] if len(written) == 1 else []
    return next((path for path in candidates if path.exists()), None)


def _from_vector_files(
    vector_files: list[Path], folder: Path, save_dir: Path | None, vectors: Sequence[str]
) -> Corpus:
    """Read a folder of vector files alone: each name is one row, whichever kinds of vector it has."""
    finder = VectorFinder()
    names = {str(path.with_name(finder.stem(path)).relative_to(folder)): str(path) for path in vector_files}
    paths = {kind: [finder.find(path, kind) for path in names.values()] for kind in VECTOR_KINDS}
    paths["audio"] = [None] * len(names)
    return _assemble({"id": list(names)}, RecordingFiles(paths, folder, save_dir), vectors)


def _from_files(
    audio: list[Path], ids: list[str], root: Path, save_dir: Path | None, vectors: Sequence[str]
) -> Corpus:
    paths: dict[str, list[str | None]] = {kind: [None] * len(audio) for kind in VECTOR_KINDS}
    paths["audio"] = [str(path) for path in audio]
    files = RecordingFiles(paths, root, save_dir)
    return _assemble({"id": ids}, files, vectors)


def _from_csv(path: Path, root_dir: str | Path | None, save_dir: Path | None, vectors: Sequence[str]) -> Corpus:
    table, garbled = _read_csv(path)
    if garbled and not len(table):
        raise UserError(f"no row of {path} is text in UTF-8: save it in that encoding")
    if not len(table):
        raise UserError(f"{path} has a header but no rows: it names no recording")
    columns = {name: table[name] for name in table.column_names}
    # Hugging Face's AudioFolder says file_name; a Dataset's own column is called ba.
    for name, alias in (("audio", "file_name"), ("binary_attributes", "ba")):
        if alias in columns and name not in columns:
            columns[name] = columns.pop(alias)
    present = [name for name in _CSV_FILE_COLUMNS if name in columns]
    if not present:
        header = ", ".join(columns)
        mark = next((words for mark, words in ((";", "semicolons"), ("\t", "tabs")) if mark in header), None)
        hint = "" if mark is None or len(columns) > 1 else f": they are separated by {mark}, expected commas"
        raise UserError(
            f"{path} has none of the columns {', '.join(_CSV_FILE_COLUMNS)}; its columns are {header}{hint}"
        )
    if "id" not in columns:
        if "audio" not in columns:
            raise UserError(f"{path} has neither an id nor an audio column; its columns are {', '.join(columns)}")
        columns = {"id": columns["audio"], **columns}
    for name in {"id", *present} & columns.keys():
        columns[name] = columns[name].to_pylist()
    if path.name in written_csvs(path.parent):
        columns = {name: _as_given(values) for name, values in columns.items()}
    if "audio" in columns:
        columns["id"] = [name or audio for name, audio in zip(columns["id"], columns["audio"], strict=True)]
    root = Path(os.path.normpath(path.parent if root_dir is None else Path(root_dir).absolute()))
    ids = columns["id"]
    paths: dict[str, list[str | None]] = {kind: [None] * len(ids) for kind in ("audio", *VECTOR_KINDS)}
    start = os.path.join(root, "")
    for name in present:
        paths[_CSV_FILE_COLUMNS[name]] = [_under(start, value) for value in columns.pop(name)]
    usable = [any(row) for row in zip(*paths.values(), strict=True)]
    skipped = [
        Skipped(ids[row] or f"row {row + 2}", "the csv names no file") for row, keep in enumerate(usable) if not keep
    ]
    if skipped:
        keep = np.flatnonzero(usable)
        columns, paths = _rows(columns, keep), _rows(paths, keep)
    corpus = _assemble(columns, RecordingFiles(paths, root, save_dir), vectors)
    corpus.skipped[:0] = [*garbled, *skipped]
    return corpus


def _rows(columns: dict[str, Any], keep: np.ndarray) -> dict[str, Any]:
    """Take some rows of columns, which are lists or Arrow arrays."""
    return {
        name: [values[row] for row in keep] if isinstance(values, list) else values.take(keep)
        for name, values in columns.items()
    }


def _as_given(values: "list[str | None] | pa.ChunkedArray") -> "list[str | None] | pa.Array":
    """Undo in a column of a csv that this package wrote what [`csv_cell`] did to the texts."""
    import pyarrow as pa

    if isinstance(values, list):
        return [None if value is None else csv_value(value) for value in values]
    return pa.array(_as_given(values.to_pylist()), pa.string()) if pa.types.is_string(values.type) else values


def _under(start: str, value: str | None) -> str | None:
    """Resolve a path of a csv: a relative one starts from the folder `start`, which ends with a separator.

    No `..` remains, so that what is written under a folder stays there.
    """
    if value is None:
        return None
    plain = os.sep != "\\" and not value.startswith((os.sep, "."))
    if plain and "/." not in value and "//" not in value and not value.endswith("/"):
        return start + value
    return os.path.normpath(os.path.join(start, value))


def _read_csv(path: Path) -> "tuple[pa.Table, list[Skipped]]":
    """Read a csv, and tell which of its rows are not text in UTF-8, and are therefore not in the table."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            header = next(csv.reader(file), None)
    except (OSError, csv.Error) as error:
        raise UserError(f"cannot read the header of {path}: {error}") from error
    if not header:
        raise UserError(f"{path} is empty: expected a header with id, audio, speaker, embedding or binary_attributes")
    if "".join(header).encode(errors="ignore").decode() != "".join(header):
        raise UserError(f"the header of {path} is not text in UTF-8: {', '.join(header)}")
    header = [name.strip() for name in header]
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise UserError(f"{path} has several columns named {', '.join(repeated)}")
    header = _known_names(path, header)
    texts = (*_KNOWN_COLUMNS, "ba")

    def read(kind: "pa.DataType") -> "pa.Table":
        return arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=header, skip_rows=1, block_size=_CSV_BLOCK),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(texts, kind), null_values=[""], strings_can_be_null=True
            ),
        )

    try:
        try:
            return read(pa.string()), []
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise
            return _only_utf8(read(pa.binary()))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is not a proper csv: {error}") from error


def _known_names(path: Path, header: list[str]) -> list[str]:
    """Bring the names of the columns that the package knows to lower case, as `Speaker`, with a message.

    A column keeps its name if another has the known one as it is written.

    Raises:
        UserError: several columns have one known name, each in another case.
    """
    found: dict[str, list[str]] = {}
    for name in header:
        if name.lower() in _KNOWN_COLUMNS and name.lower() not in header:
            found.setdefault(name.lower(), []).append(name)
    several = next((names for names in found.values() if len(names) > 1), None)
    if several is not None:
        raise UserError(
            f"{path} has the columns {' and '.join(several)}: only one of them can be {several[0].lower()}, so rename "
            "the others"
        )
    if found:
        renamed = ", ".join(f"{names[0]} as {name}" for name, names in found.items())
        logger.info("Reading columns of %s in lower case: %s", path, renamed)
    return [name.lower() if name.lower() in found else name for name in header]


def _only_utf8(table: "pa.Table") -> "tuple[pa.Table, list[Skipped]]":
    """Turn the bytes of a table into texts, and leave out the rows where they are not UTF-8."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    usable = np.ones(len(table), dtype=bool)
    for name in table.column_names:
        columns[name] = table[name]
        if pa.types.is_binary(columns[name].type):
            values = [None if v is None else v.decode(errors="surrogateescape") for v in columns[name].to_pylist()]
            usable &= [value is None or _is_utf8(value) for value in values]
            columns[name] = values
    names = columns.get("id") or next((values for values in columns.values() if isinstance(values, list)), [])
    skipped = [
        Skipped(printable(names[row] or f"row {row + 2}"), "its row of the csv is not text in UTF-8")
        for row in np.flatnonzero(~usable)
    ]
    return pa.table(_rows(columns, np.flatnonzero(usable))), skipped


def _is_utf8(text: str) -> bool:
    """Tell whether a text has no stand-in for a byte that is not UTF-8."""
    return text.isascii() or text.encode(errors="ignore").decode() == text


def _assemble(columns: dict[str, list], files: RecordingFiles, vectors: Sequence[str]) -> Corpus:
    """Look for vector files beside the recordings, read those that are wanted, and make the Dataset."""
    import datasets
    import pyarrow as pa

    ids = columns["id"] = [
        printable(str(files.reference(row) if name is None else name)) for row, name in enumerate(columns["id"])
    ]
    reasons = [_cannot_be_named(files, row) for row in range(len(ids))]
    skipped = [Skipped(name, reason) for name, reason in zip(ids, reasons, strict=True) if reason is not None]
    if skipped and len(skipped) == len(ids):
        raise UserError(f"no recording can be read; the first, {ids[0]}: {skipped[0].reason}")
    if skipped:
        keep = np.array([row for row, reason in enumerate(reasons) if reason is None])
        columns, files = _rows(columns, keep), RecordingFiles(_rows(files.paths, keep), files.root, files.save_dir)
        ids = columns["id"]
    check_unique(ids)
    beside = [files.reference(row) for row in range(len(ids))]
    saved = [] if files.save_dir is None else [files.mirrored(row) for row in range(len(ids))]
    finder = VectorFinder(chain(beside, saved))
    for kind in VECTOR_KINDS:  # first under the save folder, then in the csv's column, then beside the audio
        given = files.named[kind] = files.paths[kind]
        mine = [finder.find(path, kind) for path in saved] or [None] * len(ids)
        files.paths[kind] = [
            own or named or finder.find(path, kind) for own, named, path in zip(mine, given, beside, strict=True)
        ]
    del beside, saved  # of millions of recordings, these are large

    arrays = {name: pa.array(values) if isinstance(values, list) else values for name, values in columns.items()}
    for name in ("id", "speaker"):
        if name in arrays:
            arrays[name] = arrays[name].cast(pa.string())
    if "speaker" in arrays:
        arrays["speaker"] = clean_speakers(arrays["speaker"])
    if any(files.paths["audio"]):
        audio = pa.array(files.paths["audio"], pa.string())
        parts = [pa.nulls(len(audio), pa.binary()), audio]
        arrays["audio"] = pa.StructArray.from_arrays(parts, ["bytes", "path"], mask=audio.is_null())
    for kind in vectors:
        if any(files.paths[kind]):
            column = read_vector_files(files.paths[kind], kind, ids, skipped)
            if column is not None:
                arrays[kind] = column
    dataset = datasets.Dataset(pa.table(arrays))
    if "audio" in arrays:
        dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
    return Corpus(dataset, files, skipped)


def _cannot_be_named(files: RecordingFiles, row: int) -> str | None:
    """Tell why a recording's file cannot be opened, or cannot be named in a Dataset; None if it can."""
    for kind in ("audio", *VECTOR_KINDS):
        path = files.paths[kind][row]
        if path is None or (len(path) < _LONGEST_NAME and path.isascii() and "\0" not in path):
            continue
        if "\0" in path:
            return f"the name of its {kind} file has the character NUL"
        if not _is_utf8(path):
            return f"the name of its {kind} file is not UTF-8: rename it or its folder"
        longer = 0 if files.save_dir is None else len(os.fsencode(files.save_dir)) - len(os.fsencode(files.root))
        whole = len(os.fsencode(path))
        if max(len(os.fsencode(name)) for name in path.split(os.sep)) > _LONGEST_NAME or (
            whole + max(0, longer) > _LONGEST_PATH
        ):
            return f"the name of its {kind} file is too long ({whole} bytes)"
    return None


def read_vector_files(
    paths: list[str | None], kind: str, ids: list[str], skipped: list[Skipped]
) -> "pa.FixedSizeListArray | None":
    """Read vector files as one column.

    Args:
        paths: for each recording, its file or None.
        kind (str): `embedding` or `ba`.
        ids: of the recordings.
        skipped: recordings whose file could not be used are added to it.

    Returns:
        a fixed-length Arrow column; None if there is no vector at all.
    """
    from tqdm import tqdm

    vectors: list[np.ndarray | str | None] = [None] * len(paths)
    rows = [row for row, path in enumerate(paths) if path is not None]
    left = iter(rows)
    with tqdm(total=len(rows), desc=f"Reading {kind} files", disable=len(rows) < 5000) as bar:
        for block in read_vectors([path for path in paths if path is not None], kind):
            for vector in block:
                vectors[next(left)] = vector
            bar.update(len(block))
    skipped += [Skipped(ids[row], vector) for row, vector in enumerate(vectors) if isinstance(vector, str)]
    return fixed_length(vectors, ids, kind, skipped)
