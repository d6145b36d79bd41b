"""A GPU: embedder, filter banks, extraction, training and scoring on it, and the cost of half precision.

The limit is the rate of a matrix product in the same precision, where the embedder counts 2.27 G multiply-adds of two
operations each per second of audio. For training it is the same step without waiting for Python (the graph).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import torch
from extraction import OPERATIONS, write_recordings
from measuring import against, matmul_rate, table
from measuring import seconds as seconds_of_several
from scoring import population
from torch.nn import functional as F
from training import M, N, make_corpus, make_trainer

from balr_hf import (
    BinaryAttributeAutoEncoder,
    WespeakerConfig,
    WespeakerModel,
    load_audio,
    load_corpus,
)
from balr_hf.data import vector_matrix
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, resource
from balr_hf.embeddings.passes import PRECISIONS, embed_waveforms
from balr_hf.scoring.auto import build_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.threads import num_cores

# Files at least from which embeddings are extracted, so that it counts little how long processes take to start.
FILES = 1_000
# Runs of each thing of which the shortest counts.
REPEATS = 3


def seconds(run: Callable[[], object]) -> float:
    """Time `REPEATS` runs and give the shortest."""
    return seconds_of_several(run, REPEATS)


def product_rate(precision: str, device: str, size: int) -> float:
    """Measure the operations per second of a matrix product in this precision."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        return matmul_rate(torch.bfloat16 if precision == "bf16" else torch.float32, size, device)
    finally:
        torch.set_float32_matmul_precision(before)


def from_files(model: WespeakerModel, corpus: datasets.Dataset, copies: int) -> float:
    """Measure the seconds that a corpus takes from its files, so many times over that there are `FILES`."""
    numbered = [
        corpus.remove_columns("id").add_column("id", [f"{name}-{copy}" for name in corpus["id"]])
        for copy in range(copies)
    ]
    whole = datasets.concatenate_datasets(numbered)
    start = time.perf_counter()
    model.extract_embeddings(whole, precision="bf16")
    return (time.perf_counter() - start) / copies


def extraction(device: torch.device, audio: float, size: int, channels: int, decoded_by_processes: bool) -> None:
    """Measure a ResNet34 of random weights, on waveforms in memory and from files."""
    torch.manual_seed(0)
    model = WespeakerModel(WespeakerConfig(m_channels=channels)).eval().to(device)
    folded, rows = model.for_inference(), []
    with tempfile.TemporaryDirectory() as folder:
        audio = write_recordings(Path(folder), audio, np.random.default_rng(0))
        corpus = load_corpus(folder)
        waveforms = [load_audio(path["path"]) for path in corpus["audio"]]
        for precision in PRECISIONS:
            limit = product_rate(precision, device.type, size) / OPERATIONS
            options = (folded, model.feature_extractor, waveforms, device, precision)
            start = time.perf_counter()
            embed_waveforms(*options)
            first = audio / (time.perf_counter() - start)
            alone = audio / seconds(lambda o=options: embed_waveforms(*o))
            shown = against(alone, 20_000, ",.0f", "") if precision == "bf16" else f"{alone:,.0f}"
            rows.append([precision, shown, f"{alone / limit:.0%}", f"{first:,.0f}"])
        others_folder = Path(folder, "others")
        others_folder.mkdir()
        others_audio = write_recordings(others_folder, audio, np.random.default_rng(1))
        others = [load_audio(path) for path in sorted(others_folder.iterdir())]
        start = time.perf_counter()
        embed_waveforms(folded, model.feature_extractor, others, device, "bf16")
        new = others_audio / (time.perf_counter() - start)
        copies = -(-FILES // len(corpus)) if decoded_by_processes else 1
        files = audio / from_files(model, corpus, copies)
        features = audio / seconds(lambda: model.feature_extractor(waveforms, 16000, device))
    header = ["precision", "waveforms to embeddings, x real time", "share of the product rate"]
    header += ["the first time, when nothing is set up"]
    table(f"ResNet34 on {device.type}: {audio:.0f} s of audio", header, rows)
    print(f"\nOther recordings, of other lengths, once, bf16: {new:,.0f} x real time.")
    print(f"Filter banks alone: {features:,.0f} x real time.")
    print(f"From {copies * len(corpus):,} files to embeddings, bf16, {num_cores()} cores: {files:,.0f} x real time.")


def accuracy(device: torch.device, recordings: int) -> None:
    """Measure what lower precision changes, with the package's own models and recordings."""
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER)).to(device)
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).eval()
    corpus, results = load_corpus(resource(SAMPLE_CORPUS) / "test.csv"), {}
    corpus = corpus.select(range(min(recordings, len(corpus))))
    for precision in PRECISIONS:
        extracted = embedder.extract_embeddings(corpus, precision=precision)
        embeddings = torch.tensor(vector_matrix(extracted, "embedding")[0])
        results[precision] = embeddings, autoencoder.encode(embeddings)
    rows = []
    for precision, (embeddings, attributes) in results.items():
        cosines = F.cosine_similarity(embeddings, results["fp32"][0])
        flipped = (attributes != results["fp32"][1]).double().mean().item()
        rows.append([precision, f"{cosines.mean():.6f}", f"{cosines.min():.6f}", f"{flipped:.3%}"])
    header = ["precision", "cosine to fp32, mean", "least", "attributes flipped"]
    table(f"Precision on {device.type}: {len(corpus)} recordings of the sample, its own models", header, rows)


