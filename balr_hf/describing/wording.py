"""What a description says of an attribute, and what it does not say, in the words of a phonetician."""

from __future__ import annotations

import numpy as np

from balr_hf.describing.description import FALSE_DISCOVERIES, WEAKLY, Association, AttributeDescription, Meaning
from balr_hf.describing.measures import MEASURES, Group

# From this distance to the ceiling on, a description says that it leaves much out.
FAR_FROM_CEILING = 0.1
# An attribute that is active, or inactive, in a smaller share of the recordings hardly varies.
RARE = 0.1

# What no description says, whatever the attribute.
NOT_SAID = (
    "A description says what an attribute goes with in the recordings that it was described on. It does not say what "
    "the attribute is, nor why it is active in a recording.",
    "Attributes were not made to follow these measures. Two recordings can agree in an attribute and differ in the "
    "measure, and the other way round.",
    "Measures that were not taken (of accent, vowels, habits of speech) may describe what is undescribed here.",
    "Speech of other languages, ages, styles and recording conditions than those described on may behave otherwise.",
)
# What an area under the ROC curve is, for somebody who has not met one.
PAIRS = (
    "Of 100 pairs of recordings, one in which the attribute is active and one in which it is not, the measures rank "
    "so many rightly; guessing ranks 50. This is 100 times the area under the ROC curve (AUC), on speakers who were "
    "not fitted on. In brackets: 95 % intervals over the speakers."
)


def group_of(description: AttributeDescription) -> Group:
    """The group that an attribute belongs to.

    An attribute that follows the recording, or is undescribed, belongs to the group of that name. If all measures of
    the voice together tell less than 0.60 of it within each sex, what they tell is mostly the sex. Otherwise the
    group is that of its best measure of the voice.
    """
    if description.meaning is Meaning.FOLLOWS_RECORDING:
        return Group.RECORDING
    best = best_measure(description)
    if description.meaning is Meaning.UNDESCRIBED or best is None:
        return Group.UNDESCRIBED
    return Group.F0_AND_SEX if tells_sex_only(description) else MEASURES[best.measure].group


def best_measure(description: AttributeDescription) -> Association | None:
    """The measure that tells most of an attribute: of the recording if it follows that, otherwise of the voice."""
    of_recording = description.meaning is Meaning.FOLLOWS_RECORDING
    for found in description.associations:
        if MEASURES[found.measure].is_of_recording == of_recording:
            return found
    return None


def tells_sex_only(description: AttributeDescription) -> bool:
    """Whether the measures of the voice tell little within each sex that could be checked, and both could."""
    within = list(description.within.values())
    return len(within) > 1 and all(area is not None and area < WEAKLY for area in within)


def tells_as_much(voice: float | None, recording: float | None) -> bool:
    """Whether the voice tells as much of an attribute as the recording, where sources were fitted on.

    An attribute may follow the recording all the same, if the voice tells less of it on other sources.
    """
    return voice is not None and recording is not None and voice >= recording


def sentence(description: AttributeDescription, speakers: int) -> str:
    """What an attribute goes with, in one sentence.

    Args:
        description: of the attribute.
        speakers (int): how many it was described on.
    """
    best = best_measure(description)
    if description.meaning is Meaning.UNDESCRIBED or best is None:
        return _undescribed(description, speakers)
    words = _goes_with(best)
    if description.meaning is Meaning.FOLLOWS_RECORDING:
        what = ", most of all how much is spoken in it," if MEASURES[best.measure].is_amount else ""
        if tells_as_much(description.voice_auc, description.recording_auc):
            return (
                f"May follow the recording{what} rather than the voice, whose measures tell less of it on recordings "
                f"of other sources. More often active with {words}."
            )
        return f"Follows the recording{what} rather than the voice. More often active with {words}."
    if best.auc < WEAKLY:
        return (
            f"Goes with several measures together, none of which tells much alone. A little more often active with "
            f"{words}."
        )
    weak = description.meaning is Meaning.WEAKLY_DESCRIBED
    return f"{'A little more' if weak else 'More'} often active with {words}."


