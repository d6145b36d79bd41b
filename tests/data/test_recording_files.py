"""Whatever names and ids a corpus has, one of them never stops the others."""

import csv
import os
from pathlib import PurePosixPath

import datasets
import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.data.recording_files import paths_of_ids
from balr_hf.data.vectors import VectorFinder, vector_path, write_vector

HOSTILE = [
    ".", "..", "", "/", "../../etc/passwd", "a/../b", "./a", "a//b", "/a", "a", "a/", "a\0", "a\0b", "\x1b[2J", "=1+1",
    "-rf", "x" * 240, "x" * 300, "é" * 200, "d" * 300 + "/x", "a\tb", "a\nb", "a_emb", "CON", "..\\x", "b",
]  # fmt: skip


def test_every_id_has_a_file_of_its_own_within_the_folder(tmp_path):
    paths = paths_of_ids(HOSTILE)
    assert len(set(paths)) == len(HOSTILE)
    for path in paths:
        assert not path.is_absolute() and ".." not in path.parts and path.name
        assert all(len(os.fsencode(part)) <= 220 and "\0" not in part for part in path.parts)
        write_vector(vector_path(tmp_path / path.with_name(f"{path.name}.audio"), "ba", ".npy"), np.ones(3, bool))


@pytest.mark.parametrize("name", ["a", "a/b.wav", "speaker 1/Zoë_01", "=x", "x" * 200, ".hidden"])
def test_ordinary_ids_name_their_files(name):
    assert paths_of_ids([name]) == [PurePosixPath(name)]
    assert paths_of_ids([f"/{name}"]) == [PurePosixPath(name)]


@pytest.mark.parametrize("length", [236, 244, 245, 251])
def test_vectors_of_long_names_are_found_again(tmp_path, length):
    audio = tmp_path / ("é" * (length // 2) + "x" * (length % 2) + ".wav")
    audio.touch()
    other = audio.with_name(audio.name.replace("é", "è", 1))
    for kind, extension in (("embedding", ".txt"), ("ba", ".npy")):
        path = vector_path(audio, kind, extension)
        write_vector(path, np.ones(3, bool if kind == "ba" else np.float32))
        assert VectorFinder().find(audio, kind) == str(path)
        assert vector_path(other, kind, extension) != path


@pytest.fixture
def write(balr, tmp_path):
    """Extracts from a corpus with an ordinary recording among others; gives what was said."""

    def run(source, *words):
        status, said = balr("extract", source, "--save-dir", tmp_path / "out", *words)
        assert status == 0, said
        return said

    return run


def a_recording(sample):
    return next(iter(sorted(sample.rglob("*.opus"))))


def test_no_name_of_a_file_stops_a_folder(sample, tmp_path, write):
    folder, content = tmp_path / "corpus", a_recording(sample).read_bytes()
    folder.mkdir()
    odd = ["x" * 240, "x" * 250, "=1+1", "-rf", "a\x1b[2J", "a\nb", "a\t"]
    for name in [*odd, "good"]:
        (folder / f"{name}.opus").write_bytes(content)
    (folder / os.fsdecode(b"caf\xe9.opus")).write_bytes(content)
    said = write(folder)
    assert f"{len(odd) + 1} embeddings computed" in said
    assert r"caf\xe9.opus: the name of its audio file is not UTF-8" in said
    written = (tmp_path / "out" / "metadata.csv").read_bytes()
    assert b"\x1b" not in written and b"\n=1" not in written and b"\n-rf" not in written
    corpus = load_corpus(tmp_path / "out")
    expected = [f"{name}.opus".replace("\x1b", r"\x1b") for name in [*odd, "good"]]
    assert sorted(corpus["id"]) == sorted(expected)
    assert all(vector is not None for vector in corpus["embedding"])
    assert f"{len(odd) + 1} there already" in write(folder)


def test_no_row_of_a_csv_stops_the_others(sample, tmp_path, write):
    good = ["good", "=good", ".", "..", "-", "x" * 200_000, "escape\x1b", "nul\0"]
    audio = sorted(sample.rglob("*.opus"))
    bad = [("long", "x" * 300 + ".wav"), ("longer", "/".join(["x" * 100] * 60)), ("nul in the path", "a\0.wav")]
    rows = [*bad, *zip(good, audio, strict=False)]
    with (sample / "odd.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "audio"), *rows])
    with (sample / "odd.csv").open("ab") as file:
        file.write(b"caf\xe9," + os.fsencode(audio[-1]) + b"\n")
    said = write(sample / "odd.csv")
    assert f"{len(good)} embeddings computed" in said
    for reason in (r"caf\xe9: its row", "long: the name of", "longer: the name of", "nul in the path: the name of"):
        assert f"skipped {reason}" in said
    corpus = load_corpus(tmp_path / "out" / "odd.csv")
    assert list(corpus["id"]) == [name.replace("\x1b", r"\x1b").replace("\0", r"\x00") for name in good]


def test_no_id_of_a_dataset_stops_the_others(sample, tmp_path, write):
    audio = a_recording(sample).read_bytes()
    names = [name for name in HOSTILE if name]
    corpus = datasets.Dataset.from_dict({"id": names, "audio": [{"bytes": audio, "path": None}] * len(names)})
    corpus.save_to_disk(str(tmp_path / "corpus"))
    assert f"{len(names)} embeddings computed" in write(tmp_path / "corpus", "--save-format", "npy")
    read = load_corpus(tmp_path / "out")
    assert len(set(read["id"])) == len(names)
    assert all(path.is_relative_to(tmp_path / "out") for path in tmp_path.rglob("*_emb.npy"))
    assert f"{len(names)} there already" in write(tmp_path / "corpus", "--save-format", "npy")
