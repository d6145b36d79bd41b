"""What a comparison found: the attributes that speak for the same speaker, those against, and what they sum to.

The text, the page and the app show the numbers, sentences and rows that are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.domain import Deviation, Limits, describe_in_words, describe_reference
from balr_hf.explanation import verbal_scale
from balr_hf.explanation.cautions import cautions_of
from balr_hf.explanation.described import (
    GroupEvidence,
    MeasureOfSides,
    grouped,
    measures_of_sides,
)
from balr_hf.explanation.heard import KINDS, OVERLAPPED, Heard, HeardOfSides, Kind, describe_heard, heard_of
from balr_hf.explanation.misleading import Misleading, misleading_trials
from balr_hf.explanation.voices import OneVoice, describe_voices
from balr_hf.explanation.wording import (
    AND_VOICES,
    BETA_COLUMNS,
    BY_SEX,
    COLUMNS,
    COMPUTED,
    FOR_DIFFERENT,
    FOR_SAME,
    HELD,
    IN_BRIEF,
    LOG10,
    MEASURES,
    MORE_COLUMNS,
    NO_DESCRIPTIONS,
    NO_VERDICT,
    NO_VERDICT_BOUNDS,
    NO_VERDICT_COPIES,
    NO_VERDICT_DOMAIN,
    NO_VERDICT_UNMEASURED,
    NO_VERDICT_VOICES,
    NOT_BY_SEX,
    NOT_CALIBRATED,
    PROFILE_COLUMNS,
    PROPOSITIONS,
    REFERENCE,
    RELEVANT,
    SENTENCES,
    WHERE_MEASURES_ARE,
    describe_different_speakers,
    describe_informative,
    describe_matching,
    describe_sum,
    describe_term,
    describe_trials,
    interval_ends,
    is_one,
    log10_towards_zero,
    percent,
    ratio,
    rounded_times,
    speakers_of_kinds,
    state,
)
from balr_hf.populations import describe_speakers
from balr_hf.quality import RecordingQuality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from balr_hf.describing.descriptions import AttributeDescriptions


@dataclass(frozen=True)
class AttributeEvidence:
    """One attribute's part in a trial.

    Attributes:
        attribute (int): the number of the attribute.
        llr (float): its term, in natural-log units; multiplied by its weight if the explanation is calibrated.
        a (two int): the numbers of activations and of recordings on side A.
        b (two int): the numbers of activations and of recordings on side B.
        typicality (float, *optional*): the share of pairs of reference speakers who both have the attribute; None
            without a reference population.
        activation (float, *optional*): the share of recordings in which the attribute is active, on average over the
            reference speakers; None without a reference population.
        informative (bool): False if the attribute carries no evidence, so that its term is 0.
    """

    attribute: int
    llr: float
    a: tuple[int, int]
    b: tuple[int, int]
    typicality: float | None
    activation: float | None
    informative: bool

    @property
    def rarity(self) -> float | None:
        """The share of the reference population's recordings without the state that both sides show throughout.

        None if they differ, if recordings of one side differ, or without a reference population.
        """
        shares = {self.a[0] / max(self.a[1], 1), self.b[0] / max(self.b[1], 1)}
        if self.activation is None or shares not in ({0.0}, {1.0}):
            return None
        return 1 - self.activation if shares == {1.0} else self.activation

    @property
    def states(self) -> tuple[str, str]:
        """The attribute's states on side A and on side B, in words."""
        return state(*self.a), state(*self.b)


