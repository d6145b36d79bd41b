"""`balr binarize`: embeddings -> binary attributes."""

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import DATA, ENCODER, StepOptions, mismatch_option

if TYPE_CHECKING:
    import datasets

    from balr_hf.data.skipped import Skipped
    from balr_hf.data.store_base import SaveVectors

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(StepOptions):
    """Options of `balr binarize`."""

    input: str = positional(
        "input", "corpus with embeddings: a csv, a folder, a saved Dataset, a parquet file or a Hub dataset"
    )
    allow_mismatch: bool = mismatch_option()


COMMAND = Command(
    "binarize",
    "Turn the embedding of each recording into binary attributes. By default the attributes of files go to "
    "NAME_ba.txt beside each recording. The embeddings come from balr extract.",
    Options,
    [ENCODER, replace(DATA, note="these settings are for training and have no effect here", used=())],
    epilog="""examples:
  balr binarize corpus.csv
  balr binarize --save-dir attributes corpus.csv encoder.model.checkpoint_path=runs/train/best""",
)


def run(arguments: Arguments) -> int:
    """Binarize embeddings; returns the exit status."""
    from balr_hf.attributes.binarization import compute_binary_attributes
    from balr_hf.cli.models import load_autoencoder
    from balr_hf.cli.steps import run_step
    from balr_hf.data.origins import Maker
    from balr_hf.devices import resolve_devices
    from balr_hf.identity import model_identity

    device = resolve_devices(arguments.device)[0]
    model = load_autoencoder(arguments)

    def compute(dataset: "datasets.Dataset", *, save: "SaveVectors") -> "tuple[datasets.Dataset, list[Skipped]]":
        return compute_binary_attributes(
            model, dataset, device=device, allow_mismatch=arguments.allow_mismatch, save=save
        )

    return run_step(arguments, "ba", "embedding", Maker(model_identity(model)), compute)
