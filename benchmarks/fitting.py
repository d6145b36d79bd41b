"""Fitting each scorer to 6,000 speakers, compared with its formula as it is written."""

from functools import partial

import numpy as np
import torch
from measuring import against, seconds, seconds_in_turns, table

from balr_hf.scoring.auto import build_scorer

SPEAKERS, ATTRIBUTES, ITERATIONS = 6_000, 512, 20
SETTINGS = {"beta": {"n_iterations": ITERATIONS}, "maxllr": {"n_iterations": ITERATIONS}, "speech": {}, "dna": {}}


def beta_as_written(counts: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Fit by Minka's fixed point, with every speaker's digamma in every iteration."""
    totals = counts.sum(-1, keepdim=True)
    for _ in range(ITERATIONS):
        strength = alpha.sum(-1, keepdim=True)
        numerator = (torch.digamma(counts + alpha) - torch.digamma(alpha)).sum(0)
        denominator = (torch.digamma(totals + strength) - torch.digamma(strength)).sum(0)
        alpha = alpha * numerator / denominator
    return alpha


def maxllr_as_written(counts: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Fit the mixture of speakers who have an attribute and speakers who lack it by expectation-maximization."""
    active, inactive = counts.unbind(-1)
    f, p, q = (torch.full((ATTRIBUTES,), value, dtype=counts.dtype) for value in (0.5, 0.9, 0.1))
    for _ in range(ITERATIONS):
        having = torch.exp(f.log() + active * p.log() + inactive * (1 - p).log())
        lacking = torch.exp((1 - f).log() + active * q.log() + inactive * (1 - q).log())
        posterior = having / (having + lacking)
        f = posterior.mean(0)
        p = (posterior * active).sum(0) / (posterior * (active + inactive)).sum(0)
        q = ((1 - posterior) * active).sum(0) / ((1 - posterior) * (active + inactive)).sum(0)
    return f, p, q


def profile_as_written(counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute typicality over all pairs of speakers, and drop-out over those who have the attribute."""
    having = counts[..., 0] > 0
    typicality = torch.zeros(ATTRIBUTES, dtype=counts.dtype)
    for speaker in range(len(counts)):
        typicality += (having[speaker] & having).sum(0) - having[speaker].long()
    share = counts[..., 0] / counts.sum(-1)
    dropout = torch.stack([1 - share[having[:, a], a].mean() for a in range(ATTRIBUTES)])
    return typicality / (len(counts) * (len(counts) - 1)), dropout


def main() -> None:
    rng = np.random.default_rng(0)
    totals = rng.integers(1, 60, (SPEAKERS, 1))
    active = rng.binomial(totals, rng.beta(0.5, 0.8, (SPEAKERS, ATTRIBUTES)))
    counts = np.stack([active, totals - active], -1).astype(float)
    written = torch.from_numpy(counts)
    start = build_scorer("beta", num_attributes=ATTRIBUTES)._start(written)
    passes = counts.nbytes / seconds(lambda: written.sum(0), 5) / 1e9
    fits = {
        name: partial(build_scorer(name, num_attributes=ATTRIBUTES, **settings).fit, counts)
        for name, settings in SETTINGS.items()
    }
    iterated = {"beta": partial(beta_as_written, written, start), "maxllr": partial(maxllr_as_written, written)}
    times = {name: seconds_in_turns((formula, fits[name]), 5) for name, formula in iterated.items()}
    profile = seconds(lambda: profile_as_written(written), 1)
    times |= {name: (profile, seconds(fits[name])) for name in ("speech", "dna")}
    rows = [[n, f"{formula:.2f} s", f"{fit:.2f} s", against(formula / fit, 3)] for n, (formula, fit) in times.items()]
    title = (
        f"Fitting: {SPEAKERS:,} speakers x {ATTRIBUTES}, {ITERATIONS} iterations (counts read at {passes:.1f} GB/s)"
    )
    table(title, ["scorer", "formula as written", "fit", "ratio"], rows)


if __name__ == "__main__":
    main()
