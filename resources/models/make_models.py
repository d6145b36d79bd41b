"""Make the models that ship with the package, from real speech.

The embedder is converted from a WeSpeaker checkpoint. The autoencoder and the scorer are fitted on segments of 2 to 4
seconds of the recordings in `train.csv` (id, audio, speaker) of a LibriSpeech sample, because cutting gives several
segments of each speaker. Every tenth speaker is held out to choose the best epoch. The scorer is calibrated on trials
of other speakers, which `test.csv` and `trials.csv` name.

Usage:
    python resources/models/make_models.py LIBRISPEECH_FOLDER WESPEAKER_FOLDER
    python resources/models/make_models.py LIBRISPEECH_FOLDER --scorer-only
"""

import argparse
import json
import logging
import shutil
import tempfile
from pathlib import Path

import datasets

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeEncoderTrainer,
    DirichletMultinomialScorer,
    DirichletMultinomialScorerConfig,
    MSELoss,
    SpeakerComparisonModel,
    WespeakerModel,
    load_corpus,
    speaker_counts,
)
from balr_hf.data.segmentation import segments
from balr_hf.defaults import SYSTEM
from balr_hf.files import atomic_folder
from balr_hf.scoring.calibration import fit_calibration
from balr_hf.scoring.trials import Trials, read_trials, score_trials, side_counts, side_speakers
from balr_hf.training.arguments import DataArguments

RESOURCES = Path(__file__).resolve().parent.parent


def save(system: SpeakerComparisonModel) -> None:
    """Write the system's folder again, and keep its card. Its code is the package, and does not lie beside it."""
    folder = RESOURCES / SYSTEM
    for part in (system.embedder, system.autoencoder, system.scorer):
        part.config.demonstration = True  # which results are marked by
    with atomic_folder(folder) as temporary:
        system.save_pretrained(temporary)
        for path in temporary.glob("*.py"):
            path.unlink()
        for path in (temporary / "config.json", temporary / "preprocessor_config.json"):
            content = json.loads(path.read_text())
            content.pop("auto_map", None)
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
        if (folder / "README.md").exists():
            shutil.copy(folder / "README.md", temporary)
    print(f"wrote {folder}")


def calibrate(scorer: DirichletMultinomialScorer, corpus: datasets.Dataset, trials: Trials) -> None:
    """Calibrate the scorer on trials of speakers that no model has seen."""
    counts, names = side_counts(corpus, trials.sides), side_speakers(corpus, trials.sides)
    speakers = names[trials.enroll], names[trials.test]
    scores = score_trials(scorer, counts, trials)
    scorer.set_calibration(fit_calibration(scores, speakers[0] == speakers[1], speakers=speakers))
    scorer.describe_calibration(corpus, trials.sides)
    scorer.config.calibration["speech"] = "read English (LibriSpeech)"


def train(corpus: datasets.Dataset, epochs: int, seed: int) -> BinaryAttributeAutoEncoder:
    """Train the autoencoder on segments with embeddings."""
    held_out = set(sorted(set(corpus["speaker"]))[::10])
    training = corpus.filter(lambda speaker: speaker not in held_out, input_columns="speaker")
    validation = corpus.filter(lambda speaker: speaker in held_out, input_columns="speaker")
    with tempfile.TemporaryDirectory() as run:
        trainer = BinaryAttributeEncoderTrainer(
            training,
            validation,
            DataArguments(N_classes_per_batch=32, M_samples_per_class=4, batch_size=128),
            [MSELoss()],
            epochs=epochs,
            seed=seed,
            save_dir=run,
            exist_ok=True,
            log_with="none",
        )
        return trainer.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("librispeech", type=Path, help="folder with train.csv, test.csv, trials.csv")
    parser.add_argument("wespeaker", type=Path, nargs="?", help="folder with avg_model.pt and config.yaml")
    parser.add_argument("--scorer-only", action="store_true", help="keep the embedder and the autoencoder that ship")
    parser.add_argument("--epochs", type=int, default=300, help="passes over the training set of the autoencoder")
    parser.add_argument("--seed", type=int, default=1234, help="seed of the segments, the weights and the batches")
    arguments = parser.parse_args()
    if arguments.wespeaker is None and not arguments.scorer_only:
        parser.error("name the folder of the WeSpeaker checkpoint, or give --scorer-only")
    logging.basicConfig(format="%(message)s")
    logging.getLogger("balr_hf").setLevel(logging.INFO)

    source = RESOURCES / SYSTEM if arguments.scorer_only else arguments.wespeaker
    embedder = WespeakerModel.from_pretrained(source)
    corpus = segments(load_corpus(arguments.librispeech / "train.csv"), seed=arguments.seed)
    corpus = embedder.extract_embeddings(corpus)
    if arguments.scorer_only:
        autoencoder = BinaryAttributeAutoEncoder.from_pretrained(RESOURCES / SYSTEM)
    else:
        autoencoder = train(corpus, arguments.epochs, arguments.seed)
    reference = autoencoder.get_binary_attributes(corpus)
    counts, speakers = speaker_counts(reference)
    scorer = DirichletMultinomialScorer(DirichletMultinomialScorerConfig(num_attributes=counts.shape[1]))
    scorer.fit(counts, speakers).describe_reference(reference)
    test = embedder.extract_embeddings(load_corpus(arguments.librispeech / "test.csv"))
    calibrate(scorer, autoencoder.get_binary_attributes(test), read_trials(arguments.librispeech / "trials.csv"))
    save(SpeakerComparisonModel.from_parts(embedder, autoencoder, scorer))
    print(f"{len(corpus)} segments of {len(speakers)} speakers; {scorer.config.num_uninformative} attributes unused")


if __name__ == "__main__":
    main()
