"""How well all measures together tell whether an attribute is active, on speakers who were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balr_hf.describing.association import Areas, Ranks, sums_of_speakers

# Folds of the speakers, and the weight of the penalty for large coefficients, for standardised measures.
FOLDS, PENALTY = 5, 10.0


def folds_of(speakers: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The recordings to fit on and those to test on, of each of `FOLDS` folds; no speaker is on both sides.

    There are fewer folds where there are fewer speakers.

    Args:
        speakers (`(recordings,)`): who speaks.

    Raises:
        ValueError: there are fewer than two speakers.
    """
    from sklearn.model_selection import GroupKFold

    count = len(np.unique(speakers))
    if count < 2:
        raise ValueError(f"{count} speakers: at least two are needed, to test on others than those fitted on")
    return list(GroupKFold(min(FOLDS, count)).split(np.zeros(len(speakers)), groups=speakers))


def held_out_scores(measures: np.ndarray, active: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """The linear discriminant of all measures, fitted on the speakers of the other folds; see [`discriminant`].

    Args:
        measures (`(recordings, measures)`): float, NaN where there is no figure.
        active (`(recordings, attributes)`): bool.
        speakers (`(recordings,)`): who speaks.

    Returns:
        float64 `(recordings, attributes)`: higher where the attribute is rather active.
    """
    scores = np.zeros(active.shape)
    for fitted, tested in folds_of(speakers):
        scores[tested] = discriminant(measures[fitted], active[fitted], measures[tested])
    return scores


def discriminant(measures: np.ndarray, active: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A linear discriminant of all measures, fitted on some recordings and applied to others.

    It is ridge regression of the states (1 and 0) on the standardised measures, which gives the direction of Fisher's
    discriminant, for all attributes at once. A missing figure is replaced by the median of those fitted on.

    Args:
        measures (`(recordings, measures)`): float, NaN where there is no figure.
        active (`(recordings, attributes)`): bool.
        others (`(others, measures)`): as `measures`.

    Returns:
        float64 `(others, attributes)`: higher where the attribute is rather active; NaN for an attribute that is in
        one state in all recordings that were fitted on, which tell nothing of the other state.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = np.isfinite(measures).any(0)
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), Ridge(PENALTY))
    model.fit(measures[:, known], active.astype(np.float64))
    found = model.predict(others[:, known]).reshape(len(others), active.shape[1])
    return np.where(active.any(0) & ~active.all(0), found, np.nan)


def together(measures: np.ndarray, active: np.ndarray, speakers: np.ndarray) -> Areas:
    """The AUC of all measures together on held-out speakers: the mean over the folds.

    Arguments as of [`held_out_scores`]. NaN where no fold has both states, on speakers who were fitted on and on those
    who were not. The folds are not thrown together, since their scores have different offsets.
    """
    if not np.isfinite(measures).any():
        return Areas.mean([], active.shape[1])
    scores = held_out_scores(measures, active, speakers)
    parts = [Areas.of(scores[tested], active[tested], speakers[tested]) for _, tested in folds_of(speakers)]
    return Areas.mean(parts, active.shape[1])


def elsewhere(
    measures: np.ndarray, active: np.ndarray, speakers: np.ndarray, sources: Sequence[str | None], fewest: int
) -> dict[str, Areas]:
    """The AUC of all measures together on the recordings of each source, fitted on those of all other sources.

    A source is where recordings are from: a corpus, a laboratory, a channel. What holds for speakers of the same
    source may be a matter of its microphones and rooms; this tells whether it holds for others.

    Args:
        measures, active, speakers: as of [`held_out_scores`].
        sources: where each recording is from; None where it is not known.
        fewest (int): sources with fewer speakers are not tested on, nor attributes with fewer recordings in either
            state.

    Returns:
        the areas of each source, NaN where they cannot be told; empty if there is one source only.
    """
    labels = np.array(["" if source is None else source for source in sources], dtype=object)
    found = {}
    for source in sorted({*labels.tolist()} - {""}):
        tested = labels == source
        fitted = ~tested & ~np.isin(speakers, speakers[tested])
        if len(np.unique(speakers[tested])) < fewest or len(np.unique(speakers[fitted])) < fewest:
            continue
        scores = discriminant(measures[fitted], active[fitted], measures[tested])
        enough = np.minimum(active[tested].sum(0), (~active[tested]).sum(0)) >= fewest
        found[source] = Areas.of(scores, active[tested], speakers[tested]).among(enough)
    return found


def singly(measures: np.ndarray, active: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """The AUC of each measure on held-out speakers, `(attributes, measures)`: the mean over the folds.

    The direction (higher or lower when active) is that on the speakers of the other folds, so an area may be below
    0.5: then the direction does not hold for others. Folds without both states, on either kind of speakers, do not
    count: the direction of an attribute that one speaker alone has is not known without that speaker. Arguments as of
    [`held_out_scores`].
    """
    found = []
    for fitted, tested in folds_of(speakers):
        before, area = Ranks(measures[fitted]).areas(active[fitted]), Ranks(measures[tested]).areas(active[tested])
        found.append(np.where(np.isfinite(before), np.where(before >= 0.5, area, 1 - area), np.nan))
    return mean_of_known(found)


def ceiling(active: np.ndarray, speakers: np.ndarray) -> Areas:
    """The AUC of how often the same speaker's other recordings are active: no description of the speaker does better.

    Args:
        active (`(recordings, attributes)`): bool.
        speakers (int `(recordings,)`): numbered from 0 without gaps.

    Returns:
        the areas of the speakers with two recordings or more; NaN where there are none.
    """
    counts = np.bincount(speakers)
    sums = sums_of_speakers(active, speakers)
    kept = counts[speakers] > 1
    if not kept.any():
        return Areas.mean([], active.shape[1])
    others = (sums[speakers[kept]] - active[kept]) / (counts[speakers[kept]] - 1)[:, None]
    return Areas.of(others, active[kept], speakers[kept])


def mean_of_known(areas: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over the folds that have an area; NaN where none has."""
    stacked = np.stack(areas)
    known = np.isfinite(stacked)
    counts = known.sum(0)
    return np.where(counts, np.where(known, stacked, 0).sum(0) / np.maximum(counts, 1), np.nan)
