"""Stores: vectors that are kept as they are computed, from Python as from the command line."""

import errno
import json
import pickle
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.data import file_store, read_corpus, vector_matrix
from balr_hf.data.dataset_store import DatasetStore
from balr_hf.data.file_store import FileStore
from balr_hf.data.origins import Maker
from balr_hf.data.quality import read_quality
from balr_hf.data.skipped import Skipped
from balr_hf.data.store_base import NoStore
from balr_hf.data.stores import open_store
from balr_hf.errors import ConfigError, UserError


class Stopped(Exception):
    """Stands for a kill."""


def computing(stop_after: int | None = None, batch: int = 2):
    """Computes embeddings that tell the recording, a batch at a time; `calls` holds the ids that were computed."""
    calls: list[str] = []

    def compute(dataset, *, save):
        ids = list(dataset["id"])
        vectors = np.array([[float(len(name)), float(sum(map(ord, name)))] for name in ids], dtype=np.float32)
        for start in range(0, len(ids), batch):
            if stop_after is not None and len(calls) >= stop_after:
                raise Stopped
            part = slice(start, start + batch)
            save(ids[part], vectors[part])
            calls.extend(ids[part])
        column = datasets.Features({"embedding": datasets.List(datasets.Value("float32"), 2)})
        return datasets.Dataset.from_dict({"embedding": list(vectors)}, features=column), []

    return compute, calls


