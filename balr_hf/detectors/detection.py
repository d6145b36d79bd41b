"""Looking for overlapped speech in recordings that are compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from balr_hf.domain import Limits
from balr_hf.embeddings.passes import (
    FRAMES_PER_PASS,
    Embedder,
    LongRecording,
    features_of,
    num_frames,
    statistics_in_pieces,
)
from balr_hf.explanation.overlapped import Overlapped
from balr_hf.overlapped.detector import OverlappedSpeechDetector
from balr_hf.threads import on_threads


def overlapped_each(
    embedder: Embedder,
    detector: OverlappedSpeechDetector,
    recordings: Sequence[np.ndarray | LongRecording],
    device: torch.device,
    limits: Limits | None = None,
) -> list[Overlapped]:
    """Tell of each recording how much it sounds like people who speak at the same time.

    A CPU looks at each recording on a thread of its own.

    Args:
        embedder: on `device`. One that comes from [`WespeakerModel.for_inference`] is faster.
        detector: one for this embedder.
        recordings: what is heard of each, `(samples,)` at the embedder's rate, or [`LongRecording`].
        device: where to compute.
        limits ([`Limits`], *optional*): the defaults by default.
    """

    def overlapped(recording: np.ndarray | LongRecording) -> Overlapped:
        with torch.autocast(device.type, enabled=False):  # which the caller may be in
            statistics = statistics_in_pieces(
                embedder, features_of(recording, embedder.feature_extractor, device), device
            )
        (score,) = detector.score(statistics.cpu().numpy()[None])
        extractor = embedder.feature_extractor
        seconds = num_frames(recording, extractor) * extractor.frame_shift / 1000
        return Overlapped.of(detector.percentile(float(score), seconds), limits)

    if device.type in FRAMES_PER_PASS:
        return [overlapped(recording) for recording in recordings]
    return list(on_threads(overlapped, recordings))
