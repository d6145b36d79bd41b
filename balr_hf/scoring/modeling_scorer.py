"""What all scorers share: they check counts, are fitted and calibrated, and score in blocks of bounded memory."""

import copy
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from transformers import PreTrainedModel

from .configuration_scorers import NUM_KINDS, ScorerConfig
from .counts import Counts, SideCounts, name_digests, sum_of_values
from .quality_measures import WORDS, quality_functions, recordings_quality, trial_quality, unknown_sides
from .term_tables import TermTable, side_table_of, term_table_of

try:
    from balr_hf.data.columns import recordings_of, vector_matrix
    from balr_hf.data.origins import attributes_made_by
    from balr_hf.data.recording_digests import distinctive_digests, known_again
    from balr_hf.domain import describe_population, log_probabilities
    from balr_hf.errors import ConfigError, MismatchError, UserError
    from balr_hf.identity import calibration_digest, is_as_it_was_saved, uncalibrated_digest
    from balr_hf.pretrained import HubModel
    from balr_hf.scoring.calibration_draws import llr_interval

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets

        from balr_hf.explanation.explanation import Explanation
        from balr_hf.scoring.calibration import Calibration
        from balr_hf.scoring.trials import Trials
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        ConfigError, UserError, MismatchError, HubModel = ValueError, ValueError, ValueError, PreTrainedModel

        def _needs_package(*_, **__):
            raise ImportError("all but scoring needs the package: pip install balr_hf")

        vector_matrix = describe_population = log_probabilities = llr_interval = recordings_of = _needs_package
        attributes_made_by = uncalibrated_digest = distinctive_digests = known_again = _needs_package
        calibration_digest = None

logger = logging.getLogger(__name__)

LOG10 = math.log(10)
# What was measured of two sets of sides, `(sides, 4)` each; see [`balr_hf.scoring.quality_measures`].
SidesQuality = tuple[np.ndarray, np.ndarray]
# The range of a share or probability, with room for errors of rounding.
SHARE = (-1e-9, 1 + 1e-9)
# What is wrong with trials of sides without recordings.
NOTHING_TO_COMPARE = "{} sides have no recordings, so that there is nothing to compare: leave their trials out"
# What stands for the cautions of the case that a scorer was saved for, once it has forgotten people.
FORGOTTEN = "several things, which forget_people took out, since they name people and files"


