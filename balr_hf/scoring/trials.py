"""Trials of a corpus: the counts, embeddings and speakers of their sides, their labels and their scores."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from tqdm.auto import tqdm

from balr_hf.data.columns import comparable_name, recording_ids, rows_of, speaker_names, vector_matrix
from balr_hf.errors import UserError, name_some
from balr_hf.metrics.tally import checked_labels
from balr_hf.scoring.counts import SIDES_AT_ONCE, SideCounts, warn_of_makers
from balr_hf.scoring.trial_lists import IF_SKIPPED, LEAVE_OUT, describe_unknown_list
from balr_hf.scoring.trial_lists import Trials as Trials
from balr_hf.scoring.trial_lists import read_trials as read_trials
from balr_hf.scoring.trial_lists import sharing_recordings as sharing_recordings
from balr_hf.scoring.trial_lists import write_scores as write_scores

if TYPE_CHECKING:
    import datasets
    import torch

    from balr_hf.data.shards import Shard
    from balr_hf.scoring.configuration_scorers import ScorerConfig
    from balr_hf.scoring.counts import Counts
    from balr_hf.scoring.term_tables import TermTable

logger = logging.getLogger(__name__)

Block = TypeVar("Block")


class TrialScorer(Protocol):
    """What scoring a trial list needs from a scorer; a [`Scorer`] has it."""

    config: "ScorerConfig"

    def term_table(
        self,
        enroll: "Counts",
        test: "Counts",
        calibrated: bool = False,
        quality: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "TermTable": ...

    def side_table(
        self, counts: SideCounts, calibrated: bool = False, quality: np.ndarray | None = None
    ) -> "TermTable | None": ...


# How many trials are scored together, and of how many the terms are computed together.
SCORES_AT_ONCE, TERMS_AT_ONCE = 2**20, 2048
# Of how many sides or trials the embeddings are averaged and compared together, which stay in the processor's cache.
COSINES_AT_ONCE = 2048


def side_counts(dataset: "datasets.Dataset", sides: list[list[str]]) -> np.ndarray:
    """Sum the attributes of each side's recordings.

    Counts do not tell what made the attributes. A warning says if several autoencoders did, and
    [`balr_hf.data.belonging.check_attributes`] compares what did with what a scorer was fitted to, as the commands do:
    `check_attributes(dataset, autoencoder=scorer.config.autoencoder_identity, user="scorer")`.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id` and `ba`.
        sides (list[list[str]]): the ids of each side's recordings.

    Returns:
        float64 `(sides, attributes, 2)`: numbers of activations and of non-activations.

    Raises:
        UserError: recordings are not in the corpus, have no attributes, or have an id that others have, too; the
            message names them. Or a side has no recording.
    """
    warn_of_makers(dataset)
    return compact_side_counts(dataset, sides).of(slice(None))


def compact_side_counts(dataset: "datasets.Dataset", sides: list[list[str]]) -> SideCounts:
    """Do what [`side_counts`] does, for as many sides as memory holds a byte for each of their attributes.

    What made the attributes is not looked at, as the commands do that themselves.

    Args:
        dataset, sides: as for [`side_counts`].

    Returns:
        [`SideCounts`].

    Raises:
        UserError: as for [`side_counts`].
    """
    bits, present = vector_matrix(dataset, "ba")
    rows, totals = _rows(dataset, sides, present, "attributes (run balr binarize first)")
    positions = (np.cumsum(present) - 1)[rows]
    if (totals == 1).all():
        return SideCounts(bits[positions].view(np.uint8), totals)
    starts = np.cumsum(totals) - totals
    active = np.empty((len(sides), bits.shape[1]), dtype=np.min_scalar_type(int(totals.max(initial=0))))
    for first in range(0, len(sides), SIDES_AT_ONCE):
        last = min(first + SIDES_AT_ONCE, len(sides))
        some = positions[starts[first] : starts[last - 1] + totals[last - 1]]
        active[first:last] = np.add.reduceat(bits[some], starts[first:last] - starts[first], axis=0, dtype=np.int64)
    return SideCounts(active, totals)


def side_embeddings(dataset: "datasets.Dataset", sides: list[list[str]]) -> np.ndarray:
    """Average the length-normalised embeddings of each side's recordings.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id` and `embedding`.
        sides (list[list[str]]): the ids of each side's recordings.

    Returns:
        float64 `(sides, values)`.

    Raises:
        UserError: as for [`side_counts`], of embeddings.
    """
    return np.concatenate([part for _, part in _embeddings_of(dataset, sides)])


def embedding_cosines(dataset: "datasets.Dataset", trials: Trials) -> np.ndarray:
    """Compare the mean embeddings of the two sides of each trial; see [`side_embeddings`].

    Args:
        dataset (`datasets.Dataset`): a corpus with `id` and `embedding`.
        trials ([`Trials`]): the trial list.

    Returns:
        float64 `(trials,)`: cosines, computed from directions in float32.

    Raises:
        UserError: as for [`side_embeddings`].
    """
    directions = np.empty((len(trials.sides), 0), dtype=np.float32)
    for part, means in _embeddings_of(dataset, trials.sides):
        if not directions.size:
            directions = np.empty((len(trials.sides), means.shape[1]), dtype=np.float32)
        directions[part] = means / np.linalg.norm(means, axis=1, keepdims=True).clip(min=1e-12)
    cosines = np.empty(len(trials))
    for start in range(0, len(trials), COSINES_AT_ONCE):
        part = slice(start, start + COSINES_AT_ONCE)
        np.einsum("tv,tv->t", directions[trials.enroll[part]], directions[trials.test[part]], out=cosines[part])
    return cosines


def _embeddings_of(dataset: "datasets.Dataset", sides: list[list[str]]) -> Iterator[tuple[slice, np.ndarray]]:
    """Go through the sides in blocks, with the means of their recordings' directions, float64."""
    embeddings, present = vector_matrix(dataset, "embedding")
    rows, totals = _rows(dataset, sides, present, "an embedding")
    positions = (np.cumsum(present) - 1)[rows]
    starts = np.cumsum(totals) - totals
    for first in range(0, len(sides), COSINES_AT_ONCE):
        part = slice(first, min(first + COSINES_AT_ONCE, len(sides)))
        own = slice(starts[first], starts[part.stop - 1] + totals[part.stop - 1])
        some = embeddings[positions[own]]
        norms = np.linalg.norm(some, axis=1, keepdims=True)
        if not norms.all():
            name = recording_ids(dataset)[rows[own][int(norms.argmin())]]
            raise UserError(f"the embedding of {name} holds zeros alone: it has no direction that could be compared")
        some /= norms
        if len(some) > part.stop - first:
            some = np.add.reduceat(some, starts[part] - starts[first], axis=0)
        yield part, some / totals[part, None]


