import csv
import datetime
import logging
import pickle
import wave
import zipfile
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from balr_hf.audio import AUDIO_FORMATS, load_audio
from balr_hf.data import (
    Skipped,
    add_vector_column,
    fixed_length_column,
    load_corpus,
    read_corpus,
    save_dataset,
    speaker_codes,
    vector_matrix,
    warn_skipped,
    write_skipped,
)
from balr_hf.data.contract import with_types_of_samples
from balr_hf.data.vectors import write_vector
from balr_hf.errors import UserError

STRING = datasets.Value("string")
EMBEDDING = np.array([0.5, -1, 0.1, 3], dtype=np.float32)
BITS = np.array([True, False, False, True, True])


@pytest.fixture(autouse=True)
def no_shared_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def write_csv(path: Path, *rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write_wav(path: Path, samples: int = 1600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.arange(samples, dtype="<i2").tobytes())
    return path


def paths(dataset) -> list[str | None]:
    return [None if row is None else row["path"] for row in dataset["audio"]]


def saved(tmp_path, columns: dict, features: dict | None = None, format: str | None = None) -> Path:
    """A folder that `save_to_disk` wrote."""
    features = None if features is None else datasets.Features(features)
    dataset = datasets.Dataset.from_dict(columns, features=features)
    dataset.with_format(format).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


# --- csv ---


def test_shipped_corpus_is_read(sample):
    corpus = load_corpus(sample / "test.csv")
    assert corpus.column_names == ["id", "speaker", "sex", "text", "audio"]
    assert corpus.features["audio"] == datasets.Audio(decode=False)
    assert corpus.features["id"] == corpus.features["speaker"] == STRING
    assert len(corpus) == 64 and len(set(corpus["speaker"])) == 8
    assert corpus[0]["id"] == "espeak17/espeak17-01"
    assert len(load_audio(corpus[0]["audio"])) > 16000


def test_relative_paths_start_from_the_csv(tmp_path, monkeypatch):
    write_csv(tmp_path / "meta" / "m.csv", ["id", "audio"], ["a", "x/a.wav"], ["b", str(tmp_path / "b.wav")])
    monkeypatch.chdir(tmp_path)
    wanted = [str(tmp_path / "meta" / "x" / "a.wav"), str(tmp_path / "b.wav")]
    assert paths(load_corpus("meta/m.csv")) == wanted
    assert paths(load_corpus(tmp_path / "meta" / "m.csv")) == wanted


def test_relative_paths_start_from_the_root_folder(tmp_path, monkeypatch):
    write_csv(tmp_path / "m.csv", ["id", "audio"], ["a", "x/a.wav"], ["b", "/elsewhere/b.wav"])
    monkeypatch.chdir(tmp_path)
    for root in ("disk", tmp_path / "disk"):
        corpus = load_corpus("m.csv", root_dir=root)
        assert paths(corpus) == [str(tmp_path / "disk" / "x" / "a.wav"), "/elsewhere/b.wav"]


def test_id_defaults_to_the_audio_path_as_written(tmp_path):
    write_csv(tmp_path / "m.csv", ["audio", "speaker"], ["x/a.wav", "s"], ["b.wav", "s"])
    assert list(load_corpus(tmp_path / "m.csv")["id"]) == ["x/a.wav", "b.wav"]


def test_empty_id_defaults_to_the_audio_path_as_written(tmp_path):
    write_csv(tmp_path / "m.csv", ["id", "audio"], ["", "x/a.wav"], ["b", "b.wav"])
    assert list(load_corpus(tmp_path / "m.csv")["id"]) == ["x/a.wav", "b"]


def test_text_columns_stay_text(tmp_path):
    names = ["NA", "007", "1.50", "true", "nan", "null", "2024-01-02"]
    write_csv(tmp_path / "m.csv", ["id", "audio", "speaker"], *([name, f"{name}.wav", name] for name in names))
    corpus = load_corpus(tmp_path / "m.csv")
    assert list(corpus["id"]) == list(corpus["speaker"]) == names
    assert corpus.features["speaker"] == STRING


def test_empty_speaker_is_unknown(tmp_path):
    write_csv(tmp_path / "m.csv", ["id", "audio", "speaker"], ["a", "a.wav", ""], ["b", "b.wav", "s"])
    assert list(load_corpus(tmp_path / "m.csv")["speaker"]) == [None, "s"]


def test_extra_columns_pass_through_with_their_types(tmp_path):
    write_csv(
        tmp_path / "m.csv",
        ["text", "audio", "age", "snr", "clean", "day", "id", "note"],
        ["NA", "a.wav", "31", "2.5", "true", "2024-01-02", "a", ""],
        ["x y", "b.wav", "", "-1", "false", "2024-01-03", "b", ""],
    )
    corpus = load_corpus(tmp_path / "m.csv")
    assert corpus.column_names == ["text", "age", "snr", "clean", "day", "id", "note", "audio"]
    assert {name: corpus.features[name].dtype for name in ("text", "age", "snr", "clean", "day")} == {
        "text": "string",
        "age": "int64",
        "snr": "float64",
        "clean": "bool",
        "day": "date32",
    }
    first = {name: value for name, value in corpus[0].items() if name != "audio"}
    day = datetime.date(2024, 1, 2)
    assert first == {"text": "NA", "age": 31, "snr": 2.5, "clean": True, "day": day, "id": "a", "note": None}
    assert list(corpus["age"]) == [31, None]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_that_look_like_numbers_stay_as_they_are_written(tmp_path, encoding):
    names = ["sex", "session", "channel", "language", "source", "condition", "speaker", "id", "text"]
    rows = [f"{','.join([*names, 'age', 'audio'])}\n", f"{'00073,' * 9}31,a.wav\n", f"{'00,' * 9}032,b.wav\n"]
    odd = f"{'007,' * 7}7,é,33,c.wav\n"  # in latin-1, a row that is not UTF-8 is read in another way, and left out
    (tmp_path / "m.csv").write_bytes("".join([*rows, odd]).encode(encoding))
    corpus = load_corpus(tmp_path / "m.csv")
    for name in names:
        assert list(corpus[name])[:2] == ["00073", "00"] and corpus.features[name] == STRING
    assert list(corpus["age"])[:2] == [31, 32] and len(corpus) == (3 if encoding == "utf-8" else 2)


def test_quoted_commas_newlines_and_quotes_are_kept(tmp_path):
    text = 'first, second\nthird "quoted"'
    write_csv(tmp_path / "m.csv", ["id", "audio", "text"], ["a,1", "x, y/a.wav", text], ["b", "b.wav", ""])
    corpus = load_corpus(tmp_path / "m.csv")
    assert list(corpus["id"]) == ["a,1", "b"]
    assert list(corpus["text"]) == [text, None]
    assert paths(corpus)[0] == str(tmp_path / "x, y" / "a.wav")


def test_quoted_newlines_are_kept_in_a_large_csv(tmp_path):
    texts = [f"{row}\n" * 1000 for row in range(600)]  # more than one block of the parser
    write_csv(tmp_path / "m.csv", ["id", "audio", "text"], *([i, f"{i}.wav", text] for i, text in enumerate(texts)))
    assert list(load_corpus(tmp_path / "m.csv")["text"]) == texts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_utf8_is_read_with_and_without_a_byte_order_mark(tmp_path, encoding, line_end):
    text = line_end.join(["id,audio,speaker", "é,é.wav,Zoë", "b,b.wav,李", ""])
    (tmp_path / "m.csv").write_bytes(text.encode(encoding))
    corpus = load_corpus(tmp_path / "m.csv")
    assert corpus.column_names == ["id", "speaker", "audio"]
    assert list(corpus["id"]) == ["é", "b"] and list(corpus["speaker"]) == ["Zoë", "李"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_csv_in_another_encoding_is_named(tmp_path, encoding):
    (tmp_path / "m.csv").write_bytes("id,audio,speaker\na,a.wav,Zoë\n".encode(encoding))
    with pytest.raises(UserError, match=r"m\.csv"):
        load_corpus(tmp_path / "m.csv")


@pytest.mark.parametrize("header", [["id", "path", "who"], ["id;audio"]])
def test_csv_without_a_usable_column_is_refused_with_its_columns(tmp_path, header):
    write_csv(tmp_path / "m.csv", header, ["x"] * len(header))
    with pytest.raises(UserError) as error:
        load_corpus(tmp_path / "m.csv")
    wanted = f"none of the columns audio, embedding, binary_attributes; its columns are {', '.join(header)}"
    assert wanted in str(error.value)
    assert str(error.value).endswith("they are separated by semicolons, expected commas") == (len(header) == 1)


def test_csv_that_names_no_recording_is_refused_with_its_columns(tmp_path):
    write_csv(tmp_path / "m.csv", ["embedding", "speaker"], ["a_emb.txt", "s"])
    with pytest.raises(UserError, match="neither an id nor an audio column; its columns are embedding, speaker"):
        load_corpus(tmp_path / "m.csv")


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_empty_csv_is_refused(tmp_path, content):
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"m\.csv is empty: expected a header"):
        load_corpus(tmp_path / "m.csv")


def test_csv_with_a_header_alone_is_refused(tmp_path):
    write_csv(tmp_path / "m.csv", ["id", "audio", "speaker"])
    with pytest.raises(UserError, match=r"m\.csv has a header but no rows: it names no recording"):
        load_corpus(tmp_path / "m.csv")


def test_recordings_that_the_csv_of_a_folder_leaves_out_are_told(tmp_path, caplog):
    for name in ("a.wav", "b.wav", "more/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"RIFF")
    write_csv(tmp_path / "metadata.csv", ["id", "audio"], ["a", "a.wav"])
    assert list(load_corpus(tmp_path)["id"]) == ["a"]
    assert "names 1 of the 3 recordings in its folder" in caplog.text
    assert "(not b.wav and c.wav)" in caplog.text or "(not b.wav, c.wav)" in caplog.text
    caplog.clear()
    write_csv(tmp_path / "metadata.csv", ["audio"], ["a.wav"], ["b.wav"], ["more/c.wav"])
    assert len(load_corpus(tmp_path)) == 3
    assert "names" not in caplog.text


def test_ragged_csv_is_refused(tmp_path):
    write_csv(tmp_path / "m.csv", ["id", "audio"], ["a", "a.wav", "more"])
    with pytest.raises(UserError, match=r"m\.csv is not a proper csv.*Expected 2 columns, got 3"):
        load_corpus(tmp_path / "m.csv")


def test_repeated_columns_are_named(tmp_path):
    write_csv(tmp_path / "m.csv", ["id", "audio", "audio"], ["a", "a.wav", "b.wav"])
    with pytest.raises(UserError, match="several columns named audio"):
        load_corpus(tmp_path / "m.csv")


@pytest.mark.parametrize(
    "header", [["ID", "Audio", "Speaker", "Sex", "Session"], ["Id", "FILE_NAME", "SPEAKER", "sex", "SESSION"]]
)
def test_columns_of_a_csv_are_found_in_any_case(tmp_path, caplog, header):
    caplog.set_level("INFO")
    header = [*header, "Number", "BA"]
    write_csv(tmp_path / "m.csv", header, ["one", "a.wav", "007", "f", "00073", "1", "x"])
    corpus = load_corpus(tmp_path / "m.csv")
    assert set(corpus.column_names) == {"id", "audio", "speaker", "sex", "session", "Number", "BA"}
    (row,) = corpus
    assert (row["id"], row["speaker"], row["sex"], row["session"]) == ("one", "007", "f", "00073")
    assert Path(row["audio"]["path"]).name == "a.wav" and row["Number"] == 1
    (told,) = [message for message in caplog.messages if "in lower case" in message]
    assert f"{header[0]} as id" in told and "Number" not in told


def test_columns_of_a_csv_that_differ_in_case_only_stay_apart_or_are_refused(tmp_path):
    write_csv(tmp_path / "m.csv", ["id", "ID", "audio"], ["one", "7", "a.wav"])
    corpus = load_corpus(tmp_path / "m.csv")
    assert corpus["id"][:] == ["one"] and corpus["ID"][:] == [7]
    write_csv(tmp_path / "m.csv", ["Id", "ID", "audio"], ["one", "7", "a.wav"])
    with pytest.raises(UserError, match=r"m\.csv has the columns Id and ID: only one of them can be id"):
        load_corpus(tmp_path / "m.csv")


@pytest.mark.parametrize("kind", ["int16", "int32"])
def test_integer_samples_of_a_dataset_keep_their_type(tmp_path, kind):
    samples = np.linspace(np.iinfo(kind).min, np.iinfo(kind).max, 16000).astype(kind)
    audio = {"array": datasets.List(datasets.Value(kind)), "sampling_rate": datasets.Value("int64")}
    features = {"id": STRING, "audio": audio}
    rows = [{"array": samples, "sampling_rate": 16000}, None, {"array": samples[::-1], "sampling_rate": 16000}]
    folder = saved(tmp_path, {"id": ["a", "b", "c"], "audio": rows}, features)
    given = datasets.load_from_disk(str(folder)).select([2, 1, 0])  # with indices
    expected = [load_audio({"array": found, "sampling_rate": 16000}) for found in (samples[::-1], samples)]
    for corpus in (load_corpus(given), with_types_of_samples(given.to_iterable_dataset())):
        found = [row["audio"] for row in corpus]
        assert found[1] is None or found[1]["array"] is None
        for one, other in zip((found[0], found[2]), expected, strict=True):
            np.testing.assert_array_equal(load_audio(one), other)
    assert load_corpus(load_corpus(given)).features == load_corpus(given).features


def test_duplicate_ids_are_named(tmp_path):
    rows = [[name, f"{row}.wav"] for row, name in enumerate("abacbd")]
    write_csv(tmp_path / "m.csv", ["id", "audio"], *rows)
    with pytest.raises(UserError, match=r"duplicate ids.*: a, b$"):
        load_corpus(tmp_path / "m.csv")


def test_rows_that_name_no_file_are_skipped_and_counted(tmp_path):
    rows = [["a", "a.wav", "", "1"], ["b", "", "", "2"], ["", "", "", "3"], ["c", "c.wav", "", "4"]]
    write_csv(tmp_path / "m.csv", ["id", "audio", "embedding", "number"], *rows)
    corpus = read_corpus(tmp_path / "m.csv")
    assert list(corpus.dataset["id"]) == ["a", "c"] and list(corpus.dataset["number"]) == [1, 4]
    assert corpus.skipped == [Skipped("b", "the csv names no file"), Skipped("row 4", "the csv names no file")]
    assert [Path(corpus.files.reference(row)).name for row in range(len(corpus.files))] == ["a.wav", "c.wav"]


def test_what_loading_leaves_out_is_warned_about_once(tmp_path, caplog):
    (tmp_path / "c_emb.txt").write_text("no vector")
    rows = [["a", "a.wav", ""], ["b", "", ""], ["c", "c.wav", "c_emb.txt"]]
    write_csv(tmp_path / "m.csv", ["id", "audio", "embedding"], *rows)
    with caplog.at_level(logging.WARNING, "balr_hf"):
        load_corpus(tmp_path / "m.csv")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1 and "skipped 2 recordings" in warnings[0]
    assert "b (the csv names no file)" in warnings[0] and "c (damaged vector file" in warnings[0]


def test_vectors_of_a_csv_are_read(tmp_path):
    for name in ("v/a_emb.txt", "v/b_emb.txt"):
        write_vector(tmp_path / name, EMBEDDING)
    (tmp_path / "v" / "a_emb_ba.pkl").write_bytes(pickle.dumps(np.stack([BITS, ~BITS], 1)))
    write_csv(
        tmp_path / "m.csv",
        ["id", "embedding", "binary_attributes", "speaker"],
        ["a", "v/a_emb.txt", "v/a_emb_ba.pkl", "s"],
        ["b", "v/b_emb.txt", "", "t"],
    )
    corpus = load_corpus(tmp_path / "m.csv")
    assert corpus.features["embedding"] == datasets.List(datasets.Value("float32"), length=4)
    assert corpus.features["ba"] == datasets.List(datasets.Value("bool"), length=5)
    assert "audio" not in corpus.column_names and "binary_attributes" not in corpus.column_names
    np.testing.assert_array_equal(corpus["embedding"], [EMBEDDING, EMBEDDING])
    assert list(corpus["ba"]) == [BITS.tolist(), None]


def test_column_of_a_csv_wins_over_the_file_beside_the_audio(tmp_path):
    write_vector(tmp_path / "a_emb.txt", EMBEDDING)
    write_vector(tmp_path / "other.npy", 2 * EMBEDDING)
    write_csv(tmp_path / "m.csv", ["id", "audio", "embedding"], ["a", "a.wav", "other.npy"])
    np.testing.assert_array_equal(load_corpus(tmp_path / "m.csv")["embedding"], [2 * EMBEDDING])


def test_bad_vector_files_leave_none_and_are_named(tmp_path):
    for name in ("ok1", "ok2", "long"):
        write_vector(tmp_path / f"{name}_emb.txt", np.ones(5 if name == "long" else 4, dtype=np.float32))
    (tmp_path / "text_emb.txt").write_text("no vector")
    (tmp_path / "nan_emb.txt").write_text("1\nnan\n2\n3\n")
    names = ["ok1", "text", "nan", "gone", "long", "ok2"]
    write_csv(tmp_path / "m.csv", ["id", "audio", "embedding"], *([n, f"{n}.wav", f"{n}_emb.txt"] for n in names))
    corpus = read_corpus(tmp_path / "m.csv")
    assert [row is not None for row in corpus.dataset["embedding"]] == [True, False, False, False, False, True]
    assert list(corpus.dataset["id"]) == names
    reasons = {row.id: row.reason for row in corpus.skipped}
    assert set(reasons) == {"text", "nan", "gone", "long"} and len(corpus.skipped) == 4
    assert "damaged" in reasons["text"] and "not finite" in reasons["nan"] and "not found" in reasons["gone"]
    assert reasons["long"] == "embedding of 5 values where most have 4"


def test_corpus_whose_vectors_are_all_bad_has_no_such_column(tmp_path):
    (tmp_path / "a_emb.txt").write_text("no vector")
    write_csv(tmp_path / "m.csv", ["id", "audio"], ["a", "a.wav"])
    corpus = read_corpus(tmp_path / "m.csv")
    assert corpus.dataset.column_names == ["id", "audio"]
    assert [row.id for row in corpus.skipped] == ["a"]


# --- folders and single files ---


def test_folder_gives_every_recording_below_it(tmp_path):
    touch(tmp_path, "b.WAV", "x/a.flac", "x/y/c.Mp3", "notes.txt", "x/list.csv")
    touch(tmp_path, ".hidden.wav", ".cache/d.wav", "x/.git/e.wav", "wav", "a.wav.part")
    corpus = load_corpus(tmp_path)
    assert list(corpus["id"]) == ["b.WAV", "x/a.flac", "x/y/c.Mp3"]
    assert paths(corpus) == [str(tmp_path / name) for name in corpus["id"]]


def test_every_format_of_the_contract_is_looked_for(tmp_path):
    assert set(AUDIO_FORMATS) == {"flac", "mp3", "m4a", "ogg", "opus", "wav", "wma"}
    touch(tmp_path, *(f"{name}.{name}" for name in AUDIO_FORMATS))
    assert sorted(load_corpus(tmp_path)["id"]) == sorted(f"{name}.{name}" for name in AUDIO_FORMATS)


@pytest.mark.parametrize("formats", [("flac", "ogg"), (".flac", "OGG"), ["FLAC", ".Ogg"]])
def test_audio_formats_restrict_the_folder(tmp_path, formats):
    touch(tmp_path, "a.wav", "b.flac", "c.FLAC", "d.ogg", "e.aflac")
    assert list(load_corpus(tmp_path, audio_formats=formats)["id"]) == ["b.flac", "c.FLAC", "d.ogg"]


def test_sibling_vectors_are_picked_up(tmp_path):
    touch(tmp_path, "x/a.wav", "x/b.wav", "c.wav")
    write_vector(tmp_path / "x" / "a_emb.txt", EMBEDDING)
    write_vector(tmp_path / "x" / "a_ba.npy", BITS)
    (tmp_path / "x" / "b_emb_ba.pkl").write_bytes(pickle.dumps(np.stack([~BITS, BITS], 1)))
    write_vector(tmp_path / "a_emb.txt", 9 * EMBEDDING)  # beside no recording
    corpus = load_corpus(tmp_path)
    assert list(corpus["id"]) == ["c.wav", "x/a.wav", "x/b.wav"]
    found, present = vector_matrix(corpus, "embedding")
    np.testing.assert_array_equal(found, [EMBEDDING])
    np.testing.assert_array_equal(present, [False, True, False])
    found, present = vector_matrix(corpus, "ba")
    np.testing.assert_array_equal(found, [BITS, ~BITS])
    np.testing.assert_array_equal(present, [False, True, True])


def test_only_the_wanted_vectors_are_read(tmp_path):
    touch(tmp_path, "a.wav")
    write_vector(tmp_path / "a_emb.txt", EMBEDDING)
    (tmp_path / "a_ba.txt").write_text("no vector")
    corpus = read_corpus(tmp_path, vectors=["embedding"])
    assert corpus.dataset.column_names == ["id", "audio", "embedding"] and corpus.skipped == []
    assert corpus.files.paths["ba"] == [str(tmp_path / "a_ba.txt")], (
        "known all the same, so as not to compute it again"
    )


def test_folder_of_vectors_alone_is_a_corpus(tmp_path):
    write_vector(tmp_path / "x" / "a_emb.txt", EMBEDDING)
    write_vector(tmp_path / "x" / "a_ba.txt", BITS)
    write_vector(tmp_path / "b_ba.npy", ~BITS)
    write_vector(tmp_path / ".trash" / "c_ba.npy", ~BITS)
    corpus = load_corpus(tmp_path)
    assert list(corpus["id"]) == ["b", "x/a"]
    assert list(corpus["ba"]) == [(~BITS).tolist(), BITS.tolist()]
    assert list(corpus["embedding"]) == [None, EMBEDDING.tolist()]


@pytest.mark.parametrize(
    "own, other", [("a_ba.txt", "a_emb_ba.txt"), ("a_ba.npy", "a_emb_ba.npy"), ("a_ba.npy", "a_ba.pkl")]
)
@pytest.mark.parametrize("audio", [False, True])
def test_same_vector_wins_with_and_without_audio(tmp_path, own, other, audio):
    write_vector(tmp_path / own, BITS)
    if other.endswith(".pkl"):
        (tmp_path / other).write_bytes(pickle.dumps(~BITS))
    else:
        write_vector(tmp_path / other, ~BITS)
    if audio:
        touch(tmp_path, "a.wav")
    np.testing.assert_array_equal(load_corpus(tmp_path)["ba"], [BITS])


def test_a_folder_of_parquet_files_is_told_what_to_do(tmp_path):
    for name in ("b", "a"):
        datasets.Dataset.from_dict({"id": [name]}).to_parquet(str(tmp_path / "shards" / f"{name}.parquet"))
    with pytest.raises(UserError, match=r"holds parquet files \(a\.parquet, b\.parquet\).*--stream.*save_to_disk"):
        load_corpus(tmp_path / "shards")


def test_folder_with_metadata_alone_is_that_csv(tmp_path):
    write_csv(tmp_path / "x" / "metadata.csv", ["id", "audio", "speaker"], ["a", "../a.wav", "s"])
    assert list(load_corpus(tmp_path / "x")["speaker"]) == ["s"]


def test_metadata_beside_audio_gives_the_speakers(tmp_path):
    touch(tmp_path, "a.wav", "b.wav")
    write_csv(tmp_path / "metadata.csv", ["id", "audio", "speaker"], ["one", "a.wav", "s"])
    corpus = load_corpus(tmp_path)
    assert list(corpus["id"]) == ["one"] and list(corpus["speaker"]) == ["s"]


def test_metadata_beside_vectors_gives_their_speakers(tmp_path):
    write_vector(tmp_path / "a_ba.txt", BITS)
    write_csv(tmp_path / "metadata.csv", ["id", "binary_attributes", "speaker"], ["one", "a_ba.txt", "s"])
    corpus = load_corpus(tmp_path)
    assert corpus[0] == {"id": "one", "speaker": "s", "ba": BITS.tolist()}


def test_folder_without_recordings_is_refused(tmp_path):
    touch(tmp_path, "notes.txt", "a.wav")
    with pytest.raises(UserError, match=f"{tmp_path} holds no audio \\(flac, ogg\\) and no metadata.csv or vector"):
        load_corpus(tmp_path, audio_formats=["flac", "ogg"])


@pytest.mark.parametrize("name", ["a b.wav", "a.flac", "a.OPUS"])
def test_one_file_is_a_corpus(tmp_path, name):
    write_wav(tmp_path / name)
    stem = Path(name).stem
    write_vector(tmp_path / f"{stem}_emb.txt", EMBEDDING)
    corpus = load_corpus(tmp_path / name)
    assert len(corpus) == 1 and corpus[0]["id"] == stem
    assert len(load_audio(corpus[0]["audio"])) == 1600
    np.testing.assert_array_equal(corpus["embedding"], [EMBEDDING])


@pytest.mark.parametrize("name", ["nowhere/", "/nowhere/at/all", "gone.csv", "gone.parquet", "deep/down/here.wav"])
def test_missing_path_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"no such file or folder: {name}"):
        load_corpus(name)


# --- where new vectors go ---


def test_new_vectors_go_beside_the_recordings(tmp_path):
    touch(tmp_path, "x/a.wav", "b.flac")
    files = read_corpus(tmp_path).files
    assert [files.output(row, "embedding", ".txt") for row in (0, 1)] == [
        tmp_path / "b_emb.txt",
        tmp_path / "x" / "a_emb.txt",
    ]
    assert files.output(1, "ba", ".npy") == tmp_path / "x" / "a_ba.npy"


@pytest.mark.parametrize("source", ["folder", "csv", "root"])
def test_new_vectors_mirror_the_corpus_under_the_save_folder(tmp_path, monkeypatch, source):
    audio = touch(tmp_path / "audio", "x/a.wav", "x/y/b.wav")
    rows = ["id", "audio"], ["a", "x/a.wav"], ["b", "x/y/b.wav"]
    monkeypatch.chdir(tmp_path)
    if source == "folder":
        files = read_corpus(audio, save_dir="out").files
    elif source == "csv":
        files = read_corpus(write_csv(audio / "m.csv", *rows), save_dir="out").files
    else:
        files = read_corpus(write_csv(tmp_path / "m.csv", *rows), root_dir="audio", save_dir="out").files
    outputs = [files.output(row, "ba", ".txt") for row in (0, 1)]
    assert outputs == [tmp_path / "out" / "x" / "a_ba.txt", tmp_path / "out" / "x" / "y" / "b_ba.txt"]


@pytest.mark.parametrize("path, root", [("../meta/m.csv", None), ("m.csv", "../meta"), ("../meta", None)])
def test_roundabout_paths_mirror_the_corpus_all_the_same(tmp_path, monkeypatch, path, root):
    write_csv(tmp_path / "meta" / "m.csv", ["id", "audio"], ["a", "x/a.wav"], ["b", "x/b.wav"])
    touch(tmp_path / "meta", "x/a.wav", "x/b.wav")
    monkeypatch.chdir(tmp_path / "meta")
    files = read_corpus(path, root_dir=root, save_dir=tmp_path / "out").files
    outputs = [files.output(row, "ba", ".txt") for row in (0, 1)]
    assert outputs == [tmp_path / "out" / "x" / f"{name}_ba.txt" for name in "ab"]


def test_recordings_outside_the_root_are_mirrored_from_what_they_share(tmp_path):
    rows = [[name, f"/disk/corpus/{name}.wav"] for name in ("x/a", "y/a")]
    csv_path = write_csv(tmp_path / "m.csv", ["id", "audio"], *rows, ["in", "z/a.wav"])
    files = read_corpus(csv_path, save_dir=tmp_path / "out").files
    outputs = [files.output(row, "embedding", ".txt") for row in range(3)]
    assert outputs == [tmp_path / "out" / name / "a_emb.txt" for name in ("x", "y", "z")]


def test_new_vectors_never_leave_the_save_folder(tmp_path):
    touch(tmp_path, "audio/a.wav", "audio/b.wav", "meta/c.wav")
    rows = [[name, path] for name, path in [("a", "../audio/a.wav"), ("b", "../audio/b.wav"), ("c", "c.wav")]]
    csv_path = write_csv(tmp_path / "meta" / "m.csv", ["id", "audio"], *rows)
    files = read_corpus(csv_path, save_dir=tmp_path / "out").files
    for row in range(3):
        output = files.output(row, "embedding", ".txt")
        assert output.resolve().is_relative_to(tmp_path / "out"), output
    files.outputs(range(2), "embedding", ".txt")


def test_vectors_in_the_save_folder_are_found_first(tmp_path):
    audio, out = touch(tmp_path / "audio", "x/a.wav", "x/b.wav"), tmp_path / "out"
    for name, factor in (("audio/x/a", 1), ("audio/x/b", 1), ("out/x/b", 2)):
        write_vector(tmp_path / f"{name}_emb.txt", factor * EMBEDDING)
    corpus = read_corpus(audio, save_dir=out)
    np.testing.assert_array_equal(corpus.dataset["embedding"], [EMBEDDING, 2 * EMBEDDING])
    assert corpus.files.paths["embedding"] == [str(audio / "x" / "a_emb.txt"), str(out / "x" / "b_emb.txt")]
    np.testing.assert_array_equal(read_corpus(audio).dataset["embedding"], [EMBEDDING, EMBEDDING])


def test_recordings_that_would_write_one_file_are_named(tmp_path):
    touch(tmp_path, "x/a.wav", "y/a.wav", "x/b.flac")
    read_corpus(tmp_path).files.outputs(range(2), "embedding", ".txt")
    touch(tmp_path, "x/a.flac")
    files = read_corpus(tmp_path).files
    with pytest.raises(UserError) as error:
        files.outputs(range(2), "embedding", ".txt")
    for word in (f"{tmp_path}/x/a.flac", f"{tmp_path}/x/a.wav", "a_emb", "--audio-formats"):
        assert word in str(error.value)
    read_corpus(tmp_path, audio_formats=["wav"]).files.outputs(range(2), "embedding", ".txt")


# --- Datasets ---


def test_saved_dataset_is_read_as_it_was(tmp_path):
    write_wav(tmp_path / "audio" / "a.wav")
    write_vector(tmp_path / "audio" / "a_emb.txt", EMBEDDING)
    write_csv(tmp_path / "m.csv", ["id", "audio", "speaker", "age"], ["a", "audio/a.wav", "007", "3"])
    first = load_corpus(tmp_path / "m.csv")
    save_dataset(first, tmp_path / "saved")
    again = read_corpus(tmp_path / "saved")
    assert again.files is None and again.skipped == []
    assert set(again.dataset.column_names) == {"id", "audio", "speaker", "age", "embedding"}
    assert again.dataset.features["embedding"] == first.features["embedding"]
    assert len(load_audio(again.dataset[0]["audio"])) == 1600  # save_to_disk puts the audio into the Dataset
    assert (again.dataset[0]["id"], again.dataset[0]["speaker"], again.dataset[0]["age"]) == ("a", "007", 3)
    np.testing.assert_array_equal(again.dataset["embedding"], [EMBEDDING])


def test_dataset_can_be_saved_over_the_folder_it_was_read_from(tmp_path):
    folder = saved(tmp_path, {"id": list("abc")})
    save_dataset(load_corpus(folder).add_column("speaker", list("xyz")).select([2, 0]), folder)
    again = load_corpus(folder)
    assert list(again["id"]) == ["c", "a"] and list(again["speaker"]) == ["z", "x"]
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_failed_save_keeps_the_old_dataset(tmp_path, monkeypatch):
    folder = saved(tmp_path, {"id": list("abc")})

    def fail(self, path, **kwargs):
        touch(Path(path), "data-00000-of-00001.arrow")
        raise OSError("no space left on device")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", fail)
    with pytest.raises(OSError, match="no space"):
        save_dataset(datasets.Dataset.from_dict({"id": ["z"]}), folder)
    assert list(load_corpus(folder)["id"]) == list("abc")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


@pytest.fixture
def splits(tmp_path) -> Path:
    parts = {name: datasets.Dataset.from_dict({"id": [name]}) for name in ("train", "test")}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "splits"))
    return tmp_path / "splits"


