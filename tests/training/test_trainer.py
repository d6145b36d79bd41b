import json
import math
import pickle
import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file

from balr_hf import (
    ArcFaceLoss,
    BinaryAttributeAutoEncoder,
    BinaryAttributeEncoderTrainer,
    ConsistencyLoss,
    DecorrelationLoss,
    MSELoss,
    SparsityLoss,
    TripletMarginLoss,
    files,
)
from balr_hf.errors import ConfigError, UserError
from balr_hf.training import graphed_step
from balr_hf.training.arguments import DataArguments
from balr_hf.training.losses import AutoEncoderLoss
from balr_hf.training.speaker_embeddings import SpeakerEmbeddings

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


def all_losses():
    return [MSELoss(), TripletMarginLoss(), ArcFaceLoss(), SparsityLoss()]


def make(sets, folder, losses=None, **options):
    options = {"epochs": 4, "val_period": 2, "input_dim": 16, "internal_dim": 24, "log_with": "none", **options}
    data = options.pop("data", DataArguments(batch_size=32, N_classes_per_batch=8, M_samples_per_class=4))
    return BinaryAttributeEncoderTrainer(*sets, data, losses or [MSELoss()], save_dir=folder, **options)


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_training_lowers_the_loss_and_returns_the_best_model(sets, tmp_path):
    trainer = make(sets, tmp_path / "run", epochs=60, val_period=10, learning_rate=0.005)
    model = trainer.train()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    train = [row["train/loss"] for row in history if "train/loss" in row]
    validation = {row["epoch"]: row["val/loss"] for row in history if "val/loss" in row}
    assert train[-1] < 0.5 * train[0]
    assert list(validation) == [10, 20, 30, 40, 50, 60]
    assert trainer.best_loss == min(validation.values())
    assert isinstance(model, BinaryAttributeAutoEncoder)
    assert not model.training
    assert same(model.state_dict(), weights(tmp_path / "run" / "best"))


class ScriptedInValidation(MSELoss):
    """A loss that is what a script says, in one validation after the other, and the mean squared error in training."""

    def __init__(self, script):
        super().__init__()
        self.script = list(script)
        self.validations, self.was_training = -1, True

    def forward(self, *tensors):
        is_training = torch.is_grad_enabled()
        self.validations += self.was_training and not is_training
        self.was_training = is_training
        loss = super().forward(*tensors)
        return loss if is_training else torch.full_like(loss, self.script[self.validations])


def test_best_is_the_model_of_the_lowest_validation_loss(sets, tmp_path):
    make(sets, tmp_path / "run", [ScriptedInValidation([3.0, 1.0, 2.0])], epochs=6, save_period=2).train()
    assert same(weights(tmp_path / "run" / "best"), weights(tmp_path / "run" / "epoch4"))
    assert same(weights(tmp_path / "run" / "last"), weights(tmp_path / "run" / "epoch6"))


@pytest.mark.parametrize("interrupted_at", [2, 4])
def test_resumed_run_ends_with_the_same_bits(sets, tmp_path, interrupted_at):
    make(sets, tmp_path / "whole", all_losses(), epochs=6).train()
    make(sets, tmp_path / "parts", all_losses(), epochs=interrupted_at).train()
    torch.manual_seed(99)
    make(sets, None, all_losses(), epochs=6, resume_from=tmp_path / "parts").train()
    assert make(sets, None, all_losses(), epochs=None, resume_from=tmp_path / "parts").epochs == 6
    assert same(weights(tmp_path / "whole" / "last"), weights(tmp_path / "parts" / "last"))
    assert same(weights(tmp_path / "whole" / "best"), weights(tmp_path / "parts" / "best"))
    whole, parts = (json.loads((tmp_path / run / "history.json").read_text()) for run in ("whole", "parts"))
    assert [row for row in whole if "val/loss" in row] == [row for row in parts if "val/loss" in row]


