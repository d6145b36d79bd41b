"""Module of `evaluate`: the log-likelihood-ratio cost, its least value, and the difference."""

from collections.abc import Sequence

import datasets
import evaluate

from balr_hf.metrics import cllr, cllr_min

DESCRIPTION = (
    "Log-likelihood-ratio cost, its value after the best monotone calibration, and the difference of the two."
)

INPUTS = """
Args:
    predictions (list of float): natural-log likelihood ratios, one per trial.
    references (list of int): 1 for trials of one speaker, 0 for trials of two.
Returns:
    dict: `cllr`, `cllr_min` and their difference `cllr_cal`, in bits.

Example:
    >>> import evaluate
    >>> from balr_hf.metrics import evaluate_module
    >>> metric = evaluate.load(evaluate_module("cllr"))
    >>> found = metric.compute(predictions=[3.0, 2.0, -1.0, 1.0, -2.0, -3.0], references=[1, 1, 1, 0, 0, 0])
    >>> {name: round(value, 3) for name, value in found.items()}
    {'cllr': 0.716, 'cllr_min': 0.333, 'cllr_cal': 0.383}
"""


class Cllr(evaluate.Metric):
    """Computes [`balr_hf.metrics.cllr`], [`balr_hf.metrics.cllr_min`] and their difference."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="N. Brümmer and J. du Preez, Application-independent evaluation of speaker detection, 2006.",
            inputs_description=INPUTS,
            features=datasets.Features(predictions=datasets.Value("float64"), references=datasets.Value("float64")),
        )

    def _compute(self, predictions: Sequence[float], references: Sequence[int]) -> dict[str, float]:
        cost, least = cllr(predictions, references), cllr_min(predictions, references)
        return {"cllr": cost, "cllr_min": least, "cllr_cal": cost - least}
