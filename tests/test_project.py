"""The files about the project agree with each other and with the package."""

import ast
import re
import runpy
import sys
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


def test_the_oldest_versions_that_are_tested_are_the_oldest_that_are_allowed(root, settings):
    """A promise of an older version that nobody tested would be found out by users."""
    project = settings["project"]
    extras = project["optional-dependencies"]
    used = [*project["dependencies"], *extras["app"], *extras["onnx"]]
    allowed = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", one).groups() for one in used)
    stated = (root / "constraints-oldest.txt").read_text(encoding="utf-8")
    tested = dict(re.findall(r"^([\w-]+)==(\S+)$", stated, re.MULTILINE))
    assert allowed == {name: tested.get(name) for name in allowed}


def test_what_the_package_imports_is_declared(root, settings):
    """A library that only comes with another one may stay away with its next version."""
    extras = settings["project"]["optional-dependencies"]
    declared = " ".join([*settings["project"]["dependencies"], *extras["onnx"], *extras["rooms"]])
    named = {*re.findall(r"([A-Za-z][\w-]*)>=", declared), "wespeaker"}
    of = {"sklearn": "scikit-learn", "yaml": "pyyaml", "silero_vad": "silero-vad", "markupsafe": "jinja2"}
    of |= {"pytorch_metric_learning": "pytorch-metric-learning", "argparse_dataclass": "argparse-dataclass"}
    of |= {"onnx_ir": "onnxscript"}
    imported = set()
    for path in (root / "balr_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    others = imported - sys.stdlib_module_names - {"balr_hf"}
    assert len(others) > 15 and {of.get(name, name) for name in others} <= named


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


def test_readme_on_pypi_has_no_link_that_leads_nowhere(root, settings):
    """PyPI knows no files of the repository."""
    for_pypi = runpy.run_path(str(root / "hatch_build.py"))["for_pypi"]
    text = "![a\npicture](docs/a.png) [b](docs/b.md#c) [d](https://example.org) [e](#here)\n```\n[f](g)\n```\n"
    assert for_pypi(text, None) == " b [d](https://example.org) [e](#here)\n```\n[f](g)\n```\n"
    assert for_pypi(text, "https://example.org/blob/v1/") == (
        "![a\npicture](https://example.org/blob/v1/docs/a.png?raw=true) [b](https://example.org/blob/v1/docs/b.md#c) "
        "[d](https://example.org) [e](#here)\n```\n[f](g)\n```\n"
    )


@pytest.mark.parametrize("source", [None, "https://example.org/me/balr_hf"])
def test_metadata_have_the_readme_for_pypi(root, tmp_path, source):
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    for name in ("README.md", "LICENSE", "hatch_build.py", "balr_hf/_version.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((root / name).read_bytes())
    stated = (root / "pyproject.toml").read_text(encoding="utf-8")
    if source is not None:
        assert "[project.urls]" not in stated  # where they are known, this test has to change
        stated = stated.replace("[project.scripts]", f'[project.urls]\nSource = "{source}"\n\n[project.scripts]')
    (tmp_path / "pyproject.toml").write_text(stated, encoding="utf-8")
    core = ProjectMetadata(str(tmp_path), PluginManager()).core
    relative = re.findall(r"\]\((?!https?://)([^)]*)\)", core.readme)
    assert core.readme.startswith("# balr_hf\n") and core.readme_content_type == "text/markdown" and not relative
    assert (f"]({source}/blob/v{__version__}/docs/tutorial-compare.md)" in core.readme) == (source is not None)
