"""Fitting a detector of overlapped speech to recordings of one voice, and to mixtures of two that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf._version import __version__
from balr_hf.audio import SAMPLING_RATE, resample
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.passes import Embedder, features_of, statistics_in_pieces
from balr_hf.errors import UserError
from balr_hf.identity import model_identity
from balr_hf.overlapped.detector import OverlappedSpeechDetector
from balr_hf.overlapped.mixtures import CONDITIONS, FOLDS, Draw, draw_mixtures, make
from balr_hf.threads import on_threads

if TYPE_CHECKING:
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

# How many recordings are made by default, half of them with a second voice; and how many are needed of either kind.
COUNT, LEAST = 12_000, 200
# The weight of the squared weights, for statistics that are brought to a variance of 1.
PENALTY = 0.05
# In percent: among so few of the recordings of one voice, a recording is taken for one of two voices.
PERCENT = 1.0
# The ends of the ranges of levels, in dB of the second voice below the first, that are told apart in `found`.
BANDS = (0.0, 4.0, 8.0, 12.0)
# How many recordings are made before their statistics are computed together.
BLOCK = 64


def fit_detector(
    embedder: WespeakerModel,
    waveform: Callable[[int], np.ndarray],
    speakers: Sequence[str],
    sources: Sequence[str],
    corpus: str,
    count: int = COUNT,
    seed: int = 0,
    conditions: Sequence[str] = CONDITIONS,
    progress: bool = False,
) -> OverlappedSpeechDetector:
    """Fit a detector to recordings of one voice each.

    The speakers are divided into five parts. Each part is scored by weights that were fitted to the others: these
    scores tell how recordings of one voice score, and how many of the second voices are found.

    Args:
        embedder ([`WespeakerModel`]): whose statistics are to be weighed.
        waveform: gives the samples of a recording by its number, float32 `(samples,)` at 16 kHz.
        speakers, sources (sequences of str): of each recording; second voices are most often of the same source.
        corpus (str): what the recordings are called.
        count (int): how many recordings are made, half of them with a second voice.
        seed (int): of what is drawn.
        conditions (sequence of str): what they are brought to, one at random each; see [`Condition`].
        progress (bool): show a progress bar.

    Raises:
        UserError: the embedder has no such statistics, or there are too few speakers or recordings.
    """
    if embedder.num_statistics is None:
        raise UserError("the embedder is no ResNet of this package, and has no statistics that could be weighed")
    draws = draw_mixtures(speakers, sources, count, seed, conditions)
    made = list(_statistics(embedder.for_inference(), draws, waveform, progress))
    draws = [draw for draw, _ in made]
    if min(sum(draw.second is None for draw in draws), sum(draw.second is not None for draw in draws)) < LEAST:
        raise UserError(
            f"only {len(draws)} of {count} recordings could be made, and {LEAST} with one and as many with two voices "
            "are needed: the corpus has too little speech, or too much noise"
        )
    record = {
        "embedder": model_identity(embedder),
        "corpus": corpus,
        "speakers": len(set(speakers)),
        "conditions": sorted(set(conditions)),
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
        "made_with": f"balr_hf {__version__}",
    }
    return fit_weights(np.stack([statistics for _, statistics in made]), draws, record)


def fit_weights(statistics: np.ndarray, draws: Sequence[Draw], record: dict[str, Any]) -> OverlappedSpeechDetector:
    """Fit the weights of a detector.

    Args:
        statistics (float32 `(recordings, num_statistics)`): of what was made.
        draws: what each recording was made of.
        record (dict): what is to be kept of the detector, to which `found` is added: for each range of levels
            `below` (dB, from and to) how many second voices there were, and how many of them were found where 1 % of
            the recordings of one voice are taken for two.
    """
    two = np.array([draw.second is not None for draw in draws])
    folds = np.array([draw.fold for draw in draws])
    scores = np.empty(len(draws))
    for fold in range(FOLDS):
        others = folds != fold
        if others.all():
            continue
        weight, bias = _logistic_regression(statistics[others], two[others])
        scores[~others] = statistics[~others].astype(np.float64) @ weight + bias
    one_voice = np.sort(scores[~two])
    threshold = np.quantile(one_voice, 1 - PERCENT / 100)
    below = np.array([draw.ratio for draw in draws])
    found = []
    for low, high in pairwise(BANDS):
        some = two & (below >= low) & (below < high)
        found.append(
            {"below": [low, high], "mixtures": int(some.sum()), "found": int((scores[some] > threshold).sum())}
        )
    weight, bias = _logistic_regression(statistics, two)
    return OverlappedSpeechDetector(
        weight.astype(np.float32), float(bias), one_voice.astype(np.float32), {**record, "found": found}
    )


def _statistics(
    model: Embedder, draws: Sequence[Draw], waveform: Callable[[int], np.ndarray], progress: bool
) -> Iterator[tuple[Draw, np.ndarray]]:
    """The statistics `(num_statistics,)` of what can be made, with what it was made of."""
    from tqdm.auto import tqdm

    device, extractor = model.device, model.feature_extractor

    def one(draw: Draw) -> np.ndarray | None:
        samples = make(draw, waveform)
        if samples is None:
            return None
        samples = resample(samples, SAMPLING_RATE, extractor.sampling_rate)
        if extractor.num_frames(len(samples)) < MIN_FRAMES:
            return None
        return statistics_in_pieces(model, features_of(samples, extractor, device), device).cpu().numpy()

    with tqdm(total=len(draws), desc="Mixing voices", unit="recording", disable=not progress) as bar:
        for start in range(0, len(draws), BLOCK):
            block = draws[start : start + BLOCK]
            computed = on_threads(one, block) if device.type == "cpu" else map(one, block)
            for draw, found in zip(block, computed, strict=True):
                if found is not None:
                    yield draw, found
            bar.update(len(block))


def _logistic_regression(statistics: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights `(num_statistics,)` and a bias, by LBFGS, of statistics as they are; both kinds count alike."""
    values = torch.from_numpy(statistics.astype(np.float32))
    mean, scale = values.mean(0), values.std(0).clamp_min(1e-4)
    values, target = (values - mean) / scale, torch.from_numpy(two.astype(np.float32))
    counts = torch.where(target > 0, 0.5 / target.mean(), 0.5 / (1 - target.mean()))
    weight = torch.zeros(values.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = values @ weight + bias
        found = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, counts)
        found = found + PENALTY * weight.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    final = (weight.detach() / scale).double()
    return final.numpy(), float(bias.detach().double() - final @ mean.double())
