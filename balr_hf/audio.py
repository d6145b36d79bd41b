"""Loading audio: any file, bytes, array or decoder object becomes mono float32 at the wanted sampling rate.

PyAV decodes and resamples. Its wheels contain FFmpeg, so nothing has to be installed on the system.
"""

import io
import math
import os
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from balr_hf.containers import Contents, DamageError, refuse_damaged
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

# More channels than any recorder has; a header that states more is damaged.
MOST_CHANNELS = 64
# Seconds (a week): a longer recording is a damaged header, or a file that was made to fill disks and memory.
LONGEST = 7 * 24 * 3600
# Samples that `load_audio` holds in memory at most: 4 GiB, more than 18 hours at 16 kHz.
MOST_SAMPLES = 2**30
# Samples (64 MiB: 17 minutes at 16 kHz) beyond which a recording is not held in memory where it need not be.
LONG_SAMPLES = 2**24
# A float sample that is larger is no fraction of full scale.
LOUDEST = 100.0
# Samples that are decoded before they are passed on, since decoders give a thousand or so at a time.
BLOCK_SAMPLES = 2**18
# What looks at all channels of a recording before they become one: it gets float32 `(channels, samples)` of two and
# more channels, block by block, and their rate in Hz.
Listener = Callable[[np.ndarray, int], None]


class AudioError(UserError):
    """A recording that cannot be used; the message is the reason, without the recording's name.

    Attributes:
        starved: whether memory lacked, so that it is worth another try when more is free.
    """

    starved = False

    @classmethod
    def of(cls, error: Exception) -> "AudioError":
        """The error that says why a recording could not be decoded, whatever its decoder raised."""
        told = cls(reason_not_decoded(error))
        told.starved = isinstance(error, MemoryError) or (isinstance(error, AudioError) and error.starved)
        return told


@dataclass(frozen=True)
class LongAudio:
    """A recording that is too long to be held in memory: it is decoded again each time that it is gone through.

    Attributes:
        source, channel: as for [`load_audio`].
        sampling_rate: of the recording, in Hz.
    """

    source: Any
    sampling_rate: int
    channel: int | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """Go through the samples: float32 `(samples,)` each, mono at the recording's own rate.

        Raises:
            AudioError: as for [`load_audio`]; what is wrong at the end of a file comes to light at the end.
        """
        try:
            with closing(_blocks(self.source, _Channels(self.channel))) as blocks:
                for samples, _ in blocks:
                    yield samples
        except AudioError:
            raise
        except Exception as error:
            raise AudioError.of(error) from error

    def resampled(self, sampling_rate: int) -> Iterator[np.ndarray]:
        """Go through the samples at another rate in Hz: float32 `(samples,)` each.

        Raises:
            AudioError: as for [`load_audio`].
        """
        resampler = Resampler(self.sampling_rate, sampling_rate)
        for samples in self.blocks():
            yield resampler.add(samples)
        yield resampler.finish()


def load_audio(source: Any, sampling_rate: int = SAMPLING_RATE, channel: int | None = None) -> np.ndarray:
    """Decode one recording to mono float32 samples in [-1, 1] at `sampling_rate`.

    Channels are averaged, whatever they hold; [`load_speech`] refuses where they hold different voices. Files and
    bytes may have any rate, channel count and format that FFmpeg reads.

    Args:
        source: one of
            a path (`str` or `Path`) or a file's `bytes`;
            a `dict` with `array` and `sampling_rate` (a decoded `datasets.Audio` row), samples shaped `(samples,)` or
            `(channels, samples)`, and of the type `dtype` if there is one, which lists of integers do not have;
            a `dict` with `bytes` and/or `path` (an undecoded `datasets.Audio` row);
            a `torchcodec` `AudioDecoder`.
        sampling_rate (int): the wanted rate in Hz.
        channel (int, *optional*): only this channel, counted from 1, instead of the mean of all.

    Returns:
        `np.ndarray` of shape `(samples,)`, float32.

    Raises:
        AudioError: the source is missing, empty, truncated, damaged or no audio, its samples are not finite numbers
            or are masked, they do not fit into memory, or there is no such channel.
    """
    samples, rate = decode_audio(source, channel)
    try:
        return resample(samples, rate, sampling_rate)
    except AudioError:
        raise
    except Exception as error:
        raise AudioError.of(error) from error


