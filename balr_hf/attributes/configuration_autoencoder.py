"""Configuration of the binary-attribute autoencoder."""

from transformers import PreTrainedConfig


class BinaryAttributeAutoEncoderConfig(PreTrainedConfig):
    """Configuration of a [`BinaryAttributeAutoEncoder`].

    Args:
        input_dim (int): values of an embedding.
        internal_dim (int): binary attributes.
    """

    model_type = "binary-attribute-autoencoder"

    def __init__(self, input_dim: int = 256, internal_dim: int = 512, **kwargs):
        self.input_dim = input_dim
        self.internal_dim = internal_dim
        super().__init__(**kwargs)
