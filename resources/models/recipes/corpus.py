"""What `audio.py` wrote: the table of recordings, and their samples."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Recordings:
    """The recordings of one part, in the order of the table.

    Args:
        columns (dict of str to `np.ndarray`): the labels `id`, `speaker` (empty if unknown), `source`, `session`,
            `sex`, `language`, `channel` and `audio`, each of shape `(recordings,)`.
        starts (`np.ndarray` of shape `(recordings,)`): where a recording starts among all samples.
        lengths (`np.ndarray` of shape `(recordings,)`): its number of samples.
        samples (`np.ndarray`, int16): the samples of all parts, mapped from the disk.
    """

    columns: dict[str, np.ndarray]
    starts: np.ndarray
    lengths: np.ndarray
    samples: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def waveform(self, row: int, start: int = 0, length: int | None = None) -> np.ndarray:
        """Return samples of a recording, float32 in [-1, 1]."""
        length = int(self.lengths[row]) - start if length is None else length
        begin = int(self.starts[row]) + start
        return self.samples[begin : begin + length].astype(np.float32) / 32767


def recordings(work: Path, *parts: str) -> Recordings:
    """Read the table of `work`, the recordings of these parts only."""
    with (work / "table.csv").open(newline="", encoding="utf-8") as file:
        table = [row for row in csv.DictReader(file) if row["part"] in parts]
    names = [name for name in table[0] if name not in ("start", "samples")]
    return Recordings(
        {name: np.array([row[name] for row in table]) for name in names},
        np.array([int(row["start"]) for row in table]),
        np.array([int(row["samples"]) for row in table]),
        np.memmap(work / "samples.i16", dtype="<i2", mode="r"),
    )
