import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

import balr_hf
from balr_hf import (
    ArcFaceLoss,
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    ConsistencyLoss,
    DecorrelationLoss,
    MSELoss,
    SparsityLoss,
    TripletMarginLoss,
)
from balr_hf.class_paths import keywords_of
from balr_hf.errors import ConfigError
from balr_hf.training.arguments import LOSS_ARGUMENTS, ArcFaceLossArguments
from balr_hf.training.losses import LOSSES, AutoEncoderLoss, build_losses


@pytest.fixture(scope="module")
def recorded(golden):
    return load_file(golden / "losses.safetensors"), json.loads((golden / "losses.json").read_text())


@pytest.fixture(scope="module")
def batch(recorded):
    tensors, _ = recorded
    return tuple(tensors[name] for name in ("input", "labels", "binary", "reconstruction", "latent"))


def test_mse_equals_balrs(batch, recorded):
    assert MSELoss()(*batch).item() == pytest.approx(recorded[1]["mse"], rel=1e-5)


@pytest.mark.parametrize("kind", ["all", "hard", "semihard", "easy"])
def test_triplet_margin_equals_balrs(batch, recorded, kind):
    loss = TripletMarginLoss(margin=0.3, type_of_triplets=kind)(*batch)
    assert loss.item() == pytest.approx(recorded[1][f"triplet_margin_0.3_{kind}"], rel=1e-5)


def test_arcface_equals_balrs(batch, recorded):
    loss = ArcFaceLoss(margin=0.3)
    loss.setup(nb_train_classes=6, internal_dim=48)
    loss.criterion.W.data = recorded[0]["arcface_weight"]
    assert loss(*batch).item() == pytest.approx(recorded[1]["arcface_margin_0.3_all"], rel=1e-5)


def sparsity(recorded):
    loss = SparsityLoss()
    loss.setup(M_samples_per_class=4, internal_dim=48)
    loss.target = recorded[0]["sparsity_target"].float()
    return loss


def test_sparsity_equals_balrs(batch, recorded):
    assert sparsity(recorded)(*batch).item() == pytest.approx(recorded[1]["sparsity"], rel=1e-5)


def test_sparsity_does_not_depend_on_the_order_of_the_batch(batch, recorded):
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    shuffled = tuple(tensor[order] for tensor in batch)
    assert sparsity(recorded)(*shuffled).item() == pytest.approx(recorded[1]["sparsity"], rel=1e-5)


def test_sparsitys_gradient_reaches_the_encoder(batch, recorded):
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(32, 48))
    output = model(batch[0])
    sparsity(recorded)(batch[0], batch[1], output.binary, output.reconstruction, output.latent).backward()
    assert model.encoder[0].weight.grad.abs().sum() > 0
    assert model.decoder[0].weight.grad is None


def test_sparsity_needs_whole_groups(batch, recorded):
    labels = batch[1].clone()
    labels[0] = 5
    with pytest.raises(ValueError, match="multiple of M_samples_per_class=4"):
        sparsity(recorded)(batch[0], labels, *batch[2:])


def test_arcface_owns_weights_for_the_optimizer():
    loss = ArcFaceLoss()
    assert not list(loss.parameters())
    loss.setup(nb_train_classes=6, internal_dim=48)
    assert [tuple(p.shape) for p in loss.parameters()] == [(48, 6)]


@pytest.mark.parametrize("cls", [ArcFaceLoss, SparsityLoss])
def test_loss_that_was_not_set_up_says_so(cls, batch):
    with pytest.raises(RuntimeError, match="call setup"):
        cls()(*batch)


def of_latent(loss, latent, **more):
    """The loss of these latent values; it looks at no embeddings and no speakers."""
    nothing = torch.zeros(len(latent), 2)
    return loss(nothing, torch.zeros(len(latent), dtype=torch.long), (latent > 0).float(), nothing, latent, **more)


