"""The documentation site: every figure and page of the package is in its gallery, every module in its reference."""

import importlib
import inspect
import pkgutil
import re
import runpy

import pytest


@pytest.fixture
def gallery(root):
    return runpy.run_path(str(root / "docs" / "make_gallery.py"))


@pytest.fixture
def site(root):
    return runpy.run_path(str(root / "docs" / "make_site.py"))


def test_gallery_shows_every_figure_of_the_package(gallery):
    import balr_hf.figures

    found = set()
    for module in pkgutil.iter_modules(balr_hf.figures.__path__, "balr_hf.figures."):
        for name, function in vars(importlib.import_module(module.name)).items():
            own = inspect.isfunction(function) and function.__module__ == module.name and name[0] != "_"
            annotation = inspect.signature(function).return_annotation if own else None
            if getattr(annotation, "__name__", annotation) == "Figure":
                found.add(f"{module.name}.{name}")
    assert len(found) >= 10
    assert gallery["FIGURES"].keys() == found


def test_gallery_shows_every_page_of_the_package(root, gallery):
    templates = {path.name: path.read_text(encoding="utf-8") for path in (root / "balr_hf").rglob("*.jinja")}
    parts = set(re.findall(r'{%-? *(?:extends|include|import|from) "([^"]+)"', "".join(templates.values())))
    assert gallery["PAGES"].keys() == templates.keys() - parts


def test_commands_of_the_gallery_parse(gallery):
    import shlex

    from balr_hf.cli.main import COMMANDS

    for text in gallery["COMMANDS"]:
        words = shlex.split(text)
        name = next(" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS)
        importlib.import_module(COMMANDS[name][0]).COMMAND.parse(words[len(name.split()) :])


def test_command_reference_has_every_flag_of_every_command(site):
    from balr_hf.cli.main import COMMANDS

    text = site["command_line"]()
    sections = dict(re.findall(r"^## balr ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(COMMANDS)
    for name, (module, _) in COMMANDS.items():
        for action in importlib.import_module(module).COMMAND.parser()._actions:
            flags = [flag for flag in action.option_strings if flag not in ("-h", "--help")]
            assert all(f"`{flag}`" in sections[name] for flag in flags), (name, flags)


def test_api_reference_has_every_module_and_the_public_names(site, tmp_path):
    names = site["api"](tmp_path / "api")
    assert names["Trials"] == "balr_hf.scoring.trial_lists.Trials"
    assert names["WespeakerModel.extract_embeddings"].endswith(".WespeakerModel.extract_embeddings")
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "api").glob("*.md"))
    import balr_hf

    for name in balr_hf.__all__:
        if name != "__version__":
            assert f'"{name}"' in text, name


def test_what_is_returned_is_not_taken_for_a_name_by_the_reference(root):
    """`Returns:` and then `float: the cost` would be shown as a value with the name `float`."""
    named = re.compile(r"^ +(?:Returns|Yields):\n +\w+: .*", re.MULTILINE)
    package = (root / "balr_hf").rglob("*.py")
    shown = [path for path in package if "modules" not in path.parts]  # those in modules are those of `evaluate`
    found = [(path.name, match[0]) for path in shown for match in named.finditer(path.read_text(encoding="utf-8"))]
    assert len(shown) > 100 and found == []


def test_links_of_pages_lead_to_pages_of_the_site(site):
    from pathlib import Path

    pages = {"README.md": Path("index.md"), "docs/hub.md": Path("hub.md")}
    text = "[a](docs/hub.md#push) [b](examples/train.py) [c](LICENSE) [d](https://example.org)\n```\n[e](docs/hub.md)\n```\n"
    assert site["relinked"](text, "README.md", pages) == (
        "[a](hub.md#push) [b](examples.md#examplestrainpy) c [d](https://example.org)\n```\n[e](docs/hub.md)\n```\n"
    )
    assert site["relinked"]("[a](../README.md)", "docs/hub.md", pages) == "[a](index.md)"
    assert site["relinked"]("[docs/hub.md](docs/hub.md)", "README.md", pages) == "[The Hugging Face Hub](hub.md)"
    with pytest.raises(SystemExit, match=r"docs/hub.md: the link gone.md leads nowhere"):
        site["relinked"]("[a](gone.md)", "docs/hub.md", pages)


def test_navigation_names_every_page_of_the_site(root, site):
    """mkdocs itself refuses a page in `nav` that does not exist; this also finds pages that nobody can reach."""
    settings = (root / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [*site["PAGES"].values(), *(path.name for path in (root / "docs").glob("*.md"))]
    pages += [*(path.name for path in (root / "docs" / "site").glob("*.md")), "commands.md", "examples.md"]
    pages += [site["notebook_page"](path).name for path in (root / "examples" / "notebooks").glob("*.ipynb")]
    pages += [f"api/{area}.md" for area in site["AREAS"]]
    assert [page for page in pages if f": {page}\n" not in settings and f"- {page}\n" not in settings] == []


def test_page_of_a_notebook_has_its_code_and_what_it_shows(root, site, tmp_path):
    import json

    path = root / "examples" / "notebooks" / "exploring_attributes.ipynb"
    page = site["notebook"](json.loads(path.read_text(encoding="utf-8")), tmp_path, "name")
    assert page.startswith("# Exploring attributes\n") and "```python\nimport matplotlib" in page
    assert re.search(r"^```text\n32 recordings of 8 voices, 512 attributes each\n", page, re.MULTILINE)
    (picture,) = tmp_path.iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG") and f"]({picture.name})" in page
