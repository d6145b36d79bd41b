"""Module of `evaluate`: the equal error rate of speaker comparison scores."""

from collections.abc import Sequence

import datasets
import evaluate

from balr_hf.metrics import eer

DESCRIPTION = "Equal error rate of speaker comparison scores."

INPUTS = """
Args:
    predictions (list of float): scores of any scale, higher for the same speaker, one per trial.
    references (list of int): 1 for trials of one speaker, 0 for trials of two.
Returns:
    dict: the rate between 0 and 1 (`eer`), and the score at which it is reached (`eer_threshold`).

Example:
    >>> import evaluate
    >>> from balr_hf.metrics import evaluate_module
    >>> metric = evaluate.load(evaluate_module("eer"))
    >>> found = metric.compute(predictions=[3.0, 2.0, -1.0, 1.0, -2.0, -3.0], references=[1, 1, 1, 0, 0, 0])
    >>> {name: round(value, 3) for name, value in found.items()}
    {'eer': 0.333, 'eer_threshold': 1.0}
"""


class Eer(evaluate.Metric):
    """Computes [`balr_hf.metrics.eer`]."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features(predictions=datasets.Value("float64"), references=datasets.Value("float64")),
        )

    def _compute(self, predictions: Sequence[float], references: Sequence[int]) -> dict[str, float]:
        rate, threshold = eer(predictions, references)
        return {"eer": rate, "eer_threshold": threshold}
