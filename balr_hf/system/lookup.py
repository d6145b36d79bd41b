"""Looking up attributes of a system by their numbers: what is known of each, without any recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.describing.measures import MEASURES
from balr_hf.describing.wording import by_sex, pairs, told
from balr_hf.errors import UserError, name_some
from balr_hf.explanation.wording import percent
from balr_hf.tables import aligned

if TYPE_CHECKING:
    from balr_hf.describing import AttributeDescriptions
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.system.modeling_system import SpeakerComparisonModel


@dataclass(frozen=True)
class InReference:
    """What a scorer knows of an attribute from its reference population.

    Attributes:
        informative (bool): whether the attribute carries evidence; if not, its term is always 0.
        activation (float): the share of recordings in which it is active, on average over the reference speakers.
        typicality (float): the share of pairs of reference speakers who both have it.
        steadiness (float, *optional*): its intraclass correlation, where it explains the scorer's terms.
        terms (dict, *optional*): its terms in a comparison of one recording with one, by the states of the two sides:
            natural-log units. None where counts are not of active and inactive.
        calibrated (bool): whether these terms are calibrated, as the scorer is.
        speakers (int): in the reference population.
    """

    informative: bool
    activation: float
    typicality: float
    steadiness: float | None
    terms: dict[str, float] | None
    calibrated: bool
    speakers: int

    def rows(self) -> list[tuple[str, str]]:
        """Rows of a name and a value."""
        rows = [
            ("evidence", "yes" if self.informative else "none: its term is 0"),
            ("active in recordings", percent(self.activation)),
            ("typicality: both speakers of a pair have it", percent(self.typicality)),
        ]
        if self.steadiness is not None:
            rows.append(("steadiness: variation that is between speakers", f"{self.steadiness:.2f}"))
        if self.terms is not None:
            unit = "ln LR" if self.calibrated else "ln LR, not calibrated"
            rows += [(f"{unit}, {states}", f"{term:+.3f}") for states, term in self.terms.items()]
        return rows


@dataclass(frozen=True)
class LookedUp:
    """What is known of some attributes of a system.

    Attributes:
        descriptions ([`AttributeDescriptions`]): of all attributes.
        numbers (tuple of int): the attributes that were asked for.
        reference (dict, *optional*): what the scorer knows of each, by number; None without a reference population.
    """

    descriptions: AttributeDescriptions
    numbers: tuple[int, ...]
    reference: dict[int, InReference] | None

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON can hold."""
        content = self.descriptions.to_dict()
        kept = ("autoencoder", "embedder", "date", "made_with", "does_not_say", "cautions")
        attributes = []
        for number in self.numbers:
            known = None if self.reference is None else self.reference[number]
            attributes.append({**content["attributes"][number], "reference": None if known is None else vars(known)})
        population = self.descriptions.population.describe()
        return {name: content[name] for name in kept} | {"population": population, "attributes": attributes}

    def text(self) -> str:
        """Everything in plain text, one paragraph per attribute."""
        count = len(self.descriptions.attributes)
        lines = [f"Of {count} attributes, {self.descriptions.describe()}", *self.descriptions.cautions]
        for number in self.numbers:
            lines += ["", *self._paragraph(number)]
        return "\n".join(lines)

    def _paragraph(self, number: int) -> list[str]:
        one, group = self.descriptions.attributes[number], self.descriptions.groups[number]
        tells = self.descriptions.entry(number)["tells"]
        kind = (
            one.meaning.value if group.value in (one.meaning.value, "recording") else f"{one.meaning.value}, {group}"
        )
        lines = [
            f"Attribute {number}: {kind}, active in {percent(one.share)} of the recordings",
            f"  {self.descriptions.sentence(number)}",
            *(f"  - {limit}" for limit in self.descriptions.not_said(number)),
        ]
        if by_sex(one) is not None:
            lines.append(f"  {by_sex(one)}")
        if tells is not None:
            lines.append(f"  Tells most: {tells} ranked rightly; guessing ranks 50")
        if one.associations:
            lines += [
                "  Each measure alone, and its quartiles:",
                *aligned(self._measures(number), words=None, indent=4),
            ]
        if told(one):
            lines += [
                "  All measures together, with 95 % intervals over the speakers:",
                *aligned(told(one), words=None, indent=4),
            ]
        if self.reference is None:
            return [*lines, "  The scorer has no reference population: how typical it is, is not known"]
        known = self.reference[number]
        return [
            *lines,
            f"  In the reference population, {known.speakers:,} speakers:",
            *aligned(known.rows(), words=None, indent=4),
        ]

    def _measures(self, number: int) -> list[tuple[str, ...]]:
        """For each measure that is kept, what it is called, what it tells alone, and its quartiles in both states."""
        rows = []
        for found in self.descriptions.attributes[number].associations:
            measure = MEASURES[found.measure]
            states = []
            for state, quartiles in (("active", found.active), ("inactive", found.inactive)):
                low, middle, high = map(measure.shown, quartiles)
                states.append(f"{state} {middle} ({low} to {high})")
            unit = f" ({measure.unit})" if measure.unit else ""
            rows.append((f"{measure.label}{unit}", pairs(found.auc), *states))
        return rows


