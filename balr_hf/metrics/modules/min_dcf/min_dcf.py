"""Module of `evaluate`: the minimum normalised detection cost of speaker comparison scores."""

from collections.abc import Sequence

import datasets
import evaluate

from balr_hf.metrics import min_dcf

DESCRIPTION = "Minimum normalised detection cost of speaker comparison scores."

INPUTS = """
Args:
    predictions (list of float): scores of any scale, higher for the same speaker, one per trial.
    references (list of int): 1 for trials of one speaker, 0 for trials of two.
    prior (float): the probability of a same-speaker trial, 0.01 by default.
    cost_miss (float): the cost of a miss, 1 by default.
    cost_fa (float): the cost of a false alarm, 1 by default.
Returns:
    dict: `min_dcf`, between 0 (no errors) and 1 (scores of no use).

Example:
    >>> import evaluate
    >>> from balr_hf.metrics import evaluate_module
    >>> metric = evaluate.load(evaluate_module("min_dcf"))
    >>> scores, labels = [3.0, 2.0, -1.0, 2.5, -2.0, -3.0], [1, 1, 1, 0, 0, 0]
    >>> round(metric.compute(predictions=scores, references=labels)["min_dcf"], 3)
    0.667
    >>> round(metric.compute(predictions=scores, references=labels, prior=0.9)["min_dcf"], 3)
    0.333
"""


class MinDcf(evaluate.Metric):
    """Computes [`balr_hf.metrics.min_dcf`]."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="NIST speaker recognition evaluation plans.",
            inputs_description=INPUTS,
            features=datasets.Features(predictions=datasets.Value("float64"), references=datasets.Value("float64")),
        )

    def _compute(
        self,
        predictions: Sequence[float],
        references: Sequence[int],
        prior: float = 0.01,
        cost_miss: float = 1.0,
        cost_fa: float = 1.0,
    ) -> dict[str, float]:
        return {"min_dcf": min_dcf(predictions, references, prior, cost_miss, cost_fa)}
