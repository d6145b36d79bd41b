"""What descriptions of the attributes add to an explanation: groups, sentences, and the measures of both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from balr_hf.describing.descriptions import AttributeDescriptions, Distribution
    from balr_hf.describing.measures import Measure

# From this share of the evidence on, that of the recording's group is large enough for a caution.
LARGE_SHARE = 0.25


@dataclass(frozen=True)
class GroupEvidence:
    """What the attributes of one group add to a comparison.

    Attributes:
        group: its name.
        attributes: how many attributes are in it.
        llr: the sum of their terms, in natural-log units.
        sum_for: of those that speak for the same speaker.
        sum_against: of those that speak for different speakers, negative.
        share: of the evidence: the size of `llr` over the sizes of all groups' sums, from 0 to 1.
    """

    group: str
    attributes: int
    llr: float
    sum_for: float
    sum_against: float
    share: float


@dataclass(frozen=True)
class MeasureOfSides:
    """One measure of the recordings of both sides.

    Attributes:
        measure: what is measured.
        a: a value for each recording of A that has a figure.
        b: of B, likewise.
        population: the distribution in the recordings that the attributes were described on, if it is known; None of
            amounts, which depend on how these recordings were cut.
        by_sex: of a measure of the voice, the distribution within each sex, if that of both is known; empty if not.
    """

    measure: Measure
    a: tuple[float, ...]
    b: tuple[float, ...]
    population: Distribution | None
    by_sex: Mapping[str, Distribution] = field(default_factory=dict)

    @property
    def middles(self) -> tuple[float | None, float | None]:
        """The median of either side; None where no recording has a figure."""
        a, b = (float(np.median(side)) if side else None for side in (self.a, self.b))
        return a, b

    def rows(self) -> list[list[str]]:
        """Rows of a table: the measure, both sides, which others, their quartiles, and where the sides lie in them.

        There is a row for each sex, where these are told apart; those after the first leave the measure and the sides
        empty.
        """
        measure = self.measure
        unit = f" ({measure.unit})" if measure.unit else ""
        shown = ["-" if middle is None else measure.shown(middle) for middle in self.middles]
        heads = [[f"{measure.label}{unit}", *shown], ["", "", ""]]
        if self.population is None:
            return [[*heads[0], "-", "-", "-", "-"]]
        found: list[list[str]] = []
        for whom, known in (self.by_sex or {"all": self.population}).items():
            quartiles = " / ".join(measure.shown(value) for value in known.quartiles)
            places = ["-" if middle is None else known.place(middle) for middle in self.middles]
            found.append([*heads[bool(found)], whom, quartiles, *places])
        return found

    def to_dict(self) -> dict[str, Any]:
        """The row in a form that JSON can hold, in the units of [`VoiceMeasures`] and [`RecordingQuality`]."""
        return {
            "measure": self.measure.name,
            "a": list(self.a),
            "b": list(self.b),
            "population": None if self.population is None else _percentiles(self.population),
            "by_sex": {sex: _percentiles(known) for sex, known in self.by_sex.items()},
        }


def grouped(terms: np.ndarray, groups: Sequence[str]) -> list[GroupEvidence]:
    """Sum the terms of each group. The sums of all groups add up to that of all terms.

    Args:
        terms (`(attributes,)`): float64, in natural-log units.
        groups (`(attributes,)`): the group of each attribute.

    Returns:
        one for each group that has attributes, in the order of their enumeration where they have one.
    """
    names = [group for group in _order(groups) if group in set(groups)]
    members = {name: np.array([group == name for group in groups]) for name in names}
    sums = {name: float(terms[mask].sum()) for name, mask in members.items()}
    whole = sum(abs(value) for value in sums.values()) or 1.0
    return [
        GroupEvidence(
            str(name),
            int(mask.sum()),
            sums[name],
            float(terms[mask & (terms > 0)].sum()),
            float(terms[mask & (terms < 0)].sum()),
            abs(sums[name]) / whole,
        )
        for name, mask in members.items()
    ]


def recording_caution(groups: Sequence[GroupEvidence], is_llr: bool) -> str | None:
    """A caution where attributes that follow the recording bear a large share of the evidence; None where not.

    Args:
        groups: of [`grouped`].
        is_llr (bool): whether the terms are log-likelihood ratios.
    """
    from balr_hf.describing.measures import Group

    found = next((one for one in groups if one.group == Group.RECORDING), None)
    if found is None:
        return None
    total = sum(one.llr for one in groups)
    decides = total * (total - found.llr) < 0
    if found.share < LARGE_SHARE and not decides:
        return None
    what = "log-likelihood ratio" if is_llr else "similarity"
    text = (
        f"Attributes that follow or may follow the recording rather than the voice add {found.llr:+.2f} to the "
        f"{what}, which is {100 * found.share:.0f} % of what all groups add, signs aside. So much may come from the "
        "noise, band, level or length of the recordings, and not from who speaks."
    )
    if decides:
        text += f" Without them, the attributes would sum to {total - found.llr:+.2f}, which has the opposite sign."
    return text


def measures_of_sides(
    descriptions: AttributeDescriptions, measures: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
) -> list[MeasureOfSides]:
    """The measures of both sides, of the voice first.

    Left out are those of which neither side has a figure, and, but for amounts, those of which all figures are equal.

    Args:
        descriptions: with the distribution of each measure.
        measures: of the recordings of either side, by name.
    """
    from balr_hf.describing.measures import MEASURES

    found = []
    for name, measure in MEASURES.items():
        a, b = (tuple(float(one[name]) for one in side if one.get(name) is not None) for side in measures)
        known = None if measure.is_amount else descriptions.population.measures.get(name)
        differ = len({*a, *b, *(() if known is None else known.percentiles)}) > 1
        if (a or b) and (differ or measure.is_amount):
            sexes = {} if measure.is_of_recording else descriptions.population.told_by_sex(name)
            found.append(MeasureOfSides(measure, a, b, known, sexes))
    return found


def _percentiles(known: Distribution) -> dict[str, Any]:
    from balr_hf.describing.descriptions import PERCENTILES

    percentiles = dict(zip(map(str, PERCENTILES), known.percentiles, strict=True))
    return {"recordings": known.recordings, "percentiles": percentiles}


def _order(groups: Sequence[str]) -> list[str]:
    from balr_hf.describing.measures import Group

    return [*Group, *sorted(set(groups) - set(Group))]
