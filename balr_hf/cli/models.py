"""Loads the embedder, autoencoder and scorer that the settings name, and counts the attributes of a trial list."""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments
from balr_hf.cli.sections import FEATURES, SCORER_FIELDS, scorer_settings
from balr_hf.cli.suggestions import did_you_mean

if TYPE_CHECKING:
    import datasets
    import numpy as np

    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.describing import AttributeDescriptions
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.scoring.counts import SideCounts
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.scoring.trials import Trials

logger = logging.getLogger(__name__)

# The settings that name the parts of a system one by one.
PART_SETTINGS = (
    "embeddings.model.model_repo",
    "embeddings.model.model_dir",
    "encoder.model.checkpoint_path",
    "scorer.checkpoint_path",
)


def scorer_name(arguments: Arguments) -> str | None:
    """The scorer that was named, if any: a short name, or the path of a class of the user's own.

    Raises:
        ConfigError: an unknown name.
    """
    from balr_hf.errors import ConfigError
    from balr_hf.scoring.auto import SCORERS

    name = arguments.section("scorer").scorer
    if name is not None and name not in SCORERS and "." not in name:
        hint = did_you_mean(name, SCORERS)
        raise ConfigError(f"unknown scorer {name!r} (scorer={name}): expected {', '.join(SCORERS)}{hint}")
    return name


def scorer_configuration(arguments: Arguments, name: str) -> dict[str, Any]:
    """The settings for the configuration of the scorer `name`.

    Args:
        arguments: the command's arguments.
        name (str): short name, or class path, of the scorer.

    Returns:
        keywords for the scorer's configuration class.

    Raises:
        ConfigError: a setting was typed that the scorer does not have; the message says which scorers have it. Or K
            is not 2, which it is for the attributes of a corpus.
    """
    from balr_hf.errors import ConfigError
    from balr_hf.scoring.auto import scorer_class

    settings, of = arguments.section("scorer"), scorer_settings()
    own = arguments.own.get("scorer", {})
    valid = of[name] if name in of else scorer_class(name).config_class.setting_names()
    typed = {key.removeprefix("scorer.") for key in arguments.given if key.startswith("scorer.")}
    for key in sorted(typed - {"checkpoint_path", "n_attributes"}):
        if key in valid:
            continue
        if key == "n_iterations":
            logger.info("scorer.n_iterations has no effect on %s, which is fitted without iterations", name)
            continue
        owners = [scorer for scorer, keys in of.items() if key in keys]
        if owners:
            raise ConfigError(
                f"scorer.{key} is a setting of scorer={' and scorer='.join(owners)}, but the scorer is {name}, which "
                f"has {', '.join(valid) or 'none'}"
            )
        hint = did_you_mean(key, valid)
        raise ConfigError(f"unknown key scorer.{key}: the scorer {name} has {', '.join(valid) or 'no settings'}{hint}")
    if "K" in valid and name in of and settings.K != 2:
        raise ConfigError(
            f"scorer.K={settings.K}: the attributes of a corpus are binary, active or not, so that K is 2. In Python, "
            "DirichletMultinomialScorer takes counts of more values (num_values)"
        )
    if name in of:
        return {SCORER_FIELDS.get(key, key): getattr(settings, key) for key in valid}
    return {key: getattr(settings, key) for key in valid if key in typed and key not in own} | own


def _system(arguments: Arguments) -> str | None:
    """The whole system that `--system` names; None if the command has no such option, or it was not given.

    Raises:
        ConfigError: one of its parts was named too, by a setting of its own.
        UserError: it names something else than a system.
    """
    system: str | None = getattr(arguments, "system", None)
    if system is None:
        return None
    from balr_hf.checkpoints import stored_kind
    from balr_hf.errors import ConfigError
    from balr_hf.system.configuration_system import SpeakerComparisonConfig

    both = [key for key in PART_SETTINGS if key in arguments.given]
    if both:
        raise ConfigError(f"--system={system} and {' and '.join(both)} name the same part: give one of them")
    stored_kind(system, [SpeakerComparisonConfig.model_type], "system")
    return system


