"""The descriptions of all attributes of an autoencoder, as they lie in a system's folder: `attributes.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from balr_hf.describing.description import Association, AttributeDescription, Meaning
from balr_hf.describing.measures import MEASURES, Group
from balr_hf.describing.wording import NOT_SAID, best_measure, group_of, not_said, pairs, sentence
from balr_hf.errors import MismatchError, UserError
from balr_hf.files import atomic_path
from balr_hf.identity import file_digest, is_same, shown

# The file, and the version of its format.
FILE, VERSION = "attributes.json", 2
# The percentiles of the population's measures that are kept.
PERCENTILES = (5, 25, 50, 75, 95)
# Measures of the voice that the file keeps of each attribute, best first, and of the recording; and of either of an
# attribute that is undescribed.
KEPT_OF_VOICE, KEPT_OF_RECORDING, KEPT_OF_UNDESCRIBED = 4, 1, 1
# Below so many speakers, readers are warned.
FEW_SPEAKERS = 100


@dataclass(frozen=True)
class Distribution:
    """How a measure is distributed over the recordings that attributes were described on.

    Attributes:
        recordings: how many have a figure.
        percentiles: those of [`PERCENTILES`].
    """

    recordings: int
    percentiles: tuple[float, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> Distribution | None:
        """That of values `(recordings,)`, of which those that are NaN do not count; None if all are."""
        known = values[np.isfinite(values)]
        if not known.size:
            return None
        return cls(len(known), tuple(float(value) for value in np.percentile(known, PERCENTILES)))

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """25, 50 and 75 %."""
        return self.percentiles[1], self.percentiles[2], self.percentiles[3]

    def place(self, value: float) -> str:
        """Where a value lies, in words."""
        low, quarter, _, third, high = self.percentiles
        if low == high:
            return "as most others" if value == low else "unlike most others"
        if value < low:
            return "lower than 95 % of others"
        if value > high:
            return "higher than 95 % of others"
        if value < quarter:
            return "in the lowest quarter"
        return "in the highest quarter" if value > third else "in the middle half"


@dataclass(frozen=True)
class Population:
    """The recordings that attributes were described on.

    Attributes:
        corpus: their name.
        recordings: how many were used.
        speakers: of how many speakers.
        sexes: how many of the speakers are of each sex, as far as the corpus says.
        measures: the distribution of each measure, by name, where any recording has a figure.
        by_sex: the same within each sex with ten speakers or more.
    """

    corpus: str
    recordings: int
    speakers: int
    sexes: Mapping[str, int]
    measures: Mapping[str, Distribution]
    by_sex: Mapping[str, Mapping[str, Distribution]]

    def describe(self) -> str:
        """How many of whom, in a line of words."""
        sexes = ", ".join(f"{count:,} {sex}" for sex, count in self.sexes.items())
        unknown = self.speakers - sum(self.sexes.values())
        sexes += f", {unknown:,} of unknown sex" if sexes and unknown else ""
        speakers = f"{self.speakers:,} speakers" + (f" ({sexes})" if sexes else "")
        return f"{self.recordings:,} recordings of {speakers}, {self.corpus}"

    def told_by_sex(self, measure: str) -> dict[str, Distribution]:
        """The distribution of a measure within each sex; empty unless it is known of both."""
        found = {sex: known[measure] for sex, known in self.by_sex.items() if measure in known}
        return found if len(found) > 1 else {}


@dataclass(frozen=True)
class AttributeDescriptions:
    """What the attributes of one autoencoder mean, as far as measures tell.

    Attributes:
        autoencoder: its identity, see [`model_identity`].
        embedder: that of the embedder; empty if it is not known.
        population: the recordings that they were described on.
        date: of the description, `YYYY-MM-DD`.
        made_with: package and version, number of permutations and seed.
        attributes: one description per attribute, in their order.
        file_sha256: the digest of the file that they were read from; empty if they were not.
    """

    autoencoder: str
    embedder: str
    population: Population
    date: str
    made_with: Mapping[str, Any]
    attributes: tuple[AttributeDescription, ...]
    file_sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_groups", tuple(map(group_of, self.attributes)))

    @property
    def groups(self) -> tuple[Group, ...]:
        """The group of each attribute."""
        found: tuple[Group, ...] = self._groups  # type: ignore[attr-defined]  # made above, once
        return found

    @property
    def cautions(self) -> list[str]:
        """What a reader of the descriptions must know, beside what they never say."""
        found = []
        if self.population.speakers < FEW_SPEAKERS:
            found.append(
                f"Described on {self.population.speakers} speakers only: {FEW_SPEAKERS} and more would find more, and "
                "more surely."
            )
        if len(self.population.by_sex) < 2:
            found.append(
                "The corpus does not name the sex of enough speakers: what is described may be the difference between "
                "the sexes and no more."
            )
        if not any(one.elsewhere for one in self.attributes):
            found.append(
                "Whether what is described holds for recordings of other sources (corpora, rooms, microphones) was "
                "not checked: the corpus does not name several of them."
            )
        return found

    def sentence(self, attribute: int) -> str:
        """What an attribute goes with, in one sentence."""
        return sentence(self.attributes[attribute], self.population.speakers)

    def not_said(self, attribute: int) -> list[str]:
        """What that sentence does not say."""
        return not_said(self.attributes[attribute])

    def count(self) -> dict[str, dict[str, int]]:
        """How many attributes are of each class (`meaning`) and of each group (`group`)."""
        classes, groups = Counter(one.meaning for one in self.attributes), Counter(self.groups)
        return {
            "meaning": {meaning.value: classes[meaning] for meaning in Meaning},
            "group": {group.value: groups[group] for group in Group},
        }

    def describe(self) -> str:
        """How they were made, in a line of words."""
        return f"described on {self.population.describe()}, {self.date}"

    def check(self, autoencoder: str, attributes: int, embedder: str | None = None) -> None:
        """Refuse descriptions of another autoencoder, or of this one behind another embedder.

        Args:
            autoencoder: the identity of the one that is to be described.
            attributes (int): how many it makes.
            embedder: the identity of the embedder, if it is known.

        Raises:
            MismatchError: they are of another one.
        """
        anew = "remove the file, or make it anew with balr describe SYSTEM CORPUS"
        if not is_same(self.autoencoder, autoencoder) or len(self.attributes) != attributes:
            raise MismatchError(
                f"{FILE} describes the {len(self.attributes)} attributes of the autoencoder "
                f"{shown(self.autoencoder)}, but this is {shown(autoencoder)} with {attributes}: {anew}"
            )
        if embedder and self.embedder and not is_same(self.embedder, embedder):
            raise MismatchError(
                f"{FILE} describes attributes of embeddings of {shown(self.embedder)}, but the embedder is "
                f"{shown(embedder)}: {anew}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON can hold, with the sentences and groups for other readers."""
        population = self.population
        return {
            "version": VERSION,
            "autoencoder": self.autoencoder,
            "embedder": self.embedder,
            "date": self.date,
            "made_with": dict(self.made_with),
            "population": {
                "corpus": population.corpus,
                "recordings": population.recordings,
                "speakers": population.speakers,
                "sexes": dict(population.sexes),
                "percentiles": list(PERCENTILES),
                "measures": _distributions(population.measures),
                "by_sex": {sex: _distributions(found) for sex, found in population.by_sex.items()},
            },
            "does_not_say": list(NOT_SAID),
            "cautions": self.cautions,
            "counts": self.count(),
            "attributes": [self.entry(number) for number in range(len(self.attributes))],
        }

    def entry(self, attribute: int) -> dict[str, Any]:
        """One attribute in the file. Its figures are rounded to what they are known to."""
        description = self.attributes[attribute]
        best = best_measure(description)
        return {
            "attribute": description.attribute,
            "class": description.meaning.value,
            "group": self.groups[attribute].value,
            "sentence": self.sentence(attribute),
            "does_not_say": not_said(description),
            "tells": None if best is None else f"{MEASURES[best.measure].label}: {pairs(best.auc)}",
            "share": _rounded(description.share),
            "shares": {name: _rounded(share) for name, share in description.shares.items()},
            "q": _rounded(description.q),
            "voice_auc": _rounded(description.voice_auc),
            "recording_auc": _rounded(description.recording_auc),
            "within": {name: _rounded(area) for name, area in description.within.items()},
            "ceiling": _rounded(description.ceiling),
            "elsewhere": {source: _rounded(area) for source, area in description.elsewhere.items()},
            "recording_elsewhere": _rounded(description.recording_elsewhere),
            "intervals": {name: list(map(_rounded, ends)) for name, ends in description.intervals.items()},
            "measures": [
                {
                    "measure": found.measure,
                    "auc": _rounded(found.auc),
                    "higher": found.higher,
                    "active": [_rounded(value) for value in found.active],
                    "inactive": [_rounded(value) for value in found.inactive],
                }
                for found in description.associations
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> AttributeDescriptions:
        """Read what `to_dict` gave. Sentences and groups are made anew from the figures.

        Raises:
            UserError: it is of another version, or not whole.
        """
        if not isinstance(content, Mapping) or content.get("version") != VERSION:
            version = content.get("version") if isinstance(content, Mapping) else None
            raise UserError(
                f"{FILE} is of version {version}, and this package reads version {VERSION}: make it anew with balr "
                "describe SYSTEM CORPUS"
            )
        try:
            population = content["population"]
            return cls(
                autoencoder=str(content["autoencoder"]),
                embedder=str(content["embedder"]),
                population=Population(
                    corpus=str(population["corpus"]),
                    recordings=int(population["recordings"]),
                    speakers=int(population["speakers"]),
                    sexes={str(sex): int(count) for sex, count in population["sexes"].items()},
                    measures=_read_distributions(population["measures"]),
                    by_sex={str(sex): _read_distributions(found) for sex, found in population["by_sex"].items()},
                ),
                date=str(content["date"]),
                made_with=dict(content["made_with"]),
                attributes=tuple(_read_entry(number, entry) for number, entry in enumerate(content["attributes"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(f"{FILE} is damaged ({reason}): make it anew with balr describe SYSTEM CORPUS") from error

    def save(self, folder: str | Path) -> Path:
        """Write `attributes.json` into a folder, complete or not at all, with one line per attribute.

        Returns:
            `Path`: the file.
        """
        content = self.to_dict()
        entries = content.pop("attributes")
        head = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False).rstrip().removesuffix("}").rstrip()
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries)
        path = Path(folder) / FILE
        with atomic_path(path) as temporary:
            temporary.write_text(f'{head},\n "attributes": [\n{lines}\n ]\n}}\n', encoding="utf-8")
        return path


def load_descriptions(source: str | Path, **kwargs: Any) -> AttributeDescriptions | None:
    """The descriptions in a folder or repository; None if there are none.

    Args:
        source: a folder, or the id of a repository on the Hub.
        **kwargs: of `from_pretrained`; those that say where on the Hub something is count.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    from balr_hf.checkpoints import optional_file

    found = optional_file(source, FILE, **kwargs)
    return None if found is None else read_descriptions(found)


def read_descriptions(file: str | Path) -> AttributeDescriptions:
    """The descriptions in a file.

    Raises:
        UserError: it is damaged, or of another version.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): make it anew with balr describe SYSTEM CORPUS") from error
    return replace(AttributeDescriptions.from_dict(content), file_sha256=file_digest(file))


def shortened(description: AttributeDescription) -> AttributeDescription:
    """A description with the associations that the file keeps: the best of the voice and the best of the recording."""
    described = description.meaning is not Meaning.UNDESCRIBED
    left = {False: KEPT_OF_VOICE if described else KEPT_OF_UNDESCRIBED, True: KEPT_OF_RECORDING}
    found = []
    for one in description.associations:
        of_recording = MEASURES[one.measure].is_of_recording
        if left[of_recording]:
            left[of_recording] -= 1
            found.append(one)
    return replace(description, associations=tuple(found))


def _read_entry(number: int, entry: Mapping[str, Any]) -> AttributeDescription:
    if entry["attribute"] != number:
        raise ValueError(f"attribute {entry['attribute']} stands in the place of {number}")
    unknown = [found["measure"] for found in entry["measures"] if found["measure"] not in MEASURES]
    if unknown:
        raise ValueError(f"attribute {number} has the unknown measure {unknown[0]!r}")
    return AttributeDescription(
        attribute=number,
        meaning=Meaning(entry["class"]),
        share=float(entry["share"]),
        q=float(entry["q"]),
        associations=tuple(
            Association(
                found["measure"],
                float(found["auc"]),
                bool(found["higher"]),
                _three(found["active"]),
                _three(found["inactive"]),
            )
            for found in entry["measures"]
        ),
        voice_auc=_optional(entry["voice_auc"]),
        recording_auc=_optional(entry["recording_auc"]),
        within={str(name): _optional(area) for name, area in entry["within"].items()},
        ceiling=_optional(entry["ceiling"]),
        elsewhere={str(source): _optional(area) for source, area in entry["elsewhere"].items()},
        recording_elsewhere=_optional(entry["recording_elsewhere"]),
        shares={str(name): float(share) for name, share in entry["shares"].items()},
        intervals={str(name): _two(ends) for name, ends in entry.get("intervals", {}).items()},
    )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = values
    return float(low), float(middle), float(high)


def _two(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _distributions(measures: Mapping[str, Distribution]) -> dict[str, Any]:
    return {
        name: {"recordings": found.recordings, "values": [_rounded(value) for value in found.percentiles]}
        for name, found in measures.items()
    }


def _read_distributions(content: Mapping[str, Any]) -> dict[str, Distribution]:
    found = {}
    for name, entry in content.items():
        values = tuple(float(value) for value in entry["values"])
        if name not in MEASURES or len(values) != len(PERCENTILES):
            raise ValueError(f"the distribution of {name!r} is none of this version")
        found[name] = Distribution(int(entry["recordings"]), values)
    return found
