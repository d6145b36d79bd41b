"""Thresholds of adequacy: what a user demands of a system, and whether the system meets it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from balr_hf.errors import ConfigError

# The metrics that can be demanded, how they are called, and how a value is written. Of all of them less is better.
METRICS = {
    "cllr": ("Cllr", "{:.3f}"),
    "cllr_min": ("Cllr_min", "{:.3f}"),
    "cllr_cal": ("Cllr_cal", "{:.3f}"),
    "eer": ("EER", "{:.2%}"),
    "devpav": ("devPAV", "{:.3f}"),
    "misleading_same": ("misleading same-speaker trials", "{:.2%}"),
    "misleading_different": ("misleading different-speaker trials", "{:.2%}"),
}
# Those that lie between 0 and 1, so that a threshold in percent would always be met.
RATES = ("eer", "misleading_same", "misleading_different")
# Decimals that a value is written with at most.
MOST_DIGITS = 16


@dataclass(frozen=True)
class Criterion:
    """One threshold, and how the system compares with it.

    Attributes:
        metric: a key of [`METRICS`].
        at_most: the largest value that the user accepts.
        value: the system's; NaN if it has none.
        upper: the upper end of the value's interval; None if there is no interval.
    """

    metric: str
    at_most: float
    value: float
    upper: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the value is at most the threshold. A metric without a value meets nothing."""
        return self.value <= self.at_most

    @property
    def is_met_surely(self) -> bool:
        """Whether the whole interval of the value is at most the threshold; False if there is no interval."""
        return self.is_met and self.upper is not None and self.upper <= self.at_most

    def describe(self) -> str:
        """The threshold and whether it is met, in a sentence."""
        name, at_most = METRICS[self.metric][0], f"{self.at_most:.15g}"
        if self.metric in RATES:  # whose values are in percent
            at_most = f"{(100 * Decimal(at_most)).normalize():f}%"
        text = f"{name[0].upper()}{name[1:]} at most {at_most}: "
        if math.isnan(self.value):
            return text + "not met, since it has no value on these trials."
        text += f"{'met' if self.is_met else 'not met'}, it is {self._shown(self.value)}"
        if self.upper is None:
            return f"{text}, without an interval."
        upper = self._shown(self.upper)
        if not self.is_met:
            return f"{text} (its interval ends at {upper})."
        if self.is_met_surely:
            return f"{text}, and its whole interval, which ends at {upper}, lies within the threshold."
        return f"{text}, but its interval ends at {upper}, beyond the threshold: more speakers are needed to be sure."

    def _shown(self, value: float) -> str:
        """A value as it is written, with more digits where rounding would put it beyond the threshold, or within."""
        form = METRICS[self.metric][1]
        text = form.format(value)
        for digits in range(int(form[3]), MOST_DIGITS if math.isfinite(value) else 0):
            text = form.replace(form[3], str(digits)).format(value)
            printed = Decimal(text.rstrip("%")) / (100 if "%" in text else 1)
            if (printed <= Decimal(repr(float(self.at_most)))) == (value <= self.at_most):
                break
        return text

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        surely = None if self.upper is None else self.is_met_surely
        return asdict(self) | {"met": self.is_met, "interval_met": surely, "text": self.describe()}


def parse_thresholds(text: str) -> dict[str, float]:
    """Read `cllr=0.5,eer=0.1`: the largest value of each metric that is accepted.

    Raises:
        ConfigError: an unknown metric, a metric that is named twice, or a value as in [`check_threshold`].
    """
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name in found:
            raise ConfigError(f"adequate: {name} is named twice")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        check_threshold(name, found[name])
    return found


def check_threshold(name: str, value: float) -> None:
    """Check the largest value of a metric that is accepted.

    Raises:
        ConfigError: the metric is unknown, or no value of it is accepted, or every one is: less than 0, not finite,
            or a rate of more than 1, which was meant in percent.
    """
    if name not in METRICS:
        raise ConfigError(f"adequate: unknown metric {name!r}: expected {', '.join(METRICS)}")
    most = 1.0 if name in RATES else math.inf
    if not 0 <= value <= most or value == math.inf:
        expected = "from 0 to 1 (0.1 is 10 %)" if name in RATES else "of at least 0"
        raise ConfigError(f"adequate: {name}={value:g}: expected {name}=NUMBER {expected}")


def judge(
    thresholds: Mapping[str, float], values: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]
) -> tuple[Criterion, ...]:
    """Compare a system with thresholds.

    Args:
        thresholds: of [`parse_thresholds`].
        values: the metrics, by the names in [`METRICS`].
        intervals: the ends of the intervals of those that have one.

    Raises:
        ConfigError: as for [`check_threshold`].
    """
    for name, at_most in thresholds.items():
        check_threshold(name, at_most)
    return tuple(
        Criterion(name, at_most, values.get(name, math.nan), intervals[name][1] if name in intervals else None)
        for name, at_most in thresholds.items()
    )
