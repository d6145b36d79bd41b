"""Having a whole system learn to notice what makes a comparison meaningless, from a corpus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from balr_hf._version import __version__
from balr_hf.audio import reason_not_decoded
from balr_hf.data.origins import sources_of
from balr_hf.data.reading import load_corpus
from balr_hf.data.skipped import Skipped, warn_skipped
from balr_hf.detectors.draws import CONDITIONS
from balr_hf.detectors.fitting import COUNT, fit_detector
from balr_hf.errors import UserError
from balr_hf.explanation.heard import Kind
from balr_hf.identity import model_digest
from balr_hf.quality.channels import load_speech

if TYPE_CHECKING:
    import datasets

    from balr_hf.detectors.detector import Detector
    from balr_hf.system.modeling_system import SpeakerComparisonModel


def learn_to_hear(
    kind: Kind,
    system: SpeakerComparisonModel,
    corpus: datasets.Dataset | str | Path,
    name: str | None = None,
    count: int = COUNT,
    seed: int = 0,
    conditions: Sequence[str] = CONDITIONS,
    progress: bool = False,
    work: Path | None = None,
) -> tuple[Detector, list[Skipped]]:
    """Fit a detector for a system, to recordings of one voice each, at the speed of the speaker.

    Args:
        kind: what is to be listened for: `OVERLAPPED`, `SPEED` or `ROOM` (which needs the extra `rooms`) of
            [`balr_hf.explanation.heard`].
        system ([`SpeakerComparisonModel`]): whose embedder's statistics it weighs.
        corpus: as for [`load_corpus`], with `speaker`, and with `source` if recordings are from several.
        name (str, *optional*): what reports call the corpus; by default the name of its file or folder.
        count, seed, conditions, progress: as for [`fit_detector`].
        work (Path, *optional*): folder to keep in what is computed, so that the same call goes on where it was
            interrupted. It is not removed; what is kept there of another system, corpus or setting is not used.

    Returns:
        `(detector, skipped)`: the detector, which the system does not have until it is in `system.detectors`; and the
        recordings that could not be decoded.

    Raises:
        UserError: there are no recordings with speakers, or as for [`fit_detector`].

    Example:
        >>> from balr_hf.defaults import SYSTEM, resource
        >>> system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))  # doctest: +SKIP
        >>> system.detectors["speed"], _ = learn_to_hear(SPEED, system, "corpus.csv")  # doctest: +SKIP
        >>> system.save_pretrained("system")  # doctest: +SKIP
    """
    if name is None:
        name = Path(corpus).name if isinstance(corpus, str | Path) else "a corpus"
    dataset = load_corpus(corpus, vectors=())
    missing = [column for column in ("audio", "speaker") if column not in dataset.column_names]
    if missing:
        raise UserError(
            f"the corpus has no column {' and '.join(missing)} (columns: {', '.join(dataset.column_names)}): a "
            "detector is fitted to recordings and their speakers"
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
        made_of = [kind.name, __version__, model_digest(system.embedder), drawn, recordings, people, places]
        kept = work / hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    try:
        detector = fit_detector(kind, system.embedder, waveform, people, places, name, *drawn, progress, kept)
    except UserError:
        warn_skipped([skipped[row] for row in sorted(skipped)], "Making recordings")
        raise
    return detector, [skipped[row] for row in sorted(skipped)]
