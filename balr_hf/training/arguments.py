"""The settings of training, one dataclass a section; the command line makes its flags and overrides from them."""

from dataclasses import dataclass, field
from typing import Any


def option(default: Any, help: str, **metadata: Any) -> Any:
    """A dataclass field with its help text; `metadata` is what `argparse_dataclass` reads (`type`, `args`, ...)."""
    if default is not None and not isinstance(default, bool):
        help += f" [default: {' '.join(map(str, default)) if isinstance(default, tuple) else default}]"
    return field(default=default, metadata={"help": help.replace("%", "%%"), **metadata})


@dataclass
class DataArguments:
    """How training draws its batches (`data.*`)."""

    batch_size: int = option(64, "recordings a batch; with an NxM sampler, N x M")
    num_workers: int = option(1, "threads that decode audio (extract); training holds the embeddings in memory")
    shuffle: bool = option(True, "draw speakers and recordings in random order")
    sampler: str = option(
        "RandomNxMSampler", "RandomNxMSampler, ExhaustiveNxMSampler or none (plain shuffled batches)"
    )
    N_classes_per_batch: int = option(8, "N: speakers a batch", args=["--N-classes-per-batch"])
    M_samples_per_class: int = option(8, "M: recordings of each speaker a batch", args=["--M-samples-per-class"])


@dataclass
class TrainerArguments:
    """How long and how to train (`trainer.*`)."""

    input_dim: int = option(256, "values of an embedding")
    internal_dim: int = option(512, "binary attributes")
    learning_rate: float = option(0.001, "learning rate of Adam")
    epochs: int = option(100, "passes of the sampler over the training set")
    seed: int = option(1234, "seed of the weights, the batches and the sparsity targets")
    save_period: int = option(0, "keep epochN/ every so many epochs (0: never)")
    log_period: int = option(2, "log training losses every so many epochs (0: never)")
    val_period: int = option(10, "validate, and write last/, every so many epochs (0: after the last only)")
    mixed_precision: str = option("no", "no, fp16 or bf16")
    gradient_accumulation_steps: int = option(1, "batches a step of the optimizer")
    log_with: str = option("tensorboard", "tracker: tensorboard, wandb, trackio, ... or none")


@dataclass
class MSELossArguments:
    """Mean squared error of the reconstruction (`trainer.losses.mse.*`)."""

    weight: float = option(1.0, "factor in the total loss")


@dataclass
class TripletMarginLossArguments:
    """Triplet margin loss on the attributes (`trainer.losses.triplet.*`)."""

    margin: float = option(0.3, "wanted gap between anchor-positive and anchor-negative distance, for mining")
    type_of_triplets: str = option("all", "all, hard, semihard or easy")
    weight: float = option(1.0, "factor in the total loss")


@dataclass
class ArcFaceLossArguments:
    """ArcFace speaker classification on the attributes (`trainer.losses.arcface.*`)."""

    margin: float = option(0.3, "wanted gap between anchor-positive and anchor-negative distance, for mining")
    type_of_triplets: str = option("all", "all, hard, semihard or easy")
    weight: float = option(0.001, "factor in the total loss")


@dataclass
class SparsityLossArguments:
    """Sparsity of the attributes over speakers (`trainer.losses.sparsity.*`)."""

    weight: float = option(0.0001, "factor in the total loss")


LOSS_ARGUMENTS = {
    "mse": MSELossArguments,
    "triplet": TripletMarginLossArguments,
    "arcface": ArcFaceLossArguments,
    "sparsity": SparsityLossArguments,
}
DEFAULT_LOSSES = ("mse", "triplet")
