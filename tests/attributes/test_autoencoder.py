import os

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from balr_hf import BinaryAttributeAutoEncoder, BinaryAttributeAutoEncoderConfig
from balr_hf.errors import UserError


@pytest.fixture(scope="module")
def recorded(golden):
    return load_file(golden / "autoencoder.safetensors")


@pytest.fixture
def model(recorded):
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(32, 48)).eval()
    model.load_state_dict({n.removeprefix("weights."): w for n, w in recorded.items() if n.startswith("weights.")})
    return model


def test_outputs_equal_balrs(model, recorded):
    output = model(recorded["input"])
    torch.testing.assert_close(output.latent, recorded["latent"], atol=1e-6, rtol=0)
    torch.testing.assert_close(output.reconstruction, recorded["reconstruction"], atol=1e-6, rtol=0)
    assert torch.equal(output.binary, recorded["binary"])
    assert output.loss == torch.nn.functional.mse_loss(output.reconstruction, recorded["input"])
    assert torch.equal(model.encode(recorded["input"]), recorded["binary"].bool())


def test_gradients_equal_balrs(model, recorded, golden):
    expected = load_file(golden / "autoencoder_grads.safetensors")
    embeddings = recorded["input"].clone().requires_grad_()
    torch.nn.functional.mse_loss(model(embeddings).reconstruction, recorded["input"]).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[f"grad.{name}"], atol=1e-6, rtol=0)
    torch.testing.assert_close(embeddings.grad, expected["input_grad"], atol=1e-6, rtol=0)


def test_straight_through_gradient_is_clipped(model):
    latent = torch.zeros(3, requires_grad=True)
    from balr_hf.attributes.modeling_autoencoder import StraightThroughBinarization

    (StraightThroughBinarization.apply(latent) * torch.tensor([5.0, -5.0, 0.25])).sum().backward()
    assert latent.grad.tolist() == [1.0, -1.0, 0.25]


def test_balrs_checkpoint_is_read(model, golden):
    loaded = BinaryAttributeAutoEncoder.from_upstream(golden / "upstream_autoencoder.pt")
    assert (loaded.config.input_dim, loaded.config.internal_dim) == (32, 48)
    assert all(torch.equal(loaded.state_dict()[name], weight) for name, weight in model.state_dict().items())


@pytest.mark.skipif("BALR_BAE_MSE" not in os.environ, reason="BALR_BAE_MSE does not name BALR 2.0's BAE_mse.pt")
def test_published_checkpoint_gives_its_recorded_outputs(golden):
    loaded = BinaryAttributeAutoEncoder.from_upstream(os.environ["BALR_BAE_MSE"])
    recorded = load_file(golden / "bae_mse_outputs.safetensors")
    output = loaded(recorded["input"])
    assert torch.equal(output.binary, recorded["binary"])
    torch.testing.assert_close(output.latent, recorded["latent"], atol=1e-5, rtol=0)
    torch.testing.assert_close(output.reconstruction, recorded["reconstruction"], atol=1e-5, rtol=0)


def test_saving_and_loading_keeps_every_bit(model, tmp_path, recorded):
    model.save_pretrained(tmp_path)
    for loaded in (BinaryAttributeAutoEncoder.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is BinaryAttributeAutoEncoder
        assert torch.equal(loaded.eval()(recorded["input"]).latent, model(recorded["input"]).latent)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"something": torch.zeros(2)}, r"no weight matrix encoder\.0\.weight"),
        ({"encoder.0.weight": torch.zeros(4, 2)}, "is not an autoencoder of BALR"),
        ([1, 2], "not a state dict"),
    ],
)
def test_checkpoint_of_something_else_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(UserError, match=message):
        BinaryAttributeAutoEncoder.from_upstream(tmp_path / "model.pt")


def test_checkpoint_that_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint at .*nothing\.pt"):
        BinaryAttributeAutoEncoder.from_upstream(tmp_path / "nothing.pt")


