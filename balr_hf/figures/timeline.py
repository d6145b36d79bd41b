"""Figures of attributes over time: their tracks below the waveforms, and what they change with."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from balr_hf.figures.style import DARK, DIFFERENT, GREY, MINUS, SAME, look, new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

# Inches, and characters of a line of a title.
WIDTH, WAVEFORM, ROW, LINE = 7.0, 0.55, 0.165, 105
# The colour of windows in which an attribute is not active.
INACTIVE = "#E2E2E2"
# Recordings whose durations differ by more than this factor have time axes of their own.
SAME_AXIS = 2.0
# With more windows than this, an image shows in what share of successive windows an attribute is active.
WINDOWS_DRAWN = 1_200
# With more windows than this, no white line separates stretches, since it would hide short ones.
SEPARATED = 200
# Inches: a panel of an occlusion map, and what surrounds them.
MAP_WIDTH, MAP_HEIGHT = 3.0, 1.25
# From which share of an activation on a gain is marked, so that it can be told from a loss without colour.
GAIN = 0.25


class TracksOverTime(Protocol):
    """What is drawn of a recording; an [`AttributeTimeline`] has all of it."""

    @property
    def duration(self) -> float: ...

    @property
    def speech(self) -> tuple[tuple[float, float], ...]: ...

    @property
    def starts(self) -> np.ndarray: ...

    @property
    def ends(self) -> np.ndarray: ...

    @property
    def heard(self) -> np.ndarray: ...

    @property
    def active(self) -> np.ndarray: ...

    @property
    def whole(self) -> np.ndarray: ...

    @property
    def stability(self) -> np.ndarray: ...

    @property
    def hop(self) -> float: ...

    @property
    def waveform(self) -> np.ndarray: ...

    @property
    def waveform_step(self) -> float: ...


class ChangesWithHoles(Protocol):
    """What is drawn of an occlusion map; an [`OcclusionMap`] has all of it."""

    @property
    def bands(self) -> np.ndarray: ...

    @property
    def stretches(self) -> np.ndarray: ...

    @property
    def activations(self) -> np.ndarray: ...

    def relative(self, attribute: int) -> np.ndarray: ...


@look()
def timeline(
    recordings: Sequence[TracksOverTime],
    names: Sequence[str],
    attributes: Sequence[int],
    terms: ArrayLike,
    unit: str = "ln LR",
    links: Sequence[str | None] | None = None,
) -> Figure:
    """Draw the waveforms of recordings, each with the tracks of some attributes beneath.

    A track has a cell for each window, at the window's centre and as wide as the hop. It is coloured where the
    attribute is active, grey where it is not, and left out where less than half of the window is speech.

    Args:
        recordings (sequence of [`AttributeTimeline`]): from top to bottom.
        names (sequence of str): what is said above each, in as many lines as it takes.
        attributes (sequence of int): their numbers, from top to bottom.
        terms (`np.ndarray` of shape `(attributes,)`): their contributions to the LLR, which are positive if they speak
            for the same speaker.
        unit (str): the unit of the terms.
        links (sequence of str, *optional*): for each recording the beginning of the links that its cells get in an
            SVG; None for no links. Those of `#a` are like `#a=384,1,0.25,1.5`: attribute 384 is active (1, not 0) in
            windows that lie between 0.25 and 1.5 s.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there is no recording or no attribute, or numbers of names, terms or links differ from them.
    """
    terms = np.asarray(terms, dtype=np.float64).ravel()
    links = [None] * len(recordings) if links is None else links
    if not len(recordings) or len(names) != len(recordings) or len(links) != len(recordings):
        raise ValueError(
            f"{len(recordings)} recordings, {len(names)} names and {len(links)} links: expected equal numbers, at "
            "least one"
        )
    if not len(attributes) or terms.size != len(attributes):
        raise ValueError(f"{len(attributes)} attributes and {terms.size} terms: expected equal numbers, at least one")
    titles = ["\n".join(textwrap.wrap(name, LINE)) for name in names]
    tracks = ROW * len(attributes)
    room = sum(0.62 + 0.12 * title.count("\n") for title in titles)
    figure, panels = new_panels(
        WIDTH,
        (WAVEFORM + tracks) * len(recordings) + room,
        rows=2 * len(recordings),
        height_ratios=[WAVEFORM, tracks] * len(recordings),
    )
    durations = [recording.duration for recording in recordings]
    longest = max(durations) if max(durations) <= SAME_AXIS * min(durations) else None
    for number, (recording, title, link) in enumerate(zip(recordings, titles, links, strict=True)):
        above, below = panels[2 * number : 2 * number + 2, 0]
        _draw_waveform(above, recording, title)
        _draw_tracks(below, recording, attributes, terms, link)
        for axes in (above, below):
            axes.set_xlim(0, longest or recording.duration)
        above.tick_params(axis="x", labelbottom=False)
        below.set_xlabel("Time (s); windows are drawn at their centres")
        _annotate(below, f"attribute, {unit}", 0, (-3, 1), "right")
        _annotate(below, "whole, windows that agree", 1, (3, 1), "left")
    return figure


def _annotate(axes: Axes, text: str, x: float, offset: tuple[float, float], side: str) -> None:
    options: dict[str, Any] = {"ha": side, "va": "bottom", "fontsize": 6.5, "color": GREY}
    axes.annotate(text, (x, 1), offset, xycoords="axes fraction", textcoords="offset points", **options)


def _draw_waveform(axes: Axes, recording: TracksOverTime, title: str) -> None:
    lowest, highest = recording.waveform.T
    times = (np.arange(len(lowest)) + 0.5) * recording.waveform_step
    axes.fill_between(times, lowest, highest, color=GREY, linewidth=0.3)
    largest = float(np.abs(recording.waveform).max()) or 1.0
    axes.set_ylim(-1.05 * largest, 1.05 * largest)
    axes.set_yticks([])
    axes.set_title(title, fontsize=7, loc="left", pad=6)
    for start, end in recording.speech:
        (bar,) = axes.plot([start, end], [1.06, 1.06], color=DARK, linewidth=2, solid_capstyle="butt", clip_on=False)
        bar.set_transform(axes.get_xaxis_transform())


def _draw_tracks(
    axes: Axes, recording: TracksOverTime, attributes: Sequence[int], terms: np.ndarray, link: str | None
) -> None:
    rows = range(len(attributes))
    colours = [SAME if term >= 0 else DIFFERENT for term in terms]
    centres = (recording.starts + recording.ends) / 2
    between = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate([[centres[0] - recording.hop / 2], between, [centres[-1] + recording.hop / 2]])
    for row, attribute, colour in zip(rows, attributes, colours, strict=True):
        states = np.where(recording.heard, recording.active[:, attribute], -1)
        if len(states) > WINDOWS_DRAWN:
            _draw_shares(axes, row, states, edges, colour)
            continue
        firsts = np.flatnonzero(np.diff(states, prepend=-2))
        lasts = np.append(firsts[1:], len(states)) - 1
        for first, last in zip(firsts, lasts, strict=True):
            if states[first] < 0:
                continue
            left, right = edges[first], edges[last + 1]
            bar = Rectangle((left, row - 0.38), right - left, 0.76, facecolor=colour if states[first] else INACTIVE)
            bar.set(edgecolor="white", linewidth=0.4 if len(states) <= SEPARATED else 0)
            if link is not None:
                times = f"{recording.starts[first]:.6g},{recording.ends[last]:.6g}"
                bar.set_url(f"{link}={attribute},{states[first]},{times}")
            axes.add_patch(bar)
    axes.set_ylim(len(attributes) - 0.45, -0.55)
    axes.set_yticks(rows, [f"{a}, {t:+.2f}".replace("-", MINUS) for a, t in zip(attributes, terms, strict=True)])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    if not recording.heard.any():
        axes.text(0.5, 0.5, "no window has enough speech", transform=axes.transAxes, ha="center", color=GREY)
    for boundary in np.flatnonzero(np.diff(terms < 0)):
        axes.axhline(boundary + 0.5, color=DARK, linewidth=0.5)
    stability = recording.stability
    for row, attribute in zip(rows, attributes, strict=True):
        words = "active" if recording.whole[attribute] else "inactive"
        share = "" if np.isnan(stability[attribute]) else f", {100 * stability[attribute]:.0f} %"
        axes.annotate(
            words + share,
            (1, row),
            (3, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center_baseline",
            fontsize=6.5,
        )


def _draw_shares(axes: Axes, row: int, states: np.ndarray, edges: np.ndarray, colour: str) -> None:
    """Draw in what share of some successive windows with speech an attribute is active."""
    together = -(-len(states) // WINDOWS_DRAWN)
    padded = np.pad(states.astype(np.float64), (0, -len(states) % together), constant_values=-1)
    groups = np.ma.masked_less(padded.reshape(-1, together), 0)
    ends = np.append(edges[:-1:together], edges[-1])
    shades = LinearSegmentedColormap.from_list("share", [INACTIVE, colour])
    axes.pcolormesh(
        *(ends, [row - 0.38, row + 0.38], groups.mean(1)[None]), cmap=shades, vmin=0, vmax=1, rasterized=True
    )


@look()
def occlusion(
    maps: Sequence[ChangesWithHoles], names: Sequence[str], attributes: Sequence[int], terms: ArrayLike
) -> Figure:
    """Draw how the activations of attributes change where bands and stretches of time are replaced by the mean.

    There is a row of panels for each attribute, and a column for each recording. Cells apart, above and at the right,
    are of all bands together and of the whole time. A cross marks cells whose replacing flips the attribute, a plus
    those that strengthen it by a quarter or more.

    Args:
        maps (sequence of [`OcclusionMap`]): one per recording.
        names (sequence of str): what is said above the column of each recording.
        attributes (sequence of int): their numbers, from top to bottom.
        terms (`np.ndarray` of shape `(attributes,)`): their contributions to the LLR.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there is no map or no attribute, or the numbers of names or terms differ from them.
    """
    terms = np.asarray(terms, dtype=np.float64).ravel()
    if not len(maps) or len(names) != len(maps):
        raise ValueError(f"{len(maps)} maps and {len(names)} names: expected equal numbers, at least one")
    if not len(attributes) or terms.size != len(attributes):
        raise ValueError(f"{len(attributes)} attributes and {terms.size} terms: expected equal numbers, at least one")
    figure, panels = new_panels(
        *(MAP_WIDTH * len(maps) + 1.0, MAP_HEIGHT * len(attributes) + 0.6), rows=len(attributes), columns=len(maps)
    )
    for row, (attribute, term) in enumerate(zip(attributes, terms, strict=True)):
        for column, found in enumerate(maps):
            axes: Axes = panels[row, column]
            image = _draw_map(axes, found, found.relative(attribute))
            state = "active" if found.activations[attribute] > 0 else "inactive"
            title = f"attribute {attribute}, {term:+.2f}: {state}".replace("-", MINUS)
            if not row:
                title = "\n".join([*textwrap.wrap(names[column], 48), title])
            axes.set_title(title, fontsize=7, loc="left")
            axes.set_ylabel("kHz" if not column else "")
            axes.set_xlabel("Time (s)" if row == len(attributes) - 1 else "")
    bar = figure.colorbar(image, ax=panels, fraction=0.05, pad=0.02, aspect=12 * len(attributes))
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=[f"{MINUS}1", f"{MINUS}0.5", "0", "0.5", "1"])
    bar.set_label(f"Change relative to the activation ({MINUS}1: it is at the threshold)")
    bar.outline.set(linewidth=0.6, edgecolor=DARK)
    return figure


def _draw_map(axes: Axes, found: ChangesWithHoles, changed: np.ndarray) -> Any:
    """Draw one attribute of one recording."""
    bands, stretches = len(found.bands) - 1, len(found.stretches) - 1
    length = found.stretches[-1] - found.stretches[0]
    apart = found.stretches[-1] + length * np.array([0.03, 0.03 + 1 / max(stretches, 8)])
    sides = [(found.stretches, slice(0, -1)), (apart, slice(-1, None))]
    levels = [(np.arange(bands + 1.0), slice(0, -1)), (bands + np.array([0.4, 1.4]), slice(-1, None))]
    image = None
    for xs, columns in sides:
        for ys, rows in levels:
            values = changed[rows, columns]
            if np.isnan(values).all():
                continue
            image = axes.pcolormesh(xs, ys, np.clip(values, -1, 1), cmap="PuOr", vmin=-1, vmax=1)
            for y, x in zip(*np.nonzero((values < -1) | (values >= GAIN)), strict=True):
                mark = "\N{MULTIPLICATION SIGN}" if values[y, x] < -1 else "+"
                place = (xs[x] + xs[x + 1]) / 2, (ys[y] + ys[y + 1]) / 2
                dark = abs(values[y, x]) > 0.6
                axes.text(*place, mark, color="white" if dark else DARK, ha="center", va="center_baseline", fontsize=7)
    labels = [f"{edge / 1000:.2g}" for edge in found.bands]
    axes.set_yticks([*range(0, bands + 1, 2), bands + 0.9], [*labels[::2], "all"])
    axes.set(xlim=(found.stretches[0], apart[1]), ylim=(0, bands + 1.4))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ticks = [tick for tick in axes.get_xticks() if found.stretches[0] <= tick <= found.stretches[-1]]
    axes.set_xticks([*ticks, apart.mean()], [*(f"{tick:g}" for tick in ticks), "all"])
    axes.grid(visible=False)
    return image
