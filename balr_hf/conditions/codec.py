"""Codecs: what a recording loses by being coded and decoded, by FFmpeg through PyAV."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from balr_hf.audio import SAMPLING_RATE, load_audio, resample
from balr_hf.errors import ConfigError, UserError

# Hz: the sampling rate of telephone codecs.
NARROW = 8_000


@dataclass(frozen=True)
class Codec:
    """How FFmpeg codes.

    Attributes:
        encoders: FFmpeg's names of the encoder, the best one first; not every build has each of them.
        container: its name of the container that the coded packets stand in.
        rate: Hz that is coded.
        delay: samples by which coding and decoding delays, where the container does not tell; measured.
        bitrates: bit/s that it can have; empty where there is only one.
        usual: bit/s where none is stated.
        options: the encoder's.
    """

    encoders: tuple[str, ...]
    container: str
    rate: int
    delay: int
    bitrates: tuple[int, ...] = ()
    usual: int | None = None
    options: tuple[tuple[str, str], ...] = ()


_AMR = (4_750, 5_150, 5_900, 6_700, 7_400, 7_950, 10_200, 12_200)
_MP3 = tuple(1_000 * rate for rate in (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160))

CODECS = {
    "opus": Codec(
        ("libopus",), "ogg", SAMPLING_RATE, 0, tuple(range(6_000, 64_001, 500)), 16_000, (("application", "voip"),)
    ),
    "mp3": Codec(("libmp3lame",), "mp3", SAMPLING_RATE, 0, _MP3, 32_000),
    "aac": Codec(("aac",), "adts", SAMPLING_RATE, 1_024, tuple(range(12_000, 64_001, 1_000)), 24_000),
    "amr": Codec(("libopencore_amrnb",), "amr", NARROW, 40, _AMR, 12_200),
    "gsm": Codec(("libgsm",), "gsm", NARROW, 0),
    "mulaw": Codec(("pcm_mulaw",), "wav", NARROW, 0),
    "alaw": Codec(("pcm_alaw",), "wav", NARROW, 0),
}


def parse_codec(text: str) -> str:
    """Check a codec, `NAME` or `NAME:BITRATE`, and write it with its bit rate: `opus` is `opus:16k`.

    Raises:
        ConfigError: there is no such codec, or it has no such bit rate.
    """
    name, _, rate = text.partition(":")
    codec = CODECS.get(name)
    if codec is None:
        raise ConfigError(f"codec={text}: unknown codec {name!r}; expected {', '.join(CODECS)}")
    if not codec.bitrates:
        if rate:
            raise ConfigError(f"codec={text}: {name} has one bit rate only; write codec={name}")
        return name
    bits = codec.usual if not rate else _bits(rate)
    if bits not in codec.bitrates:
        stated = ", ".join(_text(bit) for bit in codec.bitrates)
        if len(codec.bitrates) > 20:
            stated = f"{_text(codec.bitrates[0])} to {_text(codec.bitrates[-1])}"
        raise ConfigError(f"codec={text}: {name} has no bit rate of {rate}; expected {stated}")
    return f"{name}:{_text(bits)}"


def code(samples: np.ndarray, codec: str) -> np.ndarray:
    """Code and decode a recording.

    Args:
        samples (`(samples,)`): float32 at 16 kHz.
        codec (str): of [`parse_codec`].

    Returns:
        float32 `(samples,)`, as many as before.

    Raises:
        UserError: this build of FFmpeg cannot code so.
    """
    how = CODECS[codec.partition(":")[0]]
    decoded = load_audio(encoded(samples, codec))[how.delay * SAMPLING_RATE // how.rate :]
    padded = np.zeros(len(samples), dtype=np.float32)
    padded[: len(decoded)] = decoded[: len(samples)]
    return padded


def encoded(samples: np.ndarray, codec: str) -> bytes:
    """The file that a codec makes of a recording, in the codec's usual container.

    Args:
        samples (`(samples,)`): float32 at 16 kHz.
        codec (str): of [`parse_codec`].

    Raises:
        UserError: this build of FFmpeg cannot code so.
    """
    import av

    name, _, rate = codec.partition(":")
    how = CODECS[name]
    encoder = _encoder(name)
    signal = np.append(resample(samples, SAMPLING_RATE, how.rate), np.zeros(how.delay, dtype=np.float32))
    coded = io.BytesIO()
    with av.open(coded, "w", format=how.container) as container:
        stream = container.add_stream(encoder, rate=how.rate, options=dict(how.options), layout="mono")
        assert isinstance(stream, av.AudioStream)
        if rate:
            stream.bit_rate = _bits(rate)
        pcm = np.round(np.clip(signal, -1, 1) * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = how.rate, Fraction(1, how.rate), 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return coded.getvalue()


def is_narrow(codec: str) -> bool:
    """Whether a codec is one of telephones, which lets nothing through above 4 kHz."""
    return CODECS[codec.partition(":")[0]].rate == NARROW


def available_codecs() -> list[str]:
    """The names of the codecs that this build of FFmpeg has."""
    return [name for name, codec in CODECS.items() if _first_encoder(codec) is not None]


def check_encoder(codec: str) -> None:
    """See whether this build of FFmpeg can code so.

    Args:
        codec (str): as [`parse_codec`] takes it: `opus:12k`.

    Raises:
        UserError: it cannot.
    """
    _encoder(codec.partition(":")[0])


def _encoder(name: str) -> str:
    found = _first_encoder(CODECS[name])
    if found is None:
        raise UserError(
            f"codec={name}: this build of FFmpeg (PyAV) has no encoder {' or '.join(CODECS[name].encoders)}; it has "
            f"{', '.join(available_codecs())}"
        )
    return found


def _first_encoder(codec: Codec) -> str | None:
    import av

    for encoder in codec.encoders:
        try:
            av.Codec(encoder, "w")
        except ValueError:  # PyAV's UnknownCodecError
            continue
        return encoder
    return None


def _bits(text: str) -> int:
    """Bit/s of `12k`, `12.2k` or `12200`; 0 if it is none of these."""
    try:
        return round(float(text.removesuffix("k")) * (1_000 if text.endswith("k") else 1))
    except ValueError:
        return 0


def _text(bits: int | None) -> str:
    assert bits is not None
    return f"{bits / 1_000:g}k"
