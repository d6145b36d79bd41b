"""Net speech: where in a recording somebody speaks, by the voice-activity model silero-vad.

The package silero-vad brings the weights. Its own network looks at one frame of 32 ms after the other; here the same
network looks at many frames at once, which gives the same probabilities about ten times as fast.

Reference:
    Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector", https://github.com/snakers4/silero-vad
"""

from __future__ import annotations

import threading
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from balr_hf.audio import SAMPLING_RATE
from balr_hf.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

# Samples at 16 kHz: of one frame, and of those before it that the network also looks at.
FRAME, CONTEXT = 512, 64
# The probability from which a frame counts as speech; silero-vad's own default.
THRESHOLD = 0.5
# Frames that are looked at together: about a minute, which bounds the memory that a long recording takes.
FRAMES_TOGETHER = 2_048
# Frames of silence that the network is taken to have heard before a recording: a second.
LEAD = 31
# Recordings below this level are raised to it before they are looked at, since the network misses faint speech.
LEVEL = 10 ** (-40 / 20)


# What the network's LSTM remembers: its two states.
Memory = tuple[torch.Tensor, torch.Tensor]


class VoiceActivityNetwork(nn.Module):
    """The network of silero-vad 6 for 16 kHz, for whole recordings.

    Args:
        weights: the state dictionary of the scripted model in the package silero-vad.
    """

    basis: torch.Tensor

    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()
        self.register_buffer("basis", weights["_model.stft.forward_basis_buffer"])
        widths, strides = (129, 128, 64, 64, 128), (1, 2, 2, 1)
        # Weights are not drawn here, which would take from the caller's random numbers, but only assigned below.
        with torch.device("meta"):
            self.encoder = nn.ModuleList(
                nn.Conv1d(widths[n], widths[n + 1], 3, stride, padding=1) for n, stride in enumerate(strides)
            )
            self.memory = nn.LSTM(128, 128, batch_first=True)
            self.decision = nn.Conv1d(128, 1, 1)
        parts = {f"encoder.{n}.{kind}": f"_model.encoder.{n}.reparam_conv.{kind}" for n in range(4) for kind in _KINDS}
        parts |= {f"memory.{name}_l0": f"_model.decoder.rnn.{name}" for name in _LSTM}
        parts |= {f"decision.{kind}": f"_model.decoder.decoder.2.{kind}" for kind in _KINDS}
        state = {name: weights[theirs] for name, theirs in parts.items()}
        self.load_state_dict(state | {"basis": weights["_model.stft.forward_basis_buffer"]}, assign=True)
        self._after_silence: Memory | None = None
        with torch.inference_mode():
            silence = self.basis.new_zeros(CONTEXT + LEAD * FRAME)
            _, self._after_silence = self.following(silence)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """The probability of speech in each frame.

        Args:
            samples (`(samples,)`): float32 at 16 kHz; the last frame is filled up with zeros.

        Returns:
            float32 `(frames,)`, each frame 32 ms.
        """
        frames = -(-len(samples) // FRAME)
        padded = nn.functional.pad(samples, (CONTEXT, frames * FRAME - len(samples)))
        return self.following(padded)[0]

    def following(self, samples: torch.Tensor, state: Memory | None = None) -> tuple[torch.Tensor, Memory]:
        """The probability of speech in each frame of a part of a recording.

        Args:
            samples (`(64 + frames * 512,)`): float32 at 16 kHz: those of the part, after the 64 before it.
            state: what the network remembers of the recording before the part; None at its start, before which it is
                taken to have heard silence: it would miss up to half a second of speech otherwise, which would then
                pass for a loud pause.

        Returns:
            `(probabilities, state)`: float32 `(frames,)`, and what it remembers after the part.
        """
        windows = samples.unfold(0, FRAME + CONTEXT, FRAME)
        encoded = torch.cat([self._encode(part) for part in windows.split(FRAMES_TOGETHER)])
        remembered, state = self.memory(encoded[None], self._after_silence if state is None else state)
        return torch.sigmoid(self.decision(remembered.relu().transpose(1, 2)))[0, 0], state

    def _encode(self, windows: torch.Tensor) -> torch.Tensor:
        """Features of frames with their context, `(frames, 576)` -> `(frames, 128)`."""
        windows = nn.functional.pad(windows[:, None], (0, CONTEXT), mode="reflect")
        spectrum = nn.functional.conv1d(windows, self.basis, stride=128)
        hidden = torch.hypot(*spectrum.chunk(2, dim=1))
        for layer in self.encoder:
            hidden = layer(hidden).relu()
        return hidden.squeeze(-1)


_KINDS = ("weight", "bias")
_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@torch.inference_mode()
def speech_probabilities(samples: np.ndarray) -> np.ndarray:
    """The probability of speech in each frame of 32 ms.

    Args:
        samples (`(samples,)`): float32 at 16 kHz.

    Returns:
        float32 `(frames,)`.

    Raises:
        UserError: the package silero-vad is not installed.
    """
    if not samples.size:
        return np.zeros(0, dtype=np.float32)
    samples = samples * gain(float(np.mean(np.square(samples, dtype=np.float64))))
    return _network()(torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))).numpy()


