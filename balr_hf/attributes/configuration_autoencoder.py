"""Configuration of the binary-attribute autoencoder."""

import reprlib
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedConfig

try:
    from balr_hf.errors import ConfigError
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        ConfigError = ValueError

# How many weights an autoencoder may have: 1 GiB of them, as with 8,192 attributes of 8,192 values. A file that states
# more is refused before the memory is taken.
MOST_WEIGHTS = 2**28


class BinaryAttributeAutoEncoderConfig(PreTrainedConfig):
    """Configuration of a [`BinaryAttributeAutoEncoder`].

    Args:
        input_dim (int): number of values in an embedding.
        internal_dim (int): number of binary attributes.
        training (dict, *optional*): how the model was trained: settings, data sets, versions and losses; None if that
            is unknown.
        embedder_identity (str, *optional*): the identity of the embedder on whose embeddings the model was trained
            (see [`balr_hf.identity`]); None if that is unknown.

    Raises:
        ConfigError: sizes of which no autoencoder is.
    """

    model_type = "binary-attribute-autoencoder"

    def __init__(
        self,
        input_dim: int = 256,
        internal_dim: int = 512,
        training: dict | None = None,
        embedder_identity: str | None = None,
        **kwargs: Any,
    ):
        for name, size in (("input_dim", input_dim), ("internal_dim", internal_dim)):
            if isinstance(size, bool) or not isinstance(size, int):
                raise ConfigError(f"{name}={reprlib.repr(size)}: expected a whole number")
            if size < 1:
                raise ConfigError(f"{name}={size}: expected at least 1")
        weights = 2 * internal_dim * (internal_dim + input_dim)
        if weights > MOST_WEIGHTS:
            raise ConfigError(
                f"input_dim={input_dim}, internal_dim={internal_dim}: about {weights:,} weights, expected at most "
                f"{MOST_WEIGHTS:,}"
            )
        self.input_dim = input_dim
        self.internal_dim = internal_dim
        self.training = training
        self.embedder_identity = embedder_identity
        super().__init__(**kwargs)


BinaryAttributeAutoEncoderConfig.register_for_auto_class()
