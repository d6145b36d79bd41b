"""Level dynamics: how much louder and fainter the voice gets, whatever the level of the recording."""

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.frames import in_blocks, windows_at

# Seconds of the window: an effective 64 ms, which smooths over single periods of the voice.
WINDOW = 0.128
# Decibels relative to full scale: what stands for the level of nothing at all.
LEAST = -200.0
# Percentiles between which the range is measured.
RANGE_PERCENTILES = (10, 90)


def level_track(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The level around each time, as Praat's intensity with a lowest F0 of 50 Hz has it.

    Args:
        samples (`(samples,)`): at 16 kHz.
        times (`(frames,)`): in seconds, sorted.

    Returns:
        float64 `(frames,)`: in dB relative to full scale, at least -200.
    """
    size = round(WINDOW * SAMPLING_RATE)
    window = np.kaiser(size, 20.24)
    window /= window.sum()
    powers = np.zeros(len(times))
    for block in in_blocks(len(times)):
        frames = windows_at(samples, times[block], size)
        frames -= (frames @ window)[:, None]
        powers[block] = np.square(frames) @ window
    return np.maximum(LEAST, 10 * np.log10(np.maximum(powers, 1e-300)))


def level_range(levels: np.ndarray) -> float:
    """Decibels between the 10th and the 90th percentile of the levels of voiced frames, `(frames,)`, not empty."""
    low, high = np.percentile(levels, RANGE_PERCENTILES)
    return float(high - low)
