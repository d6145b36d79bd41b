"""Saving a corpus as a Dataset, so that the folder holds either the whole new Dataset or what was there before."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.errors import UserError, reason_of
from balr_hf.files import atomic_folder, restore_folder, write_json

if TYPE_CHECKING:
    import datasets

# The names of the records in a folder that was saved to. `FILES_RECORD` lies beside vector files, and says which
# corpus they belong to (`source`) and which csvs were written there (`csv`). `DATASET_RECORD` lies in a saved Dataset,
# and says which kind of vectors was added last (`kind`); its `key` is a digest of the recordings and the model.
FILES_RECORD, DATASET_RECORD = "balr-files.json", "balr-dataset.json"
# The record of a copy that `balr degrade` makes: of what (`source`), how, and which csvs it wrote there (`csv`).
COPY_RECORD = "degraded.json"
# The record beside the parquet files of a corpus that was streamed: what they hold, and which model made it.
STREAM_RECORD = "balr-stream.json"

# The name of both records before each had its own.
_EARLIER_RECORD = "balr.json"
_FIRST_KEYS = {FILES_RECORD: "source", DATASET_RECORD: "key"}


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """Read the record of this name in a folder that was saved to; None if there is none.

    Raises:
        UserError: the record is damaged.
    """
    for path in (folder / name, folder / _EARLIER_RECORD):
        if not path.is_file():
            continue
        record = read_json(path)
        if isinstance(record, dict) and _FIRST_KEYS[name] in record:
            if not isinstance(record[_FIRST_KEYS[name]], str) or not _is_names(record.get("csv", [])):
                raise UserError(f"{path} is damaged (a value of the wrong type): delete it, or choose another folder")
            return record
        if path.name == name:
            raise UserError(f"{path} is damaged (it lacks {_FIRST_KEYS[name]}): delete it, or choose another folder")
    return None


def read_json(path: Path) -> Any:
    """Read a record.

    Raises:
        UserError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it, or choose another folder") from error


def streamed_files(folder: Path) -> list[str]:
    """List the parquet files that a whole run streamed to a folder; see [`balr_hf.data.streams`].

    Raises:
        UserError: the run was stopped before its end, or files are missing.
    """
    record = read_json(folder / STREAM_RECORD)
    count = record.get("files") if isinstance(record, dict) else None
    if not isinstance(count, int):
        raise UserError(f"{folder} is not whole: the command that streams to it was stopped; run it again")
    files = sorted(map(str, folder.glob("part-*.parquet")))
    if len(files) != count:
        raise UserError(
            f"{folder} has {len(files)} parquet files of {count}: run the command that streams to it again"
        )
    return files


def written_csvs(folder: Path) -> list[str]:
    """Name the csvs in a folder that this package wrote, whose texts are those of [`balr_hf.untrusted.csv_cell`].

    Raises:
        UserError: a record of the folder is damaged.
    """
    names = list((read_record(folder, FILES_RECORD) or {}).get("csv", []))
    path = folder / COPY_RECORD
    if path.is_file():
        record = read_json(path)
        copied: Any = record.get("csv", []) if isinstance(record, dict) else None
        if not _is_names(copied):
            raise UserError(f"{path} is damaged (a value of the wrong type): delete it, or choose another folder")
        names += copied
    return names


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def is_saved_dataset(folder: Path) -> bool:
    """Tell whether `Dataset.save_to_disk` wrote the folder."""
    return (folder / "state.json").exists() or (folder / "dataset_dict.json").exists()


def load_saved(folder: Path) -> "datasets.Dataset | datasets.DatasetDict":
    """Load what `Dataset.save_to_disk` wrote.

    Raises:
        UserError: the folder is damaged.
    """
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
        for dataset in loaded.values() if isinstance(loaded, datasets.DatasetDict) else (loaded,):
            dataset.data.table.validate()  # what is damaged here could end the process where it is used
    except Exception as error:  # a damaged folder can make datasets and pyarrow raise almost anything
        raise UserError(
            f"{folder} is damaged, or no saved Dataset ({type(error).__name__}: {reason_of(error)[:300]})"
        ) from error
    return loaded


def load_parquet(files: Sequence[str], place: Path, **options: Any) -> "datasets.Dataset":
    """Load parquet files, with these options of `Dataset.from_parquet`.

    Args:
        files: their paths.
        place: what an error names.

    Raises:
        UserError: a file is damaged.
    """
    import datasets
    import pyarrow

    try:
        return datasets.Dataset.from_parquet(list(files), **options)
    except UnicodeDecodeError as error:
        raise UserError(f"{place} has a name of a column that is not UTF-8: {error}") from error
    except (OSError, pyarrow.ArrowException, datasets.exceptions.DatasetGenerationError) as error:
        raise UserError(f"{place} is not a proper parquet file: {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # `datasets` takes its JSON as it is
        raise UserError(
            f"{place} is not a proper parquet file: what it says of its columns is damaged: {error}"
        ) from error


def save_dataset(dataset: "datasets.Dataset", folder: str | Path, record: dict[str, Any] | None = None) -> None:
    """Save a Dataset as `Dataset.save_to_disk` does, but leave either the whole new folder or what was there before.

    Args:
        dataset (`datasets.Dataset`): what is saved.
        folder (str or `Path`): where; a Dataset that was saved there is replaced.
        record (dict, *optional*): written into the folder as `balr-dataset.json`.

    Raises:
        UserError: the folder holds anything but a saved Dataset.
    """
    folder = Path(folder)
    check_replaceable(folder)
    with atomic_folder(folder) as temporary:
        dataset.save_to_disk(str(temporary))
        if record is not None:
            write_json(temporary / DATASET_RECORD, record)


def check_replaceable(folder: Path) -> None:
    """Raise a UserError for a folder that holds anything but a saved Dataset, since saving there would delete it."""
    restore_folder(folder)
    if folder.exists() and not (folder.is_dir() and (is_saved_dataset(folder) or not any(folder.iterdir()))):
        raise UserError(f"{folder} holds other things than a saved Dataset: save to a folder of its own")
