"""Fitting a detector to recordings as they are, and to recordings that are made of them and differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from balr_hf._version import __version__
from balr_hf.audio import SAMPLING_RATE, resample
from balr_hf.detectors.detector import Detector
from balr_hf.detectors.draws import CONDITIONS, FOLDS, Draw
from balr_hf.detectors.overlapped import draw_overlapped, make_overlapped
from balr_hf.detectors.resuming import Block
from balr_hf.detectors.rooms import draw_rooms, make_room
from balr_hf.detectors.speed import draw_speeds, make_speed
from balr_hf.embeddings.configuration_wespeaker import MIN_FRAMES
from balr_hf.embeddings.passes import Embedder, features_of, statistics_in_pieces
from balr_hf.errors import UserError
from balr_hf.explanation.heard import OVERLAPPED, ROOM, SPEED, Heard, Kind
from balr_hf.identity import model_identity
from balr_hf.threads import on_threads

if TYPE_CHECKING:
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

# How many recordings are made by default and at least, half of them usual ones; and how many are needed of these, and
# of those that differ in each way.
COUNT, LEAST_COUNT, LEAST = 12_000, 500, 100
# The weight of the squared weights, for statistics that are brought to a variance of 1.
PENALTY = 0.05
# In percent: among so few of the usual recordings, a recording is taken for one that differs.
PERCENT = 1.0
# The ends of the ranges of amounts that are told apart in `found`.
BANDS = {
    OVERLAPPED.name: (0.0, 4.0, 8.0, 12.0),
    SPEED.name: (1.06, 1.12, 1.2, 1.35, 1.6, 2.0),
    ROOM.name: (0.2, 0.3, 0.4, 0.6, 1.0),
}
# How recordings are drawn and made.
MAKERS = {
    OVERLAPPED.name: (draw_overlapped, make_overlapped),
    SPEED.name: (draw_speeds, make_speed),
    ROOM.name: (draw_rooms, make_room),
}
# How many recordings are made before their statistics are computed together.
BLOCK = 64


def fit_detector(
    kind: Kind,
    embedder: WespeakerModel,
    waveform: Callable[[int], np.ndarray],
    speakers: Sequence[str],
    sources: Sequence[str],
    corpus: str,
    count: int = COUNT,
    seed: int = 0,
    conditions: Sequence[str] = CONDITIONS,
    progress: bool = False,
    work: Path | None = None,
) -> Detector:
    """Fit a detector to recordings of one voice each, at the speed of the speaker.

    The speakers are divided into five parts. Each part is scored by weights that were fitted to the others: these
    scores tell how usual recordings score, and how many of those that differ are found.

    Args:
        kind: what is to be listened for.
        embedder ([`WespeakerModel`]): whose statistics are to be weighed.
        waveform: gives the samples of a recording by its number, float32 `(samples,)` at 16 kHz.
        speakers, sources (sequences of str): of each recording; second voices are most often of the same source.
        corpus (str): what the recordings are called.
        count (int): how many recordings are made, half of them usual ones.
        seed (int): of what is drawn.
        conditions (sequence of str): what they are brought to, one at random each; see [`Condition`].
        progress (bool): show a progress bar.
        work (Path, *optional*): folder to keep in what is computed, so that a fit that was interrupted goes on. It
            must be one for these very arguments, and is not removed.

    Raises:
        UserError: the embedder has no such statistics, or there are too few speakers or recordings.
    """
    if embedder.num_statistics is None:
        raise UserError("the embedder is no ResNet of this package, and has no statistics that could be weighed")
    draws = MAKERS[kind.name][0](speakers, sources, count, seed, conditions)
    made = list(_statistics(kind, embedder.for_inference(), draws, waveform, progress, work))
    people = {speakers[row] for x in made for row in (x.draw.first, x.draw.second) if row is not None}
    ways = (None, *range(len(kind.ways)))
    drawn, used = ([sum(draw.way == way for draw in some) for way in ways] for some in (draws, [x.draw for x in made]))
    record: dict[str, Any] = {
        "embedder": model_identity(embedder),
        "corpus": corpus,
        "speakers": len(people),
        "conditions": sorted(set(conditions)),
        "recordings": used,
        "left_out": [number - kept for number, kept in zip(drawn, used, strict=True)],
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
        "made_with": f"balr_hf {__version__}",
    }
    needed = [LEAST * len(kind.ways), *(LEAST for _ in kind.ways)]  # fewer usual ones could not tell 1 %
    if any(number < least for number, least in zip(used, needed, strict=True)):
        told = [
            f"{number} {way} ({least} needed)"
            for number, way, least in zip(used, ("usual", *kind.ways), needed, strict=True)
        ]
        raise UserError(
            f"of {count} recordings that were to be made, too few could be: {', '.join(told)}; those of the corpus "
            "cannot be decoded, have too little speech, or are noisier than the conditions"
        )
    return fit_weights(kind, made, record)


@dataclass(frozen=True, eq=False)
class Made:
    """A recording that was made.

    Attributes:
        draw: what it was made of.
        seconds: how long it is.
        statistics: those of the embedder, float32 `(num_statistics,)`.
    """

    draw: Draw
    seconds: float
    statistics: np.ndarray


def fit_weights(kind: Kind, made: Sequence[Made], record: dict[str, Any]) -> Detector:
    """Fit the weights of a detector.

    Args:
        kind: what is to be listened for.
        made: usual recordings, and others.
        record (dict): what is to be kept of the detector, to which `found` is added: for each `way` and range of
            `amount` (from and to) how many `recordings` there were, and how many of them were `found` where 1 % of
            the usual ones are taken for such.

    Raises:
        UserError: the recordings of a part of the speakers are missing.
    """
    statistics = np.stack([one.statistics for one in made])
    way_of = np.array([-1 if one.draw.way is None else one.draw.way for one in made])
    folds, seconds = (
        np.array([getattr(of, name) for of in some])
        for some, name in (([one.draw for one in made], "fold"), (made, "seconds"))
    )
    scores = np.empty((len(made), len(kind.ways)))
    weights, biases = [], []
    for way in range(len(kind.ways)):
        some = (way_of == -1) | (way_of == way)
        for fold in range(FOLDS):
            here = folds == fold
            fewest = min(np.count_nonzero(here & (way_of == which)) for which in (-1, way))
            if fewest < LEAST // 20:
                raise UserError(
                    f"of a fifth of the speakers, fewer than {LEAST // 20} usual recordings or others could be made: "
                    "the corpus needs more speakers whose recordings can be used"
                )
            weight, bias = _logistic_regression(statistics[some & ~here], way_of[some & ~here] == way)
            scores[here, way] = statistics[here].astype(np.float64) @ weight + bias
        weight, bias = _logistic_regression(statistics[some], way_of[some] == way)
        weights.append(weight.astype(np.float32))
        biases.append(bias)
    usual = way_of == -1
    table = np.column_stack([seconds[usual], scores[usual]]).astype(np.float32)
    detector = Detector(kind, np.stack(weights), np.array(biases), table, record)
    amounts = np.array([one.draw.amount for one in made])
    percentiles = np.array(
        [Heard.of(kind, detector.percentiles(*pair)).percentile for pair in zip(scores, seconds, strict=True)]
    )
    found = []
    for way, name in enumerate(kind.ways):
        for low, high in pairwise(BANDS[kind.name]):
            some = (way_of == way) & (amounts >= low) & (amounts < high)
            hits = int((percentiles[some] < PERCENT).sum())
            found.append({"way": name, "amount": [low, high], "recordings": int(some.sum()), "found": hits})
    return replace(detector, record={**record, "found": found})


def _statistics(
    kind: Kind,
    model: Embedder,
    draws: Sequence[Draw],
    waveform: Callable[[int], np.ndarray],
    progress: bool,
    work: Path | None,
) -> Iterator[Made]:
    """What can be made of what was drawn, as far as it is not in the folder `work` already."""
    from tqdm.auto import tqdm

    device, extractor = model.device, model.feature_extractor
    make = MAKERS[kind.name][1]

    def computed(draw: Draw) -> tuple[float, np.ndarray] | None:
        samples = make(draw, waveform)
        if samples is None:
            return None
        samples = resample(samples, SAMPLING_RATE, extractor.sampling_rate)
        frames = extractor.num_frames(len(samples))
        if frames < MIN_FRAMES:
            return None
        found = statistics_in_pieces(model, features_of(samples, extractor, device), device).cpu().numpy()
        return frames * extractor.frame_shift / 1000, found

    with tqdm(
        total=len(draws), desc=f"Making recordings ({kind.name})", unit="recording", disable=not progress
    ) as bar:
        for start in range(0, len(draws), BLOCK):
            numbers = range(start, min(start + BLOCK, len(draws)))
            block = Block(work, start // BLOCK)
            known = block.load()
            missing = [number for number in numbers if number not in known]
            rest = [draws[number] for number in missing]
            found = on_threads(computed, rest) if device.type == "cpu" else map(computed, rest)
            new = {number: one for number, one in zip(missing, found, strict=True) if one is not None}
            if new:
                known |= new
                block.save(known)
            yield from (Made(draws[number], *known[number]) for number in numbers if number in known)
            bar.update(len(numbers))


@torch.enable_grad()
def _logistic_regression(statistics: np.ndarray, differs: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights `(num_statistics,)` and a bias, by LBFGS, of statistics as they are; both kinds count alike."""
    values = torch.from_numpy(statistics.astype(np.float32))
    mean, scale = values.mean(0), values.std(0).clamp_min(1e-4)
    values, target = (values - mean) / scale, torch.from_numpy(differs.astype(np.float32))
    counts = torch.where(target > 0, 0.5 / target.mean(), 0.5 / (1 - target.mean()))
    weight = values.new_zeros(values.shape[1], requires_grad=True)
    bias = values.new_zeros(1, requires_grad=True)
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
