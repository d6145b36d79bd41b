"""Train the binary-attribute autoencoder with Accelerate.

    accelerate launch --config_file accelerate_config.yaml examples/train.py
    accelerate launch --config_file accelerate_config.yaml --num_processes 2 examples/train.py
    accelerate launch examples/train.py --train train.csv --val val.csv --epochs 200
    accelerate launch examples/train.py --push-to-hub --hub-model-id me/attributes

Without arguments the script trains on the synthetic sample corpus that ships with the package. If a corpus has no
embeddings, the embedder extracts them first. Pushing takes the token of `hf auth login` or of HF_TOKEN.
"""

import argparse
import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import datasets
from argparse_dataclass import ArgumentParser

from balr_hf import BinaryAttributeEncoderTrainer, MSELoss, TripletMarginLoss, WespeakerModel, load_corpus
from balr_hf.defaults import EMBEDDER, SAMPLE_CORPUS, resource
from balr_hf.training.arguments import DataArguments
from balr_hf.training.trainer import process_state


@dataclass
class Arguments:
    train: str = field(default="", metadata={"help": "training corpus; the sample corpus by default"})
    val: str = field(default="", metadata={"help": "validation corpus; the sample corpus by default"})
    embedder: str = field(default="", metadata={"help": "folder or Hub repository; the shipped embedder by default"})
    epochs: int = field(default=20, metadata={"help": "passes over the training set"})
    learning_rate: float = field(default=1e-3, metadata={"help": "learning rate of the optimizer, Adam"})
    speakers: int = field(default=8, metadata={"help": "speakers per batch"})
    recordings: int = field(default=8, metadata={"help": "recordings of each speaker per batch"})
    seed: int = field(default=1234, metadata={"help": "seed of the initial weights and of the batches"})
    save_dir: str = field(default="runs/train", metadata={"help": "the run's folder; numbered if it exists already"})
    push_to_hub: bool = field(default=False, metadata={"help": "upload the best model, with its card, at the end"})
    hub_model_id: str = field(default="", metadata={"help": "NAME/REPOSITORY to push to"})
    hub_private: bool = field(default=False, metadata={"help": "make a new repository private"})


def with_embeddings(path: str, embedder: str, save_as: Path) -> datasets.Dataset:
    """Load a corpus, and extract its embeddings if it has none, once for all processes.

    They are saved in a folder of these recordings, since a Dataset of others would not be replaced.
    """
    corpus = load_corpus(path)
    if "embedding" in corpus.column_names:
        return corpus
    save_as /= hashlib.sha256(json.dumps(list(corpus["id"])).encode()).hexdigest()[:12]
    process = process_state()
    if process.is_main_process:
        WespeakerModel.from_pretrained(embedder).extract_embeddings(corpus, save_dir=save_as)
    process.wait_for_everyone()
    return load_corpus(save_as)


def main() -> None:
    parser = ArgumentParser(Arguments, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments = parser.parse_args()
    if arguments.push_to_hub and not arguments.hub_model_id:
        parser.error("--push-to-hub needs --hub-model-id NAME/REPOSITORY")
    process = process_state()
    if process.is_main_process:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("balr_hf").setLevel(logging.INFO)
    embedder = arguments.embedder or resource(EMBEDDER)
    runs = Path("runs/embeddings")
    train = with_embeddings(arguments.train or resource(f"{SAMPLE_CORPUS}/train.csv"), embedder, runs / "train")
    val = with_embeddings(arguments.val or resource(f"{SAMPLE_CORPUS}/test.csv"), embedder, runs / "val")
    trainer = BinaryAttributeEncoderTrainer(
        train,
        val,
        DataArguments(
            batch_size=arguments.speakers * arguments.recordings,
            N_classes_per_batch=arguments.speakers,
            M_samples_per_class=arguments.recordings,
        ),
        [MSELoss(), TripletMarginLoss()],
        learning_rate=arguments.learning_rate,
        epochs=arguments.epochs,
        seed=arguments.seed,
        save_dir=arguments.save_dir,
        device=None,
    )
    trainer.train()
    if process.is_main_process:
        print(f"Trained with {process.num_processes} process(es): {trainer.save_dir}/best")
    if arguments.push_to_hub:
        made_for = arguments.embedder if arguments.embedder and not Path(arguments.embedder).exists() else None
        info = trainer.push_to_hub(arguments.hub_model_id, private=arguments.hub_private or None, embedder=made_for)
        if info is not None:
            print(f"Uploaded: {info.commit_url}")


if __name__ == "__main__":
    main()
