"""Module of `evaluate`: the mean deviation of log10 likelihood ratios from their PAV calibration."""

from collections.abc import Sequence

import datasets
import evaluate

from balr_hf.metrics import devpav

DESCRIPTION = "Mean deviation of log10 likelihood ratios from their PAV calibration."

INPUTS = """
Args:
    predictions (list of float): natural-log likelihood ratios, one per trial.
    references (list of int): 1 for trials of one speaker, 0 for trials of two.
Returns:
    dict: `devpav`, in log10 units; NaN if every same-speaker trial scores higher than every different-speaker trial.

Example:
    >>> import evaluate
    >>> from balr_hf.metrics import evaluate_module
    >>> metric = evaluate.load(evaluate_module("devpav"))
    >>> found = metric.compute(predictions=[3.0, 2.0, -1.0, 1.0, -2.0, -3.0], references=[1, 1, 1, 0, 0, 0])
    >>> round(found["devpav"], 3)
    0.217
"""


class Devpav(evaluate.Metric):
    """Computes [`balr_hf.metrics.devpav`]."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="P. Vergeer et al., Measuring calibration of likelihood-ratio systems, FSI 321, 2021.",
            inputs_description=INPUTS,
            features=datasets.Features(predictions=datasets.Value("float64"), references=datasets.Value("float64")),
        )

    def _compute(self, predictions: Sequence[float], references: Sequence[int]) -> dict[str, float]:
        return {"devpav": devpav(predictions, references)}