def side_speakers(dataset: "datasets.Dataset", sides: list[list[str]]) -> np.ndarray | None:
    """Find the speaker of each side.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id`, and `speaker` if speakers are known.
        sides (list[list[str]]): the ids of each side's recordings.

    Returns:
        the speakers' names `(sides,)`; None if the speaker of any side is unknown.

    Raises:
        UserError: a side has recordings of several speakers, or several recordings have one of its ids.
    """
    if "speaker" not in dataset.column_names:
        return None
    row_of, speaker_of = rows_of(dataset, sides), [*speaker_names(dataset), None]
    speakers = []
    for side in sides:
        if len(side) == 1:
            speakers.append(speaker_of[row_of.get(comparable_name(side[0]), -1)])
            continue
        names = {speaker_of[row_of.get(comparable_name(name), -1)] for name in side} or {None}
        if len(names - {None}) > 1:
            raise UserError(f"one side of a trial has recordings of several speakers: {name_some(side)}")
        speakers.append(None if None in names else names.pop())
    return None if None in speakers else np.array(speakers)


def trial_labels(dataset: "datasets.Dataset", trials: Trials) -> np.ndarray | None:
    """Find the trials whose two sides are of the same speaker.

    Args:
        dataset (`datasets.Dataset`): a corpus with `id`, and `speaker` if speakers are known.
        trials ([`Trials`]): the trial list.

    Returns:
        bool `(trials,)`; None if the speaker of any side is unknown.

    Raises:
        UserError: a side has recordings of several speakers, or several recordings have one of its ids.
    """
    speakers = side_speakers(dataset, trials.sides)
    return None if speakers is None else speakers[trials.enroll] == speakers[trials.test]


