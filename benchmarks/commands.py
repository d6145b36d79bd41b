"""Whole commands on files, one for each vector, against a process that reads and writes a pickle for each vector.

Usage:
    python benchmarks/commands.py [--files 1000 20000] [--rounds 3]

Each command runs in a process of its own, in turns with the stand-in, which loads the same model, and reads, encodes
and writes one vector after the other. The time is that of the process from start to end, so that it contains the
imports, which are also given alone.
"""

import argparse
import os
import pickle
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measuring import table

from balr_hf.data.vector_files import write_vectors

DIM, PER_SPEAKER, EXTENSIONS = 256, 10, ("pkl", "txt", "npy")

STAND_IN = """
import csv, pickle, sys
from pathlib import Path
import torch
from balr_hf import BinaryAttributeAutoEncoder
from balr_hf.defaults import SYSTEM, resource

source, target = map(Path, sys.argv[1:])
model = BinaryAttributeAutoEncoder.from_pretrained(resource(SYSTEM)).eval()
with torch.inference_mode():
    for row in csv.DictReader((source / "corpus.csv").open()):
        with (source / row["embedding"]).open("rb") as file:
            embedding = torch.from_numpy(pickle.load(file))
        path = target / row["embedding"].replace("_emb.pkl", "_ba.pkl")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            pickle.dump(model.encode(embedding[None])[0].numpy(), file)
"""

# What a command that does nothing takes, since it imports what the others import.
IMPORTS = "from balr_hf.cli.main import _load_libraries; _load_libraries(); import torch"


def make(folder: Path, count: int, extension: str) -> None:
    """Write random embeddings of speakers of ten recordings, and a csv that names them."""
    vectors = np.random.default_rng(0).normal(size=(count, DIM)).astype(np.float32)
    names = [f"s{n // PER_SPEAKER}/r{n}_emb.{extension}" for n in range(count)]
    if extension == "pkl":
        for name, vector in zip(names, vectors, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(pickle.dumps(vector))
    else:
        write_vectors([str(folder / name) for name in names], vectors)
    lines = [f"r{n},s{n // PER_SPEAKER},{name}" for n, name in enumerate(names)]
    (folder / "corpus.csv").write_text("\n".join(["id,speaker,embedding", *lines]) + "\n")


def timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds of a process, and of its work on all cores together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, "BALR_DEBUG": "1"}
    )
    took = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def binarizing(count: int, rounds: int, place: Path) -> list[list[str]]:
    """Time `balr binarize` on pickles, text, npy and a Dataset, in turns with the stand-in."""
    from balr_hf import load_corpus

    balr = ["-m", "balr_hf.cli.main", "binarize", "--allow-mismatch"]
    for extension in EXTENSIONS:
        make(place / extension, count, extension)
    load_corpus(place / "npy" / "corpus.csv").save_to_disk(str(place / "dataset"))
    out = place / "out"
    files = {f".{e}": [*balr, str(place / e / "corpus.csv"), "--save-format", e] for e in EXTENSIONS}
    runs = {
        "a pickle per vector": ["-c", STAND_IN, str(place / "pkl"), str(out)],
        **{name: [*words, "--save-dir", str(out)] for name, words in files.items()},
        "Dataset": [*balr, str(place / "dataset"), "--save-dir", str(out)],
        "imports alone": ["-c", IMPORTS],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, arguments in runs.items():
            shutil.rmtree(out, ignore_errors=True)
            found[name].append(timed(arguments))
    base, rows = found["a pickle per vector"], []
    for name, times in found.items():
        wall, work = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = [statistics.median(b[n] / t[n] for b, t in zip(base, times, strict=True)) for n in (0, 1)]
        rows.append([f"{count:,}", name, f"{wall:.1f} s", f"{work:.1f} s", *(f"{ratio:.1f}x" for ratio in ratios)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 20_000], help="numbers of vector files")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs")
    arguments = parser.parse_args()
    rows = []
    for count in arguments.files:
        with tempfile.TemporaryDirectory() as folder:
            rows += binarizing(count, arguments.rounds, Path(folder))
    header = ["vectors", "`balr binarize` of", "time", "work of all cores", "faster", "less work"]
    table(f"Whole commands: medians of {arguments.rounds} rounds", header, rows)


if __name__ == "__main__":
    main()
