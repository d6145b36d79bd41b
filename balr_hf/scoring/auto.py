"""The registry of scorers: a new scorer is one file, and one line in `SCORERS`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.class_paths import import_class
from balr_hf.errors import UserError

if TYPE_CHECKING:
    from balr_hf.scoring.modeling_scorer import Scorer

# Short names, as on the command line -> the class, whose `config_class` has the settings.
SCORERS = {
    "beta": "balr_hf.scoring.modeling_beta.DirichletMultinomialScorer",
    "cosine": "balr_hf.scoring.modeling_cosine.CosineSimilarityScorer",
    "dna": "balr_hf.scoring.modeling_profile.DNALLRScorer",
    "maxllr": "balr_hf.scoring.modeling_maxllr.MaxLLRScorer",
    "speech": "balr_hf.scoring.modeling_profile.SpeechLLRScorer",
}


def build_scorer(name: str, **settings: Any) -> "Scorer":
    """Make a scorer that is not fitted yet, from its short name and its configuration's fields.

    Raises:
        UserError: an unknown name.
    """
    scorer = scorer_class(name)
    return scorer(scorer.config_class(**settings))


def scorer_class(name: str) -> "type[Scorer]":
    """The scorer of a short name, or of the path of a class of your own.

    A class of your own (`my_package.scorers.MyScorer`) is a subclass of [`Scorer`] whose `config_class` has a
    `model_type` of its own.

    Raises:
        UserError: an unknown name, or a path of no subclass of [`Scorer`].
    """
    from balr_hf.scoring.modeling_scorer import Scorer

    if name not in SCORERS and "." not in name:
        raise UserError(f"unknown scorer {name!r}: expected {', '.join(SCORERS)}, or the path of a class of your own")
    return import_class(SCORERS.get(name, name), Scorer, "scorer")


def load_scorer(path: str | Path, name: str | None = None, **kwargs: Any) -> "Scorer":
    """Load a fitted scorer of any kind from its folder, a run's folder, or the Hub.

    Args:
        path: the folder or repository.
        name (str, *optional*): the path of the class, for a scorer of your own: what is loaded never says which code
            to run.
        **kwargs: of `from_pretrained`.

    Raises:
        UserError: a local path with nothing there, or a model that is no scorer.
    """
    from transformers import AutoModel

    from balr_hf.checkpoints import load_whole, resolve_checkpoint

    path = resolve_checkpoint(path)
    if path.is_file():
        raise UserError(f"{path} is a file: fit the scorer again with balr score train, which writes a folder")
    if name is not None and name not in SCORERS:
        return scorer_class(name).from_pretrained(path, **kwargs)
    kinds = [scorer_class(name).config_class.model_type for name in SCORERS]
    return load_whole(AutoModel.from_pretrained, path, kinds, "scorer", **kwargs)
