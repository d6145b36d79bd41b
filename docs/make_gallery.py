"""Make every figure and page that the package makes, by its own commands, on what the package ships.

    python docs/make_gallery.py build/gallery

The sample corpus is copied to a temporary folder, and the commands in `COMMANDS` are run there as a user would type
them. What they write is collected in the folder of the argument, with `index.md`, the page that shows it.
`tests/test_gallery.py` compares the lists below with the figures and the templates of the package.
"""

import contextlib
import io
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CASE = """case: "Example 2026-01"
examiner: "Nobody: this report is an example"
propositions:
  H1: "Both recordings are of the same speaker."
  H2: "The recordings are of two speakers of the reference population."
remarks: "The voices are synthetic."
"""

QUESTIONED, KNOWN = "espeak17/espeak17-01.opus", "espeak17/espeak17-02.opus"

# The commands in their order. Each works on what those before it have written.
COMMANDS = (
    f"inspect --save-dir inspected --plots {QUESTIONED}",
    "extract metadata.csv",
    "binarize metadata.csv",
    "score calibrate train.csv dev_trials.csv --save-dir scorer --folds 4 --describe 'synthetic voices, English'",
    "score test --plots --save-dir calibrated test.csv trials.csv scorer.checkpoint_path=scorer",
    "score train --save-dir maxllr train.csv scorer=maxllr",
    "score test --plots --bootstrap 0 --save-dir tested-maxllr test.csv trials.csv scorer.checkpoint_path=maxllr",
    "score train --save-dir dna train.csv scorer=dna",
    "score test --plots --bootstrap 0 --save-dir tested-dna test.csv trials.csv scorer.checkpoint_path=dna",
    "train train.csv test.csv --epochs 20 --save-dir trained",
    "push --prepare card-autoencoder trained me/attributes --license mit",
    "assemble {system} {system} scorer system",
    "push --prepare card-system system me/system --license mit --results calibrated",
    "push --prepare card-scorer scorer me/scorer --license mit --results calibrated",
    "export {system} onnx",
    f"measure --save-dir measured --plots {QUESTIONED}",
    "validate system test.csv trials.csv --adequate cllr=0.5,eer=0.1 --bootstrap 200 --save-dir validated",
    "describe system metadata.csv --name 'synthetic voices' --html attributes.html --audio 1 --cache measures",
    f"explain --html report.html --case case.yaml --system system {QUESTIONED} {KNOWN}",
    f"explain --occlusion --html timeline.html --save-dir times --system system {QUESTIONED} {KNOWN}",
)


@dataclass(frozen=True)
class Shown:
    """One figure or page of the gallery.

    Args:
        title: its heading.
        what: what can be seen on it, and what to look at.
        made_by: the command, or the call in Python, that makes it.
        files: the name of each picture or page in the gallery -> where the commands write it.
    """

    title: str
    what: str
    made_by: str
    files: dict[str, str]


