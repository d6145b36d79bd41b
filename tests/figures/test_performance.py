import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from balr_hf.figures import det, ece, figure_svg, pav, tippett
from balr_hf.figures.performance import BAND, DRAWS, det_curve, ece_curves, tippett_curves
from balr_hf.metrics import cllr, cllr_min, eer
from balr_hf.metrics.calibration import cllr_of
from balr_hf.metrics.decisions import misleading_rates
from balr_hf.metrics.discrimination import eer_of
from balr_hf.metrics.intervals import resampled
from balr_hf.metrics.tally import tally

ONE = (lambda llrs, labels: tippett({"raw": llrs}, labels), lambda llrs, labels: det({"raw": llrs}, labels), ece, pav)
NAMES = ("tippett", "det", "ece", "pav")


@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_ece_at_even_odds_is_cllr(make_trials, factor):
    llrs, labels = make_trials(5000, factor=factor)
    given, calibrated, neutral = ece_curves(tally(llrs, labels), np.array([-2.0, 0.0, 2.0]))
    assert given[1] == pytest.approx(cllr(llrs, labels), abs=1e-7)
    assert calibrated[1] == pytest.approx(cllr_min(llrs, labels), abs=1e-7)
    assert neutral[1] == pytest.approx(1.0)
    assert (calibrated <= given + 1e-7).all()


def test_ece_equals_its_definition(make_trials):
    llrs, labels = make_trials(200)
    odds = 10.0**1.3
    same, different = np.exp(llrs[labels]), np.exp(llrs[~labels])
    expected = odds / (1 + odds) * np.log2(1 + 1 / (same * odds)).mean()
    expected += 1 / (1 + odds) * np.log2(1 + different * odds).mean()
    assert ece_curves(tally(llrs, labels), np.array([1.3]))[0][0] == pytest.approx(expected, abs=1e-7)


def test_ece_of_llrs_off_the_scale_is_told(make_trials, texts):
    llrs, labels = make_trials(500, factor=1000.0)
    figure = ece(llrs, labels)
    assert figure.axes[0].get_ylim()[1] <= 2
    assert "go beyond the axis" in texts(figure)
    assert f"Cllr = {cllr(llrs, labels):.3g}" in texts(figure)


def test_tippett_proportions_at_zero_are_the_rates_of_misleading_evidence(make_trials, texts):
    llrs, labels = make_trials(3000)
    x, same, different = tippett_curves(tally(llrs, labels))
    misses, false_alarms = (llrs[labels] < 0).mean(), (llrs[~labels] > 0).mean()
    assert same[x < 0][-1] == pytest.approx(misses)
    assert different[x > 0][0] == pytest.approx(false_alarms)
    assert misleading_rates(tally(llrs, labels)) == pytest.approx((misses, false_alarms))
    shown = texts(tippett({"raw": llrs}, labels))
    assert f"raw: {100 * misses:.3g} %" in shown
    assert f"raw: {100 * false_alarms:.3g} %" in shown


def test_tippett_curves_are_in_log10_and_count_equal_llrs_on_both_sides():
    llrs, labels = np.log(10) * np.array([-1.0, 0.0, 0.0, 2.0]), np.array([0, 0, 1, 1])
    x, same, different = tippett_curves(tally(llrs, labels))
    np.testing.assert_allclose(x, [-1, 0, 2])
    np.testing.assert_allclose(same, [0, 0.5, 1])
    np.testing.assert_allclose(different, [1, 0.5, 0])


def test_tippett_draws_the_proportions_that_it_computes(make_trials):
    llrs, labels = make_trials(300)
    lines = tippett({"raw": llrs}, labels).axes[0].get_lines()
    x, same, different = tippett_curves(tally(llrs, labels))
    for line, expected in zip(lines[:2], (same, different), strict=True):
        np.testing.assert_allclose(line.get_xdata()[1:-1], x)
        np.testing.assert_allclose(line.get_ydata()[1:-1], expected)


def test_tippett_has_a_linear_axis_that_shows_all_and_the_case(make_trials, texts):
    llrs, labels = make_trials(1000)
    figure = tippett({"fusion": 3 * llrs, "affine": llrs}, labels, note="1,000 trials of 40 speakers", case=200.0)
    left, right = figure.axes[0].get_xlim()
    assert figure.axes[0].get_xscale() == "linear"
    assert left < 3 * llrs.min() / np.log(10) < 3 * llrs.max() / np.log(10) < right and right > 200 / np.log(10)
    assert "1,000 trials of 40 speakers" in texts(figure) and "this case" in texts(figure)
    assert "misleading" in texts(figure)


