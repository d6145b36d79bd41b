"""Checkpoints that others wrote: finding the one that a user means, and reading it without running code from it."""

from pathlib import Path

import torch

from balr_hf.errors import UserError


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict saved by `torch.save`, or safetensors.

    Raises:
        UserError: missing, damaged, or a pickle that holds anything but tensors.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can make torch raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot read {path}: damaged, or a pickle with more than tensors in it ({reason})") from error
    if isinstance(weights, dict) and isinstance(weights.get("model"), dict):
        weights = weights["model"]
    if not isinstance(weights, dict) or not weights or not all(torch.is_tensor(w) for w in weights.values()):
        raise UserError(f"{path} is not a state dict (names to tensors)")
    return {name.removeprefix("module."): weight for name, weight in weights.items()}


def resolve_checkpoint(path: str | Path) -> Path:
    """The checkpoint that a path means, whether it names our folder, a run, or the file that BALR would have written.

    `runs/train/best.pt` stands for the folder `runs/train/best`, `runs/scorer/train/scorer.pt` for the folder
    `runs/scorer/train`, and a training run for its `best` model. An existing file is taken as it is.

    Raises:
        UserError: nothing there.
    """
    path = Path(path)
    candidates = [path]
    if path.suffix == ".pt":
        candidates += [path.with_suffix(""), path.parent]
    for candidate in candidates:
        if candidate.is_file() or (candidate / "config.json").is_file():
            return candidate
        if (candidate / "best" / "config.json").is_file() and candidate is path:
            return candidate / "best"
    raise UserError(f"no checkpoint at {path}: expected a folder with config.json, a training run, or a .pt file")
