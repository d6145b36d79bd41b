"""Fit and calibrate the scorer, and put the three models together into one system.

The reference population are the labelled speakers of the training part, with all their recordings and sessions as they
are. The calibration is affine, and fitted to other speakers, of `dev` and of the LibriSpeech test part: on recordings
as they are, through Opus, and short, as far as they are wide-band and not noisy. Others lie beyond the limits of what
it was calibrated on, and get no verdict. `recipes.calibrations` measures why: where one side only is noisy or a
telephone's, voices of one speaker seem different too often, whatever the calibration.

Usage:
    python -m recipes.system WORK_FOLDER DATA_FOLDER RUN_FOLDER AUTOENCODER SYSTEM_FOLDER

It takes less than a core-minute, and 3 more to measure the training part the first time.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
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
from balr_hf.data.columns import add_vector_column, fixed_length_column
from balr_hf.data.origins import Origin, add_origins
from balr_hf.data.quality import add_quality_column
from balr_hf.defaults import VOICES, resource
from balr_hf.files import atomic_folder
from balr_hf.identity import model_digest, model_identity
from balr_hf.quality import MIN_SPEECH, measure_recording
from balr_hf.scoring.calibration import fit_calibration
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.quality_measures import NAMES, quality_functions, sides_quality, trial_quality
from balr_hf.scoring.trials import Trials, score_trials

from .copies import AS_IT_IS, copies
from .corpus import Recordings, recordings
from .evaluation import TRIALS, read_trials

SHARE = 0.15  # of the different-speaker trials of a pair of conditions, which are ten times as many as the others
# What the calibration is fitted to, and the name that explanations give it.
CALIBRATED = (AS_IT_IS, "codec=opus:12k", "duration=2")
LEAST_SNR, LEAST_BANDWIDTH = 15.0, 6.0  # dB; kHz
TWICE = "librispeech"  # the source of `dev` whose speakers are those of the LibriSpeech test part
SPEECH = (
    "wide-band English speech with little noise (phones, laptops, browsers, audiobooks; on Mandarin "
    "and Arabic it errs)"
)


# What is told of the recordings of a population.
LABELS = ("speaker", "sex", "session", "language", "source", "channel")


def corpus_of(part: Recordings, embeddings: np.ndarray, embedder: str, view: str) -> datasets.Dataset:
    """The recordings of a view that have embeddings, with what is known about them."""
    rows = np.flatnonzero(np.isfinite(embeddings).all(1))
    columns = {name: [str(part.columns[name][row]) or None for row in rows] for name in LABELS}
    columns["id"] = [f"{part.columns['id'][row]}@{view}" for row in rows]
    corpus = datasets.Dataset.from_dict({**columns, "embedding": list(embeddings[rows].astype(np.float32))})
    return add_origins(corpus, "embedding", [Origin(embedder)] * len(corpus))


def measured(part: Recordings, work: Path, name: str) -> dict[str, dict]:
    """What is measured of each recording as it is, by its id in a corpus; kept in a file for the next time."""
    path = work / f"{name}-quality.json"
    if not path.exists():
        found = {
            f"{own}@{AS_IT_IS}": measure_recording(part.waveform(row))[0].to_dict()
            for row, own in enumerate(map(str, part.columns["id"]))
        }
        path.write_text(json.dumps(found))
    return json.loads(path.read_text())


@dataclass(frozen=True)
class Evidence:
    """Trials that a calibration is fitted to, or measured on.

    Args:
        scores (`(trials,)`): raw natural-log likelihood ratios.
        sides (int `(trials, 2)`): the rows of the two recordings in `corpus`.
        quality (`(trials, measures)`): see [`quality_functions`].
        same (bool `(trials,)`): whether they are of one speaker.
        speakers (two of `(trials,)`): the names of the speakers of the two sides.
        sources, conditions (`(trials,)`): the source of the recordings, and the conditions of the two sides.
        corpus (`datasets.Dataset`): all recordings and copies, with what was measured of them.
    """

    scores: np.ndarray
    sides: np.ndarray
    quality: np.ndarray
    same: np.ndarray
    speakers: tuple[np.ndarray, np.ndarray]
    sources: np.ndarray
    conditions: np.ndarray
    corpus: datasets.Dataset

    def within(self, conditions: Sequence[str], snr: float, bandwidth: float) -> np.ndarray:
        """Which trials have both sides in these conditions, with at least so much SNR (dB) and bandwidth (kHz)."""
        both = np.array([set(pair.split(" / ")) <= set(conditions) for pair in self.conditions])
        least = {name: self.quality[:, NAMES.index(f"least_{name}")] for name in ("snr", "bandwidth")}
        return both & (least["snr"] >= snr) & (least["bandwidth"] >= bandwidth)


def evidence(
    scorer: DirichletMultinomialScorer,
    autoencoder: BinaryAttributeAutoEncoder,
    arguments: argparse.Namespace,
    part: str,
    share: float = 1.0,
) -> Evidence:
    """Score the trials of a part: between recordings as they are, between them and copies, and between copies.

    Args:
        scorer, autoencoder: the models, not calibrated.
        arguments: with the folders.
        part (str): `dev` or `test`.
        share (float): of the different-speaker trials that is drawn, for each pair of conditions.
    """
    corpus = recordings(arguments.work, part)
    with np.load(arguments.run / f"{part}.npz") as kept:
        views = dict(kept)
    trials = read_trials(arguments.data / TRIALS[part], corpus.columns["id"], corpus.columns["speaker"])
    parts = []
    for view, matrix in views.items():
        if view == AS_IT_IS:
            known = measured(corpus, arguments.work, part)
        else:
            made = copies(arguments.work, part, view).quality
            known = {f"{name}@{view}": row for name, row in made.items()}
        usable = {name for name, row in known.items() if row["snr"] is not None and row["net_speech"] >= MIN_SPEECH}
        whole = corpus_of(corpus, matrix, model_identity(autoencoder), view)
        whole = whole.select([row for row, name in enumerate(whole["id"]) if name in usable])
        parts.append(add_quality_column(whole, known))
    described = datasets.concatenate_datasets(parts)
    names = list(described["id"])
    row_of = {name: row for row, name in enumerate(names)}
    ids, generator = corpus.columns["id"], np.random.default_rng(0)
    sides, sources, same, conditions = [], [], [], []
    for first, second in pairs_of_conditions(list(views)):
        drawn = np.flatnonzero(trials.same | (generator.random(len(trials.same)) < share))
        for row, turned in zip(drawn, generator.random(len(drawn)) < 0.5, strict=True):
            pair = (trials.enrollment[row], trials.test[row])[:: -1 if turned else 1]
            rows = row_of.get(f"{ids[pair[0]]}@{first}"), row_of.get(f"{ids[pair[1]]}@{second}")
            if None not in rows:
                sides.append(rows)
                sources.append(str(trials.source[row]))
                same.append(bool(trials.same[row]))
                conditions.append(f"{first} / {second}")
    enrollment, test = np.array(sides).T
    attributes = autoencoder.encode(torch.tensor(np.array(described["embedding"], dtype=np.float32))).numpy()
    quality = sides_quality(described, [[name] for name in names])
    people = np.array([str(name).removeprefix("ls_") for name in described["speaker"]])  # some stand in both parts
    return Evidence(
        score_trials(scorer, recording_counts(attributes), Trials.between(enrollment, test)),
        np.array(sides),
        quality_functions(trial_quality(quality[enrollment], quality[test])),
        np.array(same),
        (people[enrollment], people[test]),
        np.array(sources),
        np.array(conditions),
        add_vector_column(described.remove_columns("embedding"), "ba", fixed_length_column(attributes)),
    )


def pairs_of_conditions(views: list[str]) -> list[tuple[str, str]]:
    """Recordings as they are against each condition, and each condition against itself."""
    return [(AS_IT_IS, view) for view in views] + [(view, view) for view in views if view != AS_IT_IS]


def people_of_the_demonstration() -> list[str]:
    """Name the speakers of the recordings that ship, whom no model must know."""
    with (resource(VOICES) / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return sorted({row["speaker"] for row in csv.DictReader(file)})


def calibrate(
    scorer: DirichletMultinomialScorer, autoencoder: BinaryAttributeAutoEncoder, arguments: argparse.Namespace
) -> None:
    """Fit the calibration to speakers who are neither in the population nor known to any of the models."""
    parts = [evidence(scorer, autoencoder, arguments, part, SHARE) for part in TRIALS]
    shown = people_of_the_demonstration()
    chosen = [
        found.within(CALIBRATED, LEAST_SNR, LEAST_BANDWIDTH)
        & (found.sources != TWICE)
        & ~np.isin(found.speakers[0], shown)
        & ~np.isin(found.speakers[1], shown)
        for found in parts
    ]
    pairs = list(zip(parts, chosen, strict=True))
    scores, same = (
        np.concatenate([getattr(found, name)[rows] for found, rows in pairs]) for name in ("scores", "same")
    )
    first, second = (np.concatenate([found.speakers[side][rows] for found, rows in pairs]) for side in (0, 1))
    scorer.set_calibration(fit_calibration(scores, same, speakers=(first, second)))
    heard = datasets.concatenate_datasets([found.corpus.select(np.unique(found.sides[rows])) for found, rows in pairs])
    places, before = [], 0  # of the two sides of each trial among the recordings
    for found, rows in pairs:
        used, numbers = np.unique(found.sides[rows], return_inverse=True)
        places.append(numbers.reshape(-1, 2) + before)
        before += len(used)
    scorer.describe_calibration(heard, [[name] for name in heard["id"]], tuple(np.concatenate(places).T))
    scorer.config.calibration["speech"] = SPEECH


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
        population = corpus_of(train, kept[AS_IT_IS], model_identity(embedder), AS_IT_IS)
    population = population.filter(lambda speaker: speaker is not None, input_columns="speaker")
    population = autoencoder.get_binary_attributes(population)
    population = add_quality_column(population, measured(train, arguments.work, "train"))
    counts, speakers = speaker_counts(population)
    scorer = DirichletMultinomialScorer(DirichletMultinomialScorerConfig(num_attributes=counts.shape[1]))
    scorer.fit(counts, speakers).describe_reference(population)
    calibrate(scorer, autoencoder, arguments)
    for model in (embedder, autoencoder, scorer):
        model.config.demonstration = True  # which results are marked by
    name = arguments.output.name  # under which the parts are known from now on
    autoencoder.config.embedder_identity = scorer.config.embedder_identity = f"{name}@{model_digest(embedder)}"
    scorer.config.autoencoder_identity = f"{name}@{model_digest(autoencoder)}"
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
