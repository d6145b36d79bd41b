"""Record Praat's figures for the sample corpus in praat.json: python tests/data/golden/make_praat.py

It needs the package praat-parselmouth, which is under the GPL: neither balr_hf nor its tests depend on it. The
settings are Praat's defaults, apart from the time step of 10 ms. Formants and HNR are taken at the voiced frames only.
"""

import json
from pathlib import Path

import numpy as np
import parselmouth
from parselmouth.praat import call

from balr_hf.audio import SAMPLING_RATE, load_audio

HERE = Path(__file__).parent
SAMPLE = HERE.parents[2] / "resources" / "data" / "sample"
# Recordings whose whole F0 track is recorded as well.
TRACKS = ("espeak01-01", "espeak13-01", "espeak24-01")


def figures(path: Path) -> dict:
    """What Praat measures of one recording."""
    sound = parselmouth.Sound(load_audio(path).astype(np.float64), SAMPLING_RATE)
    pitch = sound.to_pitch_ac(0.01, 75, 15, False, 0.03, 0.45, 0.01, 0.35, 0.14, 600)
    f0, times = pitch.selected_array["frequency"], pitch.xs()
    voiced = f0 > 0
    low, high = np.percentile(12 * np.log2(f0[voiced]), (10, 90))
    formant = sound.to_formant_burg(None, 5, 5500, 0.025, 50)
    formants = np.array([[formant.get_value_at_time(n, time) for n in range(1, 5)] for time in times[voiced]])
    harmonicity = sound.to_harmonicity_ac(0.01, 75, 0.1, 4.5)
    ratios = np.array([harmonicity.get_value(time) for time in times[voiced]])
    points = call([sound, pitch], "To PointProcess (cc)")
    found = {
        "voiced": int(voiced.sum()),
        "f0_median": np.median(f0[voiced]),
        "f0_range": high - low,
        **{f"f{n + 1}": np.nanmedian(formants[:, n]) for n in range(4)},
        "hnr": np.mean(ratios[ratios > -199]),
        "jitter": 100 * call(points, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3),
        "shimmer": 100 * call([sound, points], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6),
    }
    found = {name: round(float(value), 4) for name, value in found.items()}
    if path.stem in TRACKS:
        found["f0"] = np.round(f0, 2).tolist()
    return found


def main() -> None:
    recordings = {path.stem: figures(path) for path in sorted(SAMPLE.glob("*/*-01.opus"))}
    versions = {"praat": parselmouth.PRAAT_VERSION, "parselmouth": parselmouth.__version__}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in recordings.items())
    text = f'{{"versions": {json.dumps(versions)}, "recordings": {{\n{lines}\n}}}}\n'
    (HERE / "praat.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
