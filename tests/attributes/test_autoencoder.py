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
