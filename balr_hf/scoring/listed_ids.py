"""The recordings of a trial list as a corpus names them: with or without the ending of the audio file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.data.columns import comparable_name, recording_ids
from balr_hf.errors import UserError, name_some
from balr_hf.scoring.trials import Trials

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


def match_ids(dataset: datasets.Dataset, trials: Trials) -> Trials:
    """Give the recordings of a trial list the ids that they have in a corpus.

    Public lists name files (`id10270/x6uYqmx31kE/00001.wav`), and a corpus may have ids without the ending, or the
    other way round. An id that the corpus lacks is taken for the one that differs in nothing but an ending of audio
    files, if there is exactly one, and a warning says for how many. All others stay as they are.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        trials ([`Trials`]): the trials.

    Returns:
        [`Trials`]: with the same rows, and sides that name the recordings as the corpus does.

    Raises:
        UserError: an id of the list fits several recordings of the corpus, or several ids of the list fit one.
    """
    listed = dict.fromkeys(name for side in trials.sides for name in side)
    ids = set(map(comparable_name, recording_ids(dataset)))
    unknown = [name for name in listed if name not in ids]
    if not unknown:
        return trials
    with_ending: dict[str, list[str]] = {}
    for name in ids:
        if (stem := _without_ending(name)) is not None:
            with_ending.setdefault(stem, []).append(name)
    found: dict[str, str] = {}
    for name in unknown:
        stem = _without_ending(name)
        fitting = with_ending.get(name, []) if stem is None else [stem] if stem in ids else []
        if len(fitting) > 1:
            raise UserError(
                f"the trial list names {name}, and the corpus has {name_some(sorted(fitting))}: write the ids in the "
                "list as they are in the corpus"
            )
        if fitting:
            found[name] = fitting[0]
    _check_distinct(found, listed)
    if not found:
        return trials
    one = next(iter(found))
    logger.warning(
        "Matched %d of the %d recordings of the trial list to ids of the corpus that differ only in the ending of the "
        "audio file: %s is %s there",
        *(len(found), len(listed), one, found[one]),
    )
    sides = [[found.get(name, name) for name in side] for side in trials.sides]
    return Trials(trials.header, trials.rows, sides, trials.enroll, trials.test)


def _check_distinct(found: dict[str, str], listed: dict[str, None]) -> None:
    """Check that no two ids of the list were taken for one recording."""
    taken: dict[str, str] = {}
    for name, there in found.items():
        other = there if there in listed else taken.setdefault(there, name)
        if other != name:
            raise UserError(
                f"the trial list names {other} and {name}, and both fit {there} of the corpus: write the ids in the "
                "list as they are in the corpus"
            )


def _without_ending(name: str) -> str | None:
    """The name without the ending of an audio file; None if it has none."""
    stem, _, ending = name.rpartition(".")
    return stem if stem and ending.lower() in AUDIO_FORMATS else None
