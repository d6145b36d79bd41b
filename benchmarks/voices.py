"""Whether recordings of one voice are told from those of two, by their parts: the table in `README.md`.

Recordings of a corpus are joined until they have a given length: those of one speaker and session, those of one
speaker in several sessions (whose microphones may differ), and those of two speakers of one source at one level, one
after the other or in turns. So are long ones, in which 10 s of another speaker are amid the recordings of one,
repeated as often as it takes. They are embedded without long pauses, as extraction does it, and the two parts of each
that differ most are compared.

Usage:
    python benchmarks/voices.py CORPUS.csv [--system FOLDER]

The corpus has the columns `audio` and `speaker`; without `session`, all recordings of a speaker count as one session,
and without `source`, all as one source. The recordings are drawn from it with the seed that is given.
"""

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers
from measuring import share_with_interval
from tqdm.auto import tqdm

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.audio import SAMPLING_RATE, load_audio
from balr_hf.defaults import SYSTEM, resource
from balr_hf.quality import heard, measure_recording, stretches_of
from balr_hf.scoring.auto import load_scorer
from balr_hf.system.parts import one_voice_each

SECONDS, TURN = (10, 20, 40), 4
# Seconds of long recordings, which are made of every speaker, every second or every fourth; and of the other speaker.
LONG, AMID = {60: 1, 180: 2, 600: 4}, 10
AS_IT_IS, ONE, SESSIONS = "one speaker, as recorded", "one speaker, joined", "one speaker, several sessions"
HALVES, QUARTER, TURNS = "two speakers, a half each", "two speakers, a quarter of one", "two speakers, turns of 4 s"
SHORTLY = f"two speakers, {AMID} s of one amid the other"


