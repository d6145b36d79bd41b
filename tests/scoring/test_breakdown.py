"""Trials by what the corpus says of their sides."""

import datasets
import numpy as np
import pytest

from balr_hf.errors import UserError
from balr_hf.scoring.breakdown import groups, side_values, sides_outside, within
from balr_hf.scoring.trials import Trials


@pytest.fixture
def corpus():
    return datasets.Dataset.from_dict({"id": list("abcd"), "sex": ["f", "f", "m", None], "speaker": list("wxyz")})


def test_values_of_sides_are_those_of_their_recordings(corpus):
    sides = [["a"], ["a", "b"], ["b", "c"], ["d"]]
    assert side_values(corpus, sides, "sex").tolist() == ["f", "f", None, None]
    with pytest.raises(UserError, match="no column channel"):
        side_values(corpus, sides, "channel")


def test_within_keeps_same_speakers_and_different_ones_of_one_value(corpus):
    trials = Trials.between(np.array([0, 0, 0, 3, 3]), np.array([0, 1, 2, 3, 0]))
    values = side_values(corpus, [["a"], ["b"], ["c"], ["d"]], "sex")
    labels = np.array([True, False, False, True, False])
    assert within(trials, values, labels).tolist() == [True, True, False, True, False]


def test_groups_are_pairs_of_values_in_either_order(corpus):
    trials = Trials.between(np.array([0, 0, 2, 3]), np.array([1, 2, 0, 2]))
    values = side_values(corpus, [["a"], ["b"], ["c"], ["d"]], "sex")
    found = {name: mask.tolist() for name, mask in groups(trials, values)}
    assert found == {
        "f": [True, False, False, False],
        "f / m": [False, True, True, False],
        "m / unknown": [False, False, False, True],
    }


def test_sides_outside_are_counted(corpus):
    calibration = {"recordings_a_side": [1, 1], "measures": {}}
    sides = [["a"], ["a", "b"]]
    found = sides_outside(corpus, sides, calibration)
    assert found == {"sides": 2, "measured": 0, "beyond_limits": 1, "measures": {"recordings": 1}}
    assert sides_outside(corpus, sides, None) is None