def look_up(system: SpeakerComparisonModel, numbers: Sequence[int]) -> LookedUp:
    """Look up what is known of some attributes of a system.

    Args:
        system ([`SpeakerComparisonModel`]): with descriptions of its attributes, see [`describe_system`].
        numbers (sequence of int): the attributes, from 0 on.

    Raises:
        UserError: the system has no descriptions, or no such attribute.

    Example:
        >>> from balr_hf import SpeakerComparisonModel
        >>> from balr_hf.defaults import SYSTEM, resource
        >>> found = look_up(SpeakerComparisonModel.from_pretrained(resource(SYSTEM)), [17])
        >>> found.descriptions.groups[17].value
        'spectral balance'
    """
    descriptions = system.descriptions
    if descriptions is None:
        raise UserError(
            "the system has no descriptions of its attributes: balr describe SYSTEM CORPUS finds out what they go "
            "with, on recordings of a hundred speakers or more"
        )
    count = len(descriptions.attributes)
    unknown = [str(number) for number in numbers if not 0 <= number < count]
    if unknown:
        raise UserError(f"the system has no attribute {name_some(unknown)}: its {count} are 0 to {count - 1}")
    return LookedUp(descriptions, tuple(numbers), _in_reference(system.scorer, numbers))


def _in_reference(scorer: Scorer, numbers: Sequence[int]) -> dict[int, InReference] | None:
    """What the scorer knows of each; None if it has no reference population."""
    speakers = scorer.config.num_reference_speakers
    if speakers is None:
        return None
    terms = _terms(scorer)
    steadiness = None if scorer.steadiness is None else scorer.steadiness.tolist()
    return {
        number: InReference(
            informative=bool(scorer.informative[number]),
            activation=float(scorer.activation[number]),
            typicality=float(scorer.typicality[number]),
            steadiness=None if steadiness is None else steadiness[number],
            terms=None if terms is None else {states: float(of[number]) for states, of in terms.items()},
            calibrated=scorer.is_calibrated,
            speakers=speakers,
        )
        for number in numbers
    }


def _terms(scorer: Scorer) -> dict[str, np.ndarray] | None:
    """The terms `(attributes,)` of one recording against one, by their states; None for counts of other values."""
    if scorer.num_values != 2:
        return None
    active, inactive = (np.full((1, scorer.config.num_attributes, 2), value) for value in ([1.0, 0.0], [0.0, 1.0]))
    cases = {
        "active in both recordings": (active, active),
        "inactive in both": (inactive, inactive),
        "active in one of the two": (active, inactive),
    }
    return {
        states: scorer.attribute_scores(a, b, calibrated=scorer.is_calibrated)[0].cpu().numpy()
        for states, (a, b) in cases.items()
    }
