"""The audio behind the vectors of a corpus: whether it was replaced, and which recordings hold the same audio."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.data.audio_sources import file_stat
from balr_hf.data.columns import arrow_column, comparable_name, recording_ids, speaker_names
from balr_hf.data.origins import sources_of, vector_origins
from balr_hf.errors import name_some

if TYPE_CHECKING:
    import datasets

# The field of an origin that tells the audio: of an embedding what it was made from, of attributes what that was.
_FIELDS = {"embedding": "source", "ba": "audio"}


def replaced_audio(
    dataset: datasets.Dataset, thorough: bool = False, kinds: Sequence[str] = ("embedding", "ba")
) -> np.ndarray:
    """Tell which recordings have vectors of other audio than is there now.

    A file whose size and time of change are those of when it was read is taken for unchanged; another one is digested
    and compared. Audio that is not there, or of which the vectors' origins tell nothing, is not compared.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        thorough (bool): digest every file, and also audio that a Dataset holds itself.
        kinds: of the vectors that are looked at: `embedding`, `ba`.

    Returns:
        bool `(rows,)`.
    """
    replaced = np.zeros(len(dataset), dtype=bool)
    paths = _audio_paths(dataset)
    if paths is None:
        return replaced
    stats: dict[int, str] = {}  # of the files now: a recording has two vectors
    doubtful: dict[bool, dict[int, set[str]]] = {False: {}, True: {}}
    for kind in kinds:
        if kind not in dataset.column_names:
            continue
        field, origins = _FIELDS[kind], vector_origins(dataset, kind)
        columns = (origins.field(name).to_pylist() for name in (field, "stat"))
        for row, (source, stat) in enumerate(zip(*columns, strict=True)):
            if not source:
                continue
            if not thorough:
                path = paths[row]
                if row not in stats:
                    stats[row] = "" if path is None else file_stat(path)
                if stats[row] in ("", source, stat):
                    continue
            doubtful[source.startswith("stat:")].setdefault(row, set()).add(source)
    for quick, sources in doubtful.items():
        rows = list(sources)
        for row, now in zip(rows, sources_of(dataset, "audio", rows, quick) if rows else (), strict=True):
            replaced[row] |= bool(now) and sources[row] != {now}
    return replaced


def describe_replaced_audio(
    dataset: datasets.Dataset, thorough: bool = False, kinds: Sequence[str] = ("embedding", "ba")
) -> str | None:
    """Say which recordings have vectors of other audio than is there now; None if there are none.

    Args:
        dataset, thorough, kinds: as for [`replaced_audio`].
    """
    rows = np.flatnonzero(replaced_audio(dataset, thorough, kinds))
    if not rows.size:
        return None
    names = name_some(dataset.select(rows)["id"])
    return (
        f"The audio of {rows.size} of {len(dataset)} recordings ({names}) was replaced since their vectors were "
        "made: run balr extract and then balr binarize again, which make those anew"
    )


def audio_keys(dataset: datasets.Dataset) -> list[str | None]:
    """Tell the audio of each recording apart from that of others, as far as it is known.

    Returns:
        one text for each row, which is the same for two recordings if they hold the same audio: the SHA-256 that was
        noted when the audio was embedded, else the path of the audio file; None where neither is known.
    """
    paths = _audio_paths(dataset) or [None] * len(dataset)
    found = [f"file:{path}" if path is not None and os.path.isabs(path) else None for path in paths]
    for kind, field in _FIELDS.items():
        if kind not in dataset.column_names:
            continue
        for row, source in enumerate(vector_origins(dataset, kind).field(field).to_pylist()):
            if source.startswith("sha256:"):
                found[row] = source
    return found


def audio_paths(dataset: datasets.Dataset) -> list[str | None] | None:
    """Read the paths in the column `audio`, and no audio that a Dataset may hold itself.

    Args:
        dataset (`datasets.Dataset`): any; its column `audio` may hold `Audio`, dicts with `path`, or paths.

    Returns:
        one path for each row, None where there is none; None if the column has no paths.
    """
    import datasets

    feature = dataset.features.get("audio")
    if not len(dataset) or feature is None:
        return None
    audio = dataset.select_columns(["audio"]).with_format(None)
    if isinstance(feature, datasets.Audio):
        audio = audio.cast_column("audio", datasets.Audio(decode=False))
    flat = audio.flatten()
    if datasets.Value("string") not in (flat.features.get("audio"), flat.features.get("audio.path")):
        return None
    paths: list[str | None] = arrow_column(
        flat, "audio.path" if "audio.path" in flat.features else "audio"
    ).to_pylist()
    return paths


def _audio_paths(dataset: datasets.Dataset) -> list[str | None] | None:
    """The paths beside the audio; None if there is no column of `Audio`."""
    import datasets

    return audio_paths(dataset) if isinstance(dataset.features.get("audio"), datasets.Audio) else None


def ids_of_audio(dataset: datasets.Dataset) -> list[str]:
    """Name each recording by its audio: two ids of the same audio become one.

    Returns:
        for each row the id, as ids are compared; where several recordings hold the same audio, the first of their ids
        in the order of the alphabet.
    """
    ids = [comparable_name(name) for name in recording_ids(dataset)]
    keys = audio_keys(dataset)
    known = [key for key in keys if key is not None]
    if len(set(known)) == len(known):
        return ids
    first: dict[str, str] = {}
    for name, key in zip(ids, keys, strict=True):
        if key is not None:
            first[key] = min(first.get(key, name), name)
    return [name if key is None else first[key] for name, key in zip(ids, keys, strict=True)]


def describe_contradicted_speakers(dataset: datasets.Dataset, names: Iterable[str] | None = None) -> str | None:
    """Say which recordings hold the same audio, but are said to be of several speakers; None if there are none.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        names (*optional*): the ids of the recordings that are looked at, as ids are compared; all by default.
    """
    if "speaker" not in dataset.column_names:
        return None
    ids, heard = [comparable_name(name) for name in recording_ids(dataset)], ids_of_audio(dataset)
    if len(set(heard)) == len(heard):
        return None
    wanted = None if names is None else set(names)
    rows_of: dict[str, list[tuple[str, str]]] = {}
    for name, audio, speaker in zip(ids, heard, speaker_names(dataset), strict=True):
        if speaker is not None and (wanted is None or name in wanted):
            rows_of.setdefault(audio, []).append((name, speaker))
    found = [rows for rows in rows_of.values() if len({speaker for _, speaker in rows}) > 1]
    if not found:
        return None
    told = [" and ".join(f"{name} of {speaker}" for name, speaker in rows) for rows in found]
    return f"{len(found)} recordings are in the corpus as of several speakers, though the audio is the same: " + (
        name_some(told, 3)
    )
