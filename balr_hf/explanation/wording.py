"""Figures and findings in words: the text, the page and the app all take their wording from here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from balr_hf.explanation import verbal_scale
from balr_hf.populations import describe_speakers

# Readers are warned of a calibration on fewer speakers than this.
FEW_SPEAKERS = 30

LOG10 = math.log(10)

# How a likelihood ratio of 1 is printed, and from which one on only the power of ten is.
ONE, MOST_IN_FULL = "1.0", 10**9

# Headings of the parts of an explanation.
TITLE = "Speaker comparison"
EACH_ATTRIBUTE = "What each attribute adds"
FOR_SAME, FOR_DIFFERENT = "For the same speaker", "For different speakers"
THE_SUM = "How the sum comes about"
THE_RECORDINGS = "What is in the recordings"
RECORDINGS = (
    "SNR is the signal-to-noise ratio; WADA marks an estimate from the distribution of the samples, where the pauses "
    "are too short to measure the noise. Rooms and noise slow decays. A tone is the strongest steady line of the "
    "spectrum; in short recordings, it can be a partial of the voice. Levels are relative to full scale (dBFS)."
)
THE_PROPOSITIONS = "Propositions"
THE_SCALE = "Verbal scale"
THE_METHOD = "How it was found"
THE_VALIDATION = "How well the system does"
VALIDATION = (
    "Likelihood ratios of the calibration's own trials, each calibrated on other speakers (cross-validated). Blue: "
    "the share of same-speaker trials whose LR is as low as this or lower. Orange: the share of different-speaker "
    "trials whose LR is as high as this or higher."
)
THIS_CASE = "The dashed line is the LR of this case as it is reported. The curves are of LRs before bounds."

# Of the groups of attributes, where these are described.
THE_GROUPS = "What the attributes go with"
GROUP_COLUMNS = ("group", "attributes", "for same speaker", "for different", "sum ({unit})")
GROUPS = (
    "Each attribute is in one group, by the measures that go with it in other recordings; the groups' sums add up to "
    "that of all attributes. F0 is the fundamental frequency of the voice, which is heard as its pitch. The group "
    "recording is of attributes that follow, or may follow, the noise, band or level of a recording, or how much is "
    "spoken in it, rather than the voice. What an attribute goes with is not what it is: the groups are a guide for "
    "listening, no finding."
)
SENTENCES = (
    "The sentence of an attribute tells what was usual in other recordings, those that the attributes were described "
    "on: it is no finding about A or B, and sentences can contradict each other. Its figures are medians, with the "
    "range of the middle half of the recordings in brackets. Pairs are of a recording in which the attribute is "
    "active and one in which it is not."
)
# Follows where there is such a table.
WHERE_MEASURES_ARE = "What was measured of A and of B is in the table of the measures of both sides."
THE_MEASURES = "The measures of both sides"
MEASURE_COLUMNS = ("measure", "A", "B", "others", "25, 50, 75 %", "A lies", "B lies")
# The parts of the table of measures, of which the second is that of the recording.
MEASURE_PARTS = ("of the voice", "of the recording and the amount of speech")
MEASURES = (
    "Medians over the recordings of a side, and a dash where none could be measured. Others are the recordings that "
    "the attributes were described on: a quarter of them lies below the first figure, half below the second, three "
    "quarters below the third. Amounts are not compared with them, since they depend on how recordings were cut. "
    "Energies are relative to that of all bands. The likelihood ratio does not use these figures, and that both "
    "sides agree in them is no further evidence: they are here to be checked by ear and by eye."
)
BY_SEX = (
    "Voices of women and of men differ in most measures, so these are compared with others of either sex, as far as "
    "the corpus names it. Nobody's sex is told from the voice: which row concerns a side, the reader must know. The "
    "sentences of attributes have figures of both sexes together."
)
NOT_BY_SEX = (
    "Others are of both sexes together, because the corpus does not name the sex of enough of them: among these, the "
    "F0 and the formants of most women lie high, and those of most men low, without being unusual."
)
NO_DESCRIPTIONS = "none: what the attributes go with is not known (balr describe SYSTEM CORPUS finds it out)"

# Headings of the columns of a table of attributes. The second is the unit of the terms.
COLUMNS = ("attribute", "{unit}", "A", "B")
# What explains a term of the scorers of profiles, and of the beta-binomial scorer.
PROFILE_COLUMNS, BETA_COLUMNS = ("typicality",), ("rarity", "steadiness")
MORE_COLUMNS = ("active in population", "evidence")
# The columns that hold words; all others hold numbers, which are aligned to the right.
WORD_COLUMNS = ("A", "B", "evidence")

NOT_CALIBRATED = "NOT CALIBRATED: this is not a likelihood ratio"
NO_VERDICT = "NO VERDICT: the system was not calibrated for recordings like these"
NO_VERDICT_COPIES = "NO VERDICT: the two sides hold the same recording"
NO_VERDICT_BOUNDS = "NO VERDICT: the calibration has too few trials to vouch for any likelihood ratio"
NO_VERDICT_DOMAIN = "NO VERDICT: the calibration does not say which recordings it is of"
NO_VERDICT_UNMEASURED = "NO VERDICT: recordings that were not measured cannot be compared with the calibration's"
REMEDY = (
    "With recordings of other speakers like those of the case, balr explain --match calibrates for its conditions, or "
    "balr score calibrate for all such cases."
)
# Follows where nothing but too much speech prevents a verdict.
CUT = (
    "Stretches of the recordings of {sides} that are too long can be compared instead, of {seconds} s of speech: balr "
    "degrade FILE --condition duration={seconds} --save-dir cut draws one by chance. The report has to say who or "
    "what chose it."
)
NO_VERDICT_VOICES = "NO VERDICT: a recording may hold more than one voice"
AND_VOICES = "and one of them may hold more than one voice"
# Of a case that cannot be compared with the calibration's recordings, and what to do where it was not measured.
UNKNOWN_DOMAIN = "whether the calibration holds for recordings like these is unknown"
MEASURE = "A comparison with their audio measures them; balr extract does so for a corpus."
# What is said after [`describe_sessions`][balr_hf.domain.describe_sessions].
OTHER_SESSIONS = (
    "Recordings of one speaker from different sessions are less alike. If those of the case are of different "
    "sessions, its likelihood ratio is too far from 1."
)
# What is said after [`describe_unlike`][balr_hf.domain.describe_unlike].
EASIER = (
    "Such trials are easier to tell from those of one speaker. If the recordings of the case are alike in that, its "
    "likelihood ratio is too far from 1."
)
# Stands before what of a case prevents a verdict.
WHY = "Why there is no verdict:"
# Stands before the numbers of a comparison that gets no verdict.
COMPUTED = "Computed all the same, but not to be relied on:"

# Stands beside a likelihood ratio that would be further from 1, if the calibration vouched for it.
HELD = "held at the calibration's bound"
WIDER = (
    "The limits of what the calibration holds for were set wider than the default ones, with which there would be no "
    "verdict."
)
NARROWER = (
    "The limits of what the calibration holds for were set narrower than the default ones, with which there would be "
    "a verdict."
)
PROPOSITIONS = (
    "Hs: the recordings of A and of B are of the same speaker.",
    "Hd: the recordings of A and of B are of two different speakers of the relevant population.",
)
# Heads what a case file states.
THE_CASE = "The case, as its file states it (the program checked nothing of it)"
# Stands beside the propositions that a case file states, whatever they are.
WHAT_IS_COMPUTED = (
    "Hs against Hd as they are stated below: the same speaker against two different speakers of the relevant "
    "population. The propositions of the case were not read by the package: if they ask something else, this result "
    "is not of them."
)
# Stands below the propositions, with what the likelihood ratio knows the population of Hd from, and those columns of
# the descriptions.
RELEVANT = "The relevant population of Hd is represented by {sources}."
REFERENCE = "the reference population ({speakers}), which tells how rare attributes are"
IN_BRIEF = ("language", "sex")
LIMITS = (
    "A likelihood ratio is not the probability of a proposition: it says how the findings change the odds of Hs "
    "against Hd, and the odds before the findings are for the court. It concerns who speaks, not what is said. It "
    "presumes that people, recordings and settings were chosen before any result was seen: of others that were tried, "
    "the results have to be told. Not detected are synthetic, converted and replayed voices; a second voice that is "
    "weak or short; edited recordings; a small change of speed, a changed pitch, speech played backwards; disguise, "
    "illness, and a change of language."
)
DEMONSTRATION = "DEMONSTRATION: the small models of the package made this result. They are not for casework."

LOGARITHMS = (
    "LR is the likelihood ratio. LLR or ln LR is its natural logarithm (log10: to base 10), of which terms can be "
    "added: above 0 for the same speaker, below 0 for different speakers."
)

RARITY = (
    "Rarity is the share of recordings of the reference population that do not show the state that both sides show: "
    "the rarer that state is, the more it says. Steadiness is how much of an attribute's variation lies between "
    "speakers rather than within one (its intraclass correlation): the steadier speakers are, the more it says, for "
    "and against. Rarity has a dash where the recordings differ in their state."
)

TYPICALITY = (
    "Typicality is the share of pairs of reference speakers who both showed the attribute, whether or not it is "
    "active here."
)


def describe_amount(calibration: Mapping[str, Any]) -> str:
    """How much data a calibration was fitted on, in plain words.

    Args:
        calibration (dict): the description of the calibration in a scorer's configuration.
    """
    speakers = fewest_speakers(calibration)
    few = f" (that is few: {FEW_SPEAKERS} and more would pin it down better)"
    return describe_trials(calibration) + (few if speakers and speakers < FEW_SPEAKERS else "")


def fewest_speakers(calibration: Mapping[str, Any]) -> int:
    """On how many speakers a calibration rests: those of its same-speaker or of its different-speaker trials.

    Args:
        calibration (dict): as for [`describe_amount`].

    Returns:
        the smaller number; of records of earlier versions, which lack both, the number of all speakers; 0 where the
        speakers are unknown.
    """
    same, different = speakers_of_kinds(calibration)
    return min(same, different)


def speakers_of_kinds(calibration: Mapping[str, Any]) -> tuple[int, int]:
    """The speakers of same-speaker and of different-speaker trials; that of all for either where it is not known."""
    every = calibration["num_speakers"]
    names = ("num_same_speaker_speakers", "num_different_speaker_speakers")
    same, different = (calibration.get(name) or every for name in names)
    return same, different


def describe_trials(calibration: Mapping[str, Any]) -> str:
    """On how many trials of how many speakers a calibration was fitted, without saying whether that is few.

    Args:
        calibration (dict): as for [`describe_amount`].
    """
    same, different = calibration["num_same_speaker"], calibration["num_different_speaker"]
    speakers, others = speakers_of_kinds(calibration)
    if speakers != others:
        return (
            f"{same:,} same-speaker trials of {speakers:,} speaker{'s' * (speakers != 1)} and {different:,} "
            f"different-speaker trials of {others:,} speakers"
        )
    of = speakers or "an unknown number of"
    return f"{same:,} same-speaker and {different:,} different-speaker trials of {of} speakers"


def describe_different_speakers(calibration: Mapping[str, Any]) -> str:
    """Of whom the different-speaker trials of a calibration are, which decide how alike two different speakers are.

    Args:
        calibration (dict): as for [`describe_amount`].
    """
    domain = calibration.get("domain") or {}
    every = calibration["num_speakers"] or domain.get("speakers")
    speakers = speakers_of_kinds(calibration)[1] or every
    # Early records count recordings of each sex, and not speakers: that is not "not recorded".
    told = [name for name in IN_BRIEF if name in domain.get("speakers_by", {}) or name not in domain.get("counts", {})]
    who = f"{speakers:,} speakers" if speakers else "of speakers whom the record does not name"
    if speakers and told and speakers == every:  # the record does not tell of those of one kind apart
        who = describe_speakers(domain, speakers, tuple(told))
    same, matched = calibration.get("within"), describe_matching(calibration)
    which = f" that was {matched}" if matched else ""
    only = f"; trials of speakers of the same {same} only" if same else ""
    return (
        f"the {calibration['num_different_speaker']:,} different-speaker trials of the calibration{which} "
        f"({who}{only}), which tell how alike different speakers are"
    )


def describe_matching(calibration: Mapping[str, Any]) -> str:
    """To which case a calibration was matched, in words; nothing if to none."""
    if not calibration.get("matched"):
        return ""
    return "matched to the case" + (" that it was saved for" if "saved_for" in calibration else "")


def state(active: int, recordings: int) -> str:
    """The state of an attribute on one side in words.

    Args:
        active (int): the number of recordings in which the attribute is active.
        recordings (int): the number of recordings on this side.
    """
    if recordings == 1:
        return "active" if active else "inactive"
    return f"active in {active} of {recordings}"


def percent(share: float | None) -> str:
    """A share between 0 and 1 in percent, or a dash if it is not known."""
    return "-" if share is None else f"{100 * share:z.1f} %"


def rounded_times(llr: float, away_from_one: bool = False) -> str:
    """The likelihood ratio or its inverse, whichever is at least 1, with two significant digits, rounded towards 1.

    No interval of a likelihood ratio is known to more digits. See [`verbal_scale.two_digits`].

    Args:
        llr (float): a natural-log likelihood ratio.
        away_from_one (bool): whether to round away from 1 instead.
    """
    value = verbal_scale.two_digits(llr, away_from_one)
    if value >= MOST_IN_FULL:
        exponent = value.adjusted()
        return f"10^{exponent + (away_from_one and value != Decimal(10) ** exponent)}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def ratio(llr: float, away_from_one: bool = False) -> str:
    """A likelihood ratio with two significant digits, rounded towards 1: `8,700` or `1/8,700`.

    Args:
        llr, away_from_one: as for [`rounded_times`].
    """
    value = rounded_times(llr, away_from_one)
    return value if llr >= 0 or value == ONE else f"1/{value}"


def interval_ends(interval: tuple[float, float]) -> tuple[str, str]:
    """The ends of an interval of a likelihood ratio with two significant digits, rounded outwards.

    Args:
        interval (two float): natural-log likelihood ratios, the lower one first.
    """
    low, high = interval
    return ratio(low, away_from_one=low < 0), ratio(high, away_from_one=high > 0)


def is_one(llr: float) -> bool:
    """Whether a natural-log likelihood ratio is printed as 1.0."""
    return rounded_times(llr) == ONE


def includes_one(interval: tuple[float, float]) -> bool:
    """Whether an interval, as it is printed, includes a likelihood ratio of 1.

    Args:
        interval (two float): as for [`interval_ends`].
    """
    low, high = interval
    return (low < 0 or is_one(low)) and (high > 0 or is_one(high))


def log10_towards_zero(llr: float) -> str:
    """The logarithm to base 10 with two decimals, rounded towards 0, so that it agrees with the ratio beside it.

    Args:
        llr (float): a natural-log likelihood ratio.
    """
    value = Context(prec=9).plus(Decimal(llr / LOG10))
    return f"{value.quantize(Decimal('0.01'), ROUND_DOWN):+z.2f}"


def describe_term(term: float, is_llr: bool) -> str:
    """An attribute's term, signed: three decimals of a log-likelihood ratio, three digits of anything else."""
    return f"{term:+.3f}" if is_llr else f"{term:+.3g}"


def describe_sum(value: float, is_llr: bool) -> str:
    """A sum of terms, signed: two decimals of a log-likelihood ratio, four of anything else."""
    return f"{value:+.2f}" if is_llr else f"{value:+.4f}"


def describe_informative(attributes: int, uninformative: int) -> str:
    """How many attributes there are, and how many of them say nothing."""
    if not uninformative:
        return f"{attributes}, all of which carry evidence"
    verb, terms = ("carries", "its term is") if uninformative == 1 else ("carry", "their terms are")
    return f"{attributes}, of which {uninformative} {verb} no evidence: {terms} 0"


def strength(row: int) -> str:
    """The words of a row of the verbal scale in short form: `moderately strong`, or `no support`."""
    return verbal_scale.SCALE[row][1].removesuffix(" support") if row else "no support"


def scale_in_a_line() -> str:
    """The verbal scale in one line."""
    ranges = enumerate(verbal_scale.ranges())
    return "; ".join(f"{limits} {strength(row)}" for row, (limits, _) in ranges)
