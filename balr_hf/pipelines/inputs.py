"""What our pipelines take besides a single recording: rows and columns of Datasets, and recordings on the web."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from huggingface_hub import get_session
from torch.utils.data import Dataset
from transformers.pipelines.pt_utils import KeyDataset  # which the documentation of transformers names by this path

from balr_hf.audio import AudioError
from balr_hf.data.contract import with_types_of_samples
from balr_hf.errors import UserError, name_some, reason_of

# How long the server of a recording may be silent, in seconds.
DOWNLOAD_TIMEOUT = 30.0


class Rows(Dataset):
    """The rows of a Dataset, each as the recording or the pair of recordings that is in it.

    Args:
        dataset: anything with a length, and with rows by their numbers.
        taken: takes what is wanted out of a row.
    """

    def __init__(self, dataset: Any, taken: Callable[[Any], Any]):
        self._dataset, self._taken = dataset, taken

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, row: int) -> Any:
        return self._taken(self._dataset[row])


def several_recordings(inputs: Any, columns: int) -> Any:
    """Bring several inputs of a pipeline to what `transformers.Pipeline` takes for several.

    The files in columns of type `datasets.Audio` are left as they are: our own decoder reads them, without torchcodec.

    Args:
        inputs: what a pipeline was called with.
        columns (int): how many recordings a row of a Dataset must have: 1 (the column `audio`), or 2 (the columns of
            type `datasets.Audio`), which make a pair.

    Returns:
        a torch Dataset for a `datasets.Dataset`, a column of one or a `KeyDataset`; a generator for an
        `IterableDataset`, a column of one or any other iterator; `inputs` itself if it is none of these.

    Raises:
        UserError: a Dataset has not these columns, or has several splits.
    """
    if isinstance(inputs, KeyDataset):
        return Rows(undecoded(inputs.dataset), itemgetter(inputs.key))
    if isinstance(inputs, Iterator) and not isinstance(inputs, io.IOBase):  # an open file gives lines
        return (one for one in inputs)
    datasets = sys.modules.get("datasets")
    if datasets is None:  # then nothing can come from there
        return inputs
    if isinstance(inputs, datasets.DatasetDict | datasets.IterableDatasetDict):
        raise UserError(f"this dataset has several splits: choose one of {name_some(list(inputs))}")
    if isinstance(inputs, datasets.Dataset):
        return Rows(undecoded(inputs), itemgetter(*_audio_columns(inputs, columns)))
    if isinstance(inputs, datasets.IterableDataset):
        return map_lazily(itemgetter(*_audio_columns(inputs, columns)), undecoded(inputs))
    column = as_column(inputs)
    if column is None:
        return inputs
    source, taken = undecoded(column.source), itemgetter(column.column_name)
    return Rows(source, taken) if hasattr(inputs, "__len__") else map_lazily(taken, source)


def map_lazily(taken: Callable[[Any], Any], rows: Any) -> Iterator[Any]:
    """What `map` gives, as a generator, which `transformers.Pipeline` knows for several inputs."""
    return (taken(row) for row in rows)


def as_column(inputs: Any) -> Any:
    """`inputs` if it is a column of a Dataset (`dataset["audio"]`), else None."""
    if "datasets" not in sys.modules:
        return None
    from datasets.arrow_dataset import Column
    from datasets.iterable_dataset import IterableColumn

    return inputs if isinstance(inputs, Column | IterableColumn) else None


def undecoded(dataset: Any) -> Any:
    """A Dataset whose columns of audio give files (`bytes` and `path`), not decoded samples.

    Integer samples in other columns come with their type.
    """
    datasets = sys.modules.get("datasets")
    if datasets is not None and isinstance(dataset, datasets.Dataset | datasets.IterableDataset):
        for name, feature in (dataset.features or {}).items():
            if isinstance(feature, datasets.Audio) and feature.decode:
                dataset = dataset.cast_column(name, datasets.Audio(decode=False))
        dataset = with_types_of_samples(dataset)
    return dataset


def _audio_columns(dataset: Any, count: int) -> list[str]:
    """The names of the columns from which recordings are taken."""
    features = dataset.features or {}
    if count == 1:
        if features and "audio" not in features:
            raise UserError(
                f"the dataset has no column audio, only {name_some(list(features))}: pass the column with the "
                'recordings, as dataset["recording"]'
            )
        return ["audio"]
    import datasets

    names = [name for name, feature in features.items() if isinstance(feature, datasets.Audio)]
    if len(names) != count:
        raise UserError(
            f"the dataset has {len(names)} columns of type Audio ({name_some(names)}): for comparisons it must have "
            "two, the sides of the pairs"
        )
    return names


def download(address: str) -> bytes:
    """Read a recording from the web.

    Args:
        address (str): beginning with `http://` or `https://`.

    Returns:
        the bytes of the file.

    Raises:
        AudioError: there is none, its server cannot be reached, or `HF_HUB_OFFLINE` is set.
    """
    try:
        answer = get_session().get(address, timeout=DOWNLOAD_TIMEOUT, follow_redirects=True)
        answer.raise_for_status()
    except Exception as error:  # of an HTTP client that huggingface_hub has changed before
        raise AudioError(f"{address}: cannot be downloaded ({reason_of(error)})") from error
    return answer.content
