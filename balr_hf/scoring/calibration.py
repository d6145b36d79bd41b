"""From sums of attribute LLRs to likelihood ratios: affine calibration, and fusion with one weight per attribute.

The attributes are not independent, so their sum is overconfident. By how much is learnt from trials of speakers on
whom nothing else was fitted. Both calibrations are a weighted sum of the terms, plus an offset,

    LLR' = sum_i w_i LLR_i + b

where affine calibration has the same weight for all attributes. So a calibrated LLR, too, can be read attribute by
attribute. All LLRs are natural logarithms.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from balr_hf.errors import ConfigError, UserError
from balr_hf.metrics.tally import checked_labels
from balr_hf.scoring.bounds import elub
from balr_hf.scoring.calibration_draws import calibration_draws, sample_of_each_kind

logger = logging.getLogger(__name__)

METHODS = ("affine", "fusion")

# The penalties that fusion chooses from: how strongly the weights are held to a common one, the strongest first.
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
# Fusion learns from at most this many trials of each kind: more would cost memory and change little.
MAX_FUSION_TRIALS = 100_000


@dataclass
class Calibration:
    """A fitted calibration: turns raw scores, or the attributes' terms, into calibrated natural-log likelihood ratios.

        affine: LLR' = w LLR + b
        fusion: LLR' = sum_i w_i LLR_i + b, with every w_i >= 0

    Args:
        method (str): `affine` or `fusion`.
        weights (float64 array `()` for affine, `(attributes,)` for fusion): factors of the attributes' LLRs.
        offset (float): what is added to their sum, in natural-log units.
        penalty (float, *optional*): the penalty of fusion; None for affine.
        speakers (list[str]): names of the speakers in the trials; empty where they are unknown.
        num_same_speaker, num_different_speaker (int): numbers of trials that it was fitted on.
        bounds (tuple[float, float], *optional*): the lowest and the highest natural-log LR that these trials can vouch
            for, see [`elub`]; None where there were too few speakers to tell.
        draws (float64 array `(draws, 2)`, *optional*): what other speakers would have made of it, see
            [`calibration_draws`]; None where the speakers are unknown.
        validation (dict, *optional*): what to expect of new speakers, see [`validated`]; None where there were too few
            speakers to tell.

    Inputs:
        `apply` takes raw scores of shape `(trials,)` (affine), or terms of shape `(trials, attributes)`.

    References:
        N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
        Language, 2006 (affine).
        After I. Ben-Amor, J.-F. Bonastre and D. van der Vloed, Odyssey 2024 (non-negative, regularised fusion).

    Requirements:
        Trials of both kinds, of speakers who are neither in the scorer's reference population nor in the test. The
        choice of fusion's penalty needs the speakers' names.

    Recommendations:
        Begin with affine: it has two parameters. Fusion has one weight per attribute, and so needs more speakers;
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
    bounds: tuple[float, float] | None = None
    draws: np.ndarray | None = None
    validation: dict[str, Any] | None = None

    def apply(self, evidence: np.ndarray) -> np.ndarray:
        """Calibrate.

        Args:
            evidence (`(trials,)` or `(trials, attributes)`): raw scores (affine only), or terms; natural logarithms.

        Returns:
            float64 `(trials,)`: calibrated natural-log likelihood ratios.
        """
        return evidence @ self.weights + self.offset if evidence.ndim == 2 else evidence * self.weights + self.offset

    def describe(self) -> dict:
        """What the configuration of a calibrated scorer says about its calibration."""
        return {
            "method": self.method,
            "penalty": self.penalty,
            "num_speakers": len(self.speakers),
            "num_same_speaker": self.num_same_speaker,
            "num_different_speaker": self.num_different_speaker,
            "bounds": None if self.bounds is None else list(self.bounds),
            "num_draws": 0 if self.draws is None else len(self.draws),
            "validation": self.validation,
        }


