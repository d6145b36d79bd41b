"""What a population was made of, and whether a case lies inside it.

A reference population and a calibration hold for recordings like their own. So each keeps a description of them: how
many there were, of whom, and the distribution of what was measured of them. A case is compared with it.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.errors import ConfigError
from balr_hf.populations import describe_speakers, speakers_by

if TYPE_CHECKING:
    import datasets

# The measures of recordings that are compared, and how a value is said.
MEASURES = {
    "net_speech": "{:.1f} s of speech",
    "snr": "an SNR of {:.0f} dB",
    "bandwidth": "a bandwidth of {:.1f} kHz",
    "clipping": "{:.1%} of its samples clipped",
    "tone_share": "{:.1%} of its power in a steady tone",
}
# The quantiles that are kept, in percent. A case lies inside from the second to the last but one.
QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
# Share of the samples or of the power below which clipping and tones are not worth saying.
WORTH_SAYING = 0.0005
# The share of same-speaker trials from which on it is told that they are within one session.
ONE_SESSION = 1 / 3
ACROSS = (
    "Recordings of one speaker from different sessions are less alike, so that this promises too much for cases "
    "across sessions: --across session compares recordings of one speaker from different sessions only"
)
# Columns of a corpus that are counted, where it has them.
COUNTED = ("sex", "session", "channel", "language", "source")


@dataclass(frozen=True)
class Limits:
    """How far outside a population's own range a case may lie, before no verbal verdict is given.

    Attributes:
        net_speech: a factor, at least 1.
        snr: decibels.
        bandwidth: kilohertz.
        clipping, tone_share: shares of 1.
        probability: the percentile of the reference recordings below which attributes are too improbable.
        recordings: recordings a side, more or fewer.
        voices: how many times more probable the two parts of a recording that differ most may be if different people
            speak in them; a factor, at least 1.
    """

    net_speech: float = 1.25
    snr: float = 1.5
    bandwidth: float = 0.5
    clipping: float = 0.01
    tone_share: float = 0.05
    probability: float = 0.5
    recordings: float = 0
    voices: float = 2

    @classmethod
    def parse(cls, text: str) -> Limits:
        """Read `snr=6,net_speech=2`; what is not named keeps its default.

        Raises:
            ConfigError: an unknown name, or no number.
        """
        known = [field.name for field in fields(cls)]
        values = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            try:
                values[name.strip()] = float(value)
            except ValueError:
                raise ConfigError(f"limits: {part!r}: expected NAME=NUMBER, with {', '.join(known)}") from None
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(f"limits: unknown {', '.join(unknown)}: expected {', '.join(known)}")
        factors = [values.get(name, 1) for name in ("net_speech", "voices")]
        if any(not value >= 0 for value in values.values()) or any(not value >= 1 for value in factors):
            raise ConfigError(
                "limits: expected numbers of 0 or more, and for net_speech and voices a factor of at least 1"
            )
        return cls(**values)


@dataclass(frozen=True)
class Deviation:
    """One way in which a side of a case differs from a population.

    Attributes:
        side: `A` or `B`.
        measure: a key of [`MEASURES`], `probability`, or `recordings`.
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
            recordings were compared is then kept and, of a corpus with `session`, how many same-speaker trials are
            within one session.
    """
    from balr_hf.data.columns import arrow_column, comparable_name, recording_ids
    from balr_hf.data.quality import known_quality

    if sides is not None:
        wanted = {comparable_name(name) for side in sides for name in side}
        names = map(comparable_name, recording_ids(dataset))
        dataset = dataset.select([row for row, name in enumerate(names) if name in wanted])
    known = list(known_quality(dataset).values())
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
        if has_speakers and "session" in dataset.column_names:
            described["sessions"] = _sessions(dataset, sides or [[name] for name in dataset["id"]], trials)
    for measure in MEASURES:
        values = [_in_unit(measure, row[measure]) for row in known if row[measure] is not None]
        if values:
            described["measures"][measure] = np.percentile(values, QUANTILES).round(6).tolist()
    if log_probabilities is not None:
        described["log_probability"] = np.percentile(log_probabilities, QUANTILES).round(4).tolist()
    return described


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
            found += _recordings_outside(name, side, calibration, limits)
        if reference is not None:
            found += _improbable(name, side, reference, limits)
    if calibration is not None and len(sides) == 2 and not any(one.measure == "recordings" for one in found):
        found += _comparison_outside(sides[0].recordings, sides[1].recordings, calibration, limits)
    return found


def measure_beyond_limits(
    measure: str, values: np.ndarray, population: Mapping[str, Any], limits: Limits | None = None
) -> np.ndarray:
    """Which recordings lie beyond the limits of a population in one measure.

    Args:
        measure (str): a key of [`MEASURES`].
        values (np.ndarray of shape `(recordings,)`): as [`RecordingQuality`] has them; NaN where one is not known.
        population: its description by [`describe_population`].
        limits ([`Limits`], *optional*): the defaults by default.

    Returns:
        bool `(recordings,)`: False where the value or the population's range is not known.
    """
    quantiles = population.get("measures", {}).get(measure)
    values = _in_unit(measure, np.asarray(values, dtype=np.float64))
    if quantiles is None:
        return np.zeros(values.shape, dtype=bool)
    low, high = _own_range(measure, quantiles)
    margin = getattr(limits or Limits(), measure)
    least, most = (low / margin, high * margin) if measure == "net_speech" else (low - margin, high + margin)
    return (values < least) | (values > most)


def recordings_beyond_limits(
    recordings: int | np.ndarray, population: Mapping[str, Any], limits: Limits | None = None
) -> np.ndarray:
    """Which sides have more or fewer recordings than the limits allow: bool, of the shape of `recordings`.

    Args:
        recordings (int, or np.ndarray of shape `(sides,)`): how many recordings a side has.
        population, limits: as for [`measure_beyond_limits`].
    """
    low, high = population["recordings_a_side"]
    margin = (limits or Limits()).recordings
    return (np.asarray(recordings) < low - margin) | (np.asarray(recordings) > high + margin)


def comparisons_beyond_limits(
    enroll: np.ndarray, test: np.ndarray, population: Mapping[str, Any], limits: Limits | None = None
) -> np.ndarray:
    """Which numbers of recordings were not compared with each other in a population: bool, of the shape of both.

    Args:
        enroll, test (np.ndarray of shape `(trials,)`): how many recordings either side has.
        population, limits: as for [`measure_beyond_limits`].

    Returns:
        False where it is not known which numbers were compared.
    """
    low, high = np.minimum(enroll, test), np.maximum(enroll, test)
    compared = population.get("recordings_compared")
    if compared is None:
        return np.zeros(low.shape, dtype=bool)
    margin, near = (limits or Limits()).recordings, np.zeros(low.shape, dtype=bool)
    for fewer, more in compared:
        near |= (np.abs(low - fewer) <= margin) & (np.abs(high - more) <= margin)
    return ~near


def probability_beyond_limits(
    log_probability: float | np.ndarray, population: Mapping[str, Any], limits: Limits | None = None
) -> np.ndarray:
    """Which sides' attributes are too improbable in a reference population: bool, of the shape of `log_probability`.

    Args:
        log_probability (float, or np.ndarray of shape `(sides,)`): see [`log_probabilities`].
        population, limits: as for [`measure_beyond_limits`].
    """
    values, quantiles = np.asarray(log_probability), population.get("log_probability")
    if quantiles is None:
        return np.zeros(values.shape, dtype=bool)
    percentiles = np.interp(values, quantiles, QUANTILES)
    return (values < quantiles[1]) & (percentiles < (limits or Limits()).probability)


def describe_in_words(population: Mapping[str, Any]) -> str:
    """A population in a line."""
    parts = [f"{population['recordings']:,} recordings"]
    if population.get("speakers"):
        parts[0] += f" of {population['speakers']:,} speakers"
    for name, counts in population.get("counts", {}).items():
        if name == "session":  # whose names tell a reader nothing
            continue
        shown = ", ".join(f"{value} ({count:,})" for value, count in list(counts.items())[:6])
        parts.append(f"recordings of each {name}: {shown}" + (" and others" if len(counts) > 6 else ""))
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
        f"{measure.replace('_', ' ').replace('snr', 'SNR')} {describe_range(measure, quantiles)}"
        for measure, quantiles in population["measures"].items()
    ]


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


def _sessions(
    dataset: datasets.Dataset, sides: Sequence[Sequence[str]], trials: tuple[np.ndarray, np.ndarray]
) -> dict[str, int]:
    """How many same-speaker trials there are whose sessions are known, and how many of these are within one."""
    from balr_hf.data.columns import side_value_sets

    speakers, sessions = (side_value_sets(dataset, sides, column) for column in ("speaker", "session"))
    names = np.array([next(iter(some)) if len(some) == 1 else "" for some in speakers])
    first, second = trials
    known = within = 0
    for row in np.flatnonzero((names[first] == names[second]) & (names[first] != "")):
        one, other = sessions[first[row]], sessions[second[row]]
        if one and other:
            known += 1
            within += not one.isdisjoint(other)
    return {"same_speaker": known, "within_one": within}


def _counts(dataset: datasets.Dataset, name: str) -> dict[str, int]:
    counts = Counter(str(value) for value in dataset[name] if value is not None)
    return dict(counts.most_common(20))


def _in_unit(measure: str, values: Any) -> Any:
    """Measures in the unit that they are compared and said in: bandwidth in kHz."""
    return values / 1000 if measure == "bandwidth" else values


def _own_range(measure: str, quantiles: Sequence[float]) -> tuple[float, float]:
    """The ends of a population's own range of a measure."""
    # Less of a disturbance than the population has is none.
    return 0.0 if measure in ("clipping", "tone_share") else quantiles[1], quantiles[-2]


