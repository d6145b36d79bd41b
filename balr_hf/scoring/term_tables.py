"""Many trials between few sides: terms are looked up rather than computed, and sums of terms are matrix products.

A side's counts of an attribute take few values: two, if the side is one recording. Such a value is called a state. So
all the terms between two sets of sides are in a small table, states x states x attributes, whatever the scorer. If
`E[s]` is the 0/1 matrix that says in which attributes each enrollment is in state `s`, and `W[s]` holds the terms of
the tests against that state, then the scores of all pairs are the sum over `s` of `E[s] W[s]^T`. This takes one matrix
product per state, save for one state.
"""

from collections.abc import Callable

import torch

from .counts import SideCounts

Terms = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
States = tuple[torch.Tensor, torch.Tensor]

# Numbers of tests and of enrollments in a block of a score matrix.
BLOCK_SIDES, MATRIX_ROWS = 1024, 8192

# The most numbers that a table of terms, or a matrix of scores to pick from, may hold (128 MiB in float64), and the
# most counts whose terms are computed together where there is no table (8 MiB).
TABLE_ELEMENTS = 2**24
BLOCK_ELEMENTS = 2**20

# With more distinct counts than this, no states are numbered.
MOST_STATES = 2**16

# A trial that is scored on its own costs about as much as this many entries of a matrix product.
PAIR_COST = 100


class StoredCounts:
    """What a table needs of a tensor of counts, without its memory: counts are made of those that are asked for.

    Args:
        counts ([`SideCounts`]): of the sides.
        like (torch.Tensor): whose type and device the counts get.
    """

    def __init__(self, counts: SideCounts, like: torch.Tensor):
        self._counts, self._like = counts, like
        self.shape, self.device = torch.Size(counts.shape), like.device

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, sides: torch.Tensor | slice) -> torch.Tensor:
        some = sides if isinstance(sides, slice) else sides.cpu().numpy()
        return torch.from_numpy(self._counts.of(some)).to(self._like)

    def new_empty(self, *size: int) -> torch.Tensor:
        return self._like.new_empty(*size)


