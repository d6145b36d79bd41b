"""Figures of how well LLRs tell speakers apart and how well they are calibrated: Tippett, ECE, PAV and DET."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from scipy.special import expit, ndtri

from balr_hf.figures import style
from balr_hf.figures.style import DARK, DIFFERENT, GREY, SAME, legend_above, look, new_figure, percent, thinned
from balr_hf.metrics.calibration import cllr_of
from balr_hf.metrics.discrimination import eer_of, min_dcf_of
from balr_hf.metrics.tally import Tally, tally

LN10 = np.log(10)
LOG_LR = "log₁₀ LR"

# Natural-log width of the bins over which ECE is summed: off by less than 1e-7 bits.
ECE_BIN = 2e-3

# Beyond this many natural-log units log(1 + exp(x)) is x or 0, in float64.
LINEAR = 40

# Bits up to which an ECE plot reaches if a curve goes on beyond.
ECE_TOP = 2.0

# In percent, on both axes of a DET plot that ends at 50 %, and of one that shows all rates.
DET_TICKS = (0.001, 0.01, 0.1, 0.5, 2, 5, 10, 20, 40)
DET_WIDE_TICKS = (0.001, 0.01, 0.1, 1, 5, 20, 50, 80, 95, 99)


@look()
def tippett(systems: dict[str, np.ndarray], labels: np.ndarray) -> Figure:
    """Tippett plot: the cumulative distributions of same-speaker and of different-speaker LLRs.

    The curves of same-speaker trials rise to the right: the proportion with a log LR of at most x. Those of
    different-speaker trials fall: the proportion with a log LR of at least x. The legend tells the rates of misleading
    evidence. Where one system's LLRs are many times as large as another's, the axis is logarithmic outside the range
    of the smaller.

    Args:
        systems: name -> natural-log likelihood ratios `(trials,)`, e.g. raw and calibrated.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Raises:
        ValueError: no system, or LLRs not finite, of another length than the labels, or trials of one kind only.

    Reference:
        G. S. Morrison and E. Enzinger, "Introduction to forensic voice comparison", 2019;
        D. Meuwly, "Reconnaissance de locuteurs en sciences forensiques", 2001.
    """
    tallies = _tallies(systems, labels)
    curves = {name: tippett_curves(trials) for name, trials in tallies.items()}
    figure, axes = new_figure()
    left, right = _tippett_axis(axes, [x for x, _, _ in curves.values()])
    same_handles = [_text_handle("same speaker (≤ x)\nmisleading, LR < 1:")]
    different_handles = [_text_handle("different speakers (≥ x)\nmisleading, LR > 1:")]
    for number, (name, (x, same, different)) in enumerate(curves.items()):
        line = {"linestyle": style.LINES[number % len(style.LINES)]}
        padded = np.concatenate([[left], x, [right]])
        for y, colour, steps in (
            (np.concatenate([[0], same, [1]]), SAME, "steps-post"),
            (np.concatenate([[1], different, [0]]), DIFFERENT, "steps-pre"),
        ):
            kept = thinned(axes.xaxis.get_transform().transform(padded), y)
            axes.plot(padded[kept], y[kept], color=colour, drawstyle=steps, **line)
        misses, false_alarms = misleading_rates(tallies[name])
        same_handles.append(Line2D([], [], color=SAME, label=f"{name}: {percent(misses)}", **line))
        different_handles.append(Line2D([], [], color=DIFFERENT, label=f"{name}: {percent(false_alarms)}", **line))
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.set_ylim(0, 1.005)
    axes.set_ylabel("Cumulative proportion of trials")
    legend_above(figure, same_handles + different_handles, columns=2)
    return figure


def tippett_curves(trials: Tally) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of a Tippett plot.

    Args:
        trials: tallied; scores are natural-log likelihood ratios.

    Returns:
        `(x, same, different)`, each `(distinct LLRs,)`: log10 LRs in rising order, the proportion of same-speaker
        trials of at most x, and the proportion of different-speaker trials of at least x.
    """
    at_most = np.cumsum(trials.same)
    at_least = np.cumsum(trials.different[::-1])[::-1]
    return trials.scores / LN10, at_most / at_most[-1], at_least / at_least[0]


def misleading_rates(trials: Tally) -> tuple[float, float]:
    """Rates of misleading evidence: same-speaker trials with LR < 1, different-speaker trials with LR > 1."""
    misses = trials.same[trials.scores < 0].sum() / trials.same.sum()
    false_alarms = trials.different[trials.scores > 0].sum() / trials.different.sum()
    return float(misses), float(false_alarms)


