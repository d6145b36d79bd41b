"""The data contract: what a corpus is, and how a Dataset that others made is brought to it."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.data.columns import (
    VECTOR_KINDS,
    add_vector_column,
    arrow_column,
    check_holds_names,
    comparable_speaker,
    describe_repeated,
    fixed_length_column,
    recording_ids,
)
from balr_hf.data.origins import origin_column
from balr_hf.data.recording_files import RecordingFiles
from balr_hf.data.skipped import Skipped
from balr_hf.data.vectors import VectorError, as_bits, as_embedding
from balr_hf.errors import UserError, name_some
from balr_hf.untrusted import printable

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

logger = logging.getLogger(__name__)

# What people and programs write for a speaker whom they do not know.
_PLACEHOLDERS = ("nan", "na", "n/a", "none", "null", "nil", "unknown", "unk", "-", "--", "?")


@dataclass
class Corpus:
    """A corpus, and what its Dataset alone does not say.

    Attributes:
        dataset: the recordings, by the data contract.
        files: the files behind it; None for a corpus that was read from a Dataset.
        skipped: rows and vector files that could not be read, with the reasons.
        source_fingerprint: the fingerprint of the Dataset that it was read from; None for files.
        source: what it was read from, as the user named it.
    """

    dataset: datasets.Dataset
    files: RecordingFiles | None
    skipped: list[Skipped]
    source_fingerprint: str | None = None
    source: str | None = None

    def fingerprint(self) -> str:
        """Compute a digest that changes with the recordings, so that unfinished work is not resumed for others."""
        digest = hashlib.sha256(str(self.source_fingerprint).encode())
        for row, name in enumerate(recording_ids(self.dataset)):
            digest.update(f"{name}\n".encode())
            if self.files is not None:
                reference = Path(self.files.reference(row))
                stat = reference.stat() if reference.exists() else None
                digest.update(f"{reference} {stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
        return digest.hexdigest()


def from_dataset(dataset: datasets.Dataset, vectors: Sequence[str]) -> Corpus:
    """Bring a Dataset that others made to the data contract.

    Args:
        dataset (`datasets.Dataset`): any columns; `id` is made up if it is missing.
        vectors: which of `embedding` and `ba` to keep.

    Returns:
        [`Corpus`] without files. Vectors that cannot be used become None, and are listed in `skipped`.

    Raises:
        UserError: this is no Dataset, several recordings have the same id, or a column of ids or speakers holds no
            names.
    """
    import datasets
    import pyarrow as pa

    if not isinstance(dataset, datasets.Dataset):
        raise UserError(
            f"the corpus is of type {type(dataset).__name__}: expected a path, the name of a dataset on the Hub, or a "
            "datasets.Dataset"
        )
    fingerprint = dataset._fingerprint  # as the documentation of datasets names it; there is no public name
    dataset = dataset.with_format(None)
    if "binary_attributes" in dataset.column_names and "ba" not in dataset.column_names:
        dataset = dataset.rename_column("binary_attributes", "ba")
    if isinstance(dataset.features.get("audio"), datasets.Audio):
        dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
    dataset = with_types_of_samples(dataset)
    if "id" not in dataset.column_names:
        dataset = dataset.add_column("id", _ids_from_audio(dataset))
    floats = [("speaker", datasets.Value(f"float{bits}")) for bits in (32, 64)]  # which are cleaned below
    for name in {"id", "speaker"} & set(dataset.column_names):
        check_holds_names(dataset, name)
        feature = dataset.features[name]
        if isinstance(feature, datasets.ClassLabel):
            names = [None if code is None or code < 0 else feature.names[code] for code in dataset[name]]
            dataset = _replaced(dataset, name, names)
        elif feature != datasets.Value("string") and (name, feature) not in floats:
            try:
                dataset = dataset.cast_column(name, datasets.Value("string"))
            except pa.ArrowInvalid as error:  # bytes that are no UTF-8
                raise UserError(
                    f"the column {name} of the Dataset holds {feature.dtype}, which is no text ({error}): expected "
                    "texts or numbers"
                ) from error
    _check_texts(dataset)
    if "speaker" in dataset.column_names:
        column = arrow_column(dataset, "speaker")
        cleaned = clean_speakers(column)
        if cleaned is not column:
            dataset = _replaced(dataset, "speaker", cleaned, datasets.Value("string"))
    given: list[Any] = recording_ids(dataset)
    ids: list[Any] = [name if name is None else printable(name) for name in given]
    if ids != given:
        dataset = _replaced(dataset, "id", ids)
    check_unique(ids)
    skipped: list[Skipped] = []
    for kind in VECTOR_KINDS:
        if kind not in dataset.column_names:
            continue
        if kind not in vectors:
            dataset = dataset.remove_columns([n for n in (kind, origin_column(kind)) if n in dataset.column_names])
            continue
        feature = dataset.features[kind]
        value = datasets.Value("float32" if kind == "embedding" else "bool")
        fixed = isinstance(feature, datasets.List) and feature.length > 0 and feature.feature == value
        if not fixed or not _all_usable(dataset, kind):
            rows = [_checked_row(row, kind) for row in dataset[kind]]
            skipped += [Skipped(ids[index], row) for index, row in enumerate(rows) if isinstance(row, str)]
            column = fixed_length(rows, ids, kind, skipped)
            dataset = dataset.remove_columns(kind)
            dataset = dataset if column is None else add_vector_column(dataset, kind, column)
    return Corpus(dataset, None, skipped, fingerprint)


def _replaced(dataset: datasets.Dataset, name: str, values: Any, feature: Any = None) -> datasets.Dataset:
    """Replace a column, which may be the only one: a Dataset without columns would have no rows."""
    new = f"new {name}"
    return dataset.add_column(new, values, feature=feature).remove_columns(name).rename_column(new, name)


def type_of_samples(feature: Any) -> str | None:
    """The type of integer samples (`int16`) in a column of dicts with `array`; None for other columns.

    Rows of such a column are lists of Python's integers, which do not say how many bits the samples have.

    Args:
        feature: of the column, from `dataset.features`.
    """
    samples = feature.get("array") if isinstance(feature, dict) and "dtype" not in feature else None
    while samples is not None and getattr(samples, "feature", None) is not None:
        samples = samples.feature
    name = str(getattr(samples, "dtype", ""))
    return name if name.startswith(("int", "uint")) else None


def with_types_of_samples(dataset: Any) -> Any:
    """Add to dicts of integer samples, as `dtype`, the type that the Dataset says they have; see [`load_audio`].

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`): any.

    Returns:
        the Dataset; itself if it has no such columns.
    """
    import datasets
    import pyarrow as pa

    for name, feature in dict(dataset.features or {}).items():
        kind = type_of_samples(feature)
        if kind is None:
            continue
        named: Any = {**dataset.features, name: {**feature, "dtype": datasets.Value("string")}}
        features = datasets.Features(named)
        if isinstance(dataset, datasets.IterableDataset):
            dataset = dataset.map(partial(_with_type, name, kind), features=features)
            continue

        def add(table: pa.Table, name: str = name, kind: str = kind) -> pa.Table:
            column = table.column(name).combine_chunks()
            fields = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
            fields["dtype"] = pa.array([kind] * len(column), pa.string())
            typed = pa.StructArray.from_arrays([*fields.values()], [*fields], mask=column.is_null())
            return table.set_column(table.column_names.index(name), name, typed)

        kept = dataset.format
        dataset = dataset.with_format("arrow").map(add, batched=True, batch_size=16, features=features)
        dataset = dataset.with_format(**kept)
    return dataset


def _with_type(name: str, kind: str, row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if row[name] is None else {**row[name], "dtype": kind}}


def clean_speakers(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Bring the speakers' names of a corpus to the form in which they are compared; see [`comparable_speaker`].

    A warning says how many recordings have a name such as `unknown`, which counts as that of one person.

    Args:
        column: texts or floats, null where the speaker is unknown.

    Returns:
        texts; the column itself where nothing had to be changed.
    """
    import pyarrow as pa

    encoded = pa.chunked_array(column if isinstance(column, pa.ChunkedArray) else [column]).combine_chunks()
    encoded = encoded.dictionary_encode()
    given = encoded.dictionary.to_pylist()
    names = [comparable_speaker(name) for name in given]
    doubtful = [name for name in names if name is not None and name.lower() in _PLACEHOLDERS]
    result = column
    if names != given or not pa.types.is_string(column.type):
        result = pa.array(names, pa.string()).take(encoded.indices)
    if doubtful:
        count = sum(entry["counts"] for entry in result.value_counts().to_pylist() if entry["values"] in doubtful)
        logger.warning(
            "%d recordings are of the speaker %s, which is taken for the name of one person: leave the field empty "
            "where the speaker is unknown",
            *(count, name_some(dict.fromkeys(map(repr, doubtful)))),
        )
    return result


def _check_texts(dataset: datasets.Dataset) -> None:
    """Raise a UserError if ids or speakers are not text in UTF-8, as a damaged file may have them."""
    import pyarrow as pa

    for name in {"id", "speaker"} & set(dataset.column_names):
        try:
            dataset.data.column(name).validate(full=True)
        except pa.ArrowInvalid as error:
            raise UserError(f"the column {name} of the Dataset is damaged: {error}") from error


def _all_usable(dataset: datasets.Dataset, kind: str) -> bool:
    """Whether no value is missing within a vector of fixed length, and embeddings are finite."""
    values = arrow_column(dataset, kind).combine_chunks().flatten()
    if kind == "ba" or values.null_count:
        return values.null_count == 0
    return bool(np.isfinite(values.to_numpy(zero_copy_only=False)).all())


def _checked_row(row: Sequence[Any] | None, kind: str) -> np.ndarray | str | None:
    try:
        return None if row is None else (as_embedding if kind == "embedding" else as_bits)(np.asarray(row))
    except (VectorError, ValueError, TypeError) as error:
        return str(error)


def _ids_from_audio(dataset: datasets.Dataset) -> list[str]:
    """Take the names of the audio files, without endings, if they are all different, else the row numbers."""
    if "audio" in dataset.column_names:
        rows = [row.get("path") if isinstance(row, Mapping) else row for row in dataset["audio"]]
        names = [Path(row).stem if isinstance(row, str) else "" for row in rows]
        if all(names) and len(set(names)) == len(names):
            return names
    return [str(row) for row in range(len(dataset))]


def check_unique(ids: list[str]) -> None:
    """Raise a UserError if several recordings have the same id, as ids are compared; see [`comparable_name`]."""
    repeated = describe_repeated(ids)
    if repeated is not None:
        raise UserError(f"duplicate ids (trials could not tell them apart): {repeated}")


def fixed_length(
    vectors: Sequence[np.ndarray | str | None], ids: Sequence[str], kind: str, skipped: list[Skipped]
) -> pa.FixedSizeListArray | None:
    """Turn vectors into a fixed-length Arrow column.

    Args:
        vectors: one for each recording; None, or the reason why it could not be read (a string), where there is none.
        ids: of the recordings.
        kind (str): `embedding` or `ba`.
        skipped: recordings whose vector does not have the length that most have are added to it; they become null.

    Returns:
        the column; None if there is no vector at all.
    """
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