def load_named_scorer(arguments: Arguments, num_attributes: int) -> "Scorer":
    """The scorer that the settings name: a checkpoint, cosine, or by default the shipped demonstration scorer.

    Args:
        arguments: the command's arguments.
        num_attributes (int): number of attributes of the corpus.

    Raises:
        ConfigError, UserError: there is no such scorer, it is of another kind than was named, it was fitted with other
            settings, or it has another number of attributes.
    """
    from balr_hf import defaults
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError, UserError
    from balr_hf.scoring.auto import build_scorer, load_scorer, scorer_class

    settings, name = arguments.section("scorer"), scorer_name(arguments)
    source = _system(arguments) or settings.checkpoint_path
    if source is None and name == "cosine":
        scorer = build_scorer("cosine", num_attributes=num_attributes, **scorer_configuration(arguments, "cosine"))
    else:
        if source is None:
            if name not in (None, "beta"):
                raise UserError(
                    f"scorer={name} must be fitted first: run balr score train, then add scorer.checkpoint_path=FOLDER"
                )
            logger.info(
                "Scorer: the package's demonstration model, which fits attributes of the demonstration autoencoder"
            )
        if name is not None:
            scorer_class(name)  # registers a class of the user's own, so that it can be loaded
        scorer = load_scorer(source or defaults.resource(defaults.SCORER))
        kind = scorer.config.model_type.removeprefix("balr-")
        if name not in (None, kind, f"{type(scorer).__module__}.{type(scorer).__qualname__}"):
            raise UserError(f"scorer={name}, but {source or 'the shipped scorer'} holds {kind}")
        _check_fitted_with(arguments, scorer, scorer_configuration(arguments, name or kind))
    if settings.n_attributes not in (None, num_attributes):
        raise ConfigError(
            f"scorer.n_attributes={settings.n_attributes}, but the corpus has {num_attributes} attributes"
        )
    if scorer.config.num_attributes != num_attributes:
        raise UserError(f"the scorer knows {scorer.config.num_attributes} attributes, the corpus has {num_attributes}")
    return scorer.to(resolve_devices(arguments.device)[0])  # type: ignore[arg-type]  # transformers wraps `to` wrongly


def _check_fitted_with(arguments: Arguments, scorer: "Scorer", wanted: dict[str, Any]) -> None:
    """Refuse settings that differ from those that the scorer was fitted with: they would have no effect."""
    from balr_hf.errors import ConfigError

    for key in sorted(key.removeprefix("scorer.") for key in arguments.given if key.startswith("scorer.")):
        field = SCORER_FIELDS.get(key, key)
        if field in wanted and wanted[field] != getattr(scorer.config, field):
            raise ConfigError(
                f"scorer.{key}={wanted[field]}, but the scorer was fitted with {getattr(scorer.config, field)}: fit "
                "it again with balr score train"
            )


def read_trial_counts(arguments: Arguments, path: str) -> "tuple[datasets.Dataset, Trials, SideCounts]":
    """The corpus at `path`, the trials without those of the same audio, and the attribute counts of their sides.

    The trials are those of a list, or are made of the corpus where the arguments say NxM.
    """
    import numpy as np

    from balr_hf.data.columns import recording_ids, vector_matrix, vector_present
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import Skipped, warn_skipped
    from balr_hf.scoring.distinct_trials import without_shared_audio
    from balr_hf.scoring.listed_ids import leave_out_missing, match_ids
    from balr_hf.scoring.made_trials import make_trials, parse_numbers
    from balr_hf.scoring.trials import compact_side_counts, read_trials

    numbers = None if Path(arguments.trials).exists() else parse_numbers(arguments.trials)
    trials = None if numbers is not None else read_trials(arguments.trials, separator(arguments))
    corpus = read_corpus(path, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir)
    warn_skipped(corpus.skipped, f"Reading {path}")
    present = vector_present(corpus.dataset, "ba")
    if trials is None:
        assert numbers is not None  # or there is a list
        if not present.any():
            vector_matrix(corpus.dataset, "ba")  # says what lacks
        lacking = recording_ids(corpus.dataset.select(np.flatnonzero(~present)))
        warn_skipped([Skipped(name, "no attributes") for name in lacking], "Making trials")
        trials = make_trials(corpus.dataset.select(np.flatnonzero(present)), *numbers)
        logger.info("Made %d trials, recordings a side: %d and %d", len(trials), *numbers)
    else:
        trials = match_ids(corpus.dataset, trials)
        if arguments.leave_out_missing and present.any():  # else no recording was binarized, which an error says
            ids = recording_ids(corpus.dataset)
            trials = leave_out_missing(trials, [ids[row] for row in np.flatnonzero(present)])
    trials, _ = without_shared_audio(corpus.dataset, trials)
    return corpus.dataset, trials, compact_side_counts(corpus.dataset, trials.sides)


