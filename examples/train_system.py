"""Train a whole system, from a corpus of recordings to a calibrated, validated and published one.

    python examples/train_system.py
    python examples/train_system.py --corpus corpus.csv --embedder Wespeaker/wespeaker-voxceleb-resnet34-LM
    accelerate launch --multi_gpu --num_processes 4 examples/train_system.py --corpus /data --trials veri_test2.txt

Without arguments the script runs on the sample of synthetic voices, which takes some minutes and proves nothing. A
corpus is what `balr extract` reads, with the speaker of each recording: a csv (id, audio, speaker), a folder with
metadata.csv. Or it is the folder in which VoxCeleb lies as its makers lay it out; docs/voxceleb.md is a guide to that.

Each stage writes into a folder of its own in --save-dir:

    parts         who is in which part: train and validation (autoencoder), reference (scorer), calibration, test.
                  No speaker is in two of them. A column `part` of the corpus decides, the seed for all others
    copies        the calibration part brought to several recording conditions
    embeddings    what the embedder makes of all recordings
    autoencoder   a training run; best/ turns embeddings into binary attributes
    attributes    the binary attributes of reference, calibration and test
    scorer        the scorer, fitted to the reference population
    calibrated    the same, calibrated
    detectors     what notices people who speak at the same time, speech at another speed, and reverberant rooms (with
                  the extra rooms); learnt on the train and validation parts
    system        embedder, autoencoder, scorer and detectors in one folder, as --system and pipeline(...) take it
    validation    the report on the test part: report.html, report.txt, metrics.json, scores.csv

If the command was stopped, give it again: stages that are done are left out, and the one that was begun goes on. A
setting that a stage was begun with must not change. To do a stage anew, delete its folder and those of all later ones.
"""

import argparse
import csv
import dataclasses
import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from accelerate import PartialState
from argparse_dataclass import ArgumentParser

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeEncoderTrainer,
    SpeakerComparisonModel,
    WespeakerModel,
    load_corpus,
    load_scorer,
    publish_corpus,
    speaker_counts,
)
from balr_hf.attributes.binarization import compute_binary_attributes
from balr_hf.conditions import parse_conditions
from balr_hf.conditions.copies import save_copies
from balr_hf.data.columns import recording_ids, vector_present
from balr_hf.data.origins import Maker
from balr_hf.data.quality import FILE as QUALITY_FILE
from balr_hf.data.quality import append_quality, known_quality, measure_corpus, read_quality, write_quality
from balr_hf.data.reading import read_corpus
from balr_hf.data.shards import Shard
from balr_hf.data.skipped import Skipped, warn_skipped, write_skipped
from balr_hf.data.store_base import ComputeVectors, Filled
from balr_hf.data.stores import open_store
from balr_hf.defaults import EMBEDDER, SAMPLE_CORPUS, resource
from balr_hf.detectors.detector import load_detectors
from balr_hf.detectors.draws import LEAST_SPEAKERS
from balr_hf.detectors.fitting import LEAST_COUNT
from balr_hf.devices import resolve_devices
from balr_hf.embeddings.extraction import compute_embeddings, embedding_maker
from balr_hf.errors import UserError, name_some
from balr_hf.explanation.heard import KINDS
from balr_hf.files import added_to_folder, restore_folder, write_json
from balr_hf.hub.publishing import publish_model
from balr_hf.identity import digest_of, file_digest, model_identity
from balr_hf.metrics import eer
from balr_hf.scoring.auto import build_scorer, scorer_class
from balr_hf.scoring.breakdown import keep_chosen
from balr_hf.scoring.listed_ids import describe_list, leave_out_missing
from balr_hf.scoring.made_trials import make_trials, trial_conditions
from balr_hf.scoring.quality_measures import sides_quality
from balr_hf.scoring.trials import Trials, read_trials, side_counts, side_embeddings, side_speakers, trial_labels
from balr_hf.system.learning import learn_to_hear
from balr_hf.training.arguments import DataArguments, TrainerArguments
from balr_hf.training.losses import AutoEncoderLoss, build_losses
from balr_hf.training.samplers import sampler_class
from balr_hf.training.state import read_progress
from balr_hf.training.trained_speakers import describe_embedder_trained_on
from balr_hf.validation import validate
from balr_hf.validation.adequacy import parse_thresholds

logger = logging.getLogger("balr_hf")

# The parts, and the fewest speakers with which the stage that uses each can work at all. Real work takes hundreds.
LEAST = {"train": 4, "validation": 2, "reference": 4, "calibration": 6, "test": 2}
# The parts whose recordings are compared. Limits and a calibration by quality need what was measured of these.
COMPARED = ("reference", "calibration", "test")
# Columns of a corpus that descriptions and validation by conditions use, where it has them.
DESCRIBING = ("sex", "session", "channel", "language", "source")


