"""Two systems' scores of the same trials, and by how much their metrics differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.data.columns import comparable_name, recording_ids
from balr_hf.errors import ConfigError, UserError, name_some
from balr_hf.metrics import compute_metrics
from balr_hf.metrics.discrimination import MIN_DCF_PRIORS, ONE_ERROR, cost_of_one_false_alarm
from balr_hf.metrics.intervals import WITH_INTERVALS, paired_intervals, speakers_by_kind
from balr_hf.scoring.breakdown import groups, side_values
from balr_hf.scoring.calibration import cross_calibrated
from balr_hf.scoring.distinct_trials import TOLERANCE, describe_contradicted_labels
from balr_hf.scoring.listed_ids import match_ids
from balr_hf.scoring.result_files import Result
from balr_hf.scoring.trials import Trials, side_speakers
from balr_hf.tables import aligned

if TYPE_CHECKING:
    import datasets

# What the metrics are called, and how they are written.
NAMES = {"eer": "EER", "min_dcf_0.01": "minDCF(0.01)", "min_dcf_0.05": "minDCF(0.05)", "cllr": "Cllr"}
NAMES |= {"cllr_min": "least Cllr", "cllr_cross_validated": "Cllr, cross-validated"}
# Speakers below which a difference says little, since draws of so few hardly differ.
FEW = 30
# Scores that say nothing have an EER of 0.5, give or take chance; those above this are the wrong way round.
REVERSED = 0.6
# Metrics that differ by less do so by what scores are written with and calibrated to, whatever the draws say.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Difference:
    """A metric of two systems on the same trials.

    Attributes:
        first, second (float): its values.
        intervals (two of two float, *optional*): those of either system alone; None without draws, or where all draws
            are alike.
        difference (float): the second less the first.
        interval (two float, *optional*): that of the difference; None likewise.
        is_of_single_trials (bool): whether single trials decide the metric, so that nothing follows from it.
    """

    first: float
    second: float
    intervals: tuple[tuple[float, float] | None, tuple[float, float] | None]
    difference: float
    interval: tuple[float, float] | None
    is_of_single_trials: bool = False

    def describe(self) -> str:
        """What the interval of the difference says."""
        if self.is_of_single_trials:
            return "single trials decide it"
        if self.interval is None:
            return ""
        low, high = self.interval
        if low <= ROUNDING and high >= -ROUNDING:
            return "no difference that these speakers show"
        return "lower in B" if high < 0 else "lower in A"


@dataclass(frozen=True)
class Group:
    """Some of the trials, and how two systems do on them.

    Attributes:
        trials, same_speaker, speakers, fewest_speakers (int): how many trials there are, of which of one speaker; of
            how many speakers; and how many of these there are in the trials of the kind that has fewer.
        differences (dict of str to [`Difference`]): as of [`TwoResults`]; none if all trials are of one kind.
    """

    trials: int
    same_speaker: int
    speakers: int
    fewest_speakers: int
    differences: Mapping[str, Difference]

    def describe(self) -> str:
        """How many trials and speakers there are, and why nothing is compared, in a line."""
        text = _counted(self.trials, self.same_speaker, self.speakers)
        if not self.differences:
            kind = "one speaker" if self.same_speaker else "two speakers"
            return f"{text}: nothing is compared, since all trials are of {kind}"
        return f"{text}, so few that one of them can decide" if self.fewest_speakers < FEW else text


@dataclass(frozen=True)
class TwoResults:
    """How two systems do on the same trials.

    Attributes:
        names (two str): of the results, the first of which is called A and the second B.
        about (two dict): see [`Result`].
        labels, scores: whether each trial is of one speaker, bool `(trials,)`; what either system says, float64
            `(2, trials)`.
        speakers (two of `(trials,)`): the speakers of the two sides.
        left_out (two int): how many trials of either result are not compared, since the other lacks them.
        differences (dict of str to [`Difference`]): by the name of the metric, as [`compute_metrics`] has it; with
            `llrs` also `cllr_cross_validated`, which is theirs.
        draws (int): of the speakers.
        folds (int): of speakers, in which both systems' scores were calibrated on these trials; 0 if they were not.
        llrs (float64 `(2, trials)`, *optional*): the natural-log LRs that came of it.
        contradictions (two str, *optional*): how many labels of either list contradict the corpus; None if none does.
        by (str, *optional*): the column by whose values the trials are also compared apart.
        groups (dict of str to [`Group`]): the trials of each pair of values of this column.
    """

    names: tuple[str, str]
    about: tuple[Mapping[str, Any], Mapping[str, Any]]
    labels: np.ndarray
    scores: np.ndarray
    speakers: tuple[np.ndarray, np.ndarray]
    left_out: tuple[int, int]
    differences: Mapping[str, Difference]
    draws: int
    folds: int = 0
    llrs: np.ndarray | None = None
    contradictions: tuple[str | None, str | None] = (None, None)
    by: str | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)

    @property
    def num_speakers(self) -> int:
        """The number of speakers in the trials."""
        return len(np.unique(np.concatenate(self.speakers)))

    @property
    def fewest_speakers(self) -> int:
        """The number of speakers in the same-speaker trials, or in the different-speaker trials if fewer."""
        return min(speakers_by_kind(self.labels, *self.speakers))

    @property
    def cautions(self) -> list[str]:
        """What a reader must know before relying on the differences."""
        texts = [
            f"{side}: {sentence}"
            for side, about in zip("AB", self.about, strict=True)
            for sentence in (*(about.get("mismatch") or ()), *(about.get("known") or ()))
        ]
        texts += [
            f"{side}: {sentence}. Each such label is wrong, or the corpus is: the figures go by the corpus."
            for side, sentence in zip("AB", self.contradictions, strict=True)
            if sentence is not None
        ]
        texts += [
            f"{side}: its EER is {eer:.2%}. Are its scores distances, which are lower for the same "
            "speaker? Change their signs."
            for side, eer in zip("AB", (self.differences["eer"].first, self.differences["eer"].second), strict=True)
            if eer > REVERSED
        ]
        corpora = [about.get("corpus") for about in self.about]
        if None not in corpora and corpora[0] != corpora[1]:
            texts.append(
                f"A was scored on {corpora[0]} and B on {corpora[1]}: if these do not hold the same recordings, what "
                "differs may be the recordings and not the systems."
            )
        if any(self.left_out):
            a, b = self.left_out
            texts.append(
                f"Left out {a:,} trials of A and {b:,} of B, which the other lacks: where what a system cannot score "
                "is what is hard, the figures flatter both."
            )
        if "cllr" not in self.differences:
            which = "Cllr by calibrations of their own" if self.folds else "Cllr"
            remedy = "" if self.folds else " (--folds 5 calibrates both on these trials)"
            texts.append(f"{which} is not compared: it means something where both systems are calibrated{remedy}.")
        if self.fewest_speakers < FEW:
            which = "" if self.fewest_speakers == self.num_speakers else " have trials of both kinds"
            texts.append(
                f"Only {self.fewest_speakers} speakers{which}: one of them can decide, and draws of so few tell "
                "little of others."
            )
        found = [found.describe() for found in self.differences.values()]
        if sum(words.startswith("lower") for words in found) == 1:
            texts.append(
                f"One of {len(found)} metrics differs: of several, one does so by chance more often than 1 in 20. "
                "Choose the metric before you see the figures."
            )
        of_groups = [
            one.describe()
            for group in self.groups.values()
            for one in group.differences.values()
            if one.interval is not None and not one.is_of_single_trials  # the others cannot show a difference
        ]
        differing = sum(words.startswith("lower") for words in of_groups)
        if differing:
            texts.append(
                f"Of {len(of_groups)} comparisons by {self.by}, {differing} show{'s' * (differing == 1)} a "
                "difference: about 1 in 20 does so by chance where there is none. Choose the group and the metric "
                "before you see the figures."
            )
        return texts

    def describe_trials(self) -> str:
        """How many trials and speakers there are, in a line."""
        return f"{_counted(len(self.labels), int(self.labels.sum()), self.num_speakers)}, scored by both"

    def to_text(self) -> str:
        """The comparison in words, in several lines."""
        drawn = [f"  (in brackets: 95 % intervals, {self.draws:,} draws of the speakers, the same for both)"]
        return "\n".join(
            [
                *(f"{side}: {name}" for side, name in zip("AB", self.names, strict=True)),
                self.describe_trials(),
                *_table(self.differences),
                *(drawn if self.draws else []),
                "  The figures are of LRs without the calibration's bounds, as by balr score test; balr validate "
                "states Cllr within them.",
                *(self._describe_folds() if self.folds else []),
                *self._describe_groups(),
                *(f"! {text}" for text in self.cautions),
            ]
        )

    def _describe_folds(self) -> list[str]:
        """How the scores were calibrated on these trials, in lines."""
        return [
            "  For the cross-validated Cllr, the scores of both were calibrated (affine) on these trials, in "
            f"{self.folds} folds of speakers, each",
            "  trial by those of others: it tells what scores are worth where such trials calibrate them.",
        ]

    def _describe_groups(self) -> list[str]:
        """How both do on the trials of each group, in lines."""
        lines = []
        for name, group in self.groups.items():
            lines.append(f"{self.by} {name}: {group.describe()}")
            lines += _table(group.differences) if group.differences else []
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Everything but the scores, for JSON."""
        parts = {
            name: {
                "trials": group.trials,
                "same_speaker": group.same_speaker,
                "different_speaker": group.trials - group.same_speaker,
                "speakers": group.speakers,
                "fewest_speakers": group.fewest_speakers,
                "metrics": _to_dict(group.differences),
            }
            for name, group in self.groups.items()
        }
        return {
            "results": [{"name": name} | dict(about) for name, about in zip(self.names, self.about, strict=True)],
            "trials": len(self.labels),
            "same_speaker": int(self.labels.sum()),
            "different_speaker": int((~self.labels).sum()),
            "speakers": self.num_speakers,
            "fewest_speakers": self.fewest_speakers,
            "left_out": list(self.left_out),
            "confidence": 0.95,
            "draws_of_speakers": self.draws,
            "folds": self.folds,
            "metrics": _to_dict(self.differences),
            **({} if self.by is None else {"by": {"column": self.by, "groups": parts}}),
            "cautions": self.cautions,
        }


