"""Decoding recordings ahead of a GPU: on threads, or, where there are many recordings, in processes.

Only one thread of a process runs Python at a time, and decoding and measuring need so much of it that four threads do
hardly more than one, and sixteen do less. Processes do not wait for each other, but take seconds to start.
"""

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import torch

from balr_hf.embeddings.passes import Loaded, load_usable
from balr_hf.errors import UserError
from balr_hf.threads import threads_of_one

if TYPE_CHECKING:
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

# From how many recordings on it is worth it that other processes decode them. On 16 cores, 16 processes started in 6 s
# and then decoded 2,300 seconds of audio per second, threads 360 at most: it pays from 250 recordings of 10 s on.
PROCESSES_FROM = 300


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
        self._load, self._pool = load, threads_of_one(workers)

    def begin(self, recordings: Sequence[Any]) -> list[Callable[[], Loaded]]:
        """See [`Decoding`]."""
        return [self._pool.submit(self._load, recording).result for recording in recordings]

    def close(self) -> None:
        """See [`Decoding`]."""
        self._pool.shutdown(cancel_futures=True)


class ProcessDecoding:
    """Decodes recordings in processes, which end with this one, however it ends.

    The processes do not run the calling script; they take along what it defines of the feature extractor. Each has a
    pipe of its own and a thread here that waits for it: a pool of processes, which share a pipe, waits for ever for
    one that is ended while it hands something over.

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
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(workers)
        try:
            for _ in range(workers):
                self._start(context, arguments)
        except BaseException:
            self.close()
            raise

    def _start(self, context: Any, arguments: bytes) -> None:
        here, there = context.Pipe()
        self._connections.append(here)
        with script_hidden(), there:
            process = context.Process(target=_serve, args=(there, arguments), daemon=True)
            process.start()
        self._processes.append(process)
        self._free.put(here)

    def begin(self, recordings: Sequence[Any]) -> list[Callable[[], Loaded]]:
        """See [`Decoding`]; what is returned raises a UserError if a process was ended from outside."""
        return [self._threads.submit(self._load, recording).result for recording in recordings]

    def _load(self, recording: Any) -> Loaded:
        connection = self._free.get()
        try:
            connection.send(recording)
            return pickle.loads(connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise UserError(
                "a process that decoded recordings was ended, perhaps by the system for lack of memory. What is saved "
                "is kept: run the same again, with fewer processes (data.num_workers, or decode_threads) if memory is "
                "short"
            ) from error
        finally:
            self._free.put(connection)

    def close(self) -> None:
        """See [`Decoding`]."""
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()  # at which its process ends
        for process in self._processes:
            process.join()


def _serve(connection: Connection, arguments: bytes) -> None:
    """Decode one recording after another for the process at the other end, until that closes it or ends."""
    import dill

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for the process at the other end
    torch.set_num_threads(1)
    options = dill.loads(arguments)
    with suppress(EOFError, ConnectionError):
        while True:
            loaded = load_usable(connection.recv(), *options)
            connection.send_bytes(pickle.dumps(replace(loaded, whole=None), pickle.HIGHEST_PROTOCOL))


_HIDING = threading.RLock()


@contextmanager
def script_hidden() -> Iterator[None]:
    """Let processes that are started within the block not run the user's script.

    A process that does not come from a fork would run it once more, to find what it defines; a script without
    `if __name__ == "__main__":` would then start all over again in each process. So an empty module takes the script's
    place within the block. Nor do they import a `random.py` or the like that lies in the working folder, as Python
    would before it has the path of the process that started it. Calls from several threads wait for one another.
    """
    with _HIDING:
        script, safe = sys.modules["__main__"], os.environ.get("PYTHONSAFEPATH")
        sys.modules["__main__"] = ModuleType("__main__")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            sys.modules["__main__"] = script
            if safe is None:
                del os.environ["PYTHONSAFEPATH"]
            else:
                os.environ["PYTHONSAFEPATH"] = safe
