"""The profile scorers, DNA and Speech: a speaker has an attribute or lacks it, and noise adds it or hides it.

Each side is one recording, whose attributes are the speaker's profile. Noise that adds an attribute is called drop-in,
noise that hides one drop-out. The DNA scorer takes the enrollment's profile as exact; the Speech scorer lets noise
change both sides.
"""

from typing import TYPE_CHECKING

import torch

from .configuration_scorers import DNALLRScorerConfig, ProfileLLRScorerConfig, SpeechLLRScorerConfig
from .counts import sum_of_values
from .modeling_scorer import Scorer
from .scorer_state import SHARE

try:
    from balr_hf.errors import UserError
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        UserError = ValueError


class ProfileLLRScorer(Scorer):
    """Base of the profile scorers, which look up one of three LRs per attribute: for 0, 1 or 2 sides that show it.

    The LRs depend on three quantities. The typicality T of an attribute is the share of pairs of reference speakers
    who both have it. Its drop-out D is the share of recordings in which those who have it do not show it. The drop-in
    I is the same for all attributes, and set by the configuration. Subclasses define `_ratios`.

    Buffers besides those of all scorers:
        dropout: float64 `(attributes,)`, between 0 and 1.

    Args:
        config (ProfileLLRScorerConfig): `num_attributes`, `drop_in`, `typicality_threshold`.

    Inputs:
        Counts of both sides, each of shape `(trials, attributes, 2)`, of one recording each.

    References:
        I. Ben-Amor and J.-F. Bonastre, "BA-LR: Binary-Attribute-based Likelihood Ratio estimation for forensic voice
        comparison", IWBF 2022.

    Requirements:
        At least 2 reference speakers, and exactly one recording on each side of a trial.
    """

    config_class: type[ProfileLLRScorerConfig] = ProfileLLRScorerConfig
    learns_variation = True
    parameter_names = ("dropout",)
    parameter_ranges = {**Scorer.parameter_ranges, "dropout": SHARE}

    config: ProfileLLRScorerConfig
    dropout: torch.Tensor

    def _initial_buffers(self) -> dict[str, torch.Tensor]:
        return super()._initial_buffers() | {"dropout": torch.ones(self.config.num_attributes, dtype=torch.float64)}

    def _fit(self, counts: torch.Tensor) -> None:
        having = (counts[..., 0] > 0).sum(0).clamp(min=1)
        self.dropout = 1 - self.activation * len(counts) / having
        self.informative &= self.typicality >= self.config.typicality_threshold

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        for totals in map(sum_of_values, (enroll, test)):
            if not (totals == 1).all():
                other = float(totals[totals != 1][0])
                raise UserError(
                    f"{type(self).__name__} compares one recording with one, and here is a side of {other:g}: use "
                    "another scorer for several recordings"
                )
        active = enroll[..., 0] + test[..., 0]
        neither, one, both = self._ratios().clamp(min=torch.finfo(torch.float64).tiny).log()
        return torch.where(active == 0, neither, torch.where(active == 2, both, one))

    def _ratios(self) -> torch.Tensor:
        """The likelihood ratios LR(0,0), LR(0,1) = LR(1,0) and LR(1,1) of each attribute, `(3, attributes)`."""
        raise NotImplementedError


