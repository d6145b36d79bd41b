"""Stores keep new vectors while they are computed, so that a run that was stopped goes on where it was.

    corpus = read_corpus("corpus.csv", save_dir="embeddings")
    store = open_store(corpus, "embedding", Maker(model_identity(model)), save_dir="embeddings")
    filled = store.fill(partial(compute_embeddings, model), needs="audio")
    dataset = store.load()  # the corpus with its embeddings

`WespeakerModel.extract_embeddings(corpus, save_dir=...)` and
`BinaryAttributeAutoEncoder.get_binary_attributes(corpus, save_dir=...)` do the same in one call.
"""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.data.columns import VECTOR_KINDS
from balr_hf.data.contract import Corpus, from_dataset
from balr_hf.data.dataset_store import DatasetStore
from balr_hf.data.file_store import FileStore
from balr_hf.data.origins import Maker
from balr_hf.data.reading import read_corpus
from balr_hf.data.saving import is_saved_dataset
from balr_hf.data.shards import Shard
from balr_hf.data.skipped import warn_skipped
from balr_hf.data.store_base import ComputeVectors, NoStore
from balr_hf.data.streams import stream_vectors
from balr_hf.errors import ConfigError

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

SAVE_FORMATS = ("txt", "npy", "pkl", "dataset")


def open_store(
    corpus: Corpus,
    kind: str,
    maker: Maker,
    *,
    save_dir: str | Path | None = None,
    save_format: str | None = None,
    balr_format: bool = False,
) -> "NoStore":
    """Open the store for a corpus: files get vector files and a Dataset a Dataset, unless `save_format` is given.

    Args:
        corpus: what [`read_corpus`] returned; it must have been given the same `save_dir`.
        kind (str): `embedding` or `ba`.
        maker ([`Maker`]): the model that will make the vectors. Vectors that another one made are never taken for its
            own.
        save_dir: where to save. By default vectors go beside the recordings, which only a corpus of files has.
        save_format (str, *optional*): `txt`, `npy`, `pkl` or `dataset`; by default `txt` for files and `dataset` for
            a Dataset.
        balr_format (bool): write attributes to vector files as BALR 2.0 reads them; see [`write_vector`].

    Raises:
        ConfigError: an unknown format, a Dataset without `save_dir`, or `balr_format` without vector files.
        UserError: `save_dir` holds other things.
    """
    save_format = save_format or ("dataset" if corpus.files is None else "txt")
    if save_format not in SAVE_FORMATS:
        raise ConfigError(f"save_format={save_format!r}: expected {', '.join(SAVE_FORMATS)}")
    if save_dir is None and (corpus.files is None or save_format == "dataset"):
        raise ConfigError("a Dataset is saved to a folder of its own: say where with --save-dir (save_dir=)")
    if save_format == "dataset":
        if balr_format:
            raise ConfigError("--balr-format (balr_format) is for vector files: choose --save-format txt, npy or pkl")
        assert save_dir is not None  # as checked above
        return DatasetStore(corpus, kind, maker, save_dir)
    return FileStore(corpus, kind, maker, save_dir, f".{save_format}", balr_format)


def add_vectors(
    source: "datasets.Dataset | datasets.IterableDataset | datasets.DatasetDict | Corpus | str | Path",
    kind: str,
    compute: ComputeVectors,
    needs: str,
    maker: Maker,
    *,
    save_dir: str | Path | None = None,
    save_format: str | None = None,
    force: bool = False,
) -> Any:
    """Fill a store for whatever [`load_corpus`] reads, and log one warning for the recordings that were skipped.

    Args:
        source: the corpus, or what [`load_corpus`] reads; an `IterableDataset` goes to parquet files in `save_dir`,
            each split of a `DatasetDict` to a folder of its name in `save_dir`.
        kind, maker, save_dir, save_format: as for [`open_store`]. Nothing is saved if neither `save_dir` nor
            `save_format` is given.
        compute, needs, force: as for [`NoStore.fill`].

    Returns:
        `datasets.Dataset`: the corpus with its vectors; of a `DatasetDict`, a `datasets.DatasetDict`.
    """
    import datasets

    if isinstance(source, datasets.DatasetDict | datasets.IterableDatasetDict):
        done = {}
        for name, part in source.items():
            if not re.fullmatch(r"\w[\w.-]*", str(name)):  # it names a folder
                raise ConfigError(f"a split is called {name!r}: expected letters, digits, '_', '-' and '.'")
            folder = None if save_dir is None else Path(save_dir) / str(name)
            saving: dict[str, Any] = {"save_dir": folder, "save_format": save_format, "force": force}
            done[name] = add_vectors(part, kind, compute, needs, maker, **saving)
        return datasets.DatasetDict(done)
    shard = Shard.launched()
    if shard is not None and shard.index == 1:  # where only the first process does this, nothing is done twice
        logger.warning(
            "A launcher started %d processes, and each of them does all of this work: balr extract and balr binarize "
            "share it; in a script, let the first process do it alone "
            "(accelerate's PartialState().is_main_process; on CPUs PartialState(cpu=True))",
            shard.count,
        )
    if isinstance(source, datasets.IterableDataset):
        if save_dir is None or save_format not in (None, "dataset") or force:
            raise ConfigError("a corpus that is streamed is saved as parquet files: give save_dir alone")
        return stream_vectors(source, kind, compute, needs, maker, save_dir)
    if isinstance(source, str | Path):
        source = read_corpus(source, save_dir=save_dir)
    elif not isinstance(source, Corpus):
        source = from_dataset(source, VECTOR_KINDS)
    if save_dir is None and save_format is None:
        store = NoStore(source, kind, maker)
    else:
        store = open_store(source, kind, maker, save_dir=save_dir, save_format=save_format)
    step = {"embedding": "Embedding extraction", "ba": "Binarization"}[kind]
    warn_skipped(store.fill(compute, needs, force).skipped, step)
    return store.load()


def is_dataset_source(source: str | Path) -> bool:
    """Tell whether this names a Dataset (saved, as parquet or on the Hub) rather than files."""
    path = Path(source)
    return not path.exists() or path.suffix == ".parquet" or (path.is_dir() and is_saved_dataset(path))
