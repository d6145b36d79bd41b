"""Confidence intervals by resampling speakers: the trials of one speaker are not independent of each other."""

from collections.abc import Iterator

import numpy as np
from tqdm.auto import tqdm

from balr_hf.errors import UserError
from balr_hf.metrics.summary import compute_metrics, metrics_of
from balr_hf.metrics.tally import Tally, checked_trials, tally

# Metrics that reach 1 by saying nothing.
AT_MOST_ONE = ("eer", "min_dcf_0.01", "min_dcf_0.05", "cllr_min")


def bootstrap_intervals(
    llrs: np.ndarray,
    labels: np.ndarray,
    enroll_speakers: np.ndarray,
    test_speakers: np.ndarray,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, tuple[float, float]]:
    """Intervals of the metrics over speakers drawn with replacement.

    A different-speaker trial counts as often as both its speakers were drawn (the product), a same-speaker trial as
    often as its speaker was. Draws that leave no trial of one kind are drawn anew. The quantiles of the draws are
    scaled so that the draws' mean is the metric itself: to pool-adjacent-violators repeated trials look like
    agreement, which lowers Cllr_min and raises Cllr_cal and devPAV in every draw. With a handful of speakers the
    intervals are rough, and rather too narrow; where no draw has an error they have no width.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        enroll_speakers (`(trials,)`): the speakers of the one side.
        test_speakers (`(trials,)`): the speakers of the other.
        resamples (int): draws.
        confidence (float): share of the draws inside the interval.
        seed (int): of the draws.
        progress (bool): show a progress bar.

    Returns:
        dict: the lower and the upper end for each metric of [`compute_metrics`] but the threshold; NaN for one that
        has no value.

    Raises:
        ValueError: as for the metrics; other numbers of speakers; or fewer than two speakers.

    Reference:
        N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
        authentication using joint bootstrap", ICASSP 2007.
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise UserError(f"resamples={resamples}, confidence={confidence}: expected at least 1, and between 0 and 1")
    draws = resampled(llrs, labels, enroll_speakers, test_speakers, resamples, seed)
    bar = tqdm(draws, "Resampling speakers", total=resamples, disable=not progress, unit="draw", delay=2)
    measured = [metrics_of(draw) for draw in bar]
    tails = (1 - confidence) / 2
    intervals = {}
    for name, value in compute_metrics(llrs, labels).items():
        if name == "eer_threshold":
            continue
        values = np.array([metrics[name] for metrics in measured])
        values = values[np.isfinite(values)]
        if not np.isfinite(value) or not len(values):
            intervals[name] = (float("nan"), float("nan"))
            continue
        mean = values.mean()
        low, high = np.quantile(values, [tails, 1 - tails]) * (value / mean if mean > 0 else 1)
        most = 1.0 if name in AT_MOST_ONE else float("inf")
        intervals[name] = (float(low), max(value, min(float(high), most)))
    return intervals


def resampled(
    llrs: np.ndarray,
    labels: np.ndarray,
    enroll_speakers: np.ndarray,
    test_speakers: np.ndarray,
    resamples: int,
    seed: int = 0,
) -> Iterator[Tally]:
    """The trials of speakers drawn with replacement, `resamples` times; see [`bootstrap_intervals`]."""
    llrs, labels = checked_trials(llrs, labels)
    trials = tally(llrs, labels)
    index = np.searchsorted(trials.scores, llrs)
    if not len(enroll_speakers) == len(test_speakers) == len(llrs):
        raise UserError(
            f"{len(llrs)} scores, but {len(enroll_speakers)} and {len(test_speakers)} speakers: expected two a trial"
        )
    speakers, codes = np.unique(np.concatenate([enroll_speakers, test_speakers]), return_inverse=True)
    if len(speakers) < 2:
        raise UserError("intervals need at least two speakers")
    enroll, test = codes[: len(llrs)], codes[len(llrs) :]
    of_same, of_different = index[labels], index[~labels]
    speaker, sides = enroll[labels], (enroll[~labels], test[~labels])
    rng = np.random.default_rng(seed)
    left = resamples
    while left:
        drawn = np.bincount(rng.integers(len(speakers), size=len(speakers)), minlength=len(speakers))
        same = np.bincount(of_same, drawn[speaker], minlength=len(trials.scores))
        different = np.bincount(of_different, drawn[sides[0]] * drawn[sides[1]], minlength=len(trials.scores))
        if same.any() and different.any():
            left -= 1
            yield trials.reweighted(same, different)