@dataclass
class Findings:
    """One trial taken apart: `llr` is the sum of `terms` and, if calibrated, `offset` and `quality_terms`.

    Attributes:
        names (two str): the names of the two sides.
        scorer (str): the name of the scorer's class.
        terms (float64 of shape `(attributes,)`): the term of each attribute, in natural-log units.
        offset (float, *optional*): the constant that calibration adds; None if the terms are not calibrated.
        raw_llr (float): the sum of the terms before calibration, in natural-log units.
        calibration (dict, *optional*): what the scorer's configuration says of the calibration; None if the terms are
            not calibrated.
        similarity (bool): whether the scorer's raw scores are similarities, which are not meant to be likelihood
            ratios.
        counts (float64 of shape `(2, attributes, 2)`): the activations and non-activations of the two sides.
        typicality (float64 of shape `(attributes,)`, *optional*): see [`AttributeEvidence`].
        activation (float64 of shape `(attributes,)`, *optional*): see [`AttributeEvidence`].
        informative (bool of shape `(attributes,)`): see [`AttributeEvidence`].
        num_reference_speakers (int, *optional*): the number of speakers in the reference population; None without one.
        reference (dict, *optional*): the description of the reference population, see
            [`balr_hf.domain.describe_population`]; None where there is none.
        speakers (two str, *optional*): the names of the two sides' speakers; None for a speaker who is not known.
        remarks (tuple of str): further cautions that a reader must be given.
        bounds (two float, *optional*): the lowest and the highest natural-log LR that the calibration can vouch for.
        interval (two float, *optional*): the 95 % interval of `unbounded_llr`, from draws of the calibration speakers.
        deviations (tuple of [`Deviation`]): what of the case lies outside the populations that the result rests on.
        copies (tuple of str): pairs of recordings of the two sides that hold the same sound, one sentence each.
        quality (two tuples of dict): what was measured of the recordings of either side.
        steadiness (float64 of shape `(attributes,)`, *optional*): the intraclass correlation of each attribute in the
            reference population, of scorers whose terms it explains.
        domain_known (bool): whether the calibration keeps a description that all of the recordings could be compared
            with.
        demonstration (bool): whether models of the package made the result, which are not for casework.
        details (rows of name and value): what else a report says of how the result was found.
        case (rows of name and value): what a report says of the case, see [`read_case`].
        quality_terms (rows of words and float): what the quality measures of the recordings add, in natural-log units,
            where the calibration has such.
        descriptions ([`AttributeDescriptions`], *optional*): what the attributes go with; None where it is not known.
        measures (two tuples of dict): what was measured of the voice and the recording of each of the recordings of
            either side, by name.
        voices (two tuples of [`OneVoice`]): whether each of the recordings of either side holds one voice; None for
            one that is too short to be told, and none of a side that was not looked at.
        left_raw (bool): whether the scorer has a calibration, which was not applied.
        limits ([`Limits`]): how far outside the calibration's own range a verbal verdict is given.
        within_default_limits (bool): whether nothing lies beyond the default limits.
        heard (dict): for each kind of detector, how much each of the recordings of either side sounds like what it
            listens for; none of a side that was not listened to.
    """

    names: tuple[str, str]
    scorer: str
    terms: np.ndarray
    offset: float | None
    raw_llr: float
    calibration: dict[str, Any] | None
    similarity: bool
    counts: np.ndarray
    typicality: np.ndarray | None
    activation: np.ndarray | None
    informative: np.ndarray
    num_reference_speakers: int | None
    reference: Mapping[str, Any] | None = None
    speakers: tuple[str | None, str | None] = (None, None)
    remarks: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None
    deviations: tuple[Deviation, ...] = ()
    copies: tuple[str, ...] = ()
    quality: tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]] = ((), ())
    steadiness: np.ndarray | None = None
    domain_known: bool = False
    demonstration: bool = False
    details: tuple[tuple[str, str], ...] = ()
    case: tuple[tuple[str, str], ...] = ()
    quality_terms: tuple[tuple[str, float], ...] = ()
    descriptions: AttributeDescriptions | None = None
    measures: tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]] = ((), ())
    voices: tuple[tuple[OneVoice | None, ...], tuple[OneVoice | None, ...]] = ((), ())
    heard: HeardOfSides = field(default_factory=dict)
    left_raw: bool = False
    limits: Limits = field(default_factory=Limits)
    within_default_limits: bool = False

    @property
    def is_calibrated(self) -> bool:
        """Whether `llr` may be read as a likelihood ratio."""
        return self.calibration is not None

    @property
    def validation(self) -> dict[str, Any] | None:
        """How the calibration does on speakers that it was not fitted on; None where that is not known."""
        return None if self.calibration is None else self.calibration.get("validation")

    @property
    def misleading(self) -> Misleading | None:
        """How many of the calibration's trials of the other kind had an LR like this; None where there is no verdict.

        It is also None where that is not known, and for an LR that is printed as 1.
        """
        if self.calibration is None or not self.has_verdict:
            return None
        return misleading_trials(self.llr, self.calibration)

    @property
    def is_llr(self) -> bool:
        """Whether the terms are log-likelihood ratios, rather than parts of a similarity."""
        return self.is_calibrated or not self.similarity

    @property
    def llr(self) -> float:
        """The natural-log likelihood ratio, within its bounds; a raw sum if the terms are not calibrated."""
        if self.bounds is None or not self.is_calibrated:
            return self.unbounded_llr
        return min(max(self.unbounded_llr, self.bounds[0]), self.bounds[1])

    @property
    def unbounded_llr(self) -> float:
        """The exact sum of the terms, the offset and the quality terms, in natural-log units."""
        return float(self.terms.sum() + (self.constant or 0.0))

    @property
    def constant(self) -> float | None:
        """What the calibration adds to the terms: the offset and the quality terms; None if there is none."""
        return None if self.offset is None else self.offset + sum(term for _, term in self.quality_terms)

    @property
    def is_bounded(self) -> bool:
        """Whether `llr` is a bound of the calibration, since the sum lies beyond it."""
        return self.llr != self.unbounded_llr

    @property
    def log10_llr(self) -> float:
        """`llr` to base 10."""
        return self.llr / LOG10

    @property
    def verdict(self) -> str | None:
        """The likelihood ratio in the words of the verbal scale.

        It is None if the result is not calibrated, if the recordings lie beyond the limits of what the system was
        calibrated for, if one of them may hold more than one voice, one after the other or at the same time, or if the
        two sides hold the same recording.
        """
        return verbal_scale.verdict(self.llr) if self.has_verdict else None

    @property
    def no_verdict(self) -> list[str]:
        """Why the verbal scale may not be applied, in words for programs; none if it may.

        They are `uncalibrated`, `copies` (the two sides hold the same recording), `outside` (recordings lie beyond the
        limits of what the system was calibrated for), `voices` (one may hold more than one voice), `overlapped`
        (people may speak at the same time in one), `speed` (one may play speech at another speed), `room` (one may
        come from a reverberant room), `bounds` (the calibration has too few trials to vouch for any likelihood ratio),
        `domain` (the calibration does not say which recordings it is of) and `unmeasured` (it does, but not all of the
        recordings of the case were measured, so that they cannot be compared with those).
        """
        domain = None if self.calibration is None else self.calibration.get("domain")
        reasons = {
            "uncalibrated": not self.is_calibrated,
            "copies": bool(self.copies),
            "outside": any(found.is_beyond for found in self.deviations),
            "voices": any(found.is_beyond for found in self.compared_voices),
            **{kind.name: any(one.is_beyond for one in self._heard(kind)) for kind in KINDS},
            "bounds": self.is_calibrated and self.bounds is None,
            "domain": self.is_calibrated and domain is None,
            "unmeasured": bool(domain and domain.get("measures")) and not self.domain_known,
        }
        return [reason for reason, holds in reasons.items() if holds]

    def _heard(self, kind: Kind) -> list[Heard]:
        return [one for side in heard_of(self.heard, kind) for one in side]

    @property
    def has_verdict(self) -> bool:
        """Whether the verbal scale may be applied."""
        return not self.no_verdict

    @property
    def direction(self) -> str:
        """The proposition that is supported, by the verbal scale: `same`, `different` or `neither`."""
        if not self.has_verdict or verbal_scale.degree(self.llr) == 0:
            return "neither"
        return "same" if self.llr > 0 else "different"

    @property
    def term_unit(self) -> str:
        """The unit of the terms, as tables name it."""
        return "ln LR" if self.is_llr else "part"

    @property
    def num_uninformative(self) -> int:
        """The number of attributes that carry no evidence."""
        return int((~self.informative).sum())

    @property
    def sum_for(self) -> float:
        """The sum of the terms that speak for the same speaker, in natural-log units."""
        return float(self.terms[self.terms > 0].sum())

    @property
    def sum_against(self) -> float:
        """The sum of the terms that speak for different speakers, which is negative, in natural-log units."""
        return float(self.terms[self.terms < 0].sum())

    @property
    def cautions(self) -> list[str]:
        """What a reader must know before relying on the result, one text per caution."""
        return cautions_of(self)

    @property
    def compared_voices(self) -> list[OneVoice]:
        """What was found of the recordings whose parts were compared."""
        return [found for side in self.voices for found in side if found is not None]

    def evidence(self) -> list[AttributeEvidence]:
        """All attributes, sorted by the size of their terms, whatever the sign, with the largest first."""
        totals = self.counts.sum(-1)

        def side(number: int, attribute: int) -> tuple[int, int]:
            return int(self.counts[number, attribute, 0]), int(totals[number, attribute])

        return [
            AttributeEvidence(
                int(attribute),
                float(self.terms[attribute]),
                side(0, attribute),
                side(1, attribute),
                None if self.typicality is None else float(self.typicality[attribute]),
                None if self.activation is None else float(self.activation[attribute]),
                bool(self.informative[attribute]),
            )
            for attribute in np.argsort(-np.abs(self.terms), kind="stable")
        ]

    def strongest(self, top: int = 10) -> tuple[list[AttributeEvidence], list[AttributeEvidence]]:
        """The attributes that speak most for the same speaker, and those that speak most for different speakers.

        Args:
            top (int): how many of either kind to return at most.

        Returns:
            `(same, different)`: two lists of [`AttributeEvidence`], each with the strongest first.
        """
        evidence = self.evidence()
        return [e for e in evidence if e.llr > 0][:top], [e for e in evidence if e.llr < 0][:top]

    def groups(self) -> list[GroupEvidence]:
        """What the attributes of each group add, which is `llr` without what the calibration adds; none if unknown."""
        return [] if self.descriptions is None else grouped(self.terms, self.descriptions.groups)

    def sentence(self, attribute: int) -> str | None:
        """What an attribute goes with, in a sentence; None where that is not known."""
        return None if self.descriptions is None else self.descriptions.sentence(attribute)

    def side_measures(self) -> list[MeasureOfSides]:
        """What was measured of both sides, beside the distribution in the recordings that were described on."""
        if self.descriptions is None or not any(self.measures):
            return []
        return measures_of_sides(self.descriptions, self.measures)

    def describe_sentences(self) -> str:
        """What has to be known to read the sentences of attributes."""
        return f"{SENTENCES} {WHERE_MEASURES_ARE}" if self.side_measures() else SENTENCES

    def describe_measures(self) -> str:
        """What has to be known to read the measures of both sides."""
        told = any(one.by_sex for one in self.side_measures())
        return f"{MEASURES} {BY_SEX if told else NOT_BY_SEX}"

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON can hold: plain numbers and strings, and all attributes.

        Where there is no verdict, `calibrated_llr` is None, and so are `llr` and `log10_llr` if the terms are
        calibrated: a program that does not ask for `no_verdict` finds no likelihood ratio there. What was computed all
        the same is `withheld_llr`; `unbounded_llr`, `interval` and the terms say what it is made of, and must not be
        used either.

        Where the attributes are described, there are three keys more: `groups`, `measures` and `descriptions`, and
        each attribute has its `class`, `group` and `sentence`.
        """
        is_withheld = self.is_calibrated and not self.has_verdict
        described: dict[str, Any] = {}
        if self.descriptions is not None:
            described = {
                "groups": [asdict(group) for group in self.groups()],
                "measures": [row.to_dict() for row in self.side_measures()],
                "descriptions": self.descriptions.describe(),
            }
        return {
            "a": {"name": self.names[0], "speaker": self.speakers[0]},
            "b": {"name": self.names[1], "speaker": self.speakers[1]},
            "scorer": self.scorer,
            "num_reference_speakers": self.num_reference_speakers,
            "reference": None if self.reference is None else dict(self.reference),
            "calibrated": self.is_calibrated,
            "calibration": self.calibration,
            "llr": None if is_withheld else self.llr,
            "log10_llr": self.log10_llr if self.is_llr and not is_withheld else None,
            "unbounded_llr": self.unbounded_llr,
            "is_bounded": self.is_bounded,
            "bounds": None if self.bounds is None else list(self.bounds),
            "interval": None if self.interval is None else list(self.interval),
            "misleading": None if self.misleading is None else self.misleading.to_dict(),
            "calibrated_llr": self.llr if self.has_verdict else None,
            "withheld_llr": self.llr if is_withheld else None,
            "verbal": self.verdict,
            "no_verdict": self.no_verdict,
            "verbal_scale": verbal_scale.SOURCE if self.is_calibrated else None,
            "raw_llr": self.raw_llr,
            "offset": self.offset,
            "quality_terms": [{"measure": words, "llr": term} for words, term in self.quality_terms],
            "sum_for": self.sum_for,
            "sum_against": self.sum_against,
            "num_attributes": len(self.terms),
            "num_uninformative": self.num_uninformative,
            "propositions": self.propositions(),
            "demonstration": self.demonstration,
            # None is no limit, since JSON has no infinity.
            "limits": {name: value if np.isfinite(value) else None for name, value in asdict(self.limits).items()},
            "deviations": [found.to_dict() for found in self.deviations],
            "copies": list(self.copies),
            "voices": {
                side: [None if found is None else found.to_dict() for found in recordings]
                for side, recordings in zip("ab", self.voices, strict=True)
            },
            **{
                kind.name: {
                    side: [one.to_dict() for one in recordings]
                    for side, recordings in zip("ab", heard_of(self.heard, kind), strict=True)
                }
                for kind in KINDS
            },
            "quality": {"a": [dict(q) for q in self.quality[0]], "b": [dict(q) for q in self.quality[1]]},
            "details": [list(row) for row in self.details],
            "case": dict(self.case),
            "cautions": self.cautions,
            "attributes": [
                asdict(e) | dict(zip(("state_a", "state_b"), e.states, strict=True)) | self._described(e.attribute)
                for e in self.evidence()
            ],
            **described,
        }

    def _described(self, attribute: int) -> dict[str, str]:
        if self.descriptions is None:
            return {}
        return {
            "class": self.descriptions.attributes[attribute].meaning.value,
            "group": self.descriptions.groups[attribute].value,
            "sentence": self.descriptions.sentence(attribute),
        }

    def figure(self, top: int = 10) -> Figure:
        """The explanation as a `matplotlib.figure.Figure`.

        Args:
            top (int): how many attributes for the same speaker to show, and how many for different speakers.
        """
        from balr_hf.figures.comparison import contributions

        shown = [e for side in self.strongest(top) for e in side] or self.evidence()[:1]
        rest = self.terms.sum() - sum(e.llr for e in shown)
        return contributions(
            [e.attribute for e in shown],
            [e.llr for e in shown],
            [" / ".join(e.states) for e in shown],
            rest,
            len(self.terms) - len(shown),
            self.offset,
            self.unbounded_llr,
            self.term_unit,
            sum(term for _, term in self.quality_terms) if self.quality_terms else None,
        )

    def tippett(self) -> Figure | None:
        """The Tippett plot of the calibration's validation, where there is one; a case with a verdict is marked.

        The mark is at the LR that is reported, and so at a bound where the case lies beyond.
        """
        from balr_hf.figures.performance import tippett

        if self.validation is None or self.calibration is None:
            return None
        kinds = self.validation["same_speaker"], self.validation["different_speaker"]
        labels = np.repeat([True, False], [len(kind) for kind in kinds])
        note = f"{describe_trials(self.calibration)}, cross-validated by speaker"
        system = {self.calibration["method"]: np.concatenate(kinds)}
        # Percentiles are kept, not the trials, so that rates of misleading evidence would be rough.
        case = self.llr if self.has_verdict else None
        return tippett(system, labels, are_ratios=False, note=note, case=case)

    def tables(self, top: int = 10) -> list[tuple[str, list[AttributeEvidence]]]:
        """The attributes of [`strongest`], each list with its heading."""
        return list(zip((FOR_SAME, FOR_DIFFERENT), self.strongest(top), strict=True))

    def columns(self, full: bool = False) -> list[str]:
        """The headings of the columns of a table of attributes.

        Args:
            full (bool): whether to add two columns: how often the attribute is active in the reference population, and
                whether it carries evidence.
        """
        explaining = PROFILE_COLUMNS if self.steadiness is None else BETA_COLUMNS
        names = (*COLUMNS, *explaining, *(MORE_COLUMNS if full else ()))
        return [name.format(unit=self.term_unit) for name in names]

    def row(self, evidence: AttributeEvidence, full: bool = False) -> list[str]:
        """One attribute as a row of a table, with one text for each of [`columns`]."""
        e = evidence
        cells = [str(e.attribute), describe_term(e.llr, self.is_llr), *e.states]
        if self.steadiness is None:
            cells.append(percent(e.typicality))
        else:
            cells += [percent(e.rarity), f"{self.steadiness[e.attribute]:.2f}"]
        return [*cells, percent(e.activation), "yes" if e.informative else "none"] if full else cells

    def sums(self) -> list[tuple[str, str]]:
        """How `llr` comes about: the names and values of its parts, and the sum itself as the last row."""
        rows = [
            (f"{(self.terms > 0).sum()} attributes for the same speaker", self.sum_for),
            (f"{(self.terms < 0).sum()} attributes for different speakers", self.sum_against),
        ]
        if self.offset is not None:
            rows.append(("offset of the calibration", self.offset))
        rows += [(f"quality: {words}", term) for words, term in self.quality_terms]
        rows.append(("sum", self.unbounded_llr))
        if self.is_bounded:
            rows.append(("held within the calibration's bounds", self.llr))
        return [(name, describe_sum(value, self.is_llr)) for name, value in rows]

    def describe_sides(self) -> list[tuple[str, str]]:
        """What is compared: for either side its name, and its number of recordings with the speaker if known."""
        sides = []
        for name, counts, speaker in zip(self.names, self.counts, self.speakers, strict=True):
            recordings = int(counts.sum(-1).max())
            text = "1 recording" if recordings == 1 else f"{recordings} recordings"
            sides.append((name, text if speaker is None else f"{text}, speaker {speaker} as the corpus says"))
        return sides

    def propositions(self) -> list[str]:
        """Hs and Hd, and who stands for the relevant population that Hd names, where anybody does."""
        told = []
        if self.num_reference_speakers is not None:
            who = describe_speakers(self.reference, self.num_reference_speakers, IN_BRIEF)
            told.append(REFERENCE.format(speakers=who))
        if self.calibration is not None:
            told.append(describe_different_speakers(self.calibration))
        return [*PROPOSITIONS, RELEVANT.format(sources=", and by ".join(told))] if told else list(PROPOSITIONS)

    def describe_quality(self) -> list[tuple[str, str]]:
        """What was measured of the recordings: a row for each, of its side (with its number if there are several).

        Where not all recordings of a side were measured, it is not known which ones were.
        """
        rows = []
        numbers = self.counts.sum(-1).max(1).astype(int).tolist()
        for side, recordings, number in zip("AB", self.quality, numbers, strict=True):
            for place, measured in enumerate(recordings, 1):
                name = f"{side}{place}" if len(recordings) > 1 else side
                if len(recordings) < number:
                    name = f"{side}, one of {number}"
                rows.append((name, RecordingQuality(**measured).describe()))
        return rows

    def describe_ratio(self) -> str:
        """The likelihood ratio with two significant digits: `LR 8,700`, or `LR 2,000 (held at the bound)`."""
        return f"LR {ratio(self.llr)}" + self._beyond()

    def _beyond(self) -> str:
        """What is to be added to a likelihood ratio that is a bound."""
        if not self.is_bounded:
            return ""
        return f" ({HELD})" if self.llr else " (no bound vouches for any other)"

    def describe_interval(self) -> str | None:
        """How sure the likelihood ratio is, in a sentence; None where that is unknown, or there is no verdict."""
        if self.interval is None or not self.has_verdict:
            return None
        low, high = interval_ends(self.interval)
        known = self.calibration or {"num_speakers": 0}
        speakers, kinds = known["num_speakers"], zip(("same", "different"), speakers_of_kinds(known), strict=True)
        fewer = [f"{number} have {kind}-speaker trials" for kind, number in kinds if number < speakers]
        others = f", of whom {' and '.join(fewer)}" if fewer else ""
        before, vouched = "", ""
        if self.bounds is not None and (self.interval[0] < self.bounds[0] or self.interval[1] > self.bounds[1]):
            before, vouched = ", before it is bounded", self._vouched(self.interval, self.bounds)
        elif self.is_bounded:
            before = ", before it is bounded"
        return (
            f"95 % interval of the LR{before}: {low} to {high}{vouched}. It tells how much the LR would change with "
            f"other calibration speakers (from draws of the {speakers}{others}), and nothing of other errors."
        )

    @staticmethod
    def _vouched(interval: tuple[float, float], bounds: tuple[float, float]) -> str:
        """For how much of an interval that reaches beyond the bounds the calibration vouches."""
        if interval[0] >= bounds[1] or interval[1] <= bounds[0]:
            return ", for none of which the calibration vouches"
        low, high = interval_ends(interval)
        low = low if interval[0] >= bounds[0] else ratio(bounds[0])
        high = high if interval[1] <= bounds[1] else ratio(bounds[1])
        return f", of which the calibration vouches for {low} to {high} only"

    def describe_figures(self) -> list[str]:
        """The result in several units, of which the first tells most.

        This is the likelihood ratio if it is calibrated, and otherwise the raw sum or the similarity.
        """
        if not self.is_llr:
            return [f"Similarity {self.llr:+.4f}"]
        name = "LLR" if self.is_calibrated else "Sum of LLRs"
        logarithms = [f"{name} {self.llr:+z.2f} (ln)", f"{log10_towards_zero(self.llr)} (log10)"]
        return [self.describe_ratio(), *logarithms] if self.is_calibrated else logarithms

    def describe_doubtful(self) -> str:
        """The figures of a comparison that gets no verdict, in one line that says what they are worth."""
        return " ".join([*([COMPUTED] if self.is_calibrated else []), ", ".join(self.describe_figures())])

    def describe_verdict(self) -> str:
        """A headline: the words of the verbal scale, or that the result is not calibrated."""
        verdict = self.verdict
        if verdict is not None:
            return f"{verdict[0].upper()}{verdict[1:]}"
        if not self.is_calibrated:
            return NOT_CALIBRATED
        headlines = {"copies": NO_VERDICT_COPIES, "outside": NO_VERDICT, "voices": NO_VERDICT_VOICES}
        headlines |= {"domain": NO_VERDICT_DOMAIN, "unmeasured": NO_VERDICT_UNMEASURED}
        headlines |= {kind.name: kind.headline for kind in KINDS}
        headline = headlines.get(self.no_verdict[0], NO_VERDICT_BOUNDS)
        more = self.no_verdict[0] == "outside" and {"voices", OVERLAPPED.name} & set(self.no_verdict)
        return f"{headline}, {AND_VOICES}" if more else headline

    def describe_findings(self) -> str | None:
        """What the likelihood ratio means, in a sentence; None where there is no verdict."""
        if not self.has_verdict:
            return None
        same, different = "the recordings are of the same speaker", "they are of different speakers"
        if self.llr < 0:
            same, different = "the recordings are of different speakers", "they are of the same speaker"
        are, no_more = "are", ""
        if self.is_bounded:
            are, no_more = "are reported as", ": the calibration vouches for no more"
        if is_one(self.llr):
            return f"The findings {are} about as probable if {same} as if {different}{no_more}."
        more = f"{rounded_times(self.llr)} times more probable"
        return f"The findings {are} {more} if {same} than if {different}{no_more}."

    def describe_method(self) -> list[tuple[str, str]]:
        """How the result was found, as rows of a name and a value."""
        rows = [("Scorer", self.scorer)]
        if self.num_reference_speakers is not None:
            rows.append(("Reference population", describe_reference(self.reference, self.num_reference_speakers)))
        if self.calibration is not None:
            method = ", ".join(filter(None, [self.calibration["method"], describe_matching(self.calibration)]))
            same = self.calibration.get("within")
            kind = f"; its different speakers have the same {same}" if same else ""
            other = self.calibration.get("across")
            kind += f"; recordings of one speaker differ in {other}" if other else ""
            chosen = self.calibration.get("matched_with")
            kind += f"; {chosen}" if chosen else ""
            doubt = self.calibration.get("doubt")
            kind += f"; to {percent(doubt)}, each trial counts as one of the other kind" if doubt else ""
            rows.append(("Calibration", f"{method}, on {describe_trials(self.calibration)}{kind}"))
            before = describe_sum(self.raw_llr, not self.similarity)
            rows.append(("Sum before calibration", f"{before}, which is no likelihood ratio"))
        rows.append(("Attributes", describe_informative(len(self.terms), self.num_uninformative)))
        if self.calibration is not None and self.calibration.get("domain"):
            rows.append(("Calibrated on", describe_in_words(self.calibration["domain"])))
        if self.validation is not None:
            figures = f"equal error rate {percent(self.validation['eer'])}, Cllr {self.validation['cllr']:.2f}"
            rows.append(
                (
                    "Cross-validation",
                    f"{figures} (0 is perfect, 1 says nothing), on the calibration's own speakers, each calibrated on "
                    "the others; it is no validation, and tells nothing of other conditions",
                )
            )
        if self.misleading is not None:
            rows.append(("Misleading evidence", self.misleading.describe()))
        if self.calibration is not None:
            matched_now = bool(self.calibration.get("matched")) and "saved_for" not in self.calibration
            rows.append(("One voice", describe_voices(self.voices, matched_now)))
        rows += [(kind.label, describe_heard(self.heard, kind)) for kind in KINDS]
        rows.append(("Descriptions", self._describe_descriptions()))
        limits = self.limits.describe()
        if limits is not None:
            rows.append(("Limits", f"set for this comparison: {limits}"))
        if self.bounds is not None:
            low, high = map(ratio, self.bounds)
            rows.append(("Bounds", f"no LR outside {low} to {high} is reported (ELUB, Vergeer et al., 2016)"))
        return [*rows, *self.details]

    def _describe_descriptions(self) -> str:
        if self.descriptions is None:
            return NO_DESCRIPTIONS
        text = self.descriptions.describe()
        file = f"; SHA-256 {self.descriptions.file_sha256}" if self.descriptions.file_sha256 else ""
        return f"{text[0].upper()}{text[1:]}{file}"