def test_same_seed_gives_the_same_bits_and_another_seed_others(sets, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make(sets, tmp_path / name, all_losses(), epochs=2, seed=seed).train()
    assert same(weights(tmp_path / "a" / "last"), weights(tmp_path / "b" / "last"))
    assert not same(weights(tmp_path / "a" / "last"), weights(tmp_path / "c" / "last"))


def test_a_run_that_was_killed_after_its_last_epoch_ends_as_it_would_have(sets, tmp_path, caplog):
    best = make(sets, tmp_path / "run", epochs=2).train()
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.safetensors")}
    resumed = make(sets, None, epochs=2, resume_from=tmp_path / "run")
    with caplog.at_level("INFO", "balr_hf"):
        assert same(resumed.train().state_dict(), best.state_dict())
    assert "has all 2 epochs already" in caplog.text
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.safetensors")}


def test_resuming_with_other_settings_is_refused(sets, tmp_path):
    make(sets, tmp_path / "run", epochs=2).train()
    with pytest.raises(UserError, match=r"other settings: learning_rate was 0\.001, now 0\.01"):
        make(sets, None, epochs=4, learning_rate=0.01, resume_from=tmp_path / "run")
    with pytest.raises(UserError, match="2 epochs already: ask for more"):
        make(sets, None, epochs=1, resume_from=tmp_path / "run")
    with pytest.raises(UserError, match="not a run that can be resumed"):
        make(sets, None, resume_from=tmp_path)


def test_a_run_of_an_earlier_version_which_noted_settings_without_effect_is_resumed(sets, tmp_path):
    make(sets, tmp_path / "run", epochs=2).train()
    noted = tmp_path / "run" / "run.json"
    settings = json.loads(noted.read_text())
    noted.write_text(json.dumps({**settings, "data": {**settings["data"], "num_workers": 4}}))
    assert make(sets, None, epochs=4, resume_from=tmp_path / "run").epoch == 2
    noted.write_text(json.dumps({**settings, "data": {**settings["data"], "shuffle": False}}))
    with pytest.raises(UserError, match="other settings: data was"):
        make(sets, None, epochs=4, resume_from=tmp_path / "run")


def test_resuming_with_another_corpus_of_the_same_size_is_refused(sets, make_corpus, tmp_path):
    make(sets, tmp_path / "run", epochs=2).train()
    others = make_corpus(20, 6, seed=9, name="t"), sets[1]
    with pytest.raises(UserError, match="training_set was"):
        make(others, None, epochs=4, resume_from=tmp_path / "run")


class Hostile:
    """A pickle of this makes a file when it is read."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return Path.touch, (self.proof,)


def test_resuming_executes_nothing_wherever_a_pickle_is_planted(sets, tmp_path):
    run, proof = tmp_path / "run", tmp_path / "executed"
    make(sets, run, [MSELoss(), ArcFaceLoss()], epochs=1).train()
    hostile = pickle.dumps(Hostile(proof))
    accelerates = ("optimizer.bin", "random_states_0.pkl", "custom_checkpoint_0.pkl", "scaler.pt", "sampler.bin")
    files = [path for path in run.rglob("*") if path.is_file() and path.name != "history.json"]
    assert len([path for path in files if path.parent.name == "state"]) == 5
    for target in [*files, *(run / "state" / name for name in (*accelerates, "pytorch_model.bin"))]:
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        planted = copy / target.relative_to(run)
        planted.write_bytes(hostile)
        torch.save(Hostile(proof), copy / "state" / "scheduler.bin")
        try:
            make(sets, None, [MSELoss(), ArcFaceLoss()], epochs=2, resume_from=copy).train()
        except UserError as error:
            assert planted.name in str(error)
        shutil.rmtree(copy)
    assert not proof.exists()
    pickle.loads(hostile)
    assert proof.exists(), "the pickle would have shown that it was read"


def test_a_state_of_pickles_is_refused(sets, tmp_path):
    make(sets, tmp_path / "run", epochs=1).train()
    for path in (tmp_path / "run" / "state").glob("[or]*.safetensors"):
        path.rename(path.with_suffix(".bin"))
    with pytest.raises(UserError, match="earlier version of balr_hf as pickles, which can execute any code"):
        make(sets, None, epochs=2, resume_from=tmp_path / "run")


def test_a_damaged_state_is_one_clear_error(sets, tmp_path):
    run = tmp_path / "run"
    make(sets, run, [MSELoss(), ArcFaceLoss()], epochs=1).train()
    for path in [*(run / "state").iterdir(), run / "run.json"]:
        whole = path.read_bytes()
        for damaged in (b"", whole[:-3], whole[: len(whole) // 2], b"[1]", b"\xff\xfe", None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            with pytest.raises(UserError, match=r"damaged|no state|other settings"):
                make(sets, None, [MSELoss(), ArcFaceLoss()], epochs=2, resume_from=run)
            path.write_bytes(whole)
    make(sets, None, [MSELoss(), ArcFaceLoss()], epochs=2, resume_from=run).train()


def test_moments_of_another_shape_or_not_finite_are_refused(sets, tmp_path):
    run = tmp_path / "run"
    make(sets, run, epochs=1).train()
    path = run / "state" / "optimizer.safetensors"
    whole = load_file(path)
    for changed, wrong in (
        ({"0.exp_avg": torch.zeros(3)}, "another shape"),
        ({"99.step": torch.zeros(())}, "unknown"),
        ({"0.exp_avg": torch.full_like(whole["0.exp_avg"], torch.nan)}, "not finite"),
    ):
        save_file(whole | changed, path)
        with pytest.raises(UserError, match=wrong):
            make(sets, None, epochs=2, resume_from=run)


@pytest.mark.parametrize("left", [".state.tmp", f".state.{files._HOST}.99999999.01234567.old/state"])
def test_state_is_found_after_a_kill_while_it_was_replaced(sets, tmp_path, left):
    make(sets, tmp_path / "whole", epochs=4).train()
    make(sets, tmp_path / "run", epochs=2).train()
    (tmp_path / "run" / left).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / "state").rename(tmp_path / "run" / left)
    make(sets, None, epochs=4, resume_from=tmp_path / "run").train()
    assert same(weights(tmp_path / "whole" / "last"), weights(tmp_path / "run" / "last"))


def stopped_in(epoch, trainer):
    """Train until the process is killed in this epoch, the first being 0."""
    run_epoch = trainer._run_epoch

    def killed(number):
        if number == epoch:
            raise KeyboardInterrupt
        return run_epoch(number)

    trainer._run_epoch = killed
    with pytest.raises(KeyboardInterrupt):
        trainer.train()


def test_an_earlier_run_stays_until_training_starts_and_then_leaves_nothing(sets, tmp_path):
    folder = tmp_path / "run"
    make(sets, folder, epochs=2, save_period=1).train()
    (folder / "notes.txt").write_text("mine")
    earlier = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    trainer = make(sets, folder, epochs=1, val_period=0, exist_ok=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == earlier
    assert trainer.save_dir is None
    stopped_in(0, trainer)
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "run.json"]


@pytest.mark.parametrize(
    ("option", "value", "wrong"),
    [
        ("epochs", 0, "bad value 0 for epochs: expected at least 1"),
        ("epochs", 1.5, "bad value 1.5 for epochs: expected a whole number"),
        ("epochs", "3", "bad value '3' for epochs: expected a whole number"),
        ("gradient_accumulation_steps", 0, "bad value 0 for gradient_accumulation_steps: expected at least 1"),
        ("learning_rate", -1.0, "bad value -1.0 for learning_rate: expected more than 0"),
        ("learning_rate", 0.0, "bad value 0.0 for learning_rate: expected more than 0"),
        ("learning_rate", float("inf"), "bad value inf for learning_rate: expected a finite number"),
        ("log_period", -1, "bad value -1 for log_period: expected at least 0"),
        ("val_period", -1, "bad value -1 for val_period: expected at least 0"),
        ("save_period", -1, "bad value -1 for save_period: expected at least 0"),
        ("state_period", 0, "bad value 0 for state_period: expected at least 1"),
        ("seed", -1, "bad value -1 for seed: expected at least 0"),
        ("seed", 2**32, "bad value 4294967296 for seed: expected at most 4294967295"),
        ("cuda_graph", "no", "bad value 'no' for cuda_graph: expected True or False"),
    ],
)
def test_settings_out_of_range_are_refused_before_an_earlier_run_is_removed(sets, tmp_path, option, value, wrong):
    folder = tmp_path / "run"
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=re.escape(wrong)):
        make(sets, folder, exist_ok=True, **{option: value}).train()
    assert (folder / "best" / "config.json").exists()


def test_hyperplanes_are_kept_while_the_decoder_learns(sets, tmp_path):
    options = {"encoder": "hyperplanes", "internal_dim": 32, "epochs": 40, "val_period": 10, "learning_rate": 0.005}
    trainer = make(sets, tmp_path / "run", **options)
    expected = BinaryAttributeAutoEncoder(trainer.model.config)
    expected.set_hyperplanes(trainer.trainset.embeddings, trainer.seed)
    model = trainer.train()
    for name, value in expected.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value), name
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    losses = [row["val/loss"] for row in history if "val/loss" in row]
    assert losses[-1] < 0.8 * losses[0]
    assert model.config.training["encoder"] == "hyperplanes"
    make(sets, tmp_path / "learned", epochs=1, internal_dim=32).train()
    assert "encoder" not in json.loads((tmp_path / "learned" / "run.json").read_text())
    with pytest.raises(UserError, match="with other settings: encoder was learned, now hyperplanes"):
        make(sets, tmp_path / "learned", resume_from=tmp_path / "learned", **options)
    with pytest.raises(UserError, match="with other settings: encoder was hyperplanes, now learned"):
        make(sets, tmp_path / "run", resume_from=tmp_path / "run", **{**options, "encoder": "learned"})


def test_hyperplanes_are_of_the_share_that_was_asked_for(sets, tmp_path):
    options = {"encoder": "hyperplanes", "internal_dim": 32, "epochs": 1, "activation": 0.25}
    trainer = make(sets, tmp_path / "run", **options)
    model = trainer.train()
    shares = model.encode(trainer.trainset.embeddings).float().mean(0)
    assert (shares - 0.25).abs().max() <= 1 / len(trainer.trainset.embeddings)
    assert model.config.training["activation"] == 0.25
    for before, now in ((0.25, None), (0.25, 0.2)):
        with pytest.raises(UserError, match=f"with other settings: activation was {before}, now {now}"):
            make(sets, tmp_path / "run", resume_from=tmp_path / "run", **{**options, "activation": now})


def test_hyperplanes_need_embeddings_that_differ(make_corpus, tmp_path):
    with pytest.raises(UserError, match="encoder=hyperplanes: the embeddings are all alike"):
        make(
            (make_corpus(1, 1), make_corpus(3, 3)),
            tmp_path / "run",
            data=DataArguments(N_classes_per_batch=1, M_samples_per_class=2),
            encoder="hyperplanes",
            internal_dim=32,
        )


@pytest.mark.parametrize("activation", [None, 0.25])
def test_a_resumed_training_of_hyperplanes_gives_the_same_weights(sets, tmp_path, activation):
    options = {"encoder": "hyperplanes", "internal_dim": 32, "val_period": 1, "activation": activation}
    whole = make(sets, tmp_path / "whole", epochs=4, **options).train()
    make(sets, tmp_path / "parts", epochs=2, **options).train()
    resumed = make(sets, tmp_path / "parts", epochs=4, resume_from=tmp_path / "parts", **options).train()
    assert same(whole.state_dict(), resumed.state_dict())


@pytest.mark.parametrize(
    ("losses", "options", "wrong"),
    [
        ([MSELoss(), TripletMarginLoss()], {}, "the loss triplet would do nothing. Expected trainer.losses=[mse]"),
        ([MSELoss()], {"internal_dim": 31}, "trainer.internal_dim=31: expected at least 32, twice the values"),
        ([MSELoss()], {"encoder": "planes"}, "bad value 'planes' for encoder: expected learned, hyperplanes"),
        ([MSELoss()], {"activation": 0.5}, "bad value 0.5 for activation: expected less than 0.5"),
        ([MSELoss()], {"activation": 0.0}, "bad value 0.0 for activation: expected more than 0"),
        (
            [MSELoss()],
            {"activation": 0.2, "encoder": "learned"},
            "trainer.activation=0.2 with learned attributes would",
        ),
    ],
)
def test_hyperplanes_refuse_what_would_do_nothing(sets, tmp_path, losses, options, wrong):
    with pytest.raises(ConfigError, match=re.escape(wrong)):
        make(sets, tmp_path / "run", losses, **{"encoder": "hyperplanes", "internal_dim": 32, **options})


def test_settings_may_be_numbers_of_numpy(sets, tmp_path):
    numbers = {"epochs": np.int64(1), "seed": np.int32(5), "learning_rate": np.float32(0.5)}
    make(sets, tmp_path / "run", **numbers).train()
    known = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {name: known[name] for name in numbers} == {"epochs": 1, "seed": 5, "learning_rate": 0.5}


def test_a_resumed_run_goes_on_in_its_own_folder_only(sets, tmp_path, monkeypatch):
    make(sets, tmp_path / "run", epochs=2).train()
    with pytest.raises(ConfigError, match=r"save_dir=.*other \(--save-dir\) is not the folder of the run to resume"):
        make(sets, tmp_path / "other", epochs=3, resume_from=tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert make(sets, "run", epochs=3, resume_from=tmp_path / "run").epoch == 2


def test_a_trainer_that_is_not_used_or_fails_makes_no_folder(sets, tmp_path):
    make(sets, tmp_path / "run")
    with pytest.raises(ConfigError, match="Invalid batch_size"):
        make(sets, tmp_path / "run", data=DataArguments(batch_size=7))
    with pytest.raises(ConfigError, match="each loss may be there once"):
        make(sets, tmp_path / "run", [MSELoss(), MSELoss()])
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="no model to upload yet"):
        make(sets, tmp_path / "run").push_to_hub("me/run")


@pytest.mark.parametrize(("interrupted_in", "state_period"), [(1, 1), (2, 1), (5, 1), (5, 3), (4, 2)])
def test_a_run_killed_before_its_first_validation_goes_on_from_its_last_state(
    sets, tmp_path, interrupted_in, state_period
):
    options = {"epochs": 6, "val_period": 0, "state_period": state_period}
    make(sets, tmp_path / "whole", all_losses(), **options).train()
    stopped_in(interrupted_in, make(sets, tmp_path / "parts", all_losses(), **options))
    torch.manual_seed(99)
    resumed = make(sets, None, all_losses(), resume_from=tmp_path / "parts", **options)
    assert resumed.epoch == interrupted_in // state_period * state_period
    resumed.train()
    for name in ("last", "best"):
        assert same(weights(tmp_path / "whole" / name), weights(tmp_path / "parts" / name))
    histories = [(tmp_path / run / "history.json").read_text() for run in ("whole", "parts")]
    assert histories[0] == histories[1]


def test_last_is_written_at_every_epoch(sets, tmp_path):
    stopped_in(3, make(sets, tmp_path / "run", epochs=6, val_period=0, save_period=3))
    assert same(weights(tmp_path / "run" / "last"), weights(tmp_path / "run" / "epoch3"))
    assert json.loads((tmp_path / "run" / "last" / "config.json").read_text())["training"]["epoch"] == 3
    assert not (tmp_path / "run" / "best").exists()


def test_run_folders_are_numbered(sets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(3):
        make(sets, None, epochs=1).train()
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["train", "train2", "train3"]
    settings = json.loads((tmp_path / "runs" / "train" / "run.json").read_text())
    assert (settings["training_set"]["recordings"], settings["training_set"]["speakers"]) == (120, 20)
    assert settings["losses"] == {"mse": {"weight": 1.0}}


def test_tensorboard_logs_are_written_by_default(sets, tmp_path):
    trainer = BinaryAttributeEncoderTrainer(
        *sets, DataArguments(), [MSELoss()], input_dim=16, epochs=2, save_dir=tmp_path / "run"
    )
    trainer.train()
    assert list((tmp_path / "run" / "logs").rglob("events.out.tfevents.*"))


def test_gradient_accumulation_takes_fewer_steps(sets, tmp_path):
    make(sets, tmp_path / "a", epochs=1, gradient_accumulation_steps=1).train()
    accumulating = make(sets, tmp_path / "b", epochs=1, gradient_accumulation_steps=3)
    accumulating.train()
    steps = {int(state["step"]) for state in accumulating.optimizer.state.values()}
    assert len(accumulating.train_loader) == 3
    assert steps == {1}
    assert not same(weights(tmp_path / "a" / "last"), weights(tmp_path / "b" / "last"))


def test_precision_and_accumulation_are_the_launchers_unless_told_otherwise(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "2")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    for told, precision, steps in (
        ({}, "bf16", 2),
        ({"gradient_accumulation_steps": 3, "mixed_precision": "no"}, "no", 3),
    ):
        AcceleratorState._reset_state()
        trainer = make(sets, tmp_path / precision, **told)
        assert trainer.settings["mixed_precision"] == trainer.accelerator.mixed_precision == precision
        assert trainer.settings["gradient_accumulation_steps"] == steps
        assert trainer.accelerator.gradient_accumulation_steps == steps
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(ConfigError, match="bad value 'fp8' for mixed_precision: expected no, fp16, bf16"):
        make(sets, tmp_path / "c")


def test_bf16_trains_and_saves_float32(sets, tmp_path):
    make(sets, tmp_path / "run", all_losses(), epochs=2, mixed_precision="bf16").train()
    assert {weight.dtype for name, weight in weights(tmp_path / "run" / "last").items() if "num_b" not in name} == {
        torch.float32
    }


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_a_seed_gives_the_same_model_whatever_torchs_default_type_is(sets, tmp_path, kind):
    expected, default = make(sets, tmp_path / "float32", all_losses()).train(), torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        model = make(sets, tmp_path / "other", all_losses()).train()
        assert torch.get_default_dtype() == kind
    finally:
        torch.set_default_dtype(default)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert same(model.state_dict(), expected.state_dict())


def test_training_needs_no_gradients_to_be_on_outside_it(sets, tmp_path):
    make(sets, tmp_path / "on").train()
    with torch.no_grad():
        make(sets, tmp_path / "off").train()
    assert same(weights(tmp_path / "on" / "last"), weights(tmp_path / "off" / "last"))


def test_graphed_steps_end_with_the_same_bits(sets, tmp_path, monkeypatch):
    """On a CPU, with a stand-in for the capture: what it replays is the step on the tensors that were there."""
    captured, replayed = [], []

    def capture(step):
        captured.append(step)
        result = torch.zeros(2)

        def replay():
            replayed.append(step)
            result.copy_(step())

        return replay, result

    monkeypatch.setattr(graphed_step, "capture", capture)
    monkeypatch.setattr(graphed_step, "run_aside", lambda step, batch: step(*batch))
    plain = DataArguments(batch_size=50, sampler="none")  # 120 rows: two batches of 50 and one of 20
    make(sets, tmp_path / "as_usual", data=plain).train()
    trainer = make(sets, tmp_path / "graphed", data=plain)
    trainer._step = graphed_step.GraphedStep(trainer._step)
    trainer.train()
    assert len(captured) == 1 and len(replayed) == 4 * 2 - 3  # four epochs of two; the first three warm up
    assert same(weights(tmp_path / "graphed" / "last"), weights(tmp_path / "as_usual" / "last"))
    histories = [(tmp_path / run / "history.json").read_text() for run in ("as_usual", "graphed")]
    assert histories[0] == histories[1]


def test_settings_of_batches_that_are_not_used_are_not_recorded(sets, tmp_path):
    plain, in_groups = {"batch_size", "shuffle", "sampler"}, {"N_classes_per_batch", "M_samples_per_class"}
    none = DataArguments(batch_size=50, sampler="none")
    arcface, sparsity = ArcFaceLoss(), SparsityLoss()
    for data, losses, names in (
        ({}, None, plain | in_groups),
        ({"data": none}, [MSELoss(), arcface], plain),
        ({"data": none}, [MSELoss(), sparsity], plain | {"M_samples_per_class"}),
    ):
        assert set(make(sets, tmp_path / "run", losses, **data).settings["data"]) == names


def test_a_graph_that_cannot_be_captured_is_refused(sets, tmp_path):
    options = {"cuda_graph": True, "gradient_accumulation_steps": 2, "losses": [MSELoss(), TripletMarginLoss()]}
    lacking = r"a GPU \(device='cuda'\), gradient_accumulation_steps=1, losses that do .* any batch \(not triplet\)"
    with pytest.raises(ConfigError, match=lacking):
        make(sets, tmp_path / "run", **options)


class MeanLatent(AutoEncoderLoss):
    """Of a user."""

    def __init__(self, strength, weight=1.0):
        super().__init__(weight)
        self.strength = strength

    def get_config_dict(self):
        return super().get_config_dict() | {"strength": self.strength}

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        return self.strength * latent.mean().square()


def test_run_tells_how_every_loss_was_set_also_ones_of_the_user(sets, tmp_path):
    make(sets, tmp_path / "run", [*all_losses(), MeanLatent(3)], epochs=1).train()
    mined = {"margin": 0.3, "type_of_triplets": "all"}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["losses"] == {
        "mse": {"weight": 1.0},
        "triplet": {"weight": 1.0, **mined},
        "arcface": {"weight": 0.001, **mined},
        "sparsity": {"weight": 0.0001},
        "MeanLatent": {"class": f"{__name__}.MeanLatent", "weight": 1.0, "strength": 3},
    }
    assert "val/MeanLatent" in json.loads((tmp_path / "run" / "history.json").read_text())[-1]


def test_losses_that_know_the_training_speakers_only_are_validated_by_the_reconstruction(sets, tmp_path, caplog):
    caplog.set_level("INFO")
    trainer = make(sets, tmp_path / "run", [ArcFaceLoss()], epochs=1)
    trainer.train()
    row = json.loads((tmp_path / "run" / "history.json").read_text())[-1]
    assert sorted(row) == ["epoch", "val/constant_attributes", "val/loss"]
    model = BinaryAttributeAutoEncoder.from_pretrained(tmp_path / "run" / "last").eval()
    losses = [model(trainer.valset.embeddings[rows]).loss.item() for rows in trainer.val_sampler]
    assert row["val/loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert "the training speakers only: arcface; validated by the error of the reconstruction" in caplog.text


def test_arcface_weights_are_trained(sets, tmp_path):
    losses = [MSELoss(), ArcFaceLoss(weight=1.0)]
    trainer = make(sets, tmp_path / "run", losses, epochs=1)
    before = losses[1].criterion.W.detach().clone()
    trainer.train()
    assert not torch.equal(before, losses[1].criterion.W)


def test_speakers_who_are_in_both_sets_are_told(make_corpus, tmp_path, caplog):
    train, val = make_corpus(6, 4), make_corpus(3, 4, seed=1)
    shared = "3 speakers are in the training set and in the validation set"
    make((train, val), tmp_path / "run")
    assert shared in caplog.text
    caplog.clear()
    others = val.map(lambda row: {"speaker": f"other {row['speaker']}"})
    make((train, others), tmp_path / "run")
    assert "in the training set and" not in caplog.text


def test_fewer_speakers_than_n_are_used_with_a_warning(make_corpus, tmp_path, caplog):
    sets = make_corpus(20, 6), make_corpus(3, 6, seed=1)
    make(sets, tmp_path / "run", epochs=1).train()
    assert (
        "The validation set has 3 speakers, fewer than data.N_classes_per_batch=8: batches hold 3 x 4" in caplog.text
    )


def test_a_sampler_of_the_user_is_named_by_its_path(sets, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_samplers.py").write_text(
        "from balr_hf.training.samplers import SpeakerBatchSampler\n"
        "class FirstOnes(SpeakerBatchSampler):\n"
        "    def __len__(self):\n"
        "        return 3\n"
        "    def __iter__(self):\n"
        "        for batch in range(3):\n"
        "            yield self.class_starts[:8].tolist()\n"
        "class Single(FirstOnes):\n"
        "    def __iter__(self):\n"
        "        return iter(range(3))\n"
    )
    sizes = {"batch_size": 32, "N_classes_per_batch": 8, "M_samples_per_class": 4}
    trainer = make(sets, tmp_path / "run", data=DataArguments(sampler="my_samplers.FirstOnes", **sizes), epochs=1)
    trainer.train()
    assert list(trainer.train_sampler) == [[0, 6, 12, 18, 24, 30, 36, 42]] * 3
    with pytest.raises(ConfigError, match=r"sampler=my_samplers\.Single yields 0: expected batches, each a list"):
        make(sets, tmp_path / "other", data=DataArguments(sampler="my_samplers.Single", **sizes))


@pytest.mark.parametrize(
    ("data", "size"),
    [({"N_classes_per_batch": 5, "M_samples_per_class": 3}, 15), ({}, 64), ({"sampler": "none"}, 64)],
)
def test_size_of_batches_follows_from_speakers_and_recordings(sets, tmp_path, data, size):
    assert make(sets, tmp_path / "run", data=DataArguments(**data)).settings["data"]["batch_size"] == size


def test_training_without_sampler_uses_plain_batches(sets, tmp_path):
    make(sets, tmp_path / "run", epochs=1, data=DataArguments(batch_size=50, sampler="none")).train()
    assert (tmp_path / "run" / "best" / "config.json").exists()


def test_speaker_with_one_recording_is_used(make_corpus):
    import datasets

    corpus = datasets.concatenate_datasets([make_corpus(3, 4), make_corpus(1, 1, seed=5, name="lonely")])
    found = SpeakerEmbeddings(corpus)
    assert found.labels.bincount().tolist() == [4, 4, 4, 1]
    assert found.speakers[-1] == "lonely0"


@pytest.mark.parametrize("odd", [[0.0] * 16, [float("nan")] * 16])
def test_rows_without_speaker_or_embedding_are_skipped_and_counted(make_corpus, caplog, odd):
    corpus = make_corpus(3, 2)
    feature = corpus.features["embedding"]
    embeddings, speakers = list(corpus["embedding"]), list(corpus["speaker"])
    embeddings[1], speakers[4], embeddings[5] = None, None, odd
    corpus = corpus.remove_columns(["embedding", "speaker"])
    corpus = corpus.add_column("speaker", speakers).add_column("embedding", embeddings, feature=feature)
    found = SpeakerEmbeddings(corpus)
    assert found.labels.tolist() == [0, 1, 1]
    assert found.embeddings[1].tolist() == embeddings[2]
    told = "s1 (no embedding), s4 (no speaker), s5 (the embedding is zero or has values that are not finite)"
    assert f"skipped 3 recordings: {told}" in caplog.text


def test_embeddings_of_another_size_are_refused(sets, tmp_path):
    with pytest.raises(UserError, match=r"16 values, the autoencoder expects 256: set trainer\.input_dim"):
        make(sets, tmp_path / "run", input_dim=256)


def test_loss_that_is_not_finite_stops_the_run(sets, tmp_path):
    with pytest.raises(UserError, match="not finite after epoch"):
        make(sets, tmp_path / "run", learning_rate=1e30, epochs=5).train()


def with_copies(corpus, noise=0.5):
    """Add a noisy copy of each recording, as `balr degrade` names it."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.tensor(corpus["embedding"])
    copies = {
        "id": [f"{name}-copy" for name in corpus["id"]],
        "speaker": corpus["speaker"],
        "embedding": (embeddings + noise * torch.randn(embeddings.shape, generator=generator)).tolist(),
        "source_id": corpus["id"],
    }
    originals = {name: corpus[name] for name in ("id", "speaker", "embedding")} | {"source_id": [None] * len(corpus)}
    return datasets.Dataset.from_dict({name: [*originals[name], *copies[name]] for name in copies})


def test_a_run_with_consistency_is_resumed_with_the_same_bits(sets, tmp_path):
    pair, losses = tuple(map(with_copies, sets)), [MSELoss(), ConsistencyLoss(), DecorrelationLoss()]
    make(pair, tmp_path / "whole", losses).train()
    make(pair, tmp_path / "parts", losses, epochs=2).train()
    make(pair, None, losses, resume_from=tmp_path / "parts").train()
    assert same(weights(tmp_path / "whole" / "last"), weights(tmp_path / "parts" / "last"))
    history = json.loads((tmp_path / "whole" / "history.json").read_text())
    assert {"train/consistency", "val/consistency", "val/decorrelation"} <= set().union(*history)


def test_other_originals_are_another_training_set(sets, tmp_path):
    pair, losses = list(map(with_copies, sets)), [MSELoss(), ConsistencyLoss()]
    make(pair, tmp_path / "run", losses, epochs=2).train()
    pair[0] = pair[0].remove_columns("source_id").add_column("source_id", ["t0000"] * len(pair[0]))
    with pytest.raises(UserError, match="with other settings: training_set"):
        make(pair, None, losses, resume_from=tmp_path / "run")


def test_consistency_without_copies_is_refused(sets, tmp_path):
    with pytest.raises(
        UserError, match="training set has no copies of recordings for consistency: it needs the column"
    ):
        make(sets, tmp_path / "run", [MSELoss(), ConsistencyLoss()])
    with pytest.raises(UserError, match="the validation set has no copies of recordings"):
        make((with_copies(sets[0]), sets[1]), tmp_path / "run", [MSELoss(), ConsistencyLoss()])


def test_copies_of_row_numbers_are_waited_for_unless_they_go_to_an_nvidia_gpu(copies_waited_for):
    corpus = datasets.Dataset.from_dict({"id": ["a", "b"], "speaker": ["x", "y"], "embedding": [[1.0], [2.0]]})
    embeddings, _, _ = SpeakerEmbeddings(corpus).__getitems__([1, 0])
    assert embeddings.tolist() == [[2.0], [1.0]] and copies_waited_for == {"cpu"}


@pytest.mark.parametrize(
    ("losses", "wrong"),
    [
        ([MSELoss], r"has the class MSELoss: expected a loss, MSELoss\(\.\.\.\)"),
        (MSELoss(), r"loss_funcs=MSELoss\(\.\.\.\): expected a list of losses"),
        (["mse"], r"has the name 'mse': expected a loss, such as MSELoss\(\)"),
        ([torch.nn.MSELoss()], r"has MSELoss\(\.\.\.\): expected losses of subclasses of balr_hf\.AutoEncoderLoss"),
    ],
)
def test_losses_given_in_another_form_are_refused(sets, tmp_path, losses, wrong):
    with pytest.raises(ConfigError, match=wrong):
        make(sets, tmp_path, losses)


@pytest.mark.parametrize(
    ("losses", "wrong"),
    [
        ([MSELoss(weight=-1.0)], "the loss mse has the weight -1.0: expected a finite number, 0 or more"),
        ([MSELoss(), TripletMarginLoss(weight=float("nan"))], "the loss triplet has the weight nan"),
        ([MSELoss(weight=float("inf"))], "the loss mse has the weight inf"),
        ([MSELoss(weight=0.0)], r"trainer.losses=\[mse\]: all have the weight 0, so that nothing would be trained"),
    ],
)
def test_weights_that_train_nothing_or_the_reverse_are_refused(sets, tmp_path, losses, wrong):
    with pytest.raises(ConfigError, match=wrong):
        make(sets, tmp_path, losses)


def test_a_loss_with_weight_0_beside_others_is_told(sets, tmp_path, caplog):
    make(sets, tmp_path, [MSELoss(), DecorrelationLoss(weight=0.0)])
    assert "The loss decorrelation has the weight 0: it is computed and logged only" in caplog.messages


@pytest.mark.parametrize(("N", "M", "name"), [(8, 1, "M_samples_per_class=1"), (1, 8, "N_classes_per_batch=1")])
def test_batches_without_pairs_are_refused_for_losses_that_compare_them(sets, tmp_path, N, M, name):
    data = DataArguments(N_classes_per_batch=N, M_samples_per_class=M)
    with pytest.raises(ConfigError, match=f"data.{name}: the loss triplet compares recordings of one speaker"):
        make(sets, tmp_path, [MSELoss(), TripletMarginLoss()], data=data)
    make(sets, tmp_path, [MSELoss()], data=data)


@pytest.mark.parametrize(
    ("speakers", "recordings", "data"),
    [
        (4, 3, DataArguments(sampler="none", batch_size=1)),
        (4, 3, DataArguments(N_classes_per_batch=1, M_samples_per_class=1)),
        (1, 3, DataArguments(N_classes_per_batch=8, M_samples_per_class=1)),
        (1, 1, DataArguments(sampler="none")),
    ],
)
def test_batches_of_one_recording_are_refused(make_corpus, tmp_path, speakers, recordings, data):
    """Batch norm has no statistics of a single row; a run that fails so would leave a folder behind."""
    with pytest.raises(ConfigError, match=r"each batch would hold one recording, .* expected at least 2"):
        make((make_corpus(speakers, recordings), make_corpus(3, 3)), tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_one_recording_that_is_repeated_can_be_trained_on(make_corpus, tmp_path):
    data = DataArguments(N_classes_per_batch=1, M_samples_per_class=2)
    make((make_corpus(1, 1), make_corpus(3, 3)), tmp_path / "run", data=data, epochs=1).train()
    assert (tmp_path / "run" / "best").exists()


def test_one_speaker_is_not_enough_for_losses_that_compare_speakers(make_corpus, tmp_path):
    one, more = make_corpus(1, 8), make_corpus(4, 8, name="v")
    with pytest.raises(UserError, match="the training set has one speaker: the loss triplet compares speakers"):
        make((one, more), tmp_path, [MSELoss(), TripletMarginLoss()])


@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        ((8, 4), (1, 4), "0 in every batch of the validation set, as where there is nothing to compare: triplet"),
        ((8, 1), (8, 4), "0 in every batch of the training set, as where there is nothing to compare: triplet"),
        ((8, 4), (8, 4), None),
    ],
)
def test_a_loss_that_finds_nothing_to_compare_is_told_once(make_corpus, tmp_path, caplog, train, val, told):
    both = make_corpus(*train), make_corpus(*val, seed=1, name="v")
    make(both, tmp_path / "run", [MSELoss(), TripletMarginLoss()], val_period=1).train()
    said = [message for message in caplog.messages if "0 in every batch" in message]
    assert len(said) == (told is not None) and all(message.startswith(told) for message in said)


