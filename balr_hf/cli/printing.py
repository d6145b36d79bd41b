"""What commands print: text without control characters and, with `--json`, one JSON object for other programs."""

import logging
import sys
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
    _write(printable(text).encode(encoding, "replace").decode(encoding) + "\n")


def print_json(arguments: Arguments, content: dict[str, Any]) -> None:
    """Print `content` if the command was given `--json`; messages for people go to standard error."""
    from balr_hf.files import json_text

    if arguments.json:
        _write(json_text(content) + "\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:  # the reader is gone, or the disk is full
        raise OSError(error.errno, error.strerror, "standard output") from error
