"""Configurations of the scorers: their settings, and what they were fitted and calibrated on."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, get_origin

from transformers import PreTrainedConfig

try:
    from balr_hf.class_paths import keywords_of
    from balr_hf.errors import ConfigError
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        ConfigError, keywords_of = ValueError, None


# How many attributes, values of attributes, speakers and draws, and recordings with digests a scorer may state: a file
# that states more is refused before the memory is taken. The largest buffers are then of 128 MiB.
MOST_ATTRIBUTES, MOST_VALUES, MOST_SPEAKERS, MOST_DIGESTS = 2**20, 2**24, 2**23, 2**18
# The most iterations of a fit that may be asked for.
MOST_ITERATIONS = 2**20
# How many digests a recording has; see [`balr_hf.data.recording_digests`].
NUM_KINDS = 18


class ScorerConfig(PreTrainedConfig):
    """Base of the scorers' configurations: the fields that all of them have.

    A subclass may define an `__init__` that hands `**kwargs` on. One without is made as its base class is, and the
    fields that its body annotates are its further settings: `strength: float = 1.0`.

    Args:
        num_attributes (int): number of binary attributes.
        num_reference_speakers (int, *optional*): number of speakers in the reference population; None before fitting.
        num_uninformative (int, *optional*): number of attributes that carry no evidence, so that their LLR is always
            0; None before fitting.
        calibration (dict, *optional*): how the scorer was calibrated; None before calibration. Its keys are `method`,
            `penalty`, the numbers `num_speakers`, `num_same_speaker` and `num_different_speaker` of speakers and
            trials, the numbers `num_same_speaker_speakers` and `num_different_speaker_speakers` of the speakers in the
            trials of either kind (which records of earlier versions lack), the `bounds` of its likelihood ratios, and,
            where they are known, the number `num_digests` of recordings whose digests it keeps, the description
            `domain` of its recordings (see [`balr_hf.domain.describe_population`]), the digest `scorer` of the
            uncalibrated scorer that it was fitted to, `speech`, which says in words what speech they were of, and the
            `digest` of the calibration itself (see [`balr_hf.identity.calibration_digest`]), which saving states.
        reference (dict, *optional*): the description of the recordings of the reference population; None where that is
            unknown.
        autoencoder_identity (str, *optional*): the identity of the autoencoder that made the attributes of the
            reference population (see [`balr_hf.identity`]); None if that is unknown.
        embedder_identity (str, *optional*): likewise of the embedder.
        num_reference_digests (int): number of recordings of the reference population whose digests the scorer keeps.

    Raises:
        ConfigError: bounds of the calibration between which an LR of 1 does not lie, or a record with values of the
            wrong type, or sizes of which no scorer is; or a subclass annotates a field without a default.
    """

    def __init__(
        self,
        num_attributes: int = 512,
        num_reference_speakers: int | None = None,
        num_uninformative: int | None = None,
        calibration: dict | None = None,
        reference: dict | None = None,
        autoencoder_identity: str | None = None,
        embedder_identity: str | None = None,
        num_reference_digests: int = 0,
        **kwargs: Any,
    ):
        check_size("num_attributes", num_attributes, 1, MOST_ATTRIBUTES)
        if num_reference_speakers is not None:
            check_size("num_reference_speakers", num_reference_speakers, 0, MOST_SPEAKERS)
        check_size("num_reference_digests", num_reference_digests, 0, MOST_DIGESTS)
        _check_calibration(calibration)
        _check_population(reference, "reference")
        bounds = (calibration or {}).get("bounds")
        if bounds is not None and not (_are_numbers(bounds, 2) and bounds[0] <= 0 <= bounds[1]):
            raise ConfigError(
                f"calibration bounds {bounds}: expected a natural-log LR of at most 0, and one of at least 0"
            )
        self.num_attributes = num_attributes
        self.num_reference_speakers = num_reference_speakers
        self.num_uninformative = num_uninformative
        self.num_reference_digests = num_reference_digests
        self.calibration = calibration
        self.reference = reference
        self.autoencoder_identity = autoencoder_identity
        self.embedder_identity = embedder_identity
        super().__init__(**kwargs)

    def __init_subclass__(cls, *args: Any, **kwargs: Any) -> None:
        # Without an `__init__`, transformers would make the class a dataclass, and call none of ours.
        if "__init__" not in vars(cls):
            cls.__init__ = _init_with_fields(cls)  # type: ignore[method-assign]
        super().__init_subclass__(*args, **kwargs)

    @classmethod
    def setting_names(cls) -> tuple[str, ...]:
        """The names of the settings of this kind of scorer, those of its base classes included.

        Not among them is what all scorers have, which is not set but found: see [`ScorerConfig`].
        """
        of_all = keywords_of(ScorerConfig, ScorerConfig)
        return tuple(name for name in keywords_of(cls, ScorerConfig) if name not in of_all)


def check_size(name: str, value: Any, least: int, most: int) -> None:
    """Raise a ConfigError for a size that is no whole number, or out of bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name}={value!r:.60}: expected a whole number")
    if not least <= value <= most:
        raise ConfigError(f"{name}={value}: expected {least} to {most:,}")


