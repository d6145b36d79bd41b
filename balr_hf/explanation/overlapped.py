"""Whether people speak at the same time in a recording: what a detector of overlapped speech found, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from balr_hf.domain import Limits
from balr_hf.explanation.voices import UNLOOKED, told_of_each

# In percent: if fewer of the recordings of one voice sound as much like two at once, readers are told.
TOLD = 5.0
# What it takes to look for it.
NEEDED = "this takes the audio, and a system with a detector for its embedder, which balr overlapped makes"


@dataclass(frozen=True)
class Overlapped:
    """How much a recording sounds like people who speak at the same time.

    Attributes:
        percentile: how many recordings of one voice, in percent, sound at least as much like two voices at once.
        is_beyond: whether they are so few that no verbal verdict is given.
        is_allowed: whether they are, by the default limits, but not by those that were set.
    """

    percentile: float
    is_beyond: bool
    is_allowed: bool

    @classmethod
    def of(cls, percentile: float, limits: Limits | None = None) -> Overlapped:
        """What a percentile means.

        Args:
            percentile (float): see above.
            limits ([`Limits`], *optional*): the defaults by default.
        """
        beyond, usual = (percentile < which.overlapped for which in (limits or Limits(), Limits()))
        return cls(percentile, beyond, usual and not beyond)

    @property
    def is_doubtful(self) -> bool:
        """Whether a reader has to be told."""
        return self.percentile < TOLD or self.is_beyond

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def describe(self, which: str) -> str:
        """What a reader must know of a recording that sounds like two voices at once.

        Args:
            which (str): names the recording at the start of a sentence.
        """
        return (
            f"{which} may hold people who speak at the same time, or another sound beside the voice: of recordings of "
            f"one voice, {shown(self.percentile)} sound as much like two voices at once."
        )


def shown(percentile: float) -> str:
    """A percentile as it is printed: two digits, and never less than it is known to."""
    return f"{percentile:.0f} %" if percentile >= 10 else f"{percentile:.2g} %"


def describe_overlapped(sides: Sequence[Sequence[Overlapped]]) -> str:
    """What looking for overlapped speech in the recordings of the two sides gave, in words.

    Args:
        sides: what was found of each recording of A, and of B.
    """
    if not any(sides):
        return f"{UNLOOKED}: {NEEDED}"
    told = told_of_each(sides, NEEDED, lambda one: shown(one.percentile))
    return f"{'; '.join(told)} of recordings of one voice sound as much like two at once"
