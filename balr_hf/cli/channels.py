"""`balr channels`: each channel of a recording as a recording of its own."""

from dataclasses import dataclass

from balr_hf.cli.copying import read_input, report
from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option


@dataclass(kw_only=True)
class Options(CorpusOptions):
    """Options of `balr channels`."""

    input: str = positional(
        "input", "corpus: an audio file, a folder of audio, a csv, a saved Dataset, a parquet file or a Hub dataset"
    )
    save_dir: str | None = option(None, "folder for the channels (required)", type=str)
    json: bool = option(False, "print the results to standard output, as one JSON object")


COMMAND = Command(
    "channels",
    "Save each channel of each recording as a recording of its own, such as the two sides of a telephone call, whose "
    "voices the other commands refuse to mix. The samples and the sampling rate stay as they are (FLAC of 24 bits). "
    "A recording ID with several channels becomes ID-channel1, ID-channel2 and so on; one with one channel keeps its "
    "id. metadata.csv has the columns of the corpus and says which channel of which recording each was (source_id, "
    "source_channel); speaker is left out, since whose voice a channel holds is not known. Other commands average the "
    "channels of a recording that hold the same sounds. If a run was stopped, the same command continues it.",
    Options,
    epilog="""examples:
  balr channels call.wav --save-dir sides
  balr channels calls/ --save-dir sides
  balr inspect --voices sides           # whether the other voice is in a channel, too""",
)


def run(arguments: Arguments) -> int:
    """Save the channels; returns the exit status, 1 if there are none."""
    from balr_hf.conditions.channels import save_channels

    corpus = read_input(arguments, "channels")
    return report(arguments, save_channels(corpus, arguments.save_dir, progress=True), "Separating channels")
