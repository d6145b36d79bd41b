"""Vector files: each holds one embedding or one set of binary attributes, as `.txt` (numpy text), `.npy` or `.pkl`.

Files that BALR wrote (pickled arrays, attributes as `(attributes, 2)` pairs) are read without ever running code from
a pickle.
"""

import hashlib
import io
import os
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.errors import UserError
from balr_hf.files import atomic_path, split_path

SUFFIXES = {"embedding": ("_emb",), "ba": ("_ba", "_emb_ba")}
EXTENSIONS = (".txt", ".npy", ".pkl")

# All names that occur in pickles of plain numpy arrays, of numpy 1 and 2 and of pickle protocols 0 to 5.
_PICKLE_NAMES = {
    (module.format(core), name)
    for core in ("core", "_core")
    for module, name in (
        ("numpy.{}.multiarray", "_reconstruct"),
        ("numpy.{}.multiarray", "scalar"),
        ("numpy.{}.numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


# The longest name of a recording that its vector files have in full, in bytes: file systems take 255, and the longest
# ending is `_emb_ba.txt`.
LONGEST_STEM = 244


class VectorError(UserError):
    """A vector file that cannot be used; the message is the reason."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLE_NAMES:
            raise VectorError(f"refused: this pickle names {module}.{name}; only plain numpy arrays are read")
        # A pickle can set attributes of the Python functions that it names, so it gets new ones, made for it alone.
        if name == "encode":
            return _latin1_encoder()
        if name == "_frombuffer":
            return lambda buffer, dtype, shape, order: np.frombuffer(buffer, dtype).reshape(shape, order=order)
        return super().find_class(module, name)


def _latin1_encoder() -> Callable[..., bytes]:
    """Make the function by which pickles of the protocols 0 to 2 encode bytes.

    It takes no codec but latin1: another one could be a decompression bomb.
    """

    def encode(text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise VectorError(f"refused: this pickle encodes with {encoding!r}; only plain numpy arrays are read")
        return text.encode("latin1")

    return encode


def read_vector(path: Path, kind: str) -> np.ndarray:
    """Read one vector file.

    Args:
        path (Path): `.txt`, `.npy` or `.pkl`.
        kind (str): `embedding` or `ba`.

    Returns:
        float32 of shape `(values,)` for an embedding; bool of shape `(attributes,)` for attributes, whether the file
        holds plain bits or BALR's `(attributes, 2)` pairs of active and inactive.

    Raises:
        VectorError: the file is missing, empty or damaged, its array has the wrong shape, an embedding is not finite,
            attributes are not bits, or a pickle names anything but numpy arrays.
    """
    return (as_embedding if kind == "embedding" else as_bits)(_read_array(path))


def _read_array(path: Path) -> np.ndarray:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise VectorError(f"file not found: {path}") from error
    except (OSError, ValueError) as error:  # such as a name that is too long, or has the character NUL
        raise VectorError(f"cannot be opened: {path} ({error})") from error
    if size == 0:
        raise VectorError(f"empty file: {path.name}")
    try:
        if path.suffix == ".txt":
            array = np.loadtxt(path, dtype=np.float64, ndmin=1)
        elif path.suffix in (".npy", ".pkl"):
            array = array_in(path.read_bytes(), path.suffix)
        else:
            raise VectorError(f"unknown kind of vector file {path.name}: expected one of {', '.join(EXTENSIONS)}")
    except VectorError:
        raise
    except Exception as error:  # a damaged file can make numpy and pickle raise almost anything
        raise VectorError(f"damaged vector file {path.name} ({error})") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise VectorError(f"{path.name} holds no array of numbers")
    return array


def array_in(content: bytes, extension: str) -> np.ndarray:
    """Return what the content of a `.npy` or `.pkl` file holds; it may raise almost anything if that is damaged."""
    file = io.BytesIO(content)
    array: np.ndarray = np.load(file, allow_pickle=False) if extension == ".npy" else _ArrayUnpickler(file).load()
    return array


def as_embedding(array: np.ndarray) -> np.ndarray:
    """Check an array of numbers, and return it as an embedding: float32 of shape `(values,)`.

    Raises:
        VectorError: another shape, or values that are not finite.
    """
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1 or array.size < 2:
        raise VectorError(f"an embedding of shape {array.shape}: expected (values,)")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise VectorError("the embedding has values that are not finite")
    return array


def as_bits(array: np.ndarray) -> np.ndarray:
    """Check an array of bits, or of pairs of active and inactive, and return it as bool of shape `(attributes,)`.

    Raises:
        VectorError: another shape, values other than 0 and 1, or pairs that are not opposites.
    """
    if not np.isin(array, (0, 1)).all():
        raise VectorError("binary attributes other than 0 and 1")
    bits = array.astype(bool)
    if bits.ndim == 2 and bits.shape[1] == 2:
        if not (bits[:, 0] ^ bits[:, 1]).all():
            raise VectorError("attribute pairs that are not (active, inactive) of one recording")
        bits = bits[:, 0]
    if bits.ndim == 2 and 1 in bits.shape:
        bits = bits.ravel()
    if bits.ndim != 1 or not bits.size:
        raise VectorError(f"binary attributes of shape {bits.shape}: expected (attributes,) or (attributes, 2)")
    return bits


def write_vector(path: Path, vector: np.ndarray, pairs: bool = False) -> None:
    """Write one vector file, complete or not at all.

    Args:
        path (Path): `.txt` (with nine digits, which keep float32 exactly), `.npy`, or `.pkl` (a pickled array).
        vector (np.ndarray of shape `(values,)`): float32 for an embedding, bool for attributes.
        pairs (bool): write attributes as BALR 2.0 does: 0/1 pairs `(attributes, 2)` of active and inactive.
    """
    if pairs and vector.dtype == bool:
        vector = np.stack([vector, ~vector], -1).astype(np.int64)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content_of(vector, path.suffix))


def content_of(vector: np.ndarray, extension: str) -> bytes:
    """Return what a vector file of this ending (`.txt`, `.npy`, `.pkl`) holds."""
    if extension == ".pkl":
        return _portable_pickle(vector)
    file = io.BytesIO()
    if extension == ".npy":
        np.save(file, vector)
    else:
        np.savetxt(file, vector, fmt="%d" if vector.dtype.kind in "bi" else "%.9g")
    return file.getvalue()


def _portable_pickle(array: np.ndarray) -> bytes:
    """Pickle an array so that numpy 1 reads it too, where the module that the pickle names had another name."""
    return pickle.dumps(array, protocol=2).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def vector_stem(path: Path) -> str:
    """Return the recording's name in that of a vector file: `NAME` of `NAME_emb.txt` or `NAME_emb_ba.pkl`."""
    return _recording_in(os.path.basename(path))


def _recording_in(name: str) -> str:
    stem, extension = _split(name)
    if extension in EXTENSIONS:
        for suffix in ("_emb_ba", "_emb", "_ba"):
            if stem.endswith(suffix):
                return stem.removesuffix(suffix)
    return stem


def _split(name: str) -> tuple[str, str]:
    """Split a file name into the stem and the ending, as pathlib does, but in a tenth of the time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def extension_of(path: str) -> str:
    """Return the ending of a file's name, with its dot."""
    return _split(split_path(path)[1])[1]


def vector_path(reference: Path, kind: str, extension: str) -> Path:
    """Return where the `kind` vector is written of the recording at `reference`, its audio or another vector file."""
    return Path(vector_file(str(reference), kind, extension))


def vector_file(reference: str, kind: str, extension: str) -> str:
    """Do what [`vector_path`] does, for and with texts, of which there can be millions."""
    folder, name = split_path(reference)
    return os.path.join(folder, _file_stem(_recording_in(name)) + SUFFIXES[kind][0] + extension)


def _file_stem(stem: str) -> str:
    """Return a recording's name as its vector files have it: cut where it is too long for the endings."""
    if 4 * len(stem) <= LONGEST_STEM:  # no character takes more bytes
        return stem
    content = os.fsencode(stem)
    if len(content) <= LONGEST_STEM:
        return stem
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return f"{content[: LONGEST_STEM - 17].decode(errors='ignore')}-{digest}"


class VectorFinder:
    """Finds the vector files that lie beside recordings, and lists each folder only once for all its recordings.

    `x_emb_ba.txt` may hold BALR's attributes of the recording `x`, or the attributes of a recording that is named
    `x_emb`. It belongs to `x_emb` if there is such a recording: one of `recordings`, or an audio file `x_emb.flac` or
    an embedding `x_emb_emb.txt` in the same folder.

    Args:
        recordings: paths of files that stand for recordings, whether they exist or not.
    """

    def __init__(self, recordings: Iterable[str | Path] = ()) -> None:
        self._folders: dict[str, tuple[dict[str, str], set[str]]] = {}
        self._known: dict[str, set[str]] = {}
        for path in recordings:
            if "_emb" in str(path):
                folder, name = split_path(path)
                stem = _recording_in(name)
                if stem.endswith("_emb"):
                    self._known.setdefault(folder, set()).add(stem)

    def find(self, reference: str | Path, kind: str) -> str | None:
        """Return the path of the `kind` vector file beside `reference`, or None if there is none."""
        folder, name = split_path(reference)
        files, owners = self._list(folder)
        if files:
            stem = _file_stem(self._stem(name, owners))
            for suffix in SUFFIXES[kind]:
                if suffix == "_emb_ba" and f"{stem}_emb" in owners:
                    continue
                found = files.get(stem + suffix)
                if found is not None:
                    return os.path.join(folder, found)
        return None

    def stem(self, path: str | Path) -> str:
        """Return the name of the recording to which a vector file or an audio file belongs; see [`vector_stem`]."""
        folder, name = split_path(path)
        return self._stem(name, self._list(folder)[1])

    @staticmethod
    def _stem(name: str, owners: set[str]) -> str:
        stem = _recording_in(name)
        if owners and f"{stem}_emb" in owners and _split(name)[0] == f"{stem}_emb_ba":
            return f"{stem}_emb"
        return stem

    def _list(self, folder: str) -> tuple[dict[str, str], set[str]]:
        """List the vector files of a folder, and the recordings there whose names end with `_emb`.

        The files are named by their stems. Of several with one stem, the first of `EXTENSIONS` counts.
        """
        if folder not in self._folders:
            try:
                listed = os.listdir(folder or ".")
            except OSError:
                listed = []
            files: dict[str, str] = {}
            owners = set(self._known.get(folder, ()))
            for name in listed:
                stem, extension = _split(name)
                if extension in EXTENSIONS:
                    if stem.endswith(_ENDINGS) and (stem not in files or _rank(name) < _rank(files[stem])):
                        files[stem] = name
                    if stem.endswith("_emb_emb"):
                        owners.add(stem.removesuffix("_emb"))
                elif stem.endswith("_emb") and extension.lower().removeprefix(".") in AUDIO_FORMATS:
                    owners.add(stem)
            self._folders[folder] = files, owners
        return self._folders[folder]


def is_vector_file(name: str) -> bool:
    """Tell whether a file name is that of a vector file (`*_emb.*`, `*_ba.*`)."""
    stem, extension = _split(name)
    return extension in EXTENSIONS and stem.endswith(_ENDINGS)


_ENDINGS = ("_emb", "_ba")


def _rank(name: str) -> int:
    return EXTENSIONS.index(_split(name)[1])
