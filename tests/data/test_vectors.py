import builtins
import io
import os
import pickle
import pickletools
import re
import subprocess

import numpy as np
import pytest
import torch

from balr_hf.data.vectors import (
    VectorError,
    VectorFinder,
    is_vector_file,
    read_vector,
    vector_path,
    vector_stem,
    write_vector,
)

BITS = np.random.default_rng(0).random(512) < 0.3
PAIRS = np.stack([BITS, ~BITS], 1)


def write_any(path, array, protocol: int = 4):
    """Write `array` as people would: `np.savetxt`, `np.save` or `pickle.dump`."""
    if path.suffix == ".txt":
        np.savetxt(path, array)
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        path.write_bytes(pickle.dumps(array, protocol))
    return path


# --- what is written is read back ---


@pytest.mark.parametrize("extension", [".txt", ".npy"])
def test_embedding_survives_exactly(tmp_path, extension):
    patterns = np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint32)  # every size of number there is
    embedding = patterns.view(np.float32)[np.isfinite(patterns.view(np.float32))]
    write_vector(tmp_path / f"a_emb{extension}", embedding)
    back = read_vector(tmp_path / f"a_emb{extension}", "embedding")
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, embedding)


@pytest.mark.parametrize("extension", [".txt", ".npy"])
def test_attributes_survive(tmp_path, extension):
    write_vector(tmp_path / f"a_ba{extension}", BITS)
    back = read_vector(tmp_path / f"a_ba{extension}", "ba")
    assert back.dtype == bool
    np.testing.assert_array_equal(back, BITS)


def test_text_files_are_one_plain_number_a_line(tmp_path):
    write_vector(tmp_path / "a_ba.txt", np.array([True, False]))
    write_vector(tmp_path / "a_emb.txt", np.array([0.1, -2], dtype=np.float32))
    assert (tmp_path / "a_ba.txt").read_text() == "1\n0\n"
    assert (tmp_path / "a_emb.txt").read_text() == "0.100000001\n-2\n"


def test_failed_write_keeps_the_old_vector(tmp_path):
    path = tmp_path / "a_emb.txt"
    write_vector(path, np.ones(3, dtype=np.float32))
    with pytest.raises(TypeError):
        write_vector(path, np.array([1, "text", None], dtype=object))
    assert [file.name for file in tmp_path.iterdir()] == ["a_emb.txt"]
    np.testing.assert_array_equal(read_vector(path, "embedding"), np.ones(3))


# --- what others wrote is read ---


@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
@pytest.mark.parametrize(
    "array",
    [
        pytest.param(PAIRS, id="BALR's pairs"),
        pytest.param(PAIRS.astype(np.float32), id="pairs of floats"),
        pytest.param(BITS, id="bits"),
        pytest.param(BITS.astype(np.int64), id="integers"),
        pytest.param(BITS.astype(np.uint8), id="bytes"),
        pytest.param(BITS.astype(np.float64), id="floats"),
        pytest.param(BITS[None].astype(int), id="one row"),
        pytest.param(BITS[:, None].astype(int), id="one column"),
    ],
)
def test_attributes_of_every_form_are_read(tmp_path, array, extension):
    back = read_vector(write_any(tmp_path / f"a_ba{extension}", array), "ba")
    assert back.dtype == bool
    np.testing.assert_array_equal(back, BITS)


@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i4"])
@pytest.mark.parametrize("shape", [(6,), (1, 6), (6, 1)])
def test_embeddings_of_every_form_are_read(tmp_path, extension, dtype, shape):
    array = np.arange(-2, 4).astype(dtype).reshape(shape)
    back = read_vector(write_any(tmp_path / f"a_emb{extension}", array), "embedding")
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, np.arange(-2, 4))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(256, dtype=np.float32) - 128,
        np.arange(512.0)[::-2],
        np.arange(0, 256, dtype=">f8"),
        np.asfortranarray(np.arange(300, dtype=np.float32)[:, None]),
        np.arange(256),
    ],
    ids=["float32", "strided", "big-endian", "Fortran", "integers"],
)
def test_arrays_of_every_pickle_protocol_are_read(tmp_path, array, protocol):
    path = write_any(tmp_path / "a_emb.pkl", array, protocol)
    np.testing.assert_array_equal(read_vector(path, "embedding"), array.ravel())


