"""Calibration with quality measures: what it learns, what it refuses, and that its terms sum to the score."""

import copy

import numpy as np
import pytest
from scipy.optimize import minimize

from balr_hf.errors import ConfigError, UserError
from balr_hf.metrics import cllr
from balr_hf.scoring.auto import build_scorer, load_scorer
from balr_hf.scoring.calibration import cross_calibrated, fit_calibration
from balr_hf.scoring.calibration_fits import fit_quality, trial_costs
from balr_hf.scoring.quality_measures import (
    NAMES,
    WORDS,
    quality_functions,
    recordings_quality,
    trial_quality,
    unknown_sides,
)
from balr_hf.scoring.trials import Trials, score_trials

SPEAKERS = 30


def noisy_trials(seed=0):
    """Trials whose scores noise on both sides raises: evidence `(trials, 1 + measures)`, labels and speakers."""
    rng = np.random.default_rng(seed)
    enroll, test = np.divmod(np.arange(SPEAKERS**2), SPEAKERS)
    enroll, test = np.tile(enroll, 2), np.tile(test, 2)
    labels = enroll == test
    noisy = np.repeat([0.0, 1.0], SPEAKERS**2)
    scores = np.where(labels, 3.0, -3.0) + 6 * noisy + rng.normal(0, 2, len(labels))
    snr = 30 - 20 * noisy + rng.normal(0, 1, len(labels))
    same_in_all = np.ones(len(labels))
    names = np.array([f"s{n:02d}" for n in range(SPEAKERS)])
    return np.column_stack([scores, snr, same_in_all]), labels, (names[enroll], names[test]), noisy


def test_offset_of_noise_is_learnt():
    evidence, labels, speakers, _ = noisy_trials()
    plain = cross_calibrated(evidence[:, 0], labels, speakers)
    quality = cross_calibrated(evidence, labels, speakers, "quality", penalty=1e-4)
    assert cllr(quality, labels) < 0.6 * cllr(plain, labels)
    found = fit_calibration(evidence, labels, "quality", speakers, penalty=1e-4)
    factors, _, scales = found.quality
    assert factors[0] / scales[0] == pytest.approx(6 / 20 * float(found.weights), rel=0.15)
    assert factors[1] == 0 and found.bounds is not None and found.draws.shape == (1_000, 2)
    assert found.describe()["num_quality"] == 2


def test_the_fit_minimises_what_it_says():
    evidence, labels, _, _ = noisy_trials()
    penalty, unit = 0.05, np.log(10)
    weight, offset, (factors, means, scales) = fit_quality(evidence, labels, penalty)
    costs = trial_costs(labels)

    def objective(point):
        llrs = point[0] * evidence[:, 0] + point[1] + (evidence[:, 1] - means[0]) / scales[0] * point[2]
        loss = costs @ np.logaddexp(0, np.where(labels, -llrs, llrs))
        return loss + penalty / 2 * point[2] ** 2 + (point[0] * unit) ** 2 / (2 * len(labels))

    best = minimize(objective, [1.0, 0.0, 0.0], tol=1e-12).x
    np.testing.assert_allclose([weight, offset, factors[0]], best, rtol=2e-3, atol=2e-3)


def test_a_condition_does_not_speak_by_how_many_of_its_trials_are_of_one_speaker():
    evidence, labels, _, noisy = noisy_trials()
    evidence[:, 0] -= 6 * noisy  # now noise does nothing
    rng = np.random.default_rng(1)
    kept = ~((noisy == 1) & ~labels) | (rng.random(len(labels)) < 0.05)  # most noisy trials are of one speaker
    plain = fit_quality(evidence[kept], labels[kept], 1e-4)[2][0, 0]
    told = fit_quality(evidence[kept], labels[kept], 1e-4, conditions=noisy[kept])[2][0, 0]
    assert plain < -0.5 and abs(told) < 0.5 * abs(plain)


def test_costs_balance_the_kinds_in_each_condition_that_has_both():
    labels = np.array([1, 1, 0, 0, 0, 1, 0, 0])
    conditions = np.array(["a", "a", "a", "a", "b", "b", "c", "c"])
    costs = trial_costs(labels, conditions)
    assert costs.sum() == pytest.approx(1) and (costs[6:] == 0).all()
    for condition in "ab":
        here = conditions == condition
        assert costs[here & (labels == 1)].sum() == pytest.approx(costs[here & (labels == 0)].sum())


