"""Our models do what a user of transformers expects; `make transformers-tests` runs transformers' own tests."""

import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    WespeakerConfig,
    WespeakerFeatureExtractor,
    WespeakerModel,
    load_scorer,
)
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, SCORER, resource
from balr_hf.errors import ConfigError, UserError
from balr_hf.pretrained import evaluation_mode
from balr_hf.scoring.auto import SCORERS, build_scorer, scorer_class
from balr_hf.training.state import save_tensors


@pytest.fixture
def embedder():
    torch.manual_seed(0)
    return WespeakerModel(WespeakerConfig(num_blocks=[1, 1, 1, 1], m_channels=4, feat_dim=16, embed_dim=8)).eval()


@pytest.fixture
def autoencoder():
    torch.manual_seed(0)
    return BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=8, internal_dim=12)).eval()


def fitted(name):
    generator = torch.Generator().manual_seed(0)
    active = torch.randint(0, 6, (20, 6), generator=generator).double()
    return build_scorer(name, num_attributes=6).fit(torch.stack([active, 5 - active], -1))


@pytest.mark.parametrize("name", SCORERS)
def test_scorer_made_without_storage_starts_like_any_other(name):
    config = fitted(name).config
    with torch.device("meta"):
        scorer = scorer_class(name)(config)
    scorer.to_empty(device="cpu")
    for buffer in scorer.buffers():
        buffer.fill_(7)
    scorer.init_weights()
    expected = scorer_class(name)(config).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in scorer.state_dict().items())


def test_models_come_from_a_configuration_and_a_state_dict(embedder, autoencoder):
    for model in (embedder, autoencoder, fitted("maxllr")):
        other = type(model).from_pretrained(None, config=model.config, state_dict=model.state_dict())
        assert not other.training
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items())


def test_weights_from_a_state_dict_are_checked_too(autoencoder):
    weights = autoencoder.state_dict() | {"decoder.0.bias": torch.full((12,), torch.nan)}
    with pytest.raises(UserError, match=r"the state dict is damaged: 12 of the 12 values of decoder\.0\.bias"):
        BinaryAttributeAutoEncoder.from_pretrained(None, config=autoencoder.config, state_dict=weights)


def test_weights_of_another_shape_are_refused_unless_they_are_to_be_ignored(autoencoder, tmp_path):
    autoencoder.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match=r"in another shape: decoder\.2\.bias, decoder\.2\.weight") as refused:
        BinaryAttributeAutoEncoder.from_pretrained(tmp_path, input_dim=5)
    assert isinstance(refused.value, UserError)
    model = BinaryAttributeAutoEncoder.from_pretrained(tmp_path, input_dim=5, ignore_mismatched_sizes=True)
    assert model.decoder[2].weight.shape == (5, 12) and model.decoder[2].weight.abs().sum() > 0
    assert torch.equal(model.encoder[3].weight, autoencoder.encoder[3].weight)


def test_who_may_read_the_settings_of_a_model_may_read_its_weights(embedder, autoencoder, tmp_path):
    """Of a colleague's model, too: safetensors lets only the owner read what it writes."""
    before = os.umask(0o002)
    try:
        for name, model in {"embedder": embedder, "autoencoder": autoencoder, "scorer": fitted("beta")}.items():
            model.save_pretrained(tmp_path / name)
        save_tensors(tmp_path / "state.safetensors", {"a": torch.zeros(3)})
    finally:
        os.umask(before)
    assert {path.suffix: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {
        ".json": 0o664,
        ".safetensors": 0o664,
        ".py": 0o664,
    }


@pytest.mark.parametrize("variant", [None, "best"])
@pytest.mark.parametrize("sizes", [("50GB", "1KB"), ("1KB", "50GB"), ("1KB", "2KB")])
def test_weights_of_an_earlier_save_are_not_loaded(variant, sizes, tmp_path):
    """transformers takes a whole file before shards, and leaves it where they are saved."""
    for seed, size in enumerate(sizes):
        torch.manual_seed(seed)
        model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=8, internal_dim=12)).eval()
        model.save_pretrained(tmp_path, max_shard_size=size, variant=variant)
    loaded = AutoModel.from_pretrained(tmp_path, variant=variant)
    assert torch.equal(loaded.encoder[0].weight, model.encoder[0].weight)
    names = [path.name for path in tmp_path.iterdir() if "safetensors" in path.name]
    assert any("index" in name for name in names) != any("-of-" not in name and "index" not in name for name in names)


