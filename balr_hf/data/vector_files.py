"""Many vector files at once: the content of most is known from that of the first, but for the numbers.

What cannot be read so (another form, a damaged file) is read alone by [`read_vector`], which tells what is wrong.
"""

import io
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from balr_hf.data.vectors import EXTENSIONS, VectorError, array_in, content_of, extension_of, read_vector
from balr_hf.files import write_file

# How many files are read or written together, and on how many threads where the storage is slow: if the first files
# of a block take longer than this many seconds each. A disk's cache answers sooner than one thread hands over to
# another.
BLOCK, FIRST, SLOW, THREADS = 2048, 64, 1e-3, 32

# How many files of one size are looked at for where the numbers lie, before they are all read one by one.
_TRIALS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_vectors(paths: Sequence[str], kind: str) -> Iterator[list[np.ndarray | str]]:
    """Read vector files, as many [`read_vector`] calls do.

    Args:
        paths: of the files.
        kind (str): `embedding` or `ba`.

    Yields:
        a block of the files at a time, in their order: each vector as `read_vector` returns it, or the reason (a
        string) why there is none.
    """
    for start in range(0, len(paths), BLOCK):
        block = paths[start : start + BLOCK]
        contents = on_slow_storage(_read, block)
        found: list[np.ndarray | str | None] = [None] * len(block)
        groups: dict[tuple[str, int], list[int]] = {}
        for row, (path, content) in enumerate(zip(block, contents, strict=True)):
            if content:
                groups.setdefault((extension_of(path), len(content)), []).append(row)
        for (extension, size), rows in groups.items():
            _read_group([contents[row] or b"" for row in rows], rows, extension, size, kind, found)
        if kind == "embedding":
            texts = [row for row, path in enumerate(block) if path.endswith(".txt") and found[row] is None]
            _keep(found, texts, [_numbers(contents[row]) for row in texts], kind)
        yield [_alone(path, kind) if row is None else row for path, row in zip(block, found, strict=True)]


def write_vectors(paths: Sequence[str], vectors: np.ndarray, pairs: bool = False) -> None:
    """Write vector files, each complete or not at all, as many [`write_vector`] calls do.

    Args:
        paths: one for each vector; all have one of the endings `.txt`, `.npy`, `.pkl`.
        vectors (np.ndarray of shape `(rows, values)`): float32 for embeddings, bool for attributes.
        pairs (bool): as for [`write_vector`].
    """
    if pairs and vectors.dtype == bool:
        vectors = np.stack([vectors, ~vectors], -1).astype(np.int64)
    for start in range(0, len(paths), BLOCK):
        block = paths[start : start + BLOCK]
        part = np.ascontiguousarray(vectors[start : start + BLOCK])
        contents: list[bytes] = [b""] * len(block)
        for extension in {extension_of(path) for path in block}:
            rows = [row for row, path in enumerate(block) if extension_of(path) == extension]
            same = part if len(rows) == len(block) else part[rows]
            for row, content in zip(rows, _contents(same, extension), strict=True):
                contents[row] = content
        on_slow_storage(_write, list(zip(block, contents, strict=True)))


