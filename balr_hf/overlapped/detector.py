"""A detector of overlapped speech, and the file that it is kept in."""

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
from balr_hf.errors import MismatchError, UserError
from balr_hf.files import atomic_path
from balr_hf.identity import is_same, model_identity, shown

if TYPE_CHECKING:
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

logger = logging.getLogger(__name__)

# The file beside a system, the name of its record in the file's header, and the version of both.
FILE, RECORD, VERSION = "overlapped_speech.safetensors", "overlapped_speech", 1
# With how many recordings of one voice, of about its length, a recording is compared.
NEAREST, FEWEST = 1_000, 200
# How reports name a detector.
DETECTOR = "Detector of overlapped speech"
MADE_BY = "make it anew with balr overlapped SYSTEM CORPUS"


@dataclass(frozen=True, eq=False)
class OverlappedSpeechDetector:
    """Tells recordings in which people speak at the same time from those of one voice, by a logistic regression.

    Attributes:
        weight (float32 `(num_statistics,)`): of each of the embedder's statistics, see
            [`WespeakerModel.num_statistics`].
        bias (float): is added to the weighted sum.
        one_voice (float32 `(recordings, 2)`): of recordings of one voice how many seconds of each are heard, and its
            score, by weights that were not fitted to its speaker.
        record (dict): `embedder`, the identity of the embedder; `corpus`, what it was fitted to, with `speakers`,
            `conditions`, `seed` and `date`; and `found`, how many of the second voices it finds, see
            [`balr_hf.overlapped.fitting.fit_detector`].
    """

    weight: np.ndarray
    bias: float
    one_voice: np.ndarray
    record: Mapping[str, Any]

    @property
    def embedder_identity(self) -> str:
        """The identity of the embedder whose statistics it takes."""
        return str(self.record["embedder"])

    @property
    def digest(self) -> str:
        """The sha256 of all that decides what it says, as hexadecimal digits."""
        content = hashlib.sha256(json.dumps(dict(self.record), sort_keys=True).encode())
        for values in (self.weight, np.array([self.bias]), self.one_voice):
            content.update(np.ascontiguousarray(values).tobytes())
        return content.hexdigest()

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """The log odds of two voices at once, where both kinds of recordings are as frequent.

        Args:
            statistics (float `(recordings, num_statistics)`): of the embedder.

        Returns:
            float64 `(recordings,)`.
        """
        return statistics.astype(np.float64) @ self.weight.astype(np.float64) + self.bias

    def percentile(self, score: float, seconds: float) -> float:
        """How many recordings of one voice that are about as long, in percent, score at least so high.

        The shorter recordings are, the further their scores lie apart. So a score is compared with those of the
        thousand recordings whose lengths are nearest, by their ratio (of fewer than 5,000, with a fifth of them, but
        with 200). It is never less than the next one could have.

        Args:
            score (float): of a recording.
            seconds (float): how much of it is heard.
        """
        number = min(len(self.one_voice), max(FEWEST, min(NEAREST, len(self.one_voice) // 5)))
        apart = np.abs(np.log(self.one_voice[:, 0]) - np.log(max(seconds, 1e-3)))
        near = self.one_voice[np.argpartition(apart, number - 1)[:number], 1]
        return float(100 * (np.count_nonzero(near >= score) + 1) / (number + 1))

    def check(self, embedder: WespeakerModel) -> None:
        """Check that it is the detector of an embedder.

        Args:
            embedder ([`WespeakerModel`]): the embedder.

        Raises:
            MismatchError: it is that of another one.
        """
        identity = model_identity(embedder)
        if not is_same(self.embedder_identity, identity) or len(self.weight) != embedder.num_statistics:
            raise MismatchError(
                f"{FILE} is a detector for the embedder {shown(self.embedder_identity)}, and the embedder here is "
                f"{shown(identity)}",
                remedy=f"Delete it, or {MADE_BY}",  # which does not read the old one
            )

    def describe(self) -> str:
        """What it was fitted to, and how many second voices it finds, in a line."""
        bands = [
            f"{100 * band['found'] / band['mixtures']:.0f} % of those {band['below'][0]:g} to {band['below'][1]:g} dB"
            for band in self.record.get("found", ())
            if band["mixtures"]
        ]
        finds = (
            f"; where it takes 1 % of recordings of one voice for two, it finds, of second voices that speak half of "
            f"the time or more, {', '.join(bands)} below the first"
        )
        of = f"{self.record.get('speakers', 'an unknown number of')} speakers"
        corpus = self.record.get("corpus", "an unknown corpus")
        return f"{self.digest[:12]}, fitted to mixtures of {of} of {corpus}{finds if bands else ''}"

    def save(self, folder: str | Path) -> Path:
        """Write `overlapped_speech.safetensors` into a folder, complete or not at all.

        Returns:
            `Path`: the file.
        """
        values: dict[str, np.ndarray] = {
            "weight": np.ascontiguousarray(self.weight, dtype=np.float32),
            "bias": np.array([self.bias], dtype=np.float64),
            "one_voice": np.ascontiguousarray(self.one_voice, dtype=np.float32),
        }
        record = {"version": VERSION, "digest": self.digest, **self.record}
        path = Path(folder) / FILE
        with atomic_path(path) as temporary:
            # Not `save_file`, whose file nobody else may read.
            temporary.write_bytes(save(values, {RECORD: json.dumps(record, ensure_ascii=False, sort_keys=True)}))
        return path


def load_detector(source: str | Path, **kwargs: Any) -> OverlappedSpeechDetector | None:
    """The detector in a folder or repository; None if there is none.

    Args:
        source: a folder, or the id of a repository on the Hub.
        **kwargs: of `from_pretrained`; those that say where on the Hub something is count.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    found = optional_file(source, FILE, **kwargs)
    return None if found is None else read_detector(found)


def load_detector_of(embedder: WespeakerModel, source: str | Path, otherwise: str) -> OverlappedSpeechDetector | None:
    """The detector that lies beside an embedder, if there is one and it is one for this embedder.

    Args:
        embedder ([`WespeakerModel`]): the embedder.
        source: the folder or Hub repository that it was loaded from; beside the file of a checkpoint there is none.
        otherwise (str): what a warning says if it is one for another embedder.

    Raises:
        UserError: it is damaged, or of another version.
    """
    found = None if Path(source).is_file() else load_detector(source)
    try:
        if found is not None:
            found.check(embedder)
    except MismatchError as error:  # settings may have changed the features
        logger.warning("%s: %s", otherwise, error)
        return None
    return found


def read_detector(file: str | Path) -> OverlappedSpeechDetector:
    """The detector in a file.

    Raises:
        UserError: it is damaged, or of another version.
    """
    try:
        with safe_open(str(file), framework="numpy") as content:
            record = json.loads((content.metadata() or {})[RECORD])
            weight, bias, one_voice = (content.get_tensor(name) for name in ("weight", "bias", "one_voice"))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{file} is damaged ({error}): {MADE_BY}") from error
    if not isinstance(record, dict) or record.pop("version", None) != VERSION:
        raise UserError(f"{file} is of another version of the package: {MADE_BY}")
    whole = weight.ndim == 1 and one_voice.ndim == 2 and one_voice.shape[1] == 2 and bias.shape == (1,)
    finite = whole and all(values.size and np.isfinite(values).all() for values in (weight, bias, one_voice))
    if not finite or (one_voice[:, 0] <= 0).any() or not isinstance(record.get("embedder"), str):
        raise UserError(f"{file} is damaged (its values are not those of a detector): {MADE_BY}")
    digest = record.pop("digest", None)
    detector = OverlappedSpeechDetector(weight, float(bias[0]), one_voice, record)
    if detector.digest != digest:
        raise UserError(f"{file} is not as it was saved (it was edited, or is damaged): {MADE_BY}")
    return detector
