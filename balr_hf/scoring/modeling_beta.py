"""The Dirichlet-multinomial scorer, `beta`: each speaker activates an attribute with a probability of their own."""

import math

import torch

from .configuration_scorers import DirichletMultinomialScorerConfig, check_iterations
from .counts import sum_of_values
from .modeling_scorer import Scorer

# Counts up to this size are put into a histogram, however few speakers there are.
MOST_RECORDINGS = 1000


class DirichletMultinomialScorer(Scorer):
    """LLR of the counts if the speakers' activation probabilities follow a Dirichlet distribution.

    With two values per attribute, active or not, this is the beta-binomial model. The LLR of one attribute is

        log B(alpha + e + t) + log B(alpha) - log B(alpha + e) - log B(alpha + t)

    where B is the multivariate beta function, e and t are the counts of the two sides, and alpha is fitted to the
    reference population. Scores are sums of these natural-log LLRs over the attributes.

    Args:
        config (DirichletMultinomialScorerConfig): `num_attributes`, `num_values`, `n_iterations`, `eps`.

    Inputs:
        Counts of both sides, each of shape `(trials, attributes, num_values)`.

    References:
        T. Minka, "Estimating a Dirichlet distribution", 2000 (fixed point, section 3).

    Requirements:
        At least 2 reference speakers, some of them with several recordings: from speakers with one recording each,
        nobody can tell how much one speaker varies. A side may have any number of recordings.

    Recommendations:
        It is the scorer for sides of several recordings. Calibrate it: the attributes depend on one another, so that
        the raw sum is overconfident.

    Example:
        >>> reference = torch.tensor([[[4.0, 0], [1, 3]], [[0, 4], [3, 1]], [[3, 1], [0, 4]], [[1, 3], [4, 0]]])
        >>> scorer = DirichletMultinomialScorer(DirichletMultinomialScorerConfig(num_attributes=2)).fit(reference)
        >>> enroll = torch.tensor([[[3.0, 0], [0, 3]], [[3, 0], [0, 3]]])
        >>> test = torch.tensor([[[2.0, 0], [0, 2]], [[0, 2], [2, 0]]])  # the first agrees, the second does not
        >>> scorer.score(enroll, test).numpy().round(1)
        array([ 1.5, -4.4])
        >>> scorer.attribute_scores(enroll, test).shape
        torch.Size([2, 2])
    """

    config_class = DirichletMultinomialScorerConfig
    learns_variation = True
    parameter_names = ("alpha",)
    parameter_ranges = {**Scorer.parameter_ranges, "alpha": (torch.finfo(torch.float64).tiny, math.inf)}

    config: DirichletMultinomialScorerConfig
    alpha: torch.Tensor

    def _initial_buffers(self) -> dict[str, torch.Tensor]:
        shape = (self.config.num_attributes, self.config.num_values)
        return super()._initial_buffers() | {"alpha": torch.ones(shape, dtype=torch.float64)}

    def _fit(self, counts: torch.Tensor, n_iterations: int | None = None) -> None:
        if n_iterations is not None:
            self.config.n_iterations = check_iterations(n_iterations)
        alpha = self._start(counts)
        values, occurrences = _histogram(counts)
        totals, total_occurrences = _histogram(sum_of_values(counts).unsqueeze(-1))
        for _ in range(self.config.n_iterations):
            strength = alpha.sum(-1, keepdim=True)
            gain = _digamma_gain(values, occurrences, alpha)
            alpha = alpha * gain / _digamma_gain(totals, total_occurrences, strength)
        self.alpha = alpha

    def _start(self, counts: torch.Tensor) -> torch.Tensor:
        """Mean proportions, times one strength for all attributes, which the variances of the proportions tell."""
        eps = self.config.eps
        mean, variance = torch.empty_like(self.alpha), torch.empty_like(self.alpha)
        totals = sum_of_values(counts) + eps
        proportions = torch.empty_like(totals)
        for value in range(self.config.num_values):
            torch.div(counts[..., value], totals, out=proportions)
            variance[:, value], mean[:, value] = torch.var_mean(proportions, 0)
        strength = (mean * (1 - mean) + 2 * eps) / (variance + eps) - 1
        # Speakers with one recording each vary as much as possible, so that no strength can be read from them.
        usable = self.informative[:, None] & (strength > 0) & torch.isfinite(strength)
        common = strength[usable].log().mean().exp() if usable.any() else strength.new_ones(())
        return mean * common + eps

    @property
    def steadiness(self) -> torch.Tensor | None:
        """The intraclass correlation `1 / (1 + sum of alpha)` of each attribute: 1 if no speaker ever varies."""
        return 1 / (1 + self.alpha.sum(-1)) if self.config.num_values == 2 else None

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        alpha = self.alpha
        return (
            _log_beta(alpha + enroll + test) + _log_beta(alpha) - _log_beta(alpha + enroll) - _log_beta(alpha + test)
        )


def _log_beta(x: torch.Tensor) -> torch.Tensor:
    """Log of the multivariate beta function over the last axis."""
    return torch.lgamma(x).sum(-1) - torch.lgamma(x.sum(-1))


def _histogram(counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Count how often each count occurs.

    Args:
        counts (`(speakers, attributes, k)`): counts of each speaker.

    Returns:
        `(values, occurrences)`: the distinct counts `(v,)`, and how many speakers have them, `(v, attributes, k)`.
        Where this would save nothing (with few speakers, or with counts that are large or not whole numbers), the
        counts themselves, `(speakers, attributes, k)`, and a one for each speaker.
    """
    whole = counts.long()
    if counts.max() <= max(len(counts), MOST_RECORDINGS) and torch.equal(whole.to(counts.dtype), counts):
        speakers = counts.new_zeros(int(whole.max()) + 1, *counts.shape[1:])
        speakers.scatter_add_(0, whole, counts.new_ones(()).expand_as(counts))
        values = speakers.flatten(1).any(1).nonzero()[:, 0]
        if len(values) < len(counts):
            return values.to(counts.dtype), speakers[values]
    return counts, counts.new_ones(len(counts))


def _digamma_gain(values: torch.Tensor, occurrences: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Sum of digamma(count + alpha) - digamma(alpha) over the speakers, in the shape of alpha."""
    gain = torch.zeros_like(alpha)
    baseline = torch.digamma(alpha)
    for value, speakers in zip(values, occurrences, strict=True):
        gain += speakers * (torch.digamma(value + alpha) - baseline)
    return gain
