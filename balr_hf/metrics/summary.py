"""All metrics of a set of trials at once."""

import numpy as np

from balr_hf.metrics.calibration import cllr_min_of, cllr_of, devpav_of
from balr_hf.metrics.discrimination import eer_of, min_dcf_of
from balr_hf.metrics.tally import Tally, tally


def compute_metrics(llrs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All metrics of a set of trials.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        dict with `eer`, `eer_threshold`, `min_dcf_0.01`, `min_dcf_0.05`, `cllr`, `cllr_min`, `cllr_cal`, `devpav`
        (NaN where it has no value: see [`devpav`]).

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.
    """
    return metrics_of(tally(llrs, labels))


def metrics_of(trials: Tally) -> dict[str, float]:
    """[`compute_metrics`] of trials that are tallied."""
    rate, threshold = eer_of(trials)
    cost, least = cllr_of(trials), cllr_min_of(trials)
    return {
        "eer": rate,
        "eer_threshold": threshold,
        "min_dcf_0.01": min_dcf_of(trials, 0.01),
        "min_dcf_0.05": min_dcf_of(trials, 0.05),
        "cllr": cost,
        "cllr_min": least,
        "cllr_cal": cost - least,
        "devpav": devpav_of(trials),
    }
