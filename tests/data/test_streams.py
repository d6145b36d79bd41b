"""A corpus that is streamed gets the vectors that it would get as a Dataset, in parquet files without audio."""

import datasets
import numpy as np
import pytest

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.data import streams, vector_matrix
from balr_hf.defaults import AUTOENCODER, EMBEDDER, resource
from balr_hf.errors import ConfigError, UserError
from balr_hf.files import atomic_path


@pytest.fixture
def corpus(few):
    """Twelve recordings, with the bytes of their audio; one of them is damaged."""
    from pathlib import Path

    rows = [
        {
            "id": row["id"],
            "speaker": row["speaker"],
            "audio": {"path": None, "bytes": Path(row["audio"]["path"]).read_bytes()},
        }
        for row in load_corpus(few)
    ]
    rows[10]["audio"]["bytes"] = rows[11]["audio"]["bytes"] = b"damaged"  # a block without any vector
    return datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))


def test_a_stream_gets_the_vectors_of_a_dataset_and_goes_on(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 5)
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    whole = embedder.extract_embeddings(corpus)
    out = tmp_path / "out"

    written = []

    def stopping(path):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        return atomic_path(path)

    monkeypatch.setattr(streams, "atomic_path", stopping)
    with pytest.raises(KeyboardInterrupt):
        embedder.extract_embeddings(corpus.to_iterable_dataset(), save_dir=out)
    monkeypatch.setattr(streams, "atomic_path", atomic_path)
    (first,) = out.glob("*.parquet")
    for streaming in (False, True):  # what a stopped run has left is no corpus
        with pytest.raises(UserError, match="is not whole"):
            load_corpus(out, streaming=streaming)
    complete = first.read_bytes()
    first.write_bytes(complete[:-20])
    with pytest.raises(UserError, match=rf"{first.name} is not a proper parquet file"):
        embedder.extract_embeddings(corpus.to_iterable_dataset(), save_dir=out)
    first.write_bytes(complete)
    when = first.stat().st_mtime_ns
    streamed = embedder.extract_embeddings(corpus.to_iterable_dataset(), save_dir=out)
    assert first.stat().st_mtime_ns == when and len(list(out.glob("*.parquet"))) == 3
    assert "audio" not in streamed.column_names and streamed["id"][:] == corpus["id"][:]
    for one, other in zip(vector_matrix(streamed, "embedding"), vector_matrix(whole, "embedding"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert streamed["embedding_origin"][:] == whole["embedding_origin"][:]

    read = datasets.load_dataset("parquet", data_files=str(out / "*.parquet"), split="train", streaming=True)
    encoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    attributes = encoder.get_binary_attributes(read, save_dir=tmp_path / "attributes")
    np.testing.assert_array_equal(
        vector_matrix(attributes, "ba")[0], vector_matrix(encoder.get_binary_attributes(whole), "ba")[0]
    )
    with pytest.raises(UserError, match="3 parquet files, the stream yields 2"):
        embedder.extract_embeddings(corpus.select(range(10)).to_iterable_dataset(), save_dir=out)
    embedder.extract_embeddings(corpus.to_iterable_dataset(), save_dir=out)
    first.rename(tmp_path / "first")
    with pytest.raises(UserError, match="has 2 parquet files of 3"):
        load_corpus(out)
    (tmp_path / "first").rename(first)
    with pytest.raises(UserError, match="other recordings"):
        embedder.extract_embeddings(corpus.select(range(1, 12)).to_iterable_dataset(), save_dir=out)
    with pytest.raises(UserError, match="another kind or model"):
        encoder.get_binary_attributes(read, save_dir=out)


def test_a_stream_whose_audio_was_replaced_does_not_go_on(corpus, tmp_path):
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    embedder.extract_embeddings(corpus.select(range(3)).to_iterable_dataset(), save_dir=tmp_path / "out")
    rows = [corpus[row] for row in range(3)]
    rows[1]["audio"] = corpus[5]["audio"]
    replaced = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))
    with pytest.raises(
        UserError, match=rf"vectors of 1 recordings \({rows[1]['id']}\) of other audio than the stream"
    ):
        embedder.extract_embeddings(replaced.to_iterable_dataset(), save_dir=tmp_path / "out")


def test_splits_get_their_vectors_each(corpus, tmp_path):
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    both = datasets.DatasetDict(train=corpus.select(range(3)), test=corpus.select(range(3, 5)))
    made = embedder.extract_embeddings(both, save_dir=tmp_path / "out")
    assert isinstance(made, datasets.DatasetDict) and {name: len(made[name]) for name in made} == {
        "train": 3,
        "test": 2,
    }
    saved = load_corpus(tmp_path / "out" / "test")
    np.testing.assert_array_equal(vector_matrix(saved, "embedding")[0], vector_matrix(made["test"], "embedding")[0])


def test_what_cannot_be_streamed_says_what_to_do(corpus, tmp_path):
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    with pytest.raises(ConfigError, match=r"a split is called '\.\./x'"):
        embedder.extract_embeddings(datasets.DatasetDict({"../x": corpus}))
    with pytest.raises(ConfigError, match="give save_dir"):
        embedder.extract_embeddings(corpus.to_iterable_dataset())
    with pytest.raises(UserError, match="column id"):
        embedder.extract_embeddings(corpus.remove_columns("id").to_iterable_dataset(), save_dir=tmp_path / "out")


def test_commands_stream_parquet_files_and_go_on(corpus, tmp_path, balr):
    (tmp_path / "corpus").mkdir()
    corpus.to_parquet(str(tmp_path / "corpus" / "a.parquet"))
    words = ("extract", "--stream", tmp_path / "corpus", "--save-dir", tmp_path / "embeddings")
    status, said = balr(*words)
    assert status == 0 and "10 of 12 recordings have embeddings" in said
    (part,) = (tmp_path / "embeddings").glob("*.parquet")
    when = part.stat().st_mtime_ns
    assert balr(*words)[0] == 0 and part.stat().st_mtime_ns == when
    assert balr("binarize", "--stream", tmp_path / "embeddings", "--save-dir", tmp_path / "attributes")[0] == 0
    attributes = load_corpus(tmp_path / "attributes")
    assert len(attributes) == 12 and vector_matrix(attributes, "ba")[1].sum() == 10
    stream = load_corpus(tmp_path / "corpus", streaming=True)
    assert [row["id"] for row in stream] == corpus["id"][:]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--save-dir", "out", "--force"], "--stream goes without --force"),
        (["--save-dir", "out", "--shard", "0/2"], "--stream goes without --shard"),
        (["--save-dir", "out", "--save-format", "npy"], "--stream goes without --save-format npy"),
        ([], "say where with --save-dir"),
    ],
)
def test_a_stream_refuses_what_it_would_ignore(words, expected, tmp_path, balr):
    status, said = balr("extract", "--stream", tmp_path, *words)
    assert status == 2 and expected in said


def test_a_corpus_of_files_is_not_streamed(few, balr, tmp_path):
    status, said = balr("extract", "--stream", few, "--save-dir", tmp_path / "out")
    assert status == 1 and "holds no parquet files to be streamed" in said


def test_a_parquet_file_whose_column_names_are_damaged_is_named(tmp_path):
    path = tmp_path / "corpus.parquet"
    datasets.Dataset.from_dict({"id": ["a"], "speaker": ["x"]}).to_parquet(str(path))
    path.write_bytes(path.read_bytes().replace(b"speaker", b"spe\xcbker"))
    with pytest.raises(UserError, match=r"corpus\.parquet has a name of a column that is not UTF-8"):
        load_corpus(path)
