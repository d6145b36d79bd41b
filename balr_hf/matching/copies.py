"""Copies of calibration recordings in a condition, measured and embedded, and kept for the next case like it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf.audio import SAMPLING_RATE, AudioError, reason_not_decoded, resample
from balr_hf.conditions import Condition, recording_seed
from balr_hf.data.audio_sources import audio_source, content_and_path, file_stat
from balr_hf.domain import HIGHEST_SNR
from balr_hf.domain.limits import is_narrow
from balr_hf.embeddings.passes import Embedder, embed_waveforms
from balr_hf.files import atomic_path
from balr_hf.quality import (
    RecordingQuality,
    heard,
    load_speech,
    measure_recording,
    reason_to_refuse,
    stretches_of,
)
from balr_hf.threads import on_threads

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

# Decibels, and Hz: a recording that is noisier than wanted, or whose bandwidth is narrower, by no more than this is
# taken as it is. Hz: the bandwidths of wide-band speech and of telephone calls.
NOISIER, NARROWER = 4.0, 500.0
WIDE, TELEPHONE = 8_000.0, 3_500.0
# Decibels: what has a higher signal-to-noise ratio counts as clean. No noise is added for a case that is clean, and
# recordings for it need this ratio.
CLEAN = HIGHEST_SNR
# Recordings that are worked on together.
TOGETHER = 16
# Changes when what is computed of a copy changes, or how it is found again, so that no earlier one is taken for it.
VERSION = 5


# The samples of a copy at 16 kHz, why there are none, in what it falls short, its measures, and what is simulated.
Made = tuple[np.ndarray | None, str, str, dict[str, Any] | None, str]


@dataclass(frozen=True)
class CopyOf:
    """What was computed of one recording in a condition.

    Attributes:
        reason: why the recording cannot be brought to it; empty if it can.
        note: in what the copy falls short of the condition; empty if it does not.
        embedding (float32 `(values,)`): of the copy; zeros if there is none.
        quality (dict, *optional*): its measures, as [`RecordingQuality.to_dict`] gives them; None if there is none.
        simulated: `band`, `noise` or `band, noise`, where the recording was of a wider band, or had less noise; empty
            if its own conditions are those of the copy.
        was_kept: whether it was computed for an earlier case, and read from the folder where copies are kept.
    """

    reason: str
    note: str
    embedding: np.ndarray
    quality: dict[str, Any] | None
    simulated: str = ""
    was_kept: bool = False


class Copies:
    """Makes copies, and keeps what was computed of them in a folder.

    Args:
        embedder: embeds them.
        identity (str): of the embedder; what another one made is not taken.
        folder: where to keep it; nothing is kept by default.
        seed (int): of the copies.
    """

    def __init__(self, embedder: Embedder, identity: str, folder: Path | None = None, seed: int = 0):
        self.embedder, self.identity, self.folder, self.seed = embedder, identity, folder, seed
        self._model = embedder.for_inference()
        self._kept: dict[Condition, dict[str, CopyOf]] = {}
        self._sources: dict[tuple[str, str], str] = {}  # digests of files, by path, and by size and time of change

    def of(
        self, corpus: datasets.Dataset, conditions: Sequence[Condition], progress: bool = False
    ) -> list[list[CopyOf]]:
        """The copies of a corpus's recordings in some conditions, computed where they are not kept yet.

        Args:
            corpus (`datasets.Dataset`): `id` and `audio`.
            conditions: the conditions, no two alike.
            progress (bool): show a progress bar.

        Returns:
            for each condition, the copy of each recording.
        """
        from tqdm.auto import tqdm

        paths = [self._path(condition) for condition in conditions]
        for path, condition in zip(paths, conditions, strict=True):
            if condition not in self._kept:
                self._kept[condition] = {} if path is None else _read(path)
        kept = [self._kept[condition] for condition in conditions]
        rows = [corpus[number] for number in range(len(corpus))]
        keys = on_threads(self._key, rows)
        missing = [number for number, key in enumerate(keys) if any(key not in copies for copies in kept)]
        told = " and ".join(map(str, conditions))
        with tqdm(total=len(missing), desc=f"Matching {told}", unit="recording", disable=not progress) as bar:
            for start in range(0, len(missing), TOGETHER):
                some = missing[start : start + TOGETHER]
                computed = self._compute([rows[number] for number in some], conditions)
                for number, copies in zip(some, computed, strict=True):
                    for known, copy in zip(kept, copies, strict=True):
                        known[keys[number]] = copy
                bar.update(len(some))
        for path, known in zip(paths, kept, strict=True):
            if path is not None and missing:
                _write(path, known)
        return [[known[key] for key in keys] for known in kept]

    def _key(self, row: dict[str, Any]) -> str:
        """What a recording's copies are found by: its audio, and its id, on which depends what is drawn.

        Size and time of change would not do: recordings of another corpus may have the same ids, and those that were
        unpacked from one archive the same time.
        """
        content, path = content_and_path(row["audio"])
        if content is not None or path is None:
            return f"{row['id']}\0{audio_source(row['audio'])}"
        file = path, file_stat(path)
        if file not in self._sources:
            self._sources[file] = audio_source(row["audio"])
        return f"{row['id']}\0{self._sources[file]}"

    def _compute(self, rows: Sequence[dict[str, Any]], conditions: Sequence[Condition]) -> list[list[CopyOf]]:
        copied = [one for of_row in on_threads(lambda row: self._copies(row, conditions), rows) for one in of_row]
        extractor = self.embedder.feature_extractor
        waveforms = [
            resample(samples, SAMPLING_RATE, extractor.sampling_rate) for samples, *_ in copied if samples is not None
        ]
        embeddings = iter(embed_waveforms(self._model, extractor, waveforms, torch.device(self._model.device)))
        nothing = np.zeros(self.embedder.config.embed_dim, dtype=np.float32)
        copies = [
            CopyOf(reason, note, nothing if samples is None else next(embeddings), quality, simulated)
            for samples, reason, note, quality, simulated in copied
        ]
        return [copies[start : start + len(conditions)] for start in range(0, len(copies), len(conditions))]

    def _copies(self, row: dict[str, Any], conditions: Sequence[Condition]) -> list[Made]:
        """One recording's copies."""
        try:
            samples = load_speech(row["audio"])
        except Exception as error:
            return [(None, reason_not_decoded(error), "", None, "")] * len(conditions)
        own, speech = measure_recording(samples)
        refused = reason_to_refuse(own)
        if refused is not None or own.snr is None or own.bandwidth is None:
            return [(None, refused or "no speech", "", None, "")] * len(conditions)
        return [self._copy(row["id"], samples, own, speech, condition) for condition in conditions]

    def _copy(
        self,
        name: str,
        samples: np.ndarray,
        own: RecordingQuality,
        speech: list[tuple[float, float]],
        condition: Condition,
    ) -> Made:
        nearest, note = _within_reach(condition, own)
        if nearest is None:
            return None, note, "", None, ""
        try:
            copy = nearest.apply(samples, recording_seed(name, self.seed), speech=speech)
        except AudioError as error:
            return None, str(error), "", None, ""
        quality, spoken = measure_recording(copy)
        refused = reason_to_refuse(quality)
        if refused is not None:
            return None, refused, "", None, ""
        return heard(copy, stretches_of(copy, spoken)), "", note, quality.to_dict(), _simulated(nearest, own)

    def _path(self, condition: Condition) -> Path | None:
        if self.folder is None:
            return None
        digest = hashlib.sha256(f"{VERSION}\0{self.identity}\0{self.seed}\0{condition}".encode()).hexdigest()
        return self.folder / f"{digest[:24]}.npz"


