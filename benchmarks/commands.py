"""Whole commands on files, one for each vector, against a process that reads and writes a pickle for each vector.

Usage:
    python benchmarks/commands.py [--files 1000 20000] [--rounds 3] [--steps binarize "score train" "score test"]

Each command runs in a process of its own, in turns with the stand-in, the obvious way: it loads the same model, reads
one pickle after the other, and encodes, or scores, one vector or trial after the other. The time is that of the whole
process, so that it contains the imports, which are also given alone. Each run writes to a folder of its own, and
nothing is removed until all have ended: for a minute and more after files were removed, ext4 passes over their inodes,
which takes up to a millisecond of the processor's time for each new file.
"""

import argparse
import os
import pickle
import resource
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

DIM, ATTRIBUTES, PER_SPEAKER, EXTENSIONS = 256, 512, 10, ("pkl", "txt", "npy")

BINARIZE = """
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

# Reads the attributes of all recordings, as both stand-ins for scoring do.
_COUNTS = """
import csv, pickle, sys
from collections import defaultdict
from pathlib import Path
import numpy as np
from balr_hf import SpeakerComparisonModel, build_scorer
from balr_hf.defaults import SYSTEM, resource

source, target = map(Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
counts, speaker_of = {}, {}
for row in csv.DictReader((source / "corpus.csv").open()):
    with (source / row["binary_attributes"]).open("rb") as file:
        bits = pickle.load(file)
    counts[row["id"]], speaker_of[row["id"]] = np.stack([bits, ~bits], -1).astype(float), row["speaker"]
"""

SCORE_TRAIN = (
    _COUNTS
    + """
sums = defaultdict(lambda: 0.0)
for name, speaker in speaker_of.items():
    sums[speaker] = sums[speaker] + counts[name]
scorer = build_scorer("beta", num_attributes=bits.size)
scorer.fit(np.stack(list(sums.values()))).save_pretrained(target)
"""
)

SCORE_TEST = (
    _COUNTS
    + """
scorer = SpeakerComparisonModel.from_pretrained(resource(SYSTEM)).scorer
with (target / "scores.csv").open("w") as file:
    for row in csv.DictReader((source / "trials.csv").open(), delimiter="\\t"):
        sides = (counts[row["enrollment"]][None], counts[row["test"]][None])
        raw, llr = scorer.score(*sides), scorer.score(*sides, calibrated=True)
        file.write(f"{row['enrollment']}\\t{row['test']}\\t{llr.item():.9g}\\t{raw.item():.9g}\\n")
"""
)

# What a command that does nothing takes, since it imports what the others import.
IMPORTS = "from balr_hf.cli.main import _load_libraries; _load_libraries(); import torch"

# Of each step: the kind of vectors that it reads, the stand-in, and the words of the command besides the corpus.
STEPS = {
    "binarize": ("embedding", BINARIZE, ["binarize", "--allow-mismatch"]),
    "score train": ("ba", SCORE_TRAIN, ["score", "train", "--allow-mismatch"]),
    "score test": ("ba", SCORE_TEST, ["score", "test", "--bootstrap", "0", "--allow-mismatch"]),
}
COLUMNS = {"embedding": "embedding", "ba": "binary_attributes"}


def make(folder: Path, count: int, extension: str, kind: str) -> None:
    """Write random vectors of speakers of ten recordings, a csv that names them, and as many trials."""
    draws = np.random.default_rng(0)
    vectors = draws.normal(size=(count, DIM)).astype(np.float32)
    if kind == "ba":
        vectors = draws.random((count, ATTRIBUTES)) < 0.5
    names = [f"s{n // PER_SPEAKER}/r{n}_{'emb' if kind == 'embedding' else 'ba'}.{extension}" for n in range(count)]
    if extension == "pkl":
        for name, vector in zip(names, vectors, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(pickle.dumps(vector))
    else:
        write_vectors([str(folder / name) for name in names], vectors)
    lines = [f"r{n},s{n // PER_SPEAKER},{name}" for n, name in enumerate(names)]
    (folder / "corpus.csv").write_text("\n".join([f"id,speaker,{COLUMNS[kind]}", *lines]) + "\n")
    pairs = [f"r{n}\tr{(n + step) % count}" for n, step in enumerate(draws.integers(1, 2 * PER_SPEAKER, count))]
    (folder / "trials.csv").write_text("\n".join(["enrollment\ttest", *pairs]) + "\n")


def timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds of a process, and of its work on all cores together; the package is compiled, as an installed one is."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env={**variables, "BALR_DEBUG": "1"})
    took = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compared(step: str, count: int, rounds: int, place: Path) -> list[list[str]]:
    """Time a command on pickles, text, npy and a Dataset, in turns with the stand-in."""
    from balr_hf import load_corpus

    kind, stand_in, words = STEPS[step]
    place.mkdir()
    for extension in EXTENSIONS:
        make(place / extension, count, extension, kind)
    load_corpus(place / "npy" / "corpus.csv").save_to_disk(str(place / "dataset"))
    sources = {f".{e}": place / e / "corpus.csv" for e in EXTENSIONS} | {"Dataset": place / "dataset"}
    runs = {"a pickle per vector": ["-c", stand_in, str(place / "pkl")]}
    for name, source in sources.items():
        arguments = ["-m", "balr_hf", *words, str(source)]
        arguments += [str(place / "npy" / "trials.csv")] if step == "score test" else []
        arguments += ["--save-format", name[1:]] if step == "binarize" and name != "Dataset" else []
        runs[name] = [*arguments, "--save-dir"]
    runs["imports alone"] = ["-c", IMPORTS]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, arguments in runs.items():
            found[name].append(timed([*arguments, str(place / f"out{name}-{number}")]))
    base, rows = found["a pickle per vector"], []
    for name, times in found.items():
        wall, work = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = [statistics.median(b[n] / t[n] for b, t in zip(base, times, strict=True)) for n in (0, 1)]
        cells = [f"{wall:.1f} s", f"{work:.1f} s", *(f"{ratio:.1f}x" for ratio in ratios)]
        rows.append([step, f"{count:,}", name, *cells])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 20_000], help="numbers of vector files")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="which commands")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for step in arguments.steps:
            for count in arguments.files:
                rows += compared(step, count, arguments.rounds, Path(folder) / f"{step}-{count}")
    header = ["`balr`", "vectors", "of", "time", "work of all cores", "faster", "less work"]
    table(f"Whole commands: medians of {arguments.rounds} rounds", header, rows)


if __name__ == "__main__":
    main()
