"""The file of a detector, and what it refuses."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from balr_hf.detectors.detector import FILES, RECORD, VERSION, Detector, load_detectors, read_detector
from balr_hf.domain import Limits
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.explanation.heard import OVERLAPPED, SPEED

EMBEDDER = "me/embedder@" + "a" * 64
FOUND = [
    {"way": "overlapped", "amount": [0.0, 4.0], "recordings": 50, "found": 40},
    {"way": "overlapped", "amount": [4.0, 8.0], "recordings": 0, "found": 0},
]
FILE = FILES["overlapped"]


@pytest.fixture
def detector():
    weight = np.array([[1.0, -2.0, 0.5]], dtype=np.float32)
    seconds = np.tile([1.0, 10.0], 500)
    scores = np.where(seconds < 2, np.linspace(-8, 8, 1000), np.linspace(-4, 4, 1000))
    usual = np.stack([seconds, scores], axis=1).astype(np.float32)
    record = {"embedder": EMBEDDER, "corpus": "calls", "speakers": 70, "found": FOUND}
    return Detector(OVERLAPPED, weight, np.array([0.25]), usual, record)


def test_it_is_loaded_as_it_was_saved(detector, tmp_path):
    assert detector.save(tmp_path) == tmp_path / FILE
    found = load_detectors(tmp_path)["overlapped"]
    assert found.kind is OVERLAPPED and found.digest == detector.digest
    assert found.record == detector.record
    statistics = np.random.default_rng(0).normal(size=(5, 3))
    assert np.array_equal(found.scores(statistics), detector.scores(statistics))
    assert found.scores(np.array([[1.0, 1.0, 1.0]])).item() == 1 - 2 + 0.5 + 0.25


def test_where_there_is_none_nothing_is_loaded(tmp_path):
    assert load_detectors(tmp_path) == {}


def test_a_percentile_counts_the_recordings_of_about_this_length_that_score_as_high(detector):
    def percentile(score: float, seconds: float) -> float:
        (found,) = detector.percentiles(np.array([score]), seconds)
        return found

    assert percentile(-9, 10) == 100
    assert percentile(9, 10) == pytest.approx(100 / 201)  # none of 200, a fifth of all; the next one could
    short, long = percentile(3.9, 1), percentile(3.9, 10)
    assert long < 5 < short
    assert percentile(3.9, 60) == long  # of none that long, the longest are nearest
    assert percentile(3.9, 0) == short


def test_each_way_has_a_score_and_a_percentile_of_its_own(detector, tmp_path):
    weight = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=np.float32)
    usual = np.column_stack([np.full(1000, 3.0), np.linspace(-4, 4, 1000), np.linspace(-1, 1, 1000)])
    made = Detector(SPEED, weight, np.zeros(2), usual.astype(np.float32), detector.record | {"found": []})
    assert made.save(tmp_path).name == "changed_speed.safetensors"
    detector.save(tmp_path)
    assert list(load_detectors(tmp_path)) == ["overlapped", "speed"]
    found = load_detectors(tmp_path)["speed"].heard(np.array([0.0, 2.0, 9.0]), 3.0)
    assert (found.way, found.is_beyond) == ("slower", True) and found.percentile == pytest.approx(200 / 201)
    assert made.heard(np.array([3.99, -1.0, 0.0]), 3.0).way == "faster"
    assert not made.heard(np.array([0.0, 0.0, 0.0]), 3.0).is_doubtful
    made.check_limits(Limits.parse("speed=1"))
    with pytest.raises(ConfigError, match="compares with 200 recordings, and tells no less than 1 %"):
        made.check_limits(Limits.parse("speed=0.99"))  # of two ways, each may seem unusual: 2 of 201 at least


def test_a_detector_of_another_embedder_is_refused(detector, monkeypatch):
    def with_embedder(identity: str, size: int | None) -> SimpleNamespace:
        monkeypatch.setattr("balr_hf.detectors.detector.model_identity", lambda embedder: identity)
        return SimpleNamespace(num_statistics=size)

    detector.check(with_embedder("another name@" + "a" * 64, 3))
    for embedder, size in (("me/embedder@" + "b" * 64, 3), (EMBEDDER, 4), (EMBEDDER, None)):
        with pytest.raises(MismatchError):
            detector.check(with_embedder(embedder, size))
    with pytest.raises(MismatchError, match="detector for the embedder me/embedder") as refused:
        detector.check(with_embedder("me/embedder@" + "b" * 64, 3))
    assert "--allow-mismatch" not in str(refused.value) and "balr detectors SYSTEM CORPUS" in str(refused.value)


@pytest.mark.parametrize("part", ["weight", "usual", "record"])
def test_an_edited_file_is_refused(detector, tmp_path, part):
    path = detector.save(tmp_path)
    values, digest = load_file(path), detector.digest
    record = {"version": VERSION, "kind": "overlapped", "digest": digest, **detector.record}
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
        load_detectors(tmp_path)
    values = {"weight": np.array([[np.nan]]), "bias": np.zeros(1), "usual": np.ones((3, 2))}
    record = {"version": VERSION, "kind": "overlapped", "embedder": EMBEDDER}
    for wrong, part in ((values, {}), ({"weight": np.ones((1, 3))}, {}), (values | {"weight": np.ones((2, 1))}, {})):
        save_file(wrong, path, {RECORD: json.dumps(record | part)})
        with pytest.raises(UserError, match="not those of a detector"):
            load_detectors(tmp_path)
    whole = values | {"weight": np.ones((1, 1))}
    for part in ({"kind": "speed"}, {"kind": "music"}, {"embedder": 3}):
        save_file(whole, path, {RECORD: json.dumps(record | part)})
        with pytest.raises(UserError, match="not those of a detector"):
            load_detectors(tmp_path)
    for part in ({"version": 1}, {"version": "2"}):
        save_file(whole, path, {RECORD: json.dumps(record | part)})
        with pytest.raises(UserError, match="another version"):
            load_detectors(tmp_path)
    save_file(whole, path)
    with pytest.raises(UserError, match="is damaged"):
        load_detectors(tmp_path)


def test_a_file_under_the_name_of_another_kind_is_refused(detector, tmp_path):
    detector.save(tmp_path).rename(tmp_path / FILES["speed"])
    with pytest.raises(UserError, match="not as it was saved"):
        load_detectors(tmp_path)


def test_it_says_what_it_finds_and_what_it_was_fitted_to(detector):
    told = detector.describe()
    assert told.startswith(detector.digest[:12])
    assert "fitted to recordings of 70 speakers of calls" in told
    assert told.endswith("it finds 80 % of second voices (for half of the time or more) 0 to 4 dB below the first")
    assert "4 to 8" not in told


def test_limits_that_it_cannot_tell_are_refused(detector):
    detector.check_limits(None)
    detector.check_limits(Limits.parse("overlapped=0"))
    with pytest.raises(ConfigError, match=r"overlapped=0\.3: the detector of overlapped speech"):
        detector.check_limits(Limits.parse("overlapped=0.3"))


@pytest.mark.parametrize(
    "part",
    [
        {"found": None},
        {"found": [{"way": "faster"}]},
        {"found": [3]},
        {"found": [{"kind": 1}]},
        {"corpus": 3},
        {"speakers": "many"},
    ],
)
def test_a_record_that_nothing_could_be_said_of_is_refused(detector, tmp_path, part):
    from dataclasses import replace

    replace(detector, record={**detector.record, **part}).save(tmp_path)
    with pytest.raises(UserError, match="not those of a detector"):
        load_detectors(tmp_path)


def test_values_of_half_precision_are_refused(detector, tmp_path):
    import torch
    from safetensors.torch import save_file as save_tensors

    path = detector.save(tmp_path)
    values = {"weight": torch.ones(1, 3, dtype=torch.bfloat16), "bias": torch.zeros(1), "usual": torch.ones(3, 2)}
    save_tensors(values, path, {RECORD: json.dumps({"version": VERSION, "kind": "overlapped", "embedder": EMBEDDER})})
    with pytest.raises(UserError, match="is damaged"):
        load_detectors(tmp_path)
