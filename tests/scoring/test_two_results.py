"""Two systems' scores of the same trials."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest

from balr_hf.errors import ConfigError, UserError
from balr_hf.identity import file_digest
from balr_hf.metrics import bootstrap_intervals, compute_metrics, difference_intervals
from balr_hf.scoring.calibration import cross_calibrated
from balr_hf.scoring.result_files import Result, read_result
from balr_hf.scoring.two_results import Difference, compare_results

SPEAKERS = np.repeat([f"s{number}" for number in range(12)], 3)
IDS = [f"{speaker}-{number}" for number, speaker in enumerate(SPEAKERS)]
PAIRS = list(itertools.combinations(range(len(IDS)), 2))
LABELS = np.array([SPEAKERS[a] == SPEAKERS[b] for a, b in PAIRS])
VOICES = np.random.default_rng(0).normal(0, 1, len(IDS))
SCORES = np.where(LABELS, 2.0, -2.0) + VOICES[[a for a, _ in PAIRS]] + VOICES[[b for _, b in PAIRS]]


@pytest.fixture
def corpus():
    return datasets.Dataset.from_dict({"id": IDS, "speaker": SPEAKERS.tolist()})


def written(path, scores, pairs=PAIRS, column="scores", **more):
    """A csv of scores; `more` are further columns."""
    header = ["enrollment", "test", column, *more]
    rows = [
        [IDS[a], IDS[b], f"{score:.9g}", *map(str, rest)]
        for (a, b), score, *rest in zip(pairs, scores, *more.values(), strict=True)
    ]
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")
    return path


def folder(path, scores, calibration=None, mismatch=(), **options):
    """What `balr score test` would write."""
    path.mkdir()
    written(path / "scores.csv", scores, **options)
    about = {"scores_sha256": file_digest(path / "scores.csv"), "calibration": calibration, "mismatch": list(mismatch)}
    (path / "metrics.json").write_text(json.dumps(about | {"scorer": "BetaScorer"}))
    return str(path)


@pytest.fixture
def calibrated(tmp_path):
    """The results of two calibrated systems, the second of which is worse."""
    worse = SCORES + np.random.default_rng(1).normal(0, 2, len(SCORES))
    method = {"method": "affine"}
    return [folder(tmp_path / name, scores, method) for name, scores in (("one", SCORES), ("two", np.float32(worse)))]


def test_metrics_and_intervals_are_those_of_the_scores(corpus, calibrated):
    one, two = map(read_result, calibrated)
    found = compare_results(corpus, one, two, draws=100)
    order = np.argsort([a * len(IDS) + b for a, b in PAIRS])
    np.testing.assert_allclose(found.scores, np.stack([one.scores, two.scores])[:, order])
    speakers = [SPEAKERS[[pair[side] for pair in PAIRS]] for side in (0, 1)]
    alone = bootstrap_intervals(two.scores, LABELS, *speakers, resamples=100)
    paired = difference_intervals(one.scores, two.scores, LABELS, *speakers, resamples=100)
    values = [compute_metrics(scores, LABELS) for scores in (one.scores, two.scores)]
    assert list(found.differences) == ["eer", "min_dcf_0.01", "min_dcf_0.05", "cllr", "cllr_min"]
    for name, difference in found.differences.items():
        assert (difference.first, difference.second) == pytest.approx((values[0][name], values[1][name]))
        assert difference.difference == difference.second - difference.first
        assert difference.intervals[1] == pytest.approx(alone[name])
        assert difference.interval == pytest.approx(paired[name])
    assert found.differences["cllr"].describe() == "lower in A"
    text = found.to_text()
    assert "EER" in text and "lower in A" in text and "630 trials (36 same-speaker) of 12 speakers" in text
    assert json.loads(json.dumps(found.to_dict()))["metrics"]["eer"]["values"][0] == pytest.approx(values[0]["eer"])


def test_each_group_is_compared_as_if_it_were_alone(corpus, calibrated, tmp_path):
    """Of the trials of either sex, and of those across the sexes, which are all of two speakers."""
    corpus = corpus.add_column("sex", ["F" if number < 15 else "M" for number in range(len(IDS))])
    both = [read_result(one) for one in calibrated]
    found = compare_results(corpus, *both, draws=20, folds=3, by="sex")
    assert list(found.groups) == ["F", "F / M", "M"] and found.by == "sex"
    of_trial = np.array([(a < 15) + (b < 15) for a, b in PAIRS])
    for name, number in (("F", 2), ("M", 0)):
        kept, group = np.flatnonzero(of_trial == number), found.groups[name]
        alone = compare_results(
            corpus, *(replace(one, trials=one.trials.select(kept), scores=one.scores[kept]) for one in both), draws=20
        )
        assert {**group.differences, "cllr_cross_validated": None} == {
            **alone.differences,
            "cllr_cross_validated": None,
        }
        assert (group.trials, group.same_speaker) == (len(kept), LABELS[kept].sum())
        assert (group.speakers, group.fewest_speakers) == (alone.num_speakers, alone.fewest_speakers)
        expected = compute_metrics(found.llrs[0][kept], LABELS[kept])["cllr"]  # calibrated on the trials of all groups
        assert group.differences["cllr_cross_validated"].first == pytest.approx(expected)
    text = found.to_text()
    assert f"sex F: {(of_trial == 2).sum():,} trials" in text and "so few that one of them can decide" in text
    assert "sex F / M: 315 trials (0 same-speaker) of 12 speakers: nothing is compared, since all" in text
    differences = [one for group in found.groups.values() for one in group.differences.values()]
    tell = [one for one in differences if one.describe().startswith(("lower", "no difference"))]
    assert 0 < len(tell) < len(differences) and f"Of {len(tell)} comparisons by sex, " in text
    told = json.loads(json.dumps(found.to_dict()))["by"]
    assert told["column"] == "sex" and told["groups"]["F / M"]["metrics"] == {}
    assert told["groups"]["M"]["metrics"]["eer"]["difference"] == found.groups["M"].differences["eer"].difference
    assert "by" not in compare_results(corpus, *both, draws=0).to_dict()
    with pytest.raises(UserError, match="channel"):
        compare_results(corpus, *both, draws=0, by="channel")


def test_a_system_does_not_differ_from_itself(corpus, calibrated):
    one = read_result(calibrated[0])
    found = compare_results(corpus, one, one, draws=20).differences
    assert {(difference.difference, difference.interval) for difference in found.values()} == {(0.0, (0.0, 0.0))}
    assert found["cllr"].describe() == "no difference that these speakers show"


@pytest.mark.parametrize(("scale", "zero"), [(1.0, 1e-7), (1e-3, -5.0), (7.0, 1000.0)])
def test_what_rounding_leaves_is_no_difference(corpus, tmp_path, scale, zero):
    """The same scores in another unit give the same likelihood ratios, but for rounding: neither is better."""
    one, two = (
        Result(name, trials, scores, are_ratios=True, about={})
        for name, trials, scores in (
            ("A", read_result(str(written(tmp_path / "a.csv", SCORES))).trials, SCORES),
            ("B", read_result(str(written(tmp_path / "b.csv", SCORES))).trials, SCORES * scale + zero),
        )
    )
    found = compare_results(corpus, one, two, draws=50, folds=4)
    crossed = found.differences["cllr_cross_validated"]
    assert abs(crossed.difference) < 1e-6 and crossed.describe() == "no difference that these speakers show"
    for interval in ((2e-12, 3e-12), (-3e-12, -2e-12)):
        assert replace(crossed, interval=interval).describe() == "no difference that these speakers show"
    assert replace(crossed, interval=(2e-5, 3e-5)).describe() == "lower in A"


def test_trials_in_another_order_and_repeated_are_the_same_trials(corpus, calibrated, tmp_path):
    order = np.random.default_rng(2).permutation(len(PAIRS)).tolist()
    order.append(order[0])
    swapped = [PAIRS[row][::-1] for row in order]
    again = read_result(str(written(tmp_path / "again.csv", SCORES[order], pairs=swapped)))
    found = compare_results(corpus, read_result(calibrated[0]), again, draws=0)
    np.testing.assert_allclose(found.scores[0], found.scores[1])
    assert found.left_out == (0, 0)
    assert found.differences["eer"].interval is None and found.differences["eer"].describe() == ""


def test_other_trials_are_refused_unless_those_in_common_are_asked_for(corpus, calibrated, tmp_path):
    some = read_result(str(written(tmp_path / "some.csv", SCORES[:500], pairs=PAIRS[:500])))
    with pytest.raises(UserError, match=r"130 are in the first only and 0 in the second only.*--common"):
        compare_results(corpus, read_result(calibrated[0]), some)
    found = compare_results(corpus, read_result(calibrated[0]), some, common=True, draws=0)
    assert len(found.labels) == 500 and found.left_out == (130, 0)
    assert any("Left out 130 trials of A" in text for text in found.cautions)
    none = [
        folder(tmp_path / f"part{part}", SCORES[rows], pairs=PAIRS[rows])
        for part, rows in enumerate((slice(0, 300), slice(300, None)))
    ]
    with pytest.raises(UserError, match="no trial in common"):
        compare_results(corpus, *map(read_result, none), common=True)


def test_the_corpus_may_lack_what_is_not_compared(corpus, calibrated, tmp_path):
    """A baseline scores what extraction skipped, too."""
    path = written(tmp_path / "more.csv", SCORES)
    with path.open("a") as file:
        file.write(f"skipped\t{IDS[0]}\t0.5\n")
    one, more = read_result(calibrated[0]), read_result(str(path))
    found = compare_results(corpus, one, more, common=True, draws=0)
    assert found.left_out == (0, 1) and len(found.labels) == len(PAIRS)
    with pytest.raises(UserError, match=r"does not name the speaker .*: it lacks 1 of them \(skipped\)"):
        compare_results(corpus, more, more)


def test_scores_the_wrong_way_round_are_told(corpus, calibrated, tmp_path):
    distances = read_result(str(written(tmp_path / "distances.csv", -SCORES)))
    told = compare_results(corpus, read_result(calibrated[0]), distances, draws=0).cautions
    assert [text[0] for text in told if "Are its scores distances" in text] == ["B"]


def test_cllr_is_of_calibrated_scores_only(corpus, calibrated, tmp_path):
    raw = read_result(folder(tmp_path / "raw", SCORES))
    found = compare_results(corpus, read_result(calibrated[0]), raw, draws=0)
    assert "cllr" not in found.differences and "cllr_min" in found.differences
    assert any("Cllr is not compared" in text for text in found.cautions)


def test_scores_that_are_no_ratios_are_compared_once_calibrated_on_the_trials(corpus, calibrated, tmp_path):
    """Neither the unit of scores nor their origin matters then."""
    raw = read_result(folder(tmp_path / "raw", SCORES / 10 + 50))
    found = compare_results(corpus, read_result(calibrated[0]), raw, draws=50, folds=4)
    assert found.llrs.shape == (2, 630) and found.folds == 4 and "cllr" not in found.differences
    speakers = found.speakers
    expected = cross_calibrated(found.scores[0], found.labels, speakers, folds=4, unit=None)
    np.testing.assert_array_equal(found.llrs[0], expected)
    np.testing.assert_allclose(found.llrs[1], expected, atol=1e-3)
    cllr = found.differences["cllr_cross_validated"]
    assert cllr.first == pytest.approx(compute_metrics(expected, found.labels)["cllr"])
    assert cllr.intervals[0] == pytest.approx(
        bootstrap_intervals(expected, found.labels, *speakers, resamples=50)["cllr"]
    )
    assert cllr.describe() == "no difference that these speakers show"
    assert "Cllr, cross-validated" in found.to_text() and "in 4 folds of speakers" in found.to_text()
    assert found.to_dict()["folds"] == 4
    assert set(found.differences) - {"cllr_cross_validated"} == set(
        compare_results(corpus, read_result(calibrated[0]), raw, draws=50).differences
    )


def test_more_folds_than_speakers_leave_one_out(corpus, calibrated):
    one, two = map(read_result, calibrated)
    alone, more = (compare_results(corpus, one, two, draws=0, folds=folds) for folds in (12, 40))
    assert (alone.folds, more.folds) == (12, 12)
    np.testing.assert_array_equal(alone.llrs, more.llrs)
    assert {"cllr", "cllr_cross_validated"} <= set(alone.differences)


def test_folds_that_cannot_calibrate_are_refused_with_the_system(corpus, calibrated, tmp_path):
    one = read_result(calibrated[0])
    backwards = read_result(folder(tmp_path / "backwards", -SCORES))
    with pytest.raises(
        UserError, match=r"backwards: cannot calibrate: .*scores of one speaker are no higher than those of two"
    ):
        compare_results(corpus, one, backwards, folds=4)
    for folds in (-1, 1, 2):
        with pytest.raises(ConfigError, match=rf"^folds={folds}: expected at least 3"):
            compare_results(corpus, one, one, folds=folds)


def test_bounded_scores_are_not_what_is_compared(tmp_path):
    place = folder(tmp_path / "validation", SCORES.clip(-1, 1), {"method": "affine"}, unbounded_scores=SCORES)
    np.testing.assert_allclose(read_result(place).scores, SCORES, rtol=1e-6)


def test_a_column_that_is_named_is_taken_for_no_ratio(tmp_path):
    place = folder(tmp_path / "one", SCORES, {"method": "affine"}, embedding_cosine=SCORES / 10)
    found = read_result(f"{place}:embedding_cosine")
    np.testing.assert_allclose(found.scores, SCORES / 10, rtol=1e-6)
    assert not found.are_ratios and read_result(place).are_ratios
    with pytest.raises(UserError, match="no column cosines: its columns are enrollment, test, scores"):
        read_result(f"{place}:cosines")


@pytest.mark.parametrize("between", [" ", "\t"])
@pytest.mark.parametrize(
    "line",
    ["{0} {1} {2:.5f}", "{0} {1} {2:.5f} {3}", "{0} {1} {2:.5f} {3} 11.2 9.87 0.1 0.12", "{0} {1} {4} {2:.5f}"],
    ids=["Kaldi", "WeSpeaker", "WeSpeaker after normalisation", "SpeechBrain"],
)
def test_scores_of_other_programs_lose_no_line(corpus, tmp_path, caplog, line, between):
    path = tmp_path / "scores"
    lines = [
        line.format(IDS[a], IDS[b], score, "target" if same else "nontarget", int(same))
        for (a, b), score, same in zip(PAIRS, SCORES, LABELS, strict=True)
    ]
    path.write_text("\n".join(lines).replace(" ", between) + "\n")
    found = read_result(str(path))
    np.testing.assert_allclose(found.scores, SCORES, atol=1e-5)
    assert not found.are_ratios and not [told for told in caplog.records if told.levelname != "INFO"]
    compared = compare_results(corpus, found, read_result(str(written(tmp_path / "same.csv", SCORES))), draws=0)
    assert compared.left_out == (0, 0) and abs(compared.differences["eer"].difference) < 1e-9
    assert not [text for text in compared.cautions if "contradict" in text]


def test_labels_of_other_programs_are_held_against_the_corpus(corpus, tmp_path):
    path = tmp_path / "wespeaker.score"
    path.write_text(
        "".join(f"{IDS[a]} {IDS[b]} {score:.5f} target\n" for (a, b), score in zip(PAIRS, SCORES, strict=True))
    )
    found = read_result(str(path))
    assert "594 of the 630 labels" in " ".join(compare_results(corpus, found, found, draws=0).cautions)


def test_a_first_line_with_a_score_is_no_header(tmp_path):
    path = tmp_path / "scores"
    path.write_text("a\tb\t0.5\ttarget\nc\td\t0.1\tnontarget\n")
    assert read_result(str(path)).scores.tolist() == [0.5, 0.1]
    path.write_text("a\tb\t0.5\ttarget\nc\td\n")
    with pytest.raises(UserError, match=r"line 2 of the trial list .* such as 'enrollment\ttest\tscores'"):
        read_result(str(path))


@pytest.mark.parametrize("line", ["a b tensor(0.5)", "enroll test score", "a,b,0.5", "a b target 0.5"])
def test_scores_of_no_known_form_are_refused_with_what_helps(tmp_path, line):
    path = tmp_path / "scores"
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(UserError, match=r"list of scores .* has no header .* ID ID SCORE; .* Put a header") as raised:
        read_result(str(path))
    header = str(raised.value).split("such as ")[1].strip("'")
    path.write_text(f"{header}\na b 0.5\n".replace(" ", "," if "," in header else " "))
    assert read_result(str(path)).scores.tolist() == [0.5]


@pytest.mark.parametrize("between", [",", " ", ";"])
@pytest.mark.parametrize("asked", ["\t", ","])
def test_each_list_has_the_separator_of_its_header(corpus, calibrated, tmp_path, between, asked):
    path = tmp_path / "baseline.csv"
    path.write_text(written(path, SCORES).read_text().replace("\t", between))
    both = read_result(calibrated[0], asked), read_result(str(path), asked)
    assert compare_results(corpus, *both, draws=0).differences["eer"].difference == 0
    path.write_text("".join(f"{IDS[a]} {IDS[b]} {score:.9g}\n" for (a, b), score in zip(PAIRS, SCORES, strict=True)))
    assert len(read_result(str(path), asked).trials) == len(PAIRS)


@pytest.mark.parametrize(
    "line", ["scores/a-scores.wav my-scores/b 0.5", "my scores/a\tb\t0.5", "a/scores b 0.5 target"]
)
def test_ids_with_the_word_scores_are_no_header(tmp_path, line):
    path = tmp_path / "list"
    path.write_text(f"{line}\nc\td\t0.25\n" if "\t" in line else f"{line}\n{line.replace('0.5', '0.25')}\n")
    assert read_result(str(path)).scores.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    "header", ["one#other#scores", '"one","other","scores"', "one;other;Scores", "a,b,raw-scores,scores"]
)
def test_a_column_of_scores_tells_the_separator(tmp_path, header):
    path = tmp_path / "list.csv"
    between = next(one for one in "#;," if one in header)
    cells = ["x", "y", *["0.5"] * (header.count(between) - 1)]
    path.write_text(f"{header}\n{between.join(cells)}\n")
    found = read_result(str(path))
    assert found.scores.tolist() == [0.5] and found.trials.sides == [["x"], ["y"]]


@pytest.mark.parametrize("between", [" ", "\t"])
def test_labels_are_not_taken_for_scores(tmp_path, between):
    path = tmp_path / "trials"
    path.write_text("a b 1\na c 0\n".replace(" ", between))
    with pytest.raises(UserError, match=r"has no column scores|1 and 0 alone stand where its scores would be"):
        read_result(str(path))
    path.write_text("a b 1\na c 0\nb c 0.5\n".replace(" ", between))
    assert read_result(str(path)).scores.tolist() == [1.0, 0.0, 0.5]
    path.write_text("a b 1.5\na c high\n".replace(" ", between))
    with pytest.raises(UserError, match=r"line 2 of the trial list|has no column scores"):
        read_result(str(path))


def test_what_was_wrong_with_a_result_is_told(corpus, tmp_path, calibrated):
    wrong = read_result(folder(tmp_path / "wrong", SCORES, mismatch=["Attributes of another model."]))
    found = compare_results(corpus, read_result(calibrated[0]), wrong, draws=0)
    assert "B: Attributes of another model." in found.cautions
    assert "! B: Attributes of another model." in found.to_text()


def test_results_of_corpora_that_are_called_differently_are_told(corpus, calibrated):
    """Copies of a corpus in another condition have the same ids, so that nothing else tells the two apart."""

    def cautions(*names):
        for place, name in zip(map(Path, calibrated), names, strict=True):
            metrics = json.loads((place / "metrics.json").read_text())
            (place / "metrics.json").write_text(json.dumps(metrics | {"corpus": name and {"name": name}}))
        found = compare_results(corpus, *map(read_result, calibrated), draws=0)
        return [text for text in found.cautions if "was scored on" in text]

    (told,) = cautions("clean.csv", "telephone.csv")
    assert told.startswith("A was scored on clean.csv and B on telephone.csv: if these do not")
    assert cautions("clean.csv", "clean.csv") == cautions("clean.csv", None) == []


def test_labels_of_a_list_that_contradict_the_corpus_are_told(corpus, tmp_path):
    said = LABELS.astype(int)
    right = read_result(str(written(tmp_path / "right.csv", SCORES, label=said)))
    said[:2] = 1 - said[:2]
    wrong = read_result(str(written(tmp_path / "wrong.csv", SCORES, targettype=said)))
    (told,) = [text for text in compare_results(corpus, right, wrong, draws=0).cautions if "contradict" in text]
    assert told.startswith("B: 2 of the 630 labels in the column 'targettype'") and told.endswith("go by the corpus.")


def test_speakers_whom_one_system_was_made_with_are_told(corpus, tmp_path, calibrated):
    """The figures of that system alone flatter it."""
    place = Path(calibrated[1])
    metrics = json.loads((place / "metrics.json").read_text())
    metrics["speakers_known_to_scorer"] = {"reference": ["a"], "calibration": ["a", "b"]}
    (place / "metrics.json").write_text(json.dumps(metrics))
    first = read_result(calibrated[0])
    told = "B: {} of these trials {} of the scorer: the figures flatter it."
    reference = told.format("1 speaker", "is in the reference population")
    calibration = (
        "B: 2 speakers of these trials are among those that the scorer was calibrated on: the figures flatter it."
    )
    cautions = compare_results(corpus, first, read_result(calibrated[1]), draws=0).cautions
    assert cautions[:2] == [reference, calibration]
    raw = compare_results(corpus, first, read_result(f"{place}:scores"), draws=0).cautions
    assert reference in raw and calibration not in raw


def test_results_that_are_none_are_refused(tmp_path, calibrated):
    with pytest.raises(UserError, match="no scores at"):
        read_result(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"has no metrics\.json"):
        read_result(str(tmp_path))
    with (tmp_path / "one" / "scores.csv").open("a") as file:
        file.write("s0-0\ts1-3\t9.0\n")
    with pytest.raises(UserError, match=r"is not the one that .* was computed from"):
        read_result(calibrated[0])
    with pytest.raises(UserError, match=r"1 of the 2 scores .* such as nan of s0-0 against s0-1"):
        read_result(str(written(tmp_path / "nan.csv", [np.nan, 1.0], pairs=PAIRS[:2])))
    path = tmp_path / "twice.csv"
    path.write_text("enrollment\ttest\tscores\tscores\na\tb\t1\t2\n")
    with pytest.raises(UserError, match="has 2 columns called scores"):
        read_result(str(path))
    path = tmp_path / "words.csv"
    for word in ("high", "1_0"):  # the second of which Python reads as 10
        path.write_text(f"enrollment\ttest\tscores\na\tb\t{word}\n")
        with pytest.raises(UserError, match=f"a value of the column scores is no number .*{word}"):
            read_result(str(path))
    path.write_text("Enrollment\tTest\tScores\na\tb\t2\n")
    assert read_result(str(path)).scores.tolist() == [2.0]
    path.write_text("Enrollment\tTest\tScores\tSCORES\na\tb\t2\t3\n")
    with pytest.raises(UserError, match="has 2 columns called scores"):
        read_result(str(path))
    path.write_text("Enrollment\tTest\tScores\tscores\na\tb\t2\t3\n")  # the second as this package calls it
    assert read_result(str(path)).scores.tolist() == [3.0]


def test_speakers_must_be_known_and_of_both_kinds(corpus, calibrated):
    one = read_result(calibrated[0])
    with pytest.raises(UserError, match="does not name the speaker"):
        compare_results(corpus.remove_columns("speaker"), one, one)
    alone = datasets.Dataset.from_dict({"id": IDS, "speaker": ["s"] * len(IDS)})
    with pytest.raises(UserError, match="all 630 trials are of one speaker"):
        compare_results(alone, one, one)


def test_no_winner_is_declared_where_single_trials_decide(corpus, calibrated):
    found = compare_results(corpus, *map(read_result, calibrated), draws=20)
    assert (~LABELS).sum() == 594  # one false alarm costs 99 / 594 at a prior of 0.01, and 19 / 594 at 0.05
    assert found.differences["min_dcf_0.01"].describe() == "single trials decide it"
    assert not found.differences["min_dcf_0.05"].is_of_single_trials
    assert "single trials decide it" in found.to_text()


def test_one_metric_of_several_that_differs_is_told(corpus, calibrated):
    found = compare_results(corpus, *map(read_result, calibrated), draws=20)
    same, other = Difference(1, 1, (None, None), 0.0, (-1.0, 1.0)), Difference(1, 2, (None, None), 1.0, (0.5, 1.5))
    for second, told in ((same, True), (other, False)):
        some = replace(found, differences={"eer": other, "cllr": second})
        assert any(text.startswith("One of 2 metrics differs") for text in some.cautions) == told


def test_few_speakers_are_told(corpus, tmp_path):
    few = [pair for pair in PAIRS if max(pair) < 12]
    rows = [PAIRS.index(pair) for pair in few]
    one = read_result(str(written(tmp_path / "few.csv", SCORES[rows], pairs=few)))
    assert any(text.startswith("Only 4 speakers") for text in compare_results(corpus, one, one, draws=5).cautions)


def test_pairs_that_are_listed_again_with_another_score_are_refused(corpus, tmp_path):
    listed = PAIRS + PAIRS[:1] + [PAIRS[1][::-1]]
    again = np.append(SCORES, SCORES[:2])
    one = read_result(str(written(tmp_path / "one.csv", SCORES)))
    same = compare_results(corpus, one, read_result(str(written(tmp_path / "two.csv", again, listed))), draws=0)
    np.testing.assert_array_equal(*same.scores)
    for row in (-1, -2):
        scores = again.copy()
        scores[row] += 1
        other = read_result(str(written(tmp_path / f"{row}.csv", scores, listed)))
        for both in ((one, other), (other, one)):
            with pytest.raises(UserError, match=r"lists 1 trials again, .* has .* and before .*List each pair"):
                compare_results(corpus, *both, draws=0)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '"scores_sha256"'])
def test_metrics_of_another_program_are_refused(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    written(tmp_path / "scores.csv", SCORES)
    with pytest.raises(UserError, match=r"metrics\.json is not from balr score test or balr validate"):
        read_result(str(tmp_path))
