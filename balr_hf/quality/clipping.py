"""Clipping: the share of samples that stand on a flat top."""

import numpy as np

# So many equal samples in a row make a flat top.
SHORTEST_RUN = 3
# Samples that differ by no more than one step of 16 bits count as equal.
STEP = 1.01 / 32_768


def clipping(samples: np.ndarray) -> float:
    """The share of samples in runs of three or more at the highest or the lowest value of the recording.

    It is to be measured at the recording's own sampling rate, before anything is resampled. What was clipped and then
    coded with losses (MP3, Opus) or filtered has no flat tops any more, and is not found.

    Args:
        samples (`(samples,)`): floats.

    Returns:
        between 0 and 1.
    """
    if not samples.size or float(np.ptp(samples)) <= 2 * STEP:
        return 0.0
    clipped = _in_runs(samples >= samples.max() - STEP) + _in_runs(samples <= samples.min() + STEP)
    return clipped / len(samples)


class FlatTops:
    """Counts the samples on flat tops, of a recording that comes in blocks.

    Args:
        lowest, highest: the extreme samples of the whole recording.
    """

    def __init__(self, lowest: np.float32, highest: np.float32):
        self.lowest, self.highest = lowest, highest
        self._count = self._clipped = 0
        self._open = [0, 0]  # lengths of the runs that the last sample belongs to, at the top and at the bottom

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples `(samples,)`."""
        self._count += len(samples)
        for kind, marked in enumerate((samples >= self.highest - STEP, samples <= self.lowest + STEP)):
            first, last = (int(np.argmin(side)) for side in (marked, marked[::-1]))
            if marked.all():
                self._open[kind] += len(marked)
                continue
            self._close(kind, first)
            self._clipped += _in_runs(marked[first : len(marked) - last])
            self._open[kind] = last

    def share(self) -> float:
        """What [`clipping`] tells of the whole recording."""
        for kind in range(2):
            self._close(kind, 0)
        flat = float(self.highest - self.lowest) <= 2 * STEP
        return 0.0 if flat or not self._count else self._clipped / self._count

    def _close(self, kind: int, more: int) -> None:
        length = self._open[kind] + more
        self._clipped += length if length >= SHORTEST_RUN else 0
        self._open[kind] = 0


def _in_runs(marked: np.ndarray) -> int:
    """How many of the marked samples are in runs of at least `SHORTEST_RUN`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= SHORTEST_RUN].sum())
