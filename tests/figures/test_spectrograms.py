import numpy as np
import pytest

from balr_hf.figures import figure_svg, spectrograms

RATE = 16_000


def tone(frequency: float, seconds: float, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def images(figure) -> list[np.ndarray]:
    """`(frequencies, steps)`, in dB."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_tone_is_at_its_frequency_from_its_start_on():
    (level,) = images(spectrograms([np.concatenate([np.zeros(RATE // 2), tone(2000, 0.5)])], RATE, ["A"]))
    loud = np.flatnonzero(level.max(axis=0) > -20) / level.shape[1]
    assert loud[0] == pytest.approx(0.5, abs=0.006) and loud[-1] == pytest.approx(1.0, abs=0.006)
    frequencies = np.arange(level.shape[0]) / (level.shape[0] - 1) * RATE / 2
    assert frequencies[level[:, -100].argmax()] == pytest.approx(2000, abs=40)


def test_recordings_share_time_frequency_and_level():
    figure = spectrograms([tone(1000, 2.0), tone(1000, 1.0, level=0.05)], RATE, ["A", "B"])
    (first, second, *_) = figure.axes
    assert first.get_xlim() == second.get_xlim() == (0, 2)
    assert first.get_ylim() == second.get_ylim() == (0, 8)
    assert first.images[0].get_clim() == second.images[0].get_clim()
    loud, quiet = (level.max() for level in images(figure))
    assert loud == pytest.approx(0) and quiet == pytest.approx(-20, abs=0.5)


def test_axes_and_recordings_are_named(texts):
    said = texts(spectrograms([tone(1000, 1.0), tone(500, 1.0)], RATE, ["A: here.wav", "B: there.wav"]))
    for text in ("A: here.wav", "B: there.wav", "Time (s)", "Frequency (kHz)", "Level (dB)"):
        assert text in said


def test_long_recording_is_cut_and_says_so(texts):
    figure = spectrograms([tone(1000, 12.0), tone(500, 1.0)], RATE, ["A", "B"], seconds=3)
    assert figure.axes[0].get_xlim() == (0, 3)
    assert "A (first 3 s of 12 s)" in texts(figure)
    assert "B (" not in texts(figure)


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.full(3, 0.1)], ids=["silence", "three samples"])
@pytest.mark.filterwarnings("error")
def test_little_or_nothing_to_see_is_drawn(samples):
    assert "nan" not in figure_svg(spectrograms([samples], RATE, ["A"])).lower().split("base64")[0]


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ([], "0 recordings and 1 names"),
        ([np.zeros(9), np.zeros(9)], "2 recordings and 1 names"),
        ([np.zeros(0)], "A: expected finite samples"),
        ([np.zeros((2, 9))], "A: expected finite samples"),
        ([np.array([0.0, np.nan])], "A: expected finite samples"),
    ],
)
def test_recordings_that_cannot_be_drawn_are_refused(recordings, message):
    with pytest.raises(ValueError, match=message):
        spectrograms(recordings, RATE, ["A"])
