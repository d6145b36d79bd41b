"""Tell who is in the populations of a system that is there already, from the labels of their speakers.

Systems that were made before scorers kept their speakers' languages, sources and channels, and how many of their
calibration's trials are within one session, lack these. What was recorded of the reference population (speakers,
recordings, sexes, sessions) has to be what the labels say, or else nothing is written. Only the descriptions in
`config.json` change: no weight, and no identity.

Usage:
    python -m recipes.populations DATA_FOLDER SYSTEM_FOLDER

It takes seconds.
"""

import argparse
import json
from pathlib import Path

import datasets

from balr_hf.domain import describe_population
from balr_hf.files import atomic_path

from .audio import rows
from .evaluation import TRIALS
from .system import LABELS

# How the channels begin whose recordings are left out of the calibration, since their band is too narrow.
TELEPHONE = "telephone"


def population(data: Path) -> datasets.Dataset:
    """The labels of all recordings of the training part whose speakers are known."""
    found = [row for row in rows(data, ["train"]) if row["speaker"]]
    return datasets.Dataset.from_dict({name: [row[name] or None for row in found] for name in ("id", *LABELS)})


def told(recorded: dict, dataset: datasets.Dataset) -> dict:
    """The description of a population with what the labels say besides.

    Args:
        recorded (dict): the description that the scorer has.
        dataset (`datasets.Dataset`): the labels.

    Raises:
        ValueError: the labels are not those of this population.
    """
    found = describe_population(dataset)
    for name in ("recordings", "speakers"):
        if found[name] != recorded[name]:
            raise ValueError(f"the population has {recorded[name]} {name}, and the labels are of {found[name]}")
    for name, counts in recorded["counts"].items():
        if any(found["counts"][name].get(value, count) != count for value, count in counts.items()):
            raise ValueError(f"the population has {counts} by {name}, and the labels have {found['counts'][name]}")
    counts = found["counts"] | recorded["counts"]
    return recorded | {"counts": counts, "speakers_by": found["speakers_by"]}


def sessions(recorded: dict, data: Path) -> dict:
    """What the sessions of the calibration's speakers say of its same-speaker trials.

    Args:
        recorded (dict): what the scorer's configuration says of its calibration.
        data (Path): folder with speech/ and librispeech/.

    Returns:
        `same_speaker` and `within_one`, the numbers of trials.

    Raises:
        ValueError: a speaker whose recordings the calibration may hold has several sessions, so that the labels alone
            do not tell.
    """
    of_speaker: dict[str, set[str]] = {}
    for row in rows(data, TRIALS):
        if not row["channel"].startswith(TELEPHONE):
            of_speaker.setdefault(row["speaker"], set()).add(row["session"])
    several = sorted(name for name, found in of_speaker.items() if len(found) > 1 or "" in found)
    if several:
        raise ValueError(f"recordings of {len(several)} speakers are of several sessions, such as {several[0]}")
    return dict.fromkeys(("same_speaker", "within_one"), recorded["num_same_speaker"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("system", type=Path, help="folder of the system")
    arguments = parser.parse_args()
    path = arguments.system / "config.json"
    config = json.loads(path.read_text())
    scorer = config["scorer"]
    scorer["reference"] = told(scorer["reference"], population(arguments.data))
    domain = scorer["calibration"]["domain"]
    if "sessions" not in domain:
        domain["sessions"] = sessions(scorer["calibration"], arguments.data)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    print(scorer["reference"]["speakers_by"], domain["sessions"])


if __name__ == "__main__":
    main()
