"""Binarizing: a corpus of embeddings, compared with one pickle file per vector."""

import pickle
import tempfile
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import torch
from measuring import against, matmul_rate, seconds_in_turns, table
from training import make_corpus

from balr_hf import BinaryAttributeAutoEncoder, BinaryAttributeAutoEncoderConfig

FILES = 2_000


@torch.inference_mode()
def file_by_file(model: BinaryAttributeAutoEncoder, paths: list[Path]) -> None:
    """Do what the reference toolkit does: read a vector, run the model, write a vector."""
    for path in paths:
        with path.open("rb") as file:
            embedding = torch.from_numpy(pickle.load(file))
        with path.with_suffix(".ba").open("wb") as file:
            pickle.dump(model(embedding[None]).binary[0].numpy(), file)


def main() -> None:
    datasets.disable_progress_bars()
    model, rows = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig()).eval(), []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{n}.pkl") for n in range(FILES)]
        for path in paths:
            path.write_bytes(pickle.dumps(np.random.default_rng(0).standard_normal(256).astype(np.float32)))
        sizes = (40_000, 160_000, 640_000)
        runs = [partial(model.get_binary_attributes, make_corpus(size)) for size in sizes]
        files, *times = seconds_in_turns([partial(file_by_file, model, paths), *runs], 4)
    base = files / FILES
    encoder = [parameter.numel() for parameter in model.encoder.parameters() if parameter.ndim == 2]
    limit = 2 * sum(encoder) / matmul_rate()
    for size, took in zip(sizes, times, strict=True):
        ours = took / size
        cells = f"{1e6 * base:.0f} us", f"{1e6 * ours:.2f} us", against(base / ours, 50, ".0f"), f"{limit / ours:.0%}"
        rows.append([f"{size:,}", *cells])
    header = [
        "embeddings",
        "one file per vector",
        "get_binary_attributes, per vector",
        "ratio",
        "share of the matrix-product rate",
    ]
    table("Binarizing, 256 -> 512", header, rows)


if __name__ == "__main__":
    main()
