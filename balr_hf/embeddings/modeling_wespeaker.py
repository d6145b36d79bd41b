"""WeSpeaker's ResNet speaker embedders, with the names that WeSpeaker's state dicts have.

A recording's embedding does not depend on what shares its batch: the padding is set to zero before every convolution
that looks across time, and is left out of the pooling.
"""

import copy
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_wespeaker import SHRINKING, WespeakerConfig
from .feature_extraction_wespeaker import WespeakerFeatureExtractor

try:
    from balr_hf.embeddings import wespeaker_checkpoint, wespeaker_package
    from balr_hf.errors import UserError
    from balr_hf.pretrained import HubModel

    if TYPE_CHECKING:  # inside `try`: transformers requires what is imported outside wherever this file is loaded
        import datasets

        from balr_hf.data.contract import Corpus
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        wespeaker_checkpoint = wespeaker_package = None
        UserError, HubModel = ValueError, PreTrainedModel

# Keywords of from_pretrained that say where on the Hub something is. balr_hf/checkpoints.py has them too, but this
# file must work without the package.
HUB_KEYWORDS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")


@dataclass
class WespeakerOutput(ModelOutput):
    """Output of [`WespeakerModel`].

    Args:
        embeddings (`torch.FloatTensor` of shape `(batch, embed_dim)`): the speaker embeddings, not length-normalised.
        hidden_states (tuple of 5 `torch.FloatTensor` of shape `(batch, channels, mel, frames)`, *optional*): with
            `output_hidden_states=True`, the feature maps after the first convolution and after each of the four
            stages, with zeros in the padding. A model of another architecture than a ResNet has none.
    """

    embeddings: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


# Where other ways are faster if nobody looks at the feature maps in between: to set one frame of each recording to
# zero, and not to multiply all frames by a mask; and to add and rectify within the operation of a convolution.
QUICK_UNSEEN = ("cuda",)
# Where a convolution adds and rectifies: NVIDIA's GPUs from this compute capability on, and numbers of these types, or
# float32 where tf32 is allowed (without it, an H100 took 15 times as long as for each operation apart).
FUSES_FROM = (8, 0)
FUSED_TYPES = (torch.float16, torch.bfloat16)


