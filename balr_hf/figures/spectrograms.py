"""Figure of recordings: their spectrograms, one below the other, on the same scales."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.lib.stride_tricks import sliding_window_view

from balr_hf.figures.style import DARK, GREY, look, new_panels

# In seconds: the length of the window (its band of about 240 Hz shows formants, not harmonics), and the step from one
# window to the next.
WINDOW, STEP = 0.006, 0.002
FFT_SIZE = 512

# Levels are told apart down to this many decibels below the strongest part of all recordings.
RANGE = 70.0

# The height of one spectrogram in inches.
ROW = 1.5


@look()
def spectrograms(
    recordings: Sequence[np.ndarray], sampling_rate: int, names: Sequence[str], seconds: float = 10.0
) -> Figure:
    """Draw wide-band spectrograms of recordings, all on the same scales of time, frequency and level.

    Args:
        recordings (sequence of `np.ndarray`): the samples of each recording, float of shape `(samples,)`.
        sampling_rate (int): the sampling rate of all recordings, in Hz.
        names (sequence of str): one name per recording.
        seconds (float): only the first so many seconds of each recording are drawn.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there is no recording, there are more or fewer names than recordings, or a recording has no
            samples, samples that are not finite, or another shape.
    """
    if not len(recordings) or len(recordings) != len(names):
        raise ValueError(f"{len(recordings)} recordings and {len(names)} names: expected equal numbers, at least one")
    shown = []
    for name, recording in zip(names, map(np.asarray, recordings), strict=True):
        if recording.ndim != 1 or not recording.size or not np.isfinite(recording).all():
            raise ValueError(f"{name}: expected finite samples of shape (samples,), not empty")
        shown.append(recording[: max(1, round(seconds * sampling_rate))])
    shown_levels = [levels(samples, sampling_rate) for samples in shown]
    top, longest = max(level.max() for level in shown_levels), max(samples.size for samples in shown)
    figure, panels = new_panels(height=ROW * len(shown) + 0.35, rows=len(shown), sharex=True, sharey=True)
    axes: list[Axes] = list(panels[:, 0])
    for ax, name, recording, samples, level in zip(axes, names, recordings, shown, shown_levels, strict=True):
        image = draw_levels(ax, level - top, sampling_rate)
        if samples.size < longest:
            ax.axvline(samples.size / sampling_rate, color=GREY, linewidth=0.8, linestyle="--")
        if samples.size < len(recording):
            name += f" (first {seconds:g} s of {len(recording) / sampling_rate:.0f} s)"
        ax.set_title(name, fontsize=7, loc="left")
        ax.set_ylabel("Frequency (kHz)")
    ax.set(xlim=(0, longest / sampling_rate), ylim=(0, sampling_rate / 2000))
    ax.set_xlabel("Time (s)")
    bar = figure.colorbar(image, ax=panels, fraction=0.05, pad=0.02, aspect=15 * len(shown), label="Level (dB)")
    bar.outline.set(linewidth=0.6, edgecolor=DARK)
    return figure


def draw_levels(ax: Axes, shown: np.ndarray, sampling_rate: int) -> AxesImage:
    """Draw levels as [`levels`] gives them, in dB below the strongest, over time in s and frequency in kHz."""
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.grid(visible=False)
    extent = (0, len(shown) * STEP, 0, sampling_rate / 2000)
    return ax.imshow(shown.T, cmap="Greys", vmin=-RANGE, vmax=0, origin="lower", aspect="auto", extent=extent)


def levels(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Levels in dB, of shape `(steps, frequencies)`. The n-th step is centred on the time `(n + 1/2) * STEP`."""
    length, step = round(WINDOW * sampling_rate), STEP * sampling_rate
    starts = np.round((np.arange(max(1, int(samples.size / step))) + 0.5) * step).astype(np.int64)
    padded = np.pad(samples.astype(np.float32), (length // 2, length))
    frames = sliding_window_view(padded, length)[np.minimum(starts, samples.size)]
    power = np.abs(np.fft.rfft(frames * np.hanning(length), max(FFT_SIZE, length))) ** 2
    return 10 * np.log10(np.maximum(power, 1e-12))
