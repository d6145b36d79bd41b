"""How sure a calibrated likelihood ratio is."""

import numpy as np
import pytest

from balr_hf.errors import UserError
from balr_hf.metrics.intervals import widening
from balr_hf.scoring.calibration_draws import LOG10, calibration_draws, llr_interval
from balr_hf.scoring.calibration_fits import fit_affine


def trials(speakers: int, recordings: int, seed: int):
    """Scores of all pairs of recordings, labels, and the two sides' speakers."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), recordings)
    place = np.repeat(rng.normal(size=(speakers, 6)) * 1.2, recordings, axis=0) + rng.normal(size=(len(speaker), 6))
    a, b = np.triu_indices(len(speaker), 1)
    scores = 0.1 * np.square(place[a] + place[b]).sum(1) - 0.8 * np.square(place[a] - place[b]).sum(1)
    return scores, speaker[a] == speaker[b], (speaker[a].astype(str), speaker[b].astype(str))


def test_a_draw_of_every_speaker_once_is_the_calibration_itself(monkeypatch):
    scores, labels, speakers = trials(12, 4, seed=0)
    slope, offset = fit_affine(scores, labels)
    whole = np.ones(12)
    monkeypatch.setattr("numpy.bincount", lambda *args, **kwargs: whole)
    draws = calibration_draws(scores, labels, speakers, slope, offset, LOG10, draws=3)
    np.testing.assert_allclose(draws, [[1, 0]] * 3, atol=1e-4)


@pytest.mark.parametrize("doubt", [0.0, 0.05], ids="doubt {}".format)
@pytest.mark.parametrize("spread", [1.0, 10.0], ids="scores times {}".format)
def test_draws_are_what_logistic_calibration_gives_on_them(spread, doubt):
    scores, labels, speakers = trials(6, 3, seed=1)
    scores = spread * np.where(labels, scores + (spread - 1), scores)  # the last tells them apart
    slope, offset = fit_affine(scores, labels, doubt=doubt)
    draws = calibration_draws(scores, labels, speakers, slope, offset, LOG10, draws=20, seed=5, doubt=doubt)
    rng, expected = np.random.default_rng(5), []
    a, b = (side.astype(int) for side in speakers)
    for _ in draws:
        times = np.bincount(rng.integers(6, size=6), minlength=6)
        repeated = np.repeat(np.arange(len(scores)), np.where(labels, times[a], times[a] * times[b]))
        expected.append(fit_affine(scores[repeated], labels[repeated], doubt=doubt))
    np.testing.assert_allclose(draws.mean(0), [1, 0], atol=1e-12)  # the calibration itself
    found = np.stack([draws[:, 0] * slope, draws[:, 0] * offset + draws[:, 1]], axis=1)
    apart = (found - found.mean(0)) / widening(6)
    np.testing.assert_allclose(apart, expected - np.mean(expected, axis=0), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_intervals_cover_the_value_of_a_large_calibration():
    """benchmarks/coverage.py measures this with more simulations and at more values."""
    scores, labels, _ = trials(150, 8, seed=99)
    large = fit_affine(scores, labels)
    covered = np.zeros(3)
    for seed in range(30):
        scores, labels, speakers = trials(20, 4, seed)
        slope, offset = fit_affine(scores, labels)
        draws = calibration_draws(scores, labels, speakers, slope, offset, LOG10, draws=100, seed=seed)
        for number, truth in enumerate((-4.0, 0.0, 3.0)):
            low, high = llr_interval(slope * (truth - large[1]) / large[0] + offset, draws)
            covered[number] += low <= truth <= high
    assert (covered / 30 >= 0.8).all() and (covered / 30).mean() <= 0.99


def test_intervals_are_reproducible_and_narrow_with_more_speakers():
    widths = []
    for number in (10, 40, 160):
        scores, labels, speakers = trials(number, 3, seed=2)
        slope, offset = fit_affine(scores, labels)
        made = [calibration_draws(scores, labels, speakers, slope, offset, LOG10, draws=100, seed=0) for _ in range(2)]
        np.testing.assert_array_equal(*made)
        low, high = llr_interval(3.0, made[0])
        assert low < high
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


def test_draws_are_the_same_however_many_are_fitted_together(monkeypatch):
    scores, labels, speakers = trials(8, 3, seed=4)
    own = fit_affine(scores, labels)
    whole = calibration_draws(scores, labels, speakers, *own, LOG10, draws=20)
    for together in (1, 7, 20):
        monkeypatch.setattr("balr_hf.scoring.calibration_draws.TOGETHER", together)
        found = calibration_draws(scores, labels, speakers, *own, LOG10, draws=20)
        np.testing.assert_allclose(found, whole, atol=1e-9)


def test_an_interval_is_as_wide_as_the_fewer_speakers_of_either_kind_make_it(monkeypatch):
    scores, labels, (first, second) = trials(20, 3, seed=3)
    kept = ~labels | np.isin(first, ["0", "1", "2", "3"])
    some = scores[kept], labels[kept], (first[kept], second[kept])
    slope, offset = fit_affine(*some[:2])
    found = calibration_draws(*some, slope, offset, LOG10, draws=50)
    monkeypatch.setattr("balr_hf.scoring.calibration_draws.widening", lambda number: 1.0)
    plain = calibration_draws(*some, slope, offset, LOG10, draws=50)
    np.testing.assert_allclose(found - [1, 0], widening(4) * (plain - [1, 0]))


def test_same_speaker_trials_of_one_speaker_give_no_interval():
    scores, labels, (first, second) = trials(6, 3, seed=3)
    kept = ~labels | (first == "0")
    with pytest.raises(UserError, match="same-speaker trials of at least two speakers"):
        calibration_draws(scores[kept], labels[kept], (first[kept], second[kept]), 1.0, 0.0, LOG10, draws=3)


def test_one_speaker_gives_no_interval():
    with pytest.raises(UserError, match="two speakers"):
        calibration_draws(np.arange(4.0), np.array([1, 0, 1, 0]), (np.array(["a"] * 4),) * 2, 1.0, 0.0, 1.0)
    assert widening(20) == pytest.approx(1.096, abs=0.001) and widening(1000) == pytest.approx(1, abs=0.01)
