"""Attributes over time: in which windows of a recording they are active, and what they change with.

`windows` cuts a recording, `tracks` finds the attributes of its windows, `occlusion` replaces bands and stretches of
time, `compared` puts the recordings of a comparison side by side, and `section` adds them to its page.
"""

from balr_hf.timeline.activations import System, SystemParts
from balr_hf.timeline.compared import ComparedTimelines, RecordingTimeline
from balr_hf.timeline.occlusion import OcclusionMap, occlusion_map
from balr_hf.timeline.tracks import AttributeTimeline, attribute_timeline

__all__ = [
    "AttributeTimeline",
    "ComparedTimelines",
    "OcclusionMap",
    "RecordingTimeline",
    "System",
    "SystemParts",
    "attribute_timeline",
    "occlusion_map",
]
