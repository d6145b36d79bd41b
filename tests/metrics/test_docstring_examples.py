"""The examples in the metrics' docstrings print what they show."""

import doctest
import importlib
import pkgutil

import evaluate
import pytest

from balr_hf import metrics
from balr_hf.metrics import EVALUATE_MODULES, evaluate_module

PACKAGE = metrics.__name__
MODULES = [PACKAGE, *(f"{PACKAGE}.{module.name}" for module in pkgutil.iter_modules(metrics.__path__))]


def attempt(test: doctest.DocTest) -> int:
    """Runs the examples of a docstring, none of which may fail; gives their number."""
    told: list[str] = []
    results = doctest.DocTestRunner().run(test, out=told.append)
    assert results.failed == 0, "".join(told)
    return results.attempted


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_print_what_they_show(name):
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        attempt(test)


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_public_metric_has_an_example(name):
    metric = getattr(metrics, name)
    assert metric.__module__ in MODULES
    (test,) = doctest.DocTestFinder(recurse=False).find(metric, name, importlib.import_module(metric.__module__))
    assert attempt(test) >= 1


@pytest.mark.parametrize("name", EVALUATE_MODULES)
def test_every_evaluate_module_has_an_example(name):
    description = evaluate.load(evaluate_module(name)).inputs_description
    assert attempt(doctest.DocTestParser().get_doctest(description, {}, name, None, None)) >= 1
