"""Saving a corpus as a Dataset: the whole new folder, or what was there before."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.errors import UserError
from balr_hf.files import atomic_folder, write_json

if TYPE_CHECKING:
    import datasets

# Records that lie in a folder that was saved to. `FILES_RECORD`, beside vector files: the corpus that they are of
# (`source`) and the csvs that were written there (`csv`). `DATASET_RECORD`, in a saved Dataset: the kind of vectors
# that were added last (`kind`), and a digest of the recordings and the model (`key`).
FILES_RECORD, DATASET_RECORD = "balr-files.json", "balr-dataset.json"

# Both records' name before they had one each.
_EARLIER_RECORD = "balr.json"
_FIRST_KEYS = {FILES_RECORD: "source", DATASET_RECORD: "key"}


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """The record of this name in a folder that was saved to; None if there is none.

    Raises:
        UserError: a record that is damaged.
    """
    for path in (folder / name, folder / _EARLIER_RECORD):
        if not path.is_file():
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}): delete it, or choose another folder") from error
        if isinstance(record, dict) and _FIRST_KEYS[name] in record:
            return record
        if path.name == name:
            raise UserError(f"{path} is damaged (it lacks {_FIRST_KEYS[name]}): delete it, or choose another folder")
    return None


def is_saved_dataset(folder: Path) -> bool:
    """Whether `Dataset.save_to_disk` wrote the folder."""
    return (folder / "state.json").exists() or (folder / "dataset_dict.json").exists()


def save_dataset(dataset: "datasets.Dataset", folder: Path, record: dict | None = None) -> None:
    """`Dataset.save_to_disk` that leaves either the whole new folder or what was there before.

    Args:
        dataset (`datasets.Dataset`)
        folder: replaced if it holds a saved Dataset.
        record (dict, *optional*): written into it as `balr-dataset.json`.

    Raises:
        UserError: the folder holds anything else.
    """
    check_replaceable(folder)
    with atomic_folder(folder) as temporary:
        dataset.save_to_disk(str(temporary))
        if record is not None:
            write_json(temporary / DATASET_RECORD, record)


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that saving a Dataset there would empty of other things."""
    if folder.exists() and not (folder.is_dir() and (is_saved_dataset(folder) or not any(folder.iterdir()))):
        raise UserError(f"{folder} holds other things than a saved Dataset: save to a folder of its own")
