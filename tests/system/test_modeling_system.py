"""A whole system: what is joined, saved, loaded and computed is what the parts are and compute."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    SpeakerComparisonConfig,
    SpeakerComparisonModel,
    UserError,
    WespeakerConfig,
    WespeakerModel,
    build_scorer,
    load_scorer,
)
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, SYSTEM, resource
from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
from balr_hf.errors import ConfigError, MismatchError
from balr_hf.identity import model_identity
from balr_hf.scoring.auto import SCORERS, scorer_class

OWN = """
from balr_hf import Scorer, ScorerConfig


class CountingConfig(ScorerConfig):
    model_type = "counting"

    def __init__(self, weight=2.0, **kwargs):
        self.weight = weight
        super().__init__(**kwargs)


class CountingScorer(Scorer):
    config_class = CountingConfig

    def __init__(self, config):
        super().__init__(config)
        self.post_init()

    def _fit(self, counts):
        pass

    def _attribute_scores(self, enroll, test):
        return self.config.weight * enroll[..., 0] * test[..., 0]
"""


@pytest.fixture(scope="module")
def own_scorer(tmp_path_factory) -> Iterator[str]:
    """The path of a scorer of the user's own."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "counting_scorer_of_a_system.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "counting_scorer_of_a_system.CountingScorer"


def embedder(embed_dim=16, **features) -> WespeakerModel:
    torch.manual_seed(0)
    config = WespeakerConfig(num_blocks=[1, 1, 1, 1], m_channels=4, feat_dim=24, embed_dim=embed_dim)
    return WespeakerModel(config, WespeakerFeatureExtractor(**{"num_mel_bins": 24, **features})).eval()


def autoencoder(input_dim=16, internal_dim=12) -> BinaryAttributeAutoEncoder:
    torch.manual_seed(1)
    return BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim, internal_dim)).eval()


def scorer(name="beta", attributes=12, calibrated=True):
    """A scorer that is fitted to random counts, and calibrated."""
    rng = np.random.default_rng(2)
    shares = rng.beta(0.5, 0.5, (60, attributes))
    active = rng.binomial(1, shares, (2, 60, attributes))
    counts = np.stack([active, 1 - active], -1)
    fitted = build_scorer(name, num_attributes=attributes).fit(counts[:, :40].sum(0), [f"s{n}" for n in range(40)])
    if calibrated:
        sides = np.divmod(np.arange(400), 20)
        enroll, test = (counts[side, 40:][rows] for side, rows in enumerate(sides))
        fitted.calibrate(enroll, test, sides[0] == sides[1])
        fitted.config.calibration["bounds"] = [-0.4, 0.3]
    return fitted


def waveforms(count=2, seconds=1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(scale=0.1, size=int(16000 * seconds)).astype(np.float32) for _ in range(count)]


def assert_same_weights(ones, others) -> None:
    for one, other in zip(ones, others, strict=True):
        weights, found = one.state_dict(), other.state_dict()
        assert weights.keys() == found.keys()
        for name, weight in weights.items():
            assert weight.dtype == found[name].dtype and torch.equal(weight, found[name]), name


@pytest.mark.parametrize("name", [*SCORERS, "own"])
def test_a_system_with_any_scorer_comes_back_whole_and_in_parts(name, own_scorer, tmp_path):
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

    parts = embedder(waveform_scale=1.0), autoencoder(), scorer(own_scorer if name == "own" else name)
    parts[2].config.calibration["speech"] = "phone calls"
    system = SpeakerComparisonModel.from_parts(*parts)
    system.save_pretrained(tmp_path / "system")
    loaded = AutoModel.from_pretrained(tmp_path / "system")
    assert_same_weights(parts, (loaded.embedder, loaded.autoencoder, loaded.scorer))
    assert not loaded.training and loaded.scorer.config.dtype == torch.float64
    assert loaded.feature_extractor.waveform_scale == 1
    assert AutoFeatureExtractor.from_pretrained(tmp_path / "system").waveform_scale == 1
    config = AutoConfig.from_pretrained(tmp_path / "system")
    assert type(config) is SpeakerComparisonConfig and config.scorer.calibration["speech"] == "phone calls"
    expected, found = (model.compare(*waveforms()) for model in (system, loaded))
    for value in ("llr", "calibrated_llr", "attribute_llrs"):
        assert torch.equal(expected[value], found[value])

    alone = (
        WespeakerModel.from_pretrained(tmp_path / "system"),
        BinaryAttributeAutoEncoder.from_pretrained(tmp_path / "system"),
        load_scorer(tmp_path / "system"),
    )
    assert_same_weights(parts, alone)
    assert type(alone[2]) is type(parts[2]) and alone[2].config.calibration["speech"] == "phone calls"
    assert alone[0].feature_extractor.waveform_scale == 1


