"""From waveforms to embeddings: recordings one by one on threads of a CPU, together in padded passes on a GPU."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from balr_hf.audio import SAMPLING_RATE, AudioError, LongAudio, reason_not_decoded, resample
from balr_hf.data.audio_sources import audio_source, audio_stat
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES, SHRINKING
from balr_hf.errors import UserError
from balr_hf.quality import (
    MIN_SPEECH,
    Measured,
    RecordingQuality,
    heard,
    heard_of_block,
    measure_long,
    measure_recording,
    open_recording,
    reason_to_refuse,
    stretches_of,
)
from balr_hf.threads import on_threads

if TYPE_CHECKING:
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

Item = TypeVar("Item")
Result = TypeVar("Result")


class Stream(Protocol):
    """What embeds one recording whose features come in blocks; an [`EmbeddingStream`] has all of it."""

    def add(self, features: torch.Tensor) -> None: ...

    def finish(self) -> torch.Tensor: ...

    def statistics(self) -> torch.Tensor: ...


class Embedder(Protocol):
    """What extraction needs of an embedder; [`WespeakerModel`] has all of it."""

    config: "WespeakerConfig"
    feature_extractor: "WespeakerFeatureExtractor"

    @property
    def device(self) -> torch.device: ...

    def __call__(self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any: ...

    def for_inference(self) -> "Embedder": ...

    def streamed(self, frames_per_piece: int) -> "Stream": ...

    @property
    def to(self) -> Callable[..., Any]: ...

    def state_dict(self) -> dict[str, torch.Tensor]: ...


# How many frames (padding included) one forward pass on a GPU takes: many, so that the GPU is busy. On any other
# device each recording has a pass of its own.
FRAMES_PER_PASS = {"cuda": 60_000, "mps": 12_000}
# How many frames of one recording (a minute) go through the convolutions at once on other devices. A longer recording
# takes no more memory: it goes through in pieces.
FRAMES_PER_PIECE = 6_000
# The recordings of a pass on a GPU are padded to one of so many numbers of frames to an octave, all multiples of
# `SHRINKING`: convolutions are set up for each new size, which takes longer than a pass.
LENGTHS_PER_OCTAVE = 4
# The setting of torch by which cuDNN looks closer at which of its ways to convolve is the fastest. Without
# it an H100 took 17 times as long in fp32. Torch reads it once, at the first convolution of a process.
CUDNN_CHOICE = "TORCH_CUDNN_USE_HEURISTIC_MODE_B"
# What the convolutions compute in. tf32 concerns NVIDIA GPUs; elsewhere it is fp32.
PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class LongRecording:
    """A recording that can be embedded, but is too long to be held in memory.

    Attributes:
        audio: the recording, which is decoded again while it is embedded.
        stretches: which of it are heard, see [`heard_stretches`].
        frames: how many frames of features these have.
        mean: their mean `(num_mel_bins,)`, which is to be removed; 0 if the features keep it.
    """

    audio: LongAudio
    stretches: Sequence[tuple[int, int]]
    frames: int
    mean: torch.Tensor

    def heard(self, sampling_rate: int) -> Iterator[np.ndarray]:
        """Go through the samples that are heard, at a rate in Hz: float32 `(samples,)` each."""
        place = 0
        for samples in self.audio.resampled(sampling_rate):
            yield heard_of_block(samples, place, self.stretches, sampling_rate)
            place += len(samples)


@dataclass(frozen=True)
class Loaded:
    """A recording that is to be embedded, or why it cannot be.

    Attributes:
        samples: what is heard of it (see [`heard_stretches`]), float32 `(samples,)` at the embedder's rate, or
            [`LongRecording`]; None if it cannot be used.
        quality: its measures; None if it could not be decoded.
        reason: why it cannot be used; None if it can.
        source: what tells its audio apart from other audio; see [`balr_hf.data.audio_sources.audio_source`].
        starved: whether it could not be used because memory lacked, so that it is worth another try.
        stat: the size and the time of change of its file before it was read; see
            [`balr_hf.data.audio_sources.audio_stat`].
        whole: the recording with its pauses, float32 `(samples,)` at the embedder's rate, or [`LongAudio`].
        channels: how many channels were averaged; 1 if all are the same.
        stretches: which of `whole` are in `samples`, see [`heard_stretches`].
    """

    samples: np.ndarray | LongRecording | None
    quality: RecordingQuality | None
    reason: str | None
    source: str = ""
    starved: bool = False
    stat: str = ""
    whole: np.ndarray | LongAudio | None = None
    channels: int = 1
    stretches: Sequence[tuple[int, int]] = ()


def load_usable(
    audio: Any, extractor: "WespeakerFeatureExtractor", min_speech: float = MIN_SPEECH, quick: bool = False
) -> Loaded:
    """Decode and measure a recording, and tell whether it can be embedded.

    Args:
        audio: as for [`load_audio`].
        extractor: makes the embedder's features.
        min_speech (float): seconds of net speech that it needs; 0 takes anything that is not silent.
        quick (bool): tell its audio apart by the file's size and time of change.
    """
    try:
        return _load_usable(audio, extractor, min_speech, quick)
    except UserError as error:
        if not isinstance(error, AudioError):  # it concerns every recording: a package is missing
            raise
        return Loaded(None, None, str(error), starved=error.starved)
    except Exception as error:
        lacking = _tells_of_memory(error)
        return Loaded(None, None, reason_not_decoded(MemoryError() if lacking else error), starved=lacking)


def _load_usable(audio: Any, extractor: "WespeakerFeatureExtractor", min_speech: float, quick: bool) -> Loaded:
    stat = audio_stat(audio)  # before it is read: a file that is replaced meanwhile differs from it afterwards
    opened, channels = open_recording(audio)
    if isinstance(opened, LongAudio):
        quality, _, stretches = measure_long(opened)
        reason = reason_to_refuse(quality, min_speech)
        if reason is not None:
            return Loaded(None, quality, reason)
        recording, source = long_recording(opened, stretches, extractor), audio_source(audio, quick)
        return Loaded(recording, quality, None, source, False, stat, opened, channels, stretches)
    original, rate = opened
    samples = resample(original, rate, extractor.sampling_rate)
    if extractor.num_frames(len(samples)) < MIN_FRAMES:
        milliseconds = extractor.frame_length + (MIN_FRAMES - 1) * extractor.frame_shift
        length = 1000 * len(samples) / extractor.sampling_rate
        return Loaded(None, None, f"too short: {length:.0f} ms of at least {milliseconds} ms")
    same_rate = extractor.sampling_rate == SAMPLING_RATE
    measured = samples if same_rate else resample(original, rate, SAMPLING_RATE)
    quality, speech = measure_recording(measured, original, rate)
    reason = reason_to_refuse(quality, min_speech)
    if reason is not None:
        return Loaded(None, quality, reason)
    stretches = stretches_of(measured, speech)
    kept = heard(samples, stretches, extractor.sampling_rate)
    return Loaded(kept, quality, None, audio_source(audio, quick), False, stat, samples, channels, stretches)


def heard_recording(measured: Measured, extractor: "WespeakerFeatureExtractor") -> "np.ndarray | LongRecording":
    """What is heard of a measured recording, as [`Loaded`] has it.

    Args:
        measured: the recording.
        extractor: makes the embedder's features.
    """
    if isinstance(measured.samples, LongAudio):
        return long_recording(measured.samples, measured.stretches, extractor)
    samples = resample(measured.samples, SAMPLING_RATE, extractor.sampling_rate)
    return heard(samples, measured.stretches, extractor.sampling_rate)


def long_recording(
    audio: LongAudio, stretches: Sequence[tuple[int, int]], extractor: "WespeakerFeatureExtractor"
) -> LongRecording:
    """Find the mean of the features of a recording that is not held in memory.

    Args:
        audio: the recording.
        stretches: which of it are heard, see [`heard_stretches`].
        extractor: makes the embedder's features.
    """
    recording = LongRecording(audio, stretches, 0, torch.zeros(extractor.num_mel_bins))
    banks, total, frames = extractor.streamed(), torch.zeros(extractor.num_mel_bins, dtype=torch.float64), 0
    for samples in recording.heard(extractor.sampling_rate):
        features = banks.add(samples)
        total, frames = total + features.sum(0, dtype=torch.float64), frames + len(features)
    mean = total / frames if extractor.normalize_mean else torch.zeros_like(total)
    return replace(recording, frames=frames, mean=mean.float())


def embed_waveforms(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    waveforms: Sequence[np.ndarray | LongRecording],
    device: torch.device,
    precision: str = "fp32",
) -> np.ndarray:
    """Embed recordings: on a CPU each on a thread of its own, on a GPU those of similar length in one pass.

    Recordings of more than a pass (on a CPU, of more than a minute) go through the convolutions in pieces, so that
    memory does not grow with their length.

    Args:
        model: the embedder, on `device`. One that comes from [`WespeakerModel.for_inference`] is faster.
        extractor: makes the embedder's features.
        waveforms (np.ndarray of shape `(samples,)` each, or [`LongRecording`]): samples in [-1, 1] at the
            extractor's rate.
        device: where to compute.
        precision (str): `fp32`, `tf32` or `bf16`.

    Returns:
        float32 of shape `(recordings, embed_dim)`, in the order of `waveforms`.
    """
    embeddings = np.empty((len(waveforms), model.config.embed_dim), dtype=np.float32)
    for row, found in enumerate(embed_each(model, extractor, waveforms, device, precision)):
        if isinstance(found, AudioError):
            raise found
        embeddings[row] = found
    return embeddings


def embed_each(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    waveforms: Sequence[np.ndarray | LongRecording],
    device: torch.device,
    precision: str = "fp32",
) -> list[np.ndarray | AudioError]:
    """Do what [`embed_waveforms`] does, and tell of each recording that cannot be embedded why it cannot.

    What finds no memory together with others is tried again on its own. An autocast of the caller's has no effect.
    """
    with torch.autocast(device.type, enabled=False):
        return _embed_each(model, extractor, waveforms, device, precision)


def _embed_each(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    waveforms: Sequence[np.ndarray | LongRecording],
    device: torch.device,
    precision: str,
) -> list[np.ndarray | AudioError]:
    found: list[np.ndarray | AudioError | None] = [None] * len(waveforms)
    if device.type in FRAMES_PER_PASS:
        most = FRAMES_PER_PASS[device.type]
        frames, passed = [num_frames(waveform, extractor) for waveform in waveforms], []
        for row, waveform in enumerate(waveforms):
            if isinstance(waveform, LongRecording):  # which has a pass of its own
                frames[row] = max(frames[row], most + 1)
        for rows in similar_lengths(frames, most):
            with _memory_may_lack():
                some = [waveforms[row] for row in rows]
                passed.append((rows, embed_together(model, extractor, some, device, precision)))
        for rows, together in passed:  # only now: the GPU computes a pass while the next ones are prepared
            for row, embedding in zip(rows, together.cpu().numpy(), strict=True):
                found[row] = embedding
    else:
        alone = on_threads(lambda samples: _embed_alone(model, extractor, samples, device, precision), waveforms)
        found = [None if isinstance(one, AudioError) else one for one in alone]
    return [
        _embed_alone(model, extractor, samples, device, precision) if one is None else one
        for samples, one in zip(waveforms, found, strict=True)
    ]


def _embed_alone(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    samples: np.ndarray | LongRecording,
    device: torch.device,
    precision: str,
) -> np.ndarray | AudioError:
    try:
        return embed_together(model, extractor, [samples], device, precision)[0].cpu().numpy()
    except AudioError as error:
        return error
    except (MemoryError, RuntimeError) as error:
        if not _tells_of_memory(error):
            raise
        return AudioError.of(MemoryError())


@contextmanager
def _memory_may_lack() -> Iterator[None]:
    """Stop the block, and go on after it, where memory lacks or a recording cannot be read."""
    try:
        yield
    except AudioError:
        pass
    except (MemoryError, RuntimeError) as error:
        if not _tells_of_memory(error):
            raise


def _tells_of_memory(error: BaseException) -> bool:
    """Whether memory lacked; torch says so by a RuntimeError, on a CPU by its words only; the last are oneDNN's."""
    words = str(error).lower()
    telling = ("allocate memory", "not enough memory", "out of memory", "could not create a primitive")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(one in words for one in telling)
    )


