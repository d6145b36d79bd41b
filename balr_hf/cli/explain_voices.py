"""The parts of `balr explain` that ask whether each recording holds one voice, and one at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments

if TYPE_CHECKING:
    from balr_hf.domain import Limits
    from balr_hf.explanation.overlapped import Overlapped
    from balr_hf.explanation.voices import OneVoice
    from balr_hf.overlapped.detector import OverlappedSpeechDetector
    from balr_hf.quality import Measured
    from balr_hf.scoring.modeling_scorer import Scorer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VoicesFound:
    """What was found of the voices in the recordings of the two sides; nothing of a side that was not looked at.

    Attributes:
        one: whether each recording holds one voice; None of one that is too short.
        overlapped: how much each sounds like people who speak at the same time.
        rows: rows of the detector of these, for the report.
    """

    one: "tuple[tuple[OneVoice | None, ...], tuple[OneVoice | None, ...]]" = ((), ())
    overlapped: "tuple[tuple[Overlapped, ...], tuple[Overlapped, ...]]" = ((), ())
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
    from balr_hf.devices import resolve_devices
    from balr_hf.embeddings.passes import heard_recording
    from balr_hf.errors import UserError
    from balr_hf.explanation.voices import can_compare_parts
    from balr_hf.identity import known_to_belong, model_identity
    from balr_hf.overlapped.detection import overlapped_each
    from balr_hf.overlapped.detector import DETECTOR
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
    detector = _detector(str(embedder.name_or_path), model_identity(embedder), embedder.num_statistics)
    device = resolve_devices(arguments.device)[0]
    quick = embedder.for_inference().to(device)

    compares = arguments.calibrated and can_compare_parts(scorer)
    one: list[tuple[OneVoice | None, ...]] = [(), ()]
    overlapped: list[tuple[Overlapped, ...]] = [(), ()]
    for side, (names, known) in enumerate(zip(sides, quality, strict=True)):
        recordings = [measured[name] for name in names if name in measured]
        if len(recordings) < len(names):
            continue
        samples = [heard_recording(each, quick.feature_extractor) for each in recordings]
        if compares:
            stretches = [each.stretches for each in recordings]
            one[side] = tuple(one_voice_each(quick, autoencoder, scorer, samples, stretches, known, device, limits))
        if detector is not None:
            overlapped[side] = tuple(overlapped_each(quick, detector, samples, device, limits))
    rows = () if detector is None else ((DETECTOR, detector.describe()),)
    return VoicesFound((one[0], one[1]), (overlapped[0], overlapped[1]), rows)


def _detector(source: str, embedder: str, num_statistics: int | None) -> "OverlappedSpeechDetector | None":
    """The detector that lies beside an embedder, if there is one and it is that of this embedder.

    Args:
        source (str): the folder or Hub repository that the embedder was loaded from.
        embedder (str): the identity of the embedder.
        num_statistics (int, *optional*): how many it has.

    Raises:
        UserError: it is damaged.
    """
    from balr_hf.errors import MismatchError
    from balr_hf.overlapped.detector import load_detector

    if Path(source).exists() and not Path(source).is_dir():  # a checkpoint of WeSpeaker, beside which there is none
        return None
    found = load_detector(source)
    if found is None:
        return None
    try:
        found.check(embedder, num_statistics)
    except MismatchError as error:  # features may have been changed by settings
        logger.warning("People who speak at the same time are not looked for: %s", error.wrong)
        return None
    return found
