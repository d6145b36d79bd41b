"""How well speech at another speed is noticed, and what it does to comparisons: the tables in `README.md`.

Recordings of a corpus are played faster and slower, as where their files state a wrong sampling rate, and the system's
detector listens to them; also to the recordings as they are, cut, and brought to conditions. Then recordings of one
speaker are compared, the second one at another speed.

Usage:
    python benchmarks/speeds.py CORPUS.csv [--system FOLDER]

The corpus has the columns `audio` and `speaker`. Its speakers must not be those that the detector was fitted to.
"""

from collections import defaultdict

import datasets
import numpy as np
import torch
import transformers
from measuring import corpus_parser, share_with_interval
from tqdm.auto import tqdm

from balr_hf import SpeakerComparisonModel, load_corpus
from balr_hf.audio import SAMPLING_RATE, AudioError, load_audio
from balr_hf.conditions import Condition
from balr_hf.conditions.seeds import recording_seed
from balr_hf.detectors.detection import listen_to_each
from balr_hf.detectors.draws import what_is_heard
from balr_hf.detectors.speed import at_speed

FACTORS = (0.5, 0.667, 0.8, 0.9, 0.919, 1.088, 1.1, 1.25, 1.378, 1.5, 2.0)
CONDITIONS = ("unchanged", "snr=20", "snr=10", "band=telephone", "codec=opus:12k")
CUTS = (1, 2, 3)  # seconds


def main() -> None:
    parser = corpus_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=1, help="comparisons of each speaker")
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    corpus = load_corpus(arguments.corpus, vectors=())
    system = SpeakerComparisonModel.from_pretrained(arguments.system, with_descriptions=False)
    detection(corpus, system, arguments.every)
    comparisons(corpus, system, arguments.pairs)


def detection(corpus: datasets.Dataset, system: SpeakerComparisonModel, every: int) -> None:
    """Print how many recordings are told of, and get no verdict."""
    detectors = {"speed": system.detectors["speed"]}
    model, device = system.embedder.for_inference(), torch.device("cpu")
    sources = corpus["source"] if "source" in corpus.column_names else [""] * len(corpus)
    found = defaultdict(list)
    for row in tqdm(range(0, len(corpus), every), unit="recording"):
        own, seed = load_audio(corpus[row]["audio"]), recording_seed(corpus[row]["id"])
        made = {}
        for name in CONDITIONS:
            try:
                made[f"as spoken, {name}"] = what_is_heard(Condition.parse(name).apply(own, seed))
            except AudioError:  # noisier already
                continue
        first = made["as spoken, unchanged"]
        if first is None:
            continue
        for seconds in CUTS:
            if len(first) > seconds * SAMPLING_RATE:
                start = seed % (len(first) - seconds * SAMPLING_RATE)
                made[f"as spoken, cut to {seconds} s"] = first[start : start + seconds * SAMPLING_RATE]
        for factor in FACTORS:
            made[f"{factor:.3f} times as fast"] = what_is_heard(at_speed(own, factor))
        made = {name: samples for name, samples in made.items() if samples is not None}
        for name, one in zip(made, listen_to_each(model, detectors, list(made.values()), device), strict=True):
            found[name].append((one["speed"].is_doubtful, one["speed"].is_beyond))
            if name == "as spoken, unchanged" and sources[row]:
                found[f"{name}, {sources[row]}"].append(found[name][-1])
    print("| recordings | number | told (below 5 %) | no verdict (below 1 %) |\n| --- | --- | --- | --- |")
    for name, rows in sorted(found.items()):
        shares = " | ".join(share_with_interval(sum(which), len(rows)) for which in zip(*rows, strict=True))
        print(f"| {name} | {len(rows)} | {shares} |")


def comparisons(corpus: datasets.Dataset, system: SpeakerComparisonModel, pairs: int) -> None:
    """Print how comparisons of one speaker end where the second recording is played at another speed."""
    compare = transformers.pipeline("speaker-comparison", model=system, device="cpu")
    rows_of = defaultdict(list)
    for row, speaker in enumerate(corpus["speaker"]):
        rows_of[speaker].append(row)
    chosen = [rows[2 * n : 2 * n + 2] for rows in rows_of.values() for n in range(pairs) if len(rows) > 2 * n + 1]
    audio = [[load_audio(corpus[row]["audio"]) for row in pair] for pair in chosen]
    print("\n| second recording | comparisons | without it: verdict | misleading | with it: verdict | misleading |")
    print("| --- | --- | --- | --- | --- | --- |")
    for factor in (1.0, *FACTORS):
        results = [
            compare(one, other if factor == 1 else at_speed(other, factor), on_error="return", top_k=0)
            for one, other in audio
        ]
        results = [one for one in results if one["error"] is None]
        told = []
        for reasons in ({"speed"}, set()):
            kept = [one["calibrated_llr"] for one in results if not set(one["no_verdict"]) - reasons]
            told += [len(kept), sum(llr < np.log(0.5) for llr in kept)]
        print(f"| {factor:.3f} times as fast | {len(results)} | {' | '.join(map(str, told))} |", flush=True)


if __name__ == "__main__":
    main()
