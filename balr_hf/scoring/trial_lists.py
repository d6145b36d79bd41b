"""Trial lists, which say which recordings are compared, and the scores that are written beside them."""

import csv
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from balr_hf.data.columns import comparable_name
from balr_hf.errors import ConfigError, UserError, name_some
from balr_hf.files import atomic_path
from balr_hf.scoring.trial_forms import (
    LABEL,
    SIDES,
    describe_no_scores,
    describe_one_column,
    meaning,
    read_known_form,
)
from balr_hf.untrusted import SafeWriter

logger = logging.getLogger(__name__)

# How many recordings of one side are looked up together on the other side.
LOOKUPS_AT_ONCE = 2**22
# The columns of results that are written beside trials: in a list that has some, they are those of an earlier run.
RESULTS = ("scores", "raw_scores", "unbounded_scores", "embedding_cosine", "outside")
# What to do about recordings of a trial list that cannot be compared, and where the reason stands.
LEAVE_OUT = "--leave-out-missing leaves these out (in Python, leave_out_missing of balr_hf.scoring.listed_ids)"
IF_SKIPPED = (
    "Recordings that balr extract skipped are named in its skipped.csv, with the reason: balr extract --min-speech 0 "
    "keeps those with too little speech"
)


@dataclass
class Trials:
    """A trial list, and the distinct sides that its trials are between.

    Attributes:
        header: the column names of the file.
        rows: the rows of the file, as they were read.
        sides: the distinct sides, each a list of recording ids.
        enroll: int `(trials,)`, the number of each trial's enrollment side.
        test: int `(trials,)`, the number of each trial's test side.
        left_out (int): how many trials of the file were left out because their recordings are missing; see
            [`leave_out_missing`][balr_hf.scoring.listed_ids.leave_out_missing].

    Raises:
        UserError: the numbers are not whole, are negative or those of no side, or are not equally many.
    """

    header: list[str]
    rows: list[list[str]]
    sides: list[list[str]]
    enroll: np.ndarray
    test: np.ndarray
    left_out: int = 0

    def __post_init__(self) -> None:
        self.enroll, self.test = np.asarray(self.enroll), np.asarray(self.test)
        if len(self.enroll) != len(self.test):
            raise UserError(f"trials of {len(self.enroll)} enrollments and {len(self.test)} tests: they are pairs")
        self.check_numbers(*[len(self.sides) or None] * 2)

    def check_numbers(self, enrollments: int | None, tests: int | None) -> None:
        """Check that the numbers of the trials' sides are those of sides that there are.

        Args:
            enrollments, tests (int): how many there are; None where that is not known.

        Raises:
            UserError: the numbers are not whole, are negative, or are those of no side.
        """
        for name, numbers, count in (("enroll", self.enroll, enrollments), ("test", self.test, tests)):
            if not len(numbers):
                continue
            if numbers.dtype.kind not in "iu":
                raise UserError(f"the trials' {name} are of type {numbers.dtype}: expected whole numbers of sides")
            low, high = int(numbers.min()), int(numbers.max())
            if low < 0 or (count is not None and high >= count):
                wrong = low if low < 0 else high
                least = "at least 0" if count is None else f"0 to {count - 1}, since there are {count} sides"
                raise UserError(f"the trials' {name} have a side of the number {wrong}: expected {least}")

    def __len__(self) -> int:
        return len(self.enroll)

    @classmethod
    def between(cls, enroll: np.ndarray, test: np.ndarray) -> "Trials":
        """Make trials between sides that are known by their numbers only.

        Args:
            enroll (int `(trials,)`): the number of each trial's enrollment side.
            test (int `(trials,)`): the number of each trial's test side.
        """
        return cls([], [], [], np.asarray(enroll), np.asarray(test))

    def select(self, kept: np.ndarray) -> "Trials":
        """Keep the trials at some positions, int `(kept,)`; the sides stay as they are."""
        rows = [self.rows[position] for position in kept] if self.rows else []
        return Trials(self.header, rows, self.sides, self.enroll[kept], self.test[kept], self.left_out)

    def describe(self, row: int) -> str:
        """The two sides of a trial, for a message."""
        return " against ".join(name_some(self.sides[side[row]], 3) for side in (self.enroll, self.test))

    def without_unused_sides(self) -> "Trials":
        """Leave out the sides that no trial has, and number the others anew."""
        used, numbers = np.unique(np.stack([self.enroll, self.test]), return_inverse=True)
        enroll, test = numbers.reshape(2, -1)
        return Trials(self.header, self.rows, [self.sides[side] for side in used], enroll, test, self.left_out)


