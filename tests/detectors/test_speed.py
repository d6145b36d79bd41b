"""Speech that is played faster or slower: which recordings, and by how much."""

from collections import Counter

import numpy as np
import pytest

from balr_hf.audio import load_audio
from balr_hf.detectors.draws import CONDITIONS, LONGEST, Draw
from balr_hf.detectors.speed import FACTORS, FASTER, SLOWER, at_speed, draw_speeds, make_speed

SPEAKERS = [f"s{number // 3}" for number in range(60)]


def test_half_of_what_is_drawn_is_as_it_is_and_a_quarter_faster_and_slower():
    draws = draw_speeds(SPEAKERS, [""] * 60, 400, 3, CONDITIONS)
    assert Counter(draw.way for draw in draws) == {None: 200, FASTER: 100, SLOWER: 100}
    assert {draw.second for draw in draws} == {None} and {draw.first for draw in draws} == set(range(60))
    amounts = np.array([draw.amount for draw in draws])
    assert FACTORS[0] <= amounts.min() < 1.1 and 1.9 < amounts.max() <= FACTORS[1]
    assert draws == draw_speeds(SPEAKERS, [""] * 60, 400, 3, CONDITIONS)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_a_tone_is_higher_by_the_factor_and_the_recording_shorter(factor):
    tone = np.sin(2 * np.pi * 500 * np.arange(32_000) / 16_000).astype(np.float32)
    made = at_speed(tone, factor)
    assert len(made) == pytest.approx(32_000 / factor, abs=2)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    assert spectrum.argmax() * 16_000 / len(made) == pytest.approx(500 * factor, rel=0.01)


def test_what_is_made_is_heard_speech_at_another_speed(root):
    voices = sorted((root / "resources" / "data" / "voices" / "2033").glob("*.opus"))
    samples = np.concatenate([load_audio(path) for path in voices])[: 6 * 16_000]

    def made(way, amount=1.5):
        return make_speed(Draw(0, None, way, amount, LONGEST, "unchanged", 0, 5), lambda row: samples)

    usual, fast, slow = (len(made(way)) for way in (None, FASTER, SLOWER))
    assert usual / fast == pytest.approx(1.5, rel=0.1) and min(slow, 160_000) / usual > 1.3
    assert make_speed(Draw(0, None, FASTER, 1.5, 9.0, "unchanged", 0, 5), lambda row: samples[:0]) is None
