"""From waveforms to embeddings: recordings one by one on threads of a CPU, together in padded passes on a GPU."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from balr_hf.audio import SAMPLING_RATE, decode_audio, reason_not_decoded, resample
from balr_hf.data.origins import audio_source
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.quality import MIN_SPEECH, RecordingQuality, measure_recording, reason_to_refuse
from balr_hf.threads import on_threads

if TYPE_CHECKING:
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

Item = TypeVar("Item")
Result = TypeVar("Result")


class Embedder(Protocol):
    """What extraction needs of an embedder; [`WespeakerModel`] has all of it."""

    config: "WespeakerConfig"
    feature_extractor: "WespeakerFeatureExtractor"

    @property
    def device(self) -> torch.device: ...

    def __call__(self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any: ...

    def for_inference(self) -> "Embedder": ...

    @property
    def to(self) -> Callable[..., Any]: ...

    def state_dict(self) -> dict[str, torch.Tensor]: ...


# How many frames (padding included) one forward pass on a GPU takes: many, so that the GPU is busy. On any other
# device each recording has a pass of its own.
FRAMES_PER_PASS = {"cuda": 60_000, "mps": 12_000}
# How much longer the longest recording of a pass, to which the others are padded, may be than the shortest.
PADDING_RATIO = 1.25
# What the convolutions compute in. tf32 concerns NVIDIA GPUs; elsewhere it is fp32.
PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class Loaded:
    """A recording that is to be embedded, or why it cannot be.

    Attributes:
        samples: float32 `(samples,)` at the embedder's rate; None if it cannot be used.
        quality: its measures; None if it could not be decoded.
        reason: why it cannot be used; None if it can.
        source: what tells its audio apart from other audio; see [`balr_hf.data.origins.audio_source`].
    """

    samples: np.ndarray | None
    quality: RecordingQuality | None
    reason: str | None
    source: str = ""


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
        original, rate = decode_audio(audio)
        samples = resample(original, rate, extractor.sampling_rate)
    except Exception as error:
        return Loaded(None, None, reason_not_decoded(error))
    if extractor.num_frames(len(samples)) < MIN_FRAMES:
        milliseconds = extractor.frame_length + (MIN_FRAMES - 1) * extractor.frame_shift
        length = 1000 * len(samples) / extractor.sampling_rate
        return Loaded(None, None, f"too short: {length:.0f} ms of at least {milliseconds} ms")
    same_rate = extractor.sampling_rate == SAMPLING_RATE
    heard = samples if same_rate else resample(original, rate, SAMPLING_RATE)
    quality, _ = measure_recording(heard, original, rate)
    reason = reason_to_refuse(quality, min_speech)
    if reason is not None:
        return Loaded(None, quality, reason)
    return Loaded(samples, quality, None, audio_source(audio, quick))


def embed_waveforms(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    waveforms: Sequence[np.ndarray],
    device: torch.device,
    precision: str = "fp32",
) -> np.ndarray:
    """Embed recordings: on a CPU each on a thread of its own, on a GPU those of similar length in one pass.

    Args:
        model: the embedder, on `device`. One that comes from [`WespeakerModel.for_inference`] is faster.
        extractor: makes the embedder's features.
        waveforms (np.ndarray of shape `(samples,)` each): samples in [-1, 1] at the extractor's rate.
        device: where to compute.
        precision (str): `fp32`, `tf32` or `bf16`.

    Returns:
        float32 of shape `(recordings, embed_dim)`, in the order of `waveforms`.
    """
    embeddings = np.empty((len(waveforms), model.config.embed_dim), dtype=np.float32)
    if device.type not in FRAMES_PER_PASS:
        alone = on_threads(lambda samples: embed_together(model, extractor, [samples], device, precision), waveforms)
        return np.concatenate(alone) if alone else embeddings
    frames = [extractor.num_frames(len(waveform)) for waveform in waveforms]
    for rows in similar_lengths(frames, FRAMES_PER_PASS[device.type]):
        embeddings[rows] = embed_together(model, extractor, [waveforms[row] for row in rows], device, precision)
    return embeddings


@torch.inference_mode()
def embed_together(
    model: Embedder,
    extractor: "WespeakerFeatureExtractor",
    waveforms: list[np.ndarray],
    device: torch.device,
    precision: str,
) -> np.ndarray:
    """Embed recordings in one pass, padded to the longest.

    Args:
        model, extractor, waveforms, device, precision: as for [`embed_waveforms`].

    Returns:
        float32 of shape `(recordings, embed_dim)`.
    """
    features = extractor(waveforms, extractor.sampling_rate, device)
    mask = features["attention_mask"]
    mask = None if len(waveforms) == 1 or mask.all() else mask
    half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    with half, _convolutions(device, precision):
        return model(features["input_features"], mask).embeddings.float().cpu().numpy()


@contextmanager
def _convolutions(device: torch.device, precision: str) -> Iterator[None]:
    """Keep NVIDIA GPUs to the precision that was asked for: by default they compute fp32 convolutions in tf32."""
    if device.type != "cuda":
        yield
        return
    if hasattr(torch.backends.cudnn, "conv"):  # since torch 2.9, where reading the old setting may be an error
        settings: Any = torch.backends.cudnn.conv
        name = "fp32_precision"
        values: tuple[str | bool, str | bool] = ("ieee", "tf32")
    else:
        settings, name, values = torch.backends.cudnn, "allow_tf32", (False, True)
    before = getattr(settings, name)
    setattr(settings, name, values[precision == "tf32"])
    try:
        yield
    finally:
        setattr(settings, name, before)


def similar_lengths(frames: Sequence[int], frames_per_pass: int) -> Iterator[list[int]]:
    """Group rows of similar length, so that each padded group has little padding and at most `frames_per_pass`."""
    group: list[int] = []
    for row in sorted(range(len(frames)), key=frames.__getitem__):
        over = (len(group) + 1) * frames[row] > frames_per_pass
        if group and (over or frames[row] > PADDING_RATIO * frames[group[0]]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
