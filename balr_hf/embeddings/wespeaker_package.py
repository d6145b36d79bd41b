"""WeSpeaker's architectures outside the ResNet family, which the `wespeaker` package builds if it is installed."""

from typing import TYPE_CHECKING

import torch

from balr_hf.errors import UserError

if TYPE_CHECKING:
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig


def build_backbone(config: "WespeakerConfig") -> torch.nn.Module:
    """Build the architecture that `config.architecture` names, with the package's own code.

    Raises:
        UserError: the package is not installed, cannot be imported, or does not know the architecture.
    """
    name = f"{config.architecture} with {config.pooling_func} pooling"
    try:
        from wespeaker.models.speaker_model import get_speaker_model
    except Exception as error:  # the package's own dependencies fail in many ways
        raise UserError(
            f"{name} is outside the built-in ResNet family and needs the wespeaker package "
            f'(pip install "balr_hf[wespeaker]"), which does not import: {error}'
        ) from error
    try:
        return get_speaker_model(config.architecture)(**(config.architecture_args or {}))
    except Exception as error:
        raise UserError(f"the wespeaker package cannot build {name}: {error}") from error


def embed(backbone: torch.nn.Module, features: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """Embed each recording alone, since these architectures do not take padding into account.

    Args:
        backbone: what [`build_backbone`] made.
        features (torch.FloatTensor of shape `(batch, frames, feat_dim)`): log mel filter banks.
        attention_mask (torch.LongTensor of shape `(batch, frames)`, *optional*): 1 for real frames, 0 for padding.

    Returns:
        torch.FloatTensor of shape `(batch, embed_dim)`.
    """
    if attention_mask is None:
        return _last(backbone(features))
    lengths = attention_mask.long().sum(-1).tolist()
    return torch.cat([_last(backbone(row[None, :length])) for row, length in zip(features, lengths, strict=True)])


def _last(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    return outputs[-1] if isinstance(outputs, tuple) else outputs
