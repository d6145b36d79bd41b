"""`balr measure`: measures voices as a phonetician would."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json, print_text
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option
from balr_hf.tables import aligned

if TYPE_CHECKING:
    from balr_hf.phonetics import MeasuredVoice, VoiceMeasures

logger = logging.getLogger(__name__)

# Recordings that the table on the screen shows at most; the saved table has all of them.
SHOWN = 40
# What the table on the screen shows: the measure, its heading, its unit and how many decimals.
COLUMNS = (
    ("voiced", "voiced", "s", 1),
    ("f0_median", "F0", "Hz", 0),
    ("f0_range", "range", "st", 1),
    ("f1", "F1", "Hz", 0),
    ("f2", "F2", "Hz", 0),
    ("f3", "F3", "Hz", 0),
    ("f4", "F4", "Hz", 0),
    ("hnr", "HNR", "dB", 1),
    ("jitter", "jitter", "%", 2),
    ("shimmer", "shimmer", "%", 1),
    ("cpp", "CPP", "dB", 1),
    ("spectral_tilt", "tilt", "dB/oct", 1),
    ("syllable_rate", "syllables", "1/s", 1),
)


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr measure`."""

    input: str = positional(
        "input", "corpus: an audio file, a folder of audio, a csv, a saved Dataset, a parquet file or a Hub dataset"
    )
    save_dir: str | None = option(
        None,
        "folder to save the table of all measures in (measures.csv), with quality.csv, which has the measures of the "
        "recordings themselves, skipped.csv and pictures [default: nothing is saved]",
        type=str,
    )
    save_format: str = option("csv", "format of the table of measures", type=str, among=("csv", "parquet"))
    plots: bool = option(
        False,
        "also save a picture of each recording: waveform, spectrogram, F0 and formants over time (needs --save-dir)",
    )
    json: bool = option(False, "print all measures of all recordings as one JSON object instead of a table")


COMMAND = Command(
    "measure",
    "Measure the voice in each recording as a phonetician would: F0 (Hz), its range (semitones), formants (Hz), "
    "harmonics-to-noise ratio (dB), jitter and shimmer (%), cepstral peak prominence (dB), spectral balance (dB), "
    "level range (dB) and syllable nuclei per second. Each recording should have one speaker.",
    Options,
    epilog="""examples:
  balr measure questioned.wav
  balr measure recordings/ --save-dir measured --plots
  balr measure corpus.csv --save-dir measured --save-format parquet
  balr measure corpus.csv --json > measures.json""",
)


def run(arguments: Arguments) -> int:
    """Measure and print; returns the exit status, 1 if no recording could be measured."""
    from balr_hf.data.columns import recording_ids
    from balr_hf.data.manifests import check_quality_is_kept
    from balr_hf.data.quality import FILE, each_recording, write_quality
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import Skipped, warn_skipped, write_skipped
    from balr_hf.data.voice import write_voices
    from balr_hf.errors import ConfigError
    from balr_hf.phonetics import load_voice

    if arguments.plots and arguments.save_dir is None:
        raise ConfigError("--plots needs --save-dir, the folder for the pictures")
    corpus = read_corpus(
        arguments.input, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=()
    )
    folder = None if arguments.save_dir is None else Path(arguments.save_dir)
    if folder is not None:
        check_quality_is_kept(folder, recording_ids(corpus.dataset))
    voices: dict[str, VoiceMeasures] = {}
    quality: dict[str, dict] = {}
    skipped: list[Skipped] = list(corpus.skipped)
    for name, measured in each_recording(corpus.dataset, load_voice, progress=True):
        if isinstance(measured, Skipped):
            skipped.append(measured)
            continue
        voices[name], quality[name] = measured.voice, measured.recording.quality.to_dict()
        if arguments.plots and folder is not None:
            _draw(folder, name, measured)
    if folder is not None:
        write_voices(folder, voices, arguments.save_format)
        write_quality(folder / FILE, quality)
        write_skipped(folder / "skipped.csv", skipped)
    if arguments.json:
        rows = [{"id": name, "voice": voice.to_dict(), "recording": quality[name]} for name, voice in voices.items()]
        print_json(arguments, {"recordings": rows, "skipped": [vars(row) for row in skipped]})
    else:
        print_text(_table(voices))
    warn_skipped(skipped, "Measuring")
    voiceless = sum(voice.f0_median is None for voice in voices.values())
    logger.info(
        "%d recording%s measured, in %d of which there is no voice to measure; %d %s not measured",
        *(len(voices), "s" * (len(voices) != 1), voiceless, len(skipped), "was" if len(skipped) == 1 else "were"),
    )
    if folder is not None:
        logger.info("Saved in %s", folder)
    return 0 if voices else 1


def _table(voices: "dict[str, VoiceMeasures]") -> str:
    """Some measures of the first recordings, one line each."""
    rows = [("recording", *(heading for _, heading, _, _ in COLUMNS)), ("", *(unit for _, _, unit, _ in COLUMNS))]
    for name, voice in list(voices.items())[:SHOWN]:
        values = [(getattr(voice, measure), decimals) for measure, _, _, decimals in COLUMNS]
        rows.append((name, *("-" if value is None else f"{value:.{decimals}f}" for value, decimals in values)))
    lines = aligned(rows)
    if len(voices) > SHOWN:
        lines.append(f"... and {len(voices) - SHOWN} more (--save-dir saves all of them, --json prints them)")
    return "\n".join(lines)


def _draw(folder: Path, name: str, measured: "MeasuredVoice") -> None:
    """Save the picture of one recording, in folders like those of its id."""
    from balr_hf.audio import SAMPLING_RATE
    from balr_hf.data.recording_files import picture_path
    from balr_hf.figures import voice
    from balr_hf.files import atomic_path

    tracks = measured.tracks
    title = f"{Path(name).name}: {measured.voice.describe()}"
    figure = voice(measured.recording.whole(), SAMPLING_RATE, tracks.times, tracks.f0, tracks.formants, title)
    with atomic_path(picture_path(folder, name)) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
