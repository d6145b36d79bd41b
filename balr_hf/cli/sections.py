"""The options and the sections of settings that several commands share."""

from dataclasses import dataclass, fields
from typing import Any

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.cli.parsing import Section, names
from balr_hf.options import Checked, option
from balr_hf.scoring.auto import SCORERS
from balr_hf.training.arguments import DEFAULT_LOSSES, LOSS_ARGUMENTS, DataArguments, TrainerArguments

# What BALR 2.0 calls `K` is num_values in the configuration.
SCORER_FIELDS = {"K": "num_values"}

# The headings in `--help` of the options that most commands share.
CORPUS_GROUP, FILE_GROUP = "corpus and device", "configuration file"


def system_option() -> Any:
    """The option that names a whole system, of which a command uses its parts."""
    return option(
        None,
        "folder or Hub repository of a whole system (see balr assemble), whose parts are used [default: those that "
        "settings of their own name]",
        type=str,
    )


@dataclass
class FileOptions(Checked):
    """Where a command finds settings besides those that are typed."""

    config_path: str | None = option(
        None,
        "folder of a YAML file with settings (trainer: {epochs: 5}); those that are typed take precedence",
        type=str,
        group=FILE_GROUP,
    )
    config_name: str = option("config", "name of that file, without .yaml", type=str, group=FILE_GROUP)


@dataclass
class CorpusOptions(FileOptions):
    """How a command reads its corpora, and where it computes."""

    audio_formats: tuple[str, ...] = option(
        AUDIO_FORMATS,
        "endings of the files that count as audio in a folder, separated by commas",
        type=names,
        group=CORPUS_GROUP,
    )
    root_dir: str | None = option(
        None, "folder that relative paths in a csv start from [default: the csv's own]", type=str, group=CORPUS_GROUP
    )
    device: str = option(
        "cpu",
        "where to compute: cpu, cuda (the first GPU; under a launcher each process its own), cuda:1, cuda:0,1 (two "
        "GPUs) or mps (Apple)",
        type=str,
        group=CORPUS_GROUP,
    )


@dataclass
class StepOptions(CorpusOptions):
    """Options of the commands that add vectors to a corpus."""

    system: str | None = system_option()
    json: bool = option(False, "print the results to standard output, as one JSON object")
    force: bool = option(False, "compute the vectors again that exist already")
    save_output: bool = option(True, "save the vectors; with --no-save-output they are only computed, as a test")
    save_dir: str | None = option(
        None,
        "folder to save in [default: beside the recordings; required if the input or the output is a Dataset]",
        type=str,
    )
    save_format: str | None = option(
        None,
        "one txt, npy or pkl file per recording, or one dataset with the vectors as a column [default: dataset if the "
        "input is a Dataset, parquet or from the Hub, else txt]",
        type=str,
        among=("txt", "npy", "pkl", "dataset"),
    )
    exist_ok: bool = option(
        False, "without effect, since --save-dir may always exist; accepted because BALR 2.0 has it"
    )
    shard: str | None = option(
        None,
        "compute one share of the recordings alone, I/N with I from 0 to N - 1, as one of N processes or machines "
        "that save in one folder; afterwards, the command without it puts all together",
        type=str,
    )
    stream: bool = option(
        False,
        "read the recordings one after the other from a dataset on the Hub or from parquet files, keep none of their "
        "audio, and write parquet files of 1,000 recordings to --save-dir: for corpora larger than the disk",
    )
    balr_format: bool = option(
        False, "write attribute files that BALR 2.0 can read: a pair of numbers (active, inactive) per attribute"
    )


def bootstrap_option() -> int:
    """The option that says how many draws of the speakers the intervals of metrics are found by."""
    return option(
        1000,
        "how often the speakers are drawn anew for the 95 % intervals of the metrics; 0 for no intervals",
        type=int,
        least=0,
    )


def mismatch_option() -> bool:
    """The option by which a user accepts models and vectors that do not belong together."""
    return option(
        False, "go on with models or vectors that do not belong together; every result says what is wrong with them"
    )


