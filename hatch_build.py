"""Makes the readme that PyPI shows from README.md: links between files of the repository lead nowhere there."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def for_pypi(text: str, files: str | None) -> str:
    """The text of README.md for a place that does not have the files of the repository.

    Args:
        text (str): the README, whose links to files are relative to the repository's root.
        files (str, *optional*): the address below which the files are, with `/` at its end. Without it, a link to a
            file becomes plain words, and a picture is left out.

    Returns:
        the text in which every link leads somewhere.
    """

    def link(match: re.Match[str]) -> str:
        if "://" in match["target"] or match["target"].startswith(("#", "mailto:")):
            return match[0]
        if files is not None:
            raw = "?raw=true" if match["image"] else ""
            return f"{match['image']}[{match['words']}]({files}{match['target']}{raw})"
        return "" if match["image"] else match["words"]

    pieces = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)  # code is left as it is
    pattern = r"(?P<image>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)"
    return "".join(piece if piece.startswith("```") else re.sub(pattern, link, piece) for piece in pieces)


class ReadmeHook(MetadataHookInterface):
    """What hatchling calls for the metadata of wheel and sdist."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme: its links lead to the files of the tag if `[project.urls]` names their `Source`."""
        source = metadata.get("urls", {}).get("Source")
        files = f"{source}/blob/v{metadata['version']}/" if source else None
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_pypi(text, files)}