def check_attributes(
    arguments: Arguments, dataset: "datasets.Dataset", scorer: "Scorer | None", thorough: bool = False
) -> tuple[str, ...]:
    """Check that the attributes of a corpus belong together, to the embeddings and the audio, and to the scorer.

    Args:
        arguments: the command's arguments, which say whether a mismatch is allowed.
        dataset: the corpus.
        scorer: the fitted scorer; None if it is yet to be fitted.
        thorough: digest all audio, and not only files whose size or time of change differ from those noted.

    Returns:
        what is wrong, a sentence each; nothing where all is well, or unknown.

    Raises:
        MismatchError: something is wrong, and that was not allowed.
    """
    from balr_hf.data import belonging
    from balr_hf.identity import shown

    expected = None if scorer is None else scorer.config.autoencoder_identity
    found = belonging.check_attributes(
        dataset, autoencoder=expected, user="scorer", allow_mismatch=arguments.allow_mismatch, thorough=thorough
    )
    if found.unknown and (found.known or expected is not None):
        others = f"those of {shown(expected)}, which the scorer was made for" if expected else "like the others"
        logger.warning("%d of the attributes are of unknown origin, and are taken to be %s", found.unknown, others)
    for sentence in found.wrong:
        logger.warning("%s: the results mean nothing", sentence.removesuffix("."))
    return found.wrong


def load_attribute_descriptions(
    arguments: Arguments, autoencoder: str | None, embedder: str | None, attributes: int
) -> "AttributeDescriptions | None":
    """What is known of the attributes: the descriptions beside the autoencoder that the settings name.

    Args:
        arguments: the command's arguments.
        autoencoder: the identity of what made the attributes that are compared; None if it is not known.
        embedder: that of what made the embeddings.
        attributes (int): how many there are.

    Returns:
        the descriptions; None if there are none, or if they are those of the package's own system, which was not
        asked for, and made other attributes.

    Raises:
        MismatchError: they describe the attributes of another autoencoder.
        UserError: they are damaged.
    """
    from balr_hf import defaults
    from balr_hf.checkpoints import resolve_checkpoint
    from balr_hf.describing import load_descriptions
    from balr_hf.errors import MismatchError

    named = _system(arguments) or arguments.section("encoder.model").checkpoint_path
    source = str(defaults.resource(defaults.AUTOENCODER)) if named is None else named
    if Path(source).exists():
        source = str(resolve_checkpoint(source))
    found = None if Path(source).is_file() else load_descriptions(source)
    if found is None:
        return None
    if autoencoder is None:
        logger.warning("What made the attributes is unknown, so that the descriptions in %s are not shown", source)
        return None
    try:
        found.check(autoencoder, attributes, embedder)
    except MismatchError:
        if named is None:
            return None
        raise
    return found


def separator(arguments: Arguments) -> str:
    r"""The character that separates the columns of the trial list; `\t`, as typed, is a tab."""
    return arguments.sep.replace("\\t", "\t")


def keep_chosen(
    arguments: Arguments, dataset: "datasets.Dataset", trials: "Trials", speakers: "np.ndarray | None"
) -> "Trials":
    """The trials that `--within` and `--across` leave; says how many are left out.

    Args:
        arguments: the command's arguments.
        dataset: the corpus.
        trials: the trials.
        speakers: the speaker of each side, as [`side_speakers`] gives them; None if they are not known.

    Raises:
        UserError: the speakers are not known, the corpus lacks the column, or no trial of one kind is left.
    """
    from balr_hf.errors import UserError
    from balr_hf.scoring import breakdown

    if arguments.within is None and arguments.across is None:
        return trials
    if speakers is None:
        raise UserError("--within and --across need a corpus that names the speaker of every recording in the trials")
    return breakdown.keep_chosen(dataset, trials, speakers, within=arguments.within, across=arguments.across)


