"""How well scores tell same-speaker from different-speaker trials, whatever their scale: EER and minDCF."""

import numpy as np

from balr_hf.metrics.tally import Tally, checked_trials, tally


def eer(llrs: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Equal error rate: where the miss and the false-alarm rate cross, interpolated along the ROC.

    Args:
        llrs (`(trials,)`): scores, higher for the same speaker.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        `(rate, threshold)`: the rate in 0..1, and the score at which it is reached.
    """
    return eer_of(tally(llrs, labels))


def eer_of(trials: Tally) -> tuple[float, float]:
    """[`eer`] of trials that are tallied."""
    thresholds, miss, false_alarm = trials.error_rates
    after = int(np.argmax(miss >= false_alarm))
    if after == 0:
        return float(miss[0]), float(thresholds[0])
    before = after - 1
    gap = miss - false_alarm
    share = -gap[before] / (gap[after] - gap[before])
    rate = miss[before] + share * (miss[after] - miss[before])
    upper = thresholds[after] if np.isfinite(thresholds[after]) else thresholds[before]
    return float(rate), float(thresholds[before] + share * (upper - thresholds[before]))


def at_threshold(scores: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float]:
    """The decisions at one threshold, counted: a trial is accepted as of one speaker if its score is at least that.

    Args:
        scores (`(trials,)`): higher for the same speaker.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        threshold (float): on the scores.

    Returns:
        dict with `threshold`; the numbers `tp`, `tn`, `fp`, `fn`; the rates `far` (false alarms among
        different-speaker trials), `frr` (misses among same-speaker trials), `precision`, `recall`; `f_score` (their
        harmonic mean) and `mcc` (Matthews' correlation coefficient). A rate whose denominator is 0 is NaN.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.
    """
    scores, same = checked_trials(scores, labels)
    accepted = scores >= threshold
    tp, fn = float((accepted & same).sum()), float((~accepted & same).sum())
    fp, tn = float((accepted & ~same).sum()), float((~accepted & ~same).sum())
    return {
        "threshold": float(threshold),
        **{"tp": int(tp), "tn": int(tn), "fp": int(fp), "fn": int(fn)},
        "far": _share(fp, fp + tn),
        "frr": _share(fn, fn + tp),
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "f_score": _share(2 * tp, 2 * tp + fp + fn),
        "mcc": _share(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


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

    Raises:
        ValueError: a prior that is not between 0 and 1, or a cost that is not positive.

    Reference:
        NIST speaker recognition evaluation plans.
    """
    return min_dcf_of(tally(llrs, labels), prior, cost_miss, cost_fa)


def min_dcf_of(trials: Tally, prior: float, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
    """[`min_dcf`] of trials that are tallied."""
    if not (0 < prior < 1 and cost_miss > 0 and cost_fa > 0):
        raise ValueError(f"prior {prior}, costs {cost_miss} and {cost_fa}: expected 0 < prior < 1 and positive costs")
    _, miss, false_alarm = trials.error_rates
    cost = cost_miss * prior * miss + cost_fa * (1 - prior) * false_alarm
    return float(cost.min() / min(cost_miss * prior, cost_fa * (1 - prior)))
