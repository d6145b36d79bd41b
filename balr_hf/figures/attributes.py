"""Figures of the attributes: what a scorer has learnt of them, and which of them carry the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from balr_hf.figures import style
from balr_hf.figures.style import DARK, DIFFERENT, GREY, SAME, legend_above, look, new_figure, new_panels

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike

# The figure states how many attributes make up these shares of the separation.
TOLD_SHARES = (0.5, 0.8)


class FittedScorer(Protocol):
    """What [`parameters`] needs of a [`Scorer`]."""

    @property
    def is_fitted(self) -> bool: ...

    def named_buffers(self) -> Iterator[tuple[str, torch.Tensor]]: ...


def are_drawn(scorer: FittedScorer) -> bool:
    """Whether [`parameters`] knows how to draw what this kind of scorer learns."""
    found = {name for name, _ in scorer.named_buffers()}
    return any(found >= set(names) for _, names in _drawings())


@look()
def parameters(scorer: FittedScorer) -> Figure:
    """Draw what a fitted scorer has learnt of each attribute.

    - DNA and Speech: the drop-out against the typicality, with histograms of both.
    - MaxLLR: f, p and q, with the attributes in order of f.
    - Dirichlet-multinomial: the intra-class correlation 1 / (1 + sum of alpha) against the mean activation
      alpha_0 / sum of alpha. The correlation is the share of an activation's variance that lies between speakers.

    Attributes that carry no evidence are left out; their number is stated above the axes.

    Args:
        scorer (`Scorer`): a fitted scorer.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: the scorer is not fitted, or it learns no parameters of its attributes that are drawn.
    """
    if not scorer.is_fitted:
        raise ValueError(f"{type(scorer).__name__} is not fitted, so there are no parameters to draw")
    buffers = {name: buffer.detach().cpu().numpy() for name, buffer in scorer.named_buffers()}
    informative = buffers["informative"]
    for draw, names in _drawings():
        if buffers.keys() >= set(names):
            figure, axes = draw(*(buffers[name][informative] for name in names))
            break
    else:
        raise ValueError(f"{type(scorer).__name__} learns no parameters of its attributes that this figure draws")
    note = f"{informative.sum():,} attributes"
    if not informative.all():
        note += f"; {(~informative).sum():,} without evidence left out"
    axes.set_title(note, fontsize=7, loc="left")
    return figure


def _drawings() -> tuple[tuple[Callable[..., Any], Sequence[str]], ...]:
    """How parameters are drawn, and the buffers that this takes."""
    return (_profile, ("typicality", "dropout")), (_latent_class, "fpq"), (_dirichlet, ("alpha",))


@look()
def evidence(same_mean: ArrayLike, different_mean: ArrayLike, top: int = 30) -> Figure:
    """Draw which attributes carry the evidence.

    The upper panel shows the mean terms of the attributes that separate most. The lower panel shows how many
    attributes make up which share of the whole separation (see [`separation_shares`]).

    Args:
        same_mean (`np.ndarray` of shape `(attributes,)`): the mean term of each attribute over same-speaker trials, a
            natural-log likelihood ratio.
        different_mean (`np.ndarray` of shape `(attributes,)`): the mean term over different-speaker trials.
        top (int): the number of attributes in the upper panel.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: the means are not finite, are of different lengths or empty, or `top` is below 1.
    """
    shares = separation_shares(same_mean, different_mean)
    if top < 1:
        raise ValueError(f"top={top}: expected at least 1")
    same_mean, different_mean = np.asarray(same_mean).ravel(), np.asarray(different_mean).ravel()
    order = np.argsort(different_mean - same_mean, kind="stable")[:top]
    bars_height = 0.6 + 0.125 * order.size
    figure, ((bars,), (curve,)) = new_panels(height=bars_height + 1.9, rows=2, height_ratios=[bars_height, 1.9])
    rows = np.arange(order.size)
    handles = [
        bars.barh(rows - 0.2, same_mean[order], 0.4, color=SAME, label="same speaker"),
        bars.barh(
            rows + 0.2,
            different_mean[order],
            0.4,
            facecolor="white",
            edgecolor=DIFFERENT,
            hatch="//////",
            linewidth=0.5,
            label="different speakers",
        ),
    ]
    bars.axvline(0, color=DARK, linewidth=0.8)
    bars.set_yticks(rows, [str(attribute) for attribute in order])
    bars.tick_params(axis="y", labelsize=6, length=0)
    bars.xaxis.set_major_locator(MaxNLocator(6))
    bars.grid(axis="y", visible=False)
    bars.set_ylim(order.size - 0.4, -0.6)
    bars.set_ylabel("Attribute")
    bars.set_xlabel("Mean contribution (ln LR)")
    _share_curve(curve, shares)
    legend_above(figure, handles, columns=2)
    return figure


def separation_shares(same_mean: ArrayLike, different_mean: ArrayLike) -> np.ndarray:
    """Cumulative shares of the separation, with the most separating attributes first.

    The separation of an attribute is its mean term over same-speaker trials minus its mean term over different-speaker
    trials. An attribute that separates the wrong way counts as 0.

    Args:
        same_mean (`np.ndarray` of shape `(attributes,)`): the mean term of each attribute over same-speaker trials, a
            natural-log likelihood ratio.
        different_mean (`np.ndarray` of shape `(attributes,)`): the mean term over different-speaker trials.

    Returns:
        float64 `np.ndarray` of shape `(attributes,)`, which rises to 1; all values are 0 if no attribute separates.

    Raises:
        ValueError: the means are not finite, are of different lengths, or empty.
    """
    same_mean = np.asarray(same_mean, dtype=np.float64).ravel()
    different_mean = np.asarray(different_mean, dtype=np.float64).ravel()
    if same_mean.shape != different_mean.shape or not same_mean.size:
        raise ValueError(
            f"means of {same_mean.size} and of {different_mean.size} attributes: expected equal numbers, at least one"
        )
    if not np.isfinite([same_mean, different_mean]).all():
        raise ValueError("the attributes' mean terms must be finite")
    separation = np.sort((same_mean - different_mean).clip(min=0))[::-1]
    total = separation.sum()
    return np.cumsum(separation) / total if total > 0 else separation


def attributes_for(shares: np.ndarray, share: float) -> int:
    """How many of the most separating attributes make up a share of the separation.

    Args:
        shares (`np.ndarray` of shape `(attributes,)`): the result of [`separation_shares`].
        share (float): the share to reach, between 0 and 1.
    """
    return int(np.searchsorted(shares, share * (1 - 1e-12))) + 1


def _share_curve(axes: Axes, shares: np.ndarray) -> None:
    counts = np.arange(shares.size + 1)
    heights = np.append(0.0, shares) * 100
    kept = style.thinned(counts, heights)
    axes.plot(counts[kept], heights[kept], color=style.BLUE)
    axes.set(xlim=(0, shares.size), ylim=(0, 102), xlabel="Attributes, most separating first")
    axes.set_ylabel("Share of separation (%)")
    if shares[-1] == 0:
        axes.text(0.5, 0.5, "no attribute separates", transform=axes.transAxes, ha="center", backgroundcolor="white")
        return
    for share in TOLD_SHARES:
        number = attributes_for(shares, share)
        axes.plot(
            [number, number, 0], [0, 100 * share, 100 * share], color=GREY, linewidth=0.8, linestyle=style.LINES[1]
        )
        axes.plot(number, heights[number], "o", color=style.BLUE)
    told = "\n".join(f"{share:.0%}: {attributes_for(shares, share):,} attributes" for share in TOLD_SHARES)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(0.97, 0.08, told.replace("%", " %"), transform=axes.transAxes, ha="right", fontsize=7, bbox=box)


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, marker: str = "o", **options: Any) -> Line2D:
    return axes.plot(
        x,
        y,
        linestyle="none",
        marker=marker,
        markersize=3,
        color=colour,
        markeredgewidth=0,
        alpha=0.6,
        rasterized=x.size > style.VECTOR_MARKERS,
        **options,
    )[0]


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis of probabilities; the axis spans 0.1 at least, so that tiny differences do not look large."""
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = max(0.05 * (high - low), (0.1 - (high - low)) / 2)
    return low - margin, high + margin