@torch.inference_mode()
def embed_together(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    waveforms: list[np.ndarray | LongRecording],
    device: torch.device,
    precision: str,
) -> torch.Tensor:
    """Embed recordings in one padded pass; one that is longer than a pass or is no array, in pieces.

    A GPU may still be computing when this returns.

    Args:
        model, extractor, device, precision: as for [`embed_waveforms`].
        waveforms: as for [`embed_waveforms`]; a [`LongRecording`] must be the only one.

    Returns:
        float32 of shape `(recordings, embed_dim)`, on `device`.
    """
    most = FRAMES_PER_PASS.get(device.type, FRAMES_PER_PIECE)
    alone = waveforms[0] if len(waveforms) == 1 else None
    if alone is not None and (isinstance(alone, LongRecording) or num_frames(alone, extractor) > most):
        return embed_in_pieces(model, features_of(alone, extractor, device), device, precision)[None]
    frames = [num_frames(samples, extractor) for samples in waveforms]
    length = max(frames)
    # Other architectures than a ResNet take several recordings at once only if none is padded.
    if device.type in FRAMES_PER_PASS and model.config.architecture is None:
        length = max(length, min(padded_length(length), most))
    arrays = [samples for samples in waveforms if isinstance(samples, np.ndarray)]
    batch = extractor(
        arrays,
        extractor.sampling_rate,
        device,
        padding="max_length",
        max_length=length,
        return_attention_mask=True,  # also by an extractor that was set to leave it out
    )
    # Whether there is padding is told by the lengths: to ask the mask would be to wait for the GPU.
    mask = batch["attention_mask"] if set(frames) != {length} else None
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        return embed_features(model, batch["input_features"], device, mask, precision)


