"""What recording conditions do to likelihood ratios, and what calibrations do about it: tables in `README.md`.

Each recording is brought to a grid of conditions: net speech x signal-to-noise ratio x band. The sides of a trial are
in the same condition ("alike"), or the first is the whole recording as it is and the second is in the condition
("mismatched"). Three calibrations are compared, each fitted on other speakers than those it is measured on (folds by
speaker): affine on trials between recordings as they are ("clean"), one with quality measures on the trials of all
conditions together ("quality"), and affine on trials in the conditions of the cell ("matched").

What was computed of the recordings is kept in a file, so that a second run takes a minute.

Usage:
    python benchmarks/conditions.py CORPUS.csv TRIALS.csv [--system FOLDER] [--keep FILE.npz] [--speaker-recordings 4]
"""

import argparse
import contextlib
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers
from tqdm.auto import tqdm

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.audio import AudioError, load_audio
from balr_hf.conditions import Condition, recording_seed
from balr_hf.defaults import SYSTEM, resource
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.errors import UserError
from balr_hf.metrics import compute_metrics
from balr_hf.metrics.intervals import speakers_by_kind
from balr_hf.quality import MIN_SPEECH, measure_recording, speech_segments
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.calibration import speaker_splits
from balr_hf.scoring.calibration_fits import doubt_of, fit_affine, fit_quality
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.quality_measures import quality_functions, trial_quality
from balr_hf.scoring.trials import Trials, read_trials, score_trials

DURATIONS, RATIOS, BANDS = (1, 2, 4, 8), (None, 20, 10, 5), (None, "telephone")
# What the first side of a mismatched trial is: the whole recording as it is.
CLEAN = Condition()
CALIBRATIONS = ("clean", "quality", "matched")
# Trials of either kind that a cell needs in a fold to be fitted, and in all to be shown.
LEAST_FITTED, LEAST_SHOWN = 10, 40


def grid() -> list[Condition]:
    """The conditions of the cells."""
    return [
        Condition(duration=float(duration), snr=None if ratio is None else float(ratio), band=band)
        for band, ratio, duration in itertools.product(BANDS, RATIOS, DURATIONS)
    ]


@dataclass
class Heard:
    """What was computed of recordings in conditions, a row for each that could be brought to its condition.

    Attributes:
        recording, condition (int `(rows,)`): which recording, and which condition: `CLEAN`, then those of the grid.
        embeddings (float32 `(rows, values)`): the embeddings.
        quality (float64 `(rows, 3)`): net speech (s), signal-to-noise ratio (dB) and bandwidth (Hz).
    """

    recording: np.ndarray
    condition: np.ndarray
    embeddings: np.ndarray
    quality: np.ndarray


def hear(corpus: datasets.Dataset, embedder: WespeakerModel, seed: int) -> Heard:
    """Bring each recording to each condition, measure and embed it."""
    model = embedder.for_inference()
    rows, qualities, embeddings = [], [], []
    conditions = [CLEAN, *grid()]
    for number in tqdm(range(len(corpus)), unit="recording", mininterval=10):
        row = corpus[number]
        samples = load_audio(row["audio"])
        speech, own, heard = speech_segments(samples), recording_seed(row["id"], seed), []
        for which, condition in enumerate(conditions):
            try:
                copy = condition.apply(samples, own, speech=speech)
            except AudioError:
                continue
            quality, _ = measure_recording(copy)
            if quality.net_speech < MIN_SPEECH or quality.snr is None or quality.bandwidth is None:
                continue
            rows.append((number, which))
            qualities.append((quality.net_speech, quality.snr, quality.bandwidth))
            heard.append(copy)
        if heard:
            embeddings.append(embed_waveforms(model, embedder.feature_extractor, heard, torch.device("cpu")))
    recording, which = np.array(rows).T
    return Heard(recording, which, np.concatenate(embeddings), np.array(qualities))


def some_of_each_speaker(corpus: datasets.Dataset, most: int) -> datasets.Dataset:
    """At most so many recordings of each speaker, evenly spread over them."""
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(corpus["speaker"]):
        rows_of.setdefault(speaker, []).append(row)
    chosen: set[int] = set()
    for rows in rows_of.values():
        chosen |= {rows[place] for place in np.linspace(0, len(rows) - 1, most).round().astype(int)}
    return corpus.select(sorted(chosen))


