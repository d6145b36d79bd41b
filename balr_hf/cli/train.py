"""`balr train`: fits the binary-attribute autoencoder."""

import logging
from dataclasses import dataclass

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import DATA, LOSS_SECTIONS, LOSSES, TRAINER, RunOptions
from balr_hf.errors import ConfigError
from balr_hf.options import option
from balr_hf.training.arguments import LOSS_ARGUMENTS

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(RunOptions):
    """Options of `balr train`."""

    train: str = positional("train", "training set, with embeddings and speakers")
    val: str = positional("val", "validation set, with embeddings and speakers")
    resume_from: str = option(None, "folder of an interrupted run to go on with", type=str)


COMMAND = Command(
    "train",
    "Train the binary-attribute autoencoder. Results go to runs/train, runs/train2, ...: best/, last/, history.json.",
    Options,
    [*LOSS_SECTIONS, LOSSES, TRAINER, DATA],
    epilog="""examples:
  balr train train.csv test.csv
  balr train train.csv test.csv trainer.epochs=10 'trainer.losses=[mse, arcface]' trainer.losses.arcface.weight=1
  accelerate launch --multi_gpu -m balr_hf.cli.main train train.csv test.csv --device cuda
  balr train train.csv test.csv --resume-from runs/train""",
)


def run(arguments: Arguments) -> None:
    """Train."""
    import os

    import torch

    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.devices import resolve_devices
    from balr_hf.training.losses import build_losses
    from balr_hf.training.trainer import BinaryAttributeEncoderTrainer

    names = arguments.losses
    for key in arguments.given:
        loss = key.removeprefix("trainer.losses.").split(".")[0]
        if key.startswith("trainer.losses.") and loss not in names:
            raise ConfigError(f"{key} is set, but trainer.losses=[{', '.join(names)}] does not have {loss}")
    losses = build_losses(
        {n: arguments.section(f"trainer.losses.{n}") if n in LOSS_ARGUMENTS else None for n in names}
    )
    devices = resolve_devices(arguments.device)
    if devices[0].type == "cuda":
        rank = int(os.environ.get("LOCAL_RANK", 0))
        if "LOCAL_RANK" not in os.environ and len(devices) > 1:
            logger.warning("One process trains on %s: accelerate launch starts one for each GPU", devices[0])
        device = devices[rank % len(devices)] if len(devices) > 1 or "LOCAL_RANK" not in os.environ else None
        if device is not None:
            torch.cuda.set_device(device)
            os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    sets = []
    for path in (arguments.train, arguments.val):
        corpus = read_corpus(
            path, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=("embedding",)
        )
        warn_skipped(corpus.skipped, f"Reading {path}")
        sets.append(corpus.dataset)
    trainer = BinaryAttributeEncoderTrainer(
        *sets,
        data_config=arguments.section("data"),
        loss_funcs=losses,
        **vars(arguments.section("trainer")),
        save_dir=arguments.save_dir,
        exist_ok=arguments.exist_ok,
        device=devices[0].type,
        resume_from=arguments.resume_from,
    )
    trainer.train()
