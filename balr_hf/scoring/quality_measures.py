"""Quality measure functions: what the recordings of a trial say of how far its score can be trusted.

A calibration with quality measures adds a term for each of them to the weighted score, so that recordings with little
speech, much noise or different channels get the offset that such recordings need.

Reference:
    D. Garcia-Romero, J. Fierrez-Aguilar, J. Gonzalez-Rodriguez and J. Ortega-Garcia, "Using quality measures for
    multilevel speaker recognition", Computer Speech and Language 20, 2006.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from balr_hf.data.columns import comparable_name
    from balr_hf.data.quality import quality_by_name

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    pass  # there is no corpus there to read measures from

# What is known of a side: mean net speech in seconds, mean signal-to-noise ratio in dB, mean bandwidth in kHz, and how
# many recordings it has.
SIDE = ("net_speech", "snr", "bandwidth", "recordings")
# The measures of a trial, and how their values are said, in the unit of `SIDE`. Of each quantity both sides count:
# noise on both of them raises scores, noise on one of them lowers them, and so it is with bandwidth.
NAMES = (
    *("least_speech", "most_speech", "least_snr", "most_snr", "least_bandwidth", "bandwidth_difference"),
    "recordings",
)
WORDS = (
    "side with less speech, {:.1f} s",
    "side with more speech, {:.1f} s",
    "noisier side, SNR {:.0f} dB",
    "less noisy side, SNR {:.0f} dB",
    "narrower side, {:.1f} kHz",
    "difference of bandwidth, {:.1f} kHz",
    "recordings a side, {:.1f}",
)
# Seconds: no logarithm is taken of less.
LEAST_SPEECH = 0.1
# Decibels: a recording with a higher signal-to-noise ratio is as good as one with this.
HIGHEST_SNR = 30.0


def recordings_quality(recordings: Sequence[Mapping[str, Any] | None], number: int | None = None) -> np.ndarray:
    """What is known of a side of some recordings.

    Args:
        recordings: what was measured of each, as [`RecordingQuality.to_dict`] gives it; None where nothing was.
        number (int, *optional*): how many recordings the side has, if some of them are not among these.

    Returns:
        float64 `(4,)`, in the order of `SIDE`; NaN for what is not known of every recording.
    """
    number = len(recordings) if number is None else number
    if len(recordings) < number or not recordings:
        return np.array([np.nan, np.nan, np.nan, number])
    values = np.array(
        [[np.nan if row is None or row[name] is None else row[name] for name in SIDE[:3]] for row in recordings],
        dtype=np.float64,
    ).mean(0)
    return np.array([values[0], values[1], values[2] / 1000, number])


def sides_quality(dataset: "datasets.Dataset", sides: Sequence[Sequence[str]]) -> np.ndarray:
    """What is known of each side of a trial list.

    Args:
        dataset (`datasets.Dataset`): the corpus, with what was measured of its recordings, if that is known.
        sides: the ids of the recordings of each side.

    Returns:
        float64 `(sides, 4)`, in the order of `SIDE`; NaN for what is not known.
    """
    known = quality_by_name(dataset)
    return np.stack([recordings_quality([known.get(comparable_name(name)) for name in side]) for side in sides])


def trial_quality(enroll: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The values of the measures of trials, in the units in which they are said.

    Args:
        enroll (`(trials, 4)`): what is known of one side, in the order of `SIDE`.
        test (`(trials, 4)`): of the other.

    Returns:
        float64 `(trials, 7)`, in the order of `NAMES`: seconds, dB, kHz, and the geometric mean of the numbers of
        recordings.
    """
    enroll, test = np.asarray(enroll, dtype=np.float64), np.asarray(test, dtype=np.float64)
    less, more = np.minimum(enroll, test), np.maximum(enroll, test)
    both = [values[..., measure] for measure in (0, 1) for values in (less, more)]
    recordings = np.sqrt(enroll[..., 3] * test[..., 3])
    return np.stack([*both, less[..., 2], more[..., 2] - less[..., 2], recordings], -1)


def quality_functions(values: np.ndarray) -> np.ndarray:
    """What the calibration takes: logarithms of seconds and of numbers of recordings, dB up to 30, and kHz.

    Args:
        values (`(trials, 7)`): of [`trial_quality`].

    Returns:
        float64 `(trials, 7)`.
    """
    values = np.array(values, dtype=np.float64)
    values[..., :2] = np.log(np.maximum(values[..., :2], LEAST_SPEECH))
    values[..., 2:4] = np.minimum(values[..., 2:4], HIGHEST_SNR)
    values[..., -1] = np.log(np.maximum(values[..., -1], 1.0))
    return values


def unknown_sides(sides: np.ndarray) -> np.ndarray:
    """Of which sides `(sides, 4)` something is not known: bool `(sides,)`."""
    return np.isnan(sides).any(-1)
