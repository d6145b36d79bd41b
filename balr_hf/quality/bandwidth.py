"""Bandwidth: up to which frequency the channel let the recording through."""

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.quality.windows import Windows

# The long-term spectrum is looked at in bands of so many Hz, with windows of so many samples (64 ms).
BAND, SIZE = 125.0, 1_024
# An edge: the spectrum falls by so many dB within so many Hz, and nothing beyond comes up again. In 60 wide-band
# recordings of read speech the steepest fall was 11 dB (95th percentile), in 62 of telephone calls 23 dB (5th).
FALL, FALL_WITHIN = 15.0, 750.0
# Hz: where an edge is looked for from. Below, the spectrum of speech itself may fall as steeply.
LOWEST = 1_500.0
# Windows that are transformed together, which bounds the memory that a long recording takes.
TOGETHER = 2_048
# Decibels below the strongest band of the first kilohertz: what is weaker is what coders and converters leave.
RESIDUE = 75.0


def bandwidth(samples: np.ndarray) -> float | None:
    """The frequency, in Hz, at which the long-term spectrum of speech breaks off.

    It breaks off at its steepest fall, if that is of 15 dB or more within 750 Hz and nothing beyond comes up again.
    Where it does not break off, the bandwidth is half the sampling rate, 8 kHz: wide-band speech fades gradually, and
    so does speech into noise. A telephone's bandwidth is 3.4 to 4 kHz.

    Args:
        samples (`(samples,)`): the speech of a recording, at 16 kHz.

    Returns:
        Hz; None for fewer samples than one window of 64 ms.
    """
    if len(samples) < SIZE or not samples.any():
        return None
    return edge(long_term_levels(samples))


def edge(levels: np.ndarray) -> float:
    """The frequency, in Hz, of the steepest edge of a long-term spectrum; 8 kHz if it has none.

    Args:
        levels (`(bands,)`): in dB, bands of 125 Hz from 0 to 8 kHz.
    """
    levels = np.maximum(levels, levels[: round(1_000 / BAND)].max() - RESIDUE)
    width, last = round(FALL_WITHIN / BAND), len(levels) - 1
    bands = np.arange(round(LOWEST / BAND), last)
    below = np.array([levels[band - width + 1 : band + 1].min() for band in bands])
    beyond = np.array([levels[min(band + width, last) :].max() for band in bands])
    steepest = int(np.argmax(below - beyond))
    if below[steepest] - beyond[steepest] < FALL:
        return SAMPLING_RATE / 2
    falling = levels[bands[steepest] :]
    return float((bands[steepest] + np.argmax(falling < below[steepest] - FALL / 2)) * BAND)


def long_term_levels(samples: np.ndarray) -> np.ndarray:
    """Mean levels in bands of 125 Hz, in dB: float64 `(64,)`."""
    spectrum = LongTermSpectrum()
    spectrum.add(samples)
    return spectrum.levels()


class LongTermSpectrum:
    """Sums up the power in bands of 125 Hz, of speech that comes in blocks."""

    def __init__(self) -> None:
        self._windows, self._count = Windows(SIZE, SIZE // 2), 0
        self._shape, self._power = np.hanning(SIZE).astype(np.float32), np.zeros(SIZE // 2 + 1)
        self._sounds = False

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples of speech, `(samples,)` at 16 kHz."""
        frames = self._windows.add(samples)
        self._sounds |= bool(samples.any())
        for start in range(0, len(frames), TOGETHER):
            powers = np.abs(np.fft.rfft(frames[start : start + TOGETHER] * self._shape)) ** 2
            self._power += powers.sum(0, dtype=np.float64)
        self._count += len(frames)

    def levels(self) -> np.ndarray:
        """Mean levels in bands of 125 Hz, in dB: float64 `(64,)`."""
        bands = self._power[1:].reshape(-1, round(BAND * SIZE / SAMPLING_RATE)).mean(1) / self._count
        return 10 * np.log10(bands + 1e-20)

    def bandwidth(self) -> float | None:
        """What [`bandwidth`] tells of all the speech."""
        return edge(self.levels()) if self._count and self._sounds else None
