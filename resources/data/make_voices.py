"""Choose the recordings of the folder `voices`: real people, from corpora whose licences allow them to be shared.

They are taken from the `dev` part of a larger collection of speech, whose speakers no model that ships was trained on.
Of each source come four speakers, in the order of their names (two women and two men where the source states the sex),
and of each speaker the first three recordings of 3 to 8.5 s with at least 2.5 s of speech. The files are copied byte
for byte. README.md in the folder has the sources, the attributions and what was done to the recordings before.

Usage:
    python make_voices.py DATA            # DATA/speech/dev/dev.csv and DATA/librispeech/test.csv -> voices/
"""

import argparse
import csv
import itertools
import shutil
from pathlib import Path

SOURCES = ("librispeech", "alphanumeric", "arabic_speech_commands")
SPEAKERS, RECORDINGS = 4, 3
SECONDS, LEAST_SPEECH = (3.0, 8.5), 2.5
COLUMNS = ("id", "audio", "speaker", "sex", "language", "session", "channel", "source", "licence")
SEX = {"f": "female", "m": "male", "F": "female", "M": "male"}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def usable(row: dict[str, str]) -> bool:
    return SECONDS[0] <= float(row["seconds"]) <= SECONDS[1] and float(row["speech_seconds"]) >= LEAST_SPEECH


def chosen_speakers(rows: list[dict[str, str]]) -> list[str]:
    """The first four speakers with enough recordings, two of each sex where the source states it."""
    recordings: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        recordings.setdefault(row["speaker"], []).append(row)
    speakers = sorted(name for name, of in recordings.items() if len(of) >= RECORDINGS)
    sexes = {name: recordings[name][0]["sex"] for name in speakers}
    if not any(sexes.values()):
        return speakers[:SPEAKERS]
    each = SPEAKERS // 2
    return sorted(name for sex in ("female", "male") for name in [n for n in speakers if sexes[n] == sex][:each])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with speech/dev/dev.csv and librispeech/test.csv")
    parser.add_argument("output", type=Path, nargs="?", default=Path(__file__).with_name("voices"))
    arguments = parser.parse_args()
    dev = arguments.data / "speech" / "dev"
    # LibriSpeech's own numbers name its speakers, as in other lists of that corpus.
    known = {row["speaker"]: row for row in read(arguments.data / "librispeech" / "test.csv")}
    rows = []
    for row in filter(usable, read(dev / "dev.csv")):
        speaker = row["speaker"].removeprefix("ls_")
        sex = known[speaker]["sex"] if row["source"] == "librispeech" else row["sex"]
        session = known[speaker]["chapter"] if row["source"] == "librispeech" else row["session"]
        rows.append({**row, "file": row["audio"], "speaker": speaker, "sex": SEX.get(sex, ""), "session": session})
    written, trials = [], []
    for source in SOURCES:
        own = [row for row in rows if row["source"] == source]
        ids = []
        for speaker in chosen_speakers(own):
            for row in [row for row in own if row["speaker"] == speaker][:RECORDINGS]:
                audio = Path(speaker) / f"{row['id']}.opus"
                (arguments.output / speaker).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(dev / row["file"], arguments.output / audio)
                written.append({**row, "audio": audio.as_posix()})
                ids.append(row["id"])
        trials += itertools.combinations(ids, 2)
    with (arguments.output / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)
    lines = ["enrollment\ttest", *("\t".join(pair) for pair in trials)]
    (arguments.output / "trials.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(written)} recordings of {len({row['speaker'] for row in written})} speakers, {len(trials)} trials")


if __name__ == "__main__":
    main()
