"""The MaxLLR scorer: whether a speaker has an attribute is a latent class, estimated by expectation-maximization."""

import torch

from balr_hf.scoring.configuration_scorers import MaxLLRScorerConfig
from balr_hf.scoring.counts import sum_of_values
from balr_hf.scoring.modeling_scorer import Scorer

# Speakers whose posteriors are computed together, so that they stay in a CPU's cache.
SPEAKERS_AT_ONCE = 256
# Probabilities are kept this far from 0 and 1, so that no count is impossible.
MARGIN = 1e-12


class MaxLLRScorer(Scorer):
    """LLR of the counts where a share f of the speakers activates an attribute with probability p, the others with q.

        L(a, n) = f p^a (1-p)^n + (1-f) q^a (1-q)^n
        LLR = log L(a_e + a_t, n_e + n_t) - log L(a_e, n_e) - log L(a_t, n_t)

    Natural logarithms throughout, so that counts in the thousands do not underflow.

    Example:
        >>> MaxLLRScorer(MaxLLRScorerConfig()).fit(counts).score(enroll, test)

    Reference:
        BALR 2.0, "Maximum Likelihood Ratio Scorer"; A. Dempster, N. Laird and D. Rubin, JRSS B, 1977.
    """

    config_class = MaxLLRScorerConfig
    parameter_names = ("f", "p", "q")

    config: MaxLLRScorerConfig
    f: torch.Tensor
    p: torch.Tensor
    q: torch.Tensor

    def __init__(self, config: MaxLLRScorerConfig):
        super().__init__(config)
        for name in ("f", "p", "q"):
            start = torch.full((config.num_attributes,), getattr(config, name), dtype=torch.float64)
            self.register_buffer(name, start)
        self.post_init()

    def _fit(self, counts: torch.Tensor, n_iterations: int | None = None) -> None:
        if n_iterations is not None:
            self.config.n_iterations = n_iterations
        actives, totals = counts[..., 0].contiguous(), sum_of_values(counts)
        all_active, all_total = actives.sum(0), totals.sum(0)
        self.f, self.p, self.q = (torch.full_like(all_total, getattr(self.config, name)) for name in "fpq")
        for _ in range(self.config.n_iterations):
            active_with, total_with, having = (torch.zeros_like(all_total) for _ in range(3))
            of_inactive = torch.log1p(-self.p) - torch.log1p(-self.q)
            of_active = (self.p / self.q).log() - of_inactive  # beyond what it adds to the total
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
    """`active / total`, off 0 and 1; what it was `before` where nobody is left to tell."""
    return torch.where(total > 0, active / total, before).clamp(MARGIN, 1 - MARGIN)
