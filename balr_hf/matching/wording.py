"""What a report says of a matched calibration: remarks, each a sentence, and the conditions of its copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from balr_hf.errors import name_some
from balr_hf.matching.copies import CLEAN, CopyOf
from balr_hf.matching.wanted import Wanted

# The share of a side's speech that the median copy needs, or a remark says that it has less.
LESS_SPEECH = 0.75
# How a kind of simulation is said; the keys are those of [`CopyOf.simulated`].
SIMULATED = {"band": "a wider band was filtered", "noise": "noise was added"}


def describe_simulation(copies: Sequence[CopyOf]) -> str | None:
    """Caution that the conditions of copies are simulated; None if the recordings had them by themselves."""
    made = [copy for copy in copies if not copy.reason]
    simulated = [copy for copy in made if copy.simulated]
    if not simulated:
        return None
    kinds = Counter(kind for copy in simulated for kind in copy.simulated.split(", "))
    told = " and ".join(f"{text} in {kinds[kind]:,}" for kind, text in SIMULATED.items() if kinds[kind])
    return (
        f"The conditions of {len(simulated):,} of the {len(made):,} copies that the calibration rests on are "
        f"simulated ({told}). Recordings that were really made in such conditions are harder to compare, so that the "
        "likelihood ratio and the figures of the cross-validation are too good. Real recordings in the conditions of "
        "the case calibrate better."
    )


def describe_left_out(speakers: Collection[str], corpus: str) -> str | None:
    """Say which speakers of a corpus were left out since they are of the case; None if none were."""
    if not speakers:
        return None
    return (
        f"The matched calibration leaves out speakers of {corpus} who are those of the case, as far as names and "
        f"files tell: {name_some(sorted(speakers))}."
    )


def describe_copies(side: Wanted, copies: Sequence[CopyOf]) -> str:
    """What became of the recordings for a side: its condition, and how many fall short of it."""
    reasons = Counter(plain_reason(copy.reason) for copy in copies if copy.reason)
    notes = Counter(copy.note for copy in copies if copy.note)
    told = [f"brought to {side.condition}"]
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
    """Caution of sides that have much more speech than the copies for them."""
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
