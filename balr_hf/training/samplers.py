"""Batches of N speakers x M recordings, as batch samplers that Accelerate shards.

With W processes, batch i goes to process i mod W, and the first batches are repeated (with `drop_last` the last ones
dropped) so that every process gets as many. The same seed and epoch give the same batches, whatever W is.
"""

import inspect
from collections.abc import Iterator
from typing import Protocol, cast

import numpy as np
import torch
from torch.utils.data import Sampler

from balr_hf.class_paths import import_class
from balr_hf.errors import ConfigError, UserError


class BatchSampler(Protocol):
    """What training needs from a sampler, which yields one list of row numbers per batch."""

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[int]]: ...


class SamplerClass(Protocol):
    """How training makes a sampler: the class is called with these arguments; see [`sampler_class`]."""

    def __call__(
        self,
        labels: torch.Tensor,
        N_classes_per_batch: int,
        /,
        *,
        M_samples_per_class: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ) -> BatchSampler: ...


class SpeakerBatchSampler(Sampler[list[int]]):
    """Base of the samplers: yields one list of row numbers per batch.

    A sampler of your own can subclass this, and define `__iter__` and `__len__`; see [`sampler_class`] for the others
    that training accepts.

    Args:
        labels (`(rows,)` array or tensor of int): the speaker of each row.
        N_classes_per_batch (int): number of speakers in a batch.
        M_samples_per_class (int): number of recordings of each speaker in a batch.
        batch_size (int, *optional*): checked to be N x M if it is given.
        shuffle (bool): use a random order, another one in each epoch, rather than the order of the rows.
        drop_last (bool): see each sampler.
        seed (int): decides, with the epoch, everything that is random.

    Attributes:
        num_classes (int): number of speakers.
        class_sizes (int `(num_classes,)`): number of rows of each speaker, in the order of their first rows.
        rows_by_class (int `(rows,)`): row numbers, grouped by speaker.
        class_starts (int `(num_classes,)`): where each speaker's rows start in `rows_by_class`.
        epoch (int): set by `set_epoch`.

    Raises:
        ConfigError: N or M is below 1, or the batch size is not N x M.
        UserError: there are fewer speakers than N.
    """

    def __init__(
        self,
        labels: np.ndarray | torch.Tensor | list[int],
        N_classes_per_batch: int,
        M_samples_per_class: int,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 1234,
    ):
        size = N_classes_per_batch * M_samples_per_class
        if N_classes_per_batch < 1 or M_samples_per_class < 1:
            raise ConfigError(
                f"N={N_classes_per_batch} speakers x M={M_samples_per_class} recordings: both must be >= 1"
            )
        if batch_size is not None and batch_size != size:
            raise ConfigError(
                f"Invalid batch_size ({batch_size}): it must be N_classes_per_batch ({N_classes_per_batch}) x "
                f"M_samples_per_class ({M_samples_per_class}) = {size}"
            )
        self.N_classes_per_batch = N_classes_per_batch
        self.M_samples_per_class = M_samples_per_class
        self.batch_size = size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.epoch = 0

        labels = np.asarray(labels.cpu() if torch.is_tensor(labels) else labels)
        _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
        codes = np.argsort(np.argsort(first))[codes]  # classes numbered by first appearance
        self.num_classes = len(first)
        if self.num_classes < N_classes_per_batch:
            raise UserError(
                f"Not enough classes: {self.num_classes} speakers for N_classes_per_batch={N_classes_per_batch}"
            )
        self.class_sizes = np.bincount(codes)
        self.class_starts = np.concatenate([[0], np.cumsum(self.class_sizes)[:-1]])
        self.rows_by_class = np.argsort(codes, kind="stable")

    def set_epoch(self, epoch: int) -> None:
        """Choose the random order; the trainer calls this before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._groups(np.random.default_rng([self.seed, self.epoch])).reshape(-1, self.batch_size):
            yield batch.tolist()

    def _groups(self, rng: np.random.Generator) -> np.ndarray:
        """Row numbers `(groups, M)`: each group is of one speaker, and the groups make whole batches."""
        raise NotImplementedError


class RandomNxMSampler(SpeakerBatchSampler):
    """Takes every speaker once per epoch, with M of their recordings drawn at random.

    All N speakers of a batch are distinct. A speaker with fewer than M recordings has them repeated. If the speakers
    do not divide by N, the last batch is filled up with the epoch's first speakers, or left out with `drop_last`.

    Example:
        >>> sampler = RandomNxMSampler([0, 0, 1, 1, 2, 2], N_classes_per_batch=2, M_samples_per_class=2, shuffle=False)
        >>> [sorted(batch) for batch in sampler]
        [[0, 1, 2, 3], [0, 1, 4, 5]]
    """

    def __len__(self) -> int:
        whole, rest = divmod(self.num_classes, self.N_classes_per_batch)
        return whole if self.drop_last or not rest else whole + 1

    def _groups(self, rng: np.random.Generator) -> np.ndarray:
        classes = rng.permutation(self.num_classes) if self.shuffle else np.arange(self.num_classes)
        classes = np.resize(classes, len(self) * self.N_classes_per_batch)
        offsets = _choose(self.class_sizes[classes], self.M_samples_per_class, rng)
        return self.rows_by_class[self.class_starts[classes, None] + offsets]


class ExhaustiveNxMSampler(SpeakerBatchSampler):
    """Takes every recording once per epoch, in groups of M of one speaker; the speakers take turns.

    If a speaker's recordings do not divide by M, the first ones are repeated. The N speakers of a batch are distinct
    as long as N speakers have recordings left. The epoch ends when fewer than N groups remain (with `shuffle`, these
    are others in each epoch). `drop_last` concerns several processes only: an uneven last round of batches is dropped
    rather than filled up.

    Example:
        >>> labels = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
        >>> list(ExhaustiveNxMSampler(labels, 2, 2, shuffle=False))
        [[0, 1, 5, 6], [8, 9, 2, 3], [7, 5, 4, 0]]
    """

    def __len__(self) -> int:
        return int(-(-self.class_sizes // self.M_samples_per_class).sum()) // self.N_classes_per_batch

    def _groups(self, rng: np.random.Generator) -> np.ndarray:
        size = self.M_samples_per_class
        classes = rng.permutation(self.num_classes) if self.shuffle else np.arange(self.num_classes)
        rows = self.rows_by_class
        if self.shuffle:
            class_of_row = np.repeat(np.arange(self.num_classes), self.class_sizes)
            rows = rows[np.lexsort((rng.random(len(rows)), class_of_row))]
        groups = -(-self.class_sizes[classes] // size)  # of each class, in this epoch's order
        turn = np.arange(groups.sum()) - np.repeat(np.cumsum(groups) - groups, groups)
        position = np.repeat(np.arange(len(classes)), groups)
        order = np.lexsort((position, turn))[: len(self) * self.N_classes_per_batch]
        owner = classes[position[order]]
        offsets = (turn[order, None] * size + np.arange(size)) % self.class_sizes[owner, None]
        return rows[self.class_starts[owner, None] + offsets]


class ShuffledBatchSampler(Sampler[list[int]]):
    """Plain batches, for losses that do not look at speakers; each row is taken once per epoch.

    Args:
        num_rows (int): number of rows in the set.
        batch_size (int): number of rows in a batch; the last batch may be smaller, but one of a single row is left
            out, since batch norm cannot use it.
        shuffle (bool): use a random order, another one in each epoch.
        seed (int): decides, with the epoch, the order.
    """

    drop_last = False

    def __init__(self, num_rows: int, batch_size: int, shuffle: bool = True, seed: int = 1234):
        self.num_rows = num_rows - 1 if num_rows % batch_size == 1 and num_rows > 1 else num_rows
        self.batch_size = min(batch_size, max(1, self.num_rows))
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        self._total = num_rows

    def set_epoch(self, epoch: int) -> None:
        """Choose the random order; the trainer calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.num_rows // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rows = np.arange(self._total)
        if self.shuffle:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        for start in range(0, self.num_rows, self.batch_size):
            yield rows[start : min(start + self.batch_size, self.num_rows)].tolist()


