"""Recordings that a step left out: one warning that counts and names them, and a csv of their reasons."""

import csv
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from balr_hf.errors import name_some
from balr_hf.files import atomic_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Skipped:
    """A recording that a step left out, and why."""

    id: str
    reason: str


def warn_skipped(skipped: Sequence[Skipped], step: str) -> None:
    """One counted warning for all rows that a step left out."""
    if skipped:
        shown = name_some([f"{row.id} ({row.reason})" for row in skipped], limit=3)
        logger.warning("%s skipped %d recording%s: %s", step, len(skipped), "s" * (len(skipped) > 1), shown)


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write `id,reason` rows; complete or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "reason"])
        writer.writerows((row.id, row.reason) for row in skipped)
