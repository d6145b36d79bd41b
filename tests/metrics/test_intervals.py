"""Confidence intervals over speakers drawn with replacement."""

import numpy as np
import pytest
from scipy.stats import norm as normal
from scipy.stats import t as student

from balr_hf.evaluation import Evaluation
from balr_hf.metrics import bootstrap_intervals, cllr, compute_metrics, difference_intervals, misleading_intervals
from balr_hf.metrics.intervals import resampled, speaker_draws, speakers_by_kind, widening
from balr_hf.metrics.summary import metrics_of


def trials_of(speakers, seed=0, same=400, different=800):
    """Trials whose scores depend on the speakers that they are of: LLRs, labels, and the sides' speakers."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, 1.5, speakers)
    one = np.arange(same) % speakers
    left = np.arange(different) % speakers
    right = (left + 1 + rng.integers(speakers - 1, size=different)) % speakers
    enroll, test = np.concatenate([one, left]), np.concatenate([one, right])
    labels = enroll == test
    llrs = np.where(labels, 2.0, -2.0) + effect[enroll] + effect[test] + rng.normal(0, 0.5, len(labels))
    return llrs, labels, np.char.add("s", enroll.astype(str)), np.char.add("s", test.astype(str))


def width(interval):
    return interval[1] - interval[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("speakers", [12, 40])
def test_intervals_contain_the_estimate(speakers, seed):
    trials = trials_of(speakers, seed)
    intervals = bootstrap_intervals(*trials, resamples=100, seed=seed)
    metrics = compute_metrics(*trials[:2])
    assert set(intervals) == set(metrics) - {"eer_threshold", "cllr_cal", "devpav"}
    for name, (low, high) in intervals.items():
        assert 0 <= low < metrics[name] < high, name


def test_the_same_seed_gives_the_same_intervals():
    trials = trials_of(12)
    first, again, other = (bootstrap_intervals(*trials, resamples=30, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_order_of_trials_and_names_of_speakers_do_not_matter():
    llrs, labels, enroll, test = trials_of(12)
    order = np.random.default_rng(0).permutation(len(llrs))
    expected = bootstrap_intervals(llrs, labels, enroll, test, resamples=30)
    shuffled = bootstrap_intervals(llrs[order], labels[order], enroll[order], test[order], resamples=30)
    swapped = bootstrap_intervals(llrs, labels, test, enroll, resamples=30)
    for name, interval in expected.items():
        assert shuffled[name] == pytest.approx(interval, rel=1e-9)
        assert swapped[name] == pytest.approx(interval, rel=1e-9)


def test_the_same_number_of_trials_of_fewer_speakers_gives_wider_intervals():
    few = np.mean([width(bootstrap_intervals(*trials_of(8, s), resamples=100)["cllr"]) for s in range(4)])
    many = np.mean([width(bootstrap_intervals(*trials_of(100, s), resamples=100)["cllr"]) for s in range(4)])
    assert few > 1.5 * many


def test_intervals_of_few_speakers_are_wider_than_those_of_independent_trials():
    llrs, labels, enroll, test = trials_of(8)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(llrs), size=len(llrs)) for _ in range(100)]
    independent = np.quantile([cllr(llrs[rows], labels[rows]) for rows in drawn], [0.025, 0.975])
    assert width(bootstrap_intervals(llrs, labels, enroll, test, resamples=100)["cllr"]) > 2 * width(independent)


def test_more_confidence_gives_wider_intervals():
    trials = trials_of(20)
    narrow, wide = (bootstrap_intervals(*trials, resamples=100, confidence=share) for share in (0.5, 0.95))
    assert all(width(wide[name]) > width(narrow[name]) for name in wide)


@pytest.mark.parametrize("confidence", [0.5, 0.99])
def test_few_speakers_widen_intervals_by_what_the_confidence_asks_for(confidence):
    llrs, labels, enroll, test = trials_of(5)
    values = np.array([metrics_of(draw)["cllr"] for draw in resampled(llrs, labels, enroll, test, 200)])
    value = cllr(llrs, labels)
    ends = np.array([1 - confidence, 1 + confidence]) / 2
    wide = np.sqrt(5 / 4) * student.ppf(ends[1], 4) / normal.ppf(ends[1])
    low, high = value + wide * (np.quantile(values * value / values.mean(), ends) - value)
    found = bootstrap_intervals(llrs, labels, enroll, test, resamples=200, confidence=confidence)["cllr"]
    assert found == pytest.approx((max(0.0, low), high))


def test_a_metric_that_no_draw_changes_has_no_interval():
    _, labels, enroll, test = trials_of(12)
    perfect = np.where(labels, 5.0, -5.0)
    assert bootstrap_intervals(perfect, labels, enroll, test, resamples=20) == {}
    llrs = perfect + np.random.default_rng(0).normal(0, 0.1, len(labels))
    assert set(bootstrap_intervals(llrs, labels, enroll, test, resamples=20)) == {"cllr"}
    assert set(difference_intervals(llrs, llrs + 0.1, labels, enroll, test, resamples=20)) == {"cllr"}
    two = np.array([2.0, 1.0, -1.0]), np.array([1, 1, 0]), np.array(["a", "b", "a"]), np.array(["a", "b", "b"])
    assert bootstrap_intervals(*two, resamples=20) == {}


@pytest.mark.parametrize("seed", range(3))
def test_what_rounding_alone_changes_has_no_interval(seed):
    """Where all LLRs are held at two bounds, Cllr is the same whoever is drawn: "0.073 to 0.073" would seem sure."""
    llrs, labels, enroll, test = trials_of(12, seed)
    apart = np.where(labels, 9.0, -9.0) + llrs / 10
    assert bootstrap_intervals(apart, labels, enroll, test, resamples=50, bounds=(-3.3, 2.7)) == {}
    held = apart.clip(-3.3, 2.7)
    assert difference_intervals(held, apart.clip(-2.1, 1.9), labels, enroll, test, resamples=50) == {}
    assert bootstrap_intervals(np.full(len(labels), 3.3), labels, enroll, test, resamples=50) == {}


def test_the_least_cllr_ends_no_higher_than_the_entropy_of_the_eer_and_knows_nothing_of_calibration():
    llrs, labels, enroll, test = trials_of(10)
    good = np.where(labels, 4.0, -4.0) + (llrs - np.where(labels, 2.0, -2.0))
    found = bootstrap_intervals(good, labels, enroll, test, resamples=100)
    rate = found["eer"][1]
    assert found["cllr_min"][1] == pytest.approx(-rate * np.log2(rate) - (1 - rate) * np.log2(1 - rate))
    other = bootstrap_intervals(5 * good + 3, labels, enroll, test, resamples=100)
    assert other["cllr_min"] == found["cllr_min"] and other["cllr"] != found["cllr"]
    assert "cllr_min" not in bootstrap_intervals(-good, labels, enroll, test, resamples=100)  # 1 in all draws
    useless = np.random.default_rng(0).normal(size=len(labels))
    assert bootstrap_intervals(useless, labels, enroll, test, resamples=100)["cllr_min"][1] == 1.0


def test_the_least_cllr_has_an_interval_where_the_eer_is_the_same_whoever_is_drawn():
    """One in two trials of each kind, of whomever, has the highest score: the EER is one half, and the rest varies."""
    enroll, test = (np.repeat(side, 2) for side in np.triu_indices(10))
    labels = enroll == test
    lower = np.random.default_rng(0).normal(np.where(labels, -1.0, -3.0))
    llrs = np.where(np.arange(len(labels)) % 2, 5.0, lower)
    found = bootstrap_intervals(llrs, labels, enroll, test, resamples=50)
    assert compute_metrics(llrs, labels)["eer"] == pytest.approx(0.5) and "eer" not in found
    low, high = found["cllr_min"]
    assert low < compute_metrics(llrs, labels)["cllr_min"] < high <= 1


@pytest.mark.parametrize(
    "lengths",
    [(1200, 1199, 1200, 1200), (1200, 1200, 1199, 1200), (1200, 1200, 1200, 1199), (1200, 1200, 1199, 1201)],
    ids=["labels", "enroll speakers", "test speakers", "both speakers"],
)
def test_labels_and_speakers_of_another_length_are_refused(lengths):
    trials = [np.resize(part, length) for part, length in zip(trials_of(12), lengths, strict=True)]
    with pytest.raises(ValueError, match=r"1200 (scores|trials)"):
        bootstrap_intervals(*trials, resamples=5)


@pytest.mark.parametrize("unknown", [None, float("nan"), "", " "], ids=repr)
def test_speakers_who_are_unknown_or_contradict_the_labels_are_refused(unknown):
    llrs, labels, enroll, test = trials_of(12)
    one_name, all_names = np.full(len(llrs), "a"), np.arange(len(llrs))
    for names, wrong in [((one_name, one_name), 800), ((enroll, all_names), 1200 - 800)]:
        with pytest.raises(ValueError, match=f"speakers of {wrong} of 1200 trials contradict the labels"):
            bootstrap_intervals(llrs, labels, *names, resamples=5)
        with pytest.raises(ValueError, match=f"speakers of {wrong} of 1200 trials contradict the labels"):
            difference_intervals(llrs, llrs, labels, *names, resamples=5)
        with pytest.raises(ValueError, match=f"speakers of {wrong} of 1200 trials contradict the labels"):
            Evaluation.of(llrs, labels, names, resamples=0)
    gone = [unknown, *enroll[1:]], [unknown, *test[1:]]
    for names in (gone, [np.array(side, dtype=object) for side in gone], (enroll, gone[1])):
        with pytest.raises(ValueError, match="the speaker of a trial is not known"):
            bootstrap_intervals(llrs, labels, *names, resamples=5)
        with pytest.raises(ValueError, match="the speaker of a trial is not known"):
            Evaluation.of(llrs, labels, names, resamples=0)


def test_names_may_be_lists_or_numbers():
    llrs, labels, enroll, test = trials_of(12)
    expected = bootstrap_intervals(llrs, labels, enroll, test, resamples=20)
    assert bootstrap_intervals(llrs, labels, enroll.tolist(), test.tolist(), resamples=20) == expected
    numbers = np.unique([enroll, test], return_inverse=True)[1].reshape(2, -1)
    assert bootstrap_intervals(llrs, labels, *numbers, resamples=20) == expected


def test_trials_of_one_kind_are_refused():
    llrs, labels, enroll, test = trials_of(12)
    kind = labels
    with pytest.raises(ValueError, match="400 same-speaker and 0 different-speaker"):
        bootstrap_intervals(llrs[kind], labels[kind], enroll[kind], test[kind], resamples=5)


def test_scores_that_are_not_finite_are_refused():
    llrs, *others = trials_of(12)
    llrs[3] = np.inf
    with pytest.raises(ValueError, match="1 of 1200 scores are not finite"):
        bootstrap_intervals(llrs, *others, resamples=5)


def test_draws_that_lack_a_kind_are_drawn_anew():
    llrs, labels = np.array([2.0, 1.0, -1.0, -2.0]), np.array([1, 1, 0, 0])
    enroll, test = np.array(["a", "e", "b", "b"]), np.array(["a", "e", "c", "d"])
    intervals = bootstrap_intervals(llrs, labels, enroll, test, resamples=50)
    assert np.isfinite(intervals["cllr"]).all()


def test_intervals_are_as_wide_as_the_fewer_speakers_of_either_kind_make_them():
    llrs, labels, enroll, test = trials_of(40)
    kept = ~labels | (enroll < np.unique(enroll)[4])
    some = [part[kept] for part in (llrs, labels, enroll, test)]
    assert speakers_by_kind(*some[1:]) == (4, 40) and speakers_by_kind(labels, enroll, test) == (40, 40)
    assert speakers_by_kind(~some[1], *some[2:]) == (40, 4)
    draws = [metrics_of(draw)["cllr"] for draw in resampled(*some, 200)]
    value = compute_metrics(*some[:2])["cllr"]
    low, high = np.quantile(np.array(draws) * value / np.mean(draws), [0.025, 0.975]) - value
    expected = value + widening(4) * np.array([low, high])
    found = bootstrap_intervals(*some, resamples=200)["cllr"]
    assert found == pytest.approx((max(0.0, expected[0]), expected[1])) and widening(4) > 1.8


def test_same_speaker_trials_of_one_speaker_give_no_interval():
    llrs, labels, enroll, test = trials_of(12)
    kept = ~labels | (enroll == enroll[0])
    some = [part[kept] for part in (llrs, labels, enroll, test)]
    assert bootstrap_intervals(*some, resamples=5) == {}
    assert difference_intervals(some[0], *some, resamples=5) == {}
    with pytest.raises(ValueError, match="finite"):
        bootstrap_intervals(np.full(len(some[0]), np.nan), *some[1:], resamples=5)


@pytest.mark.parametrize(
    "settings",
    [{"resamples": 0}, {"resamples": -5}, {"confidence": 0.0}, {"confidence": 1.0}, {"confidence": 95}],
    ids=str,
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="expected at least 1 draw, and a confidence between 0 and 1"):
        bootstrap_intervals(*trials_of(12), **settings)


def test_the_difference_of_two_systems_that_share_their_errors_is_known_better_than_either():
    llrs, labels, enroll, test = trials_of(12)
    other = llrs + np.random.default_rng(5).normal(0, 0.3, len(llrs))
    alone = bootstrap_intervals(llrs, labels, enroll, test, resamples=200)
    paired = difference_intervals(llrs, other, labels, enroll, test, resamples=200)
    assert set(paired) == set(alone)
    for name, (low, high) in paired.items():
        difference = compute_metrics(other, labels)[name] - compute_metrics(llrs, labels)[name]
        assert low <= difference <= high, name
    assert width(paired["cllr"]) < 0.5 * width(alone["cllr"])


def test_the_difference_the_other_way_round_is_its_negative():
    llrs, labels, enroll, test = trials_of(12)
    there = difference_intervals(llrs, llrs / 2 + 1, labels, enroll, test, resamples=50)
    back = difference_intervals(llrs / 2 + 1, llrs, labels, enroll, test, resamples=50)
    for name, (low, high) in there.items():
        assert back[name] == pytest.approx((-high, -low), abs=1e-12), name
    assert there["cllr"][0] > 0 and there["eer"] == (0.0, 0.0)


def test_impossible_settings_of_differences_are_refused():
    llrs, *others = trials_of(12)
    with pytest.raises(ValueError, match="expected at least 1 draw"):
        difference_intervals(llrs, llrs, *others, resamples=0)
    with pytest.raises(ValueError, match="1200"):
        difference_intervals(llrs, llrs[:-1], *others, resamples=5)


def test_rates_of_misleading_trials_have_intervals_over_the_speakers():
    llrs, labels, enroll, test = trials_of(40)
    kept = ~labels | (enroll < np.unique(enroll)[9])  # fewer speakers have trials of their own
    llrs, labels, enroll, test = (part[kept] for part in (llrs, labels, enroll, test))
    numbers = speakers_by_kind(labels, enroll, test)
    assert numbers[0] < 10 < numbers[1]
    codes = np.unique([enroll, test], return_inverse=True)[1].reshape(2, -1)
    draws = list(speaker_draws(codes.max() + 1, *codes, labels, 200))
    found = misleading_intervals(llrs, labels, enroll, test, resamples=200)
    for number, (name, wrong, people) in enumerate(
        (("misleading_same", llrs[labels] < 0, numbers[0]), ("misleading_different", llrs[~labels] > 0, numbers[1]))
    ):
        rates = np.array([np.average(wrong, weights=draw[number]) for draw in draws])
        ends = np.quantile(rates * wrong.mean() / rates.mean(), [0.025, 0.975])
        low, high = wrong.mean() + widening(people) * (ends - wrong.mean())
        assert 0 < wrong.mean() < 1 and found[name] == pytest.approx((max(0.0, low), min(1.0, high)))
    assert misleading_intervals(llrs * 7, labels, enroll, test, resamples=200) == found


def test_a_rate_that_no_draw_changes_has_no_interval():
    llrs, labels, enroll, test = trials_of(12)
    right = np.where(labels, 5.0, llrs)
    assert set(misleading_intervals(right, labels, enroll, test, resamples=20)) == {"misleading_different"}
    assert misleading_intervals(np.zeros(len(labels)), labels, enroll, test, resamples=20) == {}
    kept = ~labels | (enroll == enroll[0])
    some = [part[kept] for part in (np.where(np.arange(len(llrs)) % 2, llrs, -llrs), labels, enroll, test)]
    assert set(misleading_intervals(*some, resamples=20)) == {"misleading_different"}
    with pytest.raises(ValueError, match="expected at least 1 draw"):
        misleading_intervals(llrs, labels, enroll, test, resamples=0)


def test_differences_are_no_larger_than_metrics_between_0_and_1_can_differ():
    """Of three speakers, whose draws are widened far."""
    llrs, labels, enroll, test = trials_of(3, seed=3, same=12, different=18)
    found = difference_intervals(llrs, -llrs, labels, enroll, test, resamples=50)
    assert {name for name, ends in found.items() if 1 in map(abs, ends)} >= {"eer", "cllr_min"}
    assert all(-1 <= low <= high <= 1 for name, (low, high) in found.items() if name != "cllr")
    assert found["cllr"][1] > 1
