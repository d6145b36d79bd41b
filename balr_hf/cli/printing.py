"""What commands print for other programs to read: one JSON object on standard output, where `--json` asks for it."""

import sys
from typing import Any

from balr_hf.cli.parsing import Arguments


def print_json(arguments: Arguments, content: dict[str, Any]) -> None:
    """Print the object if the command was given `--json`; what people read goes to standard error anyway."""
    from balr_hf.files import json_text

    if arguments.json:
        sys.stdout.write(json_text(content) + "\n")
