"""Train the autoencoder on the embeddings of all sources, as they are and degraded.

A training recording stands there once in each view, and its copies at one speed are copies of one original for the
consistency loss. Batches are of speakers; recordings without a speaker are dealt out to groups that stand for one.
Every tenth speaker is held out to choose the best epoch.

Usage:
    python -m recipes.autoencoder RUN_FOLDER WORK_FOLDER OUTPUT_FOLDER [--consistency 0.3] [--decorrelation 0]

It takes about 15 core-minutes.
"""

import argparse
import logging
import zlib
from pathlib import Path

import datasets
import numpy as np
import torch

from balr_hf import (
    BinaryAttributeEncoderTrainer,
    ConsistencyLoss,
    DecorrelationLoss,
    MSELoss,
    WespeakerModel,
)
from balr_hf.identity import model_identity
from balr_hf.training.arguments import ENCODERS, DataArguments
from balr_hf.training.losses import AutoEncoderLoss

from .corpus import Recordings, recordings
from .features import VIEWS

GROUPS = 50  # of the recordings of a source whose speakers are unknown


def corpus_of(train: Recordings, embeddings: dict[str, np.ndarray]) -> datasets.Dataset:
    """All views of the training part, with the columns that training reads."""
    parts = []
    for view, matrix in embeddings.items():
        speed, _ = VIEWS[view]
        suffix = "" if speed == 1.0 else f"@{speed}"
        speakers = [
            (name or f"{source}-{zlib.crc32(own.encode()) % GROUPS}") + suffix
            for name, source, own in zip(
                *(map(str, train.columns[c]) for c in ("speaker", "source", "id")), strict=True
            )
        ]
        columns = {
            "id": [f"{name}@{view}" for name in train.columns["id"]],
            "speaker": speakers,
            "source_id": [f"{name}{suffix}" for name in train.columns["id"]],
            "embedding": list(matrix.astype(np.float32)),
        }
        size = datasets.Features(
            {
                "id": datasets.Value("string"),
                "speaker": datasets.Value("string"),
                "source_id": datasets.Value("string"),
                "embedding": datasets.List(datasets.Value("float32"), length=matrix.shape[1]),
            }
        )
        parts.append(datasets.Dataset.from_dict(columns, features=size))
    return datasets.concatenate_datasets(parts)


def held_out(speakers: list[str]) -> set[str]:
    """Every tenth speaker, at all speeds."""
    return set(sorted({name.split("@")[0] for name in speakers})[::10])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the embedder's run, with what recipes.embeddings wrote")
    parser.add_argument("work", type=Path, help="folder that recipes.audio has written")
    parser.add_argument("output", type=Path, help="folder for the run of the autoencoder; its best model is in best/")
    parser.add_argument("--attributes", type=int, default=512, help="number of binary attributes")
    parser.add_argument("--encoder", choices=ENCODERS, default="learned", help="hyperplanes: with --consistency 0")
    parser.add_argument(
        "--activation", type=float, help="with hyperplanes: share of recordings; about half if not told"
    )
    parser.add_argument("--consistency", type=float, default=0.3, help="weight; 0: without")
    parser.add_argument("--decorrelation", type=float, default=0.0, help="weight; 0: without")
    parser.add_argument("--epochs", type=int, default=200, help="each takes every speaker once")
    parser.add_argument("--seed", type=int, default=1234, help="of weights and batches")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("balr_hf").setLevel(logging.INFO)
    with np.load(arguments.run / "train.npz") as kept:
        corpus = corpus_of(recordings(arguments.work, "train"), dict(kept))
    out = held_out(corpus["speaker"])
    is_out = np.array([name.split("@")[0] in out for name in corpus["speaker"]])
    training, validation = (corpus.select(np.flatnonzero(chosen)) for chosen in (~is_out, is_out))
    losses: list[AutoEncoderLoss] = [MSELoss()]
    if arguments.consistency:
        losses.append(ConsistencyLoss(weight=arguments.consistency))
    if arguments.decorrelation:
        losses.append(DecorrelationLoss(weight=arguments.decorrelation))
    trainer = BinaryAttributeEncoderTrainer(
        training,
        validation,
        DataArguments(N_classes_per_batch=64, M_samples_per_class=4, batch_size=256),
        losses,
        input_dim=len(corpus[0]["embedding"]),
        internal_dim=arguments.attributes,
        encoder=arguments.encoder,
        activation=arguments.activation,
        epochs=arguments.epochs,
        seed=arguments.seed,
        save_dir=arguments.output,
        exist_ok=True,
        log_with="none",
    )
    model = trainer.train()
    embedder = arguments.run / "embedder-centred"
    if embedder.exists():
        model.config.embedder_identity = model_identity(WespeakerModel.from_pretrained(embedder))
    model.save_pretrained(arguments.output / "best")


if __name__ == "__main__":
    main()
