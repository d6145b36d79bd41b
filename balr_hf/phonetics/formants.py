"""Formants: resonances of the vocal tract, from the poles of linear prediction.

References:
    J. P. Burg, "Maximum entropy spectral analysis", 1975; D. G. Childers, "Modern spectrum analysis", 1978, pp.
    252-255: the recursion. Resampling, pre-emphasis, window and the choice of poles are those of Praat's To Formant
    (burg).
    W. T. Fitch, "Vocal tract length and formant frequency dispersion correlate with body size in rhesus macaques",
    JASA 102(2), 1997: the dispersion.
"""

from functools import lru_cache

import numpy as np
import scipy.signal

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.frames import gaussian_window, in_blocks, windows_at

# Hz: up to where five formants are looked for. It is the same for every voice, so that the measure does not depend on
# a guess of the speaker's sex.
CEILING = 5_500
NUMBER = 4
# Poles, two for each of five formants; seconds of the window; Hz from which frequencies are raised by 6 dB per octave.
ORDER, WINDOW, PREEMPHASIS = 10, 0.05, 50.0
# Hz: a pole that is nearer to 0 Hz or to the ceiling is not a formant.
SAFETY = 50.0
# Zero crossings of the resampling filter on either side; as many as Praat takes.
STEEPNESS = 50

_UP = 2 * CEILING // int(np.gcd(2 * CEILING, SAMPLING_RATE))
_DOWN = SAMPLING_RATE // int(np.gcd(2 * CEILING, SAMPLING_RATE))


def formant_track(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Find F1 to F4 around each time.

    Args:
        samples (`(samples,)`): at 16 kHz.
        times (`(frames,)`): in seconds, sorted.

    Returns:
        float64 `(frames, 4)`, in Hz, rising; NaN where there are fewer.
    """
    tracks = np.full((len(times), NUMBER), np.nan)
    if not times.size:
        return tracks
    rate = 2 * CEILING
    lower = scipy.signal.resample_poly(samples.astype(np.float64), _UP, _DOWN, window=_low_pass())
    lower[1:] -= np.exp(-2 * np.pi * PREEMPHASIS / rate) * lower[:-1]
    size = round(WINDOW * rate)
    window = gaussian_window(size)
    for block in in_blocks(len(times)):
        frames = windows_at(lower, times[block], size, rate) * window
        tracks[block] = _lowest_poles(burg(frames, ORDER), rate)
    return tracks


@lru_cache(maxsize=1)
def _low_pass() -> np.ndarray:
    """The filter before resampling, which must be steep: a slope below the ceiling would pull poles down."""
    return scipy.signal.firwin(2 * STEEPNESS * _DOWN + 1, 1 / _DOWN, window=("kaiser", 5.0))


def burg(frames: np.ndarray, order: int) -> np.ndarray:
    """Linear prediction by Burg's method.

    Args:
        frames (`(frames, size)`): the windowed samples.
        order (int): how many samples before it a sample is predicted from.

    Returns:
        float64 `(frames, order)`: the coefficients `a` of `x[n] = a[0] x[n-1] + a[1] x[n-2] + ...`; zeros for a frame
        of zeros.
    """
    coefficients = np.zeros((len(frames), order))
    forward, backward = frames[:, 1:], frames[:, :-1]
    for stage in range(order):
        product = 2 * np.einsum("ns,ns->n", forward, backward)
        power = np.einsum("ns,ns->n", forward, forward) + np.einsum("ns,ns->n", backward, backward)
        reflection = np.divide(product, power, out=np.zeros_like(product), where=power > 0)[:, None]
        coefficients[:, :stage] = coefficients[:, :stage] - reflection * coefficients[:, :stage][:, ::-1]
        coefficients[:, stage] = reflection[:, 0]
        forward, backward = (
            forward[:, 1:] - reflection * backward[:, 1:],
            backward[:, :-1] - reflection * forward[:, :-1],
        )
    return coefficients


def _lowest_poles(coefficients: np.ndarray, rate: float) -> np.ndarray:
    """The lowest frequencies of the poles in Hz, `(frames, NUMBER)`; NaN where there are fewer."""
    order = coefficients.shape[1]
    companion = np.zeros((len(coefficients), order, order))
    companion[:, 0] = coefficients
    companion[:, np.arange(1, order), np.arange(order - 1)] = 1
    poles = np.linalg.eigvals(companion)
    frequencies = np.angle(poles) * rate / (2 * np.pi)
    frequencies[~((frequencies > SAFETY) & (frequencies < rate / 2 - SAFETY))] = np.nan
    return np.sort(frequencies, axis=1)[:, :NUMBER]  # NaN sorts last


def dispersion(formants: np.ndarray) -> float:
    """The mean distance of neighbouring formants in Hz, `(F4 - F1) / 3`, of `(4,)`: the longer the tract, the less."""
    return float(formants[-1] - formants[0]) / (len(formants) - 1)