def _profile(typicality: np.ndarray, dropout: np.ndarray) -> tuple[Figure, Axes]:
    figure, ((above, corner), (points, beside)) = new_panels(
        height=style.WIDTH, rows=2, columns=2, width_ratios=[4, 1], height_ratios=[1, 4], sharex="col", sharey="row"
    )
    corner.remove()
    _points(points, typicality, dropout, style.BLUE)
    bars: dict[str, Any] = {"bins": 30, "color": style.SKY, "edgecolor": "white", "linewidth": 0.3}
    above.hist(typicality, range=_limits(typicality), **bars)
    beside.hist(dropout, range=_limits(dropout), orientation="horizontal", **bars)
    points.set(xlim=_limits(typicality), ylim=_limits(dropout), xlabel="Typicality", ylabel="Drop-out")
    above.set_ylabel("Attributes")
    beside.set_xlabel("Attributes")
    return figure, above


def _latent_class(f: np.ndarray, p: np.ndarray, q: np.ndarray) -> tuple[Figure, Axes]:
    order = np.argsort(f, kind="stable")
    rank = np.arange(1, f.size + 1)
    figure, axes = new_figure()
    handles = [
        _points(axes, rank, p[order], style.VERMILION, "^", label="p: active, for speakers who have the attribute"),
        axes.plot(rank, f[order], color=DARK, linewidth=1.6, label="f: speakers who have the attribute")[0],
        _points(axes, rank, q[order], style.BLUE, "o", label="q: active, for speakers who lack it"),
    ]
    axes.set(ylim=(-0.02, 1.02), xlabel="Attributes in order of f", ylabel="Probability")
    legend_above(figure, handles)
    return figure, axes


def _dirichlet(alpha: np.ndarray) -> tuple[Figure, Axes]:
    strength = alpha.sum(1)
    figure, axes = new_figure()
    mean, correlation = alpha[:, 0] / strength, 1 / (1 + strength)
    _points(axes, mean, correlation, style.BLUE)
    axes.set(xlim=_limits(mean), ylim=_limits(correlation))
    axes.set_xlabel("Mean activation, α₀ / Σα")
    axes.set_ylabel("Intra-class correlation, 1 / (1 + Σα)")
    return figure, axes
