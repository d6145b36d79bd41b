"""What commands print for other programs: with `--json`, one JSON object on standard output."""

import sys
from typing import Any

from balr_hf.cli.parsing import Arguments


def print_json(arguments: Arguments, content: dict[str, Any]) -> None:
    """Print `content` if the command was given `--json`; messages for people go to standard error."""
    from balr_hf.files import json_text

    if arguments.json:
        sys.stdout.write(json_text(content) + "\n")
