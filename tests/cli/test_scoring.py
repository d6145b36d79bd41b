"""`balr score calibrate`, `balr score test` and `balr explain` in this process."""

import csv
import itertools
import json
import re
import shutil
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch

from balr_hf import BinaryAttributeAutoEncoder, load_corpus
from balr_hf.data import vector_matrix
from balr_hf.data.origins import Origin, add_origins, vector_digests
from balr_hf.data.quality import add_quality_column
from balr_hf.defaults import AUTOENCODER, resource
from balr_hf.evaluation import Evaluation
from balr_hf.hub.cards import CardFacts, model_card
from balr_hf.identity import model_identity
from balr_hf.metrics import cllr
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.scoring.quality_measures import sides_quality
from balr_hf.scoring.trials import read_trials, side_counts

PLOTS = ("parameters", "tippett", "det", "ece", "pav", "evidence")


def write_trials(path, pairs):
    path.write_text("\n".join(["enrollment\ttest", *(f"{a}\t{b}" for a, b in pairs)]) + "\n")
    return path


def save_corpus(folder, corpus):
    """The corpus as a saved Dataset, and all pairs of its recordings as a trial list."""
    corpus.save_to_disk(str(folder))
    return folder, write_trials(folder.with_name(f"{folder.name}-trials.csv"), itertools.combinations(corpus["id"], 2))


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def column(path, name):
    return np.array([row[name] for row in table(path)], dtype=float)


