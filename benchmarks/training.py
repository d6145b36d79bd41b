"""Training the autoencoder: samples per second, compared with one file per sample and with one fixed batch."""

import gc
import pickle
import tempfile
from pathlib import Path

import datasets
import numpy as np
import torch
from measuring import against, held_memory, matmul_rate, seconds, seconds_in_turns, table

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    BinaryAttributeEncoderTrainer,
    MSELoss,
)
from balr_hf.data import add_vector_column, fixed_length_column
from balr_hf.training.arguments import DataArguments

N, M, INPUT, INTERNAL = 32, 16, 256, 512


def make_corpus(recordings: int, per_speaker: int = 40) -> datasets.Dataset:
    """Make random embeddings: their values do not matter."""
    rng = np.random.default_rng(0)
    names = [f"s{n // per_speaker}" for n in range(recordings)]
    dataset = datasets.Dataset.from_dict({"id": [f"r{n}" for n in range(recordings)], "speaker": names})
    embeddings = rng.standard_normal((recordings, INPUT), dtype=np.float32)
    return add_vector_column(dataset, "embedding", fixed_length_column(embeddings))


def make_trainer(corpus: datasets.Dataset, folder: str, **options) -> BinaryAttributeEncoderTrainer:
    few = corpus.select(range(N * M))
    data = DataArguments(batch_size=N * M, N_classes_per_batch=N, M_samples_per_class=M)
    return BinaryAttributeEncoderTrainer(
        corpus, few, data, [MSELoss()], INPUT, INTERNAL, save_dir=folder, log_with="none", log_period=0, **options
    )


class Step:
    """A forward pass, a backward pass and a step of the same model, loss and optimizer."""

    def __init__(self):
        self.model = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(INPUT, INTERNAL)).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.001, fused=True)

    def __call__(self, embeddings: torch.Tensor) -> None:
        self.model(embeddings).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def operations_per_sample(model: BinaryAttributeAutoEncoder) -> int:
    """Count the operations of a step's matrix products: forward, weights, and inputs of all layers but the first."""
    sizes = [parameter.numel() for parameter in model.parameters() if parameter.ndim == 2]
    return 2 * (3 * sum(sizes) - sizes[0])


class FilePerSample(torch.utils.data.Dataset):
    """One pickle file per embedding, as in the reference toolkit."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        with self.paths[row].open("rb") as file:
            return torch.from_numpy(pickle.load(file))


def main() -> None:
    datasets.disable_progress_bars()
    fixed, step, batches = torch.randn(N * M, INPUT), Step(), 40

    def fixed_batches():
        for _ in range(batches):
            step(fixed)

    with tempfile.TemporaryDirectory() as folder:
        corpus, rates, rows = make_corpus(40_000), {}, []
        paths = [Path(folder, f"{n}.pkl") for n in range(batches * N * M)]
        for path, embedding in zip(paths, corpus.with_format("numpy")["embedding"][: len(paths)], strict=True):
            path.write_bytes(pickle.dumps(np.asarray(embedding)))

        def from_files():
            for embeddings in torch.utils.data.DataLoader(FilePerSample(paths), batch_size=N * M, shuffle=True):
                step(embeddings)

        files = batches * N * M / seconds(from_files, 2)
        products = matmul_rate() / operations_per_sample(step.model)
        for recordings, repeats in ((40_000, 4), (160_000, 4), (640_000, 3), (1_000_000, 2)):
            del corpus
            gc.collect()
            corpus = make_corpus(recordings)
            before = held_memory()
            trainer = make_trainer(corpus, f"{folder}/run{recordings}")
            memory = held_memory() - before
            samples = len(trainer.train_sampler) * N * M
            epochs = max(1, 50_000 // samples)

            def run(trainer=trainer, epochs=epochs):
                for epoch in range(epochs):
                    trainer._run_epoch(epoch)

            fixed_time, our_time = seconds_in_turns((fixed_batches, run), repeats)
            limit, rates[recordings] = batches * N * M / fixed_time, epochs * samples / our_time
            whole = recordings * INPUT * 4
            rows.append(
                [
                    f"{recordings:,}",
                    f"{rates[recordings]:,.0f}",
                    against(rates[recordings] / files, 3),
                    against(100 * rates[recordings] / limit, 85, ".0f", " %"),
                    f"{1e6 / rates[recordings]:.2f} us",
                    f"{memory / 1e6:.0f} MB = {memory / whole:.2f} x the embeddings, beside the Dataset",
                ]
            )
            del trainer, run
        header = [
            "embeddings",
            "samples per second",
            "over one file per sample",
            "share of the fixed-batch rate",
            "per sample",
            "memory",
        ]
        table(f"Training: batches of {N} x {M}, {INPUT} -> {INTERNAL}, MSE", header, rows)
        print(
            f"\nOne file per sample: {files:,.0f} samples per second; one fixed batch: {limit:,.0f}, "
            f"{limit / products:.0%} of the matrix-product rate."
        )


if __name__ == "__main__":
    main()
