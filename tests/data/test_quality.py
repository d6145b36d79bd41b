"""What was measured of recordings, in files and Datasets of this version and of those before `decay` was measured."""

import dataclasses
import inspect
import os

import datasets
import pytest

from balr_hf.data import quality
from balr_hf.data.manifests import MANIFEST, check_quality_is_kept
from balr_hf.data.quality import (
    COLUMN,
    LATER,
    add_quality_column,
    append_quality,
    known_quality,
    read_quality,
    write_quality,
)
from balr_hf.quality import RecordingQuality

ROW = RecordingQuality(
    **{"duration": 8.0, "net_speech": 6.0, "level": -25.0, "peak": -6.0, "snr": 30.0, "snr_method": "pauses"},
    **{"bandwidth": 8000.0, "clipping": 0.0, "tone": None, "tone_share": 0.0, "dc_offset": 0.0},
    sampling_rate=16000,
    decay=512.5,
).to_dict()


def without_decay(text: str) -> str:
    """A csv of this version as an earlier one wrote it."""
    return "".join(line.rpartition(",")[0] + "\n" for line in text.splitlines())


def test_a_csv_comes_back_as_it_was_written(tmp_path):
    write_quality(tmp_path / "quality.csv", {"a": ROW, "b": ROW | {"snr": None, "decay": None}})
    assert read_quality(tmp_path / "quality.csv") == {"a": ROW, "b": ROW | {"snr": None, "decay": None}}


@pytest.mark.parametrize("rate", [str(2**63), "-" + 30 * "9", "1.5", "x"])
def test_a_rate_that_is_no_number_of_64_bits_makes_a_row_that_is_not_whole(tmp_path, rate):
    path = tmp_path / "quality.csv"
    write_quality(path, {"a": ROW, "b": ROW})
    path.write_text(path.read_text().replace(",16000,", f",{rate},", 1))
    assert read_quality(path) == {"b": ROW}
    corpus = datasets.Dataset.from_dict({"id": ["a", "b"]})
    assert known_quality(add_quality_column(corpus, read_quality(path))) == {"b": ROW}


def test_measures_of_a_corpus_are_not_written_over(tmp_path, balr, few):
    """`inspect` and `measure` of other recordings would replace what the corpus's vectors were refused or kept by."""
    write_quality(tmp_path / "quality.csv", {"a": ROW, "b": ROW})
    check_quality_is_kept(tmp_path, [])  # nothing lies there that these belong to
    (tmp_path / MANIFEST).write_text("{}")
    check_quality_is_kept(tmp_path, ["a", "b", "c"])
    before = (tmp_path / "quality.csv").read_bytes()
    for command in ("inspect", "measure"):
        status, said = balr(command, few, "--save-dir", tmp_path)
        assert status == 1 and "2 of them would be lost: a, b. Choose another --save-dir" in said
    assert (tmp_path / "quality.csv").read_bytes() == before


def test_a_colleague_of_the_same_group_can_add_rows_where_new_files_are_so(tmp_path):
    before = os.umask(0o002)
    try:
        append_quality(tmp_path / "quality.csv", {"a": ROW})
    finally:
        os.umask(before)
    assert (tmp_path / "quality.csv").stat().st_mode & 0o777 == 0o664


def test_rows_are_added_whole_after_one_that_was_cut_off_and_to_a_disk_that_takes_parts(tmp_path, monkeypatch):
    path, write = tmp_path / "quality.csv", os.write
    append_quality(path, {"a": ROW, "b": ROW})
    path.write_bytes(path.read_bytes()[:-20])
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:3]))
    append_quality(path, {"c": ROW})
    assert read_quality(path) == {"a": ROW, "c": ROW}


def test_a_csv_of_an_earlier_version_is_read_and_gets_rows_of_this_one(tmp_path):
    path = tmp_path / "quality.csv"
    write_quality(path, {"a": ROW})
    path.write_text(without_decay(path.read_text()))
    assert read_quality(path) == {"a": ROW | {"decay": None}}
    append_quality(path, {"b": ROW})
    assert read_quality(path) == {"a": ROW | {"decay": None}, "b": ROW}


def test_what_was_measured_stays_known_when_one_more_measure_is_added(tmp_path, monkeypatch):
    """A csv of this version is then one of an earlier version, and so is one without `decay`."""
    write_quality(tmp_path / "now.csv", {"a": ROW})
    (tmp_path / "before.csv").write_text(without_decay((tmp_path / "now.csv").read_text()))
    monkeypatch.setattr(quality, "_TYPES", {**quality._TYPES, "tilt": "float"})
    monkeypatch.setattr(quality, "LATER", (*quality.LATER, "tilt"))
    assert read_quality(tmp_path / "now.csv") == {"a": ROW | {"tilt": None}}
    assert read_quality(tmp_path / "before.csv") == {"a": ROW | {"decay": None, "tilt": None}}
    append_quality(tmp_path / "now.csv", {"b": ROW | {"tilt": 3.5}})
    assert read_quality(tmp_path / "now.csv") == {"a": ROW | {"tilt": None}, "b": ROW | {"tilt": 3.5}}


def test_each_measure_of_a_recording_is_told_of(root):
    text = (root / "docs" / "data-formats.md").read_text(encoding="utf-8")
    documented = inspect.getdoc(RecordingQuality)
    for field in dataclasses.fields(RecordingQuality):
        assert f"`{field.name}`" in text, "docs/data-formats.md"
        assert f"\n    {field.name}: " in documented


def test_measures_that_earlier_versions_lack_are_the_last_ones():
    names = [field.name for field in dataclasses.fields(RecordingQuality)]
    optional = [field.name for field in dataclasses.fields(RecordingQuality) if field.default is None]
    assert tuple(optional) == LATER == tuple(names[-len(LATER) :])


def test_a_dataset_of_an_earlier_version_is_read(tmp_path):
    dataset = add_quality_column(datasets.Dataset.from_dict({"id": ["a", "b"]}), {"a": ROW})
    assert known_quality(dataset) == {"a": ROW}
    earlier = {name: value for name, value in ROW.items() if name != "decay"}
    feature = {name: kind for name, kind in dataset.features[COLUMN].items() if name != "decay"}
    old = datasets.Dataset.from_dict({"id": ["a", "b"]}).add_column(COLUMN, [earlier, None], feature=feature)
    assert known_quality(old) == {"a": ROW | {"decay": None}}
