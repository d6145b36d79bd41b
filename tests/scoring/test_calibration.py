"""Calibration: affine and fusion, held-out speakers, and calibrated scorers as files."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from transformers import AutoModel

from balr_hf import load_scorer
from balr_hf.errors import ConfigError, UserError
from balr_hf.explanation.wording import describe_amount, fewest_speakers
from balr_hf.identity import uncalibrated_digest
from balr_hf.metrics import cllr
from balr_hf.scoring.auto import SCORERS, build_scorer
from balr_hf.scoring.bounds import elub
from balr_hf.scoring.calibration import cross_calibrated, fit_calibration, speaker_splits
from balr_hf.scoring.calibration_fits import (
    MAX_FUSION_TRIALS,
    doubt_of,
    fit_affine,
    fit_fusion,
    fit_quality,
    fusion_sample,
)
from balr_hf.scoring.counts import SideCounts
from balr_hf.scoring.trials import Trials, score_trials

SETS = ("calibrated", "overconfident", "shifted", "ties", "separated")
PROFILES = ("dna", "speech")
WIDTH = 36
PENALTY = {"affine": None, "fusion": 1e-2}


def pairs(speakers):
    """All pairs of speakers, and whether they are the same."""
    left, right = np.divmod(np.arange(speakers**2), speakers)
    return left, right, left == right


def counts_of(seed, speakers, recordings):
    """Counts of twelve attributes, each three times over, so that they are far from independent; two sides each."""
    rng = np.random.default_rng(seed)
    likely = rng.beta(0.6, 0.8, (speakers, 12))
    active = np.tile(rng.binomial(recordings, likely, (2, speakers, 12)), 3).astype(np.float64)
    return np.stack([active, recordings - active], -1)


def trials_of(seed, name, speakers=30):
    """Counts of both sides, labels, and the names of the speakers."""
    enroll, test = counts_of(seed, speakers, 1 if name in PROFILES else 4)
    left, right, labels = pairs(speakers)
    names = np.array([f"Johanna-{seed}-{number}" for number in range(speakers)])
    return enroll[left], test[right], labels, names[left], names[right]


def fitted(name, seed=0):
    speakers = [f"Reference-{number}" for number in range(50)]
    brief = {"n_iterations": 20} if name in ("beta", "maxllr") else {}
    return build_scorer(name, num_attributes=WIDTH, **brief).fit(counts_of(seed, 50, 8)[0], speakers)


def calibrated(name, method, seed=1, speakers=30):
    enroll, test, labels, *names = trials_of(seed, name, speakers)
    return fitted(name).calibrate(enroll, test, labels, method, *names, penalty=PENALTY[method])


def noisy_terms(seed, speakers=36, width=8):
    """Terms of as many attributes that tell speakers apart as that are noise: terms, labels, speakers' names."""
    rng = np.random.default_rng(seed)
    left, right, labels = pairs(speakers)
    telling = rng.normal(np.where(labels, 0.4, -0.4)[:, None], 0.8, (len(labels), width))
    noise = rng.normal(0, 1.2, (len(labels), width))
    names = np.char.add("s", np.arange(speakers).astype(str))
    return np.concatenate([telling, noise], 1), labels, (names[left], names[right])


@pytest.mark.parametrize("name", SETS)
def test_affine_equals_lirs(name, golden):
    recorded = np.load(golden / "metrics.npz")
    llrs, labels = recorded[f"{name}_llr"], recorded[f"{name}_label"]
    slope, offset = fit_affine(llrs, labels)
    # lir minimises the same cost, and stops a little before its minimum.
    np.testing.assert_allclose(slope * llrs + offset, recorded[f"{name}_logit_llr"], atol=5e-3)


def affine_gradient(slope, offset, scores, labels, unit):
    """The derivatives, by slope and offset, of what affine calibration minimises, per trial; 0 at the minimum."""
    costs = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    residuals = costs * (expit(slope * scores + offset) - labels)
    return residuals @ scores / unit + slope * unit / len(scores), residuals.sum()


@pytest.mark.parametrize("unit", [None, math.log(10)])
@pytest.mark.parametrize("zero", [-2.5, 0.0, 2.5])
@pytest.mark.parametrize("apart", [2.0, 6.0])
def test_affine_is_the_minimum_however_well_trials_are_told_apart(apart, zero, unit):
    """The regression once stopped on its way: raw scores all on one side of zero gave LLRs of 300 instead of 20."""
    labels = np.arange(2_000) % 20 == 0
    scores = 100 * (np.random.default_rng(0).normal(np.where(labels, apart, -apart), 1.0) + zero * apart)
    slope, offset = fit_affine(scores, labels, unit)
    assert np.abs(affine_gradient(slope, offset, scores, labels, unit or scores.std())).max() < 1e-11
    measures = np.zeros((len(scores), 1))
    weight, constant, _ = fit_quality(np.column_stack([scores, measures]), labels, 1.0, unit)
    np.testing.assert_allclose([weight, constant], [slope, offset], rtol=1e-6)


