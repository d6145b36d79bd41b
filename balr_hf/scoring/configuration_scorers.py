"""Configurations of the scorers."""

from typing import Any

from transformers import PreTrainedConfig

from balr_hf.errors import ConfigError


class ScorerConfig(PreTrainedConfig):
    """What all scorers' configurations have.

    Args:
        num_attributes (int): binary attributes.
        num_reference_speakers (int, *optional*): speakers of the reference population; None before fitting.
        num_uninformative (int, *optional*): attributes that carry no evidence, so that their LLR is 0; None before
            fitting.
        calibration (dict, *optional*): how the scorer was calibrated: `method`, `penalty`, and what trials there
            were: `num_speakers`, `num_same_speaker`, `num_different_speaker`, and in words of what `speech`; None
            before calibration.
    """

    def __init__(
        self,
        num_attributes: int = 512,
        num_reference_speakers: int | None = None,
        num_uninformative: int | None = None,
        calibration: dict | None = None,
        **kwargs: Any,
    ):
        self.num_attributes = num_attributes
        self.num_reference_speakers = num_reference_speakers
        self.num_uninformative = num_uninformative
        self.calibration = calibration
        super().__init__(**kwargs)


class CosineSimilarityScorerConfig(ScorerConfig):
    """Configuration of a [`CosineSimilarityScorer`].

    Args:
        eps (float): the least norm that is divided by.
        **kwargs: as for [`ScorerConfig`].
    """

    model_type = "balr-cosine"

    def __init__(self, eps: float = 1e-8, **kwargs: Any):
        self.eps = eps
        super().__init__(**kwargs)


class DirichletMultinomialScorerConfig(ScorerConfig):
    """Configuration of a [`DirichletMultinomialScorer`].

    Args:
        num_values (int): values that an attribute can take; 2 (active, inactive) makes the model beta-binomial.
        n_iterations (int): iterations of the fixed point.
        eps (float): added where the starting values divide.
        **kwargs: as for [`ScorerConfig`].
    """

    model_type = "balr-beta"

    def __init__(self, num_values: int = 2, n_iterations: int = 100, eps: float = 1e-8, **kwargs: Any):
        self.num_values = num_values
        self.n_iterations = n_iterations
        self.eps = eps
        super().__init__(**kwargs)


class ProfileLLRScorerConfig(ScorerConfig):
    """What the configurations of the profile scorers, DNA and Speech, have.

    Args:
        drop_in (float): probability that noise activates an attribute, before it is scaled by the typicality.
        typicality_threshold (float): attributes that are less typical carry no evidence.
        **kwargs: as for [`ScorerConfig`].
    """

    def __init__(self, drop_in: float = 0.12, typicality_threshold: float = 1e-4, **kwargs: Any):
        if not 0 <= drop_in < 1:
            raise ConfigError(f"drop_in={drop_in}: expected a probability below 1")
        self.drop_in = drop_in
        self.typicality_threshold = typicality_threshold
        super().__init__(**kwargs)


class DNALLRScorerConfig(ProfileLLRScorerConfig):
    """Configuration of a [`DNALLRScorer`]; see [`ProfileLLRScorerConfig`]."""

    model_type = "balr-dna"

    def __init__(self, **kwargs: Any):  # transformers would make a class without one into a dataclass
        super().__init__(**kwargs)


class SpeechLLRScorerConfig(ProfileLLRScorerConfig):
    """Configuration of a [`SpeechLLRScorer`]; see [`ProfileLLRScorerConfig`]."""

    model_type = "balr-speech"

    def __init__(self, **kwargs: Any):  # transformers would make a class without one into a dataclass
        super().__init__(**kwargs)


class MaxLLRScorerConfig(ScorerConfig):
    """Configuration of a [`MaxLLRScorer`].

    Args:
        f (float): where the share of speakers who have an attribute starts.
        p (float): where the probability of its activation starts for those who have it.
        q (float): where it starts for those who lack it; less than `p`.
        n_iterations (int): iterations of expectation-maximization.
        **kwargs: as for [`ScorerConfig`].
    """

    model_type = "balr-maxllr"

    def __init__(self, f: float = 0.5, p: float = 0.9, q: float = 0.1, n_iterations: int = 100, **kwargs: Any):
        if not (0 < f < 1 and 0 < q < p < 1):
            raise ConfigError(f"f={f}, p={p}, q={q}: expected probabilities between 0 and 1, with p > q")
        self.f, self.p, self.q = f, p, q
        self.n_iterations = n_iterations
        super().__init__(**kwargs)


SCORER_CONFIGS = (
    CosineSimilarityScorerConfig,
    DirichletMultinomialScorerConfig,
    DNALLRScorerConfig,
    MaxLLRScorerConfig,
    SpeechLLRScorerConfig,
)
