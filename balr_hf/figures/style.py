"""One look for all figures, legible at the width of a column and in greyscale, and how they are written."""

import io
import re
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from balr_hf.files import atomic_path

# Inches: one column of a two-column page; a figure's height without its legend; and of a line of the legend.
WIDTH = 3.5
HEIGHT = 2.8
LEGEND_LINE = 0.145

# M. Okabe and K. Ito, "Color universal design", 2008.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
DARK, GREY = "#222222", "#777777"

MINUS = "\N{MINUS SIGN}"

# What stands for the same speaker, and for support of it; and for different speakers.
SAME, DIFFERENT = BLUE, VERMILION

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, DARK)
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)), (0, (7, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (2, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# A curve is drawn through this many points at most, about.
CURVE_POINTS = 1000

# More markers than this are drawn as an image inside the SVG.
VECTOR_MARKERS = 2500

LOOK = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Geneva", "Arial", "Helvetica"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.2,
    "text.color": DARK,
    "axes.labelcolor": DARK,
    "axes.edgecolor": DARK,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "balr_hf",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


def look() -> AbstractContextManager:
    """The figures' settings, whatever the user's own are; also a decorator. Global settings come back afterwards."""
    return matplotlib.style.context(["default", LOOK])


def new_figure(width: float = WIDTH, height: float = HEIGHT, rows: int = 1, columns: int = 1, **options):
    """An empty figure.

    Args:
        width (float): inches.
        height (float): inches.
        rows (int): of axes.
        columns (int): of axes.
        **options: of `Figure.subplots`.

    Returns:
        `(figure, axes)`: one `Axes`, or an array of them.
    """
    with look():
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


def legend_above(figure: Figure, handles: list, columns: int = 1) -> None:
    """Put a legend above the axes, which keep their size; in one column if the texts are long."""
    widest = max(len(line) for handle in handles for line in handle.get_label().split("\n"))
    if columns * (widest + 8) > 72:
        columns = 1
    lines = sum(handle.get_label().count("\n") + 1 for handle in handles)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LEGEND_LINE * np.ceil(lines / columns))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def thinned(x: np.ndarray, y: np.ndarray, points: int = CURVE_POINTS) -> np.ndarray:
    """Which points draw the same line in fewer: spaced evenly along it, with both ends.

    Args:
        x (`(n,)`): finite, in the order of drawing, on the scale of the axis.
        y (`(n,)`): likewise.
        points (int): about how many to keep.

    Returns:
        int `(at most points + 1,)`: their indices; all of them if there are no more than `points`.
    """
    if x.size <= points:
        return np.arange(x.size)
    steps = sum(np.abs(np.diff(v)) / (np.ptp(v) or 1.0) for v in (x, y))
    length = np.append(0.0, np.cumsum(steps))
    kept = np.searchsorted(length, np.linspace(0, length[-1], points))
    return np.unique(np.append(kept, x.size - 1))


def percent(rate: float) -> str:
    """A rate in 0..1 as it is told in a legend."""
    return f"{100 * rate:.3g} %"


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `NAME.png` (300 dpi) and `NAME.svg`; the same figure gives the same bytes.

    Args:
        figure (`matplotlib.figure.Figure`): from this package.
        folder (`Path`): made if it is not there.
        name (str): without suffix.

    Returns:
        the two paths.
    """
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("png", "svg")]
    for path, write in zip(paths, (_write_png, _write_svg), strict=True):
        with atomic_path(path) as temporary:
            write(figure, temporary)
    return paths


def figure_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element for an HTML page: several on one page do not interfere."""
    buffer = io.BytesIO()
    _write_svg(figure, buffer)
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # figure_1, axes_1, ...: the same in every figure
    text = re.sub(r"\s*<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", text)  # would hold for the whole page
    return text.replace("<svg", '<svg style="stroke-linejoin: round; stroke-linecap: butt"', 1)


def _write_png(figure: Figure, file) -> None:
    with look():
        figure.savefig(file, format="png", dpi=300, metadata={"Software": None})


def _write_svg(figure: Figure, file) -> None:
    with look():
        figure.savefig(file, format="svg", dpi=300, metadata={"Date": None, "Creator": None})
