"""What recording conditions do to likelihood ratios, and what calibrations do about it: a table in `README.md`.

Each recording is brought to a grid of conditions: net speech x signal-to-noise ratio x band. The sides of a trial are
in the same condition ("alike"), or the first is long, clean and wide-band and the second in the condition
("mismatched"). Three calibrations are compared, each fitted on other speakers than those it is measured on (folds by
speaker): affine on clean trials ("clean"), one with quality measures on all conditions ("quality"), and affine
on trials in the conditions of the cell ("matched").

What was computed of the recordings is kept in a file, so that a second run takes seconds.

Usage:
    python benchmarks/conditions.py CORPUS.csv TRIALS.csv [--system FOLDER] [--keep FILE.npz] [--speaker-recordings 4]
"""

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers
from tqdm.auto import tqdm

from balr_hf import WespeakerModel, load_corpus
from balr_hf.audio import AudioError, load_audio
from balr_hf.conditions import Condition, recording_seed
from balr_hf.defaults import SYSTEM, resource
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.quality import measure_recording, speech_segments
from balr_hf.quality.gates import MIN_SPEECH

DURATIONS, RATIOS, BANDS = (1, 2, 4, 8), (None, 20, 10, 5), (None, "telephone")
# What the first side of a mismatched trial is: the whole recording as it is.
CLEAN = Condition()


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
    spread = [
        [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]
        for rows in rows_of.values()
    ]
    return corpus.select(sorted(itertools.chain.from_iterable(spread)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("trials", type=Path, help="trial list")
    parser.add_argument("--system", default=str(resource(SYSTEM)), help="folder of the system")
    parser.add_argument("--keep", type=Path, help="file for what is computed of the recordings")
    parser.add_argument("--speaker-recordings", type=int, default=10, help="recordings of each speaker, at most")
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
    print(len(corpus), heard.embeddings.shape, f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
