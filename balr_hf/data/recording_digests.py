"""Digests by which recordings are known again, whatever they or their speakers are called in another corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh3_64_digest

from balr_hf.data.audio_behind import audio_keys
from balr_hf.data.columns import vector_matrix
from balr_hf.data.origins import packed_digests, sources_of

if TYPE_CHECKING:
    import datasets

# A recording has two numbers for its file, and one for each of so many groups of so many attributes: each attribute is
# in two of them. It is known again by its file, or by so many groups: the last digits of samples, which other formats
# change, change some attributes. From a digest of 32 bits alone, the 64 attributes of a group cannot be told, since
# 2^32 sets of them have it. Whoever has another recording of the speaker can guess well enough to find the right one
# of a few groups: see docs/hub.md.
GROUPS, GROUP, NEEDED = 16, 64, 2
KINDS = 2 + GROUPS
# Of how many recordings of a corpus digests are kept, 72 bytes each; of a larger one, those of so many, evenly spread.
MOST_KEPT = 2**18
# Of so many recordings or fewer, known ones are looked for one by one.
FEW = 16
# What a file's digest begins with.
_SHA256 = "sha256:"


def recording_digests(dataset: datasets.Dataset, read_files: bool = False) -> np.ndarray:
    """Digest each recording: the file that its audio was read from, and its attributes.

    A file is known by its bytes, as long as it is the same file. Attributes are nearly the same in another format
    without loss, and where no audio is at hand; not if the audio was coded anew, or cut.

    Args:
        dataset (`datasets.Dataset`): a corpus.
        read_files (bool): read the files whose digest was not noted when they were embedded.

    Returns:
        int32 `(rows, 18)`: two halves of a digest of the audio file's SHA-256, then a digest for each group of 64
        attributes; 0 where unknown.
    """
    digests = np.zeros((len(dataset), KINDS), dtype=np.int32)
    if "ba" in dataset.column_names:
        bits, present = vector_matrix(dataset, "ba")
        digests[present] = attribute_digests(bits)
    keys = audio_keys(dataset)
    if read_files:
        unknown = [row for row, key in enumerate(keys) if key is None or not key.startswith(_SHA256)]
        for row, source in zip(unknown, sources_of(dataset, "audio", unknown, quick=False), strict=True):
            keys[row] = source
    digests[:, :2] = file_digests(keys)
    return digests


def file_digests(sources: Sequence[str | None]) -> np.ndarray:
    """Digest the files of single recordings.

    Args:
        sources: what tells their audio apart, see [`audio_source`][balr_hf.data.audio_sources.audio_source].

    Returns:
        int32 `(recordings, 2)`: two halves of a digest of the file's SHA-256; 0 where that is not known.
    """
    digests = np.zeros((len(sources), 2), dtype=np.int32)
    for row, source in enumerate(sources):
        if source is not None and source.startswith(_SHA256):
            digests[row] = np.frombuffer(xxh3_64_digest(source.encode()), dtype="<i4")
    return digests


def attribute_digests(bits: np.ndarray) -> np.ndarray:
    """Digest the attributes of single recordings, of which no more is known.

    Args:
        bits (bool `(recordings, attributes)`): which attributes are active.

    Returns:
        int32 `(recordings, 18)`: as [`recording_digests`].
    """
    digests = np.zeros((len(bits), KINDS), dtype=np.int32)
    number = min(GROUPS // 2, bits.shape[1] // GROUP)
    if number < NEEDED:
        return digests
    side_by_side = bits[:, : number * GROUP].reshape(len(bits), number, GROUP)
    spread = bits[:, : number * GROUP].reshape(len(bits), GROUP, number).swapaxes(1, 2)
    for place, group in enumerate((*side_by_side.swapaxes(0, 1), *spread.swapaxes(0, 1))):
        digests[:, 2 + place] = np.frombuffer(packed_digests(group), dtype="<i4")[::2]
    return digests


def distinctive_digests(dataset: datasets.Dataset) -> np.ndarray:
    """The digests by which the recordings of a corpus are known again, those that several of them share left out.

    Args:
        dataset (`datasets.Dataset`): a corpus.

    Returns:
        int32 `(recordings, 18)`: as [`recording_digests`], without the recordings that nothing is known of; at most
        2^18 of them, evenly spread.
    """
    digests = recording_digests(dataset)
    _, first = np.unique(digests[:, :2], axis=0, return_index=True)
    again = np.setdiff1d(np.flatnonzero(digests[:, :2].any(1)), first)
    digests[again, 2:] = 0  # the same file under another id
    for column in digests[:, 2:].T:
        _, which, counts = np.unique(column, return_inverse=True, return_counts=True)
        column[counts[which.ravel()] > 1] = 0
    digests = digests[digests.any(1)]
    if len(digests) > MOST_KEPT:
        digests = digests[np.linspace(0, len(digests) - 1, MOST_KEPT).round().astype(int)]
    return digests


def known_again(digests: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Find the recordings that are among known ones.

    Args:
        digests (int32 `(recordings, 18)`): see [`recording_digests`].
        known (int32 `(others, 18)`): see [`distinctive_digests`].

    Returns:
        bool `(recordings,)`: whether a known one has the same file, or two groups of attributes that are the same.
    """
    files, others = (np.ascontiguousarray(found[:, :2]).view(np.int64)[:, 0] for found in (digests, known))
    same_file = np.isin(files, others) & (files != 0)
    if not len(known):
        return same_file
    rows = np.empty((len(digests), GROUPS), dtype=np.int64)  # of the known ones, by each group; -1 of none
    for group in range(GROUPS):
        column, wanted = known[:, 2 + group], digests[:, 2 + group]
        if len(wanted) <= FEW:  # for which sorting would take longer
            found = wanted[:, None] == column
            place, there = found.argmax(1), found.any(1)
        else:
            order = np.argsort(column)
            place = order[np.searchsorted(column, wanted, sorter=order).clip(max=len(column) - 1)]
            there = column[place] == wanted
        rows[:, group] = np.where(there & (wanted != 0), place, -1)
    rows.sort(axis=1)
    agree = (rows[:, NEEDED - 1 :] == rows[:, : GROUPS - NEEDED + 1]) & (rows[:, NEEDED - 1 :] >= 0)
    return same_file | agree.any(1)
