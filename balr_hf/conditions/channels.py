"""Each channel of a corpus's recordings as a recording of its own: FLAC files, and a csv of what each was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.audio import LongAudio, count_channels, open_audio, reason_not_decoded
from balr_hf.conditions.copies import (
    SOURCE,
    SavedCopies,
    claim_folder,
    encode_flac,
    paths_of_copies,
    plain_columns,
    read_original,
    write_csv,
)
from balr_hf.data.columns import recording_ids
from balr_hf.data.skipped import Skipped, write_skipped
from balr_hf.errors import UserError, name_some

if TYPE_CHECKING:
    import datasets

    from balr_hf.data.contract import Corpus

# The column of the csv that says which channel of the original a recording is, counted from 1.
CHANNEL = "source_channel"
# What is not carried over: whose voice each channel holds is not known.
SPEAKER = "speaker"


def save_channels(
    corpus: str | Path | datasets.Dataset | Corpus, save_dir: str | Path, *, progress: bool = False
) -> SavedCopies:
    """Save each channel of a corpus's recordings as a recording of its own, as `balr channels` does.

    The folder then holds FLAC files of 24 bits at the recordings' own rates, with the samples of the originals;
    `metadata.csv`, which has all columns of texts and numbers but `speaker`, and `source_id` and `source_channel`;
    `skipped.csv`; and a record of what it is a copy of. A recording with one channel keeps its id, others become
    `ID-channel1`, `ID-channel2` and so on. If a run was stopped, the same call continues it.

    Args:
        corpus: what [`load_corpus`] takes: a path, a dataset on the Hub or a `datasets.Dataset`; or a [`Corpus`].
        save_dir: the folder for the copies, new, empty or that of a stopped run.
        progress (bool): show a progress bar.

    Returns:
        [`SavedCopies`]

    Raises:
        UserError: the corpus has no audio or cannot be read, its ids clash with those of the copies, or the folder
            holds other things.

    Example:
        >>> save_channels("calls/", "sides")  # doctest: +SKIP
    """
    from tqdm.auto import tqdm

    corpus, folder = read_original(corpus), Path(save_dir)
    dataset = corpus.dataset
    claim_folder(folder, corpus, {"channels": "each"})
    names, skipped = recording_ids(dataset), list(corpus.skipped)
    channels: dict[str, int] = {}
    for name, audio in tqdm(
        zip(names, dataset["audio"], strict=True),
        total=len(names),
        desc="Looking at channels",
        unit="recording",
        disable=not progress,
    ):
        try:
            channels[name] = count_channels(audio)
        except Exception as error:
            skipped.append(Skipped(name, reason_not_decoded(error)))
    sides = [(name, number) for name, count in channels.items() for number in range(1, count + 1)]
    ids = [name if channels[name] == 1 else f"{name}-channel{number}" for name, number in sides]
    twice = {name for name in ids if ids.count(name) > 1} if len(set(ids)) < len(ids) else set()
    if twice:
        raise UserError(f"the corpus has the ids {name_some(sorted(twice))}, which channels would have: rename them")
    paths = [folder / "audio" / place for place in paths_of_copies(ids)]
    row_of = {name: row for row, name in enumerate(names)}
    before = sum(path.is_file() for path in paths)
    for (name, number), path in tqdm(
        list(zip(sides, paths, strict=True)), desc="Saving channels", unit="recording", disable=not progress
    ):
        if path.is_file():
            continue
        try:
            _save_channel(dataset[row_of[name]]["audio"], number, path)
        except Exception as error:
            of = f" (channel {number})" if channels[name] > 1 else ""
            skipped.append(Skipped(name, reason_not_decoded(error) + of))
    kept = [name for name in plain_columns(dataset) if name not in (SPEAKER, CHANNEL)]
    rows = (
        (own, path, row_of[name], (name, number)) for own, path, (name, number) in zip(ids, paths, sides, strict=True)
    )
    made = write_csv(folder, dataset, kept, (SOURCE, CHANNEL), rows)
    write_skipped(folder / "skipped.csv", skipped)
    return SavedCopies(folder, made, before, skipped)


def _save_channel(audio: Any, channel: int, path: Path) -> None:
    """Write one channel of a recording as FLAC of 24 bits at its own rate; complete or not at all."""
    opened = open_audio(audio, channel)
    rate = opened.sampling_rate if isinstance(opened, LongAudio) else opened[1]
    blocks = opened.blocks() if isinstance(opened, LongAudio) else [opened[0]]
    encode_flac(path, map(_in_24_bits, blocks), rate, "s32")


def _in_24_bits(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as the upper 24 bits of int32 `(samples,)`."""
    exact = np.round(samples.astype(np.float64) * 2**23)
    return np.clip(exact, -(2**23), 2**23 - 1).astype(np.int32) * np.int32(2**8)
