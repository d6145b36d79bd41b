"""Train the embedder: a WeSpeaker ResNet of 24 channels and 14 layers, from the speakers' labels and from the teacher.

Each step takes recordings from all sources in balance, and two views of each: one as it is, one degraded. Their
embeddings are to

- name the speaker (AAM-softmax with sub-centres; recordings at another speed are other speakers),
- tell the teacher's embedding of the clean recording, through a linear layer that is left out of the model,
- be alike among all recordings of the batch as the teacher's are (relational distillation), and
- agree between the two views.

The weights that are kept are a running average of those that are trained. Training goes on where it stopped; the state
is written every ten minutes, and when the process is asked to end (SIGTERM). A processor then gives the bits that it
would have given without a stop; a GPU does not, whose sums have no fixed order. The last tenth of the steps trains on
longer crops with a larger margin.

Usage:
    python -m recipes.embedder WORK_FOLDER RUN_FOLDER [DATA_FOLDER] [--device cuda --workers 14]

Without DATA_FOLDER, nothing is evaluated on the way.
"""

import argparse
import copy
import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
from balr_hf.embeddings.modeling_wespeaker import WespeakerConfig, WespeakerModel

from .corpus import Recordings, recordings
from .evaluation import read_trials, report
from .features import EXTRACTOR, FRAME_SHIFT, VIEWS, VOICES_FROM, filter_banks

SPEEDS = (1.0, 0.9, 1.1)
SPEED_SHARES = (0.7, 0.15, 0.15)
RECORDINGS = 96  # of a step, each in two views
# Seconds of a step's crops, and in the last tenth. They are few, because each new shape costs memory and preparation.
SECONDS, LONG = (1.0, 1.6, 2.2, 2.8, 3.6), (4.0, 5.0, 6.0)
MARGIN, LONG_MARGIN, SCALE, SUBCENTRES = 0.2, 0.4, 30.0, 2
# The first stages see most frames and cost most of the time, so they have one block each.
BLOCKS, CHANNELS = (1, 1, 2, 2), 24
RATE, LAST_RATE = 2e-3, 2e-5
AVERAGING = 0.998
FRAMES_A_SECOND = 1000 // FRAME_SHIFT
WEIGHTS = {"label": 0.5, "teacher": 4.0, "relation": 10.0, "agreement": 2.0}


class View:
    """The filter banks of the training part in one state: float16 `(frames, 80)`, and where recordings start."""

    def __init__(self, work: Path, name: str):
        self.frames = np.load(work / f"{name}.frames.npy")
        self.starts = np.concatenate([[0], np.cumsum(self.frames)[:-1]])
        self.banks = np.memmap(work / f"{name}.f16", np.float16, "r").reshape(-1, EXTRACTOR.num_mel_bins)

    def crop(self, row: int, length: int, generator: np.random.Generator) -> np.ndarray:
        """Cut `length` frames anywhere; a shorter recording is repeated."""
        have = int(self.frames[row])
        first = int(self.starts[row])
        if have >= length:
            begin = first + int(generator.integers(have - length + 1))
            return self.banks[begin : begin + length]
        return np.resize(self.banks[first : first + have], (length, self.banks.shape[1]))


