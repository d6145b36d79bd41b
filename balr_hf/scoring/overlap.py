"""Who of some trials is in a scorer's reference population, or in its calibration: by name, or by a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.data.columns import recording_ids, recordings_of, speaker_names
from balr_hf.data.recording_digests import recording_digests
from balr_hf.errors import name_some

if TYPE_CHECKING:
    import datasets

    from balr_hf.scoring.modeling_scorer import Scorer

ROLES = ("reference", "calibration")


@dataclass(frozen=True)
class Overlap:
    """What a scorer was made with among the recordings of some trials.

    Attributes:
        speakers (list of str): the speakers whose names it knows, sorted.
        recordings (list of str): the ids of the recordings that it knows, of speakers whose names it does not know.
    """

    speakers: list[str]
    recordings: list[str]

    def __bool__(self) -> bool:
        return bool(self.speakers or self.recordings)

    def describe(self, of: str = "of the test") -> str:
        """Count and name them: `2 speakers of the test (a, b)`.

        Args:
            of (str): whose they are.
        """
        parts = []
        if self.speakers:
            parts.append(f"{_number(self.speakers, 'speaker')} {of} ({name_some(self.speakers)})")
        if self.recordings:
            unlike = "whose speakers have other names there" if self.speakers else "under whatever names"
            parts.append(f"{_number(self.recordings, 'recording')} {of}, {unlike} ({name_some(self.recordings)})")
        return ", and ".join(parts)

    @property
    def remedy(self) -> str:
        """What is to be done about it."""
        if self.speakers and not self.recordings:
            return "Use others, or --allow-overlap if these are different people of the same name"
        return "Leave these recordings out; --allow-overlap takes them all the same"


def known_lists(found: Mapping[str, Overlap]) -> dict[str, dict[str, list[str]]]:
    """Whom and what of a test a scorer was made with, as `metrics.json` lists them by role.

    Args:
        found: of [`overlaps`].
    """
    return {
        "speakers_known_to_scorer": {role: known.speakers for role, known in found.items()},
        "recordings_known_to_scorer": {role: known.recordings for role, known in found.items()},
    }


def _number(named: Sequence[str], what: str) -> str:
    return f"{len(named)} {what}{'s' * (len(named) > 1)}"


def overlaps(
    scorer: Scorer, dataset: datasets.Dataset, sides: Sequence[Sequence[str]], speakers: Iterable[str] | None
) -> dict[str, Overlap]:
    """Look for the recordings of trials, and for their speakers, among those that a scorer was made with.

    Args:
        scorer ([`Scorer`]): the scorer.
        dataset (`datasets.Dataset`): the corpus of the trials.
        sides: the ids of the recordings of each side of the trials.
        speakers: the speakers' names; None where they are not known.

    Returns:
        an [`Overlap`] for each role: `reference` for the reference population, and `calibration`.
    """
    heard = recordings_of(dataset, sides)
    digests, ids = recording_digests(heard), recording_ids(heard)
    told = speaker_names(heard) if "speaker" in heard.column_names else [None] * len(heard)
    names = None if speakers is None else set(speakers)
    found = {}
    for role in ROLES:
        known = [] if names is None else scorer.known_speakers(names, role)
        by_name = set(known)
        rows = np.flatnonzero(scorer.known_recordings(digests, role))
        found[role] = Overlap(known, [ids[row] for row in rows if told[row] not in by_name])
    return found