def training(device: torch.device, recordings: int) -> None:
    """Measure samples per second, with operations launched one by one and replayed as one graph."""
    corpus, rows = make_corpus(recordings), []
    for graph in (False, True) if device.type == "cuda" else (False,):
        with tempfile.TemporaryDirectory() as folder:
            trainer = make_trainer(corpus, f"{folder}/run", device=device.type, cuda_graph=graph)
            samples = len(trainer.train_sampler) * N * M
            rate = samples / seconds(lambda t=trainer: t._run_epoch(0))
        shown = against(rate, 1_000_000, ",.0f", "") if graph else f"{rate:,.0f}"
        rows.append(["one graph per step" if graph else "as usual", shown])
    title = f"Training on {device.type}: batches of {N} x {M}, {recordings:,} embeddings"
    table(title, ["", "samples per second"], rows)


def scoring(device: torch.device, recordings: int, size: int) -> None:
    """Measure the scoring of all pairs of recordings."""
    counts = torch.tensor(recording_counts(population(recordings // 10, 10, np.random.default_rng(0)))).to(device)
    people = counts.reshape(-1, 10, *counts.shape[1:]).sum(1)
    scorer = build_scorer("beta", num_attributes=counts.shape[1]).to(device).fit(people)
    rate = recordings**2 / seconds(lambda: scorer.score_matrix(counts, counts))
    limit = matmul_rate(torch.float64, size, device.type) / (2 * counts.shape[1])
    row = [f"{recordings:,}", against(rate, 1e8, ",.0f", ""), f"{rate / limit:.0%}"]
    header = ["recordings", "pairs per second", "share of one float64 matrix product"]
    table(f"Scoring on {device.type}: beta", header, [row])


PARTS = ("extraction", "accuracy", "training", "scoring")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="run little of everything, to see that it works")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure [default: all]")
    parser.add_argument("--audio", type=float, default=3600, help="seconds of audio for extraction [default: 3600]")
    parser.add_argument("--embeddings", type=int, default=1_000_000, help="for training [default: 1000000]")
    parser.add_argument("--sides", type=int, default=20_000, help="recordings for scoring [default: 20000]")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the shortest counts [default: 3]")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("\nNo GPU here: nothing was measured.")
        return
    datasets.disable_progress_bars()
    global REPEATS
    REPEATS = 1 if arguments.small else arguments.repeats
    small, size = arguments.small, 512 if arguments.small else 8192
    parts = {
        "extraction": lambda: extraction(device, 2 if small else arguments.audio, size, 4 if small else 32, not small),
        "accuracy": lambda: accuracy(device, 4 if small else 64),
        "training": lambda: training(device, 2_048 if small else arguments.embeddings),
        "scoring": lambda: scoring(device, 200 if small else arguments.sides, size),
    }
    for name in arguments.parts:
        parts[name]()


if __name__ == "__main__":
    main()