def _check_eps(eps: Any) -> None:
    """Raise a ConfigError for a small number that nothing can be divided by."""
    if not (_is_number(eps) and eps > 0):
        raise ConfigError(f"eps={eps!r:.60}: expected a number above 0")


def check_iterations(number: Any) -> int:
    """The number of iterations of a fit.

    Raises:
        ConfigError: it is no whole number, less than 1 or too large.
    """
    check_size("n_iterations", number, 1, MOST_ITERATIONS)
    return int(number)


def _check_calibration(found: Any) -> None:
    """Raise a ConfigError for a record of a calibration with values that nothing could be said of."""
    if found is None:
        return
    if not isinstance(found, dict):
        raise ConfigError(f"calibration={found!r:.60}: expected the record of a calibration")
    for name in ("num_speakers", "num_same_speaker", "num_different_speaker", "num_draws", "penalty"):
        if not (found.get(name) is None or _is_number(found[name])):
            raise ConfigError(f"calibration.{name}={found[name]!r:.60}: expected a number")
    of_kinds = ("num_same_speaker_speakers", "num_different_speaker_speakers")
    for name in ("num_speakers", *of_kinds, "num_draws", "num_quality"):
        if found.get(name) is not None:
            check_size(f"calibration.{name}", found[name], 0, MOST_SPEAKERS)
    if found.get("num_digests") is not None:
        check_size("calibration.num_digests", found["num_digests"], 0, MOST_DIGESTS)
    for name in ("method", "scorer", "speech", "digest"):
        if not (found.get(name) is None or isinstance(found[name], str)):
            raise ConfigError(f"calibration.{name}={found[name]!r:.60}: expected a text")
    _check_population(found.get("domain"), "calibration.domain")
    validation = found.get("validation")
    lists = ("same_speaker", "different_speaker")
    if validation is not None and not (
        isinstance(validation, dict)
        and {"eer", "cllr", *lists} <= validation.keys()
        and all(_are_numbers(value) if name in lists else _is_number(value) for name, value in validation.items())
    ):
        raise ConfigError("calibration.validation is damaged: expected eer, cllr, same_speaker and different_speaker")