def strict_json(text):
    """What the text holds; NaN and Infinity, which are no JSON, are refused."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def only_error(said):
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert "Traceback" not in said
    return line


@pytest.fixture
def world(balr, make_corpus, tmp_path, monkeypatch):
    """A fitted scorer, and corpora of other speakers with all their pairs: `dev` and `test`."""
    monkeypatch.chdir(tmp_path)
    reference, _ = save_corpus(tmp_path / "reference", make_corpus(12, 6, attributes=32, name="r"))
    dev, dev_trials = save_corpus(tmp_path / "dev", make_corpus(9, 4, attributes=32, name="d", seed=1))
    test, test_trials = save_corpus(tmp_path / "test", make_corpus(5, 3, attributes=32, name="t", seed=2))
    scorer = tmp_path / "scorer"
    assert balr("score", "train", "--save-dir", scorer, reference)[0] == 0
    checkpoint = f"scorer.checkpoint_path={scorer}"
    found = SimpleNamespace(**locals())
    found.calibrate = lambda *words: balr("score", "calibrate", *words, dev, dev_trials, checkpoint)
    found.score = lambda *words: balr("score", "test", "--save-dir", "run", *words, test, test_trials, checkpoint)
    found.metrics = lambda: strict_json((tmp_path / "run" / "metrics.json").read_text())
    found.expected = lambda calibrated: expected_scores(scorer, test, test_trials, calibrated)
    return found


def expected_scores(scorer, corpus, path, calibrated):
    trials = read_trials(path)
    counts = side_counts(load_corpus(corpus), trials.sides)
    return load_scorer(scorer).score(counts[trials.enroll], counts[trials.test], calibrated).numpy()


# balr score train


@pytest.mark.parametrize("word", ["--K=3", "scorer.K=3"])
def test_more_values_than_binary_attributes_have_are_refused_in_one_line(world, balr, word):
    status, said = balr("score", "train", "--save-dir", "new", world.reference, word)
    assert status == 2 and "scorer.K=3: the attributes of a corpus are binary" in only_error(said)
    assert not (world.tmp_path / "new").exists()


def test_the_cosine_is_not_fitted_and_is_calibrated_as_the_error_says(world, balr):
    status, said = balr("score", "train", "--save-dir", "new", world.reference, "scorer=cosine")
    assert status == 2 and "balr score calibrate scorer=cosine --save-dir DIR calibrates it" in only_error(said)
    words = (world.dev, world.dev_trials, "scorer=cosine", "--save-dir", "new")
    assert balr("score", "calibrate", *words)[0] == 0
    assert load_scorer("new").config.calibration["num_speakers"] == 9


# balr score calibrate


def test_calibration_goes_into_the_scorers_folder(world):
    (world.scorer / "notes.txt").write_text("mine")
    weights = load_scorer(world.scorer).alpha
    status, said = world.calibrate()
    assert status == 0
    names = sorted(path.name for path in world.scorer.iterdir())
    assert names == ["calibration.json", "config.json", "model.safetensors", "notes.txt"]
    config = json.loads((world.scorer / "config.json").read_text())
    described = config["calibration"]
    assert (described["method"], described["penalty"], described["num_speakers"]) == ("affine", None, 9)
    assert (described["num_same_speaker"], described["num_different_speaker"]) == (9 * 6, 36 * 16)
    assert described["bounds"][0] < 0 < described["bounds"][1] and described["num_draws"] == 1000
    assert described["domain"]["speakers"] == 9 and described["domain"]["recordings_a_side"] == [1, 1]
    report = strict_json((world.scorer / "calibration.json").read_text())
    assert report["calibrated"]["cllr"] < report["raw"]["cllr"]
    assert report["calibrated"]["eer"] == pytest.approx(report["raw"]["eer"])
    assert "cross_validated" not in report
    assert f"{report['raw']['cllr']:.3f} raw, {report['calibrated']['cllr']:.3f} calibrated" in said
    assert "54 same-speaker and 576 different-speaker trials of 9 speakers" in said
    scorer = load_scorer(world.scorer)
    assert torch.equal(scorer.alpha, weights)
    assert scorer.known_speakers(["d0", "d8", "r0"], "calibration") == ["d0", "d8"]
    assert not list(world.scorer.parent.glob(".*"))


def test_calibration_is_fitted_anew_in_place_of_an_earlier_one(world):
    world.calibrate("--method", "fusion")
    world.calibrate()
    scorer = load_scorer(world.scorer)
    assert scorer.config.calibration["method"] == "affine"
    assert len(scorer.calibration_weights.unique()) == 1


def test_calibration_of_another_folder_leaves_the_scorer_alone(world):
    before = contents(world.scorer)
    assert world.calibrate("--save-dir", "calibrated")[0] == 0
    assert contents(world.scorer) == before
    assert load_scorer(world.tmp_path / "calibrated").is_calibrated
    assert sorted(contents(world.tmp_path / "calibrated")) == ["calibration.json", "config.json", "model.safetensors"]


def test_speakers_of_the_packages_own_embedder_are_told_of(world, balr, make_corpus, tiny_embedder):
    told = "of the speakers are those that the embedder was trained on (1034): it tells them apart better"
    corpus = make_corpus(9, 4, attributes=32, name="d", seed=1)
    names = ["1034" if name == "d3" else name for name in corpus["speaker"]]
    corpus = corpus.remove_columns(["speaker", "embedding"]).add_column("speaker", names)
    digests = vector_digests(vector_matrix(corpus, "ba")[0])
    for embedder, is_told in ((model_identity(tiny_embedder), True), (f"other@{'0' * 64}", False)):
        made = [Origin("a@1", "fp32", "", digest, embedder) for digest in digests]
        folder, trials = save_corpus(world.tmp_path / f"made-{is_told}", add_origins(corpus, "ba", made))
        status, said = balr("score", "calibrate", folder, trials, world.checkpoint, "--save-dir", f"new-{is_told}")
        assert (status, told in said) == (0, is_told), said


def test_cosine_can_be_calibrated_too(world, balr):
    assert balr("score", "calibrate", world.dev, world.dev_trials, "scorer=cosine")[0] == 0
    folder = world.tmp_path / "runs" / "scorer" / "calibrated"
    assert load_scorer(folder).config.calibration["num_speakers"] == 9
    words = ["--bootstrap", "0", world.test, world.test_trials, f"scorer.checkpoint_path={folder}"]
    assert balr("score", "test", "--save-dir", "run", *words)[0] == 0
    assert world.metrics()["cllr"] < world.metrics()["raw"]["cllr"]


def test_folds_report_what_to_expect_of_new_speakers(world):
    found = []
    for folds in (5, 7):
        status, said = world.calibrate("--folds", str(folds))
        assert status == 0
        report = strict_json((world.scorer / "calibration.json").read_text())
        crossed = report["cross_validated"]
        assert crossed["folds"] == folds
        assert 0 < crossed["cllr"] < 2
        assert f"{crossed['cllr']:.3f} cross-validated by speaker ({folds} folds)" in said
        assert report["validation"]["cllr"] == pytest.approx(crossed["cllr"])  # which reports show
        found.append(crossed["cllr"])
    assert found[0] != found[1]


def test_fusion_weighs_the_attributes(world):
    assert world.calibrate("--method", "fusion")[0] == 0
    scorer = load_scorer(world.scorer)
    assert scorer.config.calibration["method"] == "fusion"
    assert scorer.config.calibration["penalty"] > 0
    assert (scorer.calibration_weights >= 0).all()
    assert len(scorer.calibration_weights.unique()) > 1


def test_speakers_of_the_reference_population_are_refused_by_name(world, balr):
    before = contents(world.scorer)
    trials = world.tmp_path / "reference-trials.csv"
    words = ["score", "calibrate", world.reference, trials, world.checkpoint]
    status, said = balr(*words)
    assert status == 1
    told = (
        "In the scorer's reference population: 12 speakers of the trials (r0, r1, r10, r11, r2 and 7 more). So their"
    )
    assert told in only_error(said)
    assert contents(world.scorer) == before
    assert balr(*words, "--allow-overlap")[0] == 0
    assert load_scorer(world.scorer).is_calibrated


def test_trials_to_calibrate_on_need_speakers(world, balr):
    corpus, trials = save_corpus(world.tmp_path / "nameless", load_corpus(world.dev).remove_columns("speaker"))
    status, said = balr("score", "calibrate", corpus, trials, world.checkpoint)
    assert status == 1
    assert "must name the speaker of every recording" in only_error(said)


def test_all_unknown_recordings_are_named(world, balr):
    write_trials(world.dev_trials, [("d0", "d1"), ("x1", "d4"), ("d0", "x2,x3")])
    status, said = world.calibrate()
    assert status == 1
    line = only_error(said)
    assert "--leave-out-missing leaves these out" in line and "(whose ids are such as d0): x1, x2, x3" in line
    for way_out in ("skipped.csv", "balr extract --min-speech 0"):
        assert way_out in line


def test_trials_of_missing_recordings_are_left_out_if_that_is_asked_for(world, balr):
    """Recordings that the corpus lacks, and those without attributes; what is left is scored as if listed alone."""
    corpus = load_corpus(world.test)
    names = corpus["id"]
    bits = [None if name == names[1] else row for name, row in zip(names, corpus["ba"], strict=True)]
    corpus = corpus.remove_columns("ba").add_column("ba", bits, feature=corpus.features["ba"])
    corpus.save_to_disk(str(world.tmp_path / "lacking"))
    pairs = [*itertools.combinations([names[0], *names[2:]], 2)]
    both = write_trials(world.tmp_path / "both.csv", [(names[0], f"{names[2]},x1"), (names[1], names[4]), *pairs])
    alone = write_trials(world.tmp_path / "alone.csv", pairs)

    def score(folder, trials, *words):
        return balr("score", "test", "--save-dir", folder, *words, "lacking", trials, world.checkpoint)

    status, said = score("refused", both)
    assert status == 1 and f": x1; without attributes (run balr binarize first): {names[1]}" in said
    status, said = score("run", both, "--leave-out-missing")
    assert status == 0 and score("expected", alone)[0] == 0
    told = f"Left out 2 of the {len(pairs) + 2} trials, which are of recordings that are not in the corpus or have no "
    assert f"{told}attributes (2): {', '.join(sorted(['x1', names[1]]))}\n" in said
    assert table(world.tmp_path / "run" / "scores.csv") == table(world.tmp_path / "expected" / "scores.csv")
    found, expected = (
        json.loads((world.tmp_path / name / "metrics.json").read_text()) for name in ("run", "expected")
    )
    assert found["trials"] == len(pairs) and found["cllr"] == expected["cllr"]
    assert found["trial_list"] == f"{both}, without 2 trials of recordings that are missing"
    assert expected["trial_list"] == str(alone)


def test_calibration_is_that_of_the_trials_that_are_left(world):
    assert world.calibrate("--save-dir", "expected")[0] == 0
    with world.dev_trials.open("a") as file:
        file.write("d0\tx1\n")
    assert world.calibrate("--save-dir", "refused")[0] == 1
    status, said = world.calibrate("--save-dir", "left", "--leave-out-missing")
    assert status == 0 and "Left out 1 of the 631 trials" in said
    found, expected = ((world.tmp_path / name / "calibration.json").read_text() for name in ("left", "expected"))
    assert json.loads(found) == json.loads(expected)


def test_list_of_voxceleb_is_scored_and_calibrated_on_as_one_of_this_package(world, balr):
    for name, path in (("dev", world.dev_trials), ("test", world.test_trials)):
        corpus = load_corpus(getattr(world, name))
        speaker = dict(zip(corpus["id"], corpus["speaker"], strict=True))
        pairs = [(row["enrollment"], row["test"]) for row in table(path)]
        lines = [f"{int(speaker[a] == speaker[b])} {a}.wav {b}.wav" for a, b in pairs]
        path.with_suffix(".txt").write_text("\n".join(lines) + "\n")
    found = []
    for end in (".csv", ".txt"):
        listed = [world.dev_trials.with_suffix(end), world.test_trials.with_suffix(end)]
        words = [world.dev, listed[0], world.checkpoint, "--save-dir", f"calibrated{end}"]
        status, said = balr("score", "calibrate", *words)
        assert status == 0, said
        words = [world.test, listed[1], f"scorer.checkpoint_path=calibrated{end}", "--save-dir", f"run{end}"]
        status, said = balr("score", "test", *words, "--bootstrap", "0")
        assert status == 0, said
        found.append(table(world.tmp_path / f"run{end}" / "scores.csv"))
    assert "Matched 15 of the 15 recordings" in said and "t0.wav is t0 there" in said
    assert "as VoxCeleb's (1|0 ID ID)" in said and "contradict" not in said
    own, voxceleb = found
    assert list(voxceleb[0]) == ["label", "enrollment", "test", "scores", "raw_scores", "embedding_cosine"]
    assert [(row["scores"], row["raw_scores"]) for row in voxceleb] == [(r["scores"], r["raw_scores"]) for r in own]
    assert [row["enrollment"] for row in voxceleb] == [f"{row['enrollment']}.wav" for row in own]


@pytest.mark.parametrize("pairs", [[("d0", "d1"), ("d4", "d5")], [("d0", "d4"), ("d1", "d8")]])
def test_trials_of_one_kind_are_refused(world, pairs):
    before = contents(world.scorer)
    write_trials(world.dev_trials, pairs)
    status, said = world.calibrate()
    assert status == 1
    assert "calibration needs both kinds of trials; all 2 are of one" in only_error(said)
    assert contents(world.scorer) == before


def test_labels_that_contradict_the_speakers_are_refused_or_told(world):
    told = "labels in the column 'label' of the trial list contradict the corpus"
    for path in (world.dev_trials, world.test_trials):
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([f"{header}\tlabel", *(f"{row}\t1" for row in rows)]) + "\n")
    status, said = world.score()
    assert status == 0 and told in said
    assert world.metrics()["different_speaker"] > 0  # the corpus decides
    before = contents(world.scorer)
    status, said = world.calibrate()
    assert status == 1 and "576 of the 630" in only_error(said) and told in said
    assert contents(world.scorer) == before


def test_too_few_speakers_for_the_folds_is_an_error_that_says_so(world):
    write_trials(world.dev_trials, itertools.combinations([f"d{n}" for n in range(8)], 2))
    status, said = world.calibrate("--folds", "5")
    assert status == 1
    assert "too few speakers to cross-validate a calibration with 5 folds" in only_error(said)
    assert not load_scorer(world.scorer).is_calibrated


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "isotonic"], "argument --method: invalid choice: 'isotonic'"),
        (["--folds", "2"], "bad value 2 for folds: expected at least 3"),
    ],
)
def test_bad_options_of_calibrate(world, words, message):
    status, said = world.calibrate(*words)
    assert status == 2
    assert message in only_error(said)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_scorer_stays_as_it_was_if_it_cannot_be_saved(world, monkeypatch, error):
    before = contents(world.scorer)

    def fail(self, folder, **kwargs):
        (folder / "config.json").write_text("half")
        raise error

    monkeypatch.setattr(Scorer, "save_pretrained", fail)
    status, _ = world.calibrate()
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert contents(world.scorer) == before
    assert not list(world.tmp_path.glob(".*"))


# balr score test


def test_scores_are_calibrated_with_the_raw_ones_beside_them(world):
    world.calibrate()
    status, said = world.score("--bootstrap", "20")
    assert status == 0
    scores = world.tmp_path / "run" / "scores.csv"
    assert list(table(scores)[0]) == ["enrollment", "test", "scores", "raw_scores", "embedding_cosine"]
    np.testing.assert_allclose(column(scores, "scores"), world.expected(True), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(column(scores, "raw_scores"), world.expected(False), rtol=1e-6, atol=1e-6)
    assert "105 trials (15 same-speaker) of 5 speakers; DirichletMultinomialScorer, affine calibration" in said
    metrics = world.metrics()
    assert metrics["calibration"]["num_speakers"] == 9
    assert (metrics["trials"], metrics["same_speaker"], metrics["different_speaker"]) == (105, 15, 90)
    assert {"eer", "cllr", "cllr_min", "devpav", "min_dcf_0.01", "embedding_cosine_eer"} <= set(metrics)
    assert metrics["raw"]["cllr"] != metrics["cllr"]
    corpus = load_corpus(world.test)
    speaker = dict(zip(corpus["id"], corpus["speaker"], strict=True))
    labels = np.array([speaker[row["enrollment"]] == speaker[row["test"]] for row in table(scores)])
    within = cllr(world.expected(True).clip(*metrics["calibration"]["bounds"]), labels)
    assert metrics["bounded"]["cllr"] == pytest.approx(within) != pytest.approx(metrics["cllr"])
    assert f"Cllr  {within:.3f} with all LRs held within the calibration's bounds (LR 1/" in said
    read = Evaluation.from_dict(metrics)
    assert read.describe_bounds() in said and read.to_dict()["bounded"] == metrics["bounded"]
    assert (metrics["intervals"].pop("confidence"), metrics["intervals"].pop("draws_of_speakers")) == (0.95, 20)
    assert {"eer", "cllr"} <= set(metrics["intervals"])
    for name, (low, high) in metrics["intervals"].items():
        assert name in metrics
        assert low is None or low <= high


def test_calibration_can_be_left_out(world):
    world.calibrate()
    status, said = world.score("--no-calibrated", "--bootstrap", "0")
    assert (status, "not calibrated" in said) == (0, True)
    scores = world.tmp_path / "run" / "scores.csv"
    assert list(table(scores)[0]) == ["enrollment", "test", "scores", "embedding_cosine"]
    np.testing.assert_allclose(column(scores, "scores"), world.expected(False), rtol=1e-6, atol=1e-6)
    assert world.metrics()["calibration"] is None
    assert not {"raw", "bounded", "unbounded", "intervals"} & set(world.metrics())


def test_scorer_that_is_not_calibrated_gives_raw_scores(world):
    status, said = world.score("--bootstrap", "0")
    assert (status, "DirichletMultinomialScorer, not calibrated" in said) == (0, True)
    raw = "The scores are raw, and no likelihood ratios."
    assert raw in said and strict_json((world.tmp_path / "run" / "metrics.json").read_text())["cautions"][0] == raw
    scores = world.tmp_path / "run" / "scores.csv"
    np.testing.assert_allclose(column(scores, "scores"), world.expected(False), rtol=1e-6, atol=1e-6)


def test_speakers_calibrated_on_are_scored_raw_unless_allowed(world, balr):
    world.calibrate()
    words = ["--bootstrap", "0", world.dev, world.dev_trials, world.checkpoint]
    status, said = balr("score", "test", "--save-dir", "raw", *words)
    assert status == 0
    assert "Left the scores raw: the scorer was calibrated on 9 speakers of the test (d0, d1, d2, d3, d4 and 4" in said
    assert "raw_scores" not in table(world.tmp_path / "raw" / "scores.csv")[0]
    assert strict_json((world.tmp_path / "raw" / "metrics.json").read_text())["calibration"] is None
    status, said = balr("score", "test", "--save-dir", "allowed", "--allow-overlap", *words)
    assert (status, "Left the scores raw" in said) == (0, False)
    expected = expected_scores(world.scorer, world.dev, world.dev_trials, True)
    np.testing.assert_allclose(column(world.tmp_path / "allowed" / "scores.csv", "scores"), expected, 1e-6, 1e-6)


def test_speakers_of_the_reference_population_are_warned_of(world, balr):
    trials = write_trials(world.tmp_path / "some.csv", [("r0", "r1"), ("r0", "r6"), ("r7", "r8"), ("r1", "r12")])
    words = ["score", "test", "--bootstrap", "0", world.reference, trials, world.checkpoint]
    status, said = balr(*words)
    assert status == 0
    assert "In the scorer's reference population: 3 speakers of the test (r0, r1, r2). The figures flatter it" in said
    assert "reference population" not in balr(*words, "--allow-overlap")[1]
    assert "reference population" not in world.score("--bootstrap", "0")[1]


@pytest.fixture
def wide(balr, make_corpus, tmp_path, monkeypatch):
    """A calibrated scorer of attributes that tell recordings apart, and its corpora with other names of speakers."""
    monkeypatch.chdir(tmp_path)
    corpora = {name: make_corpus(*of, attributes=160, name=name) for name, of in {"r": (12, 6), "d": (9, 4)}.items()}
    found = {name: save_corpus(tmp_path / name, corpus) for name, corpus in corpora.items()}
    checkpoint = f"scorer.checkpoint_path={tmp_path / 'scorer'}"
    assert balr("score", "train", "--save-dir", "scorer", found["r"][0])[0] == 0
    assert balr("score", "calibrate", *found["d"], checkpoint)[0] == 0
    for name, corpus in corpora.items():
        speakers = [f"someone {speaker}" for speaker in corpus["speaker"]]
        renamed = corpus.remove_columns(["speaker", "embedding"]).add_column("speaker", speakers)
        found[f"renamed {name}"] = save_corpus(tmp_path / f"renamed-{name}", renamed)
        found[f"nameless {name}"] = save_corpus(tmp_path / f"nameless-{name}", renamed.remove_columns("speaker"))
    return SimpleNamespace(checkpoint=checkpoint, **{name.replace(" ", "_"): pair for name, pair in found.items()})


def test_recordings_of_the_reference_population_under_other_names_are_not_calibrated_on(wide, balr):
    words = ["score", "calibrate", "--save-dir", "again", *wide.renamed_r, wide.checkpoint]
    status, said = balr(*words)
    assert status == 1
    assert "72 recordings of the trials, under whatever names (r0, r1, " in only_error(said)
    assert "Leave these recordings out; --allow-overlap takes them all the same" in only_error(said)
    assert balr(*words, "--allow-overlap")[0] == 0


@pytest.mark.parametrize("names", ["renamed", "nameless"])
def test_recordings_that_were_calibrated_on_are_scored_raw_whatever_their_names(wide, balr, tmp_path, names):
    words = ["score", "test", "--bootstrap", "0", *getattr(wide, f"{names}_d"), wide.checkpoint, "--save-dir"]
    status, said = balr(*words, "run")
    assert status == 0
    assert "Left the scores raw: the scorer was calibrated on 36 recordings of the test, under whatever" in said
    metrics = strict_json((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["calibration"] is None and metrics["speakers_known_to_scorer"]["calibration"] == []
    assert len(metrics["recordings_known_to_scorer"]["calibration"]) == 36
    assert metrics["recordings_known_to_scorer"]["reference"] == []
    assert "Left the scores raw" not in balr(*words, "allowed", "--allow-overlap")[1]
    other = balr("score", "test", "--bootstrap", "0", *getattr(wide, f"{names}_r"), wide.checkpoint)[1]
    assert "72 recordings of the test, under whatever names (r0, " in other and "The figures flatter it" in other


def test_recordings_that_the_scorer_was_made_with_are_cautioned_of(wide, balr):
    words = ["explain", wide.checkpoint, "--corpus"]
    said = balr(*words, wide.nameless_d[0], "d0", "d4")[1]
    for name in ("d0", "d4"):
        assert f"{name} is one that the scorer was calibrated on, as a recording: the figure flatters" in said
    said = balr(*words, wide.nameless_r[0], "r0", "r1,r7")[1]
    for name in ("r0", "r1", "r7"):
        assert f"{name} is in the scorer's reference population, as a recording: the figure flatters" in said


def test_metrics_are_broken_down_by_a_column(world, balr):
    corpus = load_corpus(world.test)
    sexes = ["f" if int(name[1:]) % 2 else "m" for name in corpus["speaker"]]
    corpus.add_column("sex", sexes).save_to_disk("by-sex")
    words = ["score", "test", "--save-dir", "broken", "--bootstrap", "20", "by-sex", world.test_trials]
    status, said = balr(*words, "--by", "sex", f"scorer.checkpoint_path={world.scorer}")
    assert status == 0 and "sex f: " in said
    found = strict_json((world.tmp_path / "broken" / "metrics.json").read_text())
    assert found["by"]["column"] == "sex" and set(found["by"]["groups"]) == {"f", "m", "f / m"}
    assert sum(part["trials"] for part in found["by"]["groups"].values()) == found["trials"]
    assert found["by"]["groups"]["f / m"]["note"].endswith("all of one kind")
    assert 0 <= found["by"]["groups"]["f"]["eer"] <= 1
    status, said = balr(*words, "--exist-ok", "--within", "sex", f"scorer.checkpoint_path={world.scorer}")
    kept = strict_json((world.tmp_path / "broken" / "metrics.json").read_text())
    assert status == 0 and f"leaves out {found['trials'] - kept['trials']} of" in said
    assert kept["same_speaker"] == found["same_speaker"] and kept["different_speaker"] < found["different_speaker"]
    status, said = balr(*words, "--exist-ok", "--by", "channel", f"scorer.checkpoint_path={world.scorer}")
    assert status == 1 and "no column channel" in said


def test_a_calibration_may_compare_within_a_sex(world, balr):
    corpus = load_corpus(world.dev)
    sexes = ["f" if int(name[1:]) % 2 else "m" for name in corpus["speaker"]]
    corpus.add_column("sex", sexes).save_to_disk("by-sex")
    words = ["score", "calibrate", "by-sex", world.dev_trials, world.checkpoint]
    assert balr(*words, "--save-dir", "all")[0] == 0
    status, said = balr(*words, "--save-dir", "within", "--within", "sex")
    assert status == 0 and "--within sex leaves out" in said
    kinds = [load_scorer(name).config.calibration for name in ("all", "within")]
    assert kinds[1]["num_same_speaker"] == kinds[0]["num_same_speaker"]
    assert kinds[1]["num_different_speaker"] < kinds[0]["num_different_speaker"]
    assert kinds[1]["within"] == "sex" and "within" not in kinds[0]
    counts = side_counts(corpus, [[corpus["id"][0]], [corpus["id"][-1]]])
    rows = dict(load_scorer("within").explain(*counts).describe_method())
    assert rows["Calibration"].endswith("its different speakers have the same sex")
    status, said = balr(*words, "--save-dir", "none", "--within", "speaker")
    assert status == 1 and "no two different speakers of the trials share a value of it" in said


def test_a_calibration_may_compare_across_sessions(world, balr):
    corpus = load_corpus(world.dev)
    corpus.add_column("session", [f"{number % 2}" for number in range(len(corpus))]).save_to_disk("sessions")
    words = ["score", "calibrate", "sessions", world.dev_trials, world.checkpoint]
    assert balr(*words, "--save-dir", "all")[0] == 0
    status, said = balr(*words, "--save-dir", "across", "--across", "session")
    assert status == 0 and re.search(r"--across session leaves out \d+ of \d+ same-speaker trials", said)
    kinds = [load_scorer(name).config.calibration for name in ("all", "across")]
    assert kinds[1]["num_different_speaker"] == kinds[0]["num_different_speaker"]
    assert kinds[1]["num_same_speaker"] < kinds[0]["num_same_speaker"]
    assert kinds[1]["domain"]["sessions"] == {"same_speaker": kinds[1]["num_same_speaker"], "within_one": 0}
    assert kinds[1]["across"] == "session" and "across" not in kinds[0]
    counts = side_counts(corpus, [[corpus["id"][0]], [corpus["id"][-1]]])
    rows = dict(load_scorer("across").explain(*counts).describe_method())
    assert rows["Calibration"].endswith("recordings of one speaker differ in session")
    corpus.add_column("session", ["1"] * len(corpus)).save_to_disk("one-session")
    words = ["score", "calibrate", "one-session", world.dev_trials, world.checkpoint, "--save-dir", "one"]
    status, said = balr(*words)
    assert status == 0 and "same-speaker trials compare recordings of one session. Recordings of one speaker" in said
    status, said = balr(*words, "--across", "session")
    assert status == 1 and "--across session: no speaker of the trials has recordings that differ in it" in said


def test_conditions_and_thresholds_are_in_the_metrics(world):
    world.calibrate()
    assert world.score()[0] == 0
    metrics = world.metrics()
    assert metrics["bayes_thresholds"]["0.5"] == 0
    assert metrics["bayes_thresholds"]["0.01"] == pytest.approx(np.log(99))
    for prior in ("0.01", "0.05"):
        assert metrics["act_dcf"][prior] >= metrics[f"min_dcf_{prior}"] - 1e-12
    assert metrics["domain"]["measured"] == 0 and metrics["domain"]["sides"] > 0


def test_trials_outside_are_named_and_told(world, balr):
    def measured(corpus, **odd):
        usual = {"duration": 8.0, "net_speech": 6.0, "level": -25.0, "peak": -6.0, "snr": 30.0, "snr_method": "pauses"}
        usual |= {"bandwidth": 8000.0, "clipping": 0.0, "tone": None, "tone_share": 0.0, "dc_offset": 0.0}
        found = {name: {**usual, "sampling_rate": 16000, **odd.get(name, {})} for name in corpus["id"]}
        return add_quality_column(corpus, found)

    dev, trials = save_corpus(world.tmp_path / "measured-dev", measured(load_corpus(world.dev)))
    assert balr("score", "calibrate", dev, trials, world.checkpoint)[0] == 0
    odd = {"t0": {"snr": 3.0}, "t1": {"snr": 3.0, "bandwidth": 3500.0}}
    corpus, trials = save_corpus(world.tmp_path / "measured-test", measured(load_corpus(world.test), **odd))
    words = ["--bootstrap", "0", "--save-dir", "run", corpus, trials, world.checkpoint]
    status, said = balr("score", "test", *words)
    rows = table(world.tmp_path / "run" / "scores.csv")
    assert status == 0 and list(rows[0])[-1] == "outside"
    for row in rows:
        pair = {row["enrollment"], row["test"]}
        expected = ["snr"] * bool(pair & {"t0", "t1"}) + ["bandwidth"] * ("t1" in pair)
        expected += ["snr_difference"] * (len(pair & {"t0", "t1"}) == 1) + ["bandwidth_difference"] * ("t1" in pair)
        assert row["outside"] == ";".join(expected)
    within = np.array([not row["outside"] for row in rows])
    metrics = world.metrics()
    assert metrics["domain"]["trials_beyond_limits"] == (~within).sum() == 27
    assert "2 of 15 sides lie beyond the limits" in said and "(SNR 2, bandwidth 1), and so do 27 of 105 trials" in said
    speaker = dict(zip(load_corpus(corpus)["id"], load_corpus(corpus)["speaker"], strict=True))
    labels = np.array([speaker[row["enrollment"]] == speaker[row["test"]] for row in rows])
    scores = column(world.tmp_path / "run" / "scores.csv", "scores")
    assert metrics["within"]["cllr"] == pytest.approx(cllr(scores[within], labels[within]), rel=1e-5)
    assert f"Of the 78 trials within ({labels[within].sum()} same-speaker): EER" in said
    assert Evaluation.from_dict(metrics).to_dict().items() <= metrics.items()


def test_metrics_without_a_value_are_null(world):
    """Two trials that the scores tell apart: devPAV has none."""
    scores = dict(
        zip([(r["enrollment"], r["test"]) for r in table(world.test_trials)], world.expected(False), strict=True)
    )
    speaker = dict(zip(load_corpus(world.test)["id"], load_corpus(world.test)["speaker"], strict=True))
    same = max((pair for pair in scores if speaker[pair[0]] == speaker[pair[1]]), key=scores.get)
    different = min((pair for pair in scores if speaker[pair[0]] != speaker[pair[1]]), key=scores.get)
    write_trials(world.test_trials, [same, different])
    assert world.score("--bootstrap", "20")[0] == 0
    assert world.metrics()["eer"] == 0
    assert world.metrics()["devpav"] is None


def test_scores_without_speakers_are_written_but_not_evaluated(world, balr):
    corpus, trials = save_corpus(world.tmp_path / "nameless", load_corpus(world.test).remove_columns("speaker"))
    world.calibrate()
    status, said = balr("score", "test", "--save-dir", "run", "--plots", corpus, trials, world.checkpoint)
    assert (status, "105 trials scored; not evaluated" in said) == (0, True)
    assert "No plots of the scores: not evaluated: the speakers of the recordings are not all known" in said
    assert sorted(contents(world.tmp_path / "run" / "plots")) == ["parameters.png", "parameters.svg"]
    scores = column(world.tmp_path / "run" / "scores.csv", "scores")
    np.testing.assert_allclose(scores, world.expected(True), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("calibrated", [True, False])
def test_plots_are_drawn(world, calibrated):
    if calibrated:
        world.calibrate()
    status, said = world.score("--plots", "--bootstrap", "0")
    assert (status, f"Drew {', '.join(PLOTS)} in" in said) == (0, True)
    files = contents(world.tmp_path / "run" / "plots")
    assert sorted(files) == sorted(f"{name}.{ending}" for name in PLOTS for ending in ("png", "svg"))
    for name, content in files.items():
        assert content.startswith(b"\x89PNG") if name.endswith("png") else b"<svg" in content


def test_cosine_has_no_parameters_to_draw(world, balr):
    words = ["--save-dir", "run", "--plots", "--bootstrap", "0", world.test, world.test_trials, "scorer=cosine"]
    assert balr("score", "test", *words)[0] == 0
    assert {name.split(".")[0] for name in contents(world.tmp_path / "run" / "plots")} == set(PLOTS[1:])


# balr explain


@pytest.fixture
def explain(world, balr):
    """Explains recordings of the world's test corpus, `t0` to `t14`, three of each speaker."""
    return lambda *words: balr("explain", "--corpus", world.test, *words, world.checkpoint)


