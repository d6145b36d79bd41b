import copy
import pickle
import shutil
import sys
import types

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from balr_hf import WespeakerConfig, WespeakerFeatureExtractor, WespeakerModel
from balr_hf.embeddings import modeling_wespeaker, passes
from balr_hf.embeddings.configuration_wespeaker import RESNETS
from balr_hf.errors import UserError

TINY = {
    "tiny_basic": {"block": "basic", "num_blocks": [1, 1, 1, 1], "embed_dim": 16},
    "tiny_bottleneck": {"block": "bottleneck", "num_blocks": [1, 2, 1, 1], "embed_dim": 24, "two_emb_layer": True},
}


@pytest.fixture(scope="module", params=TINY)
def tiny(request, golden):
    """A tiny ResNet with WeSpeaker's weights, and the embeddings that WeSpeaker gives."""
    recorded = load_file(golden / f"{request.param}.safetensors")
    model = WespeakerModel(WespeakerConfig(m_channels=4, **TINY[request.param])).eval()
    weights = {name.removeprefix("weights."): w for name, w in recorded.items() if name.startswith("weights.")}
    model.load_state_dict(weights)  # strict: the names are WeSpeaker's
    return request.param, model, recorded


@pytest.fixture(scope="module")
def features(golden):
    recorded = load_file(golden / "fbank.safetensors")
    return {name: recorded[f"fbank_cmn.{name}"] for name in "abc"}


def padded(features):
    batch = torch.nn.utils.rnn.pad_sequence(list(features.values()), batch_first=True, padding_value=7.0)
    mask = torch.tensor([[frame < len(f) for frame in range(batch.shape[1])] for f in features.values()])
    return batch, mask.long()


@torch.inference_mode()
def test_embedding_equals_wespeakers(tiny, features):
    _, model, recorded = tiny
    for name, frames in features.items():
        embedding = model(frames[None]).embeddings[0]
        torch.testing.assert_close(embedding, recorded[f"embedding.{name}"], atol=1e-5, rtol=0)


@pytest.fixture(params=["every frame of the padding", "the frame beside the real ones"])
def zeroed(request, monkeypatch):
    """Both ways to keep the padding away from the real frames; a GPU goes the second one."""
    if request.param.startswith("the frame"):
        monkeypatch.setattr(modeling_wespeaker, "QUICK_UNSEEN", ("cpu", "cuda"))


@torch.inference_mode()
def test_padded_batch_equals_wespeakers_single_embeddings(tiny, features, zeroed):
    _, model, recorded = tiny
    batch, mask = padded(features)
    before = batch.clone()
    embeddings = model(batch, mask).embeddings  # the padding is not zero: it must not matter
    assert torch.equal(batch, before)
    for embedding, name in zip(embeddings, features, strict=True):
        torch.testing.assert_close(embedding, recorded[f"embedding.{name}"], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_amount_of_padding_does_not_matter(tiny, features, zeroed):
    _, model, recorded = tiny
    for extra in range(1, 18):
        batch = torch.nn.functional.pad(features["a"][None], (0, 0, 0, extra))
        mask = torch.nn.functional.pad(torch.ones(1, len(features["a"])), (0, extra))
        torch.testing.assert_close(model(batch, mask).embeddings[0], recorded["embedding.a"], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_wespeakers_checkpoint_folder_is_read(tiny, features, golden, tmp_path):
    name, _, recorded = tiny
    config = TINY[name]
    args = {"feat_dim": 80, "embed_dim": config["embed_dim"], "pooling_func": "TSTP", "m_channels": 4}
    resnet = next(n for n, (block, _) in RESNETS.items() if block == config["block"])
    shutil.copy(golden / f"{name}_avg_model.pt", tmp_path / "avg_model.pt")
    settings = {"model": resnet, "model_args": args | {"two_emb_layer": config.get("two_emb_layer", False)}}
    settings["dataset_args"] = {"fbank_args": {"num_mel_bins": 80, "frame_length": 25, "frame_shift": 10}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match="does not fit its configuration"):  # the recorded ones are shallower
        WespeakerModel.from_pretrained(tmp_path)
    original = RESNETS[resnet]
    try:
        RESNETS[resnet] = (config["block"], config["num_blocks"])
        loaded = WespeakerModel.from_pretrained(tmp_path, model_name="avg_model")
    finally:
        RESNETS[resnet] = original
    assert not loaded.training
    torch.testing.assert_close(loaded(features["a"][None]).embeddings[0], recorded["embedding.a"], atol=1e-5, rtol=0)


def test_saving_and_loading_keeps_weights_and_features(tiny, tmp_path, features):
    _, model, _ = tiny
    model.feature_extractor = WespeakerFeatureExtractor(waveform_scale=1.0)
    model.save_pretrained(tmp_path)
    loaded = WespeakerModel.from_pretrained(tmp_path).eval()
    assert loaded.feature_extractor.waveform_scale == 1.0
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_auto_classes_load_a_saved_embedder(tiny_embedder, tmp_path):
    folder = tmp_path / "embedder"
    tiny_embedder.save_pretrained(folder)
    assert type(AutoConfig.from_pretrained(folder)) is WespeakerConfig
    assert type(AutoModel.from_pretrained(folder)) is WespeakerModel
    assert type(AutoFeatureExtractor.from_pretrained(folder)) is WespeakerFeatureExtractor


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # published sizes of WeSpeaker's models, in millions (feat_dim 80, embed_dim 256, m_channels 32)
        ("ResNet34", 6.63),
        ("ResNet221", 23.79),
        ("ResNet293", 28.62),
    ],
)
def test_family_has_the_published_sizes(name, parameters):
    with torch.device("meta"):
        model = WespeakerModel(WespeakerConfig.from_wespeaker(name, {"feat_dim": 80, "embed_dim": 256}))
    assert model.num_parameters() / 1e6 == pytest.approx(parameters, abs=0.01)


