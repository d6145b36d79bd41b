"""From waveforms to the input features of [`WespeakerModel`]: Kaldi's filter banks, batched in torch on any device."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.audio_utils import mel_filter_bank, window_function
from transformers.utils import PaddingStrategy, logging

try:
    from balr_hf.audio import AudioError
    from balr_hf.errors import ConfigError
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        AudioError = ConfigError = ValueError

logger = logging.get_logger(__name__)

PREEMPHASIS = 0.97
LOG_FLOOR = torch.finfo(torch.float32).eps
LOWEST_FREQUENCY = 20.0

# Samples that are multiplied by more than this, and then squared, may not be finite in float32.
LARGEST_SCALE = 1e9

# How many frames are computed at once, so that temporary results stay in a CPU's cache, and how many mel filters are
# applied together.
FRAMES_AT_ONCE, FILTERS_AT_ONCE = 1024, 16

# Neighbouring mel filters: the first frequency and how many there are, the first filter and how many, and the weights.
Filters = tuple[tuple[int, int], tuple[int, int], torch.Tensor]


class WespeakerFeatureExtractor(SequenceFeatureExtractor):
    """Computes log mel filter banks by Kaldi's conventions, as WeSpeaker and BALR do.

    Only frames that fit wholly into the waveform count (Kaldi's `snip_edges`). From each frame its mean is removed;
    then follow pre-emphasis of 0.97, a Hamming window, zeros up to a power of two, the power spectrum, triangular mel
    filters from 20 Hz to the Nyquist frequency, and the natural logarithm.

    Args:
        num_mel_bins (int): number of mel filters.
        sampling_rate (int): in Hz.
        frame_length (int): in ms.
        frame_shift (int): in ms.
        dither (float): standard deviation of the noise that is added to each sample after scaling; with 0 the
            features are repeatable.
        waveform_scale (float): factor by which samples in [-1, 1] are multiplied. WeSpeaker has 32768; 1.0 reproduces
            BALR 2.0, whose published autoencoder was trained on embeddings made that way.
        normalize_mean (bool): remove each filter's mean over the recording.

    Raises:
        ConfigError: a number of filters, a frame length or a frame shift below 1, frames with gaps between them, a
            sampling rate below 1,000 Hz, a scale that is not above 0, noise that is louder than the recording, or
            padding at the start.

    Example:
        >>> features = WespeakerFeatureExtractor()([waveform], sampling_rate=16000)
        >>> features["input_features"].shape, features["attention_mask"].shape  # (1, frames, 80), (1, frames)

    Reference:
        Kaldi, `feat/feature-fbank.cc`; torchaudio, `compliance/kaldi.py`.
    """

    model_input_names = ["input_features", "attention_mask"]

    def __init__(
        self,
        num_mel_bins: int = 80,
        sampling_rate: int = 16000,
        frame_length: int = 25,
        frame_shift: int = 10,
        dither: float = 0.0,
        waveform_scale: float = 32768.0,
        normalize_mean: bool = True,
        **kwargs: Any,
    ):
        for name, value, kind, least, most in (
            ("num_mel_bins", num_mel_bins, int, 1, 4096),
            ("frame_length", frame_length, int, 1, 10_000),
            ("frame_shift", frame_shift, int, 1, 10_000),
            ("sampling_rate", sampling_rate, int, 1000, 10**6),
            ("dither", dither, float, 0, LARGEST_SCALE),
            ("waveform_scale", waveform_scale, float, -math.inf, LARGEST_SCALE),
            ("padding_value", kwargs.get("padding_value", 0.0), float, -LARGEST_SCALE, LARGEST_SCALE),
        ):
            if isinstance(value, bool) or not isinstance(value, kind if kind is int else (int, float)):
                raise ConfigError(f"{name}={value!r:.60}: expected a {'whole ' if kind is int else ''}number")
            if not least <= value <= most:
                wrong = f"at most {most:g}" if value > most else f"at least {least:g}"
                raise ConfigError(f"{name}={value}: expected {wrong}")
        if not isinstance(normalize_mean, bool):
            raise ConfigError(f"normalize_mean={normalize_mean!r:.60}: expected true or false")
        if not waveform_scale > 0:
            raise ConfigError(
                f"waveform_scale={waveform_scale}: expected a factor above 0 (32768 as in WeSpeaker, 1 as in BALR 2.0)"
            )
        if frame_shift > frame_length:
            raise ConfigError(
                f"frame_shift={frame_shift}, but frame_length={frame_length}: samples between the frames would be "
                "left out"
            )
        if kwargs.get("padding_side", "right") != "right":
            raise ConfigError(f"padding_side={kwargs['padding_side']!r}: the embedder takes padding at the end only")
        if dither > waveform_scale:
            raise ConfigError(
                f"dither={dither}, but waveform_scale={waveform_scale}: the noise would be louder than the recording"
            )
        kwargs.pop("feature_size", None)
        super().__init__(
            feature_size=num_mel_bins,
            sampling_rate=sampling_rate,
            padding_value=kwargs.pop("padding_value", 0.0),
            **kwargs,
        )
        self.num_mel_bins = num_mel_bins
        self.frame_length = frame_length
        self.frame_shift = frame_shift
        self.dither = dither
        self.waveform_scale = waveform_scale
        self.normalize_mean = normalize_mean
        self._tables: dict[torch.device, tuple[torch.Tensor, list[Filters]]] = {}
        self._build_tables(torch.device("cpu"))

    @property
    def window_samples(self) -> int:
        """How many samples a frame has."""
        return self.sampling_rate * self.frame_length // 1000

    @property
    def shift_samples(self) -> int:
        """How many samples lie between the starts of two successive frames."""
        return self.sampling_rate * self.frame_shift // 1000

    @property
    def fft_length(self) -> int:
        """The frame length rounded up to a power of two."""
        return 1 << (self.window_samples - 1).bit_length()

    def window(self) -> np.ndarray:
        """Return the window that each frame is multiplied by, float64 of shape `(window_samples,)`."""
        return window_function(self.window_samples, "hamming", periodic=False)

    def mel_filters(self) -> np.ndarray:
        """Return the mel filters, float64 of shape `(fft_length // 2 + 1, num_mel_bins)`."""
        return mel_filter_bank(
            num_frequency_bins=self.fft_length // 2 + 1,
            num_mel_filters=self.num_mel_bins,
            min_frequency=LOWEST_FREQUENCY,
            max_frequency=self.sampling_rate / 2,
            sampling_rate=self.sampling_rate,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames `num_samples` samples give: 0 if they do not fill one."""
        return max(0, 1 + (num_samples - self.window_samples) // self.shift_samples)

    def __call__(
        self,
        raw_speech: np.ndarray | torch.Tensor | Sequence[float] | Sequence[np.ndarray | torch.Tensor],
        sampling_rate: int | None = None,
        device: str | torch.device = "cpu",
        return_tensors: str | None = "pt",
        *,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
    ) -> BatchFeature:
        """Compute the features of one or several waveforms in one batch.

        Args:
            raw_speech: a waveform `(samples,)` in [-1, 1], or a list of waveforms of any lengths.
            sampling_rate (int, *optional*): the waveforms' rate in Hz, which is checked against the extractor's. If it
                is not given, one warning says that nobody checks it.
            device: where the features are computed, and where tensors stay.
            return_tensors: `pt` for tensors, `np` for arrays, None for lists with one array per waveform.
            padding: True or `longest` pads to the longest waveform's frames, `max_length` to `max_length` frames;
                False does not pad.
            max_length (int, *optional*): a number of frames, for `padding="max_length"` and for `truncation`; as
                everywhere in transformers, it counts what is padded, which here are frames, not samples.
            truncation (bool): leave out the frames beyond the first `max_length`. The others are then as if the
                waveform ended with them: the mean that `normalize_mean` removes is theirs.
            pad_to_multiple_of (int, *optional*): round the number of frames, or `max_length`, up to a multiple of it.
            return_attention_mask (bool, *optional*): False leaves the mask out; by default as the extractor was set.

        Returns:
            `BatchFeature` with `input_features` (float32 of shape `(batch, frames, num_mel_bins)`, zeros in the
            padding) and `attention_mask` (int64 of shape `(batch, frames)`, 1 for frames and 0 for padding).

        Raises:
            ValueError: the waveforms have another sampling rate, `max_length` is missing, or the numbers of frames
                differ and so fit into no tensor.
            AudioError: a waveform is shorter than one frame, or not one-dimensional.
        """
        if sampling_rate is None:
            logger.warning_once(
                f"No sampling_rate was given, so that nobody checks that the waveforms have {self.sampling_rate} Hz; "
                "at another rate their features would be wrong. Pass sampling_rate=..."
            )
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"waveforms at {sampling_rate} Hz, but the features are defined at {self.sampling_rate} Hz: resample "
                "them first (balr_hf.load_audio does)"
            )
        if return_tensors not in ("pt", "np", None):
            raise ValueError(f"return_tensors={return_tensors!r}: expected 'pt', 'np' or None")
        waveforms = _as_list(raw_speech)
        device = torch.device(device)
        lengths = [self.num_frames(len(waveform)) for waveform in waveforms]
        if not all(lengths):
            length = 1000 * min(map(len, waveforms)) / self.sampling_rate
            raise AudioError(f"too short: {length:.0f} ms do not fill one frame of {self.frame_length} ms")
        strategy = self._get_padding_strategies(padding, max_length)
        multiple = pad_to_multiple_of or 1
        limit = None if max_length is None else math.ceil(max_length / multiple) * multiple
        if truncation:
            if limit is None or limit < 1:
                raise ValueError(
                    f"truncation=True with max_length={max_length}: expected the number of frames to keep"
                )
            lengths = [min(length, limit) for length in lengths]
            waveforms = [
                waveform[: (length - 1) * self.shift_samples + self.window_samples]
                for waveform, length in zip(waveforms, lengths, strict=True)
            ]
        features, mask = self._batch(waveforms, lengths, device)
        if strategy == PaddingStrategy.DO_NOT_PAD:
            ends = lengths
        elif strategy == PaddingStrategy.LONGEST or limit is None:
            ends = [math.ceil(max(lengths) / multiple) * multiple] * len(lengths)
        else:
            ends = [max(length, limit) for length in lengths]
        if return_tensors is not None and len(set(ends)) > 1:
            raise ValueError(
                f"waveforms of {min(ends)} to {max(ends)} frames fit into no tensor: pass padding=True, or "
                "padding='max_length' with truncation=True; or return_tensors=None for lists"
            )
        added = max(ends) - features.shape[1]
        if added > 0:
            features = F.pad(features, (0, 0, 0, added), value=self.padding_value)
            mask = F.pad(mask, (0, added))
        encoded: dict[str, Any] = {"input_features": features}
        if self.return_attention_mask if return_attention_mask is None else return_attention_mask:
            encoded["attention_mask"] = mask.long()
        if return_tensors != "pt":
            encoded = {name: value.cpu().numpy() for name, value in encoded.items()}
        if return_tensors is None:
            encoded = {
                name: [row[:end] for row, end in zip(rows, ends, strict=True)] for name, rows in encoded.items()
            }
        return BatchFeature(encoded)

    def _batch(
        self, waveforms: list[torch.Tensor], lengths: list[int], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of waveforms of these numbers of frames, padded to the longest, and their bool mask."""
        ends = torch.tensor(lengths).to(device, non_blocking=device.type == "cuda")  # see `_padded`
        mask = torch.arange(max(lengths), device=device) < ends[:, None]
        features = torch.empty(*mask.shape, self.num_mel_bins, dtype=torch.float32, device=device)
        if device.type == "cpu":  # one at a time, so that temporary results stay in its caches
            for waveform, length, padded in zip(waveforms, lengths, features, strict=True):
                own = self._filter_banks(waveform.to(device), padded[:length])
                if self.normalize_mean:
                    own.sub_(own.mean(0))
                padded[length:] = self.padding_value
        else:
            self._filter_banks(_padded(waveforms, device), features)
            if self.normalize_mean:
                features = features * mask.unsqueeze(-1)
                features = features - features.sum(1, keepdim=True) / mask.sum(1).view(-1, 1, 1)
            features = features.masked_fill(~mask.unsqueeze(-1), self.padding_value)
        return features, mask

    def streamed(self, device: str | torch.device = "cpu") -> "FilterBankStream":
        """Compute the features of a recording that comes in blocks; see [`FilterBankStream`]."""
        return FilterBankStream(self, torch.device(device))

    @torch.no_grad()
    def _filter_banks(self, waveforms: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Write the log mel energies of `(..., samples)`, before mean removal, to `out (..., frames, mel)`.

        With c for `PREEMPHASIS` and m for a frame's mean, a frame without its mean and pre-emphasised is
        (x[i] - m) - c (x[i - 1] - m). That is the pre-emphasised waveform minus (1 - c) m, except for the frame's
        first sample, which counts as its own predecessor and becomes (1 - c) (x[0] - m).
        """
        window, filters = self._build_tables(waveforms.device)
        window = window * self.waveform_scale  # so that the samples are scaled
        emphasised = waveforms.clone()
        emphasised[..., 1:].sub_(waveforms[..., :-1], alpha=PREEMPHASIS)
        frames, emphasised = (w.unfold(-1, self.window_samples, self.shift_samples) for w in (waveforms, emphasised))
        *batch, count, _ = out.shape
        on_cpu = waveforms.device.type == "cpu"
        at_once = min(count, FRAMES_AT_ONCE) if on_cpu else count
        padded = waveforms.new_empty(*batch, at_once, self.fft_length)
        padded[..., self.window_samples :] = 0
        power = waveforms.new_empty(*batch, at_once, self.fft_length // 2 + 1)
        for start in range(0, count, at_once):
            size = min(at_once, count - start)
            part, some, powers = out.narrow(-2, start, size), padded.narrow(-2, 0, size), power.narrow(-2, 0, size)
            self._window(frames.narrow(-2, start, size), emphasised.narrow(-2, start, size), window, some)
            squares = torch.view_as_real(torch.fft.rfft(some)).square_()
            torch.add(*squares.unbind(-1), out=powers)
            for bins, mels, weights in filters:
                chosen, energies = powers.narrow(-1, *bins), part.narrow(-1, *mels)
                if on_cpu:
                    torch.matmul(chosen, weights, out=energies)
                else:  # Apple's GPUs do not write products to every part of a tensor
                    energies.copy_(chosen @ weights)
        return out.clamp_(min=LOG_FLOOR).log_()

    def _window(self, frames: torch.Tensor, emphasised: torch.Tensor, window: torch.Tensor, out: torch.Tensor) -> None:
        """Write frames to `out (..., frames, fft_length)`: without their mean, pre-emphasised and windowed.

        What lies in `out` beyond the window stays as it is: zeros.
        """
        out = out[..., : self.window_samples]
        if self.dither:  # each frame has noise of its own, so that no pre-emphasised waveform serves them all
            frames = frames + self.dither / self.waveform_scale * torch.randn_like(frames)
            frames -= frames.mean(-1, keepdim=True)
            out.copy_(frames)
            out[..., 1:].sub_(frames[..., :-1], alpha=PREEMPHASIS)
            out[..., :1].sub_(frames[..., :1], alpha=PREEMPHASIS)
        else:
            mean = frames.mean(-1, keepdim=True)
            torch.sub(emphasised, mean, alpha=1 - PREEMPHASIS, out=out)
            out[..., :1] = (1 - PREEMPHASIS) * (frames[..., :1] - mean)
        out.mul_(window)

    def _build_tables(self, device: torch.device) -> tuple[torch.Tensor, list[Filters]]:
        """Return the window `(samples,)` and the mel filters in groups of neighbours, made once for each device.

        Neighbouring filters share few frequencies: most of one matrix `(frequencies, mel)` would be zeros.
        """
        if device not in self._tables:
            mel = self.mel_filters()
            filters: list[Filters] = []
            for first in range(0, self.num_mel_bins, FILTERS_AT_ONCE):
                some = mel[:, first : first + FILTERS_AT_ONCE]
                used = np.flatnonzero(some.any(1))
                lowest, highest = (int(used.min()), int(used.max())) if len(used) else (0, 0)
                weights = torch.tensor(some[lowest : highest + 1], dtype=torch.float32, device=device)
                filters.append(((lowest, highest - lowest + 1), (first, some.shape[1]), weights))
            self._tables[device] = torch.tensor(self.window(), dtype=torch.float32, device=device), filters
        return self._tables[device]

    def to_dict(self) -> dict[str, Any]:
        """Return what `save_pretrained` writes: the parameters, without the tables."""
        return {name: value for name, value in super().to_dict().items() if name != "_tables"}


class FilterBankStream:
    """Computes the features of a recording that comes in blocks, before `normalize_mean`.

    Together they are those of the whole recording. The mean is known only at its end.

    Args:
        extractor: whose features.
        device: where they are computed, and stay.
    """

    def __init__(self, extractor: WespeakerFeatureExtractor, device: torch.device):
        self.extractor, self.device = extractor, device
        self._rest = torch.zeros(0)

    def add(self, samples: np.ndarray) -> torch.Tensor:
        """Take the next samples in [-1, 1], float32 `(samples,)`, and return the frames that end in them.

        Returns:
            float32 `(frames, num_mel_bins)`, with as many frames as are complete, also none.
        """
        extractor = self.extractor
        waveform = torch.cat([self._rest, torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))])
        frames = extractor.num_frames(len(waveform))
        features = torch.empty(frames, extractor.num_mel_bins, device=self.device)
        if frames:
            extractor._filter_banks(waveform.to(self.device), features)
        self._rest = waveform[frames * extractor.shift_samples :].clone()
        return features


def _padded(waveforms: list[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Pad waveforms with zeros to the longest, `(batch, samples)` on `device`.

    They are padded in memory from which an NVIDIA GPU copies by itself, so that nothing waits for the copy. Apple's
    GPUs must be waited for: they would copy a temporary tensor after its memory is freed (pytorch/pytorch#189690).
    """
    if device.type != "cuda" or any(waveform.device.type != "cpu" for waveform in waveforms):
        return pad_sequence(waveforms, True).to(device)
    try:
        padded = torch.empty(len(waveforms), max(map(len, waveforms)), pin_memory=True)
    except RuntimeError:  # so much memory cannot be kept in place, but there may be enough of any other
        return pad_sequence(waveforms, True).to(device)
    for row, waveform in zip(padded.numpy(), waveforms, strict=True):  # numpy's copy wakes no other threads
        row[: len(waveform)] = waveform.detach().numpy()
        row[len(waveform) :] = 0
    return padded.to(device, non_blocking=True)


def _as_list(
    raw_speech: np.ndarray | torch.Tensor | Sequence[float] | Sequence[np.ndarray | torch.Tensor],
) -> list[torch.Tensor]:
    """Turn one waveform or several into a list of float32 tensors of shape `(samples,)`."""
    several: Iterable[Any]
    if isinstance(raw_speech, (np.ndarray, torch.Tensor)):
        if raw_speech.ndim > 1 and len(raw_speech) > 1:
            raise AudioError(
                f"one array of shape {tuple(raw_speech.shape)}, whose rows could be channels: mix them to mono, "
                "(samples,), or pass a list if they are separate recordings"
            )
        several = raw_speech if raw_speech.ndim > 1 else [raw_speech]
    else:
        several = [raw_speech] if len(raw_speech) and np.isscalar(raw_speech[0]) else raw_speech
    waveforms = [torch.as_tensor(np.asarray(w) if not torch.is_tensor(w) else w, dtype=torch.float32) for w in several]
    if not waveforms:
        raise AudioError("no waveforms")
    for waveform in waveforms:
        if waveform.ndim != 1:
            raise AudioError(f"a waveform of shape {tuple(waveform.shape)}: expected mono, (samples,)")
    return waveforms


WespeakerFeatureExtractor.register_for_auto_class()
