"""In what a case differs from the populations that its likelihood ratio rests on, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from balr_hf.domain.differences import (
    DIFFERENCES,
    UNITS,
    differences_beyond_limits,
    largest_difference,
    side_measures,
)
from balr_hf.domain.limits import (
    AT_LEAST,
    AT_MOST,
    MEASURES,
    QUANTILES,
    Limits,
    comparisons_beyond_limits,
    filtered_beyond_limits,
    in_unit,
    measure_beyond_limits,
    own_range,
    probability_beyond_limits,
    recordings_beyond_limits,
)
from balr_hf.domain.population import describe_range


@dataclass(frozen=True)
class Deviation:
    """One way in which a side of a case differs from a population.

    Attributes:
        side: `A` or `B`; `A and B` if it is a difference of the two.
        measure: a key of [`MEASURES`], `filtered`, `probability`, `recordings`, `snr_difference` or
            `bandwidth_difference`.
        population: `calibration`, or `reference population`.
        value: of the side.
        low, high: the population's own range.
        is_beyond: whether it lies beyond the limits, so that no verbal verdict is given.
        text: all this in a sentence.
        is_allowed: whether it lies beyond the default limits, and within those that were set.
    """

    side: str
    measure: str
    population: str
    value: float
    low: float
    high: float
    is_beyond: bool
    text: str
    is_allowed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Side:
    """What is known of one side of a case.

    Attributes:
        recordings: how many there are.
        quality: the measures of each that was measured, as [`RecordingQuality.to_dict`] gives them.
        log_probability: the mean log probability of the recordings' attributes under the reference rates; None
            without a reference population.
    """

    recordings: int
    quality: Sequence[Mapping[str, Any]] = ()
    log_probability: float | None = None


def deviations(
    sides: Sequence[Side],
    calibration: Mapping[str, Any] | None,
    reference: Mapping[str, Any] | None,
    limits: Limits | None = None,
) -> list[Deviation]:
    """What of a case lies outside the populations that its likelihood ratio rests on.

    Args:
        sides: A and B, or one of them.
        calibration, reference: their descriptions by [`describe_population`]; None where there is none.
        limits ([`Limits`], *optional*): the defaults by default.
    """
    limits = limits or Limits()
    found: list[Deviation] = []
    for name, side in zip("AB", sides, strict=False):
        if calibration is not None:
            found += _measures_outside(name, side, calibration, "calibration", limits)
            found += _filtered(name, side, calibration, limits)
            found += _recordings_outside(name, side, calibration, limits)
        if reference is not None:
            found += _improbable(name, side, reference, limits)
    if calibration is not None and len(sides) == 2:
        if not any(one.measure == "recordings" for one in found):
            found += _comparison_outside(sides[0].recordings, sides[1].recordings, calibration, limits)
        found += _differences_outside(sides[0], sides[1], calibration, limits)
    return found


def _measures_outside(
    name: str, side: Side, population: Mapping[str, Any], role: str, limits: Limits
) -> Iterator[Deviation]:
    for measure, form in MEASURES.items():
        quantiles = population.get("measures", {}).get(measure)
        values = np.array([row[measure] for row in side.quality if row.get(measure) is not None], dtype=np.float64)
        if quantiles is None or not values.size:
            continue
        low, high = own_range(measure, quantiles)
        beyond = measure_beyond_limits(measure, values, population, limits)
        own, values = values, in_unit(measure, values)
        worst = np.lexsort([np.maximum(low - values, values - high), beyond])[-1]
        value, is_beyond = float(values[worst]), bool(beyond[worst])
        if low <= value <= high:
            continue
        is_allowed = not is_beyond and bool(measure_beyond_limits(measure, own[worst], population))
        if measure == "bandwidth" and not is_beyond and not is_allowed:
            continue  # coders end a little lower or higher, which means nothing
        if not is_beyond and form.format(value) in (form.format(low), form.format(high)):
            continue  # which would be said to lie outside of a range that it seems to end
        number = int(((values < low) | (values > high)).sum())
        which = f"{name} has" if side.recordings == 1 else f"One of {name}'s {side.recordings} recordings has"
        if number > 1:
            which = f"{number} of {name}'s {side.recordings} recordings lie outside the {role}: the furthest has"
        near = "" if is_beyond else " (within the limits that were set)" if is_allowed else " (within the limits)"
        share = 99 if measure in (*AT_MOST, *AT_LEAST) else 98
        text = (
            f"{which} {form.format(value)}; {share} % of the {role}'s recordings have "
            f"{describe_range(measure, quantiles)}{near}."
        )
        high = min(high, float(quantiles[-1]))  # a number, where the range has no upper end
        yield Deviation(name, measure, role, value, low, high, is_beyond, text, is_allowed)


def _filtered(name: str, side: Side, population: Mapping[str, Any], limits: Limits) -> Iterator[Deviation]:
    """Whether a side has the band of a call, and the calibration has it by a filter alone."""
    bands = np.array([row["bandwidth"] for row in side.quality if row.get("bandwidth") is not None], dtype=np.float64)
    beyond, usual = (bool(filtered_beyond_limits(bands, population, which).any()) for which in (limits, None))
    if not (beyond or usual):
        return
    share = population["filtered"]
    said = "all" if share == 1 else f"{math.floor(100 * share)} %"
    near = "" if beyond else " (within the limits that were set)"
    text = (
        f"{name} has the band of a call, and {said} of the calibration's recordings with such a band are copies that "
        f"were made so, by a filter or a coder, which is no telephone{near}."
    )
    yield Deviation(
        *(name, "filtered", "calibration", float(share), 0.0, limits.filtered, beyond, text), is_allowed=not beyond
    )


def _recordings_outside(name: str, side: Side, population: Mapping[str, Any], limits: Limits) -> Iterator[Deviation]:
    low, high = population["recordings_a_side"]
    if low <= side.recordings <= high:
        return
    beyond = bool(recordings_beyond_limits(side.recordings, population, limits))
    is_allowed = not beyond and bool(recordings_beyond_limits(side.recordings, population))
    calibrated = f"{low}" if low == high else f"{low} to {high}"
    text = (
        f"{name} has {side.recordings} recording{'s' * (side.recordings > 1)}; the system was calibrated with "
        f"{calibrated} a side."
    )
    yield Deviation(name, "recordings", "calibration", side.recordings, low, high, beyond, text, is_allowed)


def _comparison_outside(
    recordings_a: int, recordings_b: int, population: Mapping[str, Any], limits: Limits
) -> Iterator[Deviation]:
    """Whether so many recordings were never compared with so many, though each number was there."""
    if not comparisons_beyond_limits(np.array([recordings_a]), np.array([recordings_b]), population, limits).any():
        return
    low, high = population["recordings_a_side"]
    compared = ", ".join(f"{fewer} against {more}" for fewer, more in population["recordings_compared"])
    text = f"A has {recordings_a} and B has {recordings_b} recordings; the system was calibrated with {compared}."
    yield Deviation("A", "recordings", "calibration", recordings_a, low, high, True, text)


def _differences_outside(a: Side, b: Side, population: Mapping[str, Any], limits: Limits) -> Iterator[Deviation]:
    """Whether the two sides differ more than those that the calibration compared."""
    between = np.abs(side_measures(a.quality, a.recordings) - side_measures(b.quality, b.recordings))
    for (measure, form), difference in zip(DIFFERENCES.items(), between, strict=True):
        largest = largest_difference(measure, population)
        beyond, usual = (
            bool(differences_beyond_limits(measure, difference, population, which)) for which in (limits, None)
        )
        if largest is None or not (beyond or usual):
            continue
        high, kind = largest
        said, most = (UNITS[measure].format(value) for value in (difference, high))
        text = (
            f"{form.format(said)}; in 99 % of the calibration's {kind} trials, those of the two sides differ by at "
            f"most {most}{'' if beyond else ' (within the limits that were set)'}."
        )
        yield Deviation(
            *("A and B", f"{measure}_difference", "calibration", float(difference), 0.0, high, beyond, text),
            is_allowed=not beyond,
        )


def _improbable(name: str, side: Side, population: Mapping[str, Any], limits: Limits) -> Iterator[Deviation]:
    quantiles = population.get("log_probability")
    if quantiles is None or side.log_probability is None:
        return
    beyond, usual = (
        bool(probability_beyond_limits(side.log_probability, population, which)) for which in (limits, None)
    )
    if side.log_probability >= quantiles[1] and not beyond:
        return
    percentile = float(np.interp(side.log_probability, quantiles, QUANTILES))
    more = math.floor(10 * (100 - percentile)) / 10  # rounded up, it could be all of them, or beyond the limit
    than = "any reference recording's" if percentile <= 0 else f"those of {more:.1f} % of its recordings"
    text = f"{name}'s attributes are less probable in the reference population than {than}."
    outside = name, "probability", "reference population", percentile, QUANTILES[1], 100.0, beyond, text
    yield Deviation(*outside, is_allowed=usual and not beyond)
