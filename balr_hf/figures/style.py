"""One look for all figures, legible at the width of a column and in greyscale, and how they are written."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from balr_hf.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.typing import LineStyleType

# In inches: the width of one column of a two-column page, the height of a figure without its legend, and the height
# of a line of the legend.
WIDTH = 3.5
HEIGHT = 2.8
LEGEND_LINE = 0.145

# M. Okabe and K. Ito, "Color universal design", 2008.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
DARK, GREY = "#222222", "#777777"

MINUS = "\N{MINUS SIGN}"

# The colours of same-speaker trials and of support for one speaker, and of different-speaker trials and of support for
# two speakers.
SAME, DIFFERENT = BLUE, VERMILION

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, DARK)
LINES: tuple[LineStyleType, ...] = (
    "-",
    (0, (4, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.2, 1, 1.2)),
    (0, (7, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (2, 2)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# A curve is drawn through about this many points at most.
CURVE_POINTS = 1000

# More markers than this are drawn as an image inside the SVG.
VECTOR_MARKERS = 2500

LOOK: dict[str, Any] = {
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


@contextmanager
def look() -> Iterator[None]:
    """Apply the settings of these figures instead of the user's own, which come back afterwards.

    It is a context manager, and a decorator of functions too.
    """
    with matplotlib.style.context(["default", LOOK]):
        yield


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Make an empty figure with one pair of axes.

    Args:
        width (float): in inches.
        height (float): in inches.

    Returns:
        `(figure, axes)`.
    """
    figure, panels = new_panels(width, height)
    return figure, panels[0, 0]


def new_panels(
    width: float = WIDTH, height: float = HEIGHT, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make an empty figure with a grid of axes.

    Args:
        width (float): in inches.
        height (float): in inches.
        rows (int): number of rows of axes.
        columns (int): number of columns of axes.
        **options: keywords of `Figure.subplots`.

    Returns:
        `(figure, panels)`: the figure, and an array of `Axes` of shape `(rows, columns)`.
    """
    with look():
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend_above(figure: Figure, handles: Sequence[Artist], columns: int = 1) -> None:
    """Put a legend above the axes, which keep their size.

    Args:
        figure (`Figure`): it grows by the height of the legend.
        handles (sequence of `Artist`): what the legend shows, each with a label; labels may have several lines.
        columns (int): number of columns of the legend. It has only one if the labels are long.
    """
    labels = [str(handle.get_label()) for handle in handles]
    widest = max(len(line) for label in labels for line in label.split("\n"))
    if columns * (widest + 8) > 72:
        columns = 1
    lines = sum(label.count("\n") + 1 for label in labels)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LEGEND_LINE * np.ceil(lines / columns))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def thinned(x: np.ndarray, y: np.ndarray, points: int = CURVE_POINTS) -> np.ndarray:
    """Pick fewer points that draw the same line: they are spaced evenly along it, and both ends are kept.

    Args:
        x (`np.ndarray` of shape `(n,)`): finite, in the order of drawing, on the scale of the axis.
        y (`np.ndarray` of shape `(n,)`): likewise.
        points (int): about how many points to keep.

    Returns:
        integer `np.ndarray` of shape `(at most points + 1,)`: the indices of the points to keep. All are kept if there
        are no more than `points`.
    """
    if x.size <= points:
        return np.arange(x.size)
    steps = sum(np.abs(np.diff(v)) / (np.ptp(v) or 1.0) for v in (x, y))
    length = np.append(0.0, np.cumsum(steps))
    kept = np.searchsorted(length, np.linspace(0, length[-1], points))
    return np.unique(np.append(kept, x.size - 1))


def percent(rate: float) -> str:
    """A rate between 0 and 1 in percent, as legends show it."""
    return f"{100 * rate:.3g} %"


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `NAME.png` (300 dpi) and `NAME.svg`. The same figure gives the same bytes.

    Args:
        figure (`matplotlib.figure.Figure`): a figure of this package.
        folder (`Path`): the folder to write to, which is made if it does not exist.
        name (str): the name of the files, without a suffix.

    Returns:
        list of `Path`: the PNG file and the SVG file.
    """
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("png", "svg")]
    for path, write in zip(paths, (_write_png, _write_svg), strict=True):
        with atomic_path(path) as temporary:
            write(figure, temporary)
    return paths


def figure_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element for an HTML page; several on one page do not affect each other."""
    buffer = io.BytesIO()
    _write_svg(figure, buffer)
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # figure_1, axes_1, ... are the same in every figure
    text = re.sub(r"\s*<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", text)  # it would apply to the whole page
    return text.replace("<svg", '<svg style="stroke-linejoin: round; stroke-linecap: butt"', 1)


def _write_png(figure: Figure, file: Path | IO[bytes]) -> None:
    with look():
        figure.savefig(file, format="png", dpi=300, metadata={"Software": None})


def _write_svg(figure: Figure, file: Path | IO[bytes]) -> None:
    with look():
        figure.savefig(file, format="svg", dpi=300, metadata={"Date": None, "Creator": None})
