"""The metrics as modules of `evaluate`."""

import socket
from pathlib import Path

import evaluate
import numpy as np
import pytest

from balr_hf.hub.card_writers import METRICS
from balr_hf.metrics import (
    EVALUATE_MODULES,
    cllr,
    cllr_min,
    compute_metrics,
    devpav,
    eer,
    evaluate_module,
    min_dcf,
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever connects to anything fails, and has tried."""
    tried = []

    def refuse(self, address, *args):
        tried.append(address)
        raise OSError(f"a metric must not connect to {address}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    yield
    assert not tried


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "metrics.npz")


def test_each_module_is_listed():
    folder = Path(evaluate_module("cllr")).parent
    assert sorted(path.parent.name for path in folder.glob("*/*.py")) == sorted(EVALUATE_MODULES)


def test_each_metric_of_a_test_has_a_name_on_cards():
    found = compute_metrics([3.0, 2.0, -1.0, 1.0, -2.0, -3.0], [1, 1, 1, 0, 0, 0])
    assert set(METRICS) == set(found) - {"eer_threshold"}


def plain(name, llrs, labels):
    if name == "cllr":
        cost, least = cllr(llrs, labels), cllr_min(llrs, labels)
        return {"cllr": cost, "cllr_min": least, "cllr_cal": cost - least}
    if name == "eer":
        return dict(zip(("eer", "eer_threshold"), eer(llrs, labels), strict=True))
    return {name: devpav(llrs, labels) if name == "devpav" else min_dcf(llrs, labels, 0.01)}


@pytest.mark.parametrize("name", EVALUATE_MODULES)
@pytest.mark.parametrize("trials", ["overconfident", "ties"])
def test_modules_compute_what_the_functions_do(name, trials, recorded):
    llrs, labels = recorded[f"{trials}_llr"], recorded[f"{trials}_label"]
    metric = evaluate.load(evaluate_module(name))
    computed = metric.compute(predictions=llrs, references=labels)
    assert computed == pytest.approx(plain(name, llrs, labels), rel=1e-12)


@pytest.mark.parametrize("name", EVALUATE_MODULES)
def test_trials_may_be_added_batch_by_batch(name, recorded):
    llrs, labels = recorded["calibrated_llr"], recorded["calibrated_label"]
    metric = evaluate.load(evaluate_module(name))
    for part in np.array_split(np.arange(len(llrs)), 3):
        metric.add_batch(predictions=llrs[part], references=labels[part])
    assert metric.compute() == pytest.approx(plain(name, llrs, labels), rel=1e-12)


def test_min_dcf_takes_a_prior_and_costs(recorded):
    llrs, labels = recorded["overconfident_llr"], recorded["overconfident_label"]
    metric = evaluate.load(evaluate_module("min_dcf"))
    settings = {"prior": 0.3, "cost_miss": 2.0, "cost_fa": 5.0}
    computed = metric.compute(predictions=llrs, references=labels, **settings)
    assert computed["min_dcf"] == pytest.approx(min_dcf(llrs, labels, **settings), rel=1e-12)
    assert computed["min_dcf"] != pytest.approx(min_dcf(llrs, labels, 0.01), rel=1e-3)


def test_min_dcf_refuses_an_impossible_prior():
    with pytest.raises(ValueError, match=r"prior 1\.5"):
        evaluate.load(evaluate_module("min_dcf")).compute(predictions=[1.0, 2.0], references=[0, 1], prior=1.5)


def test_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="unknown metric 'accuracy': expected cllr, devpav, eer, min_dcf"):
        evaluate_module("accuracy")


@pytest.mark.parametrize("name", EVALUATE_MODULES)
@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([0, 1, 2], "labels must be 1 or True"),
        ([1.0, 0.6, 0.0], "labels must be 1 or True"),
        ([1, 1, 1], "3 same-speaker and 0 different-speaker"),
    ],
    ids=["a label of 2", "a label of 0.6", "one kind"],
)
def test_bad_labels_are_refused(name, references, message):
    with pytest.raises(ValueError, match=message):
        evaluate.load(evaluate_module(name)).compute(predictions=[-1.0, 1.0, 2.0], references=references)


@pytest.mark.parametrize("name", EVALUATE_MODULES)
@pytest.mark.parametrize("kind", [bool, int, float])
def test_labels_may_be_of_any_type(name, kind):
    labels, scores = [kind(1), kind(1), kind(0), kind(0)], [-1.0, 1.0, 2.0, -3.0]
    found = evaluate.load(evaluate_module(name)).compute(predictions=scores, references=labels)
    assert found == evaluate.load(evaluate_module(name)).compute(predictions=scores, references=np.array(labels))
    assert found == pytest.approx(plain(name, scores, labels), nan_ok=True)


@pytest.mark.parametrize("name", EVALUATE_MODULES)
def test_modules_describe_their_input_and_output(name):
    metric = evaluate.load(evaluate_module(name))
    assert metric.description
    assert f"`{name}`" in metric.inputs_description
