"""From a recording to its measures, whether it fits into memory or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE, LongAudio, resample
from balr_hf.quality.channels import open_recording
from balr_hf.quality.long_recordings import measure_long
from balr_hf.quality.pauses import Stretch, stretches_of
from balr_hf.quality.recording_quality import RecordingQuality, measure_recording


@dataclass(frozen=True)
class Measured:
    """A recording with its measures.

    Attributes:
        samples: float32 `(samples,)` at 16 kHz; or [`LongAudio`], which is not held in memory.
        quality: the measures.
        speech: `(start, end)` of each stretch of speech, in seconds.
        channels: how many channels were averaged; 1 if all are the same.
        stretches: which of it are heard when it is embedded, see [`heard_stretches`].
    """

    samples: np.ndarray | LongAudio
    quality: RecordingQuality
    speech: list[tuple[float, float]]
    channels: int = 1
    stretches: Sequence[Stretch] = ()

    def whole(self) -> np.ndarray:
        """All samples at 16 kHz, float32 `(samples,)`, in memory."""
        if isinstance(self.samples, LongAudio):
            return np.concatenate(list(self.samples.resampled(SAMPLING_RATE)))
        return self.samples


def load_measured(source: Any) -> Measured:
    """Decode and measure one recording: once, unless it is too long to be held in memory.

    Args:
        source: as for [`load_audio`].

    Raises:
        AudioError: it cannot be decoded, or its channels hold different sounds.
    """
    opened, channels = open_recording(source)
    if isinstance(opened, LongAudio):
        quality, speech, stretches = measure_long(opened)
        return Measured(opened, quality, speech, channels, stretches)
    original, rate = opened
    samples = resample(original, rate, SAMPLING_RATE)
    quality, speech = measure_recording(samples, original, rate)
    return Measured(samples, quality, speech, channels, stretches_of(samples, speech))