@pytest.fixture
def listed(tmp_path):
    """A csv of five recordings; nothing here decodes them."""
    for number in range(5):
        (tmp_path / f"r{number}.wav").write_bytes(b"RIFF")
    lines = ["id,audio,speaker", *(f"r{n},r{n}.wav,s{n % 2}" for n in range(5))]
    (tmp_path / "corpus.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "corpus.csv"


def store_of(listed, tmp_path, kind: str, model: str = "m"):
    where = None if kind == "nowhere" else tmp_path / "out"
    corpus = read_corpus(listed, save_dir=where)
    if where is None:
        return NoStore(corpus, "embedding", Maker("m"))
    return open_store(corpus, "embedding", Maker(model), save_dir=where, save_format=kind)


def binarizing(dataset, *, save):
    """Attributes that tell the sign of the embedding's values."""
    matrix, present = vector_matrix(dataset, "embedding")
    ids = [name for name, there in zip(dataset["id"], present, strict=True) if there]
    save(ids, matrix > 2)
    feature = datasets.Features({"ba": datasets.List(datasets.Value("bool"), matrix.shape[1])})
    rows = iter(list(matrix > 2))
    return datasets.Dataset.from_dict({"ba": [next(rows) if there else None for there in present]}, feature), []


def test_attributes_that_are_saved_elsewhere_keep_their_embeddings(listed, tmp_path):
    compute, _ = computing()
    open_store(read_corpus(listed), "embedding", Maker("m")).fill(compute, "audio")
    (tmp_path / "r3_emb.txt").unlink()
    out = tmp_path / "sub" / "out"
    corpus = read_corpus(listed, save_dir=out)
    filled = open_store(corpus, "ba", Maker("a"), save_dir=out).fill(binarizing, "embedding")
    assert (filled.done, filled.vectors_in) == (4, [str(out)])
    found, original = load_corpus(out / "corpus.csv"), load_corpus(listed)
    assert "r1,../../r1_emb.txt,r1_ba.txt,s1\n" in (out / "corpus.csv").read_text()
    rows = [0, 1, 2, 4]
    assert found["id"][:] == [f"r{row}" for row in rows]
    np.testing.assert_array_equal(
        vector_matrix(found, "embedding")[0], vector_matrix(original.select(rows), "embedding")[0]
    )
    assert vector_matrix(found, "ba")[1].all()


def test_a_corpus_whose_recordings_lie_elsewhere_says_where_vectors_go(listed, tmp_path, caplog):
    """Beside the recordings, which may be a folder of evidence that nothing is to be written to."""
    (tmp_path / "case").mkdir()
    csv = tmp_path / "case" / "cal.csv"
    csv.write_text(listed.read_text().replace(",r", ",../r"))

    def fill(path, save_dir=None, **options):
        caplog.clear()
        compute, _ = computing()
        corpus = read_corpus(path, save_dir=save_dir, **options)
        filled = open_store(corpus, "embedding", Maker("m"), save_dir=save_dir).fill(compute, "audio", force=True)
        told = [r.getMessage() for r in caplog.records if "will be written beside the recordings" in r.getMessage()]
        return filled, told

    filled, told = fill(csv)
    assert filled.where == tmp_path / "case" and filled.vectors_in == [str(tmp_path)]
    assert len(told) == 1 and f"but in {tmp_path}: --save-dir FOLDER" in told[0]
    assert (tmp_path / "r0_emb.txt").exists() and not list((tmp_path / "case").glob("*_emb.txt"))
    filled, told = fill(csv, root_dir=tmp_path / "case")  # the paths still lead out of the csv's folder
    assert len(told) == 1
    filled, told = fill(csv, save_dir=tmp_path / "out")
    assert filled.vectors_in == [str(tmp_path / "out")] and not told
    filled, told = fill(listed)
    assert filled.vectors_in == [str(tmp_path)] and filled.where == tmp_path and not told


@pytest.mark.parametrize("kind", ["txt", "npy", "pkl", "dataset", "nowhere"])
def test_filled_store_gives_the_corpus_with_its_vectors(listed, tmp_path, kind):
    compute, _ = computing()
    store = store_of(listed, tmp_path, kind)
    filled = store.fill(compute, "audio")
    assert (filled.total, filled.done, filled.before, filled.skipped) == (5, 5, 0, [])
    dataset = store.load()
    assert list(dataset["id"]) == [f"r{n}" for n in range(5)]
    vectors, present = vector_matrix(dataset, "embedding")
    assert present.all() and vectors[:, 1].tolist() == [sum(map(ord, f"r{n}")) for n in range(5)]


@pytest.mark.parametrize("kind", ["txt", "npy", "pkl", "dataset"])
def test_stopped_run_goes_on_where_it_was(listed, tmp_path, kind):
    compute, first = computing(stop_after=2)
    with pytest.raises(Stopped):
        store_of(listed, tmp_path, kind).fill(compute, "audio")
    compute, second = computing()
    store = store_of(listed, tmp_path, kind)
    filled = store.fill(compute, "audio")
    assert sorted(first + second) == [f"r{n}" for n in range(5)] and len(first) == 2
    assert (filled.done, filled.before) == (3, 2)
    assert vector_matrix(store.load(), "embedding")[1].all()
    compute, third = computing()
    assert store_of(listed, tmp_path, kind).fill(compute, "audio").before == 5
    assert third == []


def test_a_dataset_of_other_recordings_is_not_replaced(listed, tmp_path):
    """It was, without a word, and with it all that had been computed."""
    store_of(listed, tmp_path, "dataset").fill(computing()[0], "audio")
    before = sorted((path.name, path.read_bytes()) for path in (tmp_path / "out").iterdir())
    lines = listed.read_text().splitlines()
    listed.write_text("\n".join(lines[:3]) + "\n")
    with pytest.raises(
        UserError, match=r"out holds a Dataset with 3 recordings that this corpus does not have: r2, r3"
    ):
        store_of(listed, tmp_path, "dataset")
    assert before == sorted((path.name, path.read_bytes()) for path in (tmp_path / "out").iterdir())
    (tmp_path / "r5.wav").write_bytes(b"RIFF")
    listed.write_text("\n".join([*lines, "r5,r5.wav,s1"]) + "\n")  # more of them lose nothing
    assert store_of(listed, tmp_path, "dataset").fill(computing()[0], "audio").done == 6


def test_a_dataset_of_ones_own_without_ids_is_not_replaced_by_a_smaller_one(listed, tmp_path):
    datasets.Dataset.from_dict({"text": list("abcdefg")}).save_to_disk(str(tmp_path / "out"))
    with pytest.raises(UserError, match="holds a Dataset with 2 recordings that this corpus does not have"):
        store_of(listed, tmp_path, "dataset")


@pytest.mark.parametrize(
    "feature", [datasets.Value("int64"), datasets.Value("float64"), datasets.ClassLabel(names=["x", "y", "z"]), None]
)
def test_a_dataset_with_ids_that_are_read_as_others_is_replaced_in_place(feature, tmp_path):
    """Numbers, classes and control characters become texts when a corpus is read; its own ids were called others."""
    ids = ["a\x1b", "b\n", "c"] if feature is None else [0, 1, 2]
    features = datasets.Features({"id": feature or datasets.Value("string"), "audio": datasets.Value("string")})
    own = datasets.Dataset.from_dict({"id": ids, "audio": ["0.wav", "1.wav", "2.wav"]}, features)
    own.save_to_disk(str(tmp_path / "out"))
    corpus = read_corpus(tmp_path / "out")
    store = open_store(corpus, "embedding", Maker("m"), save_dir=tmp_path / "out")
    assert store.fill(computing()[0], "audio").done == 3


def test_dataset_of_another_model_is_computed_anew(listed, tmp_path):
    store_of(listed, tmp_path, "dataset").fill(computing()[0], "audio")
    compute, calls = computing()
    assert store_of(listed, tmp_path, "dataset", model="another").fill(compute, "audio").done == 5
    assert len(calls) == 5


def test_force_computes_what_is_there(listed, tmp_path):
    store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")
    compute, calls = computing()
    assert store_of(listed, tmp_path, "txt").fill(compute, "audio", force=True).done == 5
    assert len(calls) == 5


def test_skipped_recordings_are_named_once(listed, tmp_path):
    def compute(dataset, *, save):
        features = datasets.Features({"embedding": datasets.List(datasets.Value("float32"), 2)})
        rows = [None] * len(dataset)
        return datasets.Dataset.from_dict({"embedding": rows}, features=features), [
            Skipped(name, "no good") for name in dataset["id"]
        ]

    filled = store_of(listed, tmp_path, "txt").fill(compute, "audio")
    assert filled.done == 0 and [row.id for row in filled.skipped] == [f"r{n}" for n in range(5)]


@pytest.mark.parametrize("save_format", ["txt", "dataset"])
def test_a_second_run_over_a_recording_without_an_embedding_names_it_again(listed, tmp_path, save_format):
    def compute(dataset, *, save):
        matrix, present = vector_matrix(dataset, "embedding")  # as binarizing does
        save([name for name, there in zip(dataset["id"], present, strict=True) if there], matrix > 0)
        column = [[True, False] if there else None for there in present]
        features = datasets.Features({"ba": datasets.List(datasets.Value("bool"), 2)})
        left_out = [Skipped(dataset[int(row)]["id"], "no embedding") for row in np.flatnonzero(~present)]
        return datasets.Dataset.from_dict({"ba": column}, features=features), left_out

    for number in range(4):
        (tmp_path / f"r{number}_emb.txt").write_text("0.5 1.5\n")
    where = None if save_format == "txt" else tmp_path / "out"
    for done, before in (4, 0), (0, 4):
        corpus = read_corpus(listed, save_dir=where, vectors=("embedding", "ba"))
        store = open_store(corpus, "ba", Maker("m"), save_dir=where, save_format=save_format)
        filled = store.fill(compute, "embedding")
        assert (filled.total, filled.done, filled.before) == (5, done, before)
        assert filled.skipped == [Skipped("r4", "no embedding")]


def test_recordings_that_could_not_be_read_count_among_all(listed, tmp_path):
    listed.write_bytes(listed.read_bytes() + b"r\xe9,r4.wav,s1\n")
    filled = store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")
    assert (filled.total, filled.done, len(filled.skipped)) == (6, 5, 1)


def test_vectors_that_cannot_go_beside_the_recordings_are_told_where_else(listed, tmp_path, monkeypatch):
    def read_only(path, content):
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr("balr_hf.data.vector_files.write_file", read_only)
    with pytest.raises(UserError, match=r"Read-only file system: '.*r0_emb\.txt': save elsewhere .* --save-dir"):
        open_store(read_corpus(listed), "embedding", Maker("m")).fill(computing()[0], "audio")
    with pytest.raises(OSError, match=r"Read-only file system: '.*r0_emb\.txt'$"):
        store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")


def test_vectors_of_which_nothing_can_be_noted_are_not_left_behind(listed, tmp_path, monkeypatch, caplog):
    def full(path, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr("balr_hf.data.file_store.append_quality", full)
        store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")
    assert not list((tmp_path / "out").glob("*_emb.*"))
    filled = store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")
    assert (filled.done, filled.before) == (5, 0)
    assert "unknown origin" not in caplog.text


@pytest.mark.parametrize("one_case", [False, True])
def test_ids_that_differ_in_case_only_share_no_file(tmp_path, monkeypatch, one_case):
    """On many USB sticks, macOS and Windows, the second vector would take the place of the first."""
    corpus = datasets.Dataset.from_dict({"id": ["s/Ab", "s/aB"], "audio": ["0.wav", "1.wav"]})
    corpus.save_to_disk(str(tmp_path / "corpus"))
    if one_case:
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda path: exists(path) or exists(path.with_name(path.name.swapcase())))
    elif (tmp_path / "CORPUS").exists():
        pytest.skip("upper and lower case are one here")
    out = tmp_path / "out"
    store = open_store(read_corpus(tmp_path / "corpus"), "embedding", Maker("m"), save_dir=out, save_format="txt")
    if one_case:
        with pytest.raises(UserError, match=r"would both write aB_emb\.txt, since upper and lower case are one"):
            store.fill(computing()[0], "audio")
    else:
        assert store.fill(computing()[0], "audio").done == 2
        assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["s"]
        assert sorted(path.name for path in (out / "s").iterdir()) == ["Ab_emb.txt", "aB_emb.txt"]


def test_two_runs_into_one_folder_both_find_their_csv_again(listed, tmp_path, caplog):
    """Each tells the other's csv from the user's own, and one that both write is no stranger's."""
    other = listed.with_name("other.csv")
    other.write_text("".join(listed.read_text().splitlines(keepends=True)[:3]))
    first, same, second = (store_of(csv, tmp_path, "txt") for csv in (listed, listed, other))
    for store in (first, same, second):
        store.fill(computing()[0], "audio")
    assert "it was not written by balr" not in caplog.text
    assert json.loads((tmp_path / "out" / "balr-files.json").read_text())["csv"] == ["corpus.csv", "other.csv"]


def test_lacking_column_is_told_with_the_step_that_makes_it(listed, tmp_path):
    with pytest.raises(UserError, match=r"corpus\.csv has no embedding to compute from \(run balr extract first\)"):
        NoStore(read_corpus(listed), "ba", Maker("m")).fill(computing()[0], "embedding")


def test_settings_that_cannot_be_are_refused(listed, tmp_path):
    corpus = read_corpus(listed)
    with pytest.raises(ConfigError, match="expected txt, npy, pkl, dataset"):
        open_store(corpus, "embedding", Maker("m"), save_format="csv")
    with pytest.raises(ConfigError, match="say where with --save-dir"):
        open_store(corpus, "embedding", Maker("m"), save_format="dataset")
    with pytest.raises(ConfigError, match="is for vector files"):
        open_store(corpus, "ba", Maker("m"), save_dir=tmp_path / "out", save_format="dataset", balr_format=True)


def test_folder_of_another_corpus_is_refused(listed, tmp_path):
    store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="holds the vectors of another corpus"):
        FileStore(
            read_corpus(tmp_path / "other", save_dir=tmp_path / "out"), "embedding", Maker("m"), tmp_path / "out"
        )


