"""Figures of how well LLRs tell speakers apart and how well they are calibrated: Tippett, ECE, PAV and DET."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import expit, ndtr, ndtri

from balr_hf.figures import style
from balr_hf.figures.style import DARK, DIFFERENT, GREY, SAME, legend_above, look, new_figure, percent, thinned
from balr_hf.metrics.calibration import cllr_of
from balr_hf.metrics.decisions import misleading_rates
from balr_hf.metrics.discrimination import eer_of, min_dcf_of
from balr_hf.metrics.intervals import resampled
from balr_hf.metrics.tally import Tally, tally

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

LN10 = np.log(10)

OF_DRAWS = "95\N{NO-BREAK SPACE}% of draws of the speakers"
# Bands: so many draws of the speakers, at so many places, between these quantiles.
DRAWS, GRID, BAND = 200, 200, (0.025, 0.975)

# The names of the speakers of the two sides of each trial.
Speakers: TypeAlias = "tuple[np.ndarray, np.ndarray]"
LOG_LR = "log₁₀ LR"

# ECE is summed over bins of LLRs of this width, in natural-log units, which makes an error of less than 1e-7 bits.
ECE_BIN = 2e-3

# If x is beyond this many natural-log units, log(1 + exp(x)) is x or 0 in float64.
LINEAR = 40

# An ECE plot shows no more than this many bits, even if a curve goes on beyond.
ECE_TOP = 2.0

# The ticks in percent on both axes of a DET plot that ends at 50 %, and of one that shows all rates.
DET_TICKS = (0.001, 0.01, 0.1, 0.5, 2, 5, 10, 20, 40)
DET_WIDE_TICKS = (0.001, 0.01, 0.1, 1, 5, 20, 50, 80, 95, 99)


@look()
def tippett(
    systems: Mapping[str, ArrayLike],
    labels: ArrayLike,
    are_ratios: bool = True,
    note: str = "",
    case: float | None = None,
    speakers: Speakers | None = None,
) -> Figure:
    """Draw a Tippett plot: the cumulative distributions of same-speaker and of different-speaker LLRs.

    The curves of same-speaker trials rise to the right: they show the proportion of trials with a log LR of at most x.
    The curves of different-speaker trials fall: they show the proportion with a log LR of at least x. The axis is
    linear. For likelihood ratios the legend states the rates of misleading evidence; of raw sums there are none.

    Args:
        systems (dict of str to `np.ndarray` of shape `(trials,)`): the natural-log likelihood ratios of each system by
            its name, e.g. raw and calibrated.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        are_ratios (bool): whether they are calibrated, so that they may be read as likelihood ratios.
        note (str): what is said above the axes, e.g. how many trials and speakers there are.
        case (float, *optional*): the natural-log LR of a case, which is marked.
        speakers (two arrays of shape `(trials,)`, *optional*): the names of the two sides' speakers. With them, bands
            show where 95 % of draws of the speakers lie, for the first system.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there is no system, LLRs are not finite, their number is not that of the labels, or all trials are
            of one kind.

    References:
        G. S. Morrison and E. Enzinger, "Introduction to forensic voice comparison", 2019;
        D. Meuwly, "Reconnaissance de locuteurs en sciences forensiques", 2001.
    """
    tallies = _tallies(systems, labels)
    curves = {name: tippett_curves(trials) for name, trials in tallies.items()}
    figure, axes = new_figure()
    left, right = _tippett_axis(axes, [x for x, _, _ in curves.values()], case)
    if speakers is not None:
        first = next(iter(systems.values()))
        note = _with_bands(note, "bands", systems)
        bands = _tippett_bands(first, labels, speakers, (left, right))
        for (low, high), colour in zip(bands, (SAME, DIFFERENT), strict=True):
            axes.fill_between(np.linspace(left, right, GRID), low, high, color=colour, alpha=0.15, linewidth=0)
    misleading = ("\nmisleading, LR < 1:", "\nmisleading, LR > 1:") if are_ratios else ("", "")
    same_handles = [_text_handle(f"same speaker (≤ x){misleading[0]}")]
    different_handles = [_text_handle(f"different speakers (≥ x){misleading[1]}")]
    for number, (name, (x, same, different)) in enumerate(curves.items()):
        line: dict[str, Any] = {"linestyle": style.LINES[number % len(style.LINES)]}
        padded = np.concatenate([[left], x, [right]])
        for y, colour, steps in (
            (np.concatenate([[0], same, [1]]), SAME, "steps-post"),
            (np.concatenate([[1], different, [0]]), DIFFERENT, "steps-pre"),
        ):
            kept = thinned(axes.xaxis.get_transform().transform(padded), y)
            axes.plot(padded[kept], y[kept], color=colour, drawstyle=steps, **line)
        misses, false_alarms = misleading_rates(tallies[name])
        shown = (f"{name}: {percent(misses)}", f"{name}: {percent(false_alarms)}") if are_ratios else (name, name)
        same_handles.append(Line2D([], [], color=SAME, label=shown[0], **line))
        different_handles.append(Line2D([], [], color=DIFFERENT, label=shown[1], **line))
    axes.axvline(0, color=DARK, linewidth=0.8)
    if case is not None:
        axes.axvline(case / LN10, color=DARK, linewidth=1.2, linestyle=style.LINES[1])  # in the colour of no curve
        side = "left" if case >= 0 else "right"  # away from LR = 1, which is a line too
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        axes.text(
            case / LN10, 0.5, "this case", color=DARK, rotation=90, va="center", ha=side, fontsize=7, bbox=ground
        )
    _say(axes, note)
    axes.set_ylim(0, 1.005)
    axes.set_ylabel("Cumulative proportion of trials")
    legend_above(figure, same_handles + different_handles, columns=2)
    return figure


def tippett_curves(trials: Tally) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of a Tippett plot.

    Args:
        trials (`Tally`): its scores are natural-log likelihood ratios.

    Returns:
        `(x, same, different)`, each of shape `(distinct LLRs,)`: the log10 LRs in rising order, the proportion of
        same-speaker trials with a log10 LR of at most x, and the proportion of different-speaker trials with a log10
        LR of at least x.
    """
    at_most = np.cumsum(trials.same)
    at_least = np.cumsum(trials.different[::-1])[::-1]
    return trials.scores / LN10, at_most / at_most[-1], at_least / at_least[0]


