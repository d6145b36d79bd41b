"""Whether the channels of a recording hold the same sounds: if they do not, their mean is a mixture of voices.

Two microphones hear one speaker at the same times and in the same bands, each at its own level. Where two people have
a channel each, as the two sides of a telephone call, one channel is loud where the other is not, and the other way
round: at other times if they speak in turns, and in other bands if they speak at once, since two voices are rarely
loud in one band at one moment (Yilmaz and Rickard, "Blind separation of speech mixtures via time-frequency masking",
IEEE Transactions on Signal Processing 52, 2004). So loudness is compared in cells of a quarter of a second and a third
of an octave. How often voices are found, and one voice is taken for two, stands in `benchmarks/README.md`.

Where one channel is wired the other way round, the two cancel each other, and what their mean has left is no voice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, decode_audio, open_audio, resample

# Seconds of a short frame, and how many of them a cell has.
FRAME, JOINED = 0.064, 4
# Hz: the third octaves whose loudness is compared. Telephones and lossy coders keep them.
BANDS = (250, 315, 400, 500, 630, 800, 1_000, 1_250, 1_600, 2_000, 2_500, 3_150)
# A cell is loud in a channel that is less than so many dB below the 95th percentile of the channel in this band.
LOUD = 6.0
# dB by which a loud cell must stand out from the other channel, both relative to their percentiles, and the share of
# the loud cells that may stand out in one channel and, others, in the other one.
GAP, MOST = 5.0, 0.2
# Loud cells (2 to 3 s of speech) below which nothing can be said.
LEAST = 32
# dB by which the mean of all channels may be weaker than it would be if they had nothing to do with each other.
CANCELLED = 10.0
# dB by which the mean of channels that are the same may be weaker than they are.
ALIKE = 0.1
# Power that digital silence counts as: 100 dB below full scale.
FLOOR = 1e-10


@dataclass(frozen=True)
class Difference:
    """How two channels of a recording differ.

    Attributes:
        channels: the two, counted from 1.
        shares: of the cells that are loud in one of them or both, those that stand out in the first channel, and
            those that stand out in the second one, from 0 to 1.
    """

    channels: tuple[int, int]
    shares: tuple[float, float]


class ChannelLevels:
    """Collects how loud each channel of a recording is, in cells of 0.256 s and a third of an octave.

    A listener of [`open_audio`].
    """

    def __init__(self) -> None:
        self._cells: list[np.ndarray] = []
        self._rest = np.zeros((0, 0), dtype=np.float32)
        self._power = self._power_of_mean = 0.0

    def add(self, samples: np.ndarray, rate: int) -> None:
        """Take the next samples, float32 `(channels, samples)`, and their rate in Hz."""
        if len(samples) != len(self._rest):  # the first ones, or a file whose channels become more or fewer
            self._cells, self._rest = [], samples[:, :0]
            self._power = self._power_of_mean = 0.0
        size = round(FRAME * rate)
        held = np.concatenate([self._rest, samples], axis=1)
        cells = held.shape[1] // (JOINED * size)
        framed = held[:, : cells * JOINED * size].reshape(len(held), cells, JOINED, size)
        self._cells.append(_band_powers(framed, rate))
        self._power += float(framed.var(axis=3).sum())
        self._power_of_mean += float(framed.mean(axis=0).var(axis=2).sum())
        self._rest = held[:, cells * JOINED * size :].copy()

    def difference(self) -> Difference | None:
        """The two channels that differ most; None if all hold the same sounds, or too little."""
        if not self._cells:
            return None
        found = _differences(np.concatenate(self._cells, axis=1))
        return max(found, key=lambda difference: min(difference.shares), default=None)

    def cancelled(self) -> float:
        """By how many dB the mean of all channels is weaker than if they had nothing to do with each other."""
        expected = self._power / max(1, len(self._rest)) ** 2
        return 10 * float(np.log10(max(expected, FLOOR) / max(self._power_of_mean, FLOOR)))

    def averaged(self) -> int:
        """How many channels were averaged; 1 if all are the same."""
        count = max(1, len(self._rest))
        return count if count > 1 and self.cancelled() > ALIKE - 10 * np.log10(count) else 1

    def refuse_different(self) -> None:
        """Refuse a recording whose channels hold different sounds, or cancel each other.

        Raises:
            AudioError: they do.
        """
        if self.cancelled() > CANCELLED:
            raise AudioError(
                "its channels cancel each other, as where one is wired the other way round: their mean is "
                f"{self.cancelled():.0f} dB weaker than it should be; balr channels saves each as a recording of its "
                "own"
            )
        difference = self.difference()
        if difference is None:
            return
        (one, other), (first, second) = difference.channels, difference.shares
        raise AudioError(
            f"its channels hold different sounds, as where two people have a channel each: {first:.0%} of what is "
            f"loud is in channel {one} alone, and {second:.0%} in channel {other} alone; balr channels saves each as "
            "a recording of its own"
        )


def _band_powers(framed: np.ndarray, rate: int) -> np.ndarray:
    """The power of each cell.

    Args:
        framed (`(channels, cells, short frames, samples)`): float32.
        rate (int): of the samples, in Hz.

    Returns:
        float32 `(channels, cells, bands)`: full scale is a mean square of 1. There are fewer bands at a low rate.
    """
    from scipy.fft import rfft

    size = framed.shape[3]
    window = np.hanning(size).astype(np.float32)
    powers = np.square(np.abs(rfft(framed * window))).mean(axis=2) * np.float32(2 / (size * np.square(window).sum()))
    edges = np.round(np.array([edge for edge in BANDS if 2 * edge <= rate]) * size / rate).astype(int)
    return np.add.reduceat(powers[:, :, : edges[-1]], edges[:-1], axis=2)


def _differences(powers: np.ndarray) -> Iterator[Difference]:
    """The pairs of channels that differ by more than one speaker's do.

    Args:
        powers (`(channels, cells, bands)`): of [`_band_powers`].
    """
    if not powers.shape[1]:
        return
    decibels = 10 * np.log10(powers + np.float32(FLOOR))
    decibels -= np.percentile(decibels, 95, axis=1, keepdims=True)
    for one, other in combinations(range(len(decibels)), 2):
        loud = (decibels[one] > -LOUD) | (decibels[other] > -LOUD)
        gaps = (decibels[one] - decibels[other])[loud]
        if len(gaps) >= LEAST:
            shares = float(np.mean(gaps > GAP)), float(np.mean(gaps < -GAP))
            if min(shares) > MOST:
                yield Difference((one + 1, other + 1), shares)


def open_recording(source: Any) -> tuple[tuple[np.ndarray, int] | LongAudio, int]:
    """Do what [`open_audio`] does, for a recording of one voice.

    Args:
        source: as for [`load_audio`].

    Returns:
        `(opened, channels)`: what [`open_audio`] returns, and [`ChannelLevels.averaged`].

    Raises:
        AudioError: as for [`open_audio`], or the channels hold different sounds.
    """
    levels = ChannelLevels()
    opened = open_audio(source, listener=levels.add)
    levels.refuse_different()
    return opened, levels.averaged()


def describe_averaged(name: str, channels: int) -> str | None:
    """Say that a recording's channels were averaged; None if it has one, or all are the same.

    Args:
        name (str): of the recording.
        channels (int): see [`open_recording`].
    """
    if channels == 1:
        return None
    return (
        f"{name} has {channels} channels, which were averaged: if several people speak in them, the result is of none "
        "of them. balr channels saves each as a recording of its own."
    )


def load_speech(source: Any) -> np.ndarray:
    """Do what [`load_audio`] does, for a recording of one voice: float32 `(samples,)` at 16 kHz.

    Args:
        source: as for [`load_audio`].

    Raises:
        AudioError: as for [`load_audio`], or the channels hold different sounds.
    """
    levels = ChannelLevels()
    samples, rate = decode_audio(source, listener=levels.add)
    levels.refuse_different()
    return resample(samples, rate, SAMPLING_RATE)
