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
    batch = extractor(waves, 16000)
    for wave, features, mask in zip(waves, batch["input_features"], batch["attention_mask"], strict=True):
        alone = extractor([wave], 16000)["input_features"][0]
        assert mask.sum() == len(alone) == extractor.num_frames(len(wave))
        torch.testing.assert_close(features[: len(alone)], alone, atol=1e-5, rtol=0)
        assert (features[len(alone) :] == 0).all()


def test_scale_of_the_waveform_decides_whether_the_floor_of_the_logarithm_bites(recorded):
    loud, quiet = recorded["wave.a"], recorded["wave.a"] * 1e-4
    scaled, unscaled = WespeakerFeatureExtractor(), WespeakerFeatureExtractor(waveform_scale=1.0)
    torch.testing.assert_close(scaled([loud])["input_features"], unscaled([loud])["input_features"], atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled([quiet])["input_features"], scaled([loud])["input_features"], atol=1e-3, rtol=0)
    assert (unscaled([quiet])["input_features"] - unscaled([loud])["input_features"]).abs().max() > 1


@pytest.mark.parametrize("kind", ["array", "tensor", "list", "one row", "several"])
def test_waveforms_may_come_in_any_container(kind):
    wave = np.sin(np.arange(8000) / 20).astype(np.float32)
    containers = {
        "array": wave,
        "tensor": torch.tensor(wave),
        "list": wave.tolist(),
        "one row": wave[None],
        "several": [wave, wave.tolist()],
    }
    features = WespeakerFeatureExtractor()(containers[kind], 16000)["input_features"]
    assert features.shape == (2 if kind == "several" else 1, 48, 80)


def test_other_sampling_rate_is_refused():
    with pytest.raises(ValueError, match=r"8000 Hz.*16000 Hz"):
        WespeakerFeatureExtractor()([np.zeros(8000, np.float32)], sampling_rate=8000)


def test_waveform_shorter_than_a_frame_is_refused():
    with pytest.raises(AudioError, match="10 ms do not fill one frame of 25 ms"):
        WespeakerFeatureExtractor()([np.zeros(160, np.float32)])


def test_stereo_is_refused():
    stereo = np.zeros((2, 8000), np.float32)
    with pytest.raises(AudioError, match="expected mono"):
        WespeakerFeatureExtractor()([stereo], 16000)
    for channels in (stereo, stereo.T, torch.from_numpy(stereo)):
        with pytest.raises(
            AudioError, match=r"^one array of shape \(\d+, \d+\), whose rows could be channels: mix them"
        ):
            WespeakerFeatureExtractor()(channels, 16000)


def test_padding_and_truncation_are_those_of_transformers(recorded):
    """What `pad`, which transformers defines, makes of the features of each waveform alone."""
    waves = [recorded[f"wave.{name}"] for name in UTTERANCES]
    extractor = WespeakerFeatureExtractor(normalize_mean=False)
    alone = {"input_features": [extractor(wave, 16000, return_tensors="np")["input_features"][0] for wave in waves]}
    lengths = [len(features) for features in alone["input_features"]]
    for settings in (
        {"padding": True},
        {"padding": "longest", "pad_to_multiple_of": 64},
        {"padding": "max_length", "max_length": max(lengths) + 3},
        {"padding": "max_length", "max_length": max(lengths) + 3, "pad_to_multiple_of": 64},
        {"padding": "max_length", "max_length": 50, "truncation": True},
        {"padding": True, "max_length": 50, "truncation": True, "pad_to_multiple_of": 8},
        {"padding": True, "return_attention_mask": False},
    ):
        expected = extractor.pad(dict(alone), return_tensors="np", **settings)
        for kind in ("np", "pt"):
            found = extractor(waves, 16000, return_tensors=kind, **settings)
            assert found.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_allclose(np.asarray(found[name]), values, atol=1e-4, err_msg=f"{settings}: {name}")
    for settings in ({"padding": False}, {"padding": "max_length", "max_length": sorted(lengths)[2]}):
        found = extractor(waves, 16000, return_tensors=None, **settings)
        shortest = settings.get("max_length", 0)
        assert [len(mask) for mask in found["attention_mask"]] == [max(length, shortest) for length in lengths]
        assert [len(features) for features in found["input_features"]] == [max(n, shortest) for n in lengths]
        assert [mask.sum() for mask in found["attention_mask"]] == lengths
        with pytest.raises(ValueError, match=f"waveforms of .* to {max(lengths)} frames fit into no tensor"):
            extractor(waves, 16000, **settings)


def test_truncated_features_are_those_of_a_waveform_that_ends_there(recorded):
    extractor, wave = WespeakerFeatureExtractor(), recorded["wave.a"]
    truncated = extractor(wave, 16000, truncation=True, max_length=30)["input_features"]
    assert torch.equal(truncated, extractor(wave[: 29 * 160 + 400], 16000)["input_features"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"truncation": True}, "truncation=True with max_length=None"),
        ({"padding": "max_length"}, "make sure that max_length is defined"),
        ({"padding": "longes"}, "longes is not a valid PaddingStrategy"),
        ({"return_tensors": "tf"}, "return_tensors='tf': expected 'pt', 'np' or None"),
    ],
)
def test_settings_of_padding_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        WespeakerFeatureExtractor()(np.zeros(8000, np.float32), 16000, **settings)


def test_a_missing_sampling_rate_is_warned_of_once(monkeypatch):
    warned = []
    monkeypatch.setattr(feature_extraction_wespeaker.logger, "warning", lambda message: warned.append(message))
    feature_extraction_wespeaker.logging.logging.Logger.warning_once.cache_clear()
    extractor = WespeakerFeatureExtractor()
    extractor(np.zeros(8000, np.float32), sampling_rate=16000)
    assert not warned
    for _ in range(2):
        extractor(np.zeros(8000, np.float32))
    assert len(warned) == 1 and "nobody checks that the waveforms have 16000 Hz" in warned[0]


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
        ({"padding_side": "left"}, "padding_side='left': the embedder takes padding at the end only"),
        ({"frame_shift": 1000}, "samples between the frames would be left out"),
        ({"sampling_rate": 1}, "sampling_rate=1: expected at least 1000"),
    ],
)
def test_features_of_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        WespeakerFeatureExtractor(**settings)


def test_copies_are_waited_for_unless_they_go_to_an_nvidia_gpu(copies_waited_for):
    waves = [torch.randn(4000), torch.randn(5000)]
    assert WespeakerFeatureExtractor()(waves, 16000)["input_features"].shape == (2, 29, 80)
    assert copies_waited_for == {"cpu"}


def test_waveforms_are_padded_although_no_memory_can_be_kept_in_place(monkeypatch):
    """As for an NVIDIA GPU, on whose way the driver refuses to pin memory."""
    refused = []

    def empty(*size, original=torch.empty, **options):
        if options.get("pin_memory"):
            refused.append(size)
            raise RuntimeError("CUDA error: out of memory")
        return original(*size, **options)

    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *places, **options: tensor)
    found = feature_extraction_wespeaker._padded([torch.ones(2), torch.ones(3)], torch.device("cuda"))
    assert refused == [(2, 3)] and found.tolist() == [[1, 1, 0], [1, 1, 1]]
