"""How much people who speak at the same time are noticed, and one voice is taken for two: the tables in `README.md`.

Recordings of a corpus, as they are, cut, and brought to conditions, are taken with one voice and with a second one, of
another speaker of the same source: for the whole time and for half of it, as loud as the first and weaker. All are
embedded without long pauses, as extraction does it, and the system's detector of overlapped speech listens to them.

Usage:
    python benchmarks/overlapped.py CORPUS.csv [--system FOLDER]

The corpus has the columns `audio` and `speaker`; without `source`, all recordings count as of one source. Its speakers
must not be those that the detector was fitted to.
"""

from collections import defaultdict

import numpy as np
import torch
from listening import note, print_shares, system_and_corpus
from measuring import corpus_parser
from tqdm.auto import tqdm

from balr_hf.audio import SAMPLING_RATE, AudioError, load_audio
from balr_hf.conditions import Condition
from balr_hf.conditions.noise import BABBLERS
from balr_hf.detectors.detection import listen_to_each
from balr_hf.detectors.overlapped import mixed
from balr_hf.quality import heard, measure_recording, stretches_of

CONDITIONS = ("unchanged", "snr=20", "snr=10", "band=telephone", "codec=opus:12k", "snr=10,noise=babble")
CUTS = (1, 2, 3)  # seconds
BELOW, SHARES = (0.0, 5.0, 10.0), {1.0: "all of the time", 0.5: "half of the time"}


def voice(samples: np.ndarray) -> np.ndarray:
    """What of a recording is heard when it is embedded."""
    _, speech = measure_recording(samples)
    return heard(samples, stretches_of(samples, speech))


def _babble(audio: list, speakers: list[str], others: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """One recording each of so many speakers as babble takes, or of those that there are."""
    of_speaker = {speakers[row]: row for row in rng.permutation(others).tolist()}
    return [load_audio(audio[row]) for row in list(of_speaker.values())[:BABBLERS]]


def main() -> None:
    parser = corpus_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    system, corpus = system_and_corpus(arguments.system, arguments.corpus)
    detector, model, device = system.detectors["overlapped"], system.embedder.for_inference(), torch.device("cpu")
    rng = np.random.default_rng(arguments.seed)
    speakers = corpus["speaker"]
    sources = corpus["source"] if "source" in corpus.column_names else [""] * len(corpus)
    audio = corpus["audio"]
    found = defaultdict(list)
    for row in tqdm(range(0, len(corpus), arguments.every), unit="recording"):
        own = load_audio(audio[row])
        others = [n for n in range(len(corpus)) if sources[n] == sources[row] and speakers[n] != speakers[row]]
        if not others:
            continue
        babble, made = _babble(audio, speakers, others, rng), {}
        for name in CONDITIONS:
            if "babble" in name and len(babble) < BABBLERS:
                continue
            try:
                degraded = Condition.parse(name).apply(own, int(rng.integers(1 << 30)), voices=babble)
            except AudioError:  # noisier already
                continue
            made[f"one voice, {name}"] = voice(degraded)
        first = voice(own)
        for seconds in CUTS:
            start = int(rng.integers(max(1, len(first) - seconds * SAMPLING_RATE)))
            if len(first) > seconds * SAMPLING_RATE:
                made[f"one voice, cut to {seconds} s"] = first[start : start + seconds * SAMPLING_RATE]
        second = voice(load_audio(audio[int(rng.choice(others))]))
        for share, when in SHARES.items():
            for below in BELOW:
                made[f"second voice {below:g} dB weaker, {when}"] = mixed(first, second, below, share, rng)
        listened = listen_to_each(model, {"overlapped": detector}, list(made.values()), device)
        note(found, made, [one["overlapped"] for one in listened], "one voice, unchanged", sources[row])
    print(f"{len(corpus)} recordings of {len(set(speakers))} speakers; {arguments.system}; {detector.describe()}\n")
    print_shares(found)


if __name__ == "__main__":
    main()
