"""Fit and calibrate the scorer, and put the three models together into one system.

The reference population are the labelled speakers of the training part, with all their recordings, sessions and views
at their own speed. The calibration is fitted to the other speakers (`dev` and the LibriSpeech test part) on trials
between recordings as they are, and between them and copies that were brought to the calibration's conditions. It is
validated by leaving speakers out.

Usage:
    python -m recipes.system WORK_FOLDER DATA_FOLDER RUN_FOLDER AUTOENCODER SYSTEM_FOLDER

It takes about 5 core-minutes.
"""

import argparse
import json
from pathlib import Path

import datasets
import numpy as np
import torch

from balr_hf import (
    BinaryAttributeAutoEncoder,
    DirichletMultinomialScorer,
    DirichletMultinomialScorerConfig,
    SpeakerComparisonModel,
    WespeakerModel,
    speaker_counts,
)
from balr_hf.data.origins import Origin, add_origins
from balr_hf.data.quality import add_quality_column
from balr_hf.files import atomic_folder
from balr_hf.identity import model_identity
from balr_hf.quality import measure_recording
from balr_hf.scoring.calibration import fit_calibration
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials

from .corpus import Recordings, recordings
from .evaluation import TrialList, read_trials
from .features import VIEWS

TRIALS = {"dev": "speech/dev/dev_trials.csv", "test": "librispeech/trials.csv"}


def corpus_of(part: Recordings, embeddings: np.ndarray, embedder: str, view: str) -> datasets.Dataset:
    """The recordings of a view that have embeddings, with what is known about them."""
    rows = np.flatnonzero(np.isfinite(embeddings).all(1))
    columns = {name: [str(part.columns[name][row]) or None for row in rows] for name in ("speaker", "sex", "session")}
    columns["id"] = [f"{part.columns['id'][row]}@{view}" for row in rows]
    corpus = datasets.Dataset.from_dict({**columns, "embedding": list(embeddings[rows].astype(np.float32))})
    return add_origins(corpus, "embedding", [Origin(embedder)] * len(corpus))


def measured(part: Recordings, work: Path, name: str) -> dict[str, dict]:
    """What is measured of each recording as it is, by its id in a corpus; kept in a file for the next time."""
    path = work / f"{name}-quality.json"
    if not path.exists():
        found = {
            f"{own}@clean": measure_recording(part.waveform(row))[0].to_dict()
            for row, own in enumerate(map(str, part.columns["id"]))
        }
        path.write_text(json.dumps(found))
    return json.loads(path.read_text())


def calibration_trials(trials: TrialList, present: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials between the recordings as they are, and of each with the other's copy in each condition.

    The recordings of all views are numbered through: view after view, in the order of `present`.

    Returns:
        the numbers of the two sides, and whether they are of one speaker.
    """
    sides = [(trials.enrollment, trials.test, trials.same)]
    size = len(next(iter(present.values())))
    for number, has in enumerate(present.values()):
        if number:
            kept = has[trials.test]
            sides.append((trials.enrollment[kept], trials.test[kept] + number * size, trials.same[kept]))
    enrollment, test, same = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    return enrollment, test, same


def calibrate(
    scorer: DirichletMultinomialScorer, autoencoder: BinaryAttributeAutoEncoder, arguments: argparse.Namespace
) -> None:
    """Fit the calibration to speakers who are neither in the population nor known to any of the models."""
    identity = model_identity(autoencoder)
    scores, labels, names, corpora = [], [], [], []
    for part, file in TRIALS.items():
        corpus = recordings(arguments.work, part)
        with np.load(arguments.run / f"{part}.npz") as kept:
            views = dict(kept)
        present = {view: np.isfinite(matrix).all(1) for view, matrix in views.items()}
        stacked = np.nan_to_num(np.concatenate(list(views.values())))
        counts = recording_counts(autoencoder.encode(torch.from_numpy(stacked)).numpy())
        trials = read_trials(arguments.data / file, corpus.columns["id"], corpus.columns["speaker"])
        enrollment, test, same = calibration_trials(trials, present)
        scores.append(score_trials(scorer, counts, Trials.between(enrollment, test)))
        labels.append(same)
        people = [str(name).removeprefix("ls_") for name in corpus.columns["speaker"]]  # some stand in both parts
        speakers = np.tile(people, len(views))
        names.append((speakers[enrollment], speakers[test]))
        corpora.append(
            add_quality_column(
                corpus_of(corpus, views["clean"], identity, "clean"), measured(corpus, arguments.work, part)
            )
        )
    sides = tuple(np.concatenate(column) for column in zip(*names, strict=True))
    scorer.set_calibration(fit_calibration(np.concatenate(scores), np.concatenate(labels), speakers=sides))
    described = datasets.concatenate_datasets([corpus.remove_columns("embedding") for corpus in corpora])
    scorer.describe_calibration(described, [[name] for name in described["id"]])
    scorer.config.calibration["speech"] = (
        "English of many accents, Mandarin and Arabic; telephone, phones, laptops and browser microphones; as they "
        "are and with noise at 10 dB, through a mobile telephone's codec and through Opus at 12 kb/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("run", type=Path, help="folder of the embedder's run, with what recipes.embeddings wrote")
    parser.add_argument("autoencoder", type=Path, help="folder of the autoencoder")
    parser.add_argument("output", type=Path, help="folder for the system")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    embedder = WespeakerModel.from_pretrained(arguments.run / "embedder-centred")
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(arguments.autoencoder)
    train = recordings(arguments.work, "train")
    with np.load(arguments.run / "train.npz") as kept:
        parts = [
            corpus_of(train, matrix, model_identity(embedder), view)
            for view, matrix in dict(kept).items()
            if VIEWS[view][0] == 1.0
        ]
    population = datasets.concatenate_datasets(parts)
    population = population.filter(lambda speaker: speaker is not None, input_columns="speaker")
    population = autoencoder.get_binary_attributes(population)
    population = add_quality_column(population, measured(train, arguments.work, "train"))
    counts, speakers = speaker_counts(population)
    scorer = DirichletMultinomialScorer(DirichletMultinomialScorerConfig(num_attributes=counts.shape[1]))
    scorer.fit(counts, speakers).describe_reference(population)
    calibrate(scorer, autoencoder, arguments)
    for model in (embedder, autoencoder, scorer):
        model.config.demonstration = True  # which results are marked by
    with atomic_folder(arguments.output) as temporary:
        SpeakerComparisonModel.from_parts(embedder, autoencoder, scorer).save_pretrained(temporary)
        for path in temporary.glob("*.py"):  # its code is the package, and does not lie beside it
            path.unlink()
        for path in (temporary / "config.json", temporary / "preprocessor_config.json"):
            content = json.loads(path.read_text())
            content.pop("auto_map", None)
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    print(f"{len(population)} recordings of {len(speakers)} speakers; {scorer.config.num_uninformative} unused")
    calibration = scorer.config.calibration or {}
    print({name: calibration.get(name) for name in ("num_speakers", "bounds")})
    print({name: value for name, value in (calibration.get("validation") or {}).items() if name.startswith("cllr")})


if __name__ == "__main__":
    main()
