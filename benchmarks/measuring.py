"""What the benchmarks share: arguments, clocks, limits of the machine, memory, and tables."""

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from scipy.stats import beta

from balr_hf.defaults import SYSTEM
from balr_hf.defaults import resource as resource_of_the_package


def corpus_parser(description: str | None) -> argparse.ArgumentParser:
    """Make the parser of a script that takes recordings of a corpus to a system."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=form)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("--system", default=str(resource_of_the_package(SYSTEM)), help="folder of the system")
    parser.add_argument("--every", type=int, default=1, help="take every so many recordings")
    return parser


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Time several runs and give the shortest: what the machine can do when nothing disturbs it."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def seconds_in_turns(runs: Sequence[Callable[[], object]], repeats: int = 3) -> list[float]:
    """Time several functions in turns, so that all of them meet the machine's good and bad times; see [`seconds`]."""
    rounds = [[seconds(run, 1) for run in runs] for _ in range(repeats)]
    return [min(times) for times in zip(*rounds, strict=True)]


def share_with_interval(found: int, of: int) -> str:
    """A share in percent with its 95 % interval of Clopper and Pearson, as if what was counted were independent."""
    low = beta.ppf(0.025, found, of - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, of - found) if found < of else 1.0
    return f"{found / of:.1%} ({100 * low:.1f} to {100 * high:.1f})"


def matmul_rate(dtype: torch.dtype = torch.float32, size: int = 2048, device: str = "cpu") -> float:
    """Measure the floating-point operations per second of a matrix product, two for each multiply-add."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, 10)


def peak_memory() -> int:
    """Give the most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def held_memory() -> int:
    """Give the bytes that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def machine() -> str:
    """Describe the machine that the figures are measured on."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads{gpu}"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n\n{machine()}\n")
    for line in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(map(str, line)) + " |", flush=True)


def against(value: float, target: float, form: str = ".1f", unit: str = "x", at_most: bool = False) -> str:
    """Give a figure with its target: `4.2x (target 3x: met)`."""
    met = value <= target if at_most else value >= target
    bound = "at most " if at_most else ""
    return f"{value:{form}}{unit} (target {bound}{target:,.10g}{unit}: {'met' if met else 'NOT met'})"
