"""Descriptions of the recordings that a scorer was fitted to, or calibrated on, in numbers and in words."""

from __future__ import annotations

import datetime
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.domain.differences import describe_differences, sides_measures
from balr_hf.domain.limits import AT_LEAST, AT_MOST, MEASURES, QUANTILES, in_unit, is_narrow, named
from balr_hf.errors import ConfigError
from balr_hf.populations import describe_speakers, speakers_by

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

# The share of same-speaker trials from which on it is told that they are within one session.
ONE_SESSION = 1 / 3
ACROSS = (
    "Recordings of one speaker from different sessions are less alike, so that this promises too much for cases "
    "across sessions: --across session compares recordings of one speaker from different sessions only"
)
# Columns of a corpus that make different speakers easy to tell apart where they differ, and the share of
# different-speaker trials from which on that is told.
EASY_COLUMNS, EASY_SHARE = ("source", "channel", "language", "condition", "sex"), 1 / 3
# The share of the measured recordings of which the decay must be known, for its range to be kept.
MOSTLY = 0.9
# Columns of a corpus that tell of its recordings; and those of them whose values are counted. The names of sessions
# (dates, calls, chapters) tell a reader of a scorer nothing, and may tell of whom the recordings are.
LABELS = ("sex", "session", "channel", "language", "source")
COUNTED = tuple(name for name in LABELS if name != "session")