def _measures_outside(
    name: str, side: Side, population: Mapping[str, Any], role: str, limits: Limits
) -> Iterator[Deviation]:
    for measure, form in MEASURES.items():
        quantiles = population.get("measures", {}).get(measure)
        values = np.array([row[measure] for row in side.quality if row[measure] is not None], dtype=np.float64)
        if quantiles is None or not values.size:
            continue
        low, high = _own_range(measure, quantiles)
        beyond = measure_beyond_limits(measure, values, population, limits)
        own, values = values, _in_unit(measure, values)
        worst = np.lexsort([np.maximum(low - values, values - high), beyond])[-1]
        value, is_beyond = float(values[worst]), bool(beyond[worst])
        if low <= value <= high:
            continue
        if measure == "bandwidth" and not is_beyond:
            continue  # coders end a little lower or higher, which means nothing
        if measure in ("clipping", "tone_share") and not is_beyond and value < WORTH_SAYING:
            continue
        if not is_beyond and form.format(value) in (form.format(low), form.format(high)):
            continue  # which would be said to lie outside of a range that it seems to end
        number = int(((values < low) | (values > high)).sum())
        which = f"{name} has" if side.recordings == 1 else f"One of {name}'s {side.recordings} recordings has"
        if number > 1:
            which = f"{number} of {name}'s {side.recordings} recordings lie outside the {role}: the furthest has"
        is_allowed = not is_beyond and bool(measure_beyond_limits(measure, own[worst], population))
        near = "" if is_beyond else " (within the limits that were set)" if is_allowed else " (within the limits)"
        share = 99 if measure in ("clipping", "tone_share") else 98
        text = (
            f"{which} {form.format(value)}; {share} % of the {role}'s recordings have "
            f"{describe_range(measure, quantiles)}{near}."
        )
        yield Deviation(name, measure, role, value, low, high, is_beyond, text, is_allowed)


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


