"""A line on the terminal while libraries are imported for long, as they are the first time after an installation."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

# How long imports may take before the line appears, in seconds. Usually they take less.
PATIENCE = 4.0
NOTICE = "Loading libraries (this takes longest the first time after an installation) ..."


class _Watch:
    """A finder that Python asks for each module to import. It finds none, but looks at the clock."""

    def __init__(self) -> None:
        self.began, self.is_told = monotonic(), False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if not self.is_told and monotonic() - self.began > PATIENCE:
            self.is_told = True
            print(NOTICE, end="", file=sys.stderr, flush=True)


@contextmanager
def tell_of_slow_imports() -> Iterator[None]:
    """Say that libraries are imported, if that takes long and somebody watches standard error; clear it afterwards.

    It needs neither a thread nor a signal, so that the imports go on as they would.
    """
    if not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0":
        yield
        return
    watch = _Watch()
    sys.meta_path.insert(0, watch)  # type: ignore[arg-type]  # all that a finder needs is find_spec
    try:
        yield
    finally:
        sys.meta_path.remove(watch)  # type: ignore[arg-type]
        if watch.is_told:
            print("\r" + " " * len(NOTICE) + "\r", end="", file=sys.stderr, flush=True)
