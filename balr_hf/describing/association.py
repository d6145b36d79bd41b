"""How measures go with attributes: the area under the ROC curve (AUC) of every measure for every attribute.

With ranks, all areas are two products of matrices, which makes a thousand permutations affordable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# How often an interval contains what all speakers would have shown.
CONFIDENCE = 0.95
# Permutations that tell how far from 0.5 an area usually is by chance: enough for about 7 % of that distance.
FOR_USUAL = 100


class Ranks:
    """The ranks of measures over recordings, of those that have a figure.

    Args:
        measures (`(recordings, measures)`): float, NaN where there is no figure.
    """

    def __init__(self, measures: np.ndarray):
        from scipy.stats import rankdata

        self.known = np.isfinite(measures)
        self._counts = np.maximum(1, self.known.sum(0))
        ranks = rankdata(measures, axis=0, nan_policy="omit")
        self._ranks = np.where(self.known, ranks, 0.0)

    def areas(self, active: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """The AUC of each measure for each attribute, above 0.5 where the measure is higher when active.

        The area is 1/2 + (mean rank when active - mean rank when not) / recordings, which is the Mann-Whitney
        statistic.

        Args:
            active (`(recordings, attributes)`): bool.
            rows (int `(recordings,)`, *optional*): whose measures each recording takes over, for a permutation.

        Returns:
            float64 `(attributes, measures)`; NaN where all recordings with a figure are in one state.
        """
        ranks, known = self._ranks, self.known.astype(np.float64)
        if rows is not None:
            ranks, known = ranks[rows], known[rows]
        states = active.T.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            on = (states @ ranks) / (states @ known)
            off = ((1 - states) @ ranks) / ((1 - states) @ known)
            return 0.5 + (on - off) / self._counts


def auc(scores: np.ndarray, active: np.ndarray) -> np.ndarray:
    """The AUC of one score per attribute.

    Args:
        scores (`(recordings, attributes)`): float.
        active (`(recordings, attributes)`): bool.

    Returns:
        float64 `(attributes,)`; NaN where all recordings are in one state.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    on = active.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(active, ranks, 0).sum(0) / on - (on + 1) / 2) / (len(active) - on)


