"""Mixtures of voices: who is mixed with whom, and how loud."""

from dataclasses import replace

import numpy as np
import pytest

from balr_hf.audio import load_audio
from balr_hf.detectors.draws import CONDITIONS, FOLDS, LONGEST, Draw
from balr_hf.detectors.overlapped import draw_overlapped, make_overlapped, mixed
from balr_hf.errors import ConfigError, UserError

SPEAKERS = [f"s{number // 3}" for number in range(60)]
SOURCES = [f"source{number // 30}" for number in range(60)]


def draw_mixtures(speakers, sources, count, seed=0, conditions=CONDITIONS):
    return draw_overlapped(speakers, sources, count, seed, conditions)


def test_half_of_what_is_drawn_has_a_second_speaker_of_the_same_part():
    draws = draw_mixtures(SPEAKERS, SOURCES, 400, seed=3)
    two = [draw for draw in draws if draw.second is not None]
    assert len(two) == 200
    assert {draw.first for draw in draws} == set(range(60))
    fold_of = {SPEAKERS[draw.first]: draw.fold for draw in draws}
    assert set(fold_of.values()) == set(range(FOLDS))
    for draw in two:
        assert SPEAKERS[draw.first] != SPEAKERS[draw.second]
        assert fold_of[SPEAKERS[draw.first]] == fold_of[SPEAKERS[draw.second]] == draw.fold
    near = np.mean([SOURCES[draw.first] == SOURCES[draw.second] for draw in two])
    assert near > 0.6  # most often; by chance, it would be half


def test_the_same_seed_draws_the_same():
    assert draw_mixtures(SPEAKERS, SOURCES, 50, seed=1) == draw_mixtures(SPEAKERS, SOURCES, 50, seed=1)
    assert draw_mixtures(SPEAKERS, SOURCES, 50, seed=1) != draw_mixtures(SPEAKERS, SOURCES, 50, seed=2)


def test_too_few_speakers_are_refused():
    with pytest.raises(UserError, match="2 speakers: a detector needs 10 or more"):
        draw_mixtures(["a", "b", "a"], ["", "", ""], 10)


def test_conditions_that_take_recordings_of_their_own_are_refused():
    with pytest.raises(ConfigError, match="noise=babble takes recordings of its own"):
        draw_mixtures(SPEAKERS, SOURCES, 10, conditions=["unchanged", "snr=10,noise=babble"])


def test_half_of_the_recordings_are_cut_to_any_length():
    seconds = np.array([draw.seconds for draw in draw_mixtures(SPEAKERS, SOURCES, 2000)])
    assert (seconds == LONGEST).mean() == pytest.approx(0.5, abs=0.05)
    assert 0.7 <= seconds.min() < 0.8 and (seconds < 2).mean() > 0.15


def test_the_second_voice_is_as_far_below_the_first_as_was_drawn():
    rng = np.random.default_rng(0)
    first, other = (rng.normal(scale=scale, size=4000).astype(np.float32) for scale in (0.05, 0.2))
    added = mixed(first, other[:1000], 6.0, 0.5, rng) - first
    assert np.count_nonzero(added) == 2000
    level = 20 * np.log10(np.std(first) / np.std(added[added != 0]))
    assert level == pytest.approx(6.0, abs=0.3)


def test_what_is_made_is_heard_speech_of_ten_seconds_at_most(root):
    voices = root / "resources" / "data" / "voices"
    one, other = (
        np.concatenate([load_audio(path) for path in sorted((voices / name).glob("*.opus"))])
        for name in ("2033", "1998")
    )
    parts = [np.concatenate([one, one]), other]
    draw = Draw(0, 1, 0, 0.0, LONGEST, "band=telephone", 0, 5, share=1.0, filtered=True)
    made = make_overlapped(draw, parts.__getitem__)
    assert 5 * 16_000 < len(made) <= LONGEST * 16_000
    assert np.array_equal(made, make_overlapped(draw, parts.__getitem__))
    short = make_overlapped(replace(draw, seconds=1.5), parts.__getitem__)
    assert 1.0 * 16_000 < len(short) <= 1.5 * 16_000
    assert make_overlapped(draw, [np.zeros(0, dtype=np.float32), other].__getitem__) is None
    assert make_overlapped(draw, [np.zeros(64_000, dtype=np.float32), other].__getitem__) is None
