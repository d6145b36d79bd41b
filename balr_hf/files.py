"""Writing files and folders complete or not at all: under a temporary name first, which is then renamed.

A process that is killed leaves its temporary files behind. The next process that writes into the same folder removes
those whose process, on this machine, is gone, and puts back a folder that was about to be replaced.
"""

import json
import math
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

# A temporary name says which process made it: `.NAME.HOST.PID.RANDOM.tmp`. A folder that is replaced ends in `.old`.
_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())[:40]
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[\w-]*)\.(?P<pid>\d+)\.[0-9a-f]{8}\.(?P<kind>tmp|old)")

# Folders that this process has cleaned. Once is enough, since a process that lives cleans up after itself.
_cleaned: set[str] = set()
_cleaning = Lock()


def _temporary_name(path: Path, kind: str = "tmp") -> Path:
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.{uuid.uuid4().hex[:8]}.{kind}")


def _prepare(folder: Path) -> None:
    """Make a folder to write into; the first time, remove what killed processes left there."""
    folder.mkdir(parents=True, exist_ok=True)
    with _cleaning:
        if str(folder) not in _cleaned:
            remove_leftovers(folder)
            _cleaned.add(str(folder))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes of this machine left in a folder.

    A folder that was being replaced is put back if nothing is in its place.
    """
    for entry in list(os.scandir(folder)):
        found = _TEMPORARY.fullmatch(entry.name)
        if found is None or found["host"] != _HOST or _is_alive(int(found["pid"])):
            continue
        path = Path(entry.path)
        target = path.with_name(found["name"])
        if found["kind"] == "old" and not target.exists():
            path.rename(target)
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # Windows, where signal 0 would be Ctrl+C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process is another user's
        return True
    return True


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder: it becomes `path` if the block succeeds, and is removed if not."""
    _prepare(path.parent)
    temporary = _temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _temporary_folder(beside: Path) -> Iterator[Path]:
    """Yield a new folder beside another; it is removed after the block unless it was renamed."""
    _prepare(beside.parent)
    temporary = _temporary_name(beside)
    try:
        temporary.mkdir()
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder: it replaces `folder` if the block succeeds; if not, `folder` stays as it was."""
    folder = folder.absolute()
    with _temporary_folder(folder) as temporary:
        yield temporary
        replace_folder(temporary, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Rename the folder `new` to `folder`, in place of any folder of that name."""
    old = _temporary_name(folder, "old")
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
def added_to_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder: its files are moved into `folder` if the block succeeds; other files there stay."""
    folder = folder.absolute()
    with _temporary_folder(folder) as temporary:
        yield temporary
        folder.mkdir(exist_ok=True)
        for path in sorted(temporary.iterdir(), reverse=True):  # config.json after the weights that it describes
            path.replace(folder / path.name)


@contextmanager
def changed_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary copy of `folder`, empty if there is none: it replaces `folder` if the block succeeds."""
    folder = folder.absolute()
    with atomic_folder(folder) as temporary:
        if folder.exists():
            shutil.copytree(folder, temporary, symlinks=True, dirs_exist_ok=True)
        yield temporary


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, complete or not at all; numbers that JSON lacks (NaN, infinities) become null."""
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(content) + "\n", encoding="utf-8")


def json_text(content: Any) -> str:
    """Return indented JSON; numbers that JSON lacks (NaN, infinities) become null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def new_run_folder(save_dir: str | Path | None, default: str, exist_ok: bool = False) -> Path:
    """Create the folder of a run: `save_dir` or `default`, or that name with 2, 3, ... appended if it exists already.

    Args:
        save_dir: the folder that the user asked for, or None.
        default (str): the folder without it: `runs/train`.
        exist_ok (bool): use the folder even if it exists.

    Returns:
        the folder.
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
                return folder  # the user made it for this run; an empty default folder could be another run's
            number += 1
            folder = wanted.with_name(f"{wanted.name}{number}")


def write_file(path: str, content: bytes) -> None:
    """Write one of many files, complete or not at all, with as few calls of the system as that takes."""
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".file.{_HOST}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    if folder not in _cleaned or not os.path.isdir(folder):
        _prepare(Path(folder))
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