class TermTable:
    """Terms of trials between two sets of sides, each computed from the counts, which works for every scorer.

    Args:
        terms: turns the counts of two sides, `(n, attributes, k)` each, into terms `(n, attributes)`.
        enroll (`(enrollments, attributes, k)`): counts.
        test (`(tests, attributes, k)`): counts.
        offset (float): what a calibration adds to each sum of terms, in natural-log units.
    """

    # How many matrix products the scores of all pairs take; None if they are not computed by matrix products.
    products: int | None = None
    # What is added to the scores of pairs besides the offset, by the numbers of their sides: quality measures' terms.
    addition: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None

    def __init__(
        self,
        terms: Terms,
        enroll: torch.Tensor | StoredCounts,
        test: torch.Tensor | StoredCounts,
        offset: float = 0.0,
    ):
        self._terms, self.enroll, self.test, self.offset = terms, enroll, test, offset

    def terms(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Compute terms of trials, whose sum plus `offset` is the score.

        Args:
            rows (int `(n,)`): the number of each trial's enrollment.
            columns (int `(n,)`): the number of each trial's test.

        Returns:
            `(n, attributes)`: natural-log likelihood ratios.
        """
        return self._terms(self.enroll[rows], self.test[columns])

    @torch.no_grad()
    def scores(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Compute scores of trials, the offset included.

        Args:
            rows, columns (int `(n,)`): as for `terms`.

        Returns:
            `(n,)`: natural-log likelihood ratios.
        """
        sums = self._sums(rows, columns).add_(self.offset)
        return sums if self.addition is None else sums.add_(self.addition(rows, columns).to(sums))

    def _sums(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Sums of the trials' terms, `(n,)`: as matrix products where these cost less than the trials one by one."""
        if self.products is None:
            return self._one_by_one(rows, columns)
        (rows, row), (columns, column) = _numbered(rows, len(self.enroll)), _numbered(columns, len(self.test))
        if len(rows) * len(columns) * self.products > PAIR_COST * len(row):
            return self._one_by_one(rows[row], columns[column])
        scores = self.enroll.new_empty(len(row))
        size = min(MATRIX_ROWS, max(1, TABLE_ELEMENTS // max(1, len(columns))))
        matrix = self.enroll.new_empty(min(size, len(rows)), len(columns))
        block = row // size
        for part in block.argsort().split(block.bincount().tolist()):
            first = int(block[part[0]]) * size
            some = rows[first : first + size]
            self._write(matrix[: len(some)], some, columns)
            scores[part] = matrix[row[part] - first, column[part]]
        return scores

    @torch.no_grad()
    def matrix(self) -> torch.Tensor:
        """Compute the scores of every enrollment against every test, the offset included: `(enrollments, tests)`."""
        rows, columns = (torch.arange(len(side), device=side.device) for side in (self.enroll, self.test))
        matrix = self.enroll.new_empty(len(rows), len(columns))
        if matrix.numel():
            for block, some in zip(matrix.split(MATRIX_ROWS), rows.split(MATRIX_ROWS), strict=True):
                self._write(block, some, columns)
                if self.addition is not None:
                    for row, number in zip(block, some, strict=True):
                        row.add_(self.addition(number.expand(len(columns)), columns).to(row))
        return matrix.add_(self.offset)

    def _write(self, out: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> None:
        """Write the sums of terms of some enrollments against some tests to `out (rows, columns)`."""
        for block, some in zip(out.split(BLOCK_SIDES, 1), columns.split(BLOCK_SIDES), strict=True):
            self._write_block(block, rows, some)

    def _write_block(self, out: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> None:
        """Do what `_write` does, for at most `BLOCK_SIDES` tests."""
        pairs = torch.cartesian_prod(rows, columns).reshape(-1, 2)
        out.copy_(self._one_by_one(pairs[:, 0], pairs[:, 1]).reshape(out.shape))

    def _one_by_one(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        block = max(1, BLOCK_ELEMENTS // max(1, self.enroll[:1].numel()))
        parts = [self.terms(r, c).sum(-1) for r, c in zip(rows.split(block), columns.split(block), strict=True)]
        return torch.cat(parts) if parts else self.enroll.new_empty(0)


class StateTable(TermTable):
    """A [`TermTable`] that looks terms up in the table of states.

    Args:
        terms, enroll, test, offset: as for [`TermTable`].
        enroll_states, test_states: what [`count_states`] returns for `enroll` and for `test`.
    """

    def __init__(
        self,
        terms: Terms,
        enroll: torch.Tensor | StoredCounts,
        test: torch.Tensor | StoredCounts,
        enroll_states: States,
        test_states: States,
        offset: float = 0.0,
    ):
        super().__init__(terms, enroll, test, offset)
        (self.enroll_codes, self.enroll_states), (self.test_codes, self.test_states) = enroll_states, test_states
        self.products = max(1, min(len(self.enroll_states), len(self.test_states)) - 1)
        self._table: torch.Tensor | None = None

    def terms(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        if self._table is None:
            if len(self.enroll_states) * len(self.test_states) * self.enroll.shape[1] > TABLE_ELEMENTS:
                return super().terms(rows, columns)
            self._table = torch.cat([self._against(state, self.test_states) for state in self.enroll_states])
        return self._table.gather(0, self.enroll_codes[rows].long() * len(self.test_states) + self.test_codes[columns])

    def _write_block(self, out: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> None:
        codes, others = self.enroll_codes[rows], self.test_codes[columns]
        if len(self.enroll_states) <= len(self.test_states):
            self._write_product(out, codes, self.enroll_states, others, self.test_states)
        else:
            self._write_product(out.T, others, self.test_states, codes, self.enroll_states, swapped=True)

    def _write_product(
        self,
        out: torch.Tensor,
        few_codes: torch.Tensor,
        few_states: torch.Tensor,
        codes: torch.Tensor,
        states: torch.Tensor,
        swapped: bool = False,
    ) -> None:
        """Write sums of terms to `out (len(few_codes), len(codes))`, in a loop over the states of the first set.

        Args:
            out: where to write.
            few_codes, few_states: the set of sides with fewer states.
            codes, states: the other set.
            swapped (bool): whether the first set is of tests, rather than of enrollments.
        """
        codes = codes.long()
        first = self._against(few_states[0], states, swapped).gather(0, codes)
        out.copy_(first.sum(-1).expand_as(out))
        for number, state in enumerate(few_states[1:], 1):
            has = few_codes == number
            if has.any():
                out.addmm_(has.to(first.dtype), (self._against(state, states, swapped).gather(0, codes) - first).T)

    def _against(self, state: torch.Tensor, states: torch.Tensor, swapped: bool = False) -> torch.Tensor:
        """Terms of one state against each of others, for every attribute: `(states, attributes)`."""
        attributes = self.enroll.shape[1]
        sides = [s.unsqueeze(-2).expand(len(states), attributes, -1) for s in (state.expand_as(states), states)]
        return self._terms(*(reversed(sides) if swapped else sides))


def _numbered(index: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Do what `index.unique(return_inverse=True)` does, without sorting; all numbers must be below `count`."""
    present = index.flatten().bincount(minlength=count) > 0
    rank = (present.cumsum(0) - 1).to(index.dtype)
    return present.nonzero()[:, 0], rank[index.long()]


def term_table_of(terms: Terms, enroll: torch.Tensor, test: torch.Tensor, offset: float = 0.0) -> TermTable:
    """Make a [`StateTable`] if the counts are whole numbers of few distinct values, and a [`TermTable`] otherwise."""
    states = count_states(enroll)
    other = states if test is enroll else count_states(test)
    if states is None or other is None or not len(enroll) or not len(test):
        return TermTable(terms, enroll, test, offset)
    return StateTable(terms, enroll, test, states, other, offset)


def side_table_of(terms: Terms, counts: SideCounts, like: torch.Tensor, offset: float = 0.0) -> StateTable | None:
    """Make a [`StateTable`] between all sides, if their counts take few distinct values.

    Args:
        terms, offset: as for [`TermTable`].
        counts ([`SideCounts`]): of the sides.
        like (torch.Tensor): whose type and device the terms get.
    """
    found = counts.states(MOST_STATES)
    if found is None:
        return None
    states = torch.from_numpy(found[0]).to(like.device), torch.from_numpy(found[1]).to(like)
    rows = StoredCounts(counts, like)
    return StateTable(terms, rows, rows, states, states, offset)


def count_states(counts: torch.Tensor) -> States | None:
    """Number the distinct counts that an attribute can have.

    Args:
        counts (`(sides, attributes, k)`): not negative.

    Returns:
        `(codes, states)`: the number of each count, int32 `(sides, attributes)`; and the counts that each number
        stands for, `(states, k)`. None if the counts are not whole numbers, or too many of them are distinct.
    """
    if not counts.numel():
        return None
    sizes = [int(size) + 1 for size in counts.amax((0, 1)).clamp(max=MOST_STATES).tolist()]
    possible = torch.Size(sizes).numel()
    if possible > MOST_STATES:
        return None
    codes = torch.zeros(counts.shape[:2], dtype=torch.int32, device=counts.device)
    for value, size in zip(counts.unbind(-1), sizes, strict=True):
        whole = value.to(torch.int32)
        if not (whole == value).all():
            return None
        codes.mul_(size).add_(whole)
    found, codes = _numbered(codes, possible)
    return codes, torch.stack(torch.unravel_index(found, sizes), -1).to(counts.dtype)
