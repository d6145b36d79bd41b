"""How well scores tell same-speaker from different-speaker trials, whatever their scale: EER and minDCF."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.errors import UserError
from balr_hf.metrics.tally import Tally, checked_trials, tally

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The priors at which minDCF is among all metrics, by what it is called there.
MIN_DCF_PRIORS = {"min_dcf_0.01": 0.01, "min_dcf_0.05": 0.05}
# The share of the detection cost that one false alarm may have, or single trials decide minDCF.
ONE_ERROR = 0.05


def eer(llrs: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Equal error rate: the rate at which misses and false alarms are equally frequent.

    It is interpolated along the ROC, between the two thresholds where the miss rate and the false-alarm rate cross.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): scores of any scale, higher for the same speaker.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        `(rate, threshold)`: the rate between 0 and 1, and the score at which it is reached.

    Raises:
        ValueError: the scores are not finite, their number is not that of the labels, or all trials are of one kind.

    References:
        A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.

    Recommendations:
        Use it to compare how well systems discriminate: it is the figure that most papers report. 0 means no errors,
        0.5 that the scores say nothing, more than 0.5 that they are the wrong way round. It says nothing about
        calibration, for which see [`cllr`]. The threshold is fitted to these very trials, so that decisions by it on
        other trials are somewhat worse.

    Example:
        >>> llrs, labels = np.array([3.0, 2.0, -1.0, 1.0, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
        >>> rate, threshold = eer(llrs, labels)
        >>> round(rate, 3), round(threshold, 3)
        (0.333, 1.0)
        >>> round(eer(10 * llrs, labels)[0], 3)  # the scale does not matter
        0.333
    """
    return eer_of(tally(llrs, labels))


def eer_of(trials: Tally) -> tuple[float, float]:
    """Compute [`eer`] from a tally of the trials."""
    thresholds, miss, false_alarm = trials.error_rates
    after = int(np.argmax(miss >= false_alarm))  # not the first threshold, which accepts all trials
    before = after - 1
    gap = miss - false_alarm
    share = -gap[before] / (gap[after] - gap[before])
    rate = miss[before] + share * (miss[after] - miss[before])
    upper = thresholds[after] if np.isfinite(thresholds[after]) else thresholds[before]
    threshold = thresholds[before] + share * (upper - thresholds[before])
    return float(rate), float(min(threshold, upper))  # rounded up, it would reject the trials at `upper`


def at_threshold(scores: ArrayLike, labels: ArrayLike, threshold: float) -> dict[str, float]:
    """Count the decisions at one threshold: a trial is accepted as one of the same speaker from this score on.

    Args:
        scores (`np.ndarray` of shape `(trials,)`): scores of any scale, higher for the same speaker.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        threshold (float): trials with a score of at least this are accepted.

    Returns:
        dict of str to float: the `threshold`; the numbers of right and wrong decisions `tp`, `tn`, `fp` and `fn`; the
        rates `far` (false alarms among different-speaker trials), `frr` (misses among same-speaker trials),
        `precision` and `recall`; `f_score`, the harmonic mean of these two; and `mcc`, Matthews' correlation
        coefficient. A rate whose denominator is 0 is NaN.

    Raises:
        ValueError: the scores are not finite, their number is not that of the labels, all trials are of one kind, or
            the threshold is NaN.

    References:
        B. W. Matthews, "Comparison of the predicted and observed secondary structure of T4 phage lysozyme",
        Biochimica et Biophysica Acta 405, 1975 (for `mcc`).

    Recommendations:
        Use it where decisions have to be made, e.g. at the threshold that [`eer`] found on other trials. `precision`,
        `f_score` and `mcc` depend on how many trials of each kind there are: compare them on the same trials only. A
        forensic report states likelihood ratios instead of decisions.

    Example:
        >>> llrs, labels = np.array([3.0, 2.0, -1.0, 1.0, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
        >>> decisions = at_threshold(llrs, labels, threshold=1.5)
        >>> [decisions[name] for name in ("tp", "tn", "fp", "fn")]
        [2, 3, 0, 1]
        >>> decisions["far"], round(decisions["frr"], 3)
        (0.0, 0.333)
    """
    checked, same = checked_trials(scores, labels)
    if np.isnan(threshold):
        raise UserError("a threshold of NaN: expected a score, from which on trials are accepted")
    accepted = checked >= threshold
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


def min_dcf(llrs: ArrayLike, labels: ArrayLike, prior: float, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
    """The least detection cost over all thresholds, relative to the cost of deciding without any scores.

    The detection cost at a threshold is `cost_miss * prior * miss rate + cost_fa * (1 - prior) * false-alarm rate`.
    Without scores the best that one can do is to accept all trials, or to reject all.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): scores of any scale, higher for the same speaker.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        prior (float): the probability of a same-speaker trial, between 0 and 1.
        cost_miss (float): the cost of a miss.
        cost_fa (float): the cost of a false alarm.

    Returns:
        the relative cost, between 0 and 1.

    Raises:
        ValueError: the prior is not between 0 and 1, or a cost is not positive and finite; the scores are not finite,
            their number is not that of the labels, or all trials are of one kind.

    References:
        NIST, plans of the speaker recognition evaluations (detection cost function).

    Recommendations:
        Use it for applications in which same-speaker trials are rare and false alarms must be few, with their prior;
        0.01 and 0.05 are usual. 0 means no errors, 1 that the scores are of no use in this application. Like [`eer`]
        it says nothing about calibration, and the threshold is fitted to these very trials.

    Example:
        >>> scores, labels = np.array([3.0, 2.0, -1.0, 2.5, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
        >>> round(min_dcf(scores, labels, prior=0.01), 3)  # no false alarms, two misses in three
        0.667
        >>> round(min_dcf(scores, labels, prior=0.9), 3)  # no misses, one false alarm in three
        0.333
    """
    return min_dcf_of(tally(llrs, labels), prior, cost_miss, cost_fa)


def min_dcf_of(trials: Tally, prior: float, cost_miss: float = 1.0, cost_fa: float = 1.0) -> float:
    """Compute [`min_dcf`] from a tally of the trials."""
    if not (0 < prior < 1 and 0 < cost_miss < math.inf and 0 < cost_fa < math.inf):
        raise UserError(f"prior {prior}, costs {cost_miss} and {cost_fa}: expected 0 < prior < 1 and positive costs")
    _, miss, false_alarm = trials.error_rates
    cost = cost_miss * prior * miss + cost_fa * (1 - prior) * false_alarm
    return float(cost.min() / min(cost_miss * prior, cost_fa * (1 - prior)))


def cost_of_one_false_alarm(prior: float, different: int) -> float:
    """What one false alarm adds to the relative detection cost at equal costs, which is 1 without any scores.

    From [`ONE_ERROR`] on, single trials decide [`min_dcf`] at this prior.

    Args:
        prior (float): the probability of a same-speaker trial, up to 0.5.
        different (int): the number of different-speaker trials.
    """
    return (1 - prior) / prior / different
