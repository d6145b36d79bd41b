"""How fast the fastest sounds of recordings end, as they are, in rooms, in noise and through codecs: `README.md`.

Each recording of a corpus is brought to each condition and measured. The table has percentiles of the figure, and how
many recordings lie beyond the limit of the system's calibration in it.

Usage:
    python benchmarks/decays.py CORPUS.csv [--system FOLDER]

Rooms need the extra `rooms`.
"""

import numpy as np
from measuring import corpus_parser
from tqdm.auto import tqdm

from balr_hf import load_corpus
from balr_hf.audio import AudioError, load_audio
from balr_hf.conditions import Condition
from balr_hf.conditions.seeds import recording_seed
from balr_hf.domain import measure_beyond_limits
from balr_hf.quality.decay import decay
from balr_hf.scoring.auto import load_scorer

CONDITIONS = ("unchanged", "reverb=0.2", "reverb=0.3", "reverb=0.4", "reverb=0.6", "reverb=0.8", "reverb=1.0")
CONDITIONS += ("snr=20", "snr=15", "snr=15,noise=hum", "band=telephone", "codec=opus:12k", "codec=mp3:24k")
PERCENTILES = (1, 5, 50, 95, 99)


def main() -> None:
    arguments = corpus_parser(__doc__).parse_args()
    corpus = load_corpus(arguments.corpus, vectors=())
    domain = load_scorer(arguments.system).config.calibration["domain"]
    found: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    for row in tqdm(corpus.select(range(0, len(corpus), arguments.every)), unit="recording"):
        samples = load_audio(row["audio"])
        for name in CONDITIONS:
            try:
                made = Condition.parse(name).apply(samples, recording_seed(row["id"]))
            except AudioError:  # noisier already
                continue
            figure = decay(made - np.float32(np.mean(made, dtype=np.float64)))
            if figure is not None:
                found[name].append(figure)
    print(f"| condition | recordings | {' | '.join(f'{p} %' for p in PERCENTILES)} | beyond the limit |")
    print("| --- |" + " --- |" * (2 + len(PERCENTILES)))
    for name, figures in found.items():
        values = np.array(figures)
        shown = " | ".join(f"{value:,.0f}" for value in np.percentile(values, PERCENTILES))
        print(f"| {name} | {len(values):,} | {shown} | {measure_beyond_limits('decay', values, domain).mean():.1%} |")


if __name__ == "__main__":
    main()