def explained(said):
    """The JSON among what was said: it comes first."""
    return json.JSONDecoder(parse_constant=pytest.fail).raw_decode(said[said.index("{") :])[0]


@pytest.fixture(scope="module")
def audio(tmp_path_factory, root):
    """Three recordings of the sample corpus: two of one voice, one of another."""
    folder = tmp_path_factory.mktemp("audio")
    for voice, number in (("01", "01"), ("01", "02"), ("17", "01")):
        name = f"espeak{voice}-{number}.opus"
        shutil.copy(root / "resources" / "data" / "sample" / f"espeak{voice}" / name, folder)
    return folder


def test_two_audio_files_are_compared_by_the_shipped_models(balr, audio, tmp_path):
    known, other = audio / "espeak01-01.opus", audio / "espeak17-01.opus"
    status, said = balr("explain", "--json", "--html", tmp_path / "new" / "page.html", known, other)
    assert status == 0
    result = explained(said)
    assert result["a"] == {"name": str(known), "speaker": None}
    assert len(result["attributes"]) == result["num_attributes"] == 512
    total = sum(row["llr"] for row in result["attributes"]) + (result["offset"] or 0)
    assert result["unbounded_llr"] == pytest.approx(total)
    assert result["demonstration"] and result["verbal"] and "Software" in dict(result["details"])
    assert dict(result["details"])["Precision"] == "of the embeddings: fp32"
    assert [result["quality"][side][0]["net_speech"] > 1 for side in "ab"] == [True, True]
    page = (tmp_path / "new" / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert "espeak17-01.opus" in page
    assert f"Wrote {tmp_path / 'new' / 'page.html'}" in said
    assert sorted(path.name for path in audio.iterdir()) == [
        "espeak01-01.opus",
        "espeak01-02.opus",
        "espeak17-01.opus",
    ]


def test_attributes_are_computed_where_the_corpus_has_only_audio(balr, audio, tmp_path):
    rows = "espeak01-01,espeak01\nespeak01-02,espeak01\nespeak17-01,espeak17\n"
    lines = [f"{row.split(',')[0]},{row.split(',')[0]}.opus,{row.split(',')[1]}" for row in rows.split()]
    (audio / "corpus.csv").write_text("\n".join(["id,audio,speaker", *lines]) + "\n")
    try:
        words = ["explain", "--json", "--corpus", audio / "corpus.csv"]
        status, said = balr(*words, "espeak01-01,espeak01-02", "espeak17-01")
    finally:
        (audio / "corpus.csv").unlink()
    assert status == 0
    result = explained(said)
    assert result["a"] == {"name": "espeak01-01, espeak01-02", "speaker": "espeak01"}
    assert result["attributes"][0]["a"][1] == 2
    assert result["attributes"][0]["b"][1] == 1
    assert not list(audio.glob("*_ba.*"))


def test_attributes_of_the_corpus_are_taken(world, explain):
    status, said = explain("--json", "t0", "t3")
    assert status == 0
    result = explained(said)
    trials = read_trials(world.test_trials)
    (row,) = [n for n, row in enumerate(trials.rows) if row == ["t0", "t3"]]
    assert result["llr"] == pytest.approx(world.expected(False)[row])
    assert result["llr"] == pytest.approx(sum(term["llr"] for term in result["attributes"]))
    assert (result["calibrated"], result["offset"], result["verbal"]) == (False, None, None)
    assert [result[side]["speaker"] for side in "ab"] == ["t0", "t1"]
    bits = load_corpus(world.test)[0]["ba"]
    assert all(term["a"] == [int(bits[term["attribute"]]), 1] for term in result["attributes"])


def test_calibrated_explanation_adds_up(world, explain):
    world.calibrate()
    result = explained(explain("--json", "t0", "t1")[1])
    assert result["calibrated"]
    assert result["unbounded_llr"] == pytest.approx(world.expected(True)[0])
    summed = sum(term["llr"] for term in result["attributes"]) + result["offset"]
    assert result["unbounded_llr"] == pytest.approx(summed)
    assert result["raw_llr"] == pytest.approx(world.expected(False)[0])
    assert result["verbal"]
    raw = explained(explain("--json", "--no-calibrated", "t0", "t1")[1])
    assert (raw["llr"], raw["verbal"]) == (pytest.approx(result["raw_llr"]), None)
    assert "NOT CALIBRATED" in explain("--no-calibrated", "t0", "t1")[1]


def test_sides_of_several_recordings(world, explain):
    status, said = explain("--json", "t0,t1", " t2 ")
    assert status == 0
    result = explained(said)
    assert result["attributes"][0]["a"][1] == 2
    assert result["attributes"][0]["b"][1] == 1
    counts = side_counts(load_corpus(world.test), [["t0", "t1"], ["t2"]])
    assert result["llr"] == pytest.approx(load_scorer(world.scorer).score(counts[:1], counts[1:]).item())


def test_a_recording_that_is_named_twice_on_a_side_is_refused(explain):
    status, said = explain("t0,t1", "t2, t2")
    assert status == 2 and "t2 is named more than once on one side: a recording counts once" in only_error(said)


def test_side_of_two_speakers_is_refused(explain):
    status, said = explain("t0,t3", "t1")
    assert status == 1
    assert "several speakers: t0, t3" in only_error(said)


def test_profile_scorers_refuse_several_recordings(world, balr):
    balr("score", "train", "--save-dir", "dna", world.reference, "scorer=dna")
    words = ["explain", "--corpus", world.test, "scorer.checkpoint_path=dna", "--html", "page.html"]
    status, said = balr(*words, "t0,t1", "t2")
    assert status == 1
    assert "compares one recording with one" in only_error(said)
    assert not list(world.tmp_path.glob("*page.html*"))
    assert balr(*words, "t0", "t2")[0] == 0
    assert (world.tmp_path / "page.html").exists()


def test_top_says_how_many_are_shown(explain):
    status, said = explain("--top", "3", "t0", "t3")
    assert status == 0
    favour, against = said.split("For the same speaker\n")[1].split("For different speakers\n")
    for part in (favour, against):
        lines = part.split("\n\n")[0].splitlines()
        assert lines[0].split() == ["attribute", "ln", "LR", "A", "B", "rarity", "steadiness"]
        assert len(lines) == 1 + 3


def test_unknown_ids_are_named(explain):
    status, said = explain("t0,nobody", "nothing")
    assert status == 1
    line = only_error(said)
    assert "has no recording nobody, nothing" in line
    assert "t0, t1, t2 and 12 more" in line


def test_models_that_do_not_belong_together_are_refused(balr, audio, tmp_path):
    import torch

    from balr_hf import WespeakerModel
    from balr_hf.defaults import EMBEDDER, resource

    own = WespeakerModel.from_pretrained(resource(EMBEDDER))
    torch.manual_seed(0)
    other = WespeakerModel(own.config)
    other.feature_extractor = own.feature_extractor
    other.save_pretrained(tmp_path / "other")
    sides = [audio / "espeak01-01.opus", audio / "espeak17-01.opus"]
    words = ["explain", *sides, f"embeddings.model.model_repo={tmp_path / 'other'}"]
    status, said = balr(*words)
    assert status == 1
    line = only_error(said)
    assert "The embeddings were made by the embedder other (" in line and "--allow-mismatch" in line
    status, said = balr(*words, "--allow-mismatch", "--json")
    assert status == 0
    assert any("made by the embedder other (" in caution for caution in explained(said)["cautions"])


def test_missing_file_suggests_a_corpus(balr, audio, tmp_path):
    status, said = balr("explain", audio / "espeak01-01.opus", "espeak01-02")
    assert status == 1
    assert "no audio file espeak01-02" in only_error(said)
    assert "--corpus" in said


@pytest.mark.parametrize(("kind", "reason"), [("text", "not audio"), ("silent", "digital silence")])
def test_unusable_audio_is_named_with_its_reason(balr, audio, tmp_path, kind, reason):
    import wave

    bad, page = tmp_path / "bad.wav", tmp_path / "page.html"
    if kind == "text":
        bad.write_text("this is no audio\n" * 50)
    else:
        with wave.open(str(bad), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(32000))
    page.write_text("an earlier page")
    status, said = balr("explain", "--html", page, audio / "espeak01-01.opus", bad)
    assert status == 1
    line = only_error(said)
    assert str(bad) in line
    assert reason in line
    assert page.read_text() == "an earlier page"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.wav", "page.html"]


def test_page_is_not_half_written(world, explain, monkeypatch):
    from balr_hf.explanation import page

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(page, "figure_svg", fail)
    assert explain("--html", "page.html", "t0", "t3")[0] == 1
    assert not list(world.tmp_path.glob("*page.html*"))


def test_corpus_without_speakers_serves(world, balr):
    corpus, _ = save_corpus(world.tmp_path / "nameless", load_corpus(world.test).remove_columns("speaker"))
    status, said = balr("explain", "--json", "--corpus", corpus, "t0", "t3", world.checkpoint)
    assert status == 0
    assert [explained(said)[side]["speaker"] for side in "ab"] == [None, None]


def test_shared_recordings_and_known_speakers_are_cautioned(world, balr, explain):
    assert "is on both sides: that says nothing about speakers" in explain("t0", "t0,t1")[1]
    assert "share a recording" not in explain("t0", "t1")[1]
    world.calibrate()
    words = [world.checkpoint, "--corpus"]
    assert (
        "Speaker r0 is in the scorer's reference population" in balr("explain", *words, world.reference, "r0", "r6")[1]
    )
    assert "Speaker d0 is one that the scorer was calibrated on" in balr("explain", *words, world.dev, "d0", "d4")[1]


def test_cosine_is_explained_as_a_similarity(world, balr):
    status, said = balr("explain", "--corpus", world.test, "t0", "t1", "scorer=cosine", "--html", "page.html")
    assert status == 0
    assert "a similarity, not a likelihood ratio" in said
    assert "Similarity" in (world.tmp_path / "page.html").read_text()


def test_empty_side_is_refused(explain):
    status, said = explain(",", "t0")
    assert status == 2
    assert "names no recording" in only_error(said)


def test_attributes_of_another_autoencoder_are_refused(world, balr):
    status, said = balr("explain", "--corpus", world.test, "t0", "t1")
    assert status == 1
    assert "the scorer knows 512 attributes, the corpus has 32" in only_error(said)


def test_model_that_is_no_scorer_is_refused(world, balr, tmp_path):
    BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).save_pretrained(tmp_path / "autoencoder")
    words = ["score", "calibrate", world.dev, world.dev_trials, f"scorer.checkpoint_path={tmp_path / 'autoencoder'}"]
    status, said = balr(*words)
    assert status == 1
    assert "not scorer" in only_error(said)