def test_what_cannot_be_fitted_is_refused():
    evidence, labels, speakers, _ = noisy_trials()
    with pytest.raises(ConfigError, match="quality needs the trials' speakers"):
        fit_calibration(evidence, labels, "quality")
    with pytest.raises(ConfigError, match="more than 0"):
        fit_quality(evidence, labels, 0.0)
    with pytest.raises(UserError, match="no condition has trials of both kinds"):
        fit_quality(evidence, labels, 1e-2, conditions=labels)
    for wrong in (["a"] * 3, labels[1:]):
        with pytest.raises(ValueError, match=r"scores, labels, speakers and conditions of different numbers"):
            fit_calibration(evidence, labels, "quality", speakers, conditions=wrong)
    evidence[3, 1] = np.nan
    with pytest.raises(UserError, match="all measures"):
        fit_calibration(evidence, labels, "quality", speakers, penalty=1e-2)


def quality(net_speech, snr, bandwidth):
    return {"net_speech": net_speech, "snr": snr, "bandwidth": bandwidth}


def test_measures_are_those_of_both_sides_in_either_order():
    a = recordings_quality([quality(2.0, 30.0, 8_000.0), quality(4.0, 20.0, 8_000.0)])
    b = recordings_quality([quality(10.0, 12.0, 3_500.0)])
    np.testing.assert_allclose(a, [3.0, 25.0, 8.0, 2])
    values = trial_quality(a[None], b[None])
    np.testing.assert_allclose(values, [[3.0, 10.0, 12.0, 25.0, 3.5, 4.5, np.sqrt(2)]])
    np.testing.assert_array_equal(values, trial_quality(b[None], a[None]))
    assert quality_functions(values).shape == (1, len(NAMES)) and len(NAMES) == len(WORDS)


def test_seconds_and_numbers_count_by_their_logarithms_and_clean_recordings_alike():
    values = np.array([[np.e, np.e**2, 12.0, 35.0, 3.5, 4.5, 4.0], [0.0, 8.0, 31.0, 90.0, 8.0, 0.0, 1.0]])
    expected = [[1, 2, 12, 30, 3.5, 4.5, np.log(4)], [np.log(0.1), np.log(8), 30, 30, 8, 0, 0]]
    given = values.copy()
    np.testing.assert_allclose(quality_functions(given), expected)
    np.testing.assert_array_equal(given, values)


@pytest.mark.parametrize(
    "recordings, number",
    [([], 1), ([None], 1), ([quality(2.0, None, 8_000.0)], 1), ([quality(2.0, 9.0, 8_000.0)], 2)],
)
def test_a_side_of_which_anything_is_unknown_is_unknown(recordings, number):
    assert unknown_sides(recordings_quality(recordings, number)[None]).all()


@pytest.fixture(scope="module")
def world():
    """A scorer that was calibrated with quality, counts, and what was measured of their sides."""
    rng = np.random.default_rng(0)
    shares = rng.beta(0.5, 0.5, (60, 12))
    active = rng.binomial(1, shares, (2, 60, 12))
    counts = np.stack([active, 1 - active], -1).astype(float)
    scorer = build_scorer("beta", num_attributes=12).fit(counts[:, :30].sum(0))
    enroll, test = counts[:, 30:]
    measured = [
        np.column_stack([rng.uniform(1, 20, 30), rng.uniform(0, 40, 30), rng.uniform(3, 8, 30), np.ones(30)])
        for _ in range(2)
    ]
    trials = Trials.between(*np.divmod(np.arange(900), 30))
    names = np.array([f"s{n}" for n in range(30)])
    scorer.calibrate(
        *(enroll, test, trials.enroll == trials.test, "quality", names[trials.enroll], names[trials.test]),
        trials=trials,
        quality=tuple(measured),
    )
    return scorer, enroll, test, tuple(measured), trials