def test_doubt_is_the_cost_of_trials_of_the_other_kind():
    rng = np.random.default_rng(3)
    labels = np.arange(400) % 4 == 0
    scores = rng.normal(np.where(labels, 1.5, -1.5), 1.0)
    slope, offset = fit_affine(scores, labels, doubt=0.1)
    mixed = np.concatenate([np.repeat(scores, 9), scores])  # nine as they are, one of the other kind
    kinds = np.concatenate([np.repeat(labels, 9), ~labels])
    weights = np.where(np.concatenate([np.repeat(labels, 9), labels]), 4 / 2, 4 / 6) / 10  # 100 against 300 trials

    def cost(slope, offset):
        margins = np.where(kinds, -1, 1) * (slope * mixed + offset)
        return (weights * np.logaddexp(0, margins)).sum() + (slope * math.log(10)) ** 2 / 2

    least = cost(slope, offset)
    for step in (1e-2, -1e-2):
        assert least < cost(slope + step, offset) and least < cost(slope, offset + step)


def test_doubt_keeps_trials_that_are_told_apart_from_overstating():
    labels = np.arange(60) < 20
    scores = np.where(labels, 8.0, -8.0) + np.linspace(-1, 1, 60)
    slopes = [fit_affine(scores, labels, doubt=doubt_of(speakers))[0] for speakers in (5, 10, 100)]
    assert slopes[0] < slopes[1] < slopes[2] < fit_affine(scores, labels)[0]
    assert fit_affine(scores, labels, doubt=0.0) == fit_affine(scores, labels)
    assert doubt_of(10) == pytest.approx(0.1 / 10.2) and doubt_of(1) < 0.5


@pytest.mark.parametrize("doubt", [0.0, 0.01])
def test_scores_without_a_unit_may_lie_anywhere(doubt):
    """Far from zero, the regression once stopped where it began: all likelihood ratios were 1."""
    scores, labels = noisy_terms(0)[0].sum(1), noisy_terms(0)[1]
    measures = np.random.default_rng(0).normal(size=(len(scores), 2))
    slope, offset = fit_affine(scores, labels, None, doubt)
    quality = fit_quality(np.column_stack([scores, measures]), labels, 0.01, None)
    for scale, zero in ((1.0, 1e8), (1e-3, -1e4)):
        moved = scores * scale + zero
        other = fit_affine(moved, labels, None, doubt)
        np.testing.assert_allclose(moved * other[0] + other[1], scores * slope + offset, atol=2e-4)
        weight, constant, terms = fit_quality(np.column_stack([moved, measures]), labels, 0.01, None)
        np.testing.assert_allclose(moved * weight + constant, scores * quality[0] + quality[1], atol=2e-4)
        np.testing.assert_allclose(terms, quality[2], atol=1e-4)


@pytest.mark.parametrize("zero", [1e4, -1e5, 1e6])
@pytest.mark.parametrize("doubt", [0.0, 0.01])
def test_likelihood_ratios_far_off_zero_are_calibrated_as_those_near_it(zero, doubt):
    """The offset is not penalised, so that the place of scores decides nothing; 1e6 once gave a slope of 1e-9."""
    terms, labels, speakers = noisy_terms(0)
    scores = terms.sum(1)
    slope, offset = fit_affine(scores, labels, doubt=doubt)
    moved = fit_affine(scores + zero, labels, doubt=doubt)
    expected = scores * slope + offset
    np.testing.assert_allclose((scores + zero) * moved[0] + moved[1], expected, atol=5e-3)
    evidence = np.column_stack([scores + zero, np.random.default_rng(0).normal(size=(len(scores), 2))])
    weight = fit_quality(evidence, labels, 1.0)[0]
    other = fit_quality(np.column_stack([scores, evidence[:, 1:]]), labels, 1.0)[0]
    assert weight == pytest.approx(other, rel=5e-3)
    crossed = cross_calibrated(scores + zero, labels, speakers, doubt=doubt)
    np.testing.assert_allclose(crossed, cross_calibrated(scores, labels, speakers, doubt=doubt), atol=5e-3)


