"""What of a recording is heard: long pauses are shortened, and digital silence is left out.

An embedding is of all frames of a recording, those between the words included, and many of them drown the speaker: of
recordings of LibriSpeech to which as much digital silence was added as there was sound, 80 % of the pairs of different
speakers had a likelihood ratio above 1. So only so much of a pause is heard as pauses have in the recordings that
models are made of. `benchmarks/pauses.py` measures both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.quality.net_speech import FRAME

# Seconds of a pause that are heard at most, next to the speech: half after the speech before, half before the next.
PAUSE = 1.0
# The power (-90 dB of full scale, below the last bit of 16) under which a frame of 32 ms is digital silence, and the
# number of such frames in a row from which they are left out.
SILENT, FRAMES = 1e-9, 4
# Seconds that are heard at least, so that there are enough frames to be embedded.
LEAST = 0.25

# From the first sample to the one after the last, of those at 16 kHz.
Stretch = tuple[int, int]


def frame_variances(samples: np.ndarray) -> np.ndarray:
    """The variance of each frame of 32 ms, float64 `(frames,)`; the last frame may be shorter."""
    whole = len(samples) // FRAME * FRAME
    variances = samples[:whole].reshape(-1, FRAME).var(axis=1, dtype=np.float64)
    return np.append(variances, samples[whole:].var(dtype=np.float64)) if len(samples) > whole else variances


def stretches_of(samples: np.ndarray, speech: Sequence[tuple[float, float]]) -> list[Stretch]:
    """The stretches of a recording in memory that are heard, as [`heard_stretches`] tells.

    Args:
        samples (`(samples,)`): at 16 kHz.
        speech: `(start, end)` of each stretch of speech in them, in seconds.
    """
    return heard_stretches(speech, frame_variances(samples), len(samples))


def heard_stretches(speech: Sequence[tuple[float, float]], variances: np.ndarray, num_samples: int) -> list[Stretch]:
    """The stretches of a recording that are heard, in their order.

    Where there is no speech at all, nothing is a pause; where less than `LEAST` would be left, all is heard.

    Args:
        speech: `(start, end)` of each stretch of speech, in seconds.
        variances (`(frames,)`): see [`frame_variances`].
        num_samples (int): at 16 kHz.
    """
    left_out = [*_pauses(speech, num_samples), *_silences(variances, num_samples)]
    stretches, place = [], 0
    for start, end in sorted(left_out):
        if start > place:
            stretches.append((place, start))
        place = max(place, end)
    if place < num_samples:
        stretches.append((place, num_samples))
    if sum(end - start for start, end in stretches) < LEAST * SAMPLING_RATE:
        return [(0, num_samples)]
    return stretches


def heard(samples: np.ndarray, stretches: Sequence[Stretch], sampling_rate: int = SAMPLING_RATE) -> np.ndarray:
    """The samples that are heard: float32 `(samples,)`; the very array, if all are.

    Args:
        samples (`(samples,)`): of the whole recording.
        stretches: see [`heard_stretches`].
        sampling_rate (int): of the samples, in Hz.
    """
    return heard_of_block(samples, 0, stretches, sampling_rate)


def heard_of_block(
    samples: np.ndarray, place: int, stretches: Sequence[Stretch], sampling_rate: int = SAMPLING_RATE
) -> np.ndarray:
    """Do what [`heard`] does, for samples that are a part of a recording.

    Args:
        samples, stretches, sampling_rate: as for [`heard`].
        place (int): how many samples of the recording come before them.
    """
    factor, end = sampling_rate / SAMPLING_RATE, place + len(samples)
    parts = []
    for number, stretch in enumerate(stretches):
        first, last = (round(edge * factor) for edge in stretch)
        if number == len(stretches) - 1 and stretch[1] * factor > end - factor:
            last = max(last, end)  # resampling rounds the number of samples up or down
        if last > place and first < end:
            parts.append(samples[max(0, first - place) : last - place])
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else samples[:0]


def seconds_of(stretches: Sequence[Stretch]) -> float:
    """How many seconds stretches have together."""
    return sum(end - start for start, end in stretches) / SAMPLING_RATE


def place_of(seconds: float, stretches: Sequence[Stretch]) -> float:
    """Where in a recording something is that was heard after so many seconds of what is heard, in seconds.

    Args:
        seconds (float): of what is heard.
        stretches: see [`heard_stretches`]; all is heard if there are none.
    """
    left = seconds * SAMPLING_RATE
    for start, end in stretches:
        if left <= end - start:
            return (start + left) / SAMPLING_RATE
        left -= end - start
    return stretches[-1][1] / SAMPLING_RATE if stretches else seconds


def _pauses(speech: Sequence[tuple[float, float]], num_samples: int) -> list[Stretch]:
    """What is left out of pauses that are too long."""
    if not speech:
        return []
    half, duration = PAUSE / 2, num_samples / SAMPLING_RATE
    between = [(end + half, start - half) for (_, end), (start, _) in pairwise(speech)]
    left_out = [(0.0, speech[0][0] - PAUSE), *between, (speech[-1][1] + PAUSE, duration)]
    return [(round(start * SAMPLING_RATE), round(end * SAMPLING_RATE)) for start, end in left_out if end > start]


def _silences(variances: np.ndarray, num_samples: int) -> list[Stretch]:
    """Runs of digital silence that are long enough to be left out."""
    silent = np.concatenate([[False], variances < SILENT, [False]]).astype(np.int8)
    edges = np.diff(silent)
    runs = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    return [
        (int(first) * FRAME, min(num_samples, int(last) * FRAME)) for first, last in runs if last - first >= FRAMES
    ]
