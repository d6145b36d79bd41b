"""Why a log-likelihood ratio is what it is, as text, as a page and as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.text import text

if TYPE_CHECKING:
    import torch

__all__ = ["AttributeEvidence", "Explanation", "Findings", "explain_trial"]


class Explanation(Findings):
    """One trial taken apart: all that [`Findings`] has, and the forms that people read."""

    def to_text(self, top: int = 10) -> str:
        """The explanation as plain text.

        Args:
            top (int): how many attributes for the same speaker to list, and how many for different speakers.
        """
        return text(self, top)

    def to_html(self, top: int = 10) -> str:
        """The explanation as one self-contained HTML page, with its figure.

        Args:
            top (int): how many attributes for the same speaker the tables and the figure show, and how many for
                different speakers; a table that unfolds shows all of them.
        """
        from balr_hf.explanation.page import page  # needs matplotlib

        return page(self, top)


class ExplainableConfig(Protocol):
    """What [`explain_trial`] needs of a [`ScorerConfig`]."""

    @property
    def num_reference_speakers(self) -> int | None: ...

    @property
    def calibration(self) -> dict[str, Any] | None: ...


class ExplainableScorer(Protocol):
    """What [`explain_trial`] needs of a [`Scorer`]."""

    score_unit: float | None
    typicality: torch.Tensor
    activation: torch.Tensor
    informative: torch.Tensor
    calibration_offset: torch.Tensor

    @property
    def config(self) -> ExplainableConfig: ...

    @property
    def num_values(self) -> int: ...

    @property
    def is_calibrated(self) -> bool: ...

    def score(self, enroll: np.ndarray, test: np.ndarray, calibrated: bool = False) -> torch.Tensor: ...

    def attribute_scores(self, enroll: np.ndarray, test: np.ndarray, calibrated: bool = False) -> torch.Tensor: ...


def explain_trial(
    scorer: ExplainableScorer,
    enroll: np.ndarray | torch.Tensor,
    test: np.ndarray | torch.Tensor,
    names: tuple[str, str] = ("A", "B"),
    speakers: tuple[str | None, str | None] = (None, None),
    calibrated: bool | None = None,
    remarks: tuple[str, ...] = (),
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

    Returns:
        [`Explanation`]

    Raises:
        ValueError: counts have another shape, or are negative or not finite.
        UserError: the scorer is not fitted, or it is not calibrated though `calibrated` asks for that.
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
