import numpy as np
import pytest

from balr_hf.figures import voice

RATE = 16_000
TIMES = np.arange(0.02, 1.98, 0.01)


def drawn(f0, formants, seconds=10.0):
    samples = 0.5 * np.sin(2 * np.pi * 300 * np.arange(2 * RATE) / RATE)
    return voice(samples, RATE, TIMES, f0, formants, "a voice", seconds)


def test_tracks_are_drawn_where_they_are(texts):
    f0 = np.where(TIMES < 1, 120.0, np.nan)
    formants = np.repeat([[500.0, 1500.0, 2500.0, 3500.0]], len(TIMES), axis=0)
    figure = drawn(f0, formants)
    wave, spectrum, pitch, *_ = figure.axes
    assert len(wave.lines) == 1 and len(spectrum.images) == 1
    assert [line.get_ydata()[0] for line in spectrum.lines] == [0.5, 1.5, 2.5, 3.5]
    assert np.array_equal(pitch.lines[0].get_ydata(), f0, equal_nan=True)
    assert wave.get_xlim() == spectrum.get_xlim() == pitch.get_xlim() == (0, 2)
    for text in ("a voice", "Amplitude", "Frequency (kHz)", "F0 (Hz)", "Time (s)"):
        assert text in texts(figure)


def test_only_the_beginning_of_a_long_recording_is_drawn(texts):
    figure = drawn(np.full(len(TIMES), np.nan), np.full((len(TIMES), 4), np.nan), seconds=1.0)
    assert figure.axes[0].get_xlim() == (0, 1) and "a voice; first 1 s shown" in texts(figure)


def test_tracks_of_another_length_are_refused():
    with pytest.raises(ValueError, match="one frame per time"):
        drawn(np.zeros(3), np.zeros((len(TIMES), 4)))
