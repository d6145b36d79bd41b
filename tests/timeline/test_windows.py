import numpy as np
import pytest

from balr_hf.timeline.windows import Outline, cut, excerpt, speech_shares


@pytest.mark.parametrize("samples", [3, 10, 11, 24, 25, 26, 27, 95])
@pytest.mark.parametrize("block", [1, 4, 7, 100])
def test_windows_do_not_depend_on_the_blocks(samples, block):
    signal = np.arange(samples, dtype=np.float32)
    blocks = [signal[start : start + block] for start in range(0, samples, block)]
    found = list(cut(blocks, 10, 4))
    for start, window in found:
        assert np.array_equal(window, signal[start : start + 10])
    starts = [start for start, _ in found]
    regular = list(range(0, max(samples - 9, 1), 4))
    left_over = max(samples - 10, 0) - regular[-1]
    assert starts == regular + ([samples - 10] if left_over >= 2 else [])


def test_recording_without_samples_has_no_window():
    assert list(cut([np.zeros(0, dtype=np.float32)], 10, 4)) == []


def test_windows_let_go_of_what_lies_behind_them():
    """However long the recording, no more is held than a window and a block."""
    held = []

    def blocks():
        for _ in range(50):
            yield np.zeros(100, dtype=np.float32)

    for _, window in cut(blocks(), 10, 4):
        held.append(window.base.size if window.base is not None else window.size)
    assert max(held) <= 120


def test_excerpt_is_taken_across_blocks():
    signal = np.arange(50, dtype=np.float32)
    for block in (3, 20, 60):
        blocks = [signal[start : start + block] for start in range(0, 50, block)]
        assert np.array_equal(excerpt(blocks, 17, 9), signal[17:26])
        assert np.array_equal(excerpt(blocks, 45, 9), signal[45:])


def test_shares_of_speech():
    starts = np.array([0.0, 0.5, 1.0, 2.0, 3.5])
    assert speech_shares(starts, 1.0, [(0.5, 1.25), (2.0, 4.0)]).tolist() == [0.5, 0.75, 0.25, 1.0, 0.5]
    assert speech_shares(starts, 1.0, []).tolist() == [0.0] * 5


def test_outline_keeps_every_extreme():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=1003).astype(np.float32)
    outline = Outline(len(signal), 100)
    for part in np.array_split(signal, 17):
        assert outline.add(part) is part
    found = outline.finish()
    assert outline.samples_per_part == 11 and found.shape == (92, 2)
    parts = [signal[start : start + 11] for start in range(0, 1003, 11)]
    assert np.array_equal(found, [[part.min(), part.max()] for part in parts])
