"""How well likelihood ratios tell speakers apart, and how well they are calibrated."""

from pathlib import Path

from balr_hf.metrics.calibration import cllr, cllr_min, devpav
from balr_hf.metrics.discrimination import at_threshold, eer, min_dcf
from balr_hf.metrics.intervals import bootstrap_intervals
from balr_hf.metrics.summary import compute_metrics

EVALUATE_MODULES = ("cllr", "devpav", "eer", "min_dcf")


def evaluate_module(name: str) -> str:
    """The path of a metric as an `evaluate` module, which `evaluate.load` reads without a network.

    Args:
        name (str): `cllr`, `devpav`, `eer` or `min_dcf`.

    Example:
        >>> metric = evaluate.load(evaluate_module("cllr"))
        >>> metric.compute(predictions=llrs, references=labels)
        {'cllr': 0.21, 'cllr_min': 0.18, 'cllr_cal': 0.03}

    Raises:
        ValueError: an unknown name.
    """
    if name not in EVALUATE_MODULES:
        raise ValueError(f"unknown metric {name!r}: expected {', '.join(EVALUATE_MODULES)}")
    return str(Path(__file__).parent / "modules" / name)


__all__ = [
    "at_threshold",
    "bootstrap_intervals",
    "cllr",
    "cllr_min",
    "compute_metrics",
    "devpav",
    "eer",
    "evaluate_module",
    "min_dcf",
]
