"""Shares of a corpus: several processes, on one machine or on many, each compute the vectors of other recordings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from balr_hf.errors import ConfigError


@dataclass(frozen=True)
class Shard:
    """One of several shares of a corpus.

    A recording's share depends on its row alone, so that it is the same whatever is done already.

    Attributes:
        index (int): which one, from 0.
        count (int): of how many.
        is_launched (bool): a launcher started all of them together, so that they can wait for one another.
    """

    index: int
    count: int
    is_launched: bool = False

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `I/N`, with I from 0 to N - 1.

        Raises:
            ConfigError: it is anything else.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if found is None or not int(found[1]) < int(found[2]):
            raise ConfigError(f"--shard {text}: expected I/N with I from 0 to N - 1, such as 0/8 to 7/8")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def launched(cls) -> Shard | None:
        """The share of this process if `accelerate launch` or `torchrun` started several, as their variables say."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        return cls(int(os.environ.get("RANK", "0")), count, True) if count > 1 else None

    def rows(self, number: int) -> np.ndarray:
        """Tell which rows of a corpus are in it: bool of shape `(number,)`."""
        return np.arange(number) % self.count == self.index

    def gather(self, own: Any) -> list[Any] | None:
        """Bring together what the processes that a launcher started found, in the order of their numbers.

        Args:
            own: what this process found, which can be pickled.

        Returns:
            what each of them found, in the first of them; None in the others.
        """
        from accelerate.utils import gather_object

        is_first = self.wait_for_all()
        found: list[Any] = gather_object([own])
        return found if is_first else None

    def wait_for_all(self) -> bool:
        """Wait until all processes that a launcher started are here; tells whether this is the first of them."""
        from datetime import timedelta

        from accelerate import PartialState

        state = PartialState(cpu=True, timeout=timedelta(days=30))  # a share may take much longer than the others
        state.wait_for_everyone()
        return bool(state.is_main_process)
