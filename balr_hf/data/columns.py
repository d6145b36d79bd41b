"""Columns of vectors in a `datasets.Dataset`: to matrices and back."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.errors import UserError, name_some
from balr_hf.untrusted import csv_value, printable

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

VECTOR_KINDS = ("embedding", "ba")
# Columns whose values are names, also where they look like numbers: session 00073 is not session 73.
NAME_COLUMNS = ("id", "speaker", "sex", "session", "channel", "language", "source", "condition", "text")
# Names that are compared as they are: most names are such, and nothing needs to be done to them.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*").fullmatch


def comparable_name(name: object) -> str:
    """Return a recording's id as ids are compared: without surrounding white space, in Unicode's normal form C.

    An accented letter may be one character or two, depending on the system that wrote the name. Control characters
    count as they are written out, and so does the quote that a csv of ours puts before what could be a formula.
    """
    if type(name) is str and _PLAIN_NAME(name):
        return name
    return csv_value(printable(unicodedata.normalize("NFC", str(name)).strip()))


def fixed_length_column(matrix: np.ndarray, present: np.ndarray | None = None) -> pa.FixedSizeListArray:
    """Turn a matrix into a fixed-length Arrow column.

    Args:
        matrix (np.ndarray of shape `(rows, values)`): float32 or bool.
        present (np.ndarray of shape `(rows,)`, *optional*): bool; rows where it is False become null. By default all
            rows have a value.
    """
    import pyarrow as pa

    values = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    mask = None if present is None or present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1], mask=mask)


def add_vector_column(dataset: datasets.Dataset, name: str, column: pa.FixedSizeListArray) -> datasets.Dataset:
    """Add a fixed-length Arrow column to a Dataset, in place of a column of the same name.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        name (str): `embedding` (float32) or `ba` (bool).
        column (`pyarrow.FixedSizeListArray`): one entry for each row, as [`fixed_length_column`] makes it.
    """
    import datasets

    if name in dataset.column_names:
        dataset = dataset.remove_columns(name)
    value = datasets.Value("float32" if name == "embedding" else "bool")
    return dataset.add_column(name, column, feature=datasets.List(value, length=column.type.list_size))


def vector_matrix(dataset: datasets.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a column of vectors as one matrix.

    Returns:
        `(matrix, present)`: the vectors of the rows that have one, of shape `(present.sum(), values)`, float32 for
        `embedding` and bool for `ba`; and which rows those are, bool of shape `(rows,)`.

    Raises:
        UserError: the Dataset has no such column, no row has a value, the vectors have several lengths or values that
            are missing, or attributes are neither 0 nor 1.
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
    return _matrix(column, name, length), present


def vector_chunks(dataset: datasets.Dataset, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Go through a column of vectors chunk by chunk, as it lies in memory or in a file, without a copy of the whole.

    Yields:
        `(matrix, present)`: as of [`vector_matrix`], for the rows of one chunk.
    """
    for chunk in arrow_column(dataset, name).chunks:
        length = getattr(chunk.type, "list_size", None)
        if length is None:  # vectors whose length the type does not tell
            yield vector_matrix(dataset, name)
            return
        yield _matrix(chunk, name, length), chunk.is_valid().to_numpy(zero_copy_only=False)


