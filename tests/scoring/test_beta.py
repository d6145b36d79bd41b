import numpy as np
import pytest
import torch
from transformers import AutoModel

from balr_hf import DirichletMultinomialScorer, DirichletMultinomialScorerConfig, load_scorer
from balr_hf.errors import UserError
from balr_hf.scoring import term_tables


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "scorers.npz")


def beta(num_attributes, **settings):
    return DirichletMultinomialScorer(DirichletMultinomialScorerConfig(num_attributes=num_attributes, **settings))


@pytest.fixture(scope="module")
def fitted(recorded):
    return beta(32).fit(recorded["reference_counts"])


def test_fit_equals_balrs(fitted, recorded):
    np.testing.assert_allclose(fitted.alpha, recorded["beta_param_alpha"], rtol=1e-6)
    assert fitted.config.num_reference_speakers == 60
    assert fitted.config.num_uninformative == 0


@pytest.mark.parametrize("sides", ["single", "multi"])
def test_scores_equal_balrs(fitted, recorded, sides, monkeypatch):
    enroll, test = recorded[f"{sides}_enroll"], recorded[f"{sides}_test"]
    scores = fitted.score(enroll, test)
    np.testing.assert_allclose(scores, recorded[f"beta_{sides}"], rtol=1e-6)
    np.testing.assert_allclose(fitted.attribute_scores(enroll, test).sum(-1), scores, rtol=1e-12)
    np.testing.assert_allclose(fitted.score(test, enroll), scores, rtol=1e-12)
    np.testing.assert_allclose(np.diag(fitted.score_matrix(enroll[:30], test[:30])), scores[:30], rtol=1e-12)
    monkeypatch.setattr(term_tables, "BLOCK_ELEMENTS", 700)  # blocks of ten trials
    np.testing.assert_allclose(fitted.score(enroll, test), scores, rtol=1e-12)


def test_saving_and_loading_keeps_every_bit(fitted, tmp_path, recorded):
    fitted.save_pretrained(tmp_path)
    for loaded in (load_scorer(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is DirichletMultinomialScorer
        assert loaded.alpha.dtype == torch.float64
        assert torch.equal(loaded.alpha, fitted.alpha)
        assert loaded.config.num_reference_speakers == 60
        enroll, test = recorded["multi_enroll"], recorded["multi_test"]
        assert torch.equal(loaded.score(enroll, test), fitted.score(enroll, test))


@pytest.mark.parametrize("active", [0.0, 1.0], ids=["never active", "always active"])
def test_attribute_without_information_changes_nothing(recorded, fitted, caplog, active):
    def widened(counts):
        total = counts.sum(-1)[:, :1]
        return np.concatenate([counts, np.stack([active * total, (1 - active) * total], -1)], 1)

    wide = beta(33).fit(widened(recorded["reference_counts"]))
    assert "1 of 33 attributes carry no evidence" in caplog.text
    assert wide.config.num_uninformative == 1
    enroll, test = widened(recorded["multi_enroll"]), widened(recorded["multi_test"])
    np.testing.assert_allclose(wide.score(enroll, test), fitted.score(enroll[:, :32], test[:, :32]), rtol=1e-9)
    surprising = enroll[:, :, ::-1].copy()  # states that the reference population never showed
    assert torch.isfinite(wide.score(surprising, test)).all()
    assert (wide.attribute_scores(surprising, test)[:, 32] == 0).all()


def test_counts_in_the_thousands_stay_finite(fitted, recorded):
    scores = fitted.score(recorded["multi_enroll"] * 10_000, recorded["multi_test"] * 10_000)
    assert torch.isfinite(scores).all()


def test_reference_speakers_without_recordings_are_left_out(recorded, fitted, caplog):
    counts = np.concatenate([recorded["reference_counts"], np.zeros((2, 32, 2))])
    again = beta(32).fit(counts)
    assert "Left out 2 reference speakers" in caplog.text
    np.testing.assert_allclose(again.alpha, fitted.alpha, rtol=1e-12)


@pytest.mark.parametrize("several, warns", [(1, True), (24, True), (25, False), (50, False)])
def test_few_speakers_with_several_recordings_give_finite_scores_and_a_warning(several, warns, recorded, caplog):
    counts = recorded["single_enroll"][:50].astype(float)
    counts[:several] += recorded["single_test"][:several]
    scorer = beta(32).fit(counts)
    assert torch.isfinite(scorer.score(recorded["single_enroll"], recorded["single_test"])).all()
    assert (f"Only {several} of 50 reference speakers have several recordings" in caplog.text) == warns


def test_one_reference_speaker_carries_no_evidence(recorded, caplog):
    scorer = beta(32).fit(recorded["reference_counts"][:1])
    assert (scorer.score(recorded["multi_enroll"], recorded["multi_test"]) == 0).all()
    assert "One reference speaker" in caplog.text


def test_same_speakers_score_higher_than_different_ones(fitted, recorded):
    scores = fitted.score(recorded["multi_enroll"], recorded["multi_test"]).numpy()
    same = recorded["same_speaker"]
    assert np.median(scores[same]) > 0 > np.median(scores[~same])


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((3, 32)), r"shape \(3, 32\): expected \(n, 32, 2\)"),
        (np.ones((3, 31, 2)), r"shape \(3, 31, 2\): expected \(n, 32, 2\)"),
        (-np.ones((3, 32, 2)), "not negative"),
        (np.full((3, 32, 2), np.nan), "finite"),
    ],
)
def test_counts_that_are_none_are_refused(fitted, counts, message):
    with pytest.raises(ValueError, match=message):
        fitted.score(counts, counts)


def test_scoring_before_fitting_is_refused():
    with pytest.raises(UserError, match="is not fitted"):
        beta(4).score(np.ones((1, 4, 2)), np.ones((1, 4, 2)))


def test_unequal_sides_are_refused(fitted):
    with pytest.raises(ValueError, match="3 enrollments but 2 tests"):
        fitted.score(np.ones((3, 32, 2)), np.ones((2, 32, 2)))


def test_no_trials_give_no_scores(fitted):
    assert fitted.score(np.ones((0, 32, 2)), np.ones((0, 32, 2))).shape == (0,)
