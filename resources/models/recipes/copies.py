"""Degraded copies of the speakers whom the calibration is fitted to, and what is in them.

Each recording of a part (`dev`, or the LibriSpeech test part) is brought to each of `CONDITIONS`, and measured. A copy
of what is noisier or shorter already is left out. What was made is kept: one file of 16-bit samples and one of
measures for each condition.

Usage:
    python -m recipes.copies WORK_FOLDER PART CONDITION...      (without conditions: all)

It takes 1 core-minute for 1,000 recordings in one condition, and 2 with Opus.
"""

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from balr_hf.audio import AudioError
from balr_hf.conditions import Condition, recording_seed
from balr_hf.quality import measure_recording

from .corpus import Recordings, recordings

AS_IT_IS = "clean"  # the name of the recordings themselves among the conditions
CONDITIONS = ("snr=10", "snr=10,noise=white", "snr=20", "band=telephone", "codec=opus:12k", "duration=2")


@dataclass(frozen=True)
class Copies:
    """Copies of recordings in one condition.

    Args:
        quality (dict): what was measured of each, by the id of the recording that it is a copy of.
        spans (dict): where its samples start, and how many there are, by the same id.
        samples (`np.ndarray`, int16): mapped from the disk.
    """

    quality: dict[str, dict]
    spans: dict[str, tuple[int, int]]
    samples: np.ndarray

    def waveform(self, name: str) -> np.ndarray:
        """Return the samples of a recording's copy, float32 in [-1, 1]."""
        start, size = self.spans[name]
        return self.samples[start : start + size].astype(np.float32) / 32767


def copies(work: Path, part: str, condition: str) -> Copies:
    """Read the copies of a part in a condition; make them if they are not there."""
    stem = work / f"{part}-{re.sub('[^a-z0-9]+', '-', condition)}"
    samples, table = stem.with_suffix(".i16"), stem.with_suffix(".json")
    if not table.exists():
        made = _make(recordings(work, part), condition, samples)
        table.with_suffix(".part").write_text(json.dumps(made))
        table.with_suffix(".part").rename(table)
    found = json.loads(table.read_text())
    return Copies(found["quality"], found["spans"], np.memmap(samples, dtype="<i2", mode="r"))


def _make(part: Recordings, condition: str, path: Path) -> dict[str, dict]:
    """Write the samples of the copies, and return their measures and spans."""
    wanted, quality, spans, start = Condition.parse(condition), {}, {}, 0
    with path.open("wb") as file:
        for row, name in enumerate(map(str, part.columns["id"])):
            try:
                made = wanted.apply(part.waveform(row), recording_seed(name))
            except AudioError:  # noisier already, or shorter
                continue
            quality[name], spans[name] = measure_recording(made)[0].to_dict(), (start, len(made))
            file.write(np.round(np.clip(made, -1, 1) * 32767).astype("<i2").tobytes())
            start += len(made)
    return {"quality": quality, "spans": spans}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that recipes.audio has written")
    parser.add_argument("part", choices=["dev", "test"], help="whose recordings")
    parser.add_argument("conditions", nargs="*", help="which ones [default: those of the calibration]")
    arguments = parser.parse_args()
    for condition in arguments.conditions or CONDITIONS:
        made = copies(arguments.work, arguments.part, condition)
        print(f"{arguments.part}, {condition}: {len(made.spans)} copies", flush=True)


if __name__ == "__main__":
    main()
