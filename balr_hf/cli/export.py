"""`balr export`: an embedder and an autoencoder -> one ONNX file, from audio to attributes."""

import dataclasses
import logging
from dataclasses import dataclass, field

from balr_hf.cli.parsing import Arguments, Command
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import EMBEDDER, ENCODER, FEATURES, FileOptions, mismatch_option
from balr_hf.options import option

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(FileOptions):
    """Options of `balr export`."""

    words: list[str] = field(
        metadata={
            "args": ["words"],
            "nargs": "+",
            "type": str,
            "metavar": "[SYSTEM] DIR",
            "help": "folder or Hub repository of a whole system (see balr assemble) [default: the models that the "
            "settings below name], and the folder to write model.onnx, config.json and README.md to",
        }
    )
    allow_mismatch: bool = mismatch_option()
    json: bool = option(False, "print the results to standard output, as one JSON object")
    exist_ok: bool = option(
        False, "write into the target folder even if it exists; an export in it is replaced, and other files stay"
    )


COMMAND = Command(
    "export",
    "Export the embedder and the autoencoder as one ONNX file, which onnxruntime runs without this package: waveforms "
    "in, embeddings and binary attributes out. What the file computes is compared with the models on generated "
    'signals, and a file that differs is not kept. It needs pip install "balr_hf[onnx]".',
    Options,
    [FEATURES, EMBEDDER, ENCODER],
    epilog="""examples:
  balr export systems/mine onnx
  balr export onnx embeddings.model.model_repo=me/embedder encoder.model.checkpoint_path=runs/train""",
)


def run(arguments: Arguments) -> None:
    """Export the models, and report how well the file agrees with them."""
    from balr_hf.cli.models import load_autoencoder, load_embedder
    from balr_hf.errors import ConfigError
    from balr_hf.export import MODEL_FILE, export_onnx

    if len(arguments.words) > 2:
        raise ConfigError(f"{' '.join(arguments.words)}: expected [SYSTEM] DIR")
    *systems, target = arguments.words
    for system in systems:
        arguments.set("system", "system", system)
    embedder, autoencoder = load_embedder(arguments), load_autoencoder(arguments)
    options = {"exist_ok": arguments.exist_ok, "allow_mismatch": arguments.allow_mismatch}
    agreement = export_onnx(embedder, autoencoder, target, **options)
    print_json(arguments, {**dataclasses.asdict(agreement), "saved_in": target})
    logger.info(
        "On %d generated signals, embeddings differ from those of PyTorch by at most %.1e of their root mean square, "
        "and %d of %d attributes differ",
        *(agreement.recordings, agreement.difference, agreement.differing_attributes, agreement.attributes),
    )
    logger.info("Wrote %s/%s", target, MODEL_FILE)
