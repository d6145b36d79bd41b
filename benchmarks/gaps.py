"""What lost packets do to likelihood ratios, and how often recordings are said to have gaps: tables in `README.md`.

A share of the pieces of 20 ms of a recording is set to zero, or replaced by the piece before at 0.7 of its level, as a
receiver may conceal a loss. The first recording of each speaker is so changed and compared with the second one of each
speaker of its source, which stays as it is.

Usage:
    python benchmarks/gaps.py CORPUS.csv [--system FOLDER] [--every N] [--speakers 70]
"""

import math

import datasets
import numpy as np
import torch
import transformers
from measuring import corpus_parser, share_with_interval
from tqdm.auto import tqdm

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.audio import SAMPLING_RATE
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.quality import describe_gaps, heard, load_speech, measure_recording, stretches_of
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.counts import recording_counts

PACKET = SAMPLING_RATE // 50
# The share of packets that are lost, and whether the losses are concealed.
LOSSES = {
    "as it is": (0.0, False),
    "2 % lost": (0.02, False),
    "5 % lost": (0.05, False),
    "10 % lost": (0.1, False),
    "20 % lost": (0.2, False),
    "20 % lost and concealed": (0.2, True),
}
SECONDS = 2.0


def lose(samples: np.ndarray, share: float, concealed: bool, rng: np.random.Generator) -> np.ndarray:
    """A recording without some of its packets; the first and the last stay."""
    samples = samples.copy()
    for start in range(PACKET, len(samples) - PACKET, PACKET):
        if rng.random() < share:
            before = samples[start - PACKET : start]
            samples[start : start + PACKET] = 0.7 * before if concealed else 0
    return samples


def main() -> None:
    parser = corpus_parser(__doc__)
    parser.add_argument("--speakers", type=int, default=70, help="speakers who are compared, at most")
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    embedder = WespeakerModel.from_pretrained(arguments.system)
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(arguments.system)
    scorer, model = load_scorer(arguments.system), embedder.for_inference()
    corpus = load_corpus(arguments.corpus, vectors=())
    rng = np.random.default_rng(0)

    def counts_of(samples: np.ndarray) -> np.ndarray:
        _, speech = measure_recording(samples)
        used = [heard(samples, stretches_of(samples, speech))]
        vectors = embed_waveforms(model, embedder.feature_extractor, used, torch.device("cpu"))
        return recording_counts(autoencoder.encode(torch.from_numpy(vectors)).numpy())

    told = dict.fromkeys(LOSSES, 0)
    rows_of: dict[tuple[str, str], list[int]] = {}
    every = range(0, len(corpus), arguments.every)
    for number, row in enumerate(tqdm(corpus, unit="recording", mininterval=10)):
        samples = load_speech(row["audio"])
        if len(samples) >= SECONDS * SAMPLING_RATE:
            rows_of.setdefault((row.get("source") or "", row["speaker"]), []).append(number)
        if number in every:
            for name, loss in LOSSES.items():
                told[name] += describe_gaps("It", lose(samples, *loss, rng)) is not None
    several = [key for key, rows in rows_of.items() if len(rows) > 1]
    chosen = [several[place] for place in rng.permutation(len(several))[: arguments.speakers]]
    known = {key: counts_of(load_speech(corpus[rows_of[key][1]]["audio"])) for key in tqdm(chosen)}
    print(
        "| packets | told of | same-speaker trials | LR below 1 | below 1/10 | different-speaker trials | LR above 1 "
        "| above 10 |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for name, loss in LOSSES.items():
        same, different = [], []
        for key in tqdm(chosen, desc=name):
            lost = counts_of(lose(load_speech(corpus[rows_of[key][0]]["audio"]), *loss, rng))
            for other in chosen:
                if other[0] == key[0]:
                    llr = scorer.score(lost, known[other], calibrated=True).item() / math.log(10)
                    (same if other == key else different).append(llr)
        ones, twos = np.array(same), np.array(different)
        print(
            f"| {name} | {share_with_interval(told[name], len(every))} | {len(ones)} | {(ones < 0).mean():.1%} | "
            f"{share_with_interval(int((ones < -1).sum()), len(ones))} | {len(twos):,} | {(twos > 0).mean():.1%} | "
            f"{(twos > 1).mean():.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