def packed_chunks(dataset: datasets.Dataset, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Go through a column of attributes as [`vector_chunks`] does, with eight attributes in a byte, as Arrow has them.

    Yields:
        `(matrix, present)`: uint8 `(vectors, attributes / 8)`, the first attribute in the lowest bit; or bool, as of
        [`vector_chunks`], where attributes do not fill bytes.
    """
    import pyarrow as pa

    for chunk in arrow_column(dataset, name).chunks:
        length = getattr(chunk.type, "list_size", None)
        if length is None or length % 8 or not pa.types.is_boolean(chunk.type.value_type):
            yield from vector_chunks(dataset, name)
            return
        if not len(chunk):
            continue
        values = chunk.flatten()  # without the vectors that are not there
        packed = np.frombuffer(values.buffers()[1], np.uint8)[values.offset // 8 : (values.offset + len(values)) // 8]
        yield packed.reshape(-1, length // 8), chunk.is_valid().to_numpy(zero_copy_only=False)


def _matrix(column: pa.Array, name: str, length: int) -> np.ndarray:
    """The vectors of an Arrow column that are there, `(vectors, length)`, in the type of their kind.

    Raises:
        UserError: a vector has values that are missing, or attributes are neither 0 nor 1.
    """
    values = column.flatten()
    if values.null_count:
        raise UserError(
            f"{values.null_count} values of the vectors in the {name} column are missing: load_corpus leaves out the "
            "vectors that cannot be used, and names them"
        )
    matrix = values.to_numpy(zero_copy_only=False).reshape(-1, length)
    if name == "embedding":
        return matrix.astype(np.float32, copy=False)
    if matrix.dtype != bool and not (matrix.dtype.kind in "iuf" and ((matrix == 0) | (matrix == 1)).all()):
        raise UserError(
            f"the {name} column has values other than 0 and 1, which are no binary attributes: load_corpus leaves out "
            "the vectors that cannot be used, and names them"
        )
    return matrix.astype(bool, copy=False)


def keep_vectors(dataset: datasets.Dataset, name: str, keep: np.ndarray) -> datasets.Dataset:
    """Take the vectors out of a column that are not to be kept.

    Args:
        dataset (`datasets.Dataset`): a corpus, with or without the column.
        name (str): `embedding` or `ba`.
        keep (np.ndarray of shape `(rows,)`): bool.

    Returns:
        the corpus with null in their place; without the column if none is left.
    """
    present = vector_present(dataset, name)
    if not (present & ~keep).any():
        return dataset
    if not (present & keep).any():
        return dataset.remove_columns(name)
    found, _ = vector_matrix(dataset, name)
    matrix = np.zeros((len(dataset), found.shape[1]), dtype=found.dtype)
    matrix[present] = found
    return add_vector_column(dataset, name, fixed_length_column(matrix, present & keep))


def known_vectors(dataset: datasets.Dataset, name: str, size: int, force: bool) -> tuple[np.ndarray, np.ndarray]:
    """Make a matrix with one row for each recording, filled where the Dataset has a vector already.

    Args:
        dataset (`datasets.Dataset`): a corpus, with or without the column.
        name (str): `embedding` or `ba`.
        size (int): how many values the vectors must have.
        force (bool): leave out the vectors that are there, so that all are computed anew.

    Returns:
        `(matrix, present)`: the vectors, of shape `(rows, size)` with zeros where there is none; and which rows have
        one, bool of shape `(rows,)`.

    Raises:
        UserError: the vectors that are there have another size.
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


def vector_present(dataset: datasets.Dataset, name: str) -> np.ndarray:
    """Tell which rows have a vector: bool of shape `(rows,)`, all False if there is no such column."""
    if name not in dataset.column_names:
        return np.zeros(len(dataset), dtype=bool)
    return arrow_column(dataset, name).is_valid().to_numpy()


def arrow_column(dataset: datasets.Dataset, name: str) -> pa.ChunkedArray:
    """Read a column as Arrow holds it, in the order of the Dataset's rows.

    Raises:
        UserError: this is no Dataset, but a stream, for example.
    """
    import datasets

    if not isinstance(dataset, datasets.Dataset):
        raise UserError(f"the corpus is of type {type(dataset).__name__}: expected a datasets.Dataset")
    return dataset.select_columns([name]).with_format("arrow")[:][name]


def recording_ids(dataset: datasets.Dataset) -> list[str]:
    """Read the column `id` at once, which is much faster than going through `dataset["id"]` row by row."""
    ids: list[str] = arrow_column(dataset, "id").to_pylist()
    return ids


def describe_repeated(ids: Sequence[str], among: Collection[str] | None = None) -> str | None:
    """Name the ids that several recordings have, as ids are compared; see [`comparable_name`].

    Args:
        ids: of all recordings.
        among: those that matter, as they are compared; all by default.

    Returns:
        the ids, and whether some of them are written differently; None if each is that of one recording.
    """
    compared = [*map(comparable_name, ids)]
    if len(set(compared)) == len(ids):
        return None
    count = Counter(compared)
    repeated = dict.fromkeys(name for name in compared if count[name] > 1 and (among is None or name in among))
    written = {name for name, one in zip(ids, compared, strict=True) if one in repeated}
    apart = "" if written <= repeated.keys() else "; some differ only in white space or in their Unicode form"
    return f"{name_some(repeated)}{apart}" if repeated else None


def rows_of(dataset: datasets.Dataset, sides: Iterable[Iterable[str]]) -> dict[str, int]:
    """The row of each recording of a corpus, by its id as ids are compared; see [`comparable_name`].

    Args:
        dataset (`datasets.Dataset`): the corpus.
        sides: the ids that are looked up, in lists.

    Raises:
        UserError: several recordings have an id that is looked up, so that nothing tells which one is meant.
    """
    ids = recording_ids(dataset)
    found = {comparable_name(name): row for row, name in enumerate(ids)}
    if len(found) < len(ids):
        repeated = describe_repeated(ids, {comparable_name(name) for side in sides for name in side})
        if repeated is not None:
            raise UserError(f"these ids are each those of several recordings of the corpus: {repeated}")
    return found


def recordings_of(dataset: datasets.Dataset, sides: Sequence[Sequence[str]]) -> datasets.Dataset:
    """The rows of a corpus that are the recordings of the sides of trials.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id`.
        sides: the ids of the recordings of each side.
    """
    wanted = {comparable_name(name) for side in sides for name in side}
    names = map(comparable_name, recording_ids(dataset))
    return dataset.select([row for row, name in enumerate(names) if name in wanted])


def speaker_names(dataset: datasets.Dataset) -> list[str | None]:
    """The speaker of each recording, as speakers are compared (see [`comparable_speaker`]); None where unknown.

    Raises:
        UserError: the Dataset has no `speaker` column.
    """
    codes, names = speaker_codes(dataset)
    return [None if code < 0 else names[code] for code in codes.tolist()]


def comparable_speaker(name: object) -> str | None:
    """Return a speaker's name as names are compared, like those of recordings: see [`comparable_name`].

    Returns:
        None where nothing is left of the name, and for a number that is none (NaN): the speaker is unknown. A whole
        number is written without a point, as it is where no speaker of the corpus is unknown.
    """
    if name is None:
        return None
    if isinstance(name, float):
        if name != name:
            return None
        name = int(name) if name.is_integer() else name
    return comparable_name(name) or None


def check_holds_names(dataset: datasets.Dataset, name: str) -> None:
    """Check that each value of a column is one text or one number, and no list, dict or recording.

    Raises:
        UserError: it is not.
    """
    import datasets

    feature = dataset.features[name]
    if not isinstance(feature, datasets.Value | datasets.ClassLabel):
        raise UserError(f"the column {name} of the Dataset holds {feature}: expected texts or numbers")


def speaker_codes(dataset: datasets.Dataset) -> tuple[np.ndarray, list[str]]:
    """Number the speakers in the order in which they first appear, by their names as they are compared.

    Returns:
        `(codes, speakers)`: the speakers' numbers, int64 of shape `(rows,)`, -1 where the speaker is unknown; and the
        speakers' names.

    Raises:
        UserError: the Dataset has no `speaker` column, or one that holds no names.
    """
    if "speaker" not in dataset.column_names:
        raise UserError(f"the corpus has no speaker column (columns: {', '.join(dataset.column_names)})")
    check_holds_names(dataset, "speaker")
    column = arrow_column(dataset, "speaker").combine_chunks()
    encoded = (column.cast("string") if column.type == "null" else column).dictionary_encode()
    codes, found = encoded.indices.fill_null(-1).to_numpy().astype(np.int64), encoded.dictionary.to_pylist()
    names = getattr(dataset.features["speaker"], "names", None)  # of a ClassLabel, which holds numbers
    if names is not None:
        found = [None if int(code) < 0 else names[int(code)] for code in found]
    numbers: dict[str, int] = {}
    cleaned = [comparable_speaker(name) for name in found]
    new = [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in cleaned]
    return np.array([*new, -1], dtype=np.int64)[codes], list(numbers)


def side_value_sets(dataset: datasets.Dataset, sides: Sequence[Sequence[str]], column: str) -> list[frozenset[str]]:
    """All that a column says of the recordings of each side; nothing of a side of which it does not tell all.

    Args:
        dataset (`datasets.Dataset`): the corpus, with `id` and the column.
        sides: the ids of the recordings of each side.
        column (str): the name of the column.

    Raises:
        UserError: the corpus has no such column, or several recordings have one id of the sides.
    """
    if column not in dataset.column_names:
        alike = [name for name in dataset.column_names if name.lower() == column.lower()]
        if len(alike) == 1:  # as headers are read
            return side_value_sets(dataset, sides, alike[0])
        one = ". Name one column alone" if {*column.split(",")} <= {*dataset.column_names} else ""
        raise UserError(f"the corpus has no column {column} (columns: {', '.join(dataset.column_names)}){one}")
    row_of, told = rows_of(dataset, sides), list(dataset[column])
    found = []
    for side in sides:
        rows = [row_of.get(comparable_name(name)) for name in side]
        values = [None if row is None else told[row] for row in rows]
        found.append(frozenset() if None in values else frozenset(map(str, values)))
    return found
