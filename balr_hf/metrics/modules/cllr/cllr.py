"""`evaluate` module: log-likelihood-ratio cost, its least value, and the difference."""

import datasets
import evaluate

from balr_hf.metrics import cllr, cllr_min

DESCRIPTION = "Log-likelihood-ratio cost, its least value after the best monotone calibration, and the difference."

INPUTS = """
Args:
    predictions: natural-log likelihood ratios, one a trial.
    references: 1 for trials of one speaker, 0 for trials of two.
Returns:
    `cllr`, `cllr_min`, `cllr_cal`, in bits.
"""


class Cllr(evaluate.Metric):
    """See `balr_hf.metrics.cllr`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="N. Brummer and J. du Preez, Application-independent evaluation of speaker detection, 2006.",
            inputs_description=INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        cost, least = cllr(predictions, references), cllr_min(predictions, references)
        return {"cllr": cost, "cllr_min": least, "cllr_cal": cost - least}
