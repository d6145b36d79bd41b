"""What is in a recording: net speech, signal-to-noise ratio, bandwidth, level, clipping, tones; and copies."""

from balr_hf.quality.channels import describe_averaged, load_speech, open_recording
from balr_hf.quality.copies import Copy, find_copy
from balr_hf.quality.gaps import describe_gaps
from balr_hf.quality.gates import MIN_SPEECH, reason_to_refuse
from balr_hf.quality.long_recordings import measure_long
from balr_hf.quality.measured import Measured, load_measured
from balr_hf.quality.net_speech import speech_probabilities, speech_segments
from balr_hf.quality.pauses import heard, heard_of_block, stretches_of
from balr_hf.quality.recording_quality import RecordingQuality, measure_recording

__all__ = [
    "MIN_SPEECH",
    "Copy",
    "Measured",
    "RecordingQuality",
    "describe_averaged",
    "describe_gaps",
    "find_copy",
    "heard",
    "heard_of_block",
    "load_measured",
    "load_speech",
    "measure_long",
    "measure_recording",
    "open_recording",
    "reason_to_refuse",
    "speech_probabilities",
    "speech_segments",
    "stretches_of",
]
