import numpy as np

from balr_hf import load_audio, load_corpus, segments


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
