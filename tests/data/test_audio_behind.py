"""Audio that was replaced under its name since it was embedded, and audio that several recordings hold."""

import itertools
import os
import shutil
from types import SimpleNamespace

import datasets
import numpy as np
import pytest

from balr_hf.cli.train import _read_set
from balr_hf.data import add_vector_column, audio_behind, fixed_length_column
from balr_hf.data.audio_behind import audio_keys, describe_replaced_audio, replaced_audio
from balr_hf.data.audio_sources import audio_source, audio_stat
from balr_hf.data.origins import Origin, add_origins, origins_of, vector_digests
from balr_hf.defaults import SYSTEM, resource
from balr_hf.verification import _verify_vectors


@pytest.fixture
def corpus(tmp_path):
    """Three recordings with attributes whose origins tell the audio; what they hold is no audio."""
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    audio = [{"bytes": None, "path": str(path)} for path in paths]
    bits = np.eye(3, 16, dtype=bool)
    made = [
        Origin("a@1", "fp32", "", digest, "e@2", "", audio_source(one), audio_stat(one))
        for digest, one in zip(vector_digests(bits), audio, strict=True)
    ]
    dataset = datasets.Dataset.from_dict({"id": list("abc"), "audio": [str(path) for path in paths]})
    dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
    dataset = add_origins(add_vector_column(dataset, "ba", fixed_length_column(bits)), "ba", made)
    return dataset, paths


def test_unchanged_files_are_not_digested(corpus, monkeypatch):
    def read(*_, **__):
        raise AssertionError("a file was read")

    monkeypatch.setattr(audio_behind, "sources_of", read)
    assert not replaced_audio(corpus[0]).any()


def test_replaced_files_are_found_and_others_left_alone(corpus):
    dataset, (_, b, c) = corpus
    os.utime(c)  # it was copied, and holds what it held
    b.write_bytes(b"other")
    assert replaced_audio(dataset).tolist() == [False, True, False]
    assert replaced_audio(dataset.select([2, 1])).tolist() == [False, True]
    assert "The audio of 1 of 3 recordings (b) was replaced" in describe_replaced_audio(dataset)
    b.unlink()  # vectors may stay where audio is deleted
    assert describe_replaced_audio(dataset) is None


def test_a_thorough_look_finds_what_size_and_time_hide(corpus):
    dataset, (a, *_) = corpus
    stat = a.stat()
    a.write_bytes(b"x" * stat.st_size)
    os.utime(a, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not replaced_audio(dataset).any()
    assert replaced_audio(dataset, thorough=True).tolist() == [True, False, False]


def test_vectors_that_note_no_time_are_compared_by_digest(corpus):
    dataset, (a, *_) = corpus
    dataset = add_origins(dataset, "ba", [origin._replace(stat="") for origin in origins_of(dataset, "ba")])
    assert not replaced_audio(dataset).any()
    a.write_bytes(b"other")
    assert replaced_audio(dataset).tolist() == [True, False, False]


def test_origins_of_an_earlier_version_are_read(corpus):
    dataset, _ = corpus
    earlier = [
        {name: value for name, value in origin._asdict().items() if name not in ("audio", "stat")}
        for origin in origins_of(dataset, "ba")
    ]
    old = dataset.remove_columns("ba_origin").add_column("ba_origin", earlier)
    assert [origin.model for origin in origins_of(old, "ba")] == ["a@1"] * 3
    assert not replaced_audio(old, thorough=True).any()


def test_verify_tells_of_attributes_without_embeddings_whose_audio_was_replaced(corpus):
    dataset, (_, b, _) = corpus
    assert all(check.holds is not False for check in _verify_vectors(dataset, "ba", None))
    b.write_bytes(b"other")
    (wrong,) = [check.text for check in _verify_vectors(dataset, "ba", None) if check.holds is False]
    assert "(b) was replaced" in wrong


def test_keys_tell_audio_apart_by_digest_and_else_by_file(corpus):
    dataset, (a, b, c) = corpus
    keys = audio_keys(dataset)
    assert len(set(keys)) == 3 and all(key.startswith("sha256:") for key in keys)
    assert audio_keys(dataset.remove_columns("ba_origin")) == [f"file:{path}" for path in (a, b, c)]
    assert audio_keys(dataset.remove_columns(["ba_origin", "audio"])) == [None] * 3


def test_every_step_tells_of_vectors_of_replaced_audio(few, extracted, balr, tmp_path, caplog):
    assert balr("binarize", few)[0] == 0
    names = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    trials = tmp_path / "trials.tsv"
    pairs = itertools.combinations(names, 2)
    trials.write_text("\n".join(["enrollment\ttest", *(f"{a}\t{b}" for a, b in pairs)]) + "\n")
    audio = sorted(path for path in few.parent.rglob("*.opus") if path.stem in few.read_text())
    shutil.copyfile(audio[-1], few.parent / f"{names[0]}.opus")
    for words in (
        ("explain", "--corpus", few, names[0], names[1]),
        ("score", "test", "--save-dir", tmp_path / "run", few, trials),
        ("score", "calibrate", "--save-dir", tmp_path / "calibrated", few, trials),
        ("score", "train", "--save-dir", tmp_path / "scorer", few),
        ("validate", "--save-dir", tmp_path / "validated", resource(SYSTEM), few, trials),
        ("binarize", few),
    ):
        status, said = balr(*words)
        assert status == 1 and f"recordings ({names[0]}) was replaced" in said, said
        assert "balr extract and then balr binarize" in said
    caplog.clear()
    _read_set(SimpleNamespace(audio_formats=("opus",), root_dir=None), few)
    assert f"recordings ({names[0]}) was replaced" in caplog.text
    status, said = balr("explain", "--allow-mismatch", "--corpus", few, names[0], names[1])
    assert status == 0 and f"({names[0]}) was replaced" in said.split("Hs:")[1]
    assert balr("extract", few)[0] == balr("binarize", few)[0] == 0
    assert balr("explain", "--corpus", few, names[0], names[1])[0] == 0
