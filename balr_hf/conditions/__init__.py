"""Recording conditions: a recording brought to a given duration, noise, band, codec, level, clipping or room."""

from balr_hf.conditions.codec import available_codecs
from balr_hf.conditions.condition import UNCHANGED, Condition, parse_conditions
from balr_hf.conditions.seeds import recording_seed

__all__ = ["UNCHANGED", "Condition", "available_codecs", "parse_conditions", "recording_seed"]
