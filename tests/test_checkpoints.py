"""A damaged or hostile model is one clear error, whatever in it is wrong."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel
from balr_hf.checkpoints import has_type, load_state_dict
from balr_hf.defaults import EMBEDDER, resource
from balr_hf.errors import UserError
from balr_hf.scoring.configuration_scorers import CosineSimilarityScorerConfig


@pytest.fixture
def system(tmp_path):
    """A copy of the shipped system, whose parts can be loaded alone."""
    shutil.copytree(resource(EMBEDDER), tmp_path / "system")
    return tmp_path / "system"


def change(path, **values):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | values))


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"m_channels": 0.5}, r"embedder\.m_channels=0\.5, expected int"),
        ({"two_emb_layer": "no"}, "embedder.two_emb_layer='no', expected bool"),
        ({"num_blocks": 3}, r"embedder\.num_blocks=3, expected list\[int\] or null"),
        ({"num_blocks": ["x"]}, "expected list"),
        ({"embed_dim": 10**30}, "expected int"),
        ({"dtype": "=1+1"}, "damaged"),
        ({"block": "x"}, "expected basic or bottleneck"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named(system, values, wrong):
    config = json.loads((system / "config.json").read_text())
    config["embedder"] |= values
    (system / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=wrong):
        WespeakerModel.from_pretrained(system)


@pytest.mark.parametrize(
    "values",
    [{"frame_shift": None}, {"dither": {}}, {"normalize_mean": "no"}, {"frame_length": 2**31}, {"padding_value": "1"},
     {"waveform_scale": 10**30}, {"num_mel_bins": 1}, {"sampling_rate": True}],
)  # fmt: skip
def test_features_that_make_no_sense_are_refused(system, values):
    WespeakerModel.from_pretrained(system)
    change(system / "preprocessor_config.json", **values)
    with pytest.raises(UserError, match=next(iter(values))):
        WespeakerModel.from_pretrained(system)


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', '{"model_type": []}', "\x00", "[" * 100_000])
def test_a_configuration_that_is_none_is_refused(system, content):
    (system / "config.json").write_text(content)
    with pytest.raises(UserError, match="autoencoder"):
        BinaryAttributeAutoEncoder.from_pretrained(system)


PLAIN = {"recordings": 1, "recordings_a_side": [1, 1], "measures": {}}  # what every description of a population has


@pytest.mark.parametrize(
    "calibration",
    [3, [None], {"bounds": 1}, {"bounds": [float("nan"), 1]}, {"num_draws": "x"}, {"domain": {}}, {"validation": {}},
     {"domain": {"recordings": 1, "recordings_a_side": "x", "measures": {}}},
     {"domain": PLAIN | {"recordings_compared": [1]}}, {"domain": PLAIN | {"sessions": {"same_speaker": 1}}},
     {"domain": PLAIN | {"differences": {"snr": [1]}}},
     {"domain": PLAIN | {"differences": {"snr": {"same_speaker": [0] * 9}}}}],
)  # fmt: skip
def test_a_record_of_a_calibration_that_is_damaged_is_refused(calibration):
    with pytest.raises(UserError, match="calibration"):
        CosineSimilarityScorerConfig(calibration=calibration)


@pytest.mark.parametrize(
    ("value", "stated", "fits"),
    [(1, int, True), (True, int, False), (1.0, int, False), (1, float, True), (float("nan"), float, False),
     (None, int | None, True), ("x", int | None, False), ([1], list[int], True), ([True], list[int], False)],
)  # fmt: skip
def test_types_of_json(value, stated, fits):
    assert has_type(value, stated) is fits


class Hostile:
    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return Path.touch, (self.proof,)


@pytest.mark.parametrize("name", ["avg_model.pt", "avg_model", "pytorch_model.bin", "model.safetensors"])
def test_a_hostile_checkpoint_is_refused_and_not_run(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Hostile(tmp_path / "executed")))
    with pytest.raises(UserError, match="damaged, or a pickle"):
        load_state_dict(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "text",
    ["", "[", "model: 3", "model: ResNet18\nmodel_args: 3", "model: ResNet18\nmodel_args: {m_channels: x}",
     "model: ResNet18\nmodel_args: {embed_dim: 0.5}", "model: ResNet18\ndataset_args: {fbank_args: {frame_shift: x}}",
     "model: ResNet18\ndataset_args: [1]", "model: 2024-99-99", "? [a]\n: b",
     "!!python/object/apply:os.system [true]"],
)  # fmt: skip
def test_a_wespeaker_configuration_that_makes_no_sense_is_refused(tmp_path, text):
    (tmp_path / "avg_model.pt").touch()
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        WespeakerModel.from_pretrained(tmp_path)