# The functions of `balr_hf.figures` by their full names.
FIGURES = {
    "balr_hf.figures.recording.recording": Shown(
        "One recording",
        "The spectrogram, with a bar above each stretch in which the voice-activity model found speech. The title has "
        "the measures that decide whether the recording can be used.",
        "balr inspect --save-dir inspected --plots RECORDING",
        {"recording.png": "inspected/plots/espeak17-01.png"},
    ),
    "balr_hf.figures.voice.voice": Shown(
        "A voice over time",
        "The waveform, the wide-band spectrogram with the formants, and F0 below it, as `balr measure` finds them.",
        "balr measure --save-dir measured --plots RECORDING",
        {"voice.png": "measured/plots/espeak17-01.png"},
    ),
    "balr_hf.figures.spectrograms.spectrograms": Shown(
        "Recordings side by side",
        "Spectrograms of several recordings on the same scales of time, frequency and level. These are a recording as "
        "it is, and the same recording brought to a condition by `Condition`.",
        "balr_hf.figures.spectrograms(samples, sampling_rate, names)",
        {"spectrograms.png": "spectrograms.png"},
    ),
    "balr_hf.figures.comparison.contributions": Shown(
        "What speaks for and against",
        "One comparison: the attributes that weigh most, each with its state on both sides, and below them how their "
        "sum and the calibration's offset make up the log-likelihood ratio.",
        "compare(questioned, known, return_explanation=True)['explanation'].figure()",
        {"contributions.png": "contributions.png"},
    ),
    "balr_hf.figures.timeline.timeline": Shown(
        "Attributes over time",
        "The waveforms of a comparison, each with the tracks of the attributes that weigh most: coloured where a "
        "window of 1 s has the attribute, grey where it does not. At the right stand the whole recording's attribute "
        "and the share of windows that agree with it. It does not show what an attribute means.",
        "balr explain --timeline --save-dir times QUESTIONED KNOWN",
        {"timeline.png": "times/timeline.png"},
    ),
    "balr_hf.figures.timeline.occlusion": Shown(
        "What attributes change with",
        "How the activations of some attributes change where one band of one stretch of time is replaced by the mean. "
        "Crosses mark where an attribute flips.",
        "balr explain --occlusion --save-dir times QUESTIONED KNOWN",
        {"occlusion.png": "times/occlusion.png"},
    ),
    "balr_hf.figures.performance.tippett": Shown(
        "Tippett plot",
        "How large the likelihood ratios of a test are. The curve of same-speaker trials rises, and that of "
        "different-speaker trials falls. The bands show draws of the speakers, and the legend states the rates of "
        "misleading evidence.",
        "balr score test --plots TEST TRIALS",
        {"tippett.png": "calibrated/plots/tippett.png"},
    ),
    "balr_hf.figures.performance.ece": Shown(
        "Empirical cross-entropy",
        "How much the likelihood ratios inform a court, for each prior. Where the curve lies above the dashed line of "
        "LR = 1, they mislead more than they help; its distance to the PAV curve is lost by calibration.",
        "balr score test --plots TEST TRIALS",
        {"ece.png": "calibrated/plots/ece.png"},
    ),
    "balr_hf.figures.performance.pav": Shown(
        "PAV plot",
        "What the likelihood ratios should have been, by the pool-adjacent-violators algorithm. Those of a calibrated "
        "system lie on the diagonal.",
        "balr score test --plots TEST TRIALS",
        {"pav.png": "calibrated/plots/pav.png"},
    ),
    "balr_hf.figures.performance.det": Shown(
        "DET plot",
        "Misses against false alarms on normal-deviate axes, with the equal error rates marked. Calibration does not "
        "change this plot unless it weighs attributes or adds measures of quality.",
        "balr score test --plots TEST TRIALS",
        {"det.png": "calibrated/plots/det.png"},
    ),
    "balr_hf.figures.validation.zoo": Shown(
        "The menagerie of speakers",
        "Each speaker by the mean log-likelihood ratio of the own trials and of those against others. Speakers in the "
        "corners are those on whom the system does unusually well or badly. The report of `balr validate` has it.",
        "balr validate SYSTEM CORPUS TRIALS",
        {"zoo.png": "zoo.png"},
    ),
    "balr_hf.figures.attributes.evidence": Shown(
        "Which attributes carry the evidence",
        "The mean terms of the attributes that separate most, and how many attributes make up which share of the "
        "whole separation.",
        "balr score test --plots TEST TRIALS",
        {"evidence.png": "calibrated/plots/evidence.png"},
    ),
    "balr_hf.figures.attributes.parameters": Shown(
        "What a scorer has learnt",
        "The parameters of each attribute. There is one kind of picture per kind of scorer: the Dirichlet-multinomial "
        "scorer (`beta`), `maxllr`, and the profiles of `dna` and `speech`.",
        "balr score test --plots TEST TRIALS scorer.checkpoint_path=SCORER",
        {
            "parameters.png": "calibrated/plots/parameters.png",
            "parameters-maxllr.png": "tested-maxllr/plots/parameters.png",
            "parameters-dna.png": "tested-dna/plots/parameters.png",
        },
    ),
    "balr_hf.figures.training.curves": Shown(
        "How training went",
        "The losses by epoch, with a cross where the total on the validation set was lowest. This run of 20 epochs on "
        "synthetic voices is only there to be shown.",
        "balr push --prepare FOLDER RUN REPOSITORY",
        {"curves.png": "card-autoencoder/training_curves.png"},
    ),
}

