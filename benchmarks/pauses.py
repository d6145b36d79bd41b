"""What long pauses do to likelihood ratios, and what leaving them out does about it: a table in `README.md`.

Recordings are cut to their first seconds, and silence is added, at the end or between their seconds, until only a
share of each is left: digital silence, or noise of -70 dB of full scale. They are embedded whole, and as extraction
does it, without long pauses and digital silence. Both sides of a trial have such pauses, or one side only.

Usage:
    python benchmarks/pauses.py CORPUS.csv [--system FOLDER] [--seconds 6]
"""

import argparse
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers
from tqdm.auto import tqdm

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.audio import SAMPLING_RATE, load_audio
from balr_hf.defaults import SYSTEM, resource
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.metrics import compute_metrics
from balr_hf.quality import heard, speech_segments, stretches_of
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials

SHARES = (0.8, 0.65, 0.5, 0.35, 0.2)
LEVELS = {"digital silence": 0.0, "noise of -70 dBFS": 10 ** (-70 / 20)}


def with_pauses(
    samples: np.ndarray, share: float, level: float, between: bool, rng: np.random.Generator
) -> np.ndarray:
    """A recording of which the given share is left, `(samples,)`, float32."""
    silence = (level * rng.standard_normal(round(len(samples) * (1 / share - 1)))).astype(np.float32)
    if not between:
        return np.concatenate([samples, silence])
    seconds = max(1, len(samples) // SAMPLING_RATE)
    parts = zip(np.array_split(samples, seconds), np.array_split(silence, seconds), strict=True)
    return np.concatenate([part for pair in parts for part in pair])


def as_extracted(samples: np.ndarray) -> np.ndarray:
    """What extraction embeds of a recording."""
    return heard(samples, stretches_of(samples, speech_segments(samples)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("--system", default=str(resource(SYSTEM)), help="folder of the system")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each recording that are taken")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    corpus = load_corpus(arguments.corpus, vectors=())
    embedder = WespeakerModel.from_pretrained(arguments.system)
    model, extractor = embedder.for_inference(), embedder.feature_extractor
    autoencoder, scorer = BinaryAttributeAutoEncoder.from_pretrained(arguments.system), load_scorer(arguments.system)
    rng, most = np.random.default_rng(arguments.seed), round(arguments.seconds * SAMPLING_RATE)
    originals = [load_audio(row["audio"])[:most] for row in corpus]
    speaker = np.array(corpus["speaker"])
    one, other = np.triu_indices(len(corpus), 1)
    labels = speaker[one] == speaker[other]
    trials = Trials.between(one, other + len(corpus))
    print(f"{len(corpus)} recordings of {len(set(speaker))} speakers, {len(labels):,} trials; {arguments.system}\n")
    titles = "Cllr | Cllr_min | same-speaker below 1 | different-speaker above 1"
    print(f"| pauses | share left | sides | embedded | {titles} |\n| --- |" + " --- |" * 7)

    def bits(recordings: list[np.ndarray]) -> np.ndarray:
        embeddings = embed_waveforms(model, extractor, recordings, torch.device("cpu"))
        return autoencoder.encode(torch.from_numpy(embeddings)).numpy()

    def show(what: str, first: np.ndarray, second: np.ndarray) -> None:
        llrs = score_trials(scorer, recording_counts(np.concatenate([first, second])), trials, calibrated=True)
        found = compute_metrics(llrs, labels)
        below, above = (llrs[labels] < 0).mean(), (llrs[~labels] > 0).mean()
        print(f"| {what} | {found['cllr']:.2f} | {found['cllr_min']:.2f} | {below:.0%} | {above:.0%} |", flush=True)

    plain = {"whole": bits(originals), "as extracted": bits([as_extracted(samples) for samples in originals])}
    for how, own in plain.items():
        show(f"none | 100 % | both | {how}", own, own)
    kinds = [(name, between, share) for name in LEVELS for between in (False, True) for share in SHARES]
    for name, between, share in tqdm(kinds, unit="kind"):
        paused = [with_pauses(samples, share, LEVELS[name], between, rng) for samples in originals]
        where = f"{name}, {'after each second' if between else 'at the end'} | {share:.0%}"
        for how in plain:
            own = bits(paused if how == "whole" else [as_extracted(samples) for samples in paused])
            show(f"{where} | both | {how}", own, own)
            show(f"{where} | one | {how}", own, plain[how])


if __name__ == "__main__":
    main()
