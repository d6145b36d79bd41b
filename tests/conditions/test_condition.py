"""Recordings brought to conditions: the package's own measures confirm each of them."""

import dataclasses
import importlib.util
import inspect
import re

import numpy as np
import pytest

from balr_hf.audio import AudioError
from balr_hf.cli.degrade import Options
from balr_hf.conditions import Condition, available_codecs, recording_seed
from balr_hf.conditions.band import limit_band
from balr_hf.errors import ConfigError, UserError
from balr_hf.quality import measure_recording


def brought(samples, text, seed=0, **more):
    return Condition.parse(text).apply(samples, seed, **more)


def measured(samples, text, seed=0, **more):
    return measure_recording(brought(samples, text, seed, **more))[0]


@pytest.mark.parametrize(
    "text, written",
    [
        (
            "duration=3,snr=10,band=telephone,codec=opus:12k",
            "band=telephone,duration=3,snr=10,noise=pink,codec=opus:12k",
        ),
        ("codec=opus", "codec=opus:16k"),
        ("codec=amr:12200", "codec=amr:12.2k"),
        (" snr = 5 , noise = babble ", "snr=5,noise=babble"),
        ("band=3500.0", "band=3500"),
        ("reverb=0.4,clipping=0.01,level=-30", "reverb=0.4,clipping=0.01,level=-30"),
        ("unchanged", "unchanged"),
    ],
)
def test_a_condition_is_written_in_one_way_and_read_back(text, written):
    assert str(Condition.parse(text)) == written
    assert Condition.parse(written) == Condition.parse(text)


def test_noise_is_set_by_the_frames_of_speech_alone_though_seconds_are_rounded():
    first = 1001 * 512
    assert int(first / 16_000 * 16_000) < first  # as a number of seconds it comes out a little less
    samples = np.random.default_rng(0).normal(0, 1e-4, first + 16_000).astype(np.float32)
    samples[first:] *= 1_000
    samples[first - 512 : first] *= 5_000  # a knock just before the speech
    copies = [brought(samples, "snr=10", speech=[(start / 16_000, 33.0)]) for start in (first, first + 1)]
    assert np.array_equal(*copies)


@pytest.mark.parametrize(
    "text, hint",
    [
        ("", "NAME=VALUE"),
        ("speed=2", "duration"),
        ("snr=10,snr=5", "twice"),
        ("snr=loud", "dB"),
        ("snr=nan", "-10 to 50"),
        ("duration=0", "seconds of net speech"),
        ("noise=pink", "add snr"),
        ("snr=10,noise=rain", "babble"),
        ("band=wide", "telephone"),
        ("band=12000", "7900"),
        ("codec=flac", "opus"),
        ("codec=mp3:17k", "16k"),
        ("codec=opus:loud", "6k to 64k"),
        ("codec=mulaw:64k", "one bit rate"),
        ("clipping=1", "0.3"),
    ],
)
def test_an_impossible_condition_is_refused_with_what_is_possible(text, hint):
    with pytest.raises(ConfigError, match=hint):
        Condition.parse(text)


# A value of each part of a condition, and what else it takes.
PARTS = {
    **{"reverb": "reverb=0.5", "band": "band=telephone", "duration": "duration=1", "snr": "snr=10"},
    **{"noise": "noise=white,snr=10", "clipping": "clipping=0.05", "level": "level=-40", "codec": "codec=mulaw"},
}


@pytest.mark.parametrize("part", [field.name for field in dataclasses.fields(Condition)])
def test_each_part_of_a_condition_changes_a_recording_and_is_told_of(recording, part, root):
    """One that was forgotten in `apply` would make copies that are called so, and are as they were."""
    if part != "reverb" or importlib.util.find_spec("pyroomacoustics") is not None:
        without = Condition.parse("snr=10") if part == "noise" else Condition()
        changed, same = brought(recording, PARTS[part]), without.apply(recording, 0)
        assert changed.shape != same.shape or np.abs(changed - same).max() > 1e-3
    told = next(field for field in dataclasses.fields(Options) if field.name == "condition").metadata["help"]
    assert re.search(rf"\b{part}\b", told.partition(", e.g.")[0]), "balr degrade --help"
    assert f"\n| `{part}` |" in (root / "docs" / "conditions.md").read_text(encoding="utf-8"), "docs/conditions.md"
    assert f"\n    {part} (" in inspect.getdoc(Condition), "the docstring of Condition"


def test_nothing_asked_for_leaves_the_samples(recording):
    np.testing.assert_array_equal(brought(recording, "unchanged"), recording)


def test_same_seed_same_samples_other_seed_others(recording):
    text = "duration=2,snr=10"
    np.testing.assert_array_equal(brought(recording, text, 3), brought(recording, text, 3))
    one, other = brought(recording, text, 3), brought(recording, text, 4)
    assert len(one) != len(other) or not np.allclose(one, other)


def test_one_more_step_draws_the_same_stretch(recording):
    cut, coded = brought(recording, "duration=2", 5), brought(recording, "duration=2,codec=mulaw", 5)
    assert len(cut) == len(coded)
    assert np.corrcoef(cut, coded)[0, 1] > 0.95


def test_seed_of_a_recording_is_decided_by_its_id():
    assert recording_seed("a/1", 7) == recording_seed("a/1", 7)
    assert len({recording_seed("a/1", 7), recording_seed("a/2", 7), recording_seed("a/1", 8)}) == 3
    assert 0 <= recording_seed("a/1") < 2**63


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_duration_is_seconds_of_speech_with_their_pauses(recording, seconds):
    found = [measured(recording, f"duration={seconds}", seed).net_speech for seed in range(5)]
    assert np.median(found) == pytest.approx(seconds, abs=0.3)


