"""`balr train`: fits the binary-attribute autoencoder."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import DATA, LOSS_SECTIONS, LOSSES, TRAINER, RunOptions, mismatch_option
from balr_hf.cli.suggestions import did_you_mean
from balr_hf.errors import ConfigError
from balr_hf.options import option
from balr_hf.training.arguments import LOSS_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import datasets

    from balr_hf.training.losses import AutoEncoderLoss

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Options(RunOptions):
    """Options of `balr train`."""

    train: str = positional(
        "train",
        "training set: a corpus (csv, folder, saved Dataset, parquet file, Hub dataset) with embeddings and speakers",
    )
    val: str = positional("val", "validation set: a corpus likewise")
    resume_from: str | None = option(None, "folder of an interrupted run to continue", type=str)
    allow_mismatch: bool = mismatch_option()


COMMAND = Command(
    "train",
    "Train the autoencoder that turns embeddings into binary attributes. The results go to runs/train, runs/train2, "
    "...: best/ (the model with the lowest validation loss), last/ (the latest model) and history.json.",
    Options,
    [*LOSS_SECTIONS, LOSSES, TRAINER, DATA],
    epilog="""examples:
  balr train train.csv val.csv
  balr train train.csv val.csv trainer.epochs=10 'trainer.losses=[mse, arcface]' trainer.losses.arcface.weight=1
  accelerate launch --multi_gpu -m balr_hf train train.csv val.csv --device cuda
  balr train train.csv val.csv --resume-from runs/train""",
)


def run(arguments: Arguments) -> None:
    """Train an autoencoder."""
    import os

    import torch

    from balr_hf.devices import resolve_devices
    from balr_hf.training.trainer import BinaryAttributeEncoderTrainer

    losses = _losses(arguments)
    _warn_idle(arguments, losses)
    devices = resolve_devices(arguments.device)
    if devices[0].type == "cuda":
        rank = int(os.environ.get("LOCAL_RANK", 0))
        if "LOCAL_RANK" not in os.environ and len(devices) > 1:
            logger.warning("One process trains on %s: accelerate launch starts one for each GPU", devices[0])
        device = devices[rank % len(devices)] if len(devices) > 1 or "LOCAL_RANK" not in os.environ else None
        if device is not None:
            torch.cuda.set_device(device)
            os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    settings = vars(arguments.section("trainer"))
    if arguments.resume_from is not None and "trainer.epochs" not in arguments.given:
        settings = settings | {"epochs": None}  # as many as the run was to have
    trainer = BinaryAttributeEncoderTrainer(
        _read_set(arguments, arguments.train),
        _read_set(arguments, arguments.val),
        data_config=arguments.section("data"),
        loss_funcs=losses,
        **settings,
        save_dir=arguments.save_dir,
        exist_ok=arguments.exist_ok,
        device=devices[0].type,
        resume_from=arguments.resume_from,
        allow_mismatch=arguments.allow_mismatch,
    )
    trainer.train()
    if trainer.accelerator.is_main_process:
        figures = {"epochs": trainer.epoch, "best_validation_loss": trainer.best_loss, "history": trainer.history}
        figures["mismatch"] = trainer.settings.get("mismatch")
        print_json(arguments, {**figures, "saved_in": str(trainer.save_dir)})


def _read_set(arguments: Arguments, path: str) -> "datasets.Dataset":
    """The corpus at `path` with its embeddings; what could not be read or was replaced is named in a warning."""
    from balr_hf.data.audio_behind import describe_replaced_audio
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped

    corpus = read_corpus(
        path, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=("embedding",)
    )
    warn_skipped(corpus.skipped, f"Reading {path}")
    replaced = describe_replaced_audio(corpus.dataset)
    if replaced is not None:
        logger.warning("%s", replaced)
    return corpus.dataset


def _warn_idle(arguments: Arguments, losses: "Sequence[AutoEncoderLoss]") -> None:
    """Say which of the settings of batches that were given have no effect in this training."""
    from balr_hf.training.settings import unused_data_settings

    unused = unused_data_settings(arguments.section("data"), losses)
    idle = [key for name in unused if (key := f"data.{name}") in arguments.given]
    if idle:
        how = " with data.sampler=none" if "N_classes_per_batch" in unused else ""
        logger.warning("No effect in balr train%s: %s", how, ", ".join(idle))


def _losses(arguments: Arguments) -> "list[AutoEncoderLoss]":
    """The losses that were named, with their settings.

    Those of the user's own are named by their class paths, or get a name (`trainer.losses.NAME._target_=PATH`), by
    which logs and run.json then call them.

    Raises:
        ConfigError: settings of a loss that is not among them; a loss is unknown, or does not have a setting.
    """
    from balr_hf.training.losses import build_losses

    own = {part.rpartition(".")[2]: path for part, path in arguments.own_classes.items()}
    names = [*arguments.losses, *(name for name in own if name not in arguments.losses)]
    _check_loss_settings(arguments, names)
    found = []
    for name in names:
        if name in LOSS_ARGUMENTS:
            found += build_losses({name: arguments.section(f"trainer.losses.{name}")})
            continue
        (loss,) = build_losses({own.get(name, name): arguments.own.get(f"trainer.losses.{name}")})
        if name in own:
            loss.name = name
        found.append(loss)
    return found


def _check_loss_settings(arguments: Arguments, names: list[str]) -> None:
    """Refuse settings of losses that are not among those that were named.

    Raises:
        ConfigError: there are such settings.
    """
    for key in sorted(arguments.given):
        name = key.removeprefix("trainer.losses.").split(".")[0]
        if key.startswith("trainer.losses.") and name not in names:
            hint = did_you_mean(name, names)
            if name in LOSS_ARGUMENTS:
                hint = f"; add it: --losses {','.join([*arguments.losses, name])}"
            elif not hint:
                hint = did_you_mean(name, LOSS_ARGUMENTS)
            raise ConfigError(f"{key} is set, but trainer.losses=[{', '.join(names)}] does not have {name}{hint}")
