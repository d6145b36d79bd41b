"""Recordings of voices in reverberant rooms, made of recordings as they are by simulated rooms (the extra `rooms`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np

from balr_hf.conditions.condition import Condition
from balr_hf.conditions.room import reverberate
from balr_hf.detectors.draws import Draw, Recordings, finished, voice
from balr_hf.errors import ConfigError

# Seconds: the reverberation times, each as frequent.
TIMES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8)
# How many rooms there are of each: simulating one takes up to a second, so they are kept.
ROOMS = 24


def can_simulate_rooms() -> bool:
    """Whether the package that simulates rooms is installed."""
    return importlib.util.find_spec("pyroomacoustics") is not None


def draw_rooms(
    speakers: Sequence[str], sources: Sequence[str], count: int, seed: int, conditions: Sequence[str]
) -> list[Draw]:
    """Draw what recordings as they are, and such in rooms, are made of: of each as many.

    Args:
        speakers, sources, count, seed, conditions: as for [`Recordings`]; conditions with reverberation are left out.

    Returns:
        draws whose `amount` is the reverberation time in seconds.

    Raises:
        ConfigError: all conditions have reverberation.
    """
    dry = [condition for condition in conditions if Condition.parse(condition).reverb is None]
    if not dry:
        raise ConfigError("all conditions have reverberation: a detector of rooms needs some without")
    recordings = Recordings(speakers, sources, count, seed, dry)
    draws = []
    for number, first in recordings:
        time = float(recordings.generator.choice(TIMES))
        draws.append(recordings.alone(first, 0 if number % 2 else None, time))
    return draws


def make_room(draw: Draw, waveform: Callable[[int], np.ndarray]) -> np.ndarray | None:
    """Make what was drawn, as it is heard when it is embedded; None if it cannot be used.

    Args:
        draw: see [`draw_rooms`].
        waveform: gives the samples of a row, float32 `(samples,)` at 16 kHz.

    Raises:
        UserError: pyroomacoustics is not installed.
    """
    samples = voice(waveform(draw.first), np.random.default_rng(draw.seed), draw.seconds)
    if draw.way is not None and samples is not None:
        samples = reverberate(samples, draw.amount, np.random.default_rng(draw.seed % ROOMS))
    return finished(samples, draw)