# The templates of pages by their names. Templates that others extend or include are no pages.
PAGES = {
    "page.html.jinja": Shown(
        "The report of a comparison",
        "A page of its own, without scripts and without anything that is loaded from elsewhere, for the screen and "
        "for paper. This one is marked as a demonstration, because the small models of the package made it. Its "
        "system is described, so that the page has groups, sentences and the measures of both sides.",
        "balr explain --html report.html --case case.yaml --system SYSTEM QUESTIONED KNOWN",
        {"report.html": "report.html"},
    ),
    "timeline.html.jinja": Shown(
        "The report with attributes over time",
        "The section that `--timeline` and `--occlusion` add to the report, with a script of its own: a click on a "
        "stretch of a track plays it. The page holds the sound of the recordings.",
        "balr explain --occlusion --html timeline.html QUESTIONED KNOWN",
        {"timeline.html": "timeline.html"},
    ),
    "attributes.html.jinja": Shown(
        "What attributes go with",
        "Every attribute of a system with its class, its group, its sentence and the measures behind it, to filter "
        "and to sort. Few synthetic voices made this one; with a hundred speakers and more there is more to see.",
        "balr describe SYSTEM CORPUS --html attributes.html --audio 1",
        {"attributes.html": "attributes.html"},
    ),
    "report.html.jinja": Shown(
        "The validation report of a system",
        "Metrics with their intervals, the threshold that the user stated, plots, tables by condition and by speaker, "
        "and the most misleading trials by name.",
        "balr validate SYSTEM CORPUS TRIALS --adequate cllr=0.5,eer=0.1",
        {"validation.html": "validated/report.html"},
    ),
    "autoencoder.md.jinja": Shown(
        "The card of an autoencoder",
        "What the Hub shows of an autoencoder: code to paste, training data and settings, curves, limits.",
        "balr push --prepare FOLDER RUN REPOSITORY",
        {"card-autoencoder.md": "card-autoencoder/README.md"},
    ),
    "scorer.md.jinja": Shown(
        "The card of a scorer",
        "What the Hub shows of a scorer: what it was fitted and calibrated on, and the results of a test.",
        "balr push --prepare FOLDER SCORER REPOSITORY --results TESTED",
        {"card-scorer.md": "card-scorer/README.md"},
    ),
    "embedder.md.jinja": Shown(
        "The card of an embedder",
        "What the Hub shows of an embedder.",
        "balr_hf.hub.publishing.prepare_model(embedder, folder, repository)",
        {"card-embedder.md": "card-embedder/README.md"},
    ),
    "system.md.jinja": Shown(
        "The card of a whole system",
        "What the Hub shows of an embedder, an autoencoder and a scorer in one repository.",
        "balr push --prepare FOLDER SYSTEM REPOSITORY --results TESTED",
        {"card-system.md": "card-system/README.md"},
    ),
    "dataset.md.jinja": Shown(
        "The card of a corpus",
        "What the Hub shows of a corpus: how many recordings and speakers it has, its columns, and code to paste.",
        "balr push CORPUS REPOSITORY",
        {"card-dataset.md": "card-dataset.md"},
    ),
    "onnx.md.jinja": Shown(
        "The card of an ONNX export",
        "What lies beside `model.onnx`: how to run it, and how exactly it agrees with the models.",
        "balr export SYSTEM DIR",
        {"card-onnx.md": "onnx/README.md"},
    ),
}


def make(target: Path) -> None:
    """Run the commands, and fill the folder `target` with their figures and pages and with `index.md`."""
    from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource

    target.mkdir(parents=True, exist_ok=True)
    target = target.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "sample"
        shutil.copytree(resource(SAMPLE_CORPUS), folder)
        with working_in(folder):
            Path("case.yaml").write_text(CASE, encoding="utf-8")
            for command in COMMANDS:
                run(shlex.split(command.format(system=resource(SYSTEM))))
            for make_more in (spectrograms, contributions, menagerie, cards):
                make_more()
        for shown in [*FIGURES.values(), *PAGES.values()]:
            for name, source in shown.files.items():
                shutil.copy(folder / source, target / name)
    (target / "index.md").write_text(page(target), encoding="utf-8")


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make `folder` the working directory for the time of the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(words: list[str]) -> None:
    """Run one command of `balr`, and end with what it printed if it fails."""
    from balr_hf.cli.main import main

    print("balr", *words, file=sys.stderr)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main(words)
    if status:
        raise SystemExit(f"balr {shlex.join(words)} ended with {status}:\n{printed.getvalue()}")