@dataclass
class CellTrials:
    """The trials of all cells.

    Attributes:
        cell (int `(trials,)`): of which cell each trial is; `cells` names their conditions.
        enroll, test (int `(trials,)`): the rows of what was heard.
        labels (bool `(trials,)`): whether both sides are of one speaker.
        speakers (two str `(trials,)`): the speakers of the sides.
    """

    cell: np.ndarray
    enroll: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    speakers: tuple[np.ndarray, np.ndarray]


def cells() -> list[tuple[int, int]]:
    """The numbers of the conditions of both sides: as they are, alike in each condition, and mismatched."""
    numbers = range(1, len(grid()) + 1)
    return [(0, 0), *((number, number) for number in numbers), *((0, number) for number in numbers)]


def make_trials(corpus: datasets.Dataset, listed: Trials, heard: Heard, most: int, seed: int) -> CellTrials:
    """At most so many of the listed trials of each kind, in every cell in which both recordings are."""
    number_of = {name: number for number, name in enumerate(corpus["id"])}
    speaker = np.array(corpus["speaker"])
    listed_sides = [number_of.get(side[0], -1) if len(side) == 1 else -1 for side in listed.sides]
    pairs = np.array(listed_sides)[np.stack([listed.enroll, listed.test], 1)]
    pairs = pairs[(pairs >= 0).all(1)]
    same = speaker[pairs[:, 0]] == speaker[pairs[:, 1]]
    rng = np.random.default_rng(seed)
    kinds = [pairs[same], pairs[~same]]
    pairs = np.concatenate([kind if len(kind) <= most else kind[rng.permutation(len(kind))[:most]] for kind in kinds])
    row_of = np.full((len(corpus), len(grid()) + 1), -1)
    row_of[heard.recording, heard.condition] = np.arange(len(heard.recording))
    parts = []
    for cell, (first, second) in enumerate(cells()):
        rows = np.stack([row_of[pairs[:, 0], first], row_of[pairs[:, 1], second]], 1)
        rows = rows[(rows >= 0).all(1)]
        parts.append(np.column_stack([np.full(len(rows), cell), rows]))
    cell, enroll, test = np.concatenate(parts).T
    names = speaker[heard.recording[enroll]], speaker[heard.recording[test]]
    return CellTrials(cell, enroll, test, names[0] == names[1], names)


def raw_scores(system: str, heard: Heard, trials: CellTrials) -> np.ndarray:
    """The scores of the system's scorer before any calibration."""
    scorer = load_scorer(system)
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(system)
    bits = autoencoder.encode(torch.from_numpy(heard.embeddings)).numpy()
    return score_trials(scorer, recording_counts(bits), Trials.between(trials.enroll, trials.test))


def calibrated(
    scores: np.ndarray, heard: Heard, trials: CellTrials, folds: int, penalty: float
) -> dict[str, np.ndarray]:
    """The LLRs by each calibration, of speakers on whom it was not fitted; NaN where a fold cannot be fitted."""
    sides = np.column_stack([heard.quality[:, :2], heard.quality[:, 2] / 1000, np.ones(len(heard.quality))])
    measures = quality_functions(trial_quality(sides[trials.enroll], sides[trials.test]))
    evidence = np.column_stack([scores, measures])
    found = {name: np.full(len(scores), np.nan) for name in CALIBRATIONS}
    for fitted, held_out in speaker_splits(*trials.speakers, folds):
        clean = fitted & (trials.cell == 0)
        slope, offset = fit_affine(scores[clean], trials.labels[clean])
        found["clean"][held_out] = slope * scores[held_out] + offset
        weight, offset, (factors, means, scales) = fit_quality(
            evidence[fitted], trials.labels[fitted], penalty, conditions=trials.cell[fitted]
        )
        terms = (measures[held_out] - means) / scales @ factors
        found["quality"][held_out] = weight * scores[held_out] + offset + terms
        for cell in np.unique(trials.cell[held_out]):
            own, here = fitted & (trials.cell == cell), held_out & (trials.cell == cell)
            if min(trials.labels[own].sum(), (~trials.labels[own]).sum()) >= LEAST_FITTED:
                with contextlib.suppress(UserError):  # the scores say nothing in this cell
                    names = [side[own] for side in trials.speakers]
                    doubt = doubt_of(min(speakers_by_kind(trials.labels[own], *names)))
                    slope, offset = fit_affine(scores[own], trials.labels[own], doubt=doubt)
                    found["matched"][here] = slope * scores[here] + offset
    return found