def test_split_is_chosen_by_name(splits):
    assert list(load_corpus(splits, split="test")["id"]) == ["test"]
    assert list(load_corpus(splits, split="train")["id"]) == ["train"]


def test_split_of_a_folder_is_chosen_as_the_message_says(splits):
    with pytest.raises(UserError, match="NAME:SPLIT"):
        load_corpus(splits)
    assert list(load_corpus(f"{splits}:test")["id"]) == ["test"]


@pytest.mark.parametrize("split", [None, "dev"])
def test_splits_are_named_where_one_is_needed(splits, split):
    with pytest.raises(UserError, match=r"has the splits train, test" + (", not dev" if split else ":")):
        load_corpus(splits, split=split)


def test_only_split_needs_no_name(tmp_path):
    parts = {"validation": datasets.Dataset.from_dict({"id": ["a"]})}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "splits"))
    assert list(load_corpus(tmp_path / "splits")["id"]) == ["a"]


def test_parquet_is_read(tmp_path):
    rows = {"audio": [str(write_wav(tmp_path / f"{name}.wav")) for name in "ab"], "speaker": ["NA", "007"]}
    dataset = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio(decode=False))
    dataset.to_parquet(str(tmp_path / "corpus.parquet"))
    corpus = load_corpus(tmp_path / "corpus.parquet")
    assert corpus.features["audio"] == datasets.Audio(decode=False)
    assert list(corpus["id"]) == ["a", "b"] and list(corpus["speaker"]) == ["NA", "007"]
    assert len(load_audio(corpus[0]["audio"])) == 1600