def test_an_own_scorer_that_is_not_known_here_is_named(tmp_path, own_scorer):
    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer(own_scorer))
    system.save_pretrained(tmp_path / "system")
    text = (tmp_path / "system" / "config.json").read_text()
    (tmp_path / "system" / "config.json").write_text(text.replace('"counting"', '"unheard"'))
    with pytest.raises(UserError, match=r"of the kind unheard, which is none of balr-cosine, .*scorer_class"):
        SpeakerComparisonModel.from_pretrained(tmp_path / "system")
    with pytest.raises(UserError, match="holds a model of type balr-speaker-comparison, not scorer"):
        load_scorer(tmp_path / "system")
    assert scorer_class(own_scorer) is type(system.scorer)


class BareConfig(PreTrainedConfig):
    model_type = "bare-embedder"
    embed_dim: int = 256


class BareEmbedder(PreTrainedModel):
    """An embedder as transformers has them."""

    config_class = BareConfig

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(80, config.embed_dim)
        self.post_init()


def test_an_embedder_of_another_architecture_is_refused_with_a_way_to_use_it():
    wrong = r"BareEmbedder cannot be the embedder of a system: it has no feature_extractor, .*config\.feat_dim, which"
    with pytest.raises(UserError, match=wrong):
        SpeakerComparisonModel.from_parts(BareEmbedder(BareConfig()), autoencoder(), scorer())
    with pytest.raises(UserError, match=r"Linear cannot be the embedder of a system: .*, config\.embed_dim, which"):
        SpeakerComparisonModel.from_parts(torch.nn.Linear(80, 256), autoencoder(), scorer())


class LooseConfig(BinaryAttributeAutoEncoderConfig):
    model_type = "loose-autoencoder"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)


class LooseAutoEncoder(BinaryAttributeAutoEncoder):
    """An autoencoder with the same weights as the package's, which makes other attributes of them."""

    config_class = LooseConfig

    def encode(self, embeddings):
        return self.encoder(embeddings) > 0.5


def test_an_autoencoder_of_another_kind_is_not_taken_for_the_packages(tmp_path):
    theirs = autoencoder()
    sizes = {"input_dim": theirs.config.input_dim, "internal_dim": theirs.config.internal_dim}
    own = LooseAutoEncoder(LooseConfig(**sizes))
    own.load_state_dict(theirs.state_dict())
    system = SpeakerComparisonModel.from_parts(embedder(), own.eval(), scorer())
    assert system.compare(*waveforms()).llr.isfinite().all()
    with pytest.raises(UserError, match=r"the autoencoder of this system is of the kind loose-.*: save it"):
        system.save_pretrained(tmp_path / "refused")
    assert not (tmp_path / "refused").exists()

    SpeakerComparisonModel.from_parts(embedder(), theirs, scorer()).save_pretrained(tmp_path / "system")
    config = tmp_path / "system" / "config.json"
    config.write_text(config.read_text().replace(theirs.config.model_type, "loose-autoencoder"))
    for load in (SpeakerComparisonModel.from_pretrained, AutoModel.from_pretrained):
        with pytest.raises(UserError, match="the autoencoder of this system is of the kind loose-autoencoder"):
            load(tmp_path / "system")


