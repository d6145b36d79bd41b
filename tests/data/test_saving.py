"""Damaged saved Datasets, records and parts of interrupted runs are named, or computed anew."""

import json

import pytest

from balr_hf import load_corpus, save_dataset
from balr_hf.data.saving import DATASET_RECORD, FILES_RECORD, read_record
from balr_hf.errors import UserError


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"_data_files": 1, "features": 3}'])
def test_a_damaged_dataset_is_one_clear_error(make_corpus, tmp_path, name, content):
    make_corpus(2, 2).save_to_disk(str(tmp_path / "corpus"))
    (tmp_path / "corpus" / name).write_bytes(content)
    with pytest.raises(UserError, match="corpus is damaged, or no saved Dataset"):
        load_corpus(tmp_path / "corpus")


@pytest.mark.parametrize(
    "record", ["", "[", "3", '{"source": 3}', '{"source": "x", "csv": 3}', '{"source": "x", "csv": [1]}']
)
def test_a_damaged_record_is_one_clear_error(tmp_path, record):
    (tmp_path / FILES_RECORD).write_text(record)
    with pytest.raises(UserError, match=r"balr-files\.json is damaged"):
        read_record(tmp_path, FILES_RECORD)


@pytest.mark.parametrize(
    "damage", [lambda whole: b"", lambda whole: whole[: len(whole) // 2], lambda whole: b"x" * 99]
)
def test_a_damaged_part_is_computed_anew(balr, few, tmp_path, damage):
    words = ["extract", few, "--save-dir", tmp_path / "out", "--save-format", "dataset", "data.batch_size=4"]
    from balr_hf.data import dataset_store

    original, kept = dataset_store.save_dataset, []

    def stopped(*arguments):
        kept.extend(tmp_path.glob(".out.*.parts/*.npz"))
        raise OSError("the disk is full")

    dataset_store.save_dataset = stopped
    try:
        status, said = balr(*words)
        assert status == 1 and "the disk is full" in said
    finally:
        dataset_store.save_dataset = original
    kept[0].write_bytes(damage(kept[0].read_bytes()))
    status, said = balr(*words)
    assert status == 0
    assert "is damaged: what it held is computed anew" in said
    assert "4 embeddings computed, 8 there already" in said
    record = json.loads((tmp_path / "out" / DATASET_RECORD).read_text())
    assert record["kind"] == "embedding" and len(load_corpus(tmp_path / "out")) == 12


def test_two_kills_after_a_dataset_was_replaced_leave_no_parts_behind(balr, few, tmp_path, monkeypatch):
    """A run whose process dies before it has cleaned up leaves parts, which the next one removes, even if it dies."""
    from balr_hf.data import dataset_store

    folder = tmp_path / "out"
    assert balr("extract", few, "--save-dir", folder, "--save-format", "dataset")[0] == 0
    save_dataset = dataset_store.save_dataset

    def killed(*arguments):
        save_dataset(*arguments)
        raise OSError("the process is gone")

    words = ["binarize", folder, "--save-dir", folder, "--force"]
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(dataset_store, "save_dataset", killed)
            assert "the process is gone" in balr(*words)[1]
        assert len([*tmp_path.glob(".out.*.parts")]) == 1
    assert balr(*words)[0] == 0
    assert not [*tmp_path.glob(".out.*.parts")]


def test_a_dataset_is_saved_to_a_folder_that_a_text_names(make_corpus, tmp_path):
    corpus = make_corpus(2, 2)
    for _ in range(2):  # the second time over the first
        save_dataset(corpus, str(tmp_path / "corpus"))
    assert load_corpus(tmp_path / "corpus")["id"][:] == corpus["id"][:]
