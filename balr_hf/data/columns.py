"""Columns of vectors in a `datasets.Dataset`, to matrices and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from balr_hf.errors import UserError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

VECTOR_KINDS = ("embedding", "ba")


def fixed_length_column(matrix: np.ndarray, present: np.ndarray | None = None) -> pa.FixedSizeListArray:
    """A matrix `(rows, values)` of float32 or bool as a fixed-length Arrow column; rows not `present` are null."""
    import pyarrow as pa

    values = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    mask = None if present is None or present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1], mask=mask)


def add_vector_column(dataset: datasets.Dataset, name: str, column: pa.FixedSizeListArray) -> datasets.Dataset:
    """Put a fixed-length Arrow column into a Dataset, replacing one of that name."""
    import datasets

    if name in dataset.column_names:
        dataset = dataset.remove_columns(name)
    value = datasets.Value("float32" if name == "embedding" else "bool")
    return dataset.add_column(name, column, feature=datasets.List(value, length=column.type.list_size))


def vector_matrix(dataset: datasets.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
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


def known_vectors(dataset: datasets.Dataset, name: str, size: int, force: bool) -> tuple[np.ndarray, np.ndarray]:
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


def vector_present(dataset: datasets.Dataset, name: str) -> np.ndarray:
    """Which rows have a vector: bool `(rows,)`, all False without the column."""
    if name not in dataset.column_names:
        return np.zeros(len(dataset), dtype=bool)
    return arrow_column(dataset, name).is_valid().to_numpy()


def arrow_column(dataset: datasets.Dataset, name: str) -> pa.ChunkedArray:
    """A column in the order of the Dataset's rows, as Arrow holds it."""
    return dataset.select_columns([name]).with_format("arrow")[:][name]


def speaker_codes(dataset: datasets.Dataset) -> tuple[np.ndarray, list[str]]:
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
