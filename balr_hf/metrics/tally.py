"""Scores and labels of trials, sorted and counted once: what every metric is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Tally:
    """How many trials of each kind have each distinct score.

    Attributes:
        scores (float64 of shape `(n,)`): the distinct scores in ascending order, natural-log likelihood ratios.
        same (float64 of shape `(n,)`): the number (or the weight) of same-speaker trials with each score.
        different (float64 of shape `(n,)`): the number (or the weight) of different-speaker trials with each score.
    """

    scores: np.ndarray
    same: np.ndarray
    different: np.ndarray

    @cached_property
    def error_rates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The miss and the false-alarm rate at each threshold: each distinct score is one, and infinity is the last.

        A trial is accepted if its score is at least the threshold, so that equal scores are accepted or rejected
        together.

        Returns:
            `(thresholds, miss, false_alarm)`, each of shape `(n + 1,)`.
        """
        below = [np.append(0.0, np.cumsum(weights)) for weights in (self.same, self.different)]
        miss, rejected = (sums / sums[-1] for sums in below)
        return np.append(self.scores, np.inf), miss, 1 - rejected

    @cached_property
    def pav(self) -> np.ndarray:
        """The natural-log LRs of the scores after pool-adjacent-violators, the best monotone calibration: `(n,)`."""
        from scipy.optimize import isotonic_regression

        weights = self.same + self.different
        fit = isotonic_regression(self.same / weights, weights=weights)
        # The LR of a pool comes from its sums rather than from the mean that was fitted, so that it is exactly 0 or
        # infinite if the pool has trials of one kind only.
        starts = fit.blocks[:-1]
        with np.errstate(divide="ignore"):
            pools = [np.log(np.add.reduceat(kind, starts) / kind.sum()) for kind in (self.same, self.different)]
        return np.repeat(pools[0] - pools[1], np.diff(fit.blocks))

    def reweighted(self, same: np.ndarray, different: np.ndarray) -> Tally:
        """The same scores with other weights; scores whose weights are both 0 are left out."""
        kept = same + different > 0
        return Tally(self.scores[kept], same[kept], different[kept])

    def held(self, low: float, high: float) -> Tally:
        """The same trials with their scores held between two bounds, at which they become ties.

        Raises:
            UserError: the lower bound is above the upper one, or one is not a number.
        """
        if not low <= high:
            raise UserError(f"bounds of {low} and {high}: expected the lowest and the highest LLR, in this order")
        scores, index = np.unique(self.scores.clip(low, high), return_inverse=True)
        same, different = (np.bincount(index, kind, minlength=len(scores)) for kind in (self.same, self.different))
        return Tally(scores, same, different)


def checked_trials(llrs: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Check the scores and labels of trials.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        `(scores, labels)`, each of shape `(trials,)`: as float64 and as bool.

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.
    """
    llrs, labels = np.asarray(llrs, dtype=np.float64).ravel(), np.asarray(labels).ravel()
    if llrs.shape != labels.shape:
        raise UserError(f"{llrs.size} scores but {labels.size} labels: expected one label per score")
    if not np.isfinite(llrs).all():
        raise UserError(f"{(~np.isfinite(llrs)).sum()} of {llrs.size} scores are not finite")
    same = checked_labels(labels)
    if same.all() or not same.any():
        raise UserError(f"{same.sum()} same-speaker and {(~same).sum()} different-speaker trials: both are needed")
    return llrs, same


def checked_labels(labels: np.ndarray) -> np.ndarray:
    """The labels as bool.

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    return checked_mask(labels, "labels must be 1 or True for trials of one speaker, 0 or False for trials of two")


def checked_mask(mask: np.ndarray, message: str) -> np.ndarray:
    """What is 1 or True, and 0 or False, as bool.

    Raises:
        ValueError: something is neither; with this message.
    """
    if not np.isin(mask, (0, 1)).all():
        raise UserError(message)
    return mask.astype(bool)


def tally(llrs: ArrayLike, labels: ArrayLike) -> Tally:
    """Sort trials by their scores and count them.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.
    """
    checked, is_same = checked_trials(llrs, labels)
    scores, index = np.unique(checked, return_inverse=True)
    same, different = (
        np.bincount(index[kind], minlength=len(scores)).astype(np.float64) for kind in (is_same, ~is_same)
    )
    return Tally(scores, same, different)
