"""Have the system learn to notice people who speak at the same time, speech at another speed, and rooms.

Recordings of the training speakers are mixed, played at another speed, or put into rooms, half of them, and brought to
conditions: those of `balr detectors`, and, but for rooms, reverberation. The detectors are written beside the system.

Usage:
    python -m recipes.detectors WORK_FOLDER SYSTEM_FOLDER

It takes about 60 core-minutes, and goes on where it was interrupted.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from balr_hf import SpeakerComparisonModel
from balr_hf.detectors.draws import CONDITIONS
from balr_hf.detectors.fitting import fit_detector
from balr_hf.explanation.heard import KINDS
from balr_hf.identity import model_digest

from .corpus import recordings

ROOMS = ("reverb=0.3", "reverb=0.6")
COUNT = 20_000
NAME = "the training part of speech and LibriSpeech"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("system", type=Path, help="folder of the system")
    parser.add_argument("--kinds", default=",".join(kind.name for kind in KINDS), help="of detectors")
    parser.add_argument("--threads", type=int, default=1, help="that work at once")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    system = SpeakerComparisonModel.from_pretrained(arguments.system, with_detectors=False)
    train = recordings(arguments.work, "train")
    rows = np.flatnonzero(train.columns["speaker"] != "")
    for kind in KINDS:
        if kind.name not in arguments.kinds.split(","):
            continue
        detector = fit_detector(
            kind,
            system.embedder,
            lambda number: train.waveform(int(rows[number])),
            train.columns["speaker"][rows].tolist(),
            train.columns["source"][rows].tolist(),
            NAME,
            count=COUNT,
            conditions=(*CONDITIONS, *ROOMS),
            progress=True,
            work=arguments.work / "detectors" / f"{kind.name}-{model_digest(system.embedder)[:16]}",
        )
        detector.save(arguments.system)
        print(detector.describe())


if __name__ == "__main__":
    main()