def read_trials(path: str | Path, sep: str = "\t", scored: bool = False) -> Trials:
    """Read a trial list: a header, then rows with two sides, each a comma-separated list of recording ids.

    A list of VoxCeleb (each line `1 ID ID` or `0 ID ID`) or of Kaldi (`ID ID target` or `ID ID nontarget`), separated
    by white space and without a header, is read as one with the columns `label`, `enrollment` and `test` in its order.
    The sides are in the columns `enrollment` and `test`, in upper or lower case. If the header lacks one of these
    names, they are in the first two columns, and a warning says so. A first line that names recordings of the other
    lines is no header but a trial, and a warning says that too. Recording ids are compared without surrounding white
    space and in Unicode's normal form C. A recording that is named twice on one side counts once. Trials whose two
    sides share a recording are left out, because a recording says nothing about a comparison with itself. One warning
    each says how many sides and trials this concerns.

    Args:
        path (str or Path): the file.
        sep (str): the character that separates the columns.
        scored (bool): the list has scores. Without a header it is then of Kaldi's form (`ID ID SCORE`), WeSpeaker's
            (`ID ID SCORE target`, with or without what score normalisation adds) or SpeechBrain's (`ID ID 1 SCORE`),
            and is read as one with a column `scores`.

    Returns:
        [`Trials`].

    Raises:
        ConfigError: `sep` is not one character.
        UserError: the file is missing or empty, has fewer than two columns, has a row with an empty
            side, may be read in several ways, or has no trial whose sides share no recording.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no trial list at {path}")
    if len(sep) != 1:
        raise ConfigError(f"--sep {sep!r}: expected one character")
    try:
        known_form = read_known_form(path, sep, scored)
        header, rows = (
            _read_columns(path, sep, scored) if known_form is None else (list(known_form[0].header), known_form[1])
        )
    except UnicodeDecodeError as error:
        raise UserError(f"the trial list {path} is empty or not text") from error
    if known_form is not None:
        logger.info("Read the trial list %s as %s", path, known_form[0].named)
        sides, numbers = _number_sides(path, rows, *map(header.index, SIDES), first_line=1)
    else:
        header, rows, sides, numbers = _find_sides(path, sep, header, rows)
    distinct = [list(dict.fromkeys(side)) for side in sides]
    repeating = [side for side, once in zip(sides, distinct, strict=True) if len(once) < len(side)]
    if repeating:
        logger.warning(
            "%d different sides in the trial list %s name a recording more than once, and it counts only once: %s",
            *(len(repeating), path, name_some((name_some(side, 3) for side in repeating), 3)),
        )
    trials = Trials(header, rows, distinct, numbers[:, 0], numbers[:, 1])
    return _without_shared_recordings(path, trials)


def _read_columns(path: Path, sep: str, scored: bool) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a file with columns, at least two, and rows, at least one.

    Raises:
        UserError: it is none.
    """
    csv.field_size_limit(2**31 - 1)  # a side may list thousands of recordings
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            known: dict[str, str] = {}  # a text that many rows have is held once
            header, *rows = [
                [known.setdefault(cell, cell) for cell in row] for row in csv.reader(file, delimiter=sep) if row
            ]
    except (ValueError, csv.Error) as error:
        raise UserError(f"the trial list {path} is empty or not text") from error
    if len(header) < 2:
        describe = describe_no_scores if scored else describe_one_column
        raise UserError(describe(path, header[0], sep))
    if not rows:
        raise UserError(f"the trial list {path} has a header but no trials")
    return header, rows