@pytest.mark.parametrize("protocol", range(6))
def test_pairs_of_every_pickle_protocol_are_read(tmp_path, protocol):
    path = write_any(tmp_path / "a_emb_ba.pkl", PAIRS.astype(np.int64), protocol)
    np.testing.assert_array_equal(read_vector(path, "ba"), BITS)


@pytest.mark.parametrize("protocol", range(4))
@pytest.mark.parametrize("wrote, other", [("numpy._core", "numpy.core"), ("numpy.core", "numpy._core")])
def test_arrays_pickled_by_numpy_1_and_2_are_read(tmp_path, protocol, wrote, other):
    array = np.arange(8, dtype=np.float32)
    content = pickle.dumps(array, protocol).replace(wrote.encode(), other.encode())
    assert other.encode() in content
    (tmp_path / "a_emb.pkl").write_bytes(content)
    np.testing.assert_array_equal(read_vector(tmp_path / "a_emb.pkl", "embedding"), array)


# --- pickles that would run code ---


class Calls:
    """An object whose pickle calls `function` when it is loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda marker: Calls(os.system, f"touch {marker}"), id="os.system"),
        pytest.param(lambda marker: Calls(builtins.eval, f"open({str(marker)!r}, 'w').close()"), id="eval"),
        pytest.param(lambda marker: Calls(builtins.exec, f"open({str(marker)!r}, 'w').close()"), id="exec"),
        pytest.param(lambda marker: Calls(subprocess.call, ["touch", str(marker)]), id="subprocess"),
        pytest.param(lambda marker: Calls(np.savetxt, str(marker), [1]), id="numpy.savetxt"),
        pytest.param(lambda marker: [np.ones(3), Calls(os.mkdir, str(marker))], id="after an array"),
        pytest.param(
            lambda marker: np.array([Calls(os.mkdir, str(marker)), None], dtype=object), id="in an array of objects"
        ),
    ],
)
def test_pickle_that_calls_anything_is_refused_and_runs_nothing(tmp_path, call, protocol):
    marker, path = tmp_path / "marker", tmp_path / "a_emb.pkl"
    path.write_bytes(pickle.dumps(call(marker), protocol))
    with pytest.raises(VectorError, match=r"refused: this pickle names .*; only plain numpy arrays are read"):
        read_vector(path, "embedding")
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the pickle was harmless, so this test proved nothing"


def test_pickle_that_loads_another_pickle_is_refused(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "a_emb.pkl"
    (tmp_path / "inner.pkl").write_bytes(pickle.dumps(Calls(os.mkdir, str(marker))))
    path.write_bytes(pickle.dumps(Calls(np.load, str(tmp_path / "inner.pkl"), None, True)))
    with pytest.raises(VectorError, match=r"refused: this pickle names numpy.*load"):
        read_vector(path, "embedding")
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()


@pytest.mark.parametrize("module, name", [("numpy", "ndarray.tofile"), ("numpy", "dtype.__class__"), ("os", "system")])
def test_attribute_of_an_allowed_name_is_refused(tmp_path, module, name):
    content = pickle.PROTO + b"\x04"
    for word in (module, name):
        content += pickle.SHORT_BINUNICODE + bytes([len(word)]) + word.encode()
    content += pickle.STACK_GLOBAL + pickle.STOP
    pickletools.dis(content, out=io.StringIO())  # well formed
    (tmp_path / "a_emb.pkl").write_bytes(content)
    with pytest.raises(VectorError, match=re.escape(f"refused: this pickle names {module}.{name};")):
        read_vector(tmp_path / "a_emb.pkl", "embedding")


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "rot13", "unicode_escape"])
def test_pickle_that_encodes_with_another_codec_is_refused(tmp_path, codec):
    content = pickle.dumps(np.arange(3.0), 2)
    assert content.count(b"X\x06\x00\x00\x00latin1") == 1
    swapped = b"X" + len(codec).to_bytes(4, "little") + codec.encode()
    (tmp_path / "a_emb.pkl").write_bytes(content.replace(b"X\x06\x00\x00\x00latin1", swapped))
    with pytest.raises(VectorError, match=f"refused: this pickle encodes with '{codec}'"):
        read_vector(tmp_path / "a_emb.pkl", "embedding")


def test_pickle_cannot_alter_the_functions_that_it_may_call(tmp_path):
    """The BUILD opcode sets attributes of whatever is on the stack, a function's defaults too."""
    function = np._core.numeric._frombuffer
    before = function.__defaults__
    state = b"(N}(X\x0c\x00\x00\x00__defaults__(K\x07tut"  # (None, {"__defaults__": (7,)})
    content = b"cnumpy._core.numeric\n_frombuffer\n" + state + pickle.BUILD + pickle.STOP
    pickletools.dis(content, out=io.StringIO())  # well formed
    (tmp_path / "a_emb.pkl").write_bytes(content)
    try:
        with pytest.raises(VectorError):
            read_vector(tmp_path / "a_emb.pkl", "embedding")
        assert function.__defaults__ == before
    finally:
        function.__defaults__ = before