def test_consistency_looks_at_the_pairs_of_one_original_only():
    latent = torch.tensor([[0.9, 0.2], [0.9, -0.2], [-0.9, 0.9], [0.9, 0.9], [-0.9, -0.9]])
    originals = torch.tensor([3, 3, -1, 8, -1])  # rows 2 and 4 have no copies, though their number is the same
    loss = of_latent(ConsistencyLoss(margin=0.5), latent, originals=originals)
    assert loss.item() == pytest.approx((0 + 0.54) / 2)
    three = of_latent(ConsistencyLoss(margin=0.5), latent[:3], originals=torch.tensor([1, 1, 1]))
    assert three.item() == pytest.approx((0 + 0.54 + 1.31 + 0.32 + 1.31 + 0.68) / 6)
    assert of_latent(ConsistencyLoss(), latent, originals=torch.full((5,), -1)).item() == 0


def test_consistency_draws_the_two_sides_of_a_flipped_attribute_to_one_side():
    latent = torch.tensor([[0.5], [-0.1]], requires_grad=True)
    of_latent(ConsistencyLoss(), latent, originals=torch.tensor([0, 0])).backward()
    assert latent.grad[1] < 0  # a step downhill makes the nearer side of the threshold positive
    assert latent.grad[0].abs() < latent.grad[1].abs()


def test_consistency_without_originals_or_with_an_impossible_margin_says_so():
    with pytest.raises(ConfigError, match="needs originals"):
        of_latent(ConsistencyLoss(), torch.zeros(2, 2))
    with pytest.raises(ConfigError, match=r"margin=1: expected a value above 0 and below 1"):
        ConsistencyLoss(margin=1)


def test_decorrelation_is_the_mean_squared_correlation_of_different_attributes():
    latent = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    correlation = torch.corrcoef((latent > 0).float().T)
    expected = correlation[~torch.eye(6, dtype=torch.bool)].square().mean()
    assert of_latent(DecorrelationLoss(), latent).item() == pytest.approx(expected.item(), rel=1e-5)


def test_decorrelation_takes_constant_attributes_for_uncorrelated_and_opposite_ones_for_repeated():
    one = torch.tensor([1.0, -1, 1, -1])
    assert of_latent(DecorrelationLoss(), torch.stack([one, -one], 1)).item() == pytest.approx(1)
    assert of_latent(DecorrelationLoss(), torch.stack([one, torch.ones(4)], 1)).item() == 0
    assert of_latent(DecorrelationLoss(), one[:, None]).item() == 0  # one attribute repeats nothing


def test_decorrelations_gradient_reaches_the_encoder_and_stays_finite():
    model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(8, 12))
    embeddings = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    output = model(embeddings)
    output.binary.retain_grad()
    labels = torch.zeros(16, dtype=torch.long)
    DecorrelationLoss()(embeddings, labels, output.binary, output.reconstruction, output.latent).backward()
    assert output.binary.grad.isfinite().all()
    assert model.encoder[0].weight.grad.abs().sum() > 0


@pytest.fixture(scope="module")
def trained():
    """Trains an autoencoder, and gives the attributes of recordings and of their noisy copies."""

    def train(**weights):
        generator = torch.Generator().manual_seed(0)
        originals = torch.arange(64).repeat(2)
        embeddings = torch.randn(64, 16, generator=generator).repeat(2, 1)
        embeddings[64:] += 0.5 * torch.randn(64, 16, generator=generator)
        torch.manual_seed(0)
        model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(16, 48)).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = [cls(weight) for cls, weight in ((MSELoss, 1.0), (DecorrelationLoss, weights.get("decorrelation")))]
        losses = [loss for loss in losses if loss.weight]
        consistency = ConsistencyLoss(weight=weights.get("consistency", 0.0))
        for _ in range(150):
            output = model(embeddings)
            tensors = embeddings, originals, output.binary, output.reconstruction, output.latent
            total = sum(loss.weight * loss(*tensors) for loss in losses)
            total = total + consistency.weight * consistency(*tensors, originals=originals)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        return model.eval().encode(embeddings).float()

    return train


def test_consistency_makes_recordings_and_copies_agree(trained):
    plain, consistent = trained(), trained(consistency=3.0)
    flipped = [(bits[:64] != bits[64:]).float().mean() for bits in (plain, consistent)]
    assert flipped[1] < 0.7 * flipped[0]


