"""What may decide how well a system does: speech, noise, bandwidth, recordings a side, and what the corpus says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.domain import LABELS
from balr_hf.evaluation import Evaluation
from balr_hf.scoring.breakdown import side_value_sets
from balr_hf.scoring.made_trials import CONDITION
from balr_hf.scoring.quality_measures import SIDE

if TYPE_CHECKING:
    import datasets

    from balr_hf.scoring.trials import Trials

# The classes of each measure of a side, by their edges, and how they are called. A bandwidth of 3.4 to 4 kHz is that
# of a telephone; it is measured in steps of an eighth, and one of exactly 4 or 6 kHz is not above it.
CLASSES: dict[str, tuple[str, tuple[float, ...], tuple[str, ...]]] = {
    "net_speech": (
        "Net speech",
        (2, 5, 10, 30),
        ("below 2 s", "2 to 5 s", "5 to 10 s", "10 to 30 s", "30 s and more"),
    ),
    "snr": ("SNR", (10, 20, 30), ("below 10 dB", "10 to 20 dB", "20 to 30 dB", "30 dB and more")),
    "bandwidth": ("Bandwidth", (4.05, 6.05), ("up to 4 kHz (telephone)", "4 to 6 kHz", "above 6 kHz")),
    "recordings": ("Recordings a side", (2, 3, 6), ("1", "2", "3 to 5", "6 and more")),
}
# Columns of a corpus that are looked at, where it has them, beside those that the user names.
COLUMNS = (*LABELS, CONDITION)
UNKNOWN, OTHER = "not known", "other values"
# That of a side whose recordings have several values.
SEVERAL = "several values"
# A column with more values keeps its most frequent ones; all others are taken together.
MOST_CLASSES = 8
# Draws of the speakers for the intervals of a part of the trials.
DRAWS_OF_PARTS = 200
# A part with fewer speakers, or with fewer trials of a kind, tells little, and says so.
FEW_SPEAKERS, FEW_TRIALS = 10, 30


@dataclass(frozen=True)
class Misleading:
    """How many trials mislead, and how far.

    Attributes:
        same, different: numbers of same-speaker trials with LR < 1 and of different-speaker trials with LR > 1.
        of_same, of_different: of how many.
        lowest_same, highest_different: the natural-log LR of the worst trial of each kind; None if there is none.
    """

    same: int
    of_same: int
    different: int
    of_different: int
    lowest_same: float | None
    highest_different: float | None

    @classmethod
    def among(cls, llrs: np.ndarray, labels: np.ndarray) -> Misleading:
        """Count the misleading ones among trials.

        Args:
            llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
            labels (`np.ndarray` of shape `(trials,)`): bool, True for trials of one speaker.
        """
        same, different = llrs[labels], llrs[~labels]
        return cls(
            *(int((same < 0).sum()), same.size, int((different > 0).sum()), different.size),
            float(same.min()) if same.size else None,
            float(different.max()) if different.size else None,
        )

    @property
    def rates(self) -> dict[str, float]:
        """The shares of misleading trials of each kind, as far as there are trials."""
        counts = {
            "misleading_same": (self.same, self.of_same),
            "misleading_different": (self.different, self.of_different),
        }
        return {name: wrong / trials for name, (wrong, trials) in counts.items() if trials}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "same_speaker": self.same,
            "different_speaker": self.different,
            **self.rates,
            "lowest_same_speaker_llr": self.lowest_same,
            "highest_different_speaker_llr": self.highest_different,
        }


@dataclass(frozen=True)
class Part:
    """The trials whose sides are of two classes of a factor.

    Attributes:
        classes: the numbers of the two classes, the lower one first.
        evaluation: of the trials; without intervals if they are few.
        misleading: among the trials.
    """

    classes: tuple[int, int]
    evaluation: Evaluation
    misleading: Misleading

    @property
    def is_few(self) -> bool:
        """Whether so few speakers or trials tell little."""
        kinds = self.misleading.of_same, self.misleading.of_different
        return (self.evaluation.fewest_speakers or 0) < FEW_SPEAKERS or min(kinds) < FEW_TRIALS

    @property
    def cllr(self) -> float | None:
        """Cllr of the trials; None if they are all of one kind."""
        return self.evaluation.metrics.get("cllr")


@dataclass(frozen=True)
class Factor:
    """One thing that may decide how well a system does, and the trials by its classes.

    Attributes:
        name: a key of [`CLASSES`], or a column of the corpus.
        title: how it is called.
        classes: what its classes are called, in order; only those that some side has.
        parts: the trials by the classes of their two sides. Together they are all trials.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    parts: tuple[Part, ...]

    def part(self, first: int, second: int) -> Part | None:
        """The part of two classes, in either order; None if it has no trials."""
        wanted = min(first, second), max(first, second)
        return next((part for part in self.parts if part.classes == wanted), None)

    def describe(self, part: Part) -> str:
        """The classes of a part: `below 2 s / 2 to 5 s`."""
        low, high = part.classes
        both = self.classes[low], self.classes[high]
        return both[0] if low == high else " / ".join(both)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "parts": [
                {
                    "classes": [self.classes[number] for number in part.classes],
                    **{
                        name: value
                        for name, value in part.evaluation.to_dict().items()
                        if name in KEPT or name in part.evaluation.metrics
                    },
                    "misleading": part.misleading.to_dict(),
                    "few": part.is_few,
                }
                for part in self.parts
            ],
        }


