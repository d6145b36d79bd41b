"""The cosine scorer: a baseline whose score is a similarity, and which needs no reference population."""

from functools import partial

import torch
from torch.nn import functional as F

from .configuration_scorers import CosineSimilarityScorerConfig
from .counts import SideCounts
from .modeling_scorer import Scorer
from .term_tables import Terms, TermTable


class CosineSimilarityScorer(Scorer):
    """Cosine of the two sides' activations, times the cosine of their non-activations.

        s = cos(a_e, a_t) cos(n_e, n_t)

    where a and n are a side's numbers of activations and non-activations in all attributes. The score is a similarity
    between 0 and 1, not a likelihood ratio. It is divided among the attributes: half of it in proportion to their
    parts in the one cosine, half in proportion to their parts in the other. So the terms add up to the score.

    Args:
        config (CosineSimilarityScorerConfig): `num_attributes`, `eps`.

    Inputs:
        Counts of both sides, each of shape `(trials, attributes, 2)`.

    References:
        The cosine scorer of BALR 2.0, whose scores these are.

    Requirements:
        None: it has no parameters to fit. `fit` only describes a reference population, so that explanations can say
        how typical an attribute is.

    Recommendations:
        Use it as the baseline that other scorers must beat. Only calibration turns its scores into LLRs.

    Example:
        >>> scorer = CosineSimilarityScorer(CosineSimilarityScorerConfig(num_attributes=4))
        >>> enroll = torch.tensor([[[1.0, 0], [1, 0], [0, 1], [0, 1]]])
        >>> test = torch.tensor([[[1.0, 0], [0, 1], [0, 1], [0, 1]]])  # one attribute differs
        >>> round(scorer.score(enroll, test).item(), 3)
        0.577
        >>> scorer.is_fitted
        True
    """

    config_class = CosineSimilarityScorerConfig
    fitted_by_nature = True
    score_unit = None

    config: CosineSimilarityScorerConfig

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
        """Without a table of states, since a term depends on the counts of all attributes through the sides' norms."""
        terms = partial(self._weighted_terms, weights)
        if weights is not None:
            return TermTable(terms, enroll, test, offset)
        return _CosineTable(terms, enroll, test, self.config.eps)

    def _side_table(self, weights: torch.Tensor | None, offset: float, counts: SideCounts) -> None:
        """None, since the norms of the sides need the counts themselves."""
        return None


class _CosineTable(TermTable):
    """Computes scores without weights as the product, entry by entry, of two matrices of cosines."""

    products = 2

    def __init__(self, terms: Terms, enroll: torch.Tensor, test: torch.Tensor, eps: float):
        super().__init__(terms, enroll, test)
        self.directions = [F.normalize(counts, dim=1, eps=eps).unbind(-1) for counts in (enroll, test)]

    def _write_block(self, out: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> None:
        (active, inactive), (other_active, other_inactive) = self.directions
        other_active, other_inactive = other_active[columns].T, other_inactive[columns].T
        for part, some in zip(out.split(len(columns)), rows.split(len(columns)), strict=True):
            torch.mm(active[some], other_active, out=part).mul_(inactive[some] @ other_inactive)
