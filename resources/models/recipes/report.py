"""Measure systems on speakers that none of them has seen: the table of errors, by source, and flipped attributes.

For each system: the equal error rate by cosine of the embeddings and by attributes, Cllr with its own calibration and
the least that any calibration could give, on the trials of `speech/dev` and of the LibriSpeech test part; and the
share of attributes that flip when a recording is degraded (every fourth recording of `speech/dev`).

Usage:
    python -m recipes.report WORK_FOLDER DATA_FOLDER SYSTEM...

It takes about 2 core-minutes for each system.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from balr_hf import SpeakerComparisonModel
from balr_hf.audio import AudioError
from balr_hf.conditions import Condition, recording_seed
from balr_hf.metrics import cllr, cllr_min, eer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials

from .corpus import Recordings, recordings
from .evaluation import TrialList, read_trials

CONDITIONS = ("snr=10", "band=telephone", "codec=opus:12k")
RATE = 16_000


@torch.no_grad()
def embed(system: SpeakerComparisonModel, waveforms: list[np.ndarray]) -> torch.Tensor:
    """Embed waveforms one by one, as all commands do on a CPU."""
    model = system.embedder.for_inference()
    extract = system.embedder.feature_extractor
    features = (extract([waveform], sampling_rate=RATE)["input_features"] for waveform in waveforms)
    return torch.cat([model(banks).embeddings for banks in features])


def measures(system: SpeakerComparisonModel, embeddings: torch.Tensor, trials: TrialList) -> dict[str, dict]:
    """The figures of all trials together and of those of each source."""
    counts = recording_counts(system.autoencoder.encode(embeddings).numpy())
    llrs = score_trials(system.scorer, counts, Trials.between(trials.enrollment, trials.test), calibrated=True)
    cosine = trials.cosine(embeddings.numpy())
    found = {}
    for name in ("all", *sorted(set(trials.source))):
        chosen = np.ones(len(llrs), bool) if name == "all" else trials.source == name
        same = trials.same[chosen]
        found[name] = {
            "trials": int(chosen.sum()),
            "eer_cosine": eer(cosine[chosen], same)[0],
            "eer": eer(llrs[chosen], same)[0],
            "cllr": cllr(llrs[chosen], same),
            "cllr_min": cllr_min(llrs[chosen], same),
        }
    return found


def flips(system: SpeakerComparisonModel, corpus: Recordings) -> dict[str, float]:
    """The share of attributes that flip in each condition, over the recordings that can be brought to it."""
    found = {}
    for condition in CONDITIONS:
        clean, degraded = [], []
        for row in range(0, len(corpus), 4):
            waveform = corpus.waveform(row)
            try:
                seed = recording_seed(str(corpus.columns["id"][row]))
                degraded.append(Condition.parse(condition).apply(waveform, seed))
            except AudioError:  # noisier than 10 dB already
                continue
            clean.append(waveform)
        bits = [system.autoencoder.encode(embed(system, waveforms)) for waveforms in (clean, degraded)]
        found[condition] = float((bits[0] != bits[1]).float().mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that recipes.audio has written")
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("systems", type=Path, nargs="+", help="folders of systems")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--no-flips", action="store_true", help="leave the degraded recordings out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, dict] = {}
    for folder in arguments.systems:
        system = SpeakerComparisonModel.from_pretrained(folder)
        report[str(folder)] = one = {}
        for part, name in (("dev", "speech/dev/dev_trials.csv"), ("test", "librispeech/trials.csv")):
            corpus = recordings(arguments.work, part)
            embeddings = embed(system, [corpus.waveform(row) for row in range(len(corpus))])
            trials = read_trials(arguments.data / name, corpus.columns["id"], corpus.columns["speaker"])
            one[part] = measures(system, embeddings, trials)
        if not arguments.no_flips:
            one["flipped"] = flips(system, recordings(arguments.work, "dev"))
        print(f"{folder}: EER by cosine, EER by attributes, Cllr of the least Cllr")
        for part in ("dev", "test"):
            for source, row in one[part].items():
                rates = f"{100 * row['eer_cosine']:6.2f} %  {100 * row['eer']:6.2f} %"
                print(f"  {part:4}  {source:24}  {rates}  {row['cllr']:.3f} of {row['cllr_min']:.3f}")
        for condition, share in one.get("flipped", {}).items():
            print(f"  flipped by {condition}: {100 * share:.1f} %")
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
