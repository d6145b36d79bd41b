"""Turning the names of devices, as users type them (`cpu`, `cuda`, `cuda:0,1`, `mps`), into torch devices.

And parting from the other processes that a launcher started, once theirs have done what they share.
"""

import os
import re
import sys
from typing import TYPE_CHECKING

from balr_hf.errors import ConfigError

if TYPE_CHECKING:
    import torch


def resolve_devices(device: str = "cpu") -> "list[torch.device]":
    """Return the torch devices that a name stands for.

    Args:
        device (str): `cpu`, `mps`, `cuda` (the first GPU; where a launcher started several processes, one for
            each), `cuda:1`, or several GPUs as `cuda:0,1`.

    Returns:
        `list[torch.device]`, at least one.

    Raises:
        ConfigError: an unknown name, or a device that this machine does not have.
    """
    import torch

    name = str(device).strip().lower()
    if name == "cuda" and int(os.environ.get("WORLD_SIZE", "1")) > 1:  # a launcher started several processes
        name = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % max(1, torch.cuda.device_count())}"
    if name == "cpu":
        return [torch.device("cpu")]
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("device mps was asked for, but this machine has none: use cpu")
        return [torch.device("mps")]
    if not re.fullmatch(r"cuda(:\d+(,\d+)*)?", name):
        raise ConfigError(f"unknown device {device!r}: expected cpu, cuda, cuda:0, cuda:0,1 or mps")
    indices = [int(index) for index in name.removeprefix("cuda").removeprefix(":").split(",") if index] or [0]
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if max(indices) >= available:
        raise ConfigError(
            f"device {device} was asked for, but torch finds {available or 'no'} CUDA GPU{'s' * (available != 1)} "
            "here: use --device cpu"
        )
    return [torch.device("cuda", index) for index in indices]


def part_from_other_processes() -> None:
    """End the connection to the processes that a launcher started, whose threads could abort this one at its exit.

    Where an error ends the program, the others may wait for it, and parting could wait for them.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or getattr(sys, "last_value", None) is not None:
        return
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
