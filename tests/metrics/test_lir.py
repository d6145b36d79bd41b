"""The figures of likelihood ratios are those of `lir`, the Netherlands Forensic Institute's package.

They were recorded by `benchmarks/lir_agreement.py`: for random sets, and for the trials of a validation of the shipped
system on the sample corpus, as it reports them and before calibration.
"""

import json

import numpy as np
import pytest

from balr_hf.evaluation import Evaluation
from balr_hf.figures.performance import ece_curves, tippett_curves
from balr_hf.metrics.decisions import misleading_rates
from balr_hf.metrics.tally import tally
from balr_hf.scoring.bounds import elub
from balr_hf.validation.factors import Misleading

LN10 = np.log(10)
SETS = ("calibrated", "overconfident", "shifted", "reversed", "ties", "separated", "few", "reported", "raw")


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads((golden / "lir.json").read_text(encoding="utf-8"))


@pytest.fixture(params=SETS)
def case(request, recorded):
    """Natural-log LLRs, labels, and the figures of lir, which are in log10 units."""
    found = recorded["sets"][request.param]
    return np.array(found["llrs"]), np.array(found["labels"], dtype=bool), found["lir"]


def test_every_recorded_set_is_compared(recorded):
    assert tuple(recorded["sets"]) == SETS


def test_figures_of_merit_in_the_json_of_a_report_are_those_of_lir(case):
    llrs, labels, figures = case
    # By way of a file, as `metrics.json` is written and read.
    report = json.loads(json.dumps(Evaluation.of(llrs, labels, resamples=0).to_dict()))
    for name in ("cllr", "cllr_min", "cllr_cal", "devpav"):
        value = np.nan if report[name] is None else report[name]
        assert value == pytest.approx(figures[name], abs=1e-6, nan_ok=True), name


def test_bounds_are_those_of_lir(case):
    llrs, labels, figures = case
    np.testing.assert_allclose(np.array(elub(llrs, labels)) / LN10, figures["bounds"], atol=1e-6)


def test_llrs_after_pav_are_those_of_lir(case):
    llrs, labels, figures = case
    trials = tally(llrs, labels)
    numbers, ratios = zip(*figures["pav"], strict=True)
    found = trials.pav[np.searchsorted(trials.scores, np.sort(llrs))] / LN10
    np.testing.assert_allclose(found, np.repeat(ratios, numbers), atol=1e-6)


def test_empirical_cross_entropy_is_that_of_lir(case, recorded):
    llrs, labels, figures = case
    given, after_pav, _ = ece_curves(tally(llrs, labels), np.array(recorded["odds"]))
    theirs = np.array(figures["ece"])
    # Beyond an LR of 2^53 a probability rounds to 1, from where on lir's cross-entropy is infinite. Ours is computed
    # from the logarithms.
    overflown = np.isinf(theirs)
    assert overflown.any() == (np.abs(llrs).max() > 53 * np.log(2))
    assert np.isfinite(given).all()
    np.testing.assert_allclose(given[~overflown], theirs[~overflown], atol=1e-6)
    np.testing.assert_allclose(after_pav, figures["ece_pav"], atol=1e-6)


def test_tippett_curves_are_those_of_lir_and_the_rates_of_misleading_lie_on_them(case):
    llrs, labels, figures = case
    scores, at_most, at_least = tippett_curves(tally(llrs, labels))
    grid = np.linspace(scores[0], scores[-1], 100)
    same = np.append(0.0, at_most)[np.searchsorted(scores, grid, side="right")]
    different = np.append(at_least, 0.0)[np.searchsorted(scores, grid, side="left")]
    np.testing.assert_allclose([same, different], figures["tippett"], atol=1e-6)

    # lir has no function for the rates: they are read off its curves at LR = 1.
    rates = Misleading.among(llrs, labels).rates
    assert tuple(rates.values()) == pytest.approx(misleading_rates(tally(llrs, labels)))
    before, after = np.searchsorted(grid, 0, side="left") - 1, np.searchsorted(grid, 0, side="right")
    if before >= 0:
        below = np.array(figures["tippett"])[:, before]
        assert below[0] <= rates["misleading_same"] + 1e-6 and rates["misleading_different"] <= below[1] + 1e-6
    if after < grid.size:
        above = np.array(figures["tippett"])[:, after]
        assert rates["misleading_same"] <= above[0] + 1e-6 and above[1] <= rates["misleading_different"] + 1e-6
