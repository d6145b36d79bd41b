"""Python processes that start quickly: a server that has imported torch and its like already, and forks itself.

Most of a short script's time is what transformers imports of torch and scipy. The scripts of tests are processes of
their own all the same, and import this package, transformers, datasets and huggingface_hub afresh, under the
environment variables that they were given.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

# What is imported before the fork: what reads none of the environment variables that tests set.
PRELOADED = (
    *("torch", "torch._dynamo", "torch.distributed.fsdp", "torch.distributed.tensor", "torch.utils.data"),
    *("numpy", "pandas", "pyarrow.dataset", "pyarrow.parquet", "scipy.optimize", "scipy.stats", "sympy"),
    *("sklearn.linear_model", "sklearn.metrics", "dill", "multiprocess", "httpx", "requests", "yaml", "jinja2"),
)
# What must be imported afresh.
FRESH = ("accelerate", "balr_hf", "datasets", "huggingface_hub", "matplotlib", "tensorboard", "transformers")


class WarmPython:
    """A server process, started at the first script and ended with this object."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | None = None,
        input: str | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python command in a process of its own.

        Args:
            argv: what follows `python`: `-c CODE ...`, `-m MODULE ...` or `SCRIPT ...`.
            env: its environment variables, no others.
            cwd: where it runs.
            input: what it can read from its standard input.
            timeout (float): seconds, after which it is killed.

        Returns:
            what `subprocess.run(..., capture_output=True, text=True)` does.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
            streams[0].write_text(input or "", encoding="utf-8")
            request = {"argv": list(argv), "env": dict(env), "cwd": str(cwd or Path.cwd()), "timeout": timeout}
            answer = self._ask(request | {"streams": [str(path) for path in streams]})
            output, errors = (path.read_text(encoding="utf-8", errors="replace") for path in streams[1:])
        if answer["timed_out"]:
            raise subprocess.TimeoutExpired(list(argv), timeout, output, errors)
        return subprocess.CompletedProcess(list(argv), answer["returncode"], output, errors)

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.stdin.close()
            self._server.wait()
            self._server = None

    def _ask(self, request: dict) -> dict:
        if self._server is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._server = subprocess.Popen([sys.executable, __file__], cwd="/", **pipes)
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


def serve() -> dict | None:
    """Answer requests until there are no more; returns None then, and in each forked process its request."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    with os.fdopen(requests) as lines:
        while line := lines.readline():
            request = json.loads(line)
            child = os.fork()
            if not child:
                os.close(answers)
                return request
            os.write(answers, (json.dumps(outcome(child, request["timeout"])) + "\n").encode())
    return None


def outcome(child: int, timeout: float) -> dict:
    """How a forked process ended: `returncode`, and whether it was killed after `timeout` seconds."""
    signal.signal(signal.SIGALRM, lambda *_: kill(child))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    _, status = os.waitpid(child, 0)
    timed_out = signal.setitimer(signal.ITIMER_REAL, 0)[0] == 0
    return {"returncode": os.waitstatus_to_exitcode(status), "timed_out": timed_out}


def kill(child: int) -> None:
    """Kill a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def become(request: dict) -> None:
    """Run the command of a request as the main program of this process."""
    os.setsid()
    for number, (path, flags) in enumerate(
        zip(request["streams"], (os.O_RDONLY, *(os.O_CREAT | os.O_WRONLY,) * 2), strict=True)
    ):
        stream = os.open(path, flags, 0o600)
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    first, *rest = request["argv"]
    folder = str(Path(first).resolve().parent) if first not in ("-c", "-m") else request["cwd"]
    sys.path[0] = "" if first == "-c" else folder
    sys.path[1:1] = [path for path in request["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    if first == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        main.__dict__["__builtins__"] = __builtins__
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    elif first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


def status_of(request: dict) -> int:
    """Run a request; gives the exit status that Python would end with."""
    try:
        become(request)
    except SystemExit as exit:
        if exit.code is None or isinstance(exit.code, int):
            return exit.code or 0
        print(exit.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def end(status: int) -> None:
    """End this process as Python does, but for taking apart what is imported: that takes longer than most scripts."""
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    for name in PRELOADED:
        __import__(name)
    gc.freeze()  # so that no forked process goes through what is imported, and copies it by that
    loaded = sorted(set(FRESH) & set(sys.modules))
    assert not loaded, f"imported before the fork, though their settings are read at import: {loaded}"
    if (mine := serve()) is not None:
        end(status_of(mine))
