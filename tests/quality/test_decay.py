"""How fast sounds end: rooms and noise slow decays down, and level, band and pauses do not."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from balr_hf.audio import SAMPLING_RATE, load_audio
from balr_hf.conditions import Condition
from balr_hf.quality import measure_recording
from balr_hf.quality.decay import MOST, STRETCH, Decays, decay


@pytest.fixture(scope="module")
def speech(root):
    folder = root / "resources" / "data" / "voices" / "2033"
    return np.concatenate([load_audio(path) for path in sorted(folder.glob("*.opus"))])[: 12 * SAMPLING_RATE]


def in_a_room(samples: np.ndarray, seconds: float) -> np.ndarray:
    """The samples with noise that dies away by 60 dB in so many seconds as the room's response, at their own level."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    response = rng.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    response[0] = np.abs(response).max()
    heard = fftconvolve(samples, response)[: len(samples)]
    return (heard * samples.std() / heard.std()).astype(np.float32)


def test_the_more_reverberant_the_slower(speech):
    found = [decay(speech), *(decay(in_a_room(speech, seconds)) for seconds in (0.2, 0.4, 0.8, 1.6))]
    assert found == sorted(found, reverse=True)
    assert found[0] > 500 and found[-1] < 0.55 * found[0]


def test_an_exponential_decay_has_its_own_rate():
    """Bursts of tones of all bands that die away by 200 dB in a second, each before the next one begins."""
    time = np.arange(SAMPLING_RATE // 4) / SAMPLING_RATE
    tones = sum(np.sin(2 * np.pi * frequency * time) for frequency in np.geomspace(330, 3_200, 12))
    burst = 0.05 * tones * 10 ** (-10 * time)
    assert decay(np.tile(burst, 20).astype(np.float32)) == pytest.approx(200, rel=0.1)


def test_level_band_and_a_lossy_codec_change_little(speech):
    dry = decay(speech)
    assert decay(speech * np.float32(0.1)) == pytest.approx(dry, rel=0.02)
    for condition in ("band=telephone", "codec=opus:24k"):
        assert decay(Condition.parse(condition).apply(speech, 0)) == pytest.approx(dry, rel=0.08)


def test_noise_slows_decays_down(speech):
    assert decay(Condition.parse("snr=10,noise=white").apply(speech, 0)) < 0.9 * decay(speech)


def test_digital_silence_is_no_fast_decay(speech):
    cut = in_a_room(speech, 0.8)
    reverberant = decay(cut)
    for start in range(0, len(cut), SAMPLING_RATE):
        cut[start : start + SAMPLING_RATE // 4] = 0
    assert decay(cut) < 1.1 * reverberant


@pytest.mark.parametrize(("seconds", "apart"), [(0.02, 1.0), (0.005, 0.5)])
def test_clicks_and_bursts_do_not_make_a_room_seem_dry(speech, seconds, apart):
    reverberant, rng = in_a_room(speech, 0.8), np.random.default_rng(1)
    clicked, length = reverberant.copy(), round(seconds * SAMPLING_RATE)
    for start in range(500, len(clicked) - length, round(apart * SAMPLING_RATE)):
        clicked[start : start + length] += 0.5 * np.abs(reverberant).max() * rng.normal(size=length).astype(np.float32)
    assert decay(clicked) < 1.25 * decay(reverberant) < 0.75 * decay(speech)


def test_where_nothing_decays_there_is_no_figure():
    assert decay(np.zeros(SAMPLING_RATE, dtype=np.float32)) is None
    assert decay(np.zeros(100, dtype=np.float32)) is None
    assert measure_recording(np.zeros(SAMPLING_RATE, dtype=np.float32))[0].decay is None


def test_a_recording_that_comes_in_blocks_has_the_same(speech):
    blocks = Decays(len(speech))
    for block in np.array_split(speech, 37):
        blocks.add(block)
    assert blocks.fastest() == decay(speech)


def test_of_a_very_long_recording_stretches_are_looked_at(speech):
    repeats = 1 + 2 * MOST * STRETCH * 128 // len(speech)
    whole = Decays(repeats * len(speech))
    for _ in range(repeats):
        whole.add(speech)
    assert sum(map(len, (np.concatenate(parts) for parts in whole._levels.values()))) <= MOST * STRETCH
    assert whole.fastest() == pytest.approx(decay(speech), rel=0.1)
