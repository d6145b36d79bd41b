"""Whether the channels of a recording hold the same sounds: if they do not, their mean is a mixture of voices.

Two microphones hear one speaker at the same times, each at its own level. Where two people have a channel each, as the
two sides of a telephone call, one channel is loud while the other is not, and the other way round. This is looked for
in short frames, which tell voices apart that speak at once, and in long ones, in which a channel may hold more of the
other. Recordings of one speaker in simulated rooms, with noise, through other filters or 50 ms late in one channel had
a share of up to 0.13 in short frames and 0.15 in long ones (375 recordings of LibriSpeech, 15 kinds). Different
speakers in turns had 0.4 in the middle of 25 pairs, also where each was in the other channel 10 dB weaker (long
frames); at the same time, 0.2. What is weaker by 8 dB only is not found.

Where one channel is wired the other way round, the two cancel each other, and what their mean has left is no voice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, decode_audio, open_audio, resample

# Seconds of a short frame.
FRAME = 0.064
# A frame is loud in a channel that is less than so many dB below the channel's own 95th percentile.
LOUD = 12.0
# Short frames in a frame; dB by which a loud frame must stand out from the other channel, both relative to their
# percentiles; share of the loud frames that may stand out in one channel and, others, in the other one; and loud
# frames (2 and 3 s) below which nothing can be said.
LOOKS = ((1, 9.0, 0.15, 32), (4, 5.0, 0.2, 12))
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
        """The two channels that differ most; None if all hold the same sounds, or too little."""
        if not self._powers:
            return None
        powers = np.concatenate(self._powers, axis=1)
        found = [one for look in LOOKS for one in _differences(powers, *look)]
        return max(found, key=lambda difference: min(difference.shares), default=None)

    def cancelled(self) -> float:
        """By how many dB the mean of all channels is weaker than if they had nothing to do with each other."""
        powers = np.concatenate(self._powers, axis=1) if self._powers else np.zeros((1, 0))
        expected = float(powers.sum()) / len(powers) ** 2
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


def _differences(powers: np.ndarray, joined: int, gap: float, most: float, least: int) -> Iterator[Difference]:
    """The pairs of channels that differ by more than one speaker's do.

    Args:
        powers (`(channels, frames)`): of the short frames.
        joined, gap, most, least: see `LOOKS`.
    """
    frames = powers.shape[1] // joined
    if not frames:
        return
    powers = powers[:, : frames * joined].reshape(len(powers), frames, joined).mean(axis=2)
    decibels = 10 * np.log10(powers + FLOOR)
    decibels -= np.percentile(decibels, 95, axis=1, keepdims=True)
    for one, other in combinations(range(len(decibels)), 2):
        loud = (decibels[one] > -LOUD) | (decibels[other] > -LOUD)
        gaps = (decibels[one] - decibels[other])[loud]
        if len(gaps) >= least:
            shares = float(np.mean(gaps > gap)), float(np.mean(gaps < -gap))
            if min(shares) > most:
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
