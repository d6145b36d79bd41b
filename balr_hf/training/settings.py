"""What a training is set to: which settings have an effect, what is refused, and what is recorded of them."""

import dataclasses
import logging
import math
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from balr_hf.class_paths import keywords_of
from balr_hf.errors import ConfigError, UserError
from balr_hf.training.arguments import PLAIN_BATCH_SIZE, DataArguments
from balr_hf.training.losses import LOSSES, ArcFaceLoss, AutoEncoderLoss, MSELoss
from balr_hf.training.samplers import SAMPLERS, sampler_class

logger = logging.getLogger(__name__)


def with_batch_size(data: DataArguments) -> DataArguments:
    """The same settings with a size of batches: if none is set, N x M, or that of plain batches.

    Raises:
        ConfigError: the sampler is unknown.
    """
    if data.batch_size is not None:
        return data
    in_groups = sampler_class(data.sampler) is not None
    size = data.N_classes_per_batch * data.M_samples_per_class if in_groups else PLAIN_BATCH_SIZE
    return dataclasses.replace(data, batch_size=size)


def unused_data_settings(data: DataArguments, losses: Sequence[AutoEncoderLoss]) -> tuple[str, ...]:
    """The names of the settings of [`DataArguments`] that have no effect in a training.

    Plain batches have no numbers of speakers and of recordings of each; only a loss may still be told the latter.

    Args:
        data ([`DataArguments`]): how batches are drawn.
        losses (sequence of [`AutoEncoderLoss`]): the losses of the training.

    Raises:
        ConfigError: the sampler is unknown.
    """
    if sampler_class(data.sampler) is not None:
        return ("num_workers",)
    is_told = any(type(loss).setup not in (AutoEncoderLoss.setup, ArcFaceLoss.setup) for loss in losses)
    return ("num_workers", "N_classes_per_batch", *(() if is_told else ("M_samples_per_class",)))


def checked_losses(losses: Any) -> list[AutoEncoderLoss]:
    """The losses as a list.

    Raises:
        ConfigError: these are no losses, and the message says how they are given; or their weights make no total that
            can be minimised.
    """
    if isinstance(losses, str | torch.nn.Module | type):
        raise ConfigError(f"loss_funcs={_call(losses)}: expected a list of losses, such as [MSELoss()]")
    found = list(losses)
    for loss in found:
        if isinstance(loss, type) and issubclass(loss, AutoEncoderLoss):
            raise ConfigError(f"loss_funcs has the class {loss.__name__}: expected a loss, {loss.__name__}(...)")
        if isinstance(loss, str):
            raise ConfigError(
                f"loss_funcs has the name {loss!r}: expected a loss, such as MSELoss(); "
                "balr_hf.training.losses.build_losses makes losses of names"
            )
        if not isinstance(loss, AutoEncoderLoss):
            raise ConfigError(
                f"loss_funcs has {_call(loss)}: expected losses of subclasses of balr_hf.AutoEncoderLoss"
            )
        if not hasattr(loss, "weight"):
            raise ConfigError(
                f"the loss {loss.name} has no weight: its __init__ has to call super().__init__(weight) first"
            )
        if not 0 <= float(loss.weight) < math.inf:
            raise ConfigError(
                f"the loss {loss.name} has the weight {float(loss.weight)}: expected a finite number, 0 or more, "
                "since training makes the total loss as low as it can"
            )
    if found and not any(float(loss.weight) for loss in found):
        raise ConfigError(
            f"trainer.losses=[{', '.join(loss.name for loss in found)}]: all have the weight 0, so that nothing would "
            "be trained"
        )
    return found


def check_folders(save_dir: Path | str | None, resume_from: Path | str | None) -> None:
    """Refuse a folder for the results of a resumed run that is not the run's own.

    Raises:
        ConfigError: it is another folder.
    """
    if save_dir is not None and resume_from is not None and Path(save_dir).resolve() != Path(resume_from).resolve():
        raise ConfigError(
            f"save_dir={save_dir} (--save-dir) is not the folder of the run to resume, {resume_from}, in which it "
            "goes on: leave it out, or copy the run there and resume the copy"
        )


def check_pairs(losses: Sequence[AutoEncoderLoss], data: DataArguments, speakers: int) -> None:
    """Refuse batches in which a loss that compares recordings of speakers finds none to compare.

    What a sampler of the user's own puts into a batch is not known.

    Args:
        losses (sequence of [`AutoEncoderLoss`]): the losses of the training.
        data ([`DataArguments`]): how batches are drawn.
        speakers (int): how many there are in the training set.

    Raises:
        ConfigError: a batch has one speaker, or one recording of each.
        UserError: there is but one speaker to train on.
    """
    for loss in losses:
        if not loss.uses_pairs:
            continue
        if speakers < 2:
            raise UserError(f"the training set has one speaker: the loss {loss.name} compares speakers")
        if sampler_class(data.sampler) in SAMPLERS.values():
            for name in ("N_classes_per_batch", "M_samples_per_class"):
                if getattr(data, name) < 2:
                    raise ConfigError(
                        f"data.{name}={getattr(data, name)}: the loss {loss.name} compares recordings of one speaker "
                        "with each other and with those of other speakers; expected at least 2"
                    )


def check_hyperplanes(losses: Sequence[AutoEncoderLoss], input_dim: int, internal_dim: int) -> None:
    """Refuse a training of the decoder alone whose losses are of attributes, or that has too few of these.

    Raises:
        ConfigError: a loss is not of the reconstruction, or the hyperplanes do not fit into the encoder.
    """
    others = [loss.name for loss in losses if not isinstance(loss, MSELoss)]
    if others:
        raise ConfigError(
            f"trainer.encoder=hyperplanes learns no attributes: the loss {', '.join(others)} would do nothing. "
            "Expected trainer.losses=[mse]"
        )
    if internal_dim < 2 * input_dim:
        raise ConfigError(
            f"trainer.encoder=hyperplanes with trainer.internal_dim={internal_dim}: expected at least "
            f"{2 * input_dim}, twice the values of an embedding"
        )


def _call(loss: Any) -> str:
    return f"{type(loss).__name__}(...)" if isinstance(loss, torch.nn.Module) else reprlib.repr(loss)


def loss_record(loss: AutoEncoderLoss) -> dict[str, Any]:
    """How a loss was set; with the path of its class if that is not one of the package's."""
    kind = type(loss)
    own = {} if kind in LOSSES.values() else {"class": f"{kind.__module__}.{kind.__qualname__}"}
    return own | loss.get_config_dict()


def warn_unrecorded(loss: AutoEncoderLoss) -> None:
    """Warn of the settings of a loss of the user's own that its `get_config_dict` does not tell."""
    lacking = [name for name in keywords_of(type(loss), AutoEncoderLoss) if name not in loss.get_config_dict()]
    if lacking:
        logger.warning(
            "The loss %s does not tell how it was set: run.json and model cards will lack %s. Return them in its "
            "get_config_dict(), as in super().get_config_dict() | {%s}",
            *(loss.name, ", ".join(lacking), ", ".join(f'"{name}": self.{name}' for name in lacking)),
        )