class DNALLRScorer(ProfileLLRScorer):
    """LLR of two profiles after the practice with DNA: the enrollment's is exact, noise may have changed the test's.

    With typicality T, drop-out D and drop-in I, the likelihood ratios of an attribute that neither side shows, that
    one shows (the mean of both ways), and that both show, are

        LR(0,0) = 1 / (T (1 - I + D))
        LR(0,1) = LR(1,0) = (D / T + I / (I T + 1 - I)) / 2
        LR(1,1) = 1 / (T (I T + 1 - D))

    Scores are sums of their natural logarithms over the attributes.

    Args:
        config (DNALLRScorerConfig): `num_attributes`, `drop_in`, `typicality_threshold`.

    Inputs:
        Counts of both sides, each of shape `(trials, attributes, 2)`, of one recording each: see [`recording_counts`].

    References:
        I. Ben-Amor and J.-F. Bonastre, "BA-LR: Binary-Attribute-based Likelihood Ratio estimation for forensic voice
        comparison", IWBF 2022.

    Requirements:
        At least 2 reference speakers, and several recordings of each to see how often an attribute drops out. Each
        side of a trial is exactly one recording; a `UserError` says so otherwise.

    Recommendations:
        For sides of several recordings take another scorer. Never read its scores without calibration: raw, they lie
        far from zero.

    Example:
        >>> reference = torch.tensor([[[4.0, 0], [1, 3]], [[0, 4], [3, 1]], [[3, 1], [0, 4]], [[1, 3], [4, 0]]])
        >>> scorer = DNALLRScorer(DNALLRScorerConfig(num_attributes=2)).fit(reference)
        >>> scorer.typicality.numpy().round(2), scorer.dropout.numpy().round(2)
        (array([0.5, 0.5]), array([0.33, 0.33]))
        >>> enroll = torch.tensor([[[1.0, 0], [0, 1]], [[1, 0], [0, 1]]])
        >>> test = torch.tensor([[[1.0, 0], [0, 1]], [[0, 1], [1, 0]]])  # the first agrees, the second does not
        >>> scorer.score(enroll, test).numpy().round(1)
        array([ 1.5, -1.8])
    """

    config_class = DNALLRScorerConfig

    config: DNALLRScorerConfig

    def _ratios(self) -> torch.Tensor:
        t, d, i = self.typicality, self.dropout, self.config.drop_in
        return torch.stack(
            [
                1 / (t * (1 - i + d)),
                (d / t + i / (i * t + 1 - i)) / 2,
                1 / (t * (t * i + 1 - d)),
            ]
        )


class SpeechLLRScorer(ProfileLLRScorer):
    """LLR of two profiles of speech: noise may have changed both sides' profiles, independently.

    With typicality T, drop-out D, drop-in I and M = I T (1 - I) + D (1 - D), the likelihood ratios of an attribute
    that neither side shows, that one shows, and that both show, are

        LR(0,0) = (1 + D^2) / (T (2 D (1 - I) + (1 - I)^2 + D^2))
        LR(0,1) = LR(1,0) = M / (T (1 + I T D + M))
        LR(1,1) = (1 + (I T)^2) / (T (2 I T (1 - D) + (I T)^2 + (1 - D)^2))

    Scores are sums of their natural logarithms over the attributes.

    Args:
        config (SpeechLLRScorerConfig): `num_attributes`, `drop_in`, `typicality_threshold`.

    Inputs:
        Counts of both sides, each of shape `(trials, attributes, 2)`, of one recording each: see [`recording_counts`].

    References:
        I. Ben-Amor and J.-F. Bonastre, "BA-LR: Binary-Attribute-based Likelihood Ratio estimation for forensic voice
        comparison", IWBF 2022.

    Requirements:
        At least 2 reference speakers, and several recordings of each to see how often an attribute drops out. Each
        side of a trial is exactly one recording; a `UserError` says so otherwise.

    Recommendations:
        Prefer it to [`DNALLRScorer`] where neither recording is cleaner than the other. For sides of several
        recordings take another scorer. Never read its scores without calibration: raw, they lie far from zero.

    Example:
        >>> reference = torch.tensor([[[4.0, 0], [1, 3]], [[0, 4], [3, 1]], [[3, 1], [0, 4]], [[1, 3], [4, 0]]])
        >>> scorer = SpeechLLRScorer(SpeechLLRScorerConfig(num_attributes=2)).fit(reference)
        >>> enroll = torch.tensor([[[1.0, 0], [0, 1]], [[1, 0], [0, 1]]])
        >>> test = torch.tensor([[[1.0, 0], [0, 1]], [[0, 1], [1, 0]]])  # the first agrees, the second does not
        >>> scorer.score(enroll, test).numpy().round(1)
        array([ 1.7, -1.7])
    """

    config_class = SpeechLLRScorerConfig

    config: SpeechLLRScorerConfig

    def _ratios(self) -> torch.Tensor:
        t, d, i = self.typicality, self.dropout, self.config.drop_in
        mixed = i * t * (1 - i) + d * (1 - d)
        return torch.stack(
            [
                (1 + d**2) / (t * (2 * d * (1 - i) + (1 - i) ** 2 + d**2)),
                mixed / (t * (1 + i * t * d + mixed)),
                (1 + (i * t) ** 2) / (t * (2 * i * t * (1 - d) + (i * t) ** 2 + (1 - d) ** 2)),
            ]
        )
