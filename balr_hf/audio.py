"""Loading audio: any file, bytes, array or decoder object becomes mono float32 at the wanted sampling rate.

PyAV decodes and resamples. Its wheels contain FFmpeg, so nothing has to be installed on the system.
"""

import io
import math
import struct
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from balr_hf.errors import UserError

if TYPE_CHECKING:
    import av

SAMPLING_RATE = 16_000
AUDIO_FORMATS = ("flac", "mp3", "m4a", "ogg", "opus", "wav", "wma")

# The formats that FFmpeg may recognise: containers of sound, and no playlists, which would make it open other files.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,flac,matroska,mov,mp3,mp4,mpeg,mpegts,nistsphere,ogg,rm,sox,tta,voc,w64,wav,"
    "webm,wv"
)
# How FFmpeg resamples: with windowed-sinc filters that are flat (to 0.01 dB) up to 15/16 of half the lower rate, let
# less than -85 dB through above half the lower rate, and delay nothing. benchmarks/resampling.py measures this.
RESAMPLING = (
    "resampler=swr:filter_size=208:phase_shift=10:exact_rational=1:cutoff=0.97:filter_type=kaiser:kaiser_beta=8.5"
)

# Sampling rates that a recording of speech can have, in Hz. Any other comes from a damaged header, and could need any
# amount of memory.
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000

# The header of a wav that was written to a pipe states no length, or one from here on.
_WAV_LENGTH_UNKNOWN = 0x7FFFF000


class AudioError(UserError):
    """A recording that cannot be used; the message is the reason, without the recording's name."""


def load_audio(source: Any, sampling_rate: int = SAMPLING_RATE) -> np.ndarray:
    """Decode one recording to mono float32 samples in [-1, 1] at `sampling_rate`.

    Channels are averaged. Files and bytes may have any rate, channel count and format that FFmpeg reads.

    Args:
        source: one of
            a path (`str` or `Path`) or a file's `bytes`;
            a `dict` with `array` and `sampling_rate` (a decoded `datasets.Audio` row), samples shaped `(samples,)` or
            `(channels, samples)`;
            a `dict` with `bytes` and/or `path` (an undecoded `datasets.Audio` row);
            a `torchcodec` `AudioDecoder`.
        sampling_rate (int): the wanted rate in Hz.

    Returns:
        `np.ndarray` of shape `(samples,)`, float32.

    Raises:
        AudioError: the source is missing, empty, truncated or no audio, or its samples are not finite numbers.
    """
    return resample(*decode_audio(source), sampling_rate)


def decode_audio(source: Any) -> tuple[np.ndarray, int]:
    """Decode one recording to mono float32 samples at its own rate.

    Args:
        source: as for [`load_audio`].

    Returns:
        `(samples, sampling_rate)`: float32 `(samples,)`, and Hz.

    Raises:
        AudioError: as for [`load_audio`].
    """
    try:
        return _decode_any(source)
    except AudioError:
        raise
    except (OSError, ValueError, OverflowError) as error:
        raise AudioError(f"cannot be read ({type(error).__name__}: {error})") from error


def reason_not_decoded(error: Exception) -> str:
    """Why a recording could not be decoded, whatever its decoder raised: one odd recording must not stop a corpus."""
    return str(error) if isinstance(error, AudioError) else f"cannot be decoded ({type(error).__name__}: {error})"


