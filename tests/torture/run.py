"""Kills and damages for so many minutes, and prints what came of it: `make torture`.

    python tests/torture/run.py --minutes 10

The exit status is 1 if anything was lost, not finite, differs after a rerun, or ended in a traceback.
"""

import argparse
import importlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import fuzz  # noqa: E402
import kills  # noqa: E402

# What the forked processes would otherwise import, each anew.
MODULES = (
    "av",
    "datasets",
    "accelerate",
    "transformers",
    "torch",
    "balr_hf.training.trainer",
    "balr_hf.embeddings.modeling_wespeaker",
    "balr_hf.system.modeling_system",
    "balr_hf.scoring.auto",
    "balr_hf.hub.publishing",
)


def load_everything() -> None:
    """Imports what the commands need, so that the processes that are forked have it."""
    kills.serve_hub()
    from balr_hf.cli.commands import COMMANDS

    for name in (*MODULES, *(module for module, _ in COMMANDS.values())):
        importlib.import_module(name)


def run(
    work: Path,
    kills_each: int,
    cases_each: int,
    seconds: float,
    seed: int = 0,
    commands: Sequence[str] = tuple(kills.COMMANDS),
    kinds: Sequence[str] = tuple(fuzz.KINDS),
) -> list[str]:
    """Tortures every command and every kind of file, and prints a line for each.

    Args:
        work: a new folder.
        kills_each: how many kills of each command.
        cases_each: how many cases of each kind of file.
        seconds: after so long nothing new begins, but for the first of each; half of it is for the kills.
        seed: another one gives other kills and other cases.
        commands, kinds: which of those of [`kills`] and [`fuzz`].

    Returns:
        what was wrong.
    """
    wrong: list[str] = []
    kills.prepare(work / "inputs", ROOT / "resources" / "data" / "sample")
    fuzz.prepare(work / "inputs")
    start, total = time.monotonic(), kills.Counts()
    for number, name in enumerate(commands):
        until = start + seconds / 2 * (number + 1) / len(commands)
        choose = random.Random(seed + number)
        counts, found = kills.torture(name, work / "kills" / str(number), kills_each, choose, until)
        print(f"{name}: {_listed(vars(counts))}", flush=True)
        wrong += found
        for field, count in vars(counts).items():
            setattr(total, field, getattr(total, field) + count)
    print(f"All kills: {_listed(vars(total))}", flush=True)
    together: Counter[str] = Counter()
    start = time.monotonic()
    for number, name in enumerate(kinds):
        until = start + seconds / 2 * (number + 1) / len(kinds)
        outcome = fuzz.torture(name, work / "fuzz", cases_each, seed + 100_000 * number, until)
        print(f"{name}: {_listed(outcome.counts)}", flush=True)
        wrong += [f"{name}: {count} times {what}: {outcome.examples[what]}" for what, count in outcome.wrong.items()]
        together += outcome.counts
    print(f"All cases: {together.total()}: {_listed(together)}", flush=True)
    return wrong


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def main() -> int:
    """Reads the options, and tortures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, about [default: 10]")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of kills and cases [default: the time]")
    options = parser.parse_args()
    load_everything()
    print(f"Seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        wrong = run(Path(work), 10**6, 10**6, 60 * options.minutes, options.seed)
    print("\n".join(["", *wrong]) if wrong else "Nothing was lost, nothing differs, nothing ended in a traceback")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
