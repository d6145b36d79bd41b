"""Processes that share the work of a recipe."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def processes(number: int, **options: Any) -> Iterator[ProcessPoolExecutor]:
    """Make so many processes, with these options of `ProcessPoolExecutor`; an error cancels what is still waiting."""
    with ProcessPoolExecutor(number, **options) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)  # and wait: `with` shuts down again, and would take this back
            raise
