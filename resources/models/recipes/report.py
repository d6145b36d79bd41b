"""Measure systems on speakers that none of them has seen: the table of errors, by source, and flipped attributes.

For each system: the equal error rate by cosine of the embeddings and by attributes, Cllr with its own calibration and
the least that any calibration could give, on the trials of `speech/dev` and of the LibriSpeech test part; and the
share of attributes that flip when a recording is degraded (every fourth recording of `speech/dev`). With `--copies`,
the trials of `speech/dev` whose two sides are degraded alike are measured, too (`recipes.copies` makes them). The
intervals are from draws of the speakers. A source with few speakers or trials gets none, as in the report of
`balr validate`.

Usage:
    python -m recipes.report WORK_FOLDER DATA_FOLDER SYSTEM...

It takes about 2 core-minutes for each system, and 6 more with `--copies`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from balr_hf import SpeakerComparisonModel
from balr_hf.audio import AudioError
from balr_hf.conditions import Condition, recording_seed
from balr_hf.evaluation import Evaluation
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials
from balr_hf.validation.factors import Misleading, Part

from .copies import CONDITIONS as COPIED
from .copies import copies
from .corpus import Recordings, recordings
from .evaluation import TRIALS, TrialList, read_trials

CONDITIONS = ("snr=10", "band=telephone", "codec=opus:12k")
RATE = 16_000


@torch.no_grad()
def embed(system: SpeakerComparisonModel, waveforms: list[np.ndarray]) -> torch.Tensor:
    """Embed waveforms one by one, as all commands do on a CPU."""
    model = system.embedder.for_inference()
    extract = system.embedder.feature_extractor
    features = (extract([waveform], sampling_rate=RATE)["input_features"] for waveform in waveforms)
    return torch.cat([model(banks).embeddings for banks in features])


def measures(
    system: SpeakerComparisonModel,
    embeddings: torch.Tensor,
    trials: TrialList,
    draws: int,
    parts: tuple[str, ...] = (),
) -> dict[str, dict]:
    """The figures of all trials and of those of each source (or of `parts`), with so many draws of the speakers."""
    counts = recording_counts(system.autoencoder.encode(embeddings).numpy())
    llrs = score_trials(system.scorer, counts, Trials.between(trials.enrollment, trials.test), calibrated=True)
    cosine = trials.cosine(embeddings.numpy())
    found = {}
    for name in parts or ("all", *sorted(set(trials.source))):
        chosen = np.ones(len(llrs), bool) if name == "all" else trials.source == name
        found[name] = _figures(trials, chosen, llrs, cosine, draws)
    return found


def _figures(trials: TrialList, chosen: np.ndarray, llrs: np.ndarray, cosine: np.ndarray, draws: int) -> dict:
    """The figures of some of the trials: numbers, metrics, and intervals as far as there are enough speakers."""
    same = trials.same[chosen]
    speakers = trials.speakers[0][chosen], trials.speakers[1][chosen]
    counted = Evaluation.of(llrs[chosen], same, speakers, resamples=0)
    few = Part((0, 0), counted, Misleading.among(llrs[chosen], same)).is_few
    by_llr, by_cosine = (
        Evaluation.of(scores[chosen], same, speakers, resamples=0 if few else draws) for scores in (llrs, cosine)
    )
    intervals = {name: by_llr.intervals[name] for name in ("eer", "cllr", "cllr_min") if not few}
    return {
        "trials": counted.trials,
        "same_speaker": counted.same_speaker,
        "different_speaker": counted.different_speaker,
        "speakers": counted.speakers,
        "eer_cosine": by_cosine.metrics["eer"],
        **{name: by_llr.metrics[name] for name in ("eer", "cllr", "cllr_min")},
        "intervals": intervals if few else intervals | {"eer_cosine": by_cosine.intervals["eer"]},
    }


def degraded(
    system: SpeakerComparisonModel, arguments: argparse.Namespace, clean: torch.Tensor
) -> dict[str, dict[str, float]]:
    """The figures of `speech/dev` with both sides in a condition, and the share of attributes that flip in it.

    Args:
        system ([`SpeakerComparisonModel`]): the system.
        arguments: with the folders, and the number of draws.
        clean (`(recordings, dim)`): the embeddings of the recordings as they are.
    """
    corpus, found = recordings(arguments.work, "dev"), {}
    ids = list(map(str, corpus.columns["id"]))
    trials = read_trials(arguments.data / TRIALS["dev"], ids, corpus.columns["speaker"])
    for condition in COPIED:
        made = copies(arguments.work, "dev", condition)
        rows = [row for row, name in enumerate(ids) if name in made.spans]
        embeddings = embed(system, [made.waveform(ids[row]) for row in rows])
        flipped = system.autoencoder.encode(embeddings) != system.autoencoder.encode(clean[rows])
        figures = measures(system, embeddings, trials.among(rows), arguments.draws, ("all",))["all"]
        found[condition] = figures | {"flipped": float(flipped.float().mean())}
    return found


def row_of(part: str, source: str, found: dict) -> str:
    """One line of the card's table."""
    cells = [f"{part}, {source}", f"{found['speakers']}", f"{found['same_speaker']:,}, {found['different_speaker']:,}"]
    for name in ("eer_cosine", "eer", "cllr", "cllr_min"):
        scale, form, unit = (100, ".1f", " %") if name.startswith("eer") else (1, ".2f", "")
        ends = found["intervals"].get(name)
        interval = "too few" if ends is None else " to ".join(format(scale * end, form) for end in ends)
        cells.append(f"{scale * found[name]:{form}}{unit} ({interval})")
    return f"| {' | '.join(cells)} |"


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
    parser.add_argument("--copies", action="store_true", help="measure degraded copies of dev, too")
    parser.add_argument("--draws", type=int, default=1000, help="of the speakers, for the intervals")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, dict] = {}
    for folder in arguments.systems:
        system = SpeakerComparisonModel.from_pretrained(folder)
        report[str(folder)] = one = {}
        for part, name in TRIALS.items():
            corpus = recordings(arguments.work, part)
            embeddings = embed(system, [corpus.waveform(row) for row in range(len(corpus))])
            if part == "dev" and arguments.copies:
                one["degraded"] = degraded(system, arguments, embeddings)
            trials = read_trials(arguments.data / name, corpus.columns["id"], corpus.columns["speaker"])
            one[part] = measures(system, embeddings, trials, arguments.draws)
        if not arguments.no_flips:
            one["flipped"] = flips(system, recordings(arguments.work, "dev"))
        print(f"{folder}, figures with 95 % intervals of {arguments.draws} draws of the speakers:")
        print("| trials | speakers | same, different | EER, cosine | EER, attributes | Cllr | least Cllr |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for part in ("dev", "test"):
            for source, figures in one[part].items():
                print(row_of(part, source, figures))
        for condition, figures in one.get("degraded", {}).items():
            print(row_of("dev", condition, figures), f"{figures['flipped']:.0%} flipped")
        for condition, share in one.get("flipped", {}).items():
            print(f"  flipped by {condition}: {100 * share:.1f} %")
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
