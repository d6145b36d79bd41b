"""Where vectors come from: the model that made each, its precision, and what it was made from.

A Dataset keeps this in the columns `embedding_origin` and `ba_origin`, a folder of vector files in its manifest,
see [`balr_hf.data.manifests`].
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_digest

from balr_hf.data.audio_sources import audio_source
from balr_hf.data.columns import arrow_column, packed_chunks, vector_chunks, vector_matrix, vector_present
from balr_hf.errors import MismatchError, UserError, name_some
from balr_hf.identity import is_same, other_makers, shown

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Where a vector comes from.

    Attributes:
        model (str): the identity of the model that made it, `NAME@SHA256`; see [`balr_hf.identity`].
        precision (str): what the model computed in: `fp32`, `tf32` or `bf16`.
        source (str): what it was made from: `sha256:...` of the audio file, or `stat:SIZE:TIME` where that was asked
            for; for attributes, the digest of the embedding.
        vector (str): the digest of the vector itself, by which it is noticed if something else changed it.
        embedder (str): for attributes, the identity of the embedder that made the embedding; empty if it is unknown.
        mismatch (str): what was wrong with the models, where the user allowed it; else empty.
        audio (str): for attributes, the `source` of the embedding that they were made from: the audio behind them.
        stat (str): `stat:SIZE:TIME` of the audio file when it was read. As long as a file has this size and time of
            change, it is not digested again to tell whether it was replaced. Empty where there was no file.
    """

    model: str
    precision: str = "fp32"
    source: str = ""
    vector: str = ""
    embedder: str = ""
    mismatch: str = ""
    audio: str = ""
    stat: str = ""


# The fields that every version of this package has written. A corpus may lack the others.
_ALWAYS = ("model", "precision", "source", "vector", "embedder", "mismatch")


@dataclass(frozen=True)
class Maker:
    """What makes vectors.

    Attributes:
        model (str): the model's identity; see [`balr_hf.identity.model_identity`].
        precision (str): what it computes in.
        quick (bool): tell audio files apart by their size and time of change, and not by their sha256.
    """

    model: str
    precision: str = "fp32"
    quick: bool = False

    def made(self, origin: Origin) -> bool:
        """Tell whether a vector was made by this model, at this precision."""
        return is_same(origin.model, self.model) and origin.precision == self.precision


def origin_column(kind: str) -> str:
    """Name the column that says where the vectors of a kind come from."""
    return f"{kind}_origin"


def origin_feature() -> dict[str, Any]:
    """The type of that column."""
    import datasets

    return {name: datasets.Value("string") for name in Origin._fields}


def origin_array(origins: Sequence[Origin | None]) -> pa.Array:
    """Turn origins into an Arrow column, as Datasets keep them."""
    nothing = (None,) * len(Origin._fields)
    columns = zip(*(nothing if origin is None else origin for origin in origins), strict=True)
    arrays = [pa.array(column, pa.string()) for column in columns] or [pa.nulls(0, pa.string())] * len(nothing)
    missing = pa.array([origin is None for origin in origins], pa.bool_())
    return pa.StructArray.from_arrays(arrays, list(Origin._fields), mask=missing)


def add_origins(
    dataset: datasets.Dataset, kind: str, origins: Sequence[Origin | None], certain: bool = False
) -> datasets.Dataset:
    """Add the origins of a corpus's vectors to it, in place of earlier ones; no column where all are unknown.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        kind (str): `embedding` or `ba`.
        origins: one for each row; None where it is unknown.
        certain (bool): the vectors were made now, or compared with their origins: [`origins_of`] need not digest them
            again.
    """
    column = origin_column(kind)
    if column in dataset.column_names:
        dataset = dataset.remove_columns(column)
    if not any(origins):
        return dataset
    entries = origin_array(origins)
    dataset = dataset.add_column(column, entries, feature=origin_feature())
    if certain:
        _remember((dataset._fingerprint, kind), VectorOrigins(entries))
    return dataset


