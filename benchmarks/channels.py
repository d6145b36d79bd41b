"""Whether channels with a voice each are told from channels that hold one voice: the table in `README.md`.

Recordings with two channels are made of a corpus: one speaker before two microphones, which differ in room, noise,
filter, coder, level and delay; and two speakers of one source with a channel each, who speak in turns, at once in part
or all the time, and are in the other's channel by a given level. Half of them are in rooms.

Usage:
    python benchmarks/channels.py CORPUS.csv [--half 1] [--each 60]

The corpus has the columns `audio` and `speaker`; without `source`, all recordings count as one source. Rooms need the
extra `rooms`. The speakers are divided into two halves by a digest of their names: the rule was chosen on half 0.
"""

import argparse
import hashlib
import itertools
from collections import defaultdict
from pathlib import Path

import datasets
import numpy as np
from measuring import share_with_interval
from tqdm.auto import tqdm

from balr_hf import load_corpus
from balr_hf.audio import SAMPLING_RATE, load_audio
from balr_hf.conditions import Condition
from balr_hf.conditions.noise import make_noise
from balr_hf.conditions.room import reverberate
from balr_hf.quality.channels import ChannelLevels

SECONDS, MOST_SECONDS, TURN = (3, 6, 25), 60, 3
LEAKS = (None, -40, -30, -20, -14, -10, -8, -6)
ONE = {
    "two rooms": ("reverb", "reverb"),
    "near, and in a room": ("", "reverb=1"),
    "noise in each": ("noise", "noise"),
    "two rooms, noise in each": ("reverb noise", "reverb noise"),
    "babble in each": ("babble", "reverb babble"),
    "wide band, and a telephone": ("reverb", "telephone"),
    "late by 20 to 60 ms": ("", "late"),
    "clipped, and in a room": ("clip", "reverb"),
    "MP3, and noise in a room": ("mp3", "reverb noise"),
    "no voice in one": ("", "dead"),
}
TWO = ("in turns", "at once for a third", "at once")


