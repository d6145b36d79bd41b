"""Corpora that are streamed: their vectors go to parquet files, a block of recordings each, and no audio is kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.data.columns import VECTOR_KINDS, add_vector_column, fixed_length_column, recording_ids, vector_present
from balr_hf.data.contract import from_dataset
from balr_hf.data.origins import (
    Standing,
    origin_array,
    origin_column,
    origin_feature,
    origins_of,
    sources_of,
)
from balr_hf.data.quality import COLUMN as QUALITY_COLUMN
from balr_hf.data.quality import quality_feature
from balr_hf.data.saving import STREAM_RECORD, load_parquet, read_json
from balr_hf.data.skipped import Skipped, warn_skipped
from balr_hf.errors import UserError, name_some
from balr_hf.files import atomic_path, write_json
from balr_hf.identity import digest_of

if TYPE_CHECKING:
    import datasets

    from balr_hf.data.origins import Maker

# How many recordings a parquet file holds, and are in memory together.
BLOCK = 1000
# What vectors are computed from, as messages call it.
_CALLED = {"audio": "audio", "embedding": "embeddings"}


def stream_vectors(
    source: datasets.IterableDataset,
    kind: str,
    compute: Callable[..., tuple[datasets.Dataset, list[Skipped]]],
    needs: str,
    maker: Maker,
    save_dir: str | Path,
) -> datasets.Dataset:
    """Compute the vectors of a corpus that is streamed.

    Each block goes to a parquet file as soon as it is done, which `datasets.load_dataset` and the Hub read. A run that
    was stopped goes on after the last whole block; the stream must then yield the same recordings in the same order.

    Args:
        source (`datasets.IterableDataset`): a corpus with `id`, and `audio` or `embedding`.
        kind (str): `embedding` or `ba`.
        compute: computes the vectors of a block, as those that stores are filled by do.
        needs (str): the column that they are computed from.
        maker: the model.
        save_dir: the folder of the parquet files.

    Returns:
        the corpus with its vectors, without audio.

    Raises:
        UserError: the stream has no ids, or yields other recordings or other audio than before, or the folder holds
            the vectors of another model or kind.
    """
    import datasets

    folder = Path(save_dir)
    key = f"{kind} {digest_of(maker.model)} {maker.precision} {BLOCK}"
    if (folder / STREAM_RECORD).exists():
        known = read_json(folder / STREAM_RECORD)
        if not isinstance(known, dict) or known.get("key") != key:
            raise UserError(f"{folder} holds vectors of another kind or model: choose another save_dir")
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other things than streamed vectors: save to a folder of its own")
    else:
        write_json(folder / STREAM_RECORD, {"key": key})  # the number of files follows when the folder is whole
    skipped: list[Skipped] = []
    size = 0  # how many values a vector has, once that is known
    features = None if source.features is None else source.features.copy()
    has_audio = features is not None and isinstance(features.get("audio"), datasets.Audio)
    if features is not None and has_audio:  # as it is stored, since a Dataset would encode it
        source = source.cast_column("audio", datasets.Audio(decode=False))
        features["audio"] = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    stream = iter(source)
    blocks = 0
    for number, rows in enumerate(iter(lambda: list(itertools.islice(stream, BLOCK)), [])):
        blocks = number + 1
        path = folder / f"part-{number:06d}.parquet"
        ids = [row.get("id") for row in rows]
        if None in ids:
            raise UserError("a corpus that is streamed needs the column id, with a value in every row")
        dataset = datasets.Dataset.from_list(rows, features=features)
        corpus = from_dataset(
            dataset.cast_column("audio", datasets.Audio(decode=False)) if has_audio else dataset, VECTOR_KINDS
        )
        if path.exists():
            done = load_parquet([str(path)], path, keep_in_memory=True)
            size = done.features[kind].length
            if done["id"][:] != [str(name) for name in ids]:
                raise UserError(f"{path} has other recordings than the stream yields now: choose another save_dir")
            sources = partial(sources_of, corpus.dataset, needs)
            stale = Standing.of(vector_present(done, kind), origins_of(done, kind), maker, sources).stale
            if stale.any():
                names = name_some([ids[row] for row in np.flatnonzero(stale).tolist()])
                raise UserError(
                    f"{path} has vectors of {stale.sum()} recordings ({names}) of other {_CALLED[needs]} than the "
                    "stream yields now: choose another save_dir"
                )
            continue
        if needs not in corpus.dataset.column_names:
            raise UserError(f"the stream has no {needs} to compute from: {', '.join(corpus.dataset.column_names)}")
        if size and needs == "embedding" and not vector_present(corpus.dataset, needs).any():
            nothing = fixed_length_column(np.zeros((len(rows), size), dtype=bool), np.zeros(len(rows), dtype=bool))
            result = add_vector_column(corpus.dataset, kind, nothing)
            left_out = [Skipped(name, "no embedding") for name in recording_ids(result)]
        else:
            result, left_out = compute(corpus.dataset, save=_nothing)
            size = result.features[kind].length
        skipped += [*corpus.skipped, *left_out]
        with atomic_path(path) as temporary:
            _of_all_columns(result, kind).to_parquet(str(temporary))
    warn_skipped(skipped, "The run")
    parts = sorted(map(str, folder.glob("part-*.parquet")))
    if not parts:
        raise UserError("the stream yields no recording")
    if len(parts) != blocks:
        raise UserError(
            f"{folder} has {len(parts)} parquet files, the stream yields {blocks}: choose another save_dir"
        )
    write_json(folder / STREAM_RECORD, {"key": key, "files": blocks})
    return from_dataset(load_parquet(parts, folder), VECTOR_KINDS).dataset  # which also tells of ids that occur twice


def _nothing(*_: Any) -> None:
    """Keeps nothing: a block is kept when it is whole."""


def _of_all_columns(dataset: datasets.Dataset, kind: str) -> datasets.Dataset:
    """Bring a block to the columns that every block has, also where nothing is known or nothing could be computed."""
    if "audio" in dataset.column_names:
        dataset = dataset.remove_columns("audio")
    nothing = [None] * len(dataset)
    if origin_column(kind) not in dataset.column_names:
        dataset = dataset.add_column(origin_column(kind), origin_array(nothing), feature=origin_feature())
    if kind == "embedding" and QUALITY_COLUMN not in dataset.column_names:
        dataset = dataset.add_column(QUALITY_COLUMN, nothing, feature=quality_feature())
    return dataset
