"""The earlier name of `balr_hf.scoring.counts`, kept because the cards of published scorers use it."""

from balr_hf.scoring.counts import name_digests, recording_counts, speaker_counts, sum_of_values

__all__ = ["name_digests", "recording_counts", "speaker_counts", "sum_of_values"]
