"""Gaps in sound, as lost packets of a call leave them: what is said of a recording that has many.

A gap of digital silence within a word is heard as a part of the voice, and many of them make voices of one speaker
seem different. `benchmarks/gaps.py` measures that, and how many recordings with and without lost packets are told of.
"""

from __future__ import annotations

import numpy as np

from balr_hf.audio import SAMPLING_RATE, LongAudio

# Seconds of a block, and the power (-90 dB of full scale) under which one is digital silence.
BLOCK, SILENT = 0.005, 1e-9
# Seconds that a gap lasts: what is shorter hardly matters, and longer ones are pauses, or left out of what is heard.
SHORTEST, LONGEST = 0.01, 0.125
# Decibels below the mean power of the recording that the sound right before and right after a gap has at least. Where
# a gate or a speaker makes a silence, the sound fades.
ABRUPT = 20.0
# Gaps per second of the recording from which they are told of, and how many there have to be.
RATE, FEWEST = 1.0, 3


def count_gaps(samples: np.ndarray) -> int:
    """How many short stretches of digital silence begin and end in the midst of sound.

    Args:
        samples (`(samples,)`): float32, mono, at 16 kHz.
    """
    size = round(BLOCK * SAMPLING_RATE)
    whole = len(samples) // size * size
    if not whole:
        return 0
    powers = samples[:whole].reshape(-1, size).var(axis=1, dtype=np.float64)  # without a constant offset
    silent = np.concatenate([[False], powers < SILENT, [False]]).astype(np.int8)
    edges = np.diff(silent)
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lasts = (last - first) * BLOCK
    within = (first > 1) & (last < len(powers) - 1) & (lasts >= SHORTEST) & (lasts <= LONGEST)
    first, last = first[within], last[within]
    loud = powers > powers.mean() * 10 ** (-ABRUPT / 10)
    # A gap begins and ends within a block, which is then half silent and half loud, or beside it.
    before, after = loud[first - 1] | loud[first - 2], loud[last] | loud[last + 1]
    return int((before & after).sum())


def describe_gaps(name: str, samples: np.ndarray | LongAudio) -> str | None:
    """Say that a recording has gaps as lost packets leave them; None if it has few.

    Args:
        name (str): of the recording.
        samples (`(samples,)`): float32, mono, at 16 kHz; or [`LongAudio`], which is looked at in its blocks.
    """
    blocks = samples.resampled(SAMPLING_RATE) if isinstance(samples, LongAudio) else [samples]
    gaps, length = 0, 0
    for block in blocks:
        gaps, length = gaps + count_gaps(block), length + len(block)
    if gaps < max(FEWEST, RATE * length / SAMPLING_RATE):
        return None
    return (
        f"{name} has {gaps} gaps of digital silence in the midst of sound, as lost packets of a call leave them: "
        "where many are in one recording only, voices of one speaker seem different."
    )
