"""Jinja2 environments for the templates in a package's `templates` folder. Each escapes values for its format."""

import functools
import json
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from balr_hf.untrusted import one_line

# A line of a template that holds nothing but a statement leaves no empty line behind; the last line break stays.
_OPTIONS: dict[str, Any] = {
    "autoescape": True,
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}

# Characters that mean something to Markdown wherever they are, and underscores that are not inside a word.
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")

# An ampersand that begins a character reference.
_REFERENCE = re.compile(r"&(?=#?\w+;)")


@functools.cache
def html_environment(package: str) -> Environment:
    """The environment for HTML pages: every value is escaped, unless it is `Markup`.

    Args:
        package (str): the dotted name of the package with the `templates` folder.

    Returns:
        `jinja2.Environment`
    """
    return Environment(loader=PackageLoader(package), **_OPTIONS)


@functools.cache
def markdown_environment(package: str) -> Environment:
    """The environment for Markdown files: every value is escaped by [`escape_markdown`], unless it is `Markup`.

    Templates have three filters more: `code` for a code span, `python` for a literal in a block of Python, and `cell`
    for a cell of a table. Join lists by loops: the filter `join` would escape their items for HTML.

    Args:
        package (str): the dotted name of the package with the `templates` folder.

    Returns:
        `jinja2.Environment`
    """
    # `autoescape` makes macros and blocks return Markup, which `finalize` leaves as it is.
    environment = Environment(loader=PackageLoader(package), finalize=escape_markdown, **_OPTIONS)
    environment.filters |= {"code": code_span, "python": python_literal, "cell": table_cell}
    return environment


def escape_markdown(value: object) -> Markup:
    """A value as text in a line of Markdown, which is shown as it is written.

    No HTML, link, image, emphasis, code, formula or cell of a table can begin or end in it. Line breaks become spaces,
    so that it can begin a heading, a list or a block only if the template begins a line with it.

    Args:
        value: anything that `str` makes a text of; `Markup` is returned as it is.
    """
    if isinstance(value, Markup):
        return value
    text = _REFERENCE.sub("&amp;", one_line(str(value)))
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    return Markup(_MARKDOWN.sub(lambda match: f"\\{match[0]}", text))


def code_span(value: object) -> Markup:
    """A value as a code span, between more backticks than there are in a row inside it."""
    text = one_line(str(value))
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return Markup(f"{fence}{space}{text or ' '}{space}{fence}")


def python_literal(value: str | int | float | bool | None) -> Markup:
    """A value as a literal in a fenced block of Python. It is one line long, so that it cannot end the block."""
    return Markup(json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value))


def table_cell(value: object) -> Markup:
    """A value as a cell of a table. Pipes are escaped in `Markup` too, since they would end the cell."""

    def escaped(match: re.Match[str]) -> str:
        backslashes = match[1]
        return match[0] if len(backslashes) % 2 else f"{backslashes}\\|"

    return Markup(re.sub(r"(\\*)\|", escaped, escape_markdown(value)))