def test_a_system_computes_what_its_parts_compute():
    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
    recordings = waveforms(3)
    output = system.compare(recordings[0], recordings[1:], sampling_rate=16000)
    bits = system.autoencoder.encode(system.embed(recordings)).numpy()
    counts = np.stack([bits, ~bits], -1).astype(float)
    sides = counts[:1], counts[1:].sum(0)[None]
    assert torch.equal(output.llr, system.scorer.score(*sides))
    terms = system.scorer.attribute_scores(*sides, calibrated=True)
    assert torch.equal(output.attribute_llrs, terms)
    ratio = terms.sum(1) + system.scorer.calibration_offset
    assert abs(ratio) > 0.4 and output.calibrated_llr.item() in (-0.4, 0.3)  # the bounds of the calibration

    features = [system.feature_extractor([one])["input_features"] for one in recordings[:2]]
    pair = system(*features)
    assert torch.equal(pair.llr, system.compare(*recordings[:2]).llr)

    raw = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer(calibrated=False)).compare(
        *recordings[:2]
    )
    assert raw.calibrated_llr is None and torch.allclose(raw.attribute_llrs.sum(1), raw.llr)


def test_padded_pairs_are_compared_as_if_alone():
    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
    long, short = waveforms(1, 2.0)[0], waveforms(1, 0.5)[0]
    enroll = system.feature_extractor([long, short])
    test = system.feature_extractor([short, long])
    both = system(enroll["input_features"], test["input_features"], enroll["attention_mask"], test["attention_mask"])
    assert both.llr.tolist() == pytest.approx([system.compare(long, short).llr.item()] * 2)


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ((embedder(embed_dim=8), autoencoder(), scorer()), "the embedder makes 8 values, the autoencoder expects 16"),
        (
            (embedder(), autoencoder(internal_dim=20), scorer()),
            "the autoencoder makes 20 attributes, the scorer knows 12",
        ),
        (
            (embedder(num_mel_bins=40), autoencoder(), scorer()),
            "the feature extractor makes 40 mel bins, the embedder takes 24",
        ),
        ((embedder(), autoencoder(), build_scorer("beta", num_attributes=12)), "is not fitted"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, wrong):
    with pytest.raises(UserError, match=wrong):
        SpeakerComparisonModel.from_parts(*parts)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("embedder.seg_1.bias", torch.nan, "values of embedder.seg_1.bias are not finite"),
        ("embedder.bn1.running_var", -1.0, "values of embedder.bn1.running_var are out of range"),
        ("scorer.alpha", -1.0, "values of scorer.alpha are out of range"),
        ("autoencoder.encoder.0.weight", None, "lacks weights of system.*autoencoder.encoder.0.weight"),
    ],
)
def test_damaged_weights_are_named_with_their_part(name, value, wrong, tmp_path):
    SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer()).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    if value is None:
        del weights[name]
    else:
        weights[name].view(-1)[0] = value
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=wrong):
        SpeakerComparisonModel.from_pretrained(tmp_path)


def test_a_system_without_its_features_is_refused(tmp_path):
    SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer()).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"lacks preprocessor_config.json"):
        SpeakerComparisonModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16])
def test_a_system_in_half_precision_is_refused_with_what_to_do_instead(dtype):
    expected = "embedder has weights of type b?float16, .* load it in float32, .* extract_embeddings"
    with pytest.raises(UserError, match=expected):
        AutoModel.from_pretrained(resource(SYSTEM), dtype=dtype)
    cast = AutoModel.from_pretrained(resource(SYSTEM)).to(getattr(torch, str(dtype).removeprefix("torch.")))
    with pytest.raises(UserError, match=expected):
        cast.compare(*waveforms(), sampling_rate=16000)
    with pytest.raises(UserError, match=expected):
        cast.attributes(torch.zeros(1, 256))
    with pytest.raises(UserError, match=expected):
        SpeakerComparisonModel.from_parts(cast.embedder, cast.autoencoder, cast.scorer, allow_mismatch=True)


def test_a_systems_config_names_no_place_of_this_machine(tmp_path):
    parts = (
        WespeakerModel.from_pretrained(resource(EMBEDDER)),
        BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)),
        load_scorer(resource(SCORER)),
    )
    SpeakerComparisonModel.from_parts(*parts).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert str(resource(EMBEDDER).parent) not in json.dumps(config)
    own = json.loads((resource(SCORER) / "config.json").read_text())["scorer"]
    assert config["scorer"]["calibration"] == own["calibration"] and config["scorer"]["dtype"] == "float64"


