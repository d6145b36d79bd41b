"""Configuration of the WeSpeaker ResNet speaker embedders."""

import reprlib
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedConfig

try:
    from balr_hf.errors import ConfigError
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        ConfigError = ValueError

# How many frames become one on their way through the four stages.
SHRINKING = 8
# Three stages halve the frames, and a standard deviation over time needs two of them. This is the least number
# of which two are left.
MIN_FRAMES = 9

# WeSpeaker's names for the family: the kind of block, and how many blocks each of the four stages has.
RESNETS = {
    "ResNet18": ("basic", [2, 2, 2, 2]),
    "ResNet34": ("basic", [3, 4, 6, 3]),
    "ResNet50": ("bottleneck", [3, 4, 6, 3]),
    "ResNet101": ("bottleneck", [3, 4, 23, 3]),
    "ResNet152": ("bottleneck", [3, 8, 36, 3]),
    "ResNet221": ("bottleneck", [6, 16, 48, 3]),
    "ResNet293": ("bottleneck", [10, 20, 64, 3]),
}


# How many weights an embedder may have: 1 GiB of them. ResNet293 with 64 channels has 115 million. A file that states
# more is refused before the memory is taken.
MOST_WEIGHTS = 2**28


class WespeakerConfig(PreTrainedConfig):
    """The configuration of a [`WespeakerModel`].

    Args:
        block (str): `basic` (two 3x3 convolutions) or `bottleneck` (1x1, 3x3, 1x1).
        num_blocks (list[int]): residual blocks in each of the four stages.
        m_channels (int): channels of the first stage; each further stage doubles them.
        feat_dim (int): number of mel bins of the input features.
        embed_dim (int): size of the embedding.
        pooling_func (str): how frames become one vector. Only `TSTP` (temporal statistics: mean and standard
            deviation) is built in.
        two_emb_layer (bool): whether a second linear layer follows the first, with ReLU and batch norm between them;
            the embedding is then the output of the second.
        architecture (str, *optional*): the name of a WeSpeaker architecture outside the ResNet family
            (`ECAPA_TDNN_c512`, `CAMPPlus`), which the `wespeaker` package builds from `architecture_args`.
        architecture_args (dict, *optional*): the `model_args` of that architecture.

    Reference:
        H. Wang et al., "Wespeaker: A research and production oriented speaker embedding learning toolkit",
        ICASSP 2023; `wespeaker/models/resnet.py`.

    Raises:
        ConfigError: an unknown `block`, or sizes of which no embedder is.
    """

    model_type = "wespeaker"

    def __init__(
        self,
        block: str = "basic",
        num_blocks: list[int] | None = None,
        m_channels: int = 32,
        feat_dim: int = 80,
        embed_dim: int = 256,
        pooling_func: str = "TSTP",
        two_emb_layer: bool = False,
        architecture: str | None = None,
        architecture_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        if block not in ("basic", "bottleneck"):
            raise ConfigError(f"block={block!r}: expected basic or bottleneck")
        self.block = block
        self.num_blocks = list(num_blocks) if num_blocks is not None else [3, 4, 6, 3]
        self.m_channels = m_channels
        self.feat_dim = feat_dim
        self.embed_dim = embed_dim
        self.pooling_func = pooling_func
        self.two_emb_layer = two_emb_layer
        self.architecture = architecture
        self.architecture_args = architecture_args
        self._check_sizes()
        super().__init__(**kwargs)

    def _check_sizes(self) -> None:
        """Raise a ConfigError for sizes that no embedder has, before anything of such a size is made."""
        sizes = {"m_channels": self.m_channels, "feat_dim": self.feat_dim, "embed_dim": self.embed_dim}
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int):
                raise ConfigError(f"{name}={reprlib.repr(size)}: expected a whole number")
            if not 1 <= size <= 2**16:
                raise ConfigError(f"{name}={size}: expected 1 to {2**16:,}")
        if self.architecture is not None:
            return
        if len(self.num_blocks) != 4 or not all(
            type(count) is int and 1 <= count <= 1000 for count in self.num_blocks
        ):
            raise ConfigError(f"num_blocks={reprlib.repr(self.num_blocks)}: expected 4 numbers from 1 to 1,000")
        if self.feat_dim < 8:
            raise ConfigError(f"feat_dim={self.feat_dim}: expected at least 8, since three stages halve the features")
        # Two 3x3 convolutions, or one and two of which one side has four times the channels; then the linear layers.
        squares = sum(count * (self.m_channels << stage) ** 2 for stage, count in enumerate(self.num_blocks))
        outputs = (self.m_channels << 3) * (4 if self.block == "bottleneck" else 1) * 2 * (self.feat_dim // 8)
        weights = 18 * squares + (outputs + self.embed_dim * bool(self.two_emb_layer)) * self.embed_dim
        if weights > MOST_WEIGHTS:
            raise ConfigError(
                f"m_channels={self.m_channels}, num_blocks={self.num_blocks}, feat_dim={self.feat_dim}, "
                f"embed_dim={self.embed_dim}: about {weights:,} weights, expected at most {MOST_WEIGHTS:,}"
            )

    @classmethod
    def from_wespeaker(cls, model: str, model_args: dict[str, Any]) -> "WespeakerConfig":
        """Make the configuration from the entries `model` and `model_args` of WeSpeaker's `config.yaml`."""
        pooling = model_args.get("pooling_func", "TSTP")
        if model not in RESNETS or pooling != "TSTP":
            return cls(
                feat_dim=model_args.get("feat_dim", 80),
                embed_dim=model_args.get("embed_dim", 256),
                pooling_func=pooling,
                architecture=model,
                architecture_args=dict(model_args),
            )
        block, num_blocks = RESNETS[model]
        known = {"m_channels", "feat_dim", "embed_dim", "pooling_func", "two_emb_layer"}
        return cls(block=block, num_blocks=num_blocks, **{k: v for k, v in model_args.items() if k in known})


WespeakerConfig.register_for_auto_class()
