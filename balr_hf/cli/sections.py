"""The settings that commands share, and their sections' names."""

from dataclasses import dataclass, fields

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.cli.parsing import Section, names
from balr_hf.options import Checked, option
from balr_hf.scoring.auto import SCORERS
from balr_hf.training.arguments import DEFAULT_LOSSES, LOSS_ARGUMENTS, DataArguments, TrainerArguments

# What BALR 2.0 calls `K` is num_values in the configuration.
SCORER_FIELDS = {"K": "num_values"}

# The group of flags that are of the corpus and of where a command runs, in `--help`.
CORPUS_GROUP = "corpus and device"


@dataclass
class CorpusOptions(Checked):
    """How a command reads its corpora, and where it runs."""

    audio_formats: tuple[str, ...] = option(
        AUDIO_FORMATS, "extensions of audio files to look for in a folder", type=names, group=CORPUS_GROUP
    )
    root_dir: str | None = option(
        None, "what relative paths in a csv start from; the csv's folder by default", type=str, group=CORPUS_GROUP
    )
    device: str = option("cpu", "cpu, cuda, cuda:0, cuda:0,1 or mps", type=str, group=CORPUS_GROUP)
    config_path: str | None = option(
        None, "folder of a YAML file with overrides", type=str, group="configuration file"
    )
    config_name: str = option("config", "name of that file", type=str, group="configuration file")


@dataclass
class StepOptions(CorpusOptions):
    """Options of the commands that add vectors to a corpus."""

    json: bool = option(False, "print the figures as one JSON object on standard output")
    force: bool = option(False, "compute vectors anew where there are some already")
    save_output: bool = option(True, "save what is computed")
    save_dir: str | None = option(
        None, "where to save; beside the recordings by default (required for a Dataset)", type=str
    )
    save_format: str | None = option(
        None,
        "txt, npy, pkl or dataset; txt for csv, folder and file inputs, dataset for a Dataset",
        type=str,
        among=("txt", "npy", "pkl", "dataset"),
    )
    exist_ok: bool = option(False, "accepted for BALR 2.0's sake: here --save-dir may always exist")
    balr_format: bool = option(False, "write attributes as BALR 2.0 reads them: pairs of active, inactive")


@dataclass
class RunOptions(CorpusOptions):
    """Options of the commands that make a run's folder."""

    json: bool = option(False, "print the figures as one JSON object on standard output")
    save_dir: str | None = option(None, "the run's folder; numbered anew if it exists", type=str)
    exist_ok: bool = option(False, "use --save-dir even if it exists")


@dataclass
class TrialOptions(RunOptions):
    """Options of the commands that score trials."""

    sep: str = option("\\t", "what separates the columns of the trial list", type=str)
    allow_overlap: bool = option(False, "accept speakers that the scorer was fitted or calibrated on")


@dataclass
class EmbedderArguments(Checked):
    """Which embedder (`embeddings.model.*`)."""

    model_repo: str | None = option(
        None,
        "folder or Hub repository of the embedder, this package's or WeSpeaker's; the small demonstration model that "
        "ships with the package by default",
        type=str,
    )
    model_name: str = option("avg_model", "checkpoint's name in a WeSpeaker repository", type=str)
    config_name: str = option(
        "config.yaml", "configuration's name in a WeSpeaker repository", type=str, flat="model_config_name"
    )
    model_dir: str | None = option(None, "where downloads are kept; the Hub's cache by default", type=str)


@dataclass
class FeatureArguments(Checked):
    """Changes to the embedder's features (`embeddings.model.features.*`); by default the embedder's own."""

    num_mel_bins: int | None = option(None, "mel filters", type=int, least=1)
    frame_length: int | None = option(None, "in ms", type=int, least=1)
    frame_shift: int | None = option(None, "in ms", type=int, least=1)
    dither: float | None = option(None, "noise added to the samples", type=float, least=0)
    waveform_scale: float | None = option(None, "factor on the samples: 32768 as WeSpeaker, 1 as BALR 2.0", type=float)


@dataclass
class EncoderArguments(Checked):
    """Which autoencoder (`encoder.model.*`)."""

    checkpoint_path: str | None = option(
        None,
        "folder, training run, BALR's .pt or Hub repository; the shipped demonstration model by default",
        type=str,
    )
    input_dim: int | None = option(None, "checked against the checkpoint, if given", type=int)
    internal_dim: int | None = option(None, "checked against the checkpoint, if given", type=int)


@dataclass
class LossesArguments(Checked):
    """Which losses (`trainer.losses`)."""

    losses: tuple[str, ...] = option(DEFAULT_LOSSES, f"any of {', '.join(LOSS_ARGUMENTS)}", type=names)


@dataclass
class ScorerArguments(Checked):
    """Which scorer, and its settings (`scorer.*`)."""

    scorer: str | None = option(
        None,
        f"{', '.join(SCORERS)}, or the path of a class of your own; beta, or the checkpoint's kind, by default",
        type=str,
    )
    checkpoint_path: str | None = option(None, "a fitted scorer's folder", type=str)
    n_attributes: int | None = option(None, "checked against the corpus, if given", type=int)
    n_iterations: int = option(100, "iterations of the fit (beta, maxllr)", type=int, least=1, of=("beta", "maxllr"))
    K: int = option(2, "values an attribute can take (beta)", type=int, args=["--K"], least=2, of=("beta",))
    eps: float = option(
        1e-8, "added where the fit divides (beta); the least norm (cosine)", type=float, of=("beta", "cosine")
    )
    drop_in: float = option(
        0.12, "probability that noise activates an attribute (dna, speech)", type=float, of=("dna", "speech")
    )
    typicality_threshold: float = option(
        1e-4, "less typical attributes carry no evidence (dna, speech)", type=float, of=("dna", "speech")
    )
    f: float = option(
        0.5, "share of speakers with an attribute, at the start (maxllr)", type=float, args=["--f"], of=("maxllr",)
    )
    p: float = option(
        0.9, "its activation for those with it, at the start (maxllr)", type=float, args=["--p"], of=("maxllr",)
    )
    q: float = option(
        0.1, "its activation for those without, at the start (maxllr)", type=float, args=["--q"], of=("maxllr",)
    )


def scorer_settings() -> dict[str, tuple[str, ...]]:
    """The settings that each scorer of the package has."""
    owned = [(f.name, f.metadata["of"]) for f in fields(ScorerArguments) if "of" in f.metadata]
    return {scorer: tuple(name for name, of in owned if scorer in of) for scorer in SCORERS}


DATA = Section("data", DataArguments, idle=("normalize_mean", "normalize_var"))
EMBEDDER = Section("embeddings.model", EmbedderArguments, only="wespeaker")
FEATURES = Section("embeddings.model.features", FeatureArguments, idle=("frontend",))
ENCODER = Section("encoder.model", EncoderArguments, only="autoencoder")
TRAINER = Section("trainer", TrainerArguments)
LOSSES = Section("trainer.losses", LossesArguments, selects="losses", is_open=True)
LOSS_SECTIONS = [Section(f"trainer.losses.{name}", cls, prefix=f"{name}_") for name, cls in LOSS_ARGUMENTS.items()]
SCORER = Section("scorer", ScorerArguments, selects="scorer", is_open=True)