@pytest.mark.parametrize(
    ("recording", "wrong"),
    [
        (np.zeros(1000, np.float32), "too short: 4 frames of at least 9"),
        (np.zeros(16000, np.float32), "is silent"),
        (np.full(16000, np.nan, np.float32), "not finite"),
        ([np.zeros((2, 16000), np.float32)], "expected mono"),
        ([], "no recording"),
        (np.ones(16000, bool), r"no floats in \[-1, 1\] \(bool\)"),
        (torch.ones(16000, dtype=torch.complex64), r"no floats in \[-1, 1\] \(complex64\)"),
        (np.ones(16000, np.int16), r"no floats in \[-1, 1\] \(int16\)"),
        (np.ma.array(np.ones(16000, np.float32), mask=np.arange(16000) > 5), r"\(some are masked\)"),
    ],
)
def test_recordings_that_cannot_be_embedded_are_refused(recording, wrong):
    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
    with pytest.raises(UserError, match=wrong):
        system.compare(recording, waveforms(1))
    with pytest.raises(ValueError, match="8000 Hz"):
        system.compare(*waveforms(2), sampling_rate=8000)


def test_a_system_whose_calibration_counts_quality_measures_or_is_told(monkeypatch):
    fitted = scorer()
    fitted.config.calibration["num_quality"] = 7
    fitted.register_buffer("calibration_quality", torch.ones(3, 7, dtype=torch.float64))
    fitted.config.calibration["bounds"] = None
    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), fitted)
    known = {"net_speech": 3.0, "snr": 12.0, "bandwidth": 8_000.0}
    output = system.compare(*waveforms(), quality=([known], [known]))
    sides = (np.array([[3.0, 12.0, 8.0, 1.0]]),) * 2
    expected = output.attribute_llrs.sum(1) + fitted.calibration_offset + fitted.quality_terms(sides).sum(1)
    assert torch.allclose(output.calibrated_llr, expected)
    with pytest.raises(UserError, match="is not known"):  # noise has no speech
        system.compare(*waveforms())
    features = [system.feature_extractor([one])["input_features"] for one in waveforms()]
    assert torch.allclose(system(*features, quality=sides).calibrated_llr, expected)
    with pytest.raises(UserError, match="nothing was measured"):
        system(*features)
    monkeypatch.setattr("balr_hf.system.modeling_system.measure_recording", None)
    with pytest.raises(UserError, match="pass quality="):
        system.compare(*waveforms())


@pytest.fixture
def described(make_descriptions):
    """A system whose attributes are described."""
    from balr_hf.identity import model_identity

    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
    system.descriptions = make_descriptions(12, model_identity(system.autoencoder))
    return system


def test_descriptions_travel_with_the_system(described, tmp_path):
    described.save_pretrained(tmp_path / "one")
    loaded = SpeakerComparisonModel.from_pretrained(tmp_path / "one")
    assert loaded.descriptions == described.descriptions
    loaded.save_pretrained(tmp_path / "two")
    one, two = ((tmp_path / name / "attributes.json").read_bytes() for name in ("one", "two"))
    assert one == two
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "one", with_descriptions=False).descriptions is None
    (tmp_path / "one" / "attributes.json").unlink()
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "one").descriptions is None


def test_descriptions_of_other_models_are_refused(described, make_descriptions, tmp_path, caplog):
    from balr_hf.errors import MismatchError
    from balr_hf.identity import model_identity

    described.save_pretrained(tmp_path)
    make_descriptions(12, "other@1").save(tmp_path)
    with pytest.raises(MismatchError, match="of the autoencoder other"):
        SpeakerComparisonModel.from_pretrained(tmp_path)
    own = make_descriptions(12, model_identity(described.autoencoder))
    replace(own, embedder="other@2").save(tmp_path)
    with pytest.raises(MismatchError, match=r"the embedder is"):
        SpeakerComparisonModel.from_pretrained(tmp_path)
    with torch.no_grad():
        next(described.autoencoder.parameters()).add_(1)  # as training does
    described.save_pretrained(tmp_path / "trained")
    assert not (tmp_path / "trained" / "attributes.json").exists()
    assert "The descriptions of the attributes are not saved" in caplog.text


def test_damaged_descriptions_are_refused_by_name(described, tmp_path):
    described.save_pretrained(tmp_path)
    (tmp_path / "attributes.json").write_text("{")
    with pytest.raises(UserError, match=r"attributes\.json is damaged"):
        SpeakerComparisonModel.from_pretrained(tmp_path)