def test_records_have_a_name_each_and_the_earlier_common_one_is_read(listed, tmp_path):
    store_of(listed, tmp_path, "txt").fill(computing()[0], "audio")
    record = tmp_path / "out" / "balr-files.json"
    assert set(json.loads(record.read_text())) == {"source", "csv"}
    record.rename(record.with_name("balr.json"))
    compute, _ = computing()
    assert store_of(listed, tmp_path, "txt").fill(compute, "audio").before == 5
    record.write_text("{")
    with pytest.raises(UserError, match=r"balr-files\.json is damaged"):
        store_of(listed, tmp_path, "txt")


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_was_made_of_audio_that_was_replaced_is_not_taken_from_a_saved_dataset(
    few, tmp_path, tiny_embedder, monkeypatch, caplog, interrupted
):
    """A Dataset that names audio files is the same Dataset whatever these files hold."""
    rows = load_corpus(few).select(range(4)).select_columns(["id", "audio"])
    paths = [Path(row["path"]) for row in rows["audio"]]
    if interrupted:
        with monkeypatch.context() as patched:
            patched.setattr(DatasetStore, "finish", lambda store, count: (_ for _ in ()).throw(Stopped()))
            with pytest.raises(Stopped):
                tiny_embedder.extract_embeddings(rows, save_dir=tmp_path / "out")
    else:
        tiny_embedder.extract_embeddings(rows, save_dir=tmp_path / "out")
    paths[1].write_bytes(paths[3].read_bytes())
    paths[2].write_bytes(b"no audio")
    made = tiny_embedder.extract_embeddings(rows, save_dir=tmp_path / "out")
    assert f"2 of the 4 embeddings there are of other audio than is there now (such as {rows['id'][1]})" in caplog.text
    assert made["embedding"][1] == made["embedding"][3] and made["embedding"][2] is None
    assert made["recording_quality"][1] == made["recording_quality"][3]
    assert load_corpus(tmp_path / "out")["embedding"][:] == made["embedding"][:]


