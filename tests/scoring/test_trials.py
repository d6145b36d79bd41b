import numpy as np
import pytest

from balr_hf.errors import UserError
from balr_hf.scoring.trials import (
    read_trials,
    side_counts,
    side_embeddings,
    trial_labels,
    write_scores,
)


@pytest.fixture
def corpus(make_corpus):
    return make_corpus(3, 2, attributes=5)  # ids s0..s5; speakers s0, s0, s1, s1, s2, s2


def trials(tmp_path, text, sep="\t"):
    path = tmp_path / "trials.csv"
    path.write_text(text)
    return read_trials(path, sep)


def test_sides_are_read_once_and_numbered(tmp_path):
    found = trials(tmp_path, "enrollment\ttest\ns0,s1\ts2\ns2\ts0,s1\ns0, s1\ts3\n")
    assert found.sides == [["s0", "s1"], ["s2"], ["s0", "s1"], ["s3"]]
    assert found.enroll.tolist() == [0, 1, 2]
    assert found.test.tolist() == [1, 0, 3]


@pytest.mark.parametrize("header", ["TEST\tnote\tEnrollment", "Test \tx\t enrollment"])
def test_columns_are_found_by_name_in_any_case(tmp_path, header):
    found = trials(tmp_path, f"{header}\na\tnothing\tb\n")
    assert (found.sides[found.enroll[0]], found.sides[found.test[0]]) == (["b"], ["a"])


def test_first_two_columns_serve_where_names_are_missing(tmp_path):
    found = trials(tmp_path, "left;right;x\na;b;c\n", sep=";")
    assert (found.sides[found.enroll[0]], found.sides[found.test[0]]) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("enrollment\ttest\n", "no trials"),
        ("enrollment,test\na,b\n", "one column: expected two, separated by"),
        ("enrollment\ttest\na\tb\nc\t\n", "empty side in row 3"),
        ("enrollment\ttest\na\n", "empty side in row 2"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        trials(tmp_path, text)
    with pytest.raises(UserError, match="no trial list at"):
        read_trials(tmp_path / "nothing.csv")


def test_side_counts_sum_the_recordings(corpus):
    bits = np.array(list(corpus["ba"]))
    counts = side_counts(corpus, [["s4"], ["s0", "s3", "s5"], ["s1", "s1"]])
    assert np.array_equal(counts[0], np.stack([bits[4], ~bits[4]], -1))
    active = bits[0].astype(int) + bits[3] + bits[5]
    assert np.array_equal(counts[1], np.stack([active, 3 - active], -1))
    assert counts[2].sum(-1).tolist() == [2] * 5


def test_all_unknown_and_unusable_recordings_are_named_at_once(corpus):
    feature = corpus.features["ba"]
    bits = [None, *list(corpus["ba"])[1:]]
    corpus = corpus.remove_columns("ba").add_column("ba", bits, feature=feature)
    with pytest.raises(UserError, match=r"not in the corpus: x, y; without attributes .*: s0$"):
        side_counts(corpus, [["s1", "x"], ["y"], ["s0"]])


def test_labels_compare_speakers(corpus, tmp_path):
    found = trials(tmp_path, "enrollment\ttest\ns0\ts1\ns0,s1\ts2\ns4\ts5\n")
    assert trial_labels(corpus, found).tolist() == [True, False, True]
    assert trial_labels(corpus.remove_columns("speaker"), found) is None


def test_side_of_several_speakers_is_refused(corpus, tmp_path):
    found = trials(tmp_path, "enrollment\ttest\ns0,s2\ts1\n")
    with pytest.raises(UserError, match="several speakers: s0, s2"):
        trial_labels(corpus, found)


def test_side_embeddings_are_means_of_unit_vectors(corpus):
    embeddings = np.array(list(corpus["embedding"]))
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.testing.assert_allclose(side_embeddings(corpus, [["s0", "s1"], ["s3"]]), [unit[:2].mean(0), unit[3]], rtol=1e-5)


def test_scores_are_written_beside_the_trials_in_float32_precision(tmp_path):
    found = trials(tmp_path, "enrollment\ttest\tnote\na,b\tc\tfirst\nb\tc\tsecond\n")
    scores = np.array([np.float32(np.pi), -1e-7])
    write_scores(tmp_path / "scores.csv", found, {"scores": scores})
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "enrollment\ttest\tnote\tscores"
    assert lines[1].startswith("a,b\tc\tfirst\t3.14159")
    written = np.array([line.split("\t")[-1] for line in lines[1:]], dtype=np.float32)
    assert np.array_equal(written, scores.astype(np.float32))
