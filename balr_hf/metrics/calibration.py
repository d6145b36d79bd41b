"""How far log-likelihood ratios can be taken at their word: Cllr, its least value, and devPAV."""

import numpy as np

from balr_hf.metrics.tally import Tally, tally


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
    return cllr_of(tally(llrs, labels))


def cllr_of(trials: Tally) -> float:
    """[`cllr`] of trials that are tallied."""
    return _cost(trials, trials.scores)


def cllr_min(llrs: np.ndarray, labels: np.ndarray) -> float:
    """Cllr after the best monotone calibration of these very trials: what discrimination alone costs.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        float, in bits.
    """
    return cllr_min_of(tally(llrs, labels))


def cllr_min_of(trials: Tally) -> float:
    """[`cllr_min`] of trials that are tallied."""
    return _cost(trials, trials.pav)


def devpav(llrs: np.ndarray, labels: np.ndarray) -> float:
    """Mean distance of the log10 likelihood ratios from what they should be by pool-adjacent-violators.

    The area between the PAV plot and the identity, divided by its width; where PAV is infinite the plot has no point.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        float, in log10 units; NaN if no score has trials of both kinds at or across it, so that PAV is infinite all
        over.

    Reference:
        P. Vergeer et al., "Measuring calibration of likelihood-ratio systems: a comparison of four metrics, including
        a new metric devPAV", Forensic Science International 321, 2021.
    """
    return devpav_of(tally(llrs, labels))


def devpav_of(trials: Tally) -> float:
    """[`devpav`] of trials that are tallied."""
    ideal = trials.pav
    finite = np.isfinite(ideal)
    llrs, off = trials.scores[finite] / np.log(10), (ideal - trials.scores)[finite] / np.log(10)
    if len(llrs) < 2:
        return float(np.abs(off).mean()) if len(llrs) else float("nan")
    left, right = off[:-1], off[1:]
    sizes = np.abs(left) + np.abs(right)
    crossing = left * right < 0  # two triangles rather than a trapezoid
    mean = np.where(crossing, (left**2 + right**2) / np.maximum(sizes, np.finfo(float).tiny), sizes) / 2
    return float((mean * np.diff(llrs)).sum() / (llrs[-1] - llrs[0]))


def _cost(trials: Tally, llrs: np.ndarray) -> float:
    """Cllr of `llrs`, one for each distinct score; a score that no trial of a kind has costs that kind nothing."""
    costs = [
        (weights[weights > 0] * np.logaddexp(0, sign * llrs[weights > 0])).sum() / weights.sum()
        for weights, sign in ((trials.same, -1), (trials.different, 1))
    ]
    return float(sum(costs) / (2 * np.log(2)))