def test_a_saved_dataset_of_which_nothing_holds_any_more_is_not_returned(few, tmp_path, tiny_embedder):
    rows = load_corpus(few).select(range(2)).select_columns(["id", "audio"])
    tiny_embedder.extract_embeddings(rows, save_dir=tmp_path / "out")
    for row in rows["audio"]:
        Path(row["path"]).write_bytes(b"no audio")
    assert "embedding" not in tiny_embedder.extract_embeddings(rows, save_dir=tmp_path / "out").column_names


@pytest.fixture
def two_csvs(few):
    """Two csvs in one folder that call different recordings `a` and `b`."""
    rows = few.read_text().splitlines()
    paths = [row.split(",")[1] for row in rows[1:5]]
    for name, some in (("one.csv", paths[:2]), ("two.csv", paths[2:])):
        lines = [f"{recording},{path}" for recording, path in zip("ab", some, strict=True)]
        few.with_name(name).write_text("\n".join(["id,audio", *lines]) + "\n")
    return few.with_name("one.csv"), few.with_name("two.csv")


@pytest.mark.parametrize("beside", [True, False])
def test_measures_of_other_recordings_with_the_same_ids_are_not_replaced(two_csvs, tiny_embedder, tmp_path, beside):
    """The calibration of the one corpus would have the ranges of the other."""
    one, two = two_csvs
    where = one.parent if beside else tmp_path / "out"
    tiny_embedder.extract_embeddings(one, save_dir=where)
    before = (where / "quality.csv").read_bytes()
    with pytest.raises(UserError, match="measures of other recordings that are called a, b, as where several csvs"):
        tiny_embedder.extract_embeddings(two, save_dir=where)
    assert (where / "quality.csv").read_bytes() == before
    found = tiny_embedder.extract_embeddings(two, save_dir=tmp_path / "elsewhere")
    assert read_quality(tmp_path / "elsewhere" / "quality.csv")["a"] == found["recording_quality"][0]


