"""Likelihood ratios in words, by the scale of the European Network of Forensic Science Institutes.

The words go by the number that a reader sees, which [`two_digits`] gives.
"""

import math
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal

SOURCE = "ENFSI Guideline for Evaluative Reporting in Forensic Science, 2015"

# How strongly the findings support one proposition rather than the other, from this LR (or its inverse) on.
SCALE = (
    (1, "no support for either proposition"),
    (2, "weak support"),
    (10, "moderate support"),
    (100, "moderately strong support"),
    (1_000, "strong support"),
    (10_000, "very strong support"),
    (1_000_000, "extremely strong support"),
)

SAME = "that the recordings are of the same speaker rather than of different speakers"
DIFFERENT = "that the recordings are of different speakers rather than of the same speaker"


def two_digits(llr: float, away_from_one: bool = False) -> Decimal:
    """The likelihood ratio or its inverse, whichever is at least 1, with two significant digits.

    It is rounded towards 1, so that no number is printed that the findings do not reach, and so that the number and
    its words in [`SCALE`] agree: 1.967 is 1.9, and gets the words of the range from 1 to 2.

    Args:
        llr (float): a natural-log likelihood ratio, of any size. Its error as a float does not count: the ratio
            is rounded to nine significant digits first.
        away_from_one (bool): whether to round away from 1 instead, as for the far end of an interval.
    """
    value = Context(prec=9).power(Decimal(10), Decimal(abs(llr) / math.log(10)))
    return Context(prec=2, rounding=ROUND_UP if away_from_one else ROUND_DOWN).plus(value)


def degree(llr: float) -> int:
    """The row of [`SCALE`] that a natural-log likelihood ratio belongs to, by the number that is printed."""
    printed = two_digits(llr)
    return max(row for row, (least, _) in enumerate(SCALE) if printed >= least)


def verdict(llr: float) -> str:
    """A calibrated natural-log likelihood ratio in words.

    Args:
        llr (float): a calibrated natural-log likelihood ratio. The scale does not apply to raw scores.

    Returns:
        e.g. `moderate support for the proposition that the recordings are of the same speaker rather than of
        different speakers`.
    """
    row = degree(llr)
    if row == 0:
        return SCALE[0][1]
    return f"{SCALE[row][1]} for the proposition {SAME if llr > 0 else DIFFERENT}"


def ranges() -> list[tuple[str, str]]:
    """The whole scale as rows of the range of LR or 1/LR, and the words for it."""
    ends = [*(f"{least:,}" for least, _ in SCALE[1:]), None]
    rows = []
    for (least, words), end in zip(SCALE, ends, strict=True):
        rows.append((f"{least:,} to {end}" if end else f"{least:,} and above", words))
    return rows
