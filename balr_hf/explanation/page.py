"""An explanation as one HTML page. It loads nothing from elsewhere, so that it can be filed and printed as it is."""

from collections.abc import Sequence

from markupsafe import Markup

from balr_hf._version import __version__
from balr_hf.explanation import verbal_scale, wording
from balr_hf.explanation.findings import Findings
from balr_hf.figures.style import figure_svg
from balr_hf.templates import html_environment


def page(findings: Findings, top: int = 10, sections: Sequence[str] = ()) -> str:
    """The HTML of the page, made from `templates/page.html.jinja`.

    Args:
        findings ([`Findings`]): the findings to show.
        top (int): how many attributes for the same speaker the tables and the figure show, and how many for different
            speakers; a table that unfolds shows all of them.
        sections (sequence of `Markup`): further sections, after the tables of attributes. Plain strings are shown as
            text.
    """
    tippett = findings.tippett()
    template = html_environment("balr_hf.explanation").get_template("page.html.jinja")
    return template.render(
        findings=findings,
        top=top,
        sections=sections,
        figure=Markup(figure_svg(findings.figure(top))),
        tippett=None if tippett is None else Markup(figure_svg(tippett)),
        wording=wording,
        verbal_scale=verbal_scale,
        parts=_strips(findings),
        version=__version__,
    )


def _strips(findings: Findings) -> list[tuple[str, list[tuple[list[list[str]], Markup]]]]:
    """The parts of the table of measures: for each measure of both sides its rows of cells, and its figure."""
    rows = findings.side_measures()
    if not rows:
        return []
    from balr_hf.describing.strips import Box, Mark, strip

    found: list[list[tuple[list[list[str]], Markup]]] = [[], []]
    for row in rows:
        sides = zip("AB", (row.a, row.b), row.middles, strict=True)
        boxes = [Box(sex, known.quartiles, False, has_figures=False) for sex, known in row.by_sex.items()]
        marks = [Mark(side, values, middle) for side, values, middle in sides if middle is not None]
        figure = Markup() if row.measure.is_amount else strip(row.measure, row.population, [*boxes, *marks])
        found[row.measure.is_of_recording].append((row.rows(), figure))
    return [(part, drawn) for part, drawn in zip(wording.MEASURE_PARTS, found, strict=True) if drawn]
