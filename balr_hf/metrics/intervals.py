"""Confidence intervals by resampling speakers: the trials of one speaker are not independent of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from balr_hf.data.columns import comparable_speaker
from balr_hf.errors import UserError
from balr_hf.metrics.decisions import misleading_rates
from balr_hf.metrics.summary import compute_metrics, metrics_of
from balr_hf.metrics.tally import Tally, checked_trials, tally

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Draw = TypeVar("Draw")

# The metrics that have intervals, and the largest value that each can have, where its interval ends too.
MOST = {"eer": 1.0, "min_dcf_0.01": 1.0, "min_dcf_0.05": 1.0, "cllr": float("inf"), "cllr_min": 1.0}
WITH_INTERVALS = tuple(MOST)
# The rates of misleading trials of one speaker and of two, in this order.
RATES = ("misleading_same", "misleading_different")

# Those whose intervals are reversed, since they are too low with few speakers.
REVERSED = ("cllr_min",)

# Added to metrics before logarithms are taken, since some are 0.
TINY = 1e-4

# Draws whose metrics differ by no more than this share of them differ by rounding alone.
ROUNDING = 1e-12


def bootstrap_intervals(
    llrs: ArrayLike,
    labels: ArrayLike,
    enroll_speakers: np.ndarray | Sequence[str],
    test_speakers: np.ndarray | Sequence[str],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
    bounds: tuple[float, float] | None = None,
) -> dict[str, tuple[float, float]]:
    """Confidence intervals of the metrics, by drawing the speakers with replacement many times.

    In a draw, a same-speaker trial counts as often as its speaker was drawn, and a different-speaker trial as often as
    the product of how often its two speakers were. A draw that leaves no trial of one kind is repeated.

    The ends are quantiles of the draws, scaled so that the draws' mean is the metric itself. For Cllr_min they are
    reversed on a logarithmic scale, since pool-adjacent-violators lowers it the more, the fewer speakers there are:
    the metric is taken to be to its true value as the draws are to the metric. All intervals are widened for few
    speakers, see [`widening`]. What counts is the smaller number: that of the speakers in same-speaker trials, or that
    of those in different-speaker trials.

    Whoever decides at the equal error rate e alone has a Cllr_min of h(e), the binary entropy of e, and no system of
    this rate has more. So the interval of Cllr_min ends no higher than h of the upper end of the EER.

    Cllr_cal and devPAV get no interval. With few speakers they are too high in every set of trials, and an interval
    around them would not contain what a large set gives. Nor does a metric that is the same in all draws, as the EER
    where no draw has an error, or all metrics of two speakers: the draws do not tell how sure it is. Nor do they where
    all same-speaker trials are of one speaker, and no metric has an interval then.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        enroll_speakers (`np.ndarray` of shape `(trials,)`): the name of the speaker of one side of each trial.
        test_speakers (`np.ndarray` of shape `(trials,)`): the name of the speaker of the other side.
        resamples (int): the number of draws.
        confidence (float): the share of the draws inside an interval, between 0 and 1.
        seed (int): the seed of the draws. The same seed gives the same intervals.
        progress (bool): whether to show a progress bar.
        bounds (two float, *optional*): within which the LLRs are reported, see [`compute_metrics`].

    Returns:
        dict of str to `(lower, upper)`: the ends of the intervals of `eer`, `min_dcf_0.01`, `min_dcf_0.05`, `cllr` and
        `cllr_min`, as far as draws differ; NaN if the metric has no value.

    Raises:
        ValueError: the LLRs are not finite, the numbers of labels or speakers are not that of the LLRs, all trials are
            of one kind, a speaker is not known, or the names contradict the labels.

    References:
        N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
        authentication using joint bootstrap", ICASSP 2007.
        A. Davison and D. Hinkley, "Bootstrap methods and their application", 1997, section 5.2 (reversed intervals).

    Recommendations:
        Report it with every metric. Trials of the same speaker depend on each other, so that intervals over trials
        would be far too narrow. benchmarks/coverage.py simulates how often 95 % intervals contain the true value: less
        often for Cllr where some speakers cause most of the errors, of whom a small set may hold none. That no draw
        has an error does not mean that the system makes none.

    Example:
        >>> enroll, test = np.divmod(np.arange(400), 20)  # each of 20 speakers with each
        >>> labels = enroll == test
        >>> llrs = np.where(labels, 2.0, -2.0) + np.sin(7 * enroll) + np.sin(3 * test)
        >>> round(compute_metrics(llrs, labels)["cllr"], 2)
        0.27
        >>> lower, upper = bootstrap_intervals(llrs, labels, enroll, test, resamples=100)["cllr"]
        >>> round(lower, 2), round(upper, 2)
        (0.24, 0.29)
    """
    _check_draws(resamples, confidence)
    _checked_trials(llrs, labels, enroll_speakers, test_speakers)
    fewest = min(speakers_by_kind(labels, enroll_speakers, test_speakers))
    if fewest < 2:
        return {}
    draws = resampled(llrs, labels, enroll_speakers, test_speakers, resamples, seed)
    measured = [metrics_of(draw, bounds) for draw in _shown(draws, resamples, progress)]
    spread = widening(fewest, confidence)
    return _alone(compute_metrics(llrs, labels, bounds), measured, (1 - confidence) / 2, spread)


def _alone(
    found: Mapping[str, float], measured: Sequence[Mapping[str, float]], tails: float, spread: float
) -> dict[str, tuple[float, float]]:
    """The intervals of one system's metrics, from those of the draws; see [`bootstrap_intervals`]."""
    intervals: dict[str, tuple[float, float]] = {}
    for name in WITH_INTERVALS:
        value, values = found[name], np.array([metrics[name] for metrics in measured])
        if _are_alike(values):
            continue
        if name in REVERSED:
            mean = float(values.mean())
            logs = spread * (np.log(values + TINY) - np.log(mean + TINY))
            low, high = (value + TINY) * np.exp(-np.quantile(logs, [1 - tails, tails])) - TINY
        else:
            low, high = _scaled(value, values, tails, spread)
        most = MOST[name]
        if name == "cllr_min" and "eer" in intervals:
            most = min(most, _entropy(intervals["eer"][1]))
        intervals[name] = (max(0.0, min(float(low), value)), max(value, min(float(high), most)))
    return intervals


