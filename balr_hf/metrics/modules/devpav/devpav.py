"""`evaluate` module: mean deviation of log10 likelihood ratios from their PAV calibration."""

import datasets
import evaluate

from balr_hf.metrics import devpav

DESCRIPTION = "Mean deviation of log10 likelihood ratios from their PAV calibration."

INPUTS = """
Args:
    predictions: natural-log likelihood ratios, one a trial.
    references: 1 for trials of one speaker, 0 for trials of two.
Returns:
    `devpav`, in log10 units; NaN where PAV is infinite all over.
"""


class Devpav(evaluate.Metric):
    """See `balr_hf.metrics.devpav`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="P. Vergeer et al., Measuring calibration of likelihood-ratio systems, FSI 321, 2021.",
            inputs_description=INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        return {"devpav": devpav(predictions, references)}
