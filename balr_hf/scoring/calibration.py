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
from balr_hf.scoring.calibration_fits import MAX_FUSION_TRIALS, fit_affine, fit_fusion, fit_quality, trial_costs

logger = logging.getLogger(__name__)

METHODS = ("affine", "fusion", "quality")

# The penalties that fusion chooses from: how strongly the weights are held to a common one, the strongest first.
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
# The penalties on the terms of quality measures that are chosen from, the strongest first.
QUALITY_PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
# In how many folds of speakers a calibration is cross-validated, and in how many to choose a penalty.
FOLDS, PENALTY_FOLDS = 5, 4


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


def choose_penalty(
    terms: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    unit: float | None = math.log(10),
    method: str = "fusion",
    conditions: np.ndarray | None = None,
) -> float:
    """Choose the penalty that has the least Cllr on held-out speakers; among equals, the strongest.

    Args:
        terms (`(trials, attributes)`): raw natural-log LRs of the attributes; for `quality`, raw scores and measures.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        speakers: the names of the two sides' speakers, each `(trials,)`.
        unit (float, *optional*): see [`fit_affine`].
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
                cross_calibrated(terms, labels, speakers, method, PENALTY_FOLDS, penalty, unit, conditions=conditions),
                labels,
            )
            for penalty in penalties
        ]
    except _FewSpeakersError as error:
        raise _FewSpeakersError(
            f"choose the penalty of the method {method} by, which takes {PENALTY_FOLDS} folds of them",
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
