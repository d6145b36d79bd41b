"""`balr detectors`: has a system learn to notice people who speak at the same time, another speed, and rooms."""

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, names
from balr_hf.cli.printing import print_json, print_text
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option
from balr_hf.tables import aligned

if TYPE_CHECKING:
    from balr_hf.detectors.detector import Detector

logger = logging.getLogger(__name__)

# The folder in which a run keeps what it has computed.
WORK = ".detectors"


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr detectors`."""

    words: list[str] = field(
        metadata={
            "args": ["words"],
            "nargs": "+",
            "type": str,
            "metavar": "SYSTEM CORPUS",
            "help": "folder or Hub repository of a whole system (see balr assemble), and a corpus of recordings of "
            "one voice each, at the speed of the speaker, with their speakers, and with where they are from if that "
            "differs (a column source): a csv, a saved Dataset, a parquet file or a Hub dataset; hundreds of "
            "speakers, none of whom the system is calibrated or tested on; each is decoded several times, so cut "
            "those of many minutes",
        },
    )
    kinds: tuple[str, ...] | None = option(
        None,
        "what it is to listen for, separated by commas: overlapped (people who speak at the same time), speed (speech "
        "that is played faster or slower than it was spoken), room (reverberant rooms, which needs the extra rooms of "
        "the package) [default: all, as far as the extra is installed]",
        type=names,
    )
    save_dir: str | None = option(
        None,
        "folder to write overlapped_speech.safetensors, changed_speed.safetensors and reverberant_room.safetensors to "
        "[default: the system's own folder]",
        type=str,
    )
    name: str | None = option(None, "what reports call the corpus [default: the name of its file or folder]", type=str)
    count: int = option(
        12_000,
        "how many recordings to make for each kind, half of them as they are, the others with a second voice, at "
        "another speed or in a room",
        type=int,
        least=500,
    )
    conditions: str | None = option(
        None,
        "what the recordings are brought to, one at random each, separated by semicolons, as in balr degrade (one "
        "that is there twice is drawn twice as often): so that noise, a codec or a room is not taken for a second "
        "voice or another speed [default: as they are, noise, a telephone's band, codecs]",
        type=str,
        pairs=True,
    )
    seed: int = option(0, "of what is drawn", type=int)
    json: bool = option(False, "print what was found as one JSON object instead of tables")


COMMAND = Command(
    "detectors",
    "Have a system learn to notice what makes a comparison meaningless: people who speak at the same time, whose "
    "attributes are of none of them; speech that is played faster or slower than it was spoken, as where a file "
    "states a wrong sampling rate; and reverberant rooms. Recordings of one voice are mixed (with a second voice that "
    "is up to 12 dB weaker), played at another speed (up to twice as fast or slow) or put into simulated rooms "
    "(reverberation times of 0.2 to 0.8 s), and a detector of each kind learns to tell these from recordings as they "
    "are, by the statistics that the system's embedder makes of a recording. How many are found is "
    "measured on speakers who were not fitted on. balr explain, balr inspect --voices and the pipeline use the "
    "detectors that lie beside a system. If a run was stopped, the same command continues it, as long as no other one "
    "in this folder was finished.",
    Options,
    epilog="""examples:
  balr detectors runs/system corpus.csv
  balr detectors me/system corpus.csv --save-dir detectors
  balr detectors runs/system corpus.csv --kinds speed --conditions 'unchanged; unchanged; snr=10; reverb=0.5'""",
)


def run(arguments: Arguments) -> None:
    """Make recordings, fit, save and print."""
    from balr_hf.conditions.condition import parse_conditions
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.detectors.draws import CONDITIONS
    from balr_hf.detectors.rooms import can_simulate_rooms
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError
    from balr_hf.explanation.heard import KINDS, ROOM
    from balr_hf.system.learning import learn_to_hear
    from balr_hf.system.modeling_system import SpeakerComparisonModel

    if len(arguments.words) != 2:
        raise ConfigError(f"expected SYSTEM CORPUS, got {' '.join(arguments.words)}")
    known = {kind.name: kind for kind in KINDS}
    wanted = _all_kinds(known) if arguments.kinds is None else list(dict.fromkeys(arguments.kinds))
    kinds = [known[name] for name in wanted if name in known]
    if not kinds or len(kinds) < len(wanted):
        raise ConfigError(f"--kinds {','.join(wanted)}: expected one or more of {', '.join(known)}")
    if ROOM in kinds and not can_simulate_rooms():
        raise ConfigError("--kinds room: simulated rooms need pyroomacoustics: pip install 'balr_hf[rooms]'")
    source, recordings = arguments.words
    folder = Path(source if arguments.save_dir is None else arguments.save_dir)
    if arguments.save_dir is None and not folder.is_dir():
        raise ConfigError(f"{source} is no folder on this machine: name one for the detectors with --save-dir")
    conditions: tuple[str, ...] = CONDITIONS
    if arguments.conditions is not None:
        conditions = tuple(map(str, parse_conditions(arguments.conditions, repeated=True)))
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--save-dir {folder} is a file: name a folder")
    system = SpeakerComparisonModel.from_pretrained(source, with_descriptions=False, with_detectors=False)
    system.to(resolve_devices(arguments.device)[0])  # type: ignore[arg-type]  # transformers wraps `to` wrongly
    corpus = read_corpus(recordings, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=())
    warn_skipped(corpus.skipped, f"Reading {recordings}")
    found: dict[str, Detector] = {}
    for kind in kinds:
        detector, skipped = learn_to_hear(
            kind,
            system,
            corpus.dataset,
            name=arguments.name or Path(recordings).name,
            count=arguments.count,
            seed=arguments.seed,
            conditions=conditions,
            progress=True,
            work=folder / WORK,
        )
        warn_skipped(skipped, "Making recordings")
        for what, number in zip(("recordings as they are", *kind.ways), detector.record["left_out"], strict=True):
            if number:
                logger.info(
                    "%d left out (%s): not decoded, too little speech, or noisier than the condition", number, what
                )
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("Saved in %s", detector.save(folder))
        found[kind.name] = detector
    shutil.rmtree(folder / WORK, ignore_errors=True)
    if arguments.json:
        print_json(arguments, {name: dict(detector.record) for name, detector in found.items()})
    else:
        print_text("\n\n".join(map(_summary, found.values())))


def _all_kinds(known: Iterable[str]) -> list[str]:
    """All kinds of detectors that can be made here."""
    from balr_hf.detectors.rooms import can_simulate_rooms
    from balr_hf.explanation.heard import ROOM

    if can_simulate_rooms():
        return list(known)
    logger.info("No detector of rooms: pip install 'balr_hf[rooms]' for it")
    return [name for name in known if name != ROOM.name]


def _summary(detector: "Detector") -> str:
    """How many recordings that differ are found, by how much they do."""
    from balr_hf.explanation.wording import percent

    record: Mapping = detector.record
    rows = [("recordings", "number", "found")]
    for band in record["found"]:
        share = band["found"] / band["recordings"] if band["recordings"] else None
        what = detector.kind.amount(band["way"], *band["amount"])
        rows.append((what, f"{band['recordings']:,}", percent(share)))
    return "\n".join(
        [
            f"{detector.name}: fitted to recordings of {record['speakers']} speakers of {record['corpus']}.",
            f"On speakers who were not fitted on, where 1 % of {len(detector.usual):,} {detector.kind.usual} are "
            "taken for such:",
            *aligned(rows, words=(0,), indent=2),
        ]
    )
