"""What it costs to know where vectors come from: whole commands on many vectors, with their origins and without.

Usage:
    python benchmarks/identities.py [--vectors 100000]
"""

import argparse
import resource as system_resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np

from balr_hf import BinaryAttributeAutoEncoder, load_corpus
from balr_hf.data.columns import add_vector_column, fixed_length_column
from balr_hf.data.origins import Origin, add_origins, vector_digests
from balr_hf.defaults import SYSTEM, resource

DIM, ATTRIBUTES, PER_SPEAKER = 256, 512, 10
REPEATS = 5


def corpus(count: int, autoencoder: BinaryAttributeAutoEncoder, known: bool) -> datasets.Dataset:
    """Random embeddings and attributes of speakers of ten recordings, with their origins or without."""
    rng = np.random.default_rng(0)
    names = [f"r{n}" for n in range(count)]
    dataset = datasets.Dataset.from_dict({"id": names, "speaker": [f"s{n // PER_SPEAKER}" for n in range(count)]})
    embeddings = rng.normal(size=(count, DIM)).astype(np.float32)
    bits = rng.random((count, ATTRIBUTES)) < 0.5
    dataset = add_vector_column(dataset, "embedding", fixed_length_column(embeddings))
    dataset = add_vector_column(dataset, "ba", fixed_length_column(bits))
    if not known:
        return dataset
    from balr_hf.identity import model_identity

    embedder, own = str(autoencoder.config.embedder_identity), model_identity(autoencoder)
    digests = vector_digests(embeddings)
    made = [Origin(embedder, "fp32", f"sha256:{n:064x}", digest) for n, digest in enumerate(digests)]
    dataset = add_origins(dataset, "embedding", made)
    pairs = zip(digests, vector_digests(bits), strict=True)
    return add_origins(dataset, "ba", [Origin(own, "fp32", source, digest, embedder) for source, digest in pairs])


def timed(words: list[str]) -> tuple[float, float]:
    """Seconds that a command takes: of the wall clock, and of the processor."""
    before, start = system_resource.getrusage(system_resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "balr_hf", *words], check=True, capture_output=True)
    took, after = time.perf_counter() - start, system_resource.getrusage(system_resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000, help="number of vectors of each kind")
    count = parser.parse_args().vectors
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(SYSTEM))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rng = np.random.default_rng(1)
        first, second = rng.integers(0, count, (2, count))
        lines = [f"r{a}\tr{b}" for a, b in zip(first, second, strict=True) if a != b]
        (place / "trials.tsv").write_text("\n".join(["a\tb", *lines]) + "\n")
        for name in ("known", "unknown"):
            corpus(count, autoencoder, name == "known").save_to_disk(str(place / name))
            load_corpus(place / name).remove_columns("ba").save_to_disk(str(place / f"{name}-embeddings"))
        steps = {
            "binarize": lambda name: [
                *("binarize", str(place / f"{name}-embeddings"), "--save-dir", str(place / "out"), "--allow-mismatch")
            ],
            "score train": lambda name: [
                *("score", "train", str(place / name), "--save-dir", str(place / "scorer"), "--exist-ok")
            ],
            "score test": lambda name: [
                *("score", "test", str(place / name), str(place / "trials.tsv"), "--bootstrap", "0"),
                *("--no-calibrated", "--save-dir", str(place / "scores"), "--exist-ok", "--allow-overlap"),
            ],
        }
        print(f"{count:,} vectors of each kind, in a Dataset; the least of {REPEATS} whole commands in turn")
        print(f"{'':12} {'wall clock, s':^24}   {'processor, s':^24}")
        print(f"{'command':12} " + "   ".join([f"{'unknown':>8} {'known':>8} {'ratio':>6}"] * 2))
        for step, words in steps.items():
            took: dict[str, list[tuple[float, float]]] = {"unknown": [], "known": []}
            for _ in range(REPEATS):
                for name, times in took.items():
                    shutil.rmtree(place / "out", ignore_errors=True)
                    times.append(timed(words(name)))
            least = {name: np.min(times, axis=0) for name, times in took.items()}
            figures = zip(least["unknown"], least["known"], strict=True)
            print(f"{step:12} " + "   ".join(f"{a:8.2f} {b:8.2f} {b / a:6.2f}" for a, b in figures), flush=True)


if __name__ == "__main__":
    main()
