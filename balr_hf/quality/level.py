"""Level, peak and DC offset of a recording."""

import numpy as np

# Decibels relative to full scale: what stands for the level of nothing at all.
LEAST = -200.0


def decibels(power: float) -> float:
    """`10 log10` of a power relative to full scale, at least `LEAST`."""
    return float(max(LEAST, 10 * np.log10(max(power, 1e-300))))


class Moments:
    """Sums up the mean, the variance and the extremes of a recording that comes in blocks.

    Attributes:
        count: how many samples there were.
        mean: their mean.
        squares: the sum of their squared deviations from it.
        lowest, highest: the extreme samples.

    Reference:
        T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", 1983, eq. 1.5.
    """

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.lowest, self.highest = np.float32(np.inf), np.float32(-np.inf)

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples `(samples,)`."""
        count = len(samples)
        if not count:
            return
        mean, total = float(np.mean(samples, dtype=np.float64)), self.count + count
        squares = count * float(np.var(samples, dtype=np.float64))
        self.squares += squares + (mean - self.mean) ** 2 * self.count * count / total
        self.mean += (mean - self.mean) * count / total
        self.count = total
        self.lowest, self.highest = min(self.lowest, samples.min()), max(self.highest, samples.max())

    def level(self) -> float:
        """What [`level`] tells of the whole recording."""
        return decibels(self.squares / self.count)

    def peak(self) -> float:
        """What [`peak`] tells of the whole recording."""
        return decibels(float(max(abs(self.lowest), abs(self.highest))) ** 2)

    def power(self) -> float:
        """The mean square, the DC offset included."""
        return self.squares / self.count + self.mean**2


def level(samples: np.ndarray) -> float:
    """The root mean square of the samples `(samples,)` without their DC offset, in dB relative to full scale (1.0)."""
    return decibels(np.var(samples, dtype=np.float64))


def peak(samples: np.ndarray) -> float:
    """The largest absolute sample, in dB relative to full scale (1.0)."""
    return decibels(float(np.abs(samples).max()) ** 2)


def dc_offset(samples: np.ndarray) -> float:
    """The mean of the samples, as a share of full scale."""
    return float(np.mean(samples, dtype=np.float64))
