"""What a report says of a matched calibration: remarks, each a sentence, and the conditions of its copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from balr_hf.conditions import Condition
from balr_hf.errors import name_some
from balr_hf.matching.copies import CLEAN, NARROWER, NOISIER, CopyOf, bandwidth_of
from balr_hf.matching.wanted import Wanted

# The share of a side's speech that the median copy needs, or a remark says that it has less.
LESS_SPEECH = 0.75
# How a kind of simulation is said; the keys are those of [`CopyOf.simulated`].
SIMULATED = {"band": "a wider band was filtered", "noise": "noise was added"}
# What benchmarks/matched.py found of a band that is simulated.
FILTERED = (
    "A filter is not a telephone: filtered wide-band recordings promised a Cllr of 0.26 for real calls (the package's "
    "small system, docs/conditions.md), and it was 0.47 within one session and 1.03, where 1 says nothing, across "
    "sessions. "
)
# What is said where the corpus does not tell the sessions.
UNKNOWN_SESSIONS = (
    "The corpus of the matched calibration does not tell sessions (a column session): whether its recordings of one "
    "speaker are all of one session is unknown. If they are, and those of the case are not, the likelihood ratio is "
    "too far from 1."
)


def describe_matched(corpus: str, chosen: str | None = None) -> str:
    """Say what is matched to a case, and what is not.

    Args:
        corpus (str): what the report calls the corpus.
        chosen (str, *optional*): which of its recordings stand for which side.
    """
    of = corpus if chosen is None else f"{corpus} ({chosen})"
    return (
        "Matched to the case are net speech, signal-to-noise ratio and bandwidth alone. Room, microphone, coder, "
        f"language, style and session are those of {of}: where the case is unlike it in one of these, the likelihood "
        "ratio and the figures of the cross-validation are too good. What a room adds to a recording of the case "
        "counts as noise: copies then have noise where it has reverberation."
    )


def describe_out_of_reach(sides: tuple[Sequence[CopyOf], Sequence[CopyOf]], alike: bool) -> str | None:
    """Caution that many recordings could not be brought to the conditions of a side; None if few could not.

    Args:
        sides: the copies of all recordings for A, and for B.
        alike (bool): whether these are the same, since the sides of the case are alike.
    """
    named = {"the case" if alike else name: copies for name, copies in zip("AB", sides, strict=True)}
    out = {name: sum(bool(copy.reason) for copy in copies) for name, copies in named.items()}
    many = [name for name, copies in named.items() if out[name] > len(copies) / 4]
    if not many:
        return None
    counted = len(sides[0]) == len(sides[1])
    told = " and ".join(
        f"{out[name]}{'' if place and counted else f' of the {len(named[name])} calibration recordings'} could not be "
        f"brought to the conditions of {name}"
        for place, name in enumerate(many)
    )
    return f"{told}: those that could may differ from it in other ways."


def describe_simulation(
    copies: Sequence[CopyOf], conditions: tuple[Condition, Condition], apart: bool = False
) -> str | None:
    """Caution that the conditions of copies are simulated; None if the recordings had them by themselves.

    Args:
        copies: those of the calibration's trials.
        conditions: of the copies for A, and of those for B.
        apart (bool): whether no recording has copies for both.
    """
    simulated = [copy for copy in copies if copy.simulated]
    if not simulated:
        return None
    kinds = Counter(kind for copy in simulated for kind in copy.simulated.split(", "))
    told = " and ".join(f"{text} in {kinds[kind]:,}" for kind, text in SIMULATED.items() if kinds[kind])
    return (
        f"The conditions of {len(simulated):,} of the {len(copies):,} copies that the calibration rests on are "
        f"simulated ({told}). Recordings that were really made in such conditions are harder to compare, so that the "
        "likelihood ratio and the figures of the cross-validation are too "
        f"good{'' if apart else _describe_unlike(conditions)}. {FILTERED if kinds['band'] else ''}Real recordings in "
        "the conditions of the case calibrate better."
    )


def _describe_unlike(conditions: tuple[Condition, Condition]) -> str:
    """That it is worse where the conditions of A and of B differ, to end a sentence; nothing if they do not."""
    bands = [bandwidth_of(condition) for condition in conditions]
    ratios = [CLEAN if condition.snr is None else condition.snr for condition in conditions]
    differ = []
    if abs(bands[0] - bands[1]) > NARROWER:
        differ.append(f"bandwidth (by {abs(bands[0] - bands[1]) / 1000:.1f} kHz)")
    if abs(ratios[0] - ratios[1]) > NOISIER:
        told = [f"{ratio:.0f} dB{' and more' if ratio >= CLEAN else ''}" for ratio in sorted(ratios)]
        differ.append(f"signal-to-noise ratio ({told[0]} against {told[1]})")
    if not differ:
        return ""
    return (
        f", here by far, since A and B differ in {' and '.join(differ)}: the two copies of a trial differ in what was "
        "simulated alone, and recordings of one speaker that were made in two places differ in much else"
    )


def describe_left_out(speakers: Collection[str], corpus: str) -> str | None:
    """Say which speakers of a corpus were left out since they are of the case; None if none were."""
    if not speakers:
        return None
    return (
        f"The matched calibration leaves out speakers of {corpus} who are those of the case, as far as names and "
        f"files tell: {name_some(sorted(speakers))}."
    )


def describe_copies(side: Wanted, copies: Sequence[CopyOf], used: Sequence[CopyOf]) -> str:
    """What became of the recordings for a side: its condition, how many fall short of it, how many are in trials.

    Args:
        side: of the case.
        copies: those of all recordings.
        used: those of them that are in the calibration's trials.
    """
    made = sum(not copy.reason for copy in copies)
    reasons = Counter(plain_reason(copy.reason) for copy in copies if copy.reason)
    notes = Counter(copy.note for copy in copies if copy.note)
    told = [f"{made} of {len(copies)} recordings brought to {side.condition}"]
    if len(used) != made:
        told[0] += f", {len(used)} of these in trials"
    kept = sum(copy.was_kept for copy in used)
    if kept:
        told[0] += f", {kept} computed for an earlier case"
    if side.condition.snr is None:
        told.append(f"no noise added, since the case has more than {CLEAN:.0f} dB")
    told += [f"{count} left out ({reason})" for reason, count in reasons.most_common(4)]
    told += [f"{count} only as near as they can be ({note})" for note, count in notes.most_common(3)]
    return "; ".join(told)


def describe_range(copies: Sequence[CopyOf]) -> str:
    """The conditions of copies in words: from the 5th to the 95th percentile."""
    known = [copy.quality for copy in copies if copy.quality is not None]
    values = np.array([[row["net_speech"], row["snr"], row["bandwidth"]] for row in known], dtype=np.float64)
    low, high = np.nanpercentile(values, [5, 95], axis=0)
    return (
        f"{low[0]:.1f} to {high[0]:.1f} s of speech, SNR {low[1]:.0f} to {high[1]:.0f} dB, {low[2] / 1000:.1f} to "
        f"{high[2] / 1000:.1f} kHz (90 % of {len(values)} copies)"
    )


def describe_less_speech(wanted: Sequence[Wanted], sides: Sequence[Sequence[CopyOf]]) -> list[str]:
    """Caution of sides that have much more speech than the copies for them that are in trials."""
    told = []
    for name, side, copies in zip("AB", wanted, sides, strict=True):
        held = float(np.median([copy.quality["net_speech"] for copy in copies if copy.quality is not None]))
        if held < LESS_SPEECH * side.net_speech:
            told.append(
                f"The recordings of the matched calibration have less speech than {name} ({held:.1f} s against "
                f"{side.net_speech:.1f} s): the likelihood ratio is calibrated for less speech than there is."
            )
    return told


def describe_unmatched(wanted: Sequence[Wanted]) -> str | None:
    """Caution of what of the sides is not brought about; None if there is nothing of the kind."""
    told = [what for side in wanted for what in side.unmatched]
    return f"The matched calibration leaves aside that {'; that '.join(told)}." if told else None


def plain_reason(reason: str) -> str:
    """A reason without the figures of one recording."""
    return "cannot be used" if any(character.isdigit() for character in reason) else reason