class Recordings:
    """The recordings of a corpus, by their sources, speakers and sessions."""

    def __init__(self, corpus: datasets.Dataset, rng: np.random.Generator):
        self.rng, self.sessions = rng, defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        for row in corpus:
            source, session = row.get("source") or "", row.get("session") or ""
            self.sessions[source][row["speaker"]][session].append(load_audio(row["audio"]))

    def joined(self, recordings: list[np.ndarray], seconds: float) -> np.ndarray | None:
        """So many seconds of recordings in any order, at one level; None if they are shorter."""
        samples = np.concatenate([recordings[place] for place in self.rng.permutation(len(recordings))])
        if len(samples) < seconds * SAMPLING_RATE:
            return None
        samples = samples[: round(seconds * SAMPLING_RATE)]
        return samples * np.float32(0.05 / math.sqrt(float(np.mean(samples**2)) + 1e-12))

    def made(self) -> Iterator[tuple[str, str, int, np.ndarray]]:
        """The kind of each recording that is made, its (first) speaker, its seconds, and its samples."""
        for speakers in self.sessions.values():
            for speaker, sessions in speakers.items():
                every = [one for session in sessions.values() for one in session]
                yield from ((AS_IT_IS, speaker, 0, one) for one in every)
                others = [name for name in speakers if name != speaker]
                other = others[self.rng.integers(len(others))] if others else None
                for seconds in SECONDS:
                    largest = max(sessions.values(), key=lambda session: sum(map(len, session)))
                    yield from self._kind(ONE, speaker, seconds, self.joined(largest, seconds))
                    if len(sessions) > 1:
                        yield from self._kind(SESSIONS, speaker, seconds, self.joined(every, seconds))
                    if other is not None:
                        theirs = [one for session in speakers[other].values() for one in session]
                        yield from self._two(speaker, every, theirs, seconds)

    def _two(
        self, speaker: str, own: list[np.ndarray], theirs: list[np.ndarray], seconds: int
    ) -> Iterator[tuple[str, str, int, np.ndarray]]:
        for kind, share in ((HALVES, 0.5), (QUARTER, 0.25), (TURNS, 0.5)):
            first, second = self.joined(own, share * seconds), self.joined(theirs, (1 - share) * seconds)
            if first is None or second is None:
                continue
            if kind == TURNS:
                turns = [
                    np.split(one, range(TURN * SAMPLING_RATE, len(one), TURN * SAMPLING_RATE))
                    for one in (first, second)
                ]
                parts = [turn for both in zip(*turns, strict=True) for turn in both]
            else:
                parts = [first, second]
            yield kind, speaker, seconds, np.concatenate(parts)

    def long(self) -> Iterator[tuple[str, str, int, np.ndarray]]:
        """As `made`: recordings of a minute and more."""
        for speakers in self.sessions.values():
            for place, (speaker, sessions) in enumerate(speakers.items()):
                every = [one for session in sessions.values() for one in session]
                largest = max(sessions.values(), key=lambda session: sum(map(len, session)))
                others = [name for name in speakers if name != speaker]
                other = others[self.rng.integers(len(others))] if others else None
                yield from self._kind(ONE, speaker, min(LONG), self.joined(largest, min(LONG)))
                if len(sessions) > 1:
                    yield from self._kind(SESSIONS, speaker, min(LONG), self.joined(every, min(LONG)))
                for seconds, step in LONG.items():
                    if other is None or place % step:
                        continue
                    theirs = [one for session in speakers[other].values() for one in session]
                    yield from self._kind(SHORTLY, speaker, seconds, self._amid(every, theirs, seconds))

    def _amid(self, own: list[np.ndarray], theirs: list[np.ndarray], seconds: int) -> np.ndarray | None:
        """So many seconds of one speaker, repeated as often as it takes, with another amid them."""
        some, rest = self.joined(theirs, AMID), seconds - AMID
        times = math.ceil(rest * SAMPLING_RATE / sum(map(len, own)))
        around = self.joined(own * times, rest)
        if some is None or around is None:
            return None
        return np.concatenate([around[: len(around) // 2], some, around[len(around) // 2 :]])

    def _kind(
        self, kind: str, speaker: str, seconds: int, samples: np.ndarray | None
    ) -> Iterator[tuple[str, str, int, np.ndarray]]:
        if samples is not None:
            yield kind, speaker, seconds, samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("--system", default=str(resource(SYSTEM)), help="folder of the system")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    corpus = load_corpus(arguments.corpus, vectors=())
    model = WespeakerModel.from_pretrained(arguments.system).for_inference()
    autoencoder, scorer = BinaryAttributeAutoEncoder.from_pretrained(arguments.system), load_scorer(arguments.system)
    found = defaultdict(list)
    short, long = (Recordings(corpus, np.random.default_rng(arguments.seed)) for _ in range(2))
    for kind, speaker, seconds, samples in tqdm(itertools.chain(short.made(), long.long()), unit="recording"):
        quality, speech = measure_recording(samples)
        stretches = stretches_of(samples, speech)
        samples = heard(samples, stretches)
        measured, device = [quality.to_dict()], torch.device("cpu")
        (one,) = one_voice_each(model, autoencoder, scorer, [samples], [stretches], measured, device)
        if one is not None:
            found[kind, seconds].append((speaker, one.is_doubtful, one.is_beyond))
    print(f"{len(corpus)} recordings of {len(set(corpus['speaker']))} speakers; {arguments.system}\n")
    print("| recording | seconds | recordings | speakers | told (LR below 1) | no verdict (LR below 1/2) |")
    print("| --- |" + " --- |" * 5)
    for kind in (AS_IT_IS, ONE, SESSIONS, HALVES, QUARTER, TURNS, SHORTLY):
        for seconds in (0, *SECONDS, *LONG):
            rows = found[kind, seconds]
            if rows:
                speakers, told, beyond = zip(*rows, strict=True)
                shares = " | ".join(share_with_interval(sum(which), len(rows)) for which in (told, beyond))
                print(f"| {kind} | {seconds or 'from 6.4'} | {len(rows)} | {len(set(speakers))} | {shares} |")


if __name__ == "__main__":
    main()
