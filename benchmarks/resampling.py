"""Resampling to 16 kHz: how flat the pass band is, what folds back into it, what is delayed, and how fast it is.

The obvious way is FFmpeg's resampler with its default filters. With a folder as argument it draws the responses.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from measuring import seconds_in_turns, table

from balr_hf.audio import SAMPLING_RATE, load_audio

RATES = (8_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
SECONDS = 60

Resample = Callable[[np.ndarray, int], np.ndarray]


def default(samples: np.ndarray, rate: int) -> np.ndarray:
    """FFmpeg's default."""
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLING_RATE)
    return np.concatenate([part.to_ndarray()[0] for part in [*resampler.resample(frame), *resampler.resample(None)]])


def ours(samples: np.ndarray, rate: int) -> np.ndarray:
    """The package's way."""
    return load_audio({"array": samples, "sampling_rate": rate})


def tone(frequency: float, rate: int) -> np.ndarray:
    """A second of a sine of amplitude 1."""
    return np.sin(2 * np.pi * frequency * np.arange(rate) / rate).astype(np.float32)


def decibels(samples: np.ndarray) -> float:
    """Level of a sine relative to amplitude 1, without the ends."""
    middle = samples[samples.size // 4 : -samples.size // 4].astype(np.float64)
    return float(10 * np.log10(2 * np.mean(middle**2) + 1e-20))


def residue(samples: np.ndarray, frequency: float) -> float:
    """Level of all that is not the sine of this frequency."""
    middle = samples[samples.size // 4 : -samples.size // 4].astype(np.float64)
    phase = 2 * np.pi * frequency * np.arange(middle.size) / SAMPLING_RATE
    basis = np.stack([np.sin(phase), np.cos(phase)], 1)
    rest = middle - basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return float(10 * np.log10(2 * np.mean(rest**2) + 1e-20))


def measure(resample: Resample, rate: int) -> tuple[float, float, int]:
    """Largest deviation in the pass band (dB), loudest alias or image (dB), and samples by which a click is moved."""
    top = min(7500, 0.9375 * rate / 2)
    passed = max(abs(decibels(resample(tone(f, rate), rate))) for f in np.linspace(100, top, 12))
    if rate > SAMPLING_RATE:
        beyond = np.linspace(SAMPLING_RATE / 2 + 50, min(rate / 2 - 20, 2 * SAMPLING_RATE), 24)
        folded = max(decibels(resample(tone(f, rate), rate)) for f in beyond)
    else:
        folded = max(residue(resample(tone(f, rate), rate), f) for f in np.linspace(200, top, 12))
    click = np.zeros(rate, dtype=np.float32)
    click[rate // 2] = 1
    return passed, folded, int(np.abs(resample(click, rate)).argmax()) - SAMPLING_RATE // 2


def draw(folder: Path, rate: int = 48_000) -> None:
    """The level of sines after resampling, by frequency."""
    from balr_hf.figures.style import BLUE, VERMILION, legend_above, new_figure, save_figure

    ranges = ((100, 7000, 24), (7050, 9000, 60), (9100, 16000, 30))
    frequencies = np.concatenate([np.linspace(*one) for one in ranges])
    figure, axes = new_figure()
    lines = []
    for resample, colour, name in ((default, VERMILION, "FFmpeg's default"), (ours, BLUE, "balr_hf")):
        levels = [decibels(resample(tone(f, rate), rate)) for f in frequencies]
        lines += axes.plot(frequencies / 1000, levels, color=colour, label=name)
    axes.axvline(8, color="#777777", linewidth=0.6)
    axes.set(xlabel="Frequency before resampling (kHz)", ylabel="Level after it (dB)", ylim=(-140, 5))
    legend_above(figure, lines, 2)
    save_figure(figure, folder, "resampling")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to draw the responses")
    folder = parser.parse_args().folder
    noise, rows = np.random.default_rng(0), []
    for rate in RATES:
        samples = (0.1 * noise.normal(size=SECONDS * rate)).astype(np.float32)
        times = seconds_in_turns([lambda s=samples, r=rate: default(s, r), lambda s=samples, r=rate: ours(s, r)])
        for name, resample, took in (("default", default, times[0]), ("balr_hf", ours, times[1])):
            passed, folded, moved = measure(resample, rate)
            speed = f"{SECONDS / took:,.0f}"
            rows.append([f"{rate:,}", name, f"{passed:.3f}", f"{folded:.0f}", moved, speed])
    header = [
        "Hz",
        "",
        "pass band to 7.5 kHz within, dB",
        "loudest alias or image, dB",
        "delay, samples",
        "x real time",
    ]
    table("Resampling to 16 kHz", header, rows)
    if folder is not None:
        draw(folder)


if __name__ == "__main__":
    main()
