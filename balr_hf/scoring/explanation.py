"""Why a log-likelihood ratio is what it is: the attributes that speak for the same speaker, and those against."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from balr_hf.scoring import verbal_scale
from balr_hf.scoring.calibration import FEW_SPEAKERS, describe_amount

LOG10 = math.log(10)


@dataclass(frozen=True)
class AttributeEvidence:
    """One attribute's part in a trial.

    Attributes:
        attribute: its number.
        llr: its term, in natural-log units; weighted if the explanation is calibrated.
        a, b: `(activations, recordings)` on either side.
        typicality: share of pairs of reference speakers who both have it; None without a reference population.
        activation: reference speakers' mean share of recordings in which it is active; None likewise.
        informative: False if it carries no evidence, so that its term is 0.
    """

    attribute: int
    llr: float
    a: tuple[int, int]
    b: tuple[int, int]
    typicality: float | None
    activation: float | None
    informative: bool

    @property
    def states(self) -> tuple[str, str]:
        """The two sides' states in words."""
        return state(*self.a), state(*self.b)


@dataclass
class Explanation:
    """One trial taken apart: `llr` is the sum of `terms` and, if calibrated, `offset`.

    Attributes:
        names: of the two sides.
        scorer: the scorer's class.
        terms: float64 `(attributes,)`, natural-log units.
        offset: what calibration adds; None if not calibrated.
        raw_llr: the sum of the terms before calibration.
        calibration: what the scorer's configuration says of it; None if not calibrated.
        similarity: whether the scorer's raw scores are no likelihood ratios even in principle.
        counts: float64 `(2, attributes, 2)`: activations and non-activations of the two sides.
        typicality, activation: float64 `(attributes,)`, see [`AttributeEvidence`]; None without reference population.
        informative: bool `(attributes,)`.
        num_reference_speakers: of the reference population; None without.
        speakers: whose the two sides are, where a corpus says so.
        remarks: further cautions that a reader must be told.
    """

    names: tuple[str, str]
    scorer: str
    terms: np.ndarray
    offset: float | None
    raw_llr: float
    calibration: dict | None
    similarity: bool
    counts: np.ndarray
    typicality: np.ndarray | None
    activation: np.ndarray | None
    informative: np.ndarray
    num_reference_speakers: int | None
    speakers: tuple[str | None, str | None] = (None, None)
    remarks: tuple[str, ...] = ()

    @property
    def is_calibrated(self) -> bool:
        """Whether `llr` may be read as a likelihood ratio."""
        return self.calibration is not None

    @property
    def is_llr(self) -> bool:
        """Whether the terms are in units of log-likelihood ratios at all."""
        return self.is_calibrated or not self.similarity

    @property
    def llr(self) -> float:
        """Natural-log likelihood ratio (a raw sum, if not calibrated)."""
        return float(self.terms.sum() + (self.offset or 0.0))

    @property
    def log10_llr(self) -> float:
        """The same to base 10."""
        return self.llr / LOG10

    @property
    def verdict(self) -> str | None:
        """The verbal scale's words; None if not calibrated."""
        return verbal_scale.verdict(self.llr) if self.is_calibrated else None

    @property
    def num_uninformative(self) -> int:
        """Attributes that carry no evidence."""
        return int((~self.informative).sum())

    @property
    def sum_for(self) -> float:
        """Sum of the terms that speak for the same speaker."""
        return float(self.terms[self.terms > 0].sum())

    @property
    def sum_against(self) -> float:
        """Sum of the terms that speak for different speakers, negative."""
        return float(self.terms[self.terms < 0].sum())

    @property
    def cautions(self) -> list[str]:
        """What a reader must know before relying on the figure."""
        texts = list(self.remarks)
        if self.is_calibrated and self.calibration.get("speech"):
            texts.append(f"The calibration is of {self.calibration['speech']}: it holds for such speech only.")
        if not self.is_calibrated:
            what = (
                "a similarity, not a likelihood ratio"
                if self.similarity
                else "a sum over dependent attributes and overconfident: it is not a likelihood ratio, and the verbal "
                "scale says nothing of it"
            )
            return [f"Not calibrated. This is {what}. Calibrate the scorer with balr score calibrate.", *texts]
        if self.calibration["num_speakers"] < FEW_SPEAKERS:
            texts.append(f"Calibrated on {describe_amount(self.calibration)}.")
        kind, trials = ("different", self.calibration["num_different_speaker"])
        if self.llr < 0:
            kind, trials = "same", self.calibration["num_same_speaker"]
        if abs(self.llr) > math.log(max(trials, 1)):
            ratio = "The LR" if self.llr > 0 else "1/LR"
            texts.append(
                f"{ratio} is larger than the {trials:,} {kind}-speaker trials of the calibration can vouch for: it is "
                "extrapolated."
            )
        return texts

    def evidence(self) -> list[AttributeEvidence]:
        """All attributes, the one with the largest term of either sign first."""
        totals = self.counts.sum(-1)

        def side(number: int, attribute: int) -> tuple[int, int]:
            return int(self.counts[number, attribute, 0]), int(totals[number, attribute])

        known = self.typicality is not None
        return [
            AttributeEvidence(
                int(attribute),
                float(self.terms[attribute]),
                side(0, attribute),
                side(1, attribute),
                float(self.typicality[attribute]) if known else None,
                float(self.activation[attribute]) if known else None,
                bool(self.informative[attribute]),
            )
            for attribute in np.argsort(-np.abs(self.terms), kind="stable")
        ]

    def strongest(self, top: int = 10) -> tuple[list[AttributeEvidence], list[AttributeEvidence]]:
        """At most `top` attributes that speak for the same speaker, and as many against, the strongest first."""
        evidence = self.evidence()
        return [e for e in evidence if e.llr > 0][:top], [e for e in evidence if e.llr < 0][:top]

    def to_dict(self) -> dict:
        """Everything, for JSON: plain numbers and strings, all attributes."""
        return {
            "a": {"name": self.names[0], "speaker": self.speakers[0]},
            "b": {"name": self.names[1], "speaker": self.speakers[1]},
            "scorer": self.scorer,
            "num_reference_speakers": self.num_reference_speakers,
            "calibrated": self.is_calibrated,
            "calibration": self.calibration,
            "llr": self.llr,
            "log10_llr": self.log10_llr,
            "verbal": self.verdict,
            "verbal_scale": verbal_scale.SOURCE if self.is_calibrated else None,
            "raw_llr": self.raw_llr,
            "offset": self.offset,
            "sum_for": self.sum_for,
            "sum_against": self.sum_against,
            "num_attributes": len(self.terms),
            "num_uninformative": self.num_uninformative,
            "cautions": self.cautions,
            "attributes": [
                asdict(e) | dict(zip(("state_a", "state_b"), e.states, strict=True)) for e in self.evidence()
            ],
        }

    def to_text(self, top: int = 10) -> str:
        """The explanation as plain text, with the `top` attributes that speak for and against."""
        return "\n".join([*self._headline(), "", *self._tables(top), "", *self._sums(), *self._closing()])

    def to_html(self, top: int = 10) -> str:
        """The explanation as one self-contained page, with its figure."""
        from balr_hf.scoring.explanation_page import page

        return page(self, top)

    def figure(self, top: int = 10):
        """The explanation as a `matplotlib.figure.Figure`."""
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
            self.llr,
        )

    def sums(self) -> list[tuple[str, float]]:
        """How `llr` comes about: named parts, and it."""
        rows = [
            (f"{(self.terms > 0).sum()} attributes for the same speaker", self.sum_for),
            (f"{(self.terms < 0).sum()} attributes for different speakers", self.sum_against),
        ]
        if self.offset is not None:
            rows.append(("offset of the calibration", self.offset))
        return [*rows, ("sum", self.llr)]

    def describe_sides(self) -> list[tuple[str, str]]:
        """What is compared: `(name, recordings and speaker)` of either side."""
        sides = []
        for name, counts, speaker in zip(self.names, self.counts, self.speakers, strict=True):
            recordings = int(counts.sum(-1).max())
            text = "1 recording" if recordings == 1 else f"{recordings} recordings"
            sides.append((name, text if speaker is None else f"{text}, speaker {speaker}"))
        return sides

    def describe_ratio(self) -> str:
        """The likelihood ratio as such: `LR 8,680` or `LR 1/8,680`."""
        return f"LR {'' if self.llr >= 0 else '1/'}{_times(self.llr)}"

    def describe_findings(self) -> str:
        """What the likelihood ratio means, in a sentence."""
        same, different = "the recordings are of the same speaker", "they are of different speakers"
        if self.llr < 0:
            same, different = "the recordings are of different speakers", "they are of the same speaker"
        return f"The findings are {_times(self.llr)} times more probable if {same} than if {different}."

    def _headline(self) -> list[str]:
        width = max(len(name) for name in self.names)
        sides = zip("AB", self.describe_sides(), strict=True)
        lines = [*(f"{side}  {name:<{width}}  {what}" for side, (name, what) in sides), ""]
        if self.is_calibrated:
            lines += [
                f"LLR  {self.llr:+.2f} (ln)   {self.log10_llr:+.2f} (log10)   {self.describe_ratio()}",
                f"     {self.verdict[0].upper()}{self.verdict[1:]}.",
                f"     {self.describe_findings()}",
                f"     Verbal scale: {verbal_scale.SOURCE} ({_scale_in_a_line()}).",
            ]
        elif self.similarity:
            lines.append(f"Score  {self.llr:+.4f}")
        else:
            lines.append(f"Sum of LLRs  {self.llr:+.2f} (ln)   {self.log10_llr:+.2f} (log10)   NOT CALIBRATED")
        return lines + [f"     Note: {text}" for text in self.cautions]

    def _tables(self, top: int) -> list[str]:
        lines = []
        for title, side in zip(("For the same speaker", "For different speakers"), self.strongest(top), strict=True):
            lines += [title, *(_table(side, "ln LR" if self.is_llr else "part") if side else ["  no attribute"]), ""]
        return lines[:-1]

    def _sums(self) -> list[str]:
        digits = 2 if self.is_llr else 4
        return [f"  {name:<40}{value:>+10.{digits}f}" for name, value in self.sums()]

    def _closing(self) -> list[str]:
        lines = ["", f"{self.num_uninformative} of {len(self.terms)} attributes are uninformative: their term is 0."]
        how = self.scorer
        if self.num_reference_speakers is not None:
            how += f", reference population of {self.num_reference_speakers} speakers"
        if self.is_calibrated:
            how += f"; {self.calibration['method']} calibration (the raw sum was {self.raw_llr:+.2f})"
        lines.append(f"{how}.")
        if self.typicality is not None:
            lines.append(
                "Typicality: share of pairs of reference speakers who both showed the attribute, be it here or not."
            )
        return lines


