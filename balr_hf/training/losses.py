"""Losses of the binary-attribute autoencoder: one class each, joined to training by tensors and labels only."""

import torch
from torch import nn
from torch.nn import functional as F

from balr_hf.errors import ConfigError
from balr_hf.training.arguments import LOSS_ARGUMENTS

TRIPLET_TYPES = ("all", "hard", "semihard", "easy")


class AutoEncoderLoss(nn.Module):
    """Base of the losses.

    The total loss of training is the sum of the losses, each times its `weight`.

    Args:
        name (str): what the loss is called in logs.
        weight (float): factor in the total loss.
    """

    name: str

    # Whether the loss knows the training speakers one by one, and so means nothing for others.
    closed_set = False

    # Whether a GPU does the same work for any values, and none is read on the host: see [`GraphedStep`].
    same_work = False

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def setup(self, nb_train_classes: int, internal_dim: int, M_samples_per_class: int) -> None:
        """Tell the loss what it could not know when it was made. The trainer calls this once, before training.

        Args:
            nb_train_classes (int): speakers of the training set.
            internal_dim (int): attributes.
            M_samples_per_class (int): recordings of each speaker a batch.
        """

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings (`torch.FloatTensor` of shape `(batch, input_dim)`): the autoencoder's input.
            labels (`torch.LongTensor` of shape `(batch,)`): speaker numbers.
            binary (`torch.FloatTensor` of shape `(batch, internal_dim)`): the attributes, 0 or 1.
            reconstruction (`torch.FloatTensor` of shape `(batch, input_dim)`): the decoder's output.
            latent (`torch.FloatTensor` of shape `(batch, internal_dim)`): the attributes before binarization.

        Returns:
            `torch.FloatTensor` of shape `()`, not yet times `weight`.
        """
        raise NotImplementedError


class MSELoss(AutoEncoderLoss):
    """Mean squared error between the embedding and its reconstruction from the attributes.

    Requirements:
        None: any batch will do.
    """

    name = "mse"
    same_work = True

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        return F.mse_loss(reconstruction, embeddings)


class TripletMarginLoss(AutoEncoderLoss):
    """Pulls the attributes of one speaker together and pushes those of two speakers apart.

    A miner picks triplets (anchor, positive, negative) of the batch by `margin`; the loss on them has
    pytorch-metric-learning's own margin (0.05, distances of length-normalised vectors), as in BALR.

    Args:
        margin (float): gap between the anchor-negative and anchor-positive distances, for mining.
        type_of_triplets (str): `all` (those that violate the margin), `hard` (of these, the negative is nearer than
            the positive), `semihard` (of these, it is farther) or `easy` (those that do not violate the margin).
        weight (float): factor in the total loss.

    Requirements:
        At least 2 speakers a batch, and at least 2 recordings of each.

    Reference:
        K. Musgrave, S. Belongie and S.-N. Lim, "PyTorch Metric Learning", 2020.
    """

    name = "triplet"

    def __init__(self, margin: float = 0.3, type_of_triplets: str = "all", weight: float = 1.0):
        super().__init__(weight)
        from pytorch_metric_learning import losses

        self.miner = _triplet_miner(margin, type_of_triplets)
        self.criterion = losses.TripletMarginLoss()

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        return self.criterion(binary, labels, self.miner(binary, labels))


class ArcFaceLoss(AutoEncoderLoss):
    """Classifies the training speakers by their attributes, with an additive angular margin.

    The loss owns a weight vector for each training speaker: the optimizer must get `loss.parameters()` too.

    Args:
        margin (float): as for [`TripletMarginLoss`], whose miner picks the recordings that count here too.
        type_of_triplets (str): as there.
        weight (float): factor in the total loss.

    Requirements:
        As [`TripletMarginLoss`]; labels from 0 to the number of training speakers.

    Reference:
        J. Deng, J. Guo, N. Xue and S. Zafeiriou, "ArcFace: Additive angular margin loss for deep face recognition",
        CVPR 2019.
    """

    name = "arcface"
    closed_set = True

    def __init__(self, margin: float = 0.3, type_of_triplets: str = "all", weight: float = 0.001):
        super().__init__(weight)
        self.miner = _triplet_miner(margin, type_of_triplets)
        self.criterion: nn.Module | None = None

    def setup(self, nb_train_classes: int, internal_dim: int, M_samples_per_class: int = 0) -> None:
        from pytorch_metric_learning import losses

        self.criterion = losses.ArcFaceLoss(num_classes=nb_train_classes, embedding_size=internal_dim)

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        if self.criterion is None:
            raise RuntimeError("ArcFaceLoss: call setup(nb_train_classes=..., internal_dim=...) first")
        return self.criterion(binary, labels, self.miner(binary, labels))


class SparsityLoss(AutoEncoderLoss):
    """Holds each attribute to a share of the speakers.

    Every attribute has a target drawn at random from 0 to M - 1. Where a speaker's M latent values of it sum to more
    than the target, the excess (up to 1) is squared; summed over attributes and averaged over speakers.

    Args:
        weight (float): factor in the total loss.

    Requirements:
        Every speaker of a batch has M recordings in it, or a multiple of M.

    Reference:
        I. Ben-Amor, J.-F. Bonastre and S. Mdhaffar, Interspeech 2024 (see [`BinaryAttributeAutoEncoder`]). BALR 2.0
        detaches this loss from the model; here its gradient reaches the encoder.
    """

    name = "sparsity"

    def __init__(self, weight: float = 0.0001):
        super().__init__(weight)
        self.M_samples_per_class = 0
        self.register_buffer("target", None)

    def setup(self, M_samples_per_class: int, internal_dim: int, nb_train_classes: int = 0) -> None:
        self.M_samples_per_class = M_samples_per_class
        self.target = torch.randint(0, M_samples_per_class, (internal_dim,)).float()

    def forward(self, embeddings, labels, binary, reconstruction, latent):
        if self.target is None:
            raise RuntimeError("SparsityLoss: call setup(M_samples_per_class=..., internal_dim=...) first")
        size = self.M_samples_per_class
        order = labels.argsort(stable=True)
        if len(labels) % size or not (labels[order].view(-1, size) == labels[order][::size, None]).all():
            raise ValueError(
                f"SparsityLoss: a speaker's recordings in the batch are not a multiple of M_samples_per_class={size}; "
                "use an NxM sampler with that M"
            )
        sums = latent[order].view(-1, size, latent.shape[1]).sum(1)
        return (sums - self.target).clamp(0, 1).square().sum() / len(sums)


LOSSES = {"mse": MSELoss, "triplet": TripletMarginLoss, "arcface": ArcFaceLoss, "sparsity": SparsityLoss}


def build_losses(settings: dict) -> list[AutoEncoderLoss]:
    """Make losses from their names and argument dataclasses (`LOSS_ARGUMENTS`).

    Raises:
        ConfigError: an unknown name.
    """
    for name in settings:
        if name not in LOSSES:
            raise ConfigError(f"unknown loss {name!r}: expected {', '.join(LOSSES)}")
    return [LOSSES[name](**vars(arguments or LOSS_ARGUMENTS[name]())) for name, arguments in settings.items()]


def _triplet_miner(margin: float, type_of_triplets: str) -> nn.Module:
    if type_of_triplets not in TRIPLET_TYPES:
        raise ConfigError(f"type_of_triplets={type_of_triplets!r}: expected {', '.join(TRIPLET_TYPES)}")
    from pytorch_metric_learning import miners

    return miners.TripletMarginMiner(margin=margin, type_of_triplets=type_of_triplets)
