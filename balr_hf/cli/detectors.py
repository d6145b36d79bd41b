"""`balr overlapped`: has a system learn to notice people who speak at the same time."""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command
from balr_hf.cli.printing import print_json, print_text
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option
from balr_hf.tables import aligned

if TYPE_CHECKING:
    from balr_hf.overlapped.detector import OverlappedSpeechDetector

logger = logging.getLogger(__name__)

# The folder in which a run keeps what it has computed.
WORK = ".overlapped"


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr overlapped`."""

    words: list[str] = field(
        metadata={
            "args": ["words"],
            "nargs": "+",
            "type": str,
            "metavar": "SYSTEM CORPUS",
            "help": "folder or Hub repository of a whole system (see balr assemble), and a corpus of recordings of "
            "one voice each with their speakers, and with where they are from if that differs (a column source): a "
            "csv, a saved Dataset, a parquet file or a Hub dataset; hundreds of speakers, none of whom the system is "
            "calibrated or tested on; each is decoded several times, so cut those of many minutes",
        },
    )
    save_dir: str | None = option(
        None, "folder to write overlapped_speech.safetensors to [default: the system's own folder]", type=str
    )
    name: str | None = option(None, "what reports call the corpus [default: the name of its file or folder]", type=str)
    count: int = option(12_000, "how many recordings to make, half of them with a second voice", type=int, least=500)
    conditions: str | None = option(
        None,
        "what the recordings are brought to, one at random each, separated by semicolons, as in balr degrade (one "
        "that is there twice is drawn twice as often): so that noise, a codec or a room is not taken for a second "
        "voice [default: as they are, noise, a telephone's band, codecs]",
        type=str,
        pairs=True,
    )
    seed: int = option(0, "of what is drawn", type=int)
    json: bool = option(False, "print what was found as one JSON object instead of a table")


COMMAND = Command(
    "overlapped",
    "Have a system learn to notice people who speak at the same time, which make one set of attributes that is of "
    "none of them. Recordings of one voice are mixed, half of them with a second voice that is up to 12 dB weaker, "
    "and a detector learns to tell both kinds apart by the statistics that the system's embedder makes of a "
    "recording. How many second voices it finds is measured on speakers who were not fitted on. balr explain, balr "
    "inspect --voices and the pipeline use the detector that lies beside a system. If a run was stopped, the same "
    "command continues it.",
    Options,
    epilog="""examples:
  balr overlapped runs/system corpus.csv
  balr overlapped me/system corpus.csv --save-dir detector
  balr overlapped runs/system corpus.csv --conditions 'unchanged; unchanged; snr=10; reverb=0.5'""",
)


def run(arguments: Arguments) -> None:
    """Mix, fit, save and print."""
    from balr_hf.conditions.condition import parse_conditions
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.devices import resolve_devices
    from balr_hf.errors import ConfigError
    from balr_hf.overlapped.mixtures import CONDITIONS
    from balr_hf.system.modeling_system import SpeakerComparisonModel
    from balr_hf.system.overlapping import learn_overlapped_speech

    if len(arguments.words) != 2:
        raise ConfigError(f"expected SYSTEM CORPUS, got {' '.join(arguments.words)}")
    source, recordings = arguments.words
    folder = Path(source if arguments.save_dir is None else arguments.save_dir)
    if arguments.save_dir is None and not folder.is_dir():
        raise ConfigError(f"{source} is no folder on this machine: name one for the detector with --save-dir")
    conditions: tuple[str, ...] = CONDITIONS
    if arguments.conditions is not None:
        conditions = tuple(map(str, parse_conditions(arguments.conditions, repeated=True)))
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--save-dir {folder} is a file: name a folder")
    system = SpeakerComparisonModel.from_pretrained(source, with_descriptions=False, with_detector=False)
    system.to(resolve_devices(arguments.device)[0])  # type: ignore[arg-type]  # transformers wraps `to` wrongly
    corpus = read_corpus(recordings, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=())
    warn_skipped(corpus.skipped, f"Reading {recordings}")
    detector, skipped = learn_overlapped_speech(
        system,
        corpus.dataset,
        name=arguments.name or Path(recordings).name,
        count=arguments.count,
        seed=arguments.seed,
        conditions=conditions,
        progress=True,
        work=folder / WORK,
    )
    warn_skipped(skipped, "Mixing")
    for kind, number in zip(("one voice", "two"), detector.record["left_out"], strict=True):
        if number:
            logger.info(
                "%d recordings with %s were left out: too little speech, or noisier than the condition", number, kind
            )
    folder.mkdir(parents=True, exist_ok=True)
    path = detector.save(folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)  # with what runs of other settings left
    if arguments.json:
        print_json(arguments, dict(detector.record))
    else:
        print_text(_summary(detector))
    logger.info("Saved in %s", path)


def _summary(detector: "OverlappedSpeechDetector") -> str:
    """How many second voices are found, by how far they are below the first."""
    from balr_hf.explanation.wording import percent

    record = detector.record
    rows = [("second voice, dB below the first", "mixtures", "found")]
    for band in record["found"]:
        share = band["found"] / band["mixtures"] if band["mixtures"] else None
        low, high = band["below"]
        rows.append((f"{low:g} to {high:g}", f"{band['mixtures']:,}", percent(share)))
    return "\n".join(
        [
            f"Fitted to mixtures of {record['speakers']} speakers of {record['corpus']}.",
            f"On speakers who were not fitted on, where 1 % of {len(detector.one_voice):,} recordings of one voice "
            "are taken for two:",
            *aligned(rows, words=(0,), indent=2),
        ]
    )
