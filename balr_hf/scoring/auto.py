"""The registry of scorers: one of the package has a short name in `SCORERS`, one of your own is named by its path."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.class_paths import check_keywords, import_class
from balr_hf.errors import ConfigError

if TYPE_CHECKING:
    from balr_hf.scoring.modeling_scorer import Scorer

# Short names, as on the command line -> the path of the class. The settings are those of its `config_class`.
SCORERS = {
    "beta": "balr_hf.scoring.modeling_beta.DirichletMultinomialScorer",
    "cosine": "balr_hf.scoring.modeling_cosine.CosineSimilarityScorer",
    "dna": "balr_hf.scoring.modeling_profile.DNALLRScorer",
    "maxllr": "balr_hf.scoring.modeling_maxllr.MaxLLRScorer",
    "speech": "balr_hf.scoring.modeling_profile.SpeechLLRScorer",
}

# Scorers of the user's own that `scorer_class` has registered: the `model_type` of each -> the class.
_OWN: "dict[str, type[Scorer]]" = {}


def build_scorer(name: str, **settings: Any) -> "Scorer":
    """Make a scorer that is not fitted yet.

    Args:
        name (str): a short name or the path of a class, as for [`scorer_class`].
        **settings: fields of the scorer's configuration.

    Returns:
        a [`Scorer`].

    Raises:
        ConfigError: the name is unknown, the class is not a scorer, or the scorer does not have a setting.

    Example:
        >>> build_scorer("maxllr", num_attributes=64, n_iterations=10).config.n_iterations
        10
    """
    from balr_hf.scoring.configuration_scorers import ScorerConfig

    scorer = scorer_class(name)
    check_keywords(scorer.config_class, ScorerConfig, settings, f"the scorer {name}")
    return scorer(scorer.config_class(**settings))


def scorer_class(name: str) -> "type[Scorer]":
    """The scorer of a short name (`beta`), or of the path of a class of your own (`my_package.scorers.MyScorer`).

    A class of your own must be a subclass of [`Scorer`], with a `config_class` of its own whose `model_type` no other
    model has. This function registers it with `AutoConfig` and `AutoModel`. Call it once in every process that loads
    such a scorer, with [`load_scorer`] or otherwise, because a saved scorer never causes code to be imported.

    Args:
        name (str): a short name or the path of a class.

    Returns:
        the class.

    Raises:
        ConfigError: the name is unknown, or the class is not such a scorer.
    """
    if name in SCORERS:
        module, cls = SCORERS[name].rsplit(".", 1)
        return getattr(importlib.import_module(module), cls)
    if "." not in name:
        raise ConfigError(
            f"unknown scorer {name!r}: expected {', '.join(SCORERS)}, or the path of a class of your own"
        )
    from balr_hf.scoring.modeling_scorer import Scorer

    found = import_class(name, Scorer, "scorer")
    if found not in map(scorer_class, SCORERS):
        _register(found, name)
    return found


def load_scorer(path: str | Path, **kwargs: Any) -> "Scorer":
    """Load a fitted scorer of any kind from its folder, a run's folder, a whole system's, or the Hub.

    For a scorer of your own, call [`scorer_class`] with the path of its class first.

    Args:
        path (str or Path): the folder, or the name of the repository.
        **kwargs: keywords of `from_pretrained`, e.g. `revision`.

    Returns:
        a [`Scorer`].

    Raises:
        UserError: there is nothing at a local path, or the model there is not a scorer.

    Example:
        >>> from balr_hf.defaults import SCORER, resource
        >>> type(load_scorer(resource(SCORER))).__name__
        'DirichletMultinomialScorer'
    """
    from balr_hf.checkpoints import resolve_checkpoint, stored_kind
    from balr_hf.errors import UserError

    path = resolve_checkpoint(path)
    if path.is_file():
        raise UserError(f"{path} is a file: fit the scorer again with balr score train, which writes a folder")
    known = {scorer.config_class.model_type: scorer for scorer in map(scorer_class, SCORERS)} | _OWN
    try:
        kind = stored_kind(path, known, "scorer", **kwargs)
    except UserError as error:
        if type(error) is not UserError:  # there is no model at all
            raise
        raise UserError(
            f"{error}. A scorer of your own is known as soon as its class is named: scorer=my_package.MyScorer, "
            "--scorer-class of balr assemble, or balr_hf.scoring.auto.scorer_class in Python"
        ) from None
    return known[kind].from_pretrained(path, **kwargs)


def _register(scorer: "type[Scorer]", path: str) -> None:
    """Register a scorer of the user's own with `AutoConfig` and `AutoModel`."""
    from transformers import CONFIG_MAPPING, MODEL_MAPPING, AutoConfig, AutoModel

    config, kind = scorer.config_class, scorer.config_class.model_type
    if not kind:
        raise ConfigError(f"{path} needs a config_class with a model_type of its own, but {config.__name__} has none")
    taken = kind in CONFIG_MAPPING and CONFIG_MAPPING[kind] is not config
    if taken or (config in MODEL_MAPPING and MODEL_MAPPING[config] is not scorer):
        raise ConfigError(
            f"{path} needs a config_class with a model_type of its own: another model has {config.__name__} with "
            f"{kind!r}"
        )
    AutoConfig.register(kind, config, exist_ok=True)
    AutoModel.register(config, scorer, exist_ok=True)
    _OWN[kind] = scorer