@torch.inference_mode()
def embed_features(
    model: Embedder,
    features: torch.Tensor,
    device: torch.device,
    mask: torch.Tensor | None = None,
    precision: str = "fp32",
) -> torch.Tensor:
    """Embed recordings by their features, in one pass; a GPU may still be computing when this returns.

    Args:
        model, device, precision: as for [`embed_waveforms`].
        features (`torch.FloatTensor` of shape `(recordings, frames, mel)`): on `device`.
        mask (`torch.Tensor` of shape `(recordings, frames)`, *optional*): 1 for frames, 0 for padding; None if there
            is no padding.

    Returns:
        float32 of shape `(recordings, embed_dim)`, on `device`.
    """
    with _convolutions(device, precision):
        return model(features, mask).embeddings.float()


@torch.inference_mode()
def embed_in_pieces(
    model: Embedder, blocks: Iterable[torch.Tensor], device: torch.device, precision: str = "fp32"
) -> torch.Tensor:
    """Embed one recording by its features, which go through the convolutions in pieces.

    Args:
        model, device, precision: as for [`embed_waveforms`].
        blocks (iterable of `torch.FloatTensor` of shape `(frames, mel)`): its features, on `device`.

    Returns:
        float32 of shape `(embed_dim,)`, on `device`.
    """
    stream = model.streamed(FRAMES_PER_PASS.get(device.type, FRAMES_PER_PIECE))
    half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    for features in blocks:  # which are made in single precision, as in one pass
        with half, _convolutions(device, precision):
            stream.add(features)
    with half, _convolutions(device, precision):
        return stream.finish().float()


