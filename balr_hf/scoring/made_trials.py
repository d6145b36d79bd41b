"""Trials made of a corpus on demand: so many recordings against so many, in each pair of its conditions."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.data.audio_behind import ids_of_audio
from balr_hf.data.columns import comparable_name, recording_ids, rows_of, speaker_names
from balr_hf.errors import UserError
from balr_hf.scoring.trials import Trials

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)

# Trials of one speaker that are drawn for each speaker and pair of conditions, and trials of two speakers for each
# speaker and pair: more of the same recordings tell little more.
OF_ONE, OF_TWO = 10, 40
# Trials of all pairs of conditions together, at most about so many.
MOST = 200_000
# How often sides of one speaker without a common recording are drawn before that is given up.
TRIES = 10
# The columns in which balr degrade says what became of a recording, and which recording it was.
CONDITION, SOURCE = "condition", "source_id"

_NUMBERS = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,2})")


def parse_numbers(text: str) -> tuple[int, int] | None:
    """The numbers of recordings of `3x1`; None if the text is something else."""
    found = _NUMBERS.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2]))


def make_trials(
    dataset: datasets.Dataset,
    enroll: int = 1,
    test: int = 1,
    seed: int = 0,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Trials:
    """Make trials between sides of so many recordings, of one speaker and of two.

    No recording is on both sides, and no two copies of one recording are: of one `source_id` or, without that column,
    of the same audio. No two sides are compared twice. Where the corpus has copies in several conditions, a side's
    recordings are in one condition, and there are trials for every pair of conditions, equally many.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id` and `speaker`; recordings without a speaker are left out.
        enroll, test (int): recordings of the sides, at least 1.
        seed (int): decides which recordings are drawn.
        pairs (*optional*): the conditions of the two sides; every pair of conditions of the corpus by default.

    Returns:
        [`Trials`], with the ids of the recordings as rows.

    Raises:
        UserError: the corpus names no speakers, or has fewer than two with so many recordings, or none with enough for
            trials of one speaker; or a side is to have no recording.
    """
    if enroll < 1 or test < 1:
        raise UserError(f"sides of {enroll} and {test} recordings: expected at least 1 on each")
    if "speaker" not in dataset.column_names:
        raise UserError("trials can be made only of a corpus that names the speakers")
    recordings = _by_speaker_and_condition(dataset)
    if pairs is None:
        conditions = sorted({condition for of in recordings.values() for condition in of})
        pairs = list(itertools.combinations_with_replacement(conditions, 2))
    speakers = sorted(recordings)
    share = min(1.0, MOST / max(1, len(pairs) * len(speakers) * (OF_ONE + OF_TWO)))
    of_one, of_two = max(1, round(OF_ONE * share)), max(1, round(OF_TWO * share))
    rng = np.random.default_rng(seed)
    drawn: dict[frozenset[tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]] = {}
    same = 0
    for first, second in pairs:
        for speaker in speakers:
            own = recordings[speaker]
            before = len(drawn)
            for _ in range(of_one):
                sides = _two_sides(own.get(first, {}), own.get(second, {}), enroll, test, rng)
                if sides is None:
                    break
                drawn.setdefault(frozenset(sides), sides)
            same += len(drawn) - before
            others = [name for name in speakers if name != speaker and len(recordings[name].get(second, {})) >= test]
            if len(own.get(first, {})) < enroll or not others:
                continue
            for _ in range(of_two):
                other = recordings[others[int(rng.integers(len(others)))]][second]
                sides = _side(own[first], enroll, rng), _side(other, test, rng)
                drawn.setdefault(frozenset(sides), sides)
    if not same or len(drawn) == same:
        raise UserError(
            f"the corpus has too few recordings for trials of {enroll} against {test}: one speaker needs at least "
            f"{enroll + test} recordings, two speakers at least {max(enroll, test)} each; it has "
            f"{max((len(set().union(*of.values())) for of in recordings.values()), default=0)} at most"
        )
    return _as_trials(list(drawn.values()))


def trial_conditions(dataset: datasets.Dataset, trials: Trials) -> np.ndarray | None:
    """Which pair of conditions each trial is in: str `(trials,)`; None if the corpus tells no conditions.

    Raises:
        UserError: several recordings have one id of the trials.
    """
    if CONDITION not in dataset.column_names:
        return None
    row_of, condition_of = rows_of(dataset, trials.sides), [*dataset[CONDITION], None]
    sides = [
        " + ".join(sorted({str(condition_of[row_of.get(comparable_name(name), -1)]) for name in side}))
        for side in trials.sides
    ]
    return np.array(
        [" / ".join(sorted((sides[a], sides[b]))) for a, b in zip(trials.enroll, trials.test, strict=True)]
    )


def _by_speaker_and_condition(dataset: datasets.Dataset) -> dict[str, dict[str, dict[str, str]]]:
    """The recordings of each speaker in each condition: the id of each by its source, in order of the sources."""
    ids = recording_ids(dataset)
    sources: Sequence[str | None] = dataset[SOURCE] if SOURCE in dataset.column_names else ids_of_audio(dataset)
    known = CONDITION in dataset.column_names
    conditions: Sequence[str | None] = dataset[CONDITION] if known else [""] * len(dataset)
    rows = zip(ids, sources, speaker_names(dataset), conditions, strict=True)
    found: dict[str, dict[str, dict[str, str]]] = {}
    copies = 0
    for name, source, speaker, condition in sorted(rows, key=lambda row: (str(row[1]), str(row[0]))):
        if speaker is not None:
            own = found.setdefault(speaker, {}).setdefault(str(condition), {})
            copies += str(source or name) in own
            own[str(source or name)] = name
    if copies:
        logger.warning(
            "%d recordings are copies of others of the same speaker and condition, and are in no trial", copies
        )
    return found


def _two_sides(
    first: dict[str, str], second: dict[str, str], enroll: int, test: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Two sides of one speaker without a common source; None if none were found."""
    if len(first) < enroll or len(second) < test or len(first.keys() | second.keys()) < enroll + test:
        return None
    for _ in range(TRIES):
        chosen = _side({source: source for source in first}, enroll, rng)
        left = {source: name for source, name in second.items() if source not in chosen}
        if len(left) >= test:
            return tuple(first[source] for source in chosen), _side(left, test, rng)
    return None


def _side(recordings: dict[str, str], number: int, rng: np.random.Generator) -> tuple[str, ...]:
    names = list(recordings.values())
    return tuple(names[row] for row in sorted(rng.choice(len(names), number, replace=False).tolist()))


def _as_trials(pairs: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> Trials:
    number_of: dict[tuple[str, ...], int] = {}
    numbers = np.array([[number_of.setdefault(side, len(number_of)) for side in pair] for pair in pairs])
    rows = [[",".join(side) for side in pair] for pair in pairs]
    return Trials(["enrollment", "test"], rows, [list(side) for side in number_of], numbers[:, 0], numbers[:, 1])
