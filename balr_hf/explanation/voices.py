"""Whether a recording holds one voice, by the two parts of it that differ most: the system itself compares them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from balr_hf.domain import Limits, comparisons_beyond_limits, recordings_beyond_limits
from balr_hf.explanation.wording import HELD, ratio, rounded_times

if TYPE_CHECKING:
    import torch

# What was found of a recording.
Found = TypeVar("Found")

# What is said where recordings were not looked at, and why.
UNLOOKED = "not looked at"
NEEDED = "this takes the audio, models that are known to belong together, and a calibration with one recording a side"
# What is said where the case has a calibration of its own, whose bounds are others.
OWN_CALIBRATION = "compared by the scorer's own calibration and its bounds, not by the one matched to the case"
# How many stretches of a part are named; of the others it is said that there are more.
MOST_NAMED = 3
# Pairs of recordings of a side that are compared at once.
PAIRS_AT_ONCE = 1_000


class CalibratedConfig(Protocol):
    """What [`compare_parts`] needs of a [`ScorerConfig`]."""

    @property
    def calibration(self) -> dict[str, Any] | None: ...


class ComparingScorer(Protocol):
    """What [`compare_parts`] needs of a [`Scorer`]."""

    calibration_offset: torch.Tensor

    @property
    def config(self) -> CalibratedConfig: ...

    @property
    def is_calibrated(self) -> bool: ...

    @property
    def bounds(self) -> tuple[float, float] | None: ...

    def attribute_scores(self, enroll: np.ndarray, test: np.ndarray, calibrated: bool = False) -> torch.Tensor: ...

    def quality_rows(
        self, quality: tuple[Sequence[Mapping[str, Any]], ...], numbers: Sequence[int]
    ) -> tuple[tuple[str, float], ...]: ...


@dataclass(frozen=True)
class Parts:
    """The two parts of a recording that differ most.

    Attributes:
        bits: the attributes of the longer part and of the shorter one, bool `(2, attributes)`.
        seconds: how long they are, without what is not heard.
        stretches: `(start, end)` of each stretch of the shorter part, in seconds of the recording.
    """

    bits: np.ndarray
    seconds: tuple[float, float]
    stretches: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class OneVoice:
    """What a comparison of the two parts of a recording gave.

    Attributes:
        llr: the natural-log likelihood ratio of the two parts, without bounds.
        seconds, stretches: as those of [`Parts`].
        is_beyond: whether they are so unlike that no verbal verdict is given.
        is_allowed: whether they are, by the default limits, but not by those that were set.
        bounds: the lowest and the highest natural-log LR that the calibration can vouch for; None if that is unknown.
    """

    llr: float
    seconds: tuple[float, float]
    stretches: tuple[tuple[float, float], ...]
    is_beyond: bool
    is_allowed: bool
    bounds: tuple[float, float] | None = None

    @property
    def reported(self) -> float:
        """The LLR within the calibration's bounds, beyond which nothing vouches for it."""
        return _held(self.llr, self.bounds)

    @property
    def is_bounded(self) -> bool:
        """Whether `reported` is a bound."""
        return self.reported != self.llr

    @property
    def is_doubtful(self) -> bool:
        """Whether the parts are more probable if two people speak in them."""
        return self.llr < 0

    def is_beyond_limits(self, limits: Limits) -> bool:
        """Whether no verdict would be given with these limits."""
        return bool(-self.llr > np.log(limits.voices))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def describe(self, which: str) -> str:
        """What a reader must know of a recording whose parts are unlike.

        Args:
            which (str): names the recording at the start of a sentence.
        """
        named = ", ".join(f"{_clock(start)} to {_clock(end)}" for start, end in self.stretches[:MOST_NAMED])
        more = " and more" if len(self.stretches) > MOST_NAMED else ""
        longer, shorter = self.seconds
        return (
            f"{which} may hold more than one voice, or one under changing conditions: its two parts that differ most "
            f"({longer:.0f} s, and {shorter:.0f} s at {named}{more}) are {_more_probable(self.llr, self.bounds)}."
        )


def compare_parts(
    scorer: ComparingScorer, parts: Parts, quality: Mapping[str, Any], limits: Limits | None = None
) -> OneVoice:
    """Compare the two parts of a recording, as if they were two recordings.

    Args:
        scorer ([`Scorer`]): a calibrated scorer.
        parts: of the recording.
        quality: what was measured of the recording, as [`RecordingQuality.to_dict`] gives it.
        limits ([`Limits`], *optional*): the defaults by default.
    """
    bits = parts.bits.astype(np.float64)
    longer, shorter = np.stack([bits, 1 - bits], axis=-1)[:, None]
    llr = float(_llrs(scorer, longer, shorter, [(quality, quality)])[0])
    found = OneVoice(llr, parts.seconds, parts.stretches, False, False, scorer.bounds)
    beyond, usual = (found.is_beyond_limits(which) for which in (limits or Limits(), Limits()))
    return replace(found, is_beyond=beyond, is_allowed=usual and not beyond)


def can_compare_parts(scorer: ComparingScorer) -> bool:
    """Whether what a scorer says of two parts means anything: it is calibrated, and with one recording a side."""
    if not scorer.is_calibrated:
        return False
    domain = (scorer.config.calibration or {}).get("domain")
    one = np.ones(1, dtype=int)
    return domain is None or not (
        recordings_beyond_limits(1, domain).any() or comparisons_beyond_limits(one, one, domain).any()
    )


