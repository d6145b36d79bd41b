"""The docstrings of the scorers have all their paragraphs, and their examples print what they show."""

import doctest
import inspect
import re
import sys

import pytest

from balr_hf.scoring.auto import SCORERS, scorer_class
from balr_hf.scoring.calibration import Calibration
from balr_hf.scoring.modeling_scorer import Scorer

PARAGRAPHS = ("Args", "Inputs", "References", "Requirements", "Recommendations", "Example")
DOCUMENTED = [*SCORERS, Calibration, Scorer.calibrate]


def found(documented):
    return scorer_class(documented) if documented in SCORERS else documented


def name_of(documented):
    return documented if documented in SCORERS else documented.__qualname__


@pytest.mark.parametrize("documented", [*DOCUMENTED, Scorer], ids=name_of)
def test_examples_of_scorers_print_what_they_show(documented):
    documented = found(documented)
    names = dict(vars(sys.modules[documented.__module__]))
    examples = doctest.DocTestFinder(recurse=False).find(documented, documented.__qualname__, globs=names)
    assert [len(example.examples) > 1 for example in examples] == [True], "no example"
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(examples[0], out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("documented", DOCUMENTED, ids=name_of)
def test_docstrings_of_scorers_have_all_paragraphs(documented):
    documented = found(documented)
    assert documented.__doc__  # its own, since a class does not inherit this attribute
    headings = re.findall(r"^(\w+):$", inspect.cleandoc(documented.__doc__), re.MULTILINE)
    assert [heading for heading in headings if heading in PARAGRAPHS] == list(PARAGRAPHS)
