"""What detectors heard in recordings, in words: people who speak at the same time, another speed, a room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from balr_hf.domain import Limits
from balr_hf.explanation.voices import UNLOOKED, told_of_each

# In percent: if fewer of the usual recordings sound as unusual, readers are told.
TOLD = 5.0
# What it takes to listen for something.
NEEDED = "this takes the audio, and a system with a detector for its embedder, which balr detectors makes"


@dataclass(frozen=True)
class Kind:
    """Something that detectors listen for, and what is said of it.

    Attributes:
        name: in results, in `no_verdict` and among the [`Limits`].
        detector: what a detector of it is called within a sentence.
        file: the name of its file beside a system.
        ways: in which ways a recording can differ from usual ones; the other tuples have a text for each of them.
        may: what a recording that sounds so may do, to follow its name.
        marks: the same in a table.
        usual: what the recordings are with which it is compared.
        alike: how few of these sound, to follow their percentage.
        unlooked: what may be in recordings that were not looked at.
        label: of the row of a report that says what was found.
        headline: where there is no verdict.
        amounts: what differs by how much, with `{low}` and `{high}`.
    """

    name: str
    detector: str
    file: str
    ways: tuple[str, ...]
    may: tuple[str, ...]
    marks: tuple[str, ...]
    usual: str
    alike: str
    unlooked: str
    label: str
    headline: str
    amounts: tuple[str, ...]

    def amount(self, way: str, low: float, high: float) -> str:
        """Recordings that differ by so much, in words."""
        return self.amounts[self.ways.index(way)].format(low=low, high=high)


OVERLAPPED = Kind(
    name="overlapped",
    detector="detector of overlapped speech",
    file="overlapped_speech.safetensors",
    ways=("overlapped",),
    may=("hold people who speak at the same time, or another sound beside the voice",),
    marks=("hold voices at the same time",),
    usual="recordings of one voice",
    alike="as much like two voices at once",
    unlooked="people speak at the same time",
    label="One voice at a time",
    headline="NO VERDICT: people may speak at the same time in a recording",
    amounts=("second voices (for half of the time or more) {low:g} to {high:g} dB below the first",),
)
SPEED = Kind(
    name="speed",
    detector="detector of changed speed",
    file="changed_speed.safetensors",
    ways=("faster", "slower"),
    may=(
        "play speech faster than it was spoken (by a wrong sampling rate, for instance), or hold an unusual voice",
        "play speech slower than it was spoken (by a wrong sampling rate, for instance), or hold an unusual voice",
    ),
    marks=("play speech faster than spoken", "play speech slower than spoken"),
    usual="recordings at the speed of the speaker",
    alike="as much like speech that is played faster or slower",
    unlooked="speech is played at another speed",
    label="Speed",
    headline="NO VERDICT: a recording may play speech at another speed",
    amounts=("speech {low:g} to {high:g} times as fast", "speech {low:g} to {high:g} times as slow"),
)
ROOM = Kind(
    name="room",
    detector="detector of reverberant rooms",
    file="reverberant_room.safetensors",
    ways=("reverberant",),
    may=("come from a reverberant room, or from far away from a microphone",),
    marks=("come from a reverberant room",),
    usual="usual recordings",
    alike="as reverberant",
    unlooked="a voice comes from a reverberant room",
    label="Room",
    headline="NO VERDICT: a recording may come from a reverberant room",
    amounts=("recordings in simulated rooms whose reverberation time is {low:g} to {high:g} s",),
)
KINDS = (OVERLAPPED, SPEED, ROOM)


@dataclass(frozen=True)
class Heard:
    """How much a recording sounds like something that a detector listens for.

    Attributes:
        kind: what it listens for.
        percentile: how many usual recordings, in percent, sound at least as much like it.
        way: in which way it does, one of `kind.ways`.
        is_beyond: whether they are so few that no verbal verdict is given.
        is_allowed: whether they are, by the default limits, but not by those that were set.
    """

    kind: Kind
    percentile: float
    way: str
    is_beyond: bool
    is_allowed: bool

    @classmethod
    def of(cls, kind: Kind, percentiles: Sequence[float], limits: Limits | None = None) -> Heard:
        """What percentiles mean.

        Args:
            kind: what was listened for.
            percentiles: for each way, how many usual recordings, in percent, sound at least so. The least counts, as
                many times as there are ways, since usual recordings can seem unusual in each.
            limits ([`Limits`], *optional*): the defaults by default.
        """
        least = min(percentiles)
        percentile = min(100.0, len(percentiles) * least)
        found = cls(kind, percentile, kind.ways[percentiles.index(least)], False, False)
        beyond, usual = (found.is_beyond_limits(which) for which in (limits or Limits(), Limits()))
        return replace(found, is_beyond=beyond, is_allowed=usual and not beyond)

    def is_beyond_limits(self, limits: Limits) -> bool:
        """Whether no verdict would be given with these limits."""
        return bool(self.percentile < getattr(limits, self.kind.name))

    @property
    def is_doubtful(self) -> bool:
        """Whether a reader has to be told."""
        return self.percentile < TOLD or self.is_beyond

    @property
    def mark(self) -> str:
        """What a table says of it."""
        return f"may {self._of_way(self.kind.marks)} ({shown(self.percentile)})"

    def _of_way(self, texts: Sequence[str]) -> str:
        return texts[self.kind.ways.index(self.way)]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if name != "kind"}

    def describe(self, which: str) -> str:
        """What a reader must know of a recording that sounds like something that is listened for.

        Args:
            which (str): names the recording at the start of a sentence.
        """
        return (
            f"{which} may {self._of_way(self.kind.may)}: of {self.kind.usual}, {shown(self.percentile)} sound "
            f"{self.kind.alike}."
        )


# What was heard of the recordings of A and of B, by the name of the kind; nothing of a side that was not looked at.
HeardOfSides = Mapping[str, tuple[tuple[Heard, ...], tuple[Heard, ...]]]


def heard_of_sides(a: Sequence[Mapping[str, Heard]], b: Sequence[Mapping[str, Heard]]) -> HeardOfSides:
    """Sort what was heard of each recording of A, and of B, by kinds."""
    kinds = dict.fromkeys(name for one in (*a, *b) for name in one)
    return {name: (tuple(one[name] for one in a), tuple(one[name] for one in b)) for name in kinds}


def heard_of(heard: HeardOfSides, kind: Kind) -> tuple[tuple[Heard, ...], tuple[Heard, ...]]:
    """What was heard of a kind in the recordings of A, and of B."""
    return heard.get(kind.name, ((), ()))


def everything(heard: HeardOfSides) -> list[Heard]:
    """All that was heard, of whatever kind and recording."""
    return [one for sides in heard.values() for side in sides for one in side]


def shown(percentile: float) -> str:
    """A percentile as it is printed: two digits, and more where these would round it up to a whole number.

    So one that is below its limit is not printed as the limit.
    """
    if percentile >= 10:
        return f"{percentile:.0f} %"
    digits = 2
    while percentile < (rounded := float(f"{percentile:.{digits}g}")) and rounded.is_integer():
        digits += 1
    return f"{percentile:.{digits}g} %"


def describe_heard(heard: HeardOfSides, kind: Kind) -> str:
    """What listening for something in the recordings of the two sides gave, in words."""
    sides = heard_of(heard, kind)
    if not any(sides):
        return f"{UNLOOKED}: {NEEDED}"
    told = told_of_each(sides, NEEDED, lambda one: shown(one.percentile))
    return f"{'; '.join(told)} of {kind.usual} sound {kind.alike}"