def setting(default: Any, help: str) -> Any:
    """A flag of the script, whose help says what it is by default."""
    return field(default=default, metadata={"help": f"{help} [default: {default}]" if default else help})


@dataclass
class Arguments:
    corpus: str = setting("", "csv, folder, or VoxCeleb's folder; the sample by default")
    embedder: str = setting("", "folder or Hub repository; the shipped one by default")
    save_dir: str = setting("runs/system", "folder of the run, with one folder per stage")
    device: str = setting("", "cpu, or cuda: each process its own GPU; cuda by default if there is one")
    seed: int = setting(0, "decides parts, copies, weights, batches and trials")
    shares: str = setting(
        "train=8,validation=2,reference=4,calibration=6,test=4",
        "how speakers without a part are shared among the parts that nobody was assigned to",
    )
    trials: str = setting(
        "", "test trials, whose speakers are the test part: a list of VoxCeleb, or as balr validate takes it"
    )
    calibration_recordings: int = setting(10, "at most so many recordings of each calibration speaker; 0: all")
    conditions: str = setting(
        "unchanged;snr=10;band=telephone,codec=mulaw;codec=opus:12k",
        "conditions of the copies to calibrate on, as in balr degrade; none: recordings as they are",
    )
    attributes: int = setting(512, "number of binary attributes")
    losses: str = setting("mse", "losses of the autoencoder, separated by commas, as in balr train")
    epochs: int = setting(100, "passes over the training part")
    learning_rate: float = setting(1e-3, "learning rate of Adam")
    sampler: str = setting("RandomNxMSampler", "how batches are drawn, as in balr train")
    speakers: int = setting(32, "speakers per batch")
    recordings: int = setting(16, "recordings of each speaker per batch")
    within: str = setting(
        "",
        "column of the corpus (sex, source, ...): made trials have different speakers only where both have "
        "the same value",
    )
    scorer: str = setting("beta", "beta, maxllr, speech or dna, as in balr score train")
    calibration: str = setting("quality", "quality, affine or fusion, as in balr score calibrate")
    speech: str = setting("", "kind of speech, e.g. 'interviews, English', which reports state")
    adequate: str = setting("", "largest values that you accept, stated before you see any: cllr=0.5,eer=0.1")
    detectors: int = setting(
        12_000,
        "recordings to make for each of the detectors of people who speak at the same time, of speech at another "
        "speed and of reverberant rooms; at most 20 of each recording; 0: no detectors",
    )
    push_to: str = setting("", "NAME/REPOSITORY on the Hub to upload the system to")
    push_corpus_to: str = setting(
        "", "NAME/REPOSITORY for ids, speakers and attributes of reference, calibration and test, without audio"
    )
    private: bool = setting(False, "make new repositories private")
    license: str = setting("", "the Hub's name of the licence, for the cards")


@dataclass
class Job:
    """What all stages need.

    Attributes:
        given: the arguments.
        folder: of the run.
        embedder: the embedder.
        state: the processes that a launcher started; a single one without a launcher.
        device: where this process computes.
        is_alone: whether this process goes on without the others, which have ended or never were.
    """

    given: Arguments
    folder: Path
    embedder: WespeakerModel
    state: PartialState
    device: torch.device
    is_alone: bool = False

    def wait(self) -> None:
        """Wait until all processes are here."""
        if not self.is_alone:
            self.state.wait_for_everyone()

    def part(self, stage: str, name: str) -> Path:
        """The csv of a part with what a stage has added. The calibration part goes on with its copies."""
        if name != "calibration" or not self.has_copies:
            return self.folder / stage / name / f"{name}.csv"
        return self.folder / ("copies" if stage == "parts" else stage) / name / "metadata.csv"

    @property
    def has_copies(self) -> bool:
        return self.given.conditions != "none"


# --- the stages: each returns a line that says what came out -----------------------------------------------------


