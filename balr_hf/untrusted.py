"""Texts that others wrote (names of files, ids, speakers, reasons), shown and written so that they can do nothing.

A terminal obeys control characters, and a spreadsheet computes a cell that begins with `=`. Both come out here as
plain text. What is written into a csv can be read back exactly.
"""

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

# Control characters, those that reverse the direction of writing, and halves of characters, which stand for bytes of
# a file name that are not UTF-8. White space (tab, line breaks) is none of them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# What spreadsheets take for the beginning of a formula, after any number of the quotes that prevent it. The quotes are
# part of the pattern so that a text which has one by itself gets one more, and loses only that when it is read.
_FIRST = "'=+-@\t\r\n"
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def printable(text: str) -> str:
    r"""Return a text in which each control character is written as `\x1b`; line breaks and tabs stay.

    Example:
        >>> print(printable("red: \x1b[31m"))
        red: \x1b[31m
    """
    if text.isprintable():  # nearly always, and quick to tell
        return text
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # Python's stand-in for a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return a text as [`printable`] does, in one line."""
    return printable(" ".join(text.split()))


def unbroken(text: str) -> str:
    r"""Return a text with a space for each line break, so that a name of a file cannot pass for a line of a report.

    Example:
        >>> unbroken("  known.wav\nLR 1,000,000")
        '  known.wav LR 1,000,000'
    """
    return " ".join(text.splitlines())


def csv_cell(value: object) -> object:
    """Return a value for a cell of a csv: a text that could be a formula gets a quote before it.

    Numbers stay as they are, also negative ones in a text.

    Example:
        >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(-0.5)
        ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    if text[:1] not in _FIRST or not _FORMULA.match(text) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def csv_value(text: str) -> str:
    """Return what was given to [`csv_cell`] for the text of a cell.

    Example:
        >>> csv_value("'=1+1"), csv_value("'tis")
        ('=1+1', "'tis")
    """
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


class SafeWriter:
    """A `csv.writer` whose cells are those of [`csv_cell`], and whose lines end in a line feed, as other tools expect.

    Args:
        file: a file that was opened with `newline=""`.
        delimiter (str): the character that separates the columns.
    """

    def __init__(self, file: TextIO, delimiter: str = ","):
        self._writer = csv.writer(_LineFeeds(file), delimiter=delimiter)

    def writerow(self, row: Iterable[object]) -> None:
        self._writer.writerow(map(csv_cell, row))

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        self._writer.writerows(map(csv_cell, row) for row in rows)


class _LineFeeds:
    """A file for a `csv.writer`, whose own line ends it shortens.

    Had the writer been told to end lines in a line feed alone, it would leave carriage returns in cells unquoted.
    """

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def safe_rows(file: TextIO, **options: Any) -> Iterator[list[str]]:
    """Read the rows that a [`SafeWriter`] wrote; cells may be of any length.

    Args:
        file: a file that was opened with `newline=""`.
        **options: as for `csv.reader`.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    for row in csv.reader(file, **options):
        yield list(map(csv_value, row))
