"""Ids of trial lists that differ from those of the corpus in the ending of the audio file."""

import logging

import pytest

from balr_hf.errors import UserError
from balr_hf.scoring.listed_ids import describe_list, leave_out_missing, match_ids
from balr_hf.scoring.trials import read_trials, trial_labels


@pytest.fixture
def match(make_corpus, tmp_path):
    """Matches a trial list to a corpus of recordings with these ids, of two speakers."""

    def match(ids, text):
        corpus = make_corpus(2, len(ids) // 2, attributes=5)
        corpus = corpus.remove_columns("id").add_column("id", ids)
        (tmp_path / "trials.csv").write_text(text)
        return corpus, match_ids(corpus, read_trials(tmp_path / "trials.csv"))

    return match


def warnings(caplog) -> list[str]:
    """What was warned of; that a list is VoxCeleb's is information, which is logged if another test asked for it."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("ids", "one"),
    [
        (["x/1", "x/2", "y/1", "y/2.5"], "x/1.wav is x/1 there"),
        (["x/1.wav", "x/2.WAV", "y/1.flac", "y/2.5.opus"], None),
    ],
)
def test_ids_are_matched_with_and_without_the_ending(match, caplog, ids, one):
    text = "1 x/1.wav x/2.wav\n0 x/1.wav y/1.flac\n0 x/1.wav y/2.5.wav\n"
    if one is None:
        text, one = text.replace(".wav", "").replace(".flac", ""), "x/1 is x/1.wav there"
    corpus, found = match(ids, text)
    assert found.sides == [[name] for name in ids]
    assert trial_labels(corpus, found).tolist() == [True, False, False]
    assert found.rows[0] == text.splitlines()[0].split()  # as it was listed
    (message,) = warnings(caplog)
    assert message.startswith("Matched 4 of the 4 recordings") and message.endswith(one)


def test_ids_of_the_corpus_are_taken_as_they_are(match, caplog):
    _, found = match(["a", "a.wav", "b.wav", "b"], "1 a.wav b\n")
    assert found.sides == [["a.wav"], ["b"]]
    assert not warnings(caplog)


def test_what_fits_nothing_stays_and_other_endings_are_other_recordings(match, caplog):
    _, found = match(["a.wav", "b.wav"], "1 a.flac c.wav\n0 a.wav b.wav.bak\n")
    assert found.sides == [["a.flac"], ["c.wav"], ["a.wav"], ["b.wav.bak"]]
    assert not warnings(caplog)


@pytest.mark.parametrize(
    ("ids", "text", "message"),
    [
        (["a.wav", "a.flac"], "1 a b\n", r"names a, and the corpus has a\.flac, a\.wav: write the ids"),
        (["a", "b"], "1 a.wav b\n1 a.flac b\n", r"names a\.wav and a\.flac, and both fit a of the corpus"),
        (["a", "b"], "1 a b\n1 a.wav b\n", r"names a and a\.wav, and both fit a of the corpus"),
    ],
)
def test_ids_that_fit_several_recordings_are_refused(match, ids, text, message):
    with pytest.raises(UserError, match=message):
        match(ids, text)


def test_trials_of_missing_recordings_are_left_out_with_their_sides(match, caplog):
    _, found = match(["a", "b", "c", "d"], "enrollment\ttest\na\tb\na\tb,x\ny\tc\nc\td\n")
    left = leave_out_missing(found, ["a", "b", "c", "d"])
    assert left.rows == [["a", "b"], ["c", "d"]] and left.sides == [["a"], ["b"], ["c"], ["d"]]
    assert [left.sides[side] for side in (*left.enroll, *left.test)] == [["a"], ["c"], ["b"], ["d"]]
    (message,) = warnings(caplog)
    assert message.startswith("Left out 2 of the 4 trials, which are of recordings that") and "(2): x, y" in message
    less = leave_out_missing(left, ["a", "b", "c"])
    assert (less.rows, less.left_out) == ([["a", "b"]], 3)
    assert describe_list("list", less) == "list, without 3 trials of recordings that are missing"


def test_a_list_without_missing_recordings_stays_as_it_is(match, caplog):
    _, found = match(["a", "b"], "enrollment\ttest\na\tb\n")
    assert leave_out_missing(found, ["b", "a", "c"]) is found
    assert describe_list("list", found) == "list" and not warnings(caplog)


def test_a_list_of_which_no_trial_is_left_is_refused(match):
    _, found = match(["a", "b"], "enrollment\ttest\na\tx\nb\tx\n")
    with pytest.raises(UserError, match=r"no trial of the list is left without recordings .* \(1\): x$"):
        leave_out_missing(found, ["a", "b"])
