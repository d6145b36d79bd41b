"""Trials by what the corpus says of their sides: sex, channel, session, ..."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from balr_hf.data.columns import comparable_name
from balr_hf.domain import Side, deviations
from balr_hf.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import datasets

    from balr_hf.scoring.trials import Trials


def side_values(dataset: datasets.Dataset, sides: Sequence[Sequence[str]], column: str) -> np.ndarray:
    """What a column says of each side: `(sides,)` of str, None where it says nothing, or differs within the side.

    Args:
        dataset (`datasets.Dataset`): the corpus, with `id` and the column.
        sides: the ids of the recordings of each side.
        column (str): the name of the column.

    Raises:
        UserError: the corpus has no such column.
    """
    if column not in dataset.column_names:
        raise UserError(f"the corpus has no column {column} (columns: {', '.join(dataset.column_names)})")
    value_of = dict(zip(map(comparable_name, dataset["id"]), dataset[column], strict=True))
    found = np.empty(len(sides), dtype=object)
    for row, side in enumerate(sides):
        values = {value_of.get(comparable_name(name)) for name in side}
        value = values.pop() if len(values) == 1 else None
        found[row] = None if value is None else str(value)
    return found


def within(trials: Trials, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which trials to keep so that different speakers are compared within one value only: bool `(trials,)`.

    Args:
        trials ([`Trials`]): the trials.
        values (np.ndarray of shape `(sides,)`): of [`side_values`].
        labels (np.ndarray of shape `(trials,)`): 1 for trials of one speaker, 0 for trials of two.
    """
    enroll, test = values[trials.enroll], values[trials.test]
    return np.asarray(labels).astype(bool) | ((enroll == test) & (enroll != None))  # noqa: E711  # elementwise


def groups(trials: Trials, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each pair of values of the two sides, in either order, and which trials have it: `(name, mask (trials,))`."""
    names, codes = np.unique(["unknown" if value is None else value for value in values], return_inverse=True)
    enroll, test = codes[trials.enroll], codes[trials.test]
    pairs = np.minimum(enroll, test) * len(names) + np.maximum(enroll, test)
    for pair in np.unique(pairs):
        low, high = (str(name) for name in names[list(divmod(int(pair), len(names)))])
        yield low if low == high else f"{low} / {high}", pairs == pair


def sides_outside(
    dataset: datasets.Dataset, sides: Sequence[Sequence[str]], calibration: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """How many sides of a trial list lie outside what the scorer was calibrated on.

    Args:
        dataset (`datasets.Dataset`): the corpus, with what was measured of its recordings.
        sides: the ids of the recordings of each side.
        calibration: the description of the calibration's recordings; see [`balr_hf.domain.describe_population`].

    Returns:
        `sides`, how many there are; `measured`, of how many all recordings were measured; `beyond_limits`, how many
        lie beyond the default limits; and `measures`, how many do in each measure. None if the calibration keeps no
        description.
    """
    from balr_hf.data.quality import known_quality

    if calibration is None:
        return None
    known = {comparable_name(name): row for name, row in known_quality(dataset).items()}
    measures: dict[str, int] = {}
    measured = beyond = 0
    for side in sides:
        quality = [known[name] for name in map(comparable_name, side) if name in known]
        measured += len(quality) == len(side)
        outside = deviations([Side(len(side), quality)], calibration, None)
        found = {one.measure for one in outside if one.is_beyond}
        beyond += bool(found)
        for name in found:
            measures[name] = measures.get(name, 0) + 1
    return {"sides": len(sides), "measured": measured, "beyond_limits": beyond, "measures": measures}
