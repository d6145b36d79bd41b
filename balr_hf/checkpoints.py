"""Checkpoints: finding the one that a user means, and reading it without running code from it."""

import hashlib
import math
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import cached_file

from balr_hf.errors import ConfigError, ModelFilesError, UserError, WeightsError, name_some, reason_of
from balr_hf.files import restore_folder

# Endings of files that hold weights; WeSpeaker's `avg_model` has none.
WEIGHTS = (".safetensors", ".bin", ".pt", "")

# Keywords of from_pretrained that say where on the Hub something is.
HUB_KEYWORDS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
# Those that say how it is loaded, and may be at fault where that fails.
LOADING_KEYWORDS = ("dtype", "torch_dtype", "device_map", "max_memory", "quantization_config", "key_mapping")


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict that `torch.save` wrote, or a safetensors file.

    Returns:
        the weights by name, on the CPU.

    Raises:
        UserError: the file is missing or damaged, holds numbers that are not finite, or is a pickle that holds
            anything but tensors.
    """
    if not path.is_file():
        raise ModelFilesError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights: Any = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can make torch raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFilesError(
            f"cannot read {path}: damaged, or a pickle with more than tensors in it ({reason})"
        ) from error
    if isinstance(weights, dict) and isinstance(weights.get("model"), dict):
        weights = weights["model"]
    if not isinstance(weights, dict) or not weights or not all(torch.is_tensor(w) for w in weights.values()):
        raise UserError(f"{path} is not a state dict (names to tensors)")
    weights = {name.removeprefix("module."): weight for name, weight in weights.items()}
    check_weights(weights, path)
    return weights


def weight_files(variant: str | None = None) -> tuple[str, str, str]:
    """How transformers names the files of weights: the whole file, the index of shards, and a pattern of the shards.

    Args:
        variant (str, *optional*): as for `PreTrainedModel.save_pretrained`.
    """
    more = "" if variant is None else f".{variant}"
    return f"model{more}.safetensors", f"model.safetensors.index{more}.json", f"model{more}-*-of-*.safetensors"


def check_weights(
    weights: Mapping[str, torch.Tensor], source: str | Path, ranges: Mapping[str, tuple[float, float]] | None = None
) -> None:
    """Check that no weight can make a model compute nonsense without a word.

    Args:
        weights: by name, as in a state dict.
        source: where they come from, for the message.
        ranges: the least and the largest value of those that cannot be any number.

    Raises:
        UserError: weights are not finite, the variances of a batch norm are negative, or values are out of range.
    """
    for name, weight in weights.items():
        if not weight.is_floating_point():
            continue
        low, high = (ranges or {}).get(name, (0.0 if name.endswith("running_var") else -math.inf, math.inf))
        finite = torch.isfinite(weight)
        if not finite.all():
            raise UserError(
                f"{source} is damaged: {int((~finite).sum())} of the {weight.numel()} values of {name} are not finite"
            )
        outside = (weight < low) | (weight > high)
        if outside.any():
            some = weight[outside].flatten()[0].item()
            place = "more than 0" if low > 0 and high == math.inf else f"{low:g} or more"
            place = place if high == math.inf else f"{low:g} to {high:g}"
            raise UserError(
                f"{source} is damaged: {int(outside.sum())} of the {weight.numel()} values of {name} are out of "
                f"range, such as {some:g}: expected {place}"
            )


def load_whole(
    load: Callable[..., Any], source: str | Path, model_types: list[str], what: str, **kwargs: Any
) -> PreTrainedModel:
    """Call `from_pretrained`, and accept only a whole model of the right kind, or that part of a whole system.

    Args:
        load: `from_pretrained` of transformers.
        source: a local folder or a Hub repository.
        model_types: the kinds that are accepted, as `config.json` names them.
        what (str): what the model is called in messages, and in a system that has it as a part: `embedder`.
        **kwargs: for `load`.

    Raises:
        ModelFilesError: there is no model, or its files are damaged.
        WeightsError: weights are missing, have another shape that is not to be ignored, or have no place in the model.
        ConfigError: a keyword is unknown, or a setting has a bad value.
        UserError: it is a model of another kind, or weights are not finite or out of their range.
    """
    if stored_kind(source, model_types, what, **kwargs) and not isinstance(kwargs.get("config"), PreTrainedConfig):
        check_settings(source, what, **kwargs)
    try:
        hub = {k: v for k, v in kwargs.items() if k in HUB_KEYWORDS}
        # Weights of another shape are told below, by their names.
        model, report = load(source, output_loading_info=True, **{**kwargs, "ignore_mismatched_sizes": True})
        if not Path(source).exists():
            place = {k: v for k, v in hub.items() if k in ("cache_dir", "revision", "subfolder")}
            file = cached_file(str(source), "config.json", **place, local_files_only=True)
            check_download(Path(str(file)))
    except (OSError, SafetensorError) as error:
        raise _cannot_load(what, source, error) from error
    except RuntimeError as error:
        raise WeightsError(f"cannot load {what} from {source}: {reason_of(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"cannot load {what} from {source}: {error}") from error
    except UserError:
        raise
    except Exception as error:  # a damaged config.json can make transformers and torch raise almost anything
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if isinstance(error, TypeError) and unknown is not None and unknown[1] in kwargs:
            raise ConfigError(
                f"cannot load {what} from {source}: from_pretrained knows no {unknown[1]}. It takes the keywords of "
                "PreTrainedModel.from_pretrained, and the settings of the model's configuration"
            ) from error
        # AutoModel moves it from the keywords to the configuration.
        if re.search("attention implementation|Flash Attention", str(error)):
            text = f"cannot load {what} from {source} with attn_implementation: it has no attention"
            raise ConfigError(text) from error
        how = ", ".join(f"{name}={reprlib.repr(kwargs[name])}" for name in LOADING_KEYWORDS if name in kwargs)
        keywords = f"{how} cannot be followed, or " if how else ""
        raise ModelFilesError(
            f"cannot load {what} from {source}: {keywords}its config.json or its weights are damaged "
            f"({type(error).__name__}: {reason_of(error)})"
        ) from error
    missing, unfit = set(report["missing_keys"]), {key for key, *_ in report.get("mismatched_keys", ())}
    wrong = missing - unfit if kwargs.get("ignore_mismatched_sizes") else missing | unfit
    if wrong:
        raise WeightsError(
            f"{source} lacks weights of {what}, or has them in another shape: {name_some(sorted(wrong))}"
        )
    if report["unexpected_keys"]:
        raise WeightsError(
            f"{source} has weights for which {what} of its config.json has no place: "
            f"{name_some(sorted(report['unexpected_keys']))}"
        )
    check_weights(model.state_dict(), source, getattr(model, "parameter_ranges", None))
    if hasattr(model, "check_whole"):
        model.check_whole()
    return model


def stored_kind(source: str | Path, model_types: Collection[str], what: str, **kwargs: Any) -> str:
    """Read from `config.json` which kind of model a folder or repository holds, by itself or as a part of a system.

    Args:
        source: a local folder or a Hub repository.
        model_types: the kinds that are accepted.
        what (str): what the model is called in messages, and in a system that has it as a part: `embedder`.
        **kwargs: of `from_pretrained`; those that say where on the Hub something is count.

    Returns:
        the model's `model_type`.

    Raises:
        ModelFilesError: there is no model.
        UserError: it is of another kind.
    """
    restore_folder(Path(source))
    if not Path(source).exists() and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source)):
        raise ModelFilesError(f"no {what} at {source}: no such folder, and not the name of a Hub repository")
    try:
        hub = {k: v for k, v in kwargs.items() if k in HUB_KEYWORDS}
        given = kwargs.get("config")
        if isinstance(given, PreTrainedConfig):
            config = given.to_dict()
        else:
            config = PreTrainedConfig.get_config_dict(source, **hub)[0]
        if config.get("model_type") is None:
            raise OSError("no config.json that names the kind of model")
    except UserError:
        raise
    except Exception as error:  # as above
        raise _cannot_load(what, source, error) from error
    part = config.get(what)
    for kind in (config.get("model_type"), part.get("model_type") if isinstance(part, dict) else None):
        if kind in model_types:
            return str(kind)
    raise UserError(
        f"{source} holds a model of type {config.get('model_type')}, not {what} ({', '.join(model_types)})"
    )


def check_settings(source: str | Path, what: str, **kwargs: Any) -> None:
    """Check that the values in `config.json` have the types which the configuration's class states.

    Python would take `"no"` for true, and 0.5 for a number of channels until PyTorch stumbles over it.

    Args:
        source: a local folder or a Hub repository.
        what (str): what the model is called in messages, and in a system that has it as a part.
        **kwargs: of `from_pretrained`; those that say where on the Hub something is count.

    Raises:
        ConfigError: a value is of another type, or no number that could be meant.
    """
    from transformers import CONFIG_MAPPING

    config = PreTrainedConfig.get_config_dict(source, **{k: v for k, v in kwargs.items() if k in HUB_KEYWORDS})[0]
    parts = {f"{name}.": part for name, part in config.items() if isinstance(part, dict) and "model_type" in part}
    for prefix, settings in {"": config, **parts}.items():
        kind = settings.get("model_type")
        types = stated_types(CONFIG_MAPPING[kind]) if isinstance(kind, str) and kind in CONFIG_MAPPING else {}
        for name, value in settings.items():
            if name in types and not has_type(value, types[name]):
                raise ConfigError(
                    f"cannot load {what} from {source}: config.json has {prefix}{name}={reprlib.repr(value)}, "
                    f"expected {type_text(types[name])}"
                )


def type_text(stated: Any) -> str:
    """A type as messages name it: `list[int] or null`."""
    text = stated.__name__ if isinstance(stated, type) and not get_args(stated) else str(stated)
    return text.replace(" | None", " or null")


def stated_types(kind: type) -> dict[str, Any]:
    """The types of the arguments of a class and of its bases, outside transformers, by their names."""
    types: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if "__init__" in vars(base) and base is not object and not base.__module__.startswith("transformers."):
            types |= get_type_hints(base.__init__)  # type: ignore[misc]  # of this very class
    return {name: stated for name, stated in types.items() if name not in ("kwargs", "return")}


def has_type(value: object, stated: Any) -> bool:
    """Tell whether a value that JSON gave has a type; numbers must be finite, and whole ones no larger than sizes."""
    origin, arguments = get_origin(stated), get_args(stated)
    if origin in (Union, UnionType):
        return any(has_type(value, one) for one in arguments)
    if stated in (int, float):
        is_number = isinstance(value, int | float if stated is float else int) and not isinstance(value, bool)
        return is_number and (abs(value) < 2**31 if stated is int else abs(value) < math.inf)  # type: ignore[arg-type]
    if origin is list:
        return isinstance(value, list) and all(has_type(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict)
    if stated is None or stated is type(None):
        return value is None
    if isinstance(stated, type):
        return isinstance(value, stated if not issubclass(stated, PreTrainedConfig) else dict)
    return True


def _cannot_load(what: str, source: str | Path, error: Exception) -> ModelFilesError:
    return ModelFilesError(
        f"cannot load {what} from {source}: no such folder or repository, or damaged ({reason_of(error)})"
    )


def check_download(file: Path) -> None:
    """Check the weights beside a file in the Hub's cache by the sha256 that the Hub stated, the name of their blob.

    Raises:
        UserError: a file was damaged on its way or on the disk.
    """
    for path in sorted(file.parent.iterdir()):
        blob = path.resolve()
        if path.suffix in WEIGHTS and re.fullmatch(r"[0-9a-f]{64}", blob.name):
            with blob.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != blob.name:
                raise UserError(
                    f"{path.name} in the cache is damaged (its sha256 is not the one that the Hub states): load it "
                    f"again with force_download=True, or delete {blob}"
                )


def optional_file(source: str | Path, name: str, **kwargs: Any) -> Path | None:
    """A file that may lie beside a model in a folder or repository; None if there is none, or the Hub cannot be asked.

    Args:
        source: a folder, or the id of a repository on the Hub.
        name (str): of the file.
        **kwargs: of `from_pretrained`; those that say where on the Hub something is count.
    """
    found = cached_file(
        str(source),
        name,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **{key: value for key, value in kwargs.items() if key in HUB_KEYWORDS},
    )
    return None if found is None else Path(str(found))


def weights_digest(weights: Mapping[str, Any]) -> str:
    """Compute the sha256 of weights and their names, those of a state dict, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def resolve_checkpoint(path: str | Path) -> Path:
    """Find the checkpoint that a path means: our folder, that of a run, or the file that BALR would have written.

    `runs/train/best.pt` stands for the folder `runs/train/best`, `runs/scorer/train/scorer.pt` for the folder
    `runs/scorer/train`, and a training run for its `best` model. An existing file is returned as it is, and so is a
    name that does not exist locally, since it may be that of a Hub repository.

    Raises:
        UserError: a `.pt` file does not exist, or a folder has no checkpoint.
    """
    path = Path(path)
    for folder in (path, path / "best"):
        restore_folder(folder)
    if not path.exists() and path.suffix != ".pt":
        return path
    candidates = [path]
    if path.suffix == ".pt":
        candidates += [path.with_suffix(""), path.parent]
    for candidate in candidates:
        if candidate.is_file() or (candidate / "config.json").is_file():
            return candidate
        if (candidate / "best" / "config.json").is_file() and candidate is path:
            return candidate / "best"
    raise ModelFilesError(
        f"no checkpoint at {path}: expected a folder with config.json, a training run, or a .pt file"
    )
