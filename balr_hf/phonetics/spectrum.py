"""Spectral balance of the voiced parts: tilt, alpha ratio, Hammarberg index and the energies of bands.

References:
    B. Hammarberg et al., "Perceptual and acoustic correlates of abnormal voice qualities", Acta Oto-Laryngologica 90,
    1980. J. Sundberg and M. Nordenberg, "Effects of vocal loudness variation on spectrum balance as reflected by the
    alpha measure of long-term-average spectra of speech", JASA 120(1), 2006.
"""

from itertools import pairwise

import numpy as np
import scipy.fft

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.frames import in_blocks, windows_at

# Samples of a window (40 ms) and of its Fourier transform: lines are 15.6 Hz apart.
SIZE, FFT_SIZE = 640, 1_024
# Hz: between which the tilt is measured, in bands of a third of an octave.
TILT_BAND = (125.0, 5_000.0)
# Hz: the two bands of the alpha ratio, and those of the Hammarberg index.
ALPHA_LOW, ALPHA_HIGH = (50.0, 1_000.0), (1_000.0, 5_000.0)
HAMMARBERG_LOW, HAMMARBERG_HIGH = (0.0, 2_000.0), (2_000.0, 5_000.0)
# Hz: the edges of the bands whose energies are given.
BANDS = (50.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0)

FREQUENCIES = np.arange(FFT_SIZE // 2 + 1) * (SAMPLING_RATE / FFT_SIZE)


def power_spectra(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The power spectrum around each time, under a Hann window of 40 ms.

    Args:
        samples (`(samples,)`): at 16 kHz.
        times (`(frames,)`): in seconds, sorted; at most some seconds' worth, see [`in_blocks`].

    Returns:
        float64 `(frames, 513)`: at the `FREQUENCIES`.
    """
    frames = windows_at(samples, times, SIZE)
    frames -= frames.mean(1, keepdims=True)
    spectrum = scipy.fft.rfft(frames * np.hanning(SIZE), FFT_SIZE)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def mean_spectrum(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The mean power spectrum of frames, `(513,)`; arguments as of [`power_spectra`], of any number."""
    total = np.zeros(len(FREQUENCIES))
    for block in in_blocks(len(times)):
        total += power_spectra(samples, times[block]).sum(0)
    return total / max(1, len(times))


def spectral_tilt(power: np.ndarray) -> float | None:
    """The slope of the level over the logarithm of the frequency, in dB per octave.

    A straight line is fitted by least squares to the mean power density of bands of a third of an octave from 125 Hz
    to 5 kHz.

    Args:
        power (`(513,)`): the mean power spectrum.

    Returns:
        None where a band has no power.
    """
    count = round(3 * np.log2(TILT_BAND[1] / TILT_BAND[0])) + 1
    centres = TILT_BAND[0] * 2 ** (np.arange(count) / 3)
    densities = np.array([power[_between(centre * 2 ** (-1 / 6), centre * 2 ** (1 / 6))].mean() for centre in centres])
    if not (densities > 0).all():
        return None
    return float(np.polyfit(np.log2(centres), 10 * np.log10(densities), 1)[0])


def alpha_ratio(power: np.ndarray) -> float | None:
    """The energy from 1 to 5 kHz over that from 50 Hz to 1 kHz, in dB: higher for a louder, brighter voice.

    Args:
        power (`(513,)`): the mean power spectrum.

    Returns:
        None where one of the bands has no energy.
    """
    low, high = _energy(power, *ALPHA_LOW), _energy(power, *ALPHA_HIGH)
    return float(10 * np.log10(high / low)) if low > 0 and high > 0 else None


def hammarberg_index(power: np.ndarray) -> float | None:
    """The level of the strongest line up to 2 kHz less that of the strongest line from 2 to 5 kHz, in dB.

    Args:
        power (`(513,)`): the mean power spectrum.

    Returns:
        None where one of the bands has no energy.
    """
    low, high = power[_between(*HAMMARBERG_LOW)].max(), power[_between(*HAMMARBERG_HIGH)].max()
    return float(10 * np.log10(low / high)) if low > 0 and high > 0 else None


def band_levels(power: np.ndarray) -> list[float | None]:
    """The energy of each of the five `BANDS` over that of all of them, in dB (at most 0).

    Args:
        power (`(513,)`): the mean power spectrum.

    Returns:
        five levels; None where a band has no energy.
    """
    energies = [_energy(power, low, high) for low, high in pairwise(BANDS)]
    total = sum(energies)
    return [float(10 * np.log10(energy / total)) if energy > 0 else None for energy in energies]


def _between(low: float, high: float) -> np.ndarray:
    """Which lines of the spectrum are in a band."""
    return (low <= FREQUENCIES) & (high > FREQUENCIES)


def _energy(power: np.ndarray, low: float, high: float) -> float:
    return float(power[_between(low, high)].sum())
