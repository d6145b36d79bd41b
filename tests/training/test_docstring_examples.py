"""The docstrings of the losses have all their paragraphs, and their examples print what they show."""

import doctest
import inspect
import re
import sys

import pytest

from balr_hf.training.losses import LOSSES, AutoEncoderLoss, build_losses
from balr_hf.training.samplers import CopiesSampler, ExhaustiveNxMSampler, RandomNxMSampler

PARAGRAPHS = ("Args", "Inputs", "References", "Requirements", "Recommendations", "Example")


@pytest.mark.parametrize(
    "documented",
    [*LOSSES.values(), AutoEncoderLoss, build_losses, RandomNxMSampler, ExhaustiveNxMSampler, CopiesSampler],
    ids=lambda documented: documented.__name__,
)
def test_examples_of_losses_and_samplers_print_what_they_show(documented):
    names = dict(vars(sys.modules[documented.__module__]))
    examples = doctest.DocTestFinder(recurse=False).find(documented, documented.__name__, globs=names)
    assert [len(example.examples) > 0 for example in examples] == [True], "no example"
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(examples[0], out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("loss", LOSSES)
def test_docstrings_of_losses_have_all_paragraphs(loss):
    assert LOSSES[loss].__doc__  # its own, since a class does not inherit this attribute
    headings = re.findall(r"^(\w+):$", inspect.cleandoc(LOSSES[loss].__doc__), re.MULTILINE)
    assert [heading for heading in headings if heading in PARAGRAPHS] == list(PARAGRAPHS)
