"""Writing files and folders complete or not at all: under a temporary name first, which is then renamed.

Where the system can exchange two folders in one step (Linux, macOS), a folder that is replaced is in its place at
every instant. Elsewhere, and on file systems that cannot, it takes two renames, and a process that is killed between
them leaves the earlier folder beside its place. Whoever opens or writes that folder next puts it back: see
[`restore_folder`]. A killed process also leaves its temporary files behind. The next process that writes into the
same folder removes those whose process, on this machine, is gone.
"""

import ctypes
import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from balr_hf.errors import defining_package, reason_of

logger = logging.getLogger(__name__)

# A temporary name says which process made it: `.NAME.HOST.PID.RANDOM.tmp`. A folder that is replaced is moved into one
# whose name ends in `.old`, under its own name, so that it can be put back also where NAME had to be shortened.
_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())[:40]
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[\w-]*)\.(?P<pid>\d+)\.[0-9a-f]{8}\.(?P<kind>tmp|old)", re.DOTALL)

# The longest NAME in bytes: file systems allow 255 for the whole.
_LONGEST = 120

# How long another process is given to finish the second of its two renames, in seconds.
_PATIENCE = 5.0

# Folders that this process has cleaned. Once is enough, since a process that lives cleans up after itself.
_cleaned: set[str] = set()
_cleaning = Lock()


def _temporary_name(path: Path, kind: str = "tmp") -> Path:
    return path.with_name(f".{_short(path.name)}.{_HOST}.{os.getpid()}.{uuid.uuid4().hex[:8]}.{kind}")


def _short(name: str) -> str:
    """A name for temporary names: a digest of it if it is long."""
    content = os.fsencode(name)
    return name if len(content) <= _LONGEST else hashlib.blake2b(content, digest_size=16).hexdigest()


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
        if found["kind"] == "old":
            _put_back(path)
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _put_back(old: Path) -> None:
    """Put what is in an `.old` folder back into its place, if that is empty, and remove the folder."""
    try:
        for kept in old.iterdir():
            target = old.with_name(kept.name)
            if not target.exists():
                kept.rename(target)
                logger.warning("Put %s back into its place: a process was killed while it replaced it", target)
    except OSError:  # another process was faster
        return
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(folder: Path) -> None:
    """Put a folder back into its place if a process was killed while it replaced it.

    Call this before a folder is opened that may have been replaced. It costs nothing if there is something.

    Args:
        folder: what is to be opened or written.
    """
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists(folder) and (found := _moved_aside(folder)):
        # Its owner may be about to put the new folder there. One of another machine cannot be asked.
        gone = [old for old, host, pid in found if host == _HOST and not _is_alive(pid)]
        if not gone and time.monotonic() > deadline:
            gone = [old for old, host, _ in found if host != _HOST]
        for old in gone:
            _put_back(old)
        if time.monotonic() > deadline:
            return
        if not gone:
            time.sleep(0.05)


def _moved_aside(folder: Path) -> list[tuple[Path, str, int]]:
    """List the `.old` folders in which a folder lies, with the machines and the processes that made them."""
    found = []
    try:
        names = os.listdir(folder.parent)
    except OSError:
        return []
    for name in names:
        match = _TEMPORARY.fullmatch(name)
        if match and match["kind"] == "old" and match["name"] == _short(folder.name):
            old = folder.with_name(name)
            if os.path.lexists(old / folder.name):
                found.append((old, match["host"], int(match["pid"])))
    return found


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


def ignores_case(folder: Path) -> bool:
    """Tell whether names that differ in case only are one file in a folder, which is made if there is none."""
    with _temporary_folder(folder / "Case") as temporary:
        return temporary.with_name(temporary.name.swapcase()).exists()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder: it becomes `path` if the block succeeds, and is removed if not."""
    _prepare(path.parent)
    temporary = _temporary_name(path)
    try:
        with _named_in_errors(path, temporary):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _named_in_errors(path: str | Path, temporary: str | Path) -> Iterator[None]:
    """Let errors of the system name what was to be written, and not its temporary name, or nothing at all."""
    try:
        yield
    except OSError as error:
        is_full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if is_full or str(error.filename) == str(temporary):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what safetensors raises where a file cannot be written (the disk is full) into an `OSError`."""
    try:
        yield
    except Exception as error:
        if defining_package(error) == "safetensors" and "os error" in str(error):
            raise OSError(f"cannot write {target}: {reason_of(error)}") from error
        raise


