import itertools

import datasets
import numpy as np
import pytest

from balr_hf import build_scorer
from balr_hf.data import add_vector_column, fixed_length_column
from balr_hf.data.shards import Shard
from balr_hf.domain import describe_population
from balr_hf.errors import UserError
from balr_hf.scoring import counts as counts_module
from balr_hf.scoring import trials as trials_module
from balr_hf.scoring.breakdown import side_values
from balr_hf.scoring.trials import (
    Trials,
    embedding_cosines,
    read_trials,
    score_trials,
    side_counts,
    side_embeddings,
    side_speakers,
    trial_labels,
    write_scores,
)


@pytest.fixture
def corpus(make_corpus):
    return make_corpus(3, 2, attributes=5)  # ids s0..s5; speakers s0, s0, s1, s1, s2, s2


def trials(tmp_path, text, sep="\t"):
    path = tmp_path / "trials.csv"
    path.write_text(text, encoding="utf-8")
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


def test_first_two_columns_serve_where_names_are_missing(tmp_path, caplog):
    found = trials(tmp_path, "left;right;x\na;b;c\n", sep=";")
    assert (found.sides[found.enroll[0]], found.sides[found.test[0]]) == (["a"], ["b"])
    (message,) = caplog.messages
    assert "Took the first line" in message and "is named enrollment or test: left, right, x" in message
    caplog.clear()
    trials(tmp_path, "enroll\ttest\na\tb\n")
    (message,) = caplog.messages
    assert "since no column is named enrollment: enroll, test" in message


def test_first_line_that_is_a_trial_is_not_lost(tmp_path, caplog):
    found = trials(tmp_path, "s0\ts1\ts\ns2\ts0,s3\tt\n")
    assert [(found.sides[a], found.sides[b]) for a, b in zip(found.enroll, found.test, strict=True)] == [
        (["s0"], ["s1"]),
        (["s2"], ["s0", "s3"]),
    ]
    assert found.header == ["enrollment", "test", "column 3"]
    (message,) = caplog.messages
    assert "has no header: its first line is a trial" in message


def test_a_column_of_labels_is_not_taken_for_recordings_without_a_hint(tmp_path, caplog):
    trials(tmp_path, "1\ta\tb\tx\n0\ta\tc\tx\n1\tc\tb\tx\n")
    assert "seems to hold labels" in caplog.text and "such as label\tenrollment\ttest" in caplog.text
    caplog.clear()
    trials(tmp_path, "label enrollment test\n1 a b\n0 a c\n", sep=" ")
    assert not caplog.messages


@pytest.mark.parametrize("sep", ["\t", " "])
@pytest.mark.parametrize(
    ("text", "own", "maker"),
    [
        (
            "1 id1/x/1.wav id1/y/2.wav\n\n0  id1/x/1.wav id2/z/1.wav \n",
            "label\tenrollment\ttest\n1\tid1/x/1.wav\tid1/y/2.wav\n0\tid1/x/1.wav\tid2/z/1.wav\n",
            "VoxCeleb's (1|0 ID ID)",
        ),
        (
            "\ufeffa b target\r\nb c nontarget\r\n",
            "enrollment\ttest\tlabel\na\tb\ttarget\nb\tc\tnontarget\n",
            "Kaldi's (ID ID target|nontarget)",
        ),
        ("1 a b", "label\tenrollment\ttest\n1\ta\tb\n", "VoxCeleb's (1|0 ID ID)"),
    ],
)
def test_lists_of_voxceleb_and_kaldi_are_read_as_those_of_this_package(tmp_path, caplog, text, own, maker, sep):
    caplog.set_level("INFO")
    found, expected = trials(tmp_path, text, sep), trials(tmp_path, own)
    assert (found.header, found.rows, found.sides) == (expected.header, expected.rows, expected.sides)
    assert (found.enroll.tolist(), found.test.tolist()) == (expected.enroll.tolist(), expected.test.tolist())
    (message,) = caplog.messages
    assert message.endswith(f" as {maker}")


