"""Figure of one voice: waveform and spectrogram, with F0 and formants over time."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from balr_hf.figures.spectrograms import draw_levels, levels
from balr_hf.figures.style import BLUE, DARK, GREY, VERMILION, look, new_panels

# Inches, and characters of a line of the title.
WIDTH, HEIGHT, LINE = 9.0, 5.0, 110
# Hz: the top of the spectrogram, above the formants; and the axis of F0.
TOP, F0_AXIS = 6_000.0, (50.0, 620.0)


@look()
def voice(
    samples: np.ndarray,
    sampling_rate: int,
    times: np.ndarray,
    f0: np.ndarray,
    formants: np.ndarray,
    title: str,
    seconds: float = 10.0,
) -> Figure:
    """Draw the waveform of a recording, its wide-band spectrogram with the formants, and F0 below it.

    Args:
        samples (`np.ndarray` of shape `(samples,)`): finite floats.
        sampling_rate (int): in Hz.
        times (`np.ndarray` of shape `(frames,)`): of the tracks, in seconds; see [`VoiceTracks`].
        f0 (`np.ndarray` of shape `(frames,)`): in Hz; NaN where there is no voice.
        formants (`np.ndarray` of shape `(frames, n)`): in Hz; NaN where there is none.
        title (str): what is said above it, in as many lines as it takes.
        seconds (float): only the first so many seconds are drawn.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there are no samples, or they are not finite, or a shape does not fit.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ValueError("expected finite samples of shape (samples,), not empty")
    if f0.shape != times.shape or formants.shape[:1] != times.shape or formants.ndim != 2:
        raise ValueError(
            f"{len(times)} times, F0 of shape {f0.shape} and formants of shape {formants.shape}: expected (frames,) "
            "and (frames, n), one frame per time"
        )
    whole, samples = len(samples) / sampling_rate, samples[: max(1, round(seconds * sampling_rate))]
    length = len(samples) / sampling_rate
    figure, panels = new_panels(WIDTH, HEIGHT, rows=3, sharex=True, height_ratios=(1, 3, 1.6))
    axes: list[Axes] = list(panels[:, 0])
    title += f"; first {seconds:g} s shown" if length < whole else ""
    axes[0].set_title("\n".join(textwrap.wrap(title, LINE)), fontsize=7, loc="left")
    axes[0].plot(np.arange(len(samples)) / sampling_rate, samples, color=GREY, linewidth=0.4)
    axes[0].set_ylabel("Amplitude")
    shown = levels(samples, sampling_rate)
    image = draw_levels(axes[1], shown - shown.max(), sampling_rate)
    for track in formants.T:
        axes[1].plot(times, track / 1000, ".", color=VERMILION, markersize=2)
    axes[1].set(ylim=(0, min(TOP, sampling_rate / 2) / 1000), ylabel="Frequency (kHz)")
    axes[2].plot(times, f0, ".", color=BLUE, markersize=3)
    axes[2].set_yscale("log", base=2)
    axes[2].set(ylim=F0_AXIS, xlim=(0, length), xlabel="Time (s)", ylabel="F0 (Hz)")
    axes[2].set_yticks([75, 150, 300, 600], labels=["75", "150", "300", "600"])
    axes[2].minorticks_off()
    bar = figure.colorbar(image, ax=axes[1], pad=0.02, aspect=15, label="Level (dB)")
    bar.outline.set(linewidth=0.6, edgecolor=DARK)
    return figure
