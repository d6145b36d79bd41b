"""Whether the figures of this package are those of `lir`, the Netherlands Forensic Institute's package.

For sets of random likelihood ratios and for a validation of a system, it prints how far apart the two are in each
figure that both compute. `lir` is no dependency of this package: install it where you run this, with Python 3.12 or
later. Of this package only the metrics are used, so that torch need not be there.

Usage:
    balr validate SYSTEM CORPUS.csv 1x1 --save-dir RUN
    python benchmarks/lir_agreement.py RUN CORPUS.csv
    python benchmarks/lir_agreement.py RUN CORPUS.csv --record tests/data/golden/lir.json
"""

import argparse
import csv
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lir.metrics
import matplotlib
import numpy as np
from lir.algorithms.bayeserror import elub as lir_elub
from lir.algorithms.devpav import devpav as lir_devpav
from lir.algorithms.isotonic_regression import IsotonicCalibrator
from lir.data.models import LLRData
from lir.plotting import tippett as lir_tippett
from lir.plotting.expected_calibration_error import calculate_ece
from lir.util import odds_to_probability

from balr_hf.figures.performance import ece_curves, tippett_curves
from balr_hf.metrics import compute_metrics
from balr_hf.metrics.tally import tally
from balr_hf.scoring.bounds import elub