def fit_calibration(
    evidence: np.ndarray,
    labels: np.ndarray,
    method: str = "affine",
    speakers: tuple[np.ndarray, np.ndarray] | None = None,
    penalty: float | None = None,
    unit: float | None = math.log(10),
) -> Calibration:
    """Fit a calibration; if the speakers are known, also how far it can be trusted: its bounds, and draws of it.

    Args:
        evidence: for `affine`, raw scores `(trials,)`; for `fusion`, terms `(trials, attributes)`; natural logarithms.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        method (str): `affine` or `fusion`.
        speakers (*optional*): the names of the two sides' speakers, each `(trials,)`. Fusion needs them to choose its
            penalty.
        penalty (float, *optional*): the penalty of fusion, if it is not to be chosen.
        unit (float, *optional*): see [`fit_affine`].

    Returns:
        a [`Calibration`].

    Raises:
        ConfigError: the method is unknown, or fusion was given neither speakers nor a penalty.
        UserError: all trials are of one kind, or the scores do not tell the kinds apart.
        ValueError: scores, labels and speakers are not equally many.
    """
    calibration = _fit(evidence, labels, method, speakers, penalty, unit)
    if speakers is not None:
        labels = checked_labels(np.asarray(labels).ravel())
        calibration.speakers = sorted({str(name) for side in speakers for name in np.unique(side)})
        try:
            llrs = cross_calibrated(evidence, labels, speakers, method, penalty=calibration.penalty, unit=unit)
        except UserError as error:
            logger.warning("No bounds of the likelihood ratios: %s", error)
        else:
            calibration.bounds = elub(llrs, labels)
            calibration.validation = validated(llrs, labels)
        calibration.draws = _draws(calibration, evidence, labels, speakers, unit)
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
) -> Calibration:
    """Do what [`fit_calibration`] does, without bounds and draws."""
    labels = np.asarray(labels).ravel()
    if method not in METHODS:
        raise ConfigError(f"unknown calibration {method!r}: expected {', '.join(METHODS)}")
    if len(evidence) != len(labels) or any(len(side) != len(labels) for side in speakers or ()):
        numbers = [len(evidence), len(labels), *map(len, speakers or ())]
        raise ValueError(f"scores, labels and speakers of different numbers of trials: {numbers}")
    labels = checked_labels(labels)
    if labels.all() or not labels.any():
        raise UserError(f"calibration needs both kinds of trials; all {len(labels)} are of one")
    if method == "affine":
        weight, offset = fit_affine(evidence, labels, unit)
        calibration = Calibration(method, np.array(weight), offset)
    else:
        if penalty is None:
            if speakers is None:
                raise ConfigError("fusion needs the trials' speakers to choose its penalty by, or a penalty")
            penalty = choose_penalty(evidence, labels, speakers, unit)
        calibration = Calibration(method, *fit_fusion(evidence, labels, penalty, unit), penalty)
    calibration.num_same_speaker = int(labels.sum())
    calibration.num_different_speaker = int((~labels).sum())
    return calibration


def _draws(
    calibration: Calibration,
    evidence: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    unit: float | None,
) -> np.ndarray:
    """Draws of a calibration. Fusion's weights are kept as they are, and their sum is calibrated anew in each draw."""
    if calibration.method == "affine":
        unit = float(np.std(evidence)) or 1.0 if unit is None else unit
        return calibration_draws(evidence, labels, speakers, float(calibration.weights), calibration.offset, unit)
    return calibration_draws(calibration.apply(evidence), labels, speakers, 1.0, 0.0, math.log(10))