@pytest.mark.parametrize("method", ["affine", "fusion"])
def test_labels_the_wrong_way_round_are_refused(method):
    terms, labels, _ = noisy_terms(0)
    evidence = terms if method == "fusion" else terms.sum(1)
    with pytest.raises(UserError, match="no higher than those of two"):
        fit_calibration(evidence, ~labels, method, penalty=PENALTY[method])


@pytest.mark.parametrize("method", ["affine", "fusion"])
@pytest.mark.parametrize("kind", [True, False])
def test_trials_of_one_kind_are_refused(method, kind):
    terms, labels, _ = noisy_terms(0)
    terms = terms[labels == kind]
    evidence = terms if method == "fusion" else terms.sum(1)
    with pytest.raises(UserError, match=f"needs both kinds of trials; all {len(terms)} are of one"):
        fit_calibration(evidence, np.full(len(terms), kind), method, penalty=PENALTY[method])


def test_impossible_settings_are_refused():
    terms, labels, speakers = noisy_terms(0, speakers=6)
    with pytest.raises(ConfigError, match="unknown calibration 'platt'"):
        fit_calibration(terms.sum(1), labels, "platt")
    with pytest.raises(ConfigError, match="needs the trials' speakers"):
        fit_calibration(terms, labels, "fusion")
    for penalty in (0.0, -1.0, math.nan):
        with pytest.raises(ConfigError, match="expected more than 0"):
            fit_fusion(terms, labels, penalty)
    for folds in (2, 0, -1):
        with pytest.raises(ConfigError, match=f"folds={folds}: expected at least 3"):
            cross_calibrated(terms.sum(1), labels, speakers, folds=folds)
    with pytest.raises(ValueError, match=r"different numbers of trials: \[36, 35\]"):
        fit_calibration(terms.sum(1), labels[1:])
    with pytest.raises(ConfigError, match=r"penalty=-7\.0: affine has none"):
        fit_calibration(terms.sum(1), labels, penalty=-7.0)
    with pytest.raises(ConfigError, match="affine takes no conditions"):
        fit_calibration(terms.sum(1), labels, conditions=labels)


