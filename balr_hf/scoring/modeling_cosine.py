"""The cosine scorer: a similarity, not a likelihood ratio; the baseline that needs no reference population."""

import torch
from torch.nn import functional as F

from balr_hf.scoring.configuration_scorers import CosineSimilarityScorerConfig
from balr_hf.scoring.modeling_scorer import Scorer


class CosineSimilarityScorer(Scorer):
    """Cosine of the two sides' activations, times cosine of their non-activations.

    The terms share the product out: each attribute gets half by its part in the one cosine, half by its part in the
    other, so that they add up to the score.

    Example:
        >>> CosineSimilarityScorer(CosineSimilarityScorerConfig(num_attributes=512)).score(enroll, test)
    """

    config_class = CosineSimilarityScorerConfig
    fitted_by_nature = True
    score_unit = None

    def __init__(self, config: CosineSimilarityScorerConfig):
        super().__init__(config)
        self.post_init()

    def _fit(self, counts: torch.Tensor) -> None:
        self.informative = torch.ones_like(self.informative)

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        norms = enroll.norm(dim=1).clamp(min=self.config.eps) * test.norm(dim=1).clamp(min=self.config.eps)
        parts = enroll * test / norms[:, None]
        cosines = parts.sum(1, keepdim=True)
        return (parts * cosines.flip(-1)).mean(-1)

    def _matrix(self, enroll: torch.Tensor, test: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        if weights is not None:
            return super()._matrix(enroll, test, weights)
        sides = [F.normalize(counts, dim=1, eps=self.config.eps) for counts in (enroll, test)]
        return (sides[0][..., 0] @ sides[1][..., 0].T) * (sides[0][..., 1] @ sides[1][..., 1].T)