@look()
def ece(
    llrs: ArrayLike,
    labels: ArrayLike,
    note: str = "",
    speakers: Speakers | None = None,
    bounds: tuple[float, float] | None = None,
) -> Figure:
    """Draw an ECE plot: the empirical cross-entropy against the prior, for the LLRs, after PAV, and for LR = 1.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        note (str): what is said above the axes.
        speakers (two arrays of shape `(trials,)`, *optional*): the names of the two sides' speakers. With them, a band
            shows where 95 % of draws of the speakers have the LLRs as given. There is none after PAV, which adapts
            itself to each draw.
        bounds (two float, *optional*): within which the LLRs are reported, see [`compute_metrics`]. The curve of the
            LLRs as given is then of those held within; that after PAV is of their order, and is not.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.

    References:
        D. Ramos and J. Gonzalez-Rodriguez, "Reliable support: measuring calibration of likelihood ratios", Forensic
        Science International, 2013.
    """
    odds = np.linspace(-3, 3, 121)
    trials = tally(llrs, labels)
    given, calibrated, neutral = ece_curves(trials, odds)
    how = "as given"
    if bounds is not None:
        llrs, trials, how = np.asarray(llrs).clip(*bounds), trials.held(*bounds), "as reported"
        given = ece_curves(trials, odds)[0]
    figure, axes = new_figure()
    lines: list[tuple[np.ndarray, str, dict[str, Any]]] = [
        (given, f"LLRs {how} (Cllr = {cllr_of(trials):.3g})", {"color": style.BLUE}),
        (
            calibrated,
            f"after PAV (Cllr_min = {calibrated[odds.size // 2]:.3g})",
            {"color": style.VERMILION, "linestyle": style.LINES[1]},
        ),
        (neutral, "LR = 1: no information", {"color": DARK, "linestyle": style.LINES[2]}),
    ]
    handles = [axes.plot(odds, curve, label=label, **line)[0] for curve, label, line in lines]
    highest = max(given.max(), neutral.max())
    if speakers is not None:
        note = _with_bands(note, "band")
        low, high = _ece_band(llrs, labels, speakers, odds)
        axes.fill_between(odds, low, high, color=style.BLUE, alpha=0.15, linewidth=0)
        highest = max(highest, min(high.max(), 2 * highest))
    axes.set_ylim(0, min(1.05 * highest, ECE_TOP))
    axes.set_xlim(odds[0], odds[-1])
    if given.max() > ECE_TOP:
        reach = f"{given.min():.3g} to" if given.min() > ECE_TOP else "up to"
        note = f"{note}; LLRs {how} go beyond the axis: {reach} {given.max():.3g} bits".removeprefix("; ")
    _say(axes, note)
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_xlabel("Prior log₁₀ odds")
    axes.set_ylabel("Empirical cross-entropy (bits)")
    legend_above(figure, handles)
    return figure


