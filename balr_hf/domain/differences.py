"""How much the two sides of a trial differ in what was measured of them, and by how much they may.

Noise on one side only, or a telephone on one side only, makes the voices of one speaker seem different. A calibration
knows how much only if its own trials compare such recordings. That each kind is among its recordings is not enough:
in a corpus of telephone calls and of interviews, no trial need compare a call with an interview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from balr_hf.domain.limits import QUANTILES, Limits

# The measures whose differences between two sides are compared, and how a difference is said.
DIFFERENCES = {
    "snr": "The signal-to-noise ratios of A and B, of which what is above 30 dB does not count, differ by {}",
    "bandwidth": "The bandwidths of A and B differ by {}",
}
UNITS = {"snr": "{:.0f} dB", "bandwidth": "{:.1f} kHz"}
# Decibels: noise that is fainter matters no more, so that differences above it are none.
HIGHEST_SNR = 30.0


def side_measures(quality: Sequence[Mapping[str, Any] | None], recordings: int) -> np.ndarray:
    """What is known of a side: the means of its recordings.

    Args:
        quality: the measures of each recording that was measured, as [`RecordingQuality.to_dict`] gives them.
        recordings (int): how many recordings the side has.

    Returns:
        float64 `(2,)`, in the order of `DIFFERENCES`, dB of at most 30 and kHz; NaN for what is not known of every
        recording.
    """
    if len(quality) < recordings or not quality:
        return np.full(len(DIFFERENCES), np.nan)
    return sides_measures(quality, np.array([len(quality)]))[0]


def sides_measures(quality: Sequence[Mapping[str, Any] | None], recordings: np.ndarray) -> np.ndarray:
    """What is known of each of many sides; see [`side_measures`].

    Args:
        quality: the measures of all recordings of the first side, of the second, ...; None where one was not measured.
        recordings (np.ndarray of shape `(sides,)`): how many recordings each side has.

    Returns:
        float64 `(sides, 2)`.
    """
    found = [[np.nan if row is None or row[name] is None else row[name] for name in DIFFERENCES] for row in quality]
    values = np.minimum(np.array(found, dtype=np.float64), [HIGHEST_SNR, np.inf])
    return np.add.reduceat(values, np.cumsum(recordings) - recordings) / recordings[:, None] / [1, 1000]


def describe_differences(measures: np.ndarray, trials: tuple[np.ndarray, np.ndarray], same: np.ndarray) -> dict:
    """By how much the two sides of trials differ, in numbers that JSON can hold.

    Args:
        measures (np.ndarray of shape `(sides, 2)`): of [`side_measures`].
        trials: the numbers of the sides of each trial, two arrays `(trials,)`.
        same (bool `(trials,)`): whether a trial is of one speaker.

    Returns:
        For each measure, the quantiles of the differences of same-speaker and of different-speaker trials, where both
        are known.
    """
    found: dict[str, dict[str, list[float]]] = {}
    between = np.abs(measures[trials[0]] - measures[trials[1]])
    for name, values in zip(DIFFERENCES, between.T, strict=True):
        known = ~np.isnan(values)
        if (known & same).any() and (known & ~same).any():
            found[name] = {
                kind: np.percentile(values[known & mask], QUANTILES).round(4).tolist()
                for kind, mask in (("same_speaker", same), ("different_speaker", ~same))
            }
    return found


def largest_difference(measure: str, population: Mapping[str, Any]) -> tuple[float, str] | None:
    """The largest difference that trials of both kinds have, but for one in a hundred.

    Args:
        measure (str): a key of `DIFFERENCES`.
        population: a description by [`describe_population`].

    Returns:
        `(difference, kind)`: in dB or kHz, and of which trials it is, that have the smaller one: `same-speaker` or
        `different-speaker`. None where it is not known.
    """
    quantiles = population.get("differences", {}).get(measure)
    if quantiles is None:
        return None
    return min((values[-2], kind.replace("_", "-")) for kind, values in quantiles.items())


def differences_beyond_limits(
    measure: str, differences: np.ndarray, population: Mapping[str, Any], limits: Limits | None = None
) -> np.ndarray:
    """Which trials compare sides that differ by more than the limits allow.

    Args:
        measure (str): a key of `DIFFERENCES`.
        differences (np.ndarray of shape `(trials,)`): between [`side_measures`]; NaN where one is not known.
        population, limits: as for [`measure_beyond_limits`].

    Returns:
        bool `(trials,)`: False where the difference, or that of the population's trials, is not known.
    """
    found = largest_difference(measure, population)
    if found is None:
        return np.zeros(np.shape(differences), dtype=bool)
    return np.asarray(differences) > found[0] + getattr(limits or Limits(), f"{measure}_difference")
