"""Manifests, `balr-vectors.json`, which lie beside vector files and say where each comes from.

A manifest has one line of JSON for each vector file, with the fields of [`Origin`][balr_hf.data.origins.Origin]. Runs
only append to it, so that one that is killed loses nothing. The last line of a file counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring as json_string  # json.dumps would make an encoder for each text
from pathlib import Path
from typing import Any

from balr_hf.data.origins import Origin
from balr_hf.data.quality import FILE as QUALITY_FILE
from balr_hf.data.quality import read_quality
from balr_hf.data.recording_files import RecordingFiles
from balr_hf.errors import UserError, name_some
from balr_hf.files import append_lines, atomic_path, split_path

# The manifest beside vector files.
MANIFEST = "balr-vectors.json"

# What a line of a manifest may say besides the model, and what it means if it does not; how much is read at once.
_DEFAULTS = [(name, Origin._field_defaults[name]) for name in Origin._fields[1:]]
_MANIFEST_BLOCK = 1 << 20


class Manifests:
    """Reads the manifests that tell of vector files: the one in a file's folder, or the nearest above it."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, Origin]] = {}
        self._near: dict[tuple[str, tuple[Path | None, ...]], list[tuple[dict[str, Origin], str]]] = {}

    def origin(self, path: str | Path, folders: tuple[Path | None, ...] = ()) -> Origin | None:
        """Return where the vector in a file comes from; None if no manifest names it.

        Args:
            path: the vector file.
            folders: where else to look for a manifest that names it.
        """
        parent, name = split_path(path)
        near = self._near.get((parent, folders))
        if near is None:
            near = self._near[parent, folders] = self._manifests(parent, folders)
        for lines, start in near:
            origin = lines.get(start + name)
            if origin is not None:
                return origin
        return None

    def _manifests(self, parent: str, folders: tuple[Path | None, ...]) -> list[tuple[dict[str, Origin], str]]:
        """List the manifests that may name the files of a folder, each with how it names the folder."""
        parent = os.path.abspath(parent)
        places = [*_upward(parent), *(os.path.abspath(other) for other in folders if other is not None)]
        return [(lines, _start(parent, place)) for place in places if (lines := self.lines(place))]

    def lines(self, folder: str) -> dict[str, Origin]:
        """The origins that the manifest of a folder names, by the vector files' relative paths."""
        if folder not in self._read:
            self._read[folder] = read_manifest(Path(folder, MANIFEST))
        return self._read[folder]


def file_origins(files: RecordingFiles, kind: str) -> list[Origin | None]:
    """Look up where a corpus's vector files come from, one entry for each recording; None where it is unknown."""
    manifests, places = Manifests(), (files.save_dir, files.root)
    return [None if path is None else manifests.origin(path, places) for path in files.paths[kind]]


def _upward(folder: str) -> Iterable[str]:
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def _start(parent: str, folder: str) -> str:
    """How the names of a folder's files begin in a manifest: with its path relative to that of the manifest."""
    if parent == folder:
        return ""
    start = os.path.join(folder, "")
    relative = parent[len(start) :] if parent.startswith(start) else os.path.relpath(parent, folder)
    return relative.replace(os.sep, "/") + "/"


def read_manifest(path: Path) -> dict[str, Origin]:
    """Read a `balr-vectors.json`: the origins of vector files, by their paths relative to its folder.

    Lines that are not whole, as a run that was killed may leave one, are left out: what they would have named is of
    unknown origin.
    """
    if not path.is_file():
        return {}
    found: dict[str, Origin] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        while lines := file.readlines(_MANIFEST_BLOCK):
            for entry in _entries(lines):
                if not isinstance(entry, dict):
                    continue
                name, model = entry.get("file"), entry.get("model")
                if isinstance(name, str) and isinstance(model, str):
                    others = [(entry.get(field), default) for field, default in _DEFAULTS]
                    found[name] = Origin(model, *(v if isinstance(v, str) else default for v, default in others))
    return found


def _entries(lines: list[str]) -> Iterable[Any]:
    """Read lines of JSON, in one piece if all are whole; those that are not are left out."""
    try:
        entries = json.loads(f"[{','.join(lines)}]")
        if len(entries) == len(lines):
            return entries if isinstance(entries, list) else []
    except ValueError:
        pass
    return map(_entry, lines)


def _entry(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def append_manifest(folder: Path, origins: Mapping[str, Origin]) -> None:
    """Add lines to the manifest of a folder in one piece, so that several processes may do so.

    Args:
        folder: where the manifest lies.
        origins: by the paths of the vector files.
    """
    if not origins:
        return
    root, starts, lines = os.path.abspath(folder), dict[str, str](), []
    for path, origin in origins.items():
        parent, name = split_path(path)
        if parent not in starts:
            starts[parent] = _start(os.path.abspath(parent), root)
        lines.append(_line(starts[parent] + name, origin))
    append_lines(folder / MANIFEST, "".join(lines))


def compact_manifest(folder: Path, order: Sequence[str] = ()) -> None:
    """Write a manifest anew with the last line of each file alone: complete or not at all.

    Args:
        folder: where the manifest lies.
        order: paths of vector files, whose lines come in this order after those of other files.
    """
    path = folder / MANIFEST
    origins = read_manifest(path)
    if not origins:
        return
    root, starts, named = os.path.abspath(folder), dict[str, str](), list[str]()
    for file_path in order:
        parent, name = split_path(file_path)
        if parent not in starts:
            starts[parent] = _start(os.path.abspath(parent), root)
        named.append(starts[parent] + name)
    ordered = {*named}
    names = [*(name for name in origins if name not in ordered), *(name for name in named if name in origins)]
    text = "".join(_line(name, origins[name]) for name in names)
    if path.read_bytes() != text.encode():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _line(name: str, origin: Origin) -> str:
    known = [f'"{key}": {json_string(value)}' for key, value in zip(Origin._fields, origin, strict=True) if value]
    return "{" + ", ".join([f'"file": {json_string(name)}', *known]) + "}\n"


def check_quality_is_kept(folder: Path, names: Iterable[str]) -> None:
    """Refuse to write the measures of these recordings over those of a corpus whose vectors lie in the folder.

    Args:
        folder (Path): where `quality.csv` is to be written.
        names: the ids of the recordings whose measures it is to have.

    Raises:
        UserError: measures of other recordings would be lost.
    """
    if not (folder / MANIFEST).exists():
        return
    lost = sorted(set(read_quality(folder / QUALITY_FILE)) - set(names))
    if lost:
        raise UserError(
            f"{folder / QUALITY_FILE} has the measures of a corpus whose vectors lie beside it: {len(lost):,} of them "
            f"would be lost: {name_some(lost)}. Choose another --save-dir"
        )
