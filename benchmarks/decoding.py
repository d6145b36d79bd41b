"""Decoding and measuring recordings, which a GPU waits for: on threads, in processes, and how busy the cores are."""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from extraction import write_recordings
from measuring import table

from balr_hf import WespeakerFeatureExtractor
from balr_hf.embeddings.decoding import Decoding, ProcessDecoding, ThreadDecoding
from balr_hf.embeddings.passes import load_usable
from balr_hf.quality import MIN_SPEECH
from balr_hf.threads import num_cores


def rate(make: Callable[[], Decoding], paths: list[str], audio: float, workers: int) -> tuple[float, float, float]:
    """Measure seconds of audio per second and of start, and the cores that this process kept busy."""
    start = time.perf_counter()
    decoding = make()
    for wait in decoding.begin(paths[: 2 * workers]):  # every thread or process is started, and has imported all
        wait()
    begun, busy = time.perf_counter(), sum(os.times()[:2])
    for wait in decoding.begin(paths):
        wait()
    took, busy = time.perf_counter() - begun, sum(os.times()[:2]) - busy
    decoding.close()
    return audio / took, begun - start, busy / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=sorted({1, 2, num_cores()}), help="numbers of them")
    parser.add_argument("--audio", type=float, default=900, help="seconds of audio [default: 900]")
    arguments = parser.parse_args()
    extractor, rows = WespeakerFeatureExtractor(), []
    with tempfile.TemporaryDirectory() as folder:
        audio = write_recordings(Path(folder), arguments.audio, np.random.default_rng(0))
        paths = [str(path) for path in sorted(Path(folder).iterdir())]
        for workers in arguments.workers:
            threads = partial(ThreadDecoding, workers, lambda path: load_usable(path, extractor))
            processes = partial(ProcessDecoding, workers, extractor, MIN_SPEECH, False)
            by_threads, _, busy = rate(threads, paths, audio, workers)
            by_processes, start, _ = rate(processes, paths, audio, workers)
            rows.append([workers, f"{by_threads:,.0f}", f"{busy:.2f}", f"{by_processes:,.0f}", f"{start:.1f} s"])
    header = ["workers", "threads, x real time", "cores busy", "processes, x real time", "their start"]
    table(f"Decoding and measuring {audio:.0f} s in {len(paths)} files of FLAC", header, rows)


if __name__ == "__main__":
    main()
