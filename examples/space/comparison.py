"""One comparison of the app: what is refused, the explanation, the attributes over time, and the files to download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, open_audio, resample
from balr_hf.data.belonging import PRECISION
from balr_hf.embeddings.passes import load_usable
from balr_hf.errors import UserError
from balr_hf.explanation.case import computation, recording_files
from balr_hf.quality.copies import copies_within

if TYPE_CHECKING:
    from balr_hf.explanation import Explanation
    from balr_hf.pipelines import SpeakerComparisonPipeline
    from balr_hf.timeline import ComparedTimelines

# Seconds of all recordings of a comparison together up to which the app looks at them over time. More takes minutes,
# and the sound would make the page large.
LONGEST_TIMELINE = 300.0
# Seconds of a recording that its spectrogram shows.
SPECTROGRAM = 10.0


@dataclass(frozen=True)
class Recording:
    """A recording as the app got it.

    Attributes:
        label: its side, with a number if the side has several: `A`, `B2`.
        path: of the file.
        quality: its measures by name; None where it could not be measured.
        reason: why it is refused; None if it is not.
    """

    label: str
    path: str
    quality: dict[str, Any] | None = None
    reason: str | None = None

    @property
    def side(self) -> str:
        """`A` or `B`."""
        return self.label[0]

    @property
    def name(self) -> str:
        """Of the file."""
        return Path(self.path).name


@dataclass(frozen=True)
class Refused:
    """No comparison.

    Attributes:
        reasons: one sentence each.
        recordings: what was measured of those that are there, if one of them is the reason.
    """

    reasons: tuple[str, ...]
    recordings: tuple[Recording, ...] = ()


@dataclass(frozen=True)
class Compared:
    """A comparison.

    Attributes:
        explanation: what was found.
        recordings: those of A, then those of B.
    """

    explanation: Explanation
    recordings: tuple[Recording, ...]

    def of_side(self, side: str) -> list[Recording]:
        """The recordings of `A` or `B`."""
        return [one for one in self.recordings if one.side == side]


def load_pipeline(
    embedder: str | None = None,
    autoencoder: str | None = None,
    scorer: str | None = None,
    system: str | None = None,
    allow_mismatch: bool = False,
) -> SpeakerComparisonPipeline:
    """The comparison of `pipeline("speaker-comparison")`, by default with the package's own models.

    Args:
        embedder, autoencoder, scorer (folder or Hub repository, *optional*): the parts, named one by one.
        system (folder or Hub repository, *optional*): a whole system, in their place.
        allow_mismatch (bool): take models that do not belong together; every answer then says so.

    Raises:
        UserError: a whole system and parts of one were named.
        MismatchError: the models do not belong together, and that was not allowed.
    """
    import transformers

    import balr_hf  # noqa: F401
    from balr_hf.defaults import SYSTEM, resource

    transformers.utils.logging.disable_progress_bar()
    if system is not None and (embedder or autoencoder or scorer):
        raise UserError("a whole system and parts of one were named: name one or the other")
    task: Any = "speaker-comparison"  # which transformers does not know among its own
    return transformers.pipeline(
        task,
        model=system or embedder or str(resource(SYSTEM)),
        autoencoder=autoencoder,
        scorer=scorer,
        allow_mismatch=allow_mismatch,
    )


def compare(pipeline: SpeakerComparisonPipeline, first: Sequence[str], second: Sequence[str]) -> Compared | Refused:
    """Compare two voices, or say why that cannot be done.

    Args:
        pipeline: of [`load_pipeline`].
        first (sequence of str): paths of recordings of one voice.
        second (sequence of str): of the other.
    """
    missing = [side for side, paths in zip("AB", (first, second), strict=True) if not paths]
    if missing:
        hint = "upload one, or record it. One that you have just added may still be on its way."
        return Refused(tuple(f"Voice {side} has no recording yet: {hint}" for side in missing))
    recordings = _labelled(first, second)
    names = tuple(", ".join(one.name for one in recordings if one.side == side) for side in "AB")
    try:
        found = pipeline(list(first), list(second), return_explanation=True, names=names)["explanation"]
    except AudioError as error:
        twice = _given_twice(recordings)
        return Refused(twice) if twice else _refused(pipeline, recordings, error)
    except UserError as error:
        return Refused((str(error),))
    measured = [quality for side in found.quality for quality in side]
    recordings = [Recording(one.label, one.path, dict(q)) for one, q in zip(recordings, measured, strict=True)]
    compared = Compared(found, tuple(recordings))
    files = [[(one.name, one.path) for one in compared.of_side(side)] for side in "AB"]
    models = {
        "Embedder": pipeline.model.embedder,
        "Autoencoder": pipeline.autoencoder,
        "Scorer's file": pipeline.scorer,
    }
    found.details = (*found.details, *recording_files(files), *computation(models, [PRECISION]))
    return compared


def over_time(pipeline: SpeakerComparisonPipeline, compared: Compared) -> ComparedTimelines | str:
    """The attributes over time, with the sound of the recordings; or, in a sentence, why they are not shown."""
    from balr_hf.timeline import ComparedTimelines

    seconds = sum(one.quality["duration"] for one in compared.recordings if one.quality is not None)
    if seconds > LONGEST_TIMELINE:
        return (
            f"Attributes over time are not shown: the recordings have {seconds:.0f} s together, and this page looks "
            f"at {LONGEST_TIMELINE:.0f} s at most. On your own machine, balr explain --timeline takes two hours each."
        )
    sides = [[(one.name, one.path) for one in compared.of_side(side)] for side in "AB"]
    system: Any = pipeline.model
    try:
        return ComparedTimelines.of(system, sides, compared.explanation, sound=True, min_speech=pipeline.min_speech)
    except UserError as error:
        return f"Attributes over time are not shown: {error}"


def write_files(compared: Compared, timelines: ComparedTimelines | None, folder: Path) -> tuple[Path, Path]:
    """Write the report as a page and as JSON, as `balr explain` writes them.

    Args:
        compared ([`Compared`]): the comparison.
        timelines ([`ComparedTimelines`], *optional*): of the same comparison.
        folder (path): an existing one.

    Returns:
        the two paths.
    """
    from balr_hf.files import json_text
    from balr_hf.timeline.section import timeline_section

    page, data = folder / "comparison.html", folder / "comparison.json"
    sections = [] if timelines is None else [timeline_section(timelines)]
    page.write_text(compared.explanation.to_html(sections=sections), encoding="utf-8")
    found = compared.explanation.to_dict() | ({} if timelines is None else {"timeline": timelines.to_dict()})
    data.write_text(json_text(found), encoding="utf-8")
    return page, data


def beginning(path: str, sampling_rate: int) -> tuple[np.ndarray, bool]:
    """The first ten seconds of a recording: float32 `(samples,)`, and whether there are more."""
    opened, most = open_audio(path), round(SPECTROGRAM * sampling_rate)
    if isinstance(opened, LongAudio):
        parts: list[np.ndarray] = []
        for samples in opened.resampled(sampling_rate):
            parts.append(samples)
            if sum(map(len, parts)) >= most:
                break
        heard = np.concatenate(parts)
    else:
        heard = resample(*opened, sampling_rate)
    return heard[:most], len(heard) > most or isinstance(opened, LongAudio)


def _labelled(first: Sequence[str], second: Sequence[str]) -> list[Recording]:
    return [
        Recording(f"{side}{number}" if len(paths) > 1 else side, path)
        for side, paths in zip("AB", (first, second), strict=True)
        for number, path in enumerate(paths, 1)
    ]


def _given_twice(recordings: list[Recording]) -> tuple[str, ...]:
    """A sentence for each pair of recordings of one side that hold the same sound, which would count twice."""
    found = []
    for side in "AB":
        of_side = {one.label: one for one in recordings if one.side == side}
        try:
            heard = {label: _whole(one.path) for label, one in of_side.items()}
        except AudioError:  # which recording it is, the measures of all of them tell
            continue
        found += [
            f"Voice {side}: {of_side[a].name} and {of_side[b].name} {copy.describe()}, so that it would count twice. "
            "Please remove one of them."
            for a, b, copy in copies_within(heard)
        ]
    return tuple(found)


def _whole(path: str) -> np.ndarray | LongAudio:
    opened = open_audio(path)
    return opened if isinstance(opened, LongAudio) else resample(*opened, SAMPLING_RATE)


def _refused(pipeline: SpeakerComparisonPipeline, recordings: list[Recording], error: AudioError) -> Refused:
    """All recordings with their measures, and a sentence for each of those that cannot be used."""
    seen, reasons = [], []
    for one in recordings:
        loaded = load_usable(one.path, pipeline.feature_extractor, pipeline.min_speech)
        quality = None if loaded.quality is None else loaded.quality.to_dict()
        seen.append(Recording(one.label, one.path, quality, loaded.reason))
        if loaded.reason is not None:
            reasons.append(f"Voice {one.side}, {one.name}: {loaded.reason}. Please choose another recording.")
    return Refused(tuple(reasons) or (str(error),), tuple(seen))