def test_score_is_the_sum_of_its_terms_whichever_way_it_is_computed(world):
    scorer, enroll, test, measured, trials = world
    scores = scorer.score(enroll, test, calibrated=True, quality=measured).numpy()
    terms = scorer.attribute_scores(enroll, test, calibrated=True).sum(1) + scorer.calibration_offset
    np.testing.assert_allclose(scores, (terms + scorer.quality_terms(measured).sum(1)).numpy())
    matrix = scorer.score_matrix(enroll, test, calibrated=True, quality=measured).numpy()
    np.testing.assert_allclose(np.diag(matrix), scores)
    listed = score_trials(
        scorer, enroll, trials, True, test_counts=test, quality=measured[0], test_quality=measured[1]
    )
    np.testing.assert_allclose(listed.reshape(30, 30), matrix)
    assert not np.allclose(scorer.quality_terms(measured).sum(1).numpy(), 0)


def test_quality_comes_back_with_the_scorer(world, tmp_path):
    scorer, enroll, test, measured, _ = world
    scorer.save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)
    assert loaded.needs_quality and loaded.config.calibration["method"] == "quality"
    loaded.check_whole()
    expected = scorer.score(enroll, test, calibrated=True, quality=measured)
    assert (loaded.score(enroll, test, calibrated=True, quality=measured) == expected).all()
    assert not loaded.remove_calibration().needs_quality


def test_unknown_quality_is_refused_rather_than_left_out(world):
    scorer, enroll, test, measured, trials = world
    for call in (
        lambda: scorer.score(enroll, test, calibrated=True),
        lambda: scorer.score_matrix(enroll, test, calibrated=True),
        lambda: score_trials(scorer, enroll, trials, calibrated=True, test_counts=test),
        lambda: scorer.explain(enroll[0], test[0]),
    ):
        with pytest.raises(UserError, match="speech, noise, bandwidth"):
            call()
    measured = measured[0].copy(), measured[1]
    measured[0][3, 1] = np.nan
    with pytest.raises(UserError, match="of 1 sides that is not known"):
        scorer.score(enroll, test, calibrated=True, quality=measured)
    with pytest.raises(ValueError, match="one row per side"):
        scorer.score(enroll, test, calibrated=True, quality=(measured[0][:5], measured[1]))
    assert scorer.score(enroll, test).shape == (30,)


def test_an_explanation_names_what_the_quality_adds(world):
    scorer, enroll, test, _, _ = world
    a, b = quality(2.0, 8.0, 3_500.0), quality(12.0, 33.0, 8_000.0)
    details = dict.fromkeys(("snr_method", "tone")) | dict.fromkeys(
        ("duration", "level", "peak", "clipping", "tone_share", "dc_offset", "sampling_rate"), 0.0
    )
    explanation = scorer.explain(enroll[0], test[0], quality=([a | details], [b | details]))
    rows = dict(explanation.quality_terms)
    assert list(rows)[2] == "noisier side, SNR 8 dB" and list(rows)[5] == "difference of bandwidth, 4.5 kHz"
    expected = explanation.terms.sum() + explanation.offset + sum(rows.values())
    assert explanation.unbounded_llr == pytest.approx(expected)
    sides = recordings_quality([a])[None], recordings_quality([b])[None]
    score = scorer.score(enroll[:1], test[:1], calibrated=True, quality=sides)
    assert explanation.unbounded_llr == pytest.approx(float(score))
    assert "quality: noisier side, SNR 8 dB" in explanation.to_text()
    assert len(explanation.to_dict()["quality_terms"]) == len(NAMES)
    assert "quality: noisier side" in explanation.to_html()


def test_quality_that_is_not_taken_or_of_other_sides_is_refused(world):
    scorer, enroll, test, measured, trials = world
    labels = trials.enroll == trials.test
    other = copy.deepcopy(scorer)
    with pytest.raises(ConfigError, match="affine takes no quality measures"):
        other.calibrate(enroll, test, labels, trials=trials, quality=measured)
    other.calibrate(enroll, test, labels, trials=trials)
    expected = other.score(enroll, test, calibrated=True)
    assert other.score(enroll, test, calibrated=True, quality=measured).equal(expected)  # of any calibration
    for one in (scorer, other):
        with pytest.raises(ValueError, match=r"quality of shape \(29, 4\): expected \(30, 4\)"):
            one.score(enroll, test, calibrated=True, quality=(measured[0], measured[1][1:]))
