"""Corpora: a csv, folder, file, saved Dataset, parquet file or Hub id becomes a `datasets.Dataset`.

Reading and writing of vectors, and the stores that keep new ones, are here too.
"""

from balr_hf.data.columns import (
    VECTOR_KINDS,
    add_vector_column,
    arrow_column,
    fixed_length_column,
    known_vectors,
    speaker_codes,
    vector_matrix,
    vector_present,
)
from balr_hf.data.contract import Corpus
from balr_hf.data.dataset_store import DatasetStore
from balr_hf.data.file_store import FileStore
from balr_hf.data.hub_datasets import FILE_ENDINGS
from balr_hf.data.reading import load_corpus, read_corpus
from balr_hf.data.recording_files import RecordingFiles
from balr_hf.data.saving import check_replaceable, is_saved_dataset, save_dataset
from balr_hf.data.segmentation import segments
from balr_hf.data.skipped import Skipped, warn_skipped, write_skipped
from balr_hf.data.store_base import Filled, NoStore
from balr_hf.data.stores import open_store

__all__ = [
    "FILE_ENDINGS",
    "VECTOR_KINDS",
    "Corpus",
    "DatasetStore",
    "FileStore",
    "Filled",
    "NoStore",
    "RecordingFiles",
    "Skipped",
    "add_vector_column",
    "arrow_column",
    "check_replaceable",
    "fixed_length_column",
    "is_saved_dataset",
    "known_vectors",
    "load_corpus",
    "open_store",
    "read_corpus",
    "save_dataset",
    "segments",
    "speaker_codes",
    "vector_matrix",
    "vector_present",
    "warn_skipped",
    "write_skipped",
]