def ece_curves(trials: Tally, prior_log10_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Empirical cross-entropy at given priors. At even odds it is Cllr, and Cllr_min after PAV.

    Args:
        trials (`Tally`): its scores are natural-log likelihood ratios.
        prior_log10_odds (`np.ndarray` of shape `(priors,)`): log10 of the prior odds for one speaker.

    Returns:
        `(given, calibrated, neutral)`, each of shape `(priors,)` and in bits: the cross-entropy of the LLRs as they
        are, of the LLRs after PAV, and of LR = 1.
    """
    odds = np.asarray(prior_log10_odds, dtype=np.float64) * LN10
    given, calibrated = (_cross_entropy(trials, llrs, odds) for llrs in (trials.scores, trials.pav))
    return given, calibrated, _cross_entropy(trials, np.zeros(trials.scores.size), odds)


@look()
def pav(llrs: ArrayLike, labels: ArrayLike, note: str = "", speakers: Speakers | None = None) -> Figure:
    """Draw a PAV plot: LLRs after pool-adjacent-violators against LLRs as given; calibrated ones lie on the diagonal.

    Both axes have one scale, so that the diagonal is one.

    At either end there may be trials of one kind only. Their LLRs are infinite after PAV and stand at the margins.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: the LLRs are not finite, their number is not that of the labels, or all trials are of one kind.

    References:
        P. Vergeer et al., "Measuring calibration of likelihood-ratio systems: a comparison of four metrics, including
        a new metric devPAV", Forensic Science International, 2021.
    """
    trials = tally(llrs, labels)
    x, y = trials.scores / LN10, trials.pav / LN10
    finite = np.isfinite(y)
    low, high = (y[finite].min(), y[finite].max()) if finite.any() else (-1.0, 1.0)
    low, high = min(low, -1.0), max(high, 1.0)
    margin = 0.12 * (high - low)
    figure, axes = new_figure(height=0.95 * style.WIDTH)
    handles: list[Artist] = []
    if finite.any():
        kept = thinned(x[finite], y[finite])
        points: dict[str, Any] = {"marker": "o", "markersize": 2.5} if kept.size <= 200 else {}
        handles += axes.plot(x[finite][kept], y[finite][kept], color=style.BLUE, label="after PAV", **points)
    for sign, colour, marker, place in ((1, SAME, "^", high + margin), (-1, DIFFERENT, "v", low - margin)):
        alone = y == sign * np.inf
        if alone.any():
            at = x[alone][thinned(x[alone], np.zeros(alone.sum()), 100)]
            number = int((trials.same + trials.different)[alone].sum())
            label = f"{'+' if sign > 0 else style.MINUS}∞ after PAV: {number:,} trials"
            line: dict[str, Any] = {
                "linestyle": "none",
                "marker": marker,
                "markersize": 3.5,
                "markerfacecolor": "none",
            }
            handles += axes.plot(at, np.full(at.size, place), color=colour, markeredgewidth=0.7, label=label, **line)
    ends = min(x[0], low - 2 * margin), max(x[-1], high + 2 * margin)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    if speakers is not None:
        note = _with_bands(note, "band")
        grid, band = _pav_band(llrs, labels, speakers, (x[0], x[-1]), (low - margin, high + margin))
        axes.fill_between(grid, *band, color=style.BLUE, alpha=0.15, linewidth=0)
    _say(axes, note)
    handles.append(
        axes.axline((0, 0), slope=1, color=DARK, linestyle=style.LINES[1], linewidth=0.9, label="calibrated: equal")
    )
    axes.set_xlabel(f"{LOG_LR} as given")
    axes.set_ylabel(f"{LOG_LR} after PAV")
    legend_above(figure, handles, columns=2)
    return figure


@look()
def det(
    systems: Mapping[str, ArrayLike],
    labels: ArrayLike,
    prior: float | None = None,
    note: str = "",
    speakers: Speakers | None = None,
) -> Figure:
    """Draw a DET plot: the miss rate against the false-alarm rate on normal-deviate axes, with the EERs marked.

    Args:
        systems (dict of str to `np.ndarray` of shape `(trials,)`): the scores of each system by its name, which are
            higher for the same speaker.
        labels (`np.ndarray` of shape `(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        prior (float, *optional*): also mark where the detection cost is least at this probability of a same-speaker
            trial, if both errors cost 1.
        note (str): what is said above the axes.
        speakers (two arrays of shape `(trials,)`, *optional*): the names of the two sides' speakers. With them, a band
            shows where 95 % of draws of the speakers lie, for the first system, measured across the plot's diagonals.
            On the rising diagonal these are the EERs of the draws.

    Returns:
        `matplotlib.figure.Figure`

    Raises:
        ValueError: there is no system, the prior is not between 0 and 1, scores are not finite, their number is not
            that of the labels, or all trials are of one kind.

    References:
        A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    tallies = _tallies(systems, labels)
    if prior is not None and not 0 < prior < 1:
        raise ValueError(f"prior={prior}: expected a probability between 0 and 1")
    rates = {name: eer_of(trials)[0] for name, trials in tallies.items()}
    cheapest = {} if prior is None else {name: _cheapest(trials, prior) for name, trials in tallies.items()}
    low, high = _det_range(list(rates.values()), [rate for point in cheapest.values() for rate in point])
    figure, axes = new_figure(height=0.95 * style.WIDTH)
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.6)
    if speakers is not None:
        note = _with_bands(note, "band", systems)
        axes.fill(
            *_det_band(next(iter(systems.values())), labels, speakers, low, high),
            color=style.COLOURS[0],
            alpha=0.15,
            linewidth=0,
        )
    _say(axes, note)
    handles = []
    for number, (name, trials) in enumerate(tallies.items()):
        # Curves below others are wider, so that equal curves can all be seen.
        below = min(len(tallies) - 1 - number, 2)
        colour = style.COLOURS[number % len(style.COLOURS)]
        marker = style.MARKERS[number % len(style.MARKERS)]
        line: dict[str, Any] = {"linestyle": style.LINES[number % len(style.LINES)], "color": colour}
        line["linewidth"] = 1.3 + 0.5 * below
        point: dict[str, Any] = {"marker": marker, "markersize": 4 + 1.5 * below, "markeredgewidth": 0}
        _, miss, false_alarm = trials.error_rates
        axes.plot(*det_curve(miss, false_alarm, low, high), **line)
        label = f"{name}: " + (f"EER {percent(rates[name])}" if rates[name] > 0 else "no errors")
        if rates[name] > 0:
            axes.plot(*2 * [ndtri(np.clip(rates[name], low, high))], color=colour, **point)
        if prior is not None:
            label += f", minDCF({prior:g}) {min_dcf_of(trials, prior):.3f}"
        if name in cheapest and rates[name] > 0:
            hollow = {**point, "markerfacecolor": "white", "markeredgewidth": 0.9, "clip_on": False, "zorder": 3}
            axes.plot(*ndtri(np.clip(cheapest[name], low, high)), color=colour, **hollow)
        handles.append(Line2D([], [], label=label, **line, **point))
    if not any(rates.values()):
        axes.text(0.5, 0.5, "no errors", transform=axes.transAxes, ha="center", va="center", backgroundcolor="white")
    ticks = [tick for tick in (DET_TICKS if high <= 0.5 else DET_WIDE_TICKS) if low <= tick / 100]
    for axis, name in ((axes.xaxis, "False-alarm rate (%)"), (axes.yaxis, "Miss rate (%)")):
        axis.set_ticks(ndtri(np.array(ticks) / 100), [f"{tick:g}" for tick in ticks])
        axis.set_label_text(name)
    axes.set(xlim=(ndtri(low), ndtri(high)), ylim=(ndtri(low), ndtri(high)), aspect="equal")
    legend_above(figure, handles)
    return figure


def det_curve(miss: np.ndarray, false_alarm: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """The points of a DET curve as it is drawn.

    Points that are far outside the visible range are moved to just outside of it. If trials of both kinds have the
    same score, the curve has a slanted step there. The step is straight between rates, as the EER takes it, and
    therefore bent between normal deviates.

    Args:
        miss (`np.ndarray` of shape `(thresholds,)`): miss rates between 0 and 1, see [`Tally.error_rates`].
        false_alarm (`np.ndarray` of shape `(thresholds,)`): false-alarm rates between 0 and 1.
        low (float): the least visible rate.
        high (float): the greatest visible rate.

    Returns:
        `(x, y)`: the normal deviates of the false-alarm rates and of the miss rates, thinned out.
    """
    parts = max(1, style.CURVE_POINTS // miss.size)
    at = np.arange((miss.size - 1) * parts + 1) / parts
    x, y = (
        ndtri(np.clip(np.interp(at, np.arange(miss.size), rates), low / 2, (1 + high) / 2))
        for rates in (false_alarm, miss)
    )
    kept = thinned(x, y)
    return x[kept], y[kept]


def _tallies(systems: Mapping[str, ArrayLike], labels: ArrayLike) -> dict[str, Tally]:
    if not systems:
        raise ValueError("no system to draw: expected at least one name with its LLRs")
    tallies = {}
    for name, llrs in systems.items():
        try:
            tallies[name] = tally(llrs, labels)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return tallies


def _tippett_bands(
    llrs: ArrayLike, labels: ArrayLike, speakers: Speakers, ends: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Where 95 % of draws of the speakers have the two curves: each `(2, GRID)`, lower and upper."""
    grid = np.linspace(*ends, GRID)
    same, different = [], []
    for draw in resampled(llrs, labels, *speakers, DRAWS):
        x, rising, falling = tippett_curves(draw)
        at = np.searchsorted(x, grid, side="right")
        same.append(np.append(0.0, rising)[at])
        different.append(np.append(falling, 0.0)[np.searchsorted(x, grid, side="left")])
    low, high = np.quantile(same, BAND, axis=0)
    lower, upper = np.quantile(different, BAND, axis=0)
    return np.stack([low, high]), np.stack([lower, upper])


def _pav_band(
    llrs: ArrayLike, labels: ArrayLike, speakers: Speakers, ends: tuple[float, float], limits: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Where 95 % of draws of the speakers have the LLRs after PAV: a grid `(GRID,)`, lower and upper `(2, GRID)`."""
    grid = np.linspace(*ends, GRID)
    curves = []
    for draw in resampled(llrs, labels, *speakers, DRAWS):
        x, y = draw.scores / LN10, np.clip(draw.pav / LN10, *limits)
        curves.append(y[np.clip(np.searchsorted(x, grid, side="right") - 1, 0, len(y) - 1)])
    return grid, np.quantile(curves, BAND, axis=0)


def _ece_band(
    llrs: ArrayLike, labels: ArrayLike, speakers: Speakers, prior_log10_odds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where 95 % of draws of the speakers have the ECE of the LLRs as given: `(lower, upper)`, each `(priors,)`."""
    odds = prior_log10_odds * LN10
    prior = expit(odds)
    # With a thousandth of precision there are few distinct LLRs, whose costs serve all draws.
    mantissas, exponents = np.frexp(np.asarray(llrs, dtype=np.float64))
    rounded = np.ldexp(np.round(mantissas, 3), exponents)
    distinct = np.unique(rounded)[:, None]
    missing, accusing = prior * np.logaddexp(0, -distinct - odds), (1 - prior) * np.logaddexp(0, distinct + odds)
    curves = []
    for draw in resampled(rounded, labels, *speakers, DRAWS):
        at = np.searchsorted(distinct[:, 0], draw.scores)
        same, different = (of / of.sum() for of in (draw.same, draw.different))
        curves.append(same @ missing[at] + different @ accusing[at])
    low, high = np.quantile(curves, BAND, axis=0) / np.log(2)
    return low, high


def _det_band(
    scores: ArrayLike, labels: ArrayLike, speakers: Speakers, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """The outline of where 95 % of draws of the speakers have the DET curve: `(x, y)`, normal deviates, `(2 GRID,)`.

    A curve only falls, so that the difference of its two deviates rises along it. At each difference, the band is
    between two quantiles of the draws' sums of the deviates.
    """
    left, right = float(ndtri(low)), float(ndtri(high))
    rates = ndtr(np.linspace(left, right, GRID))
    differences, sums = np.linspace(left - right, right - left, GRID), []
    for draw in resampled(scores, labels, *speakers, DRAWS):
        _, miss, false_alarm = draw.error_rates
        # Of all points, those next to the rates of a grid are enough.
        after = [np.searchsorted(miss, rates), miss.size - np.searchsorted(false_alarm[::-1], rates)]
        near = np.unique(np.concatenate([[0], *after, *(rows - 1 for rows in after), [miss.size - 1]]))
        near = near[(near >= 0) & (near < miss.size)]
        x, y = det_curve(miss[near], false_alarm[near], low, high)
        sums.append(np.interp(differences, y - x, x + y))
    lower, upper = np.quantile(sums, BAND, axis=0)
    around, across = np.append(lower, upper[::-1]), np.append(differences, differences[::-1])
    return (around - across) / 2, (around + across) / 2


def _tippett_axis(axes: Axes, positions: list[np.ndarray], case: float | None) -> tuple[float, float]:
    """Set a linear x axis that shows all curves and the case; returns its two ends."""
    ends = [*(x[0] for x in positions), *(x[-1] for x in positions), *([] if case is None else [case / LN10])]
    left, right = min(ends), max(ends)
    margin = 0.05 * max(right - left, 1.0)
    axes.set_xlim(left - margin, right + margin)
    axes.set_xlabel(LOG_LR)
    return left - margin, right + margin


def _with_bands(note: str, bands: str, systems: Collection[str] = ()) -> str:
    """A note with what the bands show, and of which system if there are several: of the first one."""
    of = f" of {next(iter(systems))}" if len(systems) > 1 else ""
    return f"{note}; {bands}{of}: {OF_DRAWS}".removeprefix("; ")


def _say(axes: Axes, note: str) -> None:
    """Write a line above the axes."""
    if note:
        axes.set_title("\n".join(textwrap.wrap(note, 60)), fontsize=6.5, loc="left", color=DARK)


def _text_handle(text: str) -> Line2D:
    return Line2D([], [], linestyle="none", label=text)


def _cheapest(trials: Tally, prior: float) -> tuple[float, float]:
    """The false-alarm and the miss rate at which the detection cost is least."""
    _, miss, false_alarm = trials.error_rates
    least = int(np.argmin(prior * miss + (1 - prior) * false_alarm))
    return float(false_alarm[least]), float(miss[least])


def _det_range(equal: list[float], others: list[float]) -> tuple[float, float]:
    """The least and the greatest visible rate, which depend on the equal error rates and on other marked rates."""
    low = 1e-3
    marked = [rate for rate in equal if rate > 0] + [max(rate, 2e-4) for rate in others if rate > 0]
    while low > 1e-5 and marked and min(marked) < 2 * low:
        low /= 10
    return low, 0.5 if max(equal) < 0.3 else 0.995


def _cross_entropy(trials: Tally, llrs: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Cross-entropy in bits, of shape `(priors,)`, where `llrs` has one LLR for each distinct score of the trials."""
    prior = expit(odds)
    missing = _mean_cost(-llrs, trials.same, -odds)
    accusing = _mean_cost(llrs, trials.different, odds)
    return (prior * missing + (1 - prior) * accusing) / np.log(2)


def _mean_cost(values: np.ndarray, weights: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Weighted mean of log(1 + exp(value + odds)), at each of the odds."""
    values, weights = values[weights > 0], weights[weights > 0]
    reach = LINEAR + np.abs(odds).max()
    bins = np.round((np.clip(values, -reach, reach) + reach) / ECE_BIN).astype(np.int64)
    sizes = np.bincount(bins, weights)
    found = sizes > 0
    means = np.bincount(bins, weights * values)[found] / sizes[found]
    shares = sizes[found] / weights.sum()
    return np.array([shares @ np.logaddexp(0, means + shift) for shift in odds])