@pytest.mark.parametrize("damaged", [b'"features"; {', b'"features": 7', b'"features": {"id": {"_type": "No"}}'])
def test_parquet_whose_columns_are_described_wrongly_is_named(tmp_path, damaged):
    path = tmp_path / "corpus.parquet"
    described = {b"huggingface": b'{"info": {' + damaged + b"}}"}
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"]}).replace_schema_metadata(described), path)
    with pytest.raises(UserError, match=r"corpus\.parquet is not a proper parquet file: what it says of its columns"):
        load_corpus(path)


def test_damaged_parquet_is_named(tmp_path):
    (tmp_path / "corpus.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"corpus\.parquet"):
        load_corpus(tmp_path / "corpus.parquet")


@pytest.mark.parametrize("name", ["nobody/nothing", "nobody/nothing:test", "nothing"])
def test_hub_dataset_that_cannot_be_reached_is_one_clear_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        load_corpus(name)
    message = str(error.value)
    assert message.startswith(f"{name.split(':')[0]} is neither a file or folder nor a dataset on the Hub")
    assert "\n" not in message


@pytest.mark.parametrize(
    "bug", [TypeError("a bug"), AttributeError("a bug"), KeyError("a bug"), ValueError("a bug"), RuntimeError("a bug")]
)
def test_a_bug_while_a_hub_dataset_is_loaded_is_not_told_as_the_users_error(monkeypatch, bug):
    def fail(*_, **__):
        raise bug

    monkeypatch.setattr(datasets.load, "dataset_module_factory", fail)
    with pytest.raises(type(bug)) as caught:
        load_corpus("some/corpus")
    assert caught.value is bug


def test_a_plain_error_that_datasets_raises_is_the_users_error(tmp_path, monkeypatch):
    builder = datasets.load_dataset_builder
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "train.csv").write_text("id\na\n")

    def load_dataset(path, **hub):
        return builder(str(tmp_path / "theirs"), **hub)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = r"some/corpus is neither a file or folder nor a dataset on the Hub \(BuilderConfig 'clean' not found"
    with pytest.raises(UserError, match=message):
        load_corpus("some/corpus/clean")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("not yours"), "is neither a file or folder nor a dataset on the Hub"),
        (
            datasets.exceptions.DatasetNotFoundError("not there"),
            "is neither a file or folder nor a dataset on the Hub",
        ),
        (
            huggingface_hub.errors.CorruptedCacheException("odd"),
            "is neither a file or folder nor a dataset on the Hub",
        ),
        (datasets.exceptions.DatasetGenerationError("bad rows"), "cannot be read, or is damaged"),
        (pyarrow.ArrowInvalid("bad magic bytes"), "cannot be read, or is damaged"),
        (zipfile.BadZipFile("not a zip file"), "cannot be read, or is damaged"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_goes_wrong_with_a_hub_dataset_is_the_users_error(monkeypatch, error, message):
    def load_dataset(path, **hub):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match=message):
        load_corpus("some/corpus")


