"""From sums of attribute LLRs to likelihood ratios: affine calibration, and fusion with one weight per attribute.

The attributes are not independent, so their sum is overconfident. By how much is learnt from trials of speakers on
whom nothing else was fitted. Both calibrations are a weighted sum of the terms, plus an offset,

    LLR' = sum_i w_i LLR_i + b

where affine calibration has the same weight for all attributes. A calibration with quality measures adds a term for
each measure of the recordings. So a calibrated LLR, too, can be read attribute by attribute. All LLRs are natural
logarithms.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from balr_hf.errors import ConfigError, UserError
from balr_hf.metrics.intervals import checked_speakers, speakers_by_kind
from balr_hf.metrics.tally import checked_labels
from balr_hf.scoring.bounds import elub
from balr_hf.scoring.calibration_draws import calibration_draws, sample_of_each_kind

logger = logging.getLogger(__name__)

METHODS = ("affine", "fusion", "quality")

# The penalties that fusion chooses from: how strongly the weights are held to a common one, the strongest first.
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
# The penalties on the terms of quality measures that are chosen from, the strongest first.
QUALITY_PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
# Fusion learns from at most this many trials of each kind: more would cost memory and change little.
MAX_FUSION_TRIALS = 100_000
# How many of each speaker's trials are doubted where few speakers calibrate, see `doubt_of`: benchmarks/conditions.py
# compared 0.01, 0.03, 0.1 and 0.3.
DOUBT = 0.1
# In how many folds of speakers a calibration is cross-validated.
FOLDS = 5
# From how many of their standard deviations on scores lie far from zero.
FAR = 100.0
# Newton's method, until nothing changes: scikit-learn's own default stops where the cost falls slowly, which it does
# long before the slope has settled if the scores tell the kinds of trials apart well, or lie on one side of zero.
EXACTLY = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1_000}


@dataclass
class Calibration:
    """A fitted calibration: turns raw scores, or the attributes' terms, into calibrated natural-log likelihood ratios.

        affine: LLR' = w LLR + b
        fusion: LLR' = sum_i w_i LLR_i + b, with every w_i >= 0
        quality: LLR' = w LLR + b + sum_k c_k z_k, with the standardised quality measures z_k

    Args:
        method (str): `affine`, `fusion` or `quality`.
        weights (float64 array `()` for affine and quality, `(attributes,)` for fusion): factors of the attributes'
            LLRs.
        offset (float): what is added to their sum, in natural-log units.
        penalty (float, *optional*): the penalty of fusion, or on the terms of quality measures; None for affine.
        quality (float64 array `(3, measures)`, *optional*): the factor c_k of each quality measure, and the mean and
            the standard deviation by which it is standardised; None but for `quality`.
        speakers (list[str]): names of the speakers in the trials; empty where they are unknown.
        num_same_speaker, num_different_speaker (int): numbers of trials that it was fitted on.
        num_same_speaker_speakers, num_different_speaker_speakers (int): numbers of speakers in the trials of either
            kind, see [`speakers_by_kind`]; 0 where the speakers are unknown.
        bounds (tuple[float, float], *optional*): the lowest and the highest natural-log LR that these trials can vouch
            for, see [`elub`]; None where there were too few speakers to tell.
        draws (float64 array `(draws, 2)`, *optional*): what other speakers would have made of it, see
            [`calibration_draws`]; None where the speakers are unknown, or all same-speaker trials are of one speaker.
        validation (dict, *optional*): what to expect of new speakers, see [`validated`]; None where there were too few
            speakers to tell.

    Inputs:
        `apply` takes raw scores of shape `(trials,)` (affine), terms of shape `(trials, attributes)` (fusion), or raw
        scores and the quality measures beside them, `(trials, 1 + measures)` (quality).

    References:
        N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
        Language, 2006 (affine).
        After I. Ben-Amor, J.-F. Bonastre and D. van der Vloed, Odyssey 2024 (non-negative, regularised fusion).
        D. Garcia-Romero, J. Fierrez-Aguilar, J. Gonzalez-Rodriguez and J. Ortega-Garcia, "Using quality measures for
        multilevel speaker recognition", Computer Speech and Language 20, 2006 (quality).

    Requirements:
        Trials of both kinds, of speakers who are neither in the scorer's reference population nor in the test. The
        choice of a penalty needs the speakers' names. Quality needs what was measured of the recordings, and trials of
        both kinds in every condition: if those of one speaker are mostly of clean recordings and those of two mostly
        of noisy ones, noise itself passes for evidence.

    Recommendations:
        Begin with affine: it has two parameters. Quality has one more for each measure, and is for recordings of
        several conditions. Fusion has one weight per attribute, and so needs more speakers;
        compare the two by [`cross_calibrated`]. Usually there is no need to make this class yourself: see
        [`Scorer.calibrate`].

    Example:
        >>> scores = np.array([6.0, 9.0, 4.0, -1.0, -7.0, 2.0, 3.0, -5.0])
        >>> labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
        >>> calibration = fit_calibration(scores, labels)
        >>> bool(0 < calibration.weights < 1)  # the raw scores were overconfident
        True
        >>> calibration.apply(np.array([10.0, -10.0])).round(1)
        array([ 2.3, -3.2])
        >>> calibration.describe()["num_same_speaker"]
        4
    """

    method: str
    weights: np.ndarray
    offset: float
    penalty: float | None = None
    speakers: list[str] = field(default_factory=list)
    num_same_speaker: int = 0
    num_different_speaker: int = 0
    num_same_speaker_speakers: int = 0
    num_different_speaker_speakers: int = 0
    bounds: tuple[float, float] | None = None
    draws: np.ndarray | None = None
    validation: dict[str, Any] | None = None
    quality: np.ndarray | None = None

    def apply(self, evidence: np.ndarray) -> np.ndarray:
        """Calibrate.

        Args:
            evidence (`(trials,)` or `(trials, attributes)`): raw scores (affine only), or terms; natural logarithms.
                For `quality`, raw scores and quality measures `(trials, 1 + measures)`.

        Returns:
            float64 `(trials,)`: calibrated natural-log likelihood ratios.
        """
        if self.quality is not None:
            factors, means, scales = self.quality
            return evidence[:, 0] * self.weights + self.offset + (evidence[:, 1:] - means) / scales @ factors
        return evidence @ self.weights + self.offset if evidence.ndim == 2 else evidence * self.weights + self.offset

    def describe(self) -> dict:
        """What the configuration of a calibrated scorer says about its calibration."""
        return {
            "method": self.method,
            "penalty": self.penalty,
            "num_speakers": len(self.speakers),
            "num_same_speaker": self.num_same_speaker,
            "num_different_speaker": self.num_different_speaker,
            "num_same_speaker_speakers": self.num_same_speaker_speakers,
            "num_different_speaker_speakers": self.num_different_speaker_speakers,
            "bounds": None if self.bounds is None else list(self.bounds),
            "num_draws": 0 if self.draws is None else len(self.draws),
            "validation": self.validation,
            "num_quality": 0 if self.quality is None else self.quality.shape[1],
        }


def fit_calibration(
    evidence: np.ndarray,
    labels: np.ndarray,
    method: str = "affine",
    speakers: tuple[np.ndarray, np.ndarray] | None = None,
    penalty: float | None = None,
    unit: float | None = math.log(10),
    conditions: np.ndarray | None = None,
    doubt: float = 0.0,
    crossed: np.ndarray | None = None,
) -> Calibration:
    """Fit a calibration; if the speakers are known, also how far it can be trusted: its bounds, and draws of it.

    Args:
        evidence: for `affine`, raw scores `(trials,)`; for `fusion`, terms `(trials, attributes)`; for `quality`, raw
            scores and quality measures `(trials, 1 + measures)`; natural logarithms.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        method (str): `affine`, `fusion` or `quality`.
        speakers (*optional*): the names of the two sides' speakers, each `(trials,)`. Fusion and quality need them to
            choose their penalty.
        penalty (float, *optional*): that penalty, if it is not to be chosen.
        unit (float, *optional*): see [`fit_affine`].
        conditions (`(trials,)`, *optional*): for `quality`, which condition each trial is in, see [`fit_quality`].
        doubt (float): for `affine`, see [`fit_affine`].
        crossed (`(trials,)`, *optional*): the natural-log LRs of these trials that [`cross_calibrated`] gave, of which
            bounds and figures are to be. By default those of five folds, with one penalty for all of them, which
            flatters fusion and quality a little.

    Returns:
        a [`Calibration`].

    Raises:
        ConfigError: the method is unknown or does not take what was given, or one with a penalty was given neither
            speakers nor a penalty.
        UserError: all trials are of one kind, scores are not finite or do not tell the kinds apart, a speaker is not
            known, or the speakers contradict the labels.
        ValueError: scores, labels, speakers and conditions are not equally many.
    """
    evidence = np.asarray(evidence)
    if speakers is not None:
        labels = checked_labels(np.asarray(labels).ravel())
        speakers = checked_speakers(labels, *speakers)
    calibration = _fit(evidence, labels, method, speakers, penalty, unit, conditions, doubt)
    if speakers is not None:
        calibration.speakers = sorted({str(name) for side in speakers for name in np.unique(side)})
        same, different = speakers_by_kind(labels, *speakers)
        calibration.num_same_speaker_speakers, calibration.num_different_speaker_speakers = same, different
        if crossed is not None and np.shape(crossed) != labels.shape:
            raise ValueError(f"{np.shape(crossed)} cross-validated LRs of {len(labels)} trials")
        try:
            if crossed is None:
                crossed = cross_calibrated(
                    evidence,
                    labels,
                    speakers,
                    method,
                    penalty=calibration.penalty,
                    unit=unit,
                    conditions=conditions,
                    doubt=doubt,
                )
        except UserError as error:
            logger.warning("No bounds of the likelihood ratios: %s", error)
        else:
            calibration.bounds = elub(crossed, labels)
            calibration.validation = validated(crossed, labels)
        try:
            calibration.draws = _draws(calibration, evidence, labels, speakers, unit, conditions, doubt)
        except UserError as error:
            logger.warning("No interval of the likelihood ratios: %s", error)
    return calibration


def validated(llrs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Describe LLRs of speakers that they were not calibrated on, in numbers that JSON can hold.

    Args:
        llrs (`(trials,)`): of [`cross_calibrated`], natural-log units.
        labels (`(trials,)`): bool.

    Returns:
        the metrics `eer`, `cllr` and `cllr_min`, and `same_speaker` and `different_speaker`, the percentiles from 0 to
        100 of the LLRs of each kind, from which a Tippett plot can be drawn.
    """
    from balr_hf.metrics import compute_metrics

    metrics = compute_metrics(llrs, labels)
    found: dict[str, Any] = {name: metrics[name] for name in ("eer", "cllr", "cllr_min")}
    for name, kind in (("same_speaker", labels), ("different_speaker", ~labels)):
        found[name] = np.percentile(llrs[kind], np.arange(101)).round(4).tolist()
    return found


