"""What README.md and docs/ show: commands parse, links lead somewhere, code prints what stands below it.

The page on VoxCeleb is run by tests/test_train_system.py.
"""

import difflib
import importlib
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")), "docs/site/method.md"]
GUIDES = ["CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "GOVERNANCE.md", "SECURITY.md"]
GUIDES += ["benchmarks/README.md", "tests/README.md", "resources/models/recipes/README.md", "examples/space/README.md"]

# Page -> how many of its commands are typed as they stand there. Those after them name files of the reader's own.
RUN = {
    "README.md": 2,
    "docs/command-line.md": 17,
    "docs/app.md": 0,
    "docs/attributes.md": 0,
    "docs/conditions.md": 12,
    "docs/data-formats.md": 0,
    "docs/measures.md": 1,
    "docs/python.md": 0,
    "docs/scoring-and-calibration.md": 0,
    "docs/systems.md": 0,
    "docs/timeline.md": 0,
    "docs/validation.md": 0,
}
TUTORIALS = tuple(f"docs/tutorial-{name}.md" for name in ("compare", "system", "report"))
# Pages whose code needs a test of its own: those below, and that of the Hub in tests/hub/test_examples.py.
OTHERS = ("docs/export.md", "docs/hub.md", "docs/voxceleb.md")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The words after `balr`, or after `-m balr_hf`, of each command of a page."""
    text = "\n".join([*blocks(page, "console"), *blocks(page, "bash")]).replace("\\\n", " ")
    lines = re.sub(r"\$\w+", "1", text).splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    starts = [
        [n for n, word in enumerate(words) if word == "balr" or words[max(0, n - 1) : n + 1] == ["-m", "balr_hf"]]
        for words in split
    ]
    return [words[start[0] + 1 :] for words, start in zip(split, starts, strict=True) if start]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def do(root, tmp_path, monkeypatch, balr, capfd, assert_shown, fresh_accelerate):
    """Does what a page says, block after block: types commands, runs Python, and compares what both show.

    Gives how many commands were typed and what Python has defined. With UPDATE_SHOWN=1, all lines of a step of which
    one differs are replaced in the page by those printed lines that are most like them, for somebody to read; with
    UPDATE_SHOWN=all, those of all steps, whose figures may be old within what is allowed.
    """
    import balr_hf

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(Path(balr_hf.__file__).parent.parent))

    wrong: list[str] = []
    typed_before: list[list[str]] = []
    instead: dict[str, str] = {}

    def compare(code: str, printed: str) -> None:
        lines, before = re.findall(r"^# => .*$", code, re.MULTILINE), len(wrong)
        for shown in lines:
            try:
                assert_shown(shown, printed, trained=any("train" in words[:2] for words in typed_before))
            except AssertionError as error:
                wrong.append("\n".join(str(error).splitlines()[:2]))
        is_old = len(wrong) > before or os.environ.get("UPDATE_SHOWN") == "all"
        for shown in lines if is_old else ():  # all of them, so that the figures are of one run
            for line in difflib.get_close_matches(shown.removeprefix("# => "), printed.splitlines(), 1, 0.5):
                instead[shown] = f"# => {line}"

    def types(step: str) -> bool:
        words = shlex.split(step.splitlines()[0], comments=True)
        if words[0] == "balr":
            from balr_hf.defaults import SYSTEM, resource

            typed_before.append(words)
            status, said = balr(*(word.replace("$SYSTEM", str(resource(SYSTEM))) for word in words[1:]))
            refused = re.search(r"^# => balr [\w ]+: error: ", step, re.MULTILINE) is not None
            assert (status != 0) == refused, f"{words}\n{said}"
            compare(step, said)
        elif words[0] in ("cp", "grep"):
            subprocess.run(["bash", "-c", step], check=True)
            if words[-2:] == ["cd", "sample"]:
                monkeypatch.chdir("sample")
        return words[0] == "balr"

    def do_it(page: str, limit: int | None = None) -> tuple[int, dict]:
        typed, defined = 0, {"__name__": "__main__"}  # as a script
        text = (root / page).read_text(encoding="utf-8")
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if language == "yaml":
                Path("case.yaml").write_text(block, encoding="utf-8")
            elif language == "console":
                for step in re.split(r"^(?!#)", block.replace("\\\n", " "), flags=re.MULTILINE):
                    if step.strip() and step[0] != "#" and (limit is None or typed < limit):
                        typed += types(step)
            elif language == "python":
                capfd.readouterr()
                exec(compile(block, page, "exec"), defined)
                compare(block, capfd.readouterr().out)
        if os.environ.get("UPDATE_SHOWN"):
            for shown, line in instead.items():
                text = text.replace(f"{shown}\n", f"{line}\n")
            (root / page).write_text(text, encoding="utf-8")
        assert not wrong, f"{page}, all lines that differ:\n" + "\n".join(wrong)
        return typed, defined

    monkeypatch.chdir(tmp_path)
    return do_it


def test_code_of_every_page_is_run(root):
    with_code = {page for page in PAGES + GUIDES if blocks(root / page, "python")}
    with_code |= {page for page in PAGES + GUIDES if re.search(r"^# => ", (root / page).read_text(), re.MULTILINE)}
    assert with_code - {*RUN, *TUTORIALS, *OTHERS} == set()


@pytest.mark.parametrize("page", [page for page in PAGES + GUIDES if commands(ROOT / page)])
def test_every_command_parses(root, page, monkeypatch, tmp_path):
    from balr_hf.cli.main import COMMANDS

    if page.endswith("moving-from-balr.md"):
        (settings,) = blocks(root / page, "yaml")
        (tmp_path / "balr2").mkdir()
        (tmp_path / "balr2" / "config.yaml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    for words in commands(root / page):
        name = next(" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS)
        importlib.import_module(COMMANDS[name][0]).COMMAND.parse(words[len(name.split()) :])


def test_every_command_has_its_function_in_the_table(root):
    from balr_hf.cli.main import COMMANDS

    table = (root / "docs" / "python.md").read_text(encoding="utf-8").partition("## Commands and functions")[2]
    assert sorted(re.findall(r"^\| `balr ([\w ]+)` \|", table, re.MULTILINE)) == sorted(COMMANDS)


@pytest.mark.parametrize("page", PAGES + GUIDES)
def test_every_link_leads_somewhere(root, page):
    text = re.sub(r"^```.*?^```", "", (root / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith(("mailto:", "gallery/")):
            continue  # the gallery is made when the site is built
        found = (root / page).parent / path if path else root / page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_figures_of_the_readme_are_those_of_the_benchmark(root):
    """Each row stands in the benchmark's table, which has more columns."""
    table = re.findall(r"^\| (.*) \|$", (root / "benchmarks" / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    measured = {row.split(" | ")[0]: row.split(" | ") for row in table}
    section = (root / "README.md").read_text(encoding="utf-8").split("## How well it works")[1].split("\n## ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[2:]]
    assert len(rows) >= 2
    for system, eer, cllr, cllr_min in rows:
        assert (measured[system][1], measured[system][4], measured[system][5]) == (eer, cllr, cllr_min)


@pytest.mark.slow
def test_picture_of_the_readme_shows_what_a_report_says(root, assert_shown):
    """If this fails, run docs/make_report_picture.py, and look at what it made."""
    from PIL import Image

    maker = runpy.run_path(str(root / "docs" / "make_report_picture.py"))
    with Image.open(root / "docs" / "report.png") as picture:
        pictured = picture.text["Description"]
    said = maker["shown"](maker["explained"]())
    assert len(pictured.splitlines()) == len(said.splitlines()) > 15
    assert_shown("\n".join(f"# => {line}" for line in pictured.splitlines()), said)


def test_settings_of_balr_reach_the_commands_that_have_them(root, tmp_path, monkeypatch):
    from balr_hf.cli import binarize, extract

    (settings,) = blocks(root / "docs" / "moving-from-balr.md", "yaml")
    (tmp_path / "config.yaml").write_text(settings)
    words = ["--config-path", str(tmp_path), "corpus.csv"]
    arguments = extract.COMMAND.parse(words)
    assert arguments.section("embeddings.model").model_repo == "Wespeaker/wespeaker-voxceleb-resnet34-LM"
    assert arguments.section("embeddings.model.features").waveform_scale == 1
    assert binarize.COMMAND.parse(words).section("encoder.model").checkpoint_path == "BAE_mse.pt"


def test_verbal_scale_of_the_page_is_the_programs(root):
    from balr_hf.explanation.verbal_scale import ranges

    text = (root / "docs" / "scoring-and-calibration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+(?: to [\d,]+| and above)) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == 7
    for (figures, words), (expected, support) in zip(rows, ranges(), strict=True):
        assert figures == expected
        assert words == "for neither proposition" or support == f"{words} support"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_page_does_what_it_shows(root, page, do):
    typed, defined = do(page, RUN[page])
    assert typed == RUN[page]
    if page == "docs/command-line.md":
        for name, figure, limit in (("calibrated", "cllr", 0.3), ("own/scores", "eer", 0.15)):
            assert json.loads(Path(name, "metrics.json").read_text())[figure] < limit
        assert Path("calibrated/plots/tippett.svg").exists()
    if page in ("README.md", "docs/command-line.md"):
        assert "<svg" in Path("report.html").read_text(encoding="utf-8")
    if page == "docs/python.md":
        total = float(defined["terms"].sum() + defined["scorer"].calibration_offset)
        assert defined["llr"].item() == pytest.approx(total) and defined["terms"].shape == (1, 512)
    if page == "docs/scoring-and-calibration.md":
        metrics = defined["evaluation"].metrics
        assert metrics["cllr_min"] < metrics["cllr"] < 0.5


@pytest.mark.slow
def test_tutorials_print_what_they_show(root, do):
    """The last goes on in the folder of the one before."""
    typed = [do(page)[0] for page in TUTORIALS]
    assert typed == [len(commands(root / page)) for page in TUTORIALS]
    assert "Example 2026-01" in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_python_of_the_page_on_onnx_runs(root, sample, tmp_path, monkeypatch, tiny_embedder):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    from balr_hf import BinaryAttributeAutoEncoder, load_audio
    from balr_hf.defaults import AUTOENCODER, SCORER, resource

    monkeypatch.chdir(tmp_path)
    run, compare, export, torch_export = blocks(root / "docs" / "export.md", "python")
    first, second = (load_audio(sample / "espeak17" / f"espeak17-0{number}.opus") for number in (1, 2))
    defined = {"embedder": tiny_embedder, "first": first, "second": second}
    defined["autoencoder"] = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    for code in (export, run, compare.replace("me/scorer", str(resource(SCORER))), torch_export):
        exec(code, defined)
    assert defined["attributes"].shape == (2, 512) and defined["llr"].item() > 0
    assert defined["program"].graph
