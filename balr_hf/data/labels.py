"""Labels of a corpus that contradict each other, or are one label written in several ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from balr_hf.data.columns import arrow_column, comparable_name
from balr_hf.errors import name_some
from balr_hf.populations import OF_SPEAKERS

if TYPE_CHECKING:
    import datasets

# What corpora call the sexes, and what they are called as labels are compared, and in descriptions.
SEXES = {"f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male"}
# So many cases of each kind are named.
NAMED = 3


def describe_odd_labels(dataset: datasets.Dataset) -> list[str]:
    """Say which labels are most likely mistakes: speakers of two sexes, and one value that is written in several ways.

    Both make trials of one kind pass for the other, or leave some out, without a sign in any figure.

    Args:
        dataset (`datasets.Dataset`): a corpus with `speaker`, `sex` and the other columns of
            [`balr_hf.populations.OF_SPEAKERS`], as far as it has them.

    Returns:
        sentences, each of one column.
    """
    import pyarrow as pa

    told = []
    for column in ("speaker", *OF_SPEAKERS):
        if column not in dataset.column_names:
            continue
        values = arrow_column(dataset, column)
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            continue
        written = _written_alike(column, values.unique().drop_null().to_pylist())
        if written:
            told.append(
                f"The column {column} has values that seem to be one, and are taken for several: "
                f"{name_some((' and '.join(map(repr, some)) for some in written), NAMED)}"
            )
        if column == "sex" and "speaker" in dataset.column_names:
            several = _with_several(arrow_column(dataset, "speaker").to_pylist(), values.to_pylist())
            if several:
                have = "speaker has" if len(several) == 1 else "speakers have"
                told.append(
                    f"{len(several)} {have} recordings of more than one sex ({name_some(several, NAMED)}): these are "
                    "wrongly labelled, or under the name of another speaker"
                )
    return told


def _comparable(column: str, value: str) -> str:
    """A label as it is compared with others: without case and space, and sexes by one word each."""
    text = comparable_name(value).casefold().strip()
    return SEXES.get(text, text) if column == "sex" else text


def _written_alike(column: str, values: Iterable[str]) -> list[list[str]]:
    """Values of a column that differ only in how they are written, each group in the order of the alphabet."""
    groups = defaultdict(list)
    for value in values:
        groups[_comparable(column, value)].append(value)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _with_several(speakers: Iterable[str | None], sexes: Iterable[str | None]) -> list[str]:
    """The speakers who have several sexes, however these are written."""
    found: dict[str, set[str]] = defaultdict(set)
    for speaker, sex in set(zip(speakers, sexes, strict=True)):
        if speaker is not None and sex is not None and sex.strip():
            found[speaker].add(_comparable("sex", sex))
    return sorted(speaker for speaker, some in found.items() if len(some) > 1)
