"""Loading a dataset from the Hub: `user/name@revision:split` becomes one Dataset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.errors import UserError, defining_package, raising_package, reason_of

if TYPE_CHECKING:
    import datasets

# Endings that only a local file can have.
FILE_ENDINGS = {*AUDIO_FORMATS, "csv", "parquet"}

# The clients of the Hub. They also raise plain ValueErrors, RuntimeErrors and ImportErrors: for a configuration that
# does not exist, a dataset that is a script, a format that needs another package.
_CLIENTS = ("datasets", "huggingface_hub")
# The packages below the clients whose own errors mean that the Hub cannot be reached, or that a file is damaged.
_TRANSPORT = ("httpx", "httpx2", "requests", "aiohttp", "fsspec")
_FORMATS = ("pyarrow", "yaml", "json", "zipfile", "tarfile", "zlib", "_lzma")


# How huggingface_hub writes that a name is that of a dataset.
HUB_PREFIX = "hf://datasets/"


def load_hub_dataset(name: str, split: str | None, hub: dict[str, Any]) -> datasets.Dataset:
    """Load one split of a dataset from the Hub.

    Args:
        name (str): `user/name`, `user/name/configuration`, and both with `@revision`, `:split` or both after it;
            `hf://datasets/` may stand before it.
        split (str, *optional*): the split, if the name does not say it.
        hub (dict): keywords of `datasets.load_dataset`; those that are None are left out. With `streaming=True`, the
            result is a `datasets.IterableDataset`.

    Raises:
        UserError: the name can only be that of a local file, the Hub has no such dataset or cannot be reached, the
            dataset is damaged, or it has several splits and none is named.
    """
    asked, hub = name, {key: value for key, value in hub.items() if value is not None}
    name = name.removeprefix(HUB_PREFIX)
    if split is None and ":" in name:
        name, split = name.rsplit(":", 1)
    if hub.get("revision") is None and "@" in name:
        name, revision = name.split("@", 1)
        hub["revision"] = revision
    if name.count("/") == 2:
        name, _, hub["name"] = name.rpartition("/")
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name) or Path(asked).suffix[1:] in FILE_ENDINGS:
        raise UserError(f"no such file or folder: {asked}")
    import datasets
    from huggingface_hub import HfApi, constants

    try:
        if (
            "revision" in hub and not constants.HF_HUB_OFFLINE
        ):  # without this, some versions of datasets take what is cached
            HfApi(token=hub.get("token")).dataset_info(name, revision=hub["revision"])
        dataset = datasets.load_dataset(name, **hub)
    except Exception as error:
        if _is_damage(error):
            raise UserError(f"the dataset {name} cannot be read, or is damaged ({reason_of(error)})") from error
        if _is_of_the_way(error):
            reason = reason_of(error)
            raise UserError(f"{name} is neither a file or folder nor a dataset on the Hub ({reason})") from error
        raise  # a bug
    return one_split(dataset, name, split)


def _is_damage(error: Exception) -> bool:
    """Whether an error tells of files that were found, but cannot be read."""
    from datasets.exceptions import DatasetGenerationError

    return isinstance(error, DatasetGenerationError | EOFError) or defining_package(error) in _FORMATS


def _is_of_the_way(error: Exception) -> bool:
    """Whether an error tells of a name that the Hub does not have, or of the network or the disk."""
    if isinstance(error, OSError) or defining_package(error) in (*_CLIENTS, *_TRANSPORT):
        return True
    return isinstance(error, ValueError | RuntimeError | ImportError) and raising_package(error) in _CLIENTS


def one_split(
    dataset: datasets.Dataset | datasets.DatasetDict, name: str | Path, split: str | None
) -> datasets.Dataset:
    """Choose a split of a DatasetDict, or of an IterableDatasetDict; a Dataset is returned as it is.

    Args:
        dataset: one Dataset, or several by the names of their splits.
        name: what the dataset is called in the message.
        split (str, *optional*): the split; not needed if there is only one.

    Raises:
        UserError: there is no such split, or there are several and none is named.
    """
    import datasets

    if not isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        return dataset
    if split is None and len(dataset) == 1:
        return next(iter(dataset.values()))
    if split not in dataset:
        asked = "" if split is None else f", not {split}"
        raise UserError(
            f"{name} has the splits {', '.join(map(str, dataset))}{asked}: name one (NAME:SPLIT on the command line)"
        )
    return dataset[split]