class CopiesSampler(Sampler[list[int]]):
    """Adds to each batch of another sampler, for each of its rows, a row that was made from the same original.

    The rows of the other sampler come first, then as many copies in the same order. A row that nothing else was made
    from the original of is its own copy, so that a batch still holds every speaker in multiples of M.

    Args:
        sampler ([`BatchSampler`]): draws the recordings.
        originals (`(rows,)` array or tensor of int): the number of the original that each row was made from, or -1.
        seed (int): decides, with the epoch, which copy is drawn.

    Example:
        >>> plain = ShuffledBatchSampler(4, batch_size=2, shuffle=False)
        >>> list(CopiesSampler(plain, [5, -1, 5, -1]))
        [[0, 1, 2, 1], [2, 3, 0, 3]]
    """

    def __init__(self, sampler: BatchSampler, originals: np.ndarray | torch.Tensor | list[int], seed: int = 1234):
        self.sampler, self.seed, self.epoch = sampler, seed, 0
        self.drop_last = getattr(sampler, "drop_last", False)
        size = getattr(sampler, "batch_size", None)
        self.batch_size = None if size is None else 2 * size
        originals = np.asarray(originals.cpu() if torch.is_tensor(originals) else originals)
        codes = np.where(originals >= 0, originals, -1 - np.arange(len(originals)))  # those without copies are alone
        _, codes, sizes = np.unique(codes, return_inverse=True, return_counts=True)
        self._order = np.argsort(codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._starts, self._sizes = starts[codes], sizes[codes]
        self._places = np.empty(len(codes), dtype=np.int64)
        self._places[self._order] = np.arange(len(codes))
        self._places -= self._starts

    def set_epoch(self, epoch: int) -> None:
        """Choose the random order; the trainer calls this before each epoch."""
        self.epoch = epoch
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        for batch in self.sampler:
            rows = np.asarray(batch)
            others = self._sizes[rows] - 1
            steps = np.where(others > 0, generator.integers(1, np.maximum(others, 1) + 1), 0)
            places = (self._places[rows] + steps) % self._sizes[rows]
            yield [*batch, *self._order[self._starts[rows] + places].tolist()]


SAMPLERS: dict[str, SamplerClass] = {
    "RandomNxMSampler": RandomNxMSampler,
    "ExhaustiveNxMSampler": ExhaustiveNxMSampler,
}
# The module of BALR's samplers. Settings that were written for BALR name them by their path, and get ours.
BALR_SAMPLERS = "balr.samplers."

# The keywords that the trainer makes a sampler with, besides the labels and N.
SAMPLER_KEYWORDS = ("M_samples_per_class", "batch_size", "shuffle", "seed")


def sampler_class(name: str | None) -> SamplerClass | None:
    """The sampler of a short name, of BALR's class path, or of the path of a class of your own.

    A class of your own (`my_package.samplers.MySampler`) must be a `torch.utils.data.Sampler`

    - whose constructor takes `(labels, N_classes_per_batch, M_samples_per_class=..., batch_size=..., shuffle=...,
      seed=...)`, where `labels` is a tensor `(rows,)` with the speaker of each row;
    - that yields batches, each a list of row numbers, and has their number as its length;
    - that has `set_epoch(epoch)`, called before each epoch, and gives the same batches for the same seed and epoch,
      since a run cannot be resumed exactly otherwise.

    A subclass of [`SpeakerBatchSampler`] has all this, except for the batches themselves and their number.

    Args:
        name (str, *optional*): e.g. `RandomNxMSampler`, or `none`.

    Returns:
        the class; None for `none`.

    Raises:
        ConfigError: the name is unknown, or the class is not such a sampler.
    """
    if name is None or str(name).lower() in ("none", "null", ""):
        return None
    short = name.removeprefix(BALR_SAMPLERS).rsplit(".", 1)[-1] if name.startswith(BALR_SAMPLERS) else name
    if short in SAMPLERS:
        return SAMPLERS[short]
    if "." not in name or name.startswith(BALR_SAMPLERS):
        raise ConfigError(
            f"data.sampler={name}: expected {', '.join(SAMPLERS)}, none, or the path of a class of your own"
        )
    found = import_class(name, Sampler, "sampler")
    lacking = [method for method in ("set_epoch", "__len__", "__iter__") if not callable(getattr(found, method, None))]
    if lacking:
        raise ConfigError(f"data.sampler={name} has no {', '.join(lacking)}; subclass SpeakerBatchSampler, which has")
    try:
        inspect.signature(found).bind(None, 1, **dict.fromkeys(SAMPLER_KEYWORDS))
    except TypeError as error:
        raise ConfigError(
            f"data.sampler={name} cannot be made with (labels, N_classes_per_batch, {', '.join(SAMPLER_KEYWORDS)}): "
            f"{error}"
        ) from error
    return cast("SamplerClass", found)


def check_batches(sampler: BatchSampler, name: str) -> None:
    """Check that a sampler of the user's own yields batches.

    Args:
        sampler ([`BatchSampler`]): the sampler.
        name (str): what the settings call it, for the message.

    Raises:
        ConfigError: it yields something other than lists of row numbers, or nothing.
    """
    first = next(iter(sampler), None)
    if not isinstance(first, list) or not first or not all(isinstance(row, int | np.integer) for row in first):
        raise ConfigError(f"data.sampler={name} yields {first!r}: expected batches, each a list of row numbers (int)")


def check_rows(sampler: BatchSampler) -> None:
    """Check that the batches to train on hold more than one recording, as far as the sampler says how many.

    Raises:
        ConfigError: they hold one, of which batch norm cannot take the variance.
    """
    if getattr(sampler, "batch_size", None) == 1:
        raise ConfigError(
            "each batch would hold one recording, of which batch norm cannot take the variance: expected at least 2, "
            "by data.batch_size, by data.N_classes_per_batch and data.M_samples_per_class, or by more recordings"
        )


def _choose(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` offsets below each of `sizes`: distinct ones if there are enough, else all in turn, shuffled.

    Returns:
        int array `(len(sizes), count)`.
    """
    chosen = np.empty((len(sizes), count), dtype=np.int64)
    enough = sizes >= count
    # Floyd's algorithm, for all classes at once: its cost does not depend on how many recordings a class has.
    limits = sizes[enough]
    picks = np.empty((len(limits), count), dtype=np.int64)
    for step in range(count):
        top = limits - count + step
        draw = rng.integers(0, top + 1)
        taken = (picks[:, :step] == draw[:, None]).any(1)
        picks[:, step] = np.where(taken, top, draw)
    chosen[enough] = picks
    if not enough.all():
        few = sizes[~enough]
        keys = rng.random((len(few), count))
        keys[np.arange(count) >= few[:, None]] = np.inf
        shuffled = keys.argsort(1)
        chosen[~enough] = np.take_along_axis(shuffled, np.arange(count) % few[:, None], 1)
    return chosen