def test_recordings_that_are_embedded_again_and_better_ones_replace_measures(two_csvs, tiny_embedder):
    """So does audio that was replaced after it was embedded, and what is computed anew."""
    one, two = two_csvs
    first, second = (Path(row["path"]) for row in load_corpus(one)["audio"])
    speech = first.read_bytes()
    write_silence(first)
    tiny_embedder.extract_embeddings(one, save_dir=one.parent)
    first.write_bytes(speech)  # `a`, which was refused
    second.write_bytes(Path(load_corpus(two)["audio"][1]["path"]).read_bytes())  # `b`, which was embedded
    made = tiny_embedder.extract_embeddings(one, save_dir=one.parent)
    assert None not in made["embedding"][:]
    for path in one.parent.rglob("*_emb.txt"):
        path.unlink()
    again = tiny_embedder.extract_embeddings(one, save_dir=one.parent)
    assert again["recording_quality"][:] == made["recording_quality"][:]
    anew = tiny_embedder.extract_embeddings(two, save_dir=one.parent, force=True)
    assert anew["recording_quality"][0] == read_quality(one.with_name("quality.csv"))["a"]
    assert anew["recording_quality"][0] != made["recording_quality"][0]


def test_a_run_that_is_killed_leaves_no_embedding_without_its_measures(two_csvs, tiny_embedder, tmp_path, monkeypatch):
    """Where audio was replaced, those of the earlier audio would stay."""

    def killed(folder, origins, original=file_store.append_manifest):
        original(folder, origins)
        if origins:
            shutil.copytree(folder, tmp_path / "left")

    monkeypatch.setattr(file_store, "append_manifest", killed)
    tiny_embedder.extract_embeddings(two_csvs[0], save_dir=tmp_path / "out")
    assert set(read_quality(tmp_path / "left" / "quality.csv")) == {"a", "b"}


