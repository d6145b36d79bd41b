"""Channels of a recording: one voice in all of them is averaged, and different sounds are refused."""

import wave

import numpy as np
import pytest
from transformers import pipeline

import balr_hf  # noqa: F401  registers the pipelines
from balr_hf.audio import AudioError, load_audio, open_audio, resample
from balr_hf.quality import load_measured, load_speech, open_recording
from balr_hf.quality.channels import ChannelLevels


@pytest.fixture(scope="module")
def voices(sentences) -> tuple[np.ndarray, np.ndarray]:
    """Two voices of 9 s: the sentences, and the same backwards in another order."""
    one, other = np.concatenate(sentences[:3]), np.concatenate([sentence[::-1] for sentence in sentences[2:]])
    length = min(len(one), len(other))
    return one[:length], other[:length]


def stereo(*sounds: np.ndarray, rate: int = 16_000) -> dict:
    return {"array": np.stack(sounds), "sampling_rate": rate}


def levels_of(*sounds: np.ndarray) -> ChannelLevels:
    levels = ChannelLevels()
    levels.add(np.stack(sounds).astype(np.float32), 16_000)
    return levels


@pytest.fixture
def write_stereo():
    """Write a wav of 16 bits with two channels at 16 kHz."""

    def write(path, *sounds):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(len(sounds))
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(np.round(32_767 * np.stack(sounds, axis=1)).astype("<i2").tobytes())
        return path

    return write


def in_turns(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first speaks for 2 s, then the second, and so on."""
    first = (np.arange(len(one)) // 32_000) % 2 == 0
    return (one * first).astype(np.float32), (other * ~first).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("leak", [0, 10 ** (-20 / 20), 10 ** (-12 / 20)])
def test_two_voices_at_once_are_refused(voices, leak, rate):
    one, other = (resample(voice, 16_000, rate) for voice in voices)
    with pytest.raises(AudioError, match=r"different sounds.*% of what is loud is in channel 1 alone.*balr channels"):
        open_recording(stereo(one + leak * other, 0.3 * (other + leak * one), rate=rate))


def test_one_voice_in_two_rooms_is_averaged(voices, rng):
    """The tails of half a second are as loud as the direct sound, and other ones in each channel."""
    decay = np.exp(-np.arange(8_000) / 1_160)
    for voice in voices:
        tails = decay * rng.standard_normal((2, 8_000))
        tails /= np.linalg.norm(tails, axis=1, keepdims=True)
        heard = [voice + np.convolve(voice, tail)[: len(voice)] for tail in tails]
        assert levels_of(*heard).difference() is None
        assert levels_of(voice, heard[0]).difference() is None


@pytest.mark.parametrize("leak", [0, 10 ** (-20 / 20), 10 ** (-11 / 20)])
def test_two_voices_in_turns_are_refused(voices, leak):
    one, other = in_turns(*voices)
    for load in (load_measured, load_speech):
        with pytest.raises(AudioError, match="two people"):
            load(stereo(one + leak * other, other + leak * one))


def test_one_voice_in_all_channels_is_averaged(voices, rng):
    voice = voices[0]
    noise = rng.standard_normal((2, len(voice))).astype(np.float32) * voice.std() * 10 ** (-10 / 20)
    late = np.roll(voice, 320)
    for sounds in (
        (voice, voice),
        (voice, 0.1 * voice),
        (voice, np.zeros_like(voice)),
        (voice, noise[0]),
        (voice + noise[0], voice + noise[1]),
        (voice, late),
        (voice, voice + 0.5, voice),
    ):
        (samples, _), averaged = open_recording(stereo(*sounds))
        assert averaged == (1 if np.array_equal(sounds[0], sounds[-1]) else len(sounds))
        np.testing.assert_allclose(samples, np.mean(sounds, axis=0), atol=1e-6)
        np.testing.assert_array_equal(load_speech(stereo(*sounds)), samples)


def test_the_two_that_differ_most_are_named(voices):
    one, other = voices
    with pytest.raises(AudioError, match=r"in channel 1 alone.* in channel 3 alone"):
        open_recording(stereo(one, one, other))


def test_a_channel_that_is_wired_the_other_way_round_is_refused(voices):
    voice = voices[0]
    with pytest.raises(AudioError, match=r"cancel each other.*dB weaker"):
        open_recording(stereo(voice, -0.9 * voice))
    open_recording(stereo(voice, -0.1 * voice))  # far from cancelling


def test_one_channel_and_little_sound_are_not_looked_at(voices):
    levels = ChannelLevels()
    open_audio({"array": voices[0], "sampling_rate": 16_000}, listener=levels.add)
    assert levels.difference() is None and levels.cancelled() == 0
    short = [voice[:16_000] for voice in voices]
    assert ChannelLevels().difference() is None
    open_recording(stereo(*short))


def test_the_blocks_do_not_matter(voices):
    sounds = np.stack(voices)
    whole, parts = ChannelLevels(), ChannelLevels()
    whole.add(sounds, 16_000)
    for start in range(0, sounds.shape[1], 1_000):
        parts.add(sounds[:, start : start + 1_000], 16_000)
    assert whole.difference() is not None and whole.difference() == parts.difference()
    assert whole.cancelled() == pytest.approx(parts.cancelled())


def test_a_recording_that_is_not_held_in_memory_is_looked_at(voices, monkeypatch):
    monkeypatch.setattr("balr_hf.audio.LONG_SAMPLES", 100_000)
    monkeypatch.setattr("balr_hf.audio.BLOCK_SAMPLES", 20_000)
    with pytest.raises(AudioError, match="different sounds"):
        open_recording(stereo(*voices))


def test_digital_silence_is_left_to_the_gates():
    silence = np.zeros((2, 48_000), dtype=np.float32)
    (samples, _), _ = open_recording({"array": silence, "sampling_rate": 16_000})
    assert not samples.any()


def test_a_comparison_says_that_channels_were_averaged(voices, root, tmp_path, balr, write_stereo):
    one, other = sorted((root / "resources/data/sample/espeak01").glob("*.opus"))[:2]
    left = load_audio(one)
    path = write_stereo(tmp_path / "two.wav", left, 0.7 * np.roll(left, 80))
    same = write_stereo(tmp_path / "same.wav", left, left)
    told = "two.wav has 2 channels, which were averaged: if several people speak in them"
    assert told in balr("explain", path, other, "--top", "1")[1]
    assert "were averaged" not in balr("explain", same, other, "--top", "1")[1]
    found = pipeline("speaker-comparison")(str(path), str(other))
    assert any("A has 2 channels, which were averaged" in caution for caution in found["cautions"])