def test_missing_weights_are_refused_even_if_other_shapes_are_to_be_ignored(autoencoder, tmp_path):
    autoencoder.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["decoder.0.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RuntimeError, match=r"lacks weights of autoencoder.*decoder\.0\.bias"):
        BinaryAttributeAutoEncoder.from_pretrained(tmp_path, ignore_mismatched_sizes=True)


@pytest.mark.parametrize(
    "load", [WespeakerModel.from_pretrained, BinaryAttributeAutoEncoder.from_pretrained, load_scorer]
)
def test_a_missing_model_is_the_users_error_and_an_os_error(load, tmp_path):
    for source in ("nobody/nothing", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError) as error:
            load(source)
        assert isinstance(error.value, OSError)


def test_outputs_may_be_tuples_and_may_have_hidden_states(embedder, autoencoder):
    features, mask = torch.randn(3, 24, 16), torch.ones(3, 24, dtype=torch.long)
    mask[1, 17:] = 0
    embeddings = embedder(features, mask).embeddings
    found, states = embedder(features, mask, output_hidden_states=True, return_dict=False)
    torch.testing.assert_close(found, embeddings)
    assert [tuple(state.shape) for state in states] == [
        (3, 4, 16, 24),
        (3, 4, 16, 24),
        (3, 8, 8, 12),
        (3, 16, 4, 6),
        (3, 32, 2, 3),
    ]
    assert not states[0][1, ..., 17:].any() and states[0][1, ..., :17].any()

    loss, binary, reconstruction, latent = autoencoder(embeddings, return_dict=False)
    output = autoencoder(embeddings, output_hidden_states=True)
    assert torch.equal(output.hidden_states[-1], latent) and len(output.hidden_states) == 5
    assert torch.equal(output.binary, binary) and torch.equal(output.reconstruction, reconstruction)
    assert output.loss == loss


def test_gradients_reach_every_weight(embedder, autoencoder):
    embedder.train()
    autoencoder.train()
    loss = autoencoder(embedder(torch.randn(4, 24, 16)).embeddings).loss
    loss.backward()
    for model in (embedder, autoencoder):
        assert [
            name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
        ] == []


def test_autoencoder_of_half_precision_gives_nearly_the_same_attributes(tmp_path):
    model = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    half = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER), dtype=torch.bfloat16)
    embeddings = model(torch.randn(50, 256)).reconstruction.detach()  # such as embeddings of its embedder are
    expected = model(embeddings)
    for other in (half, model.to(torch.bfloat16)):
        output = other(embeddings)
        assert output.reconstruction.dtype == torch.bfloat16 and output.loss.dtype == torch.float32
        assert (output.binary == expected.binary).float().mean() > 0.98
        torch.testing.assert_close(output.loss, expected.loss, rtol=0.1, atol=0)
        assert torch.equal(other.encode(embeddings), output.binary > 0)


@pytest.mark.parametrize("kind", [WespeakerModel, BinaryAttributeAutoEncoder])
def test_an_unknown_keyword_is_named_and_no_file_is_blamed(kind):
    place = resource(EMBEDDER if kind is WespeakerModel else AUTOENCODER)
    with pytest.raises(ConfigError, match="from_pretrained knows no bogus") as refused:
        kind.from_pretrained(place, bogus=3)
    assert "damaged" not in str(refused.value)


@pytest.mark.parametrize(("keyword", "value"), [("device_map", "nowhere"), ("dtype", "float17"), ("key_mapping", 3)])
def test_a_keyword_that_cannot_be_followed_is_named_beside_the_files(keyword, value):
    with pytest.raises(UserError, match=rf"{keyword}={value!r} cannot be followed, or its config\.json or its w"):
        BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER), **{keyword: value})


def test_flash_attention_is_no_damage():
    with pytest.raises(ConfigError, match="with attn_implementation: it has no attention"):
        BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER), attn_implementation="flash_attention_2")


def test_autoencoder_refuses_embeddings_of_another_shape(autoencoder):
    for shape in ((3, 5), (8,), (3, 8, 8)):
        for call in (autoencoder, autoencoder.encode):
            with pytest.raises(ValueError, match=r"embeddings of shape .* takes \(batch, 8\)"):
                call(torch.zeros(shape))


def test_scorer_keeps_its_digits_whatever_type_it_is_moved_to():
    scorer = load_scorer(resource(SCORER))
    expected = {name: value.clone() for name, value in scorer.state_dict().items()}
    for moved in (
        scorer.to(torch.bfloat16),
        scorer.float(),
        scorer.half(),
        load_scorer(resource(SCORER), dtype="auto"),
    ):
        for name, value in moved.state_dict().items():
            assert value.dtype == expected[name].dtype and torch.equal(value, expected[name])


def test_training_mode_is_left_as_it_was(autoencoder, embedder, make_corpus):
    autoencoder.train()
    autoencoder.encoder[2].eval()
    before = [module.training for module in autoencoder.modules()]
    with evaluation_mode(autoencoder):
        assert not any(module.training for module in autoencoder.modules())
    assert [module.training for module in autoencoder.modules()] == before

    corpus = make_corpus(3, 4, size=8)
    autoencoder.train()
    in_training = autoencoder.get_binary_attributes(corpus, allow_mismatch=True)
    assert all(module.training for module in autoencoder.modules())
    again = autoencoder.eval().get_binary_attributes(corpus, allow_mismatch=True)
    assert in_training["ba"] == again["ba"]

    embedder.feature_extractor = WespeakerFeatureExtractor(num_mel_bins=16)
    embedder.train().extract_embeddings(resource(SAMPLE_CORPUS) / "espeak17")
    assert all(module.training for module in embedder.modules())


def test_pipelines_leave_the_training_mode_as_it_was(tiny_embedder, tmp_path):
    from transformers import pipeline

    voice = resource(SAMPLE_CORPUS) / "espeak17/espeak17-01.opus"
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    expected = pipeline("binary-attributes", tiny_embedder, autoencoder=autoencoder)(voice)
    tiny_embedder.save_pretrained(tmp_path / "embedder")
    embedder = AutoModel.from_pretrained(tmp_path / "embedder").train()
    found = pipeline("binary-attributes", embedder, autoencoder=autoencoder.train())(voice)
    assert all(module.training for model in (embedder, autoencoder) for module in model.modules())
    assert found["ba"] == expected["ba"]
