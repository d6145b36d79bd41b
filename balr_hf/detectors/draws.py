"""What recordings are made of, on which detectors are fitted: what all kinds of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError
from balr_hf.conditions.condition import Condition
from balr_hf.errors import ConfigError, UserError
from balr_hf.quality import MIN_SPEECH, heard, measure_recording, reason_to_refuse, stretches_of

# What recordings are brought to, so that noise or a channel is not taken for what is listened for.
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
# Seconds of a recording that are used at most; and of the shortest stretch that a part of the recordings is cut to.
LONGEST, SHORTEST = 10.0, 0.7
# The share of the recordings that are cut: short ones sound more alike, usual or not.
CUT = 0.5
# In how many parts the speakers are divided: no recording is made of speakers of two of them.
FOLDS = 5
# With fewer, a part would have no two.
LEAST_SPEAKERS = 2 * FOLDS


@dataclass(frozen=True)
class Draw:
    """What one recording is made of.

    Attributes:
        first (int): the row of the recording that it is made of.
        second (int, *optional*): that of another recording in it.
        way (int, *optional*): the number of the way in which it differs from usual ones; None for a usual one.
        amount (float): how much it differs so.
        seconds (float): to which it is cut, if it has more.
        condition (str): what it is brought to, see [`Condition`].
        fold (int): the part of the speakers that all voices in it are of.
        seed (int): decides what else is drawn.
        share (float): of the first recording's time in which the second one is heard.
        filtered (bool): whether the second one comes through a telephone's band, as out of a loudspeaker.
    """

    first: int
    second: int | None
    way: int | None
    amount: float
    seconds: float
    condition: str
    fold: int
    seed: int
    share: float = 1.0
    filtered: bool = False


class Recordings:
    """The recordings that there are to draw from.

    Args:
        speakers, sources (sequences of str): of each recording.
        count (int): how many are drawn.
        seed (int): of what is drawn.
        conditions (sequence of str): one is drawn for each.

    Raises:
        UserError: there are too few speakers to divide them.
        ConfigError: a condition takes recordings of its own, as babble does.
    """

    def __init__(
        self, speakers: Sequence[str], sources: Sequence[str], count: int, seed: int, conditions: Sequence[str]
    ):
        for condition in conditions:
            noise = Condition.parse(condition).noise
            if noise in ("babble", "recorded"):
                raise ConfigError(
                    f"{condition}: noise={noise} takes recordings of its own, which there are none of here"
                )
        self.people, self.places = np.asarray(speakers), np.asarray(sources)
        names = sorted(set(self.people.tolist()))
        if len(names) < LEAST_SPEAKERS:
            raise UserError(f"recordings of {len(names)} speakers: a detector needs {LEAST_SPEAKERS} or more")
        self.generator = np.random.default_rng(seed)
        fold_of = dict(zip(names, self.generator.permutation(len(names)) % FOLDS, strict=True))
        self.folds = np.array([fold_of[name] for name in self.people.tolist()])
        self._count, self._conditions = count, conditions

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Go through the numbers of what is drawn, and a row for each: every row is used before one is used again."""
        order: list[int] = []
        while len(order) < self._count:
            order += self.generator.permutation(len(self.people)).tolist()
        yield from enumerate(order[: self._count])

    def seconds(self) -> float:
        """Draw how long a recording may be: as it is, or down to the shortest, where each octave is as frequent."""
        cut = self.generator.random() < CUT
        length = np.exp(self.generator.uniform(np.log(SHORTEST), np.log(LONGEST)))
        return float(length) if cut else LONGEST

    def condition(self) -> str:
        """Draw what a recording is brought to."""
        return self._conditions[int(self.generator.integers(len(self._conditions)))]

    def alone(self, first: int, way: int | None, amount: float) -> Draw:
        """Draw the rest of what is made of one recording, which differs so much in a way.

        Args:
            first, way, amount: as [`Draw`] has them.
        """
        made = self.seconds(), self.condition(), int(self.folds[first]), self.seed()
        return Draw(first, None, way, amount, *made)

    def seed(self) -> int:
        """Draw what decides the rest."""
        return int(self.generator.integers(1 << 62))


def finished(samples: np.ndarray | None, draw: Draw) -> np.ndarray | None:
    """Bring a recording to its condition, and leave what is heard of it; None if it cannot be used."""
    if samples is None:
        return None
    try:
        made = Condition.parse(draw.condition).apply(samples, draw.seed)
    except AudioError:  # it is noisier already, or has too little speech
        return None
    return what_is_heard(made)


def voice(samples: np.ndarray, generator: np.random.Generator, seconds: float) -> np.ndarray | None:
    """What is heard of a recording, or so many seconds of it if it is longer; None if it has too little speech."""
    found = what_is_heard(samples) if len(samples) else None
    length = round(seconds * SAMPLING_RATE)
    if found is not None and len(found) > length:
        start = int(generator.integers(len(found) - length + 1))
        found = found[start : start + length]
    return found


def what_is_heard(samples: np.ndarray) -> np.ndarray | None:
    """What of a recording is heard when it is embedded; None if it has too little speech."""
    quality, speech = measure_recording(samples)
    if reason_to_refuse(quality, MIN_SPEECH) is not None:
        return None
    return heard(samples, stretches_of(samples, speech))