def explain_trial(
    scorer,
    enroll: np.ndarray,
    test: np.ndarray,
    names: tuple[str, str] = ("A", "B"),
    speakers: tuple[str | None, str | None] = (None, None),
    calibrated: bool | None = None,
    remarks: tuple[str, ...] = (),
) -> Explanation:
    """Take one trial apart.

    Args:
        scorer: a fitted [`Scorer`].
        enroll (`(attributes, 2)`): counts of one side.
        test (`(attributes, 2)`): counts of the other.
        names: of the two sides.
        speakers: whose they are, where known.
        calibrated (bool, *optional*): apply the calibration; by default if there is one.
        remarks: cautions to hand on.

    Raises:
        ValueError: counts of another shape, negative or not finite.
        UserError: the scorer is not fitted, or not calibrated though that is asked for.
    """
    counts = np.stack([np.asarray(side, dtype=np.float64).reshape(-1, scorer.num_values) for side in (enroll, test)])
    sides = counts[:1], counts[1:]
    calibrated = scorer.is_calibrated if calibrated is None else calibrated
    terms = scorer.attribute_scores(*sides, calibrated=calibrated)[0].cpu().numpy()
    has_reference = scorer.config.num_reference_speakers is not None
    return Explanation(
        names=names,
        scorer=type(scorer).__name__,
        terms=terms,
        offset=scorer.calibration_offset.item() if calibrated else None,
        raw_llr=float(scorer.score(*sides)[0]),
        calibration=scorer.config.calibration if calibrated else None,
        similarity=scorer.score_unit is None,
        counts=counts,
        typicality=scorer.typicality.cpu().numpy() if has_reference else None,
        activation=scorer.activation.cpu().numpy() if has_reference else None,
        informative=scorer.informative.cpu().numpy(),
        num_reference_speakers=scorer.config.num_reference_speakers,
        speakers=speakers,
        remarks=remarks,
    )