# --help


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--help"], ["score train", "score calibrate", "score test", "explain"]),
        (["score", "--help"], ["score train", "score calibrate", "score test"]),
        (
            ["score", "calibrate", "--help"],
            ["--folds", "at least 3,", "--method", "balr score calibrate dev.csv trials.csv scorer."],
        ),
        (["score", "test", "--help"], ["--plots", "--bootstrap", "--no-calibrated", "balr score test --plots"]),
        (["explain", "--help"], ["--corpus", "--html", "--encoder-", "balr explain questioned.wav known.wav"]),
    ],
)
def test_help(balr, words, expected):
    status, said = balr(*words)
    assert status == 0
    for text in expected:
        assert text in said


def test_description_of_the_calibration_is_told_with_every_explanation(world):
    status, said = world.calibrate("--describe", "telephone, German")
    assert status == 0, said
    scorer = load_scorer(world.scorer)
    counts = np.zeros((2, scorer.config.num_attributes, 2))
    counts[..., 0] = 1
    told = "The calibration is of telephone, German: it holds for such speech only."
    assert told in scorer.explain(*counts).cautions
    assert "| telephone, German |" in str(model_card(scorer.config, CardFacts("me/scorer")))


# calibration with quality measures, and trials made on demand


def measured_corpus(corpus, condition=None):
    """The corpus with measures that differ from recording to recording."""
    rng = np.random.default_rng(len(corpus))
    usual = {"duration": 9.0, "level": -25.0, "peak": -6.0, "snr_method": "pauses", "clipping": 0.0, "tone": None}
    usual |= {"tone_share": 0.0, "dc_offset": 0.0, "sampling_rate": 16000, "bandwidth": 8000.0}
    found = {name: {**usual, "net_speech": rng.uniform(1, 8), "snr": rng.uniform(5, 30)} for name in corpus["id"]}
    if condition is not None:
        corpus = corpus.add_column("condition", [condition] * len(corpus))
    return add_quality_column(corpus, found)


