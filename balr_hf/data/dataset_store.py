"""A store that is one Dataset, put together from the batches that are done."""

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.data.columns import (
    add_vector_column,
    fixed_length_column,
    keep_vectors,
    recording_ids,
    vector_matrix,
    vector_present,
)
from balr_hf.data.contract import Corpus, from_dataset
from balr_hf.data.hub_datasets import one_split
from balr_hf.data.origins import Maker, Origin, origins_of
from balr_hf.data.quality import known_quality
from balr_hf.data.saving import (
    DATASET_RECORD,
    check_replaceable,
    is_saved_dataset,
    load_saved,
    read_record,
    save_dataset,
)
from balr_hf.data.shards import Shard
from balr_hf.data.store_base import NoStore, Quality
from balr_hf.errors import UserError, name_some
from balr_hf.files import atomic_path
from balr_hf.identity import digest_of

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


class DatasetStore(NoStore):
    """One Dataset in the save folder; until it is whole, each batch that is done is kept in a file beside that folder.

    These files, and a Dataset that was saved earlier, are only used for the same recordings and the same model.

    Args:
        corpus, kind, maker: as for [`NoStore`].
        save_dir: the Dataset's folder.

    Raises:
        UserError: the save folder holds other things, or a Dataset of recordings that the corpus does not have.
    """

    def __init__(self, corpus: Corpus, kind: str, maker: Maker, save_dir: str | Path):
        super().__init__(corpus, kind, maker)
        self.save_dir = Path(save_dir).absolute()
        check_replaceable(self.save_dir)
        self._check_same_recordings()
        made_by = f"{digest_of(maker.model)} {maker.precision}"
        key = hashlib.sha256(f"{kind} {made_by} {corpus.fingerprint()}".encode()).hexdigest()
        self.record = {"kind": kind, "key": key}
        self._earlier = read_record(self.save_dir, DATASET_RECORD)
        self.pieces: list[tuple[np.ndarray, np.ndarray]] = []  # rows, and their vectors
        self.is_whole = False
        self.is_outdated = False  # whether some of what is saved is of other audio, or other embeddings, than now

    def _check_same_recordings(self) -> None:
        """Refuse to replace a Dataset that was saved of other recordings, which may have taken days to make."""
        if not is_saved_dataset(self.save_dir):
            return
        try:
            saved = load_saved(self.save_dir)
        except UserError:  # it is damaged, and nothing is lost with it
            return
        splits = [*saved.values()] if isinstance(saved, dict) else [saved]
        known = set(recording_ids(self.dataset))
        named = [_ids_as_read(split) for split in splits]
        if None in named:
            lost = [""] * (sum(map(len, splits)) - len(known))
        else:
            lost = [name for ids in named for name in ids or () if name not in known]
        if lost:
            which = f": {name_some(lost)}" if any(lost) else ""
            raise UserError(
                f"{self.save_dir} holds a Dataset with {len(lost)} recordings that this corpus does not have{which}. "
                "Save to another folder, or remove it"
            )

    @property
    def parts(self) -> Path:
        """The folder of the batches that are done; a run that computes all vectors anew has its own."""
        return self._parts_of(self.record, self.is_forced)

    def _parts_of(self, record: Mapping[str, str], is_forced: bool) -> Path:
        forced = ".forced" if is_forced else ""
        return self.save_dir.with_name(f".{self.save_dir.name}.{record['key'][:12]}{forced}.parts")

    def load(self) -> "datasets.Dataset":
        if read_record(self.save_dir, DATASET_RECORD) != self.record:  # nothing could be computed
            return self._described(self.dataset)
        return one_split(load_saved(self.save_dir), self.save_dir, None)

    def existing(self, needs: str) -> np.ndarray:
        present = super().existing(needs)
        if present.any():
            kept = keep_vectors(self.dataset, self.kind, present)
            self.pieces.append((np.flatnonzero(present), vector_matrix(kept, self.kind)[0]))
        if read_record(self.save_dir, DATASET_RECORD) == self.record:
            saved = one_split(load_saved(self.save_dir), self.save_dir, None)
            found = vector_present(saved, self.kind)  # its rows are the same recordings
            if found.any():
                self.pieces.append((np.flatnonzero(found), vector_matrix(saved, self.kind)[0]))
                for row, origin in enumerate(origins_of(saved, self.kind)):
                    self.origins[row] = origin if found[row] else self.origins[row]
            self.quality |= known_quality(saved)
            self.is_whole = True
        else:
            found = self._read_parts()
        stale = self._standing(found & ~present, needs).stale
        self._tell_of_stale(stale, found)
        self.is_outdated = bool(stale.any())
        self.is_whole &= not self.is_outdated
        return present | found & ~stale

    def forced(self) -> np.ndarray:
        return self._read_parts()

    def _read_parts(self) -> np.ndarray:
        """Take what an interrupted run has done, and tell which recordings that is: bool of shape `(rows,)`."""
        present = np.zeros(len(self.dataset), dtype=bool)
        row_of = {name: row for row, name in enumerate(recording_ids(self.dataset))}
        for path in sorted(self.parts.glob("*.npz")):
            part = _read_part(path, self.kind, row_of)
            if part is None:
                logger.warning("Left out %s, which is damaged: what it held is computed anew", path)
                path.unlink()
                continue
            rows, vectors, origins, quality = part
            if len(rows):
                self.pieces.append((rows, vectors))
                present[rows] = True
            for row, origin in zip(rows.tolist(), origins, strict=False):
                self.origins[row] = origin
            self.quality |= quality
        if self.parts.exists():
            alone = Shard.launched() is None
            text = "Going on with an interrupted run" if alone else "Other processes, or a run that was interrupted"
            logger.info("%s: %d recordings are done already", text, present.sum())
        return present

    def save(
        self,
        ids: list[str],
        vectors: np.ndarray,
        quality: Quality | None = None,
        origins: Sequence[Origin] | None = None,
    ) -> None:
        with atomic_path(self.parts / f"{uuid.uuid4().hex}.npz") as temporary, temporary.open("wb") as file:
            made = np.array(json.dumps([origin._asdict() for origin in origins or ()]))
            measured = np.array(json.dumps(quality or {}))
            np.savez(file, ids=np.array(json.dumps(ids)), vectors=vectors, origins=made, quality=measured)

    def add(self, rows: np.ndarray, result: "datasets.Dataset") -> None:
        if len(rows):
            self.pieces.append((rows, vector_matrix(result, self.kind)[0]))
            self.is_whole = False

    def finish(self, count: int) -> Path:
        # A kill may have left the parts of the Dataset that is here. They go before that Dataset does: nothing would
        # name them any more if this process is killed in its turn.
        if self._earlier is not None:
            for parts in {self._parts_of(self._earlier, is_forced) for is_forced in (False, True)} - {self.parts}:
                shutil.rmtree(parts, ignore_errors=True)
        if not count and self.is_outdated:  # nothing of it could be computed anew
            (self.save_dir / DATASET_RECORD).unlink(missing_ok=True)
        if count and not self.is_whole:
            width = self.pieces[0][1].shape[1]
            if any(vectors.shape[1] != width for _, vectors in self.pieces):
                raise UserError(f"{self.kind} vectors of another size are there already: recompute all with --force")
            matrix = np.zeros((len(self.dataset), width), dtype=self.pieces[0][1].dtype)
            present = np.zeros(len(self.dataset), dtype=bool)
            for rows, vectors in self.pieces:
                matrix[rows], present[rows] = vectors, True
            column = fixed_length_column(matrix, present & self.valid)
            dataset = self._described(add_vector_column(self.dataset, self.kind, column))
            save_dataset(dataset, self.save_dir, self.record)
        shutil.rmtree(self.parts, ignore_errors=True)
        return self.save_dir


def _ids_as_read(saved: "datasets.Dataset") -> list[str] | None:
    """The ids of a Dataset, as those of a corpus are read; None if it has none, or none that can be read."""
    if "id" not in saved.column_names:
        return None
    try:
        return recording_ids(from_dataset(saved.select_columns(["id"]), ()).dataset)
    except UserError:  # this package has not saved them
        return None


def _read_part(
    path: Path, kind: str, row_of: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray, list[Origin], dict[str, Any]] | None:
    """Read the rows, the vectors, their origins and the measures that a [`DatasetStore`] kept; None if damaged."""
    try:
        with np.load(path, allow_pickle=False) as part:
            rows = np.array([row_of[name] for name in json.loads(part["ids"].item())], dtype=np.int64)
            vectors = part["vectors"]
            origins = [Origin(**origin) for origin in json.loads(part["origins"].item())]
            quality = dict(json.loads(part["quality"].item()))
    except Exception:  # a damaged file can make zipfile and numpy raise almost anything
        return None
    proper = vectors.dtype == (np.float32 if kind == "embedding" else bool) and vectors.ndim == 2
    if not proper or len(vectors) != len(rows) or (kind == "embedding" and not np.isfinite(vectors).all()):
        return None
    return rows, vectors, origins, quality
