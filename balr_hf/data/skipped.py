"""Recordings that a step left out: a warning that counts and names them, and a csv with the reasons."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from balr_hf.errors import name_some
from balr_hf.files import atomic_path
from balr_hf.untrusted import SafeWriter

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Skipped:
    """A recording that a step left out, and why."""

    id: str
    reason: str


def warn_skipped(skipped: Sequence[Skipped], step: str) -> None:
    """Log one warning that counts the recordings which a step left out, and names the first ones.

    Args:
        skipped: the recordings, with the reasons.
        step (str): what left them out, as the start of the sentence: `Embedding extraction`.
    """
    if skipped:
        shown = name_some([f"{row.id} ({row.reason})" for row in skipped], limit=3)
        logger.warning("%s skipped %d recording%s: %s", step, len(skipped), "s" * (len(skipped) > 1), shown)


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write a csv with the columns `id` and `reason`, complete or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = SafeWriter(file)
        writer.writerow(["id", "reason"])
        writer.writerows((row.id, row.reason) for row in skipped)