@contextmanager
def _temporary_folder(beside: Path) -> Iterator[Path]:
    """Yield a new folder beside another; it is removed after the block unless it was renamed."""
    _prepare(beside.parent)
    temporary = _temporary_name(beside)
    try:
        with _named_in_errors(beside, temporary):
            temporary.mkdir()
        with disk_errors(beside):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder: it replaces `folder` if the block succeeds; if not, `folder` stays as it was."""
    folder = folder.absolute()
    restore_folder(folder)
    with _temporary_folder(folder) as temporary:
        yield temporary
        replace_folder(temporary, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Rename the folder `new` to `folder`, in place of any folder of that name.

    A process that is killed meanwhile leaves either folder whole in that place, or the earlier one where
    [`restore_folder`] finds it.
    """
    if not folder.exists():
        new.rename(folder)
    elif exchange(new, folder):
        _remove(new)
    else:
        old = _temporary_name(folder, "old")
        old.mkdir()
        folder.rename(old / folder.name)
        try:
            new.rename(folder)
        except OSError:
            (old / folder.name).rename(folder)
            raise
        finally:
            _remove(old / folder.name)
            shutil.rmtree(old, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to one."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


# Of renameat2 on Linux and renamex_np on macOS: paths start from the working directory; exchange both.
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2


def exchange(one: Path, other: Path) -> bool:
    """Exchange two files or folders of one file system in a single step.

    Returns:
        whether that was done; False where the system or the file system cannot.
    """
    try:
        library = ctypes.CDLL(None)
        names = os.fsencode(one), os.fsencode(other)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, _RENAME_SWAP) == 0)
        return bool(library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):  # there is no such function, or on Windows no such library
        return False


@contextmanager
def added_to_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder: its files are moved into `folder` if the block succeeds; other files there stay.

    A model that is there already is replaced in one step, so that its weights and its `config.json` always belong
    together.
    """
    folder = folder.absolute()
    restore_folder(folder)
    with _temporary_folder(folder) as temporary:
        yield temporary
        if (folder / "config.json").exists():
            with _temporary_folder(folder) as whole:
                shutil.copytree(folder, whole, symlinks=True, copy_function=_link, dirs_exist_ok=True)
                _move_files(temporary, whole)
                replace_folder(whole, folder)
        else:
            folder.mkdir(exist_ok=True)
            _move_files(temporary, folder)


def _move_files(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir(), reverse=True):  # config.json after the weights that it describes
        path.replace(target / path.name)


def _link(source: str, target: str) -> None:
    """Make a second name for a file, or a copy where the file system knows no second names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


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


def split_path(path: str | Path) -> tuple[str, str]:
    """Split a path into its folder and its name, as `os.path.split` does, which takes several times as long."""
    text = os.fspath(path)
    if os.sep == "/":
        folder, _, name = text.rpartition("/")
        if folder and folder[-1] != "/":
            return folder, name
    return os.path.split(text)


# How `write_file` opens a file, which must not be there yet.
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_file(path: str, content: bytes) -> None:
    """Write one of many files, complete or not at all, with as few calls of the system as that takes."""
    folder, _ = split_path(path)
    temporary = os.path.join(folder, f".file.{_HOST}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    if folder not in _cleaned:
        _prepare(Path(folder))
    try:
        with _named_in_errors(path, temporary):
            try:
                handle = os.open(temporary, _NEW_FILE, 0o666)
            except FileNotFoundError:  # the folder was removed since it was prepared
                _prepare(Path(folder))
                handle = os.open(temporary, _NEW_FILE, 0o666)
            try:
                _write_all(handle, content)
            finally:
                os.close(handle)
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write_all(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:  # a disk that is nearly full takes a part
        left = left[os.write(handle, left) :]


def append_lines(path: Path, lines: str, heading: str = "") -> None:
    """Add lines to a file in one piece, so that several processes may do so; after `heading` if there is none yet.

    What a run that was killed or found the disk full has written of a line stays a line of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named_in_errors(path, path), path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        before = heading if not size else "" if file.read(1) == b"\n" else "\n"
        _write_all(file.fileno(), (before + lines).encode())
