"""What tells the audio that a vector was made from apart from other audio: its digest, or its file's size and time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from balr_hf.identity import file_digest


def audio_source(audio: Any, quick: bool = False) -> str:
    """Tell audio apart by what it holds.

    Args:
        audio: an entry of a corpus's column `audio`: `bytes` and `path`; or either of them alone.
        quick (bool): take a file's size and time of change for it.

    Returns:
        `sha256:...` of the file's bytes, `stat:SIZE:TIME` if it is to be quick, and an empty text where there is
        neither.
    """
    content, path = content_and_path(audio)
    if content is not None:
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    if path is None:
        return ""
    if quick:
        return file_stat(path)
    try:
        return f"sha256:{file_digest(path)}"
    except OSError:
        return ""


def content_and_path(audio: Any) -> tuple[Any, Any]:
    """The bytes of a recording's file, and its path; None for what it does not have.

    Args:
        audio: as for [`audio_source`].
    """
    if isinstance(audio, Mapping):
        return audio.get("bytes"), audio.get("path")
    if isinstance(audio, bytes | bytearray | memoryview):
        return audio, None
    return None, os.fspath(audio) if isinstance(audio, str | os.PathLike) else None


def audio_stat(audio: Any) -> str:
    """Tell the size and the time of change of an audio file, as `stat:SIZE:TIME`.

    Args:
        audio: as for [`audio_source`].

    Returns:
        an empty text where the audio is in no file, or the file cannot be reached.
    """
    if not isinstance(audio, Mapping) or audio.get("bytes") is not None or audio.get("path") is None:
        return ""
    return file_stat(audio["path"])


def file_stat(path: str) -> str:
    """Tell the size and the time of change of a file, as `stat:SIZE:TIME`; an empty text if it cannot be reached."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError):  # a name may have the character NUL
        return ""
    return f"stat:{stat.st_size}:{stat.st_mtime_ns}"