def _check_population(found: Any, name: str) -> None:
    """Raise a ConfigError for a description of a population that lacks something, or has values of the wrong type."""
    if found is None:
        return
    names = ("measures", "counts", "speakers_by")
    measures, counts, speakers = (found.get(key, {}) if isinstance(found, dict) else None for key in names)
    if not (
        isinstance(measures, dict)
        and "measures" in found
        and isinstance(counts, dict)
        and isinstance(speakers, dict)
        and _is_number(found.get("recordings"))
        and (found.get("speakers") is None or _is_number(found["speakers"]))
        and _are_numbers(found.get("recordings_a_side"), 2)
        and all(_are_numbers(quantiles) and len(quantiles) > 3 for quantiles in measures.values())
        and (found.get("log_probability") is None or _are_numbers(found["log_probability"]))
        and all(isinstance(by, dict) for by in (*counts.values(), *speakers.values()))
        and all(map(_is_number, (one for by in (*counts.values(), *speakers.values()) for one in by.values())))
    ):
        raise ConfigError(f"{name} is damaged: expected recordings, recordings_a_side, measures and counts")
    compared, sessions, differences = (found.get(key) for key in ("recordings_compared", "sessions", "differences"))
    if not (
        (compared is None or (isinstance(compared, list) and all(_are_numbers(pair, 2) for pair in compared)))
        and (sessions is None or _has_numbers(sessions, ("same_speaker", "within_one")))
        and (differences is None or (isinstance(differences, dict) and all(map(_is_both, differences.values()))))
    ):
        raise ConfigError(
            f"{name} is damaged: recordings_compared, sessions or differences are not what they should be"
        )


def _has_numbers(found: Any, names: Sequence[str]) -> bool:
    return isinstance(found, dict) and all(_is_number(found.get(name)) for name in names)


def _is_both(found: Any) -> bool:
    """Whether these are the quantiles of same-speaker and of different-speaker trials."""
    kinds = ("same_speaker", "different_speaker")
    return (
        isinstance(found, dict)
        and {*found} == {*kinds}
        and all(_are_numbers(quantiles) and len(quantiles) > 3 for quantiles in found.values())
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(value: Any, count: int | None = None) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_number, value)) and count in (None, len(value))


def _init_with_fields(cls: type[ScorerConfig]) -> Callable[..., None]:
    """Make the `__init__` of a class without one: it sets the annotated fields, and leaves the rest to its base.

    Raises:
        ConfigError: a field has no default, which transformers needs to tell the settings that differ from it.
    """
    fields: dict[str, dataclasses.Field] = {}
    for name, kind in inspect.get_annotations(cls).items():
        if name != "model_type" and kind is not ClassVar and get_origin(kind) is not ClassVar:
            value = vars(cls).get(name, dataclasses.MISSING)
            fields[name] = value if isinstance(value, dataclasses.Field) else dataclasses.field(default=value)
            if fields[name].default is fields[name].default_factory is dataclasses.MISSING:
                raise ConfigError(f"{cls.__name__}.{name} needs a default, as every setting of a configuration does")

    def __init__(self: ScorerConfig, **kwargs: Any) -> None:
        for name, field in fields.items():
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            setattr(self, name, kwargs.pop(name, default))
        super(cls, self).__init__(**kwargs)

    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for name, field in fields.items()
    ]
    parameters.append(inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD))
    __init__.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return __init__


class CosineSimilarityScorerConfig(ScorerConfig):
    """Configuration of a [`CosineSimilarityScorer`].

    Args:
        eps (float): norms below this are replaced by it, so that nothing is divided by 0; above 0.
        **kwargs: as for [`ScorerConfig`].

    Raises:
        ConfigError: as for [`ScorerConfig`], or `eps` is not above 0.
    """

    model_type = "balr-cosine"

    def __init__(self, eps: float = 1e-8, **kwargs: Any):
        _check_eps(eps)
        self.eps = eps
        super().__init__(**kwargs)


