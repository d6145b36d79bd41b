"""The settings that commands share, and their sections' names."""

from dataclasses import dataclass

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.cli.parsing import Section, names
from balr_hf.training.arguments import DEFAULT_LOSSES, LOSS_ARGUMENTS, DataArguments, TrainerArguments, option


@dataclass
class CorpusOptions:
    """How a command reads its corpora, and where it runs."""

    audio_formats: tuple = option(AUDIO_FORMATS, "extensions of audio files to look for in a folder", type=names)
    root_dir: str = option(None, "what relative paths in a csv start from; the csv's folder by default", type=str)
    device: str = option("cpu", "cpu, cuda, cuda:0, cuda:0,1 or mps", type=str)
    config_path: str = option(None, "folder of a YAML file with overrides", type=str)
    config_name: str = option("config", "name of that file", type=str)


@dataclass
class StepOptions(CorpusOptions):
    """Options of the commands that add vectors to a corpus."""

    force: bool = option(False, "compute vectors anew where there are some already")
    save_output: bool = option(True, "save what is computed")
    save_dir: str = option(None, "where to save; beside the recordings by default (required for a Dataset)", type=str)
    save_format: str = option(
        None, "txt, npy or dataset; txt for csv, folder and file inputs, dataset for a Dataset", type=str
    )


@dataclass
class RunOptions(CorpusOptions):
    """Options of the commands that make a run's folder."""

    save_dir: str = option(None, "the run's folder; numbered anew if it exists", type=str)
    exist_ok: bool = option(False, "use --save-dir even if it exists")


@dataclass
class EmbedderArguments:
    """Which embedder (`embeddings.model.*`)."""

    model_repo: str = option(
        None,
        "folder or Hub repository of the embedder, this package's or WeSpeaker's; the small demonstration model that "
        "ships with the package by default",
        type=str,
    )
    model_name: str = option("avg_model", "checkpoint's name in a WeSpeaker repository", type=str)
    config_name: str = option(
        "config.yaml", "configuration's name in a WeSpeaker repository", type=str, flat="model_config_name"
    )
    model_dir: str = option(None, "where downloads are kept; the Hub's cache by default", type=str)


@dataclass
class FeatureArguments:
    """Changes to the embedder's features (`embeddings.model.features.*`); by default the embedder's own."""

    num_mel_bins: int = option(None, "mel filters", type=int)
    frame_length: int = option(None, "in ms", type=int)
    frame_shift: int = option(None, "in ms", type=int)
    dither: float = option(None, "noise added to the samples", type=float)
    waveform_scale: float = option(None, "factor on the samples: 32768 as WeSpeaker, 1 as BALR 2.0", type=float)


@dataclass
class EncoderArguments:
    """Which autoencoder (`encoder.model.*`)."""

    checkpoint_path: str = option(
        None,
        "folder, training run, BALR's .pt or Hub repository; the shipped demonstration model by default",
        type=str,
    )
    input_dim: int = option(None, "checked against the checkpoint, if given", type=int)
    internal_dim: int = option(None, "checked against the checkpoint, if given", type=int)


@dataclass
class LossesArguments:
    """Which losses (`trainer.losses`)."""

    losses: tuple = option(DEFAULT_LOSSES, f"any of {', '.join(LOSS_ARGUMENTS)}", type=names)


@dataclass
class ScorerArguments:
    """Which scorer, and its settings (`scorer.*`)."""

    scorer: str = option(None, "beta or cosine; beta, or the checkpoint's kind, by default", type=str)
    checkpoint_path: str = option(None, "a fitted scorer's folder", type=str)
    n_attributes: int = option(None, "checked against the corpus, if given", type=int)
    n_iterations: int = option(100, "iterations of the fit (beta)", type=int)
    K: int = option(2, "values an attribute can take (beta)", type=int, args=["--K"])
    eps: float = option(1e-8, "added where the fit divides (beta), the least norm (cosine)", type=float)


DATA = Section("data", DataArguments)
EMBEDDER = Section("embeddings.model", EmbedderArguments)
FEATURES = Section("embeddings.model.features", FeatureArguments)
ENCODER = Section("encoder.model", EncoderArguments)
TRAINER = Section("trainer", TrainerArguments)
LOSSES = Section("trainer.losses", LossesArguments, selects="losses")
LOSS_SECTIONS = [Section(f"trainer.losses.{name}", cls, prefix=f"{name}_") for name, cls in LOSS_ARGUMENTS.items()]
SCORER = Section("scorer", ScorerArguments, selects="scorer")
