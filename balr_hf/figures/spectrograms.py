"""Figure of recordings: their spectrograms, one below the other, on the same scales."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.lib.stride_tricks import sliding_window_view

from balr_hf.figures.style import DARK, GREY, look, new_figure

# Seconds: of the window (a band of about 240 Hz shows formants, not harmonics), and from one to the next.
WINDOW, STEP = 0.006, 0.002
FFT_SIZE = 512

# Decibels below the strongest part of all recordings that are told apart.
RANGE = 70.0

# Inches: of one spectrogram.
ROW = 1.5


@look()
def spectrograms(
    recordings: Sequence[np.ndarray], sampling_rate: int, names: Sequence[str], seconds: float = 10.0
) -> Figure:
    """Wide-band spectrograms of recordings, with the same axes of time and frequency, and the same levels.

    Args:
        recordings: each float `(samples,)`.
        sampling_rate (int): of all of them, in Hz.
        names: of the recordings.
        seconds (float): only so much of the beginning of each is drawn.

    Raises:
        ValueError: no recording, a name too few or too many, or samples that are none, not finite or of another shape.
    """
    if not len(recordings) or len(recordings) != len(names):
        raise ValueError(f"{len(recordings)} recordings and {len(names)} names: expected as many, and at least one")
    shown = []
    for name, recording in zip(names, map(np.asarray, recordings), strict=True):
        if recording.ndim != 1 or not recording.size or not np.isfinite(recording).all():
            raise ValueError(f"{name}: expected finite samples of shape (samples,), not empty")
        shown.append(recording[: max(1, round(seconds * sampling_rate))])
    levels = [_levels(samples, sampling_rate) for samples in shown]
    top, longest = max(level.max() for level in levels), max(samples.size for samples in shown)
    figure, axes = new_figure(height=ROW * len(shown) + 0.35, rows=len(shown), sharex=True, sharey=True, squeeze=False)
    for (ax,), name, recording, samples, level in zip(axes, names, recordings, shown, levels, strict=True):
        extent = (0, len(level) * STEP, 0, sampling_rate / 2000)
        image = ax.imshow(
            (level - top).T, cmap="Greys", vmin=-RANGE, vmax=0, origin="lower", aspect="auto", extent=extent
        )
        if samples.size < longest:
            ax.axvline(samples.size / sampling_rate, color=GREY, linewidth=0.8, linestyle="--")
        if samples.size < len(recording):
            name += f" (first {seconds:g} s of {len(recording) / sampling_rate:.0f} s)"
        ax.set_title(name, fontsize=7, loc="left")
        ax.set_ylabel("Frequency (kHz)")
        ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        ax.grid(visible=False)
    ax.set(xlim=(0, longest / sampling_rate), ylim=(0, sampling_rate / 2000))
    ax.set_xlabel("Time (s)")
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, aspect=15 * len(shown), label="Level (dB)")
    bar.outline.set(linewidth=0.6, edgecolor=DARK)
    return figure


def _levels(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """In dB, `(steps, frequencies)`; the n-th step is around the time `(n + 1/2) * STEP`."""
    length, step = round(WINDOW * sampling_rate), STEP * sampling_rate
    starts = np.round((np.arange(max(1, int(samples.size / step))) + 0.5) * step).astype(np.int64)
    padded = np.pad(samples.astype(np.float32), (length // 2, length))
    frames = sliding_window_view(padded, length)[np.minimum(starts, samples.size)]
    power = np.abs(np.fft.rfft(frames * np.hanning(length), max(FFT_SIZE, length))) ** 2
    return 10 * np.log10(np.maximum(power, 1e-12))
