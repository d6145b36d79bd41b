"""Noise: generated or recorded, added so that a recording has a given signal-to-noise ratio."""

from collections.abc import Sequence

import numpy as np

from balr_hf.audio import SAMPLING_RATE, AudioError
from balr_hf.errors import ConfigError, UserError

# The kinds of noise: the first three are generated, `babble` is made of other speakers, `recorded` of recordings.
NOISES = ("pink", "white", "hum", "babble", "recorded")
# Decibels: the signal-to-noise ratios that can be asked for.
LOWEST, HIGHEST = -10.0, 50.0
# Decibels: a recording may be noisier than wanted by so much, which is less than can be measured.
TOLERANCE = 1.0
# How many speakers babble.
BABBLERS = 6
# Hz: the mains. How much weaker each harmonic of the hum is than the one before.
MAINS, HARMONICS, DECAY = 50.0, 12, 0.7


def parse_noise(text: str) -> str:
    """Check the kind of a noise.

    Raises:
        ConfigError: there is no such kind.
    """
    if text not in NOISES:
        raise ConfigError(f"noise={text}: expected {', '.join(NOISES)}")
    return text


def make_noise(
    kind: str,
    length: int,
    generator: np.random.Generator,
    voices: Sequence[np.ndarray] = (),
    noises: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Noise of mean square 1.

    Args:
        kind (str): one of `NOISES`.
        length (int): samples at 16 kHz.
        generator: draws it.
        voices: recordings of other speakers, each `(samples,)` at 16 kHz, which `babble` is made of.
        noises: recordings of noise, likewise, of which `recorded` takes one.

    Returns:
        float32 `(length,)`.

    Raises:
        UserError: there are no recordings to make it of.
        AudioError: the noise that was drawn is silent.
    """
    if kind == "white":
        noise = generator.standard_normal(length, dtype=np.float32)
    elif kind == "pink":
        noise = _pink(length, generator)
    elif kind == "hum":
        noise = _hum(length, generator)
    elif kind == "babble":
        noise = _babble(length, generator, voices)
    elif not noises:
        raise UserError("noise=recorded: no recordings of noise were given")
    else:
        noise = _piece(noises[int(generator.integers(len(noises)))], length, generator)
    power = float(np.mean(np.square(noise, dtype=np.float64)))
    if power <= 0:
        raise AudioError(f"the noise that was drawn ({kind}) is silent")
    return noise * np.float32(power**-0.5)


def noise_power(speech_power: float, own_ratio: float, wanted: float) -> float:
    """The mean square of the noise to add, so that what is there already and the new noise give the wanted ratio.

    With the power P_s of the speech alone and P_n of the noise that is there, it is `P_s / 10^(wanted / 10) - P_n`.

    Args:
        speech_power (float): the mean square of the stretches with speech, noise included.
        own_ratio (float): the recording's signal-to-noise ratio, in dB.
        wanted (float): in dB.

    Raises:
        AudioError: the recording is noisier than that already.
    """
    if own_ratio < wanted - TOLERANCE:
        raise AudioError(f"has an SNR of {own_ratio:.0f} dB already, so that {wanted:g} dB is out of reach")
    ratio = 10 ** (own_ratio / 10)
    alone = speech_power * ratio / (1 + ratio)
    return max(0.0, alone * (10 ** (-wanted / 10) - 1 / ratio))


def _pink(length: int, generator: np.random.Generator) -> np.ndarray:
    """Noise whose power falls by 3 dB per octave, from 20 Hz on."""
    size = _fast_length(length)
    spectrum = np.fft.rfft(generator.standard_normal(size, dtype=np.float32))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLING_RATE)
    spectrum *= np.sqrt(1 / np.maximum(frequencies, 20.0))
    return np.fft.irfft(spectrum, size)[:length].astype(np.float32)


def _hum(length: int, generator: np.random.Generator) -> np.ndarray:
    """The mains and its harmonics, each with a phase that is drawn, over weak white noise."""
    times = np.arange(length) / SAMPLING_RATE
    hum = np.zeros(length)
    for number, phase in enumerate(generator.uniform(0, 2 * np.pi, HARMONICS), start=1):
        hum += DECAY ** (number - 1) * np.sin(2 * np.pi * MAINS * number * times + phase)
    return (hum + 0.01 * generator.standard_normal(length)).astype(np.float32)


def _babble(length: int, generator: np.random.Generator, voices: Sequence[np.ndarray]) -> np.ndarray:
    """Several voices at once, equally loud."""
    if len(voices) < BABBLERS:
        raise UserError(f"noise=babble: needs recordings of at least {BABBLERS} other speakers, and got {len(voices)}")
    babble = np.zeros(length, dtype=np.float32)
    for chosen in generator.choice(len(voices), BABBLERS, replace=False):
        piece = _piece(voices[chosen], length, generator)
        level = float(np.sqrt(np.mean(np.square(piece, dtype=np.float64))))
        babble += piece / np.float32(level or 1.0)
    return babble


def _piece(recording: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """A stretch of a recording that begins anywhere; a shorter one is repeated."""
    if not recording.size:
        raise AudioError("the noise that was drawn is empty")
    start = int(generator.integers(max(1, len(recording) - length + 1)))
    piece = recording[start : start + length]
    return piece if len(piece) == length else np.resize(piece, length)


def _fast_length(length: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(length, real=True))
