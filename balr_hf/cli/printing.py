"""What commands print: text without control characters and, with `--json`, one JSON object for other programs."""

import logging
import sys
from collections.abc import Collection, Sequence
from typing import Any

from balr_hf.cli.parsing import Arguments
from balr_hf.untrusted import printable


class PrintableFormatter(logging.Formatter):
    """Writes messages without the control characters that names of files and ids may hold."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def print_text(text: str) -> None:
    """Print a text, and a line break, without the control characters that names of files and ids may hold."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(printable(text).encode(encoding, "replace").decode(encoding) + "\n")


def aligned(rows: Sequence[Sequence[str]], words: Collection[int] = (0,)) -> list[str]:
    """The lines of a table, in which columns are aligned.

    Args:
        rows: of one text per column.
        words: the numbers of the columns with words, which are aligned to the left; numbers go to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if number in words else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def print_json(arguments: Arguments, content: dict[str, Any]) -> None:
    """Print `content` if the command was given `--json`; messages for people go to standard error."""
    from balr_hf.files import json_text

    if arguments.json:
        sys.stdout.write(json_text(content) + "\n")
