"""What attributes mean: which measures of the voice and of the recording go with them, on held-out speakers."""

from balr_hf.describing.description import Association, AttributeDescription, Meaning, describe_attributes
from balr_hf.describing.descriptions import AttributeDescriptions, load_descriptions, read_descriptions
from balr_hf.describing.measures import Group

__all__ = [
    "Association",
    "AttributeDescription",
    "AttributeDescriptions",
    "Group",
    "Meaning",
    "describe_attributes",
    "load_descriptions",
    "read_descriptions",
]