def _counted(trials: int, same_speaker: int, speakers: int) -> str:
    return f"{trials:,} trials ({same_speaker:,} same-speaker) of {speakers} speakers"


def _table(differences: Mapping[str, Difference]) -> list[str]:
    """Metrics of two systems and their differences, in lines."""
    rows = [["", "A", "B", "B less A", ""]]
    for name, found in differences.items():
        form = "{:.2%}" if name == "eer" else "{:.3f}"
        sign = "{:+.2%}" if name == "eer" else "{:+.3f}"
        both = zip((found.first, found.second), found.intervals, strict=True)
        cells = [_figure(value, interval, form) for value, interval in both]
        rows.append([NAMES[name], *cells, _figure(found.difference, found.interval, sign), found.describe()])
    return aligned(rows, words=None, indent=2)


def _to_dict(differences: Mapping[str, Difference]) -> dict[str, Any]:
    """Metrics of two systems and their differences, for JSON."""
    return {
        name: {
            "values": [found.first, found.second],
            "intervals": found.intervals,
            "difference": found.difference,
            "interval": found.interval,
            "is_of_single_trials": found.is_of_single_trials,
        }
        for name, found in differences.items()
    }


def compare_results(
    dataset: datasets.Dataset,
    first: Result,
    second: Result,
    *,
    common: bool = False,
    draws: int = 1000,
    folds: int = 0,
    by: str | None = None,
    progress: bool = False,
) -> TwoResults:
    """Compare two systems by the metrics of the same trials, and the differences of these with their intervals.

    Each pair of sides counts once, in whichever order and however often it is listed, if it has one score.

    Args:
        dataset (`datasets.Dataset`): a corpus that names the speaker of every recording in the trials.
        first, second ([`Result`]): of the two systems.
        common (bool): compare the trials that both have, if the one lacks some of the other's.
        draws (int): of the speakers, for the intervals; 0 for no intervals.
        folds (int): also calibrate both systems' scores on these trials, affinely and cross-validated in so many folds
            of the speakers, at least 3, and compare the Cllr of that; 0 to leave them as they are. So scores that are
            no likelihood ratios, such as cosines, are compared with ones that are.
        by (str, *optional*): a column of the corpus (sex, channel, ...): also compare the systems on the trials of
            each pair of its values, as `score test` breaks its evaluation down.
        progress (bool): whether to show a progress bar.

    Returns:
        [`TwoResults`]

    Raises:
        ConfigError: there are one or two folds, or fewer than none.
        UserError: the corpus lacks the column `by`; the lists of trials are not the same and this was not allowed, no
            trial is in both, a pair of sides has several scores in one list, speakers are not known, or all trials are
            of one kind; with `folds`, there are too few speakers for them, or scores do not tell the kinds apart.
    """
    keyed = []
    number_of: dict[tuple[str, ...], int] = {}
    for result in (first, second):
        trials = match_ids(dataset, result.trials)
        numbers = [number_of.setdefault(tuple(sorted(side)), len(number_of)) for side in trials.sides]
        keyed.append(np.sort(np.array(numbers)[np.stack([trials.enroll, trials.test], 1)], axis=1))
    keys = [pairs[:, 0] * len(number_of) + pairs[:, 1] for pairs in keyed]
    (ours, places), (theirs, other_places) = map(_one_score_each, (first, second), keys)
    both, rows, other_rows = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    left_out = len(ours) - len(both), len(theirs) - len(both)
    if not len(both):
        raise UserError(f"{first.name} and {second.name} have no trial in common")
    if any(left_out) and not common:
        raise UserError(
            f"{first.name} and {second.name} are not of the same trials: {left_out[0]:,} are in the first only and "
            f"{left_out[1]:,} in the second only. Score one list by both, or say --common (common=True) to compare "
            f"them on the {len(both):,} that both have"
        )
    chosen = places[rows], other_places[other_rows]
    scores = np.stack([first.scores[chosen[0]], second.scores[chosen[1]]])
    used, places_in_used = np.unique(keyed[0][chosen[0]], return_inverse=True)
    every = [list(side) for side in number_of]
    # The corpus may lack the sides of trials that are not compared.
    compared, pairs = [every[side] for side in used], places_in_used.reshape(-1, 2).T
    names = _speakers_of(dataset, compared)
    speakers = names[pairs[0]], names[pairs[1]]
    labels = speakers[0] == speakers[1]
    parts = {} if by is None else dict(groups(Trials.between(*pairs), side_values(dataset, compared, by)))
    contradictions = [
        describe_contradicted_labels(result.trials.select(kept), labels)
        for result, kept in zip((first, second), chosen, strict=True)
    ]
    if labels.all() or not labels.any():
        raise UserError(f"all {len(labels)} trials are of {'one speaker' if labels.all() else 'two speakers'}")
    llrs = _cross_calibrated((first, second), scores, labels, speakers, folds, progress) if folds else None
    trials_of_both = _Compared(scores, llrs, labels, speakers, first.are_ratios and second.are_ratios)
    return TwoResults(
        names=(first.name, second.name),
        about=(first.about, second.about),
        labels=labels,
        scores=scores,
        speakers=speakers,
        left_out=left_out,
        differences=trials_of_both.differences(draws, progress),
        draws=draws,
        folds=min(folds, len(np.unique(np.concatenate(speakers)))),
        llrs=llrs,
        contradictions=(contradictions[0], contradictions[1]),
        by=by,
        groups={name: trials_of_both.group(part, draws, progress) for name, part in parts.items()},
    )


