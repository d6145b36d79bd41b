"""How much memory long recordings and long trial lists take at their peak; each is measured in a process of its own.

python benchmarks/memory.py            10 minutes, 1 hour; 1,000,000 trials over 1,000,000 sides
python benchmarks/memory.py --all      also 10 hours, and 10,000,000 trials over 100,000 sides (about an hour)
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

ATTRIBUTES = 512


def recording(path: Path, seconds: int) -> None:
    """Write the speech of the sample, over and over, as 16-bit samples."""
    from balr_hf import load_audio
    from balr_hf.defaults import SAMPLE_CORPUS
    from balr_hf.defaults import resource as shipped

    speech = np.concatenate([load_audio(name) for name in sorted(Path(shipped(SAMPLE_CORPUS)).rglob("*.opus"))])
    content = (speech * 32767).clip(-32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        for start in range(0, seconds * 16_000, len(content)):
            file.writeframes(content[: seconds * 16_000 - start].tobytes())


def embed(path: str) -> None:
    """Measure and embed a recording with the shipped embedder on one thread."""
    import torch

    from balr_hf import WespeakerModel
    from balr_hf.defaults import SYSTEM
    from balr_hf.defaults import resource as shipped
    from balr_hf.embeddings.passes import embed_waveforms, load_usable

    torch.set_num_threads(1)
    model = WespeakerModel.from_pretrained(shipped(SYSTEM)).for_inference()
    loaded = load_usable(path, model.feature_extractor)
    assert loaded.samples is not None, loaded.reason
    embed_waveforms(model, model.feature_extractor, [loaded.samples], torch.device("cpu"))


def trials(folder: Path, sides: int, count: int) -> None:
    """Save a corpus of random attributes, a recording per side, and trials of which a tenth is of one speaker."""
    import datasets
    import pyarrow as pa

    draws = np.random.default_rng(0)
    speakers = draws.integers(0, sides // 10, sides)
    bits = draws.integers(0, 2, (sides, ATTRIBUTES), dtype=np.uint8).astype(bool)
    column = pa.FixedSizeListArray.from_arrays(pa.array(bits.reshape(-1)), ATTRIBUTES)
    names = pa.array([f"r{row:07}" for row in range(sides)])
    table = pa.table({"id": names, "speaker": pa.array([f"s{code}" for code in speakers]), "ba": column})
    datasets.Dataset(table).save_to_disk(str(folder / "corpus"))
    enroll = draws.integers(0, sides, count) if count > sides else np.arange(count)
    test = (enroll + draws.integers(1, sides, count)) % sides
    order, some = np.argsort(speakers, kind="stable"), draws.integers(0, sides - 1, count // 10)
    enroll[: len(some)], test[: len(some)] = order[some], order[some + 1]
    with (folder / "trials.csv").open("w") as file:
        file.write("enrollment\ttest\n")
        file.writelines(f"r{a:07}\tr{b:07}\n" for a, b in zip(enroll.tolist(), test.tolist(), strict=True))


def score(folder: str) -> None:
    """Score the trials by `balr score test`, without intervals."""
    from balr_hf.cli.main import main

    place = Path(folder)
    words = ["--bootstrap", "0", "--save-dir", str(place / "scores"), str(place / "corpus"), str(place / "trials.csv")]
    main(["score", "test", *words])


def peak(what: str, place: Path) -> str:
    """Run `embed` or `score` in a process of its own: its largest memory and its time."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--one", what, str(place)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        return "failed"
    return f"{int(done.stdout.split()[-1]) / 2**20:.2f} GiB | {seconds:,.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        {"embed": embed, "score": score}[arguments.one[0]](arguments.one[1])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    print("| what | peak | time |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, seconds in (("10 minutes", 600), ("1 hour", 3600), ("10 hours", 36_000))[
            : 3 if arguments.all else 2
        ]:
            recording(folder / "long.wav", seconds)
            print(f"| a recording of {title}, embedded | {peak('embed', folder / 'long.wav')} |", flush=True)
        for sides, count in ((10**6, 10**6), (10**5, 10**7))[: 2 if arguments.all else 1]:
            place = folder / f"{sides}"
            place.mkdir()
            trials(place, sides, count)
            print(f"| {count:,} trials over {sides:,} sides, scored | {peak('score', place)} |", flush=True)


if __name__ == "__main__":
    main()
