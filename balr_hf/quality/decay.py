"""Decay: how fast sounds end, which rooms and noise slow down.

Speech has sounds that end within hundredths of a second. In a room they die away by 60 dB in its reverberation time,
and noise hides their end, so that the fastest decays of a recording tell how reverberant or noisy it is. They hardly
depend on the band, the level or the codec. With which rooms and noise they go is measured by `benchmarks/decays.py`.

Reference:
    J. Y. C. Wen, E. A. P. Habets and P. A. Naylor, "Blind estimation of reverberation time based on the distribution
    of signal decay rates", ICASSP 2008: the idea. The figure here is a percentile, and no reverberation time.
"""

from __future__ import annotations

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.quality.windows import Windows

# Samples of a window, and between two: 32 ms, 16 ms.
SIZE, HOP = 512, 256
# Hz: the bands, each a fifth wider than the one before, are within what a telephone lets through.
EDGES = np.geomspace(300, 3_400, 13)
# Windows in which a line is put through the level of a band: 48 ms from the first to the last.
LENGTH = 4
# A decay begins at most so many dB below the level that a band exceeds in 5 % of the windows, which the band has had
# for so many windows (48 ms): else clicks and bursts would be the fastest sounds of a reverberant recording.
BELOW, SUSTAINED = 12.0, 3
# In percent: so many of the decays are slower.
PERCENTILE = 95
# Decays that are needed to tell.
FEWEST = 20
# The mean square of a window (-90 dB of full scale) below which it is digital silence, before which nothing decays.
SILENT = 1e-9
# Windows of a stretch (4 s), and how many stretches are looked at: of recordings of more than ten minutes, only so
# many, evenly spread.
STRETCH, MOST = 250, 150

_WINDOW = np.hanning(SIZE).astype(np.float32)
_FREQUENCIES = np.fft.rfftfreq(SIZE, 1 / SAMPLING_RATE)
_EDGES = np.searchsorted(_FREQUENCIES, EDGES)  # the first frequency of each band, and the first beyond the last
_TIMES = (np.arange(LENGTH) - (LENGTH - 1) / 2) * HOP / SAMPLING_RATE
_SLOPE = (_TIMES / np.square(_TIMES).sum()).astype(np.float32)


def decay(samples: np.ndarray) -> float | None:
    """How fast the fastest sounds of a recording end, in dB per second.

    Args:
        samples (`(samples,)`): float32 at 16 kHz, without DC offset.

    Returns:
        None where there are too few decays, as in silence or in steady noise.
    """
    decays = Decays(len(samples))
    decays.add(samples)
    return decays.fastest()


class Decays:
    """Collects the levels of the bands, of a recording that comes in blocks.

    Args:
        num_samples (int): of the whole recording, at 16 kHz.
    """

    def __init__(self, num_samples: int):
        self._windows, self._seen = Windows(SIZE, HOP), 0
        stretches = -(-max(1, 1 + (num_samples - SIZE) // HOP) // STRETCH)
        self._every = -(-stretches // MOST)
        self._levels: dict[int, list[np.ndarray]] = {}  # by the number of the stretch

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples, `(samples,)` at 16 kHz, without DC offset."""
        windows = self._windows.add(samples)
        place = 0
        while place < len(windows):
            number, within = divmod(self._seen + place, STRETCH)
            end = min(len(windows), place + STRETCH - within)
            if number % self._every == 0:
                self._levels.setdefault(number, []).append(_levels(windows[place:end]))
            place = end
        self._seen += len(windows)

    def fastest(self) -> float | None:
        """What [`decay`] tells of the whole recording."""
        levels = [np.concatenate(parts) for parts in self._levels.values()]
        if not levels:
            return None
        every = np.concatenate(levels)
        sounding = every[np.isfinite(every).all(1)]
        if not len(sounding):
            return None
        least = np.quantile(np.ascontiguousarray(sounding.T), 0.95, axis=1).astype(np.float32) - BELOW
        found = [_decays(stretch, least) for stretch in levels if len(stretch) >= SUSTAINED + LENGTH]
        decays = np.concatenate(found) if found else np.zeros(0)
        return float(np.percentile(decays, PERCENTILE)) if len(decays) >= FEWEST else None


def _levels(windows: np.ndarray) -> np.ndarray:
    """The level of each band in dB, float32 `(windows, bands)`; not finite in digital silence."""
    spectra = np.fft.rfft(windows * _WINDOW)
    first, beyond = _EDGES[0], _EDGES[-1]
    powers = (np.square(spectra.real) + np.square(spectra.imag)).astype(np.float32)[:, first:beyond]
    # Sums rather than products of matrices, here and below: these would wake the threads of numpy's BLAS, which then
    # wait busily on the cores where other recordings are decoded.
    levels = np.add.reduceat(powers, _EDGES[:-1] - first, axis=1)
    levels = 10 * np.log10(np.maximum(levels, np.float32(1e-12)))
    levels[np.square(windows, dtype=np.float32).mean(1) < SILENT] = -np.inf
    return levels


def _decays(levels: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The decays in dB per second of all bands in a stretch `(windows, bands)`, after sounds that are loud enough."""
    runs = np.lib.stride_tricks.sliding_window_view(levels, SUSTAINED + LENGTH, axis=0)
    begins = (runs[..., : SUSTAINED + 1] > least[:, None]).all(-1) & np.isfinite(runs).all(-1)
    slopes = (runs[begins][:, SUSTAINED:] * _SLOPE).sum(1)
    return -slopes[slopes < 0]
