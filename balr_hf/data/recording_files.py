"""The files of a corpus that was read from files, and where its new vector files go."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from balr_hf.data.vectors import EXTENSIONS, vector_file
from balr_hf.errors import UserError
from balr_hf.files import ignores_case
from balr_hf.untrusted import printable

# The longest name of a file or a folder that is made from an id, in bytes: endings come after it.
_LONGEST = 200


@dataclass
class RecordingFiles:
    """The files of a corpus that was read from files: where each is, and where a new vector file goes.

    Attributes:
        paths: for each of `audio`, `embedding` and `ba`, one path (or None) per row. They are strings, since there can
            be millions of them.
        root: the folder that relative paths start from.
        save_dir: where new vector files go, in folders that mirror those under `root`; if it is None, they go beside
            the recordings.
        named: the vector files that a csv names, in the same form, whether they exist or not.
    """

    paths: dict[str, list[str | None]]
    root: Path
    save_dir: Path | None = None
    named: dict[str, list[str | None]] = field(default_factory=dict)
    _outside: Path | None = field(default=None, repr=False)
    _inside: str = field(default="", repr=False)
    _saved: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self._inside = inside = os.path.join(self.root, "")
        self._saved = "" if self.save_dir is None else os.path.join(self.save_dir, "")
        outside = {os.path.dirname(p) for p in map(self.reference, range(len(self))) if not p.startswith(inside)}
        if outside:
            self._outside = Path(os.path.commonpath(outside))

    def __len__(self) -> int:
        return len(self.paths["audio"])

    def reference(self, row: int) -> str:
        """Return the file that stands for the recording: its audio, else its embedding, else its attributes."""
        found = self.paths["audio"][row] or self.paths["embedding"][row] or self.paths["ba"][row]
        assert found is not None  # a row without any file is left out when a corpus is read
        return found

    def mirrored(self, row: int) -> str:
        """Return where the recording's reference file would be under `save_dir`; its own path without `save_dir`."""
        reference = self.reference(row)
        if self.save_dir is None:
            return reference
        start = self._inside
        if not reference.startswith(start):
            assert self._outside is not None
            start = os.path.join(self._outside, "")
        return f"{self._saved}{printable(reference[len(start) :])}"  # a csv will name what is written there

    def output(self, row: int, kind: str, extension: str) -> Path:
        """Return the path of the recording's new vector file: the one that the csv names, else beside the reference.

        Raises:
            UserError: the csv names a file of a format that is not written.
        """
        return Path(self.output_name(row, kind, extension))

    def output_name(self, row: int, kind: str, extension: str) -> str:
        """Do what [`output`] does, with a text."""
        named = self.named[kind][row] if kind in self.named and self.save_dir is None else None
        if named is None:
            return vector_file(self.mirrored(row), kind, extension)
        if not named.endswith(EXTENSIONS):
            raise UserError(f"the csv names {named}, and only {', '.join(EXTENSIONS)} are written: use --save-dir")
        return named

    def outputs(self, rows: Iterable[int], kind: str, extension: str) -> dict[str, int]:
        """Return the paths of the recordings' new vector files, each with its row.

        Raises:
            UserError: two recordings' vectors would go to one file (`a.wav` and `a.flac` in one folder), also if that
                of one is there already.
        """
        rows, first = [*rows], dict[str, int]()
        new = {*rows}
        there = {path: row for row, path in enumerate(self.paths[kind]) if path is not None and row not in new}
        for row in rows:
            path = self.output_name(row, kind, extension)
            other = first.get(path, there.get(path))
            if other is not None:
                raise UserError(
                    f"{self.reference(other)} and {self.reference(row)} would both write "
                    f"{os.path.basename(path)}: "
                    "rename one, restrict --audio-formats, or use --save-format dataset"
                )
            first[path] = row
        self._check_case(first)
        return first

    def _check_case(self, first: dict[str, int]) -> None:
        """Refuse paths that differ in case only, if they are one file in their folder, as on most USB sticks."""
        folded: dict[str, str] = {}
        for path in first:
            other = folded.setdefault(path.casefold(), path)
            if other != path and ignores_case(Path(path).parent):
                raise UserError(
                    f"{self.reference(first[other])} and {self.reference(first[path])} would both write "
                    f"{os.path.basename(path)}, since upper and lower case are one in {os.path.dirname(path)}: "
                    "rename one, save elsewhere, or use --save-format dataset"
                )


def paths_of_ids(ids: Sequence[str]) -> list[PurePosixPath]:
    """Make a relative path of each id, whatever characters it has and however long it is.

    A path never leads out of its folder, and no two ids get the same one. An id that is a proper path stays as it is,
    but for a `/` before it. Others (`..`, or one with control characters) end in a digest.
    """
    found = [_path_of_id(name) for name in ids]
    count = Counter(found)
    return [
        path.with_name(f"{path.name}-{_digest(name)}") if count[path] > 1 and str(path) != name else path
        for path, name in zip(found, ids, strict=True)
    ]


def picture_path(folder: Path, name: str) -> Path:
    """Return where the picture of a recording goes: in folders like those of its id."""
    path = folder / "plots" / paths_of_ids([name])[0]
    return path.with_name(f"{path.name}.png")


def _path_of_id(name: str) -> PurePosixPath:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    plain = [os.fsencode(printable(part))[:_LONGEST].decode(errors="ignore") for part in parts]
    if parts and "/".join(plain) == name.lstrip("/"):
        return PurePosixPath(*plain)
    return PurePosixPath(*plain[:-1], "-".join([*plain[-1:], _digest(name)]))


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).hexdigest()