class Maker:
    """Makes recordings with two channels of the voices of a corpus, float32 `(2, samples)` at 16 kHz."""

    def __init__(self, corpus: datasets.Dataset, half: int, rng: np.random.Generator):
        self.rng = rng
        self.voices: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
        recordings = defaultdict(list)
        for row in corpus:
            if hashlib.md5(row["speaker"].encode(), usedforsecurity=False).digest()[-1] % 2 == half:
                recordings[row.get("source") or "", row["speaker"]].append(row["audio"])
        for (source, speaker), files in recordings.items():
            samples = np.concatenate([load_audio(file) for file in files[:12]])[: MOST_SECONDS * SAMPLING_RATE]
            if len(samples) >= SECONDS[1] * SAMPLING_RATE:
                self.voices[source][speaker] = samples
        self.voices = {source: voices for source, voices in self.voices.items() if len(voices) > 1}
        self.pool = [voice for voices in self.voices.values() for voice in voices.values()]

    def draw(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Stretches of two speakers of one source, at one level."""
        voices = list(self.voices[list(self.voices)[self.rng.integers(len(self.voices))]].values())
        chosen = [voices[place] for place in self.rng.choice(len(voices), 2, replace=False)]
        length = min(round(seconds * SAMPLING_RATE), *map(len, chosen))
        starts = [self.rng.integers(len(voice) - length + 1) for voice in chosen]
        one, other = (level(voice[start : start + length]) for voice, start in zip(chosen, starts, strict=True))
        return one, other

    def microphone(self, voice: np.ndarray, what: str) -> np.ndarray:
        """What a microphone makes of a voice."""
        rng = self.rng
        for step in what.split():
            if step.startswith("reverb"):
                time = 1.0 if "=" in step else float(rng.choice([0.2, 0.4, 0.7, 1.0]))
                voice = np.roll(reverberate(voice, time, np.random.default_rng(rng.integers(6))), rng.integers(320))
            elif step in ("noise", "babble"):
                kind = "babble" if step == "babble" else str(rng.choice(["white", "pink", "hum"]))
                voice = voice + make_noise(kind, len(voice), rng, self.pool) * rms(voice) * 10 ** (
                    -rng.uniform(0, 20) / 20
                )
            elif step == "telephone":
                codec = str(rng.choice(["mulaw", "opus:12k", "amr"]))
                voice = Condition.parse(f"band=telephone,codec={codec}").apply(voice, int(rng.integers(2**31)))
            elif step == "mp3":
                voice = Condition.parse("codec=mp3:16k").apply(voice, int(rng.integers(2**31)))
            elif step == "late":
                voice = np.roll(voice, rng.integers(320, 960))
            elif step == "clip":
                voice = np.clip(4 * voice, -0.2, 0.2)
            elif step == "dead":
                voice = 0.01 * make_noise(str(rng.choice(["white", "pink", "hum"])), len(voice), rng)
        return voice * np.float32(10 ** (-rng.uniform(0, 20) / 20))

    def one(self, kind: str, seconds: float) -> np.ndarray:
        voice, _ = self.draw(seconds)
        return np.stack([self.microphone(voice, what) for what in ONE[kind]]).astype(np.float32)

    def two(self, kind: str, leak: float | None, seconds: float) -> np.ndarray:
        one, other = self.draw(seconds)
        other = other * np.float32(10 ** (self.rng.uniform(-4, 4) / 20))
        times = np.arange(len(one))
        if kind == "in turns":
            first = (times // (TURN * SAMPLING_RATE)) % 2 == 0
            one, other = one * first, other * ~first
        elif kind == "at once for a third":
            one, other = one * (3 * times < 2 * len(times)), other * (3 * times > len(times))
        gain = 0.0 if leak is None else 10 ** (leak / 20)
        heard = [(voice, voice) for voice in (one, other)]
        if self.rng.random() < 0.5:
            heard = [
                tuple(reverberate(voice, 0.4, np.random.default_rng(self.rng.integers(6))) for _ in range(2))
                for voice in (one, other)
            ]
        (near, far), (others_near, others_far) = heard
        return np.stack([near + gain * others_far, others_near + gain * far]).astype(np.float32)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-12


def level(samples: np.ndarray) -> np.ndarray:
    return (0.05 / rms(samples) * samples).astype(np.float32)


def refused(samples: np.ndarray) -> bool:
    """Whether the channels are said to hold different sounds."""
    levels = ChannelLevels()
    levels.add(samples, SAMPLING_RATE)
    return levels.difference() is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("--half", type=int, default=1, choices=(0, 1), help="of the speakers")
    parser.add_argument("--each", type=int, default=60, help="recordings of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    corpus = load_corpus(arguments.corpus, vectors=())
    maker = Maker(corpus, arguments.half, np.random.default_rng(arguments.seed))
    print(f"half {arguments.half}: {len(maker.pool)} speakers of {len(maker.voices)} sources\n")
    print("| one voice in both channels | 3 to 6 s, refused | 6 to 25 s, refused |\n| --- | --- | --- |")
    spans = tuple(itertools.pairwise(SECONDS))
    total = np.zeros(2, dtype=int)
    for kind in tqdm(ONE):
        found = [
            sum(refused(maker.one(kind, maker.rng.uniform(*span))) for _ in range(arguments.each)) for span in spans
        ]
        total += found
        print(f"| {kind} | " + " | ".join(f"{count} of {arguments.each}" for count in found) + " |")
    of = len(ONE) * arguments.each
    shares = (f"{int(count)} of {of}: {share_with_interval(int(count), of)}" for count in total)
    print(f"| **all** | {' | '.join(shares)} |\n")
    print("| a voice in each channel, 6 to 25 s | " + " | ".join(TWO) + " |\n| --- | --- | --- | --- |")
    for leak in tqdm(LEAKS):
        found = [
            sum(refused(maker.two(kind, leak, maker.rng.uniform(*spans[1]))) for _ in range(arguments.each))
            for kind in TWO
        ]
        name = "the other is not heard" if leak is None else f"the other is weaker by {-leak} dB"
        print(f"| {name} | " + " | ".join(f"{count / arguments.each:.0%}" for count in found) + " |")


if __name__ == "__main__":
    main()
