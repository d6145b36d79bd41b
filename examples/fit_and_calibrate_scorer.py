"""Fit a scorer to a reference population, calibrate it on other speakers, and test it on yet others.

    python examples/fit_and_calibrate_scorer.py
    python examples/fit_and_calibrate_scorer.py reference calibration test

The arguments are three corpora with binary attributes and speakers, as examples/binarize.py makes them. No speaker may
be in two of them. Without arguments, the voices of the sample corpus are divided into three. Writes the folder
`scorer`.
"""

import sys

import datasets
import numpy as np

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, compute_metrics, load_corpus, speaker_counts
from balr_hf import DirichletMultinomialScorer as Scorer
from balr_hf import DirichletMultinomialScorerConfig as Config
from balr_hf.data import vector_matrix
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, resource
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials


def sample() -> list[datasets.Dataset]:
    """Give the sample corpus with attributes: 8 voices as reference, 8 to calibrate on, and 8 to test."""
    corpus = load_corpus(resource(SAMPLE_CORPUS) / "metadata.csv")
    corpus = WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(corpus)
    corpus = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).get_binary_attributes(corpus)
    numbers = [int(name.removeprefix("espeak")) for name in corpus["speaker"]]
    return [corpus.select([row for row, n in enumerate(numbers) if (n - 1) // 8 == part]) for part in range(3)]


def all_pairs(corpus: datasets.Dataset) -> tuple[np.ndarray, Trials, np.ndarray, np.ndarray]:
    """Give the counts of each recording, the trials of every two of them, and the speakers of both sides."""
    bits, present = vector_matrix(corpus, "ba")
    counts, speakers = recording_counts(bits), np.array(corpus["speaker"])[present]
    trials = Trials.between(*np.triu_indices(len(counts), 1))
    return counts, trials, speakers[trials.enroll], speakers[trials.test]


reference, calibration, test = [load_corpus(path) for path in sys.argv[1:]] or sample()

counts, speakers = speaker_counts(reference)
scorer = Scorer(Config(num_attributes=counts.shape[1])).fit(counts, speakers)

counts, trials, enroll, other = all_pairs(calibration)
scorer.calibrate(counts, counts, enroll == other, trials=trials, enroll_speakers=enroll, test_speakers=other)
scorer.save_pretrained("scorer")

counts, trials, enroll, other = all_pairs(test)
labels = enroll == other
print(f"{len(labels)} trials, {labels.sum()} of one speaker; reference population of {len(speakers)}: scorer/")
for name, calibrated in (("raw sum of the attributes", False), ("calibrated", True)):
    metrics = compute_metrics(score_trials(scorer, counts, trials, calibrated=calibrated), labels)
    print(f"{name:>26}: EER {metrics['eer']:.1%}, Cllr {metrics['cllr']:.2f}, least {metrics['cllr_min']:.2f}")
