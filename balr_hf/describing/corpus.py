"""From a corpus with attributes to the descriptions of these attributes."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf._version import __version__
from balr_hf.data.columns import vector_matrix
from balr_hf.data.labels import SEXES
from balr_hf.data.quality import each_recording
from balr_hf.data.skipped import Skipped
from balr_hf.describing.description import FEWEST, describe_attributes
from balr_hf.describing.descriptions import AttributeDescriptions, Distribution, Population, shortened
from balr_hf.describing.measures import RECORDING, VOICE, Measure, figures, matrix
from balr_hf.errors import UserError
from balr_hf.files import append_lines
from balr_hf.phonetics import load_voice

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

Figures = dict[str, float | None]

# The parts of the package that decide what a recording measures.
MEASURING = ("phonetics", "quality", "audio.py")


def describe_corpus(
    dataset: datasets.Dataset,
    autoencoder: str,
    embedder: str = "",
    name: str = "a corpus",
    permutations: int = 1_000,
    seed: int = 0,
    cache: Path | None = None,
    progress: bool = False,
) -> tuple[AttributeDescriptions, list[Skipped]]:
    """Measure the recordings of a corpus, and describe their attributes on held-out speakers.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id`, `audio`, `speaker` and `ba`, and with `sex` if it is known
            (`f`, `female`, `m`, `male`, ...), and `source` (the corpus, laboratory or channel that a recording is
            from), if there are several. Recordings without attributes are left out.
        autoencoder: the identity of what made the attributes, see [`model_identity`].
        embedder: that of the embedder, if it is known.
        name: what the corpus is called.
        permutations (int): of the speakers, see [`describe_attributes`].
        seed (int): of the permutations.
        cache (`Path`, *optional*): a folder in which measures are kept as they are made, for a run that is broken off
            and for later runs on the same recordings.
        progress (bool): show a progress bar.

    Returns:
        `(descriptions, skipped)`: the descriptions, and the recordings that could not be measured.

    Raises:
        UserError: a column is missing, or there are fewer than two speakers with recordings that can be used.
    """
    missing = [column for column in ("id", "audio", "speaker", "ba") if column not in dataset.column_names]
    if missing:
        raise UserError(
            f"the corpus has no column {' and '.join(missing)} (columns: {', '.join(dataset.column_names)}): "
            "describing needs the recordings, their speakers and their attributes"
        )
    bits, present = vector_matrix(dataset, "ba")
    named = np.array([speaker is not None for speaker in dataset["speaker"]])
    rows = np.flatnonzero(present & named)
    used, bits = dataset.select(rows), bits[named[present]].astype(bool)  # which has rows for those present only
    measured: list[Figures] = []
    found, skipped = [], []
    for row, (_, one) in enumerate(measure_recordings(used, cache, progress)):
        if isinstance(one, Skipped):
            skipped.append(one)
            continue
        found.append(row)
        measured.append(one)
    speakers = [str(speaker) for speaker in used.select(found)["speaker"]]
    if len(set(speakers)) < 2:
        raise UserError(
            f"{len(set(speakers))} speakers with recordings that can be used: attributes are described on speakers "
            "who were not fitted on, which takes two at the very least, and a hundred or more to tell much"
        )
    sexes, sources = _sexes(used.select(found)), _sources(used.select(found))
    voice, recording_figures = matrix(measured, VOICE), matrix(measured, RECORDING)
    names = ([measure.name for measure in VOICE], [measure.name for measure in RECORDING])
    described = describe_attributes(
        *(bits[found], voice, recording_figures, speakers, names, sexes, sources),
        permutations=permutations,
        seed=seed,
    )
    both, measures = np.concatenate([voice, recording_figures], axis=1), (*VOICE, *RECORDING)
    of_sex = {sex: np.array([one == sex for one in sexes]) for sex in sorted(set(sexes) - {None}, key=str)}
    persons = {sex: {speakers[row] for row in np.flatnonzero(mask)} for sex, mask in of_sex.items()}
    population = Population(
        corpus=name,
        recordings=len(speakers),
        speakers=len(set(speakers)),
        sexes={str(sex): len(whom) for sex, whom in persons.items()},
        measures=_distributions(both, measures),
        by_sex={
            str(sex): _distributions(both[mask], measures)
            for sex, mask in of_sex.items()
            if len(persons[sex]) >= FEWEST
        },
    )
    made = AttributeDescriptions(
        autoencoder=autoencoder,
        embedder=embedder,
        population=population,
        date=datetime.date.today().isoformat(),
        made_with={"balr_hf": __version__, "permutations": permutations, "seed": seed},
        attributes=tuple(map(shortened, described)),
    )
    # As whoever loads the file will have them: with the figures rounded.
    return AttributeDescriptions.from_dict(made.to_dict()), skipped


def measure_recordings(
    dataset: datasets.Dataset, cache: Path | None = None, progress: bool = False
) -> Iterator[tuple[str, Figures | Skipped]]:
    """Measure each recording, its voice and itself: `(id, figures)`, or `(id, skipped)` if it cannot be decoded.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id` and `audio`.
        cache (`Path`, *optional*): see [`describe_corpus`]. Measures are found again by the sha256 of the audio.
        progress (bool): show a progress bar.
    """
    store = _Store(cache)

    def load(audio: Any) -> tuple[str, Figures]:
        key = _audio_digest(audio)
        known = store.known.get(key)
        return key, measure_voice_and_recording(audio) if known is None else known

    for name, found in each_recording(dataset, load, progress):
        if isinstance(found, Skipped):
            yield name, found
            continue
        store.keep(*found)
        yield name, found[1]


def measure_voice_and_recording(source: Any) -> Figures:
    """All measures of one recording by name, of its voice and of itself; `source` as for [`load_audio`]."""
    measured = load_voice(source)
    return figures(measured.voice.to_dict(), measured.recording.quality.to_dict())


def cache_folder() -> Path:
    """Where measures are kept by default: beside the Hub's cache, in the folder that `HF_HOME` names."""
    from huggingface_hub.constants import HF_HOME

    return Path(os.path.expanduser(HF_HOME)) / "balr-describing"