def describe_population(
    dataset: datasets.Dataset,
    sides: Sequence[Sequence[str]] | None = None,
    log_probabilities: np.ndarray | None = None,
    trials: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Describe the recordings that a scorer was fitted to, or calibrated on, in numbers that JSON can hold.

    Args:
        dataset (`datasets.Dataset`): the corpus: `id`, and `speaker`, `recording_quality`, `sex`, `session`, ... where
            it has them.
        sides: the ids of the recordings of each side of the trials; every recording alone by default.
        log_probabilities (np.ndarray of shape `(recordings,)`, *optional*): see [`log_probabilities`].
        trials (*optional*): the numbers of the sides of each trial, two arrays `(trials,)`: which numbers of
            recordings were compared is then kept; of a corpus with speakers, by how much the two sides differ in
            what was measured, and in how many different-speaker trials they differ in each of [`EASY_COLUMNS`]; and
            of one with `session`, how many same-speaker trials are within one session.
    """
    from balr_hf.data.columns import arrow_column, recordings_of
    from balr_hf.data.quality import known_quality

    if sides is not None:
        dataset = recordings_of(dataset, sides)
    measured = known_quality(dataset)
    known = list(measured.values())
    has_speakers = "speaker" in dataset.column_names
    counts = [1] if sides is None else [len(side) for side in sides]
    described: dict[str, Any] = {
        "recordings": len(dataset),
        "speakers": len(arrow_column(dataset, "speaker").unique().drop_null()) if has_speakers else None,
        "recordings_a_side": [min(counts), max(counts)],
        "counts": {name: _counts(dataset, name) for name in COUNTED if name in dataset.column_names},
        "speakers_by": speakers_by(dataset) if has_speakers else {},
        "date": datetime.date.today().isoformat(),
        "measured": len(known),
        "measures": {},
    }
    if trials is not None:
        compared = np.sort(np.array(counts)[np.stack(trials, axis=1)], axis=1)
        described["recordings_compared"] = np.unique(compared, axis=0).tolist()
        if has_speakers:
            described |= _compared(dataset, sides or [[name] for name in dataset["id"]], trials)
    if "condition" in dataset.column_names:
        described |= _filtered(dataset, measured)
    for measure in MEASURES:
        values = [in_unit(measure, row[measure]) for row in known if row.get(measure) is not None]
        if measure == "decay" and known and len(values) < MOSTLY * len(known):
            logger.warning(
                "How fast sounds end is known of %d of %d recordings: the others were measured by an earlier version. "
                "No range of it is kept, so that rooms are not noticed; balr extract --force measures anew",
                len(values),
                len(known),
            )
        elif values:
            described["measures"][measure] = np.percentile(values, QUANTILES).round(6).tolist()
    if log_probabilities is not None:
        described["log_probability"] = np.percentile(log_probabilities, QUANTILES).round(4).tolist()
    return described


def _filtered(dataset: datasets.Dataset, measured: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The share of the recordings with the band of a call that are copies which were made so, as `filtered`.

    Returns:
        empty where no recording has such a band.
    """
    condition_of = dict(zip(dataset["id"], dataset["condition"], strict=True))
    bands = {name: row["bandwidth"] for name, row in measured.items() if row.get("bandwidth") is not None}
    calls = [name for name, hertz in bands.items() if is_narrow(hertz)]
    made = {text: _makes_narrow(text) for text in {condition_of[name] for name in calls}}
    return {"filtered": sum(made[condition_of[name]] for name in calls) / len(calls)} if calls else {}


def _makes_narrow(text: str | None) -> bool:
    """Whether a condition of `balr degrade` gives recordings the band of a call; not so of any other text."""
    from balr_hf.conditions import Condition

    try:
        condition = Condition.parse(str(text))
    except ConfigError:
        return False
    return condition.bandwidth is not None and is_narrow(condition.bandwidth)


def log_probabilities(bits: np.ndarray, activation: np.ndarray, num_speakers: int) -> np.ndarray:
    """How probable each recording's attributes are in the reference population: `sum_i log p_i(bit_i)`.

    Args:
        bits (np.ndarray of shape `(recordings, attributes)`): bool, or shares of a side's recordings.
        activation (np.ndarray of shape `(attributes,)`): the reference speakers' mean share of recordings in which an
            attribute is active.
        num_speakers (int): of the reference population; no rate is taken to be nearer to 0 or 1 than half a speaker.

    Returns:
        float64 `(recordings,)`, natural logarithms.
    """
    rates = (activation * num_speakers + 0.5) / (num_speakers + 1)
    active, inactive = np.log(rates), np.log1p(-rates)
    found = np.empty(len(bits))
    for start in range(0, len(bits), 1024):  # which stay in the processor's cache
        some = bits[start : start + 1024].astype(np.float64)
        found[start : start + 1024] = some @ active + (1 - some) @ inactive
    return found


def describe_in_words(population: Mapping[str, Any]) -> str:
    """A population in a line."""
    parts = [f"{population['recordings']:,} recordings"]
    if population.get("speakers"):
        parts[0] += f" of {population['speakers']:,} speakers"
    if population.get("copies"):
        parts[0] += f", in {population['copies']:,} copies, whose ranges follow"
    for name, counts in population.get("counts", {}).items():
        if name == "session":  # of a scorer of an earlier version
            continue
        shown = ", ".join(f"{value} ({count:,})" for value, count in list(counts.items())[:6])
        unknown = population["recordings"] - sum(counts.values())
        end = " and others" if len(counts) > 6 else f", not known ({unknown:,})" if unknown > 0 else ""
        parts.append(f"recordings of each {name}: {shown}{end}")
    low, high = population["recordings_a_side"]
    parts.append(f"{low} recording{'s' * (low > 1)} a side" if low == high else f"{low} to {high} recordings a side")
    return "; ".join([*parts, *_measures_in_words(population)])


def describe_reference(population: Mapping[str, Any] | None, speakers: int) -> str:
    """A reference population in a line: who is in it, what is in its recordings, and what is not known of it.

    Args:
        population (dict, *optional*): its description by [`describe_population`]; None where there is none.
        speakers (int): how many there are.
    """
    if population is None:
        return f"{describe_speakers(None, speakers)}, nor what is in the recordings"
    parts = [describe_speakers(population, speakers), f"{population['recordings']:,} recordings"]
    return "; ".join([*parts, *_measures_in_words(population)])


def _measures_in_words(population: Mapping[str, Any]) -> list[str]:
    """What was measured of the recordings of a population: one text for each measure."""
    if not population["measures"]:
        return ["what is in its recordings was not measured"]
    return [
        f"{named(measure)} {describe_range(measure, quantiles)}"
        for measure, quantiles in population["measures"].items()
    ]


def describe_range(measure: str, quantiles: Sequence[float]) -> str:
    """A population's own range of a measure with its unit: `1.2 to 11.2 s`, or `at most 0.0%`.

    Args:
        measure (str): a key of [`MEASURES`].
        quantiles (sequence of float): those of the population, as [`describe_population`] keeps them.
    """
    low, high = quantiles[1], quantiles[-2]
    if measure in AT_MOST:
        return f"at most {high:.1%}"
    if measure in AT_LEAST:
        return f"at least {low:,.0f} dB/s"
    unit, digits = {"net_speech": ("s", 1), "snr": ("dB", 0), "bandwidth": ("kHz", 1)}[measure]
    return f"{low:.{digits}f} to {high:.{digits}f} {unit}"


def describe_sessions(population: Mapping[str, Any] | None, of: str = "") -> str | None:
    """Say that same-speaker trials are within one session, which are easier than those of different sessions.

    Args:
        population (dict, *optional*): the description of their recordings by [`describe_population`].
        of (str): whose trials they are: ` of the calibration`.

    Returns:
        A sentence without its full stop; None if no more than a third of them are such, or that is not known.
    """
    sessions = (population or {}).get("sessions")
    if not sessions or sessions["within_one"] <= ONE_SESSION * sessions["same_speaker"]:
        return None
    number, total = sessions["within_one"], sessions["same_speaker"]
    which = f"All {total:,}" if number == total else f"{number:,} of the {total:,}"
    return f"{which} same-speaker trials{of} compare recordings of one session"


def unlike_trials(
    dataset: datasets.Dataset, sides: Sequence[Sequence[str]], first: np.ndarray, second: np.ndarray
) -> dict[str, int]:
    """In how many trials the two sides differ in a column, for each of [`EASY_COLUMNS`] that the corpus has.

    Args:
        dataset (`datasets.Dataset`): the corpus, with `id`.
        sides: the ids of the recordings of each side.
        first, second (np.ndarray of shape `(trials,)`): the numbers of the two sides of each trial.
    """
    from balr_hf.data.columns import side_value_sets

    found = {}
    for column in EASY_COLUMNS:
        if column in dataset.column_names:
            values = [next(iter(some)) if len(some) == 1 else "" for some in side_value_sets(dataset, sides, column)]
            codes = np.unique(["", *values], return_inverse=True)[1][1:]  # 0 where it is not known
            one, other = codes[first], codes[second]
            found[column] = int(((one != other) & (one > 0) & (other > 0)).sum())
    return found


def describe_unlike(different: int, unlike: Mapping[str, int], of: str = "") -> str | None:
    """Say in how many different-speaker trials the two sides differ, which makes them easier than those of a case.

    Args:
        different (int): how many different-speaker trials there are.
        unlike: of [`unlike_trials`].
        of (str): whose trials they are: ` of the calibration`.

    Returns:
        A sentence without its full stop; None if of no column more than a third of the trials are such.
    """
    columns = [
        f"{column} in {number:,} ({number / different:.0%})"
        for column, number in unlike.items()
        if number > EASY_SHARE * different
    ]
    if not columns:
        return None
    return f"Of the {different:,} different-speaker trials{of}, the two sides differ in {', '.join(columns)}"


def _compared(
    dataset: datasets.Dataset, sides: Sequence[Sequence[str]], trials: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """What trials compare: by how much their sides differ, and how many are within one session."""
    from balr_hf.data.columns import comparable_name, side_value_sets
    from balr_hf.data.quality import quality_by_name

    speakers = side_value_sets(dataset, sides, "speaker")
    names = np.array([next(iter(some)) if len(some) == 1 else "" for some in speakers])
    known = (names[trials[0]] != "") & (names[trials[1]] != "")
    first, second = (side[known] for side in trials)
    same = names[first] == names[second]
    quality = quality_by_name(dataset)
    rows = [quality.get(comparable_name(name)) for side in sides for name in side]
    measures = sides_measures(rows, np.array([len(side) for side in sides]))
    found: dict[str, Any] = {"differences": describe_differences(measures, (first, second), same)}
    unlike = unlike_trials(dataset, sides, first[~same], second[~same])
    if unlike:
        found["unlike"] = {"different_speaker": int((~same).sum()), "columns": unlike}
    if "session" in dataset.column_names:
        found["sessions"] = _sessions(side_value_sets(dataset, sides, "session"), first[same], second[same])
    return found


def _sessions(sessions: Sequence[frozenset[str]], first: np.ndarray, second: np.ndarray) -> dict[str, int]:
    """How many same-speaker trials there are whose sessions are known, and how many of these are within one."""
    pairs = [(sessions[one], sessions[other]) for one, other in zip(first, second, strict=True)]
    shared = [not one.isdisjoint(other) for one, other in pairs if one and other]
    return {"same_speaker": len(shared), "within_one": sum(shared)}


def _counts(dataset: datasets.Dataset, name: str) -> dict[str, int]:
    counts = Counter(str(value) for value in dataset[name] if value is not None)
    return dict(counts.most_common(20))