def _improbable(name: str, side: Side, population: Mapping[str, Any], limits: Limits) -> Iterator[Deviation]:
    quantiles = population.get("log_probability")
    if quantiles is None or side.log_probability is None or side.log_probability >= quantiles[1]:
        return
    percentile = float(np.interp(side.log_probability, quantiles, QUANTILES))
    than = "any reference recording's" if percentile <= 0 else f"those of {100 - percentile:.1f} % of its recordings"
    text = f"{name}'s attributes are less probable in the reference population than {than}."
    beyond, usual = (
        bool(probability_beyond_limits(side.log_probability, population, which)) for which in (limits, None)
    )
    outside = name, "probability", "reference population", percentile, QUANTILES[1], 100.0, beyond, text
    yield Deviation(*outside, is_allowed=usual and not beyond)


def describe_range(measure: str, quantiles: Sequence[float]) -> str:
    """A population's own range of a measure with its unit: `1.2 to 11.2 s`, or `at most 0.0%`.

    Args:
        measure (str): a key of [`MEASURES`].
        quantiles (sequence of float): those of the population, as [`describe_population`] keeps them.
    """
    low, high = quantiles[1], quantiles[-2]
    if measure in ("clipping", "tone_share"):
        return f"at most {high:.1%}"
    unit, digits = {"net_speech": ("s", 1), "snr": ("dB", 0), "bandwidth": ("kHz", 1)}[measure]
    return f"{low:.{digits}f} to {high:.{digits}f} {unit}"
