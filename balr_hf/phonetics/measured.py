"""From a recording to the measures of its voice and those of the recording itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from balr_hf.phonetics.voice_measures import VoiceMeasures, VoiceTracks, measure_voice
from balr_hf.quality import Measured, load_measured


@dataclass(frozen=True)
class MeasuredVoice:
    """A recording with the measures of its voice.

    Attributes:
        recording: the samples, and the measures of the recording itself, which say how far the others can be trusted.
        voice: the measures of the voice.
        tracks: those that change over time.
    """

    recording: Measured
    voice: VoiceMeasures
    tracks: VoiceTracks


def load_voice(source: Any) -> MeasuredVoice:
    """Decode and measure one recording, which is held in memory as a whole: 230 MB an hour.

    Args:
        source: as for [`load_audio`].

    Raises:
        AudioError: it cannot be decoded.
    """
    recording = load_measured(source)
    voice, tracks = measure_voice(recording.whole(), recording.speech, recording.quality.bandwidth)
    return MeasuredVoice(recording, voice, tracks)
