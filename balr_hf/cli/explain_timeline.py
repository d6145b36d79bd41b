"""The part of `balr explain` that looks at attributes over time: `--timeline` and `--occlusion`."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments

if TYPE_CHECKING:
    import datasets

    from balr_hf.explanation import Explanation
    from balr_hf.scoring.modeling_scorer import Scorer
    from balr_hf.timeline import ComparedTimelines

logger = logging.getLogger(__name__)

# The share of a recording's attributes that may differ from those that were compared: rounding, on another machine.
ROUNDING = 0.01


def compared_timelines(
    arguments: Arguments,
    dataset: "datasets.Dataset",
    sides: Sequence[Sequence[str]],
    models: Mapping[str, Any],
    scorer: "Scorer",
    explanation: "Explanation",
) -> "ComparedTimelines | None":
    """What `--timeline` and `--occlusion` ask for; None if neither was given.

    Args:
        arguments: the command's arguments.
        dataset: the recordings with their attributes, and with audio.
        sides: the names of the recordings of either side.
        models: those that made attributes in this run, by their roles.
        scorer: the scorer that compared the attributes.
        explanation: of the comparison.

    Raises:
        UserError: a recording has no audio, or its attributes are not those that the models make of it.
        MismatchError: the models do not belong together, and that was not allowed.
    """
    if not (arguments.timeline or arguments.occlusion):
        return None
    from balr_hf.cli.models import load_autoencoder, load_embedder
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import MismatchError, UserError, name_some
    from balr_hf.identity import wrong_parts
    from balr_hf.timeline import ComparedTimelines, SystemParts

    audio = dict(zip(dataset["id"], dataset["audio"], strict=True)) if "audio" in dataset.column_names else {}
    silent = [name for side in sides for name in side if audio.get(name) is None]
    if silent:
        raise UserError(f"--timeline looks at windows of the recordings, but there is no audio of {name_some(silent)}")
    embedder: Any = models["Embedder"] if "Embedder" in models else load_embedder(arguments)
    autoencoder: Any = models["Autoencoder"] if "Autoencoder" in models else load_autoencoder(arguments)
    wrong = wrong_parts(embedder, autoencoder, scorer)
    if wrong is not None and not arguments.allow_mismatch:
        raise MismatchError(wrong)
    parts = SystemParts(embedder.to(resolve_devices(arguments.device)[0]), autoencoder)
    found = ComparedTimelines.of(
        parts,
        [[(name, audio[name]) for name in side] for side in sides],
        explanation,
        occlusion=arguments.occlusion,
        sound=arguments.html is not None,
        min_speech=arguments.min_speech,
    )
    _check_attributes(found, dataset)
    return found


def page_sections(found: "ComparedTimelines | None") -> list[str]:
    """What is added to the page of the comparison: nothing, if nothing was asked for."""
    if found is None:
        return []
    from balr_hf.timeline.section import timeline_section  # needs matplotlib

    return [timeline_section(found)]


def save_figures(found: "ComparedTimelines", folder: Path) -> None:
    """Write the figures to a folder, as PNG and SVG."""
    from balr_hf.figures.style import save_figure

    for name, figure in (("timeline", found.figure()), ("occlusion", found.occlusion_figure())):
        if figure is not None:
            paths = save_figure(figure, folder, name)
            logger.info("Wrote %s", " and ".join(map(str, paths)))


def _check_attributes(found: "ComparedTimelines", dataset: "datasets.Dataset") -> None:
    """Refuse attributes of a corpus that are not those which the models make of the audio.

    Raises:
        UserError: too many differ.
    """
    import numpy as np

    from balr_hf.errors import UserError

    compared = dict(zip(dataset["id"], dataset["ba"], strict=True))
    for recording in found.recordings:
        differ = int((np.asarray(compared[recording.name], dtype=bool) != recording.timeline.whole).sum())
        attributes = len(recording.timeline.whole)
        if differ > ROUNDING * attributes:
            raise UserError(
                f"{recording.name}: {differ} of its {attributes} attributes in the corpus are not those that the "
                "models make of its audio, so that its windows say nothing of them: name the models that made them "
                "(--system), or compare the audio files themselves"
            )
        if differ:
            logger.warning(*("%s: %d of its attributes differ from those that were compared", recording.name, differ))
