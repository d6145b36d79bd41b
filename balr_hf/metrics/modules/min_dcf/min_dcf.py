"""`evaluate` module: minimum normalised detection cost of speaker comparison scores."""

import datasets
import evaluate

from balr_hf.metrics import min_dcf

DESCRIPTION = "Minimum normalised detection cost of speaker comparison scores."

INPUTS = """
Args:
    predictions: natural-log likelihood ratios, one a trial.
    references: 1 for trials of one speaker, 0 for trials of two.
    prior: probability of a same-speaker trial, 0.01 by default.
    cost_miss, cost_fa: of the two errors, 1 by default.
Returns:
    `min_dcf`: 0 for no errors, at most 1.
"""


class MinDcf(evaluate.Metric):
    """See `balr_hf.metrics.min_dcf`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="NIST speaker recognition evaluation plans.",
            inputs_description=INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references, prior=0.01, cost_miss=1.0, cost_fa=1.0) -> dict[str, float]:
        return {"min_dcf": min_dcf(predictions, references, prior, cost_miss, cost_fa)}