class DirichletMultinomialScorerConfig(ScorerConfig):
    """Configuration of a [`DirichletMultinomialScorer`].

    Args:
        num_values (int): number of values that an attribute can take. With 2 (active, inactive) the model is
            beta-binomial.
        n_iterations (int): number of iterations of the fixed point, at least 1.
        eps (float): a small number, above 0, that keeps the starting values positive and finite.
        **kwargs: as for [`ScorerConfig`].

    Raises:
        ConfigError: as for [`ScorerConfig`], or a setting is out of its range.
    """

    model_type = "balr-beta"

    def __init__(self, num_values: int = 2, n_iterations: int = 100, eps: float = 1e-8, **kwargs: Any):
        check_size("num_values", num_values, 1, MOST_VALUES)
        _check_eps(eps)
        self.num_values = num_values
        self.n_iterations = check_iterations(n_iterations)
        self.eps = eps
        super().__init__(**kwargs)
        if num_values * self.num_attributes > MOST_VALUES:
            raise ConfigError(
                f"num_attributes={self.num_attributes} of num_values={num_values} each: expected at most "
                f"{MOST_VALUES:,} values together"
            )


class ProfileLLRScorerConfig(ScorerConfig):
    """Base of the configurations of the two profile scorers, DNA and Speech.

    Args:
        drop_in (float): probability, below 1, that noise activates an attribute, before it is scaled by the
            attribute's typicality.
        typicality_threshold (float): attributes whose typicality is lower than this carry no evidence; between 0 and
            1.
        **kwargs: as for [`ScorerConfig`].

    Raises:
        ConfigError: as for [`ScorerConfig`], or a setting is out of its range.
    """

    def __init__(self, drop_in: float = 0.12, typicality_threshold: float = 1e-4, **kwargs: Any):
        if not 0 <= drop_in < 1:
            raise ConfigError(f"drop_in={drop_in}: expected a probability below 1")
        if not (_is_number(typicality_threshold) and 0 <= typicality_threshold <= 1):
            raise ConfigError(f"typicality_threshold={typicality_threshold!r:.60}: expected a share from 0 to 1")
        self.drop_in = drop_in
        self.typicality_threshold = typicality_threshold
        super().__init__(**kwargs)


class DNALLRScorerConfig(ProfileLLRScorerConfig):
    """Configuration of a [`DNALLRScorer`]; see [`ProfileLLRScorerConfig`]."""

    model_type = "balr-dna"

    def __init__(self, **kwargs: Any):  # without it, type checkers would know of transformers' own fields only
        super().__init__(**kwargs)


class SpeechLLRScorerConfig(ProfileLLRScorerConfig):
    """Configuration of a [`SpeechLLRScorer`]; see [`ProfileLLRScorerConfig`]."""

    model_type = "balr-speech"

    def __init__(self, **kwargs: Any):  # without it, type checkers would know of transformers' own fields only
        super().__init__(**kwargs)


class MaxLLRScorerConfig(ScorerConfig):
    """Configuration of a [`MaxLLRScorer`].

    Args:
        f (float): starting value for the share of speakers who have an attribute, between 0 and 1.
        p (float): starting value for the probability that the attribute is active in a recording of a speaker who has
            it, between 0 and 1.
        q (float): starting value for that probability in speakers who lack the attribute, between 0 and `p`.
        n_iterations (int): number of iterations of expectation-maximization, at least 1.
        **kwargs: as for [`ScorerConfig`].

    Raises:
        ConfigError: as for [`ScorerConfig`], or a setting is out of its range.
    """

    model_type = "balr-maxllr"

    def __init__(self, f: float = 0.5, p: float = 0.9, q: float = 0.1, n_iterations: int = 100, **kwargs: Any):
        if not (0 < f < 1 and 0 < q < p < 1):
            raise ConfigError(f"f={f}, p={p}, q={q}: expected probabilities between 0 and 1, with p > q")
        self.f, self.p, self.q = f, p, q
        self.n_iterations = check_iterations(n_iterations)
        super().__init__(**kwargs)


SCORER_CONFIGS = (
    CosineSimilarityScorerConfig,
    DirichletMultinomialScorerConfig,
    DNALLRScorerConfig,
    MaxLLRScorerConfig,
    SpeechLLRScorerConfig,
)
