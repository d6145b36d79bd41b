"""A validation report as one HTML page. It loads nothing from elsewhere, so that it can be filed and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from balr_hf._version import __version__
from balr_hf.figures import performance
from balr_hf.figures.style import figure_svg
from balr_hf.figures.validation import zoo
from balr_hf.templates import html_environment
from balr_hf.validation import tables, wording
from balr_hf.validation.factors import FEW_SPEAKERS, FEW_TRIALS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from balr_hf.validation.findings import Findings


def figures(validation: Findings) -> dict[str, Figure]:
    """The figures of the report by their names: Tippett, PAV, ECE and DET plots, and the zoo plot.

    Args:
        validation ([`Findings`]): what to draw.
    """
    found = validation
    # With draws of the speakers there are bands, as there are intervals.
    about: dict[str, object] = {"speakers": found.speakers if found.evaluation.intervals else None}
    reported = {"reported": found.llrs}
    # A DET plot is of the order of the ratios: the bounds would make ties of those beyond.
    calibrated = "reported" if found.bounds is None else "calibrated, without bounds"
    means = [(one.name, one.mean_same, one.mean_different, one.animal) for one in found.zoo.placed]
    return {
        "tippett": performance.tippett(reported, found.labels, **about),  # type: ignore[arg-type]
        "pav": performance.pav(found.llrs, found.labels, **about),  # type: ignore[arg-type]
        "ece": performance.ece(found.exact, found.labels, bounds=found.bounds, **about),  # type: ignore[arg-type]
        "det": performance.det({calibrated: found.exact, "before calibration": found.raw}, found.labels, **about),  # type: ignore[arg-type]
        "zoo": zoo(means, found.zoo.quarters, tuple(wording.ANIMALS)),  # type: ignore[arg-type]
    }


def page(validation: Findings) -> str:
    """The HTML of the page, made from `templates/report.html.jinja`.

    Args:
        validation ([`Findings`]): what to report.
    """
    template = html_environment("balr_hf.validation").get_template("report.html.jinja")
    return template.render(
        found=validation,
        figures={name: Markup(figure_svg(figure)) for name, figure in figures(validation).items()},
        tables=tables,
        wording=wording,
        few_speakers=FEW_SPEAKERS,
        few_trials=FEW_TRIALS,
        version=__version__,
    )
