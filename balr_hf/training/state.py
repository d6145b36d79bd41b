"""The state that a run is resumed from: tensors and numbers only, so that reading one can execute nothing.

Accelerate writes such a state as pickles, and a pickle runs whatever code its author put there. Here weights, moments
of the optimizer and states of random number generators are safetensors, and the rest is JSON.
"""

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from balr_hf.checkpoints import check_weights
from balr_hf.errors import UserError, name_some, reason_of
from balr_hf.files import write_file, write_json

PROGRESS = "progress.json"
MODEL, LOSSES, OPTIMIZER = "model.safetensors", "losses.safetensors", "optimizer.safetensors"

# Endings of pickles, which states of earlier versions consist of.
_PICKLES = (".pkl", ".bin", ".pt")

# The sizes of the states of Python's and NumPy's generators, a Mersenne Twister of 624 words and a position.
_WORDS = 624


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch (int): how many epochs are done.
        best_loss (float): the lowest total validation loss so far; infinity before the first validation.
        history (list of dict): what was logged so far.
        scaler (dict of str to float): the state of the scaler of gradients; empty unless training is in fp16.
    """

    epoch: int
    best_loss: float
    history: list[dict[str, float]]
    scaler: dict[str, float]


def write_progress(folder: Path, progress: Progress) -> None:
    """Write `progress.json`, last of all: its presence says that the state is whole."""
    write_json(folder / PROGRESS, vars(progress))


def read_progress(folder: Path) -> Progress:
    """Read and check `progress.json`.

    Raises:
        UserError: there is no state, an earlier version wrote it as pickles, or it is damaged.
    """
    path = folder / PROGRESS
    if not path.is_file():
        raise UserError(
            f"{folder.parent} is not a run that can be resumed: it has no state/, which is written after the first "
            "epoch"
        )
    found = read_json(path)
    if not (folder / OPTIMIZER).is_file() and any(path.suffix in _PICKLES for path in folder.iterdir()):
        raise UserError(
            f"{folder} was written by an earlier version of balr_hf as pickles, which can execute any code when they "
            "are read, and is therefore not resumed: start the run again, or use its models best/ and last/ as they "
            "are"
        )
    epoch, history, scaler = found.get("epoch"), found.get("history"), found.get("scaler")
    best_loss = math.inf if found.get("best_loss") is None else found["best_loss"]  # None: JSON's infinity
    if (
        not (isinstance(epoch, int) and epoch > 0)
        or not _is_number(best_loss)
        or not (isinstance(history, list) and all(isinstance(row, dict) for row in history))
        or not (isinstance(scaler, dict) and all(map(_is_number, scaler.values())))
    ):
        raise UserError(f"{path} is damaged: expected epoch, best_loss, history and scaler")
    return Progress(epoch, float(best_loss), history, scaler)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        UserError: the file is missing, out of reach or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {path}: missing or damaged ({reason_of(error)})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged: expected a JSON object, found {type(found).__name__}")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors as safetensors, each in memory of its own as that format wants it."""
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_file(str(path), save(copies))  # not `save_file`, whose file nobody else may read


def load_tensors(path: Path, expected: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Read tensors that [`save_tensors`] wrote.

    Args:
        path: the file.
        expected: the shape of each tensor, by its name.

    Raises:
        UserError: the file is missing or damaged, lacks a tensor, or has one more, of another shape, or not finite.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {path}: missing or damaged ({reason_of(error)})") from error
    wrong = [name for name in {*expected, *found} if name not in found or expected.get(name) != found[name].shape]
    if wrong:
        raise UserError(f"{path} is not of this run: {name_some(sorted(wrong))} missing, unknown or of another shape")
    check_weights(found, path)
    return found


def loss_tensors(losses: Iterable[torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The parameters of losses, and what they drew at random (the sparsity targets), by the losses' numbers."""
    return {
        f"{number}.{name}": tensor
        for number, loss in enumerate(losses)
        for name, tensor in (*loss.named_parameters(), *loss.named_buffers())
    }


@torch.no_grad()
def load_losses(path: Path, losses: Sequence[torch.nn.Module]) -> None:
    """Copy into losses what [`loss_tensors`] gave."""
    tensors = loss_tensors(losses)
    if tensors:
        for name, value in load_tensors(path, _shapes(tensors)).items():
            tensors[name].copy_(value)


def load_model(path: Path, model: torch.nn.Module) -> None:
    """Copy saved weights into a model."""
    model.load_state_dict(load_tensors(path, _shapes(model.state_dict())))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What Adam remembers of each parameter: its moments and the number of steps, by the parameters' numbers."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def load_optimizer(path: Path, optimizer: torch.optim.Adam) -> None:
    """Give Adam what [`optimizer_tensors`] gave; its settings stay those of this run."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    shapes = {
        f"{number}.{name}": shape
        for number, parameter in enumerate(parameters)
        for name, shape in (
            ("step", torch.Size()),
            ("exp_avg", parameter.shape),
            ("exp_avg_sq", parameter.shape),
        )
    }
    found = load_tensors(path, shapes)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in found.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def random_tensors(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of the random number generators of this process: Python's, NumPy's, PyTorch's and the device's."""
    _, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    states = {
        "python": torch.tensor(words),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
        "numpy_position": torch.tensor([position, has_gauss]),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if device.type != "cpu":
        states["device"] = torch.get_device_module(device).get_rng_state()
    return states


def load_random(path: Path, device: torch.device) -> None:
    """Put the random number generators of this process into the states that [`random_tensors`] gave.

    Raises:
        UserError: the file is missing or damaged, or is that of another kind of device.
    """
    now = random_tensors(device)
    try:
        found = load_file(path)
        words = found["python"].tolist()
        gauss = found["python_gauss"].tolist()
        position, has_gauss = found["numpy_position"].tolist()
        keys, cached = found["numpy"].numpy().astype(np.uint32), found["numpy_gauss"].item()
        if found.keys() != now.keys() or len(words) != _WORDS + 1 or not 0 <= position <= _WORDS:
            raise ValueError("not the generators of this device")
        random.setstate((3, tuple(words), gauss[0] if gauss else None))
        np.random.set_state(("MT19937", keys, position, has_gauss, cached))
        torch.set_rng_state(found["torch"])
        if "device" in found:
            torch.get_device_module(device).set_rng_state(found["device"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise UserError(f"cannot resume from {path}: missing, damaged or of another device ({error})") from error