@pytest.mark.parametrize("content", [np.array([1.5, None]), np.array(["a", "b"]), [1.0, 2.0], {"a": 1}, 3.5, "text"])
def test_pickles_of_anything_but_arrays_of_numbers_are_refused(tmp_path, content):
    (tmp_path / "a_emb.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(VectorError, match="no array of numbers"):
        read_vector(tmp_path / "a_emb.pkl", "embedding")


def test_pickled_tensor_is_refused(tmp_path):
    (tmp_path / "a_emb.pkl").write_bytes(pickle.dumps(torch.ones(3)))
    with pytest.raises(VectorError, match="refused: this pickle names torch"):
        read_vector(tmp_path / "a_emb.pkl", "embedding")


def test_objects_in_npy_are_refused_and_run_nothing(tmp_path):
    marker = tmp_path / "marker"
    np.save(tmp_path / "a_emb.npy", np.array([Calls(os.mkdir, str(marker)), None], dtype=object))
    with pytest.raises(VectorError):
        read_vector(tmp_path / "a_emb.npy", "embedding")
    assert not marker.exists()
    np.load(tmp_path / "a_emb.npy", allow_pickle=True)
    assert marker.exists()


# --- damaged files ---


@pytest.mark.parametrize("kind", ["embedding", "ba"])
@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
def test_missing_empty_and_damaged_files_are_refused(tmp_path, kind, extension):
    path = tmp_path / f"a{extension}"
    with pytest.raises(VectorError, match=f"file not found: {path}"):
        read_vector(path, kind)
    path.touch()
    with pytest.raises(VectorError, match="empty file"):
        read_vector(path, kind)
    path.write_bytes(b"this is \xff\x00 no vector\n")
    with pytest.raises(VectorError, match=f"damaged vector file {path.name}"):
        read_vector(path, kind)


@pytest.mark.parametrize("protocol", range(6))
def test_truncated_pickle_is_refused(tmp_path, protocol):
    content = pickle.dumps(np.arange(256, dtype=np.float32), protocol)
    for length in (2, 20, len(content) // 2, len(content) - 1):
        (tmp_path / "a.pkl").write_bytes(content[:length])
        with pytest.raises(VectorError, match="damaged"):
            read_vector(tmp_path / "a.pkl", "embedding")


def test_truncated_npy_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(256.0))
    content = (tmp_path / "a.npy").read_bytes()
    for length in (4, 60, len(content) // 2, len(content) - 1):
        (tmp_path / "a.npy").write_bytes(content[:length])
        with pytest.raises(VectorError, match="damaged"):
            read_vector(tmp_path / "a.npy", "embedding")


def test_npz_named_npy_is_refused(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, a=np.ones(3))
    with pytest.raises(VectorError, match="no array of numbers"):
        read_vector(tmp_path / "a.npy", "embedding")


def test_rows_of_several_lengths_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3\n4 5\n")
    with pytest.raises(VectorError, match=r"damaged vector file a\.txt"):
        read_vector(tmp_path / "a.txt", "embedding")


def test_other_endings_are_refused(tmp_path):
    (tmp_path / "a_emb.csv").write_text("1\n2\n")
    with pytest.raises(VectorError, match=r"a_emb\.csv: expected one of \.txt, \.npy, \.pkl"):
        read_vector(tmp_path / "a_emb.csv", "embedding")


@pytest.mark.filterwarnings("ignore:loadtxt. input contained no data")
@pytest.mark.parametrize("kind", ["embedding", "ba"])
def test_vector_without_values_is_refused(tmp_path, kind):
    (tmp_path / "blank.txt").write_text("\n\n")
    np.save(tmp_path / "none.npy", np.zeros(0))
    np.save(tmp_path / "no_pairs.npy", np.zeros((0, 2)))
    for name in ("blank.txt", "none.npy", "no_pairs.npy"):
        with pytest.raises(VectorError):
            read_vector(tmp_path / name, kind)


# --- values that cannot be ---


@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_embedding_that_is_not_finite_is_refused(tmp_path, extension, bad):
    with pytest.raises(VectorError, match="not finite"):
        read_vector(write_any(tmp_path / f"a{extension}", np.array([1, bad, 2])), "embedding")


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
def test_embedding_too_large_for_float32_is_refused(tmp_path, extension):
    with pytest.raises(VectorError, match="not finite"):
        read_vector(write_any(tmp_path / f"a{extension}", np.array([1, 1e39])), "embedding")


@pytest.mark.parametrize("shape", [(), (1,), (4, 4), (2, 3, 4)])
def test_embedding_of_another_shape_is_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(VectorError, match=re.escape(f"shape {shape}")):
        read_vector(tmp_path / "a.npy", "embedding")


@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
@pytest.mark.parametrize("bad", [2, -1, 0.5, np.nan])
def test_attributes_other_than_0_and_1_are_refused(tmp_path, extension, bad):
    with pytest.raises(VectorError, match="other than 0 and 1"):
        read_vector(write_any(tmp_path / f"a{extension}", np.array([1, 0, bad, 1])), "ba")


@pytest.mark.parametrize("pair", [(1, 1), (0, 0)])
def test_pairs_that_contradict_themselves_are_refused(tmp_path, pair):
    with pytest.raises(VectorError, match=r"not \(active, inactive\)"):
        read_vector(write_any(tmp_path / "a.npy", np.array([(1, 0), pair, (0, 1)])), "ba")


@pytest.mark.parametrize("shape", [(), (4, 3), (2, 4, 2)])
def test_attributes_of_another_shape_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(VectorError, match="shape"):
        read_vector(tmp_path / "a.npy", "ba")


# --- names ---


@pytest.mark.parametrize(
    "name, stem",
    [
        ("a_emb.txt", "a"),
        ("a_ba.npy", "a"),
        ("a_emb_ba.pkl", "a"),
        ("a_emb_emb.txt", "a_emb"),
        ("a.b_emb.txt", "a.b"),
        ("a.wav", "a"),
        ("a_emb.wav", "a_emb"),
        ("a.b.flac", "a.b"),
        ("a.txt", "a"),
    ],
)
def test_name_of_the_recording(tmp_path, name, stem):
    assert vector_stem(tmp_path / name) == stem


@pytest.mark.parametrize("reference", ["a.wav", "a_emb.txt", "a_ba.npy", "a_emb_ba.pkl"])
def test_vectors_go_beside_the_recording(tmp_path, reference):
    assert vector_path(tmp_path / reference, "embedding", ".txt") == tmp_path / "a_emb.txt"
    assert vector_path(tmp_path / reference, "ba", ".npy") == tmp_path / "a_ba.npy"


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a_emb.txt", "embedding"),
        ("a_emb.npy", "embedding"),
        ("a_emb.pkl", "embedding"),
        ("a_ba.txt", "ba"),
        ("a_emb_ba.pkl", "ba"),
        ("a.txt", None),
        ("a_emb.wav", None),
        ("a_emb.csv", None),
        ("emb.txt", None),
        ("a_embryo.txt", None),
    ],
)
def test_kind_of_a_file_shows_in_its_name(name, kind):
    assert is_vector_file(name) == (kind is not None)