def score_trials(
    scorer: TrialScorer,
    counts: "Counts | SideCounts",
    trials: Trials,
    calibrated: bool = False,
    progress: bool = False,
    test_counts: "Counts | SideCounts | None" = None,
    quality: np.ndarray | None = None,
    test_quality: np.ndarray | None = None,
    shard: "Shard | None" = None,
) -> np.ndarray:
    """Score a trial list.

    A scorer that needs the counts in float64 (see [`Scorer.side_table`]), of so many sides that these do not fit into
    memory, scores blocks of trials with the counts of their own sides; then the scores are the same up to rounding.

    Args:
        scorer ([`Scorer`]): a fitted scorer.
        counts (`(sides, attributes, 2)`): counts of `trials.sides`; see [`side_counts`] and [`compact_side_counts`].
        trials ([`Trials`]): the trial list.
        calibrated (bool): apply the scorer's calibration.
        progress (bool): show a progress bar.
        test_counts (`(sides, attributes, 2)`, *optional*): counts of the sides to which the numbers in `trials.test`
            refer, if these are not the sides of `counts`. [`SideCounts`] are of all sides of the trials together.
        quality (`(sides, 4)`, *optional*): what was measured of the sides of `counts`, see [`sides_quality`]; a
            calibration with quality measures needs it.
        test_quality (`(sides, 4)`, *optional*): that of the sides of `test_counts`, if these are others.
        shard ([`Shard`], *optional*): score every so manieth block of trials only, the same blocks that one process
            would score. The scores of the other trials are NaN.

    Returns:
        float64 `(trials,)`: natural-log likelihood ratios.

    Raises:
        UserError: the trials have numbers of sides that are not there; one of `counts` and `test_counts` is
            [`SideCounts`] and the other is not the same; there is `test_quality` without that of `counts`; or as for
            [`Scorer.score`].
        ValueError: as for [`Scorer.score`].
    """
    other = _other_sides(counts, test_counts, trials)
    if test_quality is not None and test_quality is not quality and (quality is None or other is counts):
        raise UserError("test_quality is that of test_counts, beside the quality of counts: one of these is missing")
    scores = np.full(len(trials), np.nan)
    if isinstance(counts, SideCounts):
        table = _side_table(scorer, counts, calibrated, quality)
        if table is None:
            for part, used, local in _own(_parts(counts, trials, progress, "Scoring"), shard):
                measured = None if quality is None else quality[used]
                scores[part] = score_trials(scorer, counts.of(used), local, calibrated, quality=measured)
            return scores
    else:
        assert not isinstance(other, SideCounts)  # as `_other_sides` checked
        both = None if quality is None else (quality, quality if test_quality is None else test_quality)
        table = scorer.term_table(counts, other, calibrated, both)
    for part, rows, columns in _own(_blocks(trials, SCORES_AT_ONCE, progress, "Scoring"), shard):
        scores[part] = table.scores(rows, columns).cpu().numpy()
    return scores


