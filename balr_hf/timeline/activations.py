"""From waveforms and features to activations: the values whose sign is the attribute."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
from balr_hf.embeddings.passes import FRAMES_PER_PASS, LongRecording, embed_features, embed_waveforms


class System(Protocol):
    """What is needed of a system; a [`SpeakerComparisonModel`] has it, and so have [`SystemParts`]."""

    @property
    def embedder(self) -> WespeakerModel: ...

    @property
    def autoencoder(self) -> BinaryAttributeAutoEncoder: ...


@dataclass(frozen=True)
class SystemParts:
    """An embedder and the autoencoder that was trained on its embeddings, where they are no whole system.

    Attributes:
        embedder: makes embeddings.
        autoencoder: makes attributes of embeddings.
    """

    embedder: WespeakerModel
    autoencoder: BinaryAttributeAutoEncoder


class Activations:
    """Computes the activations of attributes: what the encoder makes before its tanh, which keeps the sign.

    Copies compute, so that models which are being trained go on in the mode that they are in.

    Args:
        system ([`System`]): the embedder and the autoencoder.
    """

    def __init__(self, system: System):
        self.extractor = system.embedder.feature_extractor
        self.device = system.embedder.device
        self._embedder = system.embedder.for_inference()
        self._autoencoder = copy.deepcopy(system.autoencoder).eval().to(self.device)  # type: ignore[arg-type]

    @property
    def num_attributes(self) -> int:
        """The number of attributes."""
        return self._autoencoder.config.internal_dim

    def of_waveforms(self, waveforms: Sequence[np.ndarray | LongRecording]) -> np.ndarray:
        """The activations of recordings at the embedder's rate, float32 `(recordings, attributes)`."""
        return self._of(embed_waveforms(self._embedder, self.extractor, waveforms, self.device))

    def of_features(self, features: torch.Tensor) -> np.ndarray:
        """The activations of features `(recordings, frames, mel)`, float32 `(recordings, attributes)`."""
        return self._of(embed_features(self._embedder, features, self.device).cpu().numpy())

    def recordings_per_pass(self, frames: int) -> int:
        """How many recordings of so many frames one pass takes."""
        return max(1, FRAMES_PER_PASS.get(self.device.type, frames) // frames)

    @torch.inference_mode()
    def _of(self, embeddings: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(embeddings).to(self.device)
        hidden = self._autoencoder(rows, return_loss=False, output_hidden_states=True).hidden_states
        return hidden[-2].float().cpu().numpy()  # the last is after the tanh
