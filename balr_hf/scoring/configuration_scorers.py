"""Configurations of the scorers."""

from transformers import PreTrainedConfig


class ScorerConfig(PreTrainedConfig):
    """What all scorers' configurations have.

    Args:
        num_attributes (int): binary attributes.
        num_reference_speakers (int, *optional*): speakers of the reference population; None before fitting.
        num_uninformative (int, *optional*): attributes that carry no evidence, so that their LLR is 0; None before
            fitting.
    """

    def __init__(
        self,
        num_attributes: int = 512,
        num_reference_speakers: int | None = None,
        num_uninformative: int | None = None,
        **kwargs,
    ):
        self.num_attributes = num_attributes
        self.num_reference_speakers = num_reference_speakers
        self.num_uninformative = num_uninformative
        super().__init__(**kwargs)


class CosineSimilarityScorerConfig(ScorerConfig):
    """Configuration of a [`CosineSimilarityScorer`].

    Args:
        eps (float): the least norm that is divided by.
        **kwargs: as for [`ScorerConfig`].
    """

    model_type = "balr-cosine"

    def __init__(self, eps: float = 1e-8, **kwargs):
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

    def __init__(self, num_values: int = 2, n_iterations: int = 100, eps: float = 1e-8, **kwargs):
        self.num_values = num_values
        self.n_iterations = n_iterations
        self.eps = eps
        super().__init__(**kwargs)
