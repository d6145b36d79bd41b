"""The cosine scorer: a similarity, not a likelihood ratio; the baseline that needs no reference population."""

from functools import partial

import torch
from torch.nn import functional as F

from balr_hf.scoring.configuration_scorers import CosineSimilarityScorerConfig
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.scoring.term_tables import Terms, TermTable


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

    config: CosineSimilarityScorerConfig

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

    def _term_table(
        self, weights: torch.Tensor | None, offset: float, enroll: torch.Tensor, test: torch.Tensor
    ) -> TermTable:
        """A term depends on the sides' counts of all attributes, by their norms."""
        terms = partial(self._weighted_terms, weights)
        if weights is not None:
            return TermTable(terms, enroll, test, offset)
        return _CosineTable(terms, enroll, test, self.config.eps)


class _CosineTable(TermTable):
    """Scores, if not weighted, are products of two matrices of cosines."""

    products = 2

    def __init__(self, terms: Terms, enroll: torch.Tensor, test: torch.Tensor, eps: float):
        super().__init__(terms, enroll, test)
        self.directions = [F.normalize(counts, dim=1, eps=eps).unbind(-1) for counts in (enroll, test)]

    def _write_block(self, out: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> None:
        (active, inactive), (other_active, other_inactive) = self.directions
        other_active, other_inactive = other_active[columns].T, other_inactive[columns].T
        for part, some in zip(out.split(len(columns)), rows.split(len(columns)), strict=True):
            torch.mm(active[some], other_active, out=part).mul_(inactive[some] @ other_inactive)
