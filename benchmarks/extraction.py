"""Embedding extraction: audio files in, vectors out, with a ResNet34 of random weights (whose values do not matter).

The baselines are a loop over recordings (decode, filter banks, model as loaded) with as many threads as torch takes by
default, and the same loop with one thread, which is the reference toolkit's default on two cores. The limit is the
rate of a matrix product in single precision, counting 2.27 G multiply-adds of two operations each per second of audio.
"""

import tempfile
from functools import partial
from pathlib import Path

import av
import datasets
import numpy as np
import torch
from measuring import against, matmul_rate, seconds, seconds_in_turns, table

from balr_hf import WespeakerConfig, WespeakerModel, load_audio, load_corpus
from balr_hf.data import vector_matrix
from balr_hf.defaults import SAMPLE_CORPUS, resource

OPERATIONS = 2 * 2.27e9  # of ResNet34, per second of audio
RATE = 16_000


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Write 16-bit mono."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])


def write_recordings(folder: Path, total: float, rng: np.random.Generator) -> float:
    """Write files of 2 to 20 s of speech, cut from the sample corpus; return how many seconds there are in all."""
    speech = np.concatenate([load_audio(path) for path in sorted(resource(SAMPLE_CORPUS).rglob("*-0[1-4].opus"))])
    written = 0.0
    while written < total:
        length = rng.uniform(2, 20)
        start = int(rng.integers(0, len(speech) - int(length * RATE)))
        write_flac(folder / f"{written:08.2f}.flac", speech[start : start + int(length * RATE)])
        written += length
    return written


@torch.inference_mode()
def loop(model: WespeakerModel, folder: Path) -> np.ndarray:
    """Extract one recording after the other."""
    embeddings = []
    for path in sorted(folder.iterdir()):
        features = model.feature_extractor([load_audio(path)], 16000)
        embeddings.append(model(features["input_features"]).embeddings.numpy())
    return np.concatenate(embeddings)


def main() -> None:
    datasets.disable_progress_bars()
    torch.manual_seed(0)
    model, rng, threads = WespeakerModel(WespeakerConfig()).eval(), np.random.default_rng(0), torch.get_num_threads()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "recordings")
        folder.mkdir()
        audio = write_recordings(folder, 240, rng)
        corpus = load_corpus(folder)

        def extract(precision: str = "fp32") -> datasets.Dataset:
            return model.extract_embeddings(corpus, precision=precision)

        before = matmul_rate()
        ours = seconds(extract, 2)
        half = seconds(lambda: extract("bf16"), 2)
        many = seconds(lambda: loop(model, folder), 2)
        torch.set_num_threads(1)
        one = seconds(lambda: loop(model, folder), 1)
        torch.set_num_threads(threads)
        after = matmul_rate()
        limit = max(before, after) / OPERATIONS
        plain = loop(model, folder)
        error, largest = np.abs(vector_matrix(extract(), "embedding")[0] - plain).max(), np.abs(plain).max()
        rows = [
            ["loop, one thread", f"{audio / one:.1f}", "", f"{audio / one / limit:.0%}"],
            [f"loop, {threads} threads", f"{audio / many:.1f}", f"{one / many:.2f}x", f"{audio / many / limit:.0%}"],
            [
                "extract_embeddings",
                f"{audio / ours:.1f}",
                against(one / ours, 1.8, ".2f"),
                against(100 * audio / ours / limit, 85, ".0f", " %"),
            ],
            ["extract_embeddings, bf16", f"{audio / half:.1f}", f"{one / half:.2f}x", f"{audio / half / limit:.0%}"],
        ]
        header = ["", "seconds of audio per second", "over the one-thread loop", "share of the matrix-product rate"]
        table(f"Extraction: ResNet34, {audio:.0f} s of audio in FLAC files of 2 to 20 s", header, rows)
        rates = f"{before / 1e9:.0f} GF/s before and {after / 1e9:.0f} after"
        difference = f"{error:.1e} (target at most 1e-4), or {error / largest:.0e} of the largest value, {largest:.0f}"
        print(f"\nMatrix product: {rates}. Largest difference between the embeddings: {difference}.")
        growth(model, Path(temporary), rng)


def growth(model: WespeakerModel, temporary: Path, rng: np.random.Generator) -> None:
    """Print the cost of a second of audio as the corpus grows."""
    runs, audio = [], []
    for times in (1, 4, 16):
        folder = temporary / f"growth{times}"
        folder.mkdir()
        audio.append(write_recordings(folder, 60 * times, rng))
        runs.append(partial(model.extract_embeddings, load_corpus(folder)))
    times = seconds_in_turns(runs, 2)
    rows = [[f"{length:.0f} s", f"{1000 * took / length:.1f} ms"] for length, took in zip(audio, times, strict=True)]
    table("Extraction: growth", ["audio", "time per second of audio"], rows)


if __name__ == "__main__":
    main()
