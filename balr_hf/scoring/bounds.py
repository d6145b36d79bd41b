"""Empirical bounds: how large and how small a likelihood ratio the calibration's trials can vouch for (ELUB)."""

import math

import numpy as np

from balr_hf.errors import UserError

LOG10 = math.log(10)
# The grid of thresholds that are tried, in log10 units.
STEP = 0.01
# What stands for scores beyond it, in log10 units: an LR of 0 or of infinity among them.
EXTREME = 9.0


def elub(llrs: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The empirical lower and upper bound of log-likelihood ratios.

    Beyond a bound, decisions by the LRs are worth no more than decisions without them, if there were just one trial
    more of each kind than the calibration has, and that one misleading. For each threshold theta, the expected cost of
    accepting "same speaker" where LR > theta, `P(LR <= theta | same) + theta P(LR > theta | different)`, is compared
    with that of an LR of 1 throughout. The bounds are the thresholds nearest to 1 from which on the system costs more.

    Args:
        llrs (`(trials,)`): calibrated natural-log likelihood ratios, of speakers that they were not calibrated on.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        `(lower, upper)`: natural-log units; `lower <= 0 <= upper`.

    Raises:
        UserError: trials of one kind only, or scores that are not numbers.

    Reference:
        P. Vergeer, A. van Es, A. de Jongh, I. Alberink and R. Stoel, "Numerical likelihood ratios outputted by LR
        systems are often based on extrapolation: when to stop extrapolating?", Science & Justice 56, 2016; with the
        grid and the limits by the numbers of trials of the Netherlands Forensic Institute's `lir`.
    """
    labels = np.asarray(labels).astype(bool).ravel()
    scores = np.clip(np.asarray(llrs, dtype=np.float64).ravel() / LOG10, -EXTREME, EXTREME)
    if np.isnan(scores).any():
        raise UserError("bounds need scores that are numbers")
    same, different = np.sort(scores[labels]), np.sort(scores[~labels])
    if not len(same) or not len(different):
        raise UserError(f"bounds need both kinds of trials; all {len(labels)} are of one")
    lowest = max(scores.min(), -np.log10(len(same) + 1))
    highest = min(scores.max(), np.log10(len(different) + 1))
    first, last = min(0, int(lowest // STEP)), max(0, int(highest // STEP) + 1)
    thresholds = np.linspace(first * STEP, last * STEP, last - first + 1)
    missed = (1 + np.searchsorted(same, thresholds, side="right")) / (len(same) + 1)
    accepted = (1 + len(different) - np.searchsorted(different, thresholds, side="right")) / (len(different) + 1)
    theta = 10**thresholds
    worse = missed + theta * accepted > np.minimum(theta, 1)
    below, above = thresholds[worse & (thresholds <= 0)], thresholds[worse & (thresholds >= 0)]
    lower = min(0.0, (below + STEP).max(initial=thresholds[0]))
    upper = max(0.0, (above - STEP).min(initial=thresholds[-1]))
    return float(lower * LOG10), float(upper * LOG10)
