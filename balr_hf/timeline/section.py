"""The section of a comparison's page that shows attributes over time, and plays a stretch when it is clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from balr_hf.figures.style import figure_svg
from balr_hf.templates import html_environment
from balr_hf.timeline import wording
from balr_hf.timeline.sound import data_address

if TYPE_CHECKING:
    from balr_hf.timeline.compared import ComparedTimelines


def section(compared: ComparedTimelines) -> Markup:
    """The HTML of the section, made from `templates/timeline.html.jinja`. It loads nothing from elsewhere.

    Args:
        compared ([`ComparedTimelines`]): what to show. Recordings whose sound was kept get a player.
    """
    names = dict(zip(map(id, compared.drawn), compared.columns()[2:], strict=True))
    figures = []
    for recording in compared.drawn if compared.evidence else []:
        name = names[id(recording)].lower()
        figure = compared._figure([recording], [None if recording.sound is None else f"#{name}"])
        sound = None if recording.sound is None else data_address(recording.sound)
        figures.append((f"{recording.side}: {recording.name}", Markup(figure_svg(figure)), sound))
    occlusion = compared.occlusion_figure()
    template = html_environment("balr_hf.timeline").get_template("timeline.html.jinja")
    return Markup(
        template.render(
            compared=compared,
            figures=figures,
            plays=any(sound is not None for _, _, sound in figures),
            occlusion=None if occlusion is None else Markup(figure_svg(occlusion)),
            wording=wording,
        )
    )
