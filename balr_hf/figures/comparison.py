"""Figure of one comparison: the attributes that weigh most, and how their sum comes about."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from balr_hf.figures.style import DARK, DIFFERENT, GREY, MINUS, SAME, WIDTH, look, new_figure

# Inches a bar.
ROW = 0.165

# Inches, about: of the axes, and of a character beside a bar.
AXES_WIDTH, CHARACTER = 1.85, 0.062

# Characters of a bar's name that the usual width has room for.
NAME = 25


@look()
def contributions(
    attributes: np.ndarray,
    terms: np.ndarray,
    labels: Sequence[str],
    rest: float,
    num_rest: int,
    offset: float | None,
    total: float,
    unit: str = "ln LR",
) -> Figure:
    """The contributions to one comparison's LLR, those that speak most for one speaker on top.

    Above, the attributes shown, on their own scale. Below, on another, what they sum to, the sum of all others, the
    calibration's offset, and the total of these.

    Args:
        attributes (int `(n,)`): numbers of the attributes shown.
        terms (`(n,)`): their contributions, positive for one speaker.
        labels: n short texts, the attribute's state on both sides, e.g. `active / active`.
        rest (float): sum of the contributions of the attributes that are not shown.
        num_rest (int): how many they are.
        offset (float, *optional*): the constant that calibration adds; None if the LLR is not calibrated.
        total (float): the LLR: the sum of terms, rest and offset.
        unit (str): of all of them.

    Raises:
        ValueError: lengths differ, nothing to show, a figure that is not finite, or a total that is not the sum.
    """
    attributes, terms = np.asarray(attributes).ravel(), np.asarray(terms, dtype=np.float64).ravel()
    if not attributes.size == terms.size == len(labels):
        raise ValueError(
            f"{attributes.size} attributes, {terms.size} terms and {len(labels)} labels: expected as many"
        )
    if not terms.size:
        raise ValueError("no attributes to show: expected at least one")
    if not np.isfinite([*terms, rest, offset or 0.0, total]).all():
        raise ValueError("terms, rest, offset and total must be finite")
    parts = [*terms, rest, offset or 0.0]
    if abs(sum(parts) - total) > 1e-3 * max(1.0, np.abs(parts).sum()):
        raise ValueError(f"total={total:g}, but terms, rest and offset sum to {sum(parts):g}")
    order = np.argsort(-terms, kind="stable")
    summary = _summary(terms, rest, num_rest, offset, total)
    heights = [ROW * terms.size + 0.1, ROW * len(summary) + 0.1]
    names = [f"{labels[row]}, {attributes[row]}" for row in order]
    width = WIDTH + CHARACTER * max(0, max(map(len, names)) - NAME)
    figure, (above, below) = new_figure(width, sum(heights) + 1.1, rows=2, height_ratios=heights)
    _bars(above, names, terms[order])
    above.set_xlabel(f"Contribution of an attribute ({unit})")
    header = {"textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 6.5, "color": GREY}
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


def _summary(terms: np.ndarray, rest: float, num_rest: int, offset: float | None, total: float) -> dict[str, float]:
    parts = {}
    if (terms > 0).any():
        parts["shown, same speaker"] = terms[terms > 0].sum()
    if (terms < 0).any():
        parts["shown, different speakers"] = terms[terms < 0].sum()
    if num_rest:
        parts[f"other {num_rest:,} attributes"] = rest
    if offset is not None:
        parts["calibration's offset"] = offset
    return {**parts, "total": total}


def _bars(axes, names: list[str], values: np.ndarray) -> None:
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
    # Room for the texts beside the bars.
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
    """Decimals that tell a largest figure to two or three places."""
    if largest == 0:
        return 2
    return int(np.clip((2 if largest >= 1 else 1) - np.floor(np.log10(largest)), 0, 6))