@dataclass(frozen=True)
class _Compared:
    """Trials that both systems have scored.

    Attributes:
        scores, labels, speakers: of the trials, as in [`TwoResults`].
        llrs (float64 `(2, trials)`, *optional*): what cross-validated calibrations made of the scores.
        are_ratios (bool): whether the scores are calibrated themselves, so that their Cllr means something.
    """

    scores: np.ndarray
    llrs: np.ndarray | None
    labels: np.ndarray
    speakers: tuple[np.ndarray, np.ndarray]
    are_ratios: bool

    def group(self, kept: np.ndarray, draws: int, progress: bool) -> Group:
        """How both systems do on some of the trials, bool `(trials,)`; other arguments as for [`compare_results`]."""
        part = _Compared(
            self.scores[:, kept],
            None if self.llrs is None else self.llrs[:, kept],
            self.labels[kept],
            (self.speakers[0][kept], self.speakers[1][kept]),
            self.are_ratios,
        )
        of_both_kinds = bool(part.labels.any()) and not part.labels.all()
        return Group(
            trials=len(part.labels),
            same_speaker=int(part.labels.sum()),
            speakers=len(np.unique(np.concatenate(part.speakers))),
            fewest_speakers=min(speakers_by_kind(part.labels, *part.speakers)),
            differences=part.differences(draws, progress) if of_both_kinds else {},
        )

    def differences(self, draws: int, progress: bool) -> dict[str, Difference]:
        """By how much the metrics of the systems differ; arguments as for [`compare_results`]."""
        found = self._differences_of(self.scores, draws, progress)
        if not self.are_ratios:
            del found["cllr"]
        if self.llrs is not None:
            found["cllr_cross_validated"] = self._differences_of(self.llrs, draws, progress)["cllr"]
        return found

    def _differences_of(self, scores: np.ndarray, draws: int, progress: bool) -> dict[str, Difference]:
        """By how much the metrics differ, that of calibrated scores among them."""
        measured = [compute_metrics(one, self.labels) for one in scores]
        first: dict[str, tuple[float, float]] = {}
        second, paired = first, first
        if draws:
            first, second, paired = paired_intervals(
                scores[0], scores[1], self.labels, *self.speakers, resamples=draws, progress=progress
            )
        different = int((~self.labels).sum())
        return {
            name: Difference(
                measured[0][name],
                measured[1][name],
                (first.get(name), second.get(name)),
                measured[1][name] - measured[0][name],
                paired.get(name),
                name in MIN_DCF_PRIORS and cost_of_one_false_alarm(MIN_DCF_PRIORS[name], different) > ONE_ERROR,
            )
            for name in WITH_INTERVALS
        }