@look()
def ece(llrs: np.ndarray, labels: np.ndarray) -> Figure:
    """ECE plot: empirical cross-entropy against the prior, for the LLRs, after PAV, and for LR = 1.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.

    Reference:
        D. Ramos and J. Gonzalez-Rodriguez, "Reliable support: measuring calibration of likelihood ratios", Forensic
        Science International, 2013.
    """
    odds = np.linspace(-3, 3, 121)
    trials = tally(llrs, labels)
    given, calibrated, neutral = ece_curves(trials, odds)
    figure, axes = new_figure()
    lines = [
        (given, f"LLRs as given (Cllr = {cllr_of(trials):.3g})", {"color": style.BLUE}),
        (
            calibrated,
            f"after PAV (Cllr_min = {calibrated[odds.size // 2]:.3g})",
            {"color": style.VERMILION, "linestyle": style.LINES[1]},
        ),
        (neutral, "LR = 1: no information", {"color": DARK, "linestyle": style.LINES[2]}),
    ]
    handles = [axes.plot(odds, curve, label=label, **line)[0] for curve, label, line in lines]
    highest = max(given.max(), neutral.max())
    axes.set_ylim(0, min(1.05 * highest, ECE_TOP))
    axes.set_xlim(odds[0], odds[-1])
    if highest > ECE_TOP:
        reach = f"{given.min():.3g} to" if given.min() > ECE_TOP else "up to"
        axes.set_title(f"LLRs as given go beyond the axis: {reach} {given.max():.3g} bits", fontsize=7)
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_xlabel("Prior log₁₀ odds")
    axes.set_ylabel("Empirical cross-entropy (bits)")
    legend_above(figure, handles)
    return figure


