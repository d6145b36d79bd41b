"""Harmonics-to-noise ratio (HNR): how much of a voiced sound repeats from one period to the next.

Reference:
    P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
    sampled sound", IFA Proceedings 17, 1993, eq. 4; with the Gaussian window of Praat's To Harmonicity (ac).
"""

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.autocorrelation import LOWEST_F0, Autocorrelation, peaks, refined
from balr_hf.phonetics.frames import gaussian_window, in_blocks, windows_at

# Periods of the lowest F0 that the window looks at; it is twice as long.
PERIODS = 4.5
# Decibels: what is told apart.
LOWEST, HIGHEST = -20.0, 60.0

_SIZE = round(2 * PERIODS * SAMPLING_RATE / LOWEST_F0)


def hnr_track(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The harmonics-to-noise ratio around each time.

    Args:
        samples (`(samples,)`): at 16 kHz.
        times (`(frames,)`): in seconds, sorted; voiced frames, since the ratio means nothing elsewhere.

    Returns:
        float64 `(frames,)`: `10 log10(r / (1 - r))` of the highest peak r of the autocorrelation in dB, from -20 to
        60; NaN where there is none.
    """
    found = np.full(len(times), np.nan)
    autocorrelation = Autocorrelation(gaussian_window(_SIZE), finer=4)
    for block in in_blocks(len(times), 100):
        frames = windows_at(samples, times[block], _SIZE)
        frames -= frames.mean(1, keepdims=True)
        correlations = autocorrelation(frames)
        first = autocorrelation.first
        heights = np.where(peaks(correlations, first), correlations[:, first:-1], -np.inf)
        lags = heights.argmax(1)
        rows = np.arange(len(frames))
        some = np.isfinite(heights[rows, lags])
        _, height = refined(correlations, rows, lags + first)
        height = np.clip(height, 1e-9, 1 - 1e-9)
        found[block] = np.where(some, 10 * np.log10(height / (1 - height)), np.nan)
    return np.clip(found, LOWEST, HIGHEST)
