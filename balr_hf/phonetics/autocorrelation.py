"""Autocorrelation of a windowed frame, divided by that of the window: what F0 and HNR are read from.

Reference:
    P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
    sampled sound", IFA Proceedings 17, 1993, eq. 9.
"""

import numpy as np
import scipy.fft

from balr_hf.audio import SAMPLING_RATE

# Hz: between which F0 is looked for. Praat's defaults.
LOWEST_F0, HIGHEST_F0 = 75.0, 600.0


class Autocorrelation:
    """Computes autocorrelations with a window, at lags up to the period of the lowest F0.

    Between two samples, the autocorrelation is interpolated exactly (its spectrum is filled up with zeros), which
    matters: the height of a peak between two samples decides on the HNR.

    Args:
        window (`(size,)`): what frames are multiplied by.
        finer (int): into how many steps a sample is divided.

    Attributes:
        rate: lags per second.
        first, last: the lags of the highest and the lowest F0, and one more on either side.
    """

    def __init__(self, window: np.ndarray, finer: int):
        self.window, self.rate = window, finer * SAMPLING_RATE
        self.first = int(self.rate / HIGHEST_F0)
        self.last = int(np.ceil(self.rate / LOWEST_F0)) + finer
        self._size = scipy.fft.next_fast_len(len(window) + self.last // finer + 2, real=True)
        self._finer = finer
        self._of_window = self._raw(window[None])[0]

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """The normalised autocorrelation `(frames, last + 1)` of frames `(frames, size)`: 1 at lag 0.

        Frames of zeros have zeros at all lags.
        """
        found = self._raw(frames * self.window)
        power = found[:, :1].copy()
        scale = np.divide(1.0, power, out=np.zeros_like(power), where=power > 1e-30)
        found *= scale
        found *= self._of_window[0] / self._of_window
        return found

    def _raw(self, windowed: np.ndarray) -> np.ndarray:
        spectrum = scipy.fft.rfft(windowed, self._size)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        return scipy.fft.irfft(power, self._size * self._finer)[:, : self.last + 1]


def peaks(found: np.ndarray, first: int) -> np.ndarray:
    """Which lags from `first` on are local maxima: bool `(frames, lags - first - 1)`; the last lag is none."""
    middle = found[:, first:-1]
    return (middle > found[:, first - 1 : -2]) & (middle >= found[:, first + 1 :])


def refined(found: np.ndarray, rows: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place and height of maxima between lags, by a parabola through three points.

    Args:
        found (`(frames, lags)`): the autocorrelations.
        rows, lags (int, of one shape): where the maxima are.

    Returns:
        `(places, heights)`: float64 of that shape. Heights above 1, which an autocorrelation cannot have and the
        division by the window's may cause, are turned into their inverse, as Praat does.
    """
    before, at, after = (found[rows, lags + step] for step in (-1, 0, 1))
    slope, bend = 0.5 * (after - before), 2 * at - before - after
    shift = np.divide(slope, bend, out=np.zeros_like(at), where=bend > 1e-12)
    heights = at + 0.5 * slope * shift
    return lags + shift, np.where(heights > 1, 1 / np.maximum(heights, 1e-12), heights)
