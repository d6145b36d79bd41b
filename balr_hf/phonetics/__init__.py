"""What a phonetician measures of a voice: F0, formants, voice quality, spectral balance, dynamics and rate."""

from balr_hf.phonetics.measured import MeasuredVoice, load_voice
from balr_hf.phonetics.voice_measures import VoiceMeasures, VoiceTracks, measure_voice

__all__ = ["MeasuredVoice", "VoiceMeasures", "VoiceTracks", "load_voice", "measure_voice"]
