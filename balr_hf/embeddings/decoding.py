"""Decoding recordings ahead of a GPU: on threads, or, where there are many recordings, in processes.

Only one thread of a process runs Python at a time, and decoding and measuring need so much of it that four threads do
hardly more than one, and sixteen do less. Processes do not wait for each other, but take seconds to start.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import torch

from balr_hf.embeddings.passes import Loaded, load_usable
from balr_hf.errors import UserError
from balr_hf.threads import threads_of_one

if TYPE_CHECKING:
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

# From how many recordings on it is worth it that other processes decode them.
PROCESSES_FROM = 1_000

# What a process that decodes recordings takes beside each of them.
_work: tuple[Any, ...] = ()


class Decoding(Protocol):
    """Decodes recordings on the side."""

    def begin(self, recordings: Sequence[Any]) -> list[Callable[[], Loaded]]:
        """Begin with some recordings, as [`load_audio`] takes them; returns what waits for each of them."""

    def close(self) -> None:
        """End the threads or processes."""


class ThreadDecoding:
    """Decodes recordings on threads.

    Args:
        workers (int): how many threads.
        load: decodes, measures and judges one recording, see [`load_usable`].
    """

    def __init__(self, workers: int, load: Callable[[Any], Loaded]):
        self._load, self._workers = load, workers
        self._pool: ThreadPoolExecutor | None = None

    def begin(self, recordings: Sequence[Any]) -> list[Callable[[], Loaded]]:
        """See [`Decoding`]."""
        self._pool = self._pool or threads_of_one(self._workers)
        return [self._pool.submit(self._load, recording).result for recording in recordings]

    def close(self) -> None:
        """See [`Decoding`]."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class ProcessDecoding:
    """Decodes recordings in processes, which end with this one, however it ends.

    The processes do not run the calling script; they take along what it defines of the feature extractor.

    Args:
        workers (int): how many processes.
        extractor, min_speech, quick: as for [`load_usable`].
    """

    def __init__(self, workers: int, extractor: "WespeakerFeatureExtractor", min_speech: float, quick: bool):
        import dill

        # A server that has imported all they need and nothing else forks the processes: a fork of this process would
        # lack the threads of CUDA and OpenMP, and a process that starts from nothing imports everything once more.
        context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        if sys.platform == "linux":
            context.set_forkserver_preload([__name__])
        arguments = dill.dumps((extractor, min_speech, quick), recurse=True)
        self._pool = ProcessPoolExecutor(workers, context, _begin, (arguments,))

    def begin(self, recordings: Sequence[Any]) -> list[Callable[[], Loaded]]:
        """See [`Decoding`].

        Raises:
            UserError: a process was ended by another one, or by the system; so does what is returned.
        """
        with script_hidden(), _ended_by_others():
            return [_Waiting(self._pool.submit(_load, recording)) for recording in recordings]

    def close(self) -> None:
        """See [`Decoding`]."""
        self._pool.shutdown(cancel_futures=True)


class _Waiting:
    """Waits for a recording that a process decodes."""

    def __init__(self, future: Future[bytes]):
        self._future = future

    def __call__(self) -> Loaded:
        with _ended_by_others():
            return pickle.loads(self._future.result())


@contextmanager
def _ended_by_others() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise UserError(
            "a process that decoded recordings was ended, perhaps by the system for lack of memory. What is done is "
            "kept: run the same again, with fewer processes (data.num_workers, or decode_threads) if memory is short"
        ) from error


def _begin(arguments: bytes) -> None:
    """Prepare a process: it leaves it to its parent to be interrupted, and ends with it."""
    import dill

    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _work = dill.loads(arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _load(recording: Any) -> bytes:
    loaded = load_usable(recording, *_work)
    return pickle.dumps(replace(loaded, whole=None), pickle.HIGHEST_PROTOCOL)


_HIDING = threading.RLock()


@contextmanager
def script_hidden() -> Iterator[None]:
    """Let processes that are started within the block not run the user's script.

    A process that does not come from a fork would run it once more, to find what it defines; a script without
    `if __name__ == "__main__":` would then start all over again in each process. So an empty module takes the script's
    place within the block. Calls from several threads wait for one another.
    """
    with _HIDING:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script
