"""What was measured of recordings: a Dataset's column `recording_quality`, and `quality.csv` beside vector files."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from balr_hf.audio import reason_not_decoded
from balr_hf.data.columns import arrow_column, comparable_name, recording_ids
from balr_hf.data.skipped import Skipped
from balr_hf.errors import UserError
from balr_hf.files import append_lines, atomic_path
from balr_hf.quality import RecordingQuality, load_measured, reason_to_refuse
from balr_hf.threads import num_cores, on_threads
from balr_hf.untrusted import SafeWriter, safe_rows

if TYPE_CHECKING:
    import datasets

    from balr_hf.quality import Measured

logger = logging.getLogger(__name__)

# The name of the column, and of the csv in the folder that vector files are saved to.
COLUMN, FILE = "recording_quality", "quality.csv"
# Recordings that are measured together, for each core: so many are in memory at once.
TOGETHER = 4

# By how much seconds, dB and Hz of one recording may differ, as other decoders of a lossy format may have it.
SAME_AUDIO = {"duration": 0.01, "level": 0.1, "sampling_rate": 0}

# What a recording is loaded as: with the measures of the recording, or with those of the voice too.
Loaded = TypeVar("Loaded")

_TYPES = {field.name: str(field.type).removesuffix(" | None") for field in fields(RecordingQuality)}
# Measures that records of earlier versions lack: the last ones, in the order in which they were added. A record of an
# earlier version has the first of them, or none.
LATER = ("decay",)
_EARLIER = [name for name in _TYPES if name not in LATER]


def add_quality_column(dataset: datasets.Dataset, known: Mapping[str, Mapping[str, Any]]) -> datasets.Dataset:
    """Add the column `recording_quality` to a corpus, in place of an earlier one.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id`.
        known: the measures by recording, as [`RecordingQuality.to_dict`] gives them; others get None. If there are
            none at all, the Dataset stays as it is.
    """
    if not known:
        return dataset
    if COLUMN in dataset.column_names:
        dataset = dataset.remove_columns(COLUMN)
    return dataset.add_column(COLUMN, [known.get(name) for name in recording_ids(dataset)], feature=quality_feature())


def quality_feature() -> dict[str, Any]:
    """The type of the column."""
    import datasets

    values = {"float": datasets.Value("float64"), "int": datasets.Value("int64"), "str": datasets.Value("string")}
    return {name: values[kind] for name, kind in _TYPES.items()}


def known_quality(dataset: datasets.Dataset) -> dict[str, dict[str, Any]]:
    """The measures by recording, of those that have any; none if the Dataset lacks the column."""
    import pyarrow.compute as pc

    if COLUMN not in dataset.column_names or not isinstance(dataset.features[COLUMN], dict):
        return {}
    if not set(_EARLIER) <= dataset.features[COLUMN].keys():
        return {}
    measured = arrow_column(dataset, COLUMN)
    rows = np.flatnonzero(pc.is_valid(pc.struct_field(measured, "duration")).to_numpy(zero_copy_only=False))
    ids = arrow_column(dataset, "id").take(rows).to_pylist()
    later = dict.fromkeys(LATER)
    return {name: {**later, **row} for name, row in zip(ids, measured.take(rows).to_pylist(), strict=True)}


def quality_by_name(dataset: datasets.Dataset) -> dict[str, dict[str, Any]]:
    """What [`known_quality`] returns, by the ids in the form in which those of trial lists are compared."""
    return {comparable_name(name): row for name, row in known_quality(dataset).items()}


def read_quality(path: Path) -> dict[str, dict[str, Any]]:
    """The measures by recording of a `quality.csv`; of a recording that is listed twice, the last ones.

    Rows that are not whole, as a run that was killed may leave one, are left out. So is a file that another program
    wrote, which has other columns.
    """
    if not path.is_file():
        return {}
    found = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = safe_rows(file)
        heading = next(rows, None) or []
        if heading != ["id", *_TYPES][: len(heading)] or len(heading) <= len(_EARLIER):
            return {}
        for name, *texts in rows:
            row = _parsed(texts)
            if row is not None:
                found[name] = row
    return found


def append_quality(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Add rows to a `quality.csv` in one piece, so that several processes may do so."""
    if not rows:
        return
    append_lines(path, _csv([*_lines(rows)]), heading=_csv([["id", *_TYPES]]))


def write_quality(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a `quality.csv` anew: complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(_csv([["id", *_TYPES], *_lines(rows)]), encoding="utf-8")


def is_of_other_audio(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows of measures cannot be of one recording, by what no way of measuring changes.

    Args:
        row, other: as [`RecordingQuality.to_dict`] gives them.
    """
    values = ((row[name], other[name], most) for name, most in SAME_AUDIO.items())
    return any(None not in (one, another) and not abs(one - another) <= most for one, another, most in values)


def was_accepted(row: Mapping[str, Any]) -> bool:
    """Whether a recording with these measures is embedded, as far as they tell."""
    return None not in (row["level"], row["net_speech"]) and reason_to_refuse(RecordingQuality(**row)) is None


def measure_corpus(dataset: datasets.Dataset, progress: bool = False) -> Iterator[tuple[str, Measured | Skipped]]:
    """Measure each recording of a corpus: `(id, measured)`, or `(id, skipped)` where it cannot be decoded.

    Args:
        dataset (`datasets.Dataset`): a corpus with `audio`.
        progress (bool): show a progress bar.

    Raises:
        UserError: the corpus has no audio.
    """
    return each_recording(dataset, load_measured, progress)


def each_recording(
    dataset: datasets.Dataset, load: Callable[[Any], Loaded], progress: bool = False
) -> Iterator[tuple[str, Loaded | Skipped]]:
    """Load each recording of a corpus: `(id, loaded)`, or `(id, skipped)` where it cannot be decoded.

    Args:
        dataset (`datasets.Dataset`): a corpus with `audio`.
        load: decodes and measures one recording, on one of several threads: [`load_measured`], or [`load_voice`].
        progress (bool): show a progress bar.

    Raises:
        UserError: the corpus has no audio.
    """
    from tqdm.auto import tqdm

    if "audio" not in dataset.column_names:
        raise UserError(f"the corpus has no audio column (columns: {', '.join(dataset.column_names)})")
    with tqdm(total=len(dataset), desc="Measuring", unit="recording", disable=not progress) as bar:
        together = TOGETHER * num_cores()
        for start in range(0, len(dataset), together):
            batch = dataset[start : start + together]
            measured = on_threads(lambda audio: _measured(audio, load), batch["audio"])
            for name, found in zip(batch["id"], measured, strict=True):
                bar.update()
                yield name, Skipped(name, found) if isinstance(found, str) else found


def _measured(audio: Any, load: Callable[[Any], Loaded]) -> Loaded | str:
    try:
        return load(audio)
    except Exception as error:
        return reason_not_decoded(error)


def _lines(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[Sequence[Any]]:
    for name, row in rows.items():
        values = [row.get(measure) for measure in _TYPES]
        yield [name, *("" if value is None else value for value in values)]


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    SafeWriter(text).writerows(rows)
    return text.getvalue()


def _parsed(texts: Sequence[str]) -> dict[str, Any] | None:
    """The measures of one row; None if it is not whole."""
    if not len(_EARLIER) <= len(texts) <= len(_TYPES):
        return None
    texts = [*texts, *[""] * (len(_TYPES) - len(texts))]
    try:
        named = zip(_TYPES.items(), texts, strict=True)
        return {name: None if text == "" else _PARSERS[kind](text) for (name, kind), text in named}
    except ValueError:
        return None


def _whole(text: str) -> int:
    """The whole number that a text is, if a column of whole numbers can hold it."""
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"{text} has more than 64 bits")
    return number


_PARSERS: dict[str, Callable[[str], Any]] = {"float": float, "int": _whole, "str": str}