def test_decorrelation_makes_attributes_repeat_each_other_less(trained):
    repeated = [of_latent(DecorrelationLoss(), 2 * bits - 1) for bits in (trained(), trained(decorrelation=100.0))]
    assert repeated[1] < 0.8 * repeated[0]


def test_losses_are_built_by_name():
    losses = build_losses({"mse": None, "arcface": ArcFaceLossArguments(margin=0.5, weight=1.0)})
    assert [(loss.name, loss.weight) for loss in losses] == [("mse", 1.0), ("arcface", 1.0)]
    assert losses[1].miner.margin == 0.5
    assert set(LOSSES) == {"mse", "triplet", "arcface", "sparsity", "consistency", "decorrelation"}


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="unknown loss 'mee': expected mse, triplet, arcface, sparsity, consistency"):
        build_losses({"mee": None})
    with pytest.raises(ConfigError, match="type_of_triplets='some': expected all"):
        TripletMarginLoss(type_of_triplets="some")


@pytest.mark.parametrize(
    ("margin", "kind", "wrong"),
    [
        (-3.0, "all", "triplet: margin=-3.0: expected a gap between two distances, 0 or more"),
        (float("nan"), "all", "triplet: margin=nan: expected a gap"),
        (0.0, "semihard", "triplet: margin=0: no triplet is semihard with it; expected more than 0"),
        (1.5, "easy", "triplet: margin=1.5: no triplet is easy with it; expected less than 1.414"),
    ],
)
def test_margins_with_which_no_triplet_is_ever_found_are_refused(margin, kind, wrong):
    with pytest.raises(ConfigError, match=wrong):
        TripletMarginLoss(margin, kind)
    TripletMarginLoss(margin=0.0, type_of_triplets="hard")
    TripletMarginLoss(margin=1.5)


def test_a_loss_of_the_user_is_built_by_its_path_with_its_settings(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_losses.py").write_text(
        "from balr_hf.training.losses import AutoEncoderLoss\n"
        "class MyLoss(AutoEncoderLoss):\n"
        "    def __init__(self, strength, weight=1.0):\n"
        "        super().__init__(weight)\n"
        "        self.strength = strength\n"
    )
    mse, mine = build_losses({"mse": {"weight": 2.0}, "my_losses.MyLoss": {"strength": 3}})
    assert (mse.weight, mine.strength, mine.weight, mine.name) == (2.0, 3, 1.0, "MyLoss")
    for name, settings, wrong in (
        ("my_losses.MyLoss", {"power": 3}, "loss my_losses.MyLoss has no setting power: expected strength, weight"),
        ("my_losses.MyLoss", None, "loss my_losses.MyLoss needs a value for strength"),
        ("my_losses.Other", None, "the module my_losses has no class Other"),
        ("torch.nn.MSELoss", None, "torch.nn.MSELoss cannot be a loss: it is not a subclass of balr_hf"),
        ("mse", {"margin": 1}, "the loss mse has no setting margin: expected weight"),
    ):
        with pytest.raises(ConfigError, match=wrong):
            build_losses({name: settings})


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_the_package_is_known_wherever_one_is_listed(name):
    """One that is missing in a list has no settings on the command line, or does not tell them in `run.json`."""
    loss, arguments = LOSSES[name], LOSS_ARGUMENTS.get(name)
    assert loss.name == name and list(LOSS_ARGUMENTS) == list(LOSSES), "training/arguments.py"
    settings = {key: parameter.default for key, parameter in keywords_of(loss, AutoEncoderLoss).items()}
    assert {field.name: field.default for field in dataclasses.fields(arguments)} == settings, "training/arguments.py"
    assert loss().get_config_dict() == settings, "get_config_dict"
    assert getattr(balr_hf, loss.__name__) is loss, "__init__.py and __init__.pyi"


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_made_again_from_what_it_tells(name):
    loss = LOSSES[name](**{**LOSSES[name]().get_config_dict(), "weight": 0.5})
    assert loss.get_config_dict() == {**LOSSES[name]().get_config_dict(), "weight": 0.5}
    (again,) = build_losses({name: loss.get_config_dict()})
    assert again.get_config_dict() == loss.get_config_dict()
