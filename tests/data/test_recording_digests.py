"""Recordings are known again under other names: by their files, and by their attributes."""

import datasets
import numpy as np
import pytest

from balr_hf.data import add_vector_column, fixed_length_column, vector_matrix
from balr_hf.data.origins import Origin, add_origins, vector_digests
from balr_hf.data.recording_digests import attribute_digests, distinctive_digests, known_again, recording_digests

RECORDINGS, ATTRIBUTES = 40, 512


def corpus_of(bits, **columns):
    names = {"id": [f"r{row}" for row in range(len(bits))]}
    return add_vector_column(datasets.Dataset.from_dict(names | columns), "ba", fixed_length_column(bits))


@pytest.fixture
def bits():
    return np.random.default_rng(0).random((RECORDINGS, ATTRIBUTES)) < 0.3


def flipped(bits, number, seed=1):
    """A copy of the attributes of which so many are others in each recording."""
    rng, found = np.random.default_rng(seed), bits.copy()
    for row in found:
        row[rng.choice(len(row), number, replace=False)] ^= True
    return found


def test_recordings_are_known_by_attributes_of_which_some_are_others(bits):
    known = distinctive_digests(corpus_of(bits))
    assert known.shape == (RECORDINGS, 18) and known.dtype == np.int32 and not known[:, :2].any()
    assert known_again(attribute_digests(bits), known).all()
    assert known_again(attribute_digests(flipped(bits, 8)), known).all()
    assert not known_again(attribute_digests(flipped(bits, 150)), known).any()
    others = np.random.default_rng(9).random((1000, ATTRIBUTES)) < 0.3
    assert not known_again(attribute_digests(others), known).any()


def test_attributes_that_many_recordings_share_tell_nothing(bits):
    bits[:30] = bits[0]
    known = distinctive_digests(corpus_of(bits))
    assert len(known) == 10
    found = known_again(attribute_digests(bits), known)
    assert not found[:30].any() and found[30:].all()


def test_so_few_attributes_do_not_tell_recordings_apart(bits):
    for number, is_known in ((32, False), (127, False), (128, True)):
        some = bits[:, :number]
        known = distinctive_digests(corpus_of(some))
        assert known_again(attribute_digests(some), known).all() == is_known
        assert attribute_digests(some).any() == is_known
        assert known_again(attribute_digests(some[1:]), attribute_digests(some[:1])).sum() == 0
    three_groups_in_two_ways = attribute_digests(bits[:, :200])[:, 2:].any(axis=0)
    assert three_groups_in_two_ways.tolist() == [True] * 6 + [False] * 10


def test_files_are_known_under_other_names_and_read_only_if_asked_for(tmp_path, bits):
    for name, content in (("a.wav", b"one"), ("b.wav", b"other"), ("renamed.wav", b"one")):
        (tmp_path / name).write_bytes(content)
    audio = datasets.Audio(decode=False)
    one = datasets.Dataset.from_dict({"id": ["a", "b"], "audio": [str(tmp_path / f"{name}.wav") for name in "ab"]})
    other = datasets.Dataset.from_dict({"id": ["x", "y"], "audio": [str(tmp_path / "renamed.wav"), None]})
    one, other = (found.cast_column("audio", audio) for found in (one, other))
    assert not recording_digests(one).any()
    digests = recording_digests(one, read_files=True)
    assert digests[:, :2].all() and not digests[:, 2:].any()
    assert known_again(recording_digests(other, read_files=True), digests).tolist() == [True, False]


def test_of_many_recordings_some_are_kept(bits, monkeypatch):
    monkeypatch.setattr("balr_hf.data.recording_digests.MOST_KEPT", 10)
    known = distinctive_digests(corpus_of(bits))
    assert len(known) == 10
    assert np.flatnonzero(known_again(attribute_digests(bits), known)).tolist() == [
        0,
        4,
        9,
        13,
        17,
        22,
        26,
        30,
        35,
        39,
    ]


def test_groups_of_several_recordings_do_not_make_one(bits):
    known = distinctive_digests(corpus_of(bits))
    mixed = (
        bits[np.arange(8), :].reshape(8, 8, 64)[np.arange(8), np.arange(8)].reshape(1, -1)
    )  # a group of each of eight
    assert not known_again(attribute_digests(mixed), known).any()
    mixed[0, 64:128] = bits[0, 64:128]
    assert known_again(attribute_digests(mixed), known).all()


def test_a_recording_under_two_ids_is_known_again(bits):
    corpus = corpus_of(np.concatenate([bits, bits[:5]]))
    digests = [f"file {row % RECORDINGS}" for row in range(len(corpus))]
    made = vector_digests(vector_matrix(corpus, "ba")[0])
    origins = [Origin("a@1", vector=one, audio=f"sha256:{of}") for one, of in zip(made, digests, strict=True)]
    known = distinctive_digests(add_origins(corpus, "ba", origins))
    assert len(known) == RECORDINGS + 5 and known_again(attribute_digests(bits), known).all()
    assert not known_again(attribute_digests(bits), distinctive_digests(corpus))[:5].any()  # whose files are not known


def test_few_and_many_are_looked_for_with_the_same_result(bits):
    known = distinctive_digests(corpus_of(bits))
    some = attribute_digests(
        np.concatenate([flipped(bits, 20), np.random.default_rng(5).random((60, ATTRIBUTES)) < 0.3])
    )
    assert known_again(some, known).tolist() == [bool(known_again(one[None], known)[0]) for one in some]


def test_nothing_is_known_of_a_corpus_without_audio_and_attributes():
    corpus = datasets.Dataset.from_dict({"id": ["a", "b"]})
    digests = recording_digests(corpus)
    assert digests.shape == (2, 18) and not digests.any()
    assert distinctive_digests(corpus).shape == (0, 18)
    assert known_again(digests, digests).tolist() == [False, False]