def fit_affine(scores: np.ndarray, labels: np.ndarray, unit: float | None = math.log(10)) -> tuple[float, float]:
    """Logistic calibration `LLR' = w LLR + b`, with the kinds of trials weighted to a prior of 0.5.

    Args:
        scores (`(trials,)`): raw natural-log LRs, or similarities.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        unit (float, *optional*): the unit in which the scores are counted; by default log10, as in lir, and None for
            the scores' own standard deviation. It matters because the slope is lightly regularised in this unit, so
            that it stays finite even if the scores tell the two kinds of trials apart perfectly.

    Returns:
        `(w, b)`: two floats.

    Raises:
        UserError: the slope is not positive, so the scores say nothing about the speakers.

    Reference:
        N. Brummer and J. du Preez, "Application-independent evaluation of speaker detection", 2006.
    """
    from sklearn.linear_model import LogisticRegression

    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    unit = (scores.std() or 1.0) if unit is None else unit
    model = LogisticRegression(class_weight="balanced").fit(scores[:, None] / unit, labels)
    slope, offset = float(model.coef_[0, 0] / unit), float(model.intercept_[0])
    if slope <= 0:
        raise UserError(
            "cannot calibrate: in these trials the scores of one speaker are no higher than those of two; are the "
            "labels, the scorer and the attributes the right ones?"
        )
    return slope, offset


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
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * width + [(None, None)])
    return slope * found.x[:-1], float(found.x[-1])


def choose_penalty(
    terms: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    unit: float | None = math.log(10),
    folds: int = 4,
    seed: int = 0,
) -> float:
    """Choose the penalty of fusion that has the least Cllr on held-out speakers; among equals, the strongest.

    Args:
        terms (`(trials, attributes)`): raw natural-log LRs of the attributes.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        speakers: the names of the two sides' speakers, each `(trials,)`.
        unit (float, *optional*): see [`fit_affine`].
        folds (int): at least 3; see [`cross_calibrated`].
        seed (int): decides how the speakers are dealt into folds.

    Returns:
        one of `PENALTIES`.

    Raises:
        UserError: there are too few speakers for the folds.
    """
    from balr_hf.metrics import cllr

    kept = sample_of_each_kind(labels, MAX_FUSION_TRIALS // 5)
    terms, labels, speakers = terms[kept], labels[kept], (speakers[0][kept], speakers[1][kept])
    costs = [  # from the strongest penalty to the weakest
        cllr(cross_calibrated(terms, labels, speakers, "fusion", folds, penalty, unit, seed), labels)
        for penalty in PENALTIES
    ]
    return PENALTIES[int(np.argmin(np.round(costs, 4)))]


def cross_calibrated(
    evidence: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    method: str = "affine",
    folds: int = 5,
    penalty: float | None = None,
    unit: float | None = math.log(10),
    seed: int = 0,
    progress: bool = False,
) -> np.ndarray:
    """Calibrate every trial with a calibration that was fitted on other speakers.

    The speakers are dealt into folds. Trials between two folds, or within one fold, are calibrated with the trials
    among all the other folds. So the figures measured on the result are those to expect for new speakers; a
    calibration that is measured on the very trials that it was fitted on looks better than it is.

    Args:
        evidence, labels, method, penalty, unit: as for [`fit_calibration`].
        speakers: the names of the two sides' speakers, each `(trials,)`.
        folds (int): at least 3.
        seed (int): decides how the speakers are dealt into folds.
        progress (bool): show a progress bar.

    Returns:
        float64 `(trials,)`: calibrated natural-log LRs.

    Raises:
        ConfigError: there are fewer than three folds.
        UserError: there are so few speakers that some folds leave trials of one kind only.
    """
    from tqdm.auto import tqdm

    calibrated = np.full(len(labels), np.nan)
    splits = list(speaker_splits(*speakers, folds, seed))
    for fitted, held_out in tqdm(splits, "Cross-validating", disable=not progress, unit="split", delay=2):
        try:
            part = (speakers[0][fitted], speakers[1][fitted])
            calibration = _fit(evidence[fitted], labels[fitted], method, part, penalty, unit)
        except UserError as error:
            raise UserError(
                f"too few speakers to cross-validate a calibration with {folds} folds (at least two must be left in "
                f"every split): {error}"
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
