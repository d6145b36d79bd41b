"""Tell who is in the reference population of a system that is there already, from the labels of its speakers.

Systems that were made before scorers kept their speakers' languages, sources and channels lack them. What was recorded
of them (speakers, recordings, sexes, sessions) has to be what the labels say, or else nothing is written. Only the
description in `config.json` changes: no weight, and no identity.

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
from .system import LABELS


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("system", type=Path, help="folder of the system")
    arguments = parser.parse_args()
    path = arguments.system / "config.json"
    config = json.loads(path.read_text())
    scorer = config["scorer"]
    scorer["reference"] = told(scorer["reference"], population(arguments.data))
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    print(scorer["reference"]["speakers_by"])


if __name__ == "__main__":
    main()
