"""The autoencoder that turns a speaker embedding into binary attributes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_autoencoder import BinaryAttributeAutoEncoderConfig

try:
    from balr_hf.pretrained import HubModel

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets

        from balr_hf.data.contract import Corpus
except ModuleNotFoundError:  # this file came with a model, and the package is not installed
    if not TYPE_CHECKING:
        HubModel = PreTrainedModel


@dataclass
class BinaryAttributeOutput(ModelOutput):
    """Output of [`BinaryAttributeAutoEncoder`].

    Args:
        loss (`torch.FloatTensor` of shape `()`): mean squared error of the reconstruction.
        binary (`torch.FloatTensor` of shape `(batch, internal_dim)`): the attributes, 0 or 1. Gradients pass through
            the binarization.
        reconstruction (`torch.FloatTensor` of shape `(batch, input_dim)`): the embeddings made from the attributes.
        latent (`torch.FloatTensor` of shape `(batch, internal_dim)`): the attributes before binarization, in (-1, 1).
        hidden_states (tuple of 5 `torch.FloatTensor` of shape `(batch, internal_dim)`, *optional*): with
            `output_hidden_states=True`, the output of each layer of the encoder; the last is `latent`.
    """

    loss: torch.Tensor | None = None
    binary: torch.Tensor | None = None
    reconstruction: torch.Tensor | None = None
    latent: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


class StraightThroughBinarization(torch.autograd.Function):
    """Gives 1 where the input is positive and 0 elsewhere; on the way back, hardtanh clips the gradient to [-1, 1]."""

    @staticmethod
    def forward(ctx: FunctionCtx, latent: torch.Tensor) -> torch.Tensor:
        return (latent > 0).to(latent.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
        return F.hardtanh(gradient)


class BinaryAttributeAutoEncoder(HubModel):
    """Encodes an embedding as binary attributes, and decodes the attributes back to the embedding.

    The encoder is linear, ReLU, batch norm, linear, tanh. An attribute is 1 where the result is positive. The decoder
    is linear, tanh, linear. The names in the state dict are those of BALR.

    Args:
        config (BinaryAttributeAutoEncoderConfig): `input_dim`, `internal_dim`.

    Example:
        >>> model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=8, internal_dim=16)).eval()
        >>> output = model(torch.randn(3, 8))
        >>> output.binary.shape, output.reconstruction.shape
        (torch.Size([3, 16]), torch.Size([3, 8]))
        >>> model.encode(torch.randn(3, 8)).dtype
        torch.bool

    References:
        I. Ben-Amor, J.-F. Bonastre and S. Mdhaffar, "Extraction of interpretable and shared speaker-specific speech
        attributes through binary auto-encoder", Interspeech 2024, pp. 3230-3234.
    """

    config_class = BinaryAttributeAutoEncoderConfig
    base_model_prefix = "autoencoder"
    main_input_name = "embeddings"
    role = "autoencoder"

    config: BinaryAttributeAutoEncoderConfig

    def __init__(self, config: BinaryAttributeAutoEncoderConfig):
        super().__init__(config)
        self.encoder = nn.Sequential(
            nn.Linear(config.input_dim, config.internal_dim),
            nn.ReLU(),
            nn.BatchNorm1d(config.internal_dim),
            nn.Linear(config.internal_dim, config.internal_dim),
            nn.Tanh(),
        )
        self.decoder = nn.Sequential(
            nn.Linear(config.internal_dim, config.internal_dim),
            nn.Tanh(),
            nn.Linear(config.internal_dim, config.input_dim),
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        from transformers import initialization as init

        if isinstance(module, nn.Linear):
            init.kaiming_normal_(module.weight, mode="fan_in")
            bound = module.in_features**-0.5
            init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.BatchNorm1d):
            init.ones_(module.weight)
            init.zeros_(module.bias)
            mean, variance, batches = module.running_mean, module.running_var, module.num_batches_tracked
            assert mean is not None and variance is not None and batches is not None
            init.zeros_(mean)
            init.ones_(variance)
            init.zeros_(batches)

    @torch.no_grad()
    def set_hyperplanes(self, embeddings: torch.Tensor, seed: int = 0, activation: float | None = None) -> None:
        """Let each attribute tell on which side of a hyperplane an embedding lies, instead of learning attributes.

        The hyperplanes go through the mean of some embeddings. Their directions are drawn at random, in groups of
        `input_dim` that are orthogonal to each other. So the share of the attributes in which two embeddings differ is
        the angle between them, seen from the mean, over 180 degrees, on the average over the draws; what is near in
        angle stays near in attributes, whatever the embeddings vary in. The decoder stays as it is.

        With `activation`, each hyperplane is bent to a cone around its direction, which holds this share of the
        embeddings: an attribute is active where the part of an embedding along its direction, divided by the sum of
        the absolute values of the embedding (both seen from the mean), lies above a threshold. Attributes are then
        rarer, and fewer of them change where a recording does; how long an embedding is does not count.

        Args:
            embeddings (float `(recordings, input_dim)`): those of a training set.
            seed (int): of the directions.
            activation (float, *optional*): in which share of them each attribute is active, above 0 and below 0.5;
                without it, in about half.

        Raises:
            ValueError: there are fewer than `2 * input_dim` attributes, and so fewer hidden values than hold an
                embedding behind a ReLU; embeddings have another shape, or are all alike; `activation` is no such
                share.

        References:
            M. S. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002.
            J. Ji, J. Li, S. Yan, B. Zhang and Q. Tian, "Super-bit locality-sensitive hashing", NIPS 2012.
        """
        self._check_shape(embeddings)
        size, number = self.config.input_dim, self.config.internal_dim
        if number < 2 * size:
            raise ValueError(f"{number} attributes of embeddings of {size} values: expected at least {2 * size}")
        if activation is not None and not 0 < activation < 0.5:
            raise ValueError(f"activation={activation}: expected a share above 0 and below 0.5")
        given = embeddings.double().cpu()
        mean = given.mean(0)
        spread = float((given - mean).square().mean().sqrt())
        if not 0 < spread < float("inf"):
            raise ValueError("the embeddings are all alike, or not finite: no hyperplane lies between them")
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(size, size, generator=generator, dtype=torch.float64) for _ in range(-(-number // size))]
        groups = [q * torch.diagonal(r).sign() for q, r in map(torch.linalg.qr, drawn)]  # of any direction alike
        directions = torch.cat([group.T for group in groups])[:number]
        into, norm, out = self.encoder[0], self.encoder[2], self.encoder[3]
        assert isinstance(into, nn.Linear) and isinstance(norm, nn.BatchNorm1d) and isinstance(out, nn.Linear)
        for module in (into, out):
            module.weight.zero_()
            module.bias.zero_()
        norm.reset_parameters()  # which leaves what goes through it in evaluation mode as it is, but for a factor
        into.weight[:size], into.weight[size : 2 * size] = torch.eye(size), -torch.eye(size)
        into.bias[:size], into.bias[size : 2 * size] = -mean, mean
        out.weight[:, :size], out.weight[:, size : 2 * size] = directions / spread, -directions / spread
        if activation is None:
            return
        # Behind the ReLU, the two hidden values of a dimension add up to its absolute value.
        seen = given - mean
        seen /= seen.abs().sum(1, keepdim=True).clamp_min(torch.finfo(seen.dtype).tiny)
        for own, weights in zip(directions.split(32), out.weight.split(32), strict=True):  # so few fit in memory
            parts = (own @ seen.T).numpy()  # since torch.quantile of torch 2.6 refuses those of a million recordings
            thresholds = torch.from_numpy(np.quantile(parts, 1 - activation, axis=1))
            weights[:, : 2 * size] -= (thresholds[:, None] / spread).to(weights)

    def encode(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Encode embeddings, without reconstructing them.

        Args:
            embeddings (`torch.FloatTensor` of shape `(batch, input_dim)`): the embeddings, of any precision.

        Returns:
            `torch.BoolTensor` of shape `(batch, internal_dim)`: the attributes.

        Raises:
            ValueError: embeddings have another shape, or values that are not finite; attributes would hide that.
        """
        self._check_shape(embeddings)
        if not torch.compiler.is_compiling() and not torch.isfinite(embeddings).all():
            raise ValueError("an embedding has values that are not finite numbers: it has no attributes")
        return self.encoder[:-1](embeddings.to(self.dtype)) > 0  # the last, tanh, keeps the sign

    @can_return_tuple
    def forward(
        self,
        embeddings: torch.Tensor,
        return_loss: bool = True,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BinaryAttributeOutput:
        """Encode, binarize and reconstruct.

        Args:
            embeddings (`torch.FloatTensor` of shape `(batch, input_dim)`): the embeddings, of any precision. The model
                computes in that of its weights, and the loss is computed in that of the embeddings.
            return_loss (bool): also compute the mean squared error of the reconstruction.
            output_hidden_states (bool, *optional*): also return the outputs of the encoder's layers; by default as the
                configuration says.
            return_dict (bool, *optional*): False returns a tuple.

        Returns:
            [`BinaryAttributeOutput`]

        Raises:
            ValueError: embeddings have another shape.
        """
        self._check_shape(embeddings)
        hidden_states = [embeddings.to(self.dtype)]
        for layer in self.encoder:
            hidden_states.append(layer(hidden_states[-1]))
        latent = hidden_states[-1]
        binary = StraightThroughBinarization.apply(latent)
        reconstruction = self.decoder(binary)
        loss = F.mse_loss(reconstruction.to(embeddings.dtype), embeddings) if return_loss else None
        keep = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BinaryAttributeOutput(
            loss=loss,
            binary=binary,
            reconstruction=reconstruction,
            latent=latent,
            hidden_states=tuple(hidden_states[1:]) if keep else None,
        )

    def _check_shape(self, embeddings: torch.Tensor) -> None:
        if torch.compiler.is_compiling():
            return
        if embeddings.ndim != 2 or embeddings.shape[1] != self.config.input_dim:
            raise ValueError(
                f"embeddings of shape {tuple(embeddings.shape)}: this autoencoder takes (batch, "
                f"{self.config.input_dim}), as the embedder makes that it was trained for"
            )

    @classmethod
    def from_upstream(cls, path: str | Path) -> "BinaryAttributeAutoEncoder":
        """Read a checkpoint of BALR 2.0; the sizes are taken from the weights.

        Args:
            path (str or Path): a `.pt` file that holds a state dict.

        Returns:
            [`BinaryAttributeAutoEncoder`], in eval mode.

        Raises:
            UserError: the file is missing or damaged, is of another architecture, or is a pickle that holds anything
                but tensors.
        """
        try:
            from balr_hf.checkpoints import load_state_dict
            from balr_hf.errors import UserError
        except ModuleNotFoundError as error:
            raise ImportError("from_upstream needs the package: pip install balr_hf") from error
        path = Path(path)
        weights = load_state_dict(path)
        first = weights.get("encoder.0.weight")
        if first is None or first.ndim != 2:
            raise UserError(f"{path} is not an autoencoder of BALR: it has no weight matrix encoder.0.weight")
        model = cls(BinaryAttributeAutoEncoderConfig(input_dim=first.shape[1], internal_dim=first.shape[0]))
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"{path} is not an autoencoder of BALR: {str(error).splitlines()[-1].strip()}") from error
        return model.eval()

    def get_binary_attributes(
        self,
        corpus: "datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | Corpus | str | Path",
        *,
        save_dir: str | Path | None = None,
        save_format: str | None = None,
        **options: Any,
    ) -> "datasets.Dataset":
        """Add a `ba` column to a corpus.

        Args:
            corpus: a `datasets.Dataset` with an `embedding` column, or what [`load_corpus`] reads; a `DatasetDict`,
                each of whose splits is saved to a folder of its name in `save_dir`; or an `IterableDataset`, whose
                attributes are saved as parquet files in `save_dir`.
            save_dir (str or Path, *optional*): a folder in which each batch is saved as soon as it is done, so that a
                run that was stopped can go on where it was; see [`balr_hf.data.open_store`].
            save_format (str, *optional*): `txt`, `npy` or `dataset`. Without `save_dir`, attributes are saved beside
                the recordings.
            **options: `batch_size`, `device`, `force` of
                [`balr_hf.attributes.binarization.compute_binary_attributes`].

        Returns:
            `datasets.Dataset` (of a `DatasetDict`, a `DatasetDict`): the corpus with `ba`. Recordings without an
            embedding, or with one that is zero or not finite, keep their row, with `None`, and one warning counts and
            names them.

        Raises:
            UserError, MismatchError: as for [`balr_hf.attributes.binarization.compute_binary_attributes`].
        """
        try:
            from balr_hf.attributes.binarization import add_binary_attributes
        except ModuleNotFoundError as error:
            raise ImportError("get_binary_attributes needs the package: pip install balr_hf") from error
        return add_binary_attributes(self, corpus, save_dir=save_dir, save_format=save_format, **options)


BinaryAttributeAutoEncoder.register_for_auto_class("AutoModel")
