"""Recordings in which a second person speaks at the same time, made of recordings of one person each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError
from balr_hf.conditions.condition import Condition
from balr_hf.conditions.level import within_full_scale
from balr_hf.errors import ConfigError, UserError
from balr_hf.quality import MIN_SPEECH, heard, measure_recording, reason_to_refuse, stretches_of

# What recordings of one voice and of two are brought to, so that noise or a channel is not taken for a second voice.
CONDITIONS = (
    "unchanged",
    "unchanged",
    "unchanged",
    "snr=20",
    "snr=15",
    "snr=10",
    "snr=10,noise=white",
    "snr=15,noise=hum",
    "band=telephone",
    "band=telephone,snr=15",
    "codec=opus:12k",
    "codec=mp3:24k",
)
# How many dB the second voice is below the first, at least and at most.
RATIOS = (0.0, 12.0)
# The share of the first voice's time in which the second one speaks, at least and at most.
SHARES = (0.5, 1.0)
# Seconds of a recording that are used at most; and of the shortest stretch that a part of the recordings is cut to.
LONGEST, SHORTEST = 10.0, 0.7
# The share of the recordings that are cut: short ones sound more alike, whether one person speaks in them or two.
CUT = 0.5
# In how many parts the speakers are divided: no mixture has speakers of two of them.
FOLDS = 5
# With fewer, a part would have no two.
LEAST_SPEAKERS = 2 * FOLDS
# The share of second voices that come from another source of recordings, and of those through a telephone's band.
ELSEWHERE, FILTERED = 0.25, 0.25


@dataclass(frozen=True)
class Draw:
    """What one recording is made of.

    Attributes:
        first (int): the row of the recording of the voice that is compared.
        second (int, *optional*): that of the voice that speaks at the same time; None if there is none.
        ratio (float): how many dB it is below the first.
        share (float): of the first voice's time in which it speaks.
        seconds (float): to which the first voice is cut, if it has more.
        filtered (bool): whether it comes through a telephone's band, as out of a loudspeaker.
        condition (str): what the sum is brought to, see [`Condition`].
        fold (int): the part of the speakers that all voices in it are of.
        seed (int): decides what else is drawn.
    """

    first: int
    second: int | None
    ratio: float
    share: float
    seconds: float
    filtered: bool
    condition: str
    fold: int
    seed: int


def draw_mixtures(
    speakers: Sequence[str],
    sources: Sequence[str],
    count: int,
    seed: int = 0,
    conditions: Sequence[str] = CONDITIONS,
) -> list[Draw]:
    """Draw what recordings of one voice and of two are made of: of each as many.

    Every recording is used before one is used again.

    Args:
        speakers, sources (sequences of str): of each recording that there is.
        count (int): how many to make.
        seed (int): of what is drawn.
        conditions (sequence of str): one is drawn for each.

    Raises:
        UserError: there are too few speakers to divide them.
        ConfigError: a condition takes recordings of its own, as babble does.
    """
    for condition in conditions:
        noise = Condition.parse(condition).noise
        if noise in ("babble", "recorded"):
            raise ConfigError(f"{condition}: noise={noise} takes recordings of its own, which there are none of here")
    people, places = np.asarray(speakers), np.asarray(sources)
    names = sorted(set(people.tolist()))
    if len(names) < LEAST_SPEAKERS:
        raise UserError(f"recordings of {len(names)} speakers: mixtures need {LEAST_SPEAKERS} or more")
    generator = np.random.default_rng(seed)
    fold_of = dict(zip(names, generator.permutation(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[name] for name in people.tolist()])
    order: list[int] = []
    while len(order) < count:
        order += generator.permutation(len(people)).tolist()
    draws = []
    for number, first in enumerate(order[:count]):
        second = _second(first, people, places, folds, generator) if number % 2 else None
        draws.append(
            Draw(
                first,
                second,
                float(generator.uniform(*RATIOS)),
                float(generator.uniform(*SHARES)),
                _seconds(generator),
                bool(generator.random() < FILTERED),
                conditions[int(generator.integers(len(conditions)))],
                int(folds[first]),
                int(generator.integers(1 << 62)),
            )
        )
    return draws


def _seconds(generator: np.random.Generator) -> float:
    """How long a recording may be: as it is, or anything down to the shortest, in which each octave is as frequent."""
    cut = generator.random() < CUT
    length = np.exp(generator.uniform(np.log(SHORTEST), np.log(LONGEST)))
    return float(length) if cut else LONGEST


def _second(
    first: int, people: np.ndarray, places: np.ndarray, folds: np.ndarray, generator: np.random.Generator
) -> int:
    """A recording of another speaker of the same part, most often of the same source."""
    others = (people != people[first]) & (folds == folds[first])
    near = others & (places == places[first])
    chosen = near if near.any() and generator.random() >= ELSEWHERE else others
    return int(generator.choice(np.flatnonzero(chosen)))


def make(draw: Draw, waveform: Callable[[int], np.ndarray]) -> np.ndarray | None:
    """Make what was drawn, as it is heard when it is embedded; None if it cannot be used.

    Args:
        draw: see [`draw_mixtures`].
        waveform: gives the samples of a row, float32 `(samples,)` at 16 kHz.
    """
    generator = np.random.default_rng(draw.seed)
    samples = _voice(waveform(draw.first), generator, draw.seconds)
    if draw.second is not None and samples is not None:
        other = _voice(waveform(draw.second), generator, LONGEST)
        if other is None:
            return None
        if draw.filtered:
            other = Condition.parse("band=telephone").apply(other, draw.seed)
        samples = mixed(samples, other, draw.ratio, draw.share, generator)
    if samples is None:
        return None
    try:
        made = Condition.parse(draw.condition).apply(samples, draw.seed)
    except AudioError:  # it is noisier already, or has too little speech
        return None
    return _heard(made)


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


def _voice(samples: np.ndarray, generator: np.random.Generator, seconds: float) -> np.ndarray | None:
    """What is heard of a recording, or so many seconds of it if it is longer; None if it has too little speech."""
    voice = _heard(samples) if len(samples) else None
    length = round(seconds * SAMPLING_RATE)
    if voice is not None and len(voice) > length:
        start = int(generator.integers(len(voice) - length + 1))
        voice = voice[start : start + length]
    return voice


def _heard(samples: np.ndarray) -> np.ndarray | None:
    """What of a recording is heard when it is embedded; None if it has too little speech."""
    quality, speech = measure_recording(samples)
    if reason_to_refuse(quality, MIN_SPEECH) is not None:
        return None
    return heard(samples, stretches_of(samples, speech))


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
