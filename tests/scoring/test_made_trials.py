"""Trials made of a corpus: so many recordings against so many, without a recording on both sides."""

import datasets
import numpy as np
import pytest

from balr_hf.errors import UserError
from balr_hf.scoring.made_trials import make_trials, parse_numbers, trial_conditions


def corpus(speakers=4, recordings=5, conditions=("clean", "noisy")):
    rows = [(s, r, c) for c in range(len(conditions)) for s in range(speakers) for r in range(recordings)]
    return datasets.Dataset.from_dict(
        {
            "id": [f"s{s}-{r}@{c}" for s, r, c in rows],
            "source_id": [f"s{s}-{r}" for s, r, _ in rows],
            "speaker": [f"s{s}" for s, _, _ in rows],
            "condition": [conditions[c] for *_, c in rows],
        }
    )


def parts(trials, position):
    sides = [trials.sides[trials.enroll[position]], trials.sides[trials.test[position]]]
    return [[tuple(name.split("@")) for name in side] for side in sides]


@pytest.mark.parametrize("enroll, test", [(1, 1), (3, 1), (2, 3)])
def test_sides_have_the_wanted_recordings_and_no_source_twice(enroll, test):
    trials = make_trials(corpus(), enroll, test)
    for position in range(len(trials)):
        a, b = parts(trials, position)
        assert (len(a), len(b)) == (enroll, test)
        assert not {source for source, _ in a} & {source for source, _ in b}
        for side in (a, b):
            assert len({condition for _, condition in side}) == 1
            assert len({source[:2] for source, _ in side}) == 1
            assert len({source for source, _ in side}) == len(side)


def test_every_pair_of_conditions_has_trials_of_both_kinds():
    trials = make_trials(corpus())
    found = trial_conditions(corpus(), trials)
    speakers = [[side[0][0][:2] for side in parts(trials, position)] for position in range(len(trials))]
    same = np.array([a == b for a, b in speakers])
    assert set(found) == {"clean / clean", "clean / noisy", "noisy / noisy"}
    for condition in set(found):
        assert same[found == condition].sum() >= 20 and (~same)[found == condition].sum() >= 40


def test_of_a_large_corpus_fewer_trials_are_made_of_every_speaker(monkeypatch):
    """Of 20 speakers in three pairs of conditions there would be 3,000."""
    data = corpus(speakers=20)
    assert len(make_trials(data)) > 2_000
    monkeypatch.setattr("balr_hf.scoring.made_trials.MOST", 600)  # a fifth: two of one speaker, and eight of two
    trials = make_trials(data)
    speakers = [[side[0][0].split("-")[0] for side in parts(trials, position)] for position in range(len(trials))]
    same = [a for a, b in speakers if a == b]
    assert 500 < len(trials) <= 600 and 100 < len(same) <= 120 and len(set(same)) == 20
    monkeypatch.setattr("balr_hf.scoring.made_trials.MOST", 1)  # one of each kind
    assert 100 <= len(make_trials(data)) <= 120


def test_the_seed_decides_and_the_order_of_the_corpus_does_not():
    data = corpus()
    turned = data.select(range(len(data) - 1, -1, -1))
    assert make_trials(data, 2, 1).rows == make_trials(turned, 2, 1).rows
    assert make_trials(data, 2, 1).rows != make_trials(data, 2, 1, seed=1).rows


def test_rows_are_what_a_trial_list_holds():
    trials = make_trials(corpus(), 2, 1)
    assert trials.header == ["enrollment", "test"]
    assert trials.rows[0] == [",".join(trials.sides[trials.enroll[0]]), ",".join(trials.sides[trials.test[0]])]
    assert len({tuple(row) for row in trials.rows}) == len(trials.rows)


def test_too_few_recordings_are_refused_with_the_numbers():
    with pytest.raises(UserError, match=r"4 against 3: one speaker needs at least 7 recordings.* 5 at most"):
        make_trials(corpus(), 4, 3)
    with pytest.raises(UserError, match="names the speakers"):
        make_trials(corpus().remove_columns("speaker"))
    assert trial_conditions(corpus().remove_columns("condition"), make_trials(corpus())) is None


@pytest.mark.parametrize("text, numbers", [("3x1", (3, 1)), ("12x2", (12, 2)), ("0x1", None), ("trials.csv", None)])
def test_numbers_are_told_from_files(text, numbers):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (1, -2)])
def test_sides_without_recordings_are_refused(numbers):
    with pytest.raises(UserError, match="expected at least 1 on each"):
        make_trials(corpus(), *numbers)


def test_conditions_of_an_id_of_several_recordings_are_refused():
    data = corpus()
    trials = make_trials(data)
    twice = datasets.concatenate_datasets([data, data.select([0])])
    with pytest.raises(UserError, match="several recordings of the corpus: s0-0@0"):
        trial_conditions(twice, trials)
