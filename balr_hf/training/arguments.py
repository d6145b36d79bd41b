"""The settings of training, one dataclass per section; the command line makes its flags and overrides from them."""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import get_args

import numpy as np

from balr_hf.errors import ConfigError
from balr_hf.options import Checked, option

# Recordings in a batch that has no N x M, unless it is said.
PLAIN_BATCH_SIZE = 64
# NumPy's random numbers take no larger seed.
LARGEST_SEED = 2**32 - 1


@dataclass
class TrainingSettings(Checked):
    """The base class of the settings of training: numbers are numbers, whole where they count, and finite.

    Numbers of NumPy become Python's, which JSON takes.

    Raises:
        ConfigError: a value is of another kind, or outside its bounds.
    """

    def __post_init__(self) -> None:
        for f in fields(self):
            value, kinds = getattr(self, f.name), get_args(f.type) or (f.type,)
            if value is None and type(None) in kinds:
                continue
            is_truth = isinstance(value, bool | np.bool_)
            if bool in kinds:
                fits, expected = is_truth, "True or False"
            elif int in kinds:
                fits, expected = isinstance(value, Integral) and not is_truth, "a whole number"
            elif float in kinds:
                fits = isinstance(value, Real) and not is_truth and math.isfinite(value)
                expected = "a finite number"
            else:
                continue
            if not fits:
                raise ConfigError(f"bad value {value!r} for {f.name}: expected {expected}")
            setattr(self, f.name, next(kind for kind in (bool, int, float) if kind in kinds)(value))
        super().__post_init__()


@dataclass
class DataArguments(TrainingSettings):
    """How training draws its batches (`data.*`)."""

    batch_size: int | None = option(
        None,
        "number of recordings in a batch; with an NxM sampler, N x M [default: N x M; 64 for extract, and for plain "
        "batches]",
        type=int,
        least=1,
    )
    num_workers: int = option(
        1,
        "threads, or of 300 recordings on processes, that decode audio for a GPU (extract); 1: as many as there are "
        "cores. Training needs none",
        least=1,
    )
    shuffle: bool = option(True, "draw speakers and recordings in random order")
    sampler: str = option(
        "RandomNxMSampler",
        "RandomNxMSampler, ExhaustiveNxMSampler, none (plain shuffled batches), or the path of a class of your own",
    )
    N_classes_per_batch: int = option(8, "N: number of speakers in a batch", args=["--N-classes-per-batch"], least=1)
    M_samples_per_class: int = option(
        8, "M: number of recordings of each speaker in a batch", args=["--M-samples-per-class"], least=1
    )


# Where attributes come from; see `BinaryAttributeAutoEncoder.set_hyperplanes`.
ENCODERS = ("learned", "hyperplanes")
# How Accelerate names the precisions that training may have.
MIXED_PRECISIONS = ("no", "fp16", "bf16")


@dataclass
class TrainerArguments(TrainingSettings):
    """How long and how to train (`trainer.*`)."""

    input_dim: int = option(256, "number of values in an embedding", least=1)
    internal_dim: int = option(512, "number of binary attributes", least=1)
    encoder: str = option(
        "learned",
        "learned; or hyperplanes: random ones tell the attributes, and the decoder alone is trained, by the loss mse",
        among=ENCODERS,
    )
    activation: float | None = option(
        None,
        "with encoder=hyperplanes: the share of the training recordings in which each attribute is active; rarer "
        "attributes change less where a recording does [default: about half]",
        type=float,
        above=0,
        below=0.5,
    )
    learning_rate: float = option(0.001, "learning rate of Adam", above=0)
    epochs: int = option(100, "passes of the sampler over the training set", least=1)
    seed: int = option(1234, "seed of the weights, the batches and the sparsity targets", least=0)
    save_period: int = option(0, "keep epochN/ every so many epochs (0: never)", least=0)
    log_period: int = option(2, "log training losses every so many epochs (0: never)", least=0)
    val_period: int = option(10, "validate every so many epochs (0: after the last only)", least=0)
    state_period: int = option(
        1, "write last/, and the state to resume from, every so many epochs and at each validation", least=1
    )
    mixed_precision: str | None = option(
        None, "no, fp16 or bf16 [default: that of accelerate launch, or no]", type=str, among=MIXED_PRECISIONS
    )
    gradient_accumulation_steps: int | None = option(
        None,
        "batches per step of the optimizer [default: that of accelerate launch, or 1]",
        type=int,
        least=1,
    )
    cuda_graph: bool = option(False, "with the mse loss alone, on one GPU: capture a step once, and replay it")
    log_with: str = option("tensorboard", "tracker: tensorboard, wandb, trackio, ... or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed > LARGEST_SEED:
            raise ConfigError(f"bad value {self.seed} for seed: expected at most {LARGEST_SEED}")


@dataclass
class MSELossArguments(TrainingSettings):
    """Mean squared error of the reconstruction (`trainer.losses.mse.*`)."""

    weight: float = option(1.0, "factor in the total loss", least=0)


@dataclass
class TripletMarginLossArguments(TrainingSettings):
    """Triplet margin loss on the attributes (`trainer.losses.triplet.*`)."""

    margin: float = option(
        0.3, "gap between the distances of negative and positive, by which triplets are mined", least=0
    )
    type_of_triplets: str = option("all", "all, hard, semihard or easy", among=("all", "hard", "semihard", "easy"))
    weight: float = option(1.0, "factor in the total loss", least=0)


@dataclass
class ArcFaceLossArguments(TrainingSettings):
    """ArcFace speaker classification on the attributes (`trainer.losses.arcface.*`)."""

    margin: float = option(0.3, "margin of the triplets that pick the recordings; not the angular margin", least=0)
    type_of_triplets: str = option("all", "all, hard, semihard or easy", among=("all", "hard", "semihard", "easy"))
    weight: float = option(0.001, "factor in the total loss", least=0)


@dataclass
class SparsityLossArguments(TrainingSettings):
    """Sparsity of the attributes over speakers (`trainer.losses.sparsity.*`)."""

    weight: float = option(0.0001, "factor in the total loss", least=0)


@dataclass
class ConsistencyLossArguments(TrainingSettings):
    """Agreement of a recording and its degraded copies (`trainer.losses.consistency.*`)."""

    margin: float = option(0.5, "product of two latent values from which on an attribute costs nothing", above=0)
    weight: float = option(1.0, "factor in the total loss", least=0)


@dataclass
class DecorrelationLossArguments(TrainingSettings):
    """Correlation between different attributes (`trainer.losses.decorrelation.*`)."""

    weight: float = option(1.0, "factor in the total loss", least=0)


LOSS_ARGUMENTS = {
    "mse": MSELossArguments,
    "triplet": TripletMarginLossArguments,
    "arcface": ArcFaceLossArguments,
    "sparsity": SparsityLossArguments,
    "consistency": ConsistencyLossArguments,
    "decorrelation": DecorrelationLossArguments,
}
DEFAULT_LOSSES = ("mse", "triplet")