# What JSON keeps of the evaluation of a part, beside its metrics.
KEPT = ("trials", "same_speaker", "different_speaker", "speakers", "same_speaker_speakers", "intervals", "note")


def find_factors(
    dataset: datasets.Dataset,
    trials: Trials,
    quality: np.ndarray,
    llrs: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    columns: Sequence[str] = (),
    draws: int = DRAWS_OF_PARTS,
    bounds: tuple[float, float] | None = None,
) -> tuple[Factor, ...]:
    """Break the trials down by everything that is known of their sides.

    Args:
        dataset (`datasets.Dataset`): the corpus.
        trials ([`Trials`]): the trials.
        quality (`np.ndarray` of shape `(sides, 4)`): of [`sides_quality`].
        llrs, labels: natural-log likelihood ratios, and bool, both `(trials,)`.
        speakers (two `np.ndarray` of shape `(trials,)`): int, the numbers of the two sides' speakers.
        columns: of the corpus, that are looked at beside those of [`COLUMNS`].
        draws (int): of the speakers, for the intervals of each part.
        bounds (two float, *optional*): within which the system reports its likelihood ratios, see [`compute_metrics`].

    Raises:
        UserError: the corpus lacks one of the columns.
    """
    found = []
    for name, (title, edges, called) in CLASSES.items():
        values = quality[:, SIDE.index(name)]
        codes = np.where(np.isnan(values), len(called), np.searchsorted(edges, values, side="right"))
        found.append((name, title, np.array([*called, UNKNOWN], dtype=object)[codes], (*called, UNKNOWN)))
    for name in dict.fromkeys((*(one for one in COLUMNS if one in dataset.column_names), *columns)):
        texts, called = _few_values(side_value_sets(dataset, trials.sides, name))
        found.append((name, name.replace("_", " ").capitalize(), texts, called))
    used = np.unique(np.concatenate([trials.enroll, trials.test]))
    factors = []
    for name, title, texts, called in found:
        present = set(texts[used])
        classes = tuple(text for text in called if text in present)
        number_of = {text: number for number, text in enumerate(classes)}
        codes = np.array([number_of.get(text, 0) for text in texts])
        # One class has all trials, whose intervals are known.
        parts = _parts(codes, trials, llrs, labels, speakers, draws if len(classes) > 1 else 0, bounds)
        factors.append(Factor(name, title, classes, tuple(parts)))
    return tuple(factors)


def _few_values(sets: Sequence[frozenset[str]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The texts of the sides with rare values taken together, and the classes in order."""
    values = [None if not found else next(iter(found)) if len(found) == 1 else SEVERAL for found in sets]
    counts = Counter(value for value in values if value not in (None, SEVERAL))
    kept = [
        value for value, _ in counts.most_common(MOST_CLASSES if len(counts) <= MOST_CLASSES else MOST_CLASSES - 1)
    ]
    told = (*kept, SEVERAL)
    texts = [UNKNOWN if value is None else value if value in told else OTHER for value in values]
    return np.array(texts, dtype=object), tuple(dict.fromkeys((*_in_order(kept), OTHER, SEVERAL, UNKNOWN)))


def _in_order(values: Sequence[str]) -> list[str]:
    """Values in the order of the numbers that they are, such as ages, or else of the alphabet."""
    try:
        return sorted(values, key=lambda value: (float(value), value))
    except ValueError:
        return sorted(values)


def _parts(
    codes: np.ndarray,
    trials: Trials,
    llrs: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray],
    draws: int,
    bounds: tuple[float, float] | None,
) -> list[Part]:
    reported = llrs if bounds is None else llrs.clip(*bounds)
    enroll, test = codes[trials.enroll], codes[trials.test]
    size = int(codes.max()) + 1
    pairs = np.minimum(enroll, test) * size + np.maximum(enroll, test)
    parts = []
    for pair in np.unique(pairs):
        chosen = pairs == pair
        both = speakers[0][chosen], speakers[1][chosen]
        evaluation = Evaluation.of(llrs[chosen], labels[chosen], both, resamples=draws, bounds=bounds)
        misleading = Misleading.among(reported[chosen], labels[chosen])
        low, high = divmod(int(pair), size)
        part = Part((low, high), evaluation, misleading)
        if part.is_few:  # draws of a few speakers hardly differ, and would seem to be sure
            part = replace(part, evaluation=replace(evaluation, intervals={}))
        parts.append(part)
    return parts
