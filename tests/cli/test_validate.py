"""`balr validate` in this process, on recordings of the sample corpus."""

import html
import json
from pathlib import Path

import pytest
import torch

from balr_hf import BinaryAttributeAutoEncoder, load_corpus
from balr_hf.cli.validate import COMMAND, _read
from balr_hf.defaults import SYSTEM, resource
from balr_hf.identity import file_digest
from balr_hf.scoring.modeling_scorer import Scorer


@pytest.mark.slow
def test_report_of_a_corpus_without_vectors(few, balr, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    system = resource(SYSTEM)
    words = ["--bootstrap", "20", "--explanations", "1", "--adequate", "cllr=0.0001,eer=1", "--by", "text"]
    status, said = balr("validate", system, few, "1x1", *words)
    assert status == 0, said
    folder = tmp_path / "runs" / "validate"
    metrics = json.loads((folder / "metrics.json").read_text())
    found = metrics["validation"]
    assert metrics["trials"] == len((folder / "scores.csv").read_text().splitlines()) - 1
    assert (metrics["speakers"], found["adequate"]) == (4, False)
    assert [one["met"] for one in found["adequacy"]] == [False, True]
    verdict = "1 of 2 stated thresholds is not met."
    assert verdict in said and verdict in (folder / "report.txt").read_text()
    assert {factor["name"] for factor in found["factors"]} >= {"net_speech", "snr", "sex", "text"}
    assert metrics["chain"]["precision"] == "fp32" and set(metrics["chain"]) > {"embedder", "autoencoder", "scorer"}
    assert found["data"][0] == ["Corpus", f"{few}, SHA-256 {file_digest(few)}"]
    page = (folder / "report.html").read_text()
    explained = [trial for trial in found["worst"] if trial["explanation"]]
    assert {trial["same"] for trial in found["worst"]} == {trial["same"] for trial in explained}
    for trial in explained:
        assert f'href="{trial["explanation"]}"' in page
        explanation = (folder / trial["explanation"]).read_text()
        assert trial["sides"][0] in explanation and "In truth the recordings are" in explanation

    status, said = balr("push", "--prepare", "look", system, "me/system", "--results", folder)
    assert status == 0, said
    card = (tmp_path / "look" / "README.md").read_text()
    assert f"value: {round(metrics['eer'], 6)}" in card
    status, said = balr("verify", folder)
    assert status == 0, said


def test_pages_of_trials_caution_of_what_was_allowed(extracted, balr, tmp_path, monkeypatch):
    """As balr explain does; what the system's attributes go with is not said of those of another autoencoder."""
    monkeypatch.chdir(tmp_path)
    other = BinaryAttributeAutoEncoder.from_pretrained(resource(SYSTEM))
    with torch.no_grad():
        other.encoder[0].weight.mul_(1.01)
    other.save_pretrained("other")
    words = ["--save-dir", "attributes", extracted, "encoder.model.checkpoint_path=other"]
    status, said = balr("binarize", *words)
    assert status == 0, said
    known = {"calibration": lambda names: sorted(names), "reference": lambda names: []}
    monkeypatch.setattr(Scorer, "known_speakers", lambda self, names, role: known[role](names))
    words = ["--allow-mismatch", "--allow-overlap", "--bootstrap", "0", "--explanations", "1"]
    status, said = balr("validate", *words, resource(SYSTEM), f"attributes/{extracted.name}", "1x1")
    assert status == 0, said
    found = json.loads(Path("runs/validate/metrics.json").read_text())
    pages = [trial for trial in found["validation"]["worst"] if trial["explanation"]]
    assert pages and len(found["mismatch"]) == 1
    for trial in pages:
        page = html.unescape(Path("runs/validate", trial["explanation"]).read_text())
        assert found["mismatch"][0] in page and "What the attributes go with" not in page
        for name in trial["speakers"]:
            assert f"Speaker {name} is one that the scorer was calibrated on: the figure flatters the scorer." in page


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nowhere", "1x1"], 1, "nowhere"),
        (["--adequate", "cllr"], 2, "cllr=NUMBER"),
        (["--adequate", "speed=1"], 2, "unknown metric 'speed'"),
        (["--explanations", "3", "--worst", "2"], 2, "give --worst as many"),
    ],
)
def test_what_cannot_be_validated_is_refused(few, balr, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    corpus = [] if words[0] == "nowhere" else [few, "1x1"]
    found, said = balr("validate", resource(SYSTEM), *corpus, *words)
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert found == status and message in line
    assert not (tmp_path / "runs").exists()


def test_list_of_voxceleb_names_recordings_with_their_endings(few, tmp_path):
    ids = load_corpus(few)["id"][:3]
    (tmp_path / "list.txt").write_text(f"1 {ids[0]}.wav {ids[1]}.wav\n1 {ids[2]}.wav {ids[0]}.wav\n")
    dataset, trials = _read(COMMAND.parse([str(resource(SYSTEM)), str(few), str(tmp_path / "list.txt")]))
    assert (dataset["id"][:], trials.header) == (ids, ["label", "enrollment", "test"])
    assert [trials.sides[side] for side in (*trials.enroll, *trials.test)] == [[ids[row]] for row in (0, 2, 1, 0)]


def test_recordings_that_the_corpus_lacks_are_named_before_anything_is_computed(few, balr, tmp_path):
    first = load_corpus(few)["id"][0]
    (tmp_path / "list.txt").write_text(f"1 wav/{first}.wav {first}\n0 {first} somebody\n")
    status, said = balr("validate", resource(SYSTEM), few, tmp_path / "list.txt")
    assert status == 1
    assert "not in the corpus. --leave-out-missing leaves these out" in said
    assert f": somebody, wav/{first}.wav. The ids of the corpus are such as {first}. " in said
    assert "skipped.csv" in said and "balr extract --min-speech 0" in said


@pytest.mark.slow
def test_trials_of_recordings_that_are_missing_are_left_out_if_that_is_asked_for(few, balr, tmp_path):
    """One is not in the corpus, and one cannot be embedded."""
    ids = load_corpus(few)["id"]
    pairs = [(a, b) for n, a in enumerate(ids) for b in ids[:n]]
    (tmp_path / "list.csv").write_text(
        "".join(f"{a}\t{b}\n" for a, b in [("enrollment", "test"), *pairs, (ids[0], "x1")])
    )
    (few.parent / f"{ids[-1]}.opus").write_bytes(b"no audio")
    words = [
        "validate",
        resource(SYSTEM),
        few,
        tmp_path / "list.csv",
        "--bootstrap",
        "0",
        "--save-dir",
        tmp_path / "run",
    ]
    assert balr(*words)[0] == 1
    status, said = balr(*words, "--leave-out-missing")
    assert status == 0, said
    lacking = len(ids) - 1
    assert f"Left out 1 of the {len(pairs) + 1} trials" in said and "(1): x1" in said
    assert f"Left out {lacking} of the {len(pairs)} trials" in said and f"(1): {ids[-1]}" in said
    assert f"skipped 1 recording: {ids[-1]} (" in said
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["trials"] == len(pairs) - lacking
    stated = f"{tmp_path / 'list.csv'}, without {lacking + 1} trials of recordings that are missing"
    assert metrics["trial_list"] == stated and stated in (tmp_path / "run" / "report.txt").read_text().replace(
        "\n", " "
    )


def test_something_else_than_a_system_is_refused(few, balr, tmp_path):
    status, said = balr("validate", tmp_path, few, "1x1")
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert status == 1 and str(tmp_path) in line
