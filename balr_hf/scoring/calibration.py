"""From sums of attribute LLRs to likelihood ratios: affine calibration, and fusion with a weight an attribute.

The attributes are not independent, so their sum is overconfident; and the trials to learn by how much must be of
speakers whom nothing else was fitted on. Both calibrations are sums of weighted terms and an offset,

    LLR' = sum_i w_i LLR_i + b

(affine: one weight for all), so that a calibrated verdict can be read attribute by attribute as well.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from balr_hf.errors import ConfigError, UserError
from balr_hf.metrics.tally import checked_labels

METHODS = ("affine", "fusion")

# Strengths with which fusion holds the attributes' weights to a common one, the strongest first.
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
# Fusion learns from no more trials of a kind than this: more cost memory and change little.
MAX_FUSION_TRIALS = 100_000


@dataclass
class Calibration:
    """A fitted calibration.

    Attributes:
        method: `affine` or `fusion`.
        weights: float64 `()` or `(attributes,)`, factors of the attributes' LLRs.
        offset: what is added to their sum, in natural-log units.
        penalty: of fusion.
        speakers: names of the speakers of the trials, where known.
        num_same_speaker, num_different_speaker: trials.
    """

    method: str
    weights: np.ndarray
    offset: float
    penalty: float | None = None
    speakers: list[str] = field(default_factory=list)
    num_same_speaker: int = 0
    num_different_speaker: int = 0

    def apply(self, evidence: np.ndarray) -> np.ndarray:
        """Calibrated natural-log LRs of raw scores `(trials,)` (affine) or of terms `(trials, attributes)`."""
        return evidence @ self.weights + self.offset if evidence.ndim == 2 else evidence * self.weights + self.offset

    def describe(self) -> dict:
        """What a scorer's configuration says of it."""
        return {
            "method": self.method,
            "penalty": self.penalty,
            "num_speakers": len(self.speakers),
            "num_same_speaker": self.num_same_speaker,
            "num_different_speaker": self.num_different_speaker,
        }


def fit_calibration(
    evidence: np.ndarray,
    labels: np.ndarray,
    method: str = "affine",
    speakers: tuple[np.ndarray, np.ndarray] | None = None,
    penalty: float | None = None,
    unit: float | None = math.log(10),
) -> Calibration:
    """Fit a calibration.

    Args:
        evidence: for `affine`, raw scores `(trials,)`; for `fusion`, terms `(trials, attributes)`, natural logarithms.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        method (str): `affine`, or `fusion`.
        speakers: the names of the two sides' speakers, each `(trials,)`; fusion chooses its penalty by them.
        penalty (float, *optional*): of fusion, instead of choosing it.
        unit (float, *optional*): see [`fit_affine`].

    Returns:
        a [`Calibration`].

    Raises:
        ConfigError: an unknown method, or fusion with neither speakers nor penalty.
        UserError: trials of one kind only, or scores that do not tell the kinds apart.
    """
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
    if speakers is not None:
        calibration.speakers = sorted({str(name) for side in speakers for name in np.unique(side)})
    return calibration


def fit_affine(scores: np.ndarray, labels: np.ndarray, unit: float | None = math.log(10)) -> tuple[float, float]:
    """Logistic calibration `LLR' = w LLR + b`, with the kinds of trials weighted to a prior of 0.5.

    Args:
        scores (`(trials,)`): raw natural-log LRs, or similarities.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        unit (float, *optional*): scores are counted in this unit, in which the slope is lightly regularised (so that
            it stays finite for trials that are told apart perfectly): log10 as in lir; None for the scores' own
            standard deviation.

    Returns:
        `(w, b)`.

    Raises:
        UserError: the slope is not positive, so that the scores say nothing of the speakers.

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

    Minimises the prior-weighted log cost plus `penalty / 2 * sum_i (w_i / w - 1)^2`, with w the affine slope: with few
    trials or a high penalty this is the affine calibration, with more data the attributes' weights part.

    Args:
        terms (`(trials, attributes)`): raw natural-log LRs of the attributes.
        labels (`(trials,)`): 1 for trials of one speaker, 0 for trials of two.
        penalty (float): more than 0.
        unit (float, *optional*): of the affine start; see [`fit_affine`].

    Returns:
        `(weights, offset)`: float64 `(attributes,)`, and a float.

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
    kept = _subsample(labels, MAX_FUSION_TRIALS)
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
    """The penalty of fusion with the least Cllr on speakers that it was not fitted on; the strongest among equals.

    Raises:
        UserError: too few speakers for folds.
    """
    from balr_hf.metrics import cllr

    kept = _subsample(labels, MAX_FUSION_TRIALS // 5)
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
    """Calibrate every trial by a calibration that was fitted on other speakers.

    The speakers are dealt into folds; trials between two folds (or within one) are calibrated on the trials among all
    the other folds. The figures of the result are those to expect for new speakers, where one calibration fitted on
    these trials and measured on them would flatter itself.

    Args:
        evidence, labels, method, penalty, unit: as for [`fit_calibration`].
        speakers: the names of the two sides' speakers, each `(trials,)`.
        folds (int): at least 3.
        seed (int): of the dealing.
        progress (bool): show a progress bar.

    Returns:
        float64 `(trials,)`: calibrated natural-log LRs.

    Raises:
        ConfigError: fewer than three folds.
        UserError: too few speakers, so that some folds leave one kind of trials only.
    """
    from tqdm.auto import tqdm

    calibrated = np.full(len(labels), np.nan)
    splits = list(speaker_splits(*speakers, folds, seed))
    for fitted, held_out in tqdm(splits, "Cross-validating", disable=not progress, unit="split", delay=2):
        try:
            part = (speakers[0][fitted], speakers[1][fitted])
            calibration = fit_calibration(evidence[fitted], labels[fitted], method, part, penalty, unit)
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
    """Splits of trials so that no speaker is on both sides: `(fitted, held_out)` masks; every trial is held out once.

    Args:
        enroll, test (`(trials,)`): names of the sides' speakers.
        folds (int): at least 3.
        seed (int): of dealing the speakers into folds.
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
    """Which trials fusion learns from: positions of at most `MAX_FUSION_TRIALS` of each kind, drawn at random."""
    return _subsample(checked_labels(np.asarray(labels).ravel()), MAX_FUSION_TRIALS)


def _subsample(labels: np.ndarray, most: int) -> np.ndarray:
    """Positions of at most `most` trials of each kind, drawn at random."""
    rng = np.random.default_rng(0)
    kinds = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    drawn = [kind if len(kind) <= most else rng.choice(kind, most, replace=False) for kind in kinds]
    return np.sort(np.concatenate(drawn))
