import numpy as np
import pytest

from balr_hf.figures import contributions, figure_svg

ATTRIBUTES, TERMS, LABELS = [7, 12, 3], [-0.5, 2.0, 0.25], ["active / inactive", "active / active", "none / none"]


def names(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def widths(axes) -> list[float]:
    return [bar.get_width() for bar in axes.patches]


def test_attributes_are_sorted_and_labelled():
    above, _ = contributions(ATTRIBUTES, TERMS, LABELS, 10.0, 509, None, 11.75).axes
    assert names(above) == ["active / active, 12", "none / none, 3", "active / inactive, 7"]
    assert widths(above) == [2.0, 0.25, -0.5]
    assert above.get_ylim()[0] > above.get_ylim()[1]  # the first on top


def test_sums_add_up_to_the_total():
    _, below = contributions(ATTRIBUTES, TERMS, LABELS, 10.0, 1509, -4.0, 7.75, unit="log10 LR").axes
    assert names(below) == [
        "shown, same speaker",
        "shown, different speakers",
        "other 1,509 attributes",
        "calibration's offset",
        "total",
    ]
    *parts, total = widths(below)
    assert parts == [2.25, -0.5, 10.0, -4.0]
    assert total == 7.75 == sum(parts)
    assert below.get_xlabel() == "Sum (log10 LR)"


def test_parts_that_are_not_there_have_no_bar():
    _, below = contributions([1], [2.0], ["active / active"], 0.0, 0, None, 2.0).axes
    assert names(below) == ["shown, same speaker", "total"]


def test_for_against_and_total_differ_in_more_than_colour():
    above, below = contributions(ATTRIBUTES, TERMS, LABELS, 10.0, 509, None, 11.75).axes
    supporting, _, opposing = above.patches
    assert supporting.get_hatch() is None and opposing.get_hatch()
    assert below.patches[-1].get_facecolor() not in {bar.get_facecolor() for bar in below.patches[:-1]}


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0, 1e5])
@pytest.mark.filterwarnings("error")
def test_figures_beside_the_bars_stay_within_the_axes(scale):
    terms = scale * np.array([-5.0, 3.0, 1e-3])
    figure = contributions([1, 2, 3], terms, LABELS, 300 * scale, 509, -2 * scale, 296.001 * scale - 0.0)
    figure.draw_without_rendering()
    for axes in figure.axes:
        frame = axes.get_window_extent()
        for text in axes.texts:
            if text.get_text()[0] in "+−":  # noqa: RUF001
                box = text.get_window_extent()
                assert frame.x0 <= box.x0 and box.x1 <= frame.x1
    assert "nan" not in figure_svg(figure)


@pytest.mark.parametrize("label", ["active / active", "active in 10 of 12 / active in 10 of 12"])
def test_names_of_any_length_leave_room_for_the_rest(label):
    figure = contributions(ATTRIBUTES, TERMS, [label] * 3, 10.0, 509, -4.0, 7.75)
    figure.draw_without_rendering()
    page = figure.bbox
    for axes in figure.axes:
        assert axes.get_window_extent().width > 0.4 * 3.5 * figure.dpi
        for text in [axes.xaxis.label, *axes.get_yticklabels(), *axes.texts]:
            box = text.get_window_extent()
            assert page.x0 <= box.x0 and box.x1 <= page.x1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": LABELS[1:]}, "3 attributes, 3 terms and 2 labels"),
        ({"attributes": [], "terms": [], "labels": []}, "no attributes to show"),
        ({"rest": np.inf}, "must be finite"),
        ({"total": 5.0}, r"total=5, but terms, rest and offset sum to 11\.75"),
    ],
)
def test_contributions_that_make_no_sense_are_refused(changed, message):
    given = {"attributes": ATTRIBUTES, "terms": TERMS, "labels": LABELS, "rest": 10.0, "num_rest": 509}
    with pytest.raises(ValueError, match=message):
        contributions(**{**given, "offset": None, "total": 11.75, **changed})
