"""`balr convert`: checkpoints of BALR and WeSpeaker -> this package's folders."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.errors import UserError
from balr_hf.options import option

if TYPE_CHECKING:
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options:
    """Options of `balr convert`."""

    source: str = positional(
        "source", "an autoencoder of BALR (.pt file), or an embedder of WeSpeaker (folder or Hub repository)"
    )
    target: str = positional("target", "folder to write config.json, model.safetensors, ... to")
    model_name: str = option("avg_model.pt", "name of the checkpoint file, for WeSpeaker's embedders", type=str)
    config_name: str = option("config.yaml", "name of the configuration file, for WeSpeaker's embedders", type=str)
    waveform_scale: float | None = option(
        None,
        "factor that the embedder scales samples (between -1 and 1) by; 1 is that of BALR 2.0 [default: 32768, as in "
        "WeSpeaker]",
        type=float,
    )
    json: bool = option(False, "print the results to standard output, as one JSON object")
    exist_ok: bool = option(
        False, "write into the target folder even if it exists; the files of a model in it are replaced"
    )


COMMAND = Command(
    "convert",
    "Convert a checkpoint of BALR or WeSpeaker to a folder that from_pretrained and the other commands can read.",
    Options,
    epilog="""examples:
  balr convert BAE_mse.pt models/bae-mse
  balr convert Wespeaker/wespeaker-voxceleb-resnet34-LM models/resnet34""",
)


def run(arguments: Arguments) -> None:
    """Convert a checkpoint and save it."""
    from balr_hf.files import added_to_folder

    target = Path(arguments.target)
    if target.exists() and not arguments.exist_ok:
        raise UserError(f"{target} exists already: choose another folder, or --exist-ok to write into it")
    model, what = _read(arguments)
    with added_to_folder(target) as temporary:
        model.save_pretrained(temporary)
    figures = {"model": model.role, "parameters": model.num_parameters()}
    print_json(arguments, {**figures, "saved_in": str(target)})
    logger.info("Wrote %s (%s, %d parameters)", target, what, model.num_parameters())


def _read(arguments: Arguments) -> "tuple[BinaryAttributeAutoEncoder | WespeakerModel, str]":
    """The model that the checkpoint holds, and its description for a message."""
    source = Path(arguments.source)
    if source.is_file() or source.suffix == ".pt":
        from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder

        autoencoder = BinaryAttributeAutoEncoder.from_upstream(source)
        sizes = autoencoder.config
        return autoencoder, f"autoencoder, {sizes.input_dim} values -> {sizes.internal_dim} attributes"
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

    embedder = WespeakerModel.from_pretrained(
        arguments.source, model_name=arguments.model_name, config_name=arguments.config_name
    )
    if arguments.waveform_scale is not None:
        embedder.feature_extractor.waveform_scale = arguments.waveform_scale
    return embedder, f"embedder, {embedder.config.embed_dim} values"
