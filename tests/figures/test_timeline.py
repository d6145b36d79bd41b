from dataclasses import dataclass, field

import numpy as np
import pytest
from matplotlib.colors import to_hex

from balr_hf.figures import figure_svg, occlusion, timeline
from balr_hf.figures.style import DIFFERENT, SAME
from balr_hf.figures.timeline import INACTIVE


@dataclass
class Recording:
    """A recording of 3 s with four windows, of which the last has no speech, and two attributes."""

    duration: float = 3.0
    speech: tuple = ((0.2, 2.0),)
    starts: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.5, 1.0, 2.0]))
    ends: np.ndarray = field(default_factory=lambda: np.array([1.0, 1.5, 2.0, 3.0]))
    heard: np.ndarray = field(default_factory=lambda: np.array([True, True, True, False]))
    active: np.ndarray = field(default_factory=lambda: np.array([[1, 0], [1, 1], [0, 0], [0, 0]], dtype=bool))
    whole: np.ndarray = field(default_factory=lambda: np.array([True, False]))
    stability: np.ndarray = field(default_factory=lambda: np.array([2 / 3, np.nan]))
    hop: float = 0.5
    waveform: np.ndarray = field(default_factory=lambda: np.array([[-0.5, 0.25], [-0.1, 0.5], [0.0, 0.0]]))
    waveform_step: float = 1.0


def bars(axes):
    return [(to_hex(bar.get_facecolor()), bar.get_x(), bar.get_width(), bar.get_y()) for bar in axes.patches]


def test_tracks_are_drawn_at_the_centres_of_windows(texts):
    figure = timeline([Recording()], ["A: one"], [0, 1], [0.5, -0.25])
    wave, tracks = figure.axes
    assert bars(tracks) == [
        *[(SAME.lower(), 0.25, 1.0, -0.38), (INACTIVE.lower(), 1.25, 0.75, -0.38)],
        *[(INACTIVE.lower(), 0.25, 0.5, 0.62), (DIFFERENT.lower(), 0.75, 0.5, 0.62)],
        (INACTIVE.lower(), 1.25, 0.75, 0.62),
    ]
    assert wave.get_xlim() == tracks.get_xlim() == (0, 3)
    assert [list(line.get_xdata()) for line in wave.lines] == [[0.2, 2.0]]
    for text in ("A: one", "0, +0.50", "1, \N{MINUS SIGN}0.25", "active, 67 %", "inactive", "attribute, ln LR"):
        assert text in texts(figure).split("\n")


def test_stretches_are_links_with_their_times():
    svg = figure_svg(timeline([Recording(), Recording()], ["A", "B"], [0, 1], [1, -1], links=["#a", None]))
    assert [part.split('"')[0] for part in svg.split('xlink:href="#a=')[1:]] == [
        *["0,1,0,1.5", "0,0,1,2", "1,0,0,1", "1,1,0.5,1.5", "1,0,1,2"]
    ]
    assert 'href="#b' not in svg


def test_recordings_of_like_length_share_their_axis():
    short, long = Recording(duration=2.0), Recording(duration=5.0)
    assert timeline([Recording(), short], ["", ""], [0], [1]).axes[2].get_xlim() == (0, 3)
    assert timeline([short, long], ["", ""], [0], [1]).axes[0].get_xlim() == (0, 2)


def test_long_recordings_are_drawn_as_shares():
    windows = 5_000
    long = Recording(
        duration=windows * 0.5 + 0.5,
        starts=0.5 * np.arange(windows),
        ends=0.5 * np.arange(windows) + 1,
        heard=np.arange(windows) < 4_000,
        active=np.arange(windows)[:, None] % 2 == [0, 0],
    )
    tracks = timeline([long], ["long"], [0, 1], [1, -1], links=["#a"]).axes[1]
    assert not tracks.patches and len(tracks.collections) == 2
    shares = tracks.collections[0].get_array()
    assert shares.size <= 1_200 and np.allclose(shares[:, :790].astype(float), 0.5, atol=0.11)
    assert shares.mask[0, 810:].all()


def test_recording_without_speech_says_so(texts):
    silent = Recording(heard=np.zeros(4, dtype=bool), speech=(), waveform=np.zeros((3, 2)))
    assert "no window has enough speech" in texts(timeline([silent], ["A"], [0], [1]))


def test_tracks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="0 recordings, 0 names and 0 links"):
        timeline([], [], [0], [1])
    with pytest.raises(ValueError, match="1 recordings, 2 names"):
        timeline([Recording()], ["a", "b"], [0], [1])
    with pytest.raises(ValueError, match="1 attributes and 2 terms"):
        timeline([Recording()], ["a"], [0], [1, 2])


class Map:
    bands, stretches = np.array([20.0, 1000.0, 8000.0]), np.array([4.0, 5.0, 6.0, 7.0])
    activations = np.array([2.0, -1.0])

    def relative(self, attribute):
        return np.array([[0.0, -0.5, -1.5, -2.0], [0.3, 0.1, 0.0, 0.0], [0.0, 0.0, -0.9, np.nan]]) * (1 - attribute)


def test_map_has_its_axes_and_marks(texts):
    figure = occlusion([Map()], ["A: one"], [0, 1], [0.5, -0.25])
    first, second, _ = figure.axes
    marks = [(text.get_text(), *text.get_position()) for text in first.texts]
    assert [mark for mark in marks if mark[0] == "+"] == [("+", 4.5, 1.5)]
    crosses = [mark[1:] for mark in marks if mark[0] == "\N{MULTIPLICATION SIGN}"]
    assert crosses[0] == (6.5, 0.5) and crosses[1][0] > 7 and crosses[1][1] == 0.5 and len(crosses) == 2
    assert not second.texts
    shown = texts(figure).split("\n")
    titles = ["attribute 0, +0.50: active", "attribute 1, \N{MINUS SIGN}0.25: inactive"]
    assert {*titles, "A: one", "kHz", "all", "8"} <= set(shown)


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="0 maps and 0 names"):
        occlusion([], [], [0], [1])
    with pytest.raises(ValueError, match="0 attributes and 0 terms"):
        occlusion([Map()], ["a"], [], [])
