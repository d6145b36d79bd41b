"""A condition: what becomes of a recording, written as `duration=3,snr=10,band=telephone,codec=opus:12k`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from balr_hf.audio import AudioError
from balr_hf.conditions.band import TELEPHONE, TELEPHONE_EDGES, limit_band, parse_band
from balr_hf.conditions.clipping import MOST, clip
from balr_hf.conditions.codec import code, is_narrow, parse_codec
from balr_hf.conditions.duration import cut, cut_to
from balr_hf.conditions.level import HIGHEST as LOUDEST
from balr_hf.conditions.level import LOWEST as FAINTEST
from balr_hf.conditions.level import bring_to_level, within_full_scale
from balr_hf.conditions.noise import HIGHEST as CLEANEST
from balr_hf.conditions.noise import LOWEST as NOISIEST
from balr_hf.conditions.noise import make_noise, noise_power, parse_noise
from balr_hf.conditions.room import HIGHEST as LONGEST_REVERB
from balr_hf.conditions.room import LOWEST as SHORTEST_REVERB
from balr_hf.conditions.room import reverberate
from balr_hf.conditions.seeds import Step, generator
from balr_hf.errors import ConfigError
from balr_hf.quality.net_speech import speech_segments
from balr_hf.quality.recording_quality import frames_of, snr_in_memory
from balr_hf.quality.snr import frame_powers

# How a condition that changes nothing is written.
UNCHANGED = "unchanged"
# Hz: where the filters of telephone codecs end, so that noise is measured within what they let through.
NARROW_EDGE = "3900"

_RANGES = {
    "duration": (0.1, 3_600.0, "seconds of net speech"),
    "reverb": (SHORTEST_REVERB, LONGEST_REVERB, "seconds of reverberation time"),
    "snr": (NOISIEST, CLEANEST, "dB"),
    "clipping": (1e-4, MOST, "the share of samples that are cut off"),
    "level": (FAINTEST, LOUDEST, "dB relative to full scale"),
}
_PARSERS = {"noise": parse_noise, "band": parse_band, "codec": parse_codec}


@dataclass(frozen=True)
class Condition:
    """What becomes of a recording, in this order.

    Args:
        reverb (float, *optional*): seconds of reverberation time of a simulated room (needs the extra `rooms`).
        band (str, *optional*): `telephone` for 300 to 3,400 Hz, or the highest frequency in Hz.
        duration (float, *optional*): seconds of net speech to which the recording is cut.
        snr (float, *optional*): signal-to-noise ratio in dB, within the band, to which noise is added.
        noise (str, *optional*): the kind of that noise: `pink` (where none is stated), `white`, `hum`, `babble` of
            other speakers or `recorded`.
        clipping (float, *optional*): share of the samples that are cut off flat.
        level (float, *optional*): root mean square in dB relative to full scale.
        codec (str, *optional*): `opus`, `mp3`, `aac` or `amr`, each with a bit rate or not (`opus:12k`), `gsm`,
            `mulaw` or `alaw`.

    Raises:
        ConfigError: a value is not possible.

    Example:
        >>> condition = Condition.parse("duration=3,snr=10,band=telephone,codec=opus:12k")
        >>> str(condition)
        'band=telephone,duration=3,snr=10,noise=pink,codec=opus:12k'
        >>> str(Condition())
        'unchanged'
    """

    reverb: float | None = None
    band: str | None = None
    duration: float | None = None
    snr: float | None = None
    noise: str | None = None
    clipping: float | None = None
    level: float | None = None
    codec: str | None = None

    def __post_init__(self) -> None:
        for name, (least, most, what) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ConfigError(f"{name}={value:g}: expected {what}, {least:g} to {most:g}")
        for name, parse in _PARSERS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, parse(value))
        if self.noise is not None and self.snr is None:
            raise ConfigError(f"noise={self.noise} without an SNR: add snr=10, in dB")
        if self.snr is not None and self.noise is None:
            object.__setattr__(self, "noise", "pink")

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition as it is written.

        Args:
            text (str): `NAME=VALUE,NAME=VALUE`, or `unchanged`.

        Raises:
            ConfigError: a name is unknown, is there twice, or has no possible value.
        """
        if text.strip() == UNCHANGED:
            return cls()
        values: dict[str, str | float] = {}
        names = [field.name for field in fields(cls)]
        for part in text.split(","):
            name, found, value = (piece.strip() for piece in part.partition("="))
            if name not in names or not found:
                raise ConfigError(
                    f"condition {text!r}: {part.strip()!r} is not NAME=VALUE with a name of {', '.join(names)}"
                )
            if name in values:
                raise ConfigError(f"condition {text!r}: {name} is there twice")
            values[name] = _number(name, value) if name in _RANGES else value
        return cls(**values)  # type: ignore[arg-type]

    @property
    def bandwidth(self) -> float | None:
        """The highest frequency in Hz that its band and its codec let through; None if neither sets an end."""
        ends = [] if self.band is None else [TELEPHONE_EDGES[1] if self.band == TELEPHONE else float(self.band)]
        if self.codec is not None and is_narrow(self.codec):
            ends.append(4_000.0)
        return min(ends, default=None)

    def __str__(self) -> str:
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                parts.append(f"{field.name}={value:g}" if isinstance(value, float | int) else f"{field.name}={value}")
        return ",".join(parts) or UNCHANGED

    def apply(
        self,
        samples: np.ndarray,
        seed: int,
        *,
        voices: Sequence[np.ndarray] = (),
        noises: Sequence[np.ndarray] = (),
        speech: list[tuple[float, float]] | None = None,
    ) -> np.ndarray:
        """Bring a recording to the condition. The same seed gives the same samples.

        Args:
            samples (`(samples,)`): float32, mono, at 16 kHz.
            seed (int): decides what is drawn: see [`recording_seed`].
            voices: recordings of other speakers, each `(samples,)` at 16 kHz, for `babble`.
            noises: recordings of noise, likewise, for `recorded`.
            speech (*optional*): `(start, end)` of the stretches with speech, in seconds, if they are known already.

        Returns:
            float32 `(samples,)` at 16 kHz, within [-1, 1].

        Raises:
            AudioError: this recording cannot be brought to it: it has too little speech, or is noisier already.
            UserError: what it takes is not there: a codec, pyroomacoustics, voices, recordings of noise.
        """
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        if speech is None and (self.duration is not None or self.snr is not None):
            speech = speech_segments(samples)
        own_ratio = None if self.snr is None else _ratio(self._through_band(samples), speech or [])
        if self.reverb is not None:
            samples = reverberate(samples, self.reverb, generator(seed, Step.ROOM))
        samples = self._through_band(samples)
        if self.duration is not None:
            stretch, speech = cut_to(speech or [], self.duration, generator(seed, Step.CUT))
            samples = cut(samples, stretch)
        if own_ratio is not None:
            samples = self._with_noise(samples, speech or [], own_ratio, seed, voices, noises)
        if self.clipping is not None:
            samples = clip(samples, self.clipping)
        samples = within_full_scale(samples) if self.level is None else bring_to_level(samples, self.level)
        return samples if self.codec is None else within_full_scale(code(samples, self.codec))

    def _through_band(self, samples: np.ndarray) -> np.ndarray:
        """Filter to the band, and where noise is added before a telephone's codec, to that of the codec."""
        if self.band is not None:
            samples = limit_band(samples, self.band)
        if self.snr is not None and self.codec is not None and self.band is None and is_narrow(self.codec):
            samples = limit_band(samples, NARROW_EDGE)
        return samples

    def _with_noise(
        self,
        samples: np.ndarray,
        speech: list[tuple[float, float]],
        own_ratio: float,
        seed: int,
        voices: Sequence[np.ndarray],
        noises: Sequence[np.ndarray],
    ) -> np.ndarray:
        assert self.snr is not None and self.noise is not None
        noise = self._through_band(make_noise(self.noise, len(samples), generator(seed, Step.NOISE), voices, noises))
        now = float(np.mean(np.square(noise, dtype=np.float64)))
        powers = frame_powers(_centred(samples))
        loud = float(powers[frames_of(speech, len(powers))].mean())
        wanted = noise_power(loud, own_ratio, self.snr)
        return samples + noise * np.float32((wanted / max(now, 1e-20)) ** 0.5)


