import os
import pickle
import threading

import numpy as np
import pytest

from balr_hf.data import vector_files
from balr_hf.data.vector_files import on_slow_storage, read_vectors, write_vectors
from balr_hf.data.vectors import VectorError, read_vector, write_vector

RNG = np.random.default_rng(0)


def all_read(paths, kind):
    return [vector for block in read_vectors([str(path) for path in paths], kind) for vector in block]


def one_by_one(paths, kind):
    found = []
    for path in paths:
        try:
            found.append(read_vector(path, kind))
        except VectorError as error:
            found.append(str(error))
    return found


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        if isinstance(one, str):
            assert one == other
        else:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
@pytest.mark.parametrize("pairs", [False, True], ids=["bits", "BALR's pairs"])
@pytest.mark.parametrize("kind", ["embedding", "ba"])
def test_many_files_are_written_as_each_alone(tmp_path, kind, extension, pairs):
    vectors = RNG.normal(size=(5, 7)).astype(np.float32) if kind == "embedding" else RNG.random((5, 7)) < 0.5
    together, alone = ([tmp_path / f"{which}{n}{extension}" for n in range(5)] for which in "ab")
    write_vectors([str(path) for path in together], vectors, pairs)
    for path, vector in zip(alone, vectors, strict=True):
        write_vector(path, vector, pairs)
    assert [path.read_bytes() for path in together] == [path.read_bytes() for path in alone]
    assert_same(all_read(together, kind), list(vectors))


ARRAYS = {
    "ba": [
        *(RNG.random((4, 6)) < 0.5),
        *(RNG.random((3, 6)) < 0.5).astype(float),
        *(np.stack([bits, ~bits], 1).astype(int) for bits in RNG.random((3, 6)) < 0.5),
        *(np.asfortranarray(np.stack([bits, ~bits], 1).astype(int)) for bits in RNG.random((3, 6)) < 0.5),
        np.array([[1, 0]]),
        np.array([[0, 1]]),
        np.array([[1], [0]]),
        np.array([1, 2, 0, 1, 0, 1]),
        np.array([[1, 1], [0, 1]]),
        np.array([["a", "b"]]),
    ],
    "embedding": [
        *RNG.normal(size=(4, 6)).astype(np.float32),
        *RNG.normal(size=(3, 6)),
        *RNG.normal(size=(3, 6)).astype(">f4"),
        *RNG.integers(-5, 5, (3, 1, 6)),
        *RNG.normal(size=(2, 2, 6)),
        np.array([1.0, np.nan]),
        np.array([1.0, 1e39]),
        np.array([3.0]),
        np.zeros(6, dtype=np.float32),
    ],
}


@pytest.mark.parametrize("extension", [".txt", ".npy", *(f".{protocol}.pkl" for protocol in range(6))])
@pytest.mark.parametrize("kind", ["embedding", "ba"])
def test_many_files_are_read_as_each_alone(tmp_path, kind, extension):
    paths = []
    for number, array in enumerate(ARRAYS[kind]):
        path = tmp_path / f"{number}{extension}"
        if extension == ".npy":
            np.save(path, array)
        elif extension == ".txt":
            np.savetxt(path, array, fmt="%s" if array.dtype.kind == "U" else "%g" if number % 2 else "%d")
        else:
            path.write_bytes(pickle.dumps(array, int(extension[1])))
        paths.append(path)
    for number, content in enumerate([b"", b"damaged", paths[0].read_bytes()[:-1], b"1 # one\n0\n", b"1_0\n2\n"]):
        paths.append(tmp_path / f"odd{number}{extension}")
        paths[-1].write_bytes(content)
    paths += [tmp_path / f"missing{extension}", tmp_path / "missing.wav"]
    assert_same(all_read(paths, kind), one_by_one(paths, kind))


def test_damage_in_one_file_is_no_other_file_s(tmp_path):
    """Files of one size that differ in more than their numbers are not read by the place of the first one's."""
    paths = [tmp_path / f"{n}.npy" for n in range(4)]
    for n, path in enumerate(paths):
        np.save(path, np.full(6, n + 1, dtype=np.float32 if n != 2 else ">f4"))
    content = paths[1].read_bytes()
    paths[1].write_bytes(content.replace(b"(6,)", b"(5,)"))
    found = all_read(paths, "embedding")
    assert_same(found, one_by_one(paths, "embedding"))
    np.testing.assert_array_equal(found[2], np.full(6, 3))


def test_a_pickle_with_a_decoy_is_read_as_it_says(tmp_path):
    """The bytes of the numbers may occur in a file twice; only those that make the array count."""
    first, second = (np.arange(4, dtype=np.float32) + n for n in range(2))
    decoy = pickle.dumps(np.frombuffer(first.tobytes(), dtype=np.uint8), 4)  # is dropped: a second array follows it
    paths = [tmp_path / "a.pkl", tmp_path / "b.pkl"]
    for path, array in zip(paths, (first, second), strict=True):
        path.write_bytes(decoy[:-1] + b"0" + pickle.dumps(array, 4)[2:])
    assert_same(all_read(paths, "embedding"), [first, second])


def test_a_pickle_that_names_other_things_is_refused_among_others(tmp_path):
    paths = [tmp_path / f"{n}.pkl" for n in range(3)]
    for path in paths:
        path.write_bytes(pickle.dumps(np.ones(4, dtype=np.float32)))
    paths[1].write_bytes(pickle.dumps(os.getcwd))
    found = all_read(paths, "embedding")
    assert "refused" in found[1]
    assert_same([found[0], found[2]], [np.ones(4, dtype=np.float32)] * 2)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "b.txt").mkdir()  # no file can take its place
    with pytest.raises(OSError):
        write_vectors([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], np.ones((2, 3), dtype=bool))
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]
    assert not list((tmp_path / "b.txt").iterdir())


def test_slow_storage_gets_threads_and_a_fast_one_does_not(monkeypatch):
    monkeypatch.setattr(vector_files, "FIRST", 4)

    def threads(slow):
        monkeypatch.setattr(vector_files, "SLOW", 0.0 if slow else 60.0)
        used = on_slow_storage(lambda item: (item, threading.get_ident()), range(40))
        assert [item for item, _ in used] == [*range(40)]
        return {thread for _, thread in used}

    assert threads(slow=False) == {threading.get_ident()}
    assert threads(slow=True) - {threading.get_ident()}