class _Store:
    """Measures by the digest of their audio, in a file to which each is added at once.

    The file is named after the code that measures, so that what other code measured is not taken.
    """

    def __init__(self, folder: Path | None):
        self.known: dict[str, Figures] = {}
        self._path = None if folder is None else folder / f"measures-{_code_digest()[:16]}.jsonl"
        if self._path is None or not self._path.is_file():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                self.known[entry["audio"]] = figures(entry["figures"], entry["figures"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # a line that a run which was killed did not finish

    def keep(self, key: str, found: Figures) -> None:
        if key in self.known:
            return
        self.known[key] = found
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # measures of people's voices
            append_lines(self._path, json.dumps({"audio": key, "figures": found}) + "\n")
        except OSError as error:  # they only save time
            logger.warning("Recordings are measured anew the next time, since measures cannot be kept: %s", error)
            self._path = None


def _audio_digest(audio: Any) -> str:
    """The sha256 of a recording's file, or of its samples and their rate."""
    if isinstance(audio, Mapping) and audio.get("array") is not None:
        samples = np.ascontiguousarray(audio["array"], dtype=np.float32)
        return hashlib.sha256(samples.tobytes() + str(audio["sampling_rate"]).encode()).hexdigest()
    content = audio.get("bytes") if isinstance(audio, Mapping) else None
    if content is None:
        path = audio["path"] if isinstance(audio, Mapping) else audio
        content = Path(path).read_bytes()
    return hashlib.sha256(content).hexdigest()


def _code_digest() -> str:
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for part in MEASURING:
        path = root / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _sexes(dataset: datasets.Dataset) -> list[str | None]:
    """The sex of each recording's speaker, None where the corpus does not say it."""
    if "sex" not in dataset.column_names:
        return [None] * len(dataset)
    stated = [str(sex).strip().lower() for sex in dataset["sex"]]
    unknown = Counter(sex for sex in stated if sex not in SEXES and sex not in ("", "none", "nan", "unknown"))
    if unknown:
        logger.warning("The column sex has %s, which count as unknown", ", ".join(sorted(unknown)[:5]))
    return [SEXES.get(sex) for sex in stated]


def _sources(dataset: datasets.Dataset) -> list[str | None]:
    """Where each recording is from, None where the corpus does not say it."""
    if "source" not in dataset.column_names:
        return [None] * len(dataset)
    return [None if source is None else str(source).strip() or None for source in dataset["source"]]


def _distributions(values: np.ndarray, measures: tuple[Measure, ...]) -> dict[str, Distribution]:
    found = {measure.name: Distribution.of(values[:, place]) for place, measure in enumerate(measures)}
    return {name: one for name, one in found.items() if one is not None}
