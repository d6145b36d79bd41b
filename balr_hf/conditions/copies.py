"""Copies of a corpus in given conditions, saved: FLAC files, a csv with where each came from, and who was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.conditions.codec import check_encoder
from balr_hf.conditions.condition import Condition
from balr_hf.conditions.corpus import Surroundings, degrade_corpus
from balr_hf.conditions.seeds import recording_seed
from balr_hf.data.columns import recording_ids
from balr_hf.data.contract import Corpus, from_dataset
from balr_hf.data.reading import read_corpus
from balr_hf.data.recording_files import paths_of_ids
from balr_hf.data.saving import COPY_RECORD, read_json
from balr_hf.data.skipped import Skipped, write_skipped
from balr_hf.errors import ConfigError, UserError, name_some
from balr_hf.files import atomic_path, write_json
from balr_hf.untrusted import SafeWriter

if TYPE_CHECKING:
    import datasets

# The columns of a copy's csv that say where each recording came from, and the name of that csv.
SOURCE, CONDITION, SEED = "source_id", "condition", "seed"
CSV = "metadata.csv"
# The root mean square of full scale below which a copy has 24 bits: of 16, the rounding is a noise that is up to 61 dB
# below a recording of -40 dB, but only 22 dB below one of -80 dB, which would spoil the SNR that was asked for.
QUIET = 0.01


@dataclass(frozen=True)
class SavedCopies:
    """What [`save_copies`] made.

    Attributes:
        folder: where the copies are; `load_corpus` reads it.
        recordings: how many copies there are in it.
        there_already: how many of them an earlier, stopped run had made.
        skipped: the recordings that could not be read or brought to a condition, with the reasons.
    """

    folder: Path
    recordings: int
    there_already: int
    skipped: list[Skipped]


def save_copies(
    corpus: str | Path | datasets.Dataset | Corpus,
    conditions: Sequence[Condition],
    save_dir: str | Path,
    *,
    seed: int = 0,
    noise: str | Path | datasets.Dataset | Corpus | None = None,
    progress: bool = False,
) -> SavedCopies:
    """Save copies of a corpus that are brought to given conditions, as `balr degrade` does.

    The folder then holds FLAC files at 16 kHz, of 16 bits or, below -40 dB of full scale, 24; `metadata.csv`;
    `skipped.csv`; and a record of what it is a copy of. The csv has all columns of texts and numbers of the corpus,
    and `source_id`, `condition` and `seed`, from which each recording can be made again. Copies in the first condition
    keep the ids of their originals, so that trial lists of the corpus hold for them. Those in the N-th condition are
    called `ID@N`.

    The same seed always makes the same copies, whatever the order of the corpus and the number of cores. If a run was
    stopped, the same call continues it.

    Args:
        corpus: what [`load_corpus`] takes: a path, a dataset on the Hub or a `datasets.Dataset`; or a [`Corpus`].
        conditions: each recording is in the copy once per condition.
        save_dir: the folder for the copies, new, empty or that of a stopped run.
        seed (int): decides what is drawn: stretches, noise, rooms.
        noise (*optional*): recordings of noise, likewise, for conditions with `noise=recorded`.
        progress (bool): show progress bars.

    Returns:
        [`SavedCopies`]

    Raises:
        ConfigError: there is no condition, or one is there twice.
        UserError: the corpus has no audio or cannot be read, its ids clash with those of copies, the folder holds
            other things, or what a condition takes is not there.

    Example:
        >>> from balr_hf.conditions import parse_conditions
        >>> save_copies("corpus.csv", parse_conditions("unchanged; snr=10"), "corpus-mixed", seed=3)  # doctest: +SKIP
    """
    conditions = list(conditions)
    if not conditions or len(set(conditions)) < len(conditions):
        named = ", ".join(map(str, conditions)) or "none"
        raise ConfigError(f"conditions {named}: expected one or more, each of them once")
    if noise is not None and not any(condition.noise == "recorded" for condition in conditions):
        raise ConfigError(f"recordings of noise are given ({noise}), and no condition takes them: say noise=recorded")
    for codec in (condition.codec for condition in conditions if condition.codec is not None):
        check_encoder(codec)  # before anything is made
    corpus, noises = read_original(corpus), None if noise is None else read_original(noise)
    dataset, folder = corpus.dataset, Path(save_dir)
    copies = _Copies.of(folder, dataset, conditions)
    how = {
        "conditions": [str(condition) for condition in conditions],
        "noise": None if noises is None else noises.source,
        "noise_fingerprint": None if noises is None else noises.fingerprint(),
        "seed": seed,
    }
    surroundings = Surroundings.of(dataset, conditions, seed, None if noises is None else noises.dataset)
    claim_folder(folder, corpus, how)
    skipped, before = list(corpus.skipped), 0
    for condition, paths in zip(conditions, copies.paths, strict=True):
        there = [path.is_file() for path in paths]
        before += sum(there)
        missing = dataset.select([row for row, found in enumerate(there) if not found])
        path_of = dict(zip(recording_ids(dataset), paths, strict=True))
        for name, found in degrade_corpus(missing, condition, seed, surroundings, progress=progress):
            if isinstance(found, Skipped):
                of = f" ({condition})" if len(conditions) > 1 else ""
                skipped.append(Skipped(name, found.reason + of))
            else:
                write_flac(path_of[name], found)
    made = copies.write_csv(folder, dataset, conditions, seed)
    write_skipped(folder / "skipped.csv", skipped)
    return SavedCopies(folder, made, before, skipped)


def read_original(corpus: str | Path | datasets.Dataset | Corpus) -> Corpus:
    """Read the corpus that is to be copied.

    Raises:
        UserError: it has no audio, or cannot be read.
    """
    if isinstance(corpus, str | Path):
        corpus = read_corpus(corpus, vectors=())
    elif not isinstance(corpus, Corpus):
        corpus = from_dataset(corpus, ())
    if "audio" not in corpus.dataset.column_names:
        raise UserError(f"the corpus has no audio column (columns: {', '.join(corpus.dataset.column_names)})")
    return corpus


def claim_folder(folder: Path, corpus: Corpus, how: Mapping[str, Any]) -> None:
    """Write down what the folder is a copy of, so that nothing else is continued there.

    Args:
        folder: where the copy goes.
        corpus: the original.
        how: what becomes of it, in a form that JSON can hold.

    Raises:
        UserError: it holds other things, or a copy of another corpus or another kind of copy.
    """
    record = {"source": corpus.source, "fingerprint": corpus.fingerprint(), **how}
    path = folder / COPY_RECORD
    if path.is_file():
        earlier = read_json(path)
        different = [n for n in record if not isinstance(earlier, dict) or n not in earlier or record[n] != earlier[n]]
        if different:
            raise UserError(
                f"{folder} holds another copy ({', '.join(different)} differ): choose another --save-dir, or delete it"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other things: choose another --save-dir")
    write_json(path, {**record, "csv": [CSV]})


@dataclass
class _Copies:
    """Where the copies go: an id and a path for each recording, by condition."""

    ids: list[list[str]]
    paths: list[list[Path]]

    @classmethod
    def of(cls, folder: Path, dataset: datasets.Dataset, conditions: list[Condition]) -> _Copies:
        """Name the copies.

        Raises:
            UserError: a recording of the corpus has the name that a copy of another one would have.
        """
        names, numbers = recording_ids(dataset), range(1, len(conditions) + 1)
        ids = [names, *([f"{name}@{number}" for name in names] for number in numbers[1:])]
        clashing = {name for later in ids[1:] for name in later}.intersection(names)
        if clashing:
            raise UserError(
                f"the corpus has the ids {name_some(sorted(clashing))}, which copies in the second and further "
                "conditions would have (ID@2, ...): rename them, or degrade to one condition at a time"
            )
        places = paths_of_copies(names)
        roots = [folder / "audio" / str(number) if len(ids) > 1 else folder / "audio" for number in numbers]
        return cls(ids, [[root / place for place in places] for root in roots])

    def write_csv(self, folder: Path, dataset: datasets.Dataset, conditions: list[Condition], seed: int) -> int:
        """Write metadata.csv with the recordings that there are, and return their number."""
        sources = recording_ids(dataset)
        rows = (
            (name, path, row, (source, str(condition), recording_seed(source, seed)))
            for ids, paths, condition in zip(self.ids, self.paths, conditions, strict=True)
            for row, (name, path, source) in enumerate(zip(ids, paths, sources, strict=True))
        )
        return write_csv(folder, dataset, plain_columns(dataset), (SOURCE, CONDITION, SEED), rows)


def write_csv(
    folder: Path,
    dataset: datasets.Dataset,
    kept: Sequence[str],
    more: Sequence[str],
    rows: Iterable[tuple[str, Path, int, Sequence[object]]],
) -> int:
    """Write metadata.csv with the copies that there are, and return their number.

    Args:
        folder: where the copies are.
        dataset: the original.
        kept: its columns that are carried over.
        more: the columns that say where each copy came from.
        rows: of each copy, its id, its path, the row of its original, and the values of `more`.
    """
    columns: dict[str, Any] = {name: dataset[name] for name in kept}
    made = 0
    with atomic_path(folder / CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = SafeWriter(file)
        writer.writerow(["id", "audio", *kept, *more])
        for name, path, row, said in rows:
            if path.is_file():
                values = ["" if columns[column][row] is None else columns[column][row] for column in kept]
                writer.writerow([name, path.relative_to(folder).as_posix(), *values, *said])
                made += 1
    return made


def plain_columns(dataset: datasets.Dataset) -> list[str]:
    """The columns of texts and numbers that describe the recordings themselves."""
    import datasets

    return [
        name
        for name, feature in dataset.features.items()
        if isinstance(feature, datasets.Value | datasets.ClassLabel)
        and name not in ("id", SOURCE, CONDITION, SEED)
        and not name.endswith("_origin")
    ]


def paths_of_copies(names: list[str]) -> list[Path]:
    """A relative path for each recording; no two are the same, even where capitals make no difference."""
    places, taken = [], set()
    for name, path in zip(names, paths_of_ids(names), strict=True):
        place = Path(path.with_name(f"{path.name}.flac"))
        if place.as_posix().lower() in taken:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            place = Path(path.with_name(f"{path.name}-{digest}.flac"))
        taken.add(place.as_posix().lower())
        places.append(place)
    return places


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Write a recording as FLAC, of 24 bits if it is quiet and else of 16; complete or not at all.

    Args:
        path (Path): the file.
        samples (`(samples,)`): float, mono, at 16 kHz, in [-1, 1]; what is beyond is clipped.
    """
    exact = np.clip(samples.astype(np.float64), -1, 1)
    quiet = np.sqrt(np.mean(np.square(exact))) < QUIET
    form = "s32" if quiet else "s16"  # of 32 bits, FFmpeg writes the upper 24
    pcm = np.round(exact * (2**31 - 256)).astype(np.int32) if quiet else np.round(exact * 32_767).astype(np.int16)
    encode_flac(path, [pcm], SAMPLING_RATE, form)


def encode_flac(path: Path, blocks: Iterable[np.ndarray], rate: int, form: str) -> None:
    """Write samples that come in blocks as FLAC; complete or not at all.

    Args:
        path (Path): the file.
        blocks (`(samples,)` each): int16, or int32 of which FFmpeg writes the upper 24 bits; mono.
        rate (int): in Hz.
        form (str): `s16` or `s32`, the type of the samples.
    """
    import av

    written = 0
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono", format=form)
        for samples in blocks:
            frame = av.AudioFrame.from_ndarray(samples[None], format=form, layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), written
            written += len(samples)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
