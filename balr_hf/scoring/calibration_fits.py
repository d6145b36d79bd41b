"""The regressions that calibrations are fitted by: affine, fusion of the attributes, and with quality measures.

What they are for, and how their penalties are chosen, is in [`balr_hf.scoring.calibration`].
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.errors import ConfigError, UserError
from balr_hf.metrics.tally import checked_labels
from balr_hf.scoring.calibration_draws import sample_of_each_kind

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# Fusion learns from at most this many trials of each kind: more would cost memory and change little.
MAX_FUSION_TRIALS = 100_000
# How many of each speaker's trials are doubted where few speakers calibrate, see `doubt_of`: benchmarks/conditions.py
# compared 0.01, 0.03, 0.1 and 0.3.
DOUBT = 0.1
# From how many of their standard deviations on scores lie far from zero.
FAR = 100.0
# Newton's method, until nothing changes: scikit-learn's own default stops where the cost falls slowly, which it does
# long before the slope has settled if the scores tell the kinds of trials apart well, or lie on one side of zero.
EXACTLY = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1_000}


def fit_affine(
    scores: np.ndarray, labels: np.ndarray, unit: float | None = math.log(10), doubt: float = 0.0
) -> tuple[float, float]:
    """Logistic calibration `LLR' = w LLR + b`, with the kinds of trials weighted to a prior of 0.5.

    Args:
        scores (`(trials,)`): raw natural-log LRs, or similarities.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        unit (float, *optional*): the unit in which the scores are counted; by default log10, as in lir, and None for
            the scores' own standard deviation. It matters because the slope is lightly regularised in this unit, so
            that it stays finite even if the scores tell the two kinds of trials apart perfectly.
        doubt (float): share of each trial, from 0 to less than 0.5, that counts as a trial of the other kind. Where a
            few speakers' trials are told apart by chance, the slope would be too large without it, and likelihood
            ratios would overstate. [`doubt_of`] tells how much suits a number of speakers.

    Returns:
        `(w, b)`: two floats.

    Raises:
        UserError: the slope is not positive, so the scores say nothing about the speakers.

    References:
        N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", 2006; for the doubt,
        after G. S. Morrison and N. Poh, "Avoiding overstating the strength of forensic evidence: Shrunk likelihood
        ratios/Bayes factors", Science & Justice, 2018.
    """
    from sklearn.linear_model import LogisticRegression

    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    zero, unit = _scale(scores, unit)
    columns = (scores[:, None] - zero) / unit
    if doubt:
        columns, kinds = np.tile(columns, (2, 1)), np.concatenate([labels, ~labels])
        costs = len(labels) / 2 / np.where(labels, labels.sum(), (~labels).sum())
        costs = np.concatenate([(1 - doubt) * costs, doubt * costs])
        model = LogisticRegression(**EXACTLY).fit(columns, kinds, sample_weight=costs)
    else:
        model = LogisticRegression(class_weight="balanced", **EXACTLY).fit(columns, labels)
    return _slope_and_offset(model, zero, unit)


def doubt_of(speakers: int) -> float:
    """How much a calibration on the trials of so many speakers is to doubt them; see [`fit_affine`].

    Each speaker's trials count as if `DOUBT` of a speaker had been of the other kind.

    Args:
        speakers (int): how many there are in the same-speaker trials of the calibration, or in its different-speaker
            trials if these are of fewer.
    """
    return DOUBT / (speakers + 2 * DOUBT)


def fit_fusion(
    terms: np.ndarray, labels: np.ndarray, penalty: float, unit: float | None = math.log(10)
) -> tuple[np.ndarray, float]:
    """Logistic fusion `LLR' = sum_i w_i LLR_i + b` with `w_i >= 0`, held to the affine calibration.

    Minimises the prior-weighted log cost plus `penalty / 2 * sum_i (w_i / w - 1)^2`, where w is the slope of the
    affine calibration. With few trials or a high penalty the result is close to the affine calibration; with more
    trials the attributes' weights grow apart.

    Args:
        terms (`(trials, attributes)`): raw natural-log LRs of the attributes.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        penalty (float): more than 0.
        unit (float, *optional*): the unit of the affine calibration from which fusion starts; see [`fit_affine`].

    Returns:
        `(weights, offset)`: float64 `(attributes,)`, and a float in natural-log units.

    Raises:
        UserError: as for [`fit_affine`].

    Reference:
        After I. Ben-Amor, J.-F. Bonastre and D. van der Vloed, Odyssey 2024 (non-negative, regularised fusion).
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    if not penalty > 0:
        raise ConfigError(f"penalty={penalty}: expected more than 0")
    labels = np.asarray(labels).astype(bool)
    slope, offset = fit_affine(terms.sum(1), labels, unit)
    kept = sample_of_each_kind(labels, MAX_FUSION_TRIALS)
    evidence, labels = slope * terms[kept], labels[kept]
    costs = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    signs = np.where(labels, 1.0, -1.0)

    def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (evidence @ point[:-1] + point[-1])
        gradient = -signs * costs * expit(-margins)
        away = point[:-1] - 1
        value = costs @ np.logaddexp(0, -margins) + penalty / 2 * away @ away
        return value, np.append(gradient @ evidence + penalty * away, gradient.sum())

    width = terms.shape[1]
    start = np.append(np.ones(width), offset)
    # SciPy's own tolerances stop where the cost falls slowly, with LLRs that are up to 2 % off.
    exactly = {"ftol": 1e-12, "gtol": 1e-8, "maxiter": 1_000}
    bounds = [(0, None)] * width + [(None, None)]
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=exactly)
    return slope * found.x[:-1], float(found.x[-1])


