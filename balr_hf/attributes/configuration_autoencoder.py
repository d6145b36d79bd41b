"""Configuration of the binary-attribute autoencoder."""

from typing import Any

from transformers import PreTrainedConfig


class BinaryAttributeAutoEncoderConfig(PreTrainedConfig):
    """Configuration of a [`BinaryAttributeAutoEncoder`].

    Args:
        input_dim (int): number of values in an embedding.
        internal_dim (int): number of binary attributes.
        training (dict, *optional*): how the model was trained: settings, data sets, versions and losses; None if that
            is unknown.
        embedder_identity (str, *optional*): the identity of the embedder on whose embeddings the model was trained
            (see [`balr_hf.identity`]); None if that is unknown.
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
        self.input_dim = input_dim
        self.internal_dim = internal_dim
        self.training = training
        self.embedder_identity = embedder_identity
        super().__init__(**kwargs)


BinaryAttributeAutoEncoderConfig.register_for_auto_class()
