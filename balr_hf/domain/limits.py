"""How far outside a population a case may lie, and which values lie further."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from balr_hf.errors import ConfigError

# The measures of recordings that are compared, and how a value is said.
MEASURES = {
    "net_speech": "{:.1f} s of speech",
    "snr": "an SNR of {:.0f} dB",
    "bandwidth": "a bandwidth of {:.1f} kHz",
    "clipping": "{:.1%} of its samples clipped",
    "tone_share": "{:.1%} of its power in a steady tone",
    "decay": "{:,.0f} dB/s as the decay of its fastest sounds",
}
# Of these, the limits that are factors; the others are differences.
FACTORS = ("net_speech", "decay")
# Of the measures, a case may have less, or more, than any population.
AT_MOST, AT_LEAST = ("clipping", "tone_share"), ("decay",)
# kHz: up to it, a band is that of a telephone call, or of a call at 8 kHz that kept its low frequencies.
NARROW = 4.2
# The limits that are percentiles.
PERCENTILES = ("probability", "overlapped", "speed", "room")
# The quantiles that are kept, in percent. A case lies inside from the second to the last but one.
QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)


@dataclass(frozen=True)
class Limits:
    """How far outside a population's own range a case may lie, before no verbal verdict is given.

    Attributes:
        net_speech, decay: factors, at least 1.
        snr: decibels.
        bandwidth: kilohertz.
        clipping, tone_share: shares of 1.
        probability: the percentile of the reference recordings below which attributes are too improbable.
        recordings: recordings a side, more or fewer.
        snr_difference: decibels, by which the two sides differ more than those of the population's trials.
        bandwidth_difference: kilohertz, likewise.
        filtered: a share of 1: where more of the population's recordings with the band of a call are copies that were
            made so, by a filter or a coder, a call gets no verdict.
        voices: how many times more probable the two parts of a recording that differ most may be if different people
            speak in them; a factor, at least 1.
        overlapped: the percentile of recordings of one voice, by how much they sound like people who speak at the
            same time, below which a recording gets no verdict.
        speed: the percentile of recordings at the speed of the speaker, by how much they sound like speech that is
            played faster or slower, below which a recording gets no verdict.
        room: the percentile of usual recordings, by how reverberant they sound, below which a recording gets no
            verdict.
    """

    net_speech: float = 1.25
    snr: float = 1.5
    bandwidth: float = 0.5
    clipping: float = 0.01
    tone_share: float = 0.05
    probability: float = 0.5
    recordings: float = 0
    voices: float = 2
    snr_difference: float = 3
    bandwidth_difference: float = 1
    filtered: float = 0.5
    overlapped: float = 1
    speed: float = 1
    room: float = 1
    decay: float = 1.05

    @classmethod
    def parse(cls, text: str) -> Limits:
        """Read `snr=6,net_speech=2`; what is not named keeps its default.

        Raises:
            ConfigError: an unknown name, no number, or one that is out of range.
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
        for names, most, what in ((PERCENTILES, 100, "percentiles"), ((*AT_MOST, "filtered"), 1, "shares of 1")):
            beyond = [f"{name}={values[name]:g}" for name in names if values.get(name, 0) > most]
            if beyond:
                raise ConfigError(f"limits: {', '.join(beyond)}: expected {what}, at most {most}")
        factors = [values.get(name, 1) for name in (*FACTORS, "voices")]
        if any(not value >= 0 for value in values.values()) or any(not value >= 1 for value in factors):
            raise ConfigError(
                "limits: expected numbers of 0 or more, and for net_speech, voices and decay a factor of at least 1"
            )
        return cls(**values)

    def describe(self) -> str | None:
        """Which limits are not the default ones, and what those are: `snr 6 (default 1.5)`; None if all are."""
        values = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        changed = [f"{name} {value:g} (default {usual:g})" for name, value, usual in values if value != usual]
        return "; ".join(changed) or None


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
    values = in_unit(measure, np.asarray(values, dtype=np.float64))
    if quantiles is None:
        return np.zeros(values.shape, dtype=bool)
    low, high = own_range(measure, quantiles)
    margin = getattr(limits or Limits(), measure)
    least, most = (low / margin, high * margin) if measure in FACTORS else (low - margin, high + margin)
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
    return np.interp(values, quantiles, QUANTILES) < (limits or Limits()).probability


def filtered_beyond_limits(
    bandwidths: np.ndarray, population: Mapping[str, Any], limits: Limits | None = None
) -> np.ndarray:
    """Which recordings have the band of a call, where too many of a population have it by a filter alone.

    Args:
        bandwidths (np.ndarray of shape `(recordings,)`): in Hz; NaN where one is not known.
        population: its description; `filtered` is the share of those of its recordings with such a band that are
            copies which were made so.
        limits ([`Limits`], *optional*): the defaults by default.

    Returns:
        bool `(recordings,)`.
    """
    narrow = is_narrow(np.asarray(bandwidths, dtype=np.float64))
    return narrow & (population.get("filtered", 0.0) > (limits or Limits()).filtered)


def is_narrow(bandwidths: Any) -> Any:
    """Whether a bandwidth in Hz, or each of an array, is that of a call: bool, and False for NaN."""
    return in_unit("bandwidth", bandwidths) <= NARROW


def named(measure: str) -> str:
    """How a measure, or what else describes a side, is called in a line."""
    return "SNR" if measure == "snr" else measure.replace("_", " ")


def in_unit(measure: str, values: Any) -> Any:
    """Measures in the unit that they are compared and said in: bandwidth in kHz."""
    return values / 1000 if measure == "bandwidth" else values


def own_range(measure: str, quantiles: Sequence[float]) -> tuple[float, float]:
    """The ends of a population's own range of a measure.

    Less of a disturbance than the population has is none: less clipping and weaker tones, and sounds that end faster.
    """
    low = 0.0 if measure in AT_MOST else quantiles[1]
    return low, math.inf if measure in AT_LEAST else quantiles[-2]