def sums_of_speakers(values: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """The sum over each speaker's recordings, float64 `(speakers, attributes)`.

    Args:
        values (`(recordings, attributes)`): of any type.
        speakers (int `(recordings,)`): who speaks, numbered from 0 without gaps.
    """
    sums = np.zeros((int(speakers.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, speakers, values.astype(np.float64))
    return sums


@dataclass(frozen=True, eq=False)
class Areas:
    """An AUC for each attribute, and how sure it is.

    Args:
        values (float64 `(attributes,)`): the areas; NaN where there is none.
        variances (float64 `(attributes,)`): of the areas, had other speakers been tested on; NaN likewise.
        speakers (int `(attributes,)`): how many have recordings with the attribute or, if they are fewer, without it.
    """

    values: np.ndarray
    variances: np.ndarray
    speakers: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, active: np.ndarray, speakers: np.ndarray) -> Areas:
        """The AUC of one score per attribute, with a variance that knows that recordings of one speaker are alike.

        The variance is that of the speakers' influences on the area: how often their recordings are ranked rightly,
        less how often all are. What was fitted to give the scores is taken as it is.

        Args:
            scores (`(recordings, attributes)`): float.
            active (`(recordings, attributes)`): bool.
            speakers (int `(recordings,)`): who speaks.

        References:
            N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997.
        """
        from scipy.stats import rankdata

        names, codes = np.unique(speakers, return_inverse=True)
        values = auc(scores, active)
        on, off = active.sum(0), (~active).sum(0)
        ranks = rankdata(scores, axis=0)
        above, below = (rankdata(np.where(of, scores, np.nan), axis=0, nan_policy="omit") for of in (active, ~active))
        with np.errstate(invalid="ignore", divide="ignore"):
            rightly = np.where(active, (ranks - above) / off, 1 - (ranks - below) / on)  # ranked against the others
            influences = (rightly - values) / np.where(active, on, off)
        spread = len(names) / max(1, len(names) - 1)
        variances = spread * np.square(sums_of_speakers(influences, codes)).sum(0)
        with_state, without = ((sums_of_speakers(state, codes) > 0).sum(0) for state in (active, ~active))
        return cls(values, variances, np.minimum(with_state, without))

    @classmethod
    def mean(cls, parts: Sequence[Areas], attributes: int) -> Areas:
        """The mean over folds or sources that have other speakers each; of those that have an area.

        Args:
            parts (sequence of [`Areas`]): may be empty.
            attributes (int): how many there are.
        """
        if not parts:
            none = np.full(attributes, np.nan)
            return cls(none, none, np.zeros(attributes, dtype=np.int64))
        values, variances, speakers = (
            np.stack([getattr(part, name) for part in parts]) for name in ("values", "variances", "speakers")
        )
        known = np.isfinite(values)
        counts = known.sum(0)
        total = np.maximum(counts, 1)
        return cls(
            np.where(counts, np.where(known, values, 0).sum(0) / total, np.nan),
            np.where(counts, np.where(known, variances, 0).sum(0) / total**2, np.nan),
            np.where(known, speakers, 0).sum(0),
        )

    def among(self, enough: np.ndarray) -> Areas:
        """Those of some attributes, bool `(attributes,)`, and NaN for the others."""
        values, variances = (np.where(enough, found, np.nan) for found in (self.values, self.variances))
        return Areas(values, variances, self.speakers)

    def value(self, attribute: int) -> float | None:
        """The area of an attribute; None where there is none."""
        found = float(self.values[attribute])
        return found if np.isfinite(found) else None

    def interval(self, attribute: int) -> tuple[float, float] | None:
        """The interval of an area over the speakers tested on, which holds the area and lies between 0 and 1.

        None where there is no area, it is 0 or 1, or recordings in one of the states are of one speaker. The ends are
        those of the log odds of the area, by Student's distribution for so many speakers.
        """
        from scipy.special import expit, logit, stdtrit  # of scipy.stats' distributions, without its imports

        value, variance, speakers = self.values[attribute], self.variances[attribute], int(self.speakers[attribute])
        if not 0 < value < 1 or speakers < 2:
            return None
        half = stdtrit(speakers - 1, (1 + CONFIDENCE) / 2) * np.sqrt(variance) / (value * (1 - value))
        return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def permuted_rows(speakers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each speaker the recordings of another one, so that nothing but chance joins measures and attributes.

    What the recordings of one speaker have in common is kept: they stay together. A speaker who has more recordings
    than the other takes them over in turn, from one of them on that is drawn.

    Args:
        speakers (int `(recordings,)`): who speaks, numbered from 0 without gaps.
        rng: what draws.

    Returns:
        int `(recordings,)`: the recording whose measures each recording takes over.
    """
    order = np.argsort(speakers, kind="stable")
    counts = np.bincount(speakers)
    starts = np.cumsum(counts) - counts
    others = rng.permutation(len(counts))
    first = rng.integers(0, counts)
    taken = others[speakers[order]]
    place = np.arange(len(order)) - starts[speakers[order]]
    rows = np.empty(len(order), dtype=np.int64)
    rows[order] = order[starts[taken] + (place + first[taken]) % counts[taken]]
    return rows


def chance(
    areas: np.ndarray, ranks: Ranks, active: np.ndarray, speakers: np.ndarray, permutations: int, seed: int
) -> np.ndarray:
    """How probable it is that chance alone brings a measure so far from an AUC of 0.5, for each attribute.

    Chance takes a measure that few speakers have, such as the energy above 4 kHz where most recordings are telephone
    calls, much farther from 0.5 than one that all have. So each distance counts in units of the usual one (root mean
    square) in permutations of the speakers. The largest over all measures is compared with the largest over all
    measures in further permutations, so many measures do not make an association more probable.

    Args:
        areas (`(attributes, measures)`): see [`Ranks.areas`].
        ranks: of the measures.
        active (`(recordings, attributes)`): bool.
        speakers (int `(recordings,)`): numbered from 0 without gaps.
        permutations (int): how many; the smallest probability is about one over it.
        seed (int): of the permutations.

    Returns:
        float64 `(attributes,)`; 1 where there is no area.

    References:
        P. H. Westfall and S. S. Young, "Resampling-Based Multiple Testing", Wiley, 1993.
    """
    rng = np.random.default_rng(seed)
    squares, known = np.zeros(areas.shape), np.zeros(areas.shape)
    for _ in range(FOR_USUAL):
        by_chance = ranks.areas(active, permuted_rows(speakers, rng))
        squares += np.nan_to_num(by_chance - 0.5) ** 2
        known += np.isfinite(by_chance)
    usual = np.sqrt(squares / np.maximum(known, 1))
    found = _farthest(areas, usual)
    exceeded = np.ones(len(found))
    for _ in range(permutations):
        by_chance = ranks.areas(active, permuted_rows(speakers, rng))
        exceeded += _farthest(by_chance, usual) >= found - 1e-9
    return np.where(found > 0, exceeded / (permutations + 1), 1.0)


def _farthest(areas: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The largest distance from 0.5 in units of the usual one, over the measures; 0 where there is none."""
    varies = usual > 1e-9  # the areas of a measure that is the same everywhere differ from 0.5 by rounding
    distances = np.nan_to_num(np.abs(areas - 0.5)) / np.where(varies, usual, np.inf)
    return distances.max(1, initial=0)
