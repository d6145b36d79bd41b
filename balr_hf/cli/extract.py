"""`balr extract`: audio -> embeddings."""

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import DATA, EMBEDDER, FEATURES, StepOptions
from balr_hf.options import option

if TYPE_CHECKING:
    import datasets

    from balr_hf.data.skipped import Skipped
    from balr_hf.data.store_base import SaveVectors
    from balr_hf.training.arguments import DataArguments

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(StepOptions):
    """Options of `balr extract`."""

    input: str = positional(
        "input", "corpus: a csv, a folder of audio, an audio file, a saved Dataset, a parquet file or a Hub dataset"
    )
    num_proc: int | None = option(None, "number of processes [default: one per device]", type=int, least=1)
    min_speech: float = option(
        0.5,
        "seconds of speech that a recording needs, or it is skipped; 0 takes any recording that is not silent",
        type=float,
        least=0,
    )
    quick: bool = option(
        False, "tell audio files apart by size and time of change, where by default it is by their SHA-256"
    )
    precision: str = option(
        "fp32",
        "arithmetic of the embedder; tf32 (NVIDIA GPUs only) and bf16 are a little less exact, but faster where the "
        "hardware supports them",
        type=str,
        among=("fp32", "tf32", "bf16"),
    )


BATCHES = replace(
    DATA,
    note="extract uses batch_size (recordings that are saved together) and num_workers; the others are for training",
    used=("batch_size", "num_workers"),
)

COMMAND = Command(
    "extract",
    "Extract a speaker embedding, a vector of numbers, from each recording. By default the embeddings of files go to "
    "NAME_emb.txt beside each recording. If a run was stopped, the same command continues it.",
    Options,
    [FEATURES, EMBEDDER, BATCHES],
    epilog="""examples:
  balr extract recordings/
  balr extract --save-dir embeddings corpus.csv
  balr extract --device cuda corpus.csv embeddings.model.model_repo=Wespeaker/wespeaker-voxceleb-resnet34-LM""",
)


def run(arguments: Arguments) -> int:
    """Extract embeddings; returns the exit status."""
    from balr_hf.cli.models import load_embedder
    from balr_hf.cli.steps import run_step
    from balr_hf.devices import resolve_devices
    from balr_hf.embeddings.extraction import compute_embeddings, embedding_maker
    from balr_hf.training.arguments import PLAIN_BATCH_SIZE

    devices = resolve_devices(arguments.device)
    model = load_embedder(arguments)
    data: DataArguments = arguments.section("data")

    def compute(dataset: "datasets.Dataset", *, save: "SaveVectors") -> "tuple[datasets.Dataset, list[Skipped]]":
        return compute_embeddings(
            model,
            dataset,
            batch_size=data.batch_size or PLAIN_BATCH_SIZE,
            devices=devices,
            num_proc=arguments.num_proc,
            decode_threads=data.num_workers if data.num_workers > 1 else None,
            precision=arguments.precision,
            min_speech=arguments.min_speech,
            quick=arguments.quick,
            save=save,
        )

    maker = embedding_maker(model, arguments.precision, arguments.quick)
    return run_step(arguments, "embedding", "audio", maker, compute)
