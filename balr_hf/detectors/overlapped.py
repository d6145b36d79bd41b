"""Recordings in which a second person speaks at the same time, made of recordings of one person each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from balr_hf.conditions.condition import Condition
from balr_hf.conditions.level import within_full_scale
from balr_hf.detectors.draws import LONGEST, Draw, Recordings, finished, voice

# How many dB the second voice is below the first, at least and at most.
RATIOS = (0.0, 12.0)
# The share of the first voice's time in which the second one speaks, at least and at most.
SHARES = (0.5, 1.0)
# The share of second voices that come from another source of recordings, and of those through a telephone's band.
ELSEWHERE, FILTERED = 0.25, 0.25


def draw_overlapped(
    speakers: Sequence[str], sources: Sequence[str], count: int, seed: int, conditions: Sequence[str]
) -> list[Draw]:
    """Draw what recordings of one voice and of two are made of: of each as many.

    Args:
        speakers, sources, count, seed, conditions: as for [`Recordings`].

    Returns:
        draws whose `amount` is how many dB the second voice is below the first.
    """
    recordings = Recordings(speakers, sources, count, seed, conditions)
    draws = []
    for number, first in recordings:
        second = _second(first, recordings) if number % 2 else None
        ratio, share = (float(recordings.generator.uniform(*ends)) for ends in (RATIOS, SHARES))
        seconds, filtered = recordings.seconds(), bool(recordings.generator.random() < FILTERED)
        way, fold = None if second is None else 0, int(recordings.folds[first])
        made = seconds, recordings.condition(), fold, recordings.seed()
        draws.append(Draw(first, second, way, ratio, *made, share=share, filtered=filtered))
    return draws


def _second(first: int, recordings: Recordings) -> int:
    """A recording of another speaker of the same part, most often of the same source."""
    people, places, generator = recordings.people, recordings.places, recordings.generator
    others = (people != people[first]) & (recordings.folds == recordings.folds[first])
    near = others & (places == places[first])
    chosen = near if near.any() and generator.random() >= ELSEWHERE else others
    return int(generator.choice(np.flatnonzero(chosen)))


def make_overlapped(draw: Draw, waveform: Callable[[int], np.ndarray]) -> np.ndarray | None:
    """Make what was drawn, as it is heard when it is embedded; None if it cannot be used.

    Args:
        draw: see [`draw_overlapped`].
        waveform: gives the samples of a row, float32 `(samples,)` at 16 kHz.
    """
    generator = np.random.default_rng(draw.seed)
    samples = voice(waveform(draw.first), generator, draw.seconds)
    if draw.second is not None and samples is not None:
        other = voice(waveform(draw.second), generator, LONGEST)
        if other is None:
            return None
        if draw.filtered:
            other = Condition.parse("band=telephone").apply(other, draw.seed)
        samples = mixed(samples, other, draw.amount, draw.share, generator)
    return finished(samples, draw)


def mixed(
    samples: np.ndarray, other: np.ndarray, ratio: float, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Let a second voice speak in a stretch of a recording of a first one.

    Args:
        samples, other (`(samples,)`): what is heard of the two voices; the second is repeated if it is shorter.
        ratio (float): how many dB the second is below the first.
        share (float): of the first one's time in which the second speaks.
        generator: draws where the second starts, in both.
    """
    length = round(share * len(samples))
    start = int(generator.integers(len(samples) - length + 1))
    second = np.resize(np.roll(other, -int(generator.integers(len(other)))), length)
    gain = _rms(samples) / _rms(other) * 10 ** (-ratio / 20)
    made = samples.copy()
    made[start : start + length] += second * np.float32(gain)
    return within_full_scale(made)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
