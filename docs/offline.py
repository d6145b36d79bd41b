"""A hook of mkdocs: no page may load anything from elsewhere, so that the site works without a network."""

import re
from typing import Any

from mkdocs.exceptions import PluginError


def on_post_page(output: str, *, page: Any, **kwargs: Any) -> str:
    """Refuse a finished page with a script, style, picture or frame from elsewhere.

    Args:
        output (str): the HTML of the page.
        page: the page that it is of.

    Returns:
        the HTML as it is.

    Raises:
        PluginError: the page loads something, which is named.
    """
    loads = r"""<(?:script|img|iframe|audio|video|source)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    links = r"""<link\b[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    found = re.findall(loads, output) + re.findall(links, output)
    if found:
        raise PluginError(f"{page.file.src_uri} loads from elsewhere: {', '.join(found)}")
    return output
