"""Likelihood ratios in words, by the scale of the European Network of Forensic Science Institutes."""

import math

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


def degree(llr: float) -> int:
    """The row of [`SCALE`] that a natural-log likelihood ratio belongs to."""
    return max(row for row, (least, _) in enumerate(SCALE) if abs(llr) >= math.log(least))


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
        rows.append((f"{least:,} to {end}" if end else f"above {least:,}", words))
    return rows