def _find_sides(
    path: Path, sep: str, header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]], list[list[str]], np.ndarray]:
    """Find the columns of the sides, which a warning names unless the header does.

    Returns:
        `(header, rows, sides, numbers)`: the header, the rows, to which the first line belongs if it is a trial, and
        what [`_number_sides`] returns.
    """
    names = [name.strip().lower() for name in header]
    if set(SIDES) <= set(names):
        return header, rows, *_number_sides(path, rows, *map(names.index, SIDES))
    sides, numbers = _number_sides(path, rows, 0, 1)
    first = {comparable_name(name) for text in header[:2] for name in text.split(",")}
    if first & set(chain.from_iterable(sides)):
        logger.warning("The trial list %s has no header: its first line is a trial, and counts as one", path)
        rows = [header, *rows]
        header = _names_of_columns(rows, len(header))
        sides, numbers = _number_sides(path, rows, 0, 1, first_line=1)
    else:
        logger.warning(
            "Took the first line of the trial list %s for a header, and its first two columns for the sides, "
            "since no column is named %s: %s. If it is a trial, add a header above it",
            *(path, " or ".join(name for name in SIDES if name not in names), name_some(header)),
        )
    if len(header) > 2 and all(meaning(row[0]) is not None for row in rows):
        logger.warning(
            "The first column of the trial list %s seems to hold labels, as in lists of VoxCeleb, and not "
            "recordings: add a header that names the columns of the sides, such as label%senrollment%stest",
            *(path, sep, sep),
        )
    return header, rows, sides, numbers


def _names_of_columns(rows: list[list[str]], width: int) -> list[str]:
    """Names for the columns of a list without a header: of the one further column that holds labels, `label`."""
    names = [*SIDES, *(f"column {number + 1}" for number in range(2, width))]
    labels = [
        place for place in range(2, width) if all(len(row) > place and meaning(row[place]) is not None for row in rows)
    ]
    if len(labels) == 1:
        names[labels[0]] = LABEL
    return names


def _number_sides(
    path: Path, rows: list[list[str]], *columns: int, first_line: int = 2
) -> tuple[list[list[str]], np.ndarray]:
    """Find the distinct sides in some columns of a trial list, whose rows begin in line `first_line` of its file.

    Returns:
        `(sides, numbers)`: the recording ids that each distinct side names, and the number of each trial's sides,
        int64 `(trials, columns)`.
    """
    import pyarrow as pa

    def empty_side(row: int) -> UserError:
        return UserError(f"the trial list {path} has an empty side in row {row + first_line}: {name_some(rows[row])}")

    short = np.fromiter(map(len, rows), np.int64, len(rows)) <= max(columns)
    if short.any():
        raise empty_side(int(short.argmax()))
    cells = list(chain.from_iterable(map(itemgetter(*columns), rows)))
    encoded = pa.array(cells, pa.large_string()).dictionary_encode()
    numbers = encoded.indices.to_numpy().astype(np.int64).reshape(-1, len(columns))
    texts = encoded.dictionary.to_pylist()
    sides = [[name for name in map(comparable_name, text.split(",")) if name] for text in texts]
    empty = np.array([not side for side in sides])[numbers].any(1)
    if empty.any():
        raise empty_side(int(empty.argmax()))
    return sides, numbers


def _without_shared_recordings(path: Path, trials: Trials) -> Trials:
    """Leave out the trials whose two sides share a recording, and the sides that no other trial has.

    Raises:
        UserError: no trial is left.
    """
    shared = sharing_recordings(trials)
    if not shared.any():
        return trials
    some = [trials.describe(row) for row in np.flatnonzero(shared)[:3]]
    if shared.all():
        raise UserError(
            f"no trial is left of the trial list {path}, because the two sides of each share a recording: "
            + "; ".join(some)
        )
    logger.warning(
        "Left out %d of the %d trials in %s, because their two sides share a recording: %s%s",
        *(shared.sum(), len(trials), path, "; ".join(some), "; ..." if shared.sum() > len(some) else ""),
    )
    return trials.select(np.flatnonzero(~shared)).without_unused_sides()


