"""Links in docstrings: a name in brackets, [`Trials`], becomes a link to where the reference documents it.

Sections that are headed `Example:` are shown as code and output, as griffe does with those headed `Examples:`.

An extension of griffe, which reads the docstrings for mkdocs. `docs/make_site.py` writes which names are documented.
"""

import json
import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object


class Names(Extension):
    """Rewrites the names in brackets of every docstring."""

    def __init__(self, names: str) -> None:
        self.names = json.loads(Path(names).read_text(encoding="utf-8"))

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of an object, if it has one."""
        if obj.docstring is not None:
            text = re.sub(r"\[`([\w.]+)`\](?!\[)", self._link, obj.docstring.value)
            text = re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.MULTILINE)
            typed = r"^ +[\w*, ]+ \(.*?\):"  # an argument with its type, which the reference shows as code anyway
            obj.docstring.value = re.sub(typed, self._plain, text, flags=re.MULTILINE)

    def _plain(self, match: re.Match[str]) -> str:
        """An argument and its type without marks and links, which code would show as they are written."""
        text = match[0].replace("`", "").replace("*optional*", "optional")
        return re.sub(r"(?<!\w)\[([\w.]+)\](?:\[[\w.]+\])?", r"\1", text)

    def _link(self, match: re.Match[str]) -> str:
        full = self.names.get(match[1])
        return f"`{match[1]}`" if full is None else f"[`{match[1]}`][{full}]"
