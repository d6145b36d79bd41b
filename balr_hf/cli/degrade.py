"""`balr degrade`: copies of a corpus, brought to given recording conditions."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option

if TYPE_CHECKING:
    import datasets

    from balr_hf.conditions import Condition
    from balr_hf.data.contract import Corpus

logger = logging.getLogger(__name__)

# The columns of a copy's csv that say where each recording came from, and the name of that csv.
SOURCE, CONDITION, SEED = "source_id", "condition", "seed"
CSV = "metadata.csv"


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr degrade`."""

    input: str = positional(
        "input", "corpus: an audio file, a folder of audio, a csv, a saved Dataset, a parquet file or a Hub dataset"
    )
    condition: str | None = option(
        None,
        "what becomes of the recordings: any of reverb, band, duration, snr, noise, clipping, level and codec, e.g. "
        "duration=3,snr=10,band=telephone,codec=opus:12k; several conditions are separated by semicolons, and each "
        "recording is then in the copy once per condition",
        type=str,
        pairs=True,
    )
    noise: str | None = option(None, "corpus of noise, for noise=recorded: a folder, a csv or an audio file", type=str)
    seed: int = option(0, "decides what is drawn: stretches, noise, rooms", type=int, least=0)
    save_dir: str | None = option(None, "folder for the copy (required)", type=str)
    json: bool = option(False, "print the results to standard output, as one JSON object")


COMMAND = Command(
    "degrade",
    "Make a copy of a corpus, brought to given recording conditions: FLAC files at 16 kHz and metadata.csv with all "
    "columns of the corpus, and where each recording came from (source_id, condition, seed). A recording that cannot "
    "be brought to a condition, since it has too little speech or is noisier already, is left out and named in "
    "skipped.csv. The same seed always gives the same copy. If a run was stopped, the same command continues it.",
    Options,
    epilog="""examples:
  balr degrade corpus.csv --condition snr=10,noise=babble --save-dir corpus-10dB
  balr degrade corpus.csv --condition "duration=3,band=telephone,codec=amr:5.9k" --save-dir corpus-phone
  balr degrade corpus.csv --condition "unchanged; snr=10; band=telephone" --save-dir corpus-mixed
  balr degrade corpus.csv --condition snr=5,noise=recorded --noise street/ --save-dir corpus-street""",
)


def run(arguments: Arguments) -> int:
    """Degrade the corpus and save it; returns the exit status, 1 if nothing could be degraded."""
    from balr_hf.conditions.corpus import Surroundings, degrade_corpus
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import Skipped, warn_skipped, write_skipped
    from balr_hf.errors import ConfigError

    if not arguments.condition:
        raise ConfigError("--condition is missing: what is to become of the recordings, e.g. --condition snr=10")
    if arguments.save_dir is None:
        raise ConfigError("--save-dir is missing: the folder for the copy")
    conditions = _conditions(arguments.condition)
    corpus = read_corpus(
        arguments.input, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=()
    )
    noises = None if arguments.noise is None else read_corpus(arguments.noise, vectors=()).dataset
    folder = Path(arguments.save_dir)
    _claim(folder, arguments, corpus, conditions)
    surroundings = Surroundings.of(corpus.dataset, conditions, arguments.seed, noises)
    copies = _Copies.of(folder, corpus.dataset, conditions)
    skipped: list[Skipped] = list(corpus.skipped)
    before = 0
    for number, condition in enumerate(conditions):
        there = [path.is_file() for path in copies.paths[number]]
        before += sum(there)
        missing = corpus.dataset.select([row for row, found in enumerate(there) if not found])
        path_of = dict(zip(corpus.dataset["id"], copies.paths[number], strict=True))
        for name, found in degrade_corpus(missing, condition, arguments.seed, surroundings, progress=True):
            if isinstance(found, Skipped):
                of = f" ({condition})" if len(conditions) > 1 else ""
                skipped.append(Skipped(name, found.reason + of))
            else:
                _write_flac(path_of[name], found)
    made = copies.write_csv(folder, corpus.dataset, conditions, arguments.seed)
    write_skipped(folder / "skipped.csv", skipped)
    warn_skipped(skipped, "Degrading")
    counts = {"recordings": made, "there_already": before, "conditions": [str(condition) for condition in conditions]}
    print_json(arguments, {**counts, "skipped": [vars(row) for row in skipped], "saved_in": str(folder)})
    logger.info(
        "%d recordings in %s (%d there already, %d skipped); balr inspect %s measures them",
        *(made, folder, before, len(skipped), folder),
    )
    return 0 if made else 1


