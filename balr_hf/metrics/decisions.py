"""From likelihood ratios to decisions, for researchers: prior odds and costs belong to who decides."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from balr_hf.errors import UserError
from balr_hf.metrics.tally import Tally, tally


def bayes_threshold(prior: float, cost_miss: float = 1.0, cost_false_alarm: float = 1.0) -> float:
    """The LLR from which on accepting "same speaker" costs less than rejecting it.

    Args:
        prior (float): the probability of "same speaker" before the comparison, between 0 and 1.
        cost_miss (float): what rejecting "same speaker" costs where it is true.
        cost_false_alarm (float): what accepting it costs where it is false.

    Returns:
        a threshold for calibrated natural-log likelihood ratios.

    Raises:
        UserError: a prior that is not between 0 and 1, or costs that are not positive.

    References:
        N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
        Language, 2006.

    Recommendations:
        For systems that must decide. In a case report it has no place: there the likelihood ratio is reported, and
        the prior odds are the court's.

    Example:
        >>> round(bayes_threshold(0.5), 2)
        0.0
        >>> round(bayes_threshold(0.01), 2)  # same speakers are rare: it takes an LR of 99
        4.6
        >>> round(bayes_threshold(0.5, cost_false_alarm=10), 2)
        2.3
    """
    if not 0 < prior < 1 or not (0 < cost_miss < math.inf and 0 < cost_false_alarm < math.inf):
        raise UserError(
            f"prior={prior}, costs {cost_miss} and {cost_false_alarm}: expected a probability between 0 and 1, and "
            "positive costs"
        )
    return math.log((1 - prior) * cost_false_alarm / (prior * cost_miss))


def posterior(llrs: ArrayLike, prior: float) -> np.ndarray:
    """The probability of "same speaker" after the comparison.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): calibrated natural-log likelihood ratios.
        prior (float): the probability before, between 0 and 1.

    Returns:
        float64 `(trials,)`: probabilities.

    Raises:
        UserError: a prior that is not between 0 and 1.

    References:
        Bayes' rule in odds form: posterior odds = likelihood ratio x prior odds.

    Recommendations:
        As for [`bayes_threshold`]. It says nothing of raw scores.

    Example:
        >>> posterior([0.0, 4.6], 0.01).round(2)
        array([0.01, 0.5 ])
    """
    from scipy.special import expit

    return expit(np.asarray(llrs, dtype=np.float64) - bayes_threshold(prior))


def act_dcf(
    llrs: ArrayLike, labels: ArrayLike, prior: float, cost_miss: float = 1.0, cost_false_alarm: float = 1.0
) -> float:
    """The actual detection cost: that of the decisions at [`bayes_threshold`], as [`min_dcf`] is that at the best one.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): calibrated natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        prior (float): the probability of "same speaker" before the comparison, between 0 and 1.
        cost_miss (float): what rejecting "same speaker" costs where it is true.
        cost_false_alarm (float): what accepting it costs where it is false.

    Returns:
        the cost relative to that of deciding without any scores: 0 without errors, and above 1 where one would do
        better without these likelihood ratios.

    Raises:
        UserError: as for [`bayes_threshold`]; the LLRs are not finite, their number is not that of the labels, or all
            trials are of one kind.

    References:
        NIST, plans of the speaker recognition evaluations (actual detection cost).

    Recommendations:
        What it is above [`min_dcf`] at the same prior and costs is lost by calibration in this application. [`cllr`]
        tells it of all of them at once.

    Example:
        >>> llrs, labels = [6.0, 5.0, 3.0, 2.0, -2.0, -3.0], [1, 1, 1, 0, 0, 0]
        >>> round(act_dcf(llrs, labels, prior=0.5), 3)  # an LLR of 2 for two speakers is above 0
        0.333
        >>> round(act_dcf(llrs, labels, prior=0.01), 3)  # and one of 3 for one speaker below 4.6
        0.333
    """
    return act_dcf_of(tally(llrs, labels), prior, cost_miss, cost_false_alarm)


def act_dcf_of(trials: Tally, prior: float, cost_miss: float = 1.0, cost_false_alarm: float = 1.0) -> float:
    """Compute [`act_dcf`] from a tally of the trials."""
    threshold = bayes_threshold(prior, cost_miss, cost_false_alarm)
    miss = trials.same[trials.scores < threshold].sum() / trials.same.sum()
    false_alarm = trials.different[trials.scores >= threshold].sum() / trials.different.sum()
    cost = cost_miss * prior * miss + cost_false_alarm * (1 - prior) * false_alarm
    return float(cost / min(cost_miss * prior, cost_false_alarm * (1 - prior)))


def misleading_rates(trials: Tally) -> tuple[float, float]:
    """The rates of misleading evidence: same-speaker trials with LR < 1, different-speaker trials with LR > 1."""
    misses = trials.same[trials.scores < 0].sum() / trials.same.sum()
    false_alarms = trials.different[trials.scores > 0].sum() / trials.different.sum()
    return float(misses), float(false_alarms)
