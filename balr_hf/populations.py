"""Who is in a population: its speakers by language, sex and whatever else their corpus says, counted and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datasets

# Columns of a corpus by which speakers are counted, where it has them. Sessions are mere numbers, and are left out.
OF_SPEAKERS = ("language", "sex", "source", "channel")
# The speakers of whom a column says nothing.
UNKNOWN = "not known"
# So many values of a column are kept, and so many are said.
MOST_KEPT, MOST_SAID = 20, 8


def speakers_by(dataset: datasets.Dataset) -> dict[str, dict[str, int]]:
    """Count the speakers of a corpus by the values of each column of [`OF_SPEAKERS`] that it has.

    Args:
        dataset (`datasets.Dataset`): a corpus with `speaker`. Recordings without one are left out.

    Returns:
        for each column the number of speakers of each value, and of those of whom it says nothing. A speaker with
        several values counts for each.
    """
    speakers = dataset["speaker"]
    found = {}
    for name in OF_SPEAKERS:
        if name not in dataset.column_names:
            continue
        pairs = {
            (speaker, str(value))
            for speaker, value in zip(speakers, dataset[name], strict=True)
            if speaker is not None and value not in (None, "")
        }
        counts = dict(Counter(value for _, value in sorted(pairs)).most_common(MOST_KEPT))
        silent = len({speaker for speaker in speakers if speaker is not None} - {speaker for speaker, _ in pairs})
        found[name] = counts | ({UNKNOWN: silent} if silent else {})
    return found


def describe_speakers(population: Mapping[str, Any] | None, speakers: int, columns: tuple[str, ...] = ()) -> str:
    """Who is in a population: `900 speakers; language: en (849), ar (24); sex: m (331), f (314), not known (255)`.

    Args:
        population (dict, *optional*): its description by [`balr_hf.domain.describe_population`]; None where there is
            none.
        speakers (int): how many there are.
        columns (tuple of str): those of [`OF_SPEAKERS`] that are said; by default all. What is not recorded is named.
    """
    known = (population or {}).get("speakers_by") or {}
    columns = columns or OF_SPEAKERS
    parts = [f"{speakers:,} speaker{'s' * (speakers != 1)}"]
    for name in columns:
        if name in known:
            # A file has the values in the order of the alphabet.
            some = sorted(known[name].items(), key=lambda one: (one[0] == UNKNOWN, -one[1], one[0]))
            said = [f"{value} ({count:,})" for value, count in some[:MOST_SAID]]
            parts.append(f"{name}: {', '.join(said)}" + (" and others" if len(some) > MOST_SAID else ""))
    unknown = [name for name in columns if name not in known]
    if unknown:
        parts.append(f"not recorded: {', '.join(unknown)}")
    return "; ".join(parts)