@torch.inference_mode()
def statistics_in_pieces(model: Embedder, blocks: Iterable[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Do what [`embed_in_pieces`] does in single precision, but return the statistics that embeddings are made of.

    Args:
        model, blocks, device: as for [`embed_in_pieces`]; the model is a ResNet.

    Returns:
        float32 of shape `(num_statistics,)`, on `device`; see [`WespeakerModel.num_statistics`].
    """
    stream = model.streamed(FRAMES_PER_PASS.get(device.type, FRAMES_PER_PIECE))
    for features in blocks:
        with _convolutions(device, "fp32"):
            stream.add(features)
    with _convolutions(device, "fp32"):
        return stream.statistics()


def num_frames(recording: np.ndarray | LongRecording, extractor: "WespeakerFeatureExtractor") -> int:
    """How many frames of features a recording has."""
    return recording.frames if isinstance(recording, LongRecording) else extractor.num_frames(len(recording))


def features_of(
    recording: np.ndarray | LongRecording, extractor: "WespeakerFeatureExtractor", device: torch.device
) -> Iterator[torch.Tensor]:
    """The features of a recording, float32 `(frames, mel)`, in one block or in many."""
    if not isinstance(recording, LongRecording):
        yield extractor(recording, extractor.sampling_rate, device)["input_features"][0]
        return
    banks, mean, frames = extractor.streamed(device), recording.mean.to(device), 0
    for samples in recording.heard(extractor.sampling_rate):
        features = banks.add(samples).sub_(mean)
        frames += len(features)
        yield features
    if frames != recording.frames:
        raise AudioError(f"changed while it was read: it had {recording.frames} frames, and then {frames}")


@contextmanager
def _convolutions(device: torch.device, precision: str) -> Iterator[None]:
    """Keep NVIDIA GPUs to the precision that was asked for: by default they compute fp32 convolutions in tf32.

    Let cuDNN also choose with care how to compute them, see `CUDNN_CHOICE`.
    """
    if device.type != "cuda":
        yield
        return
    settings: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # torch's types do not know it
    chosen = os.environ.get(CUDNN_CHOICE)
    before = settings.fp32_precision
    settings.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    os.environ.setdefault(CUDNN_CHOICE, "1")
    try:
        yield
    finally:
        settings.fp32_precision = before
        if chosen is None:
            os.environ.pop(CUDNN_CHOICE, None)  # which a pass of another thread may have put back already


def padded_length(frames: int) -> int:
    """To how many frames the recordings of a pass on a GPU are padded, of which the longest has so many.

    Example:
        >>> padded_length(1000), padded_length(1024), padded_length(1025), padded_length(1224)
        (1024, 1024, 1224, 1224)
    """
    needed = math.ceil(frames / SHRINKING)  # frames of the last feature map
    step = math.floor(LENGTHS_PER_OCTAVE * math.log2(max(1, needed - 1))) + 1  # the first one beyond one frame less
    return SHRINKING * math.ceil(2 ** (step / LENGTHS_PER_OCTAVE))


def similar_lengths(frames: Sequence[int], frames_per_pass: int) -> Iterator[list[int]]:
    """Group rows that are padded to the same length, with at most `frames_per_pass` in each padded group."""
    of_length: dict[int, list[int]] = {}
    for row, count in enumerate(frames):
        of_length.setdefault(padded_length(count), []).append(row)
    for length, rows in sorted(of_length.items()):
        most = max(1, frames_per_pass // length)
        yield from (rows[start : start + most] for start in range(0, len(rows), most))
