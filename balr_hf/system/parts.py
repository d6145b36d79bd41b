"""Whether a recording holds one voice: the two parts of it that differ most are found, and compared.

A recording in which two people speak one after the other has one embedding, which is of neither. Its windows are
embedded and divided into two groups: at one point in time, one stretch of time from the others, and by their likeness.
Of these divisions, the one whose groups are least alike is taken, and each group is embedded as a whole, by its
features. Whoever speaks, two such groups are less alike than two recordings would be; `benchmarks/voices.py` measures
how often recordings of one speaker are taken for more, and how many of two speakers are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.passes import (
    FRAMES_PER_PASS,
    FRAMES_PER_PIECE,
    Embedder,
    LongRecording,
    embed_features,
    embed_in_pieces,
    features_of,
    num_frames,
)
from balr_hf.explanation.voices import ComparingScorer, OneVoice, Parts, compare_parts, shortest_part
from balr_hf.quality.pauses import place_of, seconds_of
from balr_hf.threads import on_threads

if TYPE_CHECKING:
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.domain import Limits

# Seconds of a window, and from the start of one to that of the next; and how many windows are looked at: those of a
# longer recording (from about five minutes) are further apart.
WINDOW, HOP, MOST = 2.56, 1.28, 240
# Seconds of a part at least. Among parts of 2.6 s, 4 % of recordings of one speaker would get no verdict.
LEAST = 3.2
# From how many windows on (47 s) one stretch is also compared with the others. In shorter recordings that finds no
# more of two speakers, and takes more of one speaker in several sessions for two.
STRETCHES_FROM = 36
# How often windows change their groups at most, until each is most like its own.
ROUNDS = 20


@torch.inference_mode()
def differing_parts(
    embedder: Embedder,
    autoencoder: BinaryAttributeAutoEncoder,
    recording: np.ndarray | LongRecording,
    stretches: Sequence[tuple[int, int]],
    device: torch.device,
    least: float = 0.0,
) -> Parts | None:
    """Find the two parts of a recording that differ most.

    Args:
        embedder: on `device`. One that comes from [`WespeakerModel.for_inference`] is faster.
        autoencoder: was trained on its embeddings.
        recording: what is heard of it, `(samples,)` at the embedder's rate, or [`LongRecording`].
        stretches: which stretches of it these are, in samples at 16 kHz, see [`balr_hf.quality.pauses`].
        device: where to compute.
        least (float): seconds that a part needs, if that is more than 3.2.

    Returns:
        None if the recording is too short for two parts.
    """
    extractor = embedder.feature_extractor
    frames, second = num_frames(recording, extractor), 1000 / extractor.frame_shift
    length = round(WINDOW * second)
    needed = round(max(LEAST, least) * second)
    if frames < 2 * needed or length < MIN_FRAMES:
        return None
    hop = max(1, round(HOP * second))
    count = min(MOST, 1 + -(-(frames - length) // hop))
    starts = np.linspace(0, frames - length, count).round().astype(int)
    windows = torch.stack(list(_windows(features_of(recording, extractor, device), starts, length)))
    votes = _Votes(starts, length, needed)
    per_pass = max(1, FRAMES_PER_PASS.get(device.type, FRAMES_PER_PIECE) // length)
    embedded = [embed_features(embedder, some, device) for some in windows.split(per_pass)]
    parts = _least_alike(torch.cat(embedded).cpu().double().numpy(), votes)
    if parts is None:
        return None
    ordered = sorted(parts, key=np.count_nonzero, reverse=True)
    heard = windows.flatten(0, 1)[torch.from_numpy(votes.first).to(device)]
    embeddings = torch.stack(
        [embed_in_pieces(embedder, [heard[torch.from_numpy(part).to(device)]], device) for part in ordered]
    )
    bits = autoencoder.encode(embeddings.to(autoencoder.device, autoencoder.dtype)).cpu().numpy()
    longer, shorter = (np.count_nonzero(part) / second for part in ordered)
    places = _runs(votes.frames[ordered[1]], hop, second, stretches)
    return Parts(bits, (float(longer), float(shorter)), tuple(places))


def one_voice_each(
    embedder: Embedder,
    autoencoder: BinaryAttributeAutoEncoder,
    scorer: ComparingScorer,
    recordings: Sequence[np.ndarray | LongRecording],
    stretches: Sequence[Sequence[tuple[int, int]]],
    quality: Sequence[Mapping[str, Any]],
    device: torch.device,
    limits: Limits | None = None,
) -> list[OneVoice | None]:
    """Ask of each recording whether one voice speaks in it: its two parts that differ most are compared.

    A part has at least as much speech as the recordings of the calibration. A CPU looks at each recording on a thread
    of its own.

    Args:
        embedder: on `device`. One that comes from [`WespeakerModel.for_inference`] is faster.
        autoencoder: was trained on its embeddings.
        scorer ([`Scorer`]): belongs to both; one of which [`can_compare_parts`] is true.
        recordings: what is heard of each, as [`differing_parts`] takes it.
        stretches: which stretches of it these are, as [`differing_parts`] takes them.
        quality: what was measured of each, as [`RecordingQuality.to_dict`] gives it.
        device: where to compute.
        limits ([`Limits`], *optional*): the defaults by default.

    Returns:
        What was found of each; None of one that is too short for two parts.
    """

    def one_voice(row: int) -> OneVoice | None:
        least = shortest_part(scorer, quality[row], seconds_of(stretches[row]))
        with torch.autocast(device.type, enabled=False):  # which the caller may be in
            parts = differing_parts(embedder, autoencoder, recordings[row], stretches[row], device, least)
        return None if parts is None else compare_parts(scorer, parts, quality[row], limits)

    rows = range(len(recordings))
    return [one_voice(row) for row in rows] if device.type in FRAMES_PER_PASS else on_threads(one_voice, rows)


class _Votes:
    """Which frames belong to which of two groups of windows: those of more windows of the one than of the other.

    Args:
        starts (`(windows,)`): the first frame of each window.
        length (int): frames of a window.
        needed (int): frames of a part at least.

    Attributes:
        frames: the frames that are in a window, `(frames,)` in ascending order.
        first: where each is first, among the frames of all windows.
    """

    def __init__(self, starts: np.ndarray, length: int, needed: int):
        self.length, self.needed = length, needed
        every = (starts[:, None] + np.arange(length)).ravel()
        self.frames, self.first, self._place = np.unique(every, return_index=True, return_inverse=True)

    def parts(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The frames of a group `(windows,)` and of the others, bool `(frames,)` each; None if one has too few."""
        votes = np.bincount(self._place, weights=np.repeat(np.where(group, 1.0, -1.0), self.length))
        parts = votes > 0, votes < 0
        return parts if min(map(np.count_nonzero, parts)) >= self.needed else None


