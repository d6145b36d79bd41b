"""Figure of one recording: its spectrogram, with the speech marked."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from balr_hf.figures.spectrograms import draw_levels, levels
from balr_hf.figures.style import DARK, SAME, look, new_figure

# Inches, and characters of a line of the title.
WIDTH, HEIGHT, LINE = 9.0, 2.8, 110


@look()
def recording(
    samples: np.ndarray, sampling_rate: int, speech: Sequence[tuple[float, float]], title: str, seconds: float = 60.0
) -> Figure:
    """Draw the wide-band spectrogram of a recording, with a bar above each stretch of speech.

    Args:
        samples (`np.ndarray` of shape `(samples,)`): finite floats.
        sampling_rate (int): in Hz.
        speech (sequence of two float): `(start, end)` of each stretch of speech, in seconds.
        title (str): what is said above it, in as many lines as it takes.
        seconds (float): only the first so many seconds are drawn.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there are no samples, or they are not finite, or of another shape.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ValueError("expected finite samples of shape (samples,), not empty")
    whole, samples = len(samples) / sampling_rate, samples[: max(1, round(seconds * sampling_rate))]
    length = len(samples) / sampling_rate
    shown = levels(samples, sampling_rate)
    figure, ax = new_figure(width=WIDTH, height=HEIGHT)
    image = draw_levels(ax, shown - shown.max(), sampling_rate)
    for start, end in speech:
        start, end = min(start, length), min(end, length)
        ax.plot([start, end], [1.03, 1.03], color=SAME, linewidth=3, transform=ax.get_xaxis_transform(), clip_on=False)
    title += "; bars: speech" + (f"; first {seconds:g} s shown" if length < whole else "")
    ax.set_title("\n".join(textwrap.wrap(title, LINE)), fontsize=7, loc="left", pad=9)
    ax.set(xlim=(0, length), ylim=(0, sampling_rate / 2000), xlabel="Time (s)", ylabel="Frequency (kHz)")
    bar = figure.colorbar(image, ax=ax, pad=0.02, aspect=15, label="Level (dB)")
    bar.outline.set(linewidth=0.6, edgecolor=DARK)
    return figure