def test_trials_that_are_made_are_scored_as_if_they_were_listed(world, balr):
    words = ("--bootstrap", "0", "--save-dir")
    status, said = balr("score", "test", *words, "made", world.test, "2x1", world.checkpoint)
    assert status == 0 and "recordings a side: 2 and 1" in said
    listed = world.tmp_path / "listed.csv"
    shutil.copy(world.tmp_path / "made" / "scores.csv", listed)
    assert balr("score", "test", *words, "again", world.test, listed, world.checkpoint)[0] == 0
    made, again = (column(world.tmp_path / name / "scores.csv", "scores") for name in ("made", "again"))
    np.testing.assert_array_equal(made, again)
    trials = read_trials(world.tmp_path / "made" / "scores.csv")
    assert {len(trials.sides[side]) for side in trials.enroll} == {2}
    metrics = strict_json((world.tmp_path / "made" / "metrics.json").read_text())
    assert metrics["trial_list"] == "2x1, made by the program with seed 0"
    assert metrics["same_speaker"] and metrics["different_speaker"]
    assert metrics["same_speaker_speakers"] == metrics["different_speaker_speakers"] == metrics["speakers"] == 5
    status, said = balr("score", "test", *words, "new", world.test, "nowhere.csv", world.checkpoint)
    assert status == 1 and "no trial list at nowhere.csv" in only_error(said)