def write_silence(path):
    """A second of digital silence."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))


def test_dataset_record_is_not_taken_for_one_of_files(listed, tmp_path):
    store_of(listed, tmp_path, "dataset").fill(computing()[0], "audio")
    assert set(json.loads((tmp_path / "out" / "balr-dataset.json").read_text())) == {"kind", "key"}
    assert isinstance(store_of(listed, tmp_path, "dataset"), DatasetStore)


# How BALR 2.0 reads a vector file.
READ_AS_BALR = {
    ".txt": lambda path: np.loadtxt(path),
    ".npy": lambda path: np.load(path),
    ".pkl": lambda path: pickle.loads(path.read_bytes()),
}


@pytest.mark.parametrize("extension", list(READ_AS_BALR))
def test_attributes_in_balrs_format_are_read_by_its_rules(tmp_path, extension):
    from balr_hf.data.vectors import read_vector, write_vector

    bits = np.random.default_rng(0).random(512) < 0.3
    path = tmp_path / f"x_ba{extension}"
    write_vector(path, bits, pairs=True)
    pairs = READ_AS_BALR[extension](path)
    assert pairs.shape == (512, 2)
    assert np.array_equal(pairs[:, 0] == 1, bits) and np.array_equal(pairs.sum(1), np.ones(512))
    assert np.array_equal(read_vector(path, "ba"), bits)


@pytest.mark.parametrize("extension", list(READ_AS_BALR))
def test_embeddings_are_read_by_balrs_rules(tmp_path, extension):
    from balr_hf.data.vectors import read_vector, write_vector

    vector = np.random.default_rng(0).normal(size=256).astype(np.float32)
    path = tmp_path / f"x_emb{extension}"
    write_vector(path, vector)
    assert np.array_equal(READ_AS_BALR[extension](path).astype(np.float32), vector)
    assert np.array_equal(read_vector(path, "embedding"), vector)


def test_pickles_name_what_old_and_new_numpy_have(tmp_path):
    from balr_hf.data.vectors import write_vector

    write_vector(tmp_path / "x_emb.pkl", np.zeros(3, dtype=np.float32))
    assert b"numpy._core" not in (tmp_path / "x_emb.pkl").read_bytes()


@pytest.mark.slow
def test_model_extracts_whatever_it_is_given_and_keeps_it(few, tmp_path, tiny_embedder):
    dataset = tiny_embedder.extract_embeddings(few, save_dir=tmp_path / "out", batch_size=4)
    assert len(dataset) == 12 and len(list((tmp_path / "out").rglob("*_emb.txt"))) == 12
    again = tiny_embedder.extract_embeddings(few, save_dir=tmp_path / "out")
    assert np.array_equal(vector_matrix(again, "embedding")[0], vector_matrix(dataset, "embedding")[0])
    expected = vector_matrix(tiny_embedder.extract_embeddings(load_corpus(few)), "embedding")[0]
    np.testing.assert_allclose(vector_matrix(dataset, "embedding")[0], expected, rtol=1e-6)
    assert not list(few.parent.rglob("*_emb.txt"))