def spectrograms() -> None:
    """A recording as it is, and in a condition."""
    from balr_hf import figures, load_audio
    from balr_hf.audio import SAMPLING_RATE
    from balr_hf.conditions import Condition

    samples, text = load_audio(QUESTIONED), "snr=10,band=telephone"
    figure = figures.spectrograms(
        [samples, Condition.parse(text).apply(samples, 0)], SAMPLING_RATE, ["as recorded", text]
    )
    figure.savefig("spectrograms.png", dpi=150)


def contributions() -> None:
    """The figure of one comparison, by the system that the commands assembled."""
    from transformers import pipeline

    import balr_hf  # noqa: F401 (registers the pipeline)

    compare = pipeline("speaker-comparison", "system", device="cpu")
    explanation = compare(QUESTIONED, KNOWN, return_explanation=True)["explanation"]
    explanation.figure().savefig("contributions.png", dpi=150)


def menagerie() -> None:
    """The zoo plot of the system that the commands assembled, which the report has as a part of its page."""
    from balr_hf import SpeakerComparisonModel, load_corpus
    from balr_hf.scoring.trials import read_trials
    from balr_hf.validation import validate
    from balr_hf.validation.page import figures

    system = SpeakerComparisonModel.from_pretrained("system")
    found = validate(system, load_corpus("test.csv"), read_trials("trials.csv"), draws=0)
    figures(found)["zoo"].savefig("zoo.png", dpi=150)


def cards() -> None:
    """The cards that no command writes without uploading."""
    from huggingface_hub import DatasetCard

    from balr_hf import WespeakerModel, load_corpus
    from balr_hf.defaults import EMBEDDER, resource
    from balr_hf.hub.dataset_card import dataset_card
    from balr_hf.hub.publishing import prepare_model

    Path("card-embedder").mkdir()
    prepare_model(WespeakerModel.from_pretrained(resource(EMBEDDER)), Path("card-embedder"), "me/embedder")
    card = dataset_card(
        load_corpus("metadata.csv"), "me/corpus", DatasetCard("---\nlicense: mit\n---\n"), license="mit"
    )
    Path("card-dataset.md").write_text(str(card), encoding="utf-8")


def page(target: Path) -> str:
    """The gallery's page. Cards are shown as text, since they are Markdown with metadata for the Hub."""
    parts = [
        "# Gallery",
        "Every figure and every page that the package makes. `docs/make_gallery.py` made them when this site was "
        "built, with the commands of the package, its small demonstration models and its synthetic voices. They show "
        "what things look like; the values say nothing about real speech. A click on a picture opens it in its own "
        "size.",
        "## Figures",
        *(section(name, shown, target, picture) for name, shown in FIGURES.items()),
        "## Pages",
        *(section("", shown, target, embedded) for shown in PAGES.values()),
    ]
    return "\n\n".join(parts) + "\n"


def section(name: str, shown: Shown, target: Path, show: Callable[[Shown, Path], str]) -> str:
    """One figure or page with its heading, its explanation and what makes it."""
    function = f" The function is [`{name.removeprefix('balr_hf.')}`][{name}]." if name else ""
    files = [show(shown, target / file) for file in shown.files]
    return "\n\n".join([f"### {shown.title}", shown.what + function, f"```text\n{shown.made_by}\n```", *files])


def picture(shown: Shown, file: Path) -> str:
    """A picture, with its title for those who do not see it. It leads to itself alone, where it has its own size."""
    return f"[![{shown.title} ({file.stem})]({file.name})]({file.name})"


def embedded(shown: Shown, file: Path) -> str:
    """A page in a frame, or a card as text that can be unfolded."""
    if file.suffix == ".html":
        return (
            f"[Open the page by itself]({file.name})\n\n"
            f'<iframe class="page" src="{file.name}" title="{shown.title}" loading="lazy"></iframe>'
        )
    text = file.read_text(encoding="utf-8")
    file.unlink()
    lines = "\n".join(f"    {line}".rstrip() for line in ["````markdown", *text.splitlines(), "````"])
    return f'??? example "{shown.title}"\n\n{lines}'


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    make(Path(sys.argv[1]))