@pytest.fixture
def hearing():
    """A system with a detector of overlapped speech."""
    from balr_hf.detectors.detector import Detector
    from balr_hf.explanation.heard import OVERLAPPED
    from balr_hf.identity import model_identity

    system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
    width, record = system.embedder.num_statistics, {"embedder": model_identity(system.embedder)}
    weight, usual = np.ones((1, width), dtype=np.float32), np.ones((9, 2), dtype=np.float32)
    system.detectors["overlapped"] = Detector(OVERLAPPED, weight, np.zeros(1), usual, record)
    return system


def test_a_detector_of_overlapped_speech_travels_with_the_system(hearing, tmp_path):
    from balr_hf.detectors.detector import FILES

    file = FILES["overlapped"]
    hearing.save_pretrained(tmp_path / "one")
    loaded = SpeakerComparisonModel.from_pretrained(tmp_path / "one")
    assert loaded.detectors["overlapped"].digest == hearing.detectors["overlapped"].digest
    loaded.save_pretrained(tmp_path / "two")
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    (tmp_path / "one" / file).unlink()
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "one").detectors == {}
    assert SpeakerComparisonModel.from_pretrained(tmp_path / "two", with_detectors=False).detectors == {}


def test_what_was_taken_from_a_system_does_not_come_back_when_it_is_saved(hearing, described, tmp_path):
    hearing.descriptions = described.descriptions
    hearing.save_pretrained(tmp_path)
    unheard = SpeakerComparisonModel.from_pretrained(tmp_path, with_detectors=False, with_descriptions=False)
    unheard.save_pretrained(tmp_path)  # which knows nothing of what lies there
    loaded = SpeakerComparisonModel.from_pretrained(tmp_path)
    assert loaded.detectors and loaded.descriptions is not None
    del loaded.detectors["overlapped"]
    loaded.descriptions = None
    loaded.save_pretrained(tmp_path)
    again = SpeakerComparisonModel.from_pretrained(tmp_path)
    assert again.detectors == {} and again.descriptions is None


def test_what_an_earlier_system_left_in_a_folder_is_removed(hearing, described, tmp_path, caplog):
    from balr_hf.detectors.detector import FILES

    file = FILES["overlapped"]
    hearing.save_pretrained(tmp_path)
    described.save_pretrained(tmp_path)
    assert (tmp_path / "attributes.json").exists()
    other = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
    with torch.no_grad():
        next(other.embedder.parameters()).add_(1)
        next(other.autoencoder.parameters()).add_(1)
    other.save_pretrained(tmp_path)
    assert not (tmp_path / file).exists() and not (tmp_path / "attributes.json").exists()
    assert caplog.text.count("of an earlier system") == 2
    assert SpeakerComparisonModel.from_pretrained(tmp_path).descriptions is None


def test_a_detector_for_another_embedder_is_refused_and_is_not_saved(hearing, tmp_path, caplog):
    from balr_hf.detectors.detector import FILES
    from balr_hf.errors import MismatchError

    file = FILES["overlapped"]
    hearing.save_pretrained(tmp_path / "one")
    with torch.no_grad():
        next(hearing.embedder.parameters()).add_(1)  # as training does
    hearing.save_pretrained(tmp_path / "trained")
    assert not (tmp_path / "trained" / file).exists()
    assert "The Detector of overlapped speech is not saved" in caplog.text
    shutil.copy(tmp_path / "one" / file, tmp_path / "trained" / file)
    with pytest.raises(MismatchError, match="is a detector for the embedder"):
        SpeakerComparisonModel.from_pretrained(tmp_path / "trained")


def test_a_system_in_training_mode_does_not_compare():
    """Batch norms would take the recordings in, and every later comparison would be another one."""
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, 16000))
    system.train()
    with pytest.raises(UserError, match="in training mode, in which comparing changes it"):
        system.compare(noise[0], noise[1])
    system.eval()
    assert system.compare(noise[0], noise[1]).llr.shape == (1,)


def test_samples_of_another_scale_are_refused():
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    samples = np.random.default_rng(0).normal(scale=3000, size=16000)
    with pytest.raises(UserError, match=r"samples up to .*: expected them in \[-1, 1\]"):
        system.embed(samples)


