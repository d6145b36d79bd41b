"""How well likelihood ratios tell speakers apart, and how well they are calibrated."""

from pathlib import Path

from balr_hf.metrics.calibration import cllr, cllr_min, devpav
from balr_hf.metrics.decisions import act_dcf, bayes_threshold, posterior
from balr_hf.metrics.discrimination import at_threshold, eer, min_dcf
from balr_hf.metrics.intervals import bootstrap_intervals, difference_intervals, misleading_intervals
from balr_hf.metrics.summary import compute_metrics

EVALUATE_MODULES = ("cllr", "devpav", "eer", "min_dcf")


def evaluate_module(name: str) -> str:
    """The path of a metric as a module of Hugging Face `evaluate`. `evaluate.load` reads it without a network.

    Args:
        name (str): `cllr`, `devpav`, `eer` or `min_dcf`.

    Returns:
        the folder of the module.

    Raises:
        ValueError: the name is unknown.

    References:
        L. von Werra et al., "Evaluate & Evaluation on the Hub: Better best practices for data and model measurements",
        EMNLP 2022 (demonstrations).

    Recommendations:
        Use it where code expects an `evaluate` metric, or where trials are added batch by batch. With arrays at hand,
        [`compute_metrics`] is shorter.

    Example:
        >>> import evaluate
        >>> metric = evaluate.load(evaluate_module("cllr"))
        >>> for llrs, labels in (([3.0, 1.0], [1, 0]), ([-1.0, -3.0], [1, 0])):
        ...     metric.add_batch(predictions=llrs, references=labels)
        >>> {name: round(value, 2) for name, value in metric.compute().items()}
        {'cllr': 0.98, 'cllr_min': 0.5, 'cllr_cal': 0.48}
    """
    if name not in EVALUATE_MODULES:
        raise ValueError(f"unknown metric {name!r}: expected {', '.join(EVALUATE_MODULES)}")
    return str(Path(__file__).parent / "modules" / name)


__all__ = [
    "act_dcf",
    "at_threshold",
    "bayes_threshold",
    "bootstrap_intervals",
    "cllr",
    "cllr_min",
    "compute_metrics",
    "devpav",
    "difference_intervals",
    "eer",
    "evaluate_module",
    "min_dcf",
    "misleading_intervals",
    "posterior",
]
