"""Whether the channels of a recording hold the same sounds: if they do not, their mean is a mixture of voices.

Two microphones hear one speaker at the same times, each at its own level. Where two people have a channel each, as the
two sides of a telephone call, one channel is loud while the other is not, and the other way round. Recordings of one
speaker in simulated rooms, with noise, through other filters or 50 ms late in one channel had a share of up to 0.13
(375 recordings of LibriSpeech, 15 kinds); different speakers in turns, 0.4 in the middle, and at the same time, 0.2.
What each channel's microphone hears of the other's speaker must be weaker by 15 dB or more for this to be found.

Where one channel is wired the other way round, the two cancel each other, and what their mean has left is no voice.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, decode_audio, open_audio, resample

# Seconds of a frame.
FRAME = 0.064
# A frame is loud in a channel that is less than so many dB below the channel's own 95th percentile.
LOUD = 12.0
# dB by which a loud frame must stand out from the other channel, both relative to their percentiles.
GAP = 9.0
# Share of the loud frames that may stand out in one channel and, others, in the other one.
MOST = 0.15
# Loud frames (2 s) below which nothing can be said.
LEAST = 32
# dB by which the mean of all channels may be weaker than it would be if they had nothing to do with each other.
CANCELLED = 10.0
# Power that digital silence counts as: 100 dB below full scale.
FLOOR = 1e-10


@dataclass(frozen=True)
class Difference:
    """How two channels of a recording differ.

    Attributes:
        channels: the two, counted from 1.
        shares: of the frames that are loud in one of them or both, those that stand out in the first channel, and
            those that stand out in the second one, from 0 to 1.
    """

    channels: tuple[int, int]
    shares: tuple[float, float]


class ChannelLevels:
    """Collects how loud each channel of a recording is, in frames of 64 ms; a listener of [`open_audio`]."""

    def __init__(self) -> None:
        self._powers: list[np.ndarray] = []
        self._rest = np.zeros((0, 0), dtype=np.float32)
        self._power_of_mean = 0.0

    def add(self, samples: np.ndarray, rate: int) -> None:
        """Take the next samples, float32 `(channels, samples)`, and their rate in Hz."""
        if len(samples) != len(self._rest):  # the first ones, or a file whose channels become more or fewer
            self._powers, self._rest, self._power_of_mean = [], samples[:, :0], 0.0
        size = round(FRAME * rate)
        held = np.concatenate([self._rest, samples], axis=1)
        frames = held.shape[1] // size
        framed = held[:, : frames * size].reshape(len(held), frames, size)
        self._powers.append(framed.var(axis=2))
        self._power_of_mean += float(framed.mean(axis=0).var(axis=1).sum())
        self._rest = held[:, frames * size :].copy()

    def difference(self) -> Difference | None:
        """The two channels that differ most; None if there is one channel only, or too little in them."""
        if not self._powers:
            return None
        decibels = 10 * np.log10(np.concatenate(self._powers, axis=1) + FLOOR)
        if not decibels.size:
            return None
        decibels -= np.percentile(decibels, 95, axis=1, keepdims=True)
        found = []
        for one, other in combinations(range(len(decibels)), 2):
            loud = (decibels[one] > -LOUD) | (decibels[other] > -LOUD)
            gaps = (decibels[one] - decibels[other])[loud]
            if len(gaps) >= LEAST:
                shares = float(np.mean(gaps > GAP)), float(np.mean(gaps < -GAP))
                found.append(Difference((one + 1, other + 1), shares))
        return max(found, key=lambda difference: min(difference.shares), default=None)

    def cancelled(self) -> float:
        """By how many dB the mean of all channels is weaker than if they had nothing to do with each other."""
        powers = np.concatenate(self._powers, axis=1) if self._powers else np.zeros((1, 0))
        expected = float(powers.sum()) / len(powers) ** 2
        return 10 * float(np.log10(max(expected, FLOOR) / max(self._power_of_mean, FLOOR)))

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
        if difference is None or min(difference.shares) <= MOST:
            return
        (one, other), (first, second) = difference.channels, difference.shares
        raise AudioError(
            f"its channels hold different sounds, as where two people have a channel each: {first:.0%} of what is "
            f"loud is in channel {one} alone, and {second:.0%} in channel {other} alone; balr channels saves each as "
            "a recording of its own"
        )


def open_recording(source: Any) -> tuple[np.ndarray, int] | LongAudio:
    """Do what [`open_audio`] does, for a recording of one voice.

    Args:
        source: as for [`load_audio`].

    Raises:
        AudioError: as for [`open_audio`], or the channels hold different sounds.
    """
    levels = ChannelLevels()
    opened = open_audio(source, listener=levels.add)
    levels.refuse_different()
    return opened


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
