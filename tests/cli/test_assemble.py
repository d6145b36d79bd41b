"""`balr assemble` joins models, and `--system` names them all at once."""

import json

import pytest
import torch

from balr_hf import SpeakerComparisonModel, WespeakerConfig, WespeakerModel
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, resource

PARTS = resource(EMBEDDER), resource(AUTOENCODER), resource(SCORER)


@pytest.fixture
def system(balr, tmp_path):
    """The package's models as one system."""
    status, said = balr("assemble", *PARTS, tmp_path / "system")
    assert status == 0, said
    return tmp_path / "system"


def test_a_system_is_written_once_and_what_was_joined_is_said(balr, tmp_path):
    words = ["assemble", *PARTS, tmp_path / "system", "--json", "--waveform-scale", "1"]
    status, said = balr(*words)
    assert status == 1 and "The embeddings were made by the embedder system-small (" in said
    assert not (tmp_path / "system").exists()
    status, said = balr(*words, "--allow-mismatch")
    assert "what the system says means nothing" in said
    assert status == 0 and "DirichletMultinomialScorer, calibrated" in said and "features scaled by 1," in said
    shown = json.loads(said[said.index("{") : said.index("}") + 1])
    assert shown["saved_in"] == str(tmp_path / "system") and shown["autoencoder"].startswith("512 attributes, from ")
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "system").feature_extractor.waveform_scale == 1
    status, said = balr("assemble", *PARTS, tmp_path / "system")
    assert status == 1 and "exists already" in said
    (tmp_path / "system" / "notes.txt").write_text("mine")
    status, said = balr("assemble", *PARTS[:2], "cosine", tmp_path / "system", "--exist-ok")
    assert status == 0 and "CosineSimilarityScorer, not calibrated, from cosine" in said
    assert (tmp_path / "system" / "notes.txt").exists()
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "system").detectors
    status, said = balr(*words, "--exist-ok", "--allow-mismatch")  # with other features, and so another embedder
    assert status == 0 and "The Detector of overlapped speech is left out" in said
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "system").detectors == {}


def test_checkpoints_of_wespeaker_and_balr_are_joined(balr, golden, tmp_path):
    source = tmp_path / "wespeaker"
    source.mkdir()
    arguments = {"m_channels": 2, "embed_dim": 32}
    (source / "config.yaml").write_text(f"model: ResNet18\nmodel_args: {json.dumps(arguments)}\n")
    made = WespeakerModel(WespeakerConfig.from_wespeaker("ResNet18", arguments))
    torch.save(made.state_dict(), source / "avg_model.pt")
    status, said = balr("assemble", source, golden / "upstream_autoencoder.pt", "cosine", tmp_path / "system")
    assert status == 0, said
    system = SpeakerComparisonModel.from_pretrained(tmp_path / "system")
    assert torch.equal(system.embedder.conv1.weight, made.conv1.weight)
    assert system.config.scorer.num_attributes == 48


@pytest.mark.parametrize(
    ("words", "status", "wrong"),
    [
        (["one", "two", "three"], 2, "expected EMBEDDER AUTOENCODER SCORER DIR, but got 3: one two three"),
        ([PARTS[0], "nothing.pt", "cosine", "out"], 1, "no checkpoint at nothing.pt"),
        ([*PARTS[:2], "embedder", "out"], 1, "embedder holds a model of type wespeaker, not scorer"),
        ([*PARTS, "out", "--waveform-scale", "0"], 2, "bad value 0.0 for waveform_scale"),
        ([*PARTS, "out", "--waveform-scale", "inf"], 2, "bad value inf for waveform_scale: expected a finite number"),
    ],
)
def test_what_cannot_be_joined_is_refused_and_nothing_is_written(
    balr, tiny_embedder, tmp_path, monkeypatch, words, status, wrong
):
    monkeypatch.chdir(tmp_path)
    tiny_embedder.save_pretrained("embedder")
    found, said = balr("assemble", *words)
    assert found == status and wrong in said and not (tmp_path / "out").exists()


def test_commands_take_their_part_of_a_system(balr, few, system, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings = [few.parent / "espeak01" / f"espeak01-0{number}.opus" for number in (1, 2)]
    status, expected = balr("explain", "--json", *recordings)
    assert status == 0
    status, found = balr("explain", "--json", "--system", system, *recordings)
    assert status == 0, found
    ratios = [json.loads(said[said.index("{") : said.rindex("}") + 1])["llr"] for said in (expected, found)]
    assert ratios[0] == ratios[1]

    for step in ("extract", "binarize"):
        status, said = balr(step, "--system", system, few)
        assert status == 0 and "demonstration" not in said, said
    ids = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    (tmp_path / "trials.csv").write_text("enrollment\ttest\n" + "".join(f"{ids[0]}\t{name}\n" for name in ids[1:]))
    status, said = balr("score", "test", "--bootstrap", "0", "--system", system, few, "trials.csv")
    assert status == 0 and "demonstration" not in said, said
    status, said = balr("score", "test", "--bootstrap", "0", "--system", system, few, "trials.csv", "scorer=cosine")
    assert status == 1 and f"scorer=cosine, but {system} holds beta" in said


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (["extract", "few.csv", "--model-repo", "x"], "embeddings.model.model_repo"),
        (["binarize", "few.csv", "encoder.model.checkpoint_path=x"], "encoder.model.checkpoint_path"),
        (
            ["explain", "espeak01/espeak01-01.opus", "espeak01/espeak01-02.opus", "scorer.checkpoint_path=x"],
            "scorer.checkpoint_path",
        ),
    ],
)
def test_a_part_is_named_once(balr, few, monkeypatch, words, setting):
    monkeypatch.chdir(few.parent)
    status, said = balr(*words, "--system", "me/system")
    assert status == 2 and f"--system=me/system and {setting} name the same part" in said, said


def test_a_part_is_no_system(balr, few, tiny_embedder, tmp_path):
    tiny_embedder.save_pretrained(tmp_path / "embedder")
    status, said = balr("extract", few, "--system", tmp_path / "embedder")
    assert status == 1 and "not system (balr-speaker-comparison)" in said


@pytest.mark.parametrize(
    ("words", "status", "wrong"),
    [
        (["one", "out"], 2, "--preset balr2 takes one folder, but got one out"),
        (["out"], 2, "--preset balr2 needs --autoencoder"),
        (["out", "--autoencoder", "nothing.pt"], 1, "no file at nothing.pt"),
        (["out", "--autoencoder", "other.pt"], 1, "other.pt is another file than is meant: its sha256 is e3b0c442"),
        (["out", "--autoencoder", "x", "--waveform-scale", "2"], 2, "--preset balr2 has a waveform scale of 1"),
        (
            ["out", "--autoencoder", "http://127.0.0.1:9/BAE_mse.pt"],
            1,
            "cannot download http://127.0.0.1:9/BAE_mse.pt",
        ),
    ],
)
def test_a_preset_that_cannot_be_made_says_why(balr, tmp_path, monkeypatch, words, status, wrong):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "other.pt").write_bytes(b"")
    found, said = balr("assemble", "--preset", "balr2", *words)
    assert found == status and wrong in said and not (tmp_path / "out").exists(), said
    assert "Traceback" not in said


def test_settings_of_a_preset_need_one(balr):
    status, said = balr("assemble", *PARTS, "out", "--scorer", "cosine")
    assert status == 2 and "--scorer only with --preset" in said