@dataclass
class RunOptions(CorpusOptions):
    """Options of the commands that make a run's folder."""

    json: bool = option(False, "print the results to standard output, as one JSON object")
    save_dir: str | None = option(
        None, "folder for the results [default: see above]; if it exists, a number is added to its name", type=str
    )
    exist_ok: bool = option(False, "write into the folder of --save-dir even if it exists; results in it are replaced")


TRIALS_HELP = (
    "trial list: a header, then two columns of recording ids, called enrollment and test; several ids of one side are "
    "joined by commas. Lists of VoxCeleb (each line 1 ID ID or 0 ID ID) and of Kaldi (ID ID target or ID ID "
    "nontarget) are read as they are. The ids are those of the corpus, with or without the ending of the audio file"
)
MADE_TRIALS_HELP = "Or NxM, as in 1x1 or 3x1: trials of N recordings against M are then made of the corpus"


@dataclass
class TrialOptions(RunOptions):
    """Options of the commands that score trials."""

    sep: str = option(
        "\\t",
        "character between the columns of the trial list; \\t is a tab. Lists of VoxCeleb and Kaldi need no option "
        "and no header; any other list without tabs needs a header, such as 'label enrollment test', and --sep ' '",
        type=str,
    )
    within: str | None = option(
        None, "column of the corpus (sex, ...): compare different speakers only if both have the same value", type=str
    )
    across: str | None = option(
        None,
        "column of the corpus (session, channel, ...): compare recordings of one speaker only if they differ in it",
        type=str,
    )
    allow_overlap: bool = option(
        False,
        "accept speakers whom the scorer was fitted to or calibrated on, or whom a validated system was trained on",
    )
    leave_out_missing: bool = option(
        False,
        "leave out the trials of recordings that the corpus lacks, or that have no attributes, such as those that "
        "extract skipped; a warning counts the trials and names the recordings [default: such a list is refused]",
    )
    allow_mismatch: bool = mismatch_option()


@dataclass
class EmbedderArguments(Checked):
    """The embedder, which turns audio into embeddings (`embeddings.model.*`)."""

    model_repo: str | None = option(
        None,
        "folder or Hub repository of an embedder of this package or of WeSpeaker [default: the small demonstration "
        "model that ships with the package]",
        type=str,
    )
    model_name: str = option("avg_model", "name of the checkpoint file, for WeSpeaker's embedders", type=str)
    config_name: str = option(
        "config.yaml", "name of the configuration file, for WeSpeaker's embedders", type=str, flat="model_config_name"
    )
    model_dir: str | None = option(
        None,
        "folder to keep downloaded embedders in [default: the Hub's cache]; or, without --model-repo, a folder that "
        "holds the embedder",
        type=str,
    )


@dataclass
class FeatureArguments(Checked):
    """Changes to the acoustic features that the embedder takes (`embeddings.model.features.*`)."""

    num_mel_bins: int | None = option(None, "number of mel filters", type=int, least=1)
    frame_length: int | None = option(None, "length of a frame in ms", type=int, least=1)
    frame_shift: int | None = option(None, "time between the starts of two frames in ms", type=int, least=1)
    dither: float | None = option(
        None, "standard deviation of the noise that is added to the scaled samples", type=float, least=0
    )
    waveform_scale: float | None = option(
        None,
        "factor that the samples (between -1 and 1) are scaled by: 32768 as in WeSpeaker, 1 as in BALR 2.0",
        type=float,
    )


@dataclass
class EncoderArguments(Checked):
    """The autoencoder, which turns embeddings into binary attributes (`encoder.model.*`)."""

    checkpoint_path: str | None = option(
        None,
        "training run, model folder, .pt file of BALR, or Hub repository [default: the small demonstration model that "
        "ships with the package]",
        type=str,
    )
    input_dim: int | None = option(
        None, "number of values in an embedding; it is an error if the checkpoint has another", type=int
    )
    internal_dim: int | None = option(
        None, "number of attributes; it is an error if the checkpoint has another", type=int
    )


