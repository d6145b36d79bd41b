"""The part of `balr inspect` that asks whether each recording holds one voice: `--voices`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.embeddings.passes import heard_recording
from balr_hf.errors import ConfigError
from balr_hf.explanation.voices import OneVoice, can_compare_parts
from balr_hf.files import atomic_path
from balr_hf.system.parts import one_voice_each
from balr_hf.untrusted import SafeWriter

if TYPE_CHECKING:
    from balr_hf.quality import Measured

# The name of the csv in the folder that is saved to.
FILE = "voices.csv"


class VoiceCheck:
    """Compares the two parts of a recording that differ most, with a calibrated system.

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

    def __call__(self, measured: Measured) -> OneVoice | None:
        """What the system says of a recording's parts; None if it is too short."""
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
        return found


def write_voices(path: Path, found: Mapping[str, OneVoice]) -> None:
    """Write what was found to a csv: complete or not at all.

    Its columns are the recording's id, the natural-log LR of its two parts, how many seconds they have, and the
    stretches of the shorter one as `start-end` in seconds, separated by spaces.
    """
    text = io.StringIO()
    writer = SafeWriter(text)
    writer.writerow(["id", "llr", "longer", "shorter", "stretches"])
    for name, one in found.items():
        places = " ".join(f"{start:.2f}-{end:.2f}" for start, end in one.stretches)
        writer.writerow([name, f"{one.llr:.4f}", *(f"{seconds:.2f}" for seconds in one.seconds), places])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