@pytest.mark.parametrize("reference", ["a.wav", "a_emb.txt", "a_ba.npy"])
@pytest.mark.parametrize("extension", [".txt", ".npy", ".pkl"])
@pytest.mark.parametrize("suffix, kind", [("_emb", "embedding"), ("_ba", "ba"), ("_emb_ba", "ba")])
def test_vector_beside_a_recording_is_found(tmp_path, reference, extension, suffix, kind):
    for name in ("a" + suffix + extension, "b_emb.txt", "b_ba.txt", "a_emb.csv"):
        (tmp_path / name).touch()
    other = {"embedding": "ba", "ba": "embedding"}[kind]
    finder = VectorFinder()
    assert finder.find(tmp_path / reference, kind) == str(tmp_path / ("a" + suffix + extension))
    assert finder.find(tmp_path / reference, other) is None
    assert finder.find(tmp_path / "elsewhere" / reference, kind) is None


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_formats_the_first_is_read_in_whatever_order_they_are_listed(tmp_path, monkeypatch, order):
    names = ["a_emb.txt", "a_emb.npy", "a_emb.pkl", "b_emb.npy", "b_emb.pkl"]
    monkeypatch.setattr(os, "listdir", lambda folder: names[::order])
    found = [VectorFinder().find(tmp_path / name, "embedding") for name in ("a.wav", "b.wav")]
    assert found == [str(tmp_path / "a_emb.txt"), str(tmp_path / "b_emb.npy")]