class TimeMask:
    """Tells which frames of a padded batch are real, at one time resolution.

    Args:
        lengths (`torch.LongTensor` of shape `(batch,)`, *optional*): how many frames of each recording are real; None
            if there is no padding.
        unseen (bool): whether nobody looks at the feature maps, so that they may be changed in place, and some of them
            need not be made.
    """

    def __init__(self, lengths: torch.Tensor | None, unseen: bool = False):
        self.lengths, self.unseen = lengths, unseen
        self._mask: torch.Tensor | None = None
        self._edge: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def halved(self) -> "TimeMask":
        """Make the mask for what a convolution with a stride of 2 gives."""
        return TimeMask(None if self.lengths is None else (self.lengths - 1) // 2 + 1, self.unseen)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Set the padding of `x (batch, channels, frequencies, frames)` to zero."""
        if self.lengths is None:
            return x
        if self._mask is None:
            mask = torch.arange(x.shape[-1], device=x.device) < self.lengths[:, None]
            self._mask = mask[:, None, None]
        return x * self._mask

    def edge(self, x: torch.Tensor) -> torch.Tensor:
        """Set what a convolution over 3 frames reaches of the padding to zero, or, with `unseen`, only that.

        From the real frames, it reaches the first frame after them. To set only this one spares a GPU a third of its
        time.
        """
        if self.lengths is None or not self.unseen:
            return self(x)
        if self._edge is None:
            rows, place = torch.arange(len(x), device=x.device), self.lengths.clamp(max=x.shape[-1] - 1).long()
            real = (self.lengths >= x.shape[-1])[:, None, None]  # a recording that fills its row has no such frame
            self._edge = rows, place, real
        rows, place, real = self._edge
        x[rows, :, :, place] = x[rows, :, :, place] * real
        return x


def _rectified(
    convolution: nn.Conv2d, norm: nn.Module, x: torch.Tensor, mask: TimeMask, added: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute `relu(norm(convolution(x)) + added)`, in one operation where that is possible and nobody looks inside.

    Bias, sum and rectification apart take an NVIDIA GPU more time than the convolutions, since each reads and writes a
    whole feature map.
    """
    weight, bias = convolution.weight, convolution.bias
    kind: torch.dtype | None
    if torch.is_autocast_enabled(x.device.type):
        kind = torch.get_autocast_dtype(x.device.type)
    else:
        kind = x.dtype if x.dtype == weight.dtype else None
    folded = isinstance(norm, nn.Identity)
    if kind is None or not (mask.unseen and folded and _fuses(x.device, kind)):
        out = norm(convolution(x))
        return F.relu(out if added is None else out + added)
    x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    how: Any = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
    if added is None:
        return torch.cudnn_convolution_relu(x, weight, bias, *how)
    return torch.cudnn_convolution_add_relu(x, weight, added.to(kind), 1.0, bias, *how)


def _fuses(device: torch.device, kind: torch.dtype) -> bool:
    """Whether a GPU adds and rectifies in the operation of a convolution of such numbers, and is faster for it."""
    if device.type != "cuda" or torch.version.cuda is None or not hasattr(torch, "cudnn_convolution_add_relu"):
        return False
    settings = getattr(torch.backends.cudnn, "conv", None)  # which torch has since 2.9
    tf32 = settings is not None and settings.fp32_precision == "tf32"
    if kind not in FUSED_TYPES and not (kind == torch.float32 and tf32):
        return False
    return torch.backends.cudnn.enabled and torch.cuda.get_device_capability(device) >= FUSES_FROM


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, in_planes: int, planes: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = _shortcut(in_planes, planes * self.expansion, stride)

    def forward(self, x: torch.Tensor, mask: TimeMask, mask_after: TimeMask) -> torch.Tensor:
        out = _rectified(self.conv1, self.bn1, mask.edge(x), mask)
        return _rectified(self.conv2, self.bn2, mask_after.edge(out), mask, self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, in_planes: int, planes: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.shortcut = _shortcut(in_planes, planes * self.expansion, stride)

    def forward(self, x: torch.Tensor, mask: TimeMask, mask_after: TimeMask) -> torch.Tensor:
        out = _rectified(self.conv1, self.bn1, x, mask)
        out = _rectified(self.conv2, self.bn2, mask.edge(out), mask)
        return _rectified(self.conv3, self.bn3, out, mask, self.shortcut(x))


def _shortcut(in_planes: int, planes: int, stride: int) -> nn.Sequential:
    if stride == 1 and in_planes == planes:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))


def _fold_batch_norms(module: nn.Module, pairs: list[tuple[str, str]]) -> None:
    for convolution, norm in pairs:
        parts = (
            getattr(module, name).double() for name in (convolution, norm)
        )  # so that results are rounded only once
        setattr(module, convolution, fuse_conv_bn_eval(*parts).float())
        setattr(module, norm, nn.Identity().eval())  # like the model that it becomes part of


class TemporalStatisticsPooling(nn.Module):
    """TSTP: the mean and the unbiased standard deviation over time, of every channel and frequency."""

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        x = x.contiguous()
        x = x.float() if x.dtype.itemsize < 4 else x  # sums over time need more digits than half precision has
        count = x.new_full((1, 1, 1), x.shape[-1]) if lengths is None else lengths.to(x.dtype)[:, None, None]
        mean = x.sum(-1) / count
        deviation = x - mean.unsqueeze(-1)
        if lengths is not None:
            deviation = deviation * (torch.arange(x.shape[-1], device=x.device) < lengths[:, None])[:, None, None]
        variance = deviation.square().sum(-1) / (count - 1).clamp(min=1)
        return torch.cat([mean, torch.sqrt(variance + 1e-7)], 1).flatten(1)


class EmbeddingStream:
    """Embeds a recording of any length in memory that does not grow with it.

    The frames go through the convolutions in overlapping pieces, each with as many frames on either side as the
    network looks at, so that what is kept of a piece is what one pass over the recording gives. The means and the
    sums of squared deviations of the pieces are merged in float64. A network of another architecture than a ResNet
    has no such pieces: its frames are kept until the end.

    Args:
        model: the embedder.
        frames_per_piece (int): how many frames go through the convolutions at once, without those on either side.

    Reference:
        T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", 1983, eq. 1.5.
    """

    def __init__(self, model: "WespeakerModel", frames_per_piece: int):
        self.model = model
        self.margin = -(-model.frames_looked_at // SHRINKING) * SHRINKING
        self.frames_per_piece = max(1, frames_per_piece // SHRINKING) * SHRINKING
        self._before = 0  # how many of the waiting frames are only context
        self._waiting: list[torch.Tensor] = []
        self._count = 0
        self._mean: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None

    @torch.no_grad()
    def add(self, features: torch.Tensor) -> None:
        """Take the next frames, float32 `(frames, feat_dim)` on the model's device."""
        self._waiting.append(features)
        if self.model.config.architecture is not None:
            return
        needed = self._before + self.frames_per_piece + self.margin
        if sum(map(len, self._waiting)) <= needed:
            return
        frames = torch.cat(self._waiting)
        while len(frames) > needed:
            end = self._before + self.frames_per_piece
            self._merge(frames[:needed], self._before, end)
            kept = max(0, end - self.margin)
            frames, self._before = frames[kept:], end - kept
            needed = self._before + self.frames_per_piece + self.margin
        self._waiting = [frames]

    @torch.no_grad()
    def finish(self) -> torch.Tensor:
        """Return the embedding of all frames, `(embed_dim,)`; at least 9 frames must have come."""
        if self.model.config.architecture is not None:
            return self.model(torch.cat(self._waiting)[None]).embeddings[0]
        return self.model._embedded(self.statistics()[None])[0]

    @torch.no_grad()
    def statistics(self) -> torch.Tensor:
        """Return the statistics of all frames, of which an embedding is made, instead of the embedding.

        Returns:
            float32 `(num_statistics,)`: the means over time of the last feature map, and the standard deviations; see
            [`WespeakerModel.num_statistics`].
        """
        self._merge(torch.cat(self._waiting), self._before, None)
        assert self._mean is not None and self._squares is not None
        variance = self._squares / max(1, self._count - 1)
        return torch.cat([self._mean, torch.sqrt(variance + 1e-7)], 1).flatten().float()

    def _merge(self, frames: torch.Tensor, start: int, end: int | None) -> None:
        """Add what the convolutions make of `frames[start:end]`, where the other frames are context."""
        mask = TimeMask(None, self.model._maps_are_unseen(frames.device))
        found, _ = self.model._feature_maps(frames[None], mask, keep=False)
        found = found[..., start // SHRINKING : None if end is None else end // SHRINKING].float()
        count = found.shape[-1]
        if not count:
            return
        wide = torch.float32 if found.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
        mean = found.mean(-1)
        squares = (found - mean.unsqueeze(-1)).square().sum(-1).to(wide)
        mean = mean.to(wide)
        if self._mean is None or self._squares is None:
            self._mean, self._squares, self._count = mean, squares, count
            return
        total = self._count + count
        difference = mean - self._mean
        self._squares = self._squares + squares + difference.square() * (self._count * count / total)
        self._mean = self._mean + difference * (count / total)
        self._count = total


class WespeakerModel(HubModel):
    """A WeSpeaker speaker embedder: it turns the filter banks of each recording into one embedding.

    `WespeakerModel.from_pretrained` reads this package's own folders and repositories, and those of WeSpeaker
    (`Wespeaker/wespeaker-voxceleb-resnet34-LM`, or a folder with `avg_model.pt` and `config.yaml`).

    Example:
        >>> model = WespeakerModel.from_pretrained("Wespeaker/wespeaker-voxceleb-resnet34-LM")
        >>> corpus = model.extract_embeddings(load_corpus("recordings/"))

    Reference:
        H. Wang et al., "Wespeaker: A research and production oriented speaker embedding learning toolkit",
        ICASSP 2023; `wespeaker/models/resnet.py`.
    """

    config_class = WespeakerConfig
    base_model_prefix = "embedder"  # of its weights in a whole system, from which it can be loaded too
    main_input_name = "input_features"
    role = "embedder"

    config: WespeakerConfig
    layer1: nn.ModuleList
    layer2: nn.ModuleList
    layer3: nn.ModuleList
    layer4: nn.ModuleList

    def __init__(self, config: WespeakerConfig, feature_extractor: WespeakerFeatureExtractor | None = None):
        super().__init__(config)
        self.feature_extractor = feature_extractor or WespeakerFeatureExtractor(num_mel_bins=config.feat_dim)
        if config.architecture is not None:
            if wespeaker_package is None:
                raise ImportError(f"{config.architecture} is built by the package: pip install balr_hf")
            self.backbone = wespeaker_package.build_backbone(config)
            self.post_init()
            return
        if config.pooling_func != "TSTP":
            raise UserError(f"pooling_func={config.pooling_func!r}: the ResNet family is built with TSTP here")
        blocks: dict[str, type[BasicBlock | Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}
        block = blocks[config.block]
        channels = config.m_channels
        self.conv1 = nn.Conv2d(1, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        in_planes = channels
        for stage, count in enumerate(config.num_blocks):
            planes = channels * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (count - 1)
            layers = []
            for stride in strides:
                layers.append(block(in_planes, planes, stride))
                in_planes = planes * block.expansion
            setattr(self, f"layer{stage + 1}", nn.ModuleList(layers))
        self.pool = TemporalStatisticsPooling()
        self.seg_1 = nn.Linear(config.feat_dim // 8 * in_planes * 2, config.embed_dim)
        if config.two_emb_layer:
            self.seg_bn_1 = nn.BatchNorm1d(config.embed_dim, affine=False)
            self.seg_2 = nn.Linear(config.embed_dim, config.embed_dim)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        from transformers import initialization as init

        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            init.kaiming_normal_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            if module.affine:
                init.ones_(module.weight)
                init.zeros_(module.bias)
            init.zeros_(module.get_buffer("running_mean"))
            init.ones_(module.get_buffer("running_var"))
            init.zeros_(module.get_buffer("num_batches_tracked"))

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> WespeakerOutput:
        """Embed a batch.

        Args:
            input_features (`torch.FloatTensor` of shape `(batch, frames, feat_dim)`): log mel filter banks.
            attention_mask (`torch.LongTensor` of shape `(batch, frames)`, *optional*): 1 for real frames, 0 for the
                padding at the end. Each recording needs at least 9 real frames: with fewer, the standard deviation
                over time is not defined.
            output_hidden_states (bool, *optional*): also return the feature maps between the stages; by default as
                the configuration says.
            return_dict (bool, *optional*): False returns a tuple.

        Returns:
            [`WespeakerOutput`] with `embeddings` of shape `(batch, embed_dim)`.
        """
        if self.config.architecture is not None:
            return WespeakerOutput(embeddings=wespeaker_package.embed(self.backbone, input_features, attention_mask))
        lengths = None if attention_mask is None else attention_mask.sum(-1)
        mask = TimeMask(lengths, self._maps_are_unseen(input_features.device))
        keep = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        x, hidden_states = self._feature_maps(input_features, mask, bool(keep))
        for _ in range(3):  # stages that halve the frames
            mask = mask.halved()
        embeddings = self._embedded(self.pool(mask(x), mask.lengths))
        return WespeakerOutput(embeddings=embeddings, hidden_states=hidden_states if keep else None)

    def _maps_are_unseen(self, device: torch.device) -> bool:
        """Whether other ways are faster that change feature maps or do not make them, and nobody sees it.

        Gradients and the batch norms of training need the maps, and a hook may keep what a module returns.
        """
        of_all = torch.nn.modules.module
        if device.type not in QUICK_UNSEEN or torch.is_grad_enabled():
            return False
        if of_all._global_forward_hooks or of_all._global_forward_pre_hooks:
            return False
        return not any(m.training or m._forward_hooks or m._forward_pre_hooks for m in self.modules())

    def _feature_maps(
        self, input_features: torch.Tensor, mask: TimeMask, keep: bool
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """What the convolutions make of `(batch, frames, feat_dim)`: `(batch, channels, mel, frames / 8)`.

        Returns:
            `(x, hidden_states)`: the last feature map, and, if they are to be kept, those between the stages.
        """
        x = input_features.transpose(1, 2).unsqueeze(1)
        x = _rectified(self.conv1, self.bn1, mask(x), mask)
        hidden_states: tuple[torch.Tensor, ...] = ()
        if keep:
            hidden_states += (x := mask(x),)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            mask_after = mask if stage is self.layer1 else mask.halved()  # by the first block of the stage
            for block in stage:
                x = block(x, mask, mask_after)
                mask = mask_after
            if keep:
                hidden_states += (x := mask(x),)
        return x, hidden_states

    def _embedded(self, pooled: torch.Tensor) -> torch.Tensor:
        """Turn the statistics over time into embeddings `(batch, embed_dim)`."""
        embeddings = self.seg_1(pooled.to(self.seg_1.weight.dtype))
        if self.config.two_emb_layer:
            embeddings = self.seg_2(self.seg_bn_1(F.relu(embeddings)))
        return embeddings

    @property
    def num_statistics(self) -> int | None:
        """How many statistics over time an embedding is made of; None for another architecture than a ResNet."""
        return None if self.config.architecture is not None else self.seg_1.in_features

    @property
    def frames_looked_at(self) -> int:
        """How many frames on either side of its own a value of the last feature map depends on."""
        looked_at, width = 1, 1  # of the first convolution
        for stage, count in enumerate(self.config.num_blocks):
            convolutions = 2 * count if self.config.block == "basic" else count
            if stage:  # whose first convolution halves the frames
                looked_at, width, convolutions = looked_at + width, 2 * width, convolutions - 1
            looked_at += convolutions * width
        return looked_at

    def streamed(self, frames_per_piece: int) -> EmbeddingStream:
        """Embed a recording of any length, whose frames come in blocks; see [`EmbeddingStream`]."""
        return EmbeddingStream(self, frames_per_piece)

    def for_inference(self) -> "WespeakerModel":
        """Make a copy with each batch norm folded into the convolution before it, and weights laid out channels last.

        The copy computes the same embeddings faster, up to rounding. It cannot be trained or saved.
        """
        model = copy.deepcopy(self).eval()
        if self.config.architecture is None:
            _fold_batch_norms(model, [("conv1", "bn1")])
            for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
                for block in stage:
                    _fold_batch_norms(block, [(f"conv{n}", f"bn{n}") for n in (1, 2, 3) if hasattr(block, f"conv{n}")])
                    if len(block.shortcut):
                        _fold_batch_norms(block.shortcut, [("0", "1")])
            model = model.to(memory_format=torch.channels_last)
        return model

    def extract_embeddings(
        self,
        corpus: "datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | Corpus | str | Path",
        *,
        save_dir: str | Path | None = None,
        save_format: str | None = None,
        **options: Any,
    ) -> "datasets.Dataset":
        """Add an `embedding` column to a corpus.

        Args:
            corpus: a `datasets.Dataset` with an `audio` column, or what [`load_corpus`] reads; a `DatasetDict`, each
                of whose splits is saved to a folder of its name in `save_dir`; or an `IterableDataset`, whose
                embeddings are saved as parquet files in `save_dir`, without audio.
            save_dir (*optional*): a folder where each batch is kept as soon as it is done, so that a run that was
                stopped goes on where it was; see [`balr_hf.data.open_store`].
            save_format (str, *optional*): `txt`, `npy`, `pkl` or `dataset`. If it is given without `save_dir`, vector
                files go beside the recordings. Without both, nothing is saved.
            **options: `batch_size`, `num_proc`, `devices`, `precision`, `force` and the others of
                [`balr_hf.embeddings.extraction.compute_embeddings`].

        Returns:
            `datasets.Dataset` (of a `DatasetDict`, a `DatasetDict`): the corpus with `embedding`. Recordings that
            could not be used keep their row with `None`, and one warning counts and names them.

        Raises:
            UserError: the corpus has no audio, or `save_dir` holds other things.
        """
        try:
            from balr_hf.embeddings.extraction import add_embeddings
        except ModuleNotFoundError as error:
            raise ImportError("extract_embeddings needs the package: pip install balr_hf") from error
        return add_embeddings(self, corpus, save_dir=save_dir, save_format=save_format, **options)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # as in HubModel: a source is always named
        cls,
        pretrained_model_name_or_path: str | Path | None,
        *model_args: Any,
        model_name: str = "avg_model.pt",
        config_name: str = "config.yaml",
        **kwargs: Any,
    ) -> Self:
        """Load an embedder from a folder or from the Hub.

        Args:
            pretrained_model_name_or_path: a folder or repository of this package (with `config.json` and
                `model.safetensors`) or of WeSpeaker; None with `config` and `state_dict`.
            model_name (str): the checkpoint's name in a folder or repository of WeSpeaker, with or without `.pt`.
            config_name (str): the configuration's name there.
            **kwargs: `revision`, `token`, `cache_dir`, `local_files_only` and so on, as everywhere in transformers.

        Returns:
            the model, in evaluation mode.

        Raises:
            ModelFilesError: there is no model, or a checkpoint is damaged or holds anything but tensors; this is an
                `OSError` too.
            WeightsError: a checkpoint does not fit its configuration; this is a `RuntimeError` too.
            UserError: the model is of another kind, or weights are not finite.
        """
        source = pretrained_model_name_or_path
        if wespeaker_checkpoint is not None and source is not None and not model_args and "state_dict" not in kwargs:
            files = wespeaker_checkpoint.find(source, model_name, config_name, kwargs)
            if files is not None:
                return wespeaker_checkpoint.load(cls, *files)
        loaded: Any = super().from_pretrained(source, *model_args, **kwargs)
        if source is None:
            return loaded
        model = loaded[0] if kwargs.get("output_loading_info") else loaded
        with suppress(OSError):  # without preprocessor_config.json, the defaults of __init__ remain
            model.load_feature_extractor(source, **kwargs)
        return loaded

    def load_feature_extractor(self, source: str | Path, **kwargs: Any) -> None:
        """Take the feature extractor that `preprocessor_config.json` describes.

        Args:
            source (str or `Path`): a folder, or the id of a repository on the Hub.
            **kwargs: of `from_pretrained`; those that say where on the Hub something is count.

        Raises:
            OSError: there is no such file.
            ValueError: it is damaged; as `UserError` where this package is installed.
        """
        hub = {k: v for k, v in kwargs.items() if k in HUB_KEYWORDS}
        try:
            self.feature_extractor = WespeakerFeatureExtractor.from_pretrained(source, **hub)
        except (OSError, UserError):
            raise
        except Exception as error:  # a damaged file can make transformers raise almost anything
            raise UserError(f"{source}: preprocessor_config.json is damaged ({error})") from error
        if self.feature_extractor.num_mel_bins != self.config.feat_dim:
            raise UserError(
                f"{source} does not fit together: preprocessor_config.json has "
                f"num_mel_bins={self.feature_extractor.num_mel_bins}, config.json feat_dim={self.config.feat_dim}"
            )

    def save_pretrained(  # type: ignore[override]  # as in HubModel
        self,
        save_directory: str | os.PathLike[Any],
        is_main_process: bool = True,
        state_dict: dict[str, Any] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write the model, and beside it `preprocessor_config.json` of its feature extractor.

        Args:
            save_directory (str or path): the folder, which is made if it does not exist.
            is_main_process (bool): whether this is the process that writes the feature extractor and uploads.
            state_dict (dict, *optional*): weights to save instead of the model's own.
            push_to_hub (bool): also upload both, to the repository `repo_id`.
            **kwargs: as for `PreTrainedModel.save_pretrained`.
        """
        apart = {name: kwargs[name] for name in ("repo_id", "private", "token") if name in kwargs}
        super().save_pretrained(save_directory, is_main_process, state_dict, push_to_hub, **kwargs)
        if not is_main_process:
            return
        if push_to_hub and HubModel is PreTrainedModel:  # which has uploaded the files of the model only
            self.feature_extractor.save_pretrained(str(save_directory), push_to_hub=True, **apart)
        else:
            self.feature_extractor.save_pretrained(save_directory)


WespeakerModel.register_for_auto_class("AutoModel")
