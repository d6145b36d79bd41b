"""Gives damaged files to whatever reads them: each must end in a result without NaN, or in one clear error.

A case is a file, damaged at random but repeatably, and what reads it. Cases run in processes that are forked from this
one, so that one that crashes or takes all memory is counted, and stops nothing.
"""

import contextlib
import functools
import io
import json
import os
import random
import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kills
import mutations
import numpy as np

# The most memory that a process may take beyond that of this one, in bytes, and the most time for a case, in seconds.
MEMORY, SECONDS = 6 << 30, 30

TONE = np.sin(np.arange(16000) / 9.0).astype(np.float32)

# What makes a file worse, and tells how it did.
Damage = Callable[[Path, random.Random], str]


class NotFinite(Exception):
    """A result has values that are not finite."""


class Lost(Exception):
    """A recording that was whole has no result."""


@dataclass
class Kind:
    """One kind of case.

    Attributes:
        files: what is damaged, one at a time, relative to the folder of inputs.
        read: reads it; raises [`NotFinite`] or [`Lost`] where the result is such.
        damage: how a file is damaged.
    """

    files: list[str]
    read: Callable[[Path], object]
    damage: Damage


def bytes_of(path: Path, choose: random.Random) -> str:
    """Damages the bytes of a file."""
    path.write_bytes(mutations.damaged(path.read_bytes(), choose))
    return "bytes"


def values_of(path: Path, choose: random.Random) -> str:
    """Makes a value of a JSON or YAML file wrong; sometimes damages its bytes."""
    if choose.random() < 0.2:
        return bytes_of(path, choose)
    if path.suffix == ".yaml":
        import yaml

        what, changed = next(mutations.wrong_values(yaml.safe_load(path.read_text()), choose))
        path.write_text(yaml.safe_dump(changed))
        return what
    lines = path.read_text().splitlines() if path.name == "balr-vectors.json" else [path.read_text()]
    row = choose.randrange(len(lines))
    what, changed = next(mutations.wrong_values(json.loads(lines[row]), choose))
    lines[row] = json.dumps(changed)
    path.write_text("\n".join(lines) + "\n")
    return what


def finite(values: Any) -> None:
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise NotFinite


def _use_embedder(path: Path) -> None:
    from balr_hf import WespeakerModel

    model = WespeakerModel.from_pretrained(path.parent)
    features = model.feature_extractor([TONE], sampling_rate=model.feature_extractor.sampling_rate)
    finite(model(**features)[0].detach())


def _use_autoencoder(path: Path) -> None:
    import torch

    from balr_hf import BinaryAttributeAutoEncoder

    model = BinaryAttributeAutoEncoder.from_pretrained(path.parent)
    finite(model.encode(torch.zeros(2, model.config.input_dim)).detach())


def _use_scorer(path: Path) -> None:
    import torch

    from balr_hf.scoring.auto import load_scorer

    scorer = load_scorer(path.parent)
    counts = torch.ones(2, scorer.config.num_attributes, 2, dtype=torch.float64)
    one, other = torch.tensor([0, 1]), torch.tensor([1, 0])
    finite(scorer.term_table(counts, counts, scorer.is_calibrated).scores(one, other))
    explanation = scorer.explain(*counts.numpy(), calibrated=scorer.is_calibrated)
    explanation.to_text(3), explanation.to_html(3)


def _use_system(path: Path) -> None:
    from balr_hf import SpeakerComparisonModel

    system = SpeakerComparisonModel.from_pretrained(path.parent)
    finite(system.embed([TONE]))


def _use_wespeaker(path: Path) -> None:
    from balr_hf import WespeakerModel

    WespeakerModel.from_pretrained(path.parent)


def _use_upstream(path: Path) -> None:
    from balr_hf import BinaryAttributeAutoEncoder

    BinaryAttributeAutoEncoder.from_upstream(path)


def _use_corpus(path: Path) -> None:
    from balr_hf import load_corpus
    from balr_hf.data import vector_matrix

    folder = next(parent for parent in (path, *path.parents) if parent.parent.name == "fuzz")
    corpus = load_corpus(folder if folder.is_dir() else path)
    for kind in ("embedding", "ba"):
        if kind in corpus.column_names:
            finite(vector_matrix(corpus, kind)[0])


def _use_trials(path: Path) -> None:
    from balr_hf import load_corpus
    from balr_hf.scoring.trials import read_trials, side_counts, trial_labels

    trials = read_trials(path)
    corpus = load_corpus(kills.INPUTS / "vectors")
    finite(side_counts(corpus, trials.sides))
    trial_labels(corpus, trials)


def _use_vector(path: Path) -> None:
    from balr_hf.data.vectors import read_vector

    finite(read_vector(path, "embedding" if path.name.startswith("embedding") else "ba"))


@functools.cache
def _embedder() -> Any:
    from balr_hf import WespeakerModel

    return WespeakerModel.from_pretrained(kills.INPUTS / "system")