@pytest.mark.parametrize(
    ("text", "header", "number"),
    [
        ("1\ta\tb\n0\ta\tc\n", ["label", "enrollment", "test"], 2),
        ("a\tb\ttarget\nb\tc\tnontarget\n", ["enrollment", "test", "label"], 2),
        ("a\tb\t1\n\nc\td\t0\n", ["enrollment", "test", "label"], 2),
        ('"a"\tb\t1\na\t"c d"\t0', ["enrollment", "test", "label"], 2),
        ("a\tb\tx\tTrue\na\tc\ty\tFalse\n", ["enrollment", "test", "column 3", "label"], 2),
        ("one\tother\ttarget\na\tb\t1\na\tc\t0\n", ["one", "other", "target"], 2),
        ("one\tother\ttarget\na\tb\ttarget\na\tc\tnontarget\n", ["one", "other", "target"], 2),
        ("enrollment\ttest\ttarget\na\tb\ttarget\n", ["enrollment", "test", "target"], 1),
        ("a\tb\t1\na\tc\t17\n", ["enrollment", "test", "column 3"], 2),
    ],
)
def test_labels_of_lists_with_tabs_and_no_header_are_found(tmp_path, text, header, number):
    found = trials(tmp_path, text)
    assert found.header == header and len(found) == number
    assert all(found.sides[side] != ["one"] for side in found.enroll)