def divide(job: Job) -> str:
    """Decide which speaker is in which part, and write a csv for each part."""
    given = job.given
    listed, trials = None, job.folder / "parts" / "trials.csv"
    if given.trials:
        listed = {name for side in read_trials(given.trials).sides for name in side}
        shutil.copyfile(given.trials, trials)
    rows, measured = read_recordings(given.corpus, given.within)
    if listed is not None:
        unknown = listed - {row["id"] for row in rows}
        if unknown:
            raise UserError(
                f"--trials {given.trials} names {len(unknown)} recordings that the corpus lacks: "
                f"{name_some(sorted(unknown))}"
            )
    part_of = assign_parts(rows, listed or set(), parse_shares(given.shares), given.seed)
    check_speakers(job.embedder, part_of)
    rng = np.random.default_rng(given.seed)
    for part in LEAST:
        kept = [row for row in rows if part_of[row["speaker"]] == part]
        if part == "test" and listed is not None:
            kept = [row for row in kept if row["id"] in listed]
        if part == "calibration" and given.calibration_recordings:
            kept = some_of_each(kept, given.calibration_recordings, rng)
        path = job.folder / "parts" / part / f"{part}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = ["id", "audio", "speaker", *(name for name in described(given.within) if name in rows[0])]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
        own = {row["id"]: measured[row["id"]] for row in kept if row["id"] in measured}
        if own:  # beside the csv, it comes along with vectors that are there already
            write_quality(path.with_name(QUALITY_FILE), own)
    counts = [f"{part} {sum(found == part for found in part_of.values())}" for part in LEAST]
    return f"speakers: {', '.join(counts)}"


def degrade(job: Job) -> str:
    """Bring copies of the calibration recordings to the conditions."""
    if not job.has_copies:
        return "none"
    given, path = job.given, job.folder / "parts" / "calibration" / "calibration.csv"
    folder = job.folder / "copies" / "calibration"
    saved = save_copies(path, parse_conditions(given.conditions), folder, seed=given.seed, progress=True)
    warn_skipped(saved.skipped, "Degrading")
    if not saved.recordings:
        raise UserError(f"no recording can be brought to {given.conditions}: see {folder / 'skipped.csv'}")
    return f"{given.conditions}: {saved.recordings:,} recordings, {len(saved.skipped):,} skipped"


def extract(job: Job) -> str:
    """Compute the embeddings of all parts; all processes share the recordings."""
    compute = partial(compute_embeddings, job.embedder, devices=[job.device])
    maker = embedding_maker(job.embedder)
    said = fill(job, "embedding", "parts", "embeddings", LEAST, maker, compute)
    if job.state.is_main_process:
        for name in COMPARED:
            measure_unmeasured(job, name)
    job.wait()
    return said


def train(job: Job) -> str:
    """Train the autoencoder; all processes share the batches."""
    given, folder = job.given, job.folder / "autoencoder"
    if job.state.is_main_process:
        restore_folder(folder / "state")
    job.wait()
    begun = any(folder.glob("*state*/progress.json"))
    finished = (folder / "state").exists() and read_progress(folder / "state").epoch >= given.epochs
    job.wait()
    if not finished:
        BinaryAttributeEncoderTrainer(
            *(load_corpus(job.part("embeddings", name)) for name in ("train", "validation")),
            batches(given),
            make_losses(given),
            input_dim=job.embedder.config.embed_dim,
            internal_dim=given.attributes,
            learning_rate=given.learning_rate,
            epochs=given.epochs,
            seed=given.seed,
            save_dir=folder,
            exist_ok=True,
            device=job.device.type,
            resume_from=folder if begun else None,
        ).train()
    job.state.destroy_process_group()  # the others need not wait for what comes next, which one process does
    job.is_alone = True
    record = BinaryAttributeAutoEncoder.from_pretrained(folder / "best").config.training
    losses = ", ".join(f"{name} {value:.4g}" for name, value in (record["validation"] or {}).items())
    return f"{given.attributes} attributes; the best model is of epoch {record['epoch']}: validation {losses}"


def binarize(job: Job) -> str:
    """Turn the embeddings of the parts that are compared into attributes."""
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(job.folder / "autoencoder" / "best").to(job.device)
    compute = partial(compute_binary_attributes, autoencoder, device=job.device)
    maker = Maker(model_identity(autoencoder))
    return fill(job, "ba", "embeddings", "attributes", COMPARED, maker, compute)


def fit(job: Job) -> str:
    """Fit the scorer to the reference population."""
    corpus = load_corpus(job.part("attributes", "reference"))
    counts, speakers = speaker_counts(corpus)
    scorer = build_scorer(job.given.scorer, num_attributes=counts.shape[1]).fit(counts, speakers)
    scorer.describe_reference(corpus)
    save(scorer, job.folder / "scorer")
    used = counts.shape[1] - scorer.config.num_uninformative
    return f"{len(speakers)} speakers; {used} of {counts.shape[1]} attributes carry evidence"