def test_a_file_is_no_recording_of_a_model_that_only_computes():
    whole = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    for recording in ("a.wav", Path("a.wav"), b"RIFF", {"path": "a.wav"}):
        with pytest.raises(UserError, match=r"expected its samples\. pipeline"):
            whole.compare(recording, recording)


def test_what_a_model_that_only_computes_does_not_do_is_said_once(caplog):
    from balr_hf.system.modeling_system import _say_unmeasured

    _say_unmeasured.cache_clear()
    whole = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    samples = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    for _ in range(2):
        whole.compare(samples, samples[::-1].copy(), sampling_rate=16_000)
    (said,) = [record.message for record in caplog.records if "only computes" in record.message]
    assert "gives noise a likelihood ratio too" in said


def test_attention_that_is_not_there_is_no_damage():
    with pytest.raises(ConfigError, match="with attn_implementation: it has no attention"):
        AutoModel.from_pretrained(resource(SYSTEM), attn_implementation="sdpa")


def test_another_scorer_is_computed_with_saved_and_loaded(tmp_path):
    """Also in place of one with other weights and another calibration, and of another kind."""
    for number, other in enumerate((scorer(calibrated=False), scorer(), scorer("maxllr"))):
        system = SpeakerComparisonModel.from_parts(embedder(), autoencoder(), scorer())
        system.scorer = other
        assert system.config.scorer is other.config
        system.save_pretrained(tmp_path / f"{number}")
        loaded = SpeakerComparisonModel.from_pretrained(tmp_path / f"{number}")
        assert type(loaded.scorer) is type(other)
        assert_same_weights([other], [loaded.scorer])
        assert loaded.scorer.config.dtype == torch.float64
        found, expected = (model.compare(*waveforms()) for model in (loaded, system))
        assert torch.equal(found.llr, expected.llr)


@pytest.mark.parametrize(
    ("name", "part", "error", "wrong"),
    [
        ("scorer", lambda: build_scorer("beta", num_attributes=12), UserError, "is not fitted"),
        ("scorer", lambda: scorer(attributes=20), UserError, "makes 12 attributes, the scorer knows 20"),
        ("autoencoder", lambda: autoencoder(input_dim=8), UserError, "makes 16 values, the autoencoder expects 8"),
        ("autoencoder", lambda: autoencoder().half(), UserError, "the autoencoder has weights of type float16"),
        ("autoencoder", lambda: torch.nn.Linear(16, 12), UserError, "autoencoder=Linear: expected a model"),
        ("scorer", lambda: None, UserError, "scorer=NoneType: expected a model"),
        ("autoencoder", autoencoder, MismatchError, "The attributes were made by the autoencoder unnamed"),
        ("embedder", embedder, MismatchError, "The embeddings were made by the embedder unnamed"),
    ],
)
def test_a_part_that_does_not_go_with_the_others_is_not_taken(name, part, error, wrong):
    parts = embedder(), autoencoder(), scorer()
    if error is MismatchError:
        for weight in (parts[0].seg_1.weight, parts[1].encoder[0].weight):
            weight.data.mul_(1.5)
        parts[1].config.embedder_identity = model_identity(parts[0])
        parts[2].config.autoencoder_identity = model_identity(parts[1])
    system = SpeakerComparisonModel.from_parts(*parts)
    kept, config = getattr(system, name), getattr(system.config, name)
    with pytest.raises(error, match=wrong):
        setattr(system, name, part())
    assert getattr(system, name) is kept and getattr(system.config, name) is config


def test_parts_of_an_allowed_mismatch_can_be_replaced_until_they_belong_together(tmp_path):
    right, other = autoencoder(), autoencoder()
    other.encoder[0].weight.data.mul_(1.5)
    fitted = scorer()
    fitted.config.autoencoder_identity = model_identity(right)
    system = SpeakerComparisonModel.from_parts(embedder(), other, fitted, allow_mismatch=True)
    assert "The attributes were made by the autoencoder" in system.config.mismatch
    system.autoencoder = right
    assert system.config.mismatch is None
    system.save_pretrained(tmp_path)
    assert SpeakerComparisonModel.from_pretrained(tmp_path).config.mismatch is None
