"""Losses of the binary-attribute autoencoder: one class each, joined to training by tensors and labels only."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from balr_hf.class_paths import check_keywords, import_class
from balr_hf.errors import ConfigError

TRIPLET_TYPES = ("all", "hard", "semihard", "easy")

# The most that vectors of attributes can be apart once they have the length 1: none of their values is negative.
LARGEST_DISTANCE = math.sqrt(2)

# The least sum of squares of an attribute about its mean in a batch that correlations are computed from.
EPSILON = 1e-6


class AutoEncoderLoss(nn.Module):
    """Base of the losses. The total loss of training is the sum of the losses, each multiplied by its `weight`.

    A loss of your own is a subclass that defines `forward` and, if it has settings, extends `get_config_dict`. It can
    be named by its class path wherever a loss is named: see [`build_losses`]. It needs to be registered nowhere.

    Args:
        weight (float): factor in the total loss, 0 or more: the trainer refuses another. A loss with the weight 0 is
            computed and logged only.

    Attributes:
        name (str): what the loss is called in logs and in `run.json`; the class's name by default.
        closed_set (bool): whether the loss knows the training speakers one by one, so that it means nothing for
            others. Such a loss is not computed on the validation set.
        same_work (bool): whether a GPU does the same work for any values of the tensors, and none of them is read on
            the host, so that a step can be captured: see [`GraphedStep`].
        uses_originals (bool): whether the loss compares recordings with their copies. Each batch then holds a copy of
            each recording too, and `forward` gets one more keyword, `originals`: see [`ConsistencyLoss`].
        uses_pairs (bool): whether the loss compares recordings of one speaker with each other and with those of
            others, so that a batch without two speakers, or without two recordings of one, says nothing to it.

    Example:
        >>> class MeanLatent(AutoEncoderLoss):
        ...     '''Holds the attributes' values before binarization near zero, on average.'''
        ...
        ...     def forward(self, embeddings, labels, binary, reconstruction, latent):
        ...         return latent.mean().square()
        >>> MeanLatent(weight=0.5).get_config_dict()
        {'weight': 0.5}
    """

    name: str = "loss"
    closed_set: bool = False
    same_work: bool = False
    uses_originals: bool = False
    uses_pairs: bool = False

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name", cls.__name__)

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def setup(self, *, nb_train_classes: int, internal_dim: int, M_samples_per_class: int) -> None:
        """Tell the loss what it could not know when it was made. The trainer calls this once, before training.

        Args:
            nb_train_classes (int): number of speakers in the training set.
            internal_dim (int): number of attributes.
            M_samples_per_class (int): number of recordings of each speaker in a batch.
        """

    def get_config_dict(self) -> dict[str, Any]:
        """How the loss was set, by the names of its constructor's arguments; `run.json` and model cards tell this."""
        return {"weight": self.weight}

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
            `torch.FloatTensor` of shape `()`, not yet multiplied by `weight`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has to define forward(self, embeddings, labels, binary, reconstruction, latent)"
        )


class MSELoss(AutoEncoderLoss):
    """Mean squared error between the embedding and its reconstruction from the attributes.

    It makes the attributes keep what the embedding says. It does not look at who speaks.

    Args:
        weight (float): factor in the total loss.

    Inputs:
        `embeddings` and `reconstruction`, each of shape `(batch, input_dim)`.

    References:
        I. Ben-Amor, J.-F. Bonastre and S. Mdhaffar, "Extraction of interpretable and shared speaker-specific speech
        attributes through binary auto-encoder", Interspeech 2024.

    Requirements:
        None. Any batch will do.

    Recommendations:
        Keep it among the losses: without it nothing trains the decoder. With it alone, plain batches
        (`data.sampler=none`) are enough, and on one GPU `cuda_graph` makes training faster.

    Example:
        >>> loss = MSELoss()
        >>> embeddings, labels = torch.zeros(4, 8), torch.tensor([0, 0, 1, 1])
        >>> bits = torch.ones(4, 16)
        >>> loss(embeddings, labels, bits, reconstruction=embeddings + 2, latent=bits).item()
        4.0
        >>> loss.get_config_dict()
        {'weight': 1.0}
    """

    name = "mse"
    same_work = True

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
    ) -> torch.Tensor:
        return F.mse_loss(reconstruction, embeddings)


