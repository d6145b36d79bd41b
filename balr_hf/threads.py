"""Work on several items at once, on the threads that torch would otherwise use within one operation."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores() -> int:
    """How many cores this process may use: those it is allowed, shared out among what a launcher started beside it."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    beside = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)  # of torchrun, which accelerate launch runs, too
    return max(1, allowed // max(1, beside))


class _TorchThreads:
    """Lends the number of threads that torch uses within one operation to calls that may overlap.

    The number that is set last applies to every thread that uses torch for the first time after that. So the first of
    the calls that run together reads the number, and every call restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._number = 1

    @contextmanager
    def lent(self) -> Iterator[int]:
        """Yield the number of threads to share out, and restore it after the block, whatever was set within."""
        with self._lock:
            if not self._calls:
                self._number = torch.get_num_threads()
            self._calls += 1
        try:
            yield self._number
        finally:
            with self._lock:
                self._calls -= 1
                _set_threads(self._number)


def _set_threads(number: int) -> None:
    """Set how many threads torch uses within one operation, of this thread and of threads that are new to torch."""
    torch.get_num_threads()  # the first call in a thread adopts what any thread set last, so it comes before
    torch.set_num_threads(number)


_TORCH_THREADS = _TorchThreads()


def _alone() -> None:
    """Compute on one thread after a fork: the threads of OpenMP are not there, and waiting for them has no end."""
    global _TORCH_THREADS
    _TORCH_THREADS = _TorchThreads()  # another thread may have held the lock
    torch.set_num_threads(1)


# `Dataset.map(num_proc=...)` and `multiprocessing` fork; torch's own loaders do the same in their workers.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)


def threads_of_one(number: int) -> ThreadPoolExecutor:
    """Make so many threads, on each of which an operation of torch runs alone; they end with the pool.

    All of them are started at once, since a thread that starts later would change how many threads others adopt.

    Raises:
        RuntimeError: the system has no more threads to give; those that were started end.
    """
    pool = ThreadPoolExecutor(number, initializer=_set_threads, initargs=(1,))
    started = threading.Barrier(number + 1)
    with _TORCH_THREADS.lent():
        try:
            for _ in range(number):
                pool.submit(started.wait)
            started.wait()
        except BaseException:
            started.abort()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return pool


def on_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Map a function over items on several threads, which share out the threads that torch uses within an operation.

    Whole recordings side by side keep the cores busier than one recording after another, each operation shared out.
    Calls from several threads may overlap: afterwards torch has the number of threads that it had before the first.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    with _TORCH_THREADS.lent() as threads:
        workers = min(threads, len(items))
        with ThreadPoolExecutor(workers, initializer=_set_threads, initargs=(threads // workers,)) as pool:
            return list(pool.map(function, items))
