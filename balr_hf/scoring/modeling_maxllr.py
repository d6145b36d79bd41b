"""The MaxLLR scorer: whether a speaker has an attribute is a latent class, fitted by expectation-maximization."""

import torch

from .configuration_scorers import MaxLLRScorerConfig, check_iterations
from .counts import sum_of_values
from .modeling_scorer import Scorer
from .scorer_state import SHARE

# The posteriors of this many speakers are computed together, so that they stay in a CPU's cache.
SPEAKERS_AT_ONCE = 256
# Probabilities are kept this far from 0 and 1, so that no count is impossible.
MARGIN = 1e-12


class MaxLLRScorer(Scorer):
    """LLR of the counts if a share f of the speakers has an attribute, and the others lack it.

    The attribute is active in a recording of those who have it with probability p, of those who lack it with q. With
    a activations and n non-activations, the likelihood of a side, and the LLR of an attribute, are

        L(a, n) = f p^a (1-p)^n + (1-f) q^a (1-q)^n
        LLR = log L(a_e + a_t, n_e + n_t) - log L(a_e, n_e) - log L(a_t, n_t)

    Scores are sums of these natural-log LLRs over the attributes. Everything is computed with logarithms, so that
    counts in the thousands do not underflow.

    Args:
        config (MaxLLRScorerConfig): `num_attributes`, `n_iterations`, and the starting values `f`, `p`, `q`.

    Inputs:
        Counts of both sides, each of shape `(trials, attributes, 2)`.

    References:
        BALR 2.0, "Maximum Likelihood Ratio Scorer".
        A. Dempster, N. Laird and D. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", Journal of
        the Royal Statistical Society B, 1977.

    Requirements:
        At least 2 reference speakers, some of them with several recordings: from single recordings the two classes
        cannot be told apart. A side may have any number of recordings.

    Recommendations:
        It suits attributes that speakers either have or lack. However many recordings agree, an attribute's LLR cannot
        exceed the larger of -log f and -log (1 - f). Calibrate it: the attributes depend on one another, so that the
        raw sum is overconfident.

    Example:
        >>> reference = torch.tensor([[[4.0, 0], [1, 3]], [[0, 4], [3, 1]], [[3, 1], [0, 4]], [[1, 3], [4, 0]]])
        >>> scorer = MaxLLRScorer(MaxLLRScorerConfig(num_attributes=2)).fit(reference)
        >>> enroll = torch.tensor([[[3.0, 0], [0, 3]], [[3, 0], [0, 3]]])
        >>> test = torch.tensor([[[2.0, 0], [0, 2]], [[0, 2], [2, 0]]])  # the first agrees, the second does not
        >>> scorer.score(enroll, test).numpy().round(1)
        array([ 1.3, -6. ])
        >>> scorer.f.numpy().round(2)  # the share of speakers who have each attribute
        array([0.5, 0.5])
    """

    config_class = MaxLLRScorerConfig
    learns_variation = True
    parameter_names = ("f", "p", "q")
    parameter_ranges = {**Scorer.parameter_ranges, "f": SHARE, "p": SHARE, "q": SHARE}

    config: MaxLLRScorerConfig
    f: torch.Tensor
    p: torch.Tensor
    q: torch.Tensor

    def _initial_buffers(self) -> dict[str, torch.Tensor]:
        size = (self.config.num_attributes,)
        starts = {name: torch.full(size, getattr(self.config, name), dtype=torch.float64) for name in "fpq"}
        return super()._initial_buffers() | starts

    def _fit(self, counts: torch.Tensor, n_iterations: int | None = None) -> None:
        if n_iterations is not None:
            self.config.n_iterations = check_iterations(n_iterations)
        actives, totals = counts[..., 0].contiguous(), sum_of_values(counts)
        all_active, all_total = actives.sum(0), totals.sum(0)
        self.f, self.p, self.q = (torch.full_like(all_total, getattr(self.config, name)) for name in "fpq")
        for _ in range(self.config.n_iterations):
            active_with, total_with, having = (torch.zeros_like(all_total) for _ in range(3))
            of_inactive = torch.log1p(-self.p) - torch.log1p(-self.q)
            of_active = (self.p / self.q).log() - of_inactive  # on top of its part in `total`
            for active, total in zip(actives.split(SPEAKERS_AT_ONCE), totals.split(SPEAKERS_AT_ONCE), strict=True):
                posterior = (active * of_active).addcmul_(total, of_inactive.expand_as(total))
                posterior.add_(torch.logit(self.f)).sigmoid_()
                having += posterior.sum(0)
                total_with += (posterior * total).sum(0)
                active_with += posterior.mul_(active).sum(0)
            self.p = _share(active_with, total_with, self.p)
            self.q = _share(all_active - active_with, all_total - total_with, self.q)
            self.f = (having / len(counts)).clamp(MARGIN, 1 - MARGIN)

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        return self._log_likelihood(enroll + test) - self._log_likelihood(enroll) - self._log_likelihood(test)

    def _log_likelihood(self, counts: torch.Tensor) -> torch.Tensor:
        active, inactive = counts.unbind(-1)
        having = self.f.log() + active * self.p.log() + inactive * torch.log1p(-self.p)
        lacking = torch.log1p(-self.f) + active * self.q.log() + inactive * torch.log1p(-self.q)
        return torch.logaddexp(having, lacking)


def _share(active: torch.Tensor, total: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """`active / total`, kept away from 0 and 1; the value `before` where the total is 0."""
    return torch.where(total > 0, active / total, before).clamp(MARGIN, 1 - MARGIN)
