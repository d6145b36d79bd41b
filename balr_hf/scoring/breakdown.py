"""Trials by what the corpus says of their sides: sex, channel, session, ..."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.data.columns import comparable_name, side_value_sets
from balr_hf.data.quality import quality_by_name
from balr_hf.domain import (
    DIFFERENCES,
    EASY_SHARE,
    MEASURES,
    comparisons_beyond_limits,
    describe_unlike,
    differences_beyond_limits,
    filtered_beyond_limits,
    log_probabilities,
    measure_beyond_limits,
    probability_beyond_limits,
    recordings_beyond_limits,
    sides_measures,
    unlike_trials,
)
from balr_hf.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import datasets

    from balr_hf.scoring.configuration_scorers import ScorerConfig
    from balr_hf.scoring.counts import SideCounts
    from balr_hf.scoring.trials import Trials

logger = logging.getLogger(__name__)


def side_values(dataset: datasets.Dataset, sides: Sequence[Sequence[str]], column: str) -> np.ndarray:
    """What a column says of each side: `(sides,)` of str, None where it says nothing, or differs within the side.

    Args:
        dataset (`datasets.Dataset`): the corpus, with `id` and the column.
        sides: the ids of the recordings of each side.
        column (str): the name of the column.

    Raises:
        UserError: the corpus has no such column.
    """
    found = np.empty(len(sides), dtype=object)
    for row, values in enumerate(side_value_sets(dataset, sides, column)):
        found[row] = next(iter(values)) if len(values) == 1 else None
    return found


def _within(trials: Trials, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which trials to keep so that different speakers are compared within one value only: bool `(trials,)`.

    Args:
        trials ([`Trials`]): the trials.
        values (np.ndarray of shape `(sides,)`): of [`side_values`].
        labels (np.ndarray of shape `(trials,)`): 1 for trials of one speaker, 0 for trials of two.
    """
    enroll, test = values[trials.enroll], values[trials.test]
    return np.asarray(labels).astype(bool) | ((enroll == test) & (enroll != None))  # noqa: E711  # elementwise


def _across(trials: Trials, values: Sequence[frozenset[str]], labels: np.ndarray) -> np.ndarray:
    """Which trials to keep so that no two recordings of one speaker's sides share a value: bool `(trials,)`.

    Args:
        trials, labels: as for [`_within`].
        values (sequence of sets, one of each side): of [`side_value_sets`].
    """
    kept = ~np.asarray(labels).astype(bool)
    for row in np.flatnonzero(~kept):
        one, other = values[trials.enroll[row]], values[trials.test[row]]
        kept[row] = bool(one) and bool(other) and one.isdisjoint(other)
    return kept


def keep_chosen(
    dataset: datasets.Dataset,
    trials: Trials,
    speakers: np.ndarray,
    *,
    within: str | None = None,
    across: str | None = None,
) -> Trials:
    """The trials that are like those of a case; says how many are left out.

    Args:
        dataset (`datasets.Dataset`): the corpus, with `id` and the columns.
        trials ([`Trials`]): the trials.
        speakers (np.ndarray of shape `(sides,)`): of [`side_speakers`].
        within (str, *optional*): a column that different speakers must share.
        across (str, *optional*): a column in which recordings of one speaker must differ.

    Raises:
        UserError: the corpus has no such column, or no trial of one kind is left.
    """
    for flag, column in (("--within", within), ("--across", across)):
        if column is None:
            continue
        labels, same = speakers[trials.enroll] == speakers[trials.test], flag == "--across"
        if same:
            kept = _across(trials, side_value_sets(dataset, trials.sides, column), labels)
            none = "no speaker of the trials has recordings that differ in it"
        else:
            kept = _within(trials, side_values(dataset, trials.sides, column), labels)
            none = "no two different speakers of the trials share a value of it"
        if not kept[labels == same].any():
            raise UserError(f"{flag} {column}: {none}")
        logger.info(
            "%s %s leaves out %d of %d %s-speaker trials",
            *(flag, column, int((~kept).sum()), int((labels == same).sum()), "same" if same else "different"),
        )
        trials = trials.select(np.flatnonzero(kept))
    return trials


