"""The parser of a command's flags: groups of flags in `--help`, and errors in one line."""

import argparse
import textwrap
from typing import Any, NoReturn

from argparse_dataclass import ArgumentParser

from balr_hf.errors import ConfigError

# How argparse begins to say that words are missing.
MISSING_WORDS = "the following arguments are required: "


class GroupedParser(ArgumentParser):
    """The parser of argparse-dataclass, with the flags of each title in a group of its own.

    Args:
        options_class: the dataclass of all flags.
        titles: the name of a flag -> the title of its group; other flags are in the general group.
        notes: the title of a group -> what is said below it.
        **kwargs: for `argparse.ArgumentParser`.

    Attributes:
        expected (str): what the command takes, for the error where words are missing.
    """

    def __init__(self, options_class: type, titles: dict[str, str], notes: dict[str, str], **kwargs: Any) -> None:
        self._titles, self._notes = titles, notes
        self._groups: dict[str, argparse._ArgumentGroup] = {}
        self.expected = ""
        super().__init__(options_class, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong, so that it is reported in one line like all other errors."""
        missing = message.removeprefix(MISSING_WORDS)
        raise ConfigError(message if missing == message else f"missing {missing.upper()}: {self.expected}")

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Add a flag to the group of its title."""
        title = self._titles.get(kwargs.get("dest") or args[0].lstrip("-").replace("-", "_"))
        if title is None:
            return super().add_argument(*args, **kwargs)
        if title not in self._groups:
            self._groups[title] = self.add_argument_group(title, self._notes.get(title) or None)
        return self._groups[title].add_argument(*args, **kwargs)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps each line of a description by itself, and leaves those of examples whole; switches show no value."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=36)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return super()._fill_text(text, width, indent)
        return "\n".join(
            textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent + "    " * line.startswith(" "))
            for line in text.splitlines()
        )

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return super()._format_action_invocation(action).replace(" ,", ",").rstrip()
