"""Having a whole system learn to notice people who speak at the same time, from a corpus."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from balr_hf._version import __version__
from balr_hf.audio import reason_not_decoded
from balr_hf.data.origins import sources_of
from balr_hf.data.reading import load_corpus
from balr_hf.data.skipped import Skipped, warn_skipped
from balr_hf.errors import UserError
from balr_hf.identity import model_digest
from balr_hf.overlapped.fitting import COUNT, fit_detector
from balr_hf.overlapped.mixtures import CONDITIONS
from balr_hf.quality.channels import load_speech

if TYPE_CHECKING:
    import datasets

    from balr_hf.overlapped.detector import OverlappedSpeechDetector
    from balr_hf.system.modeling_system import SpeakerComparisonModel


def learn_overlapped_speech(
    system: SpeakerComparisonModel,
    corpus: datasets.Dataset | str | Path,
    name: str | None = None,
    count: int = COUNT,
    seed: int = 0,
    conditions: Sequence[str] = CONDITIONS,
    progress: bool = False,
    work: Path | None = None,
) -> tuple[OverlappedSpeechDetector, list[Skipped]]:
    """Fit a detector of overlapped speech for a system, to recordings of one voice each.

    Args:
        system ([`SpeakerComparisonModel`]): whose embedder's statistics it weighs.
        corpus: as for [`load_corpus`], with `speaker`, and with `source` if recordings are from several.
        name (str, *optional*): what reports call the corpus; by default the name of its file or folder.
        count, seed, conditions, progress: as for [`fit_detector`].
        work (Path, *optional*): folder to keep in what is computed, so that the same call goes on where it was
            interrupted. It is removed at the end; what is kept there of another system, corpus or setting is neither
            used nor removed.

    Returns:
        `(detector, skipped)`: the detector, which the system does not have until it is assigned to
        `system.overlapped_speech_detector`; and the recordings that could not be decoded.

    Raises:
        UserError: there are no recordings with speakers, or as for [`fit_detector`].

    Example:
        >>> from balr_hf.defaults import SYSTEM, resource
        >>> system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))  # doctest: +SKIP
        >>> system.overlapped_speech_detector, _ = learn_overlapped_speech(system, "corpus.csv")  # doctest: +SKIP
        >>> system.save_pretrained("system")  # doctest: +SKIP
    """
    if name is None:
        name = Path(corpus).name if isinstance(corpus, str | Path) else "a corpus"
    dataset = load_corpus(corpus, vectors=())
    missing = [column for column in ("audio", "speaker") if column not in dataset.column_names]
    if missing:
        raise UserError(
            f"the corpus has no column {' and '.join(missing)} (columns: {', '.join(dataset.column_names)}): mixing "
            "voices needs the recordings and their speakers"
        )
    audio, speakers = dataset["audio"], dataset["speaker"]
    rows = [row for row, speaker in enumerate(speakers) if speaker is not None and audio[row] is not None]
    sources = dataset["source"] if "source" in dataset.column_names else [None] * len(dataset)
    skipped: dict[int, Skipped] = {}

    def waveform(number: int) -> np.ndarray:
        row = rows[number]
        try:
            return load_speech(audio[row])
        except Exception as error:
            skipped.setdefault(row, Skipped(dataset["id"][row], reason_not_decoded(error)))
            return np.zeros(0, dtype=np.float32)

    people, places = [str(speakers[row]) for row in rows], [str(sources[row] or "") for row in rows]
    drawn, kept = (count, seed, tuple(conditions)), None
    if work is not None:
        recordings = sources_of(dataset, "audio", rows, quick=True)
        made_of = [__version__, model_digest(system.embedder), drawn, recordings, people, places]
        kept = work / hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    try:
        detector = fit_detector(system.embedder, waveform, people, places, name, *drawn, progress, kept)
    except UserError:
        warn_skipped([skipped[row] for row in sorted(skipped)], "Mixing")
        raise
    if kept is not None:
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):  # other runs have left something there
            kept.parent.rmdir()
    return detector, [skipped[row] for row in sorted(skipped)]
