"""Many trials at once, by whatever way, are scored as each is alone."""

import numpy as np
import pytest
import torch

from balr_hf.scoring import term_tables
from balr_hf.scoring.auto import build_scorer
from balr_hf.scoring.term_tables import StateTable, TermTable, count_states
from balr_hf.scoring.trials import Trials, mean_terms, score_trials
from balr_hf.scoring.trials import trial_attribute_scores as terms_of_trials

WIDTH = 10


def make_counts(rng, sides, recordings):
    """Sides of up to so many recordings."""
    totals = rng.integers(1, recordings + 1, (sides, 1))
    active = rng.binomial(totals, rng.random((sides, WIDTH)))
    return np.stack([active, totals - active], -1).astype(float)


@pytest.fixture(params=["beta", "maxllr", "cosine"])
def scorer(request):
    settings = {} if request.param == "cosine" else {"n_iterations": 5}
    scorer = build_scorer(request.param, num_attributes=WIDTH, **settings)
    return scorer.fit(make_counts(np.random.default_rng(1), 30, 6))


@pytest.mark.parametrize(("few", "many"), [(1, 1), (1, 4), (4, 1), (3, 5)], ids=str)
def test_all_pairs_equal_each_alone(scorer, few, many, monkeypatch):
    monkeypatch.setattr(term_tables, "BLOCK_SIDES", 7)
    monkeypatch.setattr(term_tables, "MATRIX_ROWS", 9)
    rng = np.random.default_rng(0)
    enroll, test = make_counts(rng, 20, few), make_counts(rng, 33, many)
    rows, columns = (index.ravel() for index in np.indices((20, 33)))
    alone = scorer.score(enroll[rows], test[columns])
    np.testing.assert_allclose(scorer.score_matrix(enroll, test).ravel(), alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("pair_cost", "rows_at_once"), [(0, 1000), (10**9, 1000), (10**9, 7)], ids=["looked up", "picked", "in blocks"]
)
def test_trial_lists_equal_each_trial_alone(scorer, pair_cost, rows_at_once, monkeypatch):
    monkeypatch.setattr(term_tables, "PAIR_COST", pair_cost)
    monkeypatch.setattr(term_tables, "BLOCK_SIDES", 4)
    monkeypatch.setattr(term_tables, "TABLE_ELEMENTS", rows_at_once * 25)
    rng = np.random.default_rng(0)
    counts = make_counts(rng, 25, 3)
    trials = Trials([], range(300), [], *rng.integers(0, 25, (2, 300)))
    sides = counts[trials.enroll], counts[trials.test]
    np.testing.assert_allclose(score_trials(scorer, counts, trials), scorer.score(*sides), rtol=1e-10, atol=1e-12)
    terms = scorer.attribute_scores(*sides).numpy()
    np.testing.assert_allclose(terms_of_trials(scorer, counts, trials), terms, rtol=1e-6, atol=1e-9)
    labels = rng.random(300) < 0.3
    means = mean_terms(scorer, counts, trials, labels)
    np.testing.assert_allclose(means, [terms[labels].mean(0), terms[~labels].mean(0)], rtol=1e-10, atol=1e-12)


def test_table_that_would_be_too_large_is_not_made(monkeypatch):
    monkeypatch.setattr(term_tables, "TABLE_ELEMENTS", 50)
    rng = np.random.default_rng(0)
    scorer = build_scorer("beta", num_attributes=WIDTH, n_iterations=5).fit(make_counts(rng, 30, 6))
    enroll, test = make_counts(rng, 8, 4), make_counts(rng, 8, 4)
    table = scorer.term_table(enroll, test)
    rows, expected, asked, formula = torch.arange(8), scorer.attribute_scores(enroll, test), [], table._terms
    table._terms = lambda *sides: asked.append(1) or formula(*sides)
    for _ in range(2):
        np.testing.assert_allclose(table.terms(rows, rows), expected, rtol=1e-12)
    assert len(asked) == 2  # the formula, each time
    monkeypatch.setattr(term_tables, "TABLE_ELEMENTS", 10**6)
    table.terms(rows, rows)
    asked.clear()
    np.testing.assert_allclose(table.terms(rows, rows), expected, rtol=1e-12)
    assert not asked  # but the table


def test_counts_that_do_not_repeat_are_scored_from_the_formula():
    rng = np.random.default_rng(0)
    scorer = build_scorer("beta", num_attributes=WIDTH, n_iterations=5).fit(make_counts(rng, 30, 6))
    whole, fractions = make_counts(rng, 6, 3), rng.random((9, WIDTH, 2))
    assert type(scorer.term_table(whole, whole)) is StateTable
    assert type(scorer.term_table(whole, fractions)) is TermTable
    matrix = scorer.score_matrix(whole, fractions)
    rows, columns = (index.ravel() for index in np.indices((6, 9)))
    np.testing.assert_allclose(matrix.ravel(), scorer.score(whole[rows], fractions[columns]), rtol=1e-12)


def test_states_stand_for_the_counts():
    counts = torch.from_numpy(make_counts(np.random.default_rng(0), 40, 5))
    codes, states = count_states(counts)
    assert torch.equal(states[codes.long()], counts)
    assert len(torch.unique(states, dim=0)) == len(states)
    assert count_states(counts + 0.5) is None
    assert count_states(counts * 100_000) is None
