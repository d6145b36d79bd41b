"""What benchmarks of detectors share: which recordings are told of, and what their changes do to comparisons."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import datasets
import numpy as np
import torch
import transformers
from measuring import share_with_interval
from tqdm.auto import tqdm

from balr_hf import SpeakerComparisonModel, load_corpus
from balr_hf.audio import SAMPLING_RATE, AudioError, load_audio
from balr_hf.conditions import Condition
from balr_hf.conditions.seeds import recording_seed
from balr_hf.detectors.detection import listen_to_each
from balr_hf.detectors.draws import what_is_heard
from balr_hf.explanation.heard import Heard

CONDITIONS = ("unchanged", "snr=20", "snr=10", "band=telephone", "codec=opus:12k")
CUTS = (1, 2, 3)  # seconds

# Changes a recording, float32 `(samples,)` at 16 kHz, by its seed.
Change = Callable[[np.ndarray, int], np.ndarray]
# For each recording of a name, whether it is told of, and gets no verdict.
Found = dict[str, list[tuple[bool, bool]]]


def system_and_corpus(system: str, corpus: str) -> tuple[SpeakerComparisonModel, datasets.Dataset]:
    """Load what is measured, and on what, without progress bars."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    return SpeakerComparisonModel.from_pretrained(system, with_descriptions=False), load_corpus(corpus, vectors=())


def detection(
    system: SpeakerComparisonModel,
    corpus: datasets.Dataset,
    every: int,
    kind: str,
    usual: str,
    changes: Mapping[str, Change],
) -> None:
    """Print how many recordings are told of, and get no verdict.

    Args:
        system, corpus: what is measured, and on what.
        every: take every so many recordings.
        kind: of the detector.
        usual: what recordings without a change are called.
        changes: by what they are called.
    """
    detectors = {kind: system.detectors[kind]}
    model, device = system.embedder.for_inference(), torch.device("cpu")
    sources = corpus["source"] if "source" in corpus.column_names else [""] * len(corpus)
    found: Found = defaultdict(list)
    for row in tqdm(range(0, len(corpus), every), unit="recording"):
        own, seed = load_audio(corpus[row]["audio"]), recording_seed(corpus[row]["id"])
        made = {}
        for name in CONDITIONS:
            try:
                made[f"{usual}, {name}"] = what_is_heard(Condition.parse(name).apply(own, seed))
            except AudioError:  # noisier already
                continue
        first = made[f"{usual}, unchanged"]
        if first is None:
            continue
        for seconds in CUTS:
            if len(first) > seconds * SAMPLING_RATE:
                start = seed % (len(first) - seconds * SAMPLING_RATE)
                made[f"{usual}, cut to {seconds} s"] = first[start : start + seconds * SAMPLING_RATE]
        for name, change in changes.items():
            try:
                made[name] = what_is_heard(change(own, seed))
            except AudioError:
                continue
        made = {name: samples for name, samples in made.items() if samples is not None}
        listened = listen_to_each(model, detectors, list(made.values()), device)
        note(found, made, [one[kind] for one in listened], f"{usual}, unchanged", sources[row])
    print_shares(found)


def note(found: Found, names: Iterable[str], listened: Sequence[Heard], as_it_is: str, source: str) -> None:
    """Note what was heard of recordings by their names, and of the one as it is by its source as well."""
    for name, one in zip(names, listened, strict=True):
        found[name].append((one.is_doubtful, one.is_beyond))
        if name == as_it_is and source:
            found[f"{name}, {source}"].append(found[name][-1])


def print_shares(found: Found) -> None:
    """Print how many recordings of each name are told of, and get no verdict."""
    print("| recordings | number | told (below 5 %) | no verdict (below 1 %) |\n| --- | --- | --- | --- |")
    for name, rows in sorted(found.items()):
        shares = " | ".join(share_with_interval(sum(which), len(rows)) for which in zip(*rows, strict=True))
        print(f"| {name} | {len(rows)} | {shares} |")


def comparisons(
    system: SpeakerComparisonModel,
    corpus: datasets.Dataset,
    pairs: int,
    kind: str,
    changes: Mapping[str, Change | None],
) -> None:
    """Print how comparisons of one speaker end where the second recording is changed.

    Args:
        system, corpus, kind, changes: as for [`detection`]; None for no change.
        pairs: comparisons of each speaker.
    """
    compare = transformers.pipeline("speaker-comparison", model=system, device="cpu")
    rows_of = defaultdict(list)
    for row, speaker in enumerate(corpus["speaker"]):
        rows_of[speaker].append(row)
    chosen = [rows[2 * n : 2 * n + 2] for rows in rows_of.values() for n in range(pairs) if len(rows) > 2 * n + 1]
    audio = [[load_audio(corpus[row]["audio"]) for row in pair] for pair in chosen]
    seeds = [recording_seed(corpus[pair[1]]["id"]) for pair in chosen]
    print("\n| second recording | comparisons | without it: verdict | misleading | with it: verdict | misleading |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, change in changes.items():
        results = [
            compare(one, other if change is None else change(other, seed), on_error="return", top_k=0)
            for (one, other), seed in zip(audio, seeds, strict=True)
        ]
        results = [one for one in results if one["error"] is None]
        told = []
        for reasons in ({kind}, set()):
            kept = [
                one["withheld_llr"] if one["no_verdict"] else one["calibrated_llr"]
                for one in results
                if not set(one["no_verdict"]) - reasons
            ]
            told += [len(kept), sum(llr < np.log(0.5) for llr in kept)]
        print(f"| {name} | {len(results)} | {' | '.join(map(str, told))} |", flush=True)