class Noise:
    """Adds noise and babble to crops, and narrows their band, in the mel domain: powers add up where sounds are mixed.

    It costs next to nothing, so that no two steps hear the same noise, and stands beside the degraded views, which
    have been through real codecs and rooms.
    """

    def __init__(self, work: Path, clean: View, voices: np.ndarray):
        noise = recordings(work, "noise")
        self.noises = [np.exp(filter_banks(noise.waveform(row)).astype(np.float32)) for row in range(len(noise))]
        self.clean, self.voices = clean, voices

    def __call__(self, crop: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Degrade a crop of log mel energies `(frames, 80)`."""
        powers = np.exp(crop.astype(np.float32))
        kind = generator.random()
        if kind < 0.4:
            recording = self.noises[int(generator.integers(len(self.noises)))]
            noise = np.resize(np.roll(recording, int(generator.integers(len(recording))), 0), powers.shape)
        elif kind < 0.75:
            voices = generator.choice(self.voices, int(generator.integers(4, 9)))
            noise = sum(np.exp(self.clean.crop(int(row), len(powers), generator).astype(np.float32)) for row in voices)
        else:
            slope = generator.uniform(-2.0, 2.0) * np.linspace(0, 4, powers.shape[1], dtype=np.float32)
            noise = np.exp(slope) * generator.exponential(size=powers.shape).astype(np.float32)
        ratio = 10 ** (-generator.uniform(0, 25) / 10)
        powers = powers + noise * (ratio * powers.mean() / max(float(noise.mean()), 1e-20))
        crop = np.log(np.maximum(powers, 1e-7))
        if generator.random() < 0.35:  # what a narrow channel leaves of the bands above and below
            edge, floor = int(generator.integers(50, 76)), float(generator.uniform(-3, 2)) + float(crop.min())
            crop[:, edge:] = floor + generator.normal(size=crop[:, edge:].shape)
            if generator.random() < 0.5:
                crop[:, :6] = np.minimum(crop[:, :6], crop[:, :6] - generator.uniform(0, 4))
        return crop


class Heads(nn.Module):
    """What only training needs: the centres of the speakers, and the layer that tells the teacher's embedding."""

    def __init__(self, speakers: int, size: int):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(speakers * SUBCENTRES, size) * 0.05)
        self.to_teacher = nn.Linear(size, 256)

    def label_loss(self, unit: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
        """AAM-softmax: the nearest sub-centre counts; recordings of unknown speakers (-1) are left out."""
        cosine = (unit @ F.normalize(self.centres, dim=1).T).unflatten(1, (-1, SUBCENTRES)).amax(-1)
        angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
        own = labels[:, None] == torch.arange(cosine.shape[1], device=labels.device)
        logits = SCALE * torch.where(own & (angle < math.pi - margin), torch.cos(angle + margin), cosine)
        return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / (labels >= 0).sum().clamp(min=1)


def source_groups(speakers: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, list[list[np.ndarray]], np.ndarray]:
    """Group recordings by source and, where that is known, by speaker.

    Returns:
        the number of each recording's speaker, -1 if unknown; for each source, the rows of each speaker, or all its
        rows if the speakers are unknown; and the share of each source in what is drawn: as the root of its number of
        speakers, which is taken to be 60 where they are unknown.
    """
    known = sorted({(str(source), str(name)) for source, name in zip(sources, speakers, strict=True) if name})
    label = {name: number for number, (_, name) in enumerate(known)}
    labels = np.array([label.get(str(name), -1) for name in speakers])
    groups, weights = [], []
    for source in sorted(set(sources)):
        rows = np.flatnonzero(sources == source)
        own = sorted(set(labels[rows]))
        groups.append([rows] if own[0] < 0 else [rows[labels[rows] == name] for name in own])
        weights.append(math.sqrt(60 if own[0] < 0 else len(own)))
    return labels, groups, np.array(weights) / sum(weights)


class Batches(torch.utils.data.Dataset[tuple[torch.Tensor, ...]]):
    """Draws the recordings of a step: sources by the root of their number of speakers, then speakers, then one.

    Item `step` is the batch of that step: it follows from the seed and the number alone, so that any process can draw
    it, and a run that goes on draws what it would have drawn.
    """

    def __init__(self, work: Path, corpus: Recordings, steps: int, seed: int):
        self.steps, self.seed = steps, seed
        self.views = {name: View(work, name) for name in VIEWS if (work / f"{name}.f16").exists()}
        self.by_speed = {
            speed: (
                [view for name, view in self.views.items() if VIEWS[name] == (speed, 0)],
                [view for name, view in self.views.items() if VIEWS[name][0] == speed and VIEWS[name][1]],
            )
            for speed in SPEEDS
        }
        self.labels, self.groups, self.shares = source_groups(corpus.columns["speaker"], corpus.columns["source"])
        self.number = int(self.labels.max()) + 1
        voices = np.flatnonzero(np.isin(corpus.columns["source"], VOICES_FROM))
        self.noise = Noise(work, self.views["clean"], voices)
        teacher = {1.0: np.load(work / "teacher.npz")}
        for speed in SPEEDS[1:]:
            if (work / f"teacher-{speed}.npz").exists():
                teacher[speed] = np.load(work / f"teacher-{speed}.npz")
        self.speeds = [speed for speed in SPEEDS if speed in teacher and self.by_speed[speed][0]]
        chosen = {speed: found["embedding"][found["part"] == "train"] for speed, found in teacher.items()}
        self.mean = chosen[1.0].mean(0, dtype=np.float32)
        self.targets = {speed: _unit(found.astype(np.float32) - self.mean) for speed, found in chosen.items()}

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[torch.Tensor, ...]:
        """Filter banks `(2 * RECORDINGS, frames, 80)`, labels (-1: unknown) and targets `(RECORDINGS, ...)`."""
        generator = np.random.default_rng([self.seed, step])
        seconds = float(generator.choice(LONG if is_long(step, self.steps) else SECONDS))
        length = round(seconds * FRAMES_A_SECOND)
        clean, other, labels, targets = [], [], [], []
        shares = np.array([SPEED_SHARES[SPEEDS.index(speed)] for speed in self.speeds])
        taken: set[int] = set()
        while len(labels) < RECORDINGS:
            group = self.groups[int(generator.choice(len(self.groups), p=self.shares))]
            row = int(generator.choice(group[int(generator.integers(len(group)))]))
            if row in taken:
                continue
            taken.add(row)
            number = int(generator.choice(len(self.speeds), p=shares / shares.sum()))
            speed = self.speeds[number]
            plain, degraded = self.by_speed[speed]
            clean.append(plain[0].crop(row, length, generator))
            choices = [plain[0], *degraded]
            view = choices[int(generator.integers(len(choices)))]
            crop = view.crop(row, length, generator)
            noisy = view is plain[0] or generator.random() < 0.3
            other.append(self.noise(crop, generator) if noisy else crop)
            place = SPEEDS.index(speed)
            labels.append(self.labels[row] + place * self.number if self.labels[row] >= 0 else -1)
            targets.append(self.targets[speed][row])
        banks = torch.from_numpy(np.stack(clean + other)).float()
        banks = banks - banks.mean(1, keepdim=True)
        return mask(banks, generator).half(), torch.tensor(labels), torch.tensor(np.stack(targets))


def is_long(step: int, steps: int) -> bool:
    """Whether a step is among the last tenth, of long crops and the large margin."""
    return step >= 0.9 * steps


def mask(banks: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """Set a stretch of bands, and one of frames, to the mean, in half of the crops."""
    for crop in banks:
        if generator.random() < 0.5:
            width, begin = int(generator.integers(1, 12)), int(generator.integers(70))
            crop[:, begin : begin + width] = 0
        if generator.random() < 0.3:
            width, begin = int(generator.integers(1, 12)), int(generator.integers(max(1, len(crop) - 12)))
            crop[begin : begin + width] = 0
    return banks


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Training:
    """A run: models, optimizer and averages, which are read from its folder if they are there."""

    def __init__(self, work: Path, run: Path, steps: int, seed: int, device: str = "cpu"):
        self.work, self.run, self.steps, self.device = work, run, steps, torch.device(device)
        torch.manual_seed(seed)
        self.batches = Batches(work, recordings(work, "train"), steps, seed)
        config = WespeakerConfig(num_blocks=[*BLOCKS], m_channels=CHANNELS)
        extractor = WespeakerFeatureExtractor(frame_shift=FRAME_SHIFT)
        self.model = WespeakerModel(config, extractor).to(self.device, memory_format=torch.channels_last)
        self.average = WespeakerModel(config, extractor).to(self.device, memory_format=torch.channels_last).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.heads = Heads(len(SPEEDS) * self.batches.number, config.embed_dim).to(self.device)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [*decayed, *self.heads.parameters()], "weight_decay": 0.02},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=RATE,
        )
        self.step, self.seconds = 0, 0.0
        if (run / "state.pt").exists():
            state = torch.load(run / "state.pt", weights_only=True, map_location=self.device)
            for name in ("model", "average", "heads", "optimizer"):
                getattr(self, name).load_state_dict(state[name])
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the state and the average, each put into place when it is complete."""
        self.run.mkdir(parents=True, exist_ok=True)
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "heads", "optimizer")}
        torch.save({**state, "step": self.step, "seconds": self.seconds}, self.run / "state.tmp")
        (self.run / "state.tmp").rename(self.run / "state.pt")
        self.average.save_pretrained(self.run / "embedder")

    def rate(self) -> float:
        """The learning rate: a linear rise over the first 5 %, then half a cosine."""
        share = self.step / self.steps
        if share < 0.05:
            return RATE * max(share, 1e-3) / 0.05
        return LAST_RATE + (RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * (share - 0.05) / 0.95))

    def learn(self, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Learn from the next of the batches; returns the losses in the order of `WEIGHTS`, `(4,)`."""
        # Of other devices, Apple's would copy after the batch's memory is freed (pytorch/pytorch#189690).
        ahead = self.device.type == "cuda"
        banks, labels, targets = (part.to(self.device, non_blocking=ahead) for part in batch)
        share = self.step / self.steps
        margin = LONG_MARGIN if is_long(self.step, self.steps) else MARGIN * min(1.0, max(0.0, share - 0.05) / 0.25)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        unit = F.normalize(self.model(banks.float()).embeddings, dim=1)
        both = torch.cat([targets, targets])
        clean, degraded = unit.chunk(2)
        told = F.normalize(self.heads.to_teacher(unit), dim=1)
        losses = {
            "label": self.heads.label_loss(unit, torch.cat([labels, labels]), margin),
            "teacher": (1 - (told * both).sum(1)).mean(),
            "relation": ((told @ told.T - both @ both.T) ** 2).mean(),
            "agreement": (1 - (clean * degraded).sum(1)).mean(),
        }
        self.optimizer.zero_grad()
        sum(weight * losses[name] for name, weight in WEIGHTS.items()).backward()  # type: ignore[union-attr]
        nn.utils.clip_grad_norm_([*self.model.parameters(), *self.heads.parameters()], 5.0)
        self.optimizer.step()
        self.step += 1
        decay = min(AVERAGING, (1 + self.step) / (20 + self.step))
        with torch.no_grad():
            for kept, now in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
                if kept.dtype.is_floating_point:
                    kept.lerp_(now, 1 - decay)
                else:
                    kept.copy_(now)
        return torch.stack([losses[name].detach() for name in WEIGHTS])

    def evaluate(self, data: Path) -> dict[str, float]:
        """Equal error rates by cosine on the trials of unseen speakers."""
        dev = recordings(self.work, "dev", "test")
        model = copy.deepcopy(self.average).cpu().for_inference()
        found = []
        with torch.inference_mode():
            for row in range(len(dev)):
                features = model.feature_extractor([dev.waveform(row)], sampling_rate=EXTRACTOR.sampling_rate)
                found.append(model(features["input_features"]).embeddings[0].numpy())
        embeddings = np.stack(found)
        rates: dict[str, float] = {}
        for part, name in (("dev", "speech/dev/dev_trials.csv"), ("test", "librispeech/trials.csv")):
            rows = np.flatnonzero(dev.columns["part"] == part)
            trials = read_trials(data / name, dev.columns["id"][rows], dev.columns["speaker"][rows])
            rates |= {f"{part}:{key}": value for key, value in trials.rates(trials.cosine(embeddings[rows])).items()}
        return rates


