"""The biometric menagerie: which speakers the system knows well, and which it confuses with others.

References:
    G. Doddington, W. Liggett, A. Martin, M. Przybocki and D. Reynolds, "Sheep, goats, lambs and wolves: a statistical
    analysis of speaker performance in the NIST 1998 speaker recognition evaluation", ICSLP 1998.
    N. Yager and T. Dunstone, "The biometric menagerie", IEEE Transactions on Pattern Analysis and Machine Intelligence
    32, 2010.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# The animals of the corners: whether the mean LLR of a speaker's own trials is in the highest quarter of the speakers
# (or in the lowest), and whether the mean LLR of the speaker's trials against others is.
CORNERS = {
    "doves": (True, False),
    "chameleons": (True, True),
    "phantoms": (False, False),
    "worms": (False, True),
}
# Fewer speakers than this have no quarters.
LEAST_SPEAKERS = 8
# Means that lie no further apart are equal, but for rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Speaker:
    """How one speaker fares.

    Attributes:
        name: of the speaker.
        same, different: numbers of the speaker's own trials and of those against others.
        mean_same, mean_different: the mean natural-log LR of these; None if there are none.
        misleading_same, misleading_different: numbers of trials with LR < 1 and with LR > 1.
        animal: a key of [`CORNERS`]; None for all others.
    """

    name: str
    same: int
    different: int
    mean_same: float | None
    mean_different: float | None
    misleading_same: int
    misleading_different: int
    animal: str | None = None


@dataclass(frozen=True)
class Zoo:
    """All speakers, and the quarters of their means.

    Attributes:
        speakers: every speaker of the trials.
        quarters: for `same` and `different`, up to where the lowest quarter of the speakers' means goes, and from
            where on the highest does, natural-log LRs; None if too few speakers have trials of both kinds.
    """

    speakers: tuple[Speaker, ...]
    quarters: Mapping[str, tuple[float, float]] | None

    @property
    def placed(self) -> list[Speaker]:
        """The speakers who have trials of both kinds."""
        return [one for one in self.speakers if one.mean_same is not None and one.mean_different is not None]

    @property
    def animals(self) -> dict[str, list[Speaker]]:
        """The speakers in each corner, by the names of the animals."""
        return {animal: [one for one in self.speakers if one.animal == animal] for animal in CORNERS}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        quarters = None if self.quarters is None else {name: list(ends) for name, ends in self.quarters.items()}
        return {"quarters": quarters, "speakers": [asdict(one) for one in self.speakers]}


def menagerie(
    llrs: np.ndarray, labels: np.ndarray, speakers: tuple[np.ndarray, np.ndarray], names: Sequence[str]
) -> Zoo:
    """Place each speaker by the mean LLR of the own trials and of the trials against others.

    A trial of two speakers counts for both of them. No speaker is in a corner where the lowest and the highest quarter
    are one, as where nearly all likelihood ratios are held at a bound.

    Args:
        llrs (`np.ndarray` of shape `(trials,)`): natural-log likelihood ratios.
        labels (`np.ndarray` of shape `(trials,)`): bool, True for trials of one speaker.
        speakers (two `np.ndarray` of shape `(trials,)`): int, the numbers of the two sides' speakers.
        names: of the speakers.
    """
    enroll, test = speakers
    own = enroll[labels]
    others = np.concatenate([enroll[~labels], test[~labels]])
    twice = np.tile(llrs[~labels], 2)
    size = len(names)
    same, different = np.bincount(own, minlength=size), np.bincount(others, minlength=size)
    sums = np.bincount(own, llrs[labels], size), np.bincount(others, twice, size)
    wrong = np.bincount(own, llrs[labels] < 0, size), np.bincount(others, twice > 0, size)
    with np.errstate(invalid="ignore"):
        means = sums[0] / same, sums[1] / different
    placed = (same > 0) & (different > 0)
    quarters = None
    animals: list[str | None] = [None] * size
    if placed.sum() >= LEAST_SPEAKERS:
        ends = [np.quantile(mean[placed], [0.25, 0.75]) for mean in means]
        quarters = {kind: (float(e[0]), float(e[1])) for kind, e in zip(("same", "different"), ends, strict=True)}
        for animal, corner in CORNERS.items():
            inside = placed & all(high - low > ROUNDING for low, high in ends)
            for mean, (low, high), is_high in zip(means, ends, corner, strict=True):
                inside &= mean >= high if is_high else mean <= low
            for row in np.flatnonzero(inside):
                animals[row] = animals[row] or animal
    rows = zip(names, same, different, *means, *wrong, animals, strict=True)
    return Zoo(
        tuple(
            Speaker(
                *(str(name), int(n), int(m), float(a) if n else None, float(b) if m else None, int(w), int(v), animal)
            )
            for name, n, m, a, b, w, v, animal in rows
            if n or m
        ),
        quarters,
    )
