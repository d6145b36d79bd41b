"""Scoring: a million trials, and all pairs of 5,000 recordings, compared with the formula for every trial."""

from functools import partial

import numpy as np
import torch
from measuring import against, matmul_rate, seconds, seconds_in_turns, table

from balr_hf.scoring.auto import SCORERS, build_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials

RECORDINGS, ATTRIBUTES, TRIALS = 5_000, 512, 1_000_000
PER_SPEAKER = 10
BASELINE_TRIALS = 20_480


def population(speakers: int, recordings: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the attributes of speakers with probabilities of their own: bool `(speakers * recordings, attributes)`."""
    likely = rng.beta(0.5, 0.8, (speakers, ATTRIBUTES))
    return rng.random((speakers * recordings, ATTRIBUTES)) < np.repeat(likely, recordings, 0)


def make_trials(recordings: int, trials: int, rng: np.random.Generator) -> Trials:
    """Draw a random trial list."""
    return Trials([], range(trials), [], *rng.integers(0, recordings, (2, trials)))


def by_the_formula(scorer, counts: np.ndarray, trials: Trials, block: int = 2048) -> np.ndarray:
    """Compute every term of every trial from the scorer's formula, one batch of trials at a time."""
    counts = torch.from_numpy(counts)
    scores = []
    for start in range(0, len(trials), block):
        sides = (counts[side[start : start + block]] for side in (trials.enroll, trials.test))
        scores.append(scorer._attribute_scores(*sides).sum(-1))
    return torch.cat(scores).numpy()


def main() -> None:
    rng = np.random.default_rng(0)
    counts = recording_counts(population(RECORDINGS // PER_SPEAKER, PER_SPEAKER, rng))
    reference = population(500, 8, rng).reshape(500, 8, -1).sum(1).astype(float)
    reference = np.stack([reference, 8 - reference], -1)
    trials, few = make_trials(RECORDINGS, TRIALS, rng), make_trials(RECORDINGS, BASELINE_TRIALS, rng)
    limit = 2 * RECORDINGS**2 * ATTRIBUTES / matmul_rate(torch.float64)
    rows = []
    for name in SCORERS:
        scorer = build_scorer(name, num_attributes=ATTRIBUTES).fit(reference)
        formula = seconds(lambda s=scorer: by_the_formula(s, counts, few), 2) * TRIALS / BASELINE_TRIALS
        ours = seconds(lambda s=scorer: score_trials(s, counts, trials), 2)
        matrix = seconds(lambda s=scorer: s.score_matrix(counts, counts), 2)
        np.testing.assert_allclose(
            score_trials(scorer, counts, few), by_the_formula(scorer, counts, few), rtol=1e-9, atol=1e-9
        )
        target = name == "beta"
        rows.append(
            [
                name,
                f"{formula:.1f} s",
                f"{ours:.2f} s",
                against(formula / ours, 20) if target else f"{formula / ours:.1f}x",
                against(matrix, 10, ".2f", " s", at_most=True) if target else f"{matrix:.2f} s",
                f"{RECORDINGS**2 / matrix / 1e6:.0f} M/s",
                f"{matrix / limit:.1f}",
            ]
        )
    header = [
        "scorer",
        f"formula, batches of 2,048 (from {BASELINE_TRIALS:,} trials)",
        "score_trials",
        "ratio",
        "score_matrix 5,000 x 5,000",
        "pairs",
        "times one float64 product of that size",
    ]
    table("Scoring: 1,000,000 trials over 5,000 recordings, 512 attributes", header, rows)
    growth(rng)


def growth(rng: np.random.Generator) -> None:
    """Print the cost of a trial as the trial list and the matrix of all pairs grow."""
    people = recording_counts(population(50, 8, rng)).reshape(50, 8, ATTRIBUTES, 2).sum(1)
    scorer = build_scorer("beta", num_attributes=ATTRIBUTES).fit(people)
    sizes = (2_500, 5_000, 10_000)
    counts = [recording_counts(population(size // 10, 10, rng)) for size in sizes]
    trials = [make_trials(size, size**2 // 25, rng) for size in sizes]  # one pair in 25
    listed = seconds_in_turns([partial(score_trials, scorer, *side) for side in zip(counts, trials, strict=True)], 5)
    pairs = seconds_in_turns([partial(scorer.score_matrix, side, side) for side in counts], 6)
    rows = [
        [f"{size:,}", f"{len(some):,}", f"{1e6 * took / len(some):.3f} us", f"{1e9 * all_took / size**2:.1f} ns"]
        for size, some, took, all_took in zip(sizes, trials, listed, pairs, strict=True)
    ]
    table("Scoring: growth, beta", ["recordings", "trials in a list", "per trial", "per pair of the matrix"], rows)


if __name__ == "__main__":
    main()
