"""How often the calibration's own trials of the other kind had a likelihood ratio like that of a case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from balr_hf.explanation.verbal_scale import two_digits
from balr_hf.explanation.wording import is_one, ratio, speakers_of_kinds

# Half a step of the fourth decimal, to which the percentiles of a validation are rounded.
ROUNDED = 0.5e-4
# The least share, in percent, that is said as the lower end of a range.
LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Misleading:
    """How many trials of the kind that the likelihood ratio of a case speaks against had one as strong.

    Attributes:
        kind: of these trials, `different-speaker` above an LR of 1 and `same-speaker` below it.
        llr: the natural logarithm of the printed likelihood ratio, from which they are counted.
        least, most: the bounds of their number, since a calibration keeps percentiles and not its trials.
        trials: how many of the kind there are.
        speakers: of the trials of this kind, or of all if only that is known; None where nothing is.
    """

    kind: str
    llr: float
    least: int
    most: int
    trials: int
    speakers: int | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def describe(self) -> str:
        """The numbers in a sentence, and what they do not tell."""
        whose = "" if self.speakers is None else f" ({self.speakers:,} speakers)"
        side = "or more" if self.llr > 0 else "or less"
        return (
            f"of the {self.trials:,} {self.kind} trials of the calibration{whose}, cross-validated, {self._number()} "
            f"had an LR of {ratio(self.llr)} {side}, before bounds. This is no probability of an error in this case, "
            "and trials that share speakers are not independent"
        )

    def _number(self) -> str:
        if self.most == 0:
            return "none"
        if self.least == self.most:
            return f"{self.most:,} ({100 * self.most / self.trials:.1f} %)"
        # Outwards to a tenth, so that neither end promises more than is known.
        shares = math.floor(1000 * self.least / self.trials) / 10, math.ceil(1000 * self.most / self.trials) / 10
        if self.least == 0:
            return f"at most {self.most:,} ({shares[1]:.1f} %)"
        if shares[0] < LEAST_SHARE:
            return f"{self.least:,} to {self.most:,} (at most {shares[1]:.1f} %)"
        return f"{self.least:,} to {self.most:,} ({shares[0]:.1f} to {shares[1]:.1f} %)"


def misleading_trials(llr: float, calibration: Mapping[str, Any]) -> Misleading | None:
    """Count the calibration's trials of the other kind whose likelihood ratio is at least as strong as that of a case.

    The percentiles are of cross-validated likelihood ratios without bounds. One that is held at a bound is reached by
    the trials that would be held there too, and so bounds do not change the count.

    Args:
        llr (float): the reported natural-log likelihood ratio. The count is from the number on that is printed.
        calibration (dict): its description, with `validation` of [`balr_hf.scoring.calibration.validated`].

    Returns:
        None where nothing is known of such trials, or the likelihood ratio is printed as 1.
    """
    kind = "different_speaker" if llr > 0 else "same_speaker"
    trials = calibration.get(f"num_{kind}")
    percentiles = (calibration.get("validation") or {}).get(kind)
    if is_one(llr) or not trials or not percentiles:
        return None
    threshold = math.log(two_digits(llr))
    values = np.array(percentiles) if llr > 0 else -np.array(percentiles)[::-1]
    least, most = _reaching(threshold, values, int(trials))
    printed = math.copysign(threshold, llr)
    speakers = speakers_of_kinds(calibration)[llr > 0] or None
    return Misleading(kind.replace("_", "-"), printed, least, most, int(trials), speakers)


def _reaching(threshold: float, percentiles: Sequence[float] | np.ndarray, trials: int) -> tuple[int, int]:
    """The least and the most trials that can lie at or above a value, by their percentiles.

    With the values in ascending order, `x_0` to `x_{n-1}`, the p-th percentile lies at the place `p / 100 * (n - 1)`,
    between its two neighbours. If it is below the threshold, so is the lower neighbour; if not, the upper one is not.
    """
    places = np.linspace(0, trials - 1, len(percentiles)).round(9)
    values = np.asarray(percentiles)
    below, above = values < threshold - ROUNDED, values >= threshold + ROUNDED
    first = math.floor(places[below][-1]) + 1 if below.any() else 0  # the first trial that can reach it
    surely = math.ceil(places[above][0]) if above.any() else trials  # the first trial that must
    return trials - surely, trials - first