@pytest.mark.parametrize("name, split", [("some/corpus:test", None), ("some/corpus", "test")])
def test_hub_dataset_and_its_split_are_named_as_one(monkeypatch, name, split):
    hub = {
        "some/corpus": datasets.DatasetDict({s: datasets.Dataset.from_dict({"id": [s]}) for s in ("train", "test")})
    }
    monkeypatch.setattr(datasets, "load_dataset", hub.__getitem__)
    assert list(load_corpus(name, split=split)["id"]) == ["test"]


def test_audio_column_is_left_undecoded(tmp_path):
    dataset = datasets.Dataset.from_dict({"id": ["a"], "audio": [str(write_wav(tmp_path / "a.wav"))]})
    dataset.cast_column("audio", datasets.Audio(sampling_rate=8000)).save_to_disk(str(tmp_path / "saved"))
    assert datasets.load_from_disk(str(tmp_path / "saved")).features["audio"].decode
    corpus = load_corpus(tmp_path / "saved")
    assert corpus.features["audio"] == datasets.Audio(decode=False)
    assert len(load_audio(corpus[0]["audio"])) == 1600


def test_decoded_audio_column_is_accepted(tmp_path):
    rows = [{"array": [0.5, -0.5, 0.25], "sampling_rate": 16000, "path": f"x/{name}.wav"} for name in "ab"]
    corpus = load_corpus(saved(tmp_path, {"audio": rows}))
    assert list(corpus["id"]) == ["a", "b"]
    np.testing.assert_allclose(load_audio(corpus[1]["audio"]), [0.5, -0.5, 0.25])