def _scaled(value: float, values: np.ndarray, tails: float, spread: float) -> tuple[float, float]:
    """Quantiles of draws that are scaled so that their mean is the value itself, widened for few speakers."""
    mean = float(values.mean())
    scaled = values * (value / mean if mean > 0 else 1)
    low, high = value + spread * (np.quantile(scaled, [tails, 1 - tails]) - value)
    return float(low), float(high)


def misleading_intervals(
    llrs: ArrayLike,
    labels: ArrayLike,
    enroll_speakers: np.ndarray | Sequence[str],
    test_speakers: np.ndarray | Sequence[str],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Confidence intervals of the rates of misleading trials, by drawing the speakers as [`bootstrap_intervals`] does.

    The ends are found as those of the EER are. What counts as the number of speakers is that of those in the trials of
    the rate's own kind. A rate that is the same in all draws has no interval, as one of 0: the draws do not tell how
    sure it is. Nor has one of trials that are all of one speaker.

    Args:
        llrs, labels, enroll_speakers, test_speakers, resamples, confidence, seed: as for [`bootstrap_intervals`].

    Returns:
        dict of str to `(lower, upper)`: the ends of the intervals of `misleading_same` and of `misleading_different`,
        the rates of [`misleading_rates`], as far as draws differ.

    Raises:
        UserError, ValueError: as for [`bootstrap_intervals`].

    References:
        N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
        authentication using joint bootstrap", ICASSP 2007.

    Example:
        >>> enroll, test = np.divmod(np.arange(400), 20)  # each of 20 speakers with each
        >>> labels = enroll == test
        >>> llrs = np.where(labels, 2.0, -2.0) + 2 * np.sin(7 * enroll) + 2 * np.sin(3 * test)
        >>> found = misleading_intervals(llrs, labels, enroll, test, resamples=100)
        >>> {name: (round(low, 2), round(high, 2)) for name, (low, high) in found.items()}
        {'misleading_same': (0.04, 0.4), 'misleading_different': (0.09, 0.35)}
    """
    _check_draws(resamples, confidence)
    scores, same_speaker = _checked_trials(llrs, labels, enroll_speakers, test_speakers)
    signs = np.sign(scores)  # on which side of an LR of 1, which is all that rates need
    drawn = [
        misleading_rates(draw)
        for draw in resampled(signs, same_speaker, enroll_speakers, test_speakers, resamples, seed)
    ]
    intervals = {}
    for name, value, values, speakers in zip(
        *(RATES, misleading_rates(tally(signs, same_speaker)), np.array(drawn).T),
        speakers_by_kind(labels, enroll_speakers, test_speakers),
        strict=True,
    ):
        if speakers < 2 or _are_alike(values):
            continue
        low, high = _scaled(value, values, (1 - confidence) / 2, widening(speakers))
        intervals[name] = (max(0.0, min(low, value)), max(value, min(high, 1.0)))
    return intervals


def _are_alike(values: np.ndarray) -> bool:
    """Whether a metric, or each of several `(draws, metrics)`, is the same in all draws, but for rounding."""
    return bool((np.ptp(values, axis=0) <= ROUNDING * np.abs(values).max(axis=0)).all())


def difference_intervals(
    scores: ArrayLike,
    others: ArrayLike,
    labels: ArrayLike,
    enroll_speakers: np.ndarray | Sequence[str],
    test_speakers: np.ndarray | Sequence[str],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, tuple[float, float]]:
    """Confidence intervals of the differences between the metrics of two systems on the same trials.

    The systems share the draws of the speakers, so that what makes the trials hard for both does not count. Two
    systems may differ by more than their own intervals let believe, or by less.

    The ends are quantiles of the draws' differences about their mean, widened for few speakers as those of
    [`bootstrap_intervals`], and put around the difference itself; no further than a difference can be, which is 1 of
    metrics that are between 0 and 1.

    Args:
        scores, others (`np.ndarray` of shape `(trials,)`): what the two systems say of each trial, higher for the same
            speaker. Cllr means something of natural-log likelihood ratios only.
        labels, enroll_speakers, test_speakers, resamples, confidence, seed, progress: as for [`bootstrap_intervals`].

    Returns:
        dict of str to `(lower, upper)`: the ends of the intervals of the metric of `others` less that of `scores`, of
        `eer`, `min_dcf_0.01`, `min_dcf_0.05`, `cllr` and `cllr_min`, without those that are the same in all draws for
        either system.

    Raises:
        UserError, ValueError: as for [`bootstrap_intervals`].

    References:
        N. Poh and S. Bengio, "Estimating the confidence interval of expected performance curve in biometric
        authentication using joint bootstrap", ICASSP 2007.

    Example:
        >>> enroll, test = np.divmod(np.arange(400), 20)  # each of 20 speakers with each
        >>> labels = enroll == test
        >>> llrs = np.where(labels, 2.0, -2.0) + 2 * np.sin(7 * enroll) + 2 * np.sin(3 * test)
        >>> found = difference_intervals(llrs, llrs / 2, labels, enroll, test, resamples=100)
        >>> found["eer"]  # the order of the trials is the same
        (0.0, 0.0)
        >>> lower, upper = found["cllr"]
        >>> round(lower, 2), round(upper, 2)
        (-0.01, 0.11)
    """
    return paired_intervals(
        *(scores, others, labels, enroll_speakers, test_speakers, resamples, confidence, seed, progress)
    )[2]


def paired_intervals(
    scores: ArrayLike,
    others: ArrayLike,
    labels: ArrayLike,
    enroll_speakers: np.ndarray | Sequence[str],
    test_speakers: np.ndarray | Sequence[str],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """The intervals of either system's metrics and of their differences, from the same draws of the speakers.

    Args, Raises:
        As for [`difference_intervals`].

    Returns:
        what [`bootstrap_intervals`] returns of `scores` and of `others`, and what [`difference_intervals`] returns.
    """
    _check_draws(resamples, confidence)
    for one in (scores, others):
        _checked_trials(one, labels, enroll_speakers, test_speakers)
    fewest = min(speakers_by_kind(labels, enroll_speakers, test_speakers))
    if fewest < 2:
        return {}, {}, {}
    both = (resampled(one, labels, enroll_speakers, test_speakers, resamples, seed) for one in (scores, others))
    draws = [tuple(map(metrics_of, pair)) for pair in _shown(zip(*both, strict=True), resamples, progress)]
    tails = (1 - confidence) / 2
    spread = widening(fewest, confidence)
    measured = compute_metrics(scores, labels), compute_metrics(others, labels)
    alone = [_alone(*each, tails, spread) for each in zip(measured, zip(*draws, strict=True), strict=True)]
    intervals = {}
    for name in WITH_INTERVALS:
        difference = measured[1][name] - measured[0][name]
        values = np.array([(first[name], second[name]) for first, second in draws])
        if _are_alike(values):
            continue
        drawn = values[:, 1] - values[:, 0]
        low, high = difference + spread * (np.quantile(drawn, [tails, 1 - tails]) - drawn.mean())
        intervals[name] = (
            max(min(float(low), difference), -MOST[name]),
            min(max(float(high), difference), MOST[name]),
        )
    return alone[0], alone[1], intervals


def speakers_by_kind(
    labels: ArrayLike, enroll_speakers: np.ndarray | Sequence[str], test_speakers: np.ndarray | Sequence[str]
) -> tuple[int, int]:
    """How many speakers there are in the trials of one speaker, and how many in those of two.

    A corpus in which few speakers have several recordings gives same-speaker trials of these few only, whatever the
    number of all its speakers. How sure a figure is that needs both kinds of trials depends on the smaller number.

    Args:
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        enroll_speakers, test_speakers (`np.ndarray` of shape `(trials,)`): the names of the speakers of the two sides.

    Returns:
        `(same, different)`: two numbers of speakers.
    """
    same, names = np.asarray(labels).astype(bool).ravel(), (np.asarray(enroll_speakers), np.asarray(test_speakers))
    both = [len(np.unique(np.concatenate([side[kind] for side in names]))) for kind in (same, ~same)]
    return both[0], both[1]


def checked_speakers(
    labels: np.ndarray, enroll_speakers: np.ndarray | Sequence[Any], test_speakers: np.ndarray | Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Check the speakers of trials.

    Args:
        labels (bool `(trials,)`): whether a trial is of one speaker.
        enroll_speakers, test_speakers (`(trials,)`): the names of the speakers of the two sides.

    Returns:
        the names of either side, `(trials,)`.

    Raises:
        UserError: there is not one of each per trial, a speaker is not known (None, NaN or an empty name), or the
            names contradict the labels.
    """
    sides = enroll_speakers, test_speakers
    if any(len(side) != len(labels) for side in sides):
        raise UserError(
            f"{len(labels)} trials, but {len(enroll_speakers)} enrolment and {len(test_speakers)} test speakers: "
            "expected one of each per trial"
        )
    for side in sides:
        if isinstance(side, np.ndarray) and side.dtype.kind in "iu":  # numbers that stand for speakers
            continue
        if any(comparable_speaker(name) is None for name in set(np.asarray(side, dtype=object).tolist())):
            raise UserError(
                "the speaker of a trial is not known, and two unknown ones may be one or two people: leave out such "
                "trials, or name no speakers"
            )
    given = (np.asarray(side).ravel() for side in sides)
    enroll, test = (np.array(side.tolist()) if side.dtype == object else side for side in given)
    wrong = int(((enroll == test) != labels).sum())
    if wrong:
        raise UserError(
            f"the speakers of {wrong} of {len(labels)} trials contradict the labels: a trial is of one speaker where "
            "both sides have one name, and of two where the names differ"
        )
    return enroll, test


def widening(num_speakers: int, confidence: float = 0.95) -> float:
    """By how much draws of few speakers are too close together: `sqrt(n / (n - 1)) t / z`, 1.1 for 20 speakers.

    Draws with replacement vary as a sample does whose variance is known, with n in the place of n - 1.

    Args:
        num_speakers (int): at least 2.
        confidence (float): of the interval, whose ends t and z are.

    References:
        T. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015.
    """
    from scipy.special import ndtri, stdtrit  # of scipy.stats' distributions, without its second of imports

    end = (1 + confidence) / 2
    return float(np.sqrt(num_speakers / (num_speakers - 1)) * stdtrit(num_speakers - 1, end) / ndtri(end))


def resampled(
    llrs: ArrayLike,
    labels: ArrayLike,
    enroll_speakers: np.ndarray | Sequence[str],
    test_speakers: np.ndarray | Sequence[str],
    resamples: int,
    seed: int = 0,
) -> Iterator[Tally]:
    """Draw speakers with replacement `resamples` times, and yield the tally of their trials each time.

    See [`bootstrap_intervals`].
    """
    scores, same_speaker = _checked_trials(llrs, labels, enroll_speakers, test_speakers)
    trials = tally(scores, same_speaker)
    index = np.searchsorted(trials.scores, scores)
    speakers, codes = np.unique(np.concatenate([enroll_speakers, test_speakers]), return_inverse=True)
    enroll, test = codes[: len(scores)], codes[len(scores) :]
    of_same, of_different = index[same_speaker], index[~same_speaker]
    for same, different in speaker_draws(len(speakers), enroll, test, same_speaker, resamples, seed):
        yield trials.reweighted(
            np.bincount(of_same, same, minlength=len(trials.scores)),
            np.bincount(of_different, different, minlength=len(trials.scores)),
        )


def speaker_draws(
    number: int, enroll: np.ndarray, test: np.ndarray, labels: np.ndarray, draws: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw speakers with replacement, and yield how often each trial counts in each draw.

    A same-speaker trial counts as often as its speaker was drawn, a different-speaker trial as often as the product of
    how often its two speakers were. A draw that leaves no trial of one kind is repeated.

    Args:
        number (int): of speakers.
        enroll, test (`np.ndarray` of shape `(trials,)`): the numbers of the two sides' speakers.
        labels (`np.ndarray` of shape `(trials,)`): bool, whether a trial is of one speaker.
        draws (int): how many.
        seed (int): of the draws.

    Yields:
        `(same, different)`: int64 `(same-speaker trials,)` and `(different-speaker trials,)`.
    """
    speaker, sides = enroll[labels], (enroll[~labels], test[~labels])
    rng = np.random.default_rng(seed)
    left = draws
    while left:
        drawn = np.bincount(rng.integers(number, size=number), minlength=number)
        same, different = drawn[speaker], drawn[sides[0]] * drawn[sides[1]]
        if same.any() and different.any():
            left -= 1
            yield same, different


def _shown(draws: Iterable[Draw], resamples: int, progress: bool) -> Iterable[Draw]:
    """The draws, with a progress bar."""
    return tqdm(draws, "Resampling speakers", total=resamples, disable=not progress, unit="draw", delay=2)


def _entropy(probability: float) -> float:
    """The binary entropy of a probability, in bits; 1 from 0.5 on."""
    if probability >= 0.5:
        return 1.0
    rest = 1 - probability
    return float(-probability * np.log2(probability) - rest * np.log2(rest)) if probability > 0 else 0.0


def _checked_trials(
    llrs: ArrayLike,
    labels: ArrayLike,
    enroll_speakers: np.ndarray | Sequence[str],
    test_speakers: np.ndarray | Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """What [`checked_trials`] returns of trials whose speakers are as [`checked_speakers`] wants them."""
    scores, same_speaker = checked_trials(llrs, labels)
    checked_speakers(same_speaker, enroll_speakers, test_speakers)
    return scores, same_speaker


def _check_draws(resamples: int, confidence: float) -> None:
    if resamples < 1 or not 0 < confidence < 1:
        raise UserError(
            f"resamples={resamples}, confidence={confidence}: expected at least 1 draw, and a confidence between 0 "
            "and 1"
        )
