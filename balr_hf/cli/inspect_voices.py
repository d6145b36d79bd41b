"""The part of `balr inspect` that asks whether each recording holds one voice, and what the detectors hear."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from balr_hf.detectors.detection import listen_to_each
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.passes import heard_recording, num_frames
from balr_hf.errors import ConfigError
from balr_hf.explanation.heard import KINDS, Heard
from balr_hf.explanation.voices import OneVoice, can_compare_parts
from balr_hf.explanation.wording import ratio
from balr_hf.files import atomic_path
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
        heard: how much it sounds like what the system's detectors listen for, by the names of their kinds.
    """

    parts: OneVoice | None
    heard: Mapping[str, Heard]

    @property
    def is_doubtful(self) -> bool:
        """Whether it may hold more than one voice, or what a detector listens for."""
        return bool(self._doubts())

    def _doubts(self) -> list[OneVoice | Heard]:
        found: list[OneVoice | Heard] = [] if self.parts is None else [self.parts]
        return [one for one in [*found, *self.heard.values()] if one.is_doubtful]

    def mark(self) -> str:
        """What a table says of a doubtful recording."""
        marks = []
        if self.parts is not None and self.parts.is_doubtful:
            marks.append(f"may hold several voices (LR {ratio(self.parts.llr)})")
        marks += [one.mark for one in self.heard.values() if one.is_doubtful]
        return "; ".join(marks)

    def describe(self, which: str) -> list[str]:
        """Sentences on a doubtful recording, which `which` names."""
        return [found.describe(which) for found in self._doubts()]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        heard = {kind.name: self.heard[kind.name].to_dict() if kind.name in self.heard else None for kind in KINDS}
        return {"parts": None if self.parts is None else self.parts.to_dict(), **heard}


class VoiceCheck:
    """Looks for a second voice in a recording, with a calibrated system.

    The two parts of it that differ most are compared, and the system's detectors listen to it.

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
        self._detectors = system.detectors

    @property
    def unheard(self) -> list[str]:
        """What the system has no detector of."""
        return [kind.detector for kind in KINDS if kind.name not in self._detectors]

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
        if num_frames(samples, self._embedder.feature_extractor) < MIN_FRAMES:
            return Voices(found, {})
        (heard,) = listen_to_each(self._embedder, self._detectors, [samples], self._device)
        return Voices(found, heard)


def write_voices(path: Path, found: Mapping[str, Voices]) -> None:
    """Write what was found to a csv: complete or not at all.

    Its columns are the recording's id, the natural-log LR of its two parts, how many seconds they have, the stretches
    of the shorter one as `start-end` in seconds, separated by spaces, and for each kind of detector how many usual
    recordings, in percent, sound as much like what it listens for. What was not found out is empty.
    """
    text = io.StringIO()
    writer = SafeWriter(text)
    writer.writerow(["id", "llr", "longer", "shorter", "stretches", *(kind.name for kind in KINDS)])
    for name, (parts, heard) in found.items():
        cells = [""] * 4
        if parts is not None:
            places = " ".join(f"{start:.2f}-{end:.2f}" for start, end in parts.stretches)
            cells = [f"{parts.llr:.4f}", *(f"{seconds:.2f}" for seconds in parts.seconds), places]
        told = [f"{heard[kind.name].percentile:.3g}" if kind.name in heard else "" for kind in KINDS]
        writer.writerow([name, *cells, *told])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
