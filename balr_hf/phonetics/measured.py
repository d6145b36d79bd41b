"""From a recording to the measures of its voice and those of the recording itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from balr_hf.audio import AudioError
from balr_hf.phonetics.voice_measures import VoiceMeasures, VoiceTracks, measure_voice
from balr_hf.quality import Measured, load_measured

# Seconds of the longest recording whose voice is measured.
LONGEST = 2 * 3600.0


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
    """Decode and measure one recording.

    It is held in memory as a whole, with what is computed of it: about 0.35 GB for ten minutes, 2 GB for an hour.

    Args:
        source: as for [`load_audio`].

    Raises:
        AudioError: it cannot be decoded, or is longer than two hours.
    """
    recording = load_measured(source)
    if recording.quality.duration > LONGEST:
        raise AudioError(
            f"{recording.quality.duration / 3600:.1f} h long, but a voice is measured in at most "
            f"{LONGEST / 3600:.0f} h, since the recording is held in memory: cut it"
        )
    voice, tracks = measure_voice(recording.whole(), recording.speech, recording.quality.bandwidth)
    return MeasuredVoice(recording, voice, tracks)