class VectorOrigins:
    """Where the vectors of a corpus come from, by columns: of many vectors, this is much less work than one by one.

    Args:
        entries (`pyarrow.StructArray` of shape `(rows,)`): the fields of [`Origin`]; null where it is unknown.
    """

    def __init__(self, entries: pa.StructArray):
        self._entries = entries
        self.known: np.ndarray = entries.is_valid().to_numpy(zero_copy_only=False)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Origin | None]:
        """Go through the rows: their origins; None where it is unknown."""
        fields = zip(*(self.field(name).to_pylist() for name in Origin._fields), strict=True)
        for values, known in zip(fields, self.known.tolist(), strict=True):
            yield Origin(*values) if known else None

    def field(self, name: str) -> pa.StringArray:
        """One field of all rows; an empty text where it is unknown."""
        if self._entries.type.get_field_index(name) < 0:  # of an earlier version of this package
            return pa.array([""] * len(self), pa.string())
        return pc.fill_null(pc.struct_field(self._entries, name), "")

    def counts(self, name: str) -> dict[str, int]:
        """Count the values of a field among the rows whose origin is known, in the order in which they appear."""
        counted = self.field(name).filter(pa.array(self.known)).value_counts()
        return {entry["values"]: entry["counts"] for entry in counted.to_pylist()}


def origins_of(dataset: datasets.Dataset, kind: str) -> list[Origin | None]:
    """The origins of a corpus's vectors, one for each row; None where it is unknown, or where there is no vector.

    An origin that a vector has, but which is that of another vector, is unknown: something else changed the vector.
    """
    return list(vector_origins(dataset, kind))


def vector_origins(dataset: datasets.Dataset, kind: str) -> VectorOrigins:
    """The same as [`origins_of`], by columns."""
    if kind not in dataset.column_names or not _has_origins(dataset, origin_column(kind)):
        return VectorOrigins(pa.nulls(len(dataset), pa.struct([(name, pa.string()) for name in Origin._fields])))
    key = (dataset._fingerprint, kind)  # as the documentation of datasets names it; there is no public name
    found = _RECENT.get(key) or _compared_origins(dataset, kind)
    _remember(key, found)
    return found


def _remember(key: tuple[str, str], origins: VectorOrigins) -> None:
    with _LOCK:
        _RECENT.pop(key, None)
        _RECENT[key] = origins
        while len(_RECENT) > _MOST_RECENT:
            _RECENT.pop(next(iter(_RECENT)))


# A step asks several times for the origins of one corpus, each of whose vectors is digested. The last ones are kept.
_RECENT: dict[tuple[str, str], VectorOrigins] = {}
_MOST_RECENT = 4
_LOCK = threading.Lock()


def _compared_origins(dataset: datasets.Dataset, kind: str) -> VectorOrigins:
    """Read the origins of vectors, and leave out those that are of other vectors."""
    entries = arrow_column(dataset, origin_column(kind)).combine_chunks()
    found = VectorOrigins(entries)
    digests = _digests(dataset, kind)
    noted = found.field("vector")
    same = pc.or_(pc.equal(noted, ""), pc.fill_null(pc.equal(noted, digests), False))
    named = pc.not_equal(found.field("model"), "")
    known = pc.and_(pc.and_(same, named), pc.and_(entries.is_valid(), digests.is_valid()))
    if pc.all(known).as_py():
        return found
    fields = [found.field(name) for name in Origin._fields]
    return VectorOrigins(pa.StructArray.from_arrays(fields, list(Origin._fields), mask=pc.invert(known)))


def _digests(dataset: datasets.Dataset, kind: str) -> pa.StringArray:
    """The digests of a corpus's vectors; null where there is no vector."""
    parts = []
    for matrix, present in (packed_chunks if kind == "ba" else vector_chunks)(dataset, kind):
        text = _digest_text(matrix).encode()
        ends = np.concatenate([[0], np.cumsum(present) * _DIGITS]).astype(np.int32)
        missing = None if present.all() else pa.array(present).buffers()[1]
        buffers = (pa.py_buffer(ends), pa.py_buffer(text), missing)
        parts.append(pa.StringArray.from_buffers(len(present), *buffers))
    return pa.concat_arrays(parts) if parts else pa.nulls(len(dataset), pa.string())


