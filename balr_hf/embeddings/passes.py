"""From waveforms to embeddings: recordings one by one on threads of a CPU, together in padded passes on a GPU."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from balr_hf.audio import AudioError, load_audio
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES

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


def load_usable(audio: Any, extractor: "WespeakerFeatureExtractor") -> np.ndarray | str:
    """Return a recording's samples `(samples,)`, or the reason why they cannot be embedded."""
    try:
        samples = load_audio(audio, extractor.sampling_rate)
    except AudioError as error:
        return str(error)
    except Exception as error:  # one odd recording must not stop the corpus, whatever its decoder raises
        return f"cannot be decoded ({type(error).__name__}: {error})"
    if extractor.num_frames(len(samples)) < MIN_FRAMES:
        milliseconds = extractor.frame_length + (MIN_FRAMES - 1) * extractor.frame_shift
        return f"too short: {1000 * len(samples) / extractor.sampling_rate:.0f} ms of at least {milliseconds} ms"
    if np.ptp(samples) == 0:
        return "digital silence"
    return samples


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
    for rows in _passes(frames, FRAMES_PER_PASS[device.type]):
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
    features = extractor(waveforms, device=device)
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


class _TorchThreads:
    """Lends the number of threads that torch uses within one operation to calls that may overlap.

    The number that is set last applies to every thread that uses torch for the first time after that. So the first of
    the calls that run together reads the number, and every call restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._number = 1

    @contextmanager
    def lent(self) -> Iterator[int]:
        """Yield the number of threads to share out, and restore it after the block, whatever was set within."""
        with self._lock:
            if not self._calls:
                self._number = torch.get_num_threads()
            self._calls += 1
        try:
            yield self._number
        finally:
            with self._lock:
                self._calls -= 1
                _set_threads(self._number)


def _set_threads(number: int) -> None:
    """Set how many threads torch uses within one operation, of this thread and of threads that are new to torch."""
    torch.get_num_threads()  # the first call in a thread adopts what any thread set last, so it comes before
    torch.set_num_threads(number)


_TORCH_THREADS = _TorchThreads()


def on_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Map a function over items on several threads, which share out the threads that torch uses within an operation.

    Whole recordings side by side keep the cores busier than one recording after another, each operation shared out.
    Calls from several threads may overlap: afterwards torch has the number of threads that it had before the first.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    with _TORCH_THREADS.lent() as threads:
        workers = min(threads, len(items))
        with ThreadPoolExecutor(workers, initializer=_set_threads, initargs=(threads // workers,)) as pool:
            return list(pool.map(function, items))


def _passes(frames: Sequence[int], frames_per_pass: int) -> Iterator[list[int]]:
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