def test_trials_made_by_the_program_name_recordings_without_attributes(world, balr):
    corpus = load_corpus(world.test)
    rows = corpus["ba"][:]
    lacking = corpus.remove_columns("ba").add_column("ba", [None, *rows[1:]], feature=corpus.features["ba"])
    path, _ = save_corpus(world.tmp_path / "lacking", lacking)
    status, said = balr("score", "test", "--bootstrap", "0", path, "1x1", world.checkpoint)
    assert status == 0 and f"Making trials skipped 1 recording: {corpus['id'][0]} (no attributes)" in said
    none, _ = save_corpus(world.tmp_path / "none", corpus.remove_columns("ba"))
    status, said = balr("score", "test", none, "1x1", world.checkpoint)
    assert status == 1 and "the corpus has no ba column" in only_error(said) and "run balr binarize first" in said


def test_quality_is_learnt_from_made_trials_and_applied_to_tests(world, balr):
    dev, _ = save_corpus(world.tmp_path / "measured-dev", measured_corpus(load_corpus(world.dev), "unchanged"))
    status, said = balr("score", "calibrate", "--method", "quality", dev, "1x1", world.checkpoint, "--folds", "5")
    assert status == 0 and "Made " in said and "Calibrated (quality)" in said and "cross-validated" in said
    report = strict_json((world.scorer / "calibration.json").read_text())
    assert report["num_quality"] == 7 and report["bounds"] and report["num_draws"] == 1_000
    assert report["validation"]["cllr"] == pytest.approx(report["cross_validated"]["cllr"])  # of penalties per fold

    corpus, trials = save_corpus(world.tmp_path / "measured-test", measured_corpus(load_corpus(world.test)))
    words = ["--bootstrap", "0", "--plots", "--save-dir", "run", corpus, trials, world.checkpoint]
    status, said = balr("score", "test", *words)
    assert status == 0
    scorer, rows = load_scorer(world.scorer), read_trials(trials)
    counts = side_counts(load_corpus(corpus), rows.sides)
    measures = sides_quality(load_corpus(corpus), rows.sides)
    both = measures[rows.enroll], measures[rows.test]
    expected = scorer.score(counts[rows.enroll], counts[rows.test], True, both)
    np.testing.assert_allclose(column(world.tmp_path / "run" / "scores.csv", "scores"), expected, rtol=1e-5)
    assert scorer.quality_terms(both).abs().sum() > 0


