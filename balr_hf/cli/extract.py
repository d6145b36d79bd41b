"""`balr extract`: audio -> embeddings."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import DATA, EMBEDDER, FEATURES, StepOptions
from balr_hf.options import option

if TYPE_CHECKING:
    import datasets

    from balr_hf.data.skipped import Skipped
    from balr_hf.data.stores import SaveVectors
    from balr_hf.training.arguments import DataArguments

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(StepOptions):
    """Options of `balr extract`."""

    input: str = positional("input", "csv, folder of audio, audio file, saved Dataset, parquet or Hub dataset")
    num_proc: int | None = option(None, "processes; one a device by default", type=int, least=1)
    precision: str = option(
        "fp32",
        "fp32, tf32 (GPUs) or bf16: faster where the hardware has it, and a little off",
        type=str,
        among=("fp32", "tf32", "bf16"),
    )


COMMAND = Command(
    "extract",
    "Extract one speaker embedding from each recording. A run that was stopped goes on where it was.",
    Options,
    [FEATURES, EMBEDDER, DATA],
    epilog="""examples:
  balr extract recordings/
  balr extract --save-dir embeddings corpus.csv
  balr extract --device cuda corpus.csv embeddings.model.model_repo=Wespeaker/wespeaker-voxceleb-resnet34-LM""",
)


def run(arguments: Arguments) -> int:
    """Extract; returns the exit status."""
    from balr_hf.cli.models import load_embedder
    from balr_hf.cli.steps import run_step
    from balr_hf.devices import resolve_devices
    from balr_hf.embeddings.extraction import compute_embeddings, embedder_identity

    devices = resolve_devices(arguments.device)
    model = load_embedder(arguments)
    data: DataArguments = arguments.section("data")

    def compute(dataset: "datasets.Dataset", *, save: "SaveVectors") -> "tuple[datasets.Dataset, list[Skipped]]":
        return compute_embeddings(
            model,
            dataset,
            batch_size=data.batch_size,
            devices=devices,
            num_proc=arguments.num_proc,
            decode_threads=data.num_workers if data.num_workers > 1 else None,
            precision=arguments.precision,
            save=save,
        )

    return run_step(arguments, "embedding", "audio", embedder_identity(model, arguments.precision), compute)