class MinedLoss(AutoEncoderLoss):
    """Base of the losses on triplets (anchor, positive, negative) of the batch, which a miner picks.

    Args:
        margin (float): gap between the anchor-negative and the anchor-positive distance, by which triplets are mined.
        type_of_triplets (str): `all` (those that violate the margin), `hard` (of these, the negative is nearer than
            the positive), `semihard` (of these, it is farther) or `easy` (those that do not violate the margin).
        weight (float): factor in the total loss.

    Raises:
        ConfigError: the type of triplets is unknown, or there are no such triplets with this margin.
    """

    def __init__(self, margin: float, type_of_triplets: str, weight: float):
        super().__init__(weight)
        if type_of_triplets not in TRIPLET_TYPES:
            raise ConfigError(f"type_of_triplets={type_of_triplets!r}: expected {', '.join(TRIPLET_TYPES)}")
        if not 0 <= margin < math.inf:
            raise ConfigError(f"{self.name}: margin={margin}: expected a gap between two distances, 0 or more")
        if type_of_triplets == "semihard" and margin == 0:
            raise ConfigError(f"{self.name}: margin=0: no triplet is semihard with it; expected more than 0")
        if type_of_triplets == "easy" and margin >= LARGEST_DISTANCE:
            raise ConfigError(f"{self.name}: margin={margin}: no triplet is easy with it; expected less than 1.414")
        from pytorch_metric_learning import miners

        self.margin, self.type_of_triplets = margin, type_of_triplets
        self.miner = miners.TripletMarginMiner(margin=margin, type_of_triplets=type_of_triplets)

    def get_config_dict(self) -> dict[str, Any]:
        mining = {"margin": self.margin, "type_of_triplets": self.type_of_triplets}
        return super().get_config_dict() | mining


class TripletMarginLoss(MinedLoss):
    """Pulls the attributes of one speaker together and pushes those of two speakers apart.

    A miner picks triplets (anchor, positive, negative) of the batch by `margin`. The loss on them has
    pytorch-metric-learning's own margin (0.05, of distances between length-normalised vectors), as in BALR.

    Args:
        margin (float): gap between the anchor-negative and the anchor-positive distance, by which triplets are mined.
        type_of_triplets (str): `all` (those that violate the margin), `hard` (of these, the negative is nearer than
            the positive), `semihard` (of these, it is farther) or `easy` (those that do not violate the margin).
        weight (float): factor in the total loss.

    Inputs:
        `binary` of shape `(batch, internal_dim)` and `labels` of shape `(batch,)`.

    References:
        K. Musgrave, S. Belongie and S.-N. Lim, "PyTorch Metric Learning", 2020.
        F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: A unified embedding for face recognition and clustering",
        CVPR 2015.

    Requirements:
        At least 2 speakers in a batch, and at least 2 recordings of each.

    Recommendations:
        Use it with [`MSELoss`] and an N x M sampler. More speakers in a batch give more, and harder, negatives.

    Example:
        >>> loss = TripletMarginLoss(margin=0.3)
        >>> labels, bits = torch.tensor([0, 0, 1, 1]), torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
        >>> embeddings = torch.zeros(4, 8)
        >>> round(loss(embeddings, labels, bits, embeddings, bits).item(), 2)  # each speaker is like the other
        0.76
        >>> loss.get_config_dict()
        {'weight': 1.0, 'margin': 0.3, 'type_of_triplets': 'all'}
    """

    name = "triplet"
    uses_pairs = True

    def __init__(self, margin: float = 0.3, type_of_triplets: str = "all", weight: float = 1.0):
        super().__init__(margin, type_of_triplets, weight)
        from pytorch_metric_learning import losses

        self.criterion = losses.TripletMarginLoss()

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
    ) -> torch.Tensor:
        return self.criterion(binary, labels, self.miner(binary, labels))


