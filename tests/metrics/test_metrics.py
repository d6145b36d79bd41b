import json
import math
import warnings

import numpy as np
import pytest

from balr_hf.errors import UserError
from balr_hf.metrics import at_threshold, bootstrap_intervals, cllr, cllr_min, compute_metrics, devpav, eer, min_dcf
from balr_hf.metrics.decisions import act_dcf, bayes_threshold, posterior
from balr_hf.metrics.tally import tally

SETS = ("calibrated", "overconfident", "shifted", "ties", "separated")


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "metrics.npz"), json.loads((golden / "metrics.json").read_text())


@pytest.mark.parametrize("name", SETS)
def test_metrics_equal_the_references(recorded, name):
    arrays, figures = recorded
    metrics = compute_metrics(arrays[f"{name}_llr"], arrays[f"{name}_label"])
    # For ties the references' EER and minDCF depend on the order in which equal scores were sorted.
    names = ["cllr", "cllr_min", "cllr_cal", "devpav"] + ["eer", "min_dcf_0.01", "min_dcf_0.05"] * (name != "ties")
    for key in names:
        assert metrics[key] == pytest.approx(figures[name][key], abs=1e-6, nan_ok=True), key


@pytest.mark.parametrize("name", SETS)
def test_llrs_after_pav_equal_lirs(recorded, name):
    arrays, _ = recorded
    trials = tally(arrays[f"{name}_llr"], arrays[f"{name}_label"])
    llrs = trials.pav[np.searchsorted(trials.scores, arrays[f"{name}_llr"])]
    np.testing.assert_allclose(llrs, arrays[f"{name}_pav_llr"], atol=1e-6)


@pytest.mark.parametrize("name", ["ties", "calibrated"])
def test_order_of_trials_does_not_matter(recorded, name):
    arrays, _ = recorded
    llrs, labels = arrays[f"{name}_llr"], arrays[f"{name}_label"]
    order = np.random.default_rng(0).permutation(len(llrs))
    assert compute_metrics(llrs[order], labels[order]) == pytest.approx(compute_metrics(llrs, labels), rel=1e-12)


def test_equal_scores_are_chance():
    llrs, labels = np.zeros(10), np.arange(10) < 3
    assert eer(llrs, labels)[0] == pytest.approx(0.5)
    assert min_dcf(llrs, labels, 0.01) == 1.0
    assert cllr(llrs, labels) == pytest.approx(1.0)


def test_threshold_of_the_eer_separates_the_trials():
    llrs, labels = np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    rate, threshold = eer(llrs, labels)
    assert rate == 0
    assert -2 < threshold <= 2


@pytest.mark.parametrize("seed", range(50))
def test_no_decision_is_wrong_at_the_threshold_of_an_eer_of_zero(seed):
    rng = np.random.default_rng(seed)
    llrs, labels = np.append(rng.normal(size=5) - 100, 100 + rng.normal()), np.arange(6) == 5
    rate, threshold = eer(llrs, labels)
    decisions = at_threshold(llrs, labels, threshold)
    assert (rate, decisions["fp"], decisions["fn"]) == (0, 0, 0)


def test_scores_the_wrong_way_round_have_an_eer_above_one_half():
    assert eer(np.array([1.0, 2.0, -1.0, -2.0]), np.array([0, 0, 1, 1]))[0] == 1.0


def test_huge_llrs_cost_finitely():
    assert cllr(np.array([-1e6, 1e6]), np.array([1, 0])) == pytest.approx(1e6 / np.log(2))
    assert cllr_min(np.array([1e6, -1e6]), np.array([1, 0])) == 0.0


def test_costs_weigh_errors_as_priors_do():
    """What counts is the product of either cost with the probability of such trials."""
    trials = np.array([3.0, 2.0, -1.0, 2.5, -2.0, -3.0]), np.array([1, 1, 1, 0, 0, 0])
    assert min_dcf(*trials, 0.5, cost_fa=99) == pytest.approx(min_dcf(*trials, 0.01)) == pytest.approx(2 / 3)
    assert min_dcf(*trials, 0.5, cost_miss=9) == pytest.approx(min_dcf(*trials, 0.9)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("prior", "costs"),
    [(0, (1, 1)), (1, (1, 1)), (math.nan, (1, 1)), *((0.5, (1, cost)) for cost in (0, -1, math.inf, math.nan))],
)
def test_priors_and_costs_that_mean_nothing_are_refused(prior, costs):
    for cost_miss, cost_fa in (costs, costs[::-1]):
        with pytest.raises(UserError, match="expected 0 < prior < 1 and positive costs"):
            min_dcf([1.0, -1.0], [1, 0], prior, cost_miss, cost_fa)
        with pytest.raises(UserError, match="expected a probability between 0 and 1, and positive costs"):
            bayes_threshold(prior, cost_miss, cost_fa)


