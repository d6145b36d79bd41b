"""The part of `balr inspect` that asks whether each recording holds one voice, and one at a time: `--voices`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.passes import heard_recording, num_frames
from balr_hf.errors import ConfigError
from balr_hf.explanation.overlapped import Overlapped, shown
from balr_hf.explanation.voices import OneVoice, can_compare_parts
from balr_hf.explanation.wording import ratio
from balr_hf.files import atomic_path
from balr_hf.overlapped.detection import overlapped_each
from balr_hf.system.parts import one_voice_each
from balr_hf.untrusted import SafeWriter

if TYPE_CHECKING:
    from balr_hf.quality import Measured

# The name of the csv in the folder that is saved to.
FILE = "voices.csv"


class Voices(NamedTuple):
    """What was found of the voices in a recording.

    Attributes:
        parts: what the comparison of its two parts that differ most gave; None if it is too short.
        overlapped: how much it sounds like people who speak at the same time; None if the system has no detector.
    """

    parts: OneVoice | None
    overlapped: Overlapped | None

    @property
    def is_doubtful(self) -> bool:
        """Whether it may hold more than one voice."""
        return any(found is not None and found.is_doubtful for found in self)

    def mark(self) -> str:
        """What a table says of a doubtful recording."""
        marks = []
        if self.parts is not None and self.parts.is_doubtful:
            marks.append(f"may hold several voices (LR {ratio(self.parts.llr)})")
        if self.overlapped is not None and self.overlapped.is_doubtful:
            marks.append(f"may hold voices at the same time ({shown(self.overlapped.percentile)})")
        return "; ".join(marks)

    def describe(self, which: str) -> list[str]:
        """Sentences on a doubtful recording, which `which` names."""
        return [found.describe(which) for found in self if found is not None and found.is_doubtful]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: None if found is None else found.to_dict() for name, found in self._asdict().items()}


class VoiceCheck:
    """Looks for a second voice in a recording, with a calibrated system.

    The two parts of it that differ most are compared, and a detector of overlapped speech listens to it if the system
    has one.

    Args:
        source (str, *optional*): folder or Hub repository of the system; the package's own if there is none.
        device (str): where to compute.

    Raises:
        UserError: there is no such system.
        ConfigError: it is not calibrated, so that what it says of two parts means nothing.
    """

    def __init__(self, source: str | None, device: str):
        from balr_hf.defaults import SYSTEM, resource
        from balr_hf.devices import resolve_devices
        from balr_hf.system.modeling_system import SpeakerComparisonModel

        system = SpeakerComparisonModel.from_pretrained(source or resource(SYSTEM), with_descriptions=False)
        if not can_compare_parts(system.scorer):
            raise ConfigError(
                f"--voices needs a system that is calibrated with one recording a side, which {source} is not"
            )
        self._device = resolve_devices(device)[0]
        embedder: Any = system.embedder.for_inference()  # `to` is wrapped by transformers, which mypy takes ill
        self._embedder = embedder.to(self._device)
        self._autoencoder, self._scorer = system.autoencoder, system.scorer
        self._detector = system.overlapped_speech_detector

    @property
    def hears_overlapped(self) -> bool:
        """Whether the system has a detector of overlapped speech."""
        return self._detector is not None

    def __call__(self, measured: Measured) -> Voices | None:
        """What the system says of a recording; None if there is no speech in it."""
        samples = heard_recording(measured, self._embedder.feature_extractor)
        if not len(measured.speech):
            return None
        (found,) = one_voice_each(
            self._embedder,
            self._autoencoder,
            self._scorer,
            [samples],
            [measured.stretches],
            [measured.quality.to_dict()],
            self._device,
        )
        if self._detector is None or num_frames(samples, self._embedder.feature_extractor) < MIN_FRAMES:
            return Voices(found, None)
        (overlapped,) = overlapped_each(self._embedder, self._detector, [samples], self._device)
        return Voices(found, overlapped)


def write_voices(path: Path, found: Mapping[str, Voices]) -> None:
    """Write what was found to a csv: complete or not at all.

    Its columns are the recording's id, the natural-log LR of its two parts, how many seconds they have, the stretches
    of the shorter one as `start-end` in seconds, separated by spaces, and how many recordings of one voice, in
    percent, sound as much like people who speak at the same time. What was not found out is empty.
    """
    text = io.StringIO()
    writer = SafeWriter(text)
    writer.writerow(["id", "llr", "longer", "shorter", "stretches", "overlapped"])
    for name, (parts, overlapped) in found.items():
        cells = [""] * 4
        if parts is not None:
            places = " ".join(f"{start:.2f}-{end:.2f}" for start, end in parts.stretches)
            cells = [f"{parts.llr:.4f}", *(f"{seconds:.2f}" for seconds in parts.seconds), places]
        writer.writerow([name, *cells, "" if overlapped is None else f"{overlapped.percentile:.3g}"])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
