import numpy as np
import pytest

from balr_hf import CosineSimilarityScorer, CosineSimilarityScorerConfig, load_scorer


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "scorers.npz")


@pytest.mark.parametrize("sides", ["single", "multi"])
def test_scores_equal_balrs(recorded, sides):
    scorer = CosineSimilarityScorer(CosineSimilarityScorerConfig(num_attributes=32))
    enroll, test = recorded[f"{sides}_enroll"], recorded[f"{sides}_test"]
    scores = scorer.score(enroll, test)
    np.testing.assert_allclose(scores, recorded[f"cosine_{sides}"], rtol=1e-6)
    np.testing.assert_allclose(scorer.attribute_scores(enroll, test).sum(-1), scores, rtol=1e-12)
    np.testing.assert_allclose(np.diag(scorer.score_matrix(enroll, test)), scores, rtol=1e-12)


def test_recording_without_any_active_attribute_scores_finitely():
    scorer = CosineSimilarityScorer(CosineSimilarityScorerConfig(num_attributes=3))
    counts = np.array([[[0, 1], [0, 1], [0, 1]]])
    assert scorer.score(counts, counts).tolist() == [0.0]


def test_saving_and_loading(tmp_path):
    CosineSimilarityScorer(CosineSimilarityScorerConfig(num_attributes=3)).save_pretrained(tmp_path)
    assert type(load_scorer(tmp_path)) is CosineSimilarityScorer
