"""The empirical bounds of likelihood ratios."""

import numpy as np
import pytest

from balr_hf.errors import UserError
from balr_hf.scoring.bounds import LOG10, elub

SETS = (
    "separated",
    "overlapping",
    "tiny",
    "useless",
    "reversed",
    "many",
    "few_different",
    "perfect",
    "infinite",
    "skewed",
)


@pytest.mark.parametrize("name", SETS)
def test_bounds_are_those_of_lir(golden, name):
    with np.load(golden / "elub.npz") as recorded:
        found = elub(recorded[f"{name}_llrs"], recorded[f"{name}_labels"])
        np.testing.assert_allclose(np.array(found) / LOG10, recorded[f"{name}_bounds"], atol=1e-6)


def test_bounds_grow_with_the_trials_and_never_beyond_their_number(golden):
    with np.load(golden / "elub.npz") as recorded:
        llrs, labels = recorded["perfect_llrs"], recorded["perfect_labels"]
    lower, upper = elub(llrs, labels)
    assert -np.log(labels.sum() + 1) <= lower < 0 < upper <= np.log((~labels).sum() + 1) + 0.01 * LOG10
    fewer = elub(llrs[::3], labels[::3])
    assert lower < fewer[0] and fewer[1] < upper


def test_scores_that_say_nothing_are_bounded_to_nothing():
    labels = np.arange(100) % 2
    assert elub(np.zeros(100), labels) == (0, 0)
    assert elub(np.where(labels, -3.0, 3.0), labels) == (0, 0)


def test_bounds_of_trials_in_a_column_are_those_of_a_row(golden):
    with np.load(golden / "elub.npz") as recorded:
        llrs, labels = recorded["overlapping_llrs"], recorded["overlapping_labels"]
    assert elub(llrs[:, None], labels[:, None]) == elub(llrs, labels) == elub(llrs.tolist(), labels.tolist())


@pytest.mark.parametrize("few", [1, 9, 99])
def test_trials_that_are_told_apart_vouch_for_their_number(few):
    """One more trial of each kind misleads: LR / (m + 1) + 1 / (n + 1) is the cost above 1, and its mirror below."""
    many, grid = 5_000, 0.01
    most = np.log10((few + 1) * many / (many + 1))
    llrs, labels = np.repeat([-50.0, 50.0], [few, many]), np.repeat([0, 1], [few, many])
    _, upper = elub(llrs, labels)
    lower, _ = elub(-llrs, 1 - labels)
    assert most - grid <= upper / LOG10 <= most + 1e-9 and upper == pytest.approx(-lower)


def test_infinite_ratios_have_the_bounds_of_huge_ones(golden):
    with np.load(golden / "elub.npz") as recorded:
        labels = recorded["perfect_labels"]
    huge, infinite = (np.where(labels, llr, -llr) for llr in (700.0, np.inf))
    assert elub(infinite, labels) == elub(huge, labels)
    for all_alike in (np.inf, -np.inf):
        assert elub(np.full(len(labels), all_alike), labels) == (0, 0)


def test_what_has_no_bounds_is_refused():
    for kind in (np.ones(3), np.zeros(3)):
        with pytest.raises(UserError, match="both kinds"):
            elub(np.ones(3), kind)
    with pytest.raises(UserError, match="numbers"):
        elub(np.array([0.0, np.nan]), np.array([0, 1]))