def _windows(blocks: Iterator[torch.Tensor], starts: np.ndarray, length: int) -> Iterator[torch.Tensor]:
    """The features of windows, `(length, mel)` each, of features that come in blocks."""
    held, before, place = None, 0, 0  # `before` frames have been let go
    for block in blocks:
        held = block if held is None else torch.cat([held, block])
        while place < len(starts) and starts[place] + length <= before + len(held):
            yield held[starts[place] - before :][:length].clone()
            place += 1
        gone = min(starts[place] if place < len(starts) else before + len(held), before + len(held)) - before
        held, before = held[gone:], before + gone


def _least_alike(embeddings: np.ndarray, votes: _Votes) -> tuple[np.ndarray, np.ndarray] | None:
    """The parts whose windows `(windows, embed_dim)` are least alike; None if no two are long enough."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    in_time = [np.arange(len(units)) < place for place in range(1, len(units))]
    direction = np.linalg.svd(units - units.mean(0), full_matrices=False)[2][0]
    by_likeness = [_settled(units, (units - units.mean(0)) @ direction > 0)]
    sorted_in_time = sorted(in_time, key=lambda group: _likeness(units, group))
    first = next((group for group in sorted_in_time if votes.parts(group) is not None), None)
    if first is None:
        return None
    # A voice that is heard for a short time in a long recording is hidden in the mean of the half that it is in.
    odd = _odd_stretch(units, votes) if len(units) >= STRETCHES_FROM else None
    found = [first] if odd is None else [first, odd]
    by_likeness.extend(_settled(units, group) for group in found)
    candidates = [group for group in (*found, *by_likeness) if votes.parts(group) is not None]
    return votes.parts(min(candidates, key=lambda group: _likeness(units, group)))


def _odd_stretch(units: np.ndarray, votes: _Votes) -> np.ndarray | None:
    """The successive windows that are least like the others; None if none are long enough for a part."""
    sums = np.concatenate([np.zeros((1, units.shape[1])), np.cumsum(units, axis=0)])
    least, odd = np.inf, None
    for count in range(1, len(units) // 2 + 1):
        inside = sums[count:] - sums[:-count]
        outside = sums[-1] - inside
        likeness = (inside * outside).sum(1) / (np.linalg.norm(inside, axis=1) * np.linalg.norm(outside, axis=1))
        place = int(likeness.argmin())
        group = (np.arange(len(units)) >= place) & (np.arange(len(units)) < place + count)
        if likeness[place] < least and votes.parts(group) is not None:
            least, odd = likeness[place], group
    return odd


def _settled(units: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Let each window change to the group that it is most like, until none does (spherical k-means)."""
    for _ in range(ROUNDS):
        if group.all() or not group.any():
            break
        one, other = _means(units, group)
        moved = units @ one > units @ other
        if (moved == group).all():
            break
        group = moved
    return group


def _means(units: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, other = units[group].mean(0), units[~group].mean(0)
    return one / np.linalg.norm(one), other / np.linalg.norm(other)


def _likeness(units: np.ndarray, group: np.ndarray) -> float:
    """The cosine of the means of two groups of windows, neither of which is empty."""
    one, other = _means(units, group)
    return float(one @ other)


def _runs(
    frames: np.ndarray, gap: int, second: float, stretches: Sequence[tuple[int, int]]
) -> Iterator[tuple[float, float]]:
    """The stretches that frames make up, in seconds of the recording; those that are at most `gap` apart are one."""
    for run in np.split(frames, np.flatnonzero(np.diff(frames) > gap) + 1):
        yield place_of(float(run[0]) / second, stretches), place_of(float(run[-1] + 1) / second, stretches)
