"""What of a recording is heard: long pauses are shortened, digital silence is left out, and all else stays."""

from itertools import pairwise

import numpy as np
import pytest

from balr_hf.quality import heard, heard_of_block, speech_segments
from balr_hf.quality import stretches_of as stretches_in
from balr_hf.quality.pauses import PAUSE

RATE = 16_000


@pytest.fixture(scope="module")
def sentence(sentences) -> np.ndarray:
    """A sentence at a level of about -26 dBFS."""
    return (sentences[0] * 0.05 / sentences[0].std()).astype(np.float32)


def noise(seconds: float, level: float = 3e-4) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def stretches_of(samples: np.ndarray) -> list[tuple[int, int]]:
    return stretches_in(samples, speech_segments(samples))


def test_a_recording_without_long_pauses_is_heard_as_it_is(sentence):
    samples = np.concatenate([noise(0.5), sentence, noise(0.5), sentence, noise(0.5)])
    assert stretches_of(samples) == [(0, len(samples))]
    assert heard(samples, [(0, len(samples))]).base is samples


def test_a_long_pause_is_shortened_to_what_is_next_to_the_speech(sentence):
    samples = np.concatenate([noise(3), sentence, noise(5), sentence, noise(4)])
    speech = speech_segments(samples)
    stretches = stretches_of(samples)
    assert len(stretches) == 2
    middle = next(number for number, (start, _) in enumerate(speech) if start > 7)
    expected = [
        [speech[0][0] - PAUSE, speech[middle - 1][1] + PAUSE / 2],
        [speech[middle][0] - PAUSE / 2, speech[-1][1] + PAUSE],
    ]
    np.testing.assert_allclose(np.array(stretches) / RATE, expected, atol=1e-4)
    found = heard(samples, stretches)
    np.testing.assert_array_equal(found, np.concatenate([samples[start:end] for start, end in stretches]))


@pytest.mark.parametrize("offset", [0.0, 0.01], ids="DC offset {}".format)
def test_digital_silence_is_left_out_however_short_the_pause(sentence, offset):
    silence = np.zeros(RATE // 2, dtype=np.float32)
    samples = np.concatenate([silence, sentence, silence, sentence, silence]) + np.float32(offset)
    found = heard(samples, stretches_of(samples))
    assert 2 * len(sentence) <= len(found) <= 2 * len(sentence) + 4 * 512
    assert stretches_of(np.concatenate([sentence, silence[:512], sentence])) == [(0, 2 * len(sentence) + 512)]


def test_without_speech_nothing_is_a_pause_and_silence_is_not_cut_to_nothing():
    samples = noise(6, 0.1)
    assert stretches_in(samples, []) == [(0, len(samples))]
    click = np.zeros(RATE, dtype=np.float32)
    click[RATE // 2] = 1
    assert stretches_of(click) == [(0, RATE)]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_blocks_give_what_the_whole_gives_at_any_rate(rate):
    samples = np.arange(10 * rate, dtype=np.float32)
    for stretches in ([(0, 40_000), (90_001, 160_000)], [(12_345, 20_000), (30_000, 140_000)], [(0, 160_000)]):
        whole = heard(samples, stretches, rate)
        places = np.linspace(0, len(samples), 8).astype(int)
        parts = [heard_of_block(samples[place:end], place, stretches, rate) for place, end in pairwise(places)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        seconds = sum(end - start for start, end in stretches) / RATE
        assert len(whole) / rate == pytest.approx(seconds, abs=1e-3)