def test_recordings_that_were_not_measured_are_refused_where_quality_counts(world, balr):
    status, said = world.calibrate("--method", "quality")
    assert status == 1 and "sides that is not known" in only_error(said)
    dev, trials = save_corpus(world.tmp_path / "measured-dev", measured_corpus(load_corpus(world.dev)))
    assert balr("score", "calibrate", "--method", "quality", dev, trials, world.checkpoint)[0] == 0
    status, said = world.score()
    assert status == 1 and "balr extract measures recordings" in only_error(said)
    assert world.score("--no-calibrated")[0] == 0


def test_calibration_of_several_recordings_against_one(world, balr):
    status, said = balr("score", "calibrate", world.dev, "3x1", world.checkpoint)
    assert status == 0 and "recordings a side: 3 and 1" in said
    assert load_scorer(world.scorer).config.calibration["domain"]["recordings_a_side"] == [1, 3]
    status, said = balr("score", "calibrate", world.dev, "9x1", world.checkpoint)
    assert status == 1 and "at least 10 recordings" in only_error(said)


# Evidence that is listed twice


def test_repeated_and_mirrored_trials_calibrate_as_the_list_without_them(world, balr, tmp_path):
    assert world.calibrate("--save-dir", "once")[0] == 0
    pairs = [line.split("\t") for line in world.dev_trials.read_text().splitlines()[1:]]
    again = write_trials(tmp_path / "again.csv", [*pairs, *([b, a] for a, b in pairs), *pairs])
    status, said = balr("score", "calibrate", "--save-dir", "again", world.dev, again, world.checkpoint)
    assert status == 0 and f"{2 * len(pairs)} of the {3 * len(pairs)} trials repeat a pair of sides" in said
    assert (tmp_path / "again" / "calibration.json").read_text() == (tmp_path / "once/calibration.json").read_text()