def describe_trials(arguments: Arguments, trials: "Trials") -> str:
    """Name the list of trials for a report: its file, or how it was made, and which of its trials were kept."""
    from balr_hf.scoring.listed_ids import describe_list

    kept = []
    if arguments.within is not None:
        kept.append(f"different speakers with the same {arguments.within} only")
    if arguments.across is not None:
        kept.append(f"one speaker's recordings of another {arguments.across} only")
    made = "" if Path(arguments.trials).is_file() else ", made by the program with seed 0"
    return describe_list(f"{arguments.trials}{made}" + (f" ({', '.join(kept)})" if kept else ""), trials)


def load_embedder(arguments: Arguments) -> "WespeakerModel":
    """The embedder that the settings name, with the changes to its features that they ask for.

    Raises:
        UserError: there is no such embedder, or it does not fit the features.
    """
    from balr_hf import defaults
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.errors import UserError

    settings = arguments.section("embeddings.model")
    system = _system(arguments)
    source, cache = system or settings.model_repo, settings.model_dir
    if cache is not None and _holds_embedder(Path(cache), settings.model_name, settings.config_name):
        if source is not None:
            raise UserError(
                f"embeddings.model.model_dir={cache} holds a model itself, and embeddings.model.model_repo={source} "
                "names another one: give one of them"
            )
        source, cache = cache, None
    elif cache is not None and source is None:
        raise UserError(
            f"embeddings.model.model_dir={cache} holds no model ({settings.model_name} and {settings.config_name}, or "
            "config.json), and without embeddings.model.model_repo nothing says what to download there"
        )
    if source is None:
        source = defaults.resource(defaults.EMBEDDER)
        logger.info(
            "Embedder: the package's small demonstration model. For real work, use "
            "embeddings.model.model_repo=Wespeaker/wespeaker-voxceleb-resnet34-LM"
        )
    model = WespeakerModel.from_pretrained(
        source, model_name=settings.model_name, config_name=settings.config_name, cache_dir=cache
    )
    changes = dataclasses.asdict(arguments.section("embeddings.model.features"))
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        current = {n: getattr(model.feature_extractor, n) for n in ("sampling_rate", "normalize_mean")}
        current |= {n: getattr(model.feature_extractor, n) for n in dataclasses.asdict(FEATURES.arguments())}
        model.feature_extractor = WespeakerFeatureExtractor(**{**current, **changes})
    if model.feature_extractor.num_mel_bins != model.config.feat_dim:
        raise UserError(
            f"features of {model.feature_extractor.num_mel_bins} mel bins, but the embedder takes "
            f"{model.config.feat_dim}"
        )
    return model


def load_autoencoder(arguments: Arguments) -> "BinaryAttributeAutoEncoder":
    """The autoencoder that the settings name.

    Raises:
        UserError: there is no such autoencoder, or its sizes are not those that the settings ask for.
    """
    from balr_hf import defaults
    from balr_hf.errors import UserError

    settings = arguments.section("encoder.model")
    source = _system(arguments) or settings.checkpoint_path
    if source is None:
        source = str(defaults.resource(defaults.AUTOENCODER))
        logger.info(
            "Autoencoder: the package's demonstration model, which fits embeddings of the demonstration embedder"
        )
    model = read_autoencoder(source)
    for name in ("input_dim", "internal_dim"):
        wanted = getattr(settings, name)
        if wanted not in (None, getattr(model.config, name)):
            raise UserError(f"encoder.model.{name}={wanted}, but {source} has {getattr(model.config, name)}")
    return model


def read_autoencoder(source: str) -> "BinaryAttributeAutoEncoder":
    """Load an autoencoder of this package or of BALR.

    Args:
        source (str): a training run, a folder, a `.pt` file of BALR, or a Hub repository.

    Raises:
        UserError: there is no autoencoder.
    """
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.checkpoints import resolve_checkpoint

    path = resolve_checkpoint(source)
    if not path.is_file():
        return BinaryAttributeAutoEncoder.from_pretrained(path)
    model = BinaryAttributeAutoEncoder.from_upstream(path)
    model.name_or_path = str(path)
    return model


def _holds_embedder(folder: Path, model_name: str, config_name: str) -> bool:
    """Whether a folder holds an embedder itself (this package's or WeSpeaker's), rather than the downloads of some."""
    from balr_hf.embeddings.wespeaker_checkpoint import files_in

    return (folder / "config.json").is_file() or files_in(folder, model_name, config_name) is not None
