"""Which embedder, autoencoder and scorer the settings name, and the counts of a trial list's sides."""

import dataclasses
import logging

from balr_hf.cli.parsing import Arguments
from balr_hf.cli.sections import FEATURES, SCORER_SETTINGS

logger = logging.getLogger(__name__)


def scorer_name(arguments: Arguments) -> str | None:
    """The scorer that was named, if any, after a check of the settings that were typed."""
    from balr_hf.errors import ConfigError

    name = arguments.section("scorer").scorer
    if name not in (None, *SCORER_SETTINGS):
        raise ConfigError(f"unknown scorer {name!r} (scorer={name}): expected {', '.join(SCORER_SETTINGS)}")
    if name is not None:
        valid = {f"scorer.{key}" for key in ("checkpoint_path", "n_attributes", *SCORER_SETTINGS[name])}
        for key in sorted(arguments.given - valid):
            if key.startswith("scorer."):
                raise ConfigError(f"unknown key {key} with scorer={name}: it has {', '.join(sorted(valid))}")
    return name


def load_named_scorer(arguments: Arguments, num_attributes: int):
    """The scorer that the settings name: a checkpoint, cosine, or the shipped one."""
    from balr_hf import defaults
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError, UserError
    from balr_hf.scoring.auto import build_scorer, load_scorer

    settings, name = arguments.section("scorer"), scorer_name(arguments)
    if settings.checkpoint_path is None and name == "cosine":
        scorer = build_scorer("cosine", num_attributes=num_attributes, **settings.configuration("cosine"))
    else:
        if settings.checkpoint_path is None:
            if name not in (None, "beta"):
                raise UserError(
                    f"scorer={name} must be fitted first (balr score train), then: scorer.checkpoint_path=..."
                )
            logger.info("Scorer: the demonstration model of the package, for attributes of its own autoencoder")
        scorer = load_scorer(settings.checkpoint_path or defaults.resource(defaults.SCORER))
    kind = scorer.config.model_type.removeprefix("balr-")
    if name not in (None, kind):
        raise UserError(f"scorer={name}, but {settings.checkpoint_path} holds {kind}")
    if settings.n_attributes not in (None, num_attributes):
        raise ConfigError(f"scorer.n_attributes={settings.n_attributes}, but the corpus has {num_attributes}")
    if scorer.config.num_attributes != num_attributes:
        raise UserError(f"the scorer knows {scorer.config.num_attributes} attributes, the corpus has {num_attributes}")
    return scorer.to(resolve_devices(arguments.device)[0])


def read_trial_counts(arguments: Arguments, path: str, trials):
    """The corpus at `path`, and the counts of the sides that the trials are made of."""
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.scoring.trials import side_counts

    corpus = read_corpus(path, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir)
    warn_skipped(corpus.skipped, f"Reading {path}")
    return corpus.dataset, side_counts(corpus.dataset, trials.sides)


def separator(arguments: Arguments) -> str:
    """What separates the columns of the trial list."""
    return arguments.sep.replace("\\t", "\t")


def load_embedder(arguments: Arguments):
    """The embedder that the settings name, with the changes to its features."""
    from balr_hf import defaults
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.errors import UserError

    settings = arguments.section("embeddings.model")
    source = settings.model_repo
    if source is None:
        source = defaults.resource(defaults.EMBEDDER)
        logger.info(
            "Embedder: the small demonstration model of the package. For real work: "
            "embeddings.model.model_repo=Wespeaker/wespeaker-voxceleb-resnet34-LM"
        )
    model = WespeakerModel.from_pretrained(
        source, model_name=settings.model_name, config_name=settings.config_name, cache_dir=settings.model_dir
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


def load_autoencoder(arguments: Arguments):
    """The autoencoder that the settings name."""
    from balr_hf import defaults
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.checkpoints import resolve_checkpoint
    from balr_hf.errors import UserError

    settings = arguments.section("encoder.model")
    source = settings.checkpoint_path
    if source is None:
        source = defaults.resource(defaults.AUTOENCODER)
        logger.info("Autoencoder: the demonstration model of the package, for embeddings of its own embedder")
    source = resolve_checkpoint(source)
    if source.is_file():
        model = BinaryAttributeAutoEncoder.from_upstream(source)
        model.name_or_path = str(source)
    else:
        model = BinaryAttributeAutoEncoder.from_pretrained(source)
    for name in ("input_dim", "internal_dim"):
        wanted = getattr(settings, name)
        if wanted not in (None, getattr(model.config, name)):
            raise UserError(f"encoder.model.{name}={wanted}, but {source} has {getattr(model.config, name)}")
    return model