def _has_origins(dataset: datasets.Dataset, column: str) -> bool:
    """Tell whether a corpus has a column of origins, and not another column of that name."""
    feature = dataset.features.get(column)
    return isinstance(feature, dict) and {*_ALWAYS} <= feature.keys()


def makers_of(dataset: datasets.Dataset, kind: str) -> dict[str, int]:
    """Count the vectors that each model made: identities and numbers; under `""` those of unknown origin."""
    origins = vector_origins(dataset, kind)
    unknown = int((vector_present(dataset, kind) & ~origins.known).sum())
    return origins.counts("model") | ({"": unknown} if unknown else {})


def embedders_of(dataset: datasets.Dataset) -> list[str]:
    """Name the embedders behind the attributes of a corpus, as far as they are known, in the order of their names."""
    return sorted(filter(None, vector_origins(dataset, "ba").counts("embedder")))


def one_maker(dataset: datasets.Dataset, kind: str, maker: str) -> str | None:
    """Name the model that made all vectors of a kind.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        kind (str): `embedding` or `ba`.
        maker (str): what such a model is called: `embedder` or `autoencoder`.

    Returns:
        its identity; None if some vectors are of unknown origin.

    Raises:
        MismatchError: several models made them.
    """
    makers = makers_of(dataset, kind)
    wrong = other_makers([name for name in makers if name], None, kind, maker)
    if wrong is not None:
        raise MismatchError(wrong)
    unknown = makers.pop("", 0)
    if unknown and makers:
        logger.warning(
            "%d of %d vectors in the column %s are of unknown origin, and are taken to be of the same %s as the rest",
            *(unknown, unknown + sum(makers.values()), kind, maker),
        )
    return None if unknown or not makers else next(iter(makers))


def attributes_made_by(dataset: datasets.Dataset) -> tuple[str | None, str | None]:
    """Name the autoencoder and the embedder behind all attributes of a corpus, each None where it is unknown."""
    makers = makers_of(dataset, "ba")
    embedders = vector_origins(dataset, "ba").counts("embedder")
    autoencoder = next(iter(makers)) if len(makers) == 1 else None
    embedder = next(iter(embedders)) if len(embedders) == 1 and "" not in makers else None
    return autoencoder or None, embedder or None


def outdated_attributes(dataset: datasets.Dataset) -> str | None:
    """Tell of attributes that were made from other embeddings than those that are there now.

    Returns:
        a sentence that counts and names them; None if nothing is known to be wrong.
    """
    origins = vector_origins(dataset, "ba")
    if "embedding" not in dataset.column_names or not origins.known.any():
        return None
    embeddings = vector_origins(dataset, "embedding")
    # What an embedding's origin says of it was compared with it. Where one says nothing, digests are yet to be made.
    now = embeddings.field("vector")
    if pc.any(pc.equal(now, "")).as_py():
        now = _digests(dataset, "embedding")
    differs = pc.fill_null(pc.not_equal(now, origins.field("source")), False).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(origins.known & differs).tolist()
    if not wrong:
        return None
    names = name_some(dataset.select(wrong)["id"], 3)
    return f"The attributes of {len(wrong)} recordings ({names}) were made from other embeddings than are there now"


def mismatches(dataset: datasets.Dataset) -> list[str]:
    """What was wrong with the models that made a corpus's attributes, where the user allowed it: a sentence each."""
    return sorted(filter(None, vector_origins(dataset, "ba").counts("mismatch")))


def vector_digests(matrix: np.ndarray) -> list[str]:
    """Digest each vector of a matrix `(rows, values)`: 16 hexadecimal digits (XXH3) of its bytes, float32 or bits.

    A digest tells a vector that something changed by accident from the one that was written. It keeps nobody from
    changing both.
    """
    text = _digest_text(matrix)
    return [text[start : start + _DIGITS] for start in range(0, len(text), _DIGITS)]


_DIGITS = 16


def _digest_text(matrix: np.ndarray) -> str:
    """The digests of a matrix's vectors in hexadecimal digits, one after another."""
    return packed_digests(matrix).hex()