@pytest.mark.parametrize(("name", "value"), [("encoder.0.weight", float("nan")), ("encoder.2.running_var", -1.0)])
@pytest.mark.parametrize("kind", ["folder", "file of BALR"])
def test_weights_that_give_nonsense_are_not_loaded(kind, name, value, tmp_path):
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=4, internal_dim=8))
    model.state_dict()[name].flatten()[0] = value
    model.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    with pytest.raises(UserError, match=f"is damaged: 1 of the .* values of {name} are"):
        if kind == "folder":
            BinaryAttributeAutoEncoder.from_pretrained(tmp_path)
        else:
            BinaryAttributeAutoEncoder.from_upstream(tmp_path / "model.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_embeddings_that_are_not_numbers_have_no_attributes(model, value):
    embeddings = torch.ones(3, 32)
    assert model.encode(embeddings).shape == (3, 48)
    embeddings[1, 2] = value
    with pytest.raises(ValueError, match="not finite"):
        model.encode(embeddings)


@pytest.mark.parametrize("attributes", [32, 40, 48])
def test_hyperplanes_differ_as_the_angle_does(attributes):
    """The share of the attributes that differ is the angle from the mean over 180 degrees, whatever is in between."""
    rng = torch.Generator().manual_seed(0)
    center = torch.randn(16, generator=rng)
    embeddings = center + torch.randn(300, 16, generator=rng) * torch.linspace(0.1, 3, 16)
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=16, internal_dim=attributes)).eval()
    shares = []
    for seed in range(40):
        model.set_hyperplanes(embeddings, seed)
        bits = model.encode(embeddings)
        shares.append((bits[:150] != bits[150:]).float().mean(1))
    apart = embeddings - embeddings.mean(0)
    angles = torch.arccos(torch.cosine_similarity(apart[:150], apart[150:])) / torch.pi
    assert (torch.stack(shares).mean(0) - angles).abs().max() < 0.05
    assert torch.corrcoef(torch.stack([torch.stack(shares).mean(0), angles]))[0, 1] > 0.97
    assert model.encode(embeddings).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_hyperplanes_in_groups_are_orthogonal_and_of_their_seed_alone():
    embeddings = torch.randn(50, 8)
    config = BinaryAttributeAutoEncoderConfig(input_dim=8, internal_dim=20)
    models = [BinaryAttributeAutoEncoder(config).eval() for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        model.set_hyperplanes(embeddings, seed)
    one, again, other = (model.encoder.state_dict() for model in models)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["3.weight"], other["3.weight"])
    directions = one["3.weight"][:, :8]
    for group in (directions[:8], directions[8:16], directions[16:]):
        gram = group @ group.T
        assert torch.allclose(gram, torch.eye(len(group)) * gram[0, 0], atol=1e-5)
    far = torch.full((1, 8), 1e4)
    assert torch.equal(models[0].encode(far), (far - embeddings.mean(0)) @ directions.T > 0)


def test_rarer_attributes_are_cones_of_the_share_that_was_asked_for():
    """How long an embedding is does not count, and fewer attributes differ than of half-spaces."""
    rng = torch.Generator().manual_seed(0)
    embeddings = 2.0 + torch.randn(1000, 16, generator=rng) * torch.linspace(0.5, 2, 16)
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=16, internal_dim=48)).eval()
    model.set_hyperplanes(embeddings, seed=3)
    halves = model.encode(embeddings)
    model.set_hyperplanes(embeddings, seed=3, activation=0.2)
    bits = model.encode(embeddings)
    assert torch.allclose(bits.float().mean(0), torch.full((48,), 0.2), atol=0.0015)
    assert (halves | ~bits).float().mean() > 0.99  # a cone lies on the active side of its hyperplane
    mean = embeddings.mean(0)
    assert (model.encode(mean + 0.1 * (embeddings - mean)) != bits).float().mean() < 1e-3
    noisy = embeddings + 0.3 * torch.randn(1000, 16, generator=rng)
    flipped = (model.encode(noisy) != bits).float().mean()
    model.set_hyperplanes(embeddings, seed=3)
    assert flipped < 0.85 * (model.encode(noisy) != halves).float().mean()


def test_rarer_attributes_are_found_among_more_recordings_than_torch_takes_quantiles_of():
    """Half a million: torch 2.6 takes quantiles of 2^24 values at most, and attributes go by 32."""
    embeddings = torch.randn(2**19 + 1, 4, generator=torch.Generator().manual_seed(0))
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=4, internal_dim=33)).eval()
    model.set_hyperplanes(embeddings, activation=0.1)
    assert torch.allclose(model.encode(embeddings).float().mean(0), torch.full((33,), 0.1), atol=1e-5)


def test_hyperplanes_that_cannot_be_are_refused():
    config = BinaryAttributeAutoEncoderConfig(input_dim=8, internal_dim=16)
    with pytest.raises(ValueError, match="all alike, or not finite"):
        BinaryAttributeAutoEncoder(config).set_hyperplanes(torch.ones(5, 8))
    with pytest.raises(ValueError, match="15 attributes of embeddings of 8 values: expected at least 16"):
        BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(8, 15)).set_hyperplanes(torch.randn(5, 8))
    with pytest.raises(ValueError, match="this autoencoder takes"):
        BinaryAttributeAutoEncoder(config).set_hyperplanes(torch.randn(5, 9))
    for share in (0.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match=r"expected a share above 0 and below 0\.5"):
            BinaryAttributeAutoEncoder(config).set_hyperplanes(torch.randn(5, 8), activation=share)
