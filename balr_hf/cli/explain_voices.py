"""The parts of `balr explain` that ask whether each recording holds one voice, and what the detectors hear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments

if TYPE_CHECKING:
    from balr_hf.domain import Limits
    from balr_hf.explanation.heard import Heard, HeardOfSides
    from balr_hf.explanation.voices import OneVoice
    from balr_hf.quality import Measured
    from balr_hf.scoring.modeling_scorer import Scorer


@dataclass(frozen=True)
class VoicesFound:
    """What was found of the voices in the recordings of the two sides; nothing of a side that was not looked at.

    Attributes:
        one: whether each recording holds one voice; None of one that is too short.
        heard: how much each sounds like what detectors listen for.
        rows: rows of the detectors, for the report.
    """

    one: "tuple[tuple[OneVoice | None, ...], tuple[OneVoice | None, ...]]" = ((), ())
    heard: "HeardOfSides" = field(default_factory=dict)
    rows: tuple[tuple[str, str], ...] = ()


def find_voices(
    arguments: Arguments,
    measured: "Mapping[str, Measured]",
    quality: "tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]",
    sides: Sequence[Sequence[str]],
    models: Mapping[str, Any],
    scorer: "Scorer",
    limits: "Limits",
) -> VoicesFound:
    """Look for a second voice in the recordings of the two sides.

    Where the attributes were there already, the models must be known to belong to the scorer, or nothing is looked at.

    Args:
        arguments: the command's arguments.
        measured: the recordings that have audio, by name.
        quality: what was measured of those of either side.
        sides: their names.
        models: the models that are loaded already, by their roles.
        scorer: the scorer.
        limits: from which on there is no verdict.
    """
    from balr_hf.cli.models import load_autoencoder, load_embedder
    from balr_hf.detectors.detection import listen_to_each
    from balr_hf.detectors.detector import load_detectors_of
    from balr_hf.devices import resolve_devices
    from balr_hf.embeddings.passes import heard_recording
    from balr_hf.errors import UserError
    from balr_hf.explanation.heard import heard_of_sides
    from balr_hf.explanation.voices import can_compare_parts
    from balr_hf.identity import known_to_belong
    from balr_hf.system.parts import one_voice_each

    if not measured:
        return VoicesFound()
    try:
        embedder: Any = models["Embedder"] if "Embedder" in models else load_embedder(arguments)
        autoencoder: Any = models["Autoencoder"] if "Autoencoder" in models else load_autoencoder(arguments)
    except UserError:
        return VoicesFound()
    if len(models) < 2 and not known_to_belong(embedder, autoencoder, scorer):
        return VoicesFound()
    detectors = load_detectors_of(embedder, str(embedder.name_or_path), "The {name} does not listen")
    compares = arguments.calibrated and can_compare_parts(scorer)
    if not detectors and not compares:
        return VoicesFound()
    device = resolve_devices(arguments.device)[0]
    quick = embedder.for_inference().to(device)
    one: list[tuple[OneVoice | None, ...]] = [(), ()]
    heard: list[list[dict[str, Heard]]] = [[], []]
    for side, (names, known) in enumerate(zip(sides, quality, strict=True)):
        recordings = [measured[name] for name in names if name in measured]
        if len(recordings) < len(names):
            continue
        samples = [heard_recording(each, quick.feature_extractor) for each in recordings]
        if compares:
            stretches = [each.stretches for each in recordings]
            one[side] = tuple(one_voice_each(quick, autoencoder, scorer, samples, stretches, known, device, limits))
        heard[side] = listen_to_each(quick, detectors, samples, device, limits)
    rows = tuple((detector.name, detector.describe()) for detector in detectors.values())
    return VoicesFound((one[0], one[1]), heard_of_sides(*heard), rows)
