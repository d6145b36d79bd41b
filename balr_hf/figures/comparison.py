"""Figure of one comparison: the attributes that weigh most, and how their sum comes about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from balr_hf.figures.style import DARK, DIFFERENT, GREY, MINUS, SAME, WIDTH, look, new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

# The height of a bar with its margins in inches.
ROW = 0.165

# The approximate widths of the axes, and of a character beside a bar, in inches.
AXES_WIDTH, CHARACTER = 1.85, 0.062

# A bar's name of this many characters fits into the usual width.
NAME = 25


@look()
def contributions(
    attributes: ArrayLike,
    terms: ArrayLike,
    labels: Sequence[str],
    rest: float,
    num_rest: int,
    offset: float | None,
    total: float,
    unit: str = "ln LR",
    quality: float | None = None,
) -> Figure:
    """Draw the contributions to the LLR of one comparison.

    The upper panel shows some attributes, with the one that speaks most for the same speaker on top. The lower panel
    has a scale of its own. It shows the sums of those attributes, the sum of all others, the offset of the
    calibration, and the total.

    Args:
        attributes (integer `np.ndarray` of shape `(n,)`): the numbers of the attributes to show.
        terms (`np.ndarray` of shape `(n,)`): their contributions, which are positive if they speak for the same
            speaker.
        labels (sequence of n str): the state of each attribute on both sides, e.g. `active / active`.
        rest (float): the sum of the contributions of all other attributes.
        num_rest (int): the number of the other attributes.
        offset (float, *optional*): the constant that calibration adds; None if the LLR is not calibrated.
        total (float): the LLR, which is the sum of terms, rest, offset and quality.
        unit (str): the unit of all these values, as the axes name it.
        quality (float, *optional*): the sum of the terms of quality measures; None if the calibration has none.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: attributes, terms and labels are of different lengths or empty, a value is not finite, or the total
            is not the sum of its parts.
    """
    attributes, terms = np.asarray(attributes).ravel(), np.asarray(terms, dtype=np.float64).ravel()
    if not attributes.size == terms.size == len(labels):
        raise ValueError(
            f"{attributes.size} attributes, {terms.size} terms and {len(labels)} labels: expected equal numbers"
        )
    if not terms.size:
        raise ValueError("no attributes to show: expected at least one")
    parts = [*terms, rest, offset or 0.0, quality or 0.0]
    if not np.isfinite([*parts, total]).all():
        raise ValueError("terms, rest, offset, quality and total must be finite")
    if abs(sum(parts) - total) > 1e-3 * max(1.0, np.abs(parts).sum()):
        raise ValueError(f"total={total:g}, but terms, rest and offset sum to {sum(parts):g}")
    order = np.argsort(-terms, kind="stable")
    summary = _summary(terms, rest, num_rest, offset, quality, total)
    heights = [ROW * terms.size + 0.1, ROW * len(summary) + 0.1]
    names = [f"{labels[row]}, {attributes[row]}" for row in order]
    width = WIDTH + CHARACTER * max(0, max(map(len, names)) - NAME)
    figure, ((above,), (below,)) = new_panels(width, sum(heights) + 1.1, rows=2, height_ratios=heights)
    _bars(above, names, terms[order])
    above.set_xlabel(f"Contribution of an attribute ({unit})")
    header: dict[str, Any] = {
        "textcoords": "offset points",
        "ha": "right",
        "va": "bottom",
        "fontsize": 6.5,
        "color": GREY,
    }
    above.annotate("state on both sides, attribute", (0, 1), (-3, 1), xycoords="axes fraction", **header)
    _bars(below, list(summary), np.array(list(summary.values())))
    below.set_xlabel(f"Sum ({unit})")
    last = below.patches[-1]
    last.set(facecolor=DARK, hatch=None)
    last.set_edgecolor(DARK)
    below.get_yticklabels()[-1].set_fontweight("bold")
    below.texts[-1].set_fontweight("bold")
    below.axhline(len(summary) - 1.5, color=DARK, linewidth=0.6)
    return figure


def _summary(
    terms: np.ndarray, rest: float, num_rest: int, offset: float | None, quality: float | None, total: float
) -> dict[str, float]:
    parts: dict[str, float] = {}
    if (terms > 0).any():
        parts["shown, same speaker"] = terms[terms > 0].sum()
    if (terms < 0).any():
        parts["shown, different speakers"] = terms[terms < 0].sum()
    if num_rest:
        parts[f"other {num_rest:,} attributes"] = rest
    if offset is not None:
        parts["calibration's offset"] = offset
    if quality is not None:
        parts["quality of recordings"] = quality
    return {**parts, "total": total}


def _bars(axes: Axes, names: list[str], values: np.ndarray) -> None:
    rows = np.arange(values.size)
    bars = axes.barh(rows, values, 0.72, linewidth=0.5)
    for bar, value in zip(bars, values, strict=True):
        bar.set(edgecolor=SAME, facecolor=SAME) if value >= 0 else bar.set(
            edgecolor=DIFFERENT, facecolor="white", hatch="//////"
        )
    axes.axvline(0, color=DARK, linewidth=0.8)
    digits = _digits(np.abs(values).max())
    texts = [f"{value:+,.{digits}f}".replace("-", MINUS) for value in values]
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        offset, side = ((3, 0), "left") if value >= 0 else ((-3, 0), "right")
        axes.annotate(
            text, (value, row), offset, textcoords="offset points", ha=side, va="center_baseline", fontsize=6.5
        )
    # The texts beside the bars need room.
    room = (max(map(len, texts)) + 1) * CHARACTER / AXES_WIDTH
    left, right = (room if sided.any() else 0.02 for sided in (values < 0, values >= 0))
    width = (np.ptp([0, *values]) or 1.0) / (1 - left - right)
    axes.set_xlim(min(values.min(), 0) - left * width, max(values.max(), 0) + right * width)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.set_ylim(values.size - 0.4, -0.6)
    axes.set_yticks(rows, names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _digits(largest: float) -> int:
    """The number of decimals that shows the largest value with two or three significant digits."""
    if largest == 0:
        return 2
    return int(np.clip((2 if largest >= 1 else 1) - np.floor(np.log10(largest)), 0, 6))