def on_slow_storage(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call a function that waits for the storage for each item: on threads if the storage is slow.

    The median of the first calls decides, since a busy machine delays a few of them.
    """
    done, times = [], []
    for item in items[:FIRST]:
        start = time.perf_counter()
        done.append(function(item))
        times.append(time.perf_counter() - start)
    rest = items[FIRST:]
    if not rest or statistics.median(times) < SLOW:
        return done + [function(item) for item in rest]
    with ThreadPoolExecutor(THREADS) as pool:
        return done + list(pool.map(function, rest))


def _write(file: tuple[str, bytes]) -> None:
    write_file(*file)


def _read(path: str) -> bytes | None:
    """The content of a file; None if it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        parts = [os.read(handle, 1 << 16)]
        while len(parts[-1]) == 1 << 16:
            parts.append(os.read(handle, 1 << 16))
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(handle)


def _read_group(
    contents: list[bytes],
    rows: list[int],
    extension: str,
    size: int,
    kind: str,
    found: list[np.ndarray | str | None],
) -> None:
    """Read files of one kind and size, as far as they differ in nothing but their numbers."""
    if len(contents) < 2:
        return
    matrix = np.frombuffer(b"".join(contents), dtype=np.uint8).reshape(len(contents), size)
    if extension == ".txt":
        if kind == "ba":
            for signs in (1, 2):
                _digits(matrix, rows, signs, found)
        return
    if extension not in EXTENSIONS:
        return
    tried = 0
    for template in contents:
        try:
            array = array_in(template, extension)
        except Exception:  # a damaged file can make numpy and pickle raise almost anything; it is read alone
            continue
        start = _place_of_numbers(template, array, extension)
        if start is not None:
            break
        tried += 1
        if tried == _TRIALS:
            return
    else:
        return
    end = start + array.nbytes
    frame = np.frombuffer(template, dtype=np.uint8)
    same = (matrix[:, :start] == frame[:start]).all(1) & (matrix[:, end:] == frame[end:]).all(1)
    numbers = np.ascontiguousarray(matrix[same, start:end]).view(array.dtype).reshape(-1, *array.shape)
    _keep(found, [row for row, is_same in zip(rows, same.tolist(), strict=True) if is_same], numbers, kind)


def _place_of_numbers(content: bytes, array: np.ndarray, extension: str) -> int | None:
    """Find where the numbers of an array lie in the content of its file; None if that is not certain.

    It is certain if other numbers in that place give an array of those.
    """
    numbers = array.tobytes()
    start = content.find(numbers)
    if start < 0 or not array.flags.c_contiguous or not 0 < array.ndim < 3:
        return None
    others = bytes(255 - value for value in numbers)
    try:
        other = array_in(content[:start] + others + content[start + len(numbers) :], extension)
    except Exception:  # as above
        return None
    alike = (other.dtype, other.shape) == (array.dtype, array.shape) and other.flags.c_contiguous
    return start if alike and other.tobytes() == others else None


def _digits(matrix: np.ndarray, rows: list[int], signs: int, found: list[np.ndarray | str | None]) -> None:
    """Read text files of one size whose lines have one digit, or two with a space between them."""
    if matrix.shape[1] % (2 * signs) or matrix.shape[1] == 2 * signs:  # a single line is read in another way
        return
    lines = matrix.reshape(len(matrix), -1, 2 * signs)
    digits = lines[:, :, ::2] - ord("0")
    proper = (digits < 2).all((1, 2)) & (lines[:, :, -1] == ord("\n")).all(1)
    if signs == 2:
        proper &= (lines[:, :, 1] == ord(" ")).all(1)
    numbers = digits[proper] if signs == 2 else digits[proper, :, 0]
    _keep(found, [row for row, is_proper in zip(rows, proper.tolist(), strict=True) if is_proper], numbers, "ba")


def _numbers(content: bytes | None) -> np.ndarray | None:
    """Read a text of one number on each line; None if there is anything else in it."""
    if not content or content.translate(None, b"0123456789+-.eE\r\n"):
        return None
    try:
        return np.array(list(map(float, content.split())))
    except ValueError:
        return None


def _keep(
    found: list[np.ndarray | str | None], rows: list[int], arrays: Sequence[np.ndarray | None] | np.ndarray, kind: str
) -> None:
    """Take arrays as vectors, as far as they are proper ones."""
    if not isinstance(arrays, np.ndarray):
        lengths: dict[int, list[tuple[int, np.ndarray]]] = {}
        for row, array in zip(rows, arrays, strict=True):
            if array is not None:
                lengths.setdefault(len(array), []).append((row, array))
        for same in lengths.values():
            _keep(found, [row for row, _ in same], np.stack([array for _, array in same]), kind)
        return
    if not len(arrays) or arrays.dtype.kind not in "fiub":
        return
    vectors, proper = (_embeddings if kind == "embedding" else _bits)(arrays)
    for row, vector, is_proper in zip(rows, vectors, proper.tolist(), strict=True):
        if is_proper:
            found[row] = vector


def _embeddings(arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Do what [`as_embedding`] does for each of many arrays, and tell which it would refuse."""
    if arrays.ndim == 3 and 1 in arrays.shape[1:]:
        arrays = arrays.reshape(len(arrays), -1)
    if arrays.ndim != 2 or arrays.shape[1] < 2:
        return arrays, np.zeros(len(arrays), dtype=bool)
    with np.errstate(over="ignore"):
        vectors = arrays.astype(np.float32)
    return vectors, np.asarray(np.isfinite(vectors).all(1))


def _bits(arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Do what [`as_bits`] does for each of many arrays, and tell which it would refuse."""
    flat = arrays.reshape(len(arrays), -1)
    numbers = flat.view(np.uint8) if flat.dtype == bool else flat  # a file can hold truth values other than 0 and 1
    proper = ((numbers == 0) | (numbers == 1)).all(1)
    bits = arrays.astype(bool)
    if bits.ndim == 3 and bits.shape[2] == 2:
        proper &= (bits[:, :, 0] ^ bits[:, :, 1]).all(1)
        bits = np.ascontiguousarray(bits[:, :, 0])
    if bits.ndim == 3 and 1 in bits.shape[1:]:
        bits = bits.reshape(len(bits), -1)
    if bits.ndim != 2 or not bits.shape[1]:
        proper[:] = False
    return bits, proper


def _alone(path: str, kind: str) -> np.ndarray | str:
    try:
        return read_vector(Path(path), kind)
    except VectorError as error:
        return str(error)


def _contents(vectors: np.ndarray, extension: str) -> Iterable[bytes]:
    """The contents of vector files."""
    if extension == ".npy" and len(vectors):
        file = io.BytesIO()
        np.save(file, vectors[0])
        header = file.getvalue()[: -vectors[0].nbytes or None]
        return [header + vector.tobytes() for vector in vectors]
    if extension == ".txt" and (vectors.dtype == bool or vectors.ndim == 3):  # bits, or pairs of them
        shape = (*vectors.shape[:2], vectors[0].size // vectors.shape[1], 2)
        lines = np.full(shape, ord("\n"), dtype=np.uint8)
        lines[..., 0] = vectors.reshape(lines.shape[:-1]) + ord("0")
        lines[:, :, :-1, 1] = ord(" ")
        return [row.tobytes() for row in lines]
    if extension == ".txt" and vectors.dtype.kind == "f":
        form = "%.9g\n" * vectors.shape[1]
        return [(form % tuple(vector)).encode() for vector in vectors.tolist()]
    return [content_of(vector, extension) for vector in vectors]
