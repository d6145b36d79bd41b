import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from balr_hf import AudioError, WespeakerFeatureExtractor
from balr_hf.embeddings import feature_extraction_wespeaker
from balr_hf.errors import ConfigError

UTTERANCES = ("a", "b", "c", "short", "silence")


@pytest.fixture(scope="module")
def recorded(golden):
    return load_file(golden / "fbank.safetensors")


@pytest.mark.parametrize("name", UTTERANCES)
@pytest.mark.parametrize(("normalize_mean", "at_once"), [(False, 1024), (True, 1024), (True, 100)])
def test_filter_banks_equal_kaldis(recorded, name, normalize_mean, at_once, monkeypatch):
    monkeypatch.setattr(feature_extraction_wespeaker, "FRAMES_AT_ONCE", at_once)
    extractor = WespeakerFeatureExtractor(waveform_scale=1.0, normalize_mean=normalize_mean)
    features = extractor([recorded[f"wave.{name}"]], sampling_rate=16000)["input_features"][0]
    expected = recorded[f"fbank_cmn.{name}" if normalize_mean else f"fbank.{name}"]
    assert features.shape == expected.shape
    torch.testing.assert_close(features, expected, atol=1e-3, rtol=0)
    assert (features - expected).abs().median() < 1e-4


def test_waveforms_computed_together_as_on_gpus_equal_each_alone():
    extractor, waves = WespeakerFeatureExtractor(), torch.randn(3, 40_000)
    together = extractor._filter_banks(waves, torch.empty(3, 248, 80))
    for wave, features in zip(waves, together, strict=True):
        torch.testing.assert_close(extractor._filter_banks(wave, torch.empty(248, 80)), features)


def test_padded_batch_equals_each_utterance_alone(recorded):
    extractor = WespeakerFeatureExtractor()
    waves = [recorded[f"wave.{name}"] for name in UTTERANCES]
    batch = extractor(waves)
    for wave, features, mask in zip(waves, batch["input_features"], batch["attention_mask"], strict=True):
        alone = extractor([wave])["input_features"][0]
        assert mask.sum() == len(alone) == extractor.num_frames(len(wave))
        torch.testing.assert_close(features[: len(alone)], alone, atol=1e-5, rtol=0)
        assert (features[len(alone) :] == 0).all()


def test_scale_of_the_waveform_decides_whether_the_floor_of_the_logarithm_bites(recorded):
    loud, quiet = recorded["wave.a"], recorded["wave.a"] * 1e-4
    scaled, unscaled = WespeakerFeatureExtractor(), WespeakerFeatureExtractor(waveform_scale=1.0)
    torch.testing.assert_close(scaled([loud])["input_features"], unscaled([loud])["input_features"], atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled([quiet])["input_features"], scaled([loud])["input_features"], atol=1e-3, rtol=0)
    assert (unscaled([quiet])["input_features"] - unscaled([loud])["input_features"]).abs().max() > 1


@pytest.mark.parametrize("kind", ["array", "tensor", "list", "matrix"])
def test_waveforms_may_come_in_any_container(kind):
    wave = np.sin(np.arange(8000) / 20).astype(np.float32)
    given = {"array": wave, "tensor": torch.tensor(wave), "list": wave.tolist(), "matrix": np.stack([wave, wave])}[
        kind
    ]
    features = WespeakerFeatureExtractor()(given)["input_features"]
    assert features.shape == (2 if kind == "matrix" else 1, 48, 80)


def test_other_sampling_rate_is_refused():
    with pytest.raises(ValueError, match=r"8000 Hz.*16000 Hz"):
        WespeakerFeatureExtractor()([np.zeros(8000, np.float32)], sampling_rate=8000)


def test_waveform_shorter_than_a_frame_is_refused():
    with pytest.raises(AudioError, match="10 ms do not fill one frame of 25 ms"):
        WespeakerFeatureExtractor()([np.zeros(160, np.float32)])


def test_stereo_is_refused():
    with pytest.raises(AudioError, match="expected mono"):
        WespeakerFeatureExtractor()([np.zeros((2, 8000), np.float32)])


def test_dither_adds_noise_and_its_absence_none():
    wave = np.random.default_rng(0).normal(size=8000).astype(np.float32) * 0.1
    quiet, noisy = WespeakerFeatureExtractor(), WespeakerFeatureExtractor(dither=1.0)
    assert torch.equal(quiet(wave)["input_features"], quiet(wave)["input_features"])
    assert not torch.equal(noisy(wave)["input_features"], noisy(wave)["input_features"])


def test_parameters_survive_saving(tmp_path):
    WespeakerFeatureExtractor(num_mel_bins=40, waveform_scale=1.0, frame_shift=20).save_pretrained(tmp_path)
    loaded = WespeakerFeatureExtractor.from_pretrained(tmp_path)
    assert (loaded.num_mel_bins, loaded.waveform_scale, loaded.frame_shift) == (40, 1.0, 20)
    assert loaded(np.ones(16000))["input_features"].shape[-1] == 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"waveform_scale": 0.0}, "waveform_scale=0.0: expected a factor above 0"),
        ({"waveform_scale": -32768.0}, "waveform_scale=-32768.0: expected a factor above 0"),
        ({"waveform_scale": float("nan")}, "waveform_scale=nan"),
        ({"dither": 1e9}, "the noise would be louder than the recording"),
        ({"dither": -1.0}, "dither=-1.0: expected at least 0"),
        ({"dither": float("inf")}, "dither=inf"),
        ({"frame_shift": 1000}, "samples between the frames would be left out"),
        ({"sampling_rate": 1}, "sampling_rate=1: expected at least 1000"),
    ],
)
def test_features_of_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        WespeakerFeatureExtractor(**settings)
