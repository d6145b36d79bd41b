"""The frames that all measures of the voice share: one every 10 ms, and a window of a measure's own length on each."""

from collections.abc import Iterator

import numpy as np

from balr_hf.audio import SAMPLING_RATE

# Seconds from one frame to the next, and seconds at either end of a recording that have no frame.
STEP, MARGIN = 0.01, 0.02
# Frames that are looked at together: ten seconds, which bounds memory and stays in the processor's cache.
FRAMES_TOGETHER = 1_000


def frame_times(num_samples: int) -> np.ndarray:
    """The centres of all frames, in seconds: 10 ms apart, in the middle of the recording.

    These are the times of Praat's pitch analysis with a lowest F0 of 75 Hz, so that tracks can be compared.

    Args:
        num_samples (int): of the recording at 16 kHz.

    Returns:
        float64 `(frames,)`; empty if the recording is shorter than 40 ms.
    """
    duration = num_samples / SAMPLING_RATE
    # a microsecond of grace: the duration of a whole number of frames may be rounded down
    count = int(np.floor((duration - 2 * MARGIN) / STEP + 1e-6)) + 1 if duration >= 2 * MARGIN else 0
    return duration / 2 + (np.arange(count) - (count - 1) / 2) * STEP


def windows_at(samples: np.ndarray, times: np.ndarray, size: int, rate: float = SAMPLING_RATE) -> np.ndarray:
    """A stretch of samples around each time; beyond the ends of the recording there are zeros.

    Args:
        samples (`(samples,)`): of the recording.
        times (`(frames,)`): the centres, in seconds.
        size (int): samples of a stretch.
        rate (float): of the samples, in Hz.

    Returns:
        float64 `(frames, size)`.
    """
    if not times.size:
        return np.zeros((0, size))
    starts = np.round(times * rate - size / 2).astype(np.int64)
    first, last = int(starts[0]), int(starts[-1]) + size
    held = np.zeros(last - first)
    low, high = max(0, first), min(len(samples), last)
    held[low - first : high - first] = samples[low:high]
    return np.lib.stride_tricks.sliding_window_view(held, size)[starts - first]


def in_blocks(count: int, block: int = FRAMES_TOGETHER) -> Iterator[slice]:
    """Which frames of `count` are looked at together, one slice after another."""
    for start in range(0, count, block):
        yield slice(start, min(start + block, count))


def within(times: np.ndarray, stretches: list[tuple[float, float]]) -> np.ndarray:
    """Which times, sorted `(frames,)` in seconds, are inside one of the stretches `(start, end)`: bool `(frames,)`."""
    inside = np.zeros(len(times), dtype=bool)
    for start, end in stretches:
        inside[np.searchsorted(times, start) : np.searchsorted(times, end)] = True
    return inside


def runs(marked: np.ndarray) -> np.ndarray:
    """The runs of True in bool `(frames,)`: int `(runs, 2)`, the first frame and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def gaussian_window(size: int) -> np.ndarray:
    """Praat's Gaussian window: it falls to exp(-12) at its ends, and is about twice as long as what it looks at.

    Reference:
        P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
        sampled sound", IFA Proceedings 17, 1993; the window is that of Praat's source, Sound_to_Formant.cpp.
    """
    away = np.arange(size) - (size - 1) / 2
    edge = np.exp(-12.0)
    return (np.exp(-48.0 * np.square(away) / (size + 1) ** 2) - edge) / (1 - edge)
