"""Equal error rates on the trials of `speech/dev` and of the LibriSpeech test part, by source."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from balr_hf.metrics import eer

# The lists of trials of the parts that systems are measured on.
TRIALS = {"dev": "speech/dev/dev_trials.csv", "test": "librispeech/trials.csv"}


@dataclass(frozen=True)
class TrialList:
    """Pairs of recordings, as rows of the recordings that were given, and what is known about each pair.

    Args:
        enrollment, test (int `(trials,)`): the rows of the two sides.
        same (bool `(trials,)`): whether they are of one speaker.
        source (`(trials,)`): the source of the recordings.
        speakers (two of `(trials,)`): the names of the speakers of the two sides.
    """

    enrollment: np.ndarray
    test: np.ndarray
    same: np.ndarray
    source: np.ndarray
    speakers: tuple[np.ndarray, np.ndarray]

    def rates(self, scores: np.ndarray) -> dict[str, float]:
        """The equal error rate of all trials together, and of those of each source."""
        found = {"all": eer(scores, self.same)[0]}
        for source in sorted(set(self.source)):
            chosen = self.source == source
            found[source] = eer(scores[chosen], self.same[chosen])[0]
        return found

    def among(self, rows: Sequence[int]) -> "TrialList":
        """The trials both of whose recordings are among these rows, as places in `rows`."""
        place = {row: number for number, row in enumerate(rows)}
        kept = np.isin(self.enrollment, rows) & np.isin(self.test, rows)
        sides = (np.array([place[row] for row in side[kept].tolist()]) for side in (self.enrollment, self.test))
        first, second = self.speakers
        return TrialList(*sides, self.same[kept], self.source[kept], (first[kept], second[kept]))

    def cosine(self, embeddings: np.ndarray) -> np.ndarray:
        """The cosine of each pair of `embeddings (recordings, dim)`."""
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.einsum("nd,nd->n", unit[self.enrollment], unit[self.test])


def read_trials(path: Path, ids: Iterable[str], speakers: Iterable[str]) -> TrialList:
    """Read a list of trials between recordings of these ids and speakers."""
    row_of = {name: row for row, name in enumerate(ids)}
    names = np.array(list(speakers))
    with path.open(newline="", encoding="utf-8") as file:
        trials = list(csv.DictReader(file, delimiter="\t"))
    enrollment, test = (np.array([row_of[trial[side]] for trial in trials]) for side in ("enrollment", "test"))
    source = np.array([trial.get("source", "librispeech-test") for trial in trials])
    sides = names[enrollment], names[test]
    return TrialList(enrollment, test, sides[0] == sides[1], source, sides)


def report(rates: dict[str, float]) -> str:
    """Percentages, in one line."""
    return "  ".join(f"{name} {100 * rate:.2f}" for name, rate in rates.items())
