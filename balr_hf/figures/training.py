"""Figure of how training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from balr_hf.figures.style import DARK, HEIGHT, LINES, SAME, WIDTH, legend_above, look, new_panels

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType

TITLES = {"loss": "total loss", "mse": "MSE", "constant_attributes": "constant attributes"}
# What is drawn of each loss: the legend's text, the colour, the line and the marker.
KINDS: dict[str, tuple[str, str, LineStyleType, str | None]] = {
    "train": ("training", DARK, LINES[1], None),
    "val": ("validation", SAME, LINES[0], "o"),
}


@look()
def curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw the training and the validation losses by epoch, one panel per loss.

    A cross marks the epoch in which the total loss on the validation set was lowest.

    Args:
        history (sequence of dict): the history of a training run (`history.json`): dicts with `epoch` and the losses,
            which are named `train/NAME` or `val/NAME`.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: the history has no losses.
    """
    names = list(dict.fromkeys(key.split("/", 1)[1] for row in history for key in row if "/" in key))
    if not names:
        raise ValueError("the history of the training run is empty")
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    figure, grid = new_panels(WIDTH * columns, 0.75 * HEIGHT * rows, rows, columns)
    panels = grid.ravel()
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, names, strict=False):
        for kind, (_, colour, line, marker) in KINDS.items():
            points = [(row["epoch"], row[f"{kind}/{name}"]) for row in history if f"{kind}/{name}" in row]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=line, marker=marker, markersize=2.5)
                if (kind, name) == ("val", "loss"):
                    axes.plot(*min(points, key=lambda point: point[1]), "x", color=colour, markersize=8)
        axes.set_title(TITLES.get(name, name))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [Line2D([], [], color=c, linestyle=line, marker=m, label=text) for text, c, line, m in KINDS.values()]
    handles.append(
        Line2D([], [], color=SAME, linestyle="none", marker="x", markersize=6, label="lowest: kept as best")
    )
    legend_above(figure, handles, columns=3)
    return figure
