"""`balr inspect`: measures what is in recordings."""

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
    from balr_hf.cli.inspect_voices import Voices
    from balr_hf.quality import Measured, RecordingQuality

logger = logging.getLogger(__name__)

# Recordings that the table on the screen shows at most; the csv has all of them.
SHOWN = 40


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr inspect`."""

    input: str = positional(
        "input", "corpus: an audio file, a folder of audio, a csv, a saved Dataset, a parquet file or a Hub dataset"
    )
    save_dir: str | None = option(
        None, "folder to save quality.csv, skipped.csv and pictures in [default: nothing is saved]", type=str
    )
    plots: bool = option(
        False, "also save a picture of each recording: its spectrogram, with the speech marked (needs --save-dir)"
    )
    min_speech: float = option(
        0.5, "seconds of speech below which a recording would be refused by extract and explain", type=float, least=0
    )
    voices: bool = option(
        False,
        "also tell recordings that may hold more than one voice, play speech faster or slower than it was spoken, or "
        "come from a reverberant room: the two parts of each that differ most are compared by a calibrated system, "
        "and its detectors, if it has some, listen (this takes about four times as long as to extract the embeddings)",
    )
    system: str | None = option(
        None, "folder or Hub repository of the system for --voices [default: the package's own]", type=str
    )
    json: bool = option(False, "print the measures of all recordings as one JSON object instead of a table")


COMMAND = Command(
    "inspect",
    "Measure what is in each recording: how long it is and how much of it is speech (in seconds), its level (dB "
    "relative to full scale), the signal-to-noise ratio (dB), the bandwidth (kHz), how fast its sounds end (dB per "
    "second; rooms and noise make it less), the share of clipped samples, and the strongest steady tone (Hz). "
    "Recordings that extract and explain would refuse are marked.",
    Options,
    on_more_words="several recordings go into a folder, or into a csv with the column audio",
    epilog="""examples:
  balr inspect questioned.wav
  balr inspect recordings/ --save-dir inspected --plots
  balr inspect recordings/ --voices
  balr inspect corpus.csv --json > quality.json""",
)


def run(arguments: Arguments) -> int:
    """Measure and print; returns the exit status, 1 if no recording could be measured."""
    from itertools import zip_longest

    import numpy as np

    from balr_hf.data.columns import recording_ids
    from balr_hf.data.manifests import check_quality_is_kept
    from balr_hf.data.quality import FILE, measure_corpus, write_quality
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.shards import Shard
    from balr_hf.data.skipped import Skipped, warn_skipped, write_skipped
    from balr_hf.errors import ConfigError
    from balr_hf.quality import reason_to_refuse

    if arguments.plots and arguments.save_dir is None:
        raise ConfigError("--plots needs --save-dir, the folder for the pictures")
    if arguments.system is not None and not arguments.voices:
        raise ConfigError("--system names the system for --voices: add it")
    corpus = read_corpus(
        arguments.input, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=()
    )
    folder = None if arguments.save_dir is None else Path(arguments.save_dir)
    if folder is not None:
        check_quality_is_kept(folder, recording_ids(corpus.dataset))
    shard = Shard.launched()
    dataset = corpus.dataset
    if shard is not None:
        dataset = dataset.select(np.flatnonzero(shard.rows(len(dataset))))
    check = None
    if arguments.voices:
        from balr_hf.cli.inspect_voices import VoiceCheck

        check = VoiceCheck(arguments.system, arguments.device)
    measured: list[tuple[str, RecordingQuality | Skipped, Voices | None]] = []
    for name, recording in measure_corpus(dataset, progress=shard is None or shard.index == 0):
        if isinstance(recording, Skipped):
            measured.append((name, recording, None))
            continue
        measured.append((name, recording.quality, None if check is None else check(recording)))
        if arguments.plots and folder is not None:
            _draw(folder, name, recording)
    if shard is not None:
        shares = shard.gather(measured)
        if shares is None:  # the first process goes on with what all have measured
            return 0
        measured = [row for together in zip_longest(*shares) for row in together if row is not None]
    found = {name: quality for name, quality, _ in measured if not isinstance(quality, Skipped)}
    skipped = [*corpus.skipped, *(quality for _, quality, _ in measured if isinstance(quality, Skipped))]
    voices = {name: one for name, _, one in measured if one is not None}
    reasons = {name: reason_to_refuse(quality, arguments.min_speech) for name, quality in found.items()}
    refused = {name: reason for name, reason in reasons.items() if reason is not None}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_quality(folder / FILE, {name: quality.to_dict() for name, quality in found.items()})
        write_skipped(folder / "skipped.csv", [*skipped, *(Skipped(*pair) for pair in refused.items())])
        if check is not None:
            from balr_hf.cli import inspect_voices

            inspect_voices.write_voices(folder / inspect_voices.FILE, voices)
    if arguments.json:
        rows = [
            {"id": name, **quality.to_dict(), "refused": refused.get(name)}
            | ({} if check is None else {"voices": voices[name].to_dict() if name in voices else None})
            for name, quality in found.items()
        ]
        print_json(arguments, {"recordings": rows, "skipped": [vars(row) for row in skipped]})
    else:
        marks = {name: one.mark() for name, one in voices.items() if one.is_doubtful}
        print_text(_table(found, marks | refused))
    for name, one in voices.items():
        for sentence in one.describe(name):
            logger.warning("%s", sentence)
    warn_skipped(skipped, "Measuring")
    logger.info(_describe_counts(len(found), len(refused), len(skipped)))
    if check is not None:
        doubtful = sum(one.is_doubtful for one in voices.values())
        short = len(found) - sum(one.parts is not None for one in voices.values())
        logger.info(
            "%s may hold more than one voice, play it at another speed or come from a reverberant room; %s %s too "
            "short to have parts compared",
            doubtful or "None",
            short or "none",
            _are(short or 1),
        )
        for name in check.unheard:
            logger.info("The system has no %s (balr detectors makes one)", name)
    if folder is not None:
        logger.info("Saved in %s", folder)
    return 0 if found else 1


def _describe_counts(measured: int, refused: int, skipped: int) -> str:
    """How many recordings were measured, and how many extract and explain would refuse, measured or not."""
    text = f"{measured} recording{'s' * (measured != 1)} measured, {refused} of which extract and explain would refuse"
    if skipped:
        text += f"; {skipped} {'was' if skipped == 1 else 'were'} not measured, and would be refused as well"
    return text


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _table(found: "dict[str, RecordingQuality]", marks: dict[str, str]) -> str:
    """The measures of the first recordings, one line each, with what is to be said of it at the end."""
    heading = ("recording", "length", "speech", "level", "SNR", "band", "decay", "clipped", "tone", "")
    units = ("", "s", "s", "dBFS", "dB", "kHz", "dB/s", "%", "Hz", "")
    rows = [heading, units]
    for name, quality in list(found.items())[:SHOWN]:
        rows.append(
            (
                name,
                f"{quality.duration:.1f}",
                f"{quality.net_speech:.1f}",
                f"{quality.level:.0f}",
                "-" if quality.snr is None else f"{quality.snr:.0f}" + "*" * (quality.snr_method == "wada"),
                "-" if quality.bandwidth is None else f"{quality.bandwidth / 1000:.1f}",
                "-" if quality.decay is None else f"{quality.decay:.0f}",
                f"{100 * quality.clipping:.2f}",
                "-" if quality.tone is None else f"{quality.tone:.0f}",
                marks.get(name, ""),
            )
        )
    lines = aligned(rows, words=(0, len(heading) - 1))
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more (--save-dir saves all of them, --json prints them)")
    if any(quality.snr_method == "wada" for quality in found.values()):
        lines.append("* without pauses of 0.3 s, from the distribution of amplitudes (WADA-SNR): rough")
    return "\n".join(lines)


def _draw(folder: Path, name: str, measured: "Measured") -> None:
    """Save the picture of one recording, in folders like those of its id."""
    from balr_hf.audio import SAMPLING_RATE
    from balr_hf.data.recording_files import picture_path
    from balr_hf.figures import recording
    from balr_hf.files import atomic_path

    title = f"{Path(name).name}: {measured.quality.describe()}"
    figure = recording(measured.whole(), SAMPLING_RATE, measured.speech, title)
    with atomic_path(picture_path(folder, name)) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
