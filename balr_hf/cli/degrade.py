"""`balr degrade`: copies of a corpus, brought to given recording conditions."""

from dataclasses import dataclass

from balr_hf.cli.copying import read_input, report
from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.sections import CorpusOptions
from balr_hf.options import option


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
    "columns of the corpus, and where each recording came from (source_id, condition, seed). Copies in the first "
    "condition keep the ids of their originals; those in the N-th condition are called ID@N. A recording that cannot "
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
    from balr_hf.conditions import parse_conditions
    from balr_hf.conditions.copies import save_copies
    from balr_hf.errors import ConfigError

    if not arguments.condition:
        raise ConfigError("--condition is missing: what is to become of the recordings, e.g. --condition snr=10")
    conditions = parse_conditions(arguments.condition)
    corpus = read_input(arguments, "copy")
    saved = save_copies(
        corpus, conditions, arguments.save_dir, seed=arguments.seed, noise=arguments.noise, progress=True
    )
    return report(arguments, saved, "Degrading", conditions=list(map(str, conditions)))
