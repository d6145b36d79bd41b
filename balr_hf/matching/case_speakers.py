"""Who of a corpus speaks in a case, as far as names and files tell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import datasets

from balr_hf.data.audio_sources import audio_source, content_and_path


def speakers_of_the_case(
    recordings: Sequence[Any], names: Collection[str], corpus: datasets.Dataset, sizes: Sequence[int | None]
) -> set[str]:
    """Find the speakers of a corpus who speak in a case, as far as names and files tell.

    Args:
        recordings: those of the case: paths, `bytes`, or rows of a column `audio` (`bytes` and `path`). Others hold no
            file that could be compared.
        names: of the speakers of the case.
        corpus: a corpus with `speaker`, and with `audio` if files are to tell.
        sizes: of its recordings, see [`sizes_of`].

    Returns:
        those of the name of a speaker of the case, and those of whom the corpus has a recording of the case: a file
        with the same content, wherever it lies.
    """
    wanted = {_size(recording) for recording in recordings} - {None}
    alike = [row for row, size in enumerate(sizes) if size in wanted]
    contents = {audio_source(recording) for recording in recordings} - {""} if alike else set()
    of_case = {row for row in alike if audio_source(corpus[row]["audio"]) in contents}
    return {
        str(speaker)
        for row, speaker in enumerate(corpus["speaker"])
        if speaker is not None and (str(speaker) in names or row in of_case)
    }


def sizes_of(corpus: datasets.Dataset) -> list[int | None]:
    """Of how many bytes each recording of a corpus is; None where there is none."""
    if "audio" not in corpus.column_names:
        return [None] * len(corpus)
    return [_size(audio) for audio in corpus["audio"]]


def _size(recording: Any) -> int | None:
    content, path = content_and_path(recording)
    if content is not None:
        return len(content)
    try:
        return None if path is None else Path(path).stat().st_size
    except OSError:
        return None