def test_tippett_of_raw_sums_names_no_misleading_evidence(make_trials, texts):
    assert "misleading" not in texts(tippett({"raw": make_trials(100)[0]}, make_trials(100)[1], are_ratios=False))


@pytest.fixture
def of_speakers(make_trials):
    """Trials of 20 speakers: LLRs, labels, and the speakers of the two sides."""
    llrs, labels = make_trials(400)
    one = np.arange(400) % 20
    other = np.where(labels, one, (one + 1 + np.arange(400) // 20) % 20)
    other = np.where((other == one) & ~labels.astype(bool), (one + 1) % 20, other)
    return llrs, labels, (one.astype(str), other.astype(str))


def band(figure):
    """The outline of the only band of a figure: its points `(points, 2)`."""
    axes = figure.axes[0]
    outlines = [path.vertices for area in axes.collections for path in area.get_paths()]
    (outline,) = outlines + [area.get_xy() for area in axes.patches]
    return outline


def test_bands_show_where_draws_of_the_speakers_lie(of_speakers):
    llrs, labels, speakers = of_speakers
    assert not tippett({"affine": llrs}, labels).axes[0].collections
    bands = tippett({"affine": llrs}, labels, speakers=speakers).axes[0].collections
    assert len(bands) == 2
    x, rising, _ = tippett_curves(tally(llrs, labels))
    edge = bands[0].get_paths()[0].vertices
    middle = float(np.interp(0.5, rising, x))
    near = edge[np.abs(edge[:, 0] - middle) < 0.2, 1]
    assert near.min() < 0.5 < near.max()
    assert len(pav(llrs, labels, speakers=speakers).axes[0].collections) == 1


@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_band_of_the_ece_at_even_odds_is_that_of_cllr(of_speakers, factor):
    llrs, labels, speakers = of_speakers
    llrs = factor * llrs
    expected = np.quantile([cllr_of(draw) for draw in resampled(llrs, labels, *speakers, DRAWS)], BAND)
    outline = band(ece(llrs, labels, speakers=speakers))
    at_even = outline[np.abs(outline[:, 0]) < 1e-9, 1]
    assert (at_even.min(), at_even.max()) == pytest.approx(expected, rel=1e-3)
    assert not ece(llrs, labels).axes[0].collections


@pytest.mark.parametrize("step", [0.0, 2.0])
def test_band_of_the_det_plot_on_the_diagonal_is_that_of_the_eer(of_speakers, step):
    llrs, labels, speakers = of_speakers
    llrs = np.round(llrs / step) * step if step else llrs  # with ties: the steps are slanted
    expected = np.quantile([eer_of(draw)[0] for draw in resampled(llrs, labels, *speakers, DRAWS)], BAND)
    outline = band(det({"raw": llrs, "noisy": -llrs}, labels, speakers=speakers))
    half = len(outline) // 2
    found = [
        ndtr(np.interp(0, *(side @ [[-1, 0.5], [1, 0.5]]).T)) for side in (outline[:half], outline[: half - 1 : -1])
    ]
    assert sorted(found) == pytest.approx(expected, rel=0.02)


def test_pav_has_one_scale_on_both_axes(make_trials):
    axes = pav(*make_trials(500)).axes[0]
    assert axes.get_xlim() == axes.get_ylim() and axes.get_aspect() == 1


def test_pav_puts_infinite_values_at_the_margins(texts):
    llrs, labels = np.array([-3.0, -1.0, 0.0, 1.0, 2.0, 3.0]), np.array([0, 0, 1, 0, 1, 1])
    figure = pav(llrs, labels)
    finite, upper, lower = figure.axes[0].get_lines()[:3]
    np.testing.assert_allclose(finite.get_xdata(), np.array([0.0, 1.0]) / np.log(10))
    np.testing.assert_allclose(finite.get_ydata(), 0, atol=1e-12)
    np.testing.assert_allclose(upper.get_xdata(), np.array([2.0, 3.0]) / np.log(10))
    np.testing.assert_allclose(lower.get_xdata(), np.array([-3.0, -1.0]) / np.log(10))
    low, high = figure.axes[0].get_ylim()
    assert low < lower.get_ydata()[0] < 0 < upper.get_ydata()[0] < high
    assert texts(figure).count("∞ after PAV: 2 trials") == 2


@pytest.mark.parametrize("draw", [det, tippett])
def test_bands_say_whose_they_are_where_there_are_several_systems(of_speakers, draw):
    llrs, labels, speakers = of_speakers
    both = draw({"A, mine": llrs, "B, theirs": 2 * llrs}, labels, speakers=speakers).axes[0].get_title("left")
    assert " of A, mine: 95\N{NO-BREAK SPACE}% of draws" in both.replace("\n", " ")
    alone = draw({"A, mine": llrs}, labels, speakers=speakers).axes[0].get_title("left")
    assert alone.startswith("band") and "mine" not in alone


@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_eer_point_of_the_det_plot_is_the_eer_and_on_the_curve(make_trials, factor):
    llrs, labels = make_trials(500)
    llrs = np.round(factor * llrs)  # with ties: the steps are slanted
    rate = eer(llrs, labels)[0]
    curve, point = det({"raw": llrs}, labels).axes[0].get_lines()[1:3]
    assert ndtr(point.get_xdata()) == pytest.approx([rate])
    assert ndtr(point.get_ydata()) == pytest.approx([rate])
    distance = np.hypot(curve.get_xdata() - ndtri(rate), curve.get_ydata() - ndtri(rate))
    assert distance.min() < 0.01


def test_det_curve_falls_and_stays_near_the_visible_range(make_trials):
    _, miss, false_alarm = tally(*make_trials(20_000)).error_rates
    x, y = det_curve(miss, false_alarm, 1e-3, 0.5)
    assert len(x) <= 1001
    assert (np.diff(x) <= 0).all() and (np.diff(y) >= 0).all()
    assert np.isfinite([x, y]).all()
    assert ndtr(x.min()) == pytest.approx(5e-4) and ndtr(y.max()) == pytest.approx(0.75)


def test_det_of_separated_scores_says_no_errors(texts):
    llrs = np.arange(-4.0, 4.0)
    assert texts(det({"raw": llrs}, llrs > 0, prior=0.01)).startswith("no errors\n")
    mixed = det({"raw": llrs, "noisy": llrs[[0, 1, 2, 7, 4, 5, 6, 3]]}, llrs > 0)
    assert "raw: no errors" in texts(mixed)
    assert "noisy: EER" in texts(mixed)


def test_det_marks_the_least_cost(make_trials, texts):
    llrs, labels = make_trials(1000)
    assert "minDCF(0.05) 0." in texts(det({"raw": llrs}, labels, prior=0.05))
    with pytest.raises(ValueError, match=r"prior=1.5: expected a probability"):
        det({"raw": llrs}, labels, prior=1.5)


@pytest.mark.parametrize("draw", ONE, ids=NAMES)
@pytest.mark.parametrize(
    ("llrs", "labels"),
    [
        (np.array([-1.0, 1.0]), [0, 1]),
        (np.zeros(10), np.arange(10) < 3),
        (np.array([3.0, -3.0, 2.0, -2.0]), [0, 1, 0, 1]),
        (np.array([-1e6, 1e6, 3.0, 5.0]), [1, 0, 1, 0]),
    ],
    ids=["separated", "equal", "wrong", "huge"],
)
@pytest.mark.filterwarnings("error")
def test_odd_trials_are_drawn(draw, llrs, labels):
    assert "nan" not in figure_svg(draw(llrs, np.array(labels))).lower()


@pytest.mark.parametrize("draw", ONE, ids=NAMES)
def test_many_trials_make_a_small_svg(make_trials, draw):
    assert len(figure_svg(draw(*make_trials(50_000)))) < 100_000


@pytest.mark.parametrize("draw", ONE, ids=NAMES)
def test_trials_of_one_kind_are_refused(draw):
    with pytest.raises(ValueError, match="2 same-speaker and 0 different-speaker"):
        draw(np.array([1.0, 2.0]), np.array([1, 1]))


def test_the_system_that_cannot_be_drawn_is_named(make_trials):
    llrs, labels = make_trials(10)
    with pytest.raises(ValueError, match="affine: 9 scores but 10 labels"):
        tippett({"raw": llrs, "affine": llrs[1:]}, labels)
    with pytest.raises(ValueError, match="no system to draw"):
        det({}, labels)
