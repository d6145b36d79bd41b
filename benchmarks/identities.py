"""What it costs to know where vectors come from: steps on many vectors, with their origins and without.

Usage:
    python benchmarks/identities.py [--vectors 100000]
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np

from balr_hf import BinaryAttributeAutoEncoder, load_corpus
from balr_hf.cli.main import main as balr
from balr_hf.data.columns import add_vector_column, fixed_length_column
from balr_hf.data.origins import Origin, add_origins, vector_digests
from balr_hf.defaults import SYSTEM, resource

DIM, ATTRIBUTES, PER_SPEAKER = 256, 512, 10


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


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


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
        steps: dict[str, Callable[[str], object]] = {
            "binarize": lambda name: balr(
                ["binarize", str(place / f"{name}-embeddings"), "--save-dir", str(place / "out"), "--allow-mismatch"]
            ),
            "score train": lambda name: balr(
                ["score", "train", str(place / name), "--save-dir", str(place / "scorer"), "--exist-ok"]
            ),
            "score test": lambda name: balr(
                [
                    *("score", "test", str(place / name), str(place / "trials.tsv"), "--bootstrap", "0"),
                    *("--no-calibrated", "--save-dir", str(place / "scores"), "--exist-ok", "--allow-overlap"),
                ]
            ),
        }
        print(f"{count:,} vectors of each kind, in a Dataset; seconds, the least of three in turn")
        print(f"{'step':12} {'unknown':>8} {'known':>8} {'ratio':>6}")
        for step, run in steps.items():
            took: dict[str, list[float]] = {"unknown": [], "known": []}
            for _ in range(3):
                for name, times in took.items():
                    shutil.rmtree(place / "out", ignore_errors=True)
                    times.append(timed(lambda run=run, name=name: run(name)))
            unknown, known = min(took["unknown"]), min(took["known"])
            print(f"{step:12} {unknown:8.2f} {known:8.2f} {known / unknown:6.2f}")


if __name__ == "__main__":
    main()
