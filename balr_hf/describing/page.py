"""The descriptions of all attributes as one HTML page to browse. It loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from balr_hf._version import __version__
from balr_hf.describing.clips import Example
from balr_hf.describing.description import AttributeDescription, Meaning
from balr_hf.describing.descriptions import AttributeDescriptions
from balr_hf.describing.measures import MEASURES, Group
from balr_hf.describing.strips import Box, strip
from balr_hf.describing.wording import NOT_SAID, PAIRS, by_sex, pairs, told
from balr_hf.templates import html_environment


def page(
    descriptions: AttributeDescriptions,
    name: str,
    examples: Sequence[Sequence[Example]] = (),
    clips: Mapping[str, str] | None = None,
) -> str:
    """The HTML of the page, made from `templates/attributes.html.jinja`.

    Args:
        descriptions: what to show.
        name: what the system is called.
        examples: recordings to listen to for each attribute, see [`balr_hf.describing.clips.examples`].
        clips: the sound of each, by its id, see [`balr_hf.describing.clips.clips`].
    """
    template = html_environment("balr_hf.describing").get_template("attributes.html.jinja")
    return template.render(
        descriptions=descriptions,
        name=name,
        meanings=list(Meaning),
        groups=list(Group),
        counts=descriptions.count(),
        figures=lambda one: _figures(descriptions, one),
        by_sex=by_sex,
        told=told,
        not_said=NOT_SAID,
        pairs=PAIRS,
        examples=examples,
        clips=clips or {},
        version=__version__,
    )


def _figures(descriptions: AttributeDescriptions, description: AttributeDescription) -> list[tuple[str, str, Markup]]:
    """For each measure that is kept: what it is called, what it tells alone, and the figure of both states."""
    found = []
    for one in description.associations:
        measure = MEASURES[one.measure]
        boxes = [Box("active", one.active, True), Box("inactive", one.inactive, False)]
        figure = strip(measure, descriptions.population.measures.get(one.measure), boxes)
        found.append((measure.label, pairs(one.auc), figure))
    return found
