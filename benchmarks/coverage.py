"""How often intervals contain the true value: those of metrics, of differences and of a case's LR, in simulations.

Scores are those of a Gaussian model of voices in several dimensions, whose LRs are known, made a little wrong in scale
and offset. The true value is the mean of three sets of 1,200 speakers.

Usage:
    python benchmarks/coverage.py                   # about 10 minutes on 2 cores
    python benchmarks/coverage.py --simulations 20  # to see that it works
"""

import argparse
from collections.abc import Callable, Iterable

import numpy as np
from measuring import table

from balr_hf.metrics import bootstrap_intervals, compute_metrics, difference_intervals, misleading_intervals
from balr_hf.metrics.decisions import misleading_rates
from balr_hf.metrics.intervals import RATES, WITH_INTERVALS
from balr_hf.metrics.tally import tally
from balr_hf.scoring.calibration_draws import LOG10, calibration_draws, llr_interval
from balr_hf.scoring.calibration_fits import fit_affine

# Name of the system -> dimensions, and the spread of speakers over that of one speaker's recordings.
SYSTEMS = {"good": (8, 1.6), "middling": (6, 1.1), "very good": (8, 2.6)}
# Those that all parts look at; in the third, trials rarely mislead.
USUAL = ("good", "middling")
# One whose speakers are not equally steady, so that some of them cause most of the errors: how much the logarithm of
# the spread of their recordings varies, and the slope and the offset that calibrate the good system for them.
UNEVEN, UNSTEADY, CALIBRATION = "uneven", 0.5, (0.31, 0.44)
Intervals = dict[str, tuple[float, float]]
# Most trials of each kind that are used of a large set.
MOST = 200_000


def trials(speakers: int, recordings: int, system: str, seed: int) -> tuple[np.ndarray, ...]:
    """Simulate `(llrs, labels, enroll, test)` of all pairs of recordings."""
    rng = np.random.default_rng([seed, speakers])
    size, spread = SYSTEMS["good" if system == UNEVEN else system]
    speaker = np.repeat(np.arange(speakers), recordings)
    voices = np.repeat(rng.normal(size=(speakers, size)) * spread, recordings, axis=0)
    noise = rng.normal(size=(len(speaker), size))
    if system == UNEVEN:
        noise *= np.repeat(np.exp(UNSTEADY * rng.normal(size=speakers)), recordings)[:, None]
    x = voices + noise
    a, b = np.triu_indices(len(speaker), 1)
    same = speaker[a] == speaker[b]
    kinds = [np.flatnonzero(same), np.flatnonzero(~same)]
    kept = np.concatenate([kind if len(kind) <= MOST else rng.choice(kind, MOST, replace=False) for kind in kinds])
    a, b = a[kept], b[kept]
    variance = spread**2
    constant = size * (np.log(variance + 1) - 0.5 * np.log(2 * variance + 1))
    apart, together = np.square(x[a] - x[b]).sum(1), np.square(x[a] + x[b]).sum(1)
    alone = (np.square(x[a]).sum(1) + np.square(x[b]).sum(1)) / (variance + 1)
    llrs = constant - apart / 4 - together / (4 * (2 * variance + 1)) + alone / 2
    if system == UNEVEN:
        llrs = CALIBRATION[0] * llrs + CALIBRATION[1]
    return 0.8 * llrs + 0.2, same[kept], speaker[a].astype(str), speaker[b].astype(str)


def metrics(simulations: int, draws: int) -> None:
    """Measure the coverage of the metrics' intervals, also where some speakers cause most of the errors."""

    def truth(system: str, seed: int) -> dict[str, float]:
        return compute_metrics(*trials(1_200, 4, system, seed)[:2])

    def intervals(speakers: int, system: str, seed: int) -> Intervals:
        return bootstrap_intervals(*trials(speakers, 4, system, 100 + seed), resamples=draws, seed=seed)

    _cover("metrics", "{:.0%}", truth, intervals, simulations, draws, systems=(*USUAL, UNEVEN))


def misleading(simulations: int, draws: int) -> None:
    """Measure the coverage of the intervals of the rates of misleading trials."""

    def truth(system: str, seed: int) -> dict[str, float]:
        return dict(zip(RATES, misleading_rates(tally(*trials(1_200, 4, system, seed)[:2])), strict=True))

    def intervals(speakers: int, system: str, seed: int) -> Intervals:
        return misleading_intervals(*trials(speakers, 4, system, 100 + seed), resamples=draws, seed=seed)

    _cover("rates of misleading trials", "{:.1%}", truth, intervals, simulations, draws, RATES, tuple(SYSTEMS))