class ArcFaceLoss(MinedLoss):
    """Classifies the training speakers by their attributes, with an additive angular margin.

    The loss owns a weight vector for each training speaker: the optimizer must get `loss.parameters()` too.

    Args:
        margin (float): as for [`TripletMarginLoss`], whose miner picks the recordings that count here too. This is not
            the angular margin, which is pytorch-metric-learning's own (28.6 degrees).
        type_of_triplets (str): as for [`TripletMarginLoss`].
        weight (float): factor in the total loss.

    Inputs:
        `binary` of shape `(batch, internal_dim)` and `labels` of shape `(batch,)`.

    References:
        J. Deng, J. Guo, N. Xue and S. Zafeiriou, "ArcFace: Additive angular margin loss for deep face recognition",
        CVPR 2019.

    Requirements:
        Those of [`TripletMarginLoss`]; and labels from 0 to the number of training speakers, exclusive. `setup` must
        have been called; the trainer does it.

    Recommendations:
        Give it a small weight beside [`MSELoss`]: its values are large. It cannot be validated on other speakers.

    Example:
        >>> loss = ArcFaceLoss(weight=0.001)
        >>> loss.setup(nb_train_classes=2, internal_dim=16)
        >>> [tuple(weights.shape) for weights in loss.parameters()]
        [(16, 2)]
        >>> embeddings, labels = torch.zeros(4, 8), torch.tensor([0, 0, 1, 1])
        >>> bits = (torch.rand(4, 16) > 0.5).float()
        >>> loss(embeddings, labels, bits, embeddings, bits).shape
        torch.Size([])
        >>> loss.get_config_dict()
        {'weight': 0.001, 'margin': 0.3, 'type_of_triplets': 'all'}
    """

    name = "arcface"
    closed_set = True

    def __init__(self, margin: float = 0.3, type_of_triplets: str = "all", weight: float = 0.001):
        super().__init__(margin, type_of_triplets, weight)
        self.criterion: nn.Module | None = None

    def setup(self, *, nb_train_classes: int, internal_dim: int, M_samples_per_class: int = 0) -> None:
        from pytorch_metric_learning import losses

        self.criterion = losses.ArcFaceLoss(num_classes=nb_train_classes, embedding_size=internal_dim)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
    ) -> torch.Tensor:
        if self.criterion is None:
            raise RuntimeError("ArcFaceLoss: call setup(nb_train_classes=..., internal_dim=...) first")
        return self.criterion(binary, labels, self.miner(binary, labels))


class SparsityLoss(AutoEncoderLoss):
    """Holds each attribute to a share of the speakers.

    Every attribute has a target, which is drawn at random from 0 to M - 1. Where the M latent values of a speaker sum
    to more than the target, the excess (up to 1) is squared; the squares are summed over the attributes and averaged
    over the speakers.

    Args:
        weight (float): factor in the total loss.

    Inputs:
        `latent` of shape `(batch, internal_dim)` and `labels` of shape `(batch,)`.

    References:
        I. Ben-Amor, J.-F. Bonastre and S. Mdhaffar, "Extraction of interpretable and shared speaker-specific speech
        attributes through binary auto-encoder", Interspeech 2024. BALR 2.0 detaches this loss from the model; here its
        gradient reaches the encoder.

    Requirements:
        Every speaker of a batch has M recordings in it, or a multiple of M; a `ValueError` says so otherwise. `setup`
        must have been called; the trainer does it.

    Recommendations:
        Use it with [`MSELoss`] and a small weight: with a large one the attributes are hardly ever active.

    Example:
        >>> loss = SparsityLoss()
        >>> loss.setup(M_samples_per_class=2, internal_dim=3)
        >>> loss.target = torch.tensor([0.0, 1.0, 1.0])
        >>> labels = torch.tensor([5, 5])
        >>> latent = torch.tensor([[0.5, 0.5, 1.0], [0.25, 0.5, 1.0]])  # the sums exceed the targets by 0.75, 0 and 1
        >>> loss(torch.zeros(2, 8), labels, (latent > 0).float(), torch.zeros(2, 8), latent).item()
        1.5625
        >>> loss.get_config_dict()
        {'weight': 0.0001}
    """

    name = "sparsity"
    target: torch.Tensor | None

    def __init__(self, weight: float = 0.0001):
        super().__init__(weight)
        self.M_samples_per_class = 0
        self.register_buffer("target", None)

    def setup(self, *, M_samples_per_class: int, internal_dim: int, nb_train_classes: int = 0) -> None:
        self.M_samples_per_class = M_samples_per_class
        self.target = torch.randint(0, M_samples_per_class, (internal_dim,)).float()

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
    ) -> torch.Tensor:
        if self.target is None:
            raise RuntimeError("SparsityLoss: call setup(M_samples_per_class=..., internal_dim=...) first")
        size = self.M_samples_per_class
        order = labels.argsort(stable=True)
        if len(labels) % size or not (labels[order].view(-1, size) == labels[order][::size, None]).all():
            raise ConfigError(
                "SparsityLoss: a speaker's recordings in the batch are not a multiple of "
                f"M_samples_per_class={size}; use an NxM sampler with that M"
            )
        sums = latent[order].view(-1, size, latent.shape[1]).sum(1)
        return (sums - self.target).clamp(0, 1).square().sum() / len(sums)