def calibrate(job: Job) -> str:
    """Calibrate the scorer on speakers who are not in its reference population."""
    given = job.given
    corpus = with_attributes(load_corpus(job.part("attributes", "calibration")))
    trials = made_trials(job, corpus)
    counts, names = side_counts(corpus, trials.sides), side_speakers(corpus, trials.sides)
    enroll, test = names[trials.enroll], names[trials.test]
    options: dict[str, Any] = {}
    if given.calibration == "quality":
        measured = sides_quality(corpus, trials.sides)
        options = {"quality": (measured, measured), "conditions": trial_conditions(corpus, trials)}
    scorer = load_scorer(job.folder / "scorer")
    scorer.calibrate(counts, counts, enroll == test, given.calibration, enroll, test, trials=trials, **options)
    scorer.describe_calibration(corpus, trials.sides, (trials.enroll, trials.test))
    told = {"speech": given.speech, "within": given.within}
    told = {name: value for name, value in told.items() if value}
    scorer.config.calibration = {**scorer.config.calibration, **told}
    save(scorer, job.folder / "calibrated")
    return f"{given.calibration}, on {len(trials):,} trials of {len(set(names))} speakers"


def detect(job: Job) -> str:
    """Learn to notice voices at the same time, another speed, and rooms, on speakers who are not compared."""
    folder = job.folder / "detectors"
    parts = [load_corpus(job.part("parts", name), vectors=()) for name in ("train", "validation")]
    corpus = datasets.concatenate_datasets(parts)
    count, people = min(job.given.detectors, 20 * len(corpus)), len(set(corpus["speaker"]))
    reasons = {
        "asked for none": job.given.detectors == 0,
        f"{people} speakers are too few": people < LEAST_SPEAKERS,
        f"{len(corpus)} recordings are too few": count < LEAST_COUNT,
        "the embedder is no ResNet of this package": job.embedder.num_statistics is None,
    }
    told = [reason for reason, holds in reasons.items() if holds]
    if told:
        return f"none ({'; '.join(told)}): reports will say that nobody listened"
    system, said = system_of(job), []
    for kind in KINDS:
        try:
            detector, skipped = learn_to_hear(
                kind,
                system,
                corpus,
                f"the train and validation parts of {job.given.corpus}",
                count=count,
                seed=job.given.seed,
                progress=True,
                work=folder / "work",
            )
        except UserError as error:  # too few recordings can be used, or rooms cannot be simulated here
            said.append(f"none ({kind.name}): {error}")
            continue
        warn_skipped(skipped, "Making recordings")
        detector.save(folder)
        said.append(f"{detector.name}: {detector.describe()}")
    shutil.rmtree(folder / "work", ignore_errors=True)
    return "\n  ".join(["", *said])


def system_of(job: Job) -> SpeakerComparisonModel:
    """The models that belong together."""
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(job.folder / "autoencoder" / "best")
    return SpeakerComparisonModel.from_parts(job.embedder, autoencoder, load_scorer(job.folder / "calibrated"))


def assemble(job: Job) -> str:
    """Join the models that belong together in one folder."""
    system = system_of(job)
    system.detectors = load_detectors(job.folder / "detectors")
    save(system.cpu(), job.folder / "system")
    return str(job.folder / "system")


def report(job: Job) -> str:
    """Validate the system on the test part, and write the report."""
    folder, trial_list = job.folder / "validation", job.folder / "parts" / "trials.csv"
    path = job.part("attributes", "test")
    corpus = load_corpus(path)
    if job.given.trials:
        present = with_attributes(corpus)["id"]
        trials = leave_out_missing(read_trials(trial_list), present)  # those that extraction skipped, with a warning
        source = describe_list(job.given.trials, trials)
    else:
        trials, source = made_trials(job, with_attributes(corpus)), f"made with seed {job.given.seed}"
        if job.given.within:
            source += f" (different speakers with the same {job.given.within} only)"
    found = validate(
        *(SpeakerComparisonModel.from_pretrained(job.folder / "system"), corpus, trials),
        corpus=f"the test part of {job.given.corpus}",
        corpus_sha256=file_digest(path),
        trial_list=source,
        trial_list_sha256=file_digest(trial_list) if job.given.trials else None,
        thresholds=parse_thresholds(job.given.adequate),
        progress=True,
    )
    sides = side_embeddings(load_corpus(job.part("embeddings", "test")), trials.sides)
    cosines = (sides[trials.enroll] * sides[trials.test]).sum(1)
    by_cosine, _ = eer(cosines, trial_labels(corpus, trials))
    found.save(folder, trials, further={"embedding_cosine_eer": by_cosine})
    adequacy = "".join(f"\n  {criterion.describe()}" for criterion in found.adequacy)
    return (
        f"{folder / 'report.html'}\n{found.evaluation.describe()}{adequacy}\n"
        f"  Cosine of the embeddings themselves: EER {by_cosine:.2%}"
    )


