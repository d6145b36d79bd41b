"""How well likelihood ratios tell speakers apart, and how well they are calibrated."""

import numpy as np

from balr_hf.metrics.calibration import cllr, cllr_min
from balr_hf.metrics.discrimination import eer, min_dcf


def compute_metrics(llrs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All metrics of a set of trials.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        dict with `eer`, `eer_threshold`, `min_dcf_0.01`, `min_dcf_0.05`, `cllr`, `cllr_min`, `cllr_cal`.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.
    """
    rate, threshold = eer(llrs, labels)
    cost, least = cllr(llrs, labels), cllr_min(llrs, labels)
    return {
        "eer": rate,
        "eer_threshold": threshold,
        "min_dcf_0.01": min_dcf(llrs, labels, 0.01),
        "min_dcf_0.05": min_dcf(llrs, labels, 0.05),
        "cllr": cost,
        "cllr_min": least,
        "cllr_cal": cost - least,
    }


__all__ = ["cllr", "cllr_min", "compute_metrics", "eer", "min_dcf"]