class ConsistencyLoss(AutoEncoderLoss):
    """Makes the attributes of a recording and of its degraded copies agree.

    Two recordings that were made from the same original are a pair. For each attribute, the latent values of a pair
    are multiplied. The product is positive where both sides have the same attribute, and large where neither is near
    the threshold. What it lacks to `margin` is the loss, averaged over the attributes and the pairs of the batch.

    Args:
        margin (float): the product of the two latent values from which on an attribute costs nothing, above 0 and
            below 1. Latent values are between -1 and 1.
        weight (float): factor in the total loss.

    Inputs:
        `latent` of shape `(batch, internal_dim)`, and `originals`, a `torch.LongTensor` of shape `(batch,)`: the
        number of the original that a recording was made from, or -1 if there is nothing else from that original.

    References:
        The pairs are those of "stability training": S. Zheng, Y. Song, T. Leung and I. Goodfellow, "Improving the
        robustness of deep neural networks via stability training", CVPR 2016. The hinge on the product of the two
        sides, which stands for two equal bits, is our own.

    Requirements:
        Both sets hold several copies of each recording, with the column `source_id`, which names the original. `balr
        degrade --condition "unchanged;snr=10;codec=opus:12k"` writes such a corpus. A batch then holds twice as many
        recordings as `data.batch_size` says: with each recording one other copy of it, drawn at random.

    Recommendations:
        Use it with [`MSELoss`], and with copies in the conditions that the system is to work in. Alone it would make
        all attributes constant. [`DecorrelationLoss`] works against that.

    Example:
        >>> loss = ConsistencyLoss(margin=0.5)
        >>> latent = torch.tensor([[1.0, 1.0], [1.0, -0.5], [0.1, 0.1]])
        >>> originals = torch.tensor([7, 7, -1])  # the first two are a pair, whose second attribute differs
        >>> bits, embeddings, labels = (latent > 0).float(), torch.zeros(3, 8), torch.tensor([0, 0, 1])
        >>> loss(embeddings, labels, bits, embeddings, latent, originals=originals).item()
        0.5
        >>> loss.get_config_dict()
        {'weight': 1.0, 'margin': 0.5}
    """

    name = "consistency"
    uses_originals = True

    def __init__(self, margin: float = 0.5, weight: float = 1.0):
        super().__init__(weight)
        if not 0 < margin < 1:
            raise ConfigError(f"consistency: margin={margin}: expected a value above 0 and below 1")
        self.margin = margin

    def get_config_dict(self) -> dict[str, Any]:
        return super().get_config_dict() | {"margin": self.margin}

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
        *,
        originals: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if originals is None:
            raise ConfigError("ConsistencyLoss: needs originals=..., the numbers of the recordings' originals")
        alike = (originals[:, None] == originals) & (originals >= 0)
        first, second = torch.triu(alike, diagonal=1).nonzero(as_tuple=True)
        lacking = F.relu(self.margin - latent[first] * latent[second])
        return lacking.sum() / max(1, lacking.numel())


