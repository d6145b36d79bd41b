"""How far log-likelihood ratios can be taken at their word: Cllr and its least value."""

import numpy as np
from scipy.special import logit

from balr_hf.metrics.discrimination import checked_trials


def cllr(llrs: np.ndarray, labels: np.ndarray) -> float:
    """Log-likelihood-ratio cost: 0 is perfect, 1 is as good as always saying LR = 1.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        float, in bits.

    Reference:
        N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", 2006.
    """
    return _cost(*checked_trials(llrs, labels))


def cllr_min(llrs: np.ndarray, labels: np.ndarray) -> float:
    """Cllr after the best monotone calibration of these very trials: what discrimination alone costs.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        float, in bits.
    """
    labels = np.asarray(labels).astype(bool).ravel()
    calibrated = pav_llrs(llrs, labels)
    return _cost(calibrated[labels], calibrated[~labels])


def pav_llrs(llrs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Calibrate trials on themselves by pool-adjacent-violators.

    Returns:
        float64 `(trials,)`: natural-log likelihood ratios, infinite where one kind of trial is alone.
    """
    from sklearn.isotonic import IsotonicRegression

    same, different = checked_trials(llrs, labels)
    posterior = IsotonicRegression(y_min=0, y_max=1).fit_transform(
        np.asarray(llrs, dtype=np.float64).ravel(), np.asarray(labels).astype(np.float64).ravel()
    )
    return logit(posterior) - np.log(same.size / different.size)


def _cost(same: np.ndarray, different: np.ndarray) -> float:
    return float((np.logaddexp(0, -same).mean() + np.logaddexp(0, different).mean()) / (2 * np.log(2)))
