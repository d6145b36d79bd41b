"""How well each scorer does on real speech, raw and calibrated: the table in `benchmarks/README.md`.

The scorers are fitted on segments of 2 to 4 seconds of `train.csv`, and tested on `trials.csv` among the recordings of
`test.csv`. Calibrated LLRs are cross-validated by speaker: the calibration of every trial was fitted on other
speakers. Intervals (95 %) are from draws of the test speakers. Everything is computed in one run.

Usage:
    python benchmarks/calibration.py LIBRISPEECH_FOLDER [--folds 5] [--resamples 1000]
"""

import argparse
import time
from pathlib import Path

import datasets
import numpy as np
import transformers

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus, speaker_counts
from balr_hf.data.columns import vector_present
from balr_hf.data.segmentation import segments
from balr_hf.defaults import AUTOENCODER, EMBEDDER, resource
from balr_hf.metrics import bootstrap_intervals, compute_metrics
from balr_hf.scoring.auto import build_scorer
from balr_hf.scoring.calibration import cross_calibrated
from balr_hf.scoring.trials import read_trials, side_counts, side_embeddings, side_speakers, trial_attribute_scores

# Columns of the table: title, metric, format.
COLUMNS = (
    ("EER", "eer", ".1%"),
    ("minDCF(0.01)", "min_dcf_0.01", ".2f"),
    ("minDCF(0.05)", "min_dcf_0.05", ".2f"),
    ("Cllr", "cllr", ".3f"),
    ("Cllr_min", "cllr_min", ".3f"),
    ("devPAV", "devpav", ".2f"),
)


def row(system: str, llrs: np.ndarray, speakers: tuple[np.ndarray, np.ndarray], resamples: int) -> str:
    """Give one row of the table: each metric with its interval."""
    labels = speakers[0] == speakers[1]
    metrics = compute_metrics(llrs, labels)
    intervals = bootstrap_intervals(llrs, labels, *speakers, resamples=resamples)
    cells = []
    for _, name, form in COLUMNS:
        interval = intervals.get(name)  # none where it has no value in some of the draws
        span = "no interval" if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"
        cells.append(f"{metrics[name]:{form}} ({span})")
    return f"| {system} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("librispeech", type=Path, help="folder with train.csv, test.csv, trials.csv")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation by speaker")
    parser.add_argument("--resamples", type=int, default=1000, help="draws of the test speakers for the intervals")
    parser.add_argument("--seed", type=int, default=1234, help="seed for cutting the segments")
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    started = time.perf_counter()

    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    train = segments(load_corpus(arguments.librispeech / "train.csv"), seed=arguments.seed)
    train = autoencoder.get_binary_attributes(embedder.extract_embeddings(train))
    test = load_corpus(arguments.librispeech / "test.csv")
    test = autoencoder.get_binary_attributes(embedder.extract_embeddings(test))
    reference, reference_speakers = speaker_counts(train)
    trials = read_trials(arguments.librispeech / "trials.csv")
    counts, names = side_counts(test, trials.sides), side_speakers(test, trials.sides)
    speakers = names[trials.enroll], names[trials.test]
    labels = speakers[0] == speakers[1]
    counted = vector_present(train, "ba").sum()
    print(
        f"Reference population: {counted} segments of {len(reference_speakers)} speakers. Test: {len(trials)} "
        f"trials ({labels.sum()} same-speaker) of {len(test)} recordings of {len(set(names))} other speakers. "
        f"Calibration: cross-validated by speaker, {arguments.folds} folds. In brackets: 95 % intervals, "
        f"{arguments.resamples} draws of the speakers.\n"
    )
    print("| system | " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS))
    sides = side_embeddings(test, trials.sides)
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    cosines = (sides[trials.enroll] * sides[trials.test]).sum(1)
    systems = {"embeddings, cosine": (cosines, None, None)}
    for name in ("beta", "maxllr", "speech", "dna", "cosine"):
        scorer = build_scorer(name, num_attributes=reference.shape[1])
        if not scorer.is_fitted:
            scorer.fit(reference, reference_speakers)
        terms = trial_attribute_scores(scorer, counts, trials).astype(np.float64)
        systems[f"attributes, {name}"] = (terms.sum(1), terms, scorer.score_unit)
    for system, (scores, terms, unit) in systems.items():
        print(row(f"{system}: raw", scores, speakers, arguments.resamples), flush=True)
        for method in ("affine", "fusion"):
            evidence = terms if method == "fusion" else scores
            if evidence is None:
                continue
            calibrated = cross_calibrated(evidence, labels, speakers, method, arguments.folds, unit=unit)
            print(row(f"{system}: {method}", calibrated, speakers, arguments.resamples), flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