def decode_audio(source: Any, channel: int | None = None, listener: Listener | None = None) -> tuple[np.ndarray, int]:
    """Decode one recording to mono float32 samples at its own rate.

    Args:
        source, channel: as for [`load_audio`].
        listener (*optional*): looks at the channels.

    Returns:
        `(samples, sampling_rate)`: float32 `(samples,)`, and Hz.

    Raises:
        AudioError: as for [`load_audio`].
    """
    whole = _decode_up_to(source, MOST_SAMPLES, _Channels(channel, listener))
    if isinstance(whole, LongAudio):
        hours = MOST_SAMPLES / whole.sampling_rate / 3600
        raise AudioError(f"longer than {hours:.0f} h at {whole.sampling_rate} Hz, which is not held in memory at once")
    return whole


def open_audio(
    source: Any, channel: int | None = None, listener: Listener | None = None
) -> tuple[np.ndarray, int] | LongAudio:
    """Decode one recording as [`decode_audio`] does, unless it is too long to be held in memory.

    Args:
        source, channel: as for [`load_audio`].
        listener (*optional*): looks at the channels; of a recording that is not held in memory, at its first
            `LONG_SAMPLES` samples.

    Returns:
        `(samples, sampling_rate)`, or [`LongAudio`] of more than `LONG_SAMPLES` samples (at 16 kHz, if it has a lower
        rate).

    Raises:
        AudioError: as for [`load_audio`].
    """
    return _decode_up_to(source, LONG_SAMPLES, _Channels(channel, listener))


def count_channels(source: Any) -> int:
    """How many channels a recording has.

    Args:
        source: as for [`load_audio`].

    Raises:
        AudioError: as for [`load_audio`]; the whole recording is not looked at.
    """
    channels = _Channels(None)
    try:
        with closing(_blocks(source, channels)) as blocks:
            next(blocks)
    except AudioError:
        raise
    except Exception as error:
        raise AudioError.of(error) from error
    return channels.count


def _decode_up_to(source: Any, most: int, channels: "_Channels") -> tuple[np.ndarray, int] | LongAudio:
    """Decode a recording into memory, unless it has more than so many samples at its own rate or at 16 kHz."""
    parts: list[np.ndarray] = []
    rate = held = 0
    try:
        with closing(_blocks(source, channels)) as blocks:
            for samples, rate in blocks:
                parts.append(samples)
                held += len(samples)
                if held * max(1.0, SAMPLING_RATE / rate) > most:
                    return LongAudio(source, rate, channels.wanted)
        return np.concatenate(parts) if len(parts) > 1 else parts[0], rate
    except AudioError:
        raise
    except Exception as error:  # one odd recording must not stop a corpus, whatever its decoder raises
        raise AudioError.of(error) from error


def reason_not_decoded(error: Exception) -> str:
    """Why a recording could not be decoded, whatever its decoder raised: one odd recording must not stop a corpus."""
    if isinstance(error, AudioError):
        return str(error)
    if isinstance(error, MemoryError):
        return "does not fit into the memory that is free (MemoryError)"
    if isinstance(error, (OSError, ValueError, OverflowError)):
        return f"cannot be read ({type(error).__name__}: {error})"
    return f"cannot be decoded ({type(error).__name__}: {error})"


