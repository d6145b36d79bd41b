"""`balr binarize`: embeddings -> binary attributes."""

import logging
from dataclasses import dataclass

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import DATA, ENCODER, StepOptions

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(StepOptions):
    """Options of `balr binarize`."""

    input: str = positional("input", "csv, folder, saved Dataset, parquet or Hub dataset, with embeddings")


COMMAND = Command(
    "binarize",
    "Turn each recording's embedding into binary attributes.",
    Options,
    [ENCODER, DATA],
    epilog="""examples:
  balr binarize corpus.csv
  balr binarize --save-dir attributes corpus.csv encoder.model.checkpoint_path=runs/train/best""",
)


def run(arguments: Arguments) -> int:
    """Binarize; returns the exit status."""
    from balr_hf.attributes.binarization import get_binary_attributes
    from balr_hf.checkpoints import weights_digest
    from balr_hf.cli.steps import run_step
    from balr_hf.devices import resolve_devices

    device = resolve_devices(arguments.device)[0]
    model = load_autoencoder(arguments)

    def compute(dataset, save):
        return get_binary_attributes(model, dataset, device=device, save=save)

    return run_step(arguments, "ba", "embedding", weights_digest(model), compute)


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
