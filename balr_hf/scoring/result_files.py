"""The scores of one system, as a result's folder or a list of another program has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from balr_hf.errors import UserError, name_some
from balr_hf.evaluation import describe_known, numbers_known
from balr_hf.identity import file_digest
from balr_hf.scoring.trial_forms import as_number, separator_of_scores
from balr_hf.scoring.trials import Trials, read_trials

# The column of scores that is read, the first one that is there: those of `balr validate` without its bounds.
SCORES = ("unbounded_scores", "scores")


@dataclass(frozen=True)
class Result:
    """The scores that a system gave to a list of trials.

    Attributes:
        name (str): the folder or file that it was read from, and the column if that was named.
        trials ([`Trials`]): the trials, as the file lists them.
        scores (float64 `(trials,)`): higher for the same speaker.
        are_ratios (bool): whether they are calibrated, so that Cllr means something.
        about (dict): what `metrics.json` says of the scorer, of the models before it, of what was wrong with them;
            `corpus`, what the scored corpus was called; and `known`, how many of the speakers they were made with.
    """

    name: str
    trials: Trials
    scores: np.ndarray
    are_ratios: bool
    about: Mapping[str, Any]


def read_result(source: str, sep: str = "\t") -> Result:
    """Read what `balr score test` or `balr validate` wrote, or the scores of another program.

    Args:
        source (str): the folder; or a csv file with the columns of a trial list and one called `scores`; or a list of
            Kaldi, WeSpeaker or SpeechBrain, which has no header: see [`read_trials`]. `:COLUMN` after it names another
            column, such as `raw_scores` or `embedding_cosine`. Scores of such a column, or of a file, are taken to be
            no likelihood ratios.
        sep (str): the character that separates the columns, unless the header names `enrollment` and `test` by another
            one: the two lists that are compared may have different ones.

    Raises:
        UserError: there is no such result or column, `scores.csv` is not the one that its metrics were computed from,
            or a score is no finite number.
    """
    place, column = (source, None) if Path(source).exists() else _divided(source)
    path = Path(place)
    about: dict[str, Any] = {}
    if path.is_dir():
        about, path = _about(path, column), path / "scores.csv"
    if not path.is_file():
        raise UserError(f"no scores at {path}: expected a folder of balr score test or balr validate, or a csv file")
    trials = read_trials(path, separator_of_scores(path, sep), scored=True)
    names = SCORES if column is None else (column,)
    header = trials.header
    if column is None and not set(SCORES) & set(header):
        header = [name.strip().lower() for name in header]
    found = next((name for name in names if name in header), None)
    if found is None:
        other = f". To compare one of these, write {place}:COLUMN" if column is None else ""
        raise UserError(
            f"{path} has no column {column or 'scores'}: its columns are {name_some(trials.header)}{other}"
        )
    if header.count(found) > 1:
        raise UserError(f"{path} has {header.count(found)} columns called {found}: which one is meant is unknown")
    position = header.index(found)
    try:
        scores = np.array([as_number(row[position]) for row in trials.rows])
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: a value of the column {found} is no number ({error})") from error
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise UserError(
            f"{path}: {len(wrong):,} of the {len(scores):,} scores in the column {found} are not finite, such as "
            f"{scores[wrong[0]]:g} of {trials.describe(wrong[0])}. Take these trials out, and say --common"
        )
    return Result(source, trials, scores, column is None and about.get("calibration") is not None, about)


def _about(folder: Path, column: str | None) -> dict[str, Any]:
    """What `metrics.json` says of the scores beside it, or of the column that is named.

    Raises:
        UserError: it is not there or damaged, or of other scores.
    """
    try:
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} has no metrics.json of balr score test or balr validate ({error})") from error
    if not isinstance(found, dict) or "scores_sha256" not in found:
        raise UserError(f"{folder / 'metrics.json'} is not from balr score test or balr validate")
    scores = folder / "scores.csv"
    if scores.is_file() and file_digest(scores) != found["scores_sha256"]:
        raise UserError(f"{scores} is not the one that {folder / 'metrics.json'} was computed from")
    known = numbers_known(found)
    if column == "embedding_cosine":  # which no autoencoder or scorer has a part in
        known = {role: numbers for role, numbers in known.items() if role == "embedder"}
    told = describe_known(known, column is None and found.get("calibration") is not None)
    corpus = found.get("corpus")
    names = ("scorer", "scorer_digest", "chain", "calibration", "mismatch")
    return {
        **{name: found.get(name) for name in names},
        "corpus": corpus.get("name") if isinstance(corpus, dict) else None,
        "known": told,
    }


def _divided(source: str) -> tuple[str, str | None]:
    """The file or folder, and the column that is named after the last colon; None if there is none."""
    place, colon, column = source.rpartition(":")
    return (place, column) if colon and Path(place).exists() else (source, None)