def trial_attribute_scores(
    scorer: TrialScorer,
    counts: "Counts | SideCounts",
    trials: Trials,
    progress: bool = False,
    test_counts: "Counts | SideCounts | None" = None,
) -> np.ndarray:
    """Compute the terms of a trial list, whose sums over the attributes are the raw scores.

    Args:
        scorer, counts, trials, progress, test_counts: as for [`score_trials`].

    Returns:
        float32 `(trials, attributes)`: raw natural-log likelihood ratios.

    Raises:
        UserError, ValueError: as for [`score_trials`].
    """
    other = _other_sides(counts, test_counts, trials)
    if isinstance(counts, SideCounts):
        counts = other = counts.of(slice(None))
    assert not isinstance(other, SideCounts)  # as `_other_sides` checked
    table = scorer.term_table(counts, other)
    terms = np.empty((len(trials), scorer.config.num_attributes), dtype=np.float32)
    for part, rows, columns in _blocks(trials, TERMS_AT_ONCE, progress, "Scoring"):
        terms[part] = table.terms(rows, columns).cpu().numpy()
    return terms


def mean_terms(
    scorer: TrialScorer,
    counts: "Counts | SideCounts",
    trials: Trials,
    labels: np.ndarray,
    calibrated: bool = False,
    progress: bool = False,
    quality: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Average the terms of each attribute over the trials of one speaker, and over those of two.

    Args:
        scorer, counts, trials, calibrated, progress, quality: as for [`score_trials`].
        labels (`(trials,)`): 1 or True for trials of one speaker, 0 or False for trials of two.

    Returns:
        `(same, different)`: float64 `(attributes,)` each, natural-log likelihood ratios; 0 if no trial is such.

    Raises:
        UserError: a label is neither 0 nor 1, or there is not one of each trial; or as for [`score_trials`].
        ValueError: as for [`score_trials`].
    """
    _other_sides(counts, None, trials)
    labels = checked_labels(np.asarray(labels).ravel())
    if len(labels) != len(trials):
        raise UserError(f"{len(labels)} labels of {len(trials)} trials: expected one of each")
    sums = np.zeros((2, scorer.config.num_attributes))
    if isinstance(counts, SideCounts):
        table = _side_table(scorer, counts, calibrated, quality)
    else:
        table = scorer.term_table(counts, counts, calibrated, None if quality is None else (quality, quality))
    if table is None:
        assert isinstance(counts, SideCounts)
        for chosen, used, local in _parts(counts, trials, progress, "Averaging terms"):
            some, measured = counts.of(used), None if quality is None else (quality[used],) * 2
            sums += _sums_of_terms(scorer.term_table(some, some, calibrated, measured), local, labels[chosen], False)
    else:
        sums += _sums_of_terms(table, trials, labels, progress)
    return sums[0] / max(1, labels.sum()), sums[1] / max(1, (~labels).sum())


def _other_sides(
    counts: "Counts | SideCounts", test_counts: "Counts | SideCounts | None", trials: Trials
) -> "Counts | SideCounts":
    """The counts of the sides to which the trials' tests refer, after a check that both sides of all trials are there.

    Raises:
        UserError: they are not; or one of the two sets is [`SideCounts`], and the other is not the same.
    """
    other = counts if test_counts is None else test_counts
    if other is not counts and (isinstance(counts, SideCounts) or isinstance(other, SideCounts)):
        raise UserError(
            "SideCounts are of all sides of the trials together, enrollments and tests: count them by one call of "
            "compact_side_counts, without test_counts, or pass the counts of both as arrays (SideCounts.of)"
        )
    trials.check_numbers(len(counts), len(other))
    return other


def _side_table(
    scorer: TrialScorer, counts: SideCounts, calibrated: bool, quality: np.ndarray | None
) -> "TermTable | None":
    """A table for trials between all sides; None if what it takes is too much memory."""
    table = scorer.side_table(counts, calibrated, quality)
    whole = counts.whole() if table is None else None
    if whole is None:
        return table
    return scorer.term_table(whole, whole, calibrated, None if quality is None else (quality, quality))


def _sums_of_terms(table: "TermTable", trials: Trials, labels: np.ndarray, progress: bool) -> np.ndarray:
    """Sums of terms over the trials of one speaker, and over those of two, float64 `(2, attributes)`."""
    sums = np.zeros(())
    for part, rows, columns in _blocks(trials, TERMS_AT_ONCE, progress, "Averaging terms"):
        terms = table.terms(rows, columns).cpu().numpy()
        sums = sums + np.stack([terms[labels[part]].sum(0), terms[~labels[part]].sum(0)])
    return sums


def _own(blocks: "Iterator[Block]", shard: "Shard | None") -> "Iterator[Block]":
    """Of blocks of trials, those of a share."""
    for number, block in enumerate(blocks):
        if shard is None or number % shard.count == shard.index:
            yield block


def _parts(
    counts: SideCounts, trials: Trials, progress: bool, what: str
) -> Iterator[tuple[np.ndarray, np.ndarray, Trials]]:
    """Go through the trials in the order of their enrollments, a part at a time, with its own sides only.

    Yields:
        `(part, sides, trials)`: the positions of some trials, the numbers of their sides, and these trials with
        numbers that refer to these sides.
    """
    order = np.argsort(trials.enroll, kind="stable")
    with tqdm(total=len(trials), desc=what, disable=not progress, unit="trial", delay=2) as bar:
        for start in range(0, len(trials), counts.trials_at_once):
            part = order[start : start + counts.trials_at_once]
            pairs = np.stack([trials.enroll[part], trials.test[part]])
            used, numbers = np.unique(pairs, return_inverse=True)
            yield part, used, Trials.between(*numbers.reshape(2, -1))
            bar.update(len(part))


def _blocks(
    trials: Trials, block: int, progress: bool, what: str
) -> "Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]":
    """Go through the trials in blocks, in the order of their enrollments.

    Yields:
        `(part, rows, columns)`: the positions of some trials, and the numbers of their two sides.
    """
    import torch

    order = np.argsort(trials.enroll, kind="stable")
    with tqdm(total=len(trials), desc=what, disable=not progress, unit="trial", delay=2) as bar:
        for start in range(0, len(trials), block):
            part = order[start : start + block]
            yield part, torch.from_numpy(trials.enroll[part]), torch.from_numpy(trials.test[part])
            bar.update(len(part))


def _rows(
    dataset: "datasets.Dataset", sides: list[list[str]], present: np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of the sides' recordings.

    A UserError names those that are not there, are not `present`, or have an id that others have, too; and counts the
    sides that have none.

    Returns:
        `(rows, totals)`: the rows of all sides' recordings, one side after the other, and how many each side has.
    """
    sides = [[comparable_name(name) for name in side] for side in sides]
    totals = np.fromiter(map(len, sides), np.int64, len(sides))
    if not totals.all():
        raise UserError(f"{(totals == 0).sum()} of {len(sides)} sides name no recording, so that nothing is compared")
    row_of = rows_of(dataset, sides)
    names = dict.fromkeys(name for side in sides for name in side)
    unknown = [name for name in names if name not in row_of]
    lacking = [name for name in names if name in row_of and not present[row_of[name]]]
    if len(unknown) == len(names) > 0:
        raise UserError(describe_unknown_list(unknown, row_of))
    if unknown or lacking:
        such = f" (whose ids are such as {next(iter(row_of))})"
        parts = [f"not in the corpus{such}: {name_some(unknown, 20)}"] if unknown else []
        parts += [f"without {what}: {name_some(lacking, 20)}"] if lacking else []
        raise UserError(
            f"the trial list names recordings that cannot be scored. {LEAVE_OUT}: {'; '.join(parts)}. {IF_SKIPPED}"
        )
    return np.fromiter((row_of[name] for side in sides for name in side), np.int64, int(totals.sum())), totals
