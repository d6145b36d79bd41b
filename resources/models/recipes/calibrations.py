"""Compare calibrations of the system: affine or with quality measures, of few conditions or of all.

Each is fitted to `dev` without its LibriSpeech speakers. Its Cllr there is cross-validated by speaker in 5 folds; its
Cllr on the LibriSpeech test part, in all conditions, is that of speakers whom it has not seen.

Usage:
    python -m recipes.calibrations WORK_FOLDER DATA_FOLDER RUN_FOLDER SYSTEM_FOLDER

It takes about 2 core-minutes.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from balr_hf import BinaryAttributeAutoEncoder, load_scorer
from balr_hf.metrics import cllr
from balr_hf.scoring.calibration import Calibration, cross_calibrated
from balr_hf.scoring.calibration_fits import fit_affine, fit_quality

from .copies import AS_IT_IS, CONDITIONS
from .system import CALIBRATED, LEAST_BANDWIDTH, LEAST_SNR, SHARE, TWICE, Evidence, evidence

PENALTY = 1e-3  # on the terms of quality measures
EVERYTHING = (AS_IT_IS, *CONDITIONS)
# The name of a calibration: its method, conditions, least SNR (dB) and least bandwidth (kHz).
CALIBRATIONS = {
    "affine, as they are": ("affine", (AS_IT_IS,), -np.inf, 0.0),
    "affine, as they are, wide-band, 15 dB and more": ("affine", (AS_IT_IS,), LEAST_SNR, LEAST_BANDWIDTH),
    "affine, that which ships": ("affine", CALIBRATED, LEAST_SNR, LEAST_BANDWIDTH),
    "quality, that which ships": ("quality", CALIBRATED, LEAST_SNR, LEAST_BANDWIDTH),
    "affine, all conditions": ("affine", EVERYTHING, -np.inf, 0.0),
    "quality, all conditions": ("quality", EVERYTHING, -np.inf, 0.0),
}


def columns(found: Evidence, method: str) -> np.ndarray:
    """What a calibration takes."""
    return found.scores if method == "affine" else np.column_stack([found.scores, found.quality])


def describe(llrs: np.ndarray, found: Evidence) -> str:
    """Cllr and the misleading shares of both kinds in each pair of conditions."""
    cells = []
    for name in dict.fromkeys(found.conditions.tolist()):
        chosen = found.conditions == name
        some, same = llrs[chosen], found.same[chosen]
        cells.append(f"{name}: {cllr(some, same):.2f}, {(some[same] < 0).mean():.0%}, {(some[~same] > 0).mean():.0%}")
    return "; ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("run", type=Path, help="folder of the embedder's run")
    parser.add_argument("system", type=Path, help="folder of the system")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(arguments.system)
    scorer = load_scorer(arguments.system)
    dev, test = (evidence(scorer, autoencoder, arguments, part, SHARE) for part in ("dev", "test"))
    groups = np.char.add(np.char.add(dev.sources, ": "), dev.conditions)
    for name, (method, conditions, snr, bandwidth) in CALIBRATIONS.items():
        chosen = dev.within(conditions, snr, bandwidth) & (dev.sources != TWICE)
        given, same = columns(dev, method)[chosen], dev.same[chosen]
        speakers = dev.speakers[0][chosen], dev.speakers[1][chosen]
        if method == "affine":
            weight, offset = fit_affine(given, same)
            calibration = Calibration(method, np.array(weight), offset)
            crossed = cross_calibrated(given, same, speakers, method, 5)
        else:
            weight, offset, quality = fit_quality(given, same, PENALTY, conditions=groups[chosen])
            calibration = Calibration(method, np.array(weight), offset, PENALTY, quality=quality)
            crossed = cross_calibrated(given, same, speakers, method, 5, PENALTY, conditions=groups[chosen])
        plain = dev.conditions[chosen] == f"{AS_IT_IS} / {AS_IT_IS}"
        print(f"{name}: {len(same)} trials; Cllr of dev as it is {cllr(crossed[plain], same[plain]):.2f}")
        llrs = calibration.apply(columns(test, method))
        print(f"  LibriSpeech, Cllr, same- and different-speaker misleading: {describe(llrs, test)}")


if __name__ == "__main__":
    main()
