"""How well log-likelihood ratios are calibrated: Cllr, the least Cllr that calibration can reach, and devPAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from balr_hf.metrics.tally import Tally, tally

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def cllr(llrs: ArrayLike, labels: ArrayLike) -> float:
    """Log-likelihood-ratio cost: how much information the LLRs fail to give, or give wrongly.

    A same-speaker trial costs log2(1 + 1/LR), a different-speaker trial log2(1 + LR). Cllr is the mean of the mean
    costs of the two kinds, so that it does not depend on how many trials of each kind there are.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        the cost in bits, at least 0.

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.

    References:
        N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
        Language 20, 2006.

    Recommendations:
        Use it as the main figure of a system that reports likelihood ratios: it punishes poor discrimination and poor
        calibration alike. 0 is perfect. 1 is the cost of a system that always says LR = 1. A system above 1 misleads,
        and must be calibrated before it is used. Compare it with [`cllr_min`]: the difference, Cllr_cal, is what
        better calibration could save.

    Example:
        >>> llrs, labels = np.array([3.0, 2.0, -1.0, 1.0, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
        >>> round(cllr(llrs, labels), 3)
        0.716
        >>> cllr(0 * llrs, labels)  # LR = 1 for every trial
        1.0
        >>> round(cllr(5 * llrs, labels), 3)  # overconfident
        2.408
    """
    return cllr_of(tally(llrs, labels))


def cllr_of(trials: Tally) -> float:
    """Compute [`cllr`] from a tally of the trials."""
    return _cost(trials, trials.scores)


def cllr_min(llrs: ArrayLike, labels: ArrayLike) -> float:
    """The least Cllr that any monotone calibration can reach: what imperfect discrimination alone costs.

    The calibration is that of pool-adjacent-violators (PAV), fitted on the same trials that it is applied to.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        the cost in bits, between 0 and 1.

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.

    References:
        N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
        Language 20, 2006.

    Recommendations:
        Use it to compare systems before they are calibrated: only the order of the scores matters. 0 means that every
        same-speaker trial scores higher than every different-speaker trial, 1 that the scores say nothing. It is
        optimistic, above all for few trials, since PAV has seen their labels: no calibration that is fitted on other
        trials reaches it.

    Example:
        >>> llrs, labels = np.array([3.0, 2.0, -1.0, 1.0, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
        >>> round(cllr_min(llrs, labels), 3)
        0.333
        >>> round(cllr_min(5 * llrs + 7, labels), 3)  # neither the scale nor the offset matters
        0.333
    """
    return cllr_min_of(tally(llrs, labels))


def cllr_min_of(trials: Tally) -> float:
    """Compute [`cllr_min`] from a tally of the trials."""
    return _cost(trials, trials.pav)


def devpav(llrs: ArrayLike, labels: ArrayLike) -> float:
    """Mean distance of the log10 likelihood ratios from what they should be by pool-adjacent-violators (PAV).

    This is the area between the PAV plot and its diagonal, divided by the width of the plot. Scores whose LR is
    infinite after PAV, because there are trials of one kind only at that end, are no points of the plot.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        the mean distance in log10 units, at least 0; NaN if every same-speaker trial scores higher than every
        different-speaker trial, since all LRs are infinite after PAV then.

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.

    References:
        P. Vergeer et al., "Measuring calibration of likelihood-ratio systems: a comparison of four metrics, including
        a new metric devPAV", Forensic Science International 321, 2021.

    Recommendations:
        Use it to judge calibration alone. 0 is perfect; 1 means that likelihood ratios are off by a factor of ten on
        average. Unlike Cllr_cal it weighs the whole range of LLRs evenly, however few trials there are at the ends.
        Few trials give a rough PAV plot, so that devPAV is above 0 even for calibrated LLRs. Compare systems on the
        same trials.

    Example:
        >>> llrs, labels = np.array([3.0, 2.0, -1.0, 1.0, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
        >>> round(devpav(llrs, labels), 3)
        0.217
        >>> round(devpav(5 * llrs, labels), 3)  # overconfident
        1.086
        >>> devpav([2.0, -2.0], [1, 0])  # no errors
        nan
    """
    return devpav_of(tally(llrs, labels))


def devpav_of(trials: Tally) -> float:
    """Compute [`devpav`] from a tally of the trials."""
    ideal = trials.pav
    finite = np.isfinite(ideal)
    llrs, off = trials.scores[finite] / np.log(10), (ideal - trials.scores)[finite] / np.log(10)
    if len(llrs) < 2:
        return float(np.abs(off).mean()) if len(llrs) else float("nan")
    left, right = off[:-1], off[1:]
    sizes = np.abs(left) + np.abs(right)
    crossing = left * right < 0  # here the area is two triangles rather than a trapezoid
    mean = np.where(crossing, (left**2 + right**2) / np.maximum(sizes, np.finfo(float).tiny), sizes) / 2
    return float((mean * np.diff(llrs)).sum() / (llrs[-1] - llrs[0]))


def _cost(trials: Tally, llrs: np.ndarray) -> float:
    """Cllr if the trials had `llrs`, of which there is one for each distinct score.

    A score that no trial of a kind has costs that kind nothing, even if its LLR is infinite.
    """
    costs = [
        (weights[weights > 0] * np.logaddexp(0, sign * llrs[weights > 0])).sum() / weights.sum()
        for weights, sign in ((trials.same, -1), (trials.different, 1))
    ]
    return float(sum(costs) / (2 * np.log(2)))