def test_audio_column_of_paths_is_accepted(tmp_path):
    files = [str(write_wav(tmp_path / f"{name}.wav")) for name in "ab"]
    corpus = load_corpus(saved(tmp_path, {"audio": files}))
    assert list(corpus["id"]) == ["a", "b"]
    assert len(load_audio(corpus[0]["audio"])) == 1600


@pytest.mark.parametrize("names", [["x/a.wav", "y/a.wav"], ["x/a.wav", None], [None, None]])
def test_recordings_that_their_names_do_not_tell_apart_are_numbered(tmp_path, names):
    rows = [{"array": [0.5], "sampling_rate": 16000, "path": name} for name in names]
    features = {"array": [datasets.Value("float32")], "sampling_rate": datasets.Value("int64"), "path": STRING}
    assert list(load_corpus(saved(tmp_path, {"audio": rows}, {"audio": features}))["id"]) == ["0", "1"]


def test_dataset_without_audio_is_numbered(tmp_path):
    assert list(load_corpus(saved(tmp_path, {"speaker": ["x", "y", "x"]}))["id"]) == ["0", "1", "2"]


def test_numbers_as_ids_and_speakers_become_text(tmp_path):
    corpus = load_corpus(saved(tmp_path, {"id": [10, 11, 12], "speaker": [7, None, 8]}))
    assert list(corpus["id"]) == ["10", "11", "12"] and list(corpus["speaker"]) == ["7", None, "8"]
    assert corpus.features["id"] == corpus.features["speaker"] == STRING


