from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import pipeline

from balr_hf import AudioError, ConfigError, SystemParts, attribute_timeline, audio
from balr_hf.embeddings import passes
from balr_hf.timeline import tracks

RATE = 16_000


@pytest.fixture(scope="module")
def timeline(system, voice):
    return attribute_timeline(system, voice)


def test_windows_are_taken_for_recordings_of_their_own(system, voice, timeline):
    for window in (0, 5, len(timeline.starts) - 1):
        start = round(timeline.starts[window] * RATE)
        bits = system.attributes(system.embed(voice[start : start + RATE], RATE))[0].numpy()
        assert np.array_equal(timeline.active[window], bits)


def test_whole_recording_has_the_attributes_that_are_compared(system, root, timeline):
    path = root / "resources/data/sample/espeak17/espeak17-01.opus"
    compared = pipeline("binary-attributes", system)(str(path))["ba"]
    assert timeline.whole.tolist() == compared
    assert attribute_timeline(system, path).whole.tolist() == compared


def with_pause(voice: np.ndarray) -> np.ndarray:
    """The sentence twice, with five seconds of faint noise between."""
    noise = np.random.default_rng(0).normal(0, 1e-4, 5 * RATE).astype(np.float32)
    return np.concatenate([voice, noise, voice])


def test_whole_recording_with_a_long_pause_has_the_attributes_that_are_compared(system, voice, monkeypatch):
    """As in a comparison, the pause is shortened; the windows and the times are those of the recording with it."""
    paused = {"array": with_pause(voice), "sampling_rate": RATE}
    compared = pipeline("binary-attributes", system)(paused)["ba"]
    assert compared != system.attributes(system.embed(paused["array"], RATE))[0].tolist()
    found = attribute_timeline(system, paused)
    assert found.whole.tolist() == compared
    assert found.duration == pytest.approx(found.ends[-1], abs=0.13) == len(paused["array"]) / RATE
    later = round(len(voice) / RATE) + 2
    assert found.heard[:8].all() and not found.heard[(found.starts > later) & (found.starts < later + 1)].any()
    monkeypatch.setattr(audio, "LONG_SAMPLES", 40_000)
    again = attribute_timeline(system, paused)
    assert again.whole.tolist() == compared and np.array_equal(again.starts, found.starts)


def test_batches_do_not_change_what_is_found(system, voice, timeline, monkeypatch):
    monkeypatch.setattr(tracks, "WINDOWS_TOGETHER", 5)
    again = attribute_timeline(system, torch.from_numpy(voice))
    assert np.allclose(again.activations, timeline.activations, atol=1e-4)
    assert np.array_equal(again.starts, timeline.starts)


def test_windows_cover_the_recording(voice, timeline):
    assert np.allclose(np.diff(timeline.starts[:-1]), 0.25)
    assert timeline.duration - timeline.ends[-1] < 0.125
    assert timeline.duration == len(voice) / RATE
    assert timeline.waveform.min() == voice.min() and timeline.waveform.max() == voice.max()


def test_stability_is_the_share_of_windows_that_agree(timeline):
    expected = [
        np.mean([bits[attribute] == timeline.whole[attribute] for bits in timeline.active[timeline.heard]])
        for attribute in range(512)
    ]
    assert np.allclose(timeline.stability, expected)
    assert timeline.agreement == pytest.approx(np.mean(expected))
    assert np.allclose(timeline.agreement_with(~timeline.whole), 1 - timeline.stability)
    with pytest.raises(ValueError, match=r"shape \(3,\): expected \(512,\)"):
        timeline.agreement_with(np.zeros(3, dtype=bool))


def test_window_as_long_as_the_recording_agrees_with_it(system, voice):
    """As far as it does: windows grow more reliable with their length."""
    long = attribute_timeline(system, voice, window=3.5, hop=0.25)
    assert long.agreement > attribute_timeline(system, voice, window=0.5, hop=0.5).agreement