def parse_conditions(text: str, repeated: bool = False) -> list[Condition]:
    """Read several conditions, which are separated by semicolons; each is written as for [`Condition.parse`].

    Args:
        text (str): e.g. `unchanged; snr=10; band=telephone,codec=opus:12k`.
        repeated (bool): one may be there several times, to be drawn as much more often.

    Returns:
        list of [`Condition`], in the order in which they are written.

    Raises:
        ConfigError: there is none, one is there twice, or a name or a value is not possible.

    Example:
        >>> [str(condition) for condition in parse_conditions("unchanged; snr=10")]
        ['unchanged', 'snr=10,noise=pink']
    """
    conditions = [Condition.parse(part) for part in text.split(";") if part.strip()]
    if not conditions:
        raise ConfigError(f"{text!r} names no condition: expected e.g. 'unchanged; snr=10'")
    if not repeated and len(set(conditions)) < len(conditions):
        raise ConfigError(f"{text!r} names a condition twice")
    return conditions


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name}={text}: expected {_RANGES[name][2]}, a number") from None


def _centred(samples: np.ndarray) -> np.ndarray:
    """The samples without their DC offset, which is neither speech nor noise."""
    return samples - np.float32(np.mean(samples, dtype=np.float64))


def _ratio(samples: np.ndarray, speech: list[tuple[float, float]]) -> float:
    """The signal-to-noise ratio in dB of a recording as it is."""
    ratio, _ = snr_in_memory(samples, _centred(samples), partial(frames_of, speech))
    if ratio is None:
        raise AudioError("no speech, so that it has no signal-to-noise ratio")
    return ratio
