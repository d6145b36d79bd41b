"""The tables of a validation report, which the text and the page share."""

from __future__ import annotations

from dataclasses import dataclass

from balr_hf.explanation.wording import ratio
from balr_hf.validation.factors import Factor, Part

# The headings of the table of metrics, and of the table of a factor's parts.
FIGURES = ("metric", "value", "95 % interval", "what it means")
PARTS = (
    *("sides", "same", "different", "speakers", "Cllr", "its 95 % interval", "Cllr_min", "EER"),
    *("misleading same", "misleading different", "largest LR of two speakers"),
)
# The colours of a heat map by Cllr: the ends of the classes, and the last one is for all above. A Cllr of 1 is that of
# a system that says nothing.
SHADES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map.

    Attributes:
        lines: what it says.
        shade: the number of its colour; None for no colour, since too little is known.
    """

    lines: tuple[str, ...]
    shade: int | None


def part_rows(factor: Factor) -> list[tuple[str, ...]]:
    """The parts of a factor, as rows of the columns of `PARTS`."""
    return [_row(factor, part) for part in factor.parts]


def heat_map(factor: Factor) -> list[list[Cell | None]]:
    """The parts of a factor as a triangle of cells: of each pair of classes only one, and None for the other."""
    size = len(factor.classes)
    return [
        [_cell(factor.part(row, column)) if column >= row else None for column in range(size)] for row in range(size)
    ]


def _row(factor: Factor, part: Part) -> tuple[str, ...]:
    metrics, wrong = part.evaluation.metrics, part.misleading
    ends = part.evaluation.intervals.get("cllr")
    return (
        factor.describe(part) + ("" if not metrics else " (few)" if part.is_few else ""),
        f"{wrong.of_same:,}",
        f"{wrong.of_different:,}",
        str(part.evaluation.speakers),
        f"{metrics['cllr']:.3f}" if metrics else "-",
        "-" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}",
        f"{metrics['cllr_min']:.3f}" if metrics else "-",
        f"{metrics['eer']:.1%}" if metrics else "-",
        _rate(wrong.same, wrong.of_same),
        _rate(wrong.different, wrong.of_different),
        "-" if wrong.highest_different is None else ratio(wrong.highest_different),
    )


def _cell(part: Part | None) -> Cell:
    if part is None:
        return Cell(("no trials",), None)
    wrong = part.misleading
    kinds = {"same": (wrong.same, wrong.of_same), "different": (wrong.different, wrong.of_different)}
    lines = [
        f"{kind}: {_rate(*counts)} of {counts[1]:,}" if counts[1] else f"{kind}: no trials"
        for kind, counts in kinds.items()
    ]
    if part.cllr is None:
        return Cell(("no Cllr: one kind of trials only", *lines), None)
    few = " (few)" if part.is_few else ""
    shade = None if part.is_few else sum(part.cllr >= end for end in SHADES)
    return Cell((f"Cllr {part.cllr:.3f}{few}", *lines), shade)


def _rate(wrong: int, trials: int) -> str:
    return f"{wrong / trials:.1%}" if trials else "-"
