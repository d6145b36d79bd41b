"""How sure a likelihood ratio is: what it would be with other speakers to calibrate on."""

import itertools
import math

import numpy as np

from balr_hf.errors import UserError
from balr_hf.metrics.intervals import speaker_draws, speakers_by_kind, widening

LOG10 = math.log(10)
# Trials of each kind that the draws are fitted on; of more, as many are taken at random.
MOST_TRIALS = 5_000
# Newton steps at most: the objective is convex, and most draws converge in about six. Where nearly all trials are told
# apart, whole steps overshoot, and are halved until the objective falls.
STEPS, HALVINGS = 50, 12
# Draws that are fitted together, which bounds the memory.
TOGETHER = 50


def calibration_draws(
    scores: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    slope: float,
    offset: float,
    unit: float,
    draws: int = 1_000,
    seed: int = 0,
    costs: np.ndarray | None = None,
    doubt: float = 0.0,
) -> np.ndarray:
    """Fit the calibration again on speakers drawn with replacement.

    A different-speaker trial counts as often as both its speakers were drawn (the product), a same-speaker trial as
    often as its speaker was. Each draw is fitted as [`fit_affine`] does. The draws are then moved so that their mean
    is the calibration itself, and spread by [`widening`] for the speakers in same-speaker or in different-speaker
    trials, whichever are fewer.

    Args:
        scores (`(trials,)`): what the calibration was fitted on, before it.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        speakers: the names of the two sides' speakers, each `(trials,)`.
        slope, offset (float): of the calibration itself.
        unit (float): in which the scores are counted, as for [`fit_affine`].
        draws (int): how many.
        seed (int): of the draws.
        costs (`(trials,)`, *optional*): how much each trial counts, beside how often it was drawn; all count alike by
            default.
        doubt (float): of the calibration itself, see [`fit_affine`].

    Returns:
        float64 `(draws, 2)`: what a calibrated LLR is to be multiplied by, and what is then to be added, to have the
        LLR of each draw.

    Raises:
        UserError: fewer than two speakers in the same-speaker trials.
    """
    labels = np.asarray(labels).astype(bool)
    kept = sample_of_each_kind(labels, MOST_TRIALS, seed)
    if costs is not None:
        kept = kept[costs[kept] > 0]
        costs = costs[kept] * len(kept)
    scores, labels = np.asarray(scores, dtype=np.float64)[kept] / unit, labels[kept]
    names, codes = np.unique(np.concatenate([speakers[0][kept], speakers[1][kept]]), return_inverse=True)
    enroll, test = codes[: len(scores)], codes[len(scores) :]
    fewest = min(speakers_by_kind(labels, enroll, test))
    if fewest < 2:
        raise UserError("an interval needs same-speaker trials of at least two speakers in the calibration")
    fitted, made = [], speaker_draws(len(names), enroll, test, labels, draws, seed)
    while batch := list(itertools.islice(made, TOGETHER)):
        weights = np.empty((len(batch), len(scores)))
        weights[:, labels], weights[:, ~labels] = (np.stack(kind) for kind in zip(*batch, strict=True))
        if costs is not None:
            weights *= costs
        fitted.append(_weighted_logistic(scores, labels, weights, slope * unit, offset, doubt))
    slopes, offsets = np.concatenate(fitted).T
    scales = slopes / (slope * unit)
    found = np.stack([scales, offsets - scales * offset], axis=1)
    return np.array([1.0, 0.0]) + widening(fewest) * (found - found.mean(0))


def llr_interval(llr: float, draws: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a calibrated LLR by the draws of [`calibration_draws`], natural-log units."""
    values = draws[:, 0] * llr + draws[:, 1]
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def sample_of_each_kind(labels: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Positions of at most `most` trials of each kind, drawn at random with a fixed seed, in rising order."""
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    drawn = [kind if len(kind) <= most else rng.choice(kind, most, replace=False) for kind in kinds]
    return np.sort(np.concatenate(drawn))


def _weighted_logistic(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, slope: float, offset: float, doubt: float = 0.0
) -> np.ndarray:
    """Slope and offset of each row of weights, `(draws, 2)`, by Newton's method from the calibration's own."""
    from scipy.special import expit

    same, different = weights[:, labels].sum(1), weights[:, ~labels].sum(1)
    total = same + different
    costs = weights * np.where(labels, (total / (2 * same))[:, None], (total / (2 * different))[:, None])
    signs, wanted = np.where(labels, -1.0, 1.0), np.where(labels, 1 - doubt, doubt)

    def objective(slopes: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
        margins = signs * (slopes[rows, None] * scores + offsets[rows, None])
        losses = np.logaddexp(0, margins) - doubt * margins
        return (costs[rows] * losses).sum(1) + slopes[rows] ** 2 / 2

    slopes, offsets = np.full(len(weights), slope), np.full(len(weights), offset)
    value = objective(slopes, offsets, np.arange(len(weights)))
    for _ in range(STEPS):
        probabilities = expit(slopes[:, None] * scores + offsets[:, None])
        residuals = costs * (probabilities - wanted)
        curvatures = costs * probabilities * (1 - probabilities)
        gradient = residuals @ scores + slopes, residuals.sum(1)
        a, b, c = curvatures @ scores**2 + 1, curvatures @ scores, curvatures.sum(1) + 1e-12
        determinant = np.maximum(a * c - b * b, 1e-300)
        steps = (c * gradient[0] - b * gradient[1]) / determinant, (a * gradient[1] - b * gradient[0]) / determinant
        size, found = np.ones(len(weights)), value.copy()
        left = np.arange(len(weights))
        for _ in range(HALVINGS):
            found[left] = objective(slopes - size * steps[0], offsets - size * steps[1], left)
            left = left[~(found[left] <= value[left] + 1e-12 * (1 + value[left]))]
            if not len(left):
                break
            size[left] /= 2
        size[left], found[left] = 0, value[left]
        slopes, offsets = slopes - size * steps[0], offsets - size * steps[1]
        if (value - found <= 1e-12 * (1 + value)).all():
            break
        value = found
    return np.stack([slopes, offsets], axis=1)
