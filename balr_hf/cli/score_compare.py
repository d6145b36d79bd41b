"""`balr score compare`: whether two systems differ by more than chance on the same trials."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from balr_hf.cli.parsing import Arguments, Command, positional
from balr_hf.cli.printing import print_json
from balr_hf.cli.sections import RunOptions, bootstrap_option
from balr_hf.options import option

if TYPE_CHECKING:
    import numpy as np

    from balr_hf.scoring.two_results import TwoResults

logger = logging.getLogger(__name__)

# So many characters of a result's name fit into a legend.
NAME_IN_LEGEND = 30


@dataclass(kw_only=True)
class Options(RunOptions):
    """Options of `balr score compare`."""

    test: str = positional("test", "corpus that names the speakers of the recordings in the trials")
    first: str = positional(
        "first",
        "the first system's result, A: folder of balr score test or balr validate; or a csv file with a trial list's "
        "columns and one called scores; or a list of scores by Kaldi (each line ID ID SCORE), WeSpeaker or "
        "SpeechBrain. :COLUMN behind it takes another column: runs/score:embedding_cosine",
    )
    second: str = positional("second", "the second system's result, B, of the same trials")
    sep: str = option(
        "\\t",
        "character between the columns of the scores; \\t is a tab. A list whose header names enrollment and test "
        "with a tab, a comma, a semicolon or a space between them is read so in any case",
        type=str,
    )
    common: bool = option(
        False,
        "compare the trials that both have, if one result lacks some of the other's [default: such results are "
        "refused]",
    )
    folds: int = option(
        0,
        "also calibrate the scores of both on these trials, cross-validated in this many folds of speakers (at least "
        "3), and compare that Cllr; for scores that are no likelihood ratios, such as cosines",
    )
    by: str | None = option(
        None, "column of the corpus (sex, channel, ...) by whose values the trials are also compared apart", type=str
    )
    bootstrap: int = bootstrap_option()
    plots: bool = option(
        False, "also draw a DET plot of both, and a Tippett plot if both are calibrated, or --folds is given"
    )


COMMAND = Command(
    "score compare",
    "Compare two systems on the same trials: EER, minDCF and Cllr of both, and the differences with 95 % intervals. "
    "The draws of the speakers are the same for both, so that what makes trials hard for both does not count. "
    "metrics.json and report.txt go to runs/compare, runs/compare2, ... The figures are of likelihood ratios without "
    "the calibration's bounds.",
    Options,
    epilog="""examples:
  balr score compare test.csv runs/score runs/score2
  balr score compare test.csv runs/validate runs/validate2 --plots
  balr score compare --by channel test.csv runs/score runs/score2
  balr score compare test.csv runs/score:embedding_cosine runs/score --folds 5
  balr score compare test.csv exp/scores/vox1_O_cleaned.kaldi.score runs/score --folds 5""",
)


def run(arguments: Arguments) -> None:
    """Compare, and save what was found."""
    from balr_hf.cli.models import separator
    from balr_hf.data.reading import read_corpus
    from balr_hf.data.skipped import warn_skipped
    from balr_hf.files import atomic_path, new_run_folder, write_json
    from balr_hf.scoring.result_files import read_result
    from balr_hf.scoring.two_results import compare_results

    sep = separator(arguments)
    first, second = (read_result(source, sep) for source in (arguments.first, arguments.second))
    corpus = read_corpus(
        arguments.test, audio_formats=arguments.audio_formats, root_dir=arguments.root_dir, vectors=()
    )
    warn_skipped(corpus.skipped, f"Reading {arguments.test}")
    found = compare_results(
        corpus.dataset,
        first,
        second,
        common=arguments.common,
        draws=arguments.bootstrap,
        folds=arguments.folds,
        by=arguments.by,
        progress=True,
    )
    folder = new_run_folder(arguments.save_dir, "runs/compare", arguments.exist_ok)
    content = found.to_dict() | {"corpus": arguments.test}
    write_json(folder / "metrics.json", content)
    with atomic_path(folder / "report.txt") as temporary:
        temporary.write_text(found.to_text() + "\n", encoding="utf-8")
    if arguments.plots:
        _draw(found, folder / "plots")
    print_json(arguments, content | {"saved_in": str(folder)})
    logger.info("%s\nSaved in %s", found.to_text(), folder)


def _short(name: str) -> str:
    """The name of a result for a legend: no longer than a figure holds, and without its folders, which are private."""
    last = Path(name).name or Path(name).resolve().name
    return last if len(last) <= NAME_IN_LEGEND else f"\N{HORIZONTAL ELLIPSIS}{last[1 - NAME_IN_LEGEND :]}"


def _draw(found: "TwoResults", folder: Path) -> None:
    """Draw both systems in one plot of each kind."""
    from balr_hf.figures import performance
    from balr_hf.figures.style import save_figure

    def of_both(scores: "np.ndarray") -> "dict[str, np.ndarray]":
        return {f"{side}, {_short(name)}": one for side, name, one in zip("AB", found.names, scores, strict=True)}

    note, speakers = found.describe_trials(), found.speakers
    save_figure(performance.det(of_both(found.scores), found.labels, note=note, speakers=speakers), folder, "det")
    llrs = found.scores if "cllr" in found.differences else found.llrs
    if llrs is not None:
        note += f", which calibrate both in {found.folds} folds of speakers" if llrs is found.llrs else ""
        save_figure(performance.tippett(of_both(llrs), found.labels, note=note, speakers=speakers), folder, "tippett")
    logger.info("Drew the plots in %s", folder)
