"""Reading the checkpoints that WeSpeaker publishes: `avg_model.pt` (a state dict) and `config.yaml`."""

import logging
import math
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import yaml
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

from balr_hf.checkpoints import HUB_KEYWORDS, check_download, has_type, load_state_dict, stated_types, type_text
from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
from balr_hf.errors import ConfigError, ModelFilesError, UserError, WeightsError, name_some, reason_of
from balr_hf.files import restore_folder

if TYPE_CHECKING:
    from balr_hf.pretrained import HubModel

Model = TypeVar("Model", bound="HubModel")

logger = logging.getLogger(__name__)

# WeSpeaker's configurations have some 3,000 bytes and 100 values.
MOST_BYTES, MOST_VALUES = 2**18, 100_000


def find(source: str | Path, model_name: str, config_name: str, kwargs: dict[str, Any]) -> tuple[Path, Path] | None:
    """Find a WeSpeaker checkpoint and its configuration in a folder or a Hub repository.

    Args:
        source: the folder or the repository.
        model_name (str): the checkpoint's name, with or without `.pt`.
        config_name (str): the configuration's name.
        kwargs: of `from_pretrained`; those that say where on the Hub something is count.

    Returns:
        `(checkpoint, configuration)`; or None if the source is for transformers to read, or to complain about.

    Raises:
        ModelFilesError: a folder without a model, a file instead of a folder, a download that failed, or a repository
            without such a checkpoint.
        UserError: a download that was damaged.
    """
    names = _checkpoint_names(model_name)
    folder = Path(source)
    restore_folder(folder)
    if folder.is_dir():
        folder = folder / kwargs.get("subfolder", "")
        if (folder / "config.json").exists():
            return None
        files = files_in(folder, model_name, config_name)
        if files is None:
            raise ModelFilesError(
                f"{source} holds no model: expected config.json and model.safetensors, or WeSpeaker's {names[0]} and "
                f"{config_name}; found {', '.join(sorted(p.name for p in folder.iterdir())[:10]) or 'nothing'}"
            )
        return files
    if folder.exists():
        raise ModelFilesError(f"{source} is a file: give the folder that holds it")

    hub = {k: v for k, v in kwargs.items() if k in HUB_KEYWORDS}
    try:
        if _fetched(source, "config.json", hub) is not None:
            return None
        config = _fetched(source, config_name, hub)
        if config is None:
            return None  # transformers' own error describes best what is wrong with the repository or the connection
        for name in names:
            checkpoint = _fetched(source, name, hub)
            if checkpoint is not None:
                check_download(checkpoint)
                return checkpoint, config
    except HFValidationError:
        return None  # transformers' own error describes best what is wrong with the name
    except (HfHubHTTPError, OSError) as error:
        raise ModelFilesError(f"cannot load an embedder from {source} ({reason_of(error)})") from error
    raise ModelFilesError(
        f"the repository {source} has {config_name} but none of {', '.join(names)}: name it (model_name=...)"
    )


def files_in(folder: Path, model_name: str, config_name: str) -> tuple[Path, Path] | None:
    """Find WeSpeaker's `(checkpoint, configuration)` in a local folder; None if it does not hold both."""
    checkpoints = (folder / name for name in _checkpoint_names(model_name))
    checkpoint, config = next((path for path in checkpoints if path.is_file()), None), folder / config_name
    return None if checkpoint is None or not config.is_file() else (checkpoint, config)


def _checkpoint_names(model_name: str) -> list[str]:
    """List the names to try: as given, then without and with `.pt`."""
    stem = model_name.removesuffix(".pt")
    return list(dict.fromkeys([model_name, stem, f"{stem}.pt"]))


def _fetched(source: str | Path, name: str, hub: dict[str, Any]) -> Path | None:
    """Fetch a file of a repository into the Hub's cache; None if the repository or, offline, the cache lacks it."""
    try:
        return Path(hf_hub_download(str(source), name, **hub))
    except EntryNotFoundError:
        return None


