"""The section of a comparison's page that shows attributes over time, and plays a stretch when it is clicked."""

from __future__ import annotations

from markupsafe import Markup

from balr_hf.figures.style import figure_svg
from balr_hf.templates import html_environment
from balr_hf.timeline import wording
from balr_hf.timeline.compared import ComparedTimelines
from balr_hf.timeline.sound import data_address


def timeline_section(compared: ComparedTimelines) -> Markup:
    """The HTML of the section, for [`Explanation.to_html`]. It loads nothing from elsewhere.

    Args:
        compared ([`ComparedTimelines`]): what to show. Recordings whose sound was kept get a player.

    Returns:
        `Markup`, in which every value is escaped.
    """
    figures = []
    for recording in compared.drawn if compared.evidence else []:
        label = compared.label(recording)
        figure = compared.figure_of([recording], [None if recording.sound is None else f"#{label.lower()}"])
        sound = None if recording.sound is None else data_address(recording.sound)
        drawing = Markup(figure_svg(figure))
        box = figure.axes[0].get_position()  # of the waveform, as drawn: the player's place is shown there
        place = {"left": box.x0, "right": box.x1, "top": 1 - box.y1, "height": box.height}
        place["seconds"] = figure.axes[0].get_xlim()[1]
        figures.append((f"{label}: {recording.name}", drawing, sound, place))
    occlusion = compared.occlusion_figure()
    template = html_environment("balr_hf.timeline").get_template("timeline.html.jinja")
    return Markup(
        template.render(
            compared=compared,
            figures=figures,
            plays=any(sound is not None for _, _, sound, _ in figures),
            occlusion=None if occlusion is None else Markup(figure_svg(occlusion)),
            wording=wording,
        )
    )