def _speakers_of(dataset: datasets.Dataset, sides: list[list[str]]) -> np.ndarray:
    """The speaker of each side, `(sides,)`.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        sides (list[list[str]]): the ids of the recordings of each side.

    Raises:
        UserError: a speaker is not known.
    """
    names = side_speakers(dataset, sides)
    if names is None:
        known = {comparable_name(name) for name in recording_ids(dataset)}
        lacking = sorted({name for side in sides for name in side} - known)
        told = f": it lacks {len(lacking):,} of them ({name_some(lacking, 3)})" if lacking else ""
        raise UserError(f"the corpus does not name the speaker of every recording in the trials{told}")
    return names


def _cross_calibrated(
    results: tuple[Result, Result],
    scores: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    folds: int,
    progress: bool,
) -> np.ndarray:
    """The natural-log LRs of both systems, `(2, trials)`; scores of whatever unit are treated alike.

    Raises:
        UserError: the scores of one of them cannot be calibrated.
    """
    found = []
    for result, one in zip(results, scores, strict=True):
        try:
            found.append(cross_calibrated(one, labels, speakers, folds=folds, unit=None, progress=progress))
        except ConfigError:
            raise
        except UserError as error:
            raise UserError(f"{result.name}: {error}") from error
    return np.stack(found)


def _one_score_each(result: Result, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of sides of a result, by their keys `(trials,)` in rising order, and where each is first listed.

    Raises:
        UserError: a pair that is listed again has another score there.
    """
    found, places, which = np.unique(keys, return_index=True, return_inverse=True)
    before = result.scores[places][which]
    other = np.flatnonzero(~np.isclose(result.scores, before, rtol=TOLERANCE, atol=TOLERANCE))
    if len(other):
        row = other[0]
        raise UserError(
            f"{result.name} lists {len(other)} trials again, in the same or in the opposite order, with another "
            f"score: {result.trials.describe(row)} has {result.scores[row]:g} and before {before[row]:g}. List "
            "each pair of sides once"
        )
    return found, places


def _figure(value: float, interval: tuple[float, float] | None, form: str) -> str:
    """A figure with its interval, if it has one."""
    text = form.format(value)
    return text if interval is None else f"{text} ({form.format(interval[0])} to {form.format(interval[1])})"