def unlike_recordings(
    scorer: ComparingScorer,
    side: str,
    counts: np.ndarray,
    quality: Sequence[Mapping[str, Any]],
    limits: Limits | None = None,
) -> tuple[str, ...]:
    """Ask whether the recordings of a side are of one speaker: each is compared with each other.

    Args:
        scorer ([`Scorer`]): a scorer; if [`can_compare_parts`] is not true of it, nothing is said.
        side (str): its name.
        counts (`(recordings, attributes, 2)`): how often each attribute of each is active, and inactive.
        quality: what was measured of each, as [`RecordingQuality.to_dict`] gives it.
        limits ([`Limits`], *optional*): the limit of voices is taken; the defaults by default.

    Returns:
        A caution that names the two that are least alike, if they are beyond the limit; else nothing.
    """
    if len(counts) != len(quality) or not can_compare_parts(scorer):
        return ()
    llr, least = np.inf, (0, 0)
    pairs = itertools.combinations(range(len(counts)), 2)
    while some := list(itertools.islice(pairs, PAIRS_AT_ONCE)):
        first, second = (list(side) for side in zip(*some, strict=True))
        llrs = _llrs(scorer, counts[first], counts[second], [(quality[a], quality[b]) for a, b in some])
        if llrs.min() < llr:
            llr, least = float(llrs.min()), some[int(llrs.argmin())]
    if -llr <= np.log((limits or Limits()).voices):
        return ()
    others = f", of {len(counts)} those least alike," if len(counts) > 2 else ""
    return (
        f"Recording {least[0] + 1} and recording {least[1] + 1} of {side}{others} may be of different speakers, or of "
        f"one under other conditions: they are {_more_probable(llr, scorer.bounds)}. The likelihood ratio takes all "
        "recordings of a side for those of one speaker.",
    )


def _llrs(
    scorer: ComparingScorer,
    enroll: np.ndarray,
    test: np.ndarray,
    quality: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> np.ndarray:
    """The calibrated LLR of each pair of recordings, or of parts: float64 `(pairs,)`."""
    terms = scorer.attribute_scores(enroll, test, calibrated=True).sum(-1).cpu().numpy()
    of_quality = [sum(term for _, term in scorer.quality_rows(([a], [b]), (1, 1))) for a, b in quality]
    return terms + scorer.calibration_offset.item() + np.array(of_quality)


def _held(llr: float, bounds: tuple[float, float] | None) -> float:
    """An LLR within the calibration's bounds."""
    return llr if bounds is None else min(max(llr, bounds[0]), bounds[1])


def _more_probable(llr: float, bounds: tuple[float, float] | None) -> str:
    """By how much two recordings, or parts, speak for different people, in words."""
    held = _held(llr, bounds)
    at_least = "" if held == llr else "at least "
    return f"{at_least}{rounded_times(held)} times more probable if different people speak in them than if one does"


def shortest_part(scorer: ComparingScorer, quality: Mapping[str, Any], heard: float) -> float:
    """How many seconds a part of a recording needs, so that it has as much speech as the calibration's recordings.

    Args:
        scorer ([`Scorer`]): a calibrated scorer.
        quality: what was measured of the recording, as [`RecordingQuality.to_dict`] gives it.
        heard (float): seconds of the recording that are embedded.
    """
    domain = (scorer.config.calibration or {}).get("domain") or {}
    quantiles = domain.get("measures", {}).get("net_speech")
    if quantiles is None or not quality["net_speech"]:
        return 0.0
    return quantiles[1] * max(1.0, heard / quality["net_speech"])


def told_of_each(sides: Sequence[Sequence[Found]], needed: str, tell: Callable[[Found], str]) -> list[str]:
    """A text for each recording of the two sides, with its name: `A`, or `B2`; and one for a side without any.

    Args:
        sides: what was found of each recording of A, and of B.
        needed (str): what it takes to look at a recording.
        tell: says what was found of one.
    """
    told = []
    for side, recordings in zip("AB", sides, strict=True):
        if not recordings:
            told.append(f"{side}: {UNLOOKED} ({needed})")
        for number, found in enumerate(recordings, 1):
            told.append(f"{side if len(recordings) == 1 else f'{side}{number}'}: {tell(found)}")
    return told


def describe_voices(sides: Sequence[Sequence[OneVoice | None]], matched: bool = False) -> str:
    """What comparing the parts of each recording of the two sides gave, in words.

    Args:
        sides: what was found of each recording of A, and of B.
        matched (bool): whether the calibration was matched to the case just now, and so is not that of the parts.
    """
    if not any(sides):
        return f"{UNLOOKED}: {NEEDED}"

    def tell(found: OneVoice | None) -> str:
        if found is None:
            return "too short to be told"
        longer, shorter = found.seconds
        held = f" ({HELD})" if found.is_bounded else ""
        return (
            f"LR {ratio(found.reported)}{held} between its two parts that differ most "
            f"({longer:.0f} s, {shorter:.0f} s)"
        )

    told = told_of_each(sides, NEEDED, tell)
    if matched and any(found is not None for side in sides for found in side):
        told.append(OWN_CALIBRATION)
    return "; ".join(told)


def _clock(seconds: float) -> str:
    """A place in a recording: `1:02.5`."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
