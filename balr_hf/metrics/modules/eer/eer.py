"""`evaluate` module: equal error rate of speaker comparison scores."""

import datasets
import evaluate

from balr_hf.metrics import eer

DESCRIPTION = "Equal error rate of speaker comparison scores."

INPUTS = """
Args:
    predictions: natural-log likelihood ratios, one a trial.
    references: 1 for trials of one speaker, 0 for trials of two.
Returns:
    the rate in 0..1 (`eer`) and the score at which it is reached (`eer_threshold`).
"""


class Eer(evaluate.Metric):
    """See `balr_hf.metrics.eer`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        rate, threshold = eer(predictions, references)
        return {"eer": rate, "eer_threshold": threshold}
