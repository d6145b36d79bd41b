"""The zoo plot: speakers by how well they are recognised, and by how alike they are to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from balr_hf.figures.style import (
    COLOURS,
    DARK,
    GREY,
    MARKERS,
    WIDTH,
    legend_above,
    look,
    new_figure,
)

LN10 = np.log(10)

# The names of the speakers in the corners are written beside them, if they are so many at most.
MOST_NAMES = 12


@look()
def zoo(
    means: Sequence[tuple[str, float, float, str | None]],
    quarters: Mapping[str, tuple[float, float]] | None,
    animals: Sequence[str],
) -> Figure:
    """Draw a zoo plot: each speaker by the mean LLR of the own trials, and by that of the trials against others.

    Args:
        means: of each speaker the name, the two means (natural-log likelihood ratios), and the animal, which is None
            for a speaker in no corner.
        quarters: for `same` and `different`, the ends of the lowest and of the highest quarter of the speakers,
            natural-log likelihood ratios; None for no lines.
        animals: the names of the animals, in the order of the legend.

    Returns:
        `matplotlib.figure.Figure`

    References:
        N. Yager and T. Dunstone, "The biometric menagerie", IEEE Transactions on Pattern Analysis and Machine
        Intelligence 32, 2010.
    """
    figure, axes = new_figure(height=0.9 * WIDTH)
    for place, line in () if quarters is None else quarters.items():
        for end in line:
            draw = axes.axvline if place == "same" else axes.axhline
            draw(end / LN10, color=GREY, linewidth=0.7, linestyle=(0, (4, 1.5)))
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.axhline(0, color=DARK, linewidth=0.8)
    handles = []
    in_corners = sum(animal is not None for *_, animal in means)
    for number, animal in enumerate((*animals, None)):
        some = [(name, same / LN10, different / LN10) for name, same, different, of in means if of == animal]
        if not some:
            continue
        colour = GREY if animal is None else COLOURS[number % len(COLOURS)]
        marker = "o" if animal is None else MARKERS[1 + number % (len(MARKERS) - 1)]
        axes.plot(
            *([x for _, x, _ in some], [y for _, _, y in some]),
            linestyle="none",
            marker=marker,
            markersize=3 if animal is None else 5,
            color=colour,
        )
        label = f"{animal or 'all others'}: {len(some)}"
        handles.append(Line2D([], [], linestyle="none", marker=marker, color=colour, label=label))
        if animal is not None and in_corners <= MOST_NAMES:
            for name, x, y in some:
                axes.annotate(name, (x, y), (3, 3), textcoords="offset points", fontsize=6)
    axes.margins(0.12)
    axes.set_xlabel("Own trials: mean log₁₀ LR (right is better)")
    axes.set_ylabel("Against others: mean log₁₀ LR (lower is better)")
    legend_above(figure, handles, columns=2)
    return figure
