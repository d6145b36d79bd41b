import datasets
import numpy as np
import pytest

from balr_hf import load_audio, load_corpus, segments
from balr_hf.errors import ConfigError, UserError


def test_segments_are_the_recording_end_to_end(few):
    corpus = load_corpus(few).select(range(2))
    cut = segments(corpus, shortest=0.3, longest=0.5, seed=3)
    assert cut[:] == segments(corpus, shortest=0.3, longest=0.5, seed=3)[:]
    for row in corpus:
        pieces = [piece for piece in cut if piece["id"].startswith(f"{row['id']}@")]
        assert {piece["speaker"] for piece in pieces} == {row["speaker"]}
        assert all(0.3 * 16000 - 1 <= len(piece["audio"]["array"]) <= 0.5 * 16000 for piece in pieces)
        joined = np.concatenate([piece["audio"]["array"] for piece in pieces])
        samples = load_audio(row["audio"])
        np.testing.assert_array_equal(joined, samples[: len(joined)])
        assert len(samples) - len(joined) < 0.5 * 16000


def test_recordings_that_are_too_short_give_no_segment(few):
    assert len(segments(load_corpus(few).select(range(1)), shortest=60, longest=61)) == 0


def test_segments_are_the_same_whatever_a_dataset_gives_its_rows_as(few):
    """Without torchcodec, too, although the column would be decoded by it."""
    corpus = load_corpus(few).select(range(2))
    expected = segments(corpus, seed=3)[:]
    assert len(expected["id"])
    for other in (
        corpus.cast_column("audio", datasets.Audio()),
        corpus.with_format("pandas"),
        corpus.with_format("numpy", columns=["id"]),
    ):
        assert segments(other, seed=3)[:] == expected


@pytest.mark.parametrize(("shortest", "longest"), [(0, 0), (-1, 2), (3, 2), (1e-6, 1), (float("nan"), 1)])
def test_lengths_that_no_segment_can_have_are_refused(few, shortest, longest):
    with pytest.raises(ConfigError, match=f"shortest={shortest}, longest={longest}: expected seconds"):
        segments(load_corpus(few).select(range(1)), shortest=shortest, longest=longest)


def test_a_corpus_without_what_segments_need_is_refused(few):
    with pytest.raises(UserError, match="the corpus has no column speaker"):
        segments(load_corpus(few).select(range(1)).remove_columns("speaker"))
