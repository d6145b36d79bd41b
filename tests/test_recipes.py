"""The recipes of the models that ship, on a handful of synthetic voices: what would go wrong only after hours."""

import csv
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import torch

from balr_hf import SpeakerComparisonModel
from balr_hf.embeddings.modeling_wespeaker import WespeakerConfig, WespeakerModel
from balr_hf.identity import is_same, model_identity

VOICES, EACH = 8, 2


@pytest.fixture(scope="module")
def recipes(root):
    """The modules, by their names."""
    sys.path.insert(0, str(root / "resources" / "models"))
    try:
        names = ("audio", "corpus", "teacher", "speed", "features", "embedder", "embeddings", "autoencoder", "system")
        names += ("evaluation", "report", "copies", "processes", "detectors")
        yield {name: importlib.import_module(f"recipes.{name}") for name in names}
    finally:
        sys.path.remove(str(root / "resources" / "models"))


def run(recipe, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [recipe.__name__, *map(str, arguments)])
        recipe.main()


@pytest.fixture(scope="module")
def data(root, tmp_path_factory):
    """Data folders like those of the real data, of the sample corpus's voices."""
    folder = tmp_path_factory.mktemp("data")
    sample = root / "resources" / "data" / "sample"
    with (sample / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["speaker"][-2:]) <= VOICES]
    train, other, dev, test = (
        [row for row in rows if (int(row["id"][-2:]) - 1) // EACH == number] for number in range(4)
    )
    dev, test = dev[: 3 * EACH], test[: 2 * EACH]  # of three and of two speakers
    paths = {
        "speech/train/train.csv": ("librispeech", train),
        "librispeech/train.csv": (None, other[:2]),
        "speech/dev/dev.csv": ("wuw2", dev),
        "librispeech/test.csv": (None, test),
        "speech/noise/noise.csv": ("noise", train[:1]),
    }
    for path, (source, some) in paths.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(
                file, ["id", "audio", "speaker", "sex", *(["source", "language"] if source else [])]
            )
            table.writeheader()
            for row in some:
                audio = folder / path
                target = audio.parent / row["audio"]
                target.parent.mkdir(exist_ok=True)
                if not target.exists():
                    target.symlink_to(sample / row["audio"])
                written = {name: row[name] for name in ("id", "audio", "speaker", "sex")}
                table.writerow(written | ({"source": source, "language": "en (L1 Hindi)"} if source else {}))
    for path, some in (("speech/dev/dev_trials.csv", dev), ("librispeech/trials.csv", test)):
        pairs = [(a["id"], b["id"]) for i, a in enumerate(some) for b in some[i + 1 :]]
        (folder / path).write_text("enrollment\ttest\n" + "".join(f"{a}\t{b}\n" for a, b in pairs))
    return folder


@pytest.fixture(scope="module")
def work(recipes, data, tmp_path_factory):
    """What the recipes compute before the embedder."""
    folder = tmp_path_factory.mktemp("work")
    run(recipes["audio"], data, folder)
    weights = folder / "pretrained.pt"
    torch.manual_seed(0)
    torch.save({"model_state": recipes["teacher"].Teacher().state_dict()}, weights)
    run(recipes["teacher"], folder, weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes["features"], "REVERBERATION", ())
        patch.setattr(recipes["features"], "draw_condition", lambda generator: recipes["features"].Condition(snr=10))
        run(recipes["features"], folder, "clean", "degraded-1")
    return folder


def test_samples_and_filter_banks_are_those_of_the_package(recipes, data, work):
    from balr_hf.audio import load_audio

    train = recipes["corpus"].recordings(work, "train")
    path = data / str(train.columns["audio"][3])
    assert np.abs(train.waveform(3) - load_audio(path)).max() <= 0.5 / 32767 + 1e-6
    view = recipes["embedder"].View(work, "clean")
    features = recipes["features"].EXTRACTOR([train.waveform(3)], sampling_rate=16_000)["input_features"][0]
    start, frames = view.starts[3], view.frames[3]
    assert np.allclose(view.banks[start : start + frames], features, atol=0.02)


def test_an_embedder_that_was_stopped_goes_on_with_the_same_bits(recipes, work, tmp_path, monkeypatch):
    embedder = recipes["embedder"]
    monkeypatch.setattr(embedder, "RECORDINGS", 4)
    monkeypatch.setattr(embedder, "SECONDS", (1.0,))

    def trained(folder, *stops):
        for stop in stops:
            training = embedder.Training(work, folder, 40, seed=1)
            while training.step < stop:
                assert training.learn(training.batches[training.step]).isfinite().all()
            training.save()
        return training

    whole, parts = trained(tmp_path / "whole", 3), trained(tmp_path / "parts", 1, 3)
    for name in ("model", "average", "heads"):
        pairs = zip(getattr(whole, name).parameters(), getattr(parts, name).parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    saved = WespeakerModel.from_pretrained(tmp_path / "whole" / "embedder")
    assert saved.feature_extractor.frame_shift == 20
    assert sum(weights.numel() for weights in saved.parameters()) < 3e6


def test_a_run_that_is_told_to_end_keeps_its_state_and_so_do_those_who_draw_its_batches(
    recipes, work, tmp_path, monkeypatch
):
    """They leave the group of processes that a signal to all of a run would reach."""
    embedder, groups = recipes["embedder"], []
    monkeypatch.setattr(embedder, "RECORDINGS", 4)
    monkeypatch.setattr(embedder, "SECONDS", (1.0,))
    learn = embedder.Training.learn

    def told_to_end(training, batch):
        groups.extend(os.getpgid(worker.pid) for worker in multiprocessing.active_children())
        os.kill(os.getpid(), signal.SIGTERM)
        return learn(training, batch)

    monkeypatch.setattr(embedder.Training, "learn", told_to_end)
    before = signal.getsignal(signal.SIGTERM)
    try:
        run(embedder, work, tmp_path, "--steps", 40, "--workers", 1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(groups) == 1 and groups[0] != os.getpgrp()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 1


def test_time_of_training_is_without_evaluations(recipes, data, work, tmp_path, monkeypatch):
    embedder = recipes["embedder"]
    monkeypatch.setattr(embedder, "RECORDINGS", 4)
    monkeypatch.setattr(embedder, "SECONDS", (1.0,))
    clock = [0.0]

    class Clock:
        monotonic = staticmethod(lambda: clock[0])

    def took(seconds, result):
        def function(training, *others):
            clock[0] += seconds
            training.step += seconds == 1
            return result

        return function

    monkeypatch.setattr(embedder, "time", Clock)
    monkeypatch.setattr(embedder.Training, "learn", took(1, torch.zeros(4)))
    monkeypatch.setattr(embedder.Training, "evaluate", took(100, {"dev:all": 0.5}))
    monkeypatch.setattr(embedder, "report", str)
    before = signal.getsignal(signal.SIGTERM)
    try:
        run(embedder, work, tmp_path / "run", data, "--steps", 3, "--every", 1)
    finally:
        signal.signal(signal.SIGTERM, before)
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["seconds"] for line in lines] == [1, 2, 3]


def test_a_table_of_other_parts_is_not_lost(recipes, data, tmp_path, capsys):
    run(recipes["audio"], data, tmp_path, "--parts", "test", "noise")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit):
        run(recipes["audio"], data, tmp_path, "--parts", "noise")
    assert "has other parts already (test), which would be lost" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(recipes["audio"], data, tmp_path, "--parts", "noise", "test")


def test_an_error_cancels_what_waits_for_a_process(recipes):
    with pytest.raises(OSError, match="No space left"), recipes["processes"].processes(1) as pool:
        waiting = [pool.submit(time.sleep, 0.2) for _ in range(50)]
        raise OSError("No space left on device")
    assert sum(one.cancelled() for one in waiting) > 40


def test_a_recording_without_a_speaker_teaches_no_label(recipes, work, tmp_path, monkeypatch):
    embedder = recipes["embedder"]
    monkeypatch.setattr(embedder, "RECORDINGS", 4)
    training = embedder.Training(work, tmp_path, 40, seed=1)
    training.batches.labels[:] = -1
    before = training.heads.centres.detach().clone()
    assert training.learn(training.batches[0]).isfinite().all()
    assert torch.allclose(training.heads.centres, before, atol=1e-4)


def test_centring_takes_off_the_mean_in_which_each_source_counts_alike(recipes):
    model = WespeakerModel(WespeakerConfig(num_blocks=[1, 1, 1, 1], m_channels=4))
    raw = np.random.default_rng(0).normal(3.0, 2.0, (12, 256)).astype(np.float32)
    sources = np.array(["a"] * 9 + ["b"] * 3)
    weight, bias = model.seg_1.weight.detach().numpy().copy(), model.seg_1.bias.detach().numpy().copy()
    recipes["embeddings"].centre(model, raw, sources)
    scale = model.seg_1.weight.detach().numpy().ravel()[0] / weight.ravel()[0]
    centred = (raw - bias) * scale + model.seg_1.bias.detach().numpy()
    assert np.allclose(centred[:9].mean(0) + centred[9:].mean(0), 0, atol=1e-4)
    assert np.mean([np.square(centred[:9]).mean(), np.square(centred[9:]).mean()]) == pytest.approx(1, rel=1e-3)


def test_a_recording_at_another_speed_has_another_length_and_pitch(recipes):
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    slow = recipes["speed"].at_speed(tone, 0.9)
    assert len(slow) == pytest.approx(16_000 / 0.9, abs=1)
    spectrum = np.abs(np.fft.rfft(slow[:16_000]))
    assert int(spectrum.argmax()) == 900


def test_the_whole_way_from_samples_to_a_system_that_is_measured(recipes, data, work, tmp_path, monkeypatch):
    embedder = recipes["embedder"]
    monkeypatch.setattr(embedder, "RECORDINGS", 4)
    monkeypatch.setattr(embedder, "SECONDS", (1.0,))
    monkeypatch.setattr(embedder, "LONG", (1.2,))
    monkeypatch.setattr(recipes["embeddings"], "CONDITIONS", ("band=telephone",))
    for module in ("embeddings", "report"):
        monkeypatch.setattr(recipes[module], "CONDITIONS", ("band=telephone",))
    folder = tmp_path / "run"
    run(embedder, work, folder, data, "--steps", 3, "--every", 3)
    assert (tmp_path / "run.jsonl").exists()
    run(recipes["embeddings"], work, folder)
    _check_embeddings_of_copies(recipes, work, folder)
    run(recipes["autoencoder"], folder, work, tmp_path / "autoencoder", "--epochs", 2, "--attributes", 32)
    run(recipes["system"], work, data, folder, tmp_path / "autoencoder" / "best", tmp_path / "system")
    monkeypatch.setattr(recipes["report"], "COPIED", ("band=telephone",))
    options = ("--copies", "--draws", 20, "--json", tmp_path / "report.json")
    run(recipes["report"], work, data, tmp_path / "system", *options)
    figures = json.loads((tmp_path / "report.json").read_text())[str(tmp_path / "system")]
    of_all = figures["dev"]["all"]
    assert (of_all["trials"], of_all["same_speaker"], of_all["different_speaker"], of_all["speakers"]) == (
        15,
        3,
        12,
        3,
    )
    assert of_all["intervals"] == {}, "three speakers are too few"
    assert set(figures["flipped"]) == {"band=telephone"}
    assert (
        figures["degraded"]["band=telephone"]["trials"] == 15 and figures["degraded"]["band=telephone"]["flipped"] > 0
    )
    system = SpeakerComparisonModel.from_pretrained(tmp_path / "system")
    assert system.scorer.config.calibration["num_speakers"] == 3
    assert system.scorer.config.num_reference_speakers == VOICES
    people = system.scorer.config.reference["speakers_by"]
    assert people["source"] == {"librispeech": VOICES}
    assert people["language"] == {"en": VOICES} and sum(people["sex"].values()) == VOICES
    assert is_same(system.scorer.config.embedder_identity, model_identity(system.embedder))


def _check_embeddings_of_copies(recipes, work, folder):
    """A copy's embedding is that which the model gives for the copy's samples; the training's mean is taken off."""
    model = WespeakerModel.from_pretrained(folder / "embedder-centred")
    corpus = recipes["corpus"].recordings(work, "dev")
    made = recipes["copies"].copies(work, "dev", "band=telephone").waveform(str(corpus.columns["id"][0]))
    with torch.no_grad():
        expected = model(model.feature_extractor([made], sampling_rate=16_000)["input_features"]).embeddings[0].numpy()
    with np.load(folder / "dev.npz") as other:
        assert np.allclose(other["band=telephone"][0], expected, atol=0.02 * np.abs(expected).max())
    sources = recipes["corpus"].recordings(work, "train").columns["source"]
    with np.load(folder / "train.npz") as kept:
        groups = [kept["clean"][sources == name] for name in set(sources)]
    assert np.allclose(np.mean([group.mean(0) for group in groups], 0), 0, atol=1e-3)


def test_the_detector_hears_the_training_speakers_and_lies_beside_the_system(
    recipes, work, tmp_path, monkeypatch, tiny_embedder
):
    from balr_hf.defaults import SYSTEM, resource
    from balr_hf.detectors.detector import Detector

    asked = {}

    def fit(kind, embedder, waveform, speakers, sources, corpus, **options):
        asked.update(first=waveform(0), speakers=speakers, sources=sources, **options)
        size = embedder.num_statistics
        record = {"embedder": model_identity(embedder), "corpus": corpus, "speakers": len(set(speakers))}
        ways = len(kind.ways)
        values = np.ones((ways, size), np.float32), np.zeros(ways), np.ones((1, 1 + ways), np.float32)
        return Detector(kind, *values, record)

    monkeypatch.setattr(recipes["detectors"], "fit_detector", fit)
    shutil.copytree(resource(SYSTEM), tmp_path / "system")
    run(recipes["detectors"], work, tmp_path / "system")
    train = recipes["corpus"].recordings(work, "train")
    assert np.array_equal(asked["first"], train.waveform(0))
    assert asked["speakers"] == train.columns["speaker"].tolist()
    assert {"unchanged", "snr=10", "reverb=0.6"} <= set(asked["conditions"])
    found = SpeakerComparisonModel.from_pretrained(tmp_path / "system").detectors
    assert list(found) == ["overlapped", "speed", "room"]
    assert {one.record["speakers"] for one in found.values()} == {len(set(asked["speakers"]))}
