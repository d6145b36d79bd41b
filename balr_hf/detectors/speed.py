"""Recordings that play speech faster or slower than it was spoken, and higher or lower with that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from balr_hf.audio import SAMPLING_RATE, resample
from balr_hf.detectors.draws import Draw, Recordings, finished, voice

# By which factor speech is faster or slower, at least and at most; each octave is as frequent.
FACTORS = (1.06, 2.0)
# The numbers of the ways.
FASTER, SLOWER = 0, 1


def draw_speeds(
    speakers: Sequence[str], sources: Sequence[str], count: int, seed: int, conditions: Sequence[str]
) -> list[Draw]:
    """Draw what recordings at the speed of the speaker, and at others, are made of: of each as many.

    Args:
        speakers, sources, count, seed, conditions: as for [`Recordings`].

    Returns:
        draws whose `amount` is by which factor the speech is faster or slower.
    """
    recordings = Recordings(speakers, sources, count, seed, conditions)
    draws = []
    for number, first in recordings:
        factor = float(np.exp(recordings.generator.uniform(*np.log(FACTORS))))
        way = (None, FASTER, None, SLOWER)[number % 4]
        draws.append(recordings.alone(first, way, factor))
    return draws


def make_speed(draw: Draw, waveform: Callable[[int], np.ndarray]) -> np.ndarray | None:
    """Make what was drawn, as it is heard when it is embedded; None if it cannot be used.

    Args:
        draw: see [`draw_speeds`].
        waveform: gives the samples of a row, float32 `(samples,)` at 16 kHz.
    """
    samples = waveform(draw.first)
    if draw.way is not None and len(samples):
        samples = at_speed(samples, draw.amount if draw.way == FASTER else 1 / draw.amount)
    return finished(voice(samples, np.random.default_rng(draw.seed), draw.seconds), draw)


def at_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play a recording faster by a factor, as where its file states a wrong sampling rate.

    Args:
        samples (float32 `(samples,)`): at 16 kHz.
        factor (float): less than 1 to play it slower. It is rounded to 1/320, for which resampling is quick.

    Returns:
        float32 `(samples,)`.
    """
    rate = 50 * round(factor * SAMPLING_RATE / 50)
    return resample(samples, rate, SAMPLING_RATE)
