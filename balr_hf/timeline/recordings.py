"""A recording whose windows are looked at: decoded, measured, and refused where it cannot be used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf.audio import SAMPLING_RATE, AudioError
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.passes import LongRecording, load_usable
from balr_hf.quality import MIN_SPEECH, heard, load_measured, reason_to_refuse

if TYPE_CHECKING:
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

# Seconds of the longest recording whose windows are looked at: their attributes are held in memory (60 MB for two
# hours, at a hop of 0.25 s and with 512 attributes).
LONGEST = 2 * 3600.0


@dataclass(frozen=True)
class Recording:
    """A recording at the embedder's rate.

    Attributes:
        samples: with its pauses, float32 `(samples,)`, or [`LongRecording`], which is not held in memory.
        embedded: what of it is embedded where it is compared, without long pauses: likewise.
        stretches: which of it are embedded, see [`heard_stretches`].
        sampling_rate: in Hz.
        duration: in seconds.
        speech: `(start, end)` of each stretch of speech, in seconds.
    """

    samples: np.ndarray | LongRecording
    embedded: np.ndarray | LongRecording
    stretches: Sequence[tuple[int, int]]
    sampling_rate: int
    duration: float
    speech: tuple[tuple[float, float], ...]

    @classmethod
    def load(cls, source: Any, extractor: "WespeakerFeatureExtractor", min_speech: float = MIN_SPEECH) -> "Recording":
        """Decode and measure a recording.

        Args:
            source: as for [`load_audio`], or the samples at the embedder's rate (array or tensor).
            extractor: makes the embedder's features.
            min_speech (float): seconds of net speech that it needs; 0 takes anything that is not silent.

        Raises:
            AudioError: it cannot be decoded or used, or is longer than two hours.
        """
        if isinstance(source, np.ndarray | torch.Tensor):
            source = {"array": source, "sampling_rate": extractor.sampling_rate}
        measured = load_measured(source)
        reason = reason_to_refuse(measured.quality, min_speech)
        if reason is not None:
            raise AudioError(reason)
        duration = measured.quality.duration
        if duration > LONGEST:
            raise AudioError(
                f"{duration / 3600:.1f} h long, but attributes over time are found in at most {LONGEST / 3600:.0f} h: "
                "cut it"
            )
        samples: Any = measured.samples
        usable = isinstance(samples, np.ndarray) and extractor.num_frames(len(samples)) >= MIN_FRAMES
        if usable and extractor.sampling_rate == SAMPLING_RATE:
            embedded: Any = heard(samples, measured.stretches)
        else:
            loaded = load_usable(source, extractor, min_speech)
            if loaded.samples is None:
                raise AudioError(loaded.reason or "cannot be used")
            embedded = loaded.samples
            samples = embedded if isinstance(embedded, LongRecording) else loaded.whole
        rate, speech = extractor.sampling_rate, tuple(measured.speech)
        return cls(samples, embedded, measured.stretches, rate, duration, speech)

    def blocks(self) -> Iterator[np.ndarray]:
        """Go through the samples, with the pauses: float32 `(samples,)` each."""
        if isinstance(self.samples, LongRecording):
            yield from self.samples.audio.resampled(self.sampling_rate)
        else:
            yield self.samples