def _fit(
    evidence: np.ndarray,
    labels: np.ndarray,
    method: str,
    speakers: tuple[np.ndarray, np.ndarray] | None,
    penalty: float | None,
    unit: float | None,
    conditions: np.ndarray | None = None,
    doubt: float = 0.0,
) -> Calibration:
    """Do what [`fit_calibration`] does, without bounds and draws."""
    labels = np.asarray(labels).ravel()
    if method not in METHODS:
        raise ConfigError(f"unknown calibration {method!r}: expected {', '.join(METHODS)}")
    if method == "affine" and penalty is not None:
        raise ConfigError(f"penalty={penalty}: affine has none, fusion and quality have one")
    if method != "quality" and conditions is not None:
        raise ConfigError(f"{method} takes no conditions: the method quality does")
    beside = [*(speakers or ()), *([] if conditions is None else [conditions])]
    if any(len(other) != len(labels) for other in (evidence, *beside)):
        numbers = [len(evidence), len(labels), *map(len, beside)]
        raise ValueError(f"scores, labels, speakers and conditions of different numbers of trials: {numbers}")
    labels = checked_labels(labels)
    finite = np.isfinite(evidence if evidence.ndim == 1 or method == "fusion" else evidence[:, 0])
    if not finite.all():
        raise UserError(f"calibration needs scores that are finite; {(~finite).sum()} are not")
    if labels.all() or not labels.any():
        raise UserError(f"calibration needs both kinds of trials; all {len(labels)} are of one")
    if method == "affine":
        weight, offset = fit_affine(evidence, labels, unit, doubt)
        calibration = Calibration(method, np.array(weight), offset)
    else:
        if penalty is None:
            if speakers is None:
                raise ConfigError(f"{method} needs the trials' speakers to choose its penalty by, or a penalty")
            penalty = choose_penalty(evidence, labels, speakers, unit, method=method, conditions=conditions)
        if method == "fusion":
            calibration = Calibration(method, *fit_fusion(evidence, labels, penalty, unit), penalty)
        else:
            weight, offset, quality = fit_quality(evidence, labels, penalty, unit, conditions)
            calibration = Calibration(method, np.array(weight), offset, penalty, quality=quality)
    calibration.num_same_speaker = int(labels.sum())
    calibration.num_different_speaker = int((~labels).sum())
    return calibration