def test_too_little_speech_is_refused(recording):
    with pytest.raises(AudioError, match=r"too little speech: \d+\.\d s of the wanted 60 s"):
        brought(recording, "duration=60")


@pytest.mark.parametrize("noise", ["pink", "white", "hum"])
@pytest.mark.parametrize("ratio", [20, 5])
def test_snr_is_as_asked_for(recording, noise, ratio):
    assert measured(recording, f"snr={ratio},noise={noise}").snr == pytest.approx(ratio, abs=1.5)


def test_snr_is_within_the_band(recording):
    assert measured(recording, "snr=10,noise=pink,band=telephone").snr == pytest.approx(10, abs=1.5)
    assert measured(recording, "snr=10,noise=white,codec=mulaw").snr == pytest.approx(10, abs=1.5)


def test_noise_that_is_there_counts(recording):
    assert measured(brought(recording, "snr=15"), "snr=10", 1).snr == pytest.approx(10, abs=1.5)
    with pytest.raises(AudioError, match="has an SNR of 10 dB already, so that 20 dB is out of reach"):
        brought(brought(recording, "snr=10"), "snr=20")


def test_babble_is_of_other_voices(recording, voices):
    added = brought(recording, "snr=10,noise=babble", voices=voices[1:]) - recording
    quiet = recording[:7_000]
    assert np.std(added[:7_000]) > 10 * np.std(quiet)
    with pytest.raises(UserError, match="at least 6 other speakers, and got 5"):
        brought(recording, "snr=10,noise=babble", voices=voices[:5])


def test_recorded_noise_is_what_was_given(recording):
    times = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 1_000 * times).astype(np.float32)
    assert measured(recording, "snr=3,noise=recorded", noises=[tone]).tone == pytest.approx(1_000, abs=3)
    with pytest.raises(UserError, match="no recordings of noise"):
        brought(recording, "snr=3,noise=recorded")


@pytest.mark.parametrize("band, edge", [("telephone", 3_550), ("5000", 5_000)])
def test_band_ends_where_it_should(recording, band, edge):
    samples = brought(recording, f"band={band}")
    assert len(samples) == len(recording)
    noise = np.random.default_rng(0).normal(size=160_000).astype(np.float32)
    power = (np.abs(np.fft.rfft(limit_band(noise, band).reshape(-1, 16_000) * np.hanning(16_000))) ** 2).mean(0)
    passed = power[400 : edge - 200].mean()
    assert power[edge + 150 :].mean() < 1e-4 * passed
    assert (power[:100].mean() < 1e-4 * passed) == (band == "telephone")


@pytest.mark.parametrize("codec", ["opus:12k", "mp3:16k", "aac:24k", "amr:12.2k", "gsm", "mulaw", "alaw"])
def test_codecs_lose_something_but_neither_time_nor_speech(recording, codec):
    if codec.partition(":")[0] not in available_codecs():
        with pytest.raises(UserError, match="this build of FFmpeg"):
            brought(recording, f"codec={codec}")
        return
    coded = brought(recording, f"codec={codec}")
    assert coded.shape == recording.shape and coded.dtype == np.float32
    assert not np.allclose(coded, recording, atol=1e-4)
    spectrum = np.fft.rfft(coded, 2 * len(coded)) * np.conj(np.fft.rfft(recording, 2 * len(coded)))
    lag = np.fft.irfft(spectrum).argmax()
    assert min(lag, 2 * len(coded) - lag) <= 16
    plain, found = measure_recording(recording)[0], measure_recording(coded)[0]
    assert found.net_speech == pytest.approx(plain.net_speech, rel=0.1)
    if codec in ("gsm", "mulaw", "alaw", "amr:12.2k"):
        high = np.abs(np.fft.rfft(coded)) ** 2
        assert high[len(high) * 41 // 80 :].sum() < 1e-4 * high.sum()


def test_clipping_and_level(recording):
    assert measured(recording, "clipping=0.02").clipping == pytest.approx(0.02, rel=0.3)
    assert measured(recording, "level=-40").level == pytest.approx(-40, abs=0.1)
    with pytest.raises(AudioError, match="would clip"):
        brought(recording, "level=-5")


def test_loud_noise_clips_nothing(recording):
    samples = brought(recording * 10 / np.abs(recording).max() / 10, "snr=-5,noise=white")
    assert np.abs(samples).max() <= 1
    assert measure_recording(samples)[0].clipping == 0


def test_a_silent_recording_is_refused():
    with pytest.raises(AudioError, match="speech"):
        brought(np.zeros(16_000, dtype=np.float32), "snr=10")


@pytest.mark.skipif(importlib.util.find_spec("pyroomacoustics") is None, reason="needs the extra rooms")
def test_a_room_smears_speech_into_pauses(recording):
    dry, wet = measure_recording(recording)[0], measured(recording, "reverb=0.5")
    assert wet.level == pytest.approx(dry.level, abs=0.1)
    assert wet.snr < dry.snr - 3
    np.testing.assert_array_equal(brought(recording, "reverb=0.5", 2), brought(recording, "reverb=0.5", 2))


@pytest.mark.skipif(importlib.util.find_spec("pyroomacoustics") is not None, reason="the extra rooms is installed")
def test_a_room_without_its_package_is_refused(recording):
    with pytest.raises(UserError, match=r"balr_hf\[rooms\]"):
        brought(recording, "reverb=0.5")