@pytest.mark.parametrize(("prior", "cost_miss", "cost_false_alarm"), [(0.5, 1, 1), (0.01, 1, 1), (0.2, 3, 0.5)])
def test_at_the_threshold_of_bayes_either_decision_is_expected_to_cost_the_same(prior, cost_miss, cost_false_alarm):
    threshold = bayes_threshold(prior, cost_miss, cost_false_alarm)
    (same,) = posterior([threshold], prior)
    assert same * cost_miss == pytest.approx((1 - same) * cost_false_alarm)
    below, above = posterior([threshold - 1, threshold + 1], prior)
    assert below < same < above and posterior([0.0], prior)[0] == pytest.approx(prior)


@pytest.mark.parametrize(("prior", "cost_miss", "cost_fa"), [(0.5, 1, 1), (0.01, 1, 1), (0.2, 3, 0.5)])
def test_the_actual_cost_is_that_of_the_decisions_and_at_least_the_least(prior, cost_miss, cost_fa):
    draws = np.random.default_rng(3)
    labels = np.arange(200_000) % 2
    llrs = draws.normal(np.where(labels, 2, -2), 2)  # calibrated: means of half the variance
    threshold = bayes_threshold(prior, cost_miss, cost_fa)
    miss, false_alarm = (llrs[labels == 1] < threshold).mean(), (llrs[labels == 0] >= threshold).mean()
    cost = cost_miss * prior * miss + cost_fa * (1 - prior) * false_alarm
    actual, least = act_dcf(llrs, labels, prior, cost_miss, cost_fa), min_dcf(llrs, labels, prior, cost_miss, cost_fa)
    assert actual == pytest.approx(cost / min(cost_miss * prior, cost_fa * (1 - prior)))
    assert least <= actual < 1.02 * least
    assert act_dcf(llrs - 3, labels, prior, cost_miss, cost_fa) > 1.05 * least  # no longer calibrated
    assert act_dcf([-9.0, -9.0], [1, 0], prior, cost_miss, cost_fa) == pytest.approx(
        cost_miss * prior / min(cost_miss * prior, cost_fa * (1 - prior))
    )


@pytest.mark.parametrize(
    ("different", "told"),
    [(300, "0.33 at a prior of 0.01 and 0.06 at a prior of 0.05"), (1000, "0.10 at a prior of 0.01"), (2000, None)],
)
def test_where_single_trials_decide_a_cost_is_told(different, told):
    from balr_hf.evaluation import Evaluation

    llrs, labels = np.linspace(-1, 1, different + 10), np.arange(different + 10) >= different
    found = Evaluation.of(llrs, labels, resamples=0)
    expected = f"Single trials decide minDCF: one false alarm in {different:,} different-speaker trials adds {told}"
    assert found.describe_single_trials() == ([] if told is None else [expected])
    assert (f"\n  {expected}\n" in found.describe()) == (told is not None)
    assert Evaluation.of(llrs, None).describe_single_trials() == []


def test_devpav_of_one_finite_point_is_its_distance_and_of_none_unknown():
    """Between the best and the worst score, one of either kind has an LLR of 0.5: it should be 0."""
    assert devpav([2.0, 0.5, 0.5, -2.0], [1, 1, 0, 0]) == pytest.approx(0.5 / math.log(10))
    assert math.isnan(devpav([2.0, -2.0], [1, 0]))


def test_scores_that_tell_all_trials_apart_are_evaluated_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compute_metrics([3.0, 2.0, -2.0, -3.0], [1, 1, 0, 0])["cllr_min"] == 0


@pytest.mark.parametrize(
    ("llrs", "labels", "message"),
    [
        ([1.0, np.nan], [0, 1], "1 of 2 scores are not finite"),
        ([1.0, 2.0], [1, 1], "2 same-speaker and 0 different-speaker"),
        ([1.0], [0, 1], "1 scores but 2 labels"),
    ],
)
def test_trials_that_cannot_be_evaluated_are_refused(llrs, labels, message):
    with pytest.raises(ValueError, match=message):
        compute_metrics(np.array(llrs), np.array(labels))


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(UserError, match="a threshold of NaN"):
        at_threshold([1.0, -1.0], [1, 0], float("nan"))


