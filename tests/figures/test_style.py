import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from balr_hf.figures import ece, figure_svg, save_figure, tippett
from balr_hf.figures.style import thinned


@pytest.fixture
def figure(make_trials):
    return ece(*make_trials(100))


def test_saved_files_are_a_png_and_an_svg_with_text(figure, tmp_path):
    png, svg = save_figure(figure, tmp_path / "new", "ece")
    assert [png, svg] == [tmp_path / "new" / "ece.png", tmp_path / "new" / "ece.svg"]
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    shown = [element.text for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"Prior log₁₀ odds", "Empirical cross-entropy (bits)"} <= set(shown)
    assert sorted(path.name for path in svg.parent.iterdir()) == ["ece.png", "ece.svg"]


def test_the_same_trials_give_the_same_bytes(make_trials, tmp_path):
    first, second = (
        [path.read_bytes() for path in save_figure(ece(*make_trials(100)), tmp_path, name)] for name in ("a", "b")
    )
    assert first == second


def test_svg_for_html_is_one_element_with_nothing_that_reaches_the_rest_of_the_page(figure):
    svg = figure_svg(figure)
    assert svg.startswith("<svg ") and svg.rstrip().endswith("</svg>")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "<style" not in svg and "<metadata" not in svg
    ids, references = set(re.findall(r' id="([^"]+)"', svg)), set(re.findall(r"#([mph][0-9a-f]{6,})", svg))
    assert references == ids  # all are hashes of what they name


def test_names_are_shown_as_they_are(make_trials):
    llrs, labels = make_trials(50)
    svg = ElementTree.fromstring(figure_svg(tippett({"a<b & $x_1$": llrs}, labels)))
    assert any((element.text or "").startswith("a<b & $x_1$: ") for element in svg.iter())


def test_settings_of_the_user_neither_change_nor_matter(make_trials):
    with matplotlib.rc_context():
        expected = figure_svg(ece(*make_trials(100)))
        matplotlib.rcParams.update({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path"})
        before = dict(matplotlib.rcParams)
        assert figure_svg(ece(*make_trials(100))) == expected
        assert dict(matplotlib.rcParams) == before


def test_thinned_curve_keeps_its_ends_and_its_shape():
    x = np.linspace(0, 1, 100_000)
    y = (x > 0.5).astype(float)
    kept = thinned(x, y, 100)
    assert len(kept) <= 101
    assert kept[0] == 0 and kept[-1] == len(x) - 1
    assert np.abs(np.interp(x, x[kept], y[kept]) - y).mean() < 0.01
    np.testing.assert_array_equal(thinned(x[:50], y[:50], 100), np.arange(50))
