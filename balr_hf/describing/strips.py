"""Small figures of one measure: where a state's recordings, or those of a case, lie in the population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from balr_hf.describing.descriptions import Distribution
from balr_hf.describing.measures import Measure

# In pixels: the plot, the margin for words on its left and for figures on its right, and the height of a row.
PLOT, LEFT, RIGHT, ROW = 220, 48, 92, 16
# In pixels: the margin on the right where no figures are written, since a table has them.
BARE = 6
# How much the axis extends beyond what is drawn, as a share of it.
MARGIN = 0.04


@dataclass(frozen=True)
class Box:
    """One row of a strip: the quartiles of some recordings.

    Attributes:
        name: what stands on its left.
        quartiles: 25, 50 and 75 %.
        filled: whether it is filled, for the active state.
        has_figures: whether the median stands in figures on its right, which is wanted where no table has it.
    """

    name: str
    quartiles: tuple[float, float, float]
    filled: bool
    has_figures: bool = True


@dataclass(frozen=True)
class Mark:
    """One row of a strip: the values of a side's recordings, and their median.

    Attributes:
        name: what stands on its left.
        values: one per recording.
        middle: their median.
    """

    name: str
    values: Sequence[float]
    middle: float


def strip(measure: Measure, population: Distribution | None, rows: Sequence[Box | Mark]) -> Markup:
    """An `<svg>` element: one row per state, sex or side, before a band with the population's quartiles and 5 to 95 %.

    Args:
        measure: which names the figure, for those who cannot see it.
        population: its distribution in the recordings that attributes were described on; None if it is not known.
        rows: what to draw, from the top.
    """
    drawn = [value for row in rows for value in (row.quartiles if isinstance(row, Box) else row.values)]
    drawn += [] if population is None else [population.percentiles[0], population.percentiles[-1]]
    low, high = min(drawn), max(drawn)
    spread = (high - low) or 1.0
    low, high = low - MARGIN * spread, high + MARGIN * spread

    def at(value: float) -> str:
        return f"{LEFT + PLOT * (value - low) / (high - low):.1f}"

    figures = [isinstance(row, Box) and row.has_figures for row in rows]
    height, right = ROW * len(rows) + 2, RIGHT if any(figures) else BARE
    said = ", ".join(f"{row.name} {measure.with_unit(_middle(row))}" for row in rows)
    parts = [
        f'<svg class="strip" viewBox="0 0 {LEFT + PLOT + right} {height}" role="img" '
        f'aria-label="{escape(f"{measure.label}: {said}")}">'
    ]
    if population is not None:
        least, quarter, middle, third, most = population.percentiles
        for start, end, colour in ((least, most, "#eee"), (quarter, third, "#d9d9d9")):
            width = float(at(end)) - float(at(start))
            parts.append(f'<rect x="{at(start)}" y="0" width="{width:.1f}" height="{height}" fill="{colour}"/>')
        parts.append(f'<path d="M{at(middle)} 0V{height}" stroke="#aaa"/>')
    for number, row in enumerate(rows):
        centre = ROW * number + ROW / 2 + 1
        parts.append(f'<text x="{LEFT - 4}" y="{centre + 3.5}" text-anchor="end">{escape(row.name)}</text>')
        parts += _box(row, at, centre) if isinstance(row, Box) else _mark(row, at, centre)
        if figures[number]:
            value = escape(measure.with_unit(_middle(row)))
            parts.append(f'<text x="{LEFT + PLOT + 4}" y="{centre + 3.5}">{value}</text>')
    return Markup("".join(parts) + "</svg>")


def _middle(row: Box | Mark) -> float:
    return row.quartiles[1] if isinstance(row, Box) else row.middle


def _box(row: Box, at: Callable[[float], str], centre: float) -> list[str]:
    low, middle, high = row.quartiles
    width = max(1.0, float(at(high)) - float(at(low)))
    fill, line = ("#0072b2", "#fff") if row.filled else ("#fff", "#0072b2")
    return [
        f'<rect x="{at(low)}" y="{centre - 5}" width="{width:.1f}" height="10" fill="{fill}" stroke="#0072b2"/>',
        f'<path d="M{at(middle)} {centre - 5}v10" stroke="{line}" stroke-width="2"/>',
    ]


def _mark(row: Mark, at: Callable[[float], str], centre: float) -> list[str]:
    dots = [f'<circle cx="{at(value)}" cy="{centre}" r="2" fill="#0072b2"/>' for value in row.values]
    place = f'<path d="M{at(row.middle)} {centre - 6}v12" stroke="#0072b2" stroke-width="3"/>'
    return [*(dots if len(row.values) > 1 else []), place]
