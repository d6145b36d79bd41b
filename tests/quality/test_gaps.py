"""Gaps of digital silence in the midst of sound, as lost packets leave them, are told of."""

import numpy as np
import pytest
from transformers import pipeline

from balr_hf.audio import load_audio
from balr_hf.conditions.copies import write_flac
from balr_hf.quality import describe_gaps
from balr_hf.quality.gaps import count_gaps

RATE = 16_000
PACKET = RATE // 50


@pytest.fixture(scope="module")
def voice(root) -> np.ndarray:
    return load_audio(sorted((root / "resources/data/sample/espeak01").glob("*.opus"))[0])


def sound(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def with_lost_packets(samples: np.ndarray, share: float) -> np.ndarray:
    lost = np.repeat(np.random.default_rng(0).random(len(samples) // PACKET) < share, PACKET)
    return np.where(np.append(lost, np.zeros(len(samples) - len(lost), dtype=bool)), 0, samples).astype(np.float32)


@pytest.mark.parametrize("milliseconds, counted", [(4, 0), (20, 10), (60, 10), (200, 0)])
@pytest.mark.parametrize("place", range(0, 80, 16))
def test_gaps_of_the_length_of_packets_are_counted(milliseconds, counted, place):
    samples = sound(6.0)
    for number in range(10):
        start = round((0.3 + 0.5 * number) * RATE) + place
        samples[start : start + milliseconds * RATE // 1_000] = 0
    assert count_gaps(samples) == counted
    assert count_gaps(samples + np.float32(0.01)) == counted


def test_silence_that_fades_or_ends_a_recording_is_no_gap():
    samples = sound(3.0)
    samples[:PACKET] = samples[-PACKET:] = 0
    assert count_gaps(samples) == 0
    fade = np.geomspace(1, 1e-4, RATE // 10)
    faded = [sound(0.3), sound(0.1) * fade, np.zeros(PACKET), sound(0.1) * fade[::-1]] * 5
    assert count_gaps(np.concatenate(faded).astype(np.float32)) == 0
    for length in (RATE, 79, 0):
        assert describe_gaps("A", np.zeros(length, dtype=np.float32)) is None


def test_few_gaps_are_not_told_of():
    samples = sound(10.0)
    for number in range(9):
        start = round((0.5 + 0.9 * number) * RATE)
        samples[start : start + PACKET] = 0
    assert describe_gaps("A", samples) is None
    samples[9 * RATE : 9 * RATE + PACKET] = 0
    assert describe_gaps("A", samples).startswith("A has 10 gaps of digital silence in the midst of sound")


def test_long_recordings_are_looked_at_in_blocks(monkeypatch, tmp_path):
    from balr_hf.audio import LongAudio
    from balr_hf.quality import open_recording

    samples = sound(12.0)
    for number in range(20):
        samples[number * 9_000 + 5_000 : number * 9_000 + 5_000 + PACKET] = 0
    path = tmp_path / "long.flac"
    write_flac(path, samples)
    monkeypatch.setattr("balr_hf.audio.LONG_SAMPLES", 100_000)
    long, _ = open_recording(str(path))
    assert isinstance(long, LongAudio)
    assert describe_gaps("A", long) is not None


def test_a_comparison_tells_of_lost_packets(voice, root, tmp_path, balr):
    lost, other = tmp_path / "lost.flac", sorted((root / "resources/data/sample/espeak01").glob("*.opus"))[1]
    write_flac(lost, with_lost_packets(voice, 0.2))
    assert describe_gaps("A", voice) is None
    assert "as lost packets of a call leave them" in balr("explain", lost, other, "--top", "1")[1]
    found = pipeline("speaker-comparison")(str(lost), str(other))
    told = [caution for caution in found["cautions"] if "as lost packets of a call leave them" in caution]
    assert len(told) == 1 and told[0].startswith("A has ")
