"""Why a log-likelihood ratio is what it is, as text, as a page and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from balr_hf.domain import Limits, Side, deviations, log_probabilities
from balr_hf.explanation.cautions import UNCHECKED
from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.heard import HeardOfSides, everything
from balr_hf.explanation.text import text
from balr_hf.explanation.voices import CalibratedConfig, ComparingScorer, OneVoice

if TYPE_CHECKING:
    import torch

    from balr_hf.describing.descriptions import AttributeDescriptions

__all__ = ["AttributeEvidence", "Explanation", "Findings", "explain_trial"]


class Explanation(Findings):
    """One trial taken apart: all that [`Findings`] has, and the forms that people read."""

    def to_text(self, top: int = 10) -> str:
        """The explanation as plain text.

        Args:
            top (int): how many attributes for the same speaker to list, and how many for different speakers.
        """
        return text(self, top)

    def to_html(self, top: int = 10, sections: Sequence[str] = ()) -> str:
        """The explanation as one self-contained HTML page, with its figure.

        Args:
            top (int): how many attributes for the same speaker the tables and the figure show, and how many for
                different speakers; a table that unfolds shows all of them.
            sections (sequence of `Markup`): further sections, such as that of
                [`timeline_section`][balr_hf.timeline.section.timeline_section]; plain strings are shown as text.
        """
        from balr_hf.explanation.page import page  # needs matplotlib

        return page(self, top, sections)


class ExplainableConfig(CalibratedConfig, Protocol):
    """What [`explain_trial`] needs of a [`ScorerConfig`]."""

    @property
    def num_reference_speakers(self) -> int | None: ...

    @property
    def reference(self) -> dict[str, Any] | None: ...


class ExplainableScorer(ComparingScorer, Protocol):
    """What [`explain_trial`] needs of a [`Scorer`]."""

    score_unit: float | None
    typicality: torch.Tensor
    activation: torch.Tensor
    informative: torch.Tensor

    @property
    def config(self) -> ExplainableConfig: ...

    @property
    def num_values(self) -> int: ...

    @property
    def is_calibration_unchecked(self) -> bool: ...

    @property
    def bounds(self) -> tuple[float, float] | None: ...

    @property
    def steadiness(self) -> torch.Tensor | None: ...

    def llr_interval(self, llr: float) -> tuple[float, float] | None: ...

    def score(self, enroll: np.ndarray, test: np.ndarray, calibrated: bool = False) -> torch.Tensor: ...


def explain_trial(
    scorer: ExplainableScorer,
    enroll: np.ndarray | torch.Tensor,
    test: np.ndarray | torch.Tensor,
    names: tuple[str, str] = ("A", "B"),
    speakers: tuple[str | None, str | None] = (None, None),
    calibrated: bool | None = None,
    remarks: tuple[str, ...] = (),
    quality: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]] = ((), ()),
    copies: tuple[str, ...] = (),
    limits: Limits | None = None,
    demonstration: bool = False,
    details: tuple[tuple[str, str], ...] = (),
    case: tuple[tuple[str, str], ...] = (),
    descriptions: AttributeDescriptions | None = None,
    measures: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]] = ((), ()),
    voices: tuple[tuple[OneVoice | None, ...], tuple[OneVoice | None, ...]] = ((), ()),
    heard: HeardOfSides | None = None,
) -> Explanation:
    """Take one trial apart.

    Args:
        scorer ([`Scorer`]): a fitted scorer.
        enroll (`np.ndarray` or `torch.Tensor` of shape `(attributes, 2)`): the counts of one side, activations and
            non-activations.
        test (`np.ndarray` or `torch.Tensor` of shape `(attributes, 2)`): the counts of the other side.
        names (two str): the names of the two sides.
        speakers (two str, *optional*): the names of the two sides' speakers; None for a speaker who is not known.
        calibrated (bool, *optional*): whether to apply the calibration; by default it is applied if there is one.
        remarks (tuple of str): further cautions that the explanation gives its readers.
        quality (two sequences of dict): what was measured of the recordings of either side, as
            [`RecordingQuality.to_dict`] gives it. They are compared with the calibration's.
        copies (tuple of str): sentences that name recordings of the two sides that hold the same sound.
        limits ([`Limits`], *optional*): how far outside the calibration's own range a verbal verdict is still given.
        demonstration (bool): whether models that are not for casework made the result.
        details (rows of name and value): what else a report says of how the result was found.
        case (rows of name and value): what a report says of the case, see [`read_case`].
        descriptions ([`AttributeDescriptions`], *optional*): what the attributes go with, see `balr describe`.
        measures (two sequences of dict): all measures of the recordings of either side by name, as
            [`balr_hf.describing.corpus.measure_voice_and_recording`] gives them, to be shown beside the descriptions'.
        voices (two tuples of [`OneVoice`]): whether each of the recordings holds one voice, see
            [`one_voice_each`].
        heard (dict, *optional*): for each kind of detector, two tuples of [`Heard`]: how much each of them sounds like
            what it listens for, see [`listen_to_each`].

    Returns:
        [`Explanation`]

    Raises:
        ValueError: counts have another shape, or are negative or not finite; or there are descriptions of another
            number of attributes.
        UserError: the scorer is not fitted, or it is not calibrated though `calibrated` asks for that; or its
            calibration needs what was measured of the recordings, and that is not known.
    """
    counts = np.stack([np.asarray(side, dtype=np.float64).reshape(-1, scorer.num_values) for side in (enroll, test)])
    sides = counts[:1], counts[1:]
    calibrated = scorer.is_calibrated if calibrated is None else calibrated
    terms = scorer.attribute_scores(*sides, calibrated=calibrated)[0].cpu().numpy()
    if descriptions is not None and len(descriptions.attributes) != len(terms):
        raise ValueError(f"descriptions of {len(descriptions.attributes)} attributes, but there are {len(terms)}")
    has_reference = scorer.config.num_reference_speakers is not None
    config = scorer.config
    calibration = config.calibration if calibrated else None
    domain = None if calibration is None else calibration.get("domain")
    compared = _case_sides(scorer, counts, quality)
    found = deviations(compared, domain, config.reference, limits)
    all_measured = all(len(side.quality) >= side.recordings for side in compared)
    explanation = Explanation(
        names=names,
        scorer=type(scorer).__name__,
        terms=terms,
        offset=scorer.calibration_offset.item() if calibrated else None,
        raw_llr=float(scorer.score(*sides)[0]),
        calibration=calibration,
        similarity=scorer.score_unit is None,
        counts=counts,
        typicality=scorer.typicality.cpu().numpy() if has_reference else None,
        activation=scorer.activation.cpu().numpy() if has_reference else None,
        informative=scorer.informative.cpu().numpy(),
        num_reference_speakers=scorer.config.num_reference_speakers,
        reference=scorer.config.reference if has_reference else None,
        speakers=speakers,
        remarks=(UNCHECKED, *remarks) if calibrated and scorer.is_calibration_unchecked else remarks,
        bounds=scorer.bounds if calibrated else None,
        deviations=tuple(found),
        limits=limits or Limits(),
        within_default_limits=not (
            any(one.is_beyond for one in deviations(compared, domain, config.reference))
            or any(one is not None and one.is_beyond_limits(Limits()) for side in voices for one in side)
            or any(one.is_beyond_limits(Limits()) for one in everything(heard or {}))
        ),
        copies=copies,
        quality=(tuple(quality[0]), tuple(quality[1])),
        steadiness=None if scorer.steadiness is None else scorer.steadiness.cpu().numpy(),
        domain_known=domain is not None and bool(domain["measures"]) and all_measured,
        demonstration=demonstration,
        details=details,
        case=case,
        quality_terms=scorer.quality_rows(quality, counts.sum(-1).max(1).astype(int).tolist()) if calibrated else (),
        descriptions=descriptions,
        measures=(tuple(measures[0]), tuple(measures[1])),
        voices=voices if calibrated else ((), ()),
        heard=heard or {},
        left_raw=scorer.is_calibrated and not calibrated,
    )
    if calibrated:
        explanation.interval = scorer.llr_interval(explanation.unbounded_llr)
    return explanation


def _case_sides(
    scorer: ExplainableScorer, counts: np.ndarray, quality: tuple[Sequence[Mapping[str, Any]], ...]
) -> list[Side]:
    """What is known of the two sides, to be compared with what the scorer was fitted to and calibrated on."""
    totals = counts.sum(-1)
    probabilities: list[float | None] = [None, None]
    speakers = scorer.config.num_reference_speakers
    if scorer.config.reference is not None and speakers is not None:
        shares = counts[..., 0] / np.maximum(totals, 1)
        probabilities = log_probabilities(shares, scorer.activation.cpu().numpy(), speakers).tolist()
    recordings = totals.max(1).astype(int).tolist()
    return [Side(*side) for side in zip(recordings, quality, probabilities, strict=True)]
