"""Figures and findings in words: one wording for the text, the page and the app."""

import math

from balr_hf.explanation import verbal_scale

# With fewer speakers than this a calibration is called rough.
FEW_SPEAKERS = 30


def describe_amount(calibration: dict) -> str:
    """In plain words, how much a calibration was fitted on.

    Args:
        calibration (dict): of a scorer's configuration.
    """
    same, different = calibration["num_same_speaker"], calibration["num_different_speaker"]
    speakers = calibration["num_speakers"]
    text = f"{same:,} same-speaker and {different:,} different-speaker trials"
    if not speakers:
        return f"{text} of an unknown number of speakers"
    text += f" of {speakers} speakers"
    if speakers < FEW_SPEAKERS:
        text += f" (that is few: {FEW_SPEAKERS} and more would pin it down better)"
    return text


LOG10 = math.log(10)


def state(active: int, recordings: int) -> str:
    """An attribute's state on one side in words."""
    if recordings == 1:
        return "active" if active else "inactive"
    return f"active in {active} of {recordings}"


def percent(share: float | None) -> str:
    """A share in percent, or a dash."""
    return "-" if share is None else f"{100 * share:.1f} %"


def times(llr: float) -> str:
    """The likelihood ratio or its inverse, whichever is more than 1, with three digits that count."""
    exponent = abs(llr) / LOG10
    if exponent >= 9:
        return f"10^{exponent:.0f}"
    value = float(f"{10**exponent:.3g}")
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def describe_term(term: float, is_llr: bool) -> str:
    """An attribute's term, signed: three decimals of a log-likelihood ratio, three digits of anything else."""
    return f"{term:+.3f}" if is_llr else f"{term:+.3g}"


def scale_in_a_line() -> str:
    """The verbal scale in one line."""
    return "; ".join(f"{limits} {words.removesuffix(' support')}" for limits, words in verbal_scale.ranges()[1:])
