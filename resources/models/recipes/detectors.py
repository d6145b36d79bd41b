"""Have the system learn to notice people who speak at the same time.

Recordings of the training speakers are mixed, half of them with a second voice, and brought to conditions; those of
`balr overlapped`, and reverberation. The detector is written beside the system.

Usage:
    python -m recipes.overlapped WORK_FOLDER SYSTEM_FOLDER

It takes about 20 core-minutes.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from balr_hf import SpeakerComparisonModel
from balr_hf.identity import model_digest
from balr_hf.overlapped.fitting import fit_detector
from balr_hf.overlapped.mixtures import CONDITIONS

from .corpus import recordings

ROOMS = ("reverb=0.3", "reverb=0.6")
COUNT = 20_000
NAME = "the training part of speech and LibriSpeech"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("system", type=Path, help="folder of the system")
    parser.add_argument("--threads", type=int, default=1, help="that work at once")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    system = SpeakerComparisonModel.from_pretrained(arguments.system, with_detector=False)
    train = recordings(arguments.work, "train")
    rows = np.flatnonzero(train.columns["speaker"] != "")
    detector = fit_detector(
        system.embedder,
        lambda number: train.waveform(int(rows[number])),
        train.columns["speaker"][rows].tolist(),
        train.columns["source"][rows].tolist(),
        NAME,
        count=COUNT,
        conditions=(*CONDITIONS, *ROOMS),
        progress=True,
        work=arguments.work / "overlapped" / model_digest(system.embedder)[:16],
    )
    detector.save(arguments.system)
    print(detector.describe())


if __name__ == "__main__":
    main()