def show(scores: np.ndarray, found: dict[str, np.ndarray], trials: CellTrials) -> None:
    """Print a table of the cells, and what it comes to."""
    titles = [f"{what}, {name}" for what in ("Cllr", "misleading d.-s.") for name in CALIBRATIONS]
    print("| sides | condition | trials (s.-s.) | EER | Cllr_min | " + " | ".join(titles) + " |")
    print("| --- |" + " --- |" * (4 + len(titles)))
    conditions = [CLEAN, *grid()]
    least: list[float] = []
    cllrs: dict[str, list[float]] = {name: [] for name in CALIBRATIONS}
    at_ten: dict[str, list[float]] = {name: [] for name in CALIBRATIONS}
    for cell, (first, second) in enumerate(cells()):
        here = trials.cell == cell
        here &= np.isfinite(found["matched"])
        labels = trials.labels[here]
        if labels.sum() < LEAST_SHOWN or (~labels).sum() < LEAST_SHOWN:
            continue
        base = compute_metrics(scores[here], labels)
        least.append(base["cllr_min"])
        misleading = {name: float((found[name][here][~labels] > 0).mean()) for name in CALIBRATIONS}
        for name in CALIBRATIONS:
            cllrs[name].append(compute_metrics(found[name][here], labels)["cllr"])
            if conditions[second].snr == 10:
                at_ten[name].append(misleading[name])
        figures = [f"{cllrs[name][-1]:.2f}" for name in CALIBRATIONS]
        figures += [f"{misleading[name]:.0%}" for name in CALIBRATIONS]
        kind = "alike" if first == second else "mismatched"
        print(
            f"| {kind} | {conditions[second]} | {len(labels):,} ({labels.sum():,}) | {base['eer']:.1%} | "
            f"{base['cllr_min']:.2f} | {' | '.join(figures)} |"
        )
    print(f"\n{len(least)} cells with {LEAST_SHOWN} trials of each kind or more; mean Cllr_min {np.mean(least):.3f}.")
    for name in CALIBRATIONS:
        mean, worst = np.mean(cllrs[name]), max(cllrs[name])
        print(
            f"- {name}: mean Cllr {mean:.3f} ({mean / np.mean(least):.2f} times the mean Cllr_min), highest "
            f"{worst:.2f}, {sum(value > 1 for value in cllrs[name])} cells above 1; different-speaker misleading at "
            f"10 dB {np.mean(at_ten[name]):.0%} on average, {max(at_ten[name]):.0%} at most"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("trials", type=Path, help="trial list")
    parser.add_argument("--system", default=str(resource(SYSTEM)), help="folder of the system")
    parser.add_argument("--keep", type=Path, help="file for what is computed of the recordings")
    parser.add_argument("--speaker-recordings", type=int, default=10, help="recordings of each speaker, at most")
    parser.add_argument("--most-trials", type=int, default=6_000, help="listed trials of each kind, at most")
    parser.add_argument("--folds", type=int, default=5, help="folds of speakers")
    parser.add_argument("--penalty", type=float, default=1e-3, help="penalty on the quality terms")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    started = time.perf_counter()
    corpus = some_of_each_speaker(load_corpus(arguments.corpus, vectors=()), arguments.speaker_recordings)
    if arguments.keep is not None and arguments.keep.is_file():
        heard = Heard(**np.load(arguments.keep))
    else:
        heard = hear(corpus, WespeakerModel.from_pretrained(arguments.system), arguments.seed)
        if arguments.keep is not None:
            np.savez(arguments.keep, **vars(heard))
    trials = make_trials(corpus, read_trials(arguments.trials), heard, arguments.most_trials, arguments.seed)
    scores = raw_scores(arguments.system, heard, trials)
    print(
        f"{arguments.corpus}: {len(corpus)} recordings of {len(set(corpus['speaker']))} speakers, "
        f"{len(heard.recording):,} of them in conditions, {len(scores):,} trials; {arguments.folds} folds by speaker; "
        f"penalty on quality terms: {arguments.penalty:g}; system {arguments.system}\n"
    )
    show(scores, calibrated(scores, heard, trials, arguments.folds, arguments.penalty), trials)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