LN10 = np.log(10)
METRICS = ("cllr", "cllr_min", "cllr_cal", "devpav")
# Log10 prior odds at which the empirical cross-entropy is compared.
ODDS = (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
# LLRs are compared as they are recorded, so that a reader of the record has the very numbers that lir had.
DECIMALS = 6
# Proportions are recorded with as many digits as the agreement needs.
DIGITS = 9


def random_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Natural-log LLRs and labels of trials: calibrated ones, and ones that are wrong in several ways."""
    rng = np.random.default_rng(15)

    def normal(same: int, different: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """LLRs of two normal distributions that are calibrated: means of half the variance, which is `distance`."""
        llrs = [rng.normal(sign * distance / 2, distance**0.5, size) for sign, size in ((1, same), (-1, different))]
        return np.concatenate(llrs), np.arange(same + different) < same

    calibrated, labels = normal(150, 350, 6.0)
    few, few_labels = normal(4, 7, 2.0)
    return {
        "calibrated": (calibrated, labels),
        "overconfident": (3 * calibrated, labels),
        "shifted": (calibrated + 2, labels),
        "reversed": (-calibrated, labels),
        "ties": (calibrated.round(), labels),
        "separated": (calibrated + np.where(labels, 20, -20), labels),
        "few": (few, few_labels),
    }


def trials_of(run: Path, corpus: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The LLRs of a validation as the system reports them, without its bounds and before calibration, with the labels.

    Raises:
        SystemExit: a recording of the trials is not in the corpus.
    """
    with corpus.open(encoding="utf-8", newline="") as file:
        speakers = {
            row.get("id") or str(Path(row["audio"]).with_suffix("")): row["speaker"] for row in csv.DictReader(file)
        }
    with (run / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        sides = [
            [{speakers[name] for name in row[side].split(",")} for side in ("enrollment", "test")] for row in rows
        ]
    except KeyError as error:
        raise SystemExit(f"{error} is no recording of {corpus}: name the corpus that was validated on") from None
    labels = np.array([enrollment == test for enrollment, test in sides])
    return {
        name: (np.array([float(row.get(column, row["scores"])) for row in rows]), labels)
        for name, column in (("reported", "scores"), ("unbounded", "unbounded_scores"), ("raw", "raw_scores"))
    }


def figures_of_lir(llrs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """All figures of a set as `lir` computes them, in its unit, which is the log10 LR.

    Returns:
        dict: the four metrics; the two `bounds`; `pav`, pairs of a number of trials and their log10 LR after PAV, in
        the order of the scores; `ece` and `ece_pav` at each of [`ODDS`], in bits; `tippett`, the proportions of
        same-speaker and of different-speaker trials at the points of its grid.
    """

    def data() -> LLRData:
        """New each time, since lir's elub writes into its input."""
        return LLRData(features=(llrs / LN10).reshape(-1, 1), hypothesis=labels.astype(int))

    priors = odds_to_probability(10 ** np.array(ODDS))
    pav = IsotonicCalibrator().fit_apply(data()).llrs
    ordered = pav[np.argsort(llrs, kind="stable")]
    starts = np.flatnonzero(np.append(True, ~np.isclose(ordered[1:], ordered[:-1], rtol=0, atol=1e-9)))
    figure = matplotlib.figure.Figure()
    axes = figure.add_subplot()
    lir_tippett(axes, data(), plot_type=2)
    with np.errstate(all="ignore"):
        return {
            **{name: float(getattr(lir.metrics, name)(data())) for name in METRICS[:3]},
            "devpav": float(lir_devpav(data())),
            "bounds": [float(bound) for bound in lir_elub(data())],
            "pav": [
                [int(number), float(ordered[start])]
                for start, number in zip(starts, np.diff(np.append(starts, len(ordered))), strict=True)
            ],
            "ece": calculate_ece(10 ** (llrs / LN10), labels.astype(int), priors).tolist(),
            "ece_pav": calculate_ece(10**pav, labels.astype(int), priors).tolist(),
            "tippett": [(line.get_ydata() / 100).round(DIGITS).tolist() for line in axes.lines[:2]],
        }


def figures_of_balr(llrs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The same of this package, where `pav` has one log10 LR for each trial in the order of the scores."""
    trials = tally(llrs, labels)
    # The grid of lir's Tippett plot.
    grid = np.linspace(trials.scores[0] / LN10, trials.scores[-1] / LN10, 100)
    metrics = compute_metrics(llrs, labels)
    given, calibrated, _ = ece_curves(trials, np.array(ODDS))
    scores, at_most, at_least = tippett_curves(trials)
    same = np.append(0.0, at_most)[np.searchsorted(scores, grid, side="right")]
    different = np.append(at_least, 0.0)[np.searchsorted(scores, grid, side="left")]
    return {
        **{name: metrics[name] for name in METRICS},
        "bounds": np.array(elub(llrs, labels)) / LN10,
        "pav": trials.pav[np.searchsorted(trials.scores, np.sort(llrs))] / LN10,
        "ece": given,
        "ece_pav": calibrated,
        "tippett": [same, different],
    }


def distance(theirs: Any, ours: Any) -> float:
    """The largest difference of two figures; none where both are infinite or have no value."""
    theirs, ours = np.asarray(theirs, dtype=float), np.asarray(ours, dtype=float)
    with np.errstate(invalid="ignore"):
        apart = np.abs(theirs - ours)
    return float(np.where((theirs == ours) | (np.isnan(theirs) & np.isnan(ours)), 0, apart).max())


def main() -> None:
    """Compare, print, and record if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a balr validate")
    parser.add_argument("corpus", type=Path, help="csv of the corpus that it validated on: audio or id, speaker")
    parser.add_argument("--record", type=Path, help="a file for the sets and lir's figures")
    options = parser.parse_args()
    names = (*METRICS, "bounds", "pav", "ece", "ece_pav", "tippett")
    print(f"lir {version('lir')}: the largest difference from it\n")
    print(f"| set | trials | {' | '.join(names)} |")
    print(f"|---|---:|{'---:|' * len(names)}")
    recorded = {}
    validated = trials_of(options.run, options.corpus)
    unbounded = validated.pop("unbounded")
    for name, (llrs, labels) in {**random_sets(), **validated}.items():
        llrs = llrs.round(DECIMALS)
        theirs = figures_of_lir(llrs, labels)
        ours = figures_of_balr(llrs, labels)
        numbers, ratios = zip(*theirs["pav"], strict=True)
        each = theirs | {"pav": np.repeat(ratios, numbers)}
        cells = [f"{distance(each[figure], ours[figure]):.1e}" for figure in names]
        print(f"| {name} | {len(llrs):,} | {' | '.join(cells)} |")
        recorded[name] = {"llrs": llrs.tolist(), "labels": labels.astype(int).tolist(), "lir": theirs}
    report = json.loads((options.run / "metrics.json").read_text(encoding="utf-8"))
    theirs = figures_of_lir(*validated["reported"])
    # What is left after the best calibration is of the order of the LLRs, which the system's bounds make ties of.
    theirs["cllr_min"] = figures_of_lir(*unbounded)["cllr_min"]
    theirs["cllr_cal"] = theirs["cllr"] - theirs["cllr_min"]
    print("\n| figure of the report | report | lir |\n|---|---:|---:|")
    for figure in METRICS:
        print(f"| {figure} | {report[figure]:.9f} | {theirs[figure]:.9f} |")
    if options.record:
        versions = {"lir": version("lir"), "numpy": np.__version__}
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in recorded.items())
        text = f'{{"versions": {json.dumps(versions)}, "odds": {json.dumps(ODDS)}, "sets": {{\n{lines}\n}}}}\n'
        options.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
