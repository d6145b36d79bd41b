"""The profile scorers, DNA and Speech: speakers have an attribute or not; noise adds it (drop-in) or hides it.

One recording a side. The two scorers differ in where noise may strike: DNA takes the enrollment's profile as exact,
Speech lets both sides err.
"""

import torch

from balr_hf.errors import UserError
from balr_hf.scoring.configuration_scorers import DNALLRScorerConfig, ProfileLLRScorerConfig, SpeechLLRScorerConfig
from balr_hf.scoring.counts import sum_of_values
from balr_hf.scoring.modeling_scorer import Scorer


class ProfileLLRScorer(Scorer):
    """Base of the profile scorers: typicality and drop-out from the reference population, and three LLRs an attribute.

    Typicality T is the share of speaker pairs who both have the attribute; drop-out D is how often those who have it
    do not show it.

    Reference:
        I. Ben-Amor and J.-F. Bonastre, "BA-LR: Binary-Attribute-based Likelihood Ratio estimation for forensic voice
        comparison", IWBF 2022.
    """

    config_class: type[ProfileLLRScorerConfig] = ProfileLLRScorerConfig
    parameter_names = ("dropout",)

    config: ProfileLLRScorerConfig
    dropout: torch.Tensor

    def __init__(self, config: ProfileLLRScorerConfig):
        super().__init__(config)
        self.register_buffer("dropout", torch.ones(config.num_attributes, dtype=torch.float64))
        self.post_init()

    def _fit(self, counts: torch.Tensor) -> None:
        having = (counts[..., 0] > 0).sum(0).clamp(min=1)
        self.dropout = 1 - self.activation * len(counts) / having
        self.informative &= self.typicality >= self.config.typicality_threshold

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        for name, counts in (("enroll", enroll), ("test", test)):
            if not (sum_of_values(counts) == 1).all():
                raise UserError(
                    f"{name}: {type(self).__name__} compares one recording with one; use another scorer for several"
                )
        active = enroll[..., 0] + test[..., 0]
        neither, one, both = self._ratios().clamp(min=torch.finfo(torch.float64).tiny).log()
        return torch.where(active == 0, neither, torch.where(active == 2, both, one))

    def _ratios(self) -> torch.Tensor:
        """LR(0,0), LR(0,1) = LR(1,0) and LR(1,1) of each attribute, `(3, attributes)`."""
        raise NotImplementedError


class DNALLRScorer(ProfileLLRScorer):
    """Profile scorer after the practice with DNA: the enrollment's profile is exact, the test's may err.

    Example:
        >>> DNALLRScorer(DNALLRScorerConfig()).fit(counts).score(enroll, test)
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
    """Profile scorer for speech: both sides' profiles may err, independently.

    Example:
        >>> SpeechLLRScorer(SpeechLLRScorerConfig()).fit(counts).score(enroll, test)
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
