"""Ids of trial lists that are not those of the corpus, but name its audio files, or have another ending."""

import logging

import datasets
import pytest

from balr_hf.errors import UserError
from balr_hf.scoring.listed_ids import describe_list, leave_out_missing, match_ids
from balr_hf.scoring.trials import read_trials, trial_labels


@pytest.fixture
def match(make_corpus, tmp_path):
    """Matches a trial list to a corpus of recordings with these ids, of two speakers."""

    def match(ids, text, audio=None, feature=None):
        corpus = make_corpus(2, len(ids) // 2, attributes=5)
        corpus = corpus.remove_columns("id").add_column("id", ids)
        if audio is not None:
            column = datasets.Dataset.from_dict({"audio": audio}).cast_column("audio", feature)
            corpus = datasets.concatenate_datasets([corpus, column], axis=1)
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


AUDIO = datasets.Audio(decode=False)


@pytest.mark.parametrize(
    ("audio", "feature"),
    [
        (["/a/test/x.flac", "/a/dev/x.flac", "/a/test/y.flac", None], datasets.Value("string")),
        (["/a/test/x.flac", "/a/dev/x.flac", "/a/test/y.flac", None], AUDIO),
        (["/a/test/x.flac", "/a/dev/x.flac", "/a/test/y.flac", None], datasets.Audio()),
        ([{"bytes": b"no audio", "path": path} for path in ("test/x.flac", "x", "test/y.flac")] + [None], AUDIO),
    ],
)
def test_names_of_audio_files_are_matched_part_by_part(match, caplog, audio, feature):
    text = "1 test/x.flac ./test/y.flac\n0 y.flac 4\n"
    with pytest.raises(UserError, match=r"names \./test/y\.flac and y\.flac, and both fit 3 of the corpus"):
        match(["1", "2", "3", "4"], text, audio, feature)
    _, found = match(["1", "2", "3", "4"], text.replace("0 y.flac", "0 test/y.flac.x"), audio, feature)
    assert found.sides == [["1"], ["3"], ["test/y.flac.x"], ["4"]]
    (message,) = warnings(caplog)
    assert message.startswith("Matched 2 of the 4 recordings") and message.endswith("test/x.flac is 1 there")


def test_the_name_of_a_file_is_matched_if_only_one_folder_has_it(match):
    paths = ["/a/test/x.flac", "/a/dev/x.flac", "/a/test/y.flac", "/a/test/xx.flac"]
    _, found = match(["1", "2", "3", "4"], "1 y.flac xx.flac\n", paths, AUDIO)
    assert found.sides == [["3"], ["4"]]
    with pytest.raises(UserError, match=r"names x\.flac, and the corpus has 1, 2: write the ids"):
        match(["1", "2", "3", "4"], "1 y.flac x.flac\n", paths, AUDIO)


def test_an_id_and_the_file_of_another_recording_are_told_apart(match, caplog):
    """Of `x` with the file `y.flac`, and `z` with the file `x.flac`, nobody knows which one `x.flac` is."""
    _, found = match(["x", "z"], "1 x.flac z\n", ["b/x.flac", "c/x.flac"], AUDIO)
    assert found.sides == [["x"], ["z"]] and warnings(caplog)
    with pytest.raises(UserError, match=r"names x\.flac, and the corpus has x, z: write the ids"):
        match(["x", "z"], "1 x.flac z\n", ["y.flac", "x.flac"], AUDIO)


@pytest.mark.parametrize("audio", [None, [None, None]])
def test_a_list_of_another_corpus_is_refused_without_advice_to_leave_it_out(match, audio):
    expected = (
        r"none .* the list names test/x\.flac and b, and the ids of the corpus are such as a and c\. Both should"
    )
    with pytest.raises(UserError, match=expected) as told:
        match(["a", "c"], "1 test/x.flac b\n0 b d\n", audio, None if audio is None else AUDIO)
    assert "--" not in str(told.value) and "skipped" not in str(told.value)


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
