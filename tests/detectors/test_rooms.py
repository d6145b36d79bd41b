"""Voices in reverberant rooms: which recordings, in which rooms."""

from collections import Counter

import numpy as np
import pytest

from balr_hf.audio import load_audio
from balr_hf.detectors.draws import CONDITIONS, LONGEST, Draw
from balr_hf.detectors.rooms import TIMES, draw_rooms, make_room
from balr_hf.errors import ConfigError
from balr_hf.quality.decay import decay

SPEAKERS = [f"s{number // 3}" for number in range(60)]


def test_half_of_what_is_drawn_is_as_it_is_and_half_in_rooms():
    draws = draw_rooms(SPEAKERS, [""] * 60, 400, 3, (*CONDITIONS, "reverb=0.3"))
    assert Counter(draw.way for draw in draws) == {None: 200, 0: 200}
    assert {draw.amount for draw in draws} == set(TIMES) and {draw.first for draw in draws} == set(range(60))
    assert {draw.condition for draw in draws} == set(CONDITIONS), "others are in no room"
    assert draws == draw_rooms(SPEAKERS, [""] * 60, 400, 3, (*CONDITIONS, "reverb=0.3"))
    with pytest.raises(ConfigError, match="all conditions have reverberation"):
        draw_rooms(SPEAKERS, [""] * 60, 400, 3, ("reverb=0.3", "reverb=0.6"))


def test_what_is_made_is_heard_speech_in_a_room(root):
    pytest.importorskip("pyroomacoustics")
    voices = sorted((root / "resources" / "data" / "voices" / "2033").glob("*.opus"))
    samples = np.concatenate([load_audio(path) for path in voices])[: 12 * 16_000]

    def made(way, condition="unchanged"):
        return make_room(Draw(0, None, way, 0.8, LONGEST, condition, 0, 5), lambda row: samples)

    usual, room = made(None), made(0)
    assert decay(room) < 0.7 * decay(usual)
    assert make_room(Draw(0, None, 0, 0.8, 9.0, "unchanged", 0, 5), lambda row: samples[:0]) is None
    assert not np.array_equal(made(0, "band=telephone"), room)
