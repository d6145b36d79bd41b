"""Cepstral peak prominence (CPP): how clearly the harmonics stand out of the spectrum, without knowing F0.

References:
    J. Hillenbrand, R. A. Cleveland and R. L. Erickson, "Acoustic correlates of breathy vocal quality", JSHR 37, 1994;
    J. Hillenbrand and R. A. Houde, "Acoustic correlates of breathy vocal quality: dysphonic voices and continuous
    speech", JSHR 39, 1996: smoothing over time and quefrency.
"""

import numpy as np
import scipy.fft
import scipy.ndimage

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.frames import in_blocks
from balr_hf.phonetics.spectrum import FFT_SIZE, power_spectra

# Hz: between which the peak is looked for. Seconds: from where on the line is fitted that the peak stands out of.
LOWEST, HIGHEST = 60.0, 500.0
LINE_FROM = 0.001
# Quefrencies that are averaged, 0.0625 ms apart: about 0.5 ms.
SMOOTHED = 9


def cpp_track(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The smoothed cepstral peak prominence around each time.

    The cepstrum is that of the power spectrum in dB, averaged over 0.5 ms of quefrency; the prominence is the height
    in dB of its highest peak above a straight line through it.

    Args:
        samples (`(samples,)`): at 16 kHz.
        times (`(frames,)`): in seconds, sorted; voiced frames.

    Returns:
        float64 `(frames,)`, in dB.
    """
    found = np.zeros(len(times))
    quefrencies = np.arange(FFT_SIZE // 2 + 1) / SAMPLING_RATE
    line = quefrencies >= LINE_FROM
    away = quefrencies - quefrencies[line].mean()
    searched = np.flatnonzero((quefrencies >= 1 / HIGHEST) & (quefrencies <= 1 / LOWEST))
    for block in in_blocks(len(times)):
        spectra = power_spectra(samples, times[block])
        # 120 dB below its strongest line, a spectrum is nothing but rounding
        floor = np.maximum(spectra.max(1, keepdims=True) * 1e-12, 1e-30)
        cepstra = np.square(scipy.fft.irfft(10 * np.log10(np.maximum(spectra, floor)), FFT_SIZE))
        cepstra = scipy.ndimage.uniform_filter1d(cepstra[:, : FFT_SIZE // 2 + 1], SMOOTHED, axis=1)
        levels = 10 * np.log10(np.maximum(cepstra, 1e-30))
        slope = levels[:, line] @ away[line] / (away[line] @ away[line])
        height = levels[:, line].mean(1)
        prominence = levels[:, searched] - (height[:, None] + slope[:, None] * away[searched])
        found[block] = prominence.max(1)
    return found