def test_silent_windows_have_no_attributes(system, voice):
    padded = np.concatenate([voice, np.zeros(3 * RATE, dtype=np.float32)])
    found = attribute_timeline(system, padded)
    end = len(voice) / RATE
    assert not found.heard[found.starts > end].any() and found.heard[:8].all()
    assert np.isnan(found.activations[~found.heard]).all() and not found.active[~found.heard].any()
    assert found.num_heard < len(found.starts)
    rest = found.active[found.heard] == found.whole
    assert np.allclose(found.stability, rest.mean(0))
    assert all(start < end for attribute in range(20) for start, _, _ in found.stretches(attribute))


def test_recording_without_enough_speech_in_any_window_tells_nothing(system, voice):
    """Half a second of speech between silences."""
    speech = voice[round(1.1 * RATE) : round(1.5 * RATE)]
    silence = np.zeros(2 * RATE, dtype=np.float32)
    found = attribute_timeline(system, np.concatenate([silence, speech, silence]), min_speech=0.1)
    assert len(found.starts) > 10 and found.num_heard == 0
    assert found.agreement is None and np.isnan(found.stability).all() and found.stretches(0) == []


def test_recording_that_is_no_longer_than_a_window_tells_nothing(system, voice):
    found = attribute_timeline(system, voice[RATE : RATE + RATE * 3 // 4])
    assert found.is_one_window and found.starts.tolist() == [0.0] and found.ends.tolist() == [0.75]
    assert np.array_equal(found.active[0], found.whole)
    assert found.agreement is None and np.isnan(found.stability).all()


def test_stretches_join_windows_that_do_not_change(timeline):
    for attribute in range(512):
        stretches = timeline.stretches(attribute)
        states = [state for _, _, state in stretches]
        assert all(one != other for one, other in pairwise(states))
        middles = (timeline.starts + timeline.ends) / 2
        for middle, active in zip(middles, timeline.active[:, attribute], strict=True):
            assert any(start < middle < end and state == active for start, end, state in stretches)


def test_recording_that_is_not_held_in_memory_gives_the_same(system, voice, monkeypatch):
    speech = np.concatenate([voice, voice[::-1]])
    expected = attribute_timeline(system, speech)
    monkeypatch.setattr(audio, "LONG_SAMPLES", 40_000)
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 10_001)
    monkeypatch.setattr(passes, "FRAMES_PER_PIECE", 304)
    found = attribute_timeline(system, {"array": speech, "sampling_rate": RATE})
    assert np.array_equal(found.starts, expected.starts) and np.array_equal(found.heard, expected.heard)
    assert np.allclose(found.activations, expected.activations, atol=1e-4, equal_nan=True)
    assert np.allclose(found.whole_activations, expected.whole_activations, atol=1e-3)
    assert np.array_equal(found.waveform, expected.waveform)


def test_parts_that_are_no_whole_system_do_as_well(system, voice, timeline):
    found = attribute_timeline(SystemParts(system.embedder, system.autoencoder), voice)
    assert np.allclose(found.activations, timeline.activations, atol=1e-4)


def test_model_that_is_being_trained_goes_on_training(system, voice, timeline):
    system.train()
    try:
        assert np.array_equal(attribute_timeline(system, voice).whole, timeline.whole)
        assert system.embedder.training and system.autoencoder.training
    finally:
        system.eval()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0.1}, r"window=0.1: expected seconds, at least 0.25"),
        ({"window": float("nan")}, "window=nan"),
        ({"hop": 1.5}, "hop=1.5: expected seconds from 0.01 to 1"),
        ({"hop": 0}, "hop=0: expected"),
    ],
)
def test_windows_that_cannot_be_used_are_refused(system, voice, options, said):
    with pytest.raises(ConfigError, match=said):
        attribute_timeline(system, voice, **options)


def test_recordings_that_cannot_be_used_are_refused(system, voice, monkeypatch):
    with pytest.raises(AudioError, match="digital silence"):
        attribute_timeline(system, np.zeros(RATE, dtype=np.float32))
    with pytest.raises(AudioError, match="too little speech"):
        attribute_timeline(system, voice, min_speech=60)
    with pytest.raises(AudioError, match="too short"):
        attribute_timeline(system, voice[RATE : RATE + 1000], min_speech=0)
    monkeypatch.setattr("balr_hf.timeline.recordings.LONGEST", 3.0)
    with pytest.raises(AudioError, match="in at most"):
        attribute_timeline(system, voice)