def ece_curves(trials: Tally, prior_log10_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Empirical cross-entropy at given priors. At even odds it is Cllr, and Cllr_min after PAV.

    Args:
        trials: tallied; scores are natural-log likelihood ratios.
        prior_log10_odds (`(priors,)`): log10 of the prior odds for one speaker.

    Returns:
        `(given, calibrated, neutral)`, each `(priors,)` in bits: of the LLRs, of the LLRs after PAV, and of LR = 1.
    """
    odds = np.asarray(prior_log10_odds, dtype=np.float64) * LN10
    sets = (trials.scores, trials.pav, np.zeros(trials.scores.size))
    return tuple(_cross_entropy(trials, llrs, odds) for llrs in sets)


@look()
def pav(llrs: np.ndarray, labels: np.ndarray) -> Figure:
    """PAV plot: LLRs after pool-adjacent-violators against LLRs as given; calibrated ones lie on the diagonal.

    LLRs that become infinite, because one kind of trial is alone at that end, stand at the margins.

    Args:
        llrs (`(trials,)`): natural-log likelihood ratios.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Raises:
        ValueError: not finite, of different lengths, or trials of one kind only.

    Reference:
        P. Vergeer et al., "Measuring calibration of likelihood-ratio systems: a comparison of four metrics, including
        a new metric devPAV", Forensic Science International, 2021.
    """
    trials = tally(llrs, labels)
    x, y = trials.scores / LN10, trials.pav / LN10
    finite = np.isfinite(y)
    low, high = (y[finite].min(), y[finite].max()) if finite.any() else (-1.0, 1.0)
    low, high = min(low, -1.0), max(high, 1.0)
    margin = 0.12 * (high - low)
    figure, axes = new_figure()
    handles = []
    if finite.any():
        kept = thinned(x[finite], y[finite])
        marker = {"marker": "o", "markersize": 2.5} if kept.size <= 200 else {}
        handles += axes.plot(x[finite][kept], y[finite][kept], color=style.BLUE, label="after PAV", **marker)
    for sign, colour, marker, place in ((1, SAME, "^", high + margin), (-1, DIFFERENT, "v", low - margin)):
        alone = y == sign * np.inf
        if alone.any():
            at = x[alone][thinned(x[alone], np.zeros(alone.sum()), 100)]
            number = int((trials.same + trials.different)[alone].sum())
            label = f"{'+' if sign > 0 else style.MINUS}∞ after PAV: {number:,} trials"
            line = {"linestyle": "none", "marker": marker, "markersize": 3.5, "markerfacecolor": "none"}
            handles += axes.plot(at, np.full(at.size, place), color=colour, markeredgewidth=0.7, label=label, **line)
    left, right = min(x[0], -1.0), max(x[-1], 1.0)
    axes.set_xlim(left - 0.05 * (right - left), right + 0.05 * (right - left))
    axes.set_ylim(low - 2 * margin, high + 2 * margin)
    handles.append(
        axes.axline((0, 0), slope=1, color=DARK, linestyle=style.LINES[1], linewidth=0.9, label="calibrated: equal")
    )
    axes.set_xlabel(f"{LOG_LR} as given")
    axes.set_ylabel(f"{LOG_LR} after PAV")
    legend_above(figure, handles, columns=2)
    return figure


@look()
def det(systems: dict[str, np.ndarray], labels: np.ndarray, prior: float | None = None) -> Figure:
    """DET plot: miss against false-alarm rate on normal-deviate axes, with the equal error rates marked.

    Args:
        systems: name -> scores `(trials,)`, higher for the same speaker.
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.
        prior (float, *optional*): also mark where the detection cost is least at this probability of a same-speaker
            trial (both costs 1).

    Raises:
        ValueError: no system, a prior not between 0 and 1, or scores not finite, of another length than the labels, or
            trials of one kind only.

    Reference:
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
    handles = []
    for number, (name, trials) in enumerate(tallies.items()):
        later = min(len(tallies) - 1 - number, 2)  # drawn wider, so that equal curves show beneath one another
        colour = style.COLOURS[number % len(style.COLOURS)]
        marker = style.MARKERS[number % len(style.MARKERS)]
        line = {"linestyle": style.LINES[number % len(style.LINES)], "linewidth": 1.3 + 0.5 * later, "color": colour}
        point = {"marker": marker, "markersize": 4 + 1.5 * later, "markeredgewidth": 0}
        _, miss, false_alarm = trials.error_rates
        axes.plot(*det_curve(miss, false_alarm, low, high), **line)
        label = f"{name}: " + (f"EER {percent(rates[name])}" if rates[name] > 0 else "no errors")
        if rates[name] > 0:
            axes.plot(*2 * [ndtri(np.clip(rates[name], low, high))], color=colour, **point)
        if name in cheapest:
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
    """A DET curve as it is drawn.

    Args:
        miss (`(thresholds,)`): miss rates in 0..1, see [`Tally.error_rates`].
        false_alarm (`(thresholds,)`): false-alarm rates.
        low (float): the least rate that is visible.
        high (float): the greatest.

    Returns:
        `(x, y)`: normal deviates of the false-alarm and of the miss rates, thinned out, held just outside the visible
        range where they would be beyond it. Where equal scores make a slanted step it is straight between rates, as
        the EER takes it, and so bent here.
    """
    parts = max(1, style.CURVE_POINTS // miss.size)
    at = np.arange((miss.size - 1) * parts + 1) / parts
    x, y = (
        ndtri(np.clip(np.interp(at, np.arange(miss.size), rates), low / 2, (1 + high) / 2))
        for rates in (false_alarm, miss)
    )
    kept = thinned(x, y)
    return x[kept], y[kept]


def _tallies(systems: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Tally]:
    if not systems:
        raise ValueError("no system to draw: expected at least one name with its LLRs")
    tallies = {}
    for name, llrs in systems.items():
        try:
            tallies[name] = tally(llrs, labels)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return tallies


def _tippett_axis(axes, positions: list[np.ndarray]) -> tuple[float, float]:
    """Scale and label the axis of log10 LRs, each sorted; returns its limits."""
    left, right = (min(min(x[0] for x in positions), -1.0), max(max(x[-1] for x in positions), 1.0))
    scales = [np.quantile(np.abs(x), 0.99) for x in positions]
    inner = max(float(np.ceil(min(scales))), 1.0)
    label = LOG_LR
    if max(scales) > 8 * inner:
        axes.set_xscale("symlog", linthresh=inner, linscale=1.5)
        label += f" (linear to ±{inner:g}, logarithmic beyond)"
        decades = inner * 10.0 ** np.arange(1 + np.ceil(np.log10(max(-left, right) / inner)))
        ticks = np.concatenate([-decades[::-1], [-inner / 2, 0, inner / 2], decades])
        axes.xaxis.set_ticks(ticks)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", style.MINUS)))
    margin = 0.03
    transform = axes.xaxis.get_transform()
    ends = transform.transform(np.array([left, right]))
    ends += np.array([-margin, margin]) * np.ptp(ends)
    left, right = transform.inverted().transform(ends)
    axes.set_xlim(left, right)
    axes.set_xlabel(label)
    return left, right


def _text_handle(text: str) -> Line2D:
    return Line2D([], [], linestyle="none", label=text)


def _cheapest(trials: Tally, prior: float) -> tuple[float, float]:
    """The false-alarm and the miss rate at which the detection cost is least."""
    _, miss, false_alarm = trials.error_rates
    least = int(np.argmin(prior * miss + (1 - prior) * false_alarm))
    return float(false_alarm[least]), float(miss[least])


def _det_range(equal: list[float], others: list[float]) -> tuple[float, float]:
    """The visible rates: from the equal error rates, and others that are marked."""
    low = 1e-3
    marked = [rate for rate in equal if rate > 0] + [max(rate, 2e-4) for rate in others if rate > 0]
    while low > 1e-5 and marked and min(marked) < 2 * low:
        low /= 10
    return low, 0.5 if max(equal) < 0.3 else 0.995


def _cross_entropy(trials: Tally, llrs: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """In bits, `(priors,)`, of `llrs`, one for each distinct score."""
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