def test_own_attributes_win_over_balrs(tmp_path):
    for name in ("a_emb_ba.txt", "a_ba.npy", "a_ba.pkl"):
        (tmp_path / name).touch()
    assert VectorFinder().find(tmp_path / "a.wav", "ba") == str(tmp_path / "a_ba.npy")


@pytest.mark.parametrize("other", ["x_emb.flac", "x_emb.WAV", "x_emb_emb.npy"])
def test_attributes_of_a_recording_whose_name_ends_like_a_vector_are_its_own(tmp_path, other):
    for name in ("x.wav", other, "x_emb_ba.txt"):
        (tmp_path / name).touch()
    finder = VectorFinder()
    own = str(tmp_path / "x_emb_ba.txt")
    assert finder.find(tmp_path / "x.wav", "ba") is None
    assert finder.find(tmp_path / other, "ba") == own
    assert finder.stem(own) == "x_emb"


def test_recordings_that_lie_elsewhere_own_their_attributes_too(tmp_path):
    (tmp_path / "x_emb_ba.txt").touch()
    assert VectorFinder().find(tmp_path / "x.wav", "ba") == str(tmp_path / "x_emb_ba.txt")
    assert VectorFinder([tmp_path / "x_emb.aiff"]).find(tmp_path / "x.wav", "ba") is None


@pytest.mark.parametrize("other", ["x_emb.flac", "x_ba.wav"])
def test_audio_is_never_taken_for_a_vector(tmp_path, other):
    for name in ("x.wav", other):
        (tmp_path / name).touch()
    assert not is_vector_file(other)
    assert [VectorFinder().find(tmp_path / "x.wav", kind) for kind in ("embedding", "ba")] == [None, None]
    assert VectorFinder().stem(tmp_path / other) == other[: other.index(".")]


def test_folder_with_save_dir_keeps_the_vectors_of_alike_names_apart(tmp_path):
    from balr_hf.data.reading import read_corpus

    (tmp_path / "audio").mkdir()
    (tmp_path / "saved").mkdir()
    for name in ("x.wav", "x_emb.wav"):
        (tmp_path / "audio" / name).write_bytes(b"audio")
    np.savetxt(tmp_path / "saved" / "x_emb_ba.txt", [1, 0, 1])
    corpus = read_corpus(tmp_path / "audio", save_dir=tmp_path / "saved")
    assert dict(zip(corpus.dataset["id"], corpus.dataset["ba"], strict=True)) == {
        "x.wav": None,
        "x_emb.wav": [True, False, True],
    }