def _decode_any(source: Any) -> tuple[np.ndarray, int]:
    if isinstance(source, (str, Path)):
        return _decode_file(Path(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode_bytes(source)
    if isinstance(source, Mapping):
        if source.get("array") is not None:
            if not source.get("sampling_rate"):
                raise AudioError("samples come without their sampling_rate")
            return _from_samples(source["array"], source["sampling_rate"])
        if source.get("bytes") is not None:
            return _decode_bytes(source["bytes"])
        if source.get("path") is not None:
            return _decode_file(Path(source["path"]))
        raise AudioError("no audio")
    if hasattr(source, "get_all_samples"):
        samples = source.get_all_samples()
        return _from_samples(samples.data, samples.sample_rate)
    if source is None:
        raise AudioError("no audio")
    raise AudioError(
        f"cannot read audio from a {type(source).__name__}: pass a path, bytes, a dict with array and sampling_rate, "
        "or an AudioDecoder"
    )


def _decode_file(path: Path) -> tuple[np.ndarray, int]:
    if not path.exists():
        raise AudioError(f"file not found: {path}")
    if path.is_dir():
        raise AudioError(f"is a folder, not a file: {path}")
    if path.stat().st_size == 0:
        raise AudioError("empty file")
    with path.open("rb") as file:
        return _decode(file)


def _decode_bytes(content: bytes | bytearray | memoryview) -> tuple[np.ndarray, int]:
    if not len(content):
        raise AudioError("empty file")
    return _decode(io.BytesIO(content))


def _decode(file: BinaryIO) -> tuple[np.ndarray, int]:
    import av

    _refuse_cut_wav(file)
    chunks: list[np.ndarray] = []
    rate: int | None = None
    expected: float | None = None
    try:
        with av.open(file, "r", metadata_errors="ignore", options={"format_whitelist": _CONTAINERS}) as container:
            if not container.streams.audio:
                raise AudioError("has no audio stream")
            stream = container.streams.audio[0]
            if getattr(stream, "rate", None):  # if not, there is no decoder, or the decoded frames state the rate
                _check_rate(stream.rate)
            if container.format.name == "flac" and stream.duration and stream.time_base:
                expected = float(stream.duration * stream.time_base)
            for frame in container.decode(stream):
                if rate is None:
                    rate = _check_rate(frame.sample_rate)
                elif frame.sample_rate != rate:
                    raise AudioError(f"the sampling rate changes from {rate} to {frame.sample_rate} Hz in the file")
                chunks.append(_mono(frame))
    except av.error.FFmpegError as error:
        decoded = sum(map(len, chunks)) / rate if rate else 0
        if decoded:
            raise AudioError(f"truncated or damaged: decoding stopped after {decoded:.2f} s") from error
        raise AudioError(f"not audio that FFmpeg can read ({error.strerror or error})") from error
    if rate is None:
        raise AudioError("has no audio samples")
    samples = np.concatenate(chunks)
    if expected is not None and len(samples) / rate < 0.999 * expected:
        raise AudioError(f"truncated: {len(samples) / rate:.2f} s of {expected:.2f} s")
    return _checked(samples), rate


def _refuse_cut_wav(file: BinaryIO) -> None:
    """Raise an AudioError if a wav has less data than its header states, since FFmpeg would take what there is."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        while len(chunk := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                held = end - file.tell()
                if held < 0.999 * size and size < _WAV_LENGTH_UNKNOWN:
                    raise AudioError(f"truncated: {held} of {size} bytes")
                break
            file.seek(size + size % 2, io.SEEK_CUR)
    file.seek(0)


def _mono(frame: "av.AudioFrame") -> np.ndarray:
    """Average a frame's channels: float32 of shape `(samples,)` in [-1, 1]."""
    samples = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:  # packed: (1, samples * channels)
        samples = samples.reshape(-1, channels).T
    samples = _fractions(samples)
    return samples.mean(axis=0) if channels > 1 else samples[0]


def _fractions(samples: np.ndarray) -> np.ndarray:
    """Turn integer samples into float32 fractions of full scale; floats keep their values."""
    if np.issubdtype(samples.dtype, np.unsignedinteger):  # silence is in the middle of the range
        middle = (np.iinfo(samples.dtype).max + 1) / 2
        return ((samples - middle) / middle).astype(np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    return samples.astype(np.float32)


def _from_samples(samples: Any, rate: int) -> tuple[np.ndarray, int]:
    samples = _fractions(np.asarray(samples))
    if samples.ndim == 2:
        samples = samples.mean(axis=0)
    if samples.ndim != 1 or not samples.size:
        raise AudioError(f"samples of shape {samples.shape}: expected (samples,) or (channels, samples), not empty")
    return _checked(samples), _check_rate(rate)


def _check_rate(rate: Any) -> int:
    number = float(rate) if isinstance(rate, Real) else math.nan
    if not (LOWEST_RATE <= number <= HIGHEST_RATE and number.is_integer()):
        raise AudioError(f"a sampling rate of {rate} Hz: expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz")
    return int(number)


def _checked(samples: np.ndarray) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise AudioError("samples are not all finite numbers")
    return np.ascontiguousarray(samples)


def resample(samples: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    """Resample by FFmpeg's polyphase filters, which have linear phase, with the settings of `RESAMPLING`.

    Args:
        samples (np.ndarray of shape `(samples,)`): float32.
        rate (int): their rate, in Hz.
        sampling_rate (int): the wanted rate, in Hz.

    Raises:
        AudioError: there are too few samples.
    """
    if rate == sampling_rate:
        return samples
    import av

    graph = av.filter.Graph()
    layout = f"sample_fmt=fltp:channel_layout=mono:time_base=1/{rate}"
    chain = [
        graph.add("abuffer", f"sample_rate={rate}:{layout}"),
        graph.add("aresample", f"{sampling_rate}:{RESAMPLING}"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=mono"),
        graph.add("abuffersink"),
    ]
    for one, following in pairwise(chain):
        one.link_to(following)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    chain[0].push(frame)
    chain[0].push(None)
    resampled = []
    while True:
        try:
            pulled = chain[-1].pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            break
        assert isinstance(pulled, av.AudioFrame)
        resampled.append(pulled.to_ndarray()[0])
    if not resampled:
        raise AudioError(f"too short to resample from {rate} to {sampling_rate} Hz ({len(samples)} samples)")
    return np.concatenate(resampled)
