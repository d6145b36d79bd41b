"""Dominant tone: a steady line in the spectrum, such as a test tone, a whistle or the hum of the mains."""

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.quality.windows import Windows

# Samples: half a second, so that a line is told from its neighbours by 2 Hz.
SIZE = 8_192
# A line stands out from the median of so many neighbours on either side, by so many dB.
NEIGHBOURS, PROMINENCE = 40, 15.0
# The share of half seconds in which a line may be weaker than reported: speech comes and goes, a tone does not.
WEAKER = 0.2
# Windows that are looked at: of recordings of more than about 8 minutes, only so many, evenly spread.
MOST_FRAMES = 2_000
# Bins on either side of its highest one that a line leaks into.
LEAK = 2
# Hz: below is rumble. Seconds: in less, a sung vowel is as steady as a tone. Share of the power: less is inaudible.
LOWEST, SHORTEST, LEAST = 30.0, 2.0, 0.001


def dominant_tone(samples: np.ndarray) -> tuple[float | None, float]:
    """The strongest steady line of the spectrum: its frequency and its share of the recording's power.

    Args:
        samples (`(samples,)`): at 16 kHz, without DC offset.

    Returns:
        `(frequency, share)`: in Hz, and between 0 and 1; None and 0 where there is no such line, or less than two
        seconds.
    """
    if len(samples) < SHORTEST * SAMPLING_RATE:
        return None, 0.0
    frames = np.lib.stride_tricks.sliding_window_view(samples, SIZE)[:: SIZE // 2]
    return _steady_line(_powers(frames[:: -(-len(frames) // MOST_FRAMES)]))


class Spectra:
    """Collects the spectra of at most `MOST_FRAMES` windows, of a recording that comes in blocks.

    Args:
        num_samples (int): of the whole recording, at 16 kHz.
    """

    def __init__(self, num_samples: int):
        self._windows, self._seen = Windows(SIZE, SIZE // 2), 0
        self._short = num_samples < SHORTEST * SAMPLING_RATE
        count = max(1, 1 + (num_samples - SIZE) // (SIZE // 2))
        self._every = -(-count // MOST_FRAMES)
        self._powers = [np.zeros((0, SIZE // 2 + 1), dtype=np.float32)]

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples, `(samples,)` at 16 kHz, without DC offset."""
        frames = self._windows.add(samples)
        chosen = frames[-self._seen % self._every :: self._every]
        if len(chosen) and not self._short:
            self._powers.append(_powers(chosen))
        self._seen += len(frames)

    def dominant_tone(self) -> tuple[float | None, float]:
        """What [`dominant_tone`] tells of the whole recording."""
        return (None, 0.0) if self._short else _steady_line(np.concatenate(self._powers))


def _powers(frames: np.ndarray) -> np.ndarray:
    """The power spectra of windows `(windows, SIZE)`: float32 `(windows, SIZE / 2 + 1)`."""
    return np.abs(np.fft.rfft(frames * np.hanning(SIZE).astype(np.float32))) ** 2


def _steady_line(power: np.ndarray) -> tuple[float | None, float]:
    """The strongest line that is steady in the spectra `(windows, frequencies)`, and its share of the power."""
    total = float(power.mean(0).sum())
    steady = np.quantile(power, WEAKER, axis=0)
    steady[: round(LOWEST * SIZE / SAMPLING_RATE)] = 0
    if total <= 0 or not steady.any():
        return None, 0.0
    at = int(steady.argmax())
    low, high = max(0, at - NEIGHBOURS), at + NEIGHBOURS + 1
    around = np.concatenate([steady[low : max(low, at - LEAK)], steady[at + LEAK + 1 : high]])
    if steady[at] < 10 ** (PROMINENCE / 10) * np.median(around):
        return None, 0.0
    line = steady[max(0, at - LEAK) : at + LEAK + 1]
    share = min(1.0, float(line.sum()) / total)
    if share < LEAST:
        return None, 0.0
    bins = np.arange(max(0, at - LEAK), max(0, at - LEAK) + len(line))
    return float((line * bins).sum() / line.sum()) * SAMPLING_RATE / SIZE, share