def _leave_group(worker: int) -> None:
    """Be spared a signal to all processes of the run: without this worker, there would be no step to end with."""
    os.setpgrp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("run", type=Path, help="folder of the run, which goes on if it is there")
    parser.add_argument("data", type=Path, nargs="?", help="folder with speech/ and librispeech/, for the trials")
    parser.add_argument("--steps", type=int, default=5400, help="of the whole run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="go on for so long, and for one step at least")
    parser.add_argument("--every", type=int, default=2700, help="steps between two evaluations")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--device", default="cpu", help="of the model; cuda takes TF32 products")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw batches ahead")
    parser.add_argument("--seed", type=int, default=1234, help="of weights, batches and crops")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    training = Training(arguments.work, arguments.run, arguments.steps, arguments.seed, arguments.device)
    on_gpu = training.device.type == "cuda"
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))  # stop after this step, and keep it
    begun = saved = time.monotonic()
    print(f"step {training.step}; {training.batches.number} speakers; {', '.join(training.batches.views)}", flush=True)
    batches = torch.utils.data.DataLoader(
        training.batches,
        batch_size=None,
        sampler=range(training.step, training.steps),
        num_workers=arguments.workers,
        pin_memory=on_gpu,
        worker_init_fn=_leave_group,
        multiprocessing_context="fork" if arguments.workers else None,  # which shares the views and copies nothing
    )
    sums: torch.Tensor | float = 0.0
    started = time.monotonic()
    for batch in batches:
        sums = sums + training.learn(batch) / 50
        training.seconds += time.monotonic() - started
        if training.step % 50 == 0:
            shown = "  ".join(f"{name} {value:.3f}" for name, value in zip(WEIGHTS, sums.tolist(), strict=True))
            print(f"step {training.step}  {shown}  {training.seconds / 60:.2f} min", flush=True)
            sums = 0.0
        last = training.step == training.steps
        if arguments.data and (training.step % arguments.every == 0 or last):
            rates = training.evaluate(arguments.data)
            print(f"step {training.step}: EER {report(rates)}", flush=True)
            with (arguments.run.parent / f"{arguments.run.name}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": training.step, "seconds": training.seconds, "eer": rates}) + "\n")
        if time.monotonic() - saved > 600 and not last:
            training.save()
            saved = time.monotonic()
        if asked or time.monotonic() - begun > 60 * arguments.minutes:
            break
        started = time.monotonic()  # evaluations and what is written are no training
    training.save()


if __name__ == "__main__":
    main()