def packed_digests(matrix: np.ndarray) -> bytes:
    """The digests of [`vector_digests`], 8 bytes each, one after another; attributes may be packed (uint8) already."""
    if matrix.dtype == bool:
        matrix = np.packbits(matrix, axis=1, bitorder="little")
    elif matrix.dtype != np.uint8:
        matrix = matrix.astype("<f4", copy=False)
    if not matrix.size:
        return xxh3_64_digest(b"") * len(matrix)
    rows = np.ascontiguousarray(matrix).reshape(-1).view(np.uint8).data
    size = rows.nbytes // len(matrix)
    return b"".join([xxh3_64_digest(rows[start : start + size]) for start in range(0, rows.nbytes, size)])


@dataclass(frozen=True)
class Standing:
    """What is known against vectors that are there already, each bool `(rows,)`.

    Attributes:
        other: another model made them, or the same one at another precision.
        stale: this model made them, but of other audio, or another embedding, than is there now.
        unknown: nothing says what made them.
    """

    other: np.ndarray
    stale: np.ndarray
    unknown: np.ndarray

    @classmethod
    def of(
        cls,
        present: np.ndarray,
        origins: Sequence[Origin | None],
        maker: Maker,
        sources: Callable[[list[int], bool], Sequence[str]],
    ) -> Standing:
        """Compare the vectors that are there with what would be made now.

        Args:
            present (bool `(rows,)`): which rows have a vector.
            origins: where it comes from, one for each row.
            maker: what would make it now.
            sources: given rows, and whether to be quick, tells what their vectors would be made from; an empty text
                where that is not there.
        """
        other, stale, unknown = (np.zeros(len(present), dtype=bool) for _ in range(3))
        judged: dict[bool, list[int]] = {False: [], True: []}
        for row in np.flatnonzero(present).tolist():
            origin = origins[row]
            if origin is None:
                unknown[row] = True
            elif not maker.made(origin):
                other[row] = True
            elif origin.source:
                judged[origin.source.startswith("stat:")].append(row)
        for quick, rows in judged.items():
            for row, source in zip(rows, sources(rows, quick) if rows else (), strict=True):
                stale[row] = source not in ("", origins[row].source)  # type: ignore[union-attr]  # known, as above
        return cls(other, stale, unknown)


def check_vectors(dataset: datasets.Dataset, kind: str, maker: Maker, needs: str) -> None:
    """Check that the vectors that are there already are what the model would make.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        kind (str): `embedding` or `ba`.
        maker: the model.
        needs (str): the column that the vectors are made from: `audio` or `embedding`.

    Raises:
        UserError: some were made by another model, at another precision, or from something else than is there now.
    """
    present = vector_present(dataset, kind)
    if not present.any():
        return
    origins = origins_of(dataset, kind)
    standing = Standing.of(present, origins, maker, partial(sources_of, dataset, needs))
    for wrong, what in (
        (standing.other, "made by another model or at another precision"),
        (standing.stale, f"made from other {needs} than is there now"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            origin = origins[row]
            assert origin is not None  # it was compared
            raise UserError(
                f"{wrong.sum()} of the {present.sum()} vectors in the column {kind} were {what}, such as that of "
                f"{dataset[row]['id']}, by {shown(origin.model)} at {origin.precision}, where {shown(maker.model)} at "
                f"{maker.precision} is to make the others: compute them anew with force=True"
            )


def sources_of(dataset: datasets.Dataset, needs: str, rows: list[int], quick: bool) -> list[str]:
    """Tell what the vectors of some rows would be made from; see [`Origin.source`].

    Args:
        dataset (`datasets.Dataset`): a corpus.
        needs (str): the column that the vectors are made from: `audio` or `embedding`.
        rows: of the corpus.
        quick (bool): as for [`audio_source`].
    """
    if needs not in dataset.column_names:
        return [""] * len(rows)
    part = dataset if len(rows) == len(dataset) else dataset.select(rows)
    if needs == "audio":
        with ThreadPoolExecutor() as pool:
            return list(pool.map(partial(audio_source, quick=quick), part["audio"]))
    found = [""] * len(rows)
    present = np.flatnonzero(vector_present(part, needs)).tolist()
    if present:
        for row, digest in zip(present, vector_digests(vector_matrix(part, needs)[0]), strict=True):
            found[row] = digest
    return found
