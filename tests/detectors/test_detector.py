"""The file of a detector of overlapped speech, and what it refuses."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from balr_hf.errors import MismatchError, UserError
from balr_hf.overlapped.detector import FILE, RECORD, OverlappedSpeechDetector, load_detector, read_detector

EMBEDDER = "me/embedder@" + "a" * 64
FOUND = [{"below": [0.0, 4.0], "mixtures": 50, "found": 40}, {"below": [4.0, 8.0], "mixtures": 0, "found": 0}]


@pytest.fixture
def detector():
    weight = np.array([1.0, -2.0, 0.5], dtype=np.float32)
    seconds = np.tile([1.0, 10.0], 500)
    scores = np.where(seconds < 2, np.linspace(-8, 8, 1000), np.linspace(-4, 4, 1000))
    one_voice = np.stack([seconds, scores], axis=1).astype(np.float32)
    record = {"embedder": EMBEDDER, "corpus": "calls", "speakers": 70, "found": FOUND}
    return OverlappedSpeechDetector(weight, 0.25, one_voice, record)


def test_it_is_loaded_as_it_was_saved(detector, tmp_path):
    assert detector.save(tmp_path) == tmp_path / FILE
    found = load_detector(tmp_path)
    assert found.digest == detector.digest
    assert found.record == detector.record
    statistics = np.random.default_rng(0).normal(size=(5, 3))
    assert np.array_equal(found.score(statistics), detector.score(statistics))
    assert found.score(np.array([[1.0, 1.0, 1.0]]))[0] == 1 - 2 + 0.5 + 0.25


def test_where_there_is_none_nothing_is_loaded(tmp_path):
    assert load_detector(tmp_path) is None


def test_a_percentile_counts_the_recordings_of_about_this_length_that_score_as_high(detector):
    assert detector.percentile(-9, 10) == 100
    assert detector.percentile(9, 10) == pytest.approx(100 / 201)  # none of 200, a fifth of all; the next one could
    short, long = detector.percentile(3.9, 1), detector.percentile(3.9, 10)
    assert long < 5 < short
    assert detector.percentile(3.9, 60) == long  # of none that long, the longest are nearest
    assert detector.percentile(3.9, 0) == short


def test_a_detector_of_another_embedder_is_refused(detector, monkeypatch):
    def with_embedder(identity: str, size: int | None) -> SimpleNamespace:
        monkeypatch.setattr("balr_hf.overlapped.detector.model_identity", lambda embedder: identity)
        return SimpleNamespace(num_statistics=size)

    detector.check(with_embedder("another name@" + "a" * 64, 3))
    for embedder, size in (("me/embedder@" + "b" * 64, 3), (EMBEDDER, 4), (EMBEDDER, None)):
        with pytest.raises(MismatchError):
            detector.check(with_embedder(embedder, size))
    with pytest.raises(MismatchError, match="detector for the embedder me/embedder") as refused:
        detector.check(with_embedder("me/embedder@" + "b" * 64, 3))
    assert "--allow-mismatch" not in str(refused.value) and "balr overlapped SYSTEM CORPUS" in str(refused.value)


@pytest.mark.parametrize("part", ["weight", "one_voice", "record"])
def test_an_edited_file_is_refused(detector, tmp_path, part):
    path = detector.save(tmp_path)
    values, digest = load_file(path), detector.digest
    record = {"version": 1, "digest": digest, **detector.record}
    if part == "record":
        record["speakers"] = 7000
    else:
        values[part] = values[part] + 1
    save_file(values, path, {RECORD: json.dumps(record)})
    with pytest.raises(UserError, match="not as it was saved"):
        read_detector(path)


def test_a_damaged_file_or_one_of_another_version_is_refused(detector, tmp_path):
    path = detector.save(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with pytest.raises(UserError, match="is damaged"):
        load_detector(tmp_path)
    values = {"weight": np.array([np.nan]), "bias": np.zeros(1), "one_voice": np.ones((3, 2))}
    save_file(values, path, {RECORD: json.dumps({"version": 1, "embedder": EMBEDDER})})
    with pytest.raises(UserError, match="not those of a detector"):
        load_detector(tmp_path)
    save_file(values, path, {RECORD: json.dumps({"version": 2, "embedder": EMBEDDER})})
    with pytest.raises(UserError, match="another version"):
        load_detector(tmp_path)
    save_file(values, path)
    with pytest.raises(UserError, match="is damaged"):
        load_detector(tmp_path)


def test_it_says_what_it_finds_and_what_it_was_fitted_to(detector):
    told = detector.describe()
    assert told.startswith(detector.digest[:12])
    assert "mixtures of 70 speakers of calls" in told
    assert told.endswith("half of the time or more, 80 % of those 0 to 4 dB below the first") and "4 to 8" not in told