@pytest.mark.parametrize("method", ["affine", "fusion"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_refused(method, value):
    terms, labels, speakers = noisy_terms(0)
    evidence = terms if method == "fusion" else terms.sum(1)
    evidence.flat[3] = value
    for names in (None, speakers):
        with pytest.raises(UserError, match=r"needs scores that are finite; 1 are not$"):
            fit_calibration(evidence, labels, method, names, penalty=PENALTY[method])


def test_speakers_who_are_unknown_or_contradict_the_labels_are_refused():
    enroll, test, labels, *names = trials_of(1, "beta")
    scorer, numbers = fitted("beta"), np.arange(len(labels)).astype(str)
    scores = scorer.score(enroll, test).numpy()
    for wrong in (numbers, np.full(len(labels), "a")):
        number = ((wrong == wrong[0]) != labels).sum() if wrong[0] == "a" else labels.sum()
        both = (wrong, wrong if wrong[0] == "a" else wrong[::-1])
        with pytest.raises(UserError, match=f"speakers of {number} of 900 trials contradict the labels"):
            scorer.calibrate(enroll, test, labels, "affine", *both)
        with pytest.raises(UserError, match=f"speakers of {number} of 900 trials contradict the labels"):
            cross_calibrated(scores, labels, both)
    for unknown in (None, math.nan, ""):
        for gone in ([unknown, *names[0][1:]], np.array([unknown, *names[0][1:]], dtype=object)):
            with pytest.raises(UserError, match="the speaker of a trial is not known"):
                scorer.calibrate(enroll, test, labels, "affine", gone, names[1])
    with pytest.raises(ValueError, match=r"different numbers: \[900, 900, 1, 1\]"):
        scorer.calibrate(enroll, test, labels, "affine", "a" * 900, "a" * 900)
    assert not scorer.is_calibrated
    lists = [list(side) for side in names]
    scorer.calibrate(enroll, test, labels, "affine", *lists)
    assert scorer.config.calibration["num_speakers"] == 30


def test_calibrating_on_reference_speakers_is_warned_of(caplog):
    enroll, test, labels, *names = trials_of(1, "beta")
    fitted("beta").calibrate(enroll, test, labels, "affine", *names)
    assert not caplog.records
    known = [np.where(side == names[0][0], "Reference-7", side) for side in names]
    fitted("beta").calibrate(enroll, test, labels, "affine", *known)
    (message,) = caplog.messages
    assert message.startswith(
        "1 of the 30 speakers of the calibration are in the scorer's reference population (Refer"
    )


@pytest.mark.parametrize("name", ["beta", "maxllr", "cosine"])
def test_a_side_without_recordings_has_no_calibrated_score(name):
    enroll, test, *_ = trials_of(2, name)
    scorer = calibrated(name, "affine")
    lacking, empty = test.copy(), test.copy()
    lacking[0, :5] = 0  # attributes of which nothing is known
    empty[0] = 0
    stored = SideCounts(empty[..., 0].astype(np.uint8), empty.sum(-1).max(1).astype(int))
    for compute in (scorer.score, scorer.attribute_scores, scorer.score_matrix):
        assert torch.isfinite(compute(enroll[:9], lacking[:9], calibrated=True)).all()
        for sides in ((enroll[:9], empty[:9]), (empty[:9], enroll[:9])):
            with pytest.raises(UserError, match="1 sides have no recordings, so that there is nothing to compare"):
                compute(*sides, calibrated=True)
            compute(*sides)
    with pytest.raises(UserError, match="1 sides have no recordings"):
        score_trials(scorer, stored, Trials.between([1, 2], [0, 3]), calibrated=True)


def test_fusion_with_a_huge_penalty_is_the_affine_calibration():
    terms, labels, _ = noisy_terms(0)
    slope, offset = fit_affine(terms.sum(1), labels)
    weights, fused_offset = fit_fusion(terms, labels, 1e6)
    np.testing.assert_allclose(weights, slope, rtol=1e-4)
    assert fused_offset == pytest.approx(offset, abs=1e-2)


@pytest.mark.parametrize("seed", range(2))
def test_fusion_weighs_noise_less_and_costs_less_on_new_speakers(seed):
    terms, labels, speakers = noisy_terms(seed, speakers=28)
    fusion = fit_calibration(terms, labels, "fusion", speakers)
    affine = fit_calibration(terms.sum(1), labels, "affine", speakers)
    assert (fusion.weights >= 0).all()
    assert fusion.weights[8:].mean() < 0.5 * fusion.weights[:8].mean()
    others, kinds, _ = noisy_terms(seed + 100)
    assert cllr(fusion.apply(others), kinds) < cllr(affine.apply(others.sum(1)), kinds) - 0.02


@pytest.mark.parametrize("penalty", [1e-1, 1e-3, 1e-5])
def test_fusion_is_the_minimum(penalty):
    """It once stopped where its cost fell slowly, with LLRs that were off by 0.7 of 66."""
    rng, labels = np.random.default_rng(1), np.arange(2_000) % 10 == 0
    terms = rng.normal(np.where(labels, 0.6, -0.6)[:, None] * rng.uniform(0, 1, 64), 1.0)
    weights, offset = fit_fusion(terms, labels, penalty)
    slope, _ = fit_affine(terms.sum(1), labels)
    costs = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    residuals = costs * (expit(terms @ weights + offset) - labels)
    gradient = residuals @ terms * slope + penalty * (weights / slope - 1)
    assert np.abs(gradient[weights > 0]).max() < 1e-6 and (gradient[weights == 0] > -1e-6).all()
    assert abs(residuals.sum()) < 1e-6


def test_fusion_gives_no_attribute_a_negative_weight():
    terms, labels, _ = noisy_terms(0)
    terms[:, 3] = -terms[:, 3]
    weights, _ = fit_fusion(terms, labels, 1e-5)
    assert (weights >= 0).all()
    assert weights[3] == 0


@pytest.mark.parametrize("folds", [3, 4, 7])
def test_splits_hold_every_trial_out_once_and_share_no_speaker(folds):
    left, right, _ = pairs(20)
    rng = np.random.default_rng(0)
    kept = rng.random(400) < 0.7
    left, right = (np.char.add("s", side[kept].astype(str)) for side in (left, right))
    times = np.zeros(len(left), dtype=int)
    for fitting, held_out in speaker_splits(left, right, folds):
        assert fitting.any()
        times += held_out
        people = [{*left[mask], *right[mask]} for mask in (fitting, held_out)]
        assert not people[0] & people[1]
    assert (times == 1).all()


@pytest.mark.parametrize("method", ["affine", "fusion"])
def test_cross_calibration_calibrates_every_trial_on_others(method):
    terms, labels, speakers = noisy_terms(0)
    evidence = terms if method == "fusion" else terms.sum(1)
    result = cross_calibrated(evidence, labels, speakers, method, folds=4, penalty=PENALTY[method])
    assert np.isfinite(result).all()
    fitting, held_out = next(speaker_splits(*speakers, 4))
    expected = fit_calibration(evidence[fitting], labels[fitting], method, penalty=PENALTY[method]).apply(
        evidence[held_out]
    )
    np.testing.assert_allclose(result[held_out], expected, rtol=1e-9)


def test_too_few_speakers_for_folds_are_refused():
    terms, labels, speakers = noisy_terms(0, speakers=3)
    with pytest.raises(UserError, match="too few speakers to cross-validate a calibration with 3 folds"):
        cross_calibrated(terms.sum(1), labels, speakers, folds=3)
    with pytest.raises(UserError, match="too few speakers to choose the penalty of the method fusion by"):
        fit_calibration(terms, labels, "fusion", speakers)


@pytest.mark.parametrize("method", ["affine", "fusion"])
def test_too_few_speakers_for_folds_are_told_once_with_the_way_out(method):
    terms, labels, speakers = noisy_terms(0, speakers=5)
    with pytest.raises(UserError) as refused:
        cross_calibrated(terms if method == "fusion" else terms.sum(1), labels, speakers, method, folds=3)
    said = str(refused.value)
    assert said.count("too few speakers") == said.count("without two of the folds, ") == 1
    assert " of 5 speakers" in said and "More folds leave more speakers to fit on (at most 5 folds), or" in said
    assert ("these are too few to choose the penalty of the method fusion by" in said) == (method == "fusion")
    terms, labels, speakers = noisy_terms(0, speakers=3)
    with pytest.raises(UserError, match=r"Please give trials of more speakers$"):  # for more folds are no help
        cross_calibrated(terms if method == "fusion" else terms.sum(1), labels, speakers, method, folds=3)


@pytest.mark.parametrize("method", ["affine", "fusion"])
@pytest.mark.parametrize("name", SCORERS)
def test_calibration_helps_on_speakers_that_nobody_has_seen(name, method):
    scorer = calibrated(name, method)
    enroll, test, labels, *_ = trials_of(2, name)
    raw, cost = (cllr(scorer.score(enroll, test, how).numpy(), labels) for how in (False, True))
    assert cost < 0.95
    assert cost < 0.9 * raw


@pytest.mark.parametrize("method", ["affine", "fusion"])
@pytest.mark.parametrize("name", SCORERS)
def test_saving_and_loading_keeps_the_calibration(name, method, tmp_path):
    scorer = calibrated(name, method)
    enroll, test, *_ = trials_of(2, name, speakers=6)
    scorer.save_pretrained(tmp_path)
    for loaded in (load_scorer(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert loaded.is_calibrated
        assert loaded.config.calibration == scorer.config.calibration
        for how in (False, True):
            assert torch.equal(loaded.score(enroll, test, how), scorer.score(enroll, test, how))
        assert torch.equal(
            loaded.attribute_scores(enroll, test, calibrated=True), scorer.attribute_scores(enroll, test, True)
        )


def test_configuration_says_what_the_calibration_was_fitted_on():
    description = calibrated("beta", "fusion", speakers=20).config.calibration
    assert (description["method"], description["penalty"], description["num_speakers"]) == ("fusion", 1e-2, 20)
    assert (description["num_same_speaker"], description["num_different_speaker"]) == (20, 380)
    assert description["bounds"][0] < 0 < description["bounds"][1] and description["num_draws"] == 1000
    validation = description["validation"]
    assert 0 < validation["cllr_min"] <= validation["cllr"] and len(validation["same_speaker"]) == 101
    assert np.median(validation["same_speaker"]) > 0 > np.median(validation["different_speaker"])
    assert describe_amount(description).startswith("20 same-speaker and 380 different-speaker trials of 20 speakers (")
    kinds = {"num_same_speaker_speakers": 30, "num_different_speaker_speakers": 30}
    assert "few" not in describe_amount({**description, **kinds, "num_speakers": 30})
    earlier = {name: value for name, value in description.items() if name not in kinds}
    assert describe_amount(earlier) == describe_amount(description)
    assert describe_amount({**earlier, "num_speakers": 0}).endswith("of an unknown number of speakers")


def test_few_speakers_with_same_speaker_trials_are_few_whatever_the_number_of_all():
    rng = np.random.default_rng(0)
    first = np.repeat(np.arange(40), 40).astype(str)
    second = np.tile(np.arange(40), 40).astype(str)
    kept = (first != second) | np.isin(first, ["0", "1", "2", "3", "4"])
    first, second = (np.repeat(side[kept], 3) for side in (first, second))
    labels = first == second
    scores = np.where(labels, 4.0, -4.0) + rng.normal(0, 4, len(labels))
    found = fit_calibration(scores, labels, speakers=(first, second))
    description = found.describe()
    assert (description["num_speakers"], description["num_same_speaker_speakers"]) == (40, 5)
    assert fewest_speakers(description) == 5
    assert describe_amount(description) == (
        "15 same-speaker trials of 5 speakers and 4,680 different-speaker trials of 40 speakers (that is few: 30 and "
        "more would pin it down better)"
    )
    assert found.draws is not None
    one = ~labels | (first == "0")
    alone = fit_calibration(scores[one], labels[one], speakers=(first[one], second[one]))
    assert alone.draws is None and alone.bounds is None and alone.num_same_speaker_speakers == 1


@pytest.mark.parametrize("speakers", [12, 40])
def test_calibrating_again_replaces_the_calibration(speakers, tmp_path):
    scorer = calibrated("beta", "fusion")
    enroll, test, labels, *names = trials_of(5, "beta", speakers)
    scorer.save_pretrained(tmp_path / "first")
    scorer = load_scorer(tmp_path / "first").calibrate(enroll, test, labels, "affine", *names)
    scorer.save_pretrained(tmp_path / "second")
    loaded = load_scorer(tmp_path / "second")
    expected = calibrated("beta", "affine", seed=5, speakers=speakers)
    record = {name: value for name, value in loaded.config.calibration.items() if name != "digest"}
    assert record == expected.config.calibration
    assert torch.equal(loaded.score(enroll, test, calibrated=True), expected.score(enroll, test, calibrated=True))
    assert loaded.known_speakers(["Johanna-1-0", "Johanna-5-0"], "calibration") == ["Johanna-5-0"]


def test_fitting_again_drops_the_calibration(tmp_path):
    scorer = calibrated("beta", "affine")
    enroll, test, *_ = trials_of(2, "beta", speakers=4)
    scorer.fit(counts_of(3, 50, 8)[0])
    assert not scorer.is_calibrated
    assert scorer.known_speakers(["Johanna-1-0"], "calibration") == []
    scorer.save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)
    assert loaded.config.calibration is None
    assert not [key for key in loaded.state_dict() if key.startswith("calibration")]
    with pytest.raises(UserError, match="is not calibrated"):
        loaded.score(enroll, test, calibrated=True)


@pytest.mark.parametrize("name", SCORERS)
def test_scores_of_a_calibration_that_is_not_there_are_refused(name):
    scorer = fitted(name)
    enroll, test, *_ = trials_of(2, name, speakers=4)
    for score in (scorer.score, scorer.attribute_scores, scorer.score_matrix):
        with pytest.raises(UserError, match="is not calibrated: call calibrate, or run balr score calibrate"):
            score(enroll, test, calibrated=True)


def test_speakers_are_known_again_but_not_named_in_the_files(tmp_path):
    calibrated("beta", "affine").save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)
    names = ["Johanna-1-7", "Reference-3", "Nobody", "Johanna-1-30", "Johanna-1-0"]
    assert loaded.known_speakers(names, "calibration") == ["Johanna-1-0", "Johanna-1-7"]
    assert loaded.known_speakers(names, "reference") == ["Reference-3"]
    assert fitted("beta").known_speakers(names, "calibration") == []
    files = list(tmp_path.iterdir())
    assert {"config.json", "model.safetensors"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        assert b"Johanna" not in content
        assert b"Reference-" not in content


def test_speakers_whose_names_were_not_given_are_unknown():
    enroll, test, labels, *_ = trials_of(1, "beta")
    scorer = build_scorer("beta", num_attributes=WIDTH, n_iterations=5).fit(counts_of(0, 50, 8)[0])
    scorer.calibrate(enroll, test, labels)
    assert scorer.config.calibration["num_speakers"] == 0
    for role in ("reference", "calibration"):
        assert scorer.known_speakers(["Johanna-1-0", "None", "0"], role) == []


def test_names_of_another_number_than_the_counts_are_refused():
    with pytest.raises(ValueError, match="50 speakers' counts, but 2 names"):
        build_scorer("beta", num_attributes=WIDTH).fit(counts_of(0, 50, 8)[0], ["a", "b"])


@pytest.mark.parametrize(
    "names, message",
    [
        (["a"] * 40, "40 speakers' counts with 1 different names: one speaker has one row"),
        (["a ", *map(str, range(38)), "a"], "40 speakers' counts with 39 different names"),
        ("a" * 40, "expected a list of names"),
        ([None, *map(str, range(39))], "1 of 40 speakers have no name"),
        ([math.nan, "", *map(str, range(38))], "2 of 40 speakers have no name"),
    ],
    ids=["one name", "white space", "a text", "None", "NaN and nothing"],
)
def test_names_that_are_not_those_of_different_speakers_are_refused(names, message):
    scorer = build_scorer("beta", num_attributes=WIDTH, n_iterations=2)
    with pytest.raises(UserError, match=message):
        scorer.fit(counts_of(0, 40, 8)[0], names)
    assert not scorer.is_fitted


def between_sides(seed, name, trials=700):
    """Counts of 30 enrollments and 24 tests; trials between them, in no order and some of them repeated; labels."""
    enroll, test = counts_of(seed, 30, 1 if name in PROFILES else 4)
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 30, trials), rng.integers(0, 24, trials)
    right = np.where(rng.random(trials) < 0.3, left % 24, right)
    return enroll, test[:24], Trials.between(left, right), left == right


@pytest.mark.parametrize("name", SCORERS)
def test_calibrating_on_trials_equals_calibrating_on_their_scores_in_the_matrix(name):
    enroll, test, trials, labels = between_sides(1, name)
    scorer = fitted(name)
    scores = scorer.score_matrix(enroll, test).numpy()[trials.enroll, trials.test]
    expected = fit_calibration(scores, labels, "affine", unit=scorer.score_unit)
    scorer.calibrate(enroll, test, labels, trials=trials)
    np.testing.assert_allclose(scorer.calibration_weights, np.full(WIDTH, expected.weights), rtol=1e-6)
    assert scorer.calibration_offset.item() == pytest.approx(expected.offset, rel=1e-6, abs=1e-6)
    assert scorer.config.calibration == {**expected.describe(), "scorer": uncalibrated_digest(scorer)}
    calibrated_matrix = scorer.score_matrix(enroll, test, calibrated=True).numpy()
    np.testing.assert_allclose(calibrated_matrix[trials.enroll, trials.test], expected.apply(scores), atol=1e-6)


@pytest.mark.parametrize("method", ["affine", "fusion"])
@pytest.mark.parametrize("name", SCORERS)
def test_calibrating_on_trials_equals_calibrating_on_a_row_of_counts_per_trial(name, method):
    enroll, test, trials, labels = between_sides(1, name)
    names = [np.char.add("s", side.astype(str)) for side in (trials.enroll, trials.test)]
    few = fitted(name).calibrate(enroll, test, labels, method, *names, penalty=PENALTY[method], trials=trials)
    long = fitted(name).calibrate(
        enroll[trials.enroll], test[trials.test], labels, method, *names, penalty=PENALTY[method]
    )
    np.testing.assert_allclose(few.calibration_weights, long.calibration_weights, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(few.calibration_offset, long.calibration_offset, rtol=1e-6, atol=1e-6)
    first, second = dict(few.config.calibration), dict(long.config.calibration)
    validations = first.pop("validation"), second.pop("validation")
    assert first == second
    for measure, value in validations[0].items():
        np.testing.assert_allclose(value, validations[1][measure], rtol=1e-3, atol=2e-4)
    assert few.known_speakers(names[0], "calibration") == sorted(set(names[0]))


@pytest.mark.parametrize("seed", range(2))
def test_fusion_learns_from_no_more_trials_of_a_kind_than_its_limit_and_always_the_same(seed):
    labels = np.random.default_rng(seed).random(3 * MAX_FUSION_TRIALS) < 0.4
    kept = fusion_sample(labels)
    assert np.bincount(labels[kept].astype(int)).tolist() == [MAX_FUSION_TRIALS, MAX_FUSION_TRIALS]
    assert (np.diff(kept) > 0).all()  # each at most once, in order
    assert np.array_equal(fusion_sample(labels.copy()), kept)
    assert np.array_equal(fusion_sample(labels[:MAX_FUSION_TRIALS]), np.arange(MAX_FUSION_TRIALS))


def test_fusion_beyond_its_limit_calibrates_on_the_trials_that_it_draws(monkeypatch):
    monkeypatch.setattr("balr_hf.scoring.calibration_fits.MAX_FUSION_TRIALS", 150)
    enroll, test, trials, labels = between_sides(1, "beta")
    names = np.char.add("s", trials.enroll.astype(str)), np.char.add("s", trials.test.astype(str))
    scorer = fitted("beta")
    kept = fusion_sample(labels)
    assert len(kept) == 300 < len(labels)
    evidence, kinds, speakers = scorer.calibration_evidence(enroll, test, labels, "fusion", names, trials)
    expected = scorer.attribute_scores(enroll[trials.enroll[kept]], test[trials.test[kept]]).numpy()
    np.testing.assert_allclose(evidence, expected, rtol=1e-6, atol=1e-6)  # kept as float32
    assert np.array_equal(kinds, labels[kept])
    assert all(np.array_equal(drawn, side[kept]) for drawn, side in zip(speakers, names, strict=True))
    first, again = (
        fitted("beta").calibrate(enroll, test, labels, "fusion", penalty=1e-2, trials=trials) for _ in range(2)
    )
    drawn = fitted("beta").calibrate(enroll, test, labels[kept], "fusion", penalty=1e-2, trials=trials.select(kept))
    for other in (again, drawn):
        assert torch.equal(first.calibration_weights, other.calibration_weights)
        assert torch.equal(first.calibration_offset, other.calibration_offset)


def test_trials_labels_and_speakers_of_different_numbers_are_refused():
    enroll, test, trials, labels = between_sides(1, "beta", trials=40)
    names = np.array(["s"] * 40)
    with pytest.raises(ValueError, match=r"trials, labels and speakers of different numbers: \[40, 39\]"):
        fitted("beta").calibrate(enroll, test, labels[1:], trials=trials)
    with pytest.raises(ValueError, match=r"of different numbers: \[40, 40, 40, 39\]"):
        fitted("beta").calibrate(enroll, test, labels, "affine", names, names[1:], trials=trials)
    with pytest.raises(ValueError, match="30 enrollments but 24 tests: trials are pairs"):
        fitted("beta").calibrate(enroll, test, labels)


MILLION = """
import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch

from balr_hf.scoring.auto import build_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials


def peak():
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):  # on Linux, getrusage starts at the peak of the process that started this one
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


torch.set_num_threads(1)
rng = np.random.default_rng(0)
likely = rng.beta(0.5, 0.8, (70, 512))
speakers = np.repeat(np.arange(40), 5)
counts = recording_counts(rng.random((200, 512)) < likely[speakers])
active = rng.binomial(6, likely[40:])
scorer = build_scorer("maxllr", num_attributes=512, n_iterations=3).fit(np.stack([active, 6 - active], -1))
trials = Trials.between(*rng.integers(0, 200, (2, 1_000_000)))
labels = speakers[trials.enroll] == speakers[trials.test]
few = np.arange(1000)
scorer.calibrate(counts, counts, labels[few], trials=trials.select(few))  # imports what it needs
before = peak()
scorer.calibrate(counts, counts, labels, trials=trials)
print(json.dumps({"bytes": peak() - before, **scorer.config.calibration}))
"""


@pytest.mark.slow
def test_a_million_trials_between_few_recordings_calibrate_in_little_memory(tmp_path, run_python):
    script = tmp_path / "million.py"
    script.write_text(MILLION)
    found = json.loads(run_python(script).stdout.splitlines()[-1])
    assert found["num_same_speaker"] + found["num_different_speaker"] == 1_000_000
    # The matrix of all terms, float32, has 1,000,000 x 512 x 4 bytes: 1953 MiB. The bound is an eighth of that.
    assert found["bytes"] < 244 * 2**20


@pytest.mark.parametrize("bounds", [[9.0, 7.6], [0.5, 2.0], [-2.0, -1.0], [float("nan"), 1.0], [0.0]])
def test_bounds_that_are_none_are_refused_when_a_scorer_is_loaded(bounds, tmp_path):
    calibrated("beta", "affine").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["calibration"]["bounds"] = bounds
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="calibration bounds"):
        load_scorer(tmp_path)


def test_bounds_and_figures_are_of_the_cross_validated_ratios_that_are_given():
    left, right, labels = pairs(12)
    scores = np.random.default_rng(5).normal(np.where(labels, 2.0, -2.0), 2.0)
    speakers = np.char.add("s", left.astype(str)), np.char.add("s", right.astype(str))
    usual = fit_calibration(scores, labels, speakers=speakers)
    given = cross_calibrated(scores, labels, speakers)
    again = fit_calibration(scores, labels, speakers=speakers, crossed=given)
    assert (again.bounds, again.validation) == (usual.bounds, usual.validation)
    apart = np.where(labels, 3.0, -3.0)
    other = fit_calibration(scores, labels, speakers=speakers, crossed=apart)
    assert other.bounds == elub(apart, labels) != usual.bounds and other.validation["eer"] == 0
    assert other.validation["same_speaker"] == [3.0] * 101 and other.validation["different_speaker"] == [-3.0] * 101
    assert (other.weights, other.offset) == (usual.weights, usual.offset)
    with pytest.raises(ValueError, match=r"\(143,\) cross-validated LRs of 144 trials"):
        fit_calibration(scores, labels, speakers=speakers, crossed=apart[1:])