def fusion_sample(labels: np.ndarray) -> np.ndarray:
    """Choose the trials that fusion learns from: at most `MAX_FUSION_TRIALS` of each kind, drawn at random.

    The same labels always give the same trials.

    Args:
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        int64 `(chosen,)`: their positions, in ascending order.
    """
    return sample_of_each_kind(checked_labels(np.asarray(labels).ravel()), MAX_FUSION_TRIALS)


def fit_quality(
    evidence: np.ndarray,
    labels: np.ndarray,
    penalty: float,
    unit: float | None = math.log(10),
    conditions: np.ndarray | None = None,
) -> tuple[float, float, np.ndarray]:
    """Logistic calibration with quality measures, `LLR' = w LLR + b + sum_k c_k z_k`.

    The measures are standardised to mean 0 and standard deviation 1; one that is the same in all trials gets no term.
    Minimises the mean log cost plus `penalty / 2 * sum_k c_k^2`, and the light penalty on w of [`fit_affine`]. The two
    kinds of trials have the same weight, and if the conditions are known, they have it in each condition: else a
    condition in which most trials are of one speaker would speak for the same speaker by itself.

    Args:
        evidence (`(trials, 1 + measures)`): raw natural-log LRs or similarities, then the measures.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        penalty (float): more than 0.
        unit (float, *optional*): see [`fit_affine`].
        conditions (`(trials,)`, *optional*): which condition each trial is in, any values. Conditions with trials of
            one kind only are left out.

    Returns:
        `(w, b, quality)`: two floats, and float64 `(3, measures)`: the factors c_k, the means and the standard
        deviations.

    Raises:
        ConfigError: the penalty is not more than 0.
        UserError: the slope is not positive, a measure is not a number, or no condition has both kinds of trials.
    """
    from sklearn.linear_model import LogisticRegression

    if not penalty > 0:
        raise ConfigError(f"penalty={penalty}: expected more than 0")
    evidence, labels = np.asarray(evidence, dtype=np.float64), np.asarray(labels).astype(bool)
    if not np.isfinite(evidence).all():
        raise UserError("calibrating with quality measures needs all measures of all recordings in the trials")
    costs = trial_costs(labels, conditions)
    if not costs.any():
        raise UserError("no condition has trials of both kinds, so that no calibration can be fitted")
    scores, measures = evidence[:, 0], evidence[:, 1:]
    zero, unit = _scale(scores, unit)
    means = np.average(measures, axis=0, weights=costs)
    scales = np.sqrt(np.average((measures - means) ** 2, axis=0, weights=costs))
    constant = scales < 1e-9
    standardised = np.where(constant, 0.0, (measures - means) / np.where(constant, 1.0, scales))
    strength = math.sqrt(penalty * len(labels))  # scikit-learn penalises the squares of what is fitted, all alike
    columns = np.column_stack([(scores - zero) / unit, standardised / strength])
    model = LogisticRegression(**EXACTLY).fit(columns, labels, sample_weight=costs * len(labels))
    slope, offset = _slope_and_offset(model, zero, unit)
    factors = np.where(constant, 0.0, model.coef_[0, 1:] / strength)
    return slope, offset, np.stack([factors, means, np.where(constant, 1.0, scales)])


def trial_costs(labels: np.ndarray, conditions: np.ndarray | None = None) -> np.ndarray:
    """How much each trial counts, so that both kinds count alike in every condition: float64 `(trials,)`, sum 1.

    Args:
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        conditions (`(trials,)`, *optional*): which condition each trial is in; all are in one by default.

    Returns:
        the costs; 0 in conditions with one kind only. A condition counts as much as it has trials of the rarer kind.
    """
    labels = np.asarray(labels).astype(bool)
    which = np.zeros(len(labels), dtype=np.int64)
    if conditions is not None:
        which = np.unique(np.asarray(conditions), return_inverse=True)[1].ravel()
    same, different = (np.bincount(which[kind], minlength=which.max(initial=0) + 1) for kind in (labels, ~labels))
    rarer = np.minimum(same, different)
    number = np.where(labels, same[which], different[which])
    total = max(1, int(rarer.sum()))
    return rarer[which] / (2 * total * np.maximum(number, 1))


def _scale(scores: np.ndarray, unit: float | None) -> tuple[float, float]:
    """Where scores are counted from, and in which unit.

    Those without a unit have no zero either. The others are counted from zero as in lir, unless they lie far from it
    in their own standard deviations: there the regression would stop where it begins, with a slope of nearly 0. The
    offset is not penalised, so that nothing else depends on the place.
    """
    mean, spread = float(scores.mean()), float(scores.std())
    if unit is None:
        return mean, spread or 1.0
    return (mean if abs(mean) > FAR * spread else 0.0), unit


def _slope_and_offset(model: "LogisticRegression", zero: float, unit: float) -> tuple[float, float]:
    """The `w` and `b` of a regression on scores that were counted from `zero` in a unit.

    Raises:
        UserError: the slope is not positive, so the scores say nothing about the speakers.
    """
    slope, offset = float(model.coef_[0, 0] / unit), float(model.intercept_[0])
    if slope <= 0:
        raise UserError(
            "cannot calibrate: in these trials the scores of one speaker are no higher than those of two; are the "
            "labels, the scorer and the attributes the right ones?"
        )
    return slope, offset - slope * zero
