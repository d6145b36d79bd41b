"""All metrics of a set of trials at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from balr_hf.metrics.calibration import cllr_min_of, cllr_of, devpav_of
from balr_hf.metrics.discrimination import MIN_DCF_PRIORS, eer_of, min_dcf_of
from balr_hf.metrics.tally import Tally, tally

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def compute_metrics(llrs: ArrayLike, labels: ArrayLike, bounds: tuple[float, float] | None = None) -> dict[str, float]:
    """Compute all metrics of a set of trials.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        bounds (two float, *optional*): the least and the largest natural-log likelihood ratio that the system reports.
            What depends on calibration (`cllr`, `cllr_cal` and `devpav`) is then of the LLRs as they are held within;
            what depends on their order only (`eer`, `min_dcf` and `cllr_min`) is of the LLRs as given, since bounds
            make ties of what the system tells apart.

    Returns:
        dict of str to float:

        - `eer` and `eer_threshold`: see [`eer`].
        - `min_dcf_0.01` and `min_dcf_0.05`: [`min_dcf`] at these priors, if both errors cost 1.
        - `cllr` and `cllr_min`: see [`cllr`] and [`cllr_min`].
        - `cllr_cal`: the difference of these two.
        - `devpav`: see [`devpav`]; NaN if it has no value.

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, all trials are of one kind, or the
            lower bound is above the upper one.

    References:
        Those of the single metrics; on the two parts of Cllr, N. Brümmer and J. du Preez, "Application-independent
        evaluation of speaker detection", Computer Speech and Language 20, 2006.

    Recommendations:
        Read `cllr` first, and then its two parts: `cllr_min` is lost by imperfect discrimination, and `cllr_cal` by
        imperfect calibration. If `cllr_cal` is not small, calibrate the scores. Add [`bootstrap_intervals`] before you
        compare systems.

    Example:
        >>> metrics = compute_metrics([3.0, 2.0, -1.0, 1.0, -2.0, -3.0], [1, 1, 1, 0, 0, 0])
        >>> {name: round(metrics[name], 3) for name in ("eer", "cllr", "cllr_min", "cllr_cal")}
        {'eer': 0.333, 'cllr': 0.716, 'cllr_min': 0.333, 'cllr_cal': 0.383}
    """
    return metrics_of(tally(llrs, labels), bounds)


def metrics_of(trials: Tally, bounds: tuple[float, float] | None = None) -> dict[str, float]:
    """Compute all metrics from a tally of the trials, see [`compute_metrics`].

    Raises:
        UserError: the lower bound is above the upper one.
    """
    rate, threshold = eer_of(trials)
    reported = trials if bounds is None else trials.held(*bounds)
    cost, least = cllr_of(reported), cllr_min_of(trials)
    return {
        "eer": rate,
        "eer_threshold": threshold,
        **{name: min_dcf_of(trials, prior) for name, prior in MIN_DCF_PRIORS.items()},
        "cllr": cost,
        "cllr_min": least,
        "cllr_cal": cost - least,
        "devpav": devpav_of(reported),
    }