def _draws(
    calibration: Calibration,
    evidence: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    unit: float | None,
    conditions: np.ndarray | None,
    doubt: float,
) -> np.ndarray:
    """Draws of a calibration.

    Fusion's weights and the terms of quality measures are kept, and their sum is calibrated anew in each draw.
    """
    if calibration.method == "affine":
        unit = float(np.std(evidence)) or 1.0 if unit is None else unit
        own = float(calibration.weights), calibration.offset
        return calibration_draws(evidence, labels, speakers, *own, unit, doubt=doubt)
    costs = trial_costs(labels, conditions) if calibration.method == "quality" else None
    return calibration_draws(calibration.apply(evidence), labels, speakers, 1.0, 0.0, math.log(10), costs=costs)


def doubt_of(speakers: int) -> float:
    """How much a calibration on the trials of so many speakers is to doubt them; see [`fit_affine`].

    Each speaker's trials count as if `DOUBT` of a speaker had been of the other kind.

    Args:
        speakers (int): how many there are in the same-speaker trials of the calibration, or in its different-speaker
            trials if these are of fewer.
    """
    return DOUBT / (speakers + 2 * DOUBT)


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
            ratios would overstate. [`doubt_of`] tells how much becomes a number of speakers.

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
    slope, offset = float(model.coef_[0, 0] / unit), float(model.intercept_[0])
    if slope <= 0:
        raise UserError(
            "cannot calibrate: in these trials the scores of one speaker are no higher than those of two; are the "
            "labels, the scorer and the attributes the right ones?"
        )
    return slope, offset - slope * zero


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
    slope, offset = float(model.coef_[0, 0] / unit), float(model.intercept_[0])
    if slope <= 0:
        raise UserError(
            "cannot calibrate: in these trials the scores of one speaker are no higher than those of two; are the "
            "labels, the scorer and the attributes the right ones?"
        )
    factors = np.where(constant, 0.0, model.coef_[0, 1:] / strength)
    return slope, offset - slope * zero, np.stack([factors, means, np.where(constant, 1.0, scales)])


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