def test_lists_with_tabs_that_may_mean_several_things_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"^line 3 of .* ID ID 1\|0 \(without a header\): 'a\\td\\tmaybe'.* such as '"):
        trials(tmp_path, "a\tb\t1\na\tc\t0\na\td\tmaybe\n")
    with pytest.raises(UserError, match=r"can be read as 1\|0 ID ID and as ID ID 1\|0: put the header"):
        trials(tmp_path, "1\ta\t0\n0\tb\t1\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a b\n1 a c d\n", r"^line 2 of .*'1 a c d'.* header .* 'enrollment test label', and add --sep ' '$"),
        ("1 a b\n\n2 a c\n", r"^line 3 of .*VoxCeleb's"),
        ("a b target\n1 a c\n", r"^line 2 of .*ID ID target\|nontarget \(Kaldi's"),
        ("1 a b\n0 a\tb\n", r"^line 2 of "),
        ("1 b target\n0 c nontarget\n", r"put the header 'label enrollment test' or 'enrollment test label' above it"),
        ("1 1 5\n0 7 8\n", r"'1' is among the recordings, too: put the header 'label enrollment test' .* --sep ' '$"),
        ("a target target\n", r"'target' is among the recordings, too: put the header 'enrollment test label' "),
        ("label enrollment test\n1 a b\n", r"one column: .* To read it, add --sep ' ' \(' ' separates [^;]*$"),
        ("enrollment test target\na b target\n", r"one column: .* To read it, add --sep ' ' \(' ' separates [^;]*$"),
        ("a b 1\nb c 0\n", r"add --sep ' ' .*; if its first line is a trial, put the header 'enrollment test label'"),
        ("a;b\nc;d\n", r"add --sep ';' .*; if its first line is a trial, put the header 'enrollment;test' above it$"),
    ],
)
def test_lists_that_may_mean_several_things_are_refused_with_what_to_do(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        trials(tmp_path, text)


def test_what_an_error_says_to_do_is_enough(tmp_path):
    """The headers and options that the errors above ask for."""
    assert trials(tmp_path, "label enrollment test\n1 1 5\n0 7 8\n", " ").sides == [["1"], ["5"], ["7"], ["8"]]
    assert trials(tmp_path, "enrollment test label\na b 1\nb c 0\n", " ").sides == [["a"], ["b"], ["c"]]
    assert trials(tmp_path, "enrollment;test\na;b\n", ";").sides == [["a"], ["b"]]


@pytest.mark.parametrize("text", ["1 a b\n2 c d\n2 e a\n", "0 5 x y\n1 0 x y\n"])
def test_lists_of_no_known_form_are_read_by_their_columns_where_a_space_separates_these(tmp_path, text):
    found = trials(tmp_path, text, " ")
    rows = [line.split() for line in text.splitlines()]
    rows = rows if found.rows == rows else rows[1:]
    assert [found.sides[side] for side in found.enroll] == [[row[0]] for row in rows]
    assert [found.sides[side] for side in found.test] == [[row[1]] for row in rows]


def test_recording_named_twice_on_one_side_counts_once(corpus, tmp_path, caplog):
    found = trials(tmp_path, "enrollment\ttest\ns0,s1, s0\ts2\ns0,s1, s0\ts3,s3\n")
    assert found.sides == [["s0", "s1"], ["s2"], ["s3"]]
    assert side_counts(corpus, found.sides)[:, 0].sum(-1).tolist() == [2, 1, 1]
    (message,) = caplog.messages
    assert message.startswith("2 different sides") and "s0, s1, s0; s3" not in message


def test_trials_that_share_a_recording_are_left_out(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("balr_hf.scoring.trial_lists.LOOKUPS_AT_ONCE", 2)  # several rounds
    lines = ["a\ta", "a\tb", "b,c\td,e,c", "d,e\tb,c", "a,b,c\ta", "c\td"]
    found = trials(tmp_path, "\n".join(["enrollment\ttest", *lines]) + "\n")
    assert ["\t".join(row) for row in found.rows] == [lines[1], lines[3], lines[5]]
    assert [",".join(found.sides[n]) for n in found.enroll] == ["a", "d,e", "c"]
    assert [",".join(found.sides[n]) for n in found.test] == ["b", "b,c", "d"]
    assert len(found.sides) == 6  # none of a trial that was left out
    (message,) = caplog.messages
    assert message.startswith("Left out 3 of the 6 trials") and "a against a; b, c against d, e, c" in message


def test_list_of_trials_that_all_share_a_recording_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no trial is left .* a against a; a, b against b$"):
        trials(tmp_path, "enrollment\ttest\na\ta\na,b\tb\n")


def test_names_are_compared_in_one_unicode_form_without_white_space(corpus, tmp_path):
    ids = ["caf\u00e9", "nai\u0308ve", *corpus["id"][2:]]
    corpus = corpus.remove_columns("id").add_column("id", ids)
    found = trials(tmp_path, "enrollment\ttest\n cafe\u0301\u00a0\tna\u00efve\ncaf\u00e9\tcafe\u0301\n")
    assert found.sides == [["caf\u00e9"], ["na\u00efve"]]
    bits = np.array(list(corpus["ba"]))
    assert np.array_equal(side_counts(corpus, found.sides)[..., 0].astype(bool), bits[:2])
    assert len(side_embeddings(corpus, found.sides)) == 2
    assert trial_labels(corpus, found).tolist() == [True]
    assert side_values(corpus, found.sides, "speaker").tolist() == ["s0", "s0"]
    assert describe_population(corpus, found.sides)["recordings"] == 2
    assert corpus["id"][:2] == ids[:2]


def test_ids_that_differ_only_in_unicode_form_are_refused_in_trials(corpus):
    ids = ["caf\u00e9", "cafe\u0301", *corpus["id"][2:]]
    corpus = corpus.remove_columns("id").add_column("id", ids)
    with pytest.raises(UserError, match=r"several recordings of the corpus: café; some differ only in white space"):
        side_counts(corpus, [["caf\u00e9"]])
    assert len(side_counts(corpus, [["s2"]])) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("enrollment\ttest\n", "no trials"),
        ("enrollment,test\na,b\n", "one column: expected two, separated by"),
        ("enrollment\ttest\na\tb\nc\t\n", "empty side in row 3"),
        ("enrollment\ttest\na\n", "empty side in row 2"),
        ("1 a b\n0 a ,\n", "empty side in row 2"),
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
    expected = (
        r"cannot be scored\. --leave-out-missing leaves these out .*: not in the corpus \(whose ids are such as s0\)"
    )
    with pytest.raises(UserError, match=expected + r": x, y; without attributes .*: s0\. Recordings that"):
        side_counts(corpus, [["s1", "x"], ["y"], ["s0"]])


def test_recordings_of_another_corpus_are_told_without_advice_to_leave_them_out(corpus):
    with pytest.raises(
        UserError, match=r"list names x and y, and the ids of the corpus are such as s0 and s1\."
    ) as told:
        side_counts(corpus, [["x", "y"], ["z"]])
    assert "--" not in str(told.value) and "z" not in str(told.value)


def test_labels_compare_speakers(corpus, tmp_path):
    found = trials(tmp_path, "enrollment\ttest\ns0\ts1\ns0,s1\ts2\ns4\ts5\n")
    assert trial_labels(corpus, found).tolist() == [True, False, True]
    assert trial_labels(corpus.remove_columns("speaker"), found) is None


def test_side_of_several_speakers_is_refused(corpus, tmp_path):
    found = trials(tmp_path, "enrollment\ttest\ns0,s2\ts1\n")
    with pytest.raises(UserError, match="several speakers: s0, s2"):
        trial_labels(corpus, found)


def test_embeddings_without_a_direction_are_named(corpus):
    rows = np.array(corpus["embedding"])
    rows[3] = 0
    empty = corpus.remove_columns("embedding").add_column("embedding", rows.tolist())
    assert len(side_embeddings(empty, [["s0", "s1"], ["s2"]])) == 2
    with pytest.raises(UserError, match="the embedding of s3 holds zeros alone"):
        side_embeddings(empty, [["s0", "s1"], ["s3"]])


def test_side_embeddings_are_means_of_unit_vectors(corpus):
    embeddings = np.array(list(corpus["embedding"]))
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.testing.assert_allclose(side_embeddings(corpus, [["s0", "s1"], ["s3"]]), [unit[:2].mean(0), unit[3]], rtol=1e-5)


def test_sides_in_several_blocks_have_the_embeddings_and_cosines_of_each_by_itself(corpus, monkeypatch):
    sides = [["s0", "s1"], ["s2"], ["s3", "s0", "s5"], ["s1", "s4"], ["s5"]]
    found = Trials([], [], sides, *np.array(list(itertools.combinations(range(5), 2))).T)
    alone = np.concatenate([side_embeddings(corpus, [side]) for side in sides])
    cosines = (alone / np.linalg.norm(alone, axis=1, keepdims=True)) @ alone.T / np.linalg.norm(alone, axis=1)
    for at_once in (1, 2, 3, 5):
        monkeypatch.setattr(trials_module, "COSINES_AT_ONCE", at_once)
        np.testing.assert_allclose(side_embeddings(corpus, sides), alone, rtol=1e-6)
        np.testing.assert_allclose(embedding_cosines(corpus, found), cosines[found.enroll, found.test], atol=1e-6)
    monkeypatch.setattr(trials_module, "COSINES_AT_ONCE", 2)
    rows = np.array(list(corpus["embedding"]), dtype=np.float32)
    rows[4] = 0
    silent = add_vector_column(corpus.remove_columns("embedding"), "embedding", fixed_length_column(rows))
    with pytest.raises(UserError, match="the embedding of s4 holds zeros alone"):
        side_embeddings(silent, sides)


def test_scores_are_written_beside_the_trials_in_float32_precision(tmp_path):
    found = trials(tmp_path, "enrollment\ttest\tnote\na,b\tc\tfirst\nb\tc\tsecond\n")
    scores = np.array([np.float32(np.pi), -1e-7])
    write_scores(tmp_path / "scores.csv", found, {"scores": scores})
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "enrollment\ttest\tnote\tscores"
    assert lines[1].startswith("a,b\tc\tfirst\t3.14159")
    written = np.array([line.split("\t")[-1] for line in lines[1:]], dtype=np.float32)
    assert np.array_equal(written, scores.astype(np.float32))


def test_results_of_an_earlier_run_are_left_out_of_what_is_written(tmp_path, caplog):
    found = trials(tmp_path, "enrollment\ttest\tlabel\nb\tc\t0\na\tc\t1\n")
    outside = np.array(["", "snr"], dtype=object)
    ours = {"scores": np.array([1.0, 2.0]), "raw_scores": np.array([3.0, 4.0]), "outside": outside}
    write_scores(tmp_path / "first.csv", found, ours)
    assert not caplog.records
    again = read_trials(tmp_path / "first.csv")
    write_scores(tmp_path / "second.csv", again, {"scores": np.array([5.0, 6.0]), "embedding_cosine": np.ones(2)})
    lines = [line.split("\t") for line in (tmp_path / "second.csv").read_text().splitlines()]
    assert lines[0] == ["enrollment", "test", "label", "scores", "embedding_cosine"]
    assert lines[1:] == [["b", "c", "0", "5", "1"], ["a", "c", "1", "6", "1"]]
    (record,) = caplog.records
    assert "results of another run: scores, raw_scores, outside. In " in record.getMessage()


def test_scores_stay_in_their_column_beside_rows_of_other_lengths(tmp_path):
    found = trials(tmp_path, "enrollment\ttest\tnote\na\tb\na\tc\tx\ty\n")
    write_scores(tmp_path / "scores.csv", found, {"scores": np.array([1.0, 2.0])})
    lines = [line.split("\t") for line in (tmp_path / "scores.csv").read_text().splitlines()]
    assert lines == [["enrollment", "test", "note", "column 4", "scores"], ["a", "b", "", "", "1"], [*"acxy", "2"]]


@pytest.mark.parametrize("totals", [3, "several"])
@pytest.mark.parametrize("name", ["beta", "cosine"])
def test_stored_counts_score_as_counts_in_float64(name, totals, monkeypatch):
    bits, draws = 16, np.random.default_rng(0)
    scorer = build_scorer(name, num_attributes=bits)
    if name == "beta":
        scorer.fit(draws.integers(1, 6, (9, bits, 2)).astype(float))
    numbers = np.full(60, 3) if totals == 3 else draws.integers(1, 9, 60)
    found = counts_module.SideCounts(draws.integers(0, numbers[:, None] + 1, (60, bits)).astype(np.uint8), numbers)
    assert (scorer.side_table(found) is None) == (name == "cosine")
    listed = Trials.between(draws.integers(0, 60, 500), draws.integers(0, 60, 500))
    labels = draws.integers(0, 2, 500).astype(bool)
    whole = found.of(slice(None))
    scores, means = score_trials(scorer, whole, listed), trials_module.mean_terms(scorer, whole, listed, labels)
    np.testing.assert_array_equal(score_trials(scorer, found, listed), scores)
    np.testing.assert_array_equal(trials_module.mean_terms(scorer, found, listed, labels), means)
    monkeypatch.setattr(counts_module, "COUNTS_AT_ONCE", 64 * bits * 7)  # 7 trials at a time
    assert found.whole() is None and found.trials_at_once == 7
    np.testing.assert_allclose(score_trials(scorer, found, listed), scores, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(trials_module.mean_terms(scorer, found, listed, labels), means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["beta", "cosine"])
def test_shares_of_a_trial_list_are_scored_as_the_whole(name, monkeypatch):
    bits, draws = 16, np.random.default_rng(0)
    scorer = build_scorer(name, num_attributes=bits)
    if name == "beta":
        scorer.fit(draws.integers(1, 6, (9, bits, 2)).astype(float))
    else:
        monkeypatch.setattr(counts_module, "COUNTS_AT_ONCE", 64 * bits * 7)
    monkeypatch.setattr(trials_module, "SCORES_AT_ONCE", 7)
    found = counts_module.SideCounts(draws.integers(0, 2, (60, bits)).astype(np.uint8), np.ones(60, int))
    listed = Trials.between(draws.integers(0, 60, 50), draws.integers(0, 60, 50))
    shares = [score_trials(scorer, found, listed, shard=Shard(index, 3)) for index in range(3)]
    assert [np.isfinite(share).sum() for share in shares] == [21, 15, 14]
    np.testing.assert_array_equal(np.nansum(shares, axis=0), score_trials(scorer, found, listed))


def test_distinct_counts_are_numbered():
    found = counts_module.SideCounts(np.array([[0, 2, 2], [1, 0, 1]], np.uint8), np.array([2, 1]))
    codes, states = found.states(most=100)
    assert states.tolist() == [[0, 1], [0, 2], [1, 0], [2, 0]]
    np.testing.assert_array_equal(states[codes], found.of(slice(None)))
    assert found.states(most=8) is None
    bits = np.array([[0, 1], [1, 1]], np.uint8)
    assert counts_module.SideCounts(bits, np.array([1, 1])).states(most=100)[0] is bits  # no copy of millions of sides


def test_sides_are_counted_in_blocks(corpus, monkeypatch):
    sides = [["s4"], ["s0", "s3", "s5"], ["s1"], ["s2", "s1"], ["s5"]]
    expected = side_counts(corpus, sides)
    monkeypatch.setattr(trials_module, "SIDES_AT_ONCE", 2)
    found = trials_module.compact_side_counts(corpus, sides)
    assert found.active.dtype == np.uint8 and found.shape == expected.shape
    np.testing.assert_array_equal(found.of(slice(None)), expected)
    np.testing.assert_array_equal(np.concatenate([counts for _, counts in found.parts()]), expected)


@pytest.fixture
def stored():
    """A scorer, the stored counts of 12 sides, trials between these, and counts of other sides."""
    draws = np.random.default_rng(0)
    scorer = build_scorer("beta", num_attributes=16).fit(draws.integers(1, 6, (9, 16, 2)).astype(float))
    found = counts_module.SideCounts(draws.integers(0, 4, (12, 16)).astype(np.uint8), np.full(12, 3))
    listed = Trials.between(draws.integers(0, 12, 40), draws.integers(0, 12, 40))
    return scorer, found, listed, found.of(slice(None, None, -1))


def test_counts_of_the_tests_beside_stored_counts_are_refused_and_not_ignored(stored):
    scorer, found, listed, other = stored
    labels = np.arange(len(listed)) % 2
    whole, stored_other = found.of(slice(None)), counts_module.SideCounts(found.active[::-1], found.totals)
    for counts, tests in [(found, other), (found, stored_other), (whole, found)]:
        with pytest.raises(UserError, match="without test_counts"):
            score_trials(scorer, counts, listed, test_counts=tests)
        with pytest.raises(UserError, match="without test_counts"):
            trials_module.trial_attribute_scores(scorer, counts, listed, test_counts=tests)
        with pytest.raises(UserError, match="without test_counts"):
            scorer.calibrate(counts, tests, labels, trials=listed)
    expected = score_trials(scorer, whole, listed)
    np.testing.assert_array_equal(score_trials(scorer, found, listed, test_counts=found), expected)
    terms = trials_module.trial_attribute_scores(scorer, found, listed, test_counts=found)
    np.testing.assert_allclose(terms.sum(1), expected, rtol=1e-5, atol=1e-5)


def test_quality_of_the_tests_is_not_ignored(stored):
    scorer, found, listed, other = stored
    whole, measured = found.of(slice(None)), np.ones((12, 4))
    for options in ({"test_quality": measured}, {"test_quality": measured, "quality": measured.copy()}):
        with pytest.raises(UserError, match="test_quality is that of test_counts"):
            score_trials(scorer, whole, listed, **options)
    score_trials(scorer, whole, listed, test_counts=other, quality=measured, test_quality=measured.copy())


@pytest.mark.parametrize(
    "enroll, test, message",
    [
        ([0, -1], [1, 2], "enroll have a side of the number -1: expected at least 0"),
        ([0, 1], [1.0, 2.0], "test are of type float64"),
        ([0], [1, 2], "1 enrollments and 2 tests"),
    ],
)
def test_numbers_that_are_those_of_no_side_are_refused(enroll, test, message):
    with pytest.raises(UserError, match=message):
        Trials.between(enroll, test)


def test_numbers_beyond_the_sides_are_refused(stored, corpus):
    scorer, found, _, other = stored
    beyond = Trials.between([0, 1], [1, 12])
    message = "test have a side of the number 12: expected 0 to 11, since there are 12 sides"
    for counts in (found, other):
        with pytest.raises(UserError, match=message):
            score_trials(scorer, counts, beyond)
        with pytest.raises(UserError, match=message):
            trials_module.mean_terms(scorer, counts, beyond, np.array([True, False]))
        with pytest.raises(UserError, match=message):
            trials_module.trial_attribute_scores(scorer, counts, beyond)
    with pytest.raises(UserError, match="enroll have a side of the number 2: expected 0 to 1"):
        Trials([], [], [["s0"], ["s1"]], np.array([2]), np.array([0]))


def test_labels_of_mean_terms_are_zeros_and_ones(stored):
    scorer, found, listed, _ = stored
    labels = np.arange(len(listed)) % 3 == 0
    expected = trials_module.mean_terms(scorer, found, listed, labels)
    for alike in (labels.astype(int), labels.astype(float), labels.tolist()):
        np.testing.assert_array_equal(trials_module.mean_terms(scorer, found, listed, alike), expected)
    with pytest.raises(UserError, match="labels must be 1 or True"):
        trials_module.mean_terms(scorer, found, listed, labels + 0.5)
    with pytest.raises(UserError, match="39 labels of 40 trials"):
        trials_module.mean_terms(scorer, found, listed, labels[1:])


def test_ids_of_several_recordings_are_refused_wherever_they_are_looked_up(corpus):
    other = corpus.remove_columns("speaker").add_column("speaker", [f"other {name}" for name in corpus["speaker"]])
    twice = datasets.concatenate_datasets([corpus, other.select([0])])
    listed = Trials([], [], [["s0"], ["s1"], ["s2"]], np.array([0, 1]), np.array([1, 2]))
    for look in (side_counts, side_embeddings, side_speakers):
        with pytest.raises(UserError, match=r"several recordings of the corpus: s0$"):
            look(twice, listed.sides)
        assert len(look(twice, listed.sides[1:])) == 2
    with pytest.raises(UserError, match="several recordings of the corpus: s0"):
        trial_labels(twice, listed)
    with pytest.raises(UserError, match="several recordings of the corpus: s0"):
        side_values(twice, listed.sides, "speaker")


def test_sides_without_recordings_are_refused(corpus):
    for look in (side_counts, side_embeddings):
        with pytest.raises(UserError, match="1 of 2 sides name no recording"):
            look(corpus, [["s0", "s1"], []])
    assert side_speakers(corpus, [["s0"], []]) is None