def test_arguments_in_another_order_and_paths_are_refused(sets):
    with pytest.raises(ConfigError, match=r"expected DataArguments\(\.\.\.\); losses are given as loss_funcs="):
        BinaryAttributeEncoderTrainer(*sets, [MSELoss()])
    with pytest.raises(UserError, match=r"train='train\.csv' is a path: expected a datasets\.Dataset .* load_corpus"):
        BinaryAttributeEncoderTrainer("train.csv", "val.csv", None, [MSELoss()])
    with pytest.raises(UserError, match="val is of type dict"):
        BinaryAttributeEncoderTrainer(sets[0], {}, None, [MSELoss()])


class PerRow(AutoEncoderLoss):
    """Gives a value per recording, which is no loss of a batch."""

    def __init__(self, power: float = 2.0, weight: float = 1.0):
        super().__init__(weight)
        self.power = power

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        return (reconstruction - embeddings).abs().pow(self.power).mean(1)


def test_a_loss_that_returns_no_single_number_is_refused(sets, tmp_path):
    with pytest.raises(ConfigError, match=r"the loss PerRow returned a tensor of shape \(32,\): .* values\.mean\(\)"):
        make(sets, tmp_path, [PerRow()]).train()


class Shares(AutoEncoderLoss):
    """Is computed of detached attributes, as BALR 2.0 computes its sparsity, or is not a number."""

    def __init__(self, factor: float = 1.0):
        super().__init__()
        self.factor = factor

    def get_config_dict(self):
        return super().get_config_dict() | {"factor": self.factor}

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        return self.factor * binary.detach().mean()


