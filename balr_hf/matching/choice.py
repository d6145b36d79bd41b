"""Which recordings of a corpus stand for one side of a case, as a column tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from balr_hf.errors import ConfigError, UserError, name_some

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Choice:
    """Recordings whose column has a value: `channel=telephone`.

    Attributes:
        column, value (str): of a corpus.
    """

    column: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read `COLUMN=VALUE`.

        Raises:
            ConfigError: it is something else.
        """
        column, equals, value = (part.strip() for part in text.partition("="))
        if not (column and equals and value):
            raise ConfigError(f"{text!r}: expected COLUMN=VALUE, such as channel=telephone")
        return cls(column, value)

    def rows(self, corpus: datasets.Dataset, name: str) -> list[int]:
        """The rows of a corpus that have the value.

        Args:
            corpus (`datasets.Dataset`): a corpus with the column.
            name (str): how messages call it.

        Raises:
            UserError: there are none.
        """
        values = [None if value is None else str(value) for value in corpus[self.column]]
        chosen = [row for row, value in enumerate(values) if value == self.value]
        if not chosen:
            known = [value for value, _ in Counter(value for value in values if value is not None).most_common()]
            has = f"; it has {name_some(known)}" if known else ", nor any other value"
            raise UserError(f"no recording of {name} has {self}{has}")
        return chosen

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


def describe_choices(choices: tuple[Choice | None, Choice | None]) -> str | None:
    """Say which recordings stand for which side, as the end of a sentence; None if all stand for both."""
    told = [f"{choice} for {side}" for side, choice in zip("AB", choices, strict=True) if choice is not None]
    return f"recordings with {' and with '.join(told)}" if told else None
