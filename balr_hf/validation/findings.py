"""What a validation found: numbers, the facts that they rest on, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from balr_hf.errors import name_some
from balr_hf.evaluation import Evaluation
from balr_hf.explanation.wording import FEW_SPEAKERS, HELD, ratio
from balr_hf.validation import wording
from balr_hf.validation.adequacy import Criterion
from balr_hf.validation.factors import Factor, Misleading
from balr_hf.validation.zoo import Zoo

# So many conditions in which the system does harm are named, the worst first.
MOST_NAMED = 6


@dataclass(frozen=True)
class WorstTrial:
    """A trial that misleads.

    Attributes:
        number: of the trial in the list, from 0.
        sides: the ids of the recordings of the two sides.
        speakers: of the two sides.
        same: whether they are one.
        llr: the natural-log likelihood ratio as the system reports it.
        is_bounded: whether that is a bound of the calibration, since the attributes alone give more.
        conditions: of the two sides, in words.
        outside: in which measures a side lies beyond the limits of the calibration; empty if in none.
        explanation: the address of the page that explains it, from the report; None if there is none.
    """

    number: int
    sides: tuple[str, str]
    speakers: tuple[str, str]
    same: bool
    llr: float
    is_bounded: bool
    conditions: tuple[str, str]
    outside: str
    explanation: str | None = None

    def describe_ratio(self) -> str:
        """The likelihood ratio: `2,000`, or `2,000 or more` at a bound."""
        return ratio(self.llr) + (f" ({HELD})" if self.is_bounded else "")

    def describe_outside(self) -> str:
        """In which measures a side lies beyond the limits, in words, or a dash."""
        return ", ".join(map(measure, filter(None, self.outside.split(";")))) or "-"


@dataclass(frozen=True)
class Findings:
    """The validation of a system: numbers and the facts that they rest on.

    Attributes:
        evaluation ([`Evaluation`]): of the likelihood ratios as the system reports them, within its bounds; what does
            not depend on calibration is without the bounds.
        misleading ([`Misleading`]): among all trials.
        misleading_intervals (dict): the ends of the intervals of its rates, as far as these have one.
        factors: the trials by conditions.
        zoo ([`Zoo`]): the trials by speaker.
        worst: the most misleading trials, those of one speaker first.
        adequacy: the thresholds that the user stated, and whether they are met.
        system, data: rows of a name and a value about the system, and about what it was validated on.
        remarks: further cautions.
        demonstration (bool): whether models that are not for casework were validated.
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios as the system reports them.
        exact (`np.ndarray` of shape `(trials,)`): the same before they are held within the system's bounds.
        raw (`np.ndarray` of shape `(trials,)`): scores before calibration.
        labels (`np.ndarray` of shape `(trials,)`): bool, True for trials of one speaker.
        speakers (two `np.ndarray` of shape `(trials,)`): the numbers of the two sides' speakers.
        outside (`np.ndarray` of shape `(trials,)`, *optional*): in which measures a side lies beyond the limits of the
            calibration, as in `scores.csv`; None if that is not known.
        kept (`np.ndarray` of shape `(trials,)`, *optional*): int, the positions of these trials in the list that was
            given; None if none was left out.
        known (dict): whom of the test the models were made with, as `metrics.json` says it: for each role a list of
            `speakers_known_to_scorer`, of `recordings_known_to_scorer` and of `speakers_trained_on`.
    """

    evaluation: Evaluation
    misleading: Misleading
    factors: tuple[Factor, ...]
    zoo: Zoo
    worst: tuple[WorstTrial, ...]
    adequacy: tuple[Criterion, ...]
    system: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    demonstration: bool
    llrs: np.ndarray = field(repr=False)
    exact: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    speakers: tuple[np.ndarray, np.ndarray] = field(repr=False)
    outside: np.ndarray | None = field(repr=False, default=None)
    kept: np.ndarray | None = field(repr=False, default=None)
    known: Mapping[str, Mapping[str, Sequence[str]]] = field(repr=False, default_factory=dict)
    misleading_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the largest natural-log likelihood ratio that the system reports; None if there are none."""
        return (self.evaluation.calibration or {}).get("bounds")

    @property
    def is_adequate(self) -> bool | None:
        """Whether all thresholds are met; None if none was stated."""
        return all(criterion.is_met for criterion in self.adequacy) if self.adequacy else None

    @property
    def cautions(self) -> list[str]:
        """What a reader must know before the figures."""
        found, metrics, speakers = list(self.remarks), self.evaluation.metrics, self.evaluation.fewest_speakers or 0
        if metrics["cllr"] >= 1:
            found.append(
                f"Cllr is {metrics['cllr']:.2f}: on these trials the likelihood ratios do more harm than good, since "
                "a system that always says LR = 1 has a Cllr of 1."
            )
        exact = (self.evaluation.unbounded or metrics)["cllr"]
        by_bounds, by_calibration = metrics["cllr"] - exact, exact - metrics["cllr_min"]
        if by_calibration > metrics["cllr_min"]:
            found.append(
                f"Without the calibration's bounds Cllr is {exact:.3f}, of which {by_calibration:.3f} is lost by "
                "calibration: that of the system does not hold for recordings like these."
            )
        if by_bounds > exact:
            found.append(
                f"Of the Cllr of {metrics['cllr']:.3f}, {by_bounds:.3f} is lost by the bounds of the calibration: it "
                "has too few trials to vouch for larger likelihood ratios."
            )
        if metrics["cllr"] < 1:
            harmful, few = self._harmful_conditions(few=False), self._harmful_conditions(few=True)
            if harmful:
                named = name_some(harmful, MOST_NAMED)
                found.append(f"Cllr is 1 or more, which is worse than no system, in some conditions: {named}.")
            if few:
                named = name_some(few, MOST_NAMED)
                which = "also" if harmful else "only"
                found.append(
                    f"Cllr is 1 or more {which} in conditions with so few speakers or trials that it may be chance: "
                    f"{named}. More recordings of these would tell."
                )
        if speakers < FEW_SPEAKERS:
            every, of_same = self.evaluation.speakers, self.evaluation.same_speaker_speakers
            kind = "same" if speakers == of_same else "different"
            which = "" if speakers == every else f" with {kind}-speaker trials"
            found.append(
                f"The figures rest on {speakers} speaker{'s' * (speakers != 1)}{which}, which is few: "
                f"{FEW_SPEAKERS} and more would pin them down better."
            )
        if self.evaluation.draws_of_speakers and "eer" not in self.evaluation.intervals:
            found.append(self.evaluation.describe_no_interval())
        for kind, number, people in (
            ("same-speaker", self.misleading.of_same, self.evaluation.same_speaker_speakers or 1),
            ("different-speaker", self.misleading.of_different, self.evaluation.different_speaker_speakers or 1),
        ):
            if not self.misleading.rates[f"misleading_{kind.split('-')[0]}"]:
                found.append(
                    f"None of the {number:,} {kind} trials misleads. That does not mean that none would: with as many "
                    f"independent trials, a rate of up to {3 / number:.2%} would often show none, and trials of the "
                    f"same speakers are not independent. With {people} speaker{'s' * (people != 1)}, errors that up "
                    f"to {min(1.0, 3 / people):.0%} of all speakers bring about would often not show."
                )
        domain = self.evaluation.domain
        if domain is None:
            found.append(
                "The calibration keeps no description of its recordings, so that nothing tells whether these trials "
                "are like them."
            )
        elif domain["measured"] < domain["sides"]:
            found.append(
                f"{domain['sides'] - domain['measured']} of {domain['sides']} sides were not measured: their "
                "conditions are not known. balr extract measures what it extracts."
            )
        return found

    def describe_adequacy(self) -> str:
        """Whether the thresholds are met, in a sentence."""
        if self.is_adequate is None:
            return wording.NO_THRESHOLD
        number = len(self.adequacy)
        if self.is_adequate:
            which = "The stated threshold is" if number == 1 else f"All {number} stated thresholds are"
            return f"{which} met.{self._describe_mostly_outside()}"
        missed = sum(not criterion.is_met for criterion in self.adequacy)
        return f"{missed} of {number} stated thresholds {'is' if missed == 1 else 'are'} not met."

    def _describe_mostly_outside(self) -> str:
        """That most of the trials would get no verdict in a case, after a space; nothing if that is not so."""
        beyond, trials = (self.evaluation.domain or {}).get("trials_beyond_limits", 0), self.evaluation.trials
        if beyond <= trials / 2:
            return ""
        return (
            f" Yet {beyond:,} of the {trials:,} trials lie beyond the limits of the calibration, where a case report "
            "gives no verdict: the figures are mostly of such."
        )

    def describe_outside(self) -> str | None:
        """How many trials lie outside of what the scorer was calibrated on, in words; None if that is not known."""
        domain = self.evaluation.domain
        if domain is None:
            return None
        text = (
            f"{domain['trials_beyond_limits']:,} of {self.evaluation.trials:,} trials lie beyond the limits of what "
            "the scorer was calibrated on. A case report gives no verbal verdict on such a comparison."
        )
        if domain["measures"]:
            named = ", ".join(f"{measure(name)} {count:,}" for name, count in domain["measures"].items())
            text += f" Sides by measure: {named} (of {domain['sides']:,} sides)."
        for name, count in domain["differences"].items():
            text += f" In {count:,}, the two sides differ more in {measure(name)} than those of the calibration."
        if domain["trials_unmeasured"]:
            text += (
                f" Of {domain['trials_unmeasured']:,} further trials this is not known, since a side was not measured."
            )
        within = self.evaluation.within
        if within is None:
            return text
        if "note" in within:
            return f"{text} The {within['trials']:,} trials within the limits are {within['note']}."
        return (
            f"{text} On the {within['trials']:,} trials within the limits ({within['same_speaker']:,} same-speaker), "
            f"EER is {within['eer']:.2%}, Cllr {within['cllr']:.3f}, and Cllr_min {within['cllr_min']:.3f}."
        )

    def _harmful_conditions(self, few: bool) -> list[str]:
        """The conditions in which Cllr is 1 or more, the worst first: those with few trials, or the others."""
        parts = [
            (part.cllr or 0.0, factor, part) for factor in self.varying for part in factor.parts if part.is_few == few
        ]
        parts = sorted((one for one in parts if one[0] >= 1), key=lambda one: -one[0])
        return [f"{factor.title} {factor.describe(part)} ({cllr:.2f})" for cllr, factor, part in parts]

    @property
    def varying(self) -> list[Factor]:
        """The factors that differ among the sides of the trials."""
        return [factor for factor in self.factors if len(factor.classes) > 1]

    def describe_alike(self) -> str | None:
        """What is alike on all sides, so that these trials tell nothing of it, in words; None if nothing is."""
        alike = [f"{factor.title}: {factor.classes[0]}" for factor in self.factors if len(factor.classes) == 1]
        if not alike:
            return None
        return f"Alike on all sides, so that these trials do not show what it does: {'; '.join(alike)}."

    def describe_trials(self) -> str:
        """How many trials and speakers there were, in a line."""
        found = self.evaluation
        return (
            f"{found.trials:,} trials of {found.speakers:,} speakers: {found.describe_same_speaker()}, "
            f"{found.different_speaker:,} different-speaker"
        )

    def figures_of_merit(self) -> list[tuple[str, str, str, str]]:
        """Rows of a metric, its value, its interval and what it means."""
        rows = []
        for name, (title, meaning) in wording.METRICS.items():
            form = "{:.2%}" if name == "eer" else "{:.3f}"
            value = self.evaluation.metrics[name]
            shown = "has no value" if np.isnan(value) else form.format(value)
            ends = self.evaluation.intervals.get(name)
            rows.append((title, shown, _interval(ends, form), meaning))
        for name, kind, side, wrong, number in (
            *(("misleading_same", "same-speaker", "below", self.misleading.same, self.misleading.of_same),),
            (
                "misleading_different",
                "different-speaker",
                "above",
                self.misleading.different,
                self.misleading.of_different,
            ),
        ):
            meaning = f"{wrong:,} of {number:,} {kind} trials have a likelihood ratio {side} 1"
            interval = _interval(self.misleading_intervals.get(name), "{:.2%}")
            rows.append((f"Misleading, {kind}", f"{self.misleading.rates[name]:.2%}", interval, meaning))
        return rows

    def describe_figures(self) -> list[str]:
        """Which figures are of LRs within the calibration's bounds, and which single trials decide; in sentences."""
        unbounded, told = self.evaluation.unbounded, []
        if unbounded is not None:
            without = f"Without the bounds, as by balr score test, Cllr is {unbounded['cllr']:.3f}."
            told.append(f"{wording.BOUNDED} {without}")
        return [*told, *(f"{text}." for text in self.evaluation.describe_single_trials())]

    def describe_coverage(self) -> list[str]:
        """How the intervals were found and how often such intervals contain the true value."""
        if not self.evaluation.intervals:
            return ["No intervals were asked for."]
        even, uneven = (
            ", ".join(f"{low} to {high} % for {name}" for name, (low, high) in shares.items())
            for shares in (wording.COVERAGE, wording.COVERAGE_OF_UNEVEN)
        )
        return [
            f"Intervals of {self.evaluation.confidence:.0%} by {self.evaluation.draws_of_speakers:,} draws of the "
            "speakers, widened for few speakers. In simulations with 10 to 100 speakers, such intervals contained the "
            f"true value in {even} of the cases. Where the simulated speakers were not equally steady, so that some "
            f"of them caused most of the errors, it was {uneven} (benchmarks/coverage.py of the package).",
            wording.NO_INTERVAL,
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON: what `metrics.json` of `balr score test` has, and `validation` with all else."""
        return {
            **self.evaluation.to_dict(),
            **self.known,
            "validation": {
                "adequate": self.is_adequate,
                "adequacy": [criterion.to_dict() for criterion in self.adequacy],
                "misleading": self.misleading.to_dict() | {"intervals": dict(self.misleading_intervals)},
                "factors": [factor.to_dict() for factor in self.factors],
                "zoo": self.zoo.to_dict(),
                "worst": [asdict(trial) for trial in self.worst],
                "system": [list(row) for row in self.system],
                "data": [list(row) for row in self.data],
                "cautions": self.cautions,
                "demonstration": self.demonstration,
            },
        }


def _interval(ends: tuple[float, float] | None, form: str) -> str:
    """The two ends of an interval, or a dash where there is none."""
    return "-" if ends is None or np.isnan(ends).any() else " to ".join(map(form.format, ends))


def measure(name: str) -> str:
    """How a measure of a side is called in a sentence."""
    return wording.MEASURES.get(name, name.replace("_", " "))
