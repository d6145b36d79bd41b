"""Whether a scorer knows recordings again that it was made with, after what happens to files: `README.md`.

The digests of a corpus's recordings are kept, as a scorer keeps them. Each recording is then changed, embedded again
and looked for. Recordings that are not among those kept are looked for, too: every second recording of each speaker is
left out for that.

Usage:
    python benchmarks/known_recordings.py CORPUS.csv [--system FOLDER] [--every N]
"""

from collections.abc import Callable

import datasets
import numpy as np
from measuring import corpus_parser, share_with_interval
from tqdm.auto import tqdm
from transformers import pipeline

from balr_hf import load_corpus
from balr_hf.audio import AudioError, load_audio, resample
from balr_hf.conditions import Condition
from balr_hf.conditions.seeds import recording_seed
from balr_hf.data import add_vector_column, fixed_length_column
from balr_hf.data.recording_digests import attribute_digests, distinctive_digests, known_again

Change = Callable[[np.ndarray], np.ndarray]


def in_16_bits(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).astype(np.int16).astype(np.float32) / 32767


CHANGES: dict[str, Change] = {
    "as it is": lambda samples: samples,
    "16 bits": in_16_bits,
    "half the level, 16 bits": lambda samples: in_16_bits(samples / 2),
    "48 kHz and back": lambda samples: resample(resample(samples, 16_000, 48_000), 48_000, 16_000),
    "without the first 10 ms": lambda samples: samples[160:],
    "without the first 0.5 s": lambda samples: samples[8_000:],
}
CONDITIONS = ("codec=mp3:128k", "codec=mp3:32k", "codec=opus:24k", "snr=30")


def main() -> None:
    arguments = corpus_parser(__doc__).parse_args()
    corpus = load_corpus(arguments.corpus, vectors=())
    corpus = corpus.select(range(0, len(corpus), arguments.every))
    binarize = pipeline("binary-attributes", arguments.system, device="cpu")
    changes = {**CHANGES, **dict.fromkeys(CONDITIONS)}
    found: dict[str, dict[int, np.ndarray]] = {name: {} for name in changes}
    for row, recording in enumerate(tqdm(corpus, unit="recording")):
        samples = load_audio(recording["audio"])
        for name, change in changes.items():
            try:
                made = (
                    Condition.parse(name).apply(samples, recording_seed(recording["id"]))
                    if change is None
                    else change(samples)
                )
                bits = binarize({"array": made, "sampling_rate": 16_000})["ba"]
            except AudioError:  # noisier already, or too little speech is left
                continue
            found[name][row] = np.array(bits, dtype=bool)
    own = found["as it is"]
    rows = sorted(own)
    place: dict[str, int] = {}  # how many recordings of a speaker there were before
    kept, others = [], []
    for row in rows:
        speaker = str(corpus[row]["speaker"])
        place[speaker] = place.get(speaker, -1) + 1
        (others if place[speaker] % 2 else kept).append(row)
    dataset = datasets.Dataset.from_dict({"id": [str(row) for row in kept]})
    known = distinctive_digests(
        add_vector_column(dataset, "ba", fixed_length_column(np.stack([own[r] for r in kept])))
    )
    print("| recordings | number | attributes that are others | known again |\n| --- | --- | --- | --- |")
    for name, bits in found.items():
        some = [row for row in kept if row in bits]
        changed = np.stack([bits[row] for row in some])
        share = (changed != np.stack([own[row] for row in some])).mean()
        again = int(known_again(attribute_digests(changed), known).sum())
        print(f"| {name} | {len(some):,} | {share:.2%} | {share_with_interval(again, len(some))} |")
    again = int(known_again(attribute_digests(np.stack([own[row] for row in others])), known).sum())
    print(f"| others of the same speakers | {len(others):,} | | {share_with_interval(again, len(others))} |")


if __name__ == "__main__":
    main()
