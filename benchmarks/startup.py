"""Start-up: how long a user waits before a command begins, and for the smallest useful command.

Beside the time, the processor's time of the process is given, which is more alike from run to run on a machine that
does other work as well. The package is compiled, as pip compiles what it installs.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import against, table

from balr_hf import defaults

MAIN = [sys.executable, "-m", "balr_hf"]
# What commands import before they begin.
LIBRARIES = "from balr_hf.cli.main import _load_libraries; _load_libraries()"


def timed(command: list[str], folder: str, env: dict[str, str], repeats: int = 3) -> tuple[float, float]:
    """The least seconds of a process, and of its work on all cores, after a run that fills the disk's cache."""
    found = []
    for _ in range(repeats + 1):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append((took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    wall, work = zip(*found[1:], strict=True)
    return min(wall), min(work)


def main() -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    python = [sys.executable, "-c"]
    measured: list[tuple[str, list[str], float | None]] = [
        ("`import torch`", [*python, "import torch"], None),
        (
            "`from transformers import PreTrainedModel`, the base of every model",
            [*python, "from transformers import PreTrainedModel"],
            None,
        ),
        ("what commands import: both, and datasets, without garbage collection", [*python, LIBRARIES], None),
        ("`import balr_hf`", [*python, "import balr_hf"], None),
        ("`balr --help`", [*MAIN, "--help"], 0.5),
        ("`balr train --help`", [*MAIN, "train", "--help"], None),
        ("`balr score test` on the sample: 2,016 trials", [*MAIN, "score", "test", "test.csv", "trials.csv"], 3),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(defaults.resource(defaults.SAMPLE_CORPUS), folder, dirs_exist_ok=True)
        for step in ("extract", "binarize"):
            subprocess.run([*MAIN, step, "test.csv"], cwd=folder, env=env, check=True, capture_output=True)
        for what, command, target in measured:
            wall, work = timed(command, folder, env)
            told = f"{wall:.2f} s" if target is None else against(wall, target, ".2f", " s", at_most=True)
            rows.append([what, told, f"{work:.2f} s"])
    table("Start-up", ["", "time", "work of all cores"], rows)


if __name__ == "__main__":
    main()