def test_a_loss_without_a_gradient_is_told_of_once(sets, tmp_path, caplog):
    make(sets, tmp_path / "run", [Shares(), *all_losses()], epochs=2).train()
    (said,) = [record.getMessage() for record in caplog.records if "No gradient" in record.getMessage()]
    assert said.startswith("No gradient from Shares: such a loss is in the total, but trains nothing")


class Sometimes(AutoEncoderLoss):
    """Is a bare 0 in its first batch, as where there is nothing to compare in it."""

    batches = 0

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        self.batches += 1
        return latent.square().mean() if self.batches > 1 else torch.zeros(())


def test_a_loss_that_has_a_gradient_in_some_batches_only_is_not_told_of(sets, tmp_path, caplog):
    make(sets, tmp_path / "run", [Sometimes(), *all_losses()], epochs=2).train()
    assert "No gradient" not in caplog.text


def test_a_batch_from_which_nothing_can_be_learnt_is_named(sets, tmp_path):
    with pytest.raises(ConfigError, match=r"in which no loss has a gradient \(Shares\)\. .* without detach"):
        make(sets, tmp_path / "run", [Shares()]).train()


def test_the_loss_that_is_not_finite_is_named(sets, tmp_path):
    with pytest.raises(UserError, match=r"the training loss \(Shares\) is not finite after epoch 1"):
        make(sets, tmp_path / "run", [MSELoss(), Shares(math.nan)]).train()


def test_what_a_loss_of_ones_own_lacks_is_named(sets, tmp_path):
    class Weightless(AutoEncoderLoss):
        def __init__(self):
            pass

    class Nothing(AutoEncoderLoss):
        pass

    with pytest.raises(ConfigError, match=r"the loss Weightless has no weight: .* super\(\)\.__init__\(weight\)"):
        make(sets, tmp_path / "run", [Weightless()])
    with pytest.raises(NotImplementedError, match=r"Nothing has to define forward\(self, embeddings"):
        make(sets, tmp_path / "run", [Nothing()]).train()


def test_settings_that_a_loss_does_not_tell_are_warned_of(sets, tmp_path, caplog):
    make(sets, tmp_path, [PerRow(), *all_losses()])
    (said,) = [record.getMessage() for record in caplog.records if "does not tell" in record.getMessage()]
    assert "The loss PerRow" in said and said.endswith('super().get_config_dict() | {"power": self.power}')
