"""Recordings to listen to: of the speakers who show an attribute most, cut and coded for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.conditions.codec import encoded
from balr_hf.data.columns import vector_matrix
from balr_hf.describing.association import sums_of_speakers
from balr_hf.quality import load_measured

if TYPE_CHECKING:
    import datasets

# Seconds of a clip, from the first speech on, and how it is coded.
SECONDS, CODEC = 4.0, "opus:24k"


@dataclass(frozen=True)
class Example:
    """A recording in which an attribute is active.

    Attributes:
        recording: its id.
        speaker: who speaks.
        share: in which share of this speaker's recordings the attribute is active.
        of: of how many recordings.
    """

    recording: str
    speaker: str
    share: float
    of: int


def examples(dataset: datasets.Dataset, count: int) -> list[list[Example]]:
    """For each attribute, a recording of each of the speakers who show it most.

    Speakers with more recordings come first among those who show it equally often.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id`, `speaker` and `ba`.
        count (int): of how many speakers.

    Returns:
        a list for each attribute, of at most `count` examples.
    """
    bits, present = vector_matrix(dataset, "ba")
    named = np.array([speaker is not None for speaker in dataset["speaker"]])
    used = dataset.select(np.flatnonzero(present & named))
    bits, ids = bits[named[present]].astype(bool), used["id"]  # `bits` has rows for those present only
    names, codes = np.unique([str(speaker) for speaker in used["speaker"]], return_inverse=True)
    of = np.bincount(codes)
    shares = sums_of_speakers(bits, codes) / of[:, None]
    found = []
    for attribute in range(bits.shape[1]):
        order = np.lexsort((-of, -shares[:, attribute]))[:count]
        chosen = []
        for speaker in order[shares[order, attribute] > 0]:
            row = np.flatnonzero((codes == speaker) & bits[:, attribute])[0]
            share = float(shares[speaker, attribute])
            chosen.append(Example(ids[int(row)], str(names[speaker]), share, int(of[speaker])))
        found.append(chosen)
    return found


def clips(dataset: datasets.Dataset, recordings: Sequence[str]) -> dict[str, str]:
    """The beginnings of recordings as addresses (`data:audio/ogg;...`) that a page can hold and play.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id` and `audio`.
        recordings: ids.

    Raises:
        AudioError: a recording cannot be decoded.
        UserError: this build of FFmpeg has no Opus.
    """
    row_of = {name: row for row, name in enumerate(dataset["id"])}
    found = {}
    for name in dict.fromkeys(recordings):
        measured = load_measured(dataset[row_of[name]]["audio"])
        start = int((measured.speech[0][0] if measured.speech else 0.0) * SAMPLING_RATE)
        samples = measured.whole()[start : start + int(SECONDS * SAMPLING_RATE)]
        found[name] = "data:audio/ogg;base64," + base64.b64encode(encoded(samples, CODEC)).decode()
    return found
