"""Trials that are evidence of their own: no comparison of audio with itself, and none that counts twice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.data.audio_behind import describe_contradicted_speakers, ids_of_audio
from balr_hf.data.columns import comparable_name, recording_ids
from balr_hf.errors import UserError, name_some
from balr_hf.scoring.counts import SideCounts
from balr_hf.scoring.trial_forms import is_label, meaning
from balr_hf.scoring.trials import Trials, score_trials, sharing_recordings

if TYPE_CHECKING:
    import datasets

    from balr_hf.scoring.counts import Counts
    from balr_hf.scoring.trials import TrialScorer

logger = logging.getLogger(__name__)

# So many trials are scored both ways to see whether a scorer is symmetric, and may differ by so much.
BOTH_WAYS, TOLERANCE = 100, 1e-4


def without_shared_audio(dataset: datasets.Dataset, trials: Trials) -> tuple[Trials, np.ndarray | None]:
    """Leave out the trials whose two sides hold the same audio under different names.

    They are left out as trials are that have one recording on both sides, and a warning counts and names them.

    Args:
        dataset (`datasets.Dataset`): the corpus, with what is known of its audio.
        trials ([`Trials`]): the trials.

    Returns:
        `(trials, kept)`: those that are left, and their positions, int `(kept,)`; None if all are left.

    Raises:
        UserError: no trial is left.
    """
    heard = _by_audio(dataset, trials)
    if heard is None:
        return trials, None
    shared = sharing_recordings(heard)
    if not shared.any():
        return trials, None
    told = name_some(map(trials.describe, np.flatnonzero(shared).tolist()), 3)
    if shared.all():
        raise UserError(f"no trial is left, because the two sides of each hold the same audio: {told}")
    logger.warning(
        "Left out %d of the %d trials, because their two sides hold the same audio under different names: %s",
        *(shared.sum(), len(trials), told),
    )
    kept = np.flatnonzero(~shared)
    return trials.select(kept), kept


def counted_once(
    dataset: datasets.Dataset, trials: Trials, scorer: TrialScorer, counts: Counts | SideCounts
) -> np.ndarray | None:
    """Find the trials to be evaluated, so that each pair of sides counts once.

    A pair that is listed again, or the other way round, is the same evidence, and so is one of the same audio under
    other names: it would seem as if more was known. A warning counts what is left out. Pairs that are listed both ways
    count twice only for a scorer that scores them differently.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        trials ([`Trials`]): the trials.
        scorer ([`TrialScorer`]): scores them.
        counts: of the sides, as for [`score_trials`][balr_hf.scoring.trials.score_trials].

    Returns:
        int `(kept,)`: the positions of the first trial of each pair, in rising order; None if all are distinct.
    """
    kept, ordered = distinct_pairs(dataset, trials)
    if len(ordered) > len(kept):
        mirrored = np.setdiff1d(ordered, kept, assume_unique=True)
        if not is_symmetric(scorer, counts, trials.select(mirrored[:BOTH_WAYS])):
            kept = ordered
    if len(kept) == len(trials):
        return None
    logger.warning(
        "%d of the %d trials repeat a pair of sides that is listed before, in the same or in the opposite order, and "
        "count no further: %d trials are left",
        *(len(trials) - len(kept), len(trials), len(kept)),
    )
    return kept


def distinct_pairs(dataset: datasets.Dataset, trials: Trials) -> tuple[np.ndarray, np.ndarray]:
    """The first trial of each pair of sides, whatever their names of the same audio.

    Args:
        dataset, trials: as for [`counted_once`].

    Returns:
        `(kept, ordered)`: int positions in rising order, with the two orders of a pair taken for one, and for two.
    """
    number_of: dict[tuple[str, ...], int] = {}
    sides = (_by_audio(dataset, trials) or trials).sides
    numbers = np.array([number_of.setdefault(tuple(sorted(side)), len(number_of)) for side in sides])
    enroll, test = numbers[trials.enroll], numbers[trials.test]
    low, high = np.minimum(enroll, test), np.maximum(enroll, test)
    return _first_of_each(low * len(number_of) + high), _first_of_each(enroll * len(number_of) + test)


def is_symmetric(scorer: TrialScorer, counts: Counts | SideCounts, trials: Trials) -> bool:
    """Tell whether a scorer gives trials the same scores with their sides exchanged.

    Args:
        scorer, counts, trials: as for [`counted_once`].
    """
    used, numbers = np.unique(np.stack([trials.enroll, trials.test]), return_inverse=True)
    enroll, test = numbers.reshape(2, -1)
    some = counts.of(used) if isinstance(counts, SideCounts) else counts[used]
    both = Trials.between(np.concatenate([enroll, test]), np.concatenate([test, enroll]))
    one_way, other_way = score_trials(scorer, some, both).reshape(2, -1)
    return bool(np.allclose(one_way, other_way, rtol=TOLERANCE, atol=TOLERANCE))


def check_speakers_of_audio(dataset: datasets.Dataset, trials: Trials) -> None:
    """Check that no audio of the trials is in the corpus as that of several speakers.

    Raises:
        UserError: some is; the message names it.
    """
    wrong = describe_contradicted_speakers(dataset, {name for side in trials.sides for name in side})
    if wrong is not None:
        raise UserError(f"{wrong}. One of the names is wrong: correct the corpus, or take these recordings out")


def check_labels(trials: Trials, same: np.ndarray) -> None:
    """Check that no label of a trial list contradicts the corpus.

    Args:
        trials, same: as for [`describe_contradicted_labels`].

    Raises:
        UserError: some do; the message counts them.
    """
    wrong = describe_contradicted_labels(trials, same)
    if wrong is not None:
        raise UserError(f"{wrong}. Correct the list or the corpus, or take the column out")


def describe_contradicted_labels(trials: Trials, same: np.ndarray) -> str | None:
    """Say how many labels of a trial list contradict the corpus's speakers; None if it has no labels, or all agree.

    A column is one of labels if it has one of the names in [`balr_hf.scoring.trial_forms.LABELS`], in any case, and
    0 and 1, or words such as `target` and `nontarget`. What else stands there is told in a warning, and not compared.

    Args:
        trials ([`Trials`]): the trials, with the columns of their list.
        same (`(trials,)`): bool, whether the corpus says that both sides are of one speaker.
    """
    for place, name in enumerate(trials.header):
        if not is_label(name) or not trials.rows:
            continue
        told = [meaning(row[place]) if place < len(row) else None for row in trials.rows]
        understood = np.array([one is not None for one in told])
        if not understood.any():
            continue
        if not understood.all():
            first = trials.rows[int(understood.argmin())]
            logger.warning(
                "%d of the %d labels in the column %r of the trial list are not understood (such as %r): they are not "
                "compared with the corpus",
                *((~understood).sum(), len(trials), name, first[place] if place < len(first) else ""),
            )
        wrong = (np.array(told, dtype=bool) != same) & understood
        if wrong.any():
            return (
                f"{wrong.sum()} of the {len(trials)} labels in the column {name!r} of the trial list contradict the "
                "corpus, whose speakers decide what is a trial of one speaker"
            )
    return None


def _by_audio(dataset: datasets.Dataset, trials: Trials) -> Trials | None:
    """The trials with recordings of the same audio under one name; None if all audio differs."""
    ids, heard = [comparable_name(name) for name in recording_ids(dataset)], ids_of_audio(dataset)
    other = {name: audio for name, audio in zip(ids, heard, strict=True) if name != audio}
    if not other:
        return None
    sides = [[other.get(name, name) for name in map(comparable_name, side)] for side in trials.sides]
    return Trials(trials.header, trials.rows, sides, trials.enroll, trials.test)


def _first_of_each(values: np.ndarray) -> np.ndarray:
    """The positions at which each value first occurs, in rising order."""
    return np.sort(np.unique(values, return_index=True)[1])