def gain(power: float) -> np.float32:
    """The factor that raises a recording of this mean square to the least level that the network hears."""
    level = float(np.sqrt(power))
    return np.float32(LEVEL / level if 0 < level < LEVEL else 1)


class SpeechProbabilities:
    """Looks at a recording that comes in blocks; together, what [`speech_probabilities`] tells of the whole.

    Args:
        factor: by which the samples are raised; see [`gain`].
    """

    def __init__(self, factor: np.float32):
        self.factor = factor
        self._held = np.zeros(CONTEXT, dtype=np.float32)  # samples that wait, after those that only are context
        self._state: Memory | None = None
        self._found = [np.zeros(0, dtype=np.float32)]

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples, float32 `(samples,)` at 16 kHz."""
        self._held = np.concatenate([self._held, samples * self.factor])
        self._look((len(self._held) - CONTEXT) // FRAME)

    def all(self) -> np.ndarray:
        """The probabilities of all frames, float32 `(frames,)`; no sample may come after that."""
        missing = -(len(self._held) - CONTEXT) % FRAME
        if len(self._held) > CONTEXT:
            self._held = np.concatenate([self._held, np.zeros(missing, dtype=np.float32)])
            self._look(1)
        return np.concatenate(self._found)

    @torch.inference_mode()
    def _look(self, frames: int) -> None:
        if frames:
            looked_at, self._held = self._held[: CONTEXT + frames * FRAME], self._held[frames * FRAME :].copy()
            probabilities, self._state = _network().following(torch.from_numpy(looked_at), self._state)
            self._found.append(probabilities.numpy())


def speech_segments(samples: np.ndarray) -> list[tuple[float, float]]:
    """Where somebody speaks: `(start, end)` of each stretch, in seconds, with silero-vad's own smoothing.

    Stretches of less than 0.25 s are dropped, pauses of less than 0.1 s are bridged, and 30 ms are added at each end.

    Args:
        samples (`(samples,)`): float32 at 16 kHz.
    """
    return segments_of(speech_probabilities(samples), len(samples))


def segments_of(probabilities: np.ndarray, num_samples: int) -> list[tuple[float, float]]:
    """The stretches of speech, in seconds, that frames' probabilities `(frames,)` tell of; see [`speech_segments`]."""
    found = _smoothing()(probabilities.tolist(), SAMPLING_RATE, threshold=THRESHOLD, audio_length_samples=num_samples)
    return [(part["start"] / SAMPLING_RATE, part["end"] / SAMPLING_RATE) for part in found]


def net_speech(segments: list[tuple[float, float]]) -> float:
    """Seconds of speech in all: the sum of the segments' lengths."""
    return float(sum(end - start for start, end in segments))


_LOADING = threading.Lock()


def _network() -> VoiceActivityNetwork:
    with _LOADING:
        return _loaded_network()


@lru_cache(maxsize=1)
def _loaded_network() -> VoiceActivityNetwork:
    file = _package() / "data" / "silero_vad.jit"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, which an -W error would raise
            weights = torch.jit.load(str(file), map_location="cpu").state_dict()
        return VoiceActivityNetwork(weights).eval()
    except Exception as error:  # which is no fault of the recording that is looked at
        raise UserError(f"the voice-activity model {file} cannot be loaded ({error}): reinstall silero-vad") from error


def _package() -> Path:
    """The folder of the package silero-vad; it is not imported, since that sets torch to one thread."""
    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise UserError("the package silero-vad is missing: pip install silero-vad")
    return Path(spec.origin).parent


def _smoothing() -> Callable:
    with _LOADING:
        return _loaded_smoothing()


@lru_cache(maxsize=1)
def _loaded_smoothing() -> Callable:
    _package()
    threads = torch.get_num_threads()
    try:
        from silero_vad import get_speech_timestamps_from_probs  # which sets torch to one thread
    finally:
        torch.set_num_threads(threads)
    return get_speech_timestamps_from_probs
