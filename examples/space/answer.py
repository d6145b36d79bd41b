"""The HTML of an answer of the app, made from `templates/answer.html.jinja`, in which every value is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from comparison import Compared, Recording, Refused, beginning
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from balr_hf.domain import MEASURES, describe_range, measure_beyond_limits
from balr_hf.explanation import verbal_scale, wording
from balr_hf.figures import figure_svg, spectrograms
from balr_hf.figures.style import MINUS
from balr_hf.quality.level import LEAST

if TYPE_CHECKING:
    from balr_hf.explanation import Explanation
    from balr_hf.timeline import ComparedTimelines

# How many attributes for the same speaker are shown, and how many for different speakers.
TOP = 6

# What the rows of the table of recordings say: a measure, its name, and its value in words.
ROWS: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "duration": ("Length", lambda q: f"{q['duration']:.1f} s"),
    "net_speech": ("Speech", lambda q: f"{q['net_speech']:.1f} s"),
    "level": ("Level", lambda q: "none" if q["level"] <= LEAST else f"{q['level']:.0f} dBFS"),
    "snr": (
        "Signal-to-noise ratio",
        lambda q: "-" if q["snr"] is None else f"{q['snr']:.0f} dB" + "*" * (q["snr_method"] == "wada"),
    ),
    "bandwidth": ("Bandwidth", lambda q: "-" if q["bandwidth"] is None else f"{q['bandwidth'] / 1000:.1f} kHz"),
    "decay": ("Decays of sounds", lambda q: "-" if q.get("decay") is None else f"{q['decay']:.0f} dB/s"),
    "clipping": ("Clipped samples", lambda q: f"{q['clipping']:.2%}"),
    "tone_share": (
        "Steady tone",
        lambda q: "none" if q["tone"] is None else f"{q['tone']:.0f} Hz, {q['tone_share']:.1%} of the power",
    ),
    "sampling_rate": ("Sampling rate of the file", lambda q: f"{q['sampling_rate'] / 1000:g} kHz"),
}


@dataclass(frozen=True)
class Row:
    """A row of the table of recordings.

    Attributes:
        name: of the measure.
        cells: for each recording what was measured, and whether it lies beyond the limits of the calibration.
        known: the calibration's own range; empty where it has none.
    """

    name: str
    cells: tuple[tuple[str, bool], ...]
    known: str


@dataclass(frozen=True)
class Step:
    """A step of the verbal scale: its words, the limit to the next, its colour, and whether the answer is in it."""

    words: str
    edge: str
    colour: str
    strength: str
    is_here: bool


def answer(compared: Compared, sampling_rate: int, limits: Any = None) -> str:
    """The HTML of a comparison.

    Args:
        compared ([`Compared`]): the comparison.
        sampling_rate (int): in Hz, at which recordings are compared and drawn.
        limits ([`Limits`], *optional*): those of the comparison.
    """
    found = compared.explanation
    first = [compared.of_side(side)[0] for side in "AB"]
    heard = [beginning(one.path, sampling_rate) for one in first]
    titles = [
        f"{one.label}: {shortened(one.name)}{' (its beginning)' if more else ''}"
        for one, (_, more) in zip(first, heard, strict=True)
    ]
    tippett = found.tippett()
    return _template("answer.html.jinja").render(
        found=found,
        wording=wording,
        recordings=compared.recordings,
        rows=quality_rows(compared.recordings, found.calibration, limits),
        scale=scale_html(found) if found.has_verdict else None,
        figure=Markup(figure_svg(found.figure(TOP))),
        top=TOP,
        spectrograms=Markup(figure_svg(spectrograms([samples for samples, _ in heard], sampling_rate, titles))),
        tippett=None if tippett is None else Markup(figure_svg(tippett)),
    )


def refusal(refused: Refused) -> str:
    """The HTML of a comparison that cannot be made: why, and what is in the recordings."""
    rows = quality_rows(refused.recordings, None)
    return _template("refusal.html.jinja").render(
        refused=refused, recordings=refused.recordings, rows=rows, wording=wording
    )


def timeline_frame(found: ComparedTimelines | str) -> str:
    """The attributes over time as a frame, since their player is a script of its own; or why there are none."""
    if isinstance(found, str):
        return str(Markup('<div class="balr"><p class="note">{}</p></div>').format(found))
    from balr_hf.templates import html_environment
    from balr_hf.timeline.section import timeline_section

    style = html_environment("balr_hf.explanation").get_template("page.css").render()
    page = _template("timeline.html.jinja").render(style=Markup(style), section=timeline_section(found))
    return _template("frame.html.jinja").render(page=page)


def quality_rows(
    recordings: Sequence[Recording], calibration: Mapping[str, Any] | None, limits: Any = None
) -> list[Row]:
    """What was measured of each recording, beside what the calibration was made of.

    Args:
        recordings (sequence of [`Recording`]): those that are shown.
        calibration (dict, *optional*): what the scorer's configuration says of its calibration.
        limits ([`Limits`], *optional*): how far outside a recording may lie.
    """
    domain = (calibration or {}).get("domain") or {}
    rows = []
    for measure, (name, say) in ROWS.items():
        quantiles = domain.get("measures", {}).get(measure)
        cells = []
        for one in recordings:
            if one.quality is None:
                cells.append(("-", False))
                continue
            beyond = False
            if measure in MEASURES and one.quality.get(measure) is not None:
                beyond = bool(measure_beyond_limits(measure, np.array([one.quality[measure]]), domain, limits)[0])
            cells.append((_minus(say(one.quality)), beyond))
        rows.append(Row(name, tuple(cells), "" if quantiles is None else describe_range(measure, quantiles)))
    return rows


def scale_html(found: Explanation) -> str:
    """The verbal scale from different to same speaker, with a mark where the LR is, hatched beyond the bounds."""
    least = [start for start, _ in verbal_scale.SCALE][1:]
    degrees = range(-len(least), len(least) + 1)
    ends = np.log10([1e12, *least[::-1]])
    edges = [*-ends, *ends[::-1]]  # the ends stand for whatever is beyond

    def place(log10: float) -> str:
        return f"{100 * np.interp(log10, edges, np.linspace(0, 1, len(edges))):.2f}"

    here = verbal_scale.degree(found.llr) * (1 if found.llr >= 0 else -1)
    steps = []
    for degree in degrees:
        colour = "var(--muted)" if degree == 0 else f"var(--{'same' if degree > 0 else 'different'})"
        strength = 0.25 + 0.75 * max(abs(degree) - 1, 0) / (len(least) - 1)
        edge = degree + 1 if degree >= 0 else degree
        limit = "" if degree == degrees[-1] else f"{'1/' if edge < 0 else ''}{least[abs(edge) - 1]:,}"
        limit = limit.replace("1,000,000", "10⁶").replace("10,000", "10⁴")
        steps.append(Step(wording.strength(abs(degree)), limit, colour, f"{strength:.2f}", degree == here))
    bounds = None if found.bounds is None else [place(bound / wording.LOG10) for bound in found.bounds]
    return Markup(
        _template("scale.html.jinja").render(
            found=found, steps=steps, at=place(found.log10_llr), bounds=bounds, source=verbal_scale.SOURCE
        )
    )


def bounds_sentence(found: Explanation) -> str:
    """What the calibration can vouch for."""
    if found.bounds is None:
        return ""
    low, high = (wording.ratio(bound) for bound in found.bounds)
    return f"Bounds: the calibration vouches for an LR of {low} to {high}, no more (ELUB, Vergeer et al., 2016)."


def shortened(name: str, longest: int = 40) -> str:
    """A file's name, without its middle if it is too long."""
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 :]}"


def _minus(text: str) -> str:
    """Text with the sign of a number as figures have it, for reading."""
    return text.replace("-", MINUS) if text[:1] == "-" and len(text) > 1 else text


def _template(name: str) -> Any:
    return _ENVIRONMENT.get_template(name)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"minus": _minus}
_ENVIRONMENT.globals |= {"bounds_sentence": bounds_sentence}
