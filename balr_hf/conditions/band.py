"""Band: the frequencies that a channel lets through."""

from functools import lru_cache

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.errors import ConfigError

TELEPHONE = "telephone"
# Hz. After ITU-T G.712: flat from 300 to 3,400 Hz, and little outside.
TELEPHONE_EDGES = (240.0, 3_550.0)
# Hz: how wide the edges of the filters are. Decibels: what is left beyond them.
TRANSITION, ATTENUATION = 160.0, 60.0
# Hz: the bandwidths that a low-pass filter can have.
LOWEST, HIGHEST = 1_500.0, 7_900.0


def parse_band(text: str) -> str:
    """Check a band: `telephone`, or the highest frequency in Hz.

    Raises:
        ConfigError: it is neither.
    """
    if text == TELEPHONE:
        return text
    try:
        edge = float(text)
    except ValueError:
        edge = 0.0
    if not LOWEST <= edge <= HIGHEST:
        raise ConfigError(
            f"band={text}: expected {TELEPHONE}, or the highest frequency in Hz, {LOWEST:g} to {HIGHEST:g}"
        )
    return f"{edge:g}"


def limit_band(samples: np.ndarray, band: str) -> np.ndarray:
    """Filter to a band, without delay.

    Args:
        samples (`(samples,)`): float32 at 16 kHz.
        band (str): `telephone` for 300 to 3,400 Hz, or the highest frequency in Hz.

    Returns:
        float32 `(samples,)`.

    Reference:
        ITU-T G.712, "Transmission performance characteristics of pulse code modulation channels", 2001. The filter is
        flat within 1 dB from 300 to 3,400 Hz, and lets less than -20 dB through at 150 Hz and from 3,630 Hz on.
    """
    from scipy.signal import oaconvolve

    return oaconvolve(samples, _taps(band), mode="same")[: len(samples)].astype(np.float32)


@lru_cache(maxsize=32)
def _taps(band: str) -> np.ndarray:
    from scipy.signal import firwin, kaiser_beta, kaiserord

    width = TRANSITION / (SAMPLING_RATE / 2)
    number = kaiserord(ATTENUATION, width)[0] | 1  # an odd number delays by whole samples
    edges = TELEPHONE_EDGES if band == TELEPHONE else (float(band),)
    window = ("kaiser", kaiser_beta(ATTENUATION))
    return firwin(number, edges, window=window, pass_zero=len(edges) == 1, fs=SAMPLING_RATE).astype(np.float32)
