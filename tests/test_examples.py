"""What examples/ shows runs as it stands there (training under accelerate: tests/training)."""

import json
import re
import runpy
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def run_example(root, tmp_path, monkeypatch, capsys):
    """Runs a script of examples/ in this process, in an empty folder; gives what it printed."""

    def run(name: str, *argv) -> str:
        path = root / "examples" / name
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, argv)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    return run


def test_extract_then_binarize_then_score(run_example, tmp_path):
    """Each takes what the one before wrote."""
    from balr_hf import load_corpus, load_scorer
    from balr_hf.defaults import AUTOENCODER, resource

    said = run_example("extract.py")
    assert "64 of 64 recordings have an embedding of 256 values" in said
    within, between = map(float, re.search(r"(\S+) within a speaker, (\S+) between", said).groups())
    assert within > between + 0.1
    said = run_example("binarize.py", "embeddings", resource(AUTOENCODER))
    assert "64 of 64 recordings have 512 binary attributes" in said
    corpus = load_corpus("attributes")
    assert {"embedding", "ba", "speaker"} <= set(corpus.column_names)
    parts = (("reference", 17, 19), ("calibration", 20, 22), ("test", 23, 24))
    for name, first, last in parts:
        rows = [row for row, speaker in enumerate(corpus["speaker"]) if first <= int(speaker[-2:]) <= last]
        corpus.select(rows).save_to_disk(name)
    said = run_example("fit_and_calibrate_scorer.py", "reference", "calibration", "test")
    assert "120 trials, 56 of one speaker; reference population of 3" in said
    scorer = load_scorer(tmp_path / "scorer")
    assert scorer.is_calibrated and scorer.known_speakers(["espeak17", "espeak20", "espeak23"], "reference")
    assert scorer.known_speakers(["espeak17", "espeak20", "espeak23"], "calibration") == ["espeak20"]


def test_binarize_alone(run_example, tmp_path):
    said = run_example("binarize.py")
    assert "64 of 64 recordings have 512 binary attributes" in said
    assert (tmp_path / "attributes" / "state.json").exists()


def test_calibration_of_the_sample_brings_cllr_down(run_example):
    said = run_example("fit_and_calibrate_scorer.py")
    assert "2016 trials, 224 of one speaker; reference population of 8" in said
    raw, calibrated = (float(value) for value in re.findall(r"Cllr ([\d.]+)", said))
    assert calibrated < 0.5 < raw


def test_compare_says_same_speaker_and_writes_the_page(run_example, sample, tmp_path):
    said = run_example("compare.py")
    assert float(re.search(r"\nln LR (\S+):", said).group(1)) > 0
    assert "<svg" in (tmp_path / "comparison.html").read_text()
    files = [
        sample / name
        for name in ("espeak17/espeak17-01.opus", "espeak20/espeak20-02.opus", "espeak20/espeak20-03.opus")
    ]
    said = run_example("compare.py", *files)
    assert "2 recordings" in said
    assert "\nNo verdict: outside\n" in said and "\nln LR" not in said  # the system knows one recording a side


def test_load_wespeaker_reads_a_folder(run_example, tmp_path):
    import torch

    from balr_hf import WespeakerConfig, WespeakerModel

    source, arguments = tmp_path / "wespeaker", {"m_channels": 2, "embed_dim": 8}
    source.mkdir()
    (source / "config.yaml").write_text(f"model: ResNet18\nmodel_args: {json.dumps(arguments)}\n")
    made = WespeakerModel(WespeakerConfig.from_wespeaker("ResNet18", arguments))
    torch.save(made.state_dict(), source / "avg_model.pt")
    said = run_example("load_wespeaker.py", source)
    assert "[2, 2, 2, 2] basic blocks" in said and "Embeddings of 8 values" in said
    loaded = WespeakerModel.from_pretrained(tmp_path / "embedder")
    assert torch.equal(loaded.conv1.weight, made.conv1.weight)


def test_convert_balr_keeps_every_attribute(run_example, golden, tmp_path):
    said = run_example("convert_balr.py", golden / "upstream_autoencoder.pt", "models/bae")
    assert "models/bae: 32 values -> 48 attributes" in said and "\n100% of the attributes" in said
    assert (tmp_path / "models" / "bae" / "model.safetensors").exists()


def test_corpus_of_others_has_the_same_embeddings_from_files_and_samples(run_example):
    said = run_example("corpus_with_decoded_audio.py")
    files, samples = (line.split(": ") for line in said.splitlines())
    assert files[0] == "files" and "espeak17-01 of espeak17" in files[1]
    assert samples[0] == "samples" and "the first, 0 of espeak17" in samples[1]
    assert files[2] == samples[2]


def test_demo_ends_in_verdicts_of_real_voices_with_their_limits(root, tmp_path, run_python):
    said = run_python(root / "examples" / "demo.py", cwd=tmp_path).stdout
    assert "36 recordings of 12 people" in said and "Of the pairs, 36 are of one speaker and 162 of two" in said
    one, two = (float(value) for value in re.findall(r"median LLR.*?([+-][\d.]+)\n", said))
    assert one > 0 > two
    _, same, different = said.split("\n--- ")
    for part, direction, page in ((same, "same", "one-speaker"), (different, "different", "two-speakers")):
        assert re.search(
            rf"^\w.* support for the proposition that the recordings are of (the )?{direction} sp", part, re.M
        )
        assert re.search(r"^  LR .* LLR [+-][\d.]+ \(ln\)", part, re.M) and "  95 % interval" in part
        assert "  Limit: " in part and f"  Report: {tmp_path / 'demo' / page}.html" in part
        assert "<svg" in (tmp_path / "demo" / f"{page}.html").read_text(encoding="utf-8")
    assert "not for casework" in said.splitlines()[-1]
