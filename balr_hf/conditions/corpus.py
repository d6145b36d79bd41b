"""Whole corpora brought to conditions: voices and noises from other recordings, several recordings at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.audio import AudioError, load_audio, reason_not_decoded
from balr_hf.conditions.condition import Condition
from balr_hf.conditions.seeds import recording_seed
from balr_hf.data.skipped import Skipped
from balr_hf.errors import UserError
from balr_hf.quality import load_speech
from balr_hf.threads import num_cores, on_threads

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

# Speakers whose voices babble; each recording has all of them but its own speaker's to draw from.
MOST_VOICES = 40
# Recordings that are degraded together, for each core: so many are in memory at once.
TOGETHER = 4


@dataclass
class Surroundings:
    """What is heard besides the speaker: recordings of other speakers, and of noise.

    Attributes:
        voices: recordings of speakers, each `(samples,)` at 16 kHz.
        speakers: the speaker of each of them; None where no name is known.
        names: the id of each of them.
        noises: recordings of noise, each `(samples,)` at 16 kHz.
    """

    voices: list[np.ndarray] = field(default_factory=list)
    speakers: list[str | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    noises: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        dataset: datasets.Dataset,
        conditions: Sequence[Condition],
        seed: int = 0,
        noises: datasets.Dataset | None = None,
    ) -> Surroundings:
        """Load what some conditions need.

        Args:
            dataset (`datasets.Dataset`): the corpus, whose speakers babble.
            conditions: the conditions.
            seed (int): decides whose voices these are; the order of the corpus does not.
            noises (`datasets.Dataset`, *optional*): recordings of noise.

        Raises:
            UserError: there are no recordings of noise though a condition wants them, or one cannot be decoded.
        """
        kinds = {condition.noise for condition in conditions}
        found = cls()
        if "babble" in kinds:
            found._add_voices(dataset, seed)
        if "recorded" in kinds:
            if noises is None or not len(noises):
                raise UserError("noise=recorded needs recordings of noise: name them with --noise")
            found.noises = [_loaded(row["id"], row["audio"]) for row in noises.select_columns(["id", "audio"])]
        return found

    def _add_voices(self, dataset: datasets.Dataset, seed: int) -> None:
        """One recording of each of some speakers; every recording is a speaker's own where speakers are unknown."""
        speakers = dataset["speaker"] if "speaker" in dataset.column_names else [None] * len(dataset)
        drawn: dict[str, tuple[int, int]] = {}  # the recording of each speaker that comes first by its seed
        for row, (name, speaker) in enumerate(zip(dataset["id"], speakers, strict=True)):
            key, order = name if speaker is None else f"speaker {speaker}", recording_seed(name, seed)
            drawn[key] = min(drawn.get(key, (order, row)), (order, row))
        rows = [row for _, row in sorted(drawn.values())[:MOST_VOICES]]
        for row in dataset.select(rows).select_columns(["id", "audio"]):
            try:
                self.voices.append(_loaded(row["id"], row["audio"], load_speech))
            except UserError as error:
                logger.warning("Not among the voices that babble: %s", error)
                continue
            self.names.append(row["id"])
        speaker_of = dict(zip(dataset["id"], speakers, strict=True))
        self.speakers = [speaker_of[name] for name in self.names]

    def voices_without(self, name: str, speaker: str | None) -> list[np.ndarray]:
        """The voices of all speakers but one, and without one recording."""
        own = zip(self.voices, self.speakers, self.names, strict=True)
        return [
            voice
            for voice, other, other_name in own
            if other_name != name and (speaker is None or other is None or other != speaker)
        ]


def degrade_corpus(
    dataset: datasets.Dataset,
    condition: Condition,
    seed: int = 0,
    surroundings: Surroundings | None = None,
    progress: bool = False,
) -> Iterator[tuple[str, np.ndarray | Skipped]]:
    """Bring each recording of a corpus to a condition: `(id, samples)`, or `(id, skipped)` where that cannot be.

    What comes out depends on the seed and the recording's id, and not on the order or the number of cores.

    Args:
        dataset (`datasets.Dataset`): a corpus with `audio`.
        condition ([`Condition`]): the condition.
        seed (int): of the whole copy.
        surroundings ([`Surroundings`], *optional*): voices and noises, if the condition needs them.
        progress (bool): show a progress bar.

    Raises:
        UserError: the corpus has no audio, or what the condition takes is not there: a codec, a package, voices.
    """
    from tqdm.auto import tqdm

    if "audio" not in dataset.column_names:
        raise UserError(f"the corpus has no audio column (columns: {', '.join(dataset.column_names)})")
    surroundings = surroundings or Surroundings()

    def degraded(row: Mapping[str, Any]) -> np.ndarray | str:
        voices = surroundings.voices_without(row["id"], row.get("speaker"))
        try:
            samples = load_speech(row["audio"])
        except Exception as error:
            return reason_not_decoded(error)
        try:
            own = recording_seed(row["id"], seed)
            return condition.apply(samples, own, voices=voices, noises=surroundings.noises)
        except AudioError as error:
            return str(error)

    rows = dataset.select_columns([name for name in ("id", "audio", "speaker") if name in dataset.column_names])
    together = TOGETHER * num_cores()
    with tqdm(total=len(rows), desc=f"Degrading to {condition}", unit="recording", disable=not progress) as bar:
        for start in range(0, len(rows), together):
            batch = [rows[number] for number in range(start, min(start + together, len(rows)))]
            for row, found in zip(batch, on_threads(degraded, batch), strict=True):
                bar.update()
                yield row["id"], Skipped(row["id"], found) if isinstance(found, str) else found


def _loaded(name: str, audio: Any, load: Callable[[Any], np.ndarray] = load_audio) -> np.ndarray:
    try:
        return load(audio)
    except AudioError as error:
        raise UserError(f"{name}: {error}") from error
