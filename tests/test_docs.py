"""What README.md and docs/ show: commands parse, links lead somewhere, Python runs, VoxCeleb's page runs in small."""

import importlib
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

PAGES = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("moving-from-balr", "data-formats", "voxceleb", "hub", "systems", "export", "at-scale")
    ),
)
PAGES += tuple(f"docs/{name}.md" for name in ("scoring-and-calibration", "conditions", "measures", "validation"))
PAGES += ("docs/attributes.md", "docs/limits.md")
TUTORIALS = tuple(f"docs/tutorial-{name}.md" for name in ("compare", "system", "report"))
PAGES += TUTORIALS


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The words after `balr`, or after `-m balr_hf.cli.main`, of each command of a page."""
    lines = "\n".join(blocks(page, "console")).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    starts = [[words.index(name) for name in ("balr", "balr_hf.cli.main") if name in words] for words in split]
    return [words[start[0] + 1 :] for words, start in zip(split, starts, strict=True) if start]


def test_every_page_is_checked_here(root):
    assert {f"docs/{path.name}" for path in (root / "docs").glob("*.md")} == set(PAGES[1:])


@pytest.mark.parametrize("page", PAGES)
def test_every_command_parses(root, page, monkeypatch, tmp_path):
    from balr_hf.cli.main import COMMANDS

    if page.endswith("moving-from-balr.md"):
        (settings,) = blocks(root / page, "yaml")
        (tmp_path / "balr2").mkdir()
        (tmp_path / "balr2" / "config.yaml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    found = commands(root / page)
    assert len(found) >= 3
    for words in found:
        name = next(" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS)
        importlib.import_module(COMMANDS[name][0]).COMMAND.parse(words[len(name.split()) :])


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(root, page):
    text = (root / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" not in target:
            assert not path or ((root / page).parent / path).exists(), target
            headings = [line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines() if line[:1] == "#"]
            assert not anchor or anchor in headings, target


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
    rows = re.findall(r"^\| ((?:above )?[\d,]+(?: to [\d,]+)?) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == 7
    for (figures, words), (expected, support) in zip(rows, ranges(), strict=True):
        assert figures == expected
        assert words == "for neither proposition" or support == f"{words} support"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    ["attributes", "conditions", "data-formats", "measures", "scoring-and-calibration", "systems", "validation"],
)
def test_python_runs_and_prints_what_the_page_shows(root, page, tmp_path, monkeypatch, capsys, assert_shown):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(root / "docs" / f"{page}.md", "python"))
    (tmp_path / "page.py").write_text(code)
    found = runpy.run_path("page.py")
    assert_shown(code, capsys.readouterr().out)
    if page == "scoring-and-calibration":
        metrics = found["evaluation"].metrics
        assert metrics["cllr_min"] < metrics["cllr"] < 0.5


@pytest.mark.slow
def test_tutorials_print_what_they_show(root, sample, tmp_path, monkeypatch, balr, capfd, assert_shown):
    """Each goes on in the folder of the one before. A command must print the lines that stand below it."""
    from balr_hf.defaults import SYSTEM, resource

    monkeypatch.chdir(sample)
    shown = 0
    for page in TUTORIALS:
        for case in blocks(root / page, "yaml"):
            Path("case.yaml").write_text(case, encoding="utf-8")
        text = "\n".join(block.replace("\\\n", " ") for block in blocks(root / page, "console"))
        for step in re.split(r"^(?!#)", text, flags=re.MULTILINE)[1:]:
            words = shlex.split(step.splitlines()[0]) if step.strip() else []
            if words[:1] == ["grep"]:
                subprocess.run(["bash", "-c", step], check=True)
            elif words[:1] == ["balr"]:
                status, said = balr(*(str(resource(SYSTEM)) if word == "SYSTEM" else word for word in words[1:]))
                assert status == 0, f"{words}\n{said}"
                assert_shown(step, said)
                shown += step.count("# => ")
        code = "\n".join(blocks(root / page, "python"))
        if code:
            (tmp_path / "page.py").write_text(code, encoding="utf-8")
            runpy.run_path(str(tmp_path / "page.py"))
            assert_shown(code, capfd.readouterr().out)
    assert shown > 40
    assert "Example 2026-01" in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_voxceleb_page_runs_on_a_small_corpus_laid_out_likewise(root, sample, tmp_path, monkeypatch, balr):
    """Voices take the places of speakers; with the shipped embedder, on the CPU, for two epochs."""
    from balr_hf.defaults import EMBEDDER, resource

    page = root / "docs" / "voxceleb.md"
    parts = {"voxceleb2/dev/aac": 6, "voxceleb2/test/aac": 3, "voxceleb1/dev/wav": 8, "voxceleb1/test/wav": 2}
    voices = iter(sorted(path for path in sample.iterdir() if path.is_dir()))
    for part, speakers in parts.items():
        for number in range(speakers):
            for take, path in enumerate(sorted(next(voices).glob("*.opus"))[:3]):
                ending = "m4a" if part.endswith("aac") else "wav"
                target = tmp_path / part / f"id{10000 + 100 * len(part) + number}" / "video" / f"{take:05}.{ending}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    test = sorted((tmp_path / "voxceleb1" / "test" / "wav").rglob("*.wav"))
    names = [str(path.relative_to(tmp_path / "voxceleb1" / "test" / "wav")) for path in test]
    pairs = [f"{int(a[:7] == b[:7])} {a} {b}" for n, a in enumerate(names) for b in names[:n]]
    (tmp_path / "voxceleb1" / "veri_test2.txt").write_text("\n".join(pairs) + "\n")

    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(blocks(page, "python")):
        (tmp_path / f"block{number}.py").write_text(block)
        runpy.run_path(f"block{number}.py")
    lines = commands(page)
    assert len(lines) == 15 and lines[0][0] == "convert"
    shutil.copytree(resource(EMBEDDER), "embedder")
    sizes = {"data.N_classes_per_batch=32": "data.N_classes_per_batch=3", "data.batch_size=512": "data.batch_size=48"}
    sizes |= {"trainer.epochs=200": "trainer.epochs=2"}
    for words in lines[1:]:
        words = [sizes.get(word, word) for word in words]
        words = ["cpu" if word.startswith("cuda") else word for word in words]
        if "--resume-from" in words:
            words[words.index("trainer.epochs=2")] = "trainer.epochs=3"
        if "--folds" in words:  # the two voices that are left to calibrate on are too few for it
            del words[words.index("--folds") : words.index("--folds") + 2]
        status, said = balr(*words)
        assert status == 0, f"{words}\n{said}"
    assert "15 trials (6 same-speaker) of 2 speakers" in said
    assert (tmp_path / "runs" / "score" / "plots" / "tippett.png").exists()