def _use_audio(path: Path) -> None:
    """Embeds it together with a whole recording."""
    import datasets

    from balr_hf.data import vector_matrix, vector_present

    good = path.parent / "whole.wav"
    corpus = datasets.Dataset.from_dict({"id": ["bad", "good"], "audio": [str(path), str(good)]})
    found = _embedder().extract_embeddings(corpus.cast_column("audio", datasets.Audio(decode=False)))
    if not vector_present(found, "embedding")[1]:
        raise Lost
    finite(vector_matrix(found, "embedding")[0])


def _resume(path: Path) -> None:
    from accelerate.state import AcceleratorState

    from balr_hf import BinaryAttributeEncoderTrainer, MSELoss, load_corpus
    from balr_hf.training.arguments import DataArguments

    run = next(parent for parent in path.parents if parent.name == "run")
    corpus = load_corpus(kills.INPUTS / "vectors")
    data = DataArguments(batch_size=16, N_classes_per_batch=4, M_samples_per_class=4)
    try:
        options = {"log_with": "none", "epochs": 2, "resume_from": run}
        trainer = BinaryAttributeEncoderTrainer(corpus, corpus, data, [MSELoss()], **options)
        finite(trainer._run_epoch(1)["loss"])
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def _case(path: Path) -> None:
    from balr_hf.explanation.case import read_case

    read_case(path)


# Audio formats beside the sample's own: codecs, and the formats of their samples.
CODECS = {
    "wav": ("pcm_s16le", "s16"),
    "flac": ("flac", "s16"),
    "mp3": ("libmp3lame", "fltp"),
    "aiff": ("pcm_s16be", "s16"),
    "m4a": ("aac", "fltp"),
}

VECTOR_FILES = [f"vector/{name}.{ending}" for name in ("embedding", "ba") for ending in ("txt", "npy", "pkl")]
DATASET_FILES = ("state", "dataset_info", "balr-dataset")
STATE_FILES = ("model", "losses", "optimizer", "random_0")

KINDS = {
    "embedder": Kind(["embedder/config.json", "embedder/preprocessor_config.json"], _use_embedder, values_of),
    "autoencoder": Kind(["autoencoder/config.json"], _use_autoencoder, values_of),
    "scorer": Kind(["scorer/config.json", "calibrated/config.json"], _use_scorer, values_of),
    "system": Kind(["system/config.json", "system/preprocessor_config.json"], _use_system, values_of),
    "WeSpeaker": Kind(["wespeaker/config.yaml"], _use_wespeaker, values_of),
    "weights": Kind(["scorer/model.safetensors"], _use_scorer, bytes_of),
    "WeSpeaker's weights": Kind(["wespeaker/avg_model.pt"], _use_wespeaker, bytes_of),
    "upstream autoencoder": Kind(["upstream/BAE_mse.pt"], _use_upstream, bytes_of),
    "csv": Kind(["corpus/metadata.csv"], _use_corpus, bytes_of),
    "trial list": Kind(["trials.tsv"], _use_trials, bytes_of),
    "vector file": Kind(VECTOR_FILES, _use_vector, bytes_of),
    "manifest": Kind(["files/balr-vectors.json", "files/balr-files.json"], _use_corpus, values_of),
    "files of a run": Kind(["files/few.csv", "files/quality.csv"], _use_corpus, bytes_of),
    "Dataset": Kind([f"dataset/{name}.json" for name in DATASET_FILES], _use_corpus, values_of),
    "Dataset's data": Kind(["dataset/data-00000-of-00001.arrow", "corpus.parquet"], _use_corpus, bytes_of),
    "state": Kind(["run/state/progress.json", "run/run.json"], _resume, values_of),
    "state's tensors": Kind([f"run/state/{name}.safetensors" for name in STATE_FILES], _resume, bytes_of),
    "case": Kind(["case.yaml"], _case, values_of),
    "audio": Kind([f"audio/recording.{ending}" for ending in (*CODECS, "opus")], _use_audio, bytes_of),
}