def state(active: int, recordings: int) -> str:
    """An attribute's state on one side in words."""
    if recordings == 1:
        return "active" if active else "inactive"
    return f"active in {active} of {recordings}"


def _table(evidence: list[AttributeEvidence], unit: str) -> list[str]:
    header = ("attribute", unit, "A", "B", "typicality")
    rows = [
        (str(e.attribute), f"{e.llr:+.3g}" if unit == "part" else f"{e.llr:+.3f}", *e.states, percent(e.typicality))
        for e in evidence
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(5)]
    aligned = (str.rjust, str.rjust, str.ljust, str.ljust, str.rjust)
    return [
        "  " + "  ".join(align(text, width) for align, text, width in zip(aligned, row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]


def percent(share: float | None) -> str:
    """A share in percent, or a dash."""
    return "-" if share is None else f"{100 * share:.1f} %"


def _times(llr: float) -> str:
    """The likelihood ratio or its inverse, whichever is more than 1, with three digits that count."""
    exponent = abs(llr) / LOG10
    if exponent >= 9:
        return f"10^{exponent:.0f}"
    value = float(f"{10**exponent:.3g}")
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def _scale_in_a_line() -> str:
    return "; ".join(f"{limits} {words.removesuffix(' support')}" for limits, words in verbal_scale.ranges()[1:])