@dataclass
class LossesArguments(Checked):
    """The losses that are added up (`trainer.losses`)."""

    losses: tuple[str, ...] = option(
        DEFAULT_LOSSES,
        f"any of {', '.join(LOSS_ARGUMENTS)}, and paths of classes of your own, separated by commas. In a "
        "file, losses: [mse, sparsity] replaces the default, and losses.sparsity.weight: 0.001 beside it is a "
        "setting; losses: {mse: {weight: 2}} keeps the default losses",
        type=names,
    )


@dataclass
class ScorerArguments(Checked):
    """The scorer, which turns attributes into log-likelihood ratios, and its settings (`scorer.*`)."""

    scorer: str | None = option(
        None,
        f"{', '.join(SCORERS)}, or the path of a class of your own [default: the kind of the fitted scorer, else "
        "beta]",
        type=str,
    )
    checkpoint_path: str | None = option(
        None,
        "folder or Hub repository of a fitted scorer [default: the small demonstration scorer that ships with the "
        "package]",
        type=str,
    )
    n_attributes: int | None = option(None, "number of attributes; it is an error if the corpus has another", type=int)
    n_iterations: int = option(100, "iterations of the fit (beta, maxllr)", type=int, least=1, of=("beta", "maxllr"))
    K: int = option(
        2,
        "number of values that an attribute can take (beta): 2, since attributes are binary",
        type=int,
        args=["--K"],
        least=2,
        of=("beta",),
    )
    eps: float = option(
        1e-8,
        "small number that is added to the divisors of the fit (beta), or the least norm to divide by (cosine)",
        type=float,
        of=("beta", "cosine"),
    )
    drop_in: float = option(
        0.12, "probability that noise activates an attribute (dna, speech)", type=float, of=("dna", "speech")
    )
    typicality_threshold: float = option(
        1e-4,
        "an attribute that is less typical of the reference speakers than this carries no evidence (dna, speech)",
        type=float,
        of=("dna", "speech"),
    )
    f: float = option(
        0.5,
        "starting value for the share of speakers who have an attribute (maxllr)",
        type=float,
        args=["--f"],
        of=("maxllr",),
    )
    p: float = option(
        0.9,
        "starting value for the probability that an attribute is active in a recording of a speaker who has it "
        "(maxllr)",
        type=float,
        args=["--p"],
        of=("maxllr",),
    )
    q: float = option(
        0.1,
        "starting value for the same probability for a speaker who lacks it (maxllr)",
        type=float,
        args=["--q"],
        of=("maxllr",),
    )


def scorer_settings() -> dict[str, tuple[str, ...]]:
    """The settings of each scorer of the package, by the scorer's short name."""
    owned = [(f.name, f.metadata["of"]) for f in fields(ScorerArguments) if "of" in f.metadata]
    return {scorer: tuple(name for name, of in owned if scorer in of) for scorer in SCORERS}


DATA = Section("data", DataArguments, idle=("normalize_mean", "normalize_var"))
EMBEDDER = Section("embeddings.model", EmbedderArguments, only="wespeaker")
FEATURES = Section(
    "embeddings.model.features", FeatureArguments, idle=("frontend",), note="by default they are the embedder's own"
)
ENCODER = Section("encoder.model", EncoderArguments, only="autoencoder")
TRAINER = Section("trainer", TrainerArguments)
LOSSES = Section("trainer.losses", LossesArguments, selects="losses", is_open=True)
LOSS_SECTIONS = [Section(f"trainer.losses.{name}", cls, prefix=f"{name}_") for name, cls in LOSS_ARGUMENTS.items()]
SCORER = Section(
    "scorer",
    ScorerArguments,
    selects="scorer",
    is_open=True,
    note="the scorers that have a setting are named in brackets; a fitted scorer keeps the values that it was fitted "
    "with, and asking for others is an error",
)