def not_said(description: AttributeDescription) -> list[str]:
    """What the sentence does not say, one text each: how far it holds, and within which speakers."""
    found = []
    described = description.meaning in (Meaning.DESCRIBED, Meaning.WEAKLY_DESCRIBED)
    if described and tells_sex_only(description):
        found.append(f"It tells little between voices of one sex ({_within(description)}).")
    elif described and len(description.within) > 1:
        found.append(f"Within one sex, the measures of the voice rank {_within(description)} rightly.")
    elif described:
        found.append("Whether it says anything between voices of one sex was not checked.")
    average, voice, recording = elsewhere(description), description.voice_auc, description.recording_auc
    there = description.recording_elsewhere
    if description.meaning is Meaning.FOLLOWS_RECORDING and average and there and voice and recording:
        found.append(
            f"The measures of the voice rank {pairs(voice)} rightly, and {pairs(average)} on recordings of sources "
            f"that were not fitted on; those of the recording {pairs(recording)}, and {pairs(there)} on such sources."
        )
    if described and average is not None:
        known = {source: area for source, area in description.elsewhere.items() if area is not None}
        least = min(known, key=known.__getitem__)
        found.append(
            f"On recordings of sources that were not fitted on, the measures of the voice rank {pairs(average)} "
            f"rightly on average, and {pairs(known[least])} on {least}."
        )
    if description.meaning is Meaning.WEAKLY_DESCRIBED:
        found.append("It often does not hold: do not expect it of a single recording.")
    if described and recording is not None and recording >= WEAKLY:
        found.append(f"The recording's conditions go with it too: they rank {pairs(recording)} rightly.")
    ceiling = description.ceiling
    if described and voice is not None and ceiling is not None and ceiling - voice > FAR_FROM_CEILING:
        found.append(
            f"It leaves much out: the same speaker's other recordings rank {pairs(ceiling)} rightly, the measures of "
            f"the voice {pairs(voice)}."
        )
    return found


def by_sex(description: AttributeDescription) -> str | None:
    """In how many of each sex's recordings an attribute is active; None where that is not known."""
    if len(description.shares) < 2:
        return None
    parts = [f"{100 * share:.0f} % of those of {sex} speakers" for sex, share in description.shares.items()]
    where = f"in {' and in '.join(parts)}, as far as the sex is known"
    return f"Active in {100 * description.share:.0f} % of the recordings: {where}."


def pairs(area: float, interval: tuple[float, float] | None = None) -> str:
    """An area under the ROC curve as pairs of recordings that are ranked rightly: `97 of 100 pairs (95 to 98)`."""
    ends = "" if interval is None else f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"
    return f"{100 * area:.0f} of 100 pairs{ends}"


def told(description: AttributeDescription) -> list[tuple[str, str]]:
    """How much of an attribute the measures tell, as rows of words and pairs with their intervals."""
    areas = [
        ("all measures of the voice", "voice_auc", description.voice_auc),
        *(
            (f"the same, {group} speakers alone", f"within.{group}", area)
            for group, area in description.within.items()
        ),
        ("the same, sources not fitted on", "elsewhere", elsewhere(description)),
        ("all measures of the recording", "recording_auc", description.recording_auc),
        ("the same speaker's other recordings", "ceiling", description.ceiling),
    ]
    return [(words, pairs(area, description.intervals.get(name))) for words, name, area in areas if area is not None]


def _goes_with(found: Association) -> str:
    """What the measure is like when the attribute is active and when it is not, with the quartiles of both states."""
    measure = MEASURES[found.measure]
    words, opposite = measure.higher, measure.lower
    if not found.higher:
        words, opposite = opposite, words
    (low, middle, high), (low_off, middle_off, high_off) = (
        [measure.shown(value) for value in quartiles] for quartiles in (found.active, found.inactive)
    )
    unit = f" {measure.unit}" if measure.unit else ""
    return (
        f"{words}, and inactive with {opposite}: {measure.label} {middle}{unit} ({low} to {high}) when active, "
        f"{middle_off}{unit} ({low_off} to {high_off}) when inactive"
    )


def _undescribed(description: AttributeDescription, speakers: int) -> str:
    if not description.associations:
        often = "nearly always" if description.share > 0.5 else "hardly ever"
        share = f"(in {100 * description.share:.1f} % of the recordings)"
        if RARE < description.share < 1 - RARE:
            return f"Cannot be described: it is active {share} or inactive in too few speakers to test on others."
        return f"Cannot be described: it is {often} active {share}."
    if description.q > FALSE_DISCOVERIES:
        first = description.associations[0]
        return (
            f"No measure is shown to describe it: with {speakers:,} speakers, chance alone could bring about what "
            f"goes with it most ({MEASURES[first.measure].label}, which ranks {pairs(first.auc)} rightly)."
        )
    voice, average = description.voice_auc, elsewhere(description)
    if voice is not None and average is not None and voice >= WEAKLY > average:
        return (
            f"No measures describe it dependably: those of the voice rank {pairs(voice)} rightly, but "
            f"{pairs(average)} on recordings of sources that were not fitted on, where guessing ranks 50."
        )
    best = max((area for area in (voice, description.recording_auc) if area is not None), default=0.5)
    return f"No measures describe it: they rank at most {pairs(best)} rightly, and guessing ranks 50."


def elsewhere(description: AttributeDescription) -> float | None:
    """The mean area on sources that were not fitted on; None where there is none."""
    known = [area for area in description.elsewhere.values() if area is not None]
    return float(np.mean(known)) if known else None


def _within(description: AttributeDescription) -> str:
    areas = [(group, area) for group, area in description.within.items() if area is not None]
    return " and ".join(f"{pairs(area)} of {group} speakers" for group, area in areas)
