"""A dataset on the Hub, by `user/name@revision:split`, to one Dataset."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.errors import UserError, reason_of

if TYPE_CHECKING:
    pass

# Endings that only a local file can have.
FILE_ENDINGS = {*AUDIO_FORMATS, "csv", "parquet"}


def load_hub_dataset(name: str, split: str | None, hub: dict):
    asked, hub = name, {key: value for key, value in hub.items() if value is not None}
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
        if "revision" in hub and not constants.HF_HUB_OFFLINE:  # else some versions of datasets take what is cached
            HfApi(token=hub.get("token")).dataset_info(name, revision=hub["revision"])
        return one_split(datasets.load_dataset(name, **hub), name, split)
    except UserError:
        raise
    except datasets.exceptions.DatasetGenerationError as error:
        raise UserError(f"the dataset {name} cannot be read, or is damaged ({reason_of(error)})") from error
    except Exception as error:
        raise UserError(f"{name} is neither a file or folder nor a dataset on the Hub ({reason_of(error)})") from error


def one_split(dataset, name, split: str | None):
    import datasets

    if not isinstance(dataset, datasets.DatasetDict):
        return dataset
    if split is None and len(dataset) == 1:
        return next(iter(dataset.values()))
    if split not in dataset:
        asked = "" if split is None else f", not {split}"
        raise UserError(
            f"{name} has the splits {', '.join(dataset)}{asked}: name one (NAME:SPLIT on the command line)"
        )
    return dataset[split]