def sharing_recordings(trials: Trials) -> np.ndarray:
    """Tell which trials have a recording on both sides, bool `(trials,)`."""
    number_of: dict[str, int] = {}
    recordings = np.array([number_of.setdefault(name, len(number_of)) for side in trials.sides for name in side])
    lengths = np.array([len(side) for side in trials.sides])
    starts = np.cumsum(lengths) - lengths
    # Each recording of each side has one key; the recordings of a trial's shorter side are looked up in the other's.
    keys = np.sort(np.repeat(np.arange(len(lengths)), lengths) * len(number_of) + recordings)
    swapped = lengths[trials.enroll] > lengths[trials.test]
    shorter = np.where(swapped, trials.test, trials.enroll)
    longer = np.where(swapped, trials.enroll, trials.test)
    shared = np.zeros(len(trials), dtype=bool)
    ends = np.cumsum(lengths[shorter])
    start = 0
    while start < len(trials):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + LOOKUPS_AT_ONCE, side="right")))
        counts = lengths[shorter[start:stop]]
        trial = np.repeat(np.arange(start, stop), counts)
        offset = np.arange(len(trial)) - np.repeat(np.cumsum(counts) - counts, counts)
        wanted = longer[trial] * len(number_of) + recordings[starts[shorter[trial]] + offset]
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        shared[trial[keys[place] == wanted]] = True
        start = stop
    return shared


def describe_unknown_list(listed: Iterable[str], ids: Iterable[str]) -> str:
    """Say that a trial list and a corpus have no recording in common, with some ids of either."""
    theirs, ours = (" and ".join(islice(names, 2)) for names in (listed, ids))
    return (
        f"none of the recordings in the trial list is in the corpus: the list names {theirs}, and the ids of the "
        f"corpus are such as {ours}. Both should be the same, or the list should name the audio files of the corpus, "
        "which then needs its column audio"
    )


def write_scores(path: Path, trials: Trials, columns: Mapping[str, np.ndarray], sep: str = "\t") -> None:
    """Write a trial list with further columns.

    Columns of the list that are results, as the `scores.csv` of an earlier run has them, are left out with a warning,
    so that no name is there twice. Rows of the list that are shorter than others are filled up with empty cells.

    Args:
        path (Path): the file to write.
        trials ([`Trials`]): the trial list, as it was read.
        columns (Mapping[str, np.ndarray]): the names of the further columns, and their values `(trials,)`: figures,
            which are written in float32 precision, or texts.
        sep (str): the character that separates the columns.
    """
    width = max(map(len, trials.rows), default=0)
    header = [*trials.header, *(f"column {number + 1}" for number in range(len(trials.header), width))]
    results = {*RESULTS, *columns}
    kept = [position for position, name in enumerate(header) if name.strip() not in results]
    if len(kept) < len(header):
        left_out = [name for name in header if name.strip() in results]
        logger.warning(
            "Left out columns of the trial list that hold results of another run: %s. In %s, columns of these names "
            "hold what was computed now",
            *(", ".join(left_out), path),
        )
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = SafeWriter(file, delimiter=sep)
        writer.writerow([*(header[position] for position in kept), *columns])
        texts = [column if column.dtype == object else map("{:.9g}".format, column) for column in columns.values()]
        filled = (row if len(row) == len(header) else [*row, *[""] * (len(header) - len(row))] for row in trials.rows)
        rows = filled if len(kept) == len(header) else ([row[position] for position in kept] for row in filled)
        writer.writerows([*row, *values] for row, values in zip(rows, zip(*texts, strict=True), strict=True))
