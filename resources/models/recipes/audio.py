"""Decode the recordings once: one table of their labels, and one file of 16-bit samples that training reads from.

Usage:
    python -m recipes.audio DATA_FOLDER WORK_FOLDER

It takes about 3 minutes on one core. `DATA_FOLDER` holds `speech/` and `librispeech/`.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from balr_hf.audio import SAMPLING_RATE, load_audio

# Each part of the table: its name, the csv file, and the source of its recordings where the file has no such column.
PARTS = (
    ("train", "speech/train/train.csv", None),
    ("train", "librispeech/train.csv", "librispeech"),
    ("dev", "speech/dev/dev.csv", None),
    ("test", "librispeech/test.csv", "librispeech"),
    ("noise", "speech/noise/noise.csv", None),
)
COLUMNS = ("part", "id", "speaker", "source", "session", "sex", "audio")


def rows(data: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of all csv files, with the columns of the table."""
    for part, name, source in PARTS:
        path = data / name
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                known = {column: row.get(column) or "" for column in COLUMNS}
                yield known | {
                    "part": part,
                    "source": source or row["source"],
                    "session": row.get("session") or row.get("chapter") or "",
                    "sex": known["sex"].lower(),
                    "audio": str((path.parent / row["audio"]).relative_to(data)),
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("work", type=Path, help="folder for what the recipes compute")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    start = 0
    with (
        (arguments.work / "table.csv").open("w", newline="", encoding="utf-8") as file,
        (arguments.work / "samples.i16").open("wb") as samples,
    ):
        table = csv.DictWriter(file, [*COLUMNS, "start", "samples"])
        table.writeheader()
        for row in rows(arguments.data):
            waveform = load_audio(arguments.data / row["audio"])
            samples.write(np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
            table.writerow(row | {"start": start, "samples": len(waveform)})
            start += len(waveform)
    print(f"{start / SAMPLING_RATE / 3600:.1f} h")


if __name__ == "__main__":
    main()
