"""Which bands and stretches of time an attribute changes with, when they are replaced by the recording's mean."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf.audio import SAMPLING_RATE
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.feature_extraction_wespeaker import LOWEST_FREQUENCY
from balr_hf.errors import ConfigError
from balr_hf.quality import MIN_SPEECH, heard_of_block
from balr_hf.quality.pauses import place_of, seconds_of
from balr_hf.timeline.windows import excerpt, speech_shares

if TYPE_CHECKING:
    from balr_hf.timeline.activations import Activations, System
    from balr_hf.timeline.recordings import Recording

# How many bands the mel filters are joined to; the length of a stretch of time in seconds, unless there would be more
# of them than the most; and how many seconds of a recording are looked at. Together they bound the cost: at most
# 1 + (8 + 1) * (16 + 1) - 1 = 153 passes of 20 s.
BANDS, STRETCH, MOST_STRETCHES, SECONDS = 8, 0.5, 16, 20.0


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """The activations of a recording in which bands, stretches of time, and cells of both are replaced by the mean.

    Attributes:
        bands (float64 of shape `(bands + 1,)`): the edges of the bands in Hz. The filters at an edge overlap.
        stretches (float64 of shape `(stretches + 1,)`): the edges of the stretches in seconds of the recording.
        duration (float): of the recording, in seconds.
        activations (float32 of shape `(attributes,)`): those of what is looked at, with nothing replaced.
        cells (float32 of shape `(attributes, bands, stretches)`): with one band of one stretch replaced.
        whole_bands (float32 of shape `(attributes, bands)`): with one band replaced all the time.
        whole_stretches (float32 of shape `(attributes, stretches)`): with all bands of one stretch replaced.
    """

    bands: np.ndarray
    stretches: np.ndarray
    duration: float
    activations: np.ndarray
    cells: np.ndarray
    whole_bands: np.ndarray
    whole_stretches: np.ndarray

    @property
    def is_excerpt(self) -> bool:
        """Whether only a part of the recording was looked at, since it is longer."""
        return bool(self.stretches[-1] - self.stretches[0] < self.duration - 1.0)

    def relative(self, attribute: int) -> np.ndarray:
        """How an attribute's activation changes, relative to its size.

        Args:
            attribute (int): its number.

        Returns:
            float64 of shape `(bands + 1, stretches + 1)`. The last row is of all bands together, the last column of
            the whole time, and their corner is NaN. 0 is no change, below 0 the activation came closer to the
            threshold, at -1 it is there, and below -1 the attribute has flipped.
        """
        whole = float(self.activations[attribute]) or math.nan
        bands, stretches = len(self.bands), len(self.stretches)
        changed = np.full((bands, stretches), np.nan)
        changed[:-1, :-1] = self.cells[attribute]
        changed[:-1, -1] = self.whole_bands[attribute]
        changed[-1, :-1] = self.whole_stretches[attribute]
        return changed / whole - 1

    def flips(self, attribute: int) -> np.ndarray:
        """Where replacing flips an attribute: bool of shape `(bands + 1, stretches + 1)`, as for `relative`."""
        return self.relative(attribute) < -1


def occlusion_map(
    system: System, recording: Any, bands: int = BANDS, seconds: float = SECONDS, min_speech: float = MIN_SPEECH
) -> OcclusionMap:
    """Find which bands and stretches of time attributes change with.

    The embedder's features are log mel filter banks. In each band of each stretch they are replaced by their mean over
    what is looked at, filter by filter, and the activations are computed anew; so they are with a band replaced all
    the time, and with all bands of a stretch replaced. There is no chance in it. Stretches are 0.5 s long, or longer
    where there would be more than 16 of them. With 8 bands this takes at most 153 passes through the embedder, and of
    a recording that is longer than `seconds`, only the `seconds` with most speech are looked at, the first such. Long
    pauses are shortened, as where recordings are compared; they lie in the stretches beside them.

    It is not shown what an attribute means: an embedder never saw recordings with such holes, louder stretches change
    more than others, and a band matters because the channel has it as well as because the voice has it.

    Args:
        system ([`SpeakerComparisonModel`] or [`SystemParts`]): makes the attributes, on the device that its embedder
            is on.
        recording: as for [`load_audio`], or the samples at the embedder's rate (array or tensor).
        bands (int): into how many bands, of as many mel filters each as possible, the spectrum is divided.
        seconds (float): how much of the recording is looked at, at least 1 s.
        min_speech (float): seconds of net speech that the recording needs; 0 takes anything that is not silent.

    Returns:
        [`OcclusionMap`] of all attributes.

    Raises:
        ConfigError: `bands` or `seconds` is out of range.
        AudioError: the recording cannot be decoded or used, or is longer than two hours.

    Reference:
        M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 4.2.

    Example:
        >>> from balr_hf import SpeakerComparisonModel
        >>> from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
        >>> system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
        >>> found = occlusion_map(system, resource(SAMPLE_CORPUS) / "espeak17/espeak17-01.opus", bands=2, seconds=1)
        >>> found.cells.shape, found.whole_bands.shape, found.relative(0).shape
        ((512, 2, 2), (512, 2), (3, 3))
    """
    from balr_hf.timeline.activations import Activations
    from balr_hf.timeline.recordings import Recording

    activations = Activations(system)
    filters = activations.extractor.num_mel_bins
    if not 1 <= bands <= filters:
        raise ConfigError(f"bands={bands}: expected 1 to {filters}, the number of mel filters")
    if not seconds >= 1:
        raise ConfigError(f"seconds={seconds}: expected at least 1")
    loaded = Recording.load(recording, activations.extractor, min_speech)
    return map_of(activations, loaded, bands, seconds)


def map_of(
    activations: Activations, recording: Recording, bands: int = BANDS, seconds: float = SECONDS
) -> OcclusionMap:
    """Find which bands and stretches of a loaded recording attributes change with; see [`occlusion_map`]."""
    extractor, rate = activations.extractor, recording.sampling_rate
    start, length = _with_most_speech(recording, seconds)
    whole = excerpt(recording.blocks(), round(start * rate), round(length * rate))
    samples = heard_of_block(whole, round(start * rate), recording.stretches, rate)
    if extractor.num_frames(len(samples)) < MIN_FRAMES:  # there is no speech at all, and silence where it begins
        samples, recording = whole, replace(recording, stretches=())
    features = extractor(samples, rate, activations.device)["input_features"]
    frames, filters = features.shape[1:]
    columns = min(MOST_STRETCHES, max(1, round(len(samples) / rate / STRETCH)))
    rows_at, columns_at = _divided(filters, bands), _divided(frames, columns)
    slices = [[slice(first, last) for first, last in pairwise(at.tolist())] for at in (rows_at, columns_at)]
    everything = [slice(None)]
    holes = [
        *((band, stretch) for band in slices[0] for stretch in slices[1]),
        *((band, stretch) for band in slices[0] for stretch in everything),
        *((band, stretch) for band in everything for stretch in slices[1]),
    ]
    replaced = _replaced(features[0], holes)
    found = [activations.of_features(features)]
    while batch := list(islice(replaced, activations.recordings_per_pass(frames))):
        found.append(activations.of_features(torch.stack(batch)))
    values = np.concatenate(found).T
    cells, whole_bands, whole_stretches = np.split(values[:, 1:], [bands * columns, bands * columns + bands], axis=1)
    return OcclusionMap(
        bands=_edges(rows_at, filters, rate / 2),
        stretches=_places(columns_at[1:-1] * extractor.shift_samples / rate, start, len(whole) / rate, recording),
        duration=recording.duration,
        activations=values[:, 0],
        cells=cells.reshape(len(values), bands, columns),
        whole_bands=whole_bands,
        whole_stretches=whole_stretches,
    )


def _with_most_speech(recording: Recording, seconds: float) -> tuple[float, float]:
    """The start and the length of what is looked at, in seconds."""
    if recording.duration <= seconds:
        return 0.0, recording.duration
    starts = np.arange(0, recording.duration - seconds, 1.0)
    return float(starts[speech_shares(starts, seconds, recording.speech).argmax()]), seconds


def _places(edges: np.ndarray, start: float, length: float, recording: Recording) -> np.ndarray:
    """Where stretches of what is looked at begin in the recording, and where the last one ends, in seconds.

    Args:
        edges (float64 `np.ndarray`): between the stretches, in seconds of what is left without the long pauses.
        start (float), length (float): of what is looked at, in seconds of the recording.
        recording: it; without stretches, nothing was left out.
    """
    end = round(start * SAMPLING_RATE)
    if not recording.stretches:
        return np.array([start, *(start + edges), start + length])
    before = seconds_of([(first, min(last, end)) for first, last in recording.stretches if first < end])
    inside = [place_of(before + float(edge), recording.stretches) for edge in edges]
    return np.array([start, *inside, start + length])


def _divided(number: int, parts: int) -> np.ndarray:
    """Where equal parts of so many rows begin, and the end: int `(parts + 1,)`."""
    return np.linspace(0, number, parts + 1).round().astype(int)


def _replaced(features: torch.Tensor, holes: list[tuple[slice, slice]]) -> Iterator[torch.Tensor]:
    """The features `(frames, mel)` with one band of one stretch after the other replaced by their mean."""
    mean = features.mean(0)
    for band, stretch in holes:
        changed = features.clone()
        changed[stretch, band] = mean[band]
        yield changed


def _edges(at: np.ndarray, filters: int, highest: float) -> np.ndarray:
    """The frequencies in Hz halfway, in mel, between the peaks of neighbouring filters; the ends are those of all."""
    lowest, top = (1127 * np.log1p(f / 700) for f in (LOWEST_FREQUENCY, highest))
    peaks = np.where(at == 0, 0.0, np.where(at == filters, filters + 1, at + 0.5))
    return 700 * np.expm1((lowest + peaks * (top - lowest) / (filters + 1)) / 1127)
