"""Why a log-likelihood ratio is what it is, as text, as a page and as a figure."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from balr_hf.explanation.findings import AttributeEvidence, Findings
from balr_hf.explanation.text import text

if TYPE_CHECKING:
    import torch

__all__ = ["AttributeEvidence", "Explanation", "Findings", "explain_trial"]


class Explanation(Findings):
    """One trial taken apart, with all that [`Findings`] has, in the forms that people read."""

    def to_text(self, top: int = 10) -> str:
        """The explanation as plain text, with the `top` attributes that speak for and against."""
        return text(self, top)

    def to_html(self, top: int = 10) -> str:
        """The explanation as one self-contained page, with its figure."""
        from balr_hf.explanation.page import page  # needs matplotlib

        return page(self, top)


class ExplainableScorer(Protocol):
    """What [`explain_trial`] needs of a [`Scorer`]."""

    config: Any
    num_values: int
    score_unit: float | None
    is_calibrated: bool
    typicality: "torch.Tensor"
    activation: "torch.Tensor"
    informative: "torch.Tensor"
    calibration_offset: "torch.Tensor"

    def score(self, enroll: Any, test: Any, calibrated: bool = False) -> "torch.Tensor": ...

    def attribute_scores(self, enroll: Any, test: Any, calibrated: bool = False) -> "torch.Tensor": ...


def explain_trial(
    scorer: ExplainableScorer,
    enroll: "np.ndarray | torch.Tensor",
    test: "np.ndarray | torch.Tensor",
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
