"""Decode the recordings once: one table of their labels, and one file of 16-bit samples that training reads from.

Usage:
    python -m recipes.audio DATA_FOLDER WORK_FOLDER

It takes about 3 minutes on one core. `DATA_FOLDER` holds `speech/` and `librispeech/`.
"""

import argparse
import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from balr_hf.audio import SAMPLING_RATE, load_audio

from .processes import processes

# What the csv files of LibriSpeech have no columns of: it is read English from audiobooks.
LIBRISPEECH = {"source": "librispeech", "language": "en", "channel": "audiobook"}
# Each part of the table: its name, the csv file, and what is known of all its recordings.
PARTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("train", "speech/train/train.csv", {}),
    ("train", "librispeech/train.csv", LIBRISPEECH),
    ("dev", "speech/dev/dev.csv", {}),
    ("test", "librispeech/test.csv", LIBRISPEECH),
    ("noise", "speech/noise/noise.csv", {}),
)
COLUMNS = ("part", "id", "speaker", "source", "session", "sex", "language", "channel", "audio")


def rows(data: Path, parts: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of the csv files of these parts, with the columns of the table."""
    for part, name, stated in PARTS:
        if part not in parts:
            continue
        path = data / name
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                known = {column: row.get(column) or "" for column in COLUMNS} | stated
                yield known | {
                    "part": part,
                    "language": known["language"].partition(" (")[0],  # without the mother tongue of its learners
                    "session": row.get("session") or row.get("chapter") or "",
                    "sex": known["sex"].lower(),
                    "audio": str((path.parent / row["audio"]).relative_to(data)),
                }


def decode(path: Path) -> bytes:
    """Decode one recording to 16-bit samples."""
    return np.round(np.clip(load_audio(path), -1, 1) * 32767).astype("<i2").tobytes()


def _parts_of(table: Path) -> set[str]:
    """The parts of a table that is there already, and of none otherwise."""
    if not table.exists():
        return set()
    with table.open(newline="", encoding="utf-8") as file:
        return {row["part"] for row in csv.DictReader(file)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("work", type=Path, help="folder for what the recipes compute")
    names = list(dict.fromkeys(part for part, _, _ in PARTS))
    parser.add_argument("--parts", nargs="+", choices=names, default=names, help="which ones; all, if not told")
    parser.add_argument("--processes", type=int, default=1, help="how many share the work")
    arguments = parser.parse_args()
    lost = _parts_of(arguments.work / "table.csv") - {*arguments.parts}
    if lost:
        parser.error(
            f"{arguments.work / 'table.csv'} has other parts already ({', '.join(sorted(lost))}), which would be "
            "lost: name all parts that are needed, or another folder"
        )
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = list(rows(arguments.data, arguments.parts))
    paths = [arguments.data / row["audio"] for row in found]
    start = 0
    with (
        processes(arguments.processes) as pool,
        (arguments.work / "table.csv").open("w", newline="", encoding="utf-8") as file,
        (arguments.work / "samples.i16").open("wb") as samples,
    ):
        table = csv.DictWriter(file, [*COLUMNS, "start", "samples"], lineterminator="\n")
        table.writeheader()
        for row, waveform in zip(found, tqdm(pool.map(decode, paths, chunksize=16), total=len(paths)), strict=True):
            samples.write(waveform)
            length = len(waveform) // 2
            table.writerow(row | {"start": start, "samples": length})
            start += length
    print(f"{start / SAMPLING_RATE / 3600:.1f} h")


if __name__ == "__main__":
    main()