@pytest.mark.parametrize("column", ["id", "speaker"])
@pytest.mark.parametrize("value", [["anna"], {"name": "anna"}, b"\xff\xfe"])
def test_ids_and_speakers_that_are_no_texts_are_named(column, value):
    given = datasets.Dataset.from_dict({"id": ["a"], "speaker": ["s"]} | {column: [value]})
    with pytest.raises(UserError, match=f"the column {column} of the Dataset holds .*: expected texts or numbers"):
        load_corpus(given)


@pytest.mark.parametrize("given", [None, ["a.wav"], {"id": ["a"]}, 3])
def test_what_is_no_corpus_is_refused(given):
    with pytest.raises(UserError, match=f"the corpus is of type {type(given).__name__}: expected a path, the name"):
        load_corpus(given)


def test_a_stream_is_refused_where_rows_are_needed():
    stream = datasets.Dataset.from_dict({"id": ["a"], "speaker": ["s"]}).to_iterable_dataset()
    with pytest.raises(UserError, match="the corpus is of type IterableDataset: expected a path, the name"):
        load_corpus(stream)
    with pytest.raises(UserError, match=r"the corpus is of type IterableDataset: expected a datasets\.Dataset"):
        speaker_codes(stream)


def test_speakers_that_are_no_texts_cannot_be_numbered():
    with pytest.raises(UserError, match=r"the column speaker of the Dataset holds List\(.*: expected texts"):
        speaker_codes(datasets.Dataset.from_dict({"speaker": [["anna"], ["bert"]]}))


@pytest.mark.parametrize("format", [None, "numpy", "torch"])
@pytest.mark.parametrize("codes, speakers", [([1, 0, 1], ["y", "x", "y"]), ([0, -1, 1], ["x", None, "y"])])
def test_class_labels_become_speaker_names(tmp_path, format, codes, speakers):
    """-1 is how Datasets say that a label is not known."""
    features = {"id": STRING, "speaker": datasets.ClassLabel(names=["x", "y"])}
    folder = saved(tmp_path, {"id": list("abc"), "speaker": codes}, features, format)
    corpus = load_corpus(folder)
    assert corpus.features["speaker"] == STRING and corpus.format["type"] is None
    assert list(corpus["speaker"]) == speakers


def test_missing_class_label_is_an_unknown_speaker(tmp_path):
    features = {"speaker": datasets.ClassLabel(names=["x", "y"])}
    assert list(load_corpus(saved(tmp_path, {"speaker": [1, None]}, features))["speaker"]) == ["y", None]


def test_duplicate_ids_of_a_dataset_are_named(tmp_path):
    with pytest.raises(UserError, match=r"duplicate ids.*: 3$"):
        load_corpus(saved(tmp_path, {"id": [3, 4, 3]}))


