"""Why a likelihood ratio is what it is: as numbers, as text, as a page; and the words that all of them use."""

from balr_hf.explanation.explanation import AttributeEvidence, Explanation, Findings, explain_trial

__all__ = ["AttributeEvidence", "Explanation", "Findings", "explain_trial"]
