"""What a population was made of, and whether a case lies inside it.

A reference population and a calibration hold for recordings like their own. So each keeps a description of them: how
many there were, of whom, and the distribution of what was measured of them. A case is compared with it.
"""

from balr_hf.domain.deviations import Deviation, Side, deviations
from balr_hf.domain.differences import (
    DIFFERENCES,
    HIGHEST_SNR,
    differences_beyond_limits,
    side_measures,
    sides_measures,
)
from balr_hf.domain.limits import (
    MEASURES,
    QUANTILES,
    Limits,
    comparisons_beyond_limits,
    filtered_beyond_limits,
    measure_beyond_limits,
    probability_beyond_limits,
    recordings_beyond_limits,
)
from balr_hf.domain.population import (
    ACROSS,
    EASY_SHARE,
    LABELS,
    describe_in_words,
    describe_population,
    describe_range,
    describe_reference,
    describe_sessions,
    describe_unlike,
    log_probabilities,
    unlike_trials,
)

__all__ = [
    "ACROSS",
    "DIFFERENCES",
    "EASY_SHARE",
    "HIGHEST_SNR",
    "LABELS",
    "MEASURES",
    "QUANTILES",
    "Deviation",
    "Limits",
    "Side",
    "comparisons_beyond_limits",
    "describe_in_words",
    "describe_population",
    "describe_range",
    "describe_reference",
    "describe_sessions",
    "describe_unlike",
    "deviations",
    "differences_beyond_limits",
    "filtered_beyond_limits",
    "log_probabilities",
    "measure_beyond_limits",
    "probability_beyond_limits",
    "recordings_beyond_limits",
    "side_measures",
    "sides_measures",
    "unlike_trials",
]
