"""Listening for what makes a comparison meaningless in the recordings that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from balr_hf.detectors.detector import Detector
from balr_hf.domain import Limits
from balr_hf.embeddings.passes import (
    FRAMES_PER_PASS,
    Embedder,
    LongRecording,
    features_of,
    num_frames,
    statistics_in_pieces,
)
from balr_hf.explanation.heard import Heard
from balr_hf.threads import on_threads


def listen_to_each(
    embedder: Embedder,
    detectors: Mapping[str, Detector],
    recordings: Sequence[np.ndarray | LongRecording],
    device: torch.device,
    limits: Limits | None = None,
) -> list[dict[str, Heard]]:
    """Tell of each recording how much it sounds like what detectors listen for.

    A CPU listens to each recording on a thread of its own.

    Args:
        embedder: on `device`. One that comes from [`WespeakerModel.for_inference`] is faster.
        detectors: those for this embedder, by the names of their kinds.
        recordings: what is heard of each, `(samples,)` at the embedder's rate, or [`LongRecording`].
        device: where to compute.
        limits ([`Limits`], *optional*): the defaults by default.

    Returns:
        for each recording what was heard, by the name of the kind.

    Raises:
        ConfigError: a limit is less than a detector can tell, see [`Detector.check_limits`].
    """
    for detector in detectors.values():
        detector.check_limits(limits)
    if not detectors:
        return [{} for _ in recordings]

    def listen(recording: np.ndarray | LongRecording) -> dict[str, Heard]:
        extractor = embedder.feature_extractor
        with torch.autocast(device.type, enabled=False):  # which the caller may be in
            statistics = statistics_in_pieces(embedder, features_of(recording, extractor, device), device)
        seconds = num_frames(recording, extractor) * extractor.frame_shift / 1000
        values = statistics.cpu().numpy()
        return {one.kind.name: one.heard(values, seconds, limits) for one in detectors.values()}

    return list(map(listen, recordings) if device.type in FRAMES_PER_PASS else on_threads(listen, recordings))
