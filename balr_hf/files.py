"""Writing that is whole or absent: a temporary name first, then a rename."""

import json
import math
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: Path):
    """A temporary name in the same folder that becomes `path` if the block succeeds, and vanishes if it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _temporary_folder(beside: Path):
    """A new folder beside another, that is gone afterwards unless it was renamed."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside.with_name(f".{beside.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def atomic_folder(folder: Path):
    """A temporary folder that replaces `folder` if the block succeeds; otherwise `folder` stays as it was."""
    folder = folder.absolute()
    with _temporary_folder(folder) as temporary:
        yield temporary
        replace_folder(temporary, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Rename the folder `new` to `folder`, in place of one that is there already."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    if old.is_symlink():
        old.unlink()
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def added_to_folder(folder: Path):
    """A temporary folder whose files are moved into `folder` if the block succeeds; what else is there stays."""
    folder = folder.absolute()
    with _temporary_folder(folder) as temporary:
        yield temporary
        folder.mkdir(exist_ok=True)
        for path in sorted(temporary.iterdir(), reverse=True):  # config.json after the weights that it describes
            path.replace(folder / path.name)


@contextmanager
def changed_folder(folder: Path):
    """A temporary copy of `folder` (empty if there is none) that takes its place if the block succeeds."""
    folder = folder.absolute()
    with atomic_folder(folder) as temporary:
        if folder.exists():
            shutil.copytree(folder, temporary, symlinks=True, dirs_exist_ok=True)
        yield temporary


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON; figures that have no value (NaN, infinite) become null."""
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(content) + "\n", encoding="utf-8")


def json_text(content: Any) -> str:
    """Indented JSON; figures that have no value (NaN, infinite) become null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def new_run_folder(save_dir: str | Path | None, default: str, exist_ok: bool = False) -> Path:
    """Create the folder of a run: `save_dir` or `default`, or with 2, 3, ... appended if it exists already.

    Args:
        save_dir: the folder asked for, or None.
        default (str): e.g. `runs/train`.
        exist_ok (bool): use the folder even if it exists.
    """
    wanted = Path(default if save_dir is None else save_dir)
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=exist_ok)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise
            if save_dir is not None and not any(folder.iterdir()):
                return folder  # made for this run; one without a name given could be another run's
            number += 1
            folder = wanted.with_name(f"{wanted.name}{number}")