def _within_reach(condition: Condition, own: RecordingQuality) -> tuple[Condition | None, str]:
    """The condition that a recording can be brought to, and in what it falls short; None and why not, if it cannot."""
    assert own.snr is not None and own.bandwidth is not None  # or it would have been refused
    notes = []
    if condition.duration is not None and own.net_speech < condition.duration:
        condition = replace(condition, duration=None)
        notes.append("less speech")
    least = CLEAN if condition.snr is None else condition.snr
    if own.snr < least - NOISIER:
        return None, "noisier"
    if own.snr < least:
        condition = replace(condition, snr=None, noise=None)
        notes.append("a little noisier")
    if own.bandwidth < bandwidth_of(condition) - NARROWER:
        return None, "narrower band"
    return condition, ", ".join(notes)


def _simulated(condition: Condition, own: RecordingQuality) -> str:
    """What of a condition a recording does not have by itself, beyond what is taken as it is."""
    assert own.snr is not None and own.bandwidth is not None  # or it would have been refused
    band = own.bandwidth > bandwidth_of(condition) + NARROWER
    noise = condition.snr is not None and own.snr > condition.snr + NOISIER
    return ", ".join(name for name, is_so in (("band", band), ("noise", noise)) if is_so)


def bandwidth_of(condition: Condition) -> float:
    """The bandwidth in Hz that recordings in a condition have."""
    if condition.band is None:
        return WIDE
    return TELEPHONE if condition.band == "telephone" else float(condition.band)


def share_filtered(conditions: Sequence[Condition], sides: Sequence[Sequence[CopyOf]]) -> dict[str, float]:
    """The share of the copies with the band of a call that are wide-band recordings through a filter, as `filtered`.

    Args:
        conditions: of the copies for A, and of those for B.
        sides: the copies for either that are in the calibration's trials.

    Returns:
        the larger share of the two sides; empty where neither has such a band.
    """
    shares = [
        sum("band" in copy.simulated.split(", ") for copy in copies) / len(copies)
        for condition, copies in zip(conditions, sides, strict=True)
        if copies and is_narrow(bandwidth_of(condition))
    ]
    return {"filtered": max(shares)} if shares else {}


def _read(path: Path) -> dict[str, CopyOf]:
    try:
        with np.load(path, allow_pickle=False) as found:
            names = ("keys", "reasons", "notes", "embeddings", "quality", "simulated")
            rows = zip(*(found[name] for name in names), strict=True)
            return {
                str(key): CopyOf(str(reason), str(note), vector, json.loads(str(quality)), str(simulated), True)
                for key, reason, note, vector, quality, simulated in rows
            }
    except FileNotFoundError:
        return {}
    except Exception as error:  # a damaged file can make zipfile and numpy raise almost anything
        logger.warning("Computing copies anew, since %s is damaged: %s", path, error)
        return {}


def _write(path: Path, copies: dict[str, CopyOf]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # embeddings of people
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                keys=np.array(list(copies)),
                reasons=np.array([copy.reason for copy in copies.values()]),
                notes=np.array([copy.note for copy in copies.values()]),
                embeddings=np.stack([copy.embedding for copy in copies.values()]),
                quality=np.array([json.dumps(copy.quality) for copy in copies.values()]),
                simulated=np.array([copy.simulated for copy in copies.values()]),
            )
    except OSError as error:  # they only save time
        logger.warning("Copies are computed anew the next time, since they cannot be kept: %s", error)


def cache_folder() -> Path:
    """Where copies are kept by default: beside the Hub's cache, in the folder that `HF_HOME` names."""
    from huggingface_hub.constants import HF_HOME

    return Path(os.path.expanduser(HF_HOME)) / "balr-matching"
