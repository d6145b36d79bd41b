"""Play a recording faster or slower: pitch and formants move with it, so that it counts as another speaker's."""

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly


def at_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Return a waveform that lasts `1 / speed` times as long, float32."""
    ratio = Fraction(speed).limit_denominator(20)
    return resample_poly(waveform, ratio.denominator, ratio.numerator).astype(np.float32)
