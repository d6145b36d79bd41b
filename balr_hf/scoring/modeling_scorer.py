"""What all scorers share: checking counts, fitting, and scoring in blocks of bounded memory."""

import importlib
import logging
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, PreTrainedModel

from balr_hf.checkpoints import load_whole, resolve_checkpoint
from balr_hf.errors import UserError
from balr_hf.scoring.configuration_scorers import ScorerConfig

logger = logging.getLogger(__name__)

Counts = torch.Tensor | np.ndarray

# Numbers that a block's largest temporary may hold (float64: 64 MiB).
BLOCK_ELEMENTS = 2**23

# Names on the command line -> module and class.
SCORERS = {
    "beta": ("balr_hf.scoring.modeling_beta", "DirichletMultinomialScorer"),
    "cosine": ("balr_hf.scoring.modeling_cosine", "CosineSimilarityScorer"),
    "dna": ("balr_hf.scoring.modeling_profile", "DNALLRScorer"),
    "maxllr": ("balr_hf.scoring.modeling_maxllr", "MaxLLRScorer"),
    "speech": ("balr_hf.scoring.modeling_profile", "SpeechLLRScorer"),
}


class Scorer(PreTrainedModel):
    """Base of the scorers: `fit` on a reference population, then score trials.

    A side of a trial is the counts of one or several recordings of one speaker, `(attributes, 2)`: activations, then
    non-activations. Attributes are taken as independent, so that a trial's score is the sum of one term an attribute.
    Parameters are float64 buffers. Subclasses define `_fit` and `_attribute_scores`.
    """

    config_class = ScorerConfig
    base_model_prefix = "scorer"
    main_input_name = "enroll"

    # Whether the scorer needs no reference population.
    fitted_by_nature = False

    def __init__(self, config: ScorerConfig):
        super().__init__(config)
        self.register_buffer("informative", torch.ones(config.num_attributes, dtype=torch.bool))

    def _init_weights(self, module) -> None:
        """Nothing to draw: the parameters come from `fit` or from a file."""

    @property
    def dtype(self) -> torch.dtype:
        """The buffers' type; transformers looks for parameters, and scorers have none."""
        return torch.float64

    @property
    def device(self) -> torch.device:
        """Where the buffers are."""
        return self.informative.device

    @property
    def is_fitted(self) -> bool:
        """Whether there are parameters to score with."""
        return self.fitted_by_nature or self.config.num_reference_speakers is not None

    @property
    def num_values(self) -> int:
        """The size of the last axis of counts."""
        return getattr(self.config, "num_values", 2)

    @torch.no_grad()
    def fit(self, counts: Counts, **options) -> "Scorer":
        """Fit the scorer to a reference population.

        Attributes that are never or always active in it, or whose parameters do not come out finite, carry no
        evidence: their LLR is 0, and a warning says how many there are. Speakers without recordings are left out.

        Args:
            counts (`(speakers, attributes, 2)`): activations and non-activations of each speaker; see
                [`speaker_counts`].
            **options: of the scorer, e.g. `n_iterations`.

        Returns:
            the scorer itself.

        Raises:
            ValueError: counts of another shape, negative or not finite.
            UserError: no speaker with recordings.
        """
        counts = self._checked(counts, "counts")
        recorded = counts.sum(-1).amax(-1) > 0
        if not recorded.any():
            raise UserError("the reference population has no speaker with recordings")
        if not recorded.all():
            logger.warning("Left out %d reference speakers without recordings", int((~recorded).sum()))
            counts = counts[recorded]
        totals = counts.sum(0)
        self.informative = ((totals > 0).sum(-1) > 1) & (len(counts) > 1)
        if len(counts) < 2:
            logger.warning("One reference speaker tells nothing of how speakers differ: every LLR will be 0")
        else:
            self._fit(counts, **options)
        parameters = [b for name, b in self.named_buffers() if name != "informative"]
        for parameter in parameters:
            self.informative &= torch.isfinite(parameter.flatten(1) if parameter.ndim > 1 else parameter[:, None]).all(
                1
            )
        for parameter in parameters:  # so that a saved scorer holds no NaN
            parameter[~self.informative] = 1.0
        self.config.num_reference_speakers = len(counts)
        self.config.num_uninformative = int((~self.informative).sum())
        if self.config.num_uninformative:
            logger.warning(
                "%d of %d attributes carry no evidence (never or always active in the reference population, or no "
                "finite fit): their LLR is 0",
                self.config.num_uninformative,
                self.config.num_attributes,
            )
        return self

    def score(self, enroll: Counts, test: Counts) -> torch.Tensor:
        """Score trials.

        Args:
            enroll (`(trials, attributes, 2)`): counts of one side.
            test (`(trials, attributes, 2)`): counts of the other.

        Returns:
            `torch.DoubleTensor` of shape `(trials,)`: natural-log likelihood ratios, not calibrated (see each scorer).

        Raises:
            ValueError: counts of another shape, negative or not finite.
            UserError: the scorer is not fitted.
        """
        enroll, test = self._sides(enroll, test)
        rows = max(1, BLOCK_ELEMENTS // enroll[0].numel()) if len(enroll) else 1
        blocks = zip(enroll.split(rows), test.split(rows), strict=True)
        return torch.cat([self._masked_terms(e, t).sum(-1) for e, t in blocks]) if len(enroll) else enroll.new_zeros(0)

    def attribute_scores(self, enroll: Counts, test: Counts) -> torch.Tensor:
        """The terms whose sum is `score`.

        Args:
            enroll (`(trials, attributes, 2)`): counts of one side.
            test (`(trials, attributes, 2)`): counts of the other.

        Returns:
            `torch.DoubleTensor` of shape `(trials, attributes)`: natural-log likelihood ratios.
        """
        return self._masked_terms(*self._sides(enroll, test))

    def score_matrix(self, enroll: Counts, test: Counts) -> torch.Tensor:
        """Score every enrollment against every test.

        Args:
            enroll (`(enrollments, attributes, 2)`): counts.
            test (`(tests, attributes, 2)`): counts.

        Returns:
            `torch.DoubleTensor` of shape `(enrollments, tests)`: natural-log likelihood ratios.
        """
        self._check_fitted()
        enroll, test = self._checked(enroll, "enroll"), self._checked(test, "test")
        matrix = enroll.new_empty(len(enroll), len(test))
        columns = max(1, BLOCK_ELEMENTS // max(1, enroll[:1].numel()))
        for row, side in enumerate(enroll):
            for start in range(0, len(test), columns):
                block = test[start : start + columns]
                matrix[row, start : start + columns] = self._masked_terms(side.expand_as(block), block).sum(-1)
        return matrix

    forward = score

    def _fit(self, counts: torch.Tensor, **options) -> None:
        raise NotImplementedError

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    @torch.no_grad()
    def _masked_terms(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        terms = self._attribute_scores(enroll, test)
        return torch.where(self.informative, terms, torch.zeros_like(terms))

    def _sides(self, enroll: Counts, test: Counts) -> tuple[torch.Tensor, torch.Tensor]:
        self._check_fitted()
        enroll, test = self._checked(enroll, "enroll"), self._checked(test, "test")
        if len(enroll) != len(test):
            raise ValueError(f"{len(enroll)} enrollments but {len(test)} tests: trials are pairs")
        return enroll, test

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise UserError(f"{type(self).__name__} is not fitted: call fit(counts), or load a fitted one")

    def _checked(self, counts: Counts, name: str) -> torch.Tensor:
        counts = torch.as_tensor(counts).to(self.device, self.dtype)
        expected = (self.config.num_attributes, self.num_values)
        if counts.ndim != 3 or counts.shape[1:] != expected:
            raise ValueError(
                f"{name} of shape {tuple(counts.shape)}: expected (n, {expected[0]}, {expected[1]}), activations and "
                "non-activations of each attribute"
            )
        if not (torch.isfinite(counts) & (counts >= 0)).all():
            raise ValueError(f"{name} must be finite and not negative")
        return counts


def build_scorer(name: str, **settings) -> Scorer:
    """Make a scorer that is not fitted yet, from its short name and its configuration's fields."""
    if name not in SCORERS:
        raise UserError(f"unknown scorer {name!r}: expected {', '.join(SCORERS)}")
    module, cls = SCORERS[name]
    scorer = getattr(importlib.import_module(module), cls)
    return scorer(scorer.config_class(**settings))


def load_scorer(path: str | Path, **kwargs) -> Scorer:
    """Load a fitted scorer of any kind from its folder, a run's folder, or the Hub.

    Raises:
        UserError: a local path with nothing there, or a model that is no scorer.
    """
    path = resolve_checkpoint(path)
    if path.is_file():
        raise UserError(f"{path} is a file: fit the scorer again with balr score train, which writes a folder")
    kinds = [getattr(importlib.import_module(module), cls).config_class.model_type for module, cls in SCORERS.values()]
    return load_whole(AutoModel.from_pretrained, path, kinds, "scorer", **kwargs)
