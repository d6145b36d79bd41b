"""The validation of a whole system on a test corpus: as numbers, as text and as a page that a laboratory can file."""

from balr_hf.validation.validation import Validation, validate

__all__ = ["Validation", "validate"]