def _encode(path: Path, codec: str, sample_format: str, samples: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono", format=sample_format)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float64), format="dblp", layout="mono")
        frame.sample_rate = 16000
        stream.open()
        converter = av.AudioResampler(sample_format, "mono", 16000, frame_size=stream.codec_context.frame_size or 1024)
        for part in [*converter.resample(frame), *converter.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def prepare(inputs: Path) -> None:
    """Makes the whole files, beside those of [`kills.prepare`]."""
    fuzz = inputs / "fuzz"
    fuzz.mkdir()

    def make() -> int:
        import torch
        import yaml

        import balr_hf
        from balr_hf import load_corpus
        from balr_hf.audio import load_audio
        from balr_hf.data.vectors import write_vector

        system = balr_hf.SpeakerComparisonModel.from_pretrained(inputs / "system")
        for name in ("embedder", "autoencoder"):
            getattr(system, name).save_pretrained(fuzz / name)
        system.save_pretrained(fuzz / "system")
        system.scorer.save_pretrained(fuzz / "calibrated")
        shutil.copytree(inputs / "scorer", fuzz / "scorer")
        (fuzz / "wespeaker").mkdir()
        torch.save(dict(system.embedder.state_dict()), fuzz / "wespeaker" / "avg_model.pt")
        model_args = {
            "m_channels": 8,
            "feat_dim": 80,
            "embed_dim": 256,
            "pooling_func": "TSTP",
            "two_emb_layer": False,
        }
        fbank = {"num_mel_bins": 80, "frame_length": 25, "frame_shift": 10, "dither": 1.0}
        settings = {"model": "ResNet18", "model_args": model_args, "dataset_args": {"fbank_args": fbank}}
        (fuzz / "wespeaker" / "config.yaml").write_text(yaml.safe_dump(settings))
        (fuzz / "upstream").mkdir()
        torch.save(system.autoencoder.state_dict(), fuzz / "upstream" / "BAE_mse.pt")
        shutil.copytree(inputs / "files", fuzz / "files")
        (fuzz / "corpus").mkdir()
        shutil.copy(inputs / "few.csv", fuzz / "corpus" / "metadata.csv")
        shutil.copy(inputs / "trials.tsv", fuzz)
        shutil.copytree(inputs / "vectors", fuzz / "dataset")
        load_corpus(inputs / "vectors").to_parquet(str(fuzz / "corpus.parquet"))
        for ending in ("txt", "npy", "pkl"):
            write_vector(fuzz / "vector" / f"embedding.{ending}", np.linspace(-1, 1, 256, dtype=np.float32))
            write_vector(fuzz / "vector" / f"ba.{ending}", np.arange(256) % 3 == 0)
        case = {"case": "12/34", "examiner": "me", "remarks": "none"}
        case["propositions"] = {"H1": "one speaker", "H2": "two speakers"}
        (fuzz / "case.yaml").write_text(yaml.safe_dump(case))
        (fuzz / "audio").mkdir()
        first = (inputs / "few.csv").read_text().splitlines()[1].split(",")[1]
        samples = load_audio(first)[: 4 * 16000]
        for ending, codec in CODECS.items():
            _encode(fuzz / "audio" / f"recording.{ending}", *codec, samples)
        shutil.copy(first, fuzz / "audio" / "recording.opus")
        shutil.copy(fuzz / "audio" / "recording.wav", fuzz / "audio" / "whole.wav")
        options = ["trainer.epochs=1", "trainer.log_with=none", "trainer.losses=[mse]", *kills.SMALL_BATCHES]
        return kills.balr("train", inputs / "vectors", inputs / "vectors", *options, "--save-dir", fuzz / "run")()

    status = kills.forked(make, inputs / "log")
    assert status == 0, (inputs / "log").read_text()


@dataclass
class Outcome:
    """What came of the cases of a kind.

    Attributes:
        counts: of `read` (a result), `refused` (one clear error), `traceback`, `not finite`, `lost`, `too long`,
            `crashed`.
        wrong: the tracebacks and so on, each with its first case and their number.
    """

    counts: Counter = field(default_factory=Counter)
    wrong: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


def torture(name: str, work: Path, cases: int, seed: int, until: float = float("inf"), batch: int = 25) -> Outcome:
    """Runs cases of one kind, in batches that have a process each."""
    kind, outcome, done = KINDS[name], Outcome(), 0
    while done < cases and (not done or time.monotonic() < until):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(kills.INPUTS / "fuzz", work / "fuzz")
        count = min(batch, cases - done)
        results = work / "results"
        status = kills.forked(
            functools.partial(_run, kind, work / "fuzz", count, seed + done, results),
            work / "log",
            longest=SECONDS * count,
        )
        rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
        if status or len(rows) < count:
            rows.append(
                ["crashed", f"status {status}: {kills._last(work / 'log')}", f"seed {seed + done + len(rows)}"]
            )
        for what, wrong, example in rows:
            outcome.counts[what] += 1
            if wrong:
                outcome.wrong[wrong] += 1
                outcome.examples.setdefault(wrong, example)
        done += len(rows)
    return outcome


def _run(kind: Kind, folder: Path, count: int, seed: int, results: Path) -> int:
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    _limit_memory()
    with results.open("w") as file:
        for number in range(seed, seed + count):
            choose = random.Random(number)
            path = folder / choose.choice(kind.files)
            whole = path.read_bytes()
            how = kind.damage(path, choose)
            file.write(
                json.dumps([*_outcome(kind, path), f"{path.relative_to(folder)}: {how} (seed {number})"]) + "\n"
            )
            file.flush()
            path.write_bytes(whole)
    return 0


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


class TooLong(BaseException):
    """A case took too long."""


def _outcome(kind: Kind, path: Path) -> tuple[str, str]:
    from balr_hf.errors import UserError

    def stop(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            kind.read(path)
    except (UserError, OSError):
        return "refused", ""
    except NotFinite:
        return "not finite", "values that are not finite"
    except Lost:
        return "lost", "the whole recording has no result"
    except TooLong:
        return "too long", f"more than {SECONDS} s"
    except BaseException as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "balr_hf" in frame.filename]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return "traceback", f"{where} {type(error).__name__}: {str(error)[:100]}"
    finally:
        signal.alarm(0)
    return "read", ""
