"""The files about the project agree with each other and with the package."""

import re
import tomllib

import pytest
import yaml

from balr_hf import __version__


@pytest.fixture
def settings(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_citation_names_the_version_and_the_licence(root, settings):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["license"] == settings["project"]["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in settings["project"]["authors"]
    ]


def test_changelog_has_what_is_not_released_first_and_this_version(root):
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    assert __version__ in text


def test_workflows_test_every_python_that_is_named(root, settings):
    workflow = yaml.safe_load((root / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["check"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(settings["project"]["classifiers"]))
    assert set(named) <= set(tested)
    assert tested[0] == settings["project"]["requires-python"].removeprefix(">=")


def test_workflows_run_what_the_makefile_has(root):
    targets = set(re.findall(r"^([\w-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in (root / ".github" / "workflows").glob("*.yml"):
        used = set(re.findall(r"run: make ([\w-]+)", path.read_text(encoding="utf-8")))
        assert used <= targets, path
    guide = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([\w-]+)`", guide)) <= targets


def test_files_of_the_package_that_the_guide_names_exist(root):
    guide = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:balr_hf|tests|docs|benchmarks|\.github)/[\w./]+)`", guide)
    named = [path for path in paths if not re.search(r"[A-Z]{3}", path.rpartition("/")[2].removesuffix(".md"))]
    assert len(named) > 15
    assert [path for path in named if "NAME" not in path and not (root / path).exists()] == []