def test_repeated_trials_are_scored_but_evaluated_once(world, balr, tmp_path):
    assert world.score("--bootstrap", "0", "--by", "speaker")[0] == 0
    once = world.metrics()
    pairs = [line.split("\t") for line in world.test_trials.read_text().splitlines()[1:]]
    again = write_trials(tmp_path / "again.csv", [*pairs, *([b, a] for a, b in pairs)])
    words = ("--bootstrap", "0", "--by", "speaker", "--save-dir", "again")
    status, said = balr("score", "test", *words, world.test, again, world.checkpoint)
    assert status == 0 and f"{len(pairs)} of the {2 * len(pairs)} trials repeat a pair" in said
    scores = column(tmp_path / "again" / "scores.csv", "scores")
    assert len(scores) == 2 * len(pairs) and np.allclose(*scores.reshape(2, -1))
    found = strict_json((tmp_path / "again" / "metrics.json").read_text())
    left = ("trials", "same_speaker", "speakers", "eer", "cllr", "cllr_min", "by")
    assert {name: found[name] for name in left} == {name: once[name] for name in left}


def copied(corpus, names):
    """A corpus in which each recording is there once more, as of the speakers `names`, with what tells its audio."""
    both = datasets.concatenate_datasets([corpus, corpus]).remove_columns(["id", "speaker", "embedding"])
    both = both.add_column("id", [*corpus["id"], *(f"{name}-copy" for name in corpus["id"])])
    both = both.add_column("speaker", [*corpus["speaker"], *names])
    digests = vector_digests(vector_matrix(both, "ba")[0])
    heard = [name.removesuffix("-copy") for name in both["id"]]
    made = [Origin("a@1", "fp32", "", d, "", "", f"sha256:{h}") for d, h in zip(digests, heard, strict=True)]
    return add_origins(both, "ba", made)


def test_copies_under_other_names_are_no_trials(world, balr, tmp_path):
    corpus = load_corpus(world.dev)
    dev, trials = save_corpus(tmp_path / "copied", copied(corpus, corpus["speaker"]))
    assert world.calibrate("--save-dir", "once")[0] == 0
    status, said = balr("score", "calibrate", "--save-dir", "twice", dev, trials, world.checkpoint)
    assert status == 0 and f"Left out {len(corpus)} of the" in said and "d0 against d0-copy" in said
    assert (tmp_path / "twice" / "calibration.json").read_text() == (tmp_path / "once/calibration.json").read_text()
    test, trials = save_corpus(tmp_path / "others", copied(corpus, [f"other {n}" for n in corpus["speaker"]]))
    status, said = balr("score", "calibrate", "--save-dir", "wrong", test, trials, world.checkpoint)
    assert status == 1 and "the audio is the same: d0 of d0 and d0-copy of other d0" in only_error(said)
    status, said = balr("score", "test", "--bootstrap", "0", "--save-dir", "run", test, trials, world.checkpoint)
    assert status == 0 and "36 recordings are in the corpus as of several speakers" in said
    status, said = balr("score", "train", "--save-dir", "fitted", test)
    assert status == 0 and "36 recordings are in the corpus as of several speakers" in said


def test_speakers_of_the_scorer_are_known_however_their_names_are_written(world):
    scorer = load_scorer(world.scorer)
    assert scorer.known_speakers([" r0", "r1 ", "r 1"], "reference") == [" r0", "r1 "]


def test_speakers_whom_the_scorer_knows_are_named_in_full(world, balr):
    world.calibrate()
    words = ["score", "test", "--save-dir", "known", "--bootstrap", "0", world.dev, world.dev_trials]
    status, said = balr(*words, f"scorer.checkpoint_path={world.scorer}")
    assert status == 0 and "Left the scores raw" in said
    found = strict_json((world.tmp_path / "known" / "metrics.json").read_text())
    assert found["speakers_known_to_scorer"]["reference"] == []
    assert found["speakers_known_to_scorer"]["calibration"] == sorted(set(load_corpus(world.dev)["speaker"]))
    assert found["calibration"] is None and found["cautions"][0].startswith("The scores are raw")
