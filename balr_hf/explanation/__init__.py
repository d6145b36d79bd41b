"""Why a likelihood ratio is what it is: as numbers, as text and as a page, which share their wording."""

from balr_hf.explanation.explanation import AttributeEvidence, Explanation, Findings, explain_trial

__all__ = ["AttributeEvidence", "Explanation", "Findings", "explain_trial"]