def choose_penalty(
    terms: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    unit: float | None = math.log(10),
    folds: int = 4,
    seed: int = 0,
    method: str = "fusion",
    conditions: np.ndarray | None = None,
) -> float:
    """Choose the penalty that has the least Cllr on held-out speakers; among equals, the strongest.

    Args:
        terms (`(trials, attributes)`): raw natural-log LRs of the attributes; for `quality`, raw scores and measures.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        speakers: the names of the two sides' speakers, each `(trials,)`.
        unit (float, *optional*): see [`fit_affine`].
        folds (int): at least 3; see [`cross_calibrated`].
        seed (int): decides how the speakers are dealt into folds.
        method (str): `fusion` or `quality`.
        conditions (`(trials,)`, *optional*): see [`fit_quality`].

    Returns:
        one of `PENALTIES`, or of `QUALITY_PENALTIES`.

    Raises:
        UserError: there are too few speakers for the folds.
    """
    from balr_hf.metrics import cllr

    kept = sample_of_each_kind(labels, MAX_FUSION_TRIALS // 5)
    terms, labels, speakers = terms[kept], labels[kept], (speakers[0][kept], speakers[1][kept])
    conditions = None if conditions is None else np.asarray(conditions)[kept]
    penalties = PENALTIES if method == "fusion" else QUALITY_PENALTIES
    try:
        costs = [  # from the strongest penalty to the weakest
            cllr(
                cross_calibrated(terms, labels, speakers, method, folds, penalty, unit, seed, conditions=conditions),
                labels,
            )
            for penalty in penalties
        ]
    except _FewSpeakersError as error:
        raise _FewSpeakersError(
            f"choose the penalty of the method {method} by, which takes {folds} folds of them",
            error.reason,
            "Give trials of more speakers, or choose the method affine, which has no penalty",
        ) from error
    return penalties[int(np.argmin(np.round(costs, 4)))]


class _FewSpeakersError(UserError):
    """There are too few speakers to cross-validate a calibration, or to choose its penalty.

    Args:
        task (str): what they are too few for.
        reason (str): how many are left to fit on, and why they are too few.
        remedy (str): what to do.

    Attributes:
        task, reason (str): as above.
    """

    def __init__(self, task: str, reason: str, remedy: str) -> None:
        super().__init__(f"too few speakers to {task}: {reason}. {remedy}")
        self.task, self.reason = task, reason


def cross_calibrated(
    evidence: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    method: str = "affine",
    folds: int = FOLDS,
    penalty: float | None = None,
    unit: float | None = math.log(10),
    seed: int = 0,
    progress: bool = False,
    conditions: np.ndarray | None = None,
    doubt: float = 0.0,
) -> np.ndarray:
    """Calibrate every trial with a calibration that was fitted on other speakers.

    The speakers are dealt into folds. Trials between two folds, or within one fold, are calibrated with the trials
    among all the other folds. So the figures measured on the result are those to expect for new speakers; a
    calibration that is measured on the very trials that it was fitted on looks better than it is.

    Args:
        evidence, labels, method, penalty, unit, conditions, doubt: as for [`fit_calibration`].
        speakers: the names of the two sides' speakers, each `(trials,)`.
        folds (int): at least 3.
        seed (int): decides how the speakers are dealt into folds.
        progress (bool): show a progress bar.

    Returns:
        float64 `(trials,)`: calibrated natural-log LRs.

    Raises:
        ConfigError: there are fewer than three folds; or as for [`fit_calibration`].
        UserError: there are so few speakers that some folds leave trials of one kind only; or as for
            [`fit_calibration`].
    """
    from tqdm.auto import tqdm

    labels = checked_labels(np.asarray(labels).ravel())
    speakers = checked_speakers(labels, *speakers)
    calibrated = np.full(len(labels), np.nan)
    splits = list(speaker_splits(*speakers, folds, seed))
    for fitted, held_out in tqdm(splits, "Cross-validating", disable=not progress, unit="split", delay=2):
        part = (speakers[0][fitted], speakers[1][fitted])
        some = None if conditions is None else np.asarray(conditions)[fitted]
        try:
            calibration = _fit(evidence[fitted], labels[fitted], method, part, penalty, unit, some, doubt)
        except UserError as error:
            if not isinstance(error, _FewSpeakersError):  # then all trials may be refused for the same, whatever folds
                _fit(evidence, labels, method, speakers, penalty, unit, conditions, doubt)
            total, number = (len(np.unique(np.concatenate(names))) for names in (speakers, part))
            left = f"{number} of {total} speakers {'is' if number == 1 else 'are'} left"
            because = f"these are too few to {error.task}" if isinstance(error, _FewSpeakersError) else error
            more = f"More folds leave more speakers to fit on (at most {total} folds), or"
            raise _FewSpeakersError(
                f"cross-validate a calibration with {folds} folds",
                f"without two of the folds, {left}, and {because}",
                f"{more if folds < total else 'Please'} give trials of more speakers",
            ) from error
        calibrated[held_out] = calibration.apply(evidence[held_out])
    return calibrated


def speaker_splits(
    enroll: np.ndarray, test: np.ndarray, folds: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split trials so that no speaker of the held-out trials is among those to fit on.

    Args:
        enroll, test (`(trials,)`): names of the sides' speakers.
        folds (int): at least 3.
        seed (int): decides how the speakers are dealt into folds.

    Yields:
        `(fitted, held_out)`: two bool masks `(trials,)`. Every trial is held out exactly once.

    Raises:
        ConfigError: there are fewer than three folds.
    """
    if folds < 3:
        raise ConfigError(f"folds={folds}: expected at least 3, since trials between two folds leave those out")
    names, codes = np.unique(np.concatenate([enroll, test]), return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(len(names)) % folds
    sides = fold_of[codes].reshape(2, -1)
    for low in range(folds):
        for high in range(low, folds):
            held_out = (sides.min(0) == low) & (sides.max(0) == high)
            if held_out.any():
                enroll_in, test_in = np.isin(sides, (low, high))
                yield ~(enroll_in | test_in), held_out


def fusion_sample(labels: np.ndarray) -> np.ndarray:
    """Choose the trials that fusion learns from: at most `MAX_FUSION_TRIALS` of each kind, drawn at random.

    The same labels always give the same trials.

    Args:
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.

    Returns:
        int64 `(chosen,)`: their positions, in ascending order.
    """
    return sample_of_each_kind(checked_labels(np.asarray(labels).ravel()), MAX_FUSION_TRIALS)
