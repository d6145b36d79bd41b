"""Scores and labels of trials, sorted and counted once: what every metric is computed from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from balr_hf.errors import UserError


@dataclass(frozen=True)
class Tally:
    """How many trials of each kind have each distinct score.

    Attributes:
        scores: float64 `(n,)`, distinct and ascending; natural-log likelihood ratios.
        same: float64 `(n,)`, the number (or the weight) of same-speaker trials with that score.
        different: float64 `(n,)`, likewise of different-speaker trials.
    """

    scores: np.ndarray
    same: np.ndarray
    different: np.ndarray

    @cached_property
    def error_rates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Miss and false-alarm rates at every distinct score as a threshold; equal scores fall on one side together.

        Returns:
            `(thresholds, miss, false_alarm)`, each `(distinct scores + 1,)`: a trial is accepted if its score is at
            least the threshold; the last threshold is infinite.
        """
        below = [np.append(0.0, np.cumsum(weights)) for weights in (self.same, self.different)]
        miss, rejected = (sums / sums[-1] for sums in below)
        return np.append(self.scores, np.inf), miss, 1 - rejected

    @cached_property
    def pav(self) -> np.ndarray:
        """The best monotone calibration of the trials: natural-log LRs `(n,)`."""
        from scipy.optimize import isotonic_regression

        weights = self.same + self.different
        fit = isotonic_regression(self.same / weights, weights=weights)
        # Of each pool the sums, not the mean that was fitted: a pool of one kind alone is then exactly infinite.
        starts = fit.blocks[:-1]
        with np.errstate(divide="ignore"):
            pools = [np.log(np.add.reduceat(kind, starts) / kind.sum()) for kind in (self.same, self.different)]
        return np.repeat(pools[0] - pools[1], np.diff(fit.blocks))

    def reweighted(self, same: np.ndarray, different: np.ndarray) -> "Tally":
        """The same scores with other weights; scores without any are left out."""
        kept = same + different > 0
        return Tally(self.scores[kept], same[kept], different[kept])


def checked_trials(llrs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check trials: `(scores, labels)`, float64 and bool, `(trials,)`.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.
    """
    llrs, labels = np.asarray(llrs, dtype=np.float64).ravel(), np.asarray(labels).ravel()
    if llrs.shape != labels.shape:
        raise UserError(f"{llrs.size} scores but {labels.size} labels")
    if not np.isfinite(llrs).all():
        raise UserError(f"{(~np.isfinite(llrs)).sum()} of {llrs.size} scores are not finite")
    same = checked_labels(labels)
    if same.all() or not same.any():
        raise UserError(f"{same.sum()} same-speaker and {(~same).sum()} different-speaker trials: both are needed")
    return llrs, same


def checked_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as bool; anything but 0 and 1 is a ValueError."""
    if not np.isin(labels, (0, 1)).all():
        raise UserError("labels must be 1 or True for trials of one speaker, 0 or False for trials of two")
    return labels.astype(bool)


def tally(llrs: np.ndarray, labels: np.ndarray) -> Tally:
    """Sort and count trials.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.
    """
    llrs, labels = checked_trials(llrs, labels)
    scores, index = np.unique(llrs, return_inverse=True)
    same, different = (
        np.bincount(index[kind], minlength=len(scores)).astype(np.float64) for kind in (labels, ~labels)
    )
    return Tally(scores, same, different)