class Scorer(HubModel):
    """Base of the scorers: `fit` on a reference population, `calibrate` on other speakers, then score trials.

    A side of a trial is described by the counts of one or several recordings of one speaker, `(attributes, 2)`:
    activations, then non-activations. Attributes are taken as independent, so that a trial's score is the sum of one
    term per attribute. Parameters are float64 buffers, and stay float64 whatever type `to` is asked for. Subclasses
    define `_fit`, `_attribute_scores`, `parameter_names` and, by `_initial_buffers`, what the parameters are before
    fitting. A term depends on nothing but the counts of its own attribute, and is 0 where a side has none. A scorer of
    your own can be named by its class path wherever a scorer is named: see [`balr_hf.scoring.auto.scorer_class`].

    Args:
        config (ScorerConfig): the settings of the scorer, and what it was fitted and calibrated on.

    Attributes:
        informative (bool `(attributes,)`): whether an attribute carries evidence; the LLR of one that does not is 0.
        typicality (float64 `(attributes,)`): the share of pairs of reference speakers who both have the attribute.
        activation (float64 `(attributes,)`): the share of a reference speaker's recordings in which the attribute is
            active, averaged over the speakers.
        reference_speakers, calibration_speakers (int64 `(speakers,)`): digests of the speakers' names, 0 where they
            are unknown. They reveal an overlap with other sets, and, to whoever can list likely names, the names: see
            [`forget_people`][balr_hf.scoring.modeling_scorer.Scorer.forget_people].
        reference_recordings, calibration_recordings (int32 `(recordings, 18)`): digests of the recordings themselves,
            see [`balr_hf.data.recording_digests`]; only where there are some. They reveal an overlap whatever the
            speakers are called; to whoever has other recordings of a speaker, also that this voice is among them.
        calibration_weights (float64 `(attributes,)`): factors of the attributes' LLRs; only of a calibrated scorer.
        calibration_offset (float64 `()`): what is added to their sum; only of a calibrated scorer.
        calibration_quality (float64 `(3, measures)`): the factors, means and standard deviations of the quality
            measures; only of a scorer that was calibrated with them.

    Example:
        >>> class RarityConfig(ScorerConfig):
        ...     model_type = "my-rarity"
        ...     strength: float = 1.0
        >>> class RarityScorer(Scorer):
        ...     '''The rarer an attribute is, the more it says that both sides have it.'''
        ...
        ...     config_class = RarityConfig
        ...     parameter_names = ("rarity",)
        ...
        ...     def _initial_buffers(self):
        ...         rarity = torch.ones(self.config.num_attributes, dtype=torch.float64)
        ...         return super()._initial_buffers() | {"rarity": rarity}
        ...
        ...     def _fit(self, counts):
        ...         self.rarity = -self.activation.clamp(0.01, 0.99).log()
        ...
        ...     def _attribute_scores(self, enroll, test):
        ...         return self.config.strength * self.rarity * (enroll[..., 0] > 0) * (test[..., 0] > 0)
        >>> reference = torch.tensor([[[4.0, 0], [1, 3]], [[0, 4], [1, 3]], [[2, 2], [0, 4]], [[2, 2], [2, 2]]])
        >>> scorer = RarityScorer(RarityConfig(num_attributes=2)).fit(reference)
        >>> sides = torch.tensor([[[1.0, 0], [0, 1]], [[0, 1], [1, 0]]])  # one has the first attribute, one the second
        >>> scorer.score(sides, sides).numpy().round(1)
        array([0.7, 1.4])
    """

    config_class: type[ScorerConfig] = ScorerConfig
    base_model_prefix = "scorer"
    main_input_name = "enroll"

    # The names of the buffers that `_fit` sets.
    parameter_names: tuple[str, ...] = ()
    # The least and the largest value of each parameter that cannot be any number; a file with others is not loaded.
    parameter_ranges: Mapping[str, tuple[float, float]] = {
        "typicality": SHARE,
        "activation": SHARE,
        "calibration_weights": (0.0, math.inf),
    }
    # Whether the scorer needs no reference population.
    fitted_by_nature = False
    # Whether it learns how much one speaker varies, of which only speakers with several recordings tell something.
    learns_variation = False
    # What a scorer is called in messages.
    role = "scorer"
    # The unit in which affine calibration counts raw scores; None for their standard deviation.
    score_unit: float | None = LOG10

    config: ScorerConfig
    informative: torch.Tensor
    typicality: torch.Tensor
    activation: torch.Tensor
    reference_speakers: torch.Tensor
    reference_recordings: torch.Tensor
    calibration_weights: torch.Tensor
    calibration_offset: torch.Tensor
    calibration_speakers: torch.Tensor
    calibration_recordings: torch.Tensor
    calibration_draws: torch.Tensor
    calibration_quality: torch.Tensor

    def __init__(self, config: ScorerConfig):
        super().__init__(config)
        self._loaded_without_digest: dict[str, Any] | None = None  # see `prepare_saving`
        for name, value in self._initial_buffers().items():
            self.register_buffer(name, value)
        self.post_init()

    def _initial_buffers(self) -> dict[str, torch.Tensor]:
        """Make the buffers by name, of the sizes that the configuration says, as they are before `fit` or loading."""
        size, calibration = self.config.num_attributes, self.config.calibration
        buffers = {
            "informative": torch.ones(size, dtype=torch.bool),
            "typicality": torch.zeros(size, dtype=torch.float64),
            "activation": torch.zeros(size, dtype=torch.float64),
            "reference_speakers": torch.zeros(self.config.num_reference_speakers or 0, dtype=torch.int64),
        }
        if self.config.num_reference_digests:
            shape = self.config.num_reference_digests, NUM_KINDS
            buffers["reference_recordings"] = torch.zeros(shape, dtype=torch.int32)
        if calibration is None:
            return buffers
        if calibration.get("num_digests"):
            shape = calibration["num_digests"], NUM_KINDS
            buffers["calibration_recordings"] = torch.zeros(shape, dtype=torch.int32)
        weights = torch.ones(size, dtype=torch.float64)
        sizes = calibration["num_speakers"], calibration.get("num_draws", 0), calibration.get("num_quality", 0)
        return buffers | _calibration_buffers(weights, *sizes)

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Fill buffers that were made without values, on the meta device; those from a file stay as they are."""
        from transformers import initialization as init

        if module is self:
            with torch.device("cpu"):
                initial = self._initial_buffers()
            for name, value in initial.items():
                init.copy_(self.get_buffer(name), value)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Move the buffers to where `fn` would, without the loss of digits of a change of type."""

        def move(buffer: torch.Tensor) -> torch.Tensor:
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        return super()._apply(move, recurse)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the buffers, since a scorer has no parameters, where transformers would look."""
        return torch.float64

    @property
    def device(self) -> torch.device:
        """The device that the buffers are on."""
        return self.informative.device

    @property
    def is_fitted(self) -> bool:
        """Whether the scorer can score: it was fitted, or needs no fitting."""
        return self.fitted_by_nature or self.config.num_reference_speakers is not None

    @property
    def is_calibrated(self) -> bool:
        """Whether the scorer can give calibrated scores."""
        return self.config.calibration is not None

    @property
    def is_calibration_unchecked(self) -> bool:
        """Whether the calibration was loaded without a digest, so that nobody knows whether it is as it was saved."""
        return self.config.calibration is not None and self.config.calibration == self._loaded_without_digest

    @property
    def needs_quality(self) -> bool:
        """Whether calibrated scores need what was measured of the recordings."""
        return bool((self.config.calibration or {}).get("num_quality"))

    @property
    def num_values(self) -> int:
        """The size of the last axis of counts."""
        return getattr(self.config, "num_values", 2)

    @torch.no_grad()
    def fit(self, counts: Counts, speakers: Sequence[str] | None = None, **options: Any) -> "Scorer":
        """Fit the scorer to a reference population, and drop an earlier calibration.

        Attributes that are never or always active in the population, or whose parameters do not come out finite, carry
        no evidence: their LLR is 0, and a warning says how many there are. Speakers without recordings are left out. A
        warning says if most speakers have one recording only, which tell nothing of how much one speaker varies.

        Args:
            counts (`(speakers, attributes, 2)`): activations and non-activations of each speaker; see
                [`speaker_counts`].
            speakers (Sequence[str], *optional*): the speakers' names. The scorer remembers digests of them, so that it
                is noticed if they are also calibrated or tested on.
            **options: options of this kind of scorer, e.g. `n_iterations`; its configuration then states them.

        Returns:
            the scorer itself.

        Raises:
            ValueError: counts have another shape, are negative or not finite; or there is not one name per speaker.
            UserError: no speaker has recordings; none has several, from which this kind of scorer learns how much one
                speaker varies; or a speaker is named twice, or has no name.
            ConfigError: this kind of scorer, one of your own, does not fit its parameters or give its terms as
                [`Scorer`] says.
        """
        counts = self._checked(counts, "counts")
        digests = torch.zeros(len(counts), dtype=torch.int64) if speakers is None else _distinct_digests(speakers)
        if len(digests) != len(counts):
            raise ValueError(f"{len(counts)} speakers' counts, but {len(digests)} names")
        recorded = (counts.sum((1, 2)) > 0).cpu()
        if not recorded.any():
            raise UserError("the reference population has no speaker with recordings")
        if not recorded.all():
            logger.warning("Left out %d reference speakers without recordings", int((~recorded).sum()))
            counts, digests = counts[recorded.to(counts.device)], digests[recorded]
        if self.learns_variation and len(counts) > 1:
            _check_several_recordings(counts)
        types = {name: buffer.dtype for name, buffer in self.named_buffers()}
        self.informative = ((counts.sum(0) > 0).sum(-1) > 1) & (len(counts) > 1)
        self._describe(counts)
        if len(counts) < 2 and not self.fitted_by_nature:
            logger.warning("One reference speaker tells nothing of how speakers differ: every LLR will be 0")
        else:
            self._fit(counts, **options)
        self._check_parameters(types)
        self._settle_uninformative()
        self._check_terms()
        self.reference_speakers = digests.sort().values.to(self.device)  # in no order that tells of the corpus
        self.config.num_reference_speakers = len(counts)
        self.config.reference = None
        self.config.num_reference_digests = self._know("reference", None)
        self.config.autoencoder_identity = self.config.embedder_identity = None
        self.remove_calibration()
        return self

    def _check_parameters(self, types: Mapping[str, torch.dtype]) -> None:
        """Check that the fitted parameters are buffers with a row for each attribute, and make them float64.

        Args:
            types: those of the buffers before fitting. What was made of whole numbers or truth values, as an index
                into a table, stays so.

        Raises:
            ConfigError: one is not, so that it would be neither moved nor saved with the scorer.
        """
        buffers, size = dict(self.named_buffers()), self.config.num_attributes
        for name in self.parameter_names:
            found = buffers.get(name)
            if found is None:
                raise ConfigError(
                    f"the scorer {type(self).__name__} has no buffer {name}, which its parameter_names name: "
                    "_initial_buffers has to return it, of the size that it has after _fit"
                )
            if found.ndim == 0 or len(found) != size:
                raise ConfigError(
                    f"the scorer {type(self).__name__} fitted {name} of shape {tuple(found.shape)}: expected "
                    f"({size}, ...), one row for each attribute"
                )
            made = types.get(name, self.dtype)
            setattr(self, name, found.to(self.dtype if made.is_floating_point else made))

    @torch.no_grad()
    def _check_terms(self) -> None:
        """Check that terms are finite, and depend on nothing but the counts of their own attribute in their own trial.

        Else a trial would have other scores among others, or where terms are looked up in tables of states. Kinds of
        scorers with a `_term_table` of their own say by it what their terms depend on.

        Raises:
            ConfigError: they are not, or depend on more.
        """
        numbers = torch.arange(4 * self.config.num_attributes, device=self.device).reshape(4, -1)
        enroll, test = (  # of one recording a side, which all kinds of scorers take
            torch.nn.functional.one_hot(numbers * factor % 11 % self.num_values, self.num_values).to(self.dtype)
            for factor in (3, 7)
        )
        terms = self._weighted_terms(None, enroll, test)
        if not torch.isfinite(terms).all():
            raise ConfigError(
                f"the scorer {type(self).__name__} gives terms that are not finite: expected natural-log likelihood "
                "ratios, also of counts that the reference population lacks"
            )
        if type(self)._term_table is not Scorer._term_table:
            return
        rows = torch.arange(4, device=self.device)
        looked_up = self._term_table(None, 0.0, enroll, test).terms(rows, rows)
        # Terms of single precision differ by its rounding, which depends on where in a tensor they are computed.
        if not torch.allclose(terms, looked_up, rtol=1e-5, atol=1e-5):
            raise ConfigError(
                f"the scorer {type(self).__name__} gives other terms for the same counts of an attribute: a term must "
                "depend on nothing but the counts of its own attribute in its own trial (and on no random numbers), "
                "unless the scorer has _term_table and _side_table of its own, as CosineSimilarityScorer has"
            )

    def _describe(self, counts: torch.Tensor) -> None:
        """Set `typicality` and `activation`."""
        having, speakers = (counts[..., 0] > 0).sum(0).to(counts.dtype), len(counts)
        self.typicality = having * (having - 1) / max(1, speakers * (speakers - 1))
        share = sum_of_values(counts).clamp(min=torch.finfo(counts.dtype).tiny)
        self.activation = torch.div(counts[..., 0], share, out=share).mean(0)

    def _settle_uninformative(self) -> None:
        """Take attributes with a parameter that is not finite as uninformative, so that no NaN is scored or saved."""
        parameters = [getattr(self, name) for name in self.parameter_names]
        for parameter in parameters:
            self.informative &= torch.isfinite(parameter).reshape(self.config.num_attributes, -1).all(1)
        for parameter in parameters:
            parameter[~self.informative] = 1.0
        self.config.num_uninformative = int((~self.informative).sum())
        if self.config.num_uninformative:
            logger.warning(
                "%d of %d attributes carry no evidence (never or always active in the reference population, or no "
                "finite fit): their LLR is 0",
                self.config.num_uninformative,
                self.config.num_attributes,
            )

    def calibrate(
        self,
        enroll: Counts,
        test: Counts,
        labels: np.ndarray,
        method: str = "affine",
        enroll_speakers: Sequence[str] | None = None,
        test_speakers: Sequence[str] | None = None,
        penalty: float | None = None,
        trials: "Trials | None" = None,
        progress: bool = False,
        quality: SidesQuality | None = None,
        conditions: np.ndarray | None = None,
    ) -> "Scorer":
        """Fit a calibration, which turns raw scores into likelihood ratios that mean what they say.

            affine: LLR' = w LLR + b
            fusion: LLR' = sum_i w_i LLR_i + b, with every w_i >= 0
            quality: LLR' = w LLR + b + sum_k c_k z_k, with measures z_k of what is in the recordings

        It replaces an earlier calibration, and is saved with the scorer. `score(..., calibrated=True)` applies it.

        Args:
            enroll (`(sides, attributes, 2)`): counts of one side of the trials.
            test (`(sides, attributes, 2)`): counts of the other side.
            labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
            method (str): `affine`, `fusion` for one weight per attribute, or `quality` for terms of quality measures;
                see [`balr_hf.scoring.calibration`].
            enroll_speakers, test_speakers (`(trials,)`, *optional*): the speakers' names. `fusion` and `quality` need
                them to choose their penalty. A warning says if some are in the reference population. The scorer
                remembers digests of them, so that it is noticed if they are also tested on.
            penalty (float, *optional*): that penalty, if it is not to be chosen.
            trials ([`Trials`], *optional*): says which side of `enroll` is compared with which side of `test`. By
                default, the first is compared with the first, the second with the second, and so on.
            progress (bool): show progress bars.
            quality (two `(sides, 4)`, *optional*): what was measured of the sides of `enroll` and of `test`, for
                `quality`; see [`sides_quality`].
            conditions (`(trials,)`, *optional*): which condition each trial is in, for `quality`; see [`fit_quality`].

        Inputs:
            Without `trials`, `enroll` and `test` have one row per trial. With `trials`, they have one row per side,
            and `labels` and speakers have one entry per trial.

        Returns:
            the scorer itself.

        Raises:
            ValueError: counts are wrong, as for `score`; or trials, labels, speakers and conditions are not equally
                many.
            ConfigError: the method is unknown or does not take what was given, or one with a penalty was given neither
                speakers nor a penalty.
            UserError: the scorer is not fitted, all trials are of one kind, the scores do not tell the kinds apart, a
                speaker is not known, or the speakers contradict the labels.

        References:
            See [`Calibration`].

        Requirements:
            Trials of both kinds, of speakers who are neither in the reference population nor in the test. They should
            be like those of the case: the same kind of speech, and as many recordings on each side.

        Recommendations:
            Where each recording takes part in many trials, pass `trials`: then memory is needed for the counts of the
            sides and one score per trial, not for the counts of every trial. `fusion` also needs memory for the terms
            of at most 100,000 trials of each kind, drawn at random, which it learns from.

        Example:
            >>> from balr_hf.scoring.auto import build_scorer
            >>> from balr_hf.scoring.trials import Trials, score_trials
            >>> rng = np.random.default_rng(0)
            >>> shares = rng.beta(0.5, 0.5, (60, 8))  # how often each of 60 speakers activates each of 8 attributes
            >>> active = rng.binomial(4, shares, (2, 60, 8))  # in two sets of 4 recordings of each speaker
            >>> counts = np.stack([active, 4 - active], -1)
            >>> scorer = build_scorer("beta", num_attributes=8).fit(counts[0, :40])
            >>> enroll, test = counts[:, 40:]  # the 20 speakers that it was not fitted on
            >>> trials = Trials.between(*np.divmod(np.arange(400), 20))  # each of enroll with each of test
            >>> scorer = scorer.calibrate(enroll, test, trials.enroll == trials.test, trials=trials)
            >>> scorer.config.calibration["num_different_speaker"]
            380
            >>> score_trials(scorer, enroll, trials, calibrated=True, test_counts=test).shape
            (400,)
        """
        try:
            from balr_hf.errors import name_some
            from balr_hf.scoring.calibration import fit_calibration
        except ModuleNotFoundError as error:
            raise ImportError("calibrate needs the package: pip install balr_hf") from error
        if (enroll_speakers is None) != (test_speakers is None):
            raise ValueError("the speakers of one side only: expected both sides', or neither's")
        speakers = None
        if enroll_speakers is not None and test_speakers is not None:
            speakers = _as_given(enroll_speakers), _as_given(test_speakers)
        evidence, labels, speakers = self.calibration_evidence(
            enroll, test, labels, method, speakers, trials, progress, quality
        )
        calibration = fit_calibration(evidence, labels, method, speakers, penalty, self.score_unit, conditions)
        known = self.known_speakers(calibration.speakers, "reference")
        if known:
            logger.warning(
                "%d of the %d speakers of the calibration are in the scorer's reference population (%s): their LLRs "
                "are not those of new speakers, and the calibration promises too much",
                *(len(known), len(calibration.speakers), name_some(known)),
            )
        return self.set_calibration(calibration)

    def calibration_evidence(
        self,
        enroll: Counts,
        test: Counts,
        labels: np.ndarray,
        method: str = "affine",
        speakers: tuple[np.ndarray, np.ndarray] | None = None,
        trials: "Trials | None" = None,
        progress: bool = False,
        quality: SidesQuality | None = None,
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
        """Compute what a calibration is fitted to.

        For `affine`, these are the raw scores; for `fusion`, the terms of at most 100,000 trials of each kind; for
        `quality`, the raw scores and the quality measures beside them.

        Args:
            enroll, test, labels, method, trials, progress, quality: as for `calibrate`.
            speakers: the names of the two sides' speakers, each `(trials,)`.

        Returns:
            `(evidence, labels, speakers)`, as [`fit_calibration`] takes them.

        Raises:
            ValueError, ConfigError: as for `calibrate`.
        """
        try:
            from balr_hf.scoring.calibration import fusion_sample
            from balr_hf.scoring.trials import Trials, score_trials, trial_attribute_scores
        except ModuleNotFoundError as error:
            raise ImportError("calibration_evidence needs the package: pip install balr_hf") from error

        if quality is not None and method != "quality":
            raise ConfigError(f"{method} takes no quality measures: the method quality does")
        labels = np.asarray(labels).ravel()
        if trials is None:
            if len(enroll) != len(test):
                raise ValueError(f"{len(enroll)} enrollments but {len(test)} tests: trials are pairs")
            trials = Trials.between(np.arange(len(enroll)), np.arange(len(test)))
        if len(labels) != len(trials) or any(len(side) != len(trials) for side in speakers or ()):
            numbers = [len(trials), len(labels), *map(len, speakers or ())]
            raise ValueError(f"trials, labels and speakers of different numbers: {numbers}")
        if method != "fusion":
            scores = score_trials(self, enroll, trials, progress=progress, test_counts=test)
            if method != "quality":
                return scores, labels, speakers
            enrolled, tested = self._checked_quality(quality, len(enroll), len(test))
            measures = quality_functions(trial_quality(enrolled[trials.enroll], tested[trials.test]))
            return np.column_stack([scores, measures]), labels, speakers
        kept = fusion_sample(labels)
        if len(kept) < len(labels):
            trials, labels = trials.select(kept), labels[kept]
            speakers = None if speakers is None else (speakers[0][kept], speakers[1][kept])
        return trial_attribute_scores(self, enroll, trials, progress, test_counts=test), labels, speakers

    def set_calibration(self, calibration: "Calibration") -> "Scorer":
        """Use a calibration, in place of an earlier one.

        Args:
            calibration ([`Calibration`]): a fitted calibration.

        Returns:
            the scorer itself.
        """
        names = name_digests(calibration.speakers).sort().values  # in no order that tells of the corpus
        weights = torch.as_tensor(calibration.weights, dtype=torch.float64, device=self.device)
        num_draws = 0 if calibration.draws is None else len(calibration.draws)
        num_quality = 0 if calibration.quality is None else calibration.quality.shape[1]
        self.remove_calibration()
        weights = weights.expand(self.config.num_attributes).clone()
        for name, value in _calibration_buffers(weights, len(names), num_draws, num_quality).items():
            self.register_buffer(name, value)
        self.calibration_offset += calibration.offset
        self.calibration_speakers += names.to(self.device)
        if calibration.draws is not None:
            self.calibration_draws += torch.from_numpy(calibration.draws).to(self.device)
        if calibration.quality is not None:
            self.calibration_quality += torch.from_numpy(calibration.quality).to(self.device)
        self.config.calibration = {**calibration.describe(), "scorer": uncalibrated_digest(self)}
        return self

    def prepare_saving(self, state_dict: Mapping[str, torch.Tensor] | None = None) -> None:
        """State the digest of the calibration in its record, if there is one, as it is now; see `check_whole`.

        What was changed on purpose is so saved with a digest of its own. A calibration that was loaded without one is
        saved without one: what became of it before is not known.

        Args:
            state_dict (dict, *optional*): weights that are to be saved instead of the scorer's own.
        """
        unknown = self.is_calibration_unchecked
        if self.config.calibration is not None and calibration_digest is not None and not unknown:
            self.config.calibration = {**self.config.calibration, "digest": calibration_digest(self, state_dict)}

    def check_whole(self) -> None:
        """Check that the calibration is that of this scorer, and as it was saved; called when it is loaded.

        Raises:
            UserError: it was fitted to another one, or to this one before it was fitted again.
            MismatchError: its record and its tensors are not those that were saved together.
        """
        stated = (self.config.calibration or {}).get("digest")
        self._loaded_without_digest = copy.deepcopy(self.config.calibration) if stated is None else None
        if stated is not None and not is_as_it_was_saved(self):
            raise MismatchError(
                f"the calibration of {self.name_or_path or 'this scorer'} is not as it was saved: its record in "
                "config.json (bounds, descriptions of its recordings and of the reference population, ...) and its "
                "tensors in model.safetensors (offset, weights, ...) come from two calibrations, or were edited",
                "Get both files again from where they were saved; or fit the scorer again with balr score train, and "
                "calibrate it with balr score calibrate",
            )
        known = (self.config.calibration or {}).get("scorer")
        if known is not None and known != uncalibrated_digest(self):
            raise UserError(
                f"the calibration of {self.name_or_path or 'this scorer'} is that of another scorer, or from before "
                "this one was fitted again: calibrate it with balr score calibrate"
            )

    def remove_calibration(self) -> "Scorer":
        """Forget the calibration, if there is one; returns the scorer itself."""
        for name in ("weights", "offset", "speakers", "draws", "quality", "recordings"):
            if hasattr(self, f"calibration_{name}"):
                delattr(self, f"calibration_{name}")
        self.config.calibration = None
        return self

    def forget_people(self) -> "Scorer":
        """Forget the digests by which speakers and recordings are known again; returns the scorer itself.

        The names of sessions, which earlier versions kept, are forgotten too; and what was said of the case that a
        scorer was matched to and saved for, which names its speakers and the corpus.

        For a scorer that others get. It scores as before, but no longer notices speakers and recordings that it was
        fitted to or calibrated on. Its identity is another one, so do this before it is tested and validated.
        """
        unchecked = self.is_calibration_unchecked
        fitted_to = self.config.calibration and self.config.calibration.get("scorer") == uncalibrated_digest(self)
        self.reference_speakers = torch.zeros_like(self.reference_speakers)
        self.config.num_reference_digests = self._know("reference", None)
        self.config.reference = _without_sessions(self.config.reference)
        if self.config.calibration is None:
            return self
        self.calibration_speakers = torch.zeros_like(self.calibration_speakers)
        self.config.calibration = {**self.config.calibration, "num_digests": self._know("calibration", None)}
        if self.config.calibration.get("domain"):
            self.config.calibration["domain"] = _without_sessions(self.config.calibration["domain"])
        if self.config.calibration.get("saved_for"):
            self.config.calibration["saved_for"] = [FORGOTTEN]
        if fitted_to:  # and still is: what it knew of people changes no score
            self.config.calibration["scorer"] = uncalibrated_digest(self)
        if unchecked:
            self._loaded_without_digest = copy.deepcopy(self.config.calibration)
        return self

    def describe_reference(self, dataset: "datasets.Dataset") -> "Scorer":
        """Keep a description of the reference population, with which cases are compared; returns the scorer itself.

        It has the identities of the models that made the attributes, with which other attributes are compared, and
        digests of the recordings, by which they are known again.

        Args:
            dataset (`datasets.Dataset`): the corpus that the scorer was fitted to, with `ba`, and with what was
                measured of its recordings and what made its attributes, if that is known.

        Raises:
            UserError: the corpus has no attributes, or the scorer is not fitted.
        """
        self._check_fitted()
        bits, present = vector_matrix(dataset, "ba")
        logs = log_probabilities(bits, self.activation.cpu().numpy(), self.config.num_reference_speakers or 0)
        counted = dataset.select(np.flatnonzero(present))
        fitted_to = self.config.calibration and self.config.calibration.get("scorer") == uncalibrated_digest(self)
        described = describe_population(counted, log_probabilities=logs)
        self.config.reference = described
        self.config.num_reference_digests = self._know("reference", distinctive_digests(counted))
        self.config.autoencoder_identity, self.config.embedder_identity = attributes_made_by(dataset)
        if fitted_to:  # and still is: what is known of its recordings changes no score
            self.config.calibration = {**(self.config.calibration or {}), "scorer": uncalibrated_digest(self)}
        return self

    def describe_calibration(
        self,
        dataset: "datasets.Dataset",
        sides: Sequence[Sequence[str]],
        trials: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "Scorer":
        """Keep a description of what the scorer was calibrated on, with which cases are compared.

        Args:
            dataset (`datasets.Dataset`): the corpus of the calibration trials, with what was measured of its
                recordings, if that is known.
            sides: the ids of the recordings of each side of the trials, as in [`Trials`].
            trials (*optional*): the numbers of the sides of each trial, two arrays `(trials,)`.

        Returns:
            the scorer itself.

        Raises:
            UserError: the scorer is not calibrated.
        """
        if self.config.calibration is None:
            raise UserError(f"{type(self).__name__} is not calibrated: call calibrate first")
        described = describe_population(dataset, sides, trials=trials)
        known = self._know("calibration", distinctive_digests(recordings_of(dataset, sides)))
        self.config.calibration = {**self.config.calibration, "domain": described, "num_digests": known}
        return self

    def _know(self, role: str, digests: np.ndarray | None) -> int:
        """Keep the digests of the recordings of a role, in place of earlier ones; returns how many are kept.

        They are sorted, since the order of a corpus tells which recordings are of one speaker.
        """
        if hasattr(self, f"{role}_recordings"):
            delattr(self, f"{role}_recordings")
        if digests is None or not len(digests):
            return 0
        digests = digests[np.lexsort(digests.T[::-1])]
        self.register_buffer(f"{role}_recordings", torch.from_numpy(digests).to(self.device))
        return len(digests)

    @property
    def steadiness(self) -> torch.Tensor | None:
        """The intraclass correlation of each attribute `(attributes,)`, where it explains the scorer's terms."""
        return None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest natural-log LR that the calibration can vouch for; None where that is unknown."""
        found = (self.config.calibration or {}).get("bounds")
        return None if found is None else (float(found[0]), float(found[1]))

    def llr_interval(self, llr: float, confidence: float = 0.95) -> tuple[float, float] | None:
        """How sure a calibrated LLR is, given how few speakers the calibration has seen.

        Args:
            llr (float): a calibrated natural-log LR, before it is bounded.
            confidence (float): of the interval.

        Returns:
            the ends of the interval, natural-log units; None where the calibration keeps no draws.
        """
        draws = getattr(self, "calibration_draws", None)
        return None if draws is None else llr_interval(llr, draws.cpu().numpy(), confidence)

    def knows_people(self, role: str) -> bool:
        """Whether it has digests of speakers or recordings of a role (`reference` or `calibration`) at all."""
        speakers = getattr(self, f"{role}_speakers", None)
        return hasattr(self, f"{role}_recordings") or (speakers is not None and bool(speakers.any()))

    def known_speakers(self, names: Iterable[str], role: str) -> list[str]:
        """Find those of some speakers on whom the scorer was fitted or calibrated.

        Args:
            names (Iterable[str]): speakers' names.
            role (str): `reference` for the reference population, or `calibration`.

        Returns:
            list[str]: the names that are known in this role, sorted.
        """
        known = set(getattr(self, f"{role}_speakers", torch.zeros(0)).tolist())
        names = sorted(set(names))
        return [name for name, digest in zip(names, name_digests(names).tolist(), strict=True) if digest in known]

    def known_recordings(self, digests: np.ndarray, role: str) -> np.ndarray:
        """Find those of some recordings which the scorer was fitted or calibrated on.

        Args:
            digests (int32 `(recordings, 18)`): see [`balr_hf.data.recording_digests`]; 0 where unknown.
            role (str): `reference` for the reference population, or `calibration`.

        Returns:
            bool `(recordings,)`: whether it is known in this role. One that was coded anew or cut is not known again.
        """
        known = getattr(self, f"{role}_recordings", None)
        return np.zeros(len(digests), dtype=bool) if known is None else known_again(digests, known.cpu().numpy())

    def quality_terms(self, quality: SidesQuality) -> torch.Tensor:
        """What the quality measures of trials add to their calibrated scores.

        Args:
            quality (two `(trials, 4)`): what was measured of the two sides, see [`recordings_quality`].

        Returns:
            `torch.DoubleTensor` of shape `(trials, measures)`: natural-log units, in the order of
            [`balr_hf.scoring.quality_measures.NAMES`]; no measures if the calibration takes none.

        Raises:
            UserError: something is not known of a side.
        """
        enroll, test = (np.asarray(side, dtype=np.float64) for side in quality)
        if not self.needs_quality:
            return torch.zeros(len(enroll), 0, dtype=self.dtype, device=self.device)
        enroll, test = self._checked_quality((enroll, test), len(enroll), len(test))
        factors, means, scales = self.calibration_quality
        measures = torch.from_numpy(quality_functions(trial_quality(enroll, test))).to(self.device)
        return (measures - means) / scales * factors

    def quality_rows(
        self, quality: Sequence[Sequence[Mapping[str, Any] | None]], numbers: Sequence[int]
    ) -> tuple[tuple[str, float], ...]:
        """What each quality measure adds to the calibrated score of one trial, in words.

        Args:
            quality (two sequences): what was measured of each recording of the two sides, as
                [`RecordingQuality.to_dict`] gives it.
            numbers (two int): how many recordings the sides have.

        Returns:
            rows of words and natural-log units; none if the calibration has no quality measures.

        Raises:
            UserError: something is not known of a side.
        """
        if not self.needs_quality:
            return ()
        enroll, test = (recordings_quality(side, number)[None] for side, number in zip(quality, numbers, strict=True))
        terms = self.quality_terms((enroll, test))[0].tolist()
        values = trial_quality(enroll, test)[0].tolist()
        words = [words.format(value) for words, value in zip(WORDS, values, strict=True)]
        return tuple(zip(words, terms, strict=True))

    def _checked_quality(self, quality: SidesQuality | None, enroll: int, test: int) -> SidesQuality:
        """What was measured of two sets of sides, if it is known of all of them.

        Raises:
            UserError: it is not.
            ValueError: it is of other numbers of sides.
        """
        if quality is None:
            raise UserError(
                "this calibration takes what is in the recordings (speech, noise, bandwidth) into account, and "
                "nothing was measured of them: pass quality=, or extract the corpus again, which measures it"
            )
        sides = _shaped_quality(quality, enroll, test)
        unknown = sum(int(unknown_sides(side).sum()) for side in sides)
        if unknown:
            raise UserError(
                "this calibration takes what is in the recordings (speech, noise, bandwidth) into account, and of "
                f"{unknown} sides that is not known: balr extract measures recordings, and balr inspect shows what is "
                "in them"
            )
        return sides

    def score(
        self, enroll: Counts, test: Counts, calibrated: bool = False, quality: SidesQuality | None = None
    ) -> torch.Tensor:
        """Score trials.

        Args:
            enroll (`(trials, attributes, 2)`): counts of one side.
            test (`(trials, attributes, 2)`): counts of the other.
            calibrated (bool): apply the calibration.
            quality (two `(trials, 4)`, *optional*): what was measured of the two sides, see [`recordings_quality`]; a
                calibration with quality measures needs it.

        Returns:
            `torch.DoubleTensor` of shape `(trials,)`: natural-log likelihood ratios. Without calibration they are sums
            over attributes that depend on one another, and so overconfident.

        Raises:
            ValueError: counts have another shape, are negative or not finite; or the two sides are not equally many.
            UserError: the scorer is not fitted; or calibrated scores are asked of one that is not calibrated, or of a
                side without recordings; or the calibration needs what was measured of the sides, and that is not
                known.
        """
        enroll, test = self._sides(enroll, test, calibrated)
        weights, offset = self._calibration(calibrated)
        trials = torch.arange(len(enroll), device=self.device)
        table = TermTable(partial(self._weighted_terms, weights), enroll, test, offset)
        return self._with_quality(table, calibrated, quality).scores(trials, trials)

    def attribute_scores(self, enroll: Counts, test: Counts, calibrated: bool = False) -> torch.Tensor:
        """Compute the terms of trials, one per attribute.

        The sum of a trial's terms is its score; if they are calibrated, the score is their sum plus
        `calibration_offset`, and plus `quality_terms` if the calibration has quality measures.

        Args:
            enroll (`(trials, attributes, 2)`): counts of one side.
            test (`(trials, attributes, 2)`): counts of the other.
            calibrated (bool): apply the calibration.

        Returns:
            `torch.DoubleTensor` of shape `(trials, attributes)`: natural-log likelihood ratios.

        Raises:
            ValueError, UserError: as for `score`.
        """
        enroll, test = self._sides(enroll, test, calibrated)
        return self._weighted_terms(self._calibration(calibrated)[0], enroll, test)

    def score_matrix(
        self, enroll: Counts, test: Counts, calibrated: bool = False, quality: SidesQuality | None = None
    ) -> torch.Tensor:
        """Score every enrollment against every test, in blocks, so that little memory is needed besides the result.

        Args:
            enroll (`(enrollments, attributes, 2)`): counts.
            test (`(tests, attributes, 2)`): counts.
            calibrated (bool): apply the calibration.
            quality (two arrays, `(enrollments, 4)` and `(tests, 4)`, *optional*): as for `score`.

        Returns:
            `torch.DoubleTensor` of shape `(enrollments, tests)`: natural-log likelihood ratios.

        Raises:
            ValueError, UserError: as for `score`.
        """
        return self.term_table(enroll, test, calibrated, quality).matrix()

    forward = score

    def term_table(
        self, enroll: Counts, test: Counts, calibrated: bool = False, quality: SidesQuality | None = None
    ) -> TermTable:
        """Prepare the scoring of many trials between two sets of sides.

        Args:
            enroll (`(enrollments, attributes, 2)`): counts.
            test (`(tests, attributes, 2)`): counts.
            calibrated (bool): apply the calibration, whose offset the table then adds to each score.
            quality (two arrays, `(enrollments, 4)` and `(tests, 4)`, *optional*): as for `score`; the table then adds
                the terms of the quality measures to each score, too.

        Returns:
            a [`TermTable`].

        Raises:
            ValueError, UserError: as for `score`.
        """
        self._check_fitted()
        checked = self._checked(enroll, "enroll")
        other = checked if test is enroll else self._checked(test, "test")
        if calibrated:
            _check_recorded(checked, other)
        table = self._term_table(*self._calibration(calibrated), checked, other)
        return self._with_quality(table, calibrated, quality)

    def side_table(
        self, counts: SideCounts, calibrated: bool = False, quality: np.ndarray | None = None
    ) -> TermTable | None:
        """Do what `term_table` does for trials between many sides, without their counts in float64.

        Args:
            counts ([`SideCounts`]): of the sides, of which each may be an enrollment and a test.
            calibrated (bool): as for `term_table`.
            quality (`(sides, 4)`, *optional*): what was measured of the sides.

        Returns:
            a [`TermTable`]; None if the counts take too many distinct values, or the scorer needs them in float64.

        Raises:
            ValueError, UserError: as for `score`.
        """
        self._check_fitted()
        expected = (self.config.num_attributes, self.num_values)
        if counts.shape[1:] != expected:
            raise ValueError(f"counts of {counts.shape[1]} attributes: the scorer expects {expected[0]}")
        weights_and_offset = self._calibration(calibrated)
        if calibrated and not counts.totals.all():
            raise UserError(NOTHING_TO_COMPARE.format((counts.totals == 0).sum()))
        table = self._side_table(*weights_and_offset, counts)
        if table is None:
            return None
        return self._with_quality(table, calibrated, None if quality is None else (quality, quality))

    def _with_quality(self, table: TermTable, calibrated: bool, quality: SidesQuality | None) -> TermTable:
        """Let a table add the terms of quality measures, if the calibration has some."""
        if quality is not None:
            quality = _shaped_quality(quality, len(table.enroll), len(table.test))
        if calibrated and self.needs_quality:
            enroll, test = self._checked_quality(quality, len(table.enroll), len(table.test))

            def addition(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
                return self.quality_terms((enroll[rows.cpu().numpy()], test[columns.cpu().numpy()])).sum(-1)

            table.addition = addition
        return table

    def explain(self, enroll: Counts, test: Counts, **details: Any) -> "Explanation":
        """Explain one trial: its LLR, and what each attribute adds to it.

        Args:
            enroll (`(attributes, 2)`): counts of one side.
            test (`(attributes, 2)`): counts of the other.
            **details: keywords of [`explain_trial`], e.g. `names`.

        Returns:
            an [`Explanation`], which is calibrated if the scorer is.

        Raises:
            ValueError, UserError: as for `score`.
        """
        try:
            from balr_hf.explanation.explanation import explain_trial
        except ModuleNotFoundError as error:
            raise ImportError("explain needs the package: pip install balr_hf") from error
        return explain_trial(self, enroll, test, **details)

    def _fit(self, counts: torch.Tensor, *args: Any, **options: Any) -> None:
        """Set the buffers of `parameter_names` from the counts of each speaker, `(speakers, attributes, 2)`."""
        raise NotImplementedError(f"{type(self).__name__} has to define _fit(self, counts)")

    def _attribute_scores(self, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        """One term per attribute, `(..., attributes)`, of the counts `(..., attributes, 2)` of the two sides.

        A term is a natural-log likelihood ratio that depends on nothing but the counts of its own attribute: it is
        also asked for of single states of an attribute, and looked up where they come again.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define _attribute_scores(self, enroll, test)")

    def _term_table(
        self, weights: torch.Tensor | None, offset: float, enroll: torch.Tensor, test: torch.Tensor
    ) -> TermTable:
        """Make a table of states, since a term depends only on the two sides' counts of its attribute."""
        return term_table_of(partial(self._weighted_terms, weights), enroll, test, offset)

    def _side_table(self, weights: torch.Tensor | None, offset: float, counts: SideCounts) -> TermTable | None:
        return side_table_of(partial(self._weighted_terms, weights), counts, self.activation, offset)

    @torch.no_grad()
    def _weighted_terms(self, weights: torch.Tensor | None, enroll: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
        terms: Any = self._attribute_scores(enroll, test)
        expected = torch.broadcast_shapes(enroll.shape[:-1], test.shape[:-1])
        if not torch.is_tensor(terms) or terms.shape != expected:
            found = f"a tensor of shape {tuple(terms.shape)}" if torch.is_tensor(terms) else type(terms).__name__
            raise ConfigError(
                f"the scorer {type(self).__name__} returned {found}: expected a tensor of shape {tuple(expected)}, "
                "one term of each attribute"
            )
        terms = terms.to(self.dtype)
        terms = torch.where(self.informative, terms, torch.zeros_like(terms))
        return terms if weights is None else terms * weights

    def _calibration(self, calibrated: bool) -> tuple[torch.Tensor | None, float]:
        """The attributes' weights, None if they are all 1, and the offset."""
        if not calibrated:
            return None, 0.0
        if not self.is_calibrated:
            raise UserError(f"{type(self).__name__} is not calibrated: call calibrate, or run balr score calibrate")
        return self.calibration_weights, self.calibration_offset.item()

    def _sides(self, enroll: Counts, test: Counts, calibrated: bool) -> tuple[torch.Tensor, torch.Tensor]:
        self._check_fitted()
        enroll, test = self._checked(enroll, "enroll"), self._checked(test, "test")
        if len(enroll) != len(test):
            raise ValueError(f"{len(enroll)} enrollments but {len(test)} tests: trials are pairs")
        if calibrated:
            _check_recorded(enroll, test)
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


def _check_recorded(*sides: torch.Tensor) -> None:
    """Check that no side is without recordings, of which calibrated scores would state the offset as evidence.

    A side may lack some attributes, which then say nothing.

    Raises:
        UserError: one is.
    """
    for counts in sides:
        suspects = (counts[:, 0].sum(-1) == 0).nonzero()[:, 0]
        empty = ~counts[suspects].flatten(1).any(1)
        if empty.any():
            raise UserError(NOTHING_TO_COMPARE.format(int(empty.sum())))


def _shaped_quality(quality: SidesQuality, enroll: int, test: int) -> SidesQuality:
    """What was measured of so many sides and so many others.

    Raises:
        ValueError: it is of other numbers of sides.
    """
    sides = np.asarray(quality[0], dtype=np.float64), np.asarray(quality[1], dtype=np.float64)
    for found, number in zip(sides, (enroll, test), strict=True):
        if found.shape != (number, 4):
            raise ValueError(f"quality of shape {found.shape}: expected ({number}, 4), one row per side")
    return sides


def _as_given(names: Sequence[str]) -> np.ndarray:
    """Speakers' names as an array, `(trials,)`: of objects, since None and NaN would be names among texts."""
    return names if isinstance(names, np.ndarray) else np.array(names, dtype=object).reshape(-1)


def _without_sessions(population: dict[str, Any] | None) -> dict[str, Any] | None:
    """The description of a population without the names of its sessions."""
    if population is None or "session" not in population.get("counts", {}):
        return population
    return {**population, "counts": {name: of for name, of in population["counts"].items() if name != "session"}}


def _distinct_digests(speakers: Sequence[str]) -> torch.Tensor:
    """The digests of the names of different speakers, int64 `(speakers,)`.

    Raises:
        UserError: one is named twice, or has no name; or these are no list of names, but one.
    """
    if isinstance(speakers, str):
        raise UserError(f"speakers={speakers!r:.60}: expected a list of names")
    names = list(speakers)
    digests = name_digests(names)
    nameless = [name for name in names if name is None or name != name or not str(name).strip()]
    if nameless:
        raise UserError(f"{len(nameless)} of {len(names)} speakers have no name: leave these out, or name no speakers")
    different = len(digests.unique())
    if different < len(names):
        raise UserError(
            f"{len(names)} speakers' counts with {different} different names: one speaker has one row of counts, the "
            "sums of all their recordings, as speaker_counts makes them"
        )
    return digests


def _check_several_recordings(counts: torch.Tensor) -> None:
    """Check that enough speakers have several recordings to tell how much one speaker varies; see [`Scorer.fit`].

    Raises:
        UserError: none has.
    """
    several = int((sum_of_values(counts).amax(1) > 1).sum())
    if not several:
        raise UserError(
            f"each of the {len(counts)} reference speakers has one recording only, which tell nothing of how much one "
            "speaker varies: fit to speakers with several recordings each"
        )
    if 2 * several < len(counts):
        logger.warning(
            "Only %d of %d reference speakers have several recordings. The others tell nothing of how much one "
            "speaker varies, so that this, on which every LLR rests, is learnt from few",
            several,
            len(counts),
        )


def _calibration_buffers(
    weights: torch.Tensor, num_speakers: int, num_draws: int, num_quality: int
) -> dict[str, torch.Tensor]:
    """Make the buffers of a calibration with these weights, the others filled with zeros."""
    buffers = {
        "calibration_weights": weights,
        "calibration_offset": weights.new_zeros(()),
        "calibration_speakers": torch.zeros(num_speakers, dtype=torch.int64, device=weights.device),
    }
    if num_draws:
        buffers["calibration_draws"] = weights.new_zeros(num_draws, 2)
    if num_quality:
        buffers["calibration_quality"] = weights.new_zeros(3, num_quality)
    return buffers