def load(model_class: type[Model], checkpoint: Path, config_file: Path) -> Model:
    """Build the model that `config.yaml` describes, and copy the checkpoint's weights into it.

    Raises:
        UserError: a configuration that is not WeSpeaker's, or a checkpoint that does not fit it.
    """
    try:
        settings = _read_yaml(config_file)
    except UserError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates that do not exist raise a ValueError
        raise UserError(f"{config_file} is not proper YAML: {reason_of(error)}") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model"), str):
        raise UserError(f"{config_file} names no model: expected the keys model and model_args of WeSpeaker")
    try:
        model = _build(model_class, settings)
    except UserError as error:
        raise UserError(f"{config_file}: {error}") from error
    except Exception as error:  # wrong settings can make PyTorch and WeSpeaker raise almost anything
        raise UserError(
            f"{config_file} describes no embedder that can be built ({type(error).__name__}: {reason_of(error)})"
        ) from error
    target = model.get_submodule("backbone") if model.config.architecture is not None else model
    fill(target, load_state_dict(checkpoint), checkpoint)
    model.name_or_path = str(checkpoint.parent)
    return model.eval()


def _read_yaml(file: Path) -> Any:
    """Read a configuration, unless it is larger than any, or its aliases make it so.

    Raises:
        UserError: it is.
        yaml.YAMLError, ValueError, RecursionError: it is no YAML.
    """
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{file} has {file.stat().st_size:,} bytes: a configuration has at most {MOST_BYTES:,}")
    text = file.read_text(encoding="utf-8")
    count = _count_nodes(yaml.compose(text, yaml.SafeLoader), {})
    if count > MOST_VALUES:
        raise UserError(
            f"{file} has more than {MOST_VALUES:,} values, if each alias is counted: it is no configuration"
        )
    return yaml.safe_load(text)


def _count_nodes(node: yaml.Node | None, known: dict[int, float]) -> float:
    """How many values a YAML document has if each alias stands for all that it names; infinite for a circle."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known: one that is met within itself is a circle
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_count_nodes(part, known) for part in parts)
    return known[id(node)]


def _build(model_class: type[Model], settings: dict[str, Any]) -> Model:
    """Build a model with the settings of WeSpeaker's `config.yaml`, and with random weights."""
    given = {"model_args": settings.get("model_args"), "dataset_args": settings.get("dataset_args")}
    given["fbank_args"] = given["dataset_args"].get("fbank_args") if isinstance(given["dataset_args"], dict) else None
    for name, part in given.items():
        if part is not None and not isinstance(part, dict):
            raise ConfigError(f"{name}={reprlib.repr(part)}: expected names with values")
    config = WespeakerConfig.from_wespeaker(settings["model"], given["model_args"] or {})
    for name, stated in stated_types(WespeakerConfig).items():
        if not has_type(getattr(config, name), stated):
            raise ConfigError(f"{name}={reprlib.repr(getattr(config, name))}, expected {type_text(stated)}")
    fbank = given["fbank_args"] or {}
    extractor = WespeakerFeatureExtractor(
        num_mel_bins=fbank.get("num_mel_bins", config.feat_dim),
        frame_length=fbank.get("frame_length", 25),
        frame_shift=fbank.get("frame_shift", 10),
    )
    return model_class(config, feature_extractor=extractor)


def fill(model: torch.nn.Module, weights: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Copy the checkpoint's weights into the model, without those of the training head (`projection.*`).

    Raises:
        WeightsError: weights are missing, have another shape, or are those of further blocks.
    """
    expected = model.state_dict()
    missing = [name for name in expected if name not in weights and not name.endswith("num_batches_tracked")]
    unfit = [n for n, w in weights.items() if n in expected and w.shape != expected[n].shape]
    if missing or unfit:
        wrong = (missing + unfit)[0]
        raise WeightsError(
            f"{checkpoint} does not fit its configuration: {len(missing)} weights missing, {len(unfit)} of another "
            f"shape (the first: {wrong})"
        )
    parts = {name for name, _ in model.named_children()}
    further = [name for name in weights if name not in expected and name.split(".")[0] in parts]
    if further:
        raise WeightsError(
            f"{checkpoint} does not fit its configuration, which has no place for {name_some(sorted(further))}"
        )
    left = sorted({name.split(".")[0] for name in weights if name not in expected})
    if left:
        logger.info("%s: left out %s (not part of the embedder)", checkpoint.name, ", ".join(left))
    model.load_state_dict({name: w for name, w in weights.items() if name in expected}, strict=False)
