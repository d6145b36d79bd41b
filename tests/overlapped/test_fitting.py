"""Fitting a detector of overlapped speech: what it finds is measured on speakers who were not fitted on."""

import numpy as np
import pytest

from balr_hf import WespeakerConfig, WespeakerModel
from balr_hf.errors import UserError
from balr_hf.overlapped.fitting import fit_detector, fit_weights
from balr_hf.overlapped.mixtures import Draw

RECORD = {"embedder": "me@" + "a" * 64}


def made(count: int, effect: float, seed: int = 0) -> tuple[np.ndarray, list[Draw]]:
    """Statistics of 20 values, of which a second voice raises two, the less the weaker it is."""
    rng = np.random.default_rng(seed)
    draws, rows = [], []
    for number in range(count):
        ratio = float(rng.uniform(0, 12))
        draws.append(Draw(number, 0 if number % 2 else None, ratio, 1.0, False, "unchanged", number % 5, number))
        row = rng.normal(size=20)
        if number % 2:
            row[:2] += effect * (1 - ratio / 15)
        rows.append(100 + 3 * row)
    return np.array(rows, dtype=np.float32), draws


def test_what_tells_two_voices_is_weighed_and_the_rest_is_not():
    detector = fit_weights(*made(2000, 3.0), RECORD)
    weights = np.abs(detector.weight)
    assert weights[:2].min() > 3 * weights[2:].max()
    statistics, draws = made(1000, 3.0, seed=1)
    percentiles = np.array([detector.percentile(score) for score in detector.score(statistics)])
    two = np.array([draw.second is not None for draw in draws])
    assert (percentiles[~two] < 5).mean() == pytest.approx(0.05, abs=0.03)
    assert (percentiles[two] < 5).mean() > 0.4
    bands = detector.record["found"]
    shares = [band["found"] / band["mixtures"] for band in bands]
    assert [band["below"] for band in bands] == [[0, 4], [4, 8], [8, 12]]
    assert shares[0] > shares[1] > shares[2]


def test_what_cannot_be_told_is_not_said_to_be_found():
    detector = fit_weights(*made(1000, 0.0), RECORD)
    found = sum(band["found"] for band in detector.record["found"])
    assert found < 0.05 * sum(band["mixtures"] for band in detector.record["found"])


def test_a_corpus_of_too_little_speech_is_refused(tiny_embedder):
    names = [f"s{number}" for number in range(20)]
    silence = np.zeros(16_000, dtype=np.float32)
    with pytest.raises(UserError, match="only 0 of 50 recordings could be made"):
        fit_detector(tiny_embedder, lambda number: silence, names, [""] * 20, "silence", count=50)


def test_an_embedder_of_another_architecture_has_no_statistics(monkeypatch, tiny_embedder):
    monkeypatch.setattr(type(tiny_embedder), "num_statistics", None)
    with pytest.raises(UserError, match="no ResNet of this package"):
        fit_detector(tiny_embedder, lambda number: np.zeros(1, np.float32), ["a"], [""], "nothing")


def test_statistics_are_those_that_embeddings_are_made_of():
    import torch

    from balr_hf.embeddings.passes import statistics_in_pieces

    torch.manual_seed(0)
    model = WespeakerModel(WespeakerConfig(m_channels=4, num_blocks=[1, 1, 1, 1])).eval()
    features, pooled = torch.randn(400, 80), []
    model.seg_1.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    with torch.inference_mode():
        model(features[None])
    whole = statistics_in_pieces(model, [features], torch.device("cpu"))
    parts = statistics_in_pieces(model, features.split(64), torch.device("cpu"))
    assert whole.shape == (model.num_statistics,)
    assert torch.allclose(whole, pooled[0][0], rtol=1e-4, atol=1e-5)
    assert torch.allclose(parts, whole, rtol=1e-4, atol=1e-5)