def push(job: Job) -> None:
    """Upload the system, and the attributes without any audio, each with its card; once to each repository."""
    given, path = job.given, job.folder / "published.json"
    if not given.push_to and not given.push_corpus_to:
        return
    system = job.folder / "system"
    version = file_digest(system / "model.safetensors")  # a system that was made anew is uploaded anew
    done = json.loads(path.read_text()) if path.exists() else {}
    options = {"private": given.private or None, "license": given.license or None}

    def needed(repository: str) -> bool:
        return bool(repository) and done.get(repository, {}).get("system") != version

    def published(repository: str, address: str) -> None:
        done[repository] = {"system": version, "address": address}
        write_json(path, done)

    if needed(given.push_to):
        results = [json.loads((job.folder / "validation" / "metrics.json").read_text())]
        published(given.push_to, publish_model(system, given.push_to, results=results, **options).commit_url)
    if needed(given.push_corpus_to):
        for name in COMPARED:
            corpus = with_attributes(load_corpus(job.part("attributes", name))).select_columns(["id", "speaker", "ba"])
            address = publish_corpus(corpus, given.push_corpus_to, split=name, **options).commit_url
        published(given.push_corpus_to, address)
    for repository in filter(None, (given.push_to, given.push_corpus_to)):
        print(f"published: {repository} ({done[repository]['address']})")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        folder: its name, and that of its folder.
        run: does it.
        settings: the arguments that decide what comes out, besides those of earlier stages.
    """

    folder: str
    run: Callable[[Job], str]
    settings: tuple[str, ...] = ()


TRAINING = ("attributes", "losses", "epochs", "learning_rate", "sampler", "speakers", "recordings", "seed")
STAGES = (
    Stage("parts", divide, ("corpus", "trials", "shares", "calibration_recordings", "seed")),
    Stage("copies", degrade, ("conditions", "seed")),
    Stage("embeddings", extract, ("embedder",)),
    Stage("autoencoder", train, TRAINING),
    Stage("attributes", binarize),
    Stage("scorer", fit, ("scorer",)),
    Stage("calibrated", calibrate, ("calibration", "speech", "within", "seed")),
    Stage("detectors", detect, ("detectors", "seed")),
    Stage("system", assemble),
    Stage("validation", report, ("adequate", "within", "seed")),
)
# The stages that all processes work on together. What comes after them takes one process minutes.
SHARED = ("embeddings", "autoencoder")


def run_stages(job: Job) -> None:
    """Do all stages that are not done yet."""
    is_first = job.state.is_main_process
    if is_first:
        check_settings(job)
    job.wait()
    for stage in STAGES:
        path = job.folder / stage.folder / "stage.json"
        done = path.exists() and json.loads(path.read_text())["said"] is not None
        job.wait()  # so that none sees as done what the first process is about to finish
        if done:
            said = "done before"
        else:
            record = {"settings": settings_of(stage, job), "said": None}
            if is_first:
                write_json(path, record)
            start = time.perf_counter()
            said = stage.run(job) if is_first or stage.folder in SHARED else ""
            job.wait()
            if is_first:
                write_json(path, {**record, "said": said, "seconds": round(time.perf_counter() - start, 1)})
        if is_first:
            print(f"{stage.folder}: {said}", flush=True)
        if stage.folder == SHARED[-1]:
            job.is_alone = True
            if not is_first:
                return
    push(job)


def settings_of(stage: Stage, job: Job) -> dict[str, Any]:
    """The settings of a stage. A model is known by what is in it, and a file by that and its name."""
    settings = {name: getattr(job.given, name) for name in stage.settings}
    if "embedder" in settings:
        settings["embedder"] = f"sha256 {digest_of(model_identity(job.embedder))[:12]}"
    for name in ("corpus", "trials"):
        if settings.get(name) and Path(settings[name]).is_file():
            settings[name] += f" ({file_digest(settings[name])[:12]})"
    return settings


def check_settings(job: Job) -> None:
    """Refuse settings that are not those with which a stage was begun, and stages made from others that are gone."""
    missing = None
    for number, stage in enumerate(STAGES):
        folder = job.folder / stage.folder
        path = folder / "stage.json"
        if not path.exists():
            missing = missing or folder
            continue
        if missing is not None:
            raise UserError(f"{folder} was made from what was in {missing}, which is gone: delete {folder} too")
        earlier, now = json.loads(path.read_text())["settings"], settings_of(stage, job)
        changed = [f"--{name.replace('_', '-')} was {earlier.get(name)}, now {now[name]}" for name in now]
        changed = [text for text, name in zip(changed, now, strict=True) if earlier.get(name) != now[name]]
        if changed:
            later = [later.folder for later in STAGES[number:] if (job.folder / later.folder).exists()]
            raise UserError(
                f"{folder} was begun with other settings: {name_some(changed)}. Give the earlier ones, choose another "
                f"--save-dir, or delete what depends on them (in {job.folder}: {', '.join(later)})"
            )


# --- what the stages are made of ---------------------------------------------------------------------------------


def check(given: Arguments) -> None:
    """Refuse at once what a stage would refuse only after hours."""
    parse_shares(given.shares)
    parse_thresholds(given.adequate)
    batches(given)
    sampler_class(given.sampler)
    TrainerArguments(internal_dim=given.attributes, learning_rate=given.learning_rate, epochs=given.epochs)
    comparing = [loss.name for loss in make_losses(given) if loss.uses_originals]
    if comparing:
        raise UserError(
            f"--losses {given.losses}: {', '.join(comparing)} compares copies of the training recordings, which are "
            "not made here: see balr degrade and balr train"
        )
    if scorer_class(given.scorer) is scorer_class("cosine"):
        raise UserError("--scorer cosine has no reference population: choose beta, maxllr, speech or dna")
    if given.calibration not in ("affine", "fusion", "quality"):
        raise UserError(f"--calibration {given.calibration}: expected affine, fusion or quality")
    if given.conditions != "none":
        parse_conditions(given.conditions)
    if given.within in ("id", "audio", "speaker", "part"):
        raise UserError(f"--within {given.within}: expected a column that describes recordings, such as sex or source")
    if given.trials and not Path(given.trials).is_file():
        raise UserError(f"--trials {given.trials}: there is no such file")


def batches(given: Arguments) -> DataArguments:
    """How training draws its batches."""
    return DataArguments(
        batch_size=given.speakers * given.recordings,
        sampler=given.sampler,
        N_classes_per_batch=given.speakers,
        M_samples_per_class=given.recordings,
    )


def make_losses(given: Arguments) -> list[AutoEncoderLoss]:
    """The losses of the autoencoder, with their default settings."""
    return build_losses(dict.fromkeys(name.strip() for name in given.losses.split(",")))


def described(within: str) -> list[str]:
    """The columns that describe, and the one by which made trials are chosen."""
    return list(dict.fromkeys([*DESCRIBING, *filter(None, [within])]))


def read_recordings(source: str, within: str = "") -> tuple[list[dict[str, str]], dict[str, dict[str, Any]]]:
    """Read what a corpus says of its recordings.

    Returns:
        `(rows, measured)`: for each recording id, audio (a path), speaker, part where it is stated, and columns that
        describe; and what an earlier `balr extract` measured, by id.
    """
    if Path(source).is_dir() and not (Path(source) / "metadata.csv").exists():
        rows = voxceleb_recordings(Path(source))
        if rows and within:
            raise UserError(
                f"--within {within}: VoxCeleb's folder says nothing of its recordings; give a csv that does"
            )
        if rows:
            earlier = read_quality(Path(source) / QUALITY_FILE)  # by the paths below the folder
            named = {str(Path(row["audio"]).relative_to(Path(source).absolute())): row["id"] for row in rows}
            return rows, {named[path]: found for path, found in earlier.items() if path in named}
    corpus = read_corpus(source, vectors=())
    warn_skipped(corpus.skipped, f"Reading {source}")
    found = corpus.dataset
    lacking = [name for name in ("audio", "speaker") if name not in found.column_names]
    if lacking or corpus.files is None:
        raise UserError(
            f"{source} lacks {' and '.join(lacking) or 'files'}: a corpus to train on is a csv with the columns id, "
            "audio (a path) and speaker, a folder with such a metadata.csv, or VoxCeleb's folder"
        )
    if within and within not in found.column_names:
        raise UserError(f"--within {within}: {source} has no such column (columns: {', '.join(found.column_names)})")
    columns = [name for name in ("part", *described(within)) if name in found.column_names]
    texts = {
        name: ["" if value is None else str(value) for value in found[name]] for name in ("id", "speaker", *columns)
    }
    texts["audio"] = [path or "" for path in corpus.files.paths["audio"]]
    rows = [dict(zip(texts, values, strict=True)) for values in zip(*texts.values(), strict=True)]
    usable = [row for row in rows if row["audio"] and row["speaker"]]
    if len(usable) < len(rows):
        logging.getLogger("balr_hf").warning(
            "%d recordings without audio or speaker left out", len(rows) - len(usable)
        )
    return usable, known_quality(found)


def voxceleb_recordings(folder: Path) -> list[dict[str, str]]:
    """The recordings below a folder as VoxCeleb's makers lay them out: .../idNNNNN/VIDEO/NNNNN.wav or .m4a.

    Ids are those of VoxCeleb's trial lists. VoxCeleb2 (below id10000) trains the autoencoder, its folder `test`
    validates; VoxCeleb1's folder `test` is the test part, and its other speakers are shared out.
    """
    rows = []
    for path in sorted(folder.rglob("id?????/*/*")):
        *above, speaker, video, name = path.relative_to(folder).parts
        if path.suffix in (".wav", ".m4a") and re.fullmatch(r"id\d{5}", speaker):
            is_first, is_test = speaker >= "id10000", "test" in above
            part = ("test" if is_test else "") if is_first else ("validation" if is_test else "train")
            rows.append(
                {"id": f"{speaker}/{video}/{name}", "audio": str(path.absolute()), "speaker": speaker, "part": part}
            )
    return rows


def parse_shares(text: str) -> dict[str, float]:
    """Read `train=8,validation=2,...`."""
    shares: dict[str, float] = {}
    for piece in text.split(","):
        name, _, value = piece.strip().partition("=")
        try:
            shares[name] = float(value)
        except ValueError:
            shares[name] = -1.0
        if name not in LEAST or not 0 < shares[name] < float("inf"):
            raise UserError(
                f"--shares {text}: {piece.strip()!r} is not PART=NUMBER, with a part of {', '.join(LEAST)}"
            )
    if shares.keys() != LEAST.keys():
        raise UserError(f"--shares {text}: expected a number for each of {', '.join(LEAST)}")
    return shares


def assign_parts(
    rows: Sequence[dict[str, str]], listed: set[str], shares: dict[str, float], seed: int
) -> dict[str, str]:
    """The part of each speaker. The order of the rows makes no difference.

    Args:
        rows: the recordings.
        listed: the ids of the recordings in the test trials.
        shares: of the parts, among speakers without one.
        seed: decides who of these is in which.

    Raises:
        UserError: a speaker is in two parts, a part is unknown, or has too few speakers.
    """
    part_of: dict[str, str] = {}
    for row in rows:
        part = "test" if row["id"] in listed else row.get("part", "")
        if part and part not in LEAST:
            raise UserError(f"{row['id']} is in the part {part!r}: expected {', '.join(LEAST)}, or nothing")
        if part and part_of.setdefault(row["speaker"], part) != part:
            raise UserError(
                f"the speaker {row['speaker']} is in the parts {part_of[row['speaker']]} and {part}, and may be in "
                "one only: what is measured on speakers whom a system knows does not hold for others"
            )
    rest = sorted({row["speaker"] for row in rows} - part_of.keys())
    open_parts = [part for part in LEAST if part not in part_of.values()]
    if rest and not open_parts:
        raise UserError(f"{len(rest)} speakers have no part, and every part was assigned to others: {name_some(rest)}")
    ends = np.cumsum([shares[part] for part in open_parts])
    ends = np.round(ends / ends[-1] * len(rest)).astype(int) if rest else ends
    for place, number in enumerate(np.random.default_rng(seed).permutation(len(rest)).tolist()):
        part_of[rest[number]] = open_parts[int(np.searchsorted(ends, place, side="right"))]
    counts = {part: sum(found == part for found in part_of.values()) for part in LEAST}
    short = [f"{part} has {counts[part]} of at least {least}" for part, least in LEAST.items() if counts[part] < least]
    if short:
        raise UserError(
            f"too few speakers ({len(part_of)} in all): {', '.join(short)}. Add speakers, or change --shares or the "
            "column part of the corpus"
        )
    return part_of


def some_of_each(rows: Sequence[dict[str, str]], number: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """At most so many recordings of each speaker, drawn at random, in the order of their ids."""
    by_speaker: dict[str, list[dict[str, str]]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):
        by_speaker.setdefault(row["speaker"], []).append(row)
    return [
        own[place]
        for _, own in sorted(by_speaker.items())
        for place in sorted(rng.permutation(len(own))[:number].tolist())
    ]


def fill(
    job: Job, kind: str, source: str, stage: str, parts: Sequence[str], maker: Maker, compute: ComputeVectors
) -> str:
    """Add vectors to parts, shared among the processes that there are, and go on where an earlier run was stopped.

    Args:
        job: what all stages need.
        kind: `embedding` or `ba`.
        source: the stage that wrote what they are computed from.
        stage: the stage that adds them.
        parts: the parts.
        maker: the model that makes them.
        compute: computes the missing ones.
    """
    needs = {"embedding": "audio", "ba": "embedding"}[kind]
    done = skipped = 0
    for name in parts:
        path, folder = job.part(source, name), job.folder / stage / name

        def share(shard: Shard | None, path: Path = path, folder: Path = folder) -> Filled:
            corpus = read_corpus(path, save_dir=folder, vectors=() if kind == "embedding" else ("embedding",))
            store = open_store(corpus, kind, maker, save_dir=folder, save_format="npy")
            return store.fill(compute, needs, shard=shard)

        shard = None if job.is_alone else Shard.launched()
        found = share(shard)
        job.wait()
        if job.state.is_main_process:
            if shard is not None:  # what the others computed is there now, and is put together
                found = share(None)
            warn_skipped(found.skipped, f"The part {name}")
            write_skipped(folder / "skipped.csv", found.skipped)
            if found.total == len(found.skipped):
                raise UserError(f"no recording of the part {name} could be used: see {folder / 'skipped.csv'}")
            done, skipped = done + found.total - len(found.skipped), skipped + len(found.skipped)
        job.wait()
    return f"{done:,} recordings, {skipped:,} skipped"


def measure_unmeasured(job: Job, name: str) -> None:
    """Measure the recordings of a part whose embeddings were there already, without what was measured of them."""
    folder = job.folder / "embeddings" / name
    corpus = read_corpus(job.part("parts", name), save_dir=folder, vectors=("embedding",)).dataset
    known = known_quality(corpus)
    unmeasured = np.array([name not in known for name in recording_ids(corpus)])
    rows = np.flatnonzero(vector_present(corpus, "embedding") & unmeasured)
    failed = []
    for recording, found in measure_corpus(corpus.select(rows), progress=True):
        if isinstance(found, Skipped):
            failed.append(found)
        else:  # kept at once, so that a run that is stopped goes on from here
            append_quality(folder / QUALITY_FILE, {recording: found.quality.to_dict()})
    warn_skipped(failed, f"Measuring the part {name}")


def made_trials(job: Job, corpus: datasets.Dataset) -> Trials:
    """Trials that are made of the recordings of a part, of different speakers within a column only if one is named."""
    trials = make_trials(corpus, seed=job.given.seed)
    if not job.given.within:
        return trials
    kept = keep_chosen(corpus, trials, side_speakers(corpus, trials.sides), within=job.given.within)
    return kept.without_unused_sides()


def check_speakers(embedder: WespeakerModel, part_of: dict[str, str]) -> None:
    """Refuse test speakers whom the package's own embedder was trained on, and warn of those of the calibration.

    Raises:
        UserError: there are such speakers in the test part.
    """
    of_part = {part: [name for name, found in part_of.items() if found == part] for part in ("calibration", "test")}
    trained = describe_embedder_trained_on(embedder, of_part["test"])
    if trained is not None:
        raise UserError(
            f"{trained}: the validation would flatter the system. Put them into another part, or give them other "
            "names if they are different people"
        )
    trained = describe_embedder_trained_on(embedder, of_part["calibration"], "speakers of the calibration")
    if trained is not None:
        logger.warning("%s: it promises too much", trained)


def with_attributes(corpus: datasets.Dataset) -> datasets.Dataset:
    """The recordings that have attributes."""
    return corpus.select(np.flatnonzero(vector_present(corpus, "ba")))


def save(model: Any, folder: Path) -> None:
    """Save a model beside the record of its stage, whole or not at all."""
    with added_to_folder(folder) as temporary:
        model.save_pretrained(temporary)


def main() -> None:
    parser = ArgumentParser(Arguments, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.parse_args()
    if given.device not in ("", "cpu", "cuda"):
        parser.error(f"--device {given.device}: expected cpu or cuda; CUDA_VISIBLE_DEVICES chooses among GPUs")
    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    logging.basicConfig(format="%(message)s")
    try:
        check(given)
        given = dataclasses.replace(
            given,
            corpus=given.corpus or str(resource(SAMPLE_CORPUS) / "metadata.csv"),
            embedder=given.embedder or str(resource(EMBEDDER)),
        )
        # One process may work for longer than others would wait for it by default.
        state = PartialState(cpu=device == "cpu", timeout=timedelta(days=30))
        logger.setLevel(logging.INFO if state.is_main_process else logging.ERROR)
        if device == "cuda" and torch.cuda.device_count() > state.num_processes == 1:
            logger.warning("One of %d GPUs is used: accelerate launch --multi_gpu uses all", torch.cuda.device_count())
        embedder = WespeakerModel.from_pretrained(given.embedder)
        run_stages(Job(given, Path(given.save_dir), embedder, state, resolve_devices(device)[0]))
    except (UserError, OSError) as error:
        sys.exit(f"train_system.py: error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit("train_system.py: interrupted. What was done is kept; give the same command to go on")


if __name__ == "__main__":
    main()
