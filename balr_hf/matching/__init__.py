"""Case-matched calibration: calibration recordings brought to the conditions of a case, and the scorer refitted."""

from balr_hf.matching.matcher import CaseMatcher, Matched
from balr_hf.matching.wanted import Wanted

__all__ = ["CaseMatcher", "Matched", "Wanted"]