def _conditions(text: str) -> "list[Condition]":
    from balr_hf.conditions import Condition
    from balr_hf.errors import ConfigError

    conditions = [Condition.parse(part) for part in text.split(";") if part.strip()]
    if len(set(conditions)) < len(conditions):
        raise ConfigError(f"--condition names a condition twice: {text}")
    return conditions


def _claim(folder: Path, arguments: Arguments, corpus: "Corpus", conditions: "list[Condition]") -> None:
    """Write down what the folder is a copy of, so that nothing else is continued there.

    Raises:
        UserError: it holds other things, or a copy of another corpus or to other conditions.
    """
    from balr_hf.data.saving import COPY_RECORD, read_json
    from balr_hf.errors import UserError
    from balr_hf.files import write_json

    record = {
        "source": str(arguments.input),
        "fingerprint": corpus.fingerprint(),
        "conditions": [str(condition) for condition in conditions],
        "noise": arguments.noise,
        "seed": arguments.seed,
    }
    path = folder / COPY_RECORD
    if path.is_file():
        earlier = read_json(path)
        different = [n for n in record if not isinstance(earlier, dict) or record[n] != earlier.get(n)]
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
    def of(cls, folder: Path, dataset: "datasets.Dataset", conditions: "list[Condition]") -> "_Copies":
        from balr_hf.data.columns import recording_ids

        names, several = recording_ids(dataset), len(conditions) > 1
        ids = [[f"{name}@{number}" if several else name for name in names] for number in range(1, len(conditions) + 1)]
        places = _places(names)
        roots = [folder / "audio" / str(number) if several else folder / "audio" for number in range(1, len(ids) + 1)]
        return cls(ids, [[root / place for place in places] for root in roots])

    def write_csv(self, folder: Path, dataset: "datasets.Dataset", conditions: "list[Condition]", seed: int) -> int:
        """Write metadata.csv with the recordings that there are, and return their number."""
        from balr_hf.conditions import recording_seed
        from balr_hf.data.columns import recording_ids
        from balr_hf.files import atomic_path
        from balr_hf.untrusted import SafeWriter

        kept = _plain_columns(dataset)
        columns: dict[str, Any] = {name: dataset[name] for name in kept}
        sources, made = recording_ids(dataset), 0
        path = folder / CSV
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = SafeWriter(file)
            writer.writerow(["id", "audio", *kept, SOURCE, CONDITION, SEED])
            for ids, paths, condition in zip(self.ids, self.paths, conditions, strict=True):
                for row, (name, audio, source) in enumerate(zip(ids, paths, sources, strict=True)):
                    if not audio.is_file():
                        continue
                    values = ["" if columns[column][row] is None else columns[column][row] for column in kept]
                    place = audio.relative_to(folder).as_posix()
                    writer.writerow([name, place, *values, source, str(condition), recording_seed(source, seed)])
                    made += 1
        return made


def _plain_columns(dataset: "datasets.Dataset") -> list[str]:
    """The columns of texts and numbers that describe the recordings themselves."""
    import datasets

    return [
        name
        for name, feature in dataset.features.items()
        if isinstance(feature, datasets.Value | datasets.ClassLabel)
        and name not in ("id", SOURCE, CONDITION, SEED)
        and not name.endswith("_origin")
    ]


def _places(names: list[str]) -> list[Path]:
    """A relative path for each recording; no two are the same, even where capitals make no difference."""
    import hashlib

    from balr_hf.data.recording_files import paths_of_ids

    places, taken = [], set()
    for name, path in zip(names, paths_of_ids(names), strict=True):
        place = Path(path.with_name(f"{path.name}.flac"))
        if place.as_posix().lower() in taken:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            place = Path(path.with_name(f"{path.name}-{digest}.flac"))
        taken.add(place.as_posix().lower())
        places.append(place)
    return places


def _write_flac(path: Path, samples: Any) -> None:
    """Write float samples `(samples,)` at 16 kHz as 16-bit FLAC, complete or not at all."""
    from fractions import Fraction

    import av
    import numpy as np

    from balr_hf.audio import SAMPLING_RATE
    from balr_hf.files import atomic_path

    pcm = np.round(np.clip(samples, -1, 1) * 32_767).astype(np.int16)
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLING_RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = SAMPLING_RATE, Fraction(1, SAMPLING_RATE), 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