def test_an_evaluation_refuses_labels_that_are_neither_kind():
    from balr_hf.evaluation import Evaluation

    with pytest.raises(UserError, match="labels must be 1"):
        Evaluation.of(np.array([1.0, -1.0, 0.5]), np.array([1, 0, 2]))


@pytest.mark.parametrize("bounds", [(2, -2), (np.nan, 2), (-2, np.nan)])
def test_bounds_the_wrong_way_round_are_refused(bounds):
    trials = [1.0, -2.0, -1.0, 0.5], [1, 1, 0, 0]
    with pytest.raises(UserError, match="the lowest and the highest LLR, in this order"):
        compute_metrics(*trials, bounds=bounds)
    assert compute_metrics(*trials, bounds=(-np.inf, np.inf)) == compute_metrics(*trials)


def test_an_evaluation_says_if_no_ratio_lies_beyond_the_bounds():
    from balr_hf.evaluation import Evaluation

    llrs, labels = np.array([2.0, 1.0, -1.0, -3.0]), np.array([True, False, True, False])
    told = "All LRs lie within the calibration's bounds (LR 1/54 to 54): Cllr is the same with and without these"
    wide, calibration = {"method": "affine", "bounds": [-4.0, 4.0]}, {"method": "affine", "bounds": [-2.0, 2.0]}
    for bounds in (None, (-4.0, 4.0)):
        found = Evaluation.of(llrs, labels, bounds=bounds, resamples=0, calibration=wide)
        assert found.describe_bounds() == told and f"\n  {told}\n" in f"{found.describe()}\n"
    assert "held within" in Evaluation.of(llrs, labels, resamples=0, calibration=calibration).describe_bounds()
    assert Evaluation.of(llrs, labels, resamples=0).describe_bounds() is None


def test_bounds_hold_what_depends_on_calibration_and_nothing_else():
    from balr_hf.evaluation import Evaluation

    rng = np.random.default_rng(3)
    enroll, test = np.divmod(np.arange(900), 30)
    labels, bounds = enroll == test, (-1.0, 1.5)
    llrs = rng.normal(size=900) * 2 + np.where(labels, 2.5, -2.5)
    given, held = compute_metrics(llrs, labels), compute_metrics(llrs.clip(*bounds), labels)
    found = Evaluation.of(llrs, labels, (enroll, test), bounds=bounds, resamples=30)
    of_order, calibrated = ("eer", "eer_threshold", "min_dcf_0.01", "min_dcf_0.05", "cllr_min"), ("cllr", "devpav")
    for names, right, wrong in ((of_order, given, held), (calibrated, held, given)):
        for name in names:
            assert found.metrics[name] == pytest.approx(right[name], rel=1e-12)
        assert any(right[name] != pytest.approx(wrong[name], rel=1e-3) for name in names)
    assert held["min_dcf_0.01"] > given["min_dcf_0.01"] and held["cllr_min"] > given["cllr_min"]
    assert found.metrics["cllr_cal"] == pytest.approx(held["cllr"] - given["cllr_min"], rel=1e-12)
    assert found.unbounded == given and found.bounded is None
    for name, ends in found.intervals.items():
        of = llrs.clip(*bounds) if name == "cllr" else llrs
        assert ends == pytest.approx(bootstrap_intervals(of, labels, enroll, test, resamples=30)[name], rel=1e-9)
    assert found.at_eer == Evaluation.of(llrs, labels, resamples=0).at_eer
    # Other commands evaluate the scores as given, and say besides what those within the bounds are.
    calibration = {"method": "affine", "bounds": list(bounds)}
    other = Evaluation.of(llrs, labels, resamples=0, calibration=calibration)
    assert (other.bounded, other.metrics) == (found.metrics, found.unbounded)
    some = np.arange(900) % 3 > 0
    within = Evaluation.of(llrs, labels, bounds=bounds, resamples=0, within=some).within
    for alike in (some.astype(int), some.astype(float), some.tolist()):
        assert Evaluation.of(llrs, labels, bounds=bounds, resamples=0, within=alike).within == within
    for wrong, message in ((some + 0.5, "within must be 1 or True"), (some[1:], "within is of 899 trials")):
        with pytest.raises(UserError, match=message):
            Evaluation.of(llrs, labels, resamples=0, within=wrong)
    assert within["cllr"] == pytest.approx(compute_metrics(llrs[some].clip(*bounds), labels[some])["cllr"])
    assert within["cllr_min"] == pytest.approx(compute_metrics(llrs[some], labels[some])["cllr_min"])
