"""What holds for every scorer, whatever the population that it was fitted on."""

import numpy as np
import pytest
import torch

from balr_hf.errors import UserError
from balr_hf.scoring import term_tables
from balr_hf.scoring.auto import SCORERS, build_scorer

PROFILES = ("dna", "speech")
LLR_SCORERS = tuple(name for name in SCORERS if name != "cosine")
COUNTING = tuple(name for name in SCORERS if name not in PROFILES)
METHODS = (None, "affine", "fusion")
WIDTH = 24


def likely_of(rng, speakers):
    """How likely each speaker is to activate each attribute: speakers differ, and attributes are rare or common."""
    strength = rng.uniform(0.5, 2.0, WIDTH)
    share = rng.uniform(0.3, 0.7, WIDTH)
    return rng.beta(strength * share, strength * (1 - share), (speakers, WIDTH))


def counts_of(rng, likely, recordings):
    active = rng.binomial(recordings, likely)
    return np.stack([active, recordings - active], -1).astype(np.float64)


def sides_of(rng, name, speakers=12):
    """Every one of some speakers against every one: counts of the two sides, and labels."""
    likely = likely_of(rng, speakers)
    recordings = [1, 1] if name in PROFILES else rng.integers(2, 7, (2, speakers, 1))
    enroll, test = (counts_of(rng, likely, number) for number in recordings)
    left, right = np.divmod(np.arange(speakers**2), speakers)
    return enroll[left], test[right], left == right


def reference_of(rng, speakers=40):
    return counts_of(rng, likely_of(rng, speakers), rng.integers(3, 12, (speakers, 1)))


def fit(name, reference, trials=None, method=None):
    brief = {"n_iterations": 20} if name in ("beta", "maxllr") else {}
    scorer = build_scorer(name, num_attributes=reference.shape[1], **brief).fit(reference)
    penalty = {"penalty": 1e-3} if method == "fusion" else {}
    return scorer if method is None else scorer.calibrate(*trials, method, **penalty)


def widened(counts, active):
    """With one more attribute, active in all recordings or in none."""
    total = counts.sum(-1)[:, :1]
    return np.concatenate([counts, np.stack([active * total, (1 - active) * total], -1)], 1)


@pytest.fixture(params=METHODS, ids=lambda method: method or "raw")
def method(request):
    return request.param


@pytest.fixture(params=range(2), ids=lambda seed: f"seed {seed}")
def rng(request):
    return np.random.default_rng(request.param)


@pytest.mark.parametrize("name", SCORERS)
def test_swapping_the_sides_changes_no_score(name, method, rng):
    scorer = fit(name, reference_of(rng), sides_of(rng, name), method)
    enroll, test, _ = sides_of(rng, name)
    scores = scorer.score(enroll, test, calibrated=method is not None)
    swapped = scorer.score(test, enroll, calibrated=method is not None)
    np.testing.assert_allclose(swapped, scores, rtol=1e-11, atol=1e-11)
    assert scores.std() > 0


@pytest.mark.parametrize("name", SCORERS)
def test_terms_and_offset_add_up_to_the_score(name, method, rng):
    scorer = fit(name, reference_of(rng), sides_of(rng, name), method)
    enroll, test, _ = sides_of(rng, name)
    terms = scorer.attribute_scores(enroll, test, calibrated=method is not None)
    offset = scorer.calibration_offset if method else 0.0
    assert terms.shape == (len(enroll), WIDTH)
    np.testing.assert_allclose(terms.sum(-1) + offset, scorer.score(enroll, test, method is not None), rtol=1e-10)