@pytest.mark.parametrize("name", RESNETS)
def test_every_resnet_of_the_family_embeds(name):
    model = WespeakerModel(WespeakerConfig.from_wespeaker(name, {"m_channels": 2, "embed_dim": 8})).eval()
    with torch.inference_mode():
        assert model(torch.randn(2, 50, 80)).embeddings.shape == (2, 8)


class Hostile:
    def __reduce__(self):
        return (open, ("hostile-was-here", "w"))


@pytest.mark.parametrize(
    "content", ["hostile", "damaged", "list"], ids=["pickle that runs code", "damaged file", "not a state dict"]
)
def test_checkpoint_that_is_not_tensors_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "avg_model.pt"
    if content == "hostile":
        path.write_bytes(pickle.dumps({"conv1.weight": Hostile()}))
    elif content == "damaged":
        path.write_bytes(b"PK\x03\x04 not a zip")
    else:
        torch.save([torch.zeros(1)], path)
    (tmp_path / "config.yaml").write_text("model: ResNet18\nmodel_args: {}\n")
    with pytest.raises(UserError, match=r"avg_model\.pt"):
        WespeakerModel.from_pretrained(tmp_path)
    assert not (tmp_path / "hostile-was-here").exists()


def test_folder_without_a_model_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"holds no model: expected config\.json.*found notes\.txt"):
        WespeakerModel.from_pretrained(tmp_path)


def test_unknown_repository_is_one_clear_error():
    with pytest.raises(UserError, match="cannot load embedder from nobody/nothing: no such folder or repository"):
        WespeakerModel.from_pretrained("nobody/nothing")


def test_other_architecture_needs_the_wespeaker_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wespeaker", None)
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "avg_model.pt")
    (tmp_path / "config.yaml").write_text("model: CAMPPlus\nmodel_args: {feat_dim: 80, embed_dim: 512}\n")
    with pytest.raises(UserError, match=r"CAMPPlus.*needs the wespeaker package"):
        WespeakerModel.from_pretrained(tmp_path)


