"""`balr assemble`: an embedder, an autoencoder and a scorer -> one folder with the whole system."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import mismatch_option
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.options import Checked, option

if TYPE_CHECKING:
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.describing import AttributeDescriptions
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.system.modeling_system import SpeakerComparisonModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """A published system.

    Args:
        embedder (str): Hub repository of the embedder.
        waveform_scale (float): the factor on the waveform that the autoencoder was trained with.
        sha256 (str): the sha256 of the autoencoder's file.
    """

    embedder: str
    waveform_scale: float
    sha256: str


PRESETS = {
    "balr2": Preset(
        "Wespeaker/wespeaker-voxceleb-resnet34-LM",
        1.0,
        "9211ab5d594421fdb0f37771ebd3212ed19c37007779018aa4f7a6f698763d15",  # of BAE_mse.pt
    )
}


@dataclass(kw_only=True)
class Options(Checked):
    """Options of `balr assemble`."""

    words: list[str] = field(
        metadata={
            "args": ["words"],
            "nargs": "+",
            "type": str,
            "metavar": "EMBEDDER AUTOENCODER SCORER DIR",
            "help": "the embedder (folder or Hub repository, of this package or of WeSpeaker), the autoencoder "
            "(training run, folder, .pt file of BALR, or Hub repository), the scorer (folder or Hub repository, or "
            "cosine, which needs no fitting), and the new folder to write the system to; with --preset, that folder "
            "only",
        }
    )
    preset: str | None = option(
        None,
        "a published system by its name: balr2 has the embedder of BALR 2.0 "
        "(Wespeaker/wespeaker-voxceleb-resnet34-LM, waveform scale 1) and the autoencoder that BALR publishes, which "
        "--autoencoder names",
        type=str,
        among=tuple(PRESETS),
    )
    autoencoder: str | None = option(
        None, "with --preset: path or address (https://...) of the autoencoder's file", type=str
    )
    sha256: str | None = option(
        None, "with --preset: the sha256 that this file must have [default: that of BALR's BAE_mse.pt]", type=str
    )
    scorer: str | None = option(
        None,
        "with --preset: folder or Hub repository of a scorer that was fitted to this autoencoder's attributes "
        "[default: cosine, since BALR publishes none]",
        type=str,
    )
    model_name: str = option("avg_model.pt", "name of the checkpoint file, for WeSpeaker's embedders", type=str)
    config_name: str = option("config.yaml", "name of the configuration file, for WeSpeaker's embedders", type=str)
    waveform_scale: float | None = option(
        None,
        "factor that the embedder scales samples (between -1 and 1) by; 1 is that of BALR 2.0 [default: that of the "
        "embedder, which is 32768 for WeSpeaker's]",
        type=float,
        above=0,
    )
    scorer_class: str | None = option(
        None, "path of the scorer's class (my_package.MyScorer), for a scorer of your own", type=str
    )
    allow_mismatch: bool = mismatch_option()
    json: bool = option(False, "print the results to standard output, as one JSON object")
    exist_ok: bool = option(
        False, "write into the target folder even if it exists; the files of a model in it are replaced"
    )


COMMAND = Command(
    "assemble",
    "Join an embedder, an autoencoder and a scorer that belong together in one folder. Such a whole system is what "
    "--system of the other commands names, and what pipeline(...) loads; balr push uploads it.",
    Options,
    epilog="""examples:
  balr assemble Wespeaker/wespeaker-voxceleb-resnet34-LM runs/train runs/scorer/train systems/mine
  balr assemble me/embedder me/attributes cosine systems/baseline
  balr assemble --preset balr2 --autoencoder BAE_mse.pt systems/balr2""",
)


def run(arguments: Arguments) -> None:
    """Load the parts, join them, and save the system."""
    from balr_hf.cli.downloads import checked_file
    from balr_hf.describing.descriptions import FILE as ATTRIBUTES
    from balr_hf.detectors.detector import FILES, load_detectors_of
    from balr_hf.files import added_to_folder
    from balr_hf.system.modeling_system import SpeakerComparisonModel

    *sources, folder = arguments.words
    target = Path(folder)
    sources, scale = _sources(arguments, sources)
    if target.exists() and not arguments.exist_ok:
        raise UserError(f"{target} exists already: choose another folder, or --exist-ok to write into it")
    files = list(sources)
    if arguments.preset is not None:
        files[1] = str(checked_file(sources[1], (arguments.sha256 or PRESETS[arguments.preset].sha256).lower()))
    embedder, autoencoder, scorer = _load(arguments, files[0], files[1], files[2], scale)
    system = SpeakerComparisonModel.from_parts(embedder, autoencoder, scorer, allow_mismatch=arguments.allow_mismatch)
    if system.config.mismatch is not None:
        logger.warning("%s: what the system says means nothing", system.config.mismatch)
    system.descriptions = _descriptions(files[1], system)
    system.detectors = load_detectors_of(system.embedder, files[0], "The {name} is left out")
    with added_to_folder(target) as temporary:
        system.save_pretrained(temporary)
        left = [name for name in (ATTRIBUTES, *FILES.values()) if not (temporary / name).exists()]
    for name in left:  # of an earlier system in this folder
        (target / name).unlink(missing_ok=True)
    what = {
        "embedder": f"{embedder.config.embed_dim} values, features scaled by {_scale(embedder):g}, from {sources[0]}",
        "autoencoder": f"{autoencoder.config.internal_dim} attributes, from {sources[1]}",
        "scorer": f"{type(scorer).__name__}, {'calibrated' if scorer.is_calibrated else 'not calibrated'}, "
        f"from {sources[2]}",
    }
    print_json(arguments, {**what, "saved_in": str(target)})
    logger.info("Wrote %s\n%s", target, "\n".join(f"  {part}: {text}" for part, text in what.items()))


def _scale(embedder: "WespeakerModel") -> float:
    return embedder.feature_extractor.waveform_scale


def _descriptions(source: str, system: "SpeakerComparisonModel") -> "AttributeDescriptions | None":
    """What is known of the attributes, if it lies beside the autoencoder and the embedder is the same."""
    from balr_hf.checkpoints import resolve_checkpoint
    from balr_hf.describing import load_descriptions
    from balr_hf.identity import model_identity

    folder = resolve_checkpoint(source)
    found = None if folder.is_file() else load_descriptions(folder)
    if found is None:
        return None
    try:
        identities = model_identity(system.autoencoder), model_identity(system.embedder)
        found.check(identities[0], system.config.autoencoder.internal_dim, identities[1])
    except MismatchError as error:
        logger.warning("The descriptions of the attributes are left out: %s", error)
        return None
    return found


def _sources(arguments: Arguments, words: list[str]) -> tuple[list[str], float | None]:
    """Where the three parts come from, and the waveform scale, None for that of the embedder.

    Raises:
        ConfigError: parts are missing, or are named twice.
    """
    if arguments.preset is None:
        own = [f"--{name}" for name in ("autoencoder", "sha256", "scorer") if getattr(arguments, name) is not None]
        if own:
            raise ConfigError(f"{' and '.join(own)} only with --preset; expected EMBEDDER AUTOENCODER SCORER DIR")
        if len(words) != 3:
            found = f"{len(arguments.words)}: {' '.join(arguments.words)}"
            raise ConfigError(f"expected EMBEDDER AUTOENCODER SCORER DIR, but got {found}")
        return words, arguments.waveform_scale
    preset = PRESETS[arguments.preset]
    if words:
        raise ConfigError(f"--preset {arguments.preset} takes one folder, but got {' '.join(arguments.words)}")
    if arguments.autoencoder is None:
        raise ConfigError(
            f"--preset {arguments.preset} needs --autoencoder: the path or the address of BALR's BAE_mse.pt"
        )
    if arguments.waveform_scale not in (None, preset.waveform_scale):
        raise ConfigError(f"--preset {arguments.preset} has a waveform scale of {preset.waveform_scale:g}")
    return [preset.embedder, arguments.autoencoder, arguments.scorer or "cosine"], preset.waveform_scale


def _load(
    arguments: Arguments, embedder_source: str, autoencoder_source: str, scorer_source: str, scale: float | None
) -> "tuple[WespeakerModel, BinaryAttributeAutoEncoder, Scorer]":
    """Load the parts, and give the embedder's features the scale, unless it is None.

    Raises:
        UserError: one of them is not there, or is a model of another kind.
    """
    from balr_hf.cli.models import read_autoencoder
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.scoring.auto import build_scorer, load_scorer, scorer_class

    embedder = WespeakerModel.from_pretrained(
        embedder_source, model_name=arguments.model_name, config_name=arguments.config_name
    )
    if scale is not None:
        embedder.feature_extractor.waveform_scale = scale
    autoencoder = read_autoencoder(autoencoder_source)
    if arguments.scorer_class is not None:
        scorer_class(arguments.scorer_class)  # registers it, so that it can be loaded
    if scorer_source == "cosine":
        return embedder, autoencoder, build_scorer("cosine", num_attributes=autoencoder.config.internal_dim)
    return embedder, autoencoder, load_scorer(scorer_source)
