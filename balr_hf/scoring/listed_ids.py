"""The recordings of a trial list as a corpus names them: by its ids, or by the names of the audio files."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.audio import AUDIO_FORMATS
from balr_hf.data.audio_behind import audio_paths
from balr_hf.data.columns import comparable_name, recording_ids
from balr_hf.errors import UserError, name_some
from balr_hf.scoring.trial_lists import Trials, describe_unknown_list

if TYPE_CHECKING:
    import datasets

logger = logging.getLogger(__name__)


def match_ids(dataset: datasets.Dataset, trials: Trials) -> Trials:
    """Give the recordings of a trial list the ids that they have in a corpus.

    Public lists name files (`id10270/x6uYqmx31kE/00001.wav`), and a corpus may have ids without the ending, or the
    other way round, or other ids altogether. An id that the corpus lacks is taken for the one that differs in nothing
    but an ending of audio files, or for the recording whose audio file has a path that ends with it (`test/x.flac` and
    also `x.flac` for `/data/test/x.flac`), if there is exactly one. A warning says for how many. All others stay as
    they are.

    Args:
        dataset (`datasets.Dataset`): the corpus. No audio is read.
        trials ([`Trials`]): the trials.

    Returns:
        [`Trials`]: with the same rows, and sides that name the recordings as the corpus does.

    Raises:
        UserError: an id of the list fits several recordings of the corpus, or several ids of the list fit one, or the
            corpus has no recording of the list.
    """
    listed = dict.fromkeys(name for side in trials.sides for name in side)
    in_order = [comparable_name(name) for name in recording_ids(dataset)]
    ids = set(in_order)
    unknown = [name for name in listed if name not in ids]
    if not unknown:
        return trials
    by_ending, by_path = _with_other_ending(unknown, ids), _with_audio_at(unknown, dataset, in_order)
    found: dict[str, str] = {}
    for name in unknown:
        fitting, same_file = by_ending.get(name, []), by_path.get(name, [])
        if len(fitting) != 1 or (same_file and fitting[0] not in same_file):
            fitting = list(dict.fromkeys([*fitting, *same_file]))
        if len(fitting) > 1:
            raise UserError(
                f"the trial list names {name}, and the corpus has {name_some(sorted(fitting))}: write the ids in the "
                "list as they are in the corpus"
            )
        if fitting:
            found[name] = fitting[0]
    if len(unknown) == len(listed) and not found:
        raise UserError(describe_unknown_list(listed, in_order))
    _check_distinct(found, listed)
    if not found:
        return trials
    one = next(iter(found))
    logger.warning(
        "Matched %d of the %d recordings of the trial list to recordings of the corpus by the name of the audio file, "
        "or because the ids differ only in its ending: %s is %s there",
        *(len(found), len(listed), one, found[one]),
    )
    return replace(trials, sides=[[found.get(name, name) for name in side] for side in trials.sides])


def _with_other_ending(names: Iterable[str], ids: Collection[str]) -> dict[str, list[str]]:
    """The ids that differ from each name in nothing but an ending of audio files, for the names that have such."""
    with_ending: dict[str, list[str]] = {}
    for name in ids:
        if (stem := _without_ending(name)) is not None:
            with_ending.setdefault(stem, []).append(name)
    found: dict[str, list[str]] = {}
    for name in names:
        stem = _without_ending(name)
        fitting = with_ending.get(name, []) if stem is None else [stem] if stem in ids else []
        if fitting:
            found[name] = fitting
    return found


def _with_audio_at(names: Iterable[str], dataset: datasets.Dataset, ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the recordings whose audio has a path that ends with each name, for the names that have such."""
    found: dict[str, list[str]] = {}
    paths = audio_paths(dataset)
    if paths is None:
        return found
    names_of: dict[str, list[str]] = {}
    for name in names:
        names_of.setdefault(posixpath.normpath(name), []).append(name)
    lengths = {name.count("/") + 1 for name in names_of}
    for path, recording in zip(paths, ids, strict=True):
        parts = [] if path is None else path.replace(os.sep, "/").split("/")
        for length in lengths:
            if length <= len(parts):
                for name in names_of.get(comparable_name("/".join(parts[-length:])), ()):
                    found.setdefault(name, []).append(recording)
    return found


def leave_out_missing(trials: Trials, usable: Collection[str]) -> Trials:
    """Leave out the trials of recordings that cannot be compared, such as those that extraction skipped.

    A trial is left out if any recording of its two sides is missing: no side is made one of fewer recordings. A
    warning counts the trials, and counts and names the recordings.

    Args:
        trials ([`Trials`]): the trials, whose ids are those of the corpus; see [`match_ids`].
        usable: the ids of the recordings of the corpus that can be compared.

    Returns:
        [`Trials`]: those that are left, with the sides that these have, and the number of the others as `left_out`.

    Raises:
        UserError: no trial is left.
    """
    known = set(map(comparable_name, usable))
    lacking = [[name for name in side if comparable_name(name) not in known] for side in trials.sides]
    is_lacking = np.fromiter(map(bool, lacking), bool, len(lacking))
    gone = is_lacking[trials.enroll] | is_lacking[trials.test]
    if not gone.any():
        return trials
    names = sorted({name for side in lacking for name in side})
    told = f"recordings that are not in the corpus or have no attributes ({len(names)}): {name_some(names, 20)}"
    if gone.all():
        raise UserError(f"no trial of the list is left without {told}")
    logger.warning("Left out %d of the %d trials, which are of %s", gone.sum(), len(trials), told)
    left = trials.select(np.flatnonzero(~gone)).without_unused_sides()
    return replace(left, left_out=trials.left_out + int(gone.sum()))


def describe_list(name: str | Path, trials: Trials) -> str:
    """Name a trial list for a report, with how many trials of it were left out by [`leave_out_missing`]."""
    without = f", without {trials.left_out} trials of recordings that are missing" if trials.left_out else ""
    return f"{name}{without}"


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
