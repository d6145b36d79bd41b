"""A detector, and the file that it is kept in."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from balr_hf.checkpoints import optional_file
from balr_hf.domain import Limits
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.explanation.heard import KINDS, Heard, Kind
from balr_hf.files import atomic_path
from balr_hf.identity import is_same, model_identity, shown

if TYPE_CHECKING:
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

logger = logging.getLogger(__name__)

# The files beside a system, by the kinds of detectors; and the name of the record in a file's header, and its version.
FILES = {kind.name: kind.file for kind in KINDS}
RECORD, VERSION = "detector", 2
# With how many usual recordings, of about its length, a recording is compared.
NEAREST, FEWEST = 1_000, 200
MADE_BY = "make it anew with balr detectors SYSTEM CORPUS"


@dataclass(frozen=True, eq=False)
class Detector:
    """Tells recordings that differ from usual ones in some way, by a logistic regression for each way.

    Attributes:
        kind: what it listens for; its `ways` are the rows of `weight`.
        weight (float32 `(ways, num_statistics)`): of each of the embedder's statistics, see
            [`WespeakerModel.num_statistics`].
        bias (float64 `(ways,)`): is added to the weighted sum.
        usual (float32 `(recordings, 1 + ways)`): of usual recordings how many seconds of each are heard, and its
            scores, by weights that were not fitted to its speaker.
        record (dict): `embedder`, the identity of the embedder; `corpus`, what it was fitted to, with `speakers`,
            `conditions`, `seed` and `date`; and `found`, how many of those that differ it finds, see
            [`balr_hf.detectors.fitting.fit_detector`].
    """

    kind: Kind
    weight: np.ndarray
    bias: np.ndarray
    usual: np.ndarray
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How reports name it."""
        return self.kind.detector.capitalize()

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.kind.file

    @property
    def embedder_identity(self) -> str:
        """The identity of the embedder whose statistics it takes."""
        return str(self.record["embedder"])

    @property
    def digest(self) -> str:
        """The sha256 of all that decides what it says, as hexadecimal digits."""
        content = hashlib.sha256(json.dumps([self.kind.name, dict(self.record)], sort_keys=True).encode())
        for values in (self.weight, self.bias, self.usual):
            content.update(np.ascontiguousarray(values).tobytes())
        return content.hexdigest()

    def scores(self, statistics: np.ndarray) -> np.ndarray:
        """The log odds of each way, where recordings that differ so and usual ones are as frequent.

        Args:
            statistics (float `(recordings, num_statistics)`): of the embedder.

        Returns:
            float64 `(recordings, ways)`.
        """
        return statistics.astype(np.float64) @ self.weight.astype(np.float64).T + self.bias

    def percentiles(self, scores: np.ndarray, seconds: float) -> list[float]:
        """How many usual recordings that are about as long, in percent, score at least so high in each way.

        The shorter recordings are, the further their scores lie apart. So a score is compared with those of the
        thousand recordings whose lengths are nearest, by their ratio (of fewer than 5,000, with a fifth of them, but
        with 200). It is never less than the next one could have.

        Args:
            scores (`(ways,)`): of a recording.
            seconds (float): how much of it is heard.
        """
        number = self._compared
        apart = np.abs(np.log(self.usual[:, 0]) - np.log(max(seconds, 1e-3)))
        near = self.usual[np.argpartition(apart, number - 1)[:number], 1:]
        found: list[float] = (100 * ((near >= scores).sum(0) + 1) / (number + 1)).tolist()
        return found

    @property
    def _compared(self) -> int:
        """With how many usual recordings one is compared."""
        return min(len(self.usual), max(FEWEST, min(NEAREST, len(self.usual) // 5)))

    def check_limits(self, limits: Limits | None) -> None:
        """Check that the detector has enough usual recordings to tell a percentage as small as the limit.

        Raises:
            ConfigError: no recording could lie beyond the limit, though it is more than 0.
        """
        limit = getattr(limits or Limits(), self.kind.name)
        least = 100 * len(self.kind.ways) / (self._compared + 1)
        if 0 < limit <= least:
            raise ConfigError(
                f"limits: {self.kind.name}={limit:g}: the {self.kind.detector} compares with "
                f"{self._compared} recordings, and tells no less than {least:.2g} %: set more, or 0 to look away"
            )

    def heard(self, statistics: np.ndarray, seconds: float, limits: Limits | None = None) -> Heard:
        """How much a recording sounds like what is listened for.

        Args:
            statistics (float `(num_statistics,)`): of the embedder.
            seconds (float): how much of it is heard.
            limits ([`Limits`], *optional*): the defaults by default.
        """
        (scores,) = self.scores(statistics[None])
        return Heard.of(self.kind, self.percentiles(scores, seconds), limits)

    def check(self, embedder: WespeakerModel) -> None:
        """Check that it is the detector of an embedder.

        Args:
            embedder ([`WespeakerModel`]): the embedder.

        Raises:
            MismatchError: it is that of another one.
        """
        identity = model_identity(embedder)
        if not is_same(self.embedder_identity, identity) or self.weight.shape[1] != embedder.num_statistics:
            raise MismatchError(
                f"{self.file} is a detector for the embedder {shown(self.embedder_identity)}, and the embedder here "
                f"is {shown(identity)}",
                remedy=f"Delete it, or {MADE_BY}",  # which does not read the old one
            )

    def describe(self) -> str:
        """What it was fitted to, and how many recordings that differ it finds, in a line."""
        bands = [band for band in self.record.get("found", ()) if band["recordings"]]
        found = [
            f"{100 * one['found'] / one['recordings']:.0f} % of {self.kind.amount(one['way'], *one['amount'])}"
            for one in bands
        ]
        finds = f"; where it takes 1 % of {self.kind.usual} for such, it finds {', '.join(found)}"
        of = f"{self.record.get('speakers', 'an unknown number of')} speakers"
        corpus = self.record.get("corpus", "an unknown corpus")
        return f"{self.digest[:12]}, fitted to recordings of {of} of {corpus}{finds if found else ''}"

    def save(self, folder: str | Path) -> Path:
        """Write its file into a folder, complete or not at all.

        Returns:
            `Path`: the file.
        """
        values: dict[str, np.ndarray] = {
            "weight": np.ascontiguousarray(self.weight, dtype=np.float32),
            "bias": np.ascontiguousarray(self.bias, dtype=np.float64),
            "usual": np.ascontiguousarray(self.usual, dtype=np.float32),
        }
        record = {"version": VERSION, "kind": self.kind.name, "digest": self.digest, **self.record}
        path = Path(folder) / self.file
        with atomic_path(path) as temporary:
            # Not `save_file`, whose file nobody else may read.
            temporary.write_bytes(save(values, {RECORD: json.dumps(record, ensure_ascii=False, sort_keys=True)}))
        return path


Detectors = dict[str, Detector]


def load_detectors(source: str | Path, **kwargs: Any) -> Detectors:
    """The detectors in a folder or repository, by the names of their kinds.

    Args:
        source: a folder, or the id of a repository on the Hub.
        **kwargs: of `from_pretrained`; those that say where on the Hub something is count.

    Raises:
        UserError: a file is damaged, or of another version.
    """
    files = {kind.name: optional_file(source, kind.file, **kwargs) for kind in KINDS}
    return {name: read_detector(file) for name, file in files.items() if file is not None}


def load_detectors_of(embedder: WespeakerModel, source: str | Path, otherwise: str) -> Detectors:
    """The detectors that lie beside an embedder, as far as they are those of this embedder.

    Args:
        embedder ([`WespeakerModel`]): the embedder.
        source: the folder or Hub repository that it was loaded from; beside the file of a checkpoint there are none.
        otherwise (str): what a warning says if one is for another embedder; `{name}` stands for it.

    Raises:
        UserError: one is damaged, or of another version.
    """
    found = {} if Path(source).is_file() else load_detectors(source)
    for kind, detector in list(found.items()):
        try:
            detector.check(embedder)
        except MismatchError as error:  # settings may have changed the features
            logger.warning("%s: %s", otherwise.format(name=detector.name), error)
            del found[kind]
    return found


def read_detector(file: str | Path) -> Detector:
    """The detector in a file.

    Raises:
        UserError: it is damaged, or of another version.
    """
    names = "weight", "bias", "usual"
    try:
        with safe_open(str(file), framework="numpy") as content:
            header = content.metadata() or {}
            record = json.loads(header.get(RECORD, "null"))
            values = {name: content.get_tensor(name) for name in names if name in content.keys()}  # noqa: SIM118
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise UserError(f"{file} is damaged ({error}): {MADE_BY}") from error
    if not isinstance(record, dict) or record.pop("version", None) != VERSION:
        raise UserError(f"{file} is damaged, or of another version of the package: {MADE_BY}")
    kind = {kind.name: kind for kind in KINDS}.get(str(record.pop("kind", None)))
    if kind is None or len(values) < len(names) or not _is_whole(kind, **values) or not _is_record(kind, record):
        raise UserError(f"{file} is damaged (its values are not those of a detector): {MADE_BY}")
    digest = record.pop("digest", None)
    detector = Detector(kind, values["weight"], values["bias"], values["usual"], record)
    if detector.digest != digest or detector.file != Path(file).name:
        raise UserError(f"{file} is not as it was saved (it was edited, or is damaged): {MADE_BY}")
    return detector


def _is_whole(kind: Kind, weight: np.ndarray, bias: np.ndarray, usual: np.ndarray) -> bool:
    """Whether the values of a file are those of a detector."""
    ways = len(kind.ways)
    fits = weight.ndim == usual.ndim == 2 and weight.shape[0] == ways and bias.shape == (ways,)
    fits = fits and usual.shape[1] == 1 + ways
    finite = fits and all(values.size and np.isfinite(values).all() for values in (weight, bias, usual))
    return bool(finite) and not (usual[:, 0] <= 0).any()


def _is_record(kind: Kind, record: Mapping[str, Any]) -> bool:
    """Whether a record has what is said of a detector."""
    found = record.get("found", [])
    return (
        isinstance(record.get("embedder"), str)
        and isinstance(record.get("corpus", ""), str)
        and isinstance(record.get("speakers", 0), int)
        and isinstance(found, list)
        and all(isinstance(band, dict) and _is_band(kind, band) for band in found)
    )


def _is_band(kind: Kind, band: Mapping[str, Any]) -> bool:
    amount = band.get("amount")
    return (
        band.get("way") in kind.ways
        and isinstance(amount, list)
        and len(amount) == 2
        and all(isinstance(value, int | float) for value in amount)
        and all(isinstance(band.get(name), int) for name in ("recordings", "found"))
    )