class _Channels:
    """Makes one channel of all: the mean, or the one that is wanted.

    Args:
        wanted (int, *optional*): the channel, counted from 1.
        listener (*optional*): gets the samples of all channels as well.

    Attributes:
        count: how many channels there were at last.
    """

    def __init__(self, wanted: int | None, listener: Listener | None = None):
        if wanted is not None and wanted < 1:
            raise AudioError(f"channel {wanted}: they are counted from 1")
        self.wanted, self.listener = wanted, listener
        self.count = 0
        self._heard: list[np.ndarray] = []

    def joined(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Make `(samples,)` of `(channels, samples)`, and keep the latter for the listener."""
        if len(samples) != self.count:
            self.flush(rate)
            self.count = len(samples)
        if self.listener is not None and self.count > 1:
            self._heard.append(samples)
        if self.wanted is not None:
            if self.wanted > self.count:
                raise AudioError(f"has no channel {self.wanted}: it has {self.count}")
            return samples[self.wanted - 1]
        return samples.mean(axis=0) if self.count > 1 else samples[0]

    def flush(self, rate: int) -> None:
        """Give the listener what was kept for it."""
        if self.listener is not None and self._heard:
            self.listener(np.concatenate(self._heard, axis=1), rate)
            self._heard = []


def _blocks(source: Any, channels: _Channels) -> Generator[tuple[np.ndarray, int]]:
    """Decode a recording: mono float32 samples `(samples,)` with their rate in Hz, at least one block of them."""
    if isinstance(source, (str, Path)):
        yield from _blocks_of_file(Path(source), channels)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield from _blocks_of_bytes(source, channels)
    elif isinstance(source, Mapping):
        if source.get("array") is not None:
            if not source.get("sampling_rate"):
                raise AudioError("samples come without their sampling_rate")
            samples = _numbers(source["array"], source.get("dtype"))
            yield from _in_blocks(*_from_samples(samples, source["sampling_rate"], channels))
        elif source.get("bytes") is not None:
            yield from _blocks_of_bytes(source["bytes"], channels)
        elif source.get("path") is not None:
            yield from _blocks_of_file(Path(source["path"]), channels)
        else:
            raise AudioError("no audio")
    elif hasattr(source, "get_all_samples"):
        samples = source.get_all_samples()
        yield from _in_blocks(*_from_samples(_numbers(samples.data), samples.sample_rate, channels))
    elif source is None:
        raise AudioError("no audio")
    else:
        raise AudioError(
            f"cannot read audio from a {type(source).__name__}: pass a path, bytes, a dict with array and "
            "sampling_rate, or an AudioDecoder"
        )


def _in_blocks(samples: np.ndarray, rate: int) -> Iterator[tuple[np.ndarray, int]]:
    for start in range(0, len(samples), BLOCK_SAMPLES):
        yield samples[start : start + BLOCK_SAMPLES], rate


def _blocks_of_file(path: Path, channels: _Channels) -> Iterator[tuple[np.ndarray, int]]:
    if not path.exists():
        raise AudioError(f"file not found: {path}{_in_other_form(path)}")
    if path.is_dir():
        raise AudioError(f"is a folder, not a file: {path}")
    if path.stat().st_size == 0:
        raise AudioError("empty file")
    with path.open("rb") as file:
        yield from _Decoder(file, channels).blocks()


def _in_other_form(path: Path) -> str:
    """Tell of a file whose name looks the same: an accented letter may be one character or two."""
    if str(path).isascii():
        return ""
    for form in ("NFC", "NFD"):
        if os.path.exists(unicodedata.normalize(form, str(path))):
            return f" (there is one whose name looks the same, with accents in Unicode's form {form}: rename either)"
    return ""


def _blocks_of_bytes(content: bytes | bytearray | memoryview, channels: _Channels) -> Iterator[tuple[np.ndarray, int]]:
    if not len(content):
        raise AudioError("empty file")
    yield from _Decoder(io.BytesIO(content), channels).blocks()


class _Decoder:
    """Decodes a file with FFmpeg, and tells of one that is damaged or not whole.

    Args:
        file: the file.
        channels: makes one channel of all.
    """

    def __init__(self, file: BinaryIO, channels: _Channels):
        self._file, self._channels = file, channels
        self._rate: int | None = None
        self._decoded = 0  # samples, so far
        self._has_channels = True
        self._stated = 0.0  # how many seconds a FLAC file says that it has

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Decode in blocks of about `BLOCK_SAMPLES`: mono float32 samples `(samples,)`, with their rate in Hz.

        Raises:
            AudioError: the file is no audio, damaged or not whole, or what it says of itself is out of bounds.
        """
        import av

        options = {"format_whitelist": _CONTAINERS}
        parts: list[np.ndarray] = []
        waiting = 0
        try:
            least = refuse_damaged(self._file)
            with av.open(self._file, "r", metadata_errors="ignore", options=options) as container:
                stream = self._stream_of(container)
                contents = Contents.of(self._file, container.format.name, stream, least)
                if contents.checks:
                    stream.codec_context.options = {"err_detect": "crccheck+explode"}
                for packet in container.demux(stream):
                    contents.add_packet(packet.size)
                    for frame in packet.decode():
                        parts.append(self._joined(frame, contents))
                        waiting += len(parts[-1])
                    if waiting >= BLOCK_SAMPLES:
                        yield self._block(parts)
                        parts, waiting = [], 0
            self._check_whole(contents)
        except DamageError as error:
            raise AudioError(str(error)) from error
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise AudioError.of(error) from error
            raise AudioError(self._reason(error)) from error
        if parts:
            yield self._block(parts)

    def _stream_of(self, container: "av.container.InputContainer") -> "av.audio.stream.AudioStream":
        """The first stream of sound, if what its header says of it is within bounds."""
        if not container.streams.audio:
            raise AudioError("has no audio stream")
        stream = container.streams.audio[0]
        if getattr(stream, "rate", None):  # if not, there is no decoder, or the decoded frames state the rate
            _check_rate(stream.rate)
            _check_channels(stream.codec_context.layout.nb_channels)
            self._has_channels = stream.codec_context.layout.nb_channels > 0
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
            self._stated = seconds if container.format.name == "flac" else 0.0
            _check_duration(seconds)
        return stream

    def _joined(self, frame: "av.AudioFrame", contents: Contents) -> np.ndarray:
        """The samples of a frame in one channel, `(samples,)`."""
        samples = _samples_of(frame)
        contents.add(frame, samples)
        if self._rate is None:
            self._rate = _check_rate(frame.sample_rate)
        elif frame.sample_rate != self._rate:
            raise AudioError(f"the sampling rate changes from {self._rate} to {frame.sample_rate} Hz in the file")
        _check_channels(frame.layout.nb_channels)
        joined = self._channels.joined(_fractions(samples), self._rate)
        self._decoded += len(joined)
        return joined

    def _block(self, parts: list[np.ndarray]) -> tuple[np.ndarray, int]:
        """The samples of some frames, with their rate."""
        assert self._rate is not None
        _check_duration(self._decoded / self._rate)
        self._channels.flush(self._rate)
        return _checked(np.concatenate(parts)), self._rate

    def _check_whole(self, contents: Contents) -> None:
        """Refuse a file that has less than it states, once all of it is decoded."""
        if self._rate is None or not self._decoded:
            raise AudioError("has no audio samples")
        seconds = self._decoded / self._rate
        if seconds < 0.999 * self._stated:
            raise AudioError(f"truncated: {seconds:.2f} s of {self._stated:.2f} s")
        contents.check(self._decoded)

    def _reason(self, error: "av.error.FFmpegError") -> str:
        """Why FFmpeg stopped."""
        if self._rate and self._decoded:
            return f"truncated or damaged: decoding stopped after {self._decoded / self._rate:.2f} s"
        if not self._has_channels:  # FFmpeg takes no more than 512
            return f"states no channels, or hundreds: expected 1 to {MOST_CHANNELS}"
        return f"not audio that FFmpeg can read ({error.strerror or error})"


def _samples_of(frame: "av.AudioFrame") -> np.ndarray:
    """The samples of a frame as they were decoded, `(channels, samples)`."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:  # packed: (1, samples * channels)
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    return samples


def _fractions(samples: np.ndarray) -> np.ndarray:
    """Turn integer samples into float32 fractions of full scale; floats keep their values."""
    if np.issubdtype(samples.dtype, np.unsignedinteger):  # silence is in the middle of the range
        middle = (np.iinfo(samples.dtype).max + 1) / 2
        return ((samples - middle) / middle).astype(np.float32)
    found = samples.astype(np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        found /= -float(np.iinfo(samples.dtype).min)  # a power of two, so that nothing is rounded again
    return found


def _numbers(samples: Any, dtype: Any = None) -> np.ndarray:
    """Samples as an array, of the type that is told beside them if there is one.

    Raises:
        AudioError: they are no numbers (truth values, texts), have an imaginary part, or some are masked.
    """
    if np.ma.is_masked(samples):
        raise AudioError("some of the samples are masked: cut them out, or fill them with what is to be heard there")
    found = np.asarray(samples, dtype=dtype)
    types = {found.dtype, getattr(samples, "dtype", found.dtype)}
    odd = [kind for kind in types if isinstance(kind, np.dtype) and kind.kind not in "iufO"]
    if odd:
        raise AudioError(f"samples of the type {odd[0]}: expected floats in [-1, 1], or integers")
    return found


def _from_samples(samples: np.ndarray, rate: int, channels: _Channels) -> tuple[np.ndarray, int]:
    rate = _check_rate(rate)
    if samples.ndim not in (1, 2) or not samples.size:
        raise AudioError(f"samples of shape {samples.shape}: expected (samples,) or (channels, samples), not empty")
    _check_range(samples)
    samples = _fractions(samples)
    samples = np.atleast_2d(samples)
    _check_channels(len(samples))
    _check_duration(samples.shape[1] / rate)
    joined = _checked(channels.joined(_checked(samples), rate))
    channels.flush(rate)
    return joined, rate


def _check_range(samples: np.ndarray) -> None:
    """Refuse samples that evidently are of another width than their type says."""
    least, most = samples.min(), samples.max()
    is_wide = np.issubdtype(samples.dtype, np.signedinteger) and samples.dtype.itemsize > 2
    used = next((bits for bits in (16, 32) if -(2 ** (bits - 1)) <= least < most < 2 ** (bits - 1)), 64)
    if is_wide and used < 8 * samples.dtype.itemsize:
        of_lists = " (as lists of integers have)" if samples.dtype == np.int64 else ""
        raise AudioError(
            f"samples from {least:,} to {most:,} of the type {samples.dtype}{of_lists} use {used} of its bits at "
            f"most: pass an array of the type int{used}, or floats in [-1, 1]"
        )
    if np.issubdtype(samples.dtype, np.floating) and LOUDEST < max(-least, most) < np.inf:
        raise AudioError(f"samples from {least:,.0f} to {most:,.0f}: expected floats in [-1, 1], or int16")


def _check_rate(rate: Any) -> int:
    if getattr(rate, "ndim", None) == 0:  # of rows in the format of NumPy or torch
        rate = rate.item()
    number = float(rate) if isinstance(rate, Real) else math.nan
    if not (LOWEST_RATE <= number <= HIGHEST_RATE and number.is_integer()):
        raise AudioError(f"a sampling rate of {rate} Hz: expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz")
    return int(number)


def _check_channels(channels: int) -> None:
    if channels > MOST_CHANNELS:
        raise AudioError(f"{channels} channels: expected at most {MOST_CHANNELS}")


def _check_duration(seconds: float) -> None:
    if seconds > LONGEST:
        raise AudioError(f"a duration of {seconds / 3600:,.0f} h: expected at most {LONGEST // 3600} h")


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
    resampler = Resampler(rate, sampling_rate)
    return np.concatenate([resampler.add(samples), resampler.finish()])


class Resampler:
    """Resamples a recording that comes in blocks; together they become what [`resample`] makes of the whole.

    Args:
        rate (int): of the samples, in Hz.
        sampling_rate (int): the wanted rate, in Hz.
    """

    def __init__(self, rate: int, sampling_rate: int):
        self.rate, self.sampling_rate = rate, sampling_rate
        self._taken = self._given = 0
        if rate == sampling_rate:
            return
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
        self._graph, self._first, self._last = graph, chain[0], chain[-1]

    def add(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples, float32 `(samples,)`, and return those that are finished, `(samples,)`."""
        if self.rate == self.sampling_rate or not len(samples):
            return samples
        import av

        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = self.rate, Fraction(1, self.rate), self._taken
        self._taken += len(samples)
        self._first.push(frame)
        return self._finished()

    def finish(self) -> np.ndarray:
        """Return the rest of the samples, `(samples,)`.

        Raises:
            AudioError: there were too few.
        """
        if self.rate == self.sampling_rate:
            return np.zeros(0, dtype=np.float32)
        self._first.push(None)
        rest = self._finished()
        if not self._given:
            raise AudioError(
                f"too short to resample from {self.rate} to {self.sampling_rate} Hz ({self._taken} samples)"
            )
        return rest

    def _finished(self) -> np.ndarray:
        import av

        parts = [np.zeros(0, dtype=np.float32)]
        while True:
            try:
                pulled = self._last.pull()
            except (av.error.EOFError, av.error.BlockingIOError):
                break
            assert isinstance(pulled, av.AudioFrame)
            parts.append(pulled.to_ndarray()[0])
        self._given += sum(map(len, parts))
        return np.concatenate(parts)