@pytest.mark.parametrize("name", SCORERS)
def test_score_matrix_equals_the_scores_pair_by_pair(name, method, rng):
    scorer = fit(name, reference_of(rng), sides_of(rng, name), method)
    enroll, test, _ = sides_of(rng, name, speakers=5)
    enroll, test = enroll[::5], test[:4]
    matrix = scorer.score_matrix(enroll, test, calibrated=method is not None)
    assert matrix.shape == (5, 4)
    for row in range(5):
        one = scorer.score(enroll[[row] * 4], test, calibrated=method is not None)
        np.testing.assert_allclose(matrix[row], one, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("active", [0.0, 1.0], ids=["never active", "always active"])
@pytest.mark.parametrize("name", LLR_SCORERS)
def test_an_attribute_that_never_varies_changes_no_score(name, active, method, rng):
    reference, trials, (enroll, test, _) = reference_of(rng), sides_of(rng, name), sides_of(rng, name)
    narrow = fit(name, reference, trials, method)
    trials = (widened(trials[0], active), widened(trials[1], active), trials[2])
    wide = fit(name, widened(reference, active), trials, method)
    scores = wide.score(widened(enroll, active), widened(test, active), calibrated=method is not None)
    np.testing.assert_allclose(scores, narrow.score(enroll, test, method is not None), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rows", [0, 1, 7], ids=["less than a trial", "one trial", "7 trials"])
@pytest.mark.parametrize("name", SCORERS)
def test_scoring_in_small_blocks_equals_scoring_at_once(name, method, rows, monkeypatch):
    rng = np.random.default_rng(5)
    scorer = fit(name, reference_of(rng), sides_of(rng, name), method)
    enroll, test, _ = sides_of(rng, name, speakers=5)
    calibrated = method is not None
    expected = scorer.score(enroll, test, calibrated), scorer.score_matrix(enroll, test[:9], calibrated)
    seen, compute = [], scorer._attribute_scores
    monkeypatch.setattr(scorer, "_attribute_scores", lambda e, t: seen.append(len(e)) or compute(e, t))
    monkeypatch.setattr(term_tables, "BLOCK_ELEMENTS", rows * 2 * WIDTH)
    np.testing.assert_allclose(scorer.score(enroll, test, calibrated), expected[0], rtol=1e-12, atol=1e-14)
    assert sum(seen) == 25
    assert max(seen) == max(1, rows)
    np.testing.assert_allclose(scorer.score_matrix(enroll, test[:9], calibrated), expected[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SCORERS)
def test_no_trials_have_no_scores(name, method):
    rng = np.random.default_rng(0)
    scorer = fit(name, reference_of(rng), sides_of(rng, name), method)
    none = np.zeros((0, WIDTH, 2))
    assert scorer.score(none, none, method is not None).shape == (0,)
    assert scorer.attribute_scores(none, none, method is not None).shape == (0, WIDTH)
    assert scorer.score_matrix(none, none, method is not None).shape == (0, 0)


@pytest.mark.parametrize("name", LLR_SCORERS)
def test_never_and_always_active_attributes_carry_no_evidence_and_are_warned_of(name, rng, caplog):
    reference = reference_of(rng)
    reference[:, 0] = reference[:, 0].sum(-1, keepdims=True) * [0, 1]
    reference[:, 1] = reference[:, 1].sum(-1, keepdims=True) * [1, 0]
    scorer = fit(name, reference)
    enroll, test, _ = sides_of(rng, name)
    terms = scorer.attribute_scores(enroll, test)
    assert torch.isfinite(terms).all()
    assert not terms[:, :2].any()
    assert terms[:, 2:].any(0).all()
    assert scorer.config.num_uninformative == 2
    assert f"2 of {WIDTH} attributes carry no evidence" in caplog.text


@pytest.mark.parametrize("name", SCORERS)
def test_a_population_that_varies_is_fitted_without_warnings(name, rng, caplog):
    assert fit(name, reference_of(rng)).config.num_uninformative == 0
    assert not caplog.records


@pytest.mark.parametrize("name", LLR_SCORERS)
def test_one_reference_speaker_gives_llrs_of_0_and_a_warning(name, caplog):
    rng = np.random.default_rng(0)
    scorer = fit(name, reference_of(rng, speakers=1))
    enroll, test, _ = sides_of(rng, name)
    assert not scorer.score(enroll, test).any()
    assert not scorer.score_matrix(enroll, test).any()
    assert "One reference speaker tells nothing" in caplog.text


def test_the_cosine_does_not_depend_on_the_reference_population():
    rng = np.random.default_rng(0)
    enroll, test, _ = sides_of(rng, "cosine")
    expected = build_scorer("cosine", num_attributes=WIDTH).score(enroll, test)
    for speakers in (1, 2, 40):
        scorer = fit("cosine", reference_of(rng, speakers))
        np.testing.assert_allclose(scorer.score(enroll, test), expected, rtol=1e-12)
        np.testing.assert_allclose(scorer.score_matrix(enroll, test).diag(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", SCORERS)
def test_ten_thousand_recordings_a_speaker_give_finite_scores(name, rng):
    likely = likely_of(rng, 20)
    scorer = fit(name, counts_of(rng, likely, 10_000))
    enroll, test, _ = sides_of(rng, name)
    if name not in PROFILES:
        enroll, test = enroll * 10_000, test * 10_000
    scores = scorer.score(enroll, test)
    assert torch.isfinite(scores).all()
    assert scores.std() > 0
    assert torch.isfinite(scorer.attribute_scores(enroll, test)).all()


@pytest.mark.parametrize("name", SCORERS)
def test_speakers_who_are_all_alike_give_finite_scores(name):
    rng = np.random.default_rng(0)
    reference = np.repeat(reference_of(rng, speakers=1), 30, axis=0)
    enroll, test, _ = sides_of(rng, name)
    assert torch.isfinite(fit(name, reference).score(enroll, test)).all()


@pytest.mark.parametrize("name", SCORERS)
def test_reference_speaker_without_recordings_is_left_out_with_a_warning(name, caplog):
    rng = np.random.default_rng(0)
    reference = reference_of(rng)
    enroll, test, _ = sides_of(rng, name)
    scorer = fit(name, np.concatenate([reference[:5], np.zeros((1, WIDTH, 2)), reference[5:]]))
    assert "Left out 1 reference speakers without recordings" in caplog.text
    assert scorer.config.num_reference_speakers == len(reference)
    assert torch.equal(scorer.score(enroll, test), fit(name, reference).score(enroll, test))


@pytest.mark.parametrize("name", SCORERS)
def test_population_without_any_recordings_is_refused(name):
    with pytest.raises(UserError, match="no speaker with recordings"):
        fit(name, np.zeros((3, WIDTH, 2)))


@pytest.mark.parametrize("name", LLR_SCORERS)
def test_population_of_one_recording_a_speaker_is_refused(name, rng):
    reference = counts_of(rng, likely_of(rng, 40), 1)
    with pytest.raises(UserError, match="each of the 40 reference speakers has one recording only"):
        fit(name, reference)
    fit(name, np.concatenate([reference, 2 * reference[:1]]))


@pytest.mark.parametrize("name", COUNTING)
def test_a_side_without_recordings_says_nothing(name, rng):
    scorer = fit(name, reference_of(rng))
    enroll, _, _ = sides_of(rng, name)
    np.testing.assert_allclose(scorer.attribute_scores(enroll, np.zeros_like(enroll)), 0, atol=1e-12)


@pytest.mark.parametrize("name", PROFILES)
def test_profile_scorers_refuse_a_side_without_recordings(name):
    rng = np.random.default_rng(0)
    scorer = fit(name, reference_of(rng))
    enroll, _, _ = sides_of(rng, name)
    with pytest.raises(ValueError, match="compares one recording with one"):
        scorer.score(enroll, np.zeros_like(enroll))
