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


def _in_runs(marked: np.ndarray) -> int:
    """How many of the marked samples are in runs of at least `SHORTEST_RUN`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= SHORTEST_RUN].sum())