def groups(trials: Trials, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each pair of values of the two sides, in either order, and which trials have it: `(name, mask (trials,))`.

    Names are `F / M`, or with more slashes if there are values such as `F / M`, so that no two pairs have one name.
    """
    names, codes = np.unique(["unknown" if value is None else value for value in values], return_inverse=True)
    enroll, test = codes[trials.enroll], codes[trials.test]
    pairs = np.minimum(enroll, test) * len(names) + np.maximum(enroll, test)
    between = " / "
    while any(between in str(name) for name in names):
        between = f" /{between.lstrip()}"
    for pair in np.unique(pairs):
        low, high = (str(name) for name in names[list(divmod(int(pair), len(names)))])
        yield low if low == high else f"{low}{between}{high}", pairs == pair


def describe_easy_trials(dataset: datasets.Dataset, trials: Trials, labels: np.ndarray) -> str | None:
    """Say how many different-speaker trials compare unlike recordings, which makes them easier than those of a case.

    Voices of the two sexes, or recordings by a telephone and from an audio book, are told apart whoever speaks.
    Figures of such trials, and calibrations on them, promise too much.

    Args:
        dataset (`datasets.Dataset`): the corpus, with `id` and, where it is known, the columns that
            [`unlike_trials`][balr_hf.domain.unlike_trials] counts.
        trials ([`Trials`]): the trials.
        labels (bool `(trials,)`): whether a trial is of one speaker.

    Returns:
        A sentence; None if of no column more than a third of the different-speaker trials are such.
    """
    different = np.flatnonzero(~labels)
    unlike = unlike_trials(dataset, trials.sides, trials.enroll[different], trials.test[different])
    sentence = describe_unlike(len(different), unlike)
    if sentence is None:
        return None
    column = next(name for name, number in unlike.items() if number > EASY_SHARE * len(different))
    return (
        f"{sentence}. Such trials are easier than those of a case, whose recordings are alike, so that figures and "
        f"calibrations that rest on them promise too much: --within {column} compares different speakers of the same "
        f"{column} only."
    )


@dataclass(frozen=True)
class SidesOutside:
    """Which sides of a trial list lie beyond the limits of what the scorer was fitted to and calibrated on.

    Attributes:
        measures (dict of str to `np.ndarray` of shape `(sides,)`): bool, for each measure that is compared: keys of
            [`balr_hf.domain.MEASURES`], `recordings` and `probability`.
        measured (`np.ndarray` of shape `(sides,)`): bool, whether all recordings of a side were measured. What lies
            outside of others is not fully known.
        recordings (`np.ndarray` of shape `(sides,)`): how many recordings a side has.
        compared (`np.ndarray` of shape `(sides, 2)`): of [`balr_hf.domain.sides_measures`], of which two sides must
            not differ much more than those of the calibration.
        calibration: the description of the calibration's recordings.
    """

    measures: Mapping[str, np.ndarray]
    measured: np.ndarray
    recordings: np.ndarray
    compared: np.ndarray
    calibration: Mapping[str, Any]

    @property
    def any(self) -> np.ndarray:
        """Which sides lie outside in any measure: bool `(sides,)`."""
        return np.any(list(self.measures.values()), axis=0)

    def codes(self, trials: Trials) -> np.ndarray:
        """In which measures each trial lies outside, as in the column `outside` of `scores.csv`.

        Returns:
            str `(trials,)`: the names of the measures, joined by semicolons, with `snr_difference` and
            `bandwidth_difference` if the sides differ too much from each other, and `unmeasured` if a side was not
            measured; empty if the trial lies within.
        """
        flags = {**self.measures, "unmeasured": ~self.measured}
        of_sides = np.stack(list(flags.values())).T @ (1 << np.arange(len(flags)))
        of_trials = of_sides[trials.enroll] | of_sides[trials.test]
        of_trials |= self._numbers_outside(trials) * (1 << list(flags).index("recordings"))
        for bit, differs in enumerate(self._differences_outside(trials).values(), len(flags)):
            of_trials |= differs * (1 << bit)
        names = [*flags, *(f"{measure}_difference" for measure in DIFFERENCES)]
        found, which = np.unique(of_trials, return_inverse=True)
        texts = [";".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in found.tolist()]
        return np.array(texts, dtype=object)[which]

    def count(self, trials: Trials) -> dict[str, Any]:
        """How many sides of the trials, and how many trials, lie outside, as `domain` in `metrics.json`.

        Returns:
            `sides`, how many there are in the trials; `measured`, of how many all recordings were measured;
            `beyond_limits`, how many lie outside; `measures`, how many do in each measure; `trials_beyond_limits`, how
            many trials have such a side, or compare sides that were not compared; `differences`, how many trials have
            sides that differ too much in each measure; and `trials_unmeasured`, how many others have a side that was
            not measured.
        """
        used = np.unique(np.concatenate([trials.enroll, trials.test]))
        measures = {name: int(mask[used].sum()) for name, mask in self.measures.items()}
        outside, unmeasured = (of[trials.enroll] | of[trials.test] for of in (self.any, ~self.measured))
        outside |= self._compared_outside(trials)
        differences = self._differences_outside(trials)
        return {
            "sides": len(used),
            "measured": int(self.measured[used].sum()),
            "beyond_limits": int(self.any[used].sum()),
            "measures": {name: number for name, number in measures.items() if number},
            "differences": {name: int(mask.sum()) for name, mask in differences.items() if mask.any()},
            "trials_beyond_limits": int(outside.sum()),
            "trials_unmeasured": int((unmeasured & ~outside).sum()),
        }

    def within(self, trials: Trials) -> np.ndarray:
        """Which trials have two sides that were measured and lie within the limits: bool `(trials,)`."""
        inside = self.measured & ~self.any
        return inside[trials.enroll] & inside[trials.test] & ~self._compared_outside(trials)

    def _compared_outside(self, trials: Trials) -> np.ndarray:
        """Which trials compare sides such as the calibration did not compare: bool `(trials,)`."""
        return np.any([self._numbers_outside(trials), *self._differences_outside(trials).values()], axis=0)

    def _numbers_outside(self, trials: Trials) -> np.ndarray:
        """Which trials compare numbers of recordings that the calibration did not compare: bool `(trials,)`."""
        sides = self.recordings[trials.enroll], self.recordings[trials.test]
        return comparisons_beyond_limits(*sides, self.calibration)

    def _differences_outside(self, trials: Trials) -> dict[str, np.ndarray]:
        """Which trials have sides that differ more than those of the calibration: bool `(trials,)` of each measure."""
        between = np.abs(self.compared[trials.enroll] - self.compared[trials.test])
        return {
            measure: differences_beyond_limits(measure, values, self.calibration)
            for measure, values in zip(DIFFERENCES, between.T, strict=True)
        }


def sides_outside(
    dataset: datasets.Dataset,
    sides: Sequence[Sequence[str]],
    calibration: Mapping[str, Any] | None,
    reference: Mapping[str, Any] | None = None,
    log_probability: np.ndarray | None = None,
) -> SidesOutside | None:
    """Find the sides of a trial list that lie beyond the limits of what the scorer was fitted to and calibrated on.

    These are the sides of which `balr explain` gives no verbal verdict.

    Args:
        dataset (`datasets.Dataset`): the corpus, with what was measured of its recordings.
        sides: the ids of the recordings of each side.
        calibration: the description of the calibration's recordings; see [`balr_hf.domain.describe_population`].
        reference: the description of the reference population, *optional*.
        log_probability (`np.ndarray` of shape `(sides,)`, *optional*): of the sides' attributes in the reference
            population, see [`balr_hf.domain.log_probabilities`].

    Returns:
        [`SidesOutside`]; None if the calibration keeps no description.
    """
    if calibration is None:
        return None
    known = quality_by_name(dataset)
    rows = [known.get(comparable_name(name)) for side in sides for name in side]
    lengths = np.array([len(side) for side in sides])
    starts = np.cumsum(lengths) - lengths
    measured = np.array([row is not None for row in rows]) & bool(calibration["measures"])
    measures = {}
    for measure in filter(calibration["measures"].__contains__, MEASURES):
        values = np.array([None if row is None else row.get(measure) for row in rows], dtype=np.float64)
        beyond = measure_beyond_limits(measure, values, calibration)
        measures[measure] = np.logical_or.reduceat(beyond, starts)
    if "filtered" in calibration:
        bands = np.array([None if row is None else row.get("bandwidth") for row in rows], dtype=np.float64)
        measures["filtered"] = np.logical_or.reduceat(filtered_beyond_limits(bands, calibration), starts)
    measures["recordings"] = recordings_beyond_limits(lengths, calibration)
    if reference is not None and log_probability is not None:
        measures["probability"] = probability_beyond_limits(log_probability, reference)
    compared = sides_measures(rows, lengths)
    return SidesOutside(measures, np.logical_and.reduceat(measured, starts), lengths, compared, calibration)


def outside_calibration(
    config: ScorerConfig,
    activation: np.ndarray,
    dataset: datasets.Dataset,
    sides: Sequence[Sequence[str]],
    counts: SideCounts,
) -> SidesOutside | None:
    """Find the sides that lie beyond the limits of what a scorer was fitted to and calibrated on.

    Args:
        config ([`ScorerConfig`]): the scorer's configuration, with the descriptions of its two populations.
        activation (`np.ndarray` of shape `(attributes,)`): how often the reference speakers show each attribute.
        dataset (`datasets.Dataset`): the corpus, with what was measured of its recordings.
        sides: the ids of the recordings of each side.
        counts ([`SideCounts`]): the counts of the sides' attributes.

    Returns:
        [`SidesOutside`]; None if the calibration keeps no description.
    """
    domain, probabilities = (config.calibration or {}).get("domain"), None
    if domain is not None and config.reference is not None and config.num_reference_speakers is not None:
        probabilities = np.concatenate(
            [
                log_probabilities(some[..., 0] / some.sum(-1), activation, config.num_reference_speakers)
                for _, some in counts.parts()
            ]
        )
    return sides_outside(dataset, sides, domain, config.reference, probabilities)
