"""Signals whose truth is known, because they are made from it."""

import numpy as np
import pytest
from scipy.signal import lfilter

RATE = 16_000


def pulses(times: np.ndarray, seconds: float, amplitudes: np.ndarray | float = 1.0) -> np.ndarray:
    """A pulse at each time, between samples too, whose spectrum is flat up to 7 kHz: a sinc under a Hann window."""
    samples = np.zeros(round(seconds * RATE))
    reach = np.arange(-24, 25)
    for time, amplitude in zip(times, np.broadcast_to(amplitudes, times.shape), strict=True):
        places = round(time * RATE) + reach
        kept = (places >= 0) & (places < len(samples))
        away = (places[kept] + 0.5) / RATE - time
        samples[places[kept]] += amplitude * np.sinc(14_000 * away) * np.cos(np.pi * away * RATE / 52) ** 2
    return samples


def vowel(source: np.ndarray, formants: tuple[float, ...], bandwidth: float = 80.0) -> np.ndarray:
    """A source, which falls by 6 dB per octave, through resonances at these frequencies in Hz."""
    source = lfilter([1.0], [1.0, -0.98], source)
    for frequency in formants:
        radius = np.exp(-np.pi * bandwidth / RATE)
        source = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2], source)
    return source / np.abs(source).max()


def voice(f0: float, seconds: float = 2.0, formants=(500.0, 1500.0, 2500.0, 3500.0, 4500.0)) -> np.ndarray:
    """A steady vowel."""
    return vowel(pulses(np.arange(0.01, seconds - 0.01, 1 / f0), seconds), formants)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