def test_other_architecture_is_built_by_the_wespeaker_package(tmp_path, monkeypatch):
    class Averages(torch.nn.Module):
        """Stands in for an architecture of the package: knows nothing of padding, returns a tuple."""

        def __init__(self, feat_dim, embed_dim):
            super().__init__()
            self.layer = torch.nn.Linear(feat_dim, embed_dim)

        def forward(self, x):
            sizes.append(len(x))
            return torch.tensor(0.0), self.layer(x.mean(1))

    sizes = []
    module = types.ModuleType("wespeaker.models.speaker_model")
    module.get_speaker_model = {"Averages": Averages}.get
    for name in ("wespeaker", "wespeaker.models"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "wespeaker.models.speaker_model", module)
    torch.save(Averages(80, 4).state_dict(), tmp_path / "avg_model.pt")
    (tmp_path / "config.yaml").write_text("model: Averages\nmodel_args: {feat_dim: 80, embed_dim: 4}\n")
    model = WespeakerModel.from_pretrained(tmp_path)
    features = torch.randn(2, 30, 80)
    mask = torch.ones(2, 30)
    mask[1, 20:] = 0
    with torch.inference_mode():
        embeddings = model(features, mask).embeddings
        torch.testing.assert_close(embeddings[1], model(features[1:, :20]).embeddings[0])

    monkeypatch.setitem(passes.FRAMES_PER_PASS, "cpu", 2000)
    waveforms = [np.random.default_rng(seed).normal(size=16_000).astype("f4") for seed in range(3)]
    sizes.clear()
    together = passes.embed_waveforms(model, model.feature_extractor, waveforms, torch.device("cpu"))
    assert sizes == [3]  # recordings of one length need no padding, and are embedded at once
    monkeypatch.delitem(passes.FRAMES_PER_PASS, "cpu")
    alone = passes.embed_waveforms(model, model.feature_extractor, waveforms, torch.device("cpu"))
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_copy_for_inference_gives_the_same_embeddings(block):
    torch.manual_seed(0)
    model = WespeakerModel(
        WespeakerConfig(block=block, num_blocks=[1, 2, 1, 1], m_channels=8, two_emb_layer=True)
    ).eval()
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    folded = model.for_inference()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    features, mask = torch.randn(3, 120, 80), torch.ones(3, 120, dtype=torch.long)
    mask[1, 70:] = 0
    with torch.no_grad():
        expected, found = (m(features, mask).embeddings for m in (model, folded))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()), "the model itself was changed"


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-4), (torch.bfloat16, 0.05)])
def test_model_of_another_precision_works(dtype, error):
    torch.manual_seed(0)
    model = WespeakerModel(WespeakerConfig(num_blocks=[1, 1, 1, 1], m_channels=8)).eval()
    features = torch.randn(2, 120, 80)
    with torch.no_grad():
        expected = model(features).embeddings
        found = model.to(dtype)(features.to(dtype)).embeddings
    assert found.dtype == dtype
    cosines = torch.nn.functional.cosine_similarity(found.double(), expected.double())
    assert (1 - cosines).max() < error


@pytest.fixture
def in_place(features, monkeypatch):
    """A function that embeds a padded batch as a GPU would, and on a CPU's way."""

    def embed(model, **options):
        found = []
        for devices in (("cpu",), ()):
            monkeypatch.setattr(modeling_wespeaker, "QUICK_UNSEEN", devices)
            found.append(model(*padded(features), **options))
        return found

    return embed


@torch.no_grad()
def test_hidden_states_are_the_same_whether_maps_are_changed_in_place(tiny, in_place):
    changed, kept = in_place(tiny[1], output_hidden_states=True)
    for one, other in zip(changed.hidden_states, kept.hidden_states, strict=True):
        assert one.shape == other.shape and (one - other).abs().max() < 1e-5


@torch.no_grad()
def test_batch_norms_that_train_see_the_same_maps(tiny, in_place):
    """Also if only one of them does."""
    for part in (lambda model: model, lambda model: model.layer2[0].bn2):
        model = copy.deepcopy(tiny[1])
        part(model).train()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.0  # so that the second pass finds what the first one found
        changed, kept = in_place(model)
        assert torch.equal(changed.embeddings, kept.embeddings)


@torch.no_grad()
def test_what_a_hook_keeps_is_not_changed(tiny, features, monkeypatch):
    monkeypatch.setattr(modeling_wespeaker, "QUICK_UNSEEN", ("cpu",))
    model, seen = copy.deepcopy(tiny[1]), []

    def keep(module, *tensors):
        seen.append((tensors[-1], tensors[-1].clone()))

    def keep_input(module, arguments):
        keep(module, arguments[0])

    def check():
        model(*padded(features))
        assert seen and all(torch.equal(kept, copied) for kept, copied in seen)
        seen.clear()

    for register in (
        lambda: model.layer1[0].register_forward_hook(keep),
        lambda: model.layer2[0].register_forward_pre_hook(keep_input),
        lambda: torch.nn.modules.module.register_module_forward_hook(
            lambda module, inputs, found: keep(module, found) if module is model.layer1[0] else None
        ),
    ):
        handle = register()
        check()
        handle.remove()
        assert model.for_inference()._maps_are_unseen(torch.device("cpu"))  # and faster without a hook
