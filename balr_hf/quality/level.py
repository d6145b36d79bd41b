"""Level, peak and DC offset of a recording."""

import numpy as np

# Decibels relative to full scale: what stands for the level of nothing at all.
LEAST = -200.0


def decibels(power: float) -> float:
    """`10 log10` of a power relative to full scale, at least `LEAST`."""
    return float(max(LEAST, 10 * np.log10(max(power, 1e-300))))


def level(samples: np.ndarray) -> float:
    """The root mean square of the samples `(samples,)` without their DC offset, in dB relative to full scale (1.0)."""
    return decibels(np.var(samples, dtype=np.float64))


def peak(samples: np.ndarray) -> float:
    """The largest absolute sample, in dB relative to full scale (1.0)."""
    return decibels(float(np.abs(samples).max()) ** 2)


def dc_offset(samples: np.ndarray) -> float:
    """The mean of the samples, as a share of full scale."""
    return float(np.mean(samples, dtype=np.float64))
