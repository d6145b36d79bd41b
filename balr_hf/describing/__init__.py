"""What attributes mean: which measures of the voice and of the recording go with them, on held-out speakers."""

from balr_hf.describing.description import Association, AttributeDescription, Meaning, describe_attributes

__all__ = ["Association", "AttributeDescription", "Meaning", "describe_attributes"]