class DecorrelationLoss(AutoEncoderLoss):
    """Makes attributes that repeat each other cost.

    It is the mean square of the correlation of two different attributes, over the recordings of the batch and over all
    pairs of attributes. It is 0 where no attribute tells anything about another, and 1 where all are the same or the
    opposite. A score that adds up what the attributes say then counts less twice.

    Args:
        weight (float): factor in the total loss.

    Inputs:
        `binary` of shape `(batch, internal_dim)`.

    References:
        J. Zbontar, L. Jing, I. Misra, Y. LeCun and S. Deny, "Barlow Twins: Self-supervised learning via redundancy
        reduction", ICML 2021: the redundancy reduction term, here within one batch, as in A. Bardes, J. Ponce and
        Y. LeCun, "VICReg", ICLR 2022.

    Requirements:
        At least 2 recordings in a batch. An attribute that is the same in the whole batch counts as uncorrelated.

    Recommendations:
        Use it with [`MSELoss`] and large batches: the correlation of two independent attributes has a mean square of 1
        / (B - 1) among B recordings, which nothing can train away.

    Example:
        >>> loss = DecorrelationLoss()
        >>> bits = torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 1], [1, 1, 0]])  # the third is the second's opposite
        >>> embeddings, labels = torch.zeros(4, 8), torch.tensor([0, 0, 1, 1])
        >>> round(loss(embeddings, labels, bits, embeddings, bits).item(), 3)  # one of the three pairs is correlated
        0.333
        >>> loss.get_config_dict()
        {'weight': 1.0}
    """

    name = "decorrelation"
    same_work = True

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        binary: torch.Tensor,
        reconstruction: torch.Tensor,
        latent: torch.Tensor,
    ) -> torch.Tensor:
        centred = binary - binary.mean(0)
        scaled = centred / centred.square().sum(0).clamp(min=EPSILON).sqrt()
        correlation = scaled.T @ scaled
        number = correlation.shape[1]
        return (correlation.square().sum() - correlation.diagonal().square().sum()) / max(1, number * (number - 1))


LOSSES: dict[str, type[AutoEncoderLoss]] = {
    "mse": MSELoss,
    "triplet": TripletMarginLoss,
    "arcface": ArcFaceLoss,
    "sparsity": SparsityLoss,
    "consistency": ConsistencyLoss,
    "decorrelation": DecorrelationLoss,
}


def loss_class(name: str) -> type[AutoEncoderLoss]:
    """The loss of a short name (`mse`), or of the path of a class of your own (`my_package.losses.MyLoss`).

    Args:
        name (str): a short name or the path of a class.

    Returns:
        the class.

    Raises:
        ConfigError: the name is unknown, or the path does not name a subclass of [`AutoEncoderLoss`].
    """
    if name in LOSSES:
        return LOSSES[name]
    if "." not in name:
        raise ConfigError(f"unknown loss {name!r}: expected {', '.join(LOSSES)}, or the path of a class of your own")
    return import_class(name, AutoEncoderLoss, "loss")


def build_losses(settings: Mapping[str, Any]) -> list[AutoEncoderLoss]:
    """Make losses from their names and settings.

    Args:
        settings: the name of each loss, or the path of a class of your own -> its settings: the constructor's keywords
            as a dict, one of the dataclasses of [`balr_hf.training.arguments`], or None for the defaults.

    Returns:
        the losses, in the same order.

    Raises:
        ConfigError: a loss is unknown, does not have a setting, or refuses its value.

    Example:
        >>> [loss.name for loss in build_losses({"mse": None, "arcface": {"weight": 0.01}})]
        ['mse', 'arcface']
    """
    built = []
    for name, given in settings.items():
        cls = loss_class(name)
        keywords = {} if given is None else dict(given if isinstance(given, Mapping) else vars(given))
        check_keywords(cls, AutoEncoderLoss, keywords, f"the loss {name}")
        built.append(cls(**keywords))
    return built
