"""The scorers in which a speaker has an attribute or not: DNA, Speech, MaxLLR."""

import numpy as np
import pytest
import torch

from balr_hf import (
    DNALLRScorer,
    DNALLRScorerConfig,
    MaxLLRScorer,
    MaxLLRScorerConfig,
    SpeechLLRScorer,
    SpeechLLRScorerConfig,
    load_scorer,
)
from balr_hf.errors import ConfigError
from balr_hf.scoring.trials import Trials, score_trials

KINDS = {
    "dna": (DNALLRScorer, DNALLRScorerConfig, ("typicality", "dropout"), 1e-4),
    "speech": (SpeechLLRScorer, SpeechLLRScorerConfig, ("typicality", "dropout"), 1e-4),
    "maxllr": (MaxLLRScorer, MaxLLRScorerConfig, ("f", "p", "q"), 1e-6),
}


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "scorers.npz")


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, recorded):
    scorer, config, parameters, tolerance = KINDS[request.param]
    return request.param, scorer(config(num_attributes=32)).fit(recorded["reference_counts"]), parameters, tolerance


def test_fit_and_scores_equal_balrs(fitted, recorded):
    name, scorer, parameters, tolerance = fitted
    for parameter in parameters:
        expected = recorded[f"{name}_param_{parameter}"]
        np.testing.assert_allclose(getattr(scorer, parameter), expected, rtol=tolerance, atol=1e-12)
    for sides in ("single", "multi") if name == "maxllr" else ("single",):
        enroll, test = recorded[f"{sides}_enroll"], recorded[f"{sides}_test"]
        scores = scorer.score(enroll, test)
        np.testing.assert_allclose(scores, recorded[f"{name}_{sides}"], rtol=tolerance)
        np.testing.assert_allclose(scorer.score(test, enroll), scores, rtol=1e-12)
        np.testing.assert_allclose(scorer.attribute_scores(enroll, test).sum(-1), scores, rtol=1e-9)
        np.testing.assert_allclose(np.diag(scorer.score_matrix(enroll[:20], test[:20])), scores[:20], rtol=1e-9)


def test_saving_and_loading_keeps_every_bit(fitted, tmp_path):
    _, scorer, parameters, _ = fitted
    scorer.save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)
    assert type(loaded) is type(scorer)
    assert all(torch.equal(getattr(loaded, p), getattr(scorer, p)) for p in parameters)


@pytest.mark.parametrize("active", [0.0, 1.0], ids=["never active", "always active"])
def test_attribute_without_information_changes_nothing(fitted, recorded, active):
    _, scorer, _, _ = fitted

    def widened(counts):
        total = counts.sum(-1)[:, :1]
        return np.concatenate([counts, np.stack([active * total, (1 - active) * total], -1)], 1)

    wide = type(scorer)(type(scorer.config)(num_attributes=33)).fit(widened(recorded["reference_counts"]))
    enroll, test = widened(recorded["single_enroll"]), widened(recorded["single_test"])
    narrow = scorer.score(enroll[:, :32], test[:, :32])
    np.testing.assert_allclose(wide.score(enroll, test), narrow, rtol=1e-9)
    assert torch.isfinite(wide.score(enroll[:, :, ::-1].copy(), test)).all()
    assert wide.config.num_uninformative == 1


@pytest.mark.parametrize("kind", ["dna", "speech"])
def test_several_recordings_a_side_are_refused(kind, recorded):
    cls, config, _, _ = KINDS[kind]
    scorer = cls(config(num_attributes=32)).fit(recorded["reference_counts"])
    with pytest.raises(ValueError, match="compares one recording with one"):
        scorer.score(recorded["multi_enroll"], recorded["multi_test"])
    sides = np.concatenate([recorded["single_enroll"][:2], 3 * recorded["single_test"][:1]]).astype(float)
    with pytest.raises(ValueError, match="and here is a side of 3"):  # whichever side of the table's terms it is on
        score_trials(scorer, sides, Trials.between([2], [0]))


def test_maxllr_takes_counts_in_the_thousands(recorded):
    scorer = MaxLLRScorer(MaxLLRScorerConfig(num_attributes=32)).fit(recorded["reference_counts"] * 1000)
    scores = scorer.score(recorded["multi_enroll"] * 10_000, recorded["multi_test"] * 10_000)
    assert torch.isfinite(scores).all()


def test_impossible_starts_are_refused():
    with pytest.raises(ConfigError, match="p > q"):
        MaxLLRScorerConfig(p=0.1, q=0.9)
    with pytest.raises(ConfigError, match=r"drop_in=1\.5"):
        DNALLRScorerConfig(drop_in=1.5)
