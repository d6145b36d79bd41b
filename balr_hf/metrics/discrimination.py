"""How well scores tell same-speaker from different-speaker trials, whatever their scale: EER and minDCF."""

import numpy as np


def checked_trials(llrs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check and split scores: `(same-speaker scores, different-speaker scores)`, float64.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.
    """
    llrs, labels = np.asarray(llrs, dtype=np.float64).ravel(), np.asarray(labels).ravel()
    if llrs.shape != labels.shape:
        raise ValueError(f"{llrs.size} scores but {labels.size} labels")
    if not np.isfinite(llrs).all():
        raise ValueError(f"{(~np.isfinite(llrs)).sum()} of {llrs.size} scores are not finite")
    same = labels.astype(bool)
    if same.all() or not same.any():
        raise ValueError(f"{same.sum()} same-speaker and {(~same).sum()} different-speaker trials: both are needed")
    return llrs[same], llrs[~same]


def error_rates(llrs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Miss and false-alarm rates at every distinct score as a threshold; equal scores fall on one side together.

    Returns:
        `(thresholds, miss, false_alarm)`, each `(distinct scores + 1,)`: a trial is accepted if its score is at least
        the threshold; the last threshold is infinite.
    """
    same, different = (np.sort(scores) for scores in checked_trials(llrs, labels))
    thresholds = np.unique(np.concatenate([same, different]))
    miss = np.searchsorted(same, thresholds, side="left") / same.size
    false_alarm = 1 - np.searchsorted(different, thresholds, side="left") / different.size
    return np.append(thresholds, np.inf), np.append(miss, 1.0), np.append(false_alarm, 0.0)


def eer(llrs: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Equal error rate: where the miss and the false-alarm rate cross, interpolated along the ROC.

    Args:
        llrs (`(trials,)`): scores, higher for the same speaker.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        `(rate, threshold)`: the rate in 0..1, and the score at which it is reached.
    """
    thresholds, miss, false_alarm = error_rates(llrs, labels)
    after = int(np.argmax(miss >= false_alarm))
    if after == 0:
        return float(miss[0]), float(thresholds[0])
    before = after - 1
    gap = miss - false_alarm
    share = -gap[before] / (gap[after] - gap[before])
    rate = miss[before] + share * (miss[after] - miss[before])
    upper = thresholds[after] if np.isfinite(thresholds[after]) else thresholds[before]
    return float(rate), float(thresholds[before] + share * (upper - thresholds[before]))


def min_dcf(llrs: np.ndarray, labels: np.ndarray, prior: float, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
    """Least detection cost over all thresholds, divided by the cost of the better constant decision.

    Args:
        llrs (`(trials,)`): scores.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        prior (float): probability of a same-speaker trial.
        cost_miss (float): of a miss.
        cost_fa (float): of a false alarm.

    Returns:
        float: 0 for no errors, at most 1.

    Reference:
        NIST speaker recognition evaluation plans.
    """
    _, miss, false_alarm = error_rates(llrs, labels)
    cost = cost_miss * prior * miss + cost_fa * (1 - prior) * false_alarm
    return float(cost.min() / min(cost_miss * prior, cost_fa * (1 - prior)))