@pytest.mark.parametrize("format", [None, "numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_lists_become_fixed_length_embeddings(tmp_path, dtype, format):
    features = {"id": STRING, "embedding": datasets.List(datasets.Value(dtype))}
    columns = {"id": list("ab"), "embedding": [[1, 2, 3], [4, 5, 6]]}
    corpus = load_corpus(saved(tmp_path, columns, features, format))
    assert corpus.features["embedding"] == datasets.List(datasets.Value("float32"), length=3)
    np.testing.assert_array_equal(vector_matrix(corpus, "embedding")[0], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("name", ["ba", "binary_attributes"])
@pytest.mark.parametrize("row", [[1, 0, 1], [True, False, True], [1.0, 0.0, 1.0], [[1, 0], [0, 1], [1, 0]]])
def test_lists_become_fixed_length_attributes(tmp_path, name, row):
    corpus = load_corpus(saved(tmp_path, {"id": list("ab"), name: [row, row]}))
    assert corpus.column_names == ["id", "ba"]
    assert corpus.features["ba"] == datasets.List(datasets.Value("bool"), length=3)
    assert list(corpus["ba"]) == [[True, False, True]] * 2


@pytest.mark.parametrize("length", [-1, 3])
def test_bad_vectors_of_a_dataset_leave_none_and_are_named(tmp_path, length):
    embeddings = [[1, 2, 3], None, [1, float("nan"), 3], [4, 5, 6]] + ([[1, 2]] if length < 0 else [])
    columns = {"id": list("abcde")[: len(embeddings)], "embedding": embeddings}
    features = {"id": STRING, "embedding": datasets.List(datasets.Value("float32"), length=length)}
    corpus = read_corpus(saved(tmp_path, columns, features))
    wanted = [True, False, False, True, False][: len(embeddings)]
    assert [row is not None for row in corpus.dataset["embedding"]] == wanted
    reasons = {row.id: row.reason for row in corpus.skipped}
    assert set(reasons) == ({"c", "e"} if length < 0 else {"c"})
    assert "not finite" in reasons["c"]
    assert length > 0 or reasons["e"] == "embedding of 2 values where most have 3"


def test_bad_attributes_of_a_dataset_leave_none_and_are_named(tmp_path):
    corpus = read_corpus(saved(tmp_path, {"id": list("abc"), "ba": [[0, 1], [1, 2], None]}))
    assert list(corpus.dataset["ba"]) == [[False, True], None, None]
    assert corpus.skipped == [Skipped("b", "binary attributes other than 0 and 1")]


@pytest.mark.parametrize("kind, value, given", [("ba", "bool", True), ("embedding", "float32", 1.5)])
def test_values_that_are_missing_within_a_vector_of_fixed_length_are_named(tmp_path, kind, value, given):
    rows = [[given, given], [None, given], None, [given, given]]
    features = {"id": STRING, kind: datasets.List(datasets.Value(value), length=2)}
    corpus = read_corpus(saved(tmp_path, {"id": list("abcd"), kind: rows}, features))
    assert [row is not None for row in corpus.dataset[kind]] == [True, False, False, True]
    assert [skipped.id for skipped in corpus.skipped] == ["b"]


@pytest.mark.parametrize("length", [-1, 2])
@pytest.mark.parametrize(
    "value, row, message",
    [
        ("float32", [-1.0, 1.0], "values other than 0 and 1"),
        ("float64", [0.4, 0.6], "values other than 0 and 1"),
        ("float64", [float("nan"), 1.0], "values other than 0 and 1"),
        ("int64", [2, 1], "values other than 0 and 1"),
        ("string", ["0", "1"], "values other than 0 and 1"),
        ("bool", [None, True], "1 values of the vectors in the ba column are missing"),
        ("int64", [0, None], "1 values of the vectors in the ba column are missing"),
    ],
)
def test_matrix_of_attributes_that_are_no_bits_is_refused(value, row, message, length):
    feature = datasets.List(datasets.Value(value), length=length)
    whole = {"bool": [True, False], "string": ["1", "0"]}.get(value, [1, 0])
    columns = {"id": list("abc"), "ba": [whole, None, row]}
    dataset = datasets.Dataset.from_dict(columns, datasets.Features({"id": STRING, "ba": feature}))
    with pytest.raises(UserError, match=message):
        vector_matrix(dataset, "ba")
    if value != "string":
        assert vector_matrix(dataset.select([0, 1]), "ba")[0].tolist() == [[True, False]]


def test_unwanted_vectors_of_a_dataset_are_dropped(tmp_path):
    folder = saved(tmp_path, {"id": ["a"], "embedding": [[1.0, 2.0]], "ba": [[1, 0]], "age": [3]})
    assert set(load_corpus(folder, vectors=["embedding"]).column_names) == {"id", "embedding", "age"}


# --- columns of vectors ---

MATRIX = np.arange(15, dtype=np.float32).reshape(5, 3)
PRESENT = np.array([True, False, True, True, False])


@pytest.fixture(params=["embedding", "ba"])
def vectors(request):
    """The column's name, a Dataset of five rows with vectors in three, and all five vectors."""
    matrix = MATRIX if request.param == "embedding" else MATRIX.astype(int) % 4 < 2
    columns = {"id": list("abcde"), "speaker": ["x", "y", None, "x", "z"]}
    column = fixed_length_column(matrix, PRESENT)
    return request.param, add_vector_column(datasets.Dataset.from_dict(columns), request.param, column), matrix


@pytest.mark.parametrize(
    "change, rows",
    [
        pytest.param(lambda dataset: dataset, [0, 1, 2, 3, 4], id="untouched"),
        pytest.param(lambda dataset: dataset.select([4, 3, 0, 1]), [4, 3, 0, 1], id="select"),
        pytest.param(lambda dataset: dataset.select([2, 2, 1]), [2, 2, 1], id="select twice"),
        pytest.param(lambda dataset: dataset.select(range(1, 4)), [1, 2, 3], id="slice"),
        pytest.param(lambda dataset: dataset.filter(lambda row: row["id"] in "bde"), [1, 3, 4], id="filter"),
        pytest.param(lambda dataset: dataset.sort("id", reverse=True), [4, 3, 2, 1, 0], id="sort"),
        pytest.param(
            lambda dataset: datasets.concatenate_datasets([dataset.select([3]), dataset.select(range(0, 2))]),
            [3, 0, 1],
            id="concatenate",
        ),
        pytest.param(lambda dataset: dataset.sort("id", reverse=True).select([0, 4]), [4, 0], id="select of sort"),
        pytest.param(lambda dataset: dataset.with_format("torch"), [0, 1, 2, 3, 4], id="torch format"),
    ],
)
def test_matrix_has_the_rows_of_the_dataset(vectors, change, rows):
    name, dataset, matrix = vectors
    found, present = vector_matrix(change(dataset), name)
    np.testing.assert_array_equal(present, PRESENT[rows])
    np.testing.assert_array_equal(found, matrix[[row for row in rows if PRESENT[row]]])
    assert found.dtype == matrix.dtype


def test_matrix_of_a_shuffled_dataset_has_its_rows(vectors):
    name, dataset, matrix = vectors
    shuffled = dataset.shuffle(seed=3)
    rows = ["abcde".index(row) for row in shuffled["id"]]
    assert rows != sorted(rows)
    found, present = vector_matrix(shuffled, name)
    np.testing.assert_array_equal(present, PRESENT[rows])
    np.testing.assert_array_equal(found, matrix[[row for row in rows if PRESENT[row]]])


def test_matrix_survives_saving(vectors, tmp_path):
    name, dataset, matrix = vectors
    save_dataset(dataset.select([3, 1, 0]), tmp_path / "saved")
    found, present = vector_matrix(load_corpus(tmp_path / "saved"), name)
    np.testing.assert_array_equal(present, [True, False, True])
    np.testing.assert_array_equal(found, matrix[[3, 0]])


def test_column_follows_the_order_of_a_shuffled_dataset(vectors):
    name, dataset, _ = vectors
    shuffled = dataset.shuffle(seed=3)
    fresh = np.arange(10).reshape(5, 2) % 3 == 0 if name == "ba" else np.arange(10, dtype=np.float32).reshape(5, 2)
    replaced = add_vector_column(shuffled, name, fixed_length_column(fresh))
    assert list(replaced["id"]) == list(shuffled["id"])
    assert list(replaced[name]) == fresh.tolist()
    value = datasets.Value("bool" if name == "ba" else "float32")
    assert replaced.features[name] == datasets.List(value, length=2)


def test_column_without_gaps_has_no_nulls():
    column = fixed_length_column(MATRIX)
    assert column.null_count == 0 and column.to_pylist() == MATRIX.tolist()
    assert fixed_length_column(MATRIX, np.ones(5, dtype=bool)).to_pylist() == MATRIX.tolist()
    assert fixed_length_column(MATRIX, PRESENT).to_pylist()[:2] == [MATRIX[0].tolist(), None]


def test_column_of_a_strided_matrix_keeps_its_values():
    for matrix in (MATRIX.T, MATRIX[::2, ::-1]):
        assert fixed_length_column(matrix).to_pylist() == matrix.tolist()


def test_attributes_take_a_bit_each():
    assert fixed_length_column(np.zeros((100, 512), dtype=bool)).nbytes == 100 * 64


@pytest.mark.parametrize("name, dtype", [("embedding", np.float32), ("ba", bool)])
def test_plain_lists_are_read_as_vectors(name, dtype):
    dataset = datasets.Dataset.from_dict({name: [[0, 1], None, [1, 0]]})
    found, present = vector_matrix(dataset, name)
    np.testing.assert_array_equal(found, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(present, [True, False, True])
    assert found.dtype == dtype


@pytest.mark.parametrize("name, step", [("embedding", "balr extract"), ("ba", "balr binarize")])
def test_missing_column_tells_how_to_get_it(name, step):
    with pytest.raises(UserError, match=rf"no {name} column \(columns: id, speaker\): run {step} first"):
        vector_matrix(datasets.Dataset.from_dict({"id": ["a"], "speaker": ["x"]}), name)


def test_column_without_a_value_is_an_error(vectors):
    name, dataset, _ = vectors
    for empty in (dataset.select([1, 4]), dataset.select([])):
        with pytest.raises(UserError, match=f"no recording of the corpus has a value in its {name} column"):
            vector_matrix(empty, name)


def test_lists_of_several_lengths_are_an_error():
    with pytest.raises(UserError, match=r"embedding column has vectors of several lengths: \[2, 3\]"):
        vector_matrix(datasets.Dataset.from_dict({"embedding": [[1.0, 2.0], [1.0, 2.0, 3.0]]}), "embedding")


# --- speakers ---


@pytest.mark.parametrize(
    "rows, codes, speakers",
    [
        ([0, 1, 2, 3, 4], [0, 1, -1, 0, 2], ["x", "y", "z"]),
        ([4, 3, 2, 1, 0], [0, 1, -1, 2, 1], ["z", "x", "y"]),
        ([2, 1], [-1, 0], ["y"]),
        ([2], [-1], []),
        ([], [], []),
    ],
)
def test_speakers_are_numbered_as_they_appear(rows, codes, speakers):
    dataset = datasets.Dataset.from_dict({"speaker": ["x", "y", None, "x", "z"]}).select(rows)
    found, names = speaker_codes(dataset)
    assert found.dtype == np.int64 and found.tolist() == codes
    assert names == speakers


def test_speakers_of_joined_datasets_are_numbered_once():
    parts = [datasets.Dataset.from_dict({"speaker": names}) for names in (["x", "y"], ["y", None], ["z", "x"])]
    codes, speakers = speaker_codes(datasets.concatenate_datasets(parts))
    assert codes.tolist() == [0, 1, 1, -1, 2, 0] and speakers == ["x", "y", "z"]


def test_only_unknown_speakers_are_no_speakers():
    codes, speakers = speaker_codes(datasets.Dataset.from_dict({"speaker": [None, None]}))
    assert codes.tolist() == [-1, -1] and speakers == []


def test_missing_speakers_are_an_error():
    with pytest.raises(UserError, match=r"no speaker column \(columns: id\)"):
        speaker_codes(datasets.Dataset.from_dict({"id": ["a"]}))


# --- what was skipped ---


@pytest.mark.parametrize(
    "count, message",
    [
        (1, "Loading skipped 1 recording: r0 (bad)"),
        (3, "Loading skipped 3 recordings: r0 (bad), r1 (bad), r2 (bad)"),
        (5, "Loading skipped 5 recordings: r0 (bad), r1 (bad), r2 (bad) and 2 more"),
    ],
)
def test_skipped_recordings_are_one_counted_warning(caplog, count, message):
    warn_skipped([Skipped(f"r{row}", "bad") for row in range(count)], "Loading")
    assert [record.getMessage() for record in caplog.records] == [message]
    assert caplog.records[0].levelno == logging.WARNING


def test_nothing_skipped_is_no_warning(caplog):
    warn_skipped([], "Loading")
    assert caplog.records == []


def test_skipped_recordings_are_written_as_csv(tmp_path):
    rows = [Skipped("a", 'one, "two"'), Skipped("é", "line\nbreak")]
    write_skipped(tmp_path / "skipped.csv", rows)
    with (tmp_path / "skipped.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["id", "reason"], ["a", 'one, "two"'], ["é", "line\nbreak"]]
    assert [path.name for path in tmp_path.iterdir()] == ["skipped.csv"]


# --- Datasets in memory, and more of what names one on the Hub ---


def test_dataset_in_memory_is_brought_to_the_contract(caplog):
    theirs = datasets.Dataset.from_dict(
        {"speaker": ["y", "x", "y"], "embedding": [[1.0, 2.0], None, [3.0, float("nan")]], "age": [1, 2, 3]}
    ).class_encode_column("speaker")
    corpus = load_corpus(theirs)
    assert list(corpus["id"]) == ["0", "1", "2"] and list(corpus["speaker"]) == ["y", "x", "y"]
    assert list(corpus["embedding"]) == [[1.0, 2.0], None, None] and list(corpus["age"]) == [1, 2, 3]
    assert "skipped 1 recording" in caplog.text
    with pytest.raises(UserError, match="the Dataset has the splits a, b: name one"):
        load_corpus(datasets.DatasetDict(a=theirs, b=theirs))
    assert len(load_corpus(datasets.DatasetDict(a=theirs, b=theirs), split="b")) == 3


def test_numbered_speakers_keep_their_names_wherever_they_are_counted():
    theirs = datasets.Dataset.from_dict({"speaker": ["y", "x", "y"]}).class_encode_column("speaker")
    codes, speakers = speaker_codes(theirs)
    assert [speakers[code] for code in codes] == ["y", "x", "y"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("some/corpus@v1:test", {"path": "some/corpus", "revision": "v1"}),
        ("some/corpus/clean", {"path": "some/corpus", "name": "clean"}),
        ("some/corpus/clean@a/b:test", {"path": "some/corpus", "name": "clean", "revision": "a/b"}),
    ],
)
def test_hub_dataset_is_named_with_configuration_and_revision(monkeypatch, name, asked):
    def load_dataset(path, **hub):
        assert {"path": path, **hub} == asked
        return datasets.DatasetDict(test=datasets.Dataset.from_dict({"id": ["x"]}))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(load_corpus(name)) == 1


# Speakers' names


def test_speakers_are_compared_without_white_space_in_one_unicode_form(tmp_path):
    for name in "abcdef":
        (tmp_path / f"{name}.wav").touch()
    rows = ["a.wav, s1", "b.wav,s1 ", "c.wav,s1", "d.wav,Zo\u00eb", "e.wav,Zoe\u0308", "f.wav,  "]
    (tmp_path / "c.csv").write_text("\n".join(["audio, speaker", *rows]) + "\n", encoding="utf-8")
    corpus = load_corpus(tmp_path / "c.csv")
    assert corpus["speaker"][:] == ["s1", "s1", "s1", "Zo\u00eb", "Zo\u00eb", None]
    given = datasets.Dataset.from_dict({"id": list("abc"), "speaker": [" s1", "s1", ""]})
    assert load_corpus(given)["speaker"][:] == ["s1", "s1", None]
    codes, names = speaker_codes(given)  # also where a Dataset was not read by load_corpus
    assert (codes.tolist(), names) == ([0, 0, -1], ["s1"])
    assert given["speaker"][:] == [" s1", "s1", ""]


def test_a_number_that_is_none_is_an_unknown_speaker():
    given = datasets.Dataset.from_dict({"id": list("abc"), "speaker": [1.0, float("nan"), 2.5]})
    found = load_corpus(given)
    assert found["speaker"][:] == ["1", None, "2.5"]
    nobody = datasets.Dataset.from_dict({"id": list("abc"), "speaker": np.array([np.nan] * 3, np.float32)})
    nulls = pyarrow.table({"id": list("abc"), "speaker": pyarrow.nulls(3, pyarrow.float64())})
    for unknown in (nobody, datasets.Dataset(nulls)):
        found = load_corpus(unknown)
        assert found["speaker"][:] == [None] * 3
        assert found.features["speaker"] == datasets.Value("string")


def test_placeholders_for_speakers_are_counted_in_a_warning(caplog):
    names = ["nan", "N/A", "unknown ", "s1", None, "Nana"]
    given = datasets.Dataset.from_dict({"id": list("abcdef"), "speaker": names})
    assert load_corpus(given)["speaker"][:] == ["nan", "N/A", "unknown", "s1", None, "Nana"]
    (message,) = caplog.messages
    assert message.startswith("3 recordings are of the speaker 'nan', 'N/A', 'unknown', which is taken for")
    assert "leave the field empty" in message


@pytest.mark.parametrize("ids", [["x", "x "], ["Zo\u00eb", "Zoe\u0308"]])
def test_ids_that_differ_only_as_they_are_written_are_refused(tmp_path, ids):
    given = datasets.Dataset.from_dict({"id": [*ids, "y"], "speaker": ["s1", "s2", "s3"]})
    with pytest.raises(UserError, match=r"duplicate ids .*differ only in white space or in their Unicode form"):
        load_corpus(given)
    rows = [f"{name},{number}.wav" for number, name in enumerate(ids)]
    (tmp_path / "c.csv").write_text("\n".join(["id,audio", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="duplicate ids"):
        load_corpus(tmp_path / "c.csv")


@pytest.mark.parametrize(
    ("audio", "ids"),
    [
        (["x/a.wav", "y/b.opus"], ["a", "b"]),
        ([{"path": "x/a.wav", "bytes": None}, {"path": "b.opus", "bytes": b"1"}], ["a", "b"]),
        (["x/a.wav", "y/a.wav"], ["0", "1"]),
        (["x/a.wav", None], ["0", "1"]),
        ([{"path": None, "bytes": b"1"}, {"path": "b.opus", "bytes": b"1"}], ["0", "1"]),
        ([[0.1, 0.2], [0.3]], ["0", "1"]),
        ([b"RIFF", b"fLaC"], ["0", "1"]),
    ],
    ids=["paths", "dicts", "one name twice", "no path", "bytes alone", "samples", "files"],
)
def test_recordings_without_ids_get_the_names_of_their_files_or_else_numbers(audio, ids):
    assert load_corpus(datasets.Dataset.from_dict({"audio": audio}))["id"][:] == ids


def test_a_dataset_none_of_whose_vectors_can_be_used_has_no_column_of_them(caplog):
    theirs = datasets.Dataset.from_dict({"id": ["a", "b"], "embedding": [[np.nan, 1.0], [2.0, np.inf]]})
    corpus = load_corpus(theirs)
    assert corpus.column_names == ["id"] and len(corpus) == 2 and "skipped 2 recordings" in caplog.text