def differences(simulations: int, draws: int) -> None:
    """Measure the coverage of the intervals of differences: a system, and one that hears its voices less well."""

    def truth(system: str, seed: int) -> dict[str, float]:
        good, worse, labels, *_ = both(1_200, system, seed)
        first, second = compute_metrics(good, labels), compute_metrics(worse, labels)
        return {name: second[name] - first[name] for name in WITH_INTERVALS}

    def intervals(speakers: int, system: str, seed: int) -> Intervals:
        return difference_intervals(*both(speakers, system, 100 + seed), resamples=draws, seed=seed)

    _cover("differences", "{:+.1%}", truth, intervals, simulations, draws)


def _cover(
    what: str,
    form: str,
    truth_of: Callable[[str, int], dict[str, float]],
    intervals_of: Callable[[int, str, int], Intervals],
    simulations: int,
    draws: int,
    names: Iterable[str] = WITH_INTERVALS,
    systems: Iterable[str] = USUAL,
) -> None:
    """Print how often simulated intervals contain the mean of what three large sets give."""
    rows = []
    for system in systems:
        large = [truth_of(system, seed) for seed in range(3)]
        truth = {name: float(np.mean([one[name] for one in large])) for name in names}
        for speakers in (10, 30, 100):
            inside: dict[str, list[bool]] = {name: [] for name in names}
            for seed in range(simulations):
                for name, (low, high) in intervals_of(speakers, system, seed).items():
                    inside[name].append(low <= truth[name] <= high)
            shares = [f"{np.mean(inside[name]):.0%}" for name in names]
            known = ", ".join(form.format(truth[name]) for name in (names if names == RATES else ("eer",)))
            rows.append([f"{system} ({'rates' if names == RATES else 'EER'} {known})", speakers, *shares])
    title = f"Coverage of 95 % intervals of {what}: {simulations} simulations, {draws} draws each"
    table(title, ["system", "speakers", *names], rows)


def both(speakers: int, system: str, seed: int) -> tuple[np.ndarray, ...]:
    """Simulate trials of two systems on the same voices: the LLRs of either, and the labels and speakers."""
    llrs, labels, enroll, test = trials(speakers, 4, system, seed)
    rng = np.random.default_rng([seed, speakers, 1])
    names, codes = np.unique(np.concatenate([enroll, test]), return_inverse=True)
    own = rng.normal(size=len(names))[codes].reshape(2, -1).sum(0)  # what the second system mishears in a speaker
    return llrs, 0.8 * llrs + 0.7 * own + rng.normal(size=len(llrs)), labels, enroll, test


def ratios(simulations: int, draws: int) -> None:
    """Measure the coverage of the interval of an LR that a large calibration gives."""
    rows, values = [], np.array([-6.0, -3.0, 0.0, 2.0, 4.0])
    for system in USUAL:
        large = [fit_affine(*trials(1_200, 4, system, seed)[:2]) for seed in range(3)]
        slope, offset = np.mean(large, axis=0)
        for speakers in (10, 20, 30, 100):
            inside = np.zeros(len(values))
            for seed in range(simulations):
                scores, labels, *sides = trials(speakers, 4, system, 100 + seed)
                small = fit_affine(scores, labels)
                made = calibration_draws(scores, labels, (sides[0], sides[1]), *small, LOG10, draws, seed)
                for number, truth in enumerate(values):
                    low, high = llr_interval(small[0] * (truth - offset) / slope + small[1], made)
                    inside[number] += low <= truth <= high
            rows.append([system, speakers, *(f"{share:.0%}" for share in inside / simulations)])
    title = f"Coverage of the 95 % interval of an LR: {simulations} simulated calibrations, {draws} draws each"
    table(title, ["system", "speakers", *(f"ln LR {value:g}" for value in values)], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--of", choices=("ratios", "metrics", "misleading", "differences"), help="one part only")
    arguments = parser.parse_args()
    for part in (ratios, metrics, misleading, differences):
        if arguments.of in (None, part.__name__):
            part(arguments.simulations, arguments.draws)


if __name__ == "__main__":
    main()
