"""What is in a recording: net speech, signal-to-noise ratio, bandwidth, level, clipping, tones; and copies."""

from balr_hf.quality.net_speech import speech_probabilities, speech_segments
from balr_hf.quality.recording_quality import RecordingQuality, measure_recording

__all__ = ["RecordingQuality", "measure_recording", "speech_probabilities", "speech_segments"]
