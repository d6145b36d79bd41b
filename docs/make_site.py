"""Collect the pages of the documentation site, for mkdocs to build: `make docs`.

    python docs/make_site.py build/docs
    python docs/make_site.py build/docs --gallery build/gallery

The pages are README.md, the pages in `docs/`, those in `docs/site/` that are for the site only, the guides of the
repository, the notebooks, and what is generated: the gallery, one page of the API reference per part of the package,
the reference of the command line, and the examples. Links between files of the repository become links between pages,
and a link to a file that has no page becomes plain text. With `--gallery`, a gallery that was made before is taken.
"""

import argparse
import ast
import base64
import importlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from balr_hf.cli.parsing import Command

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

# File of the repository -> page of the site. The pages in docs/ are added to these.
PAGES = {
    "README.md": "index.md",
    "benchmarks/README.md": "benchmarks.md",
    "tests/README.md": "tests.md",
    "resources/models/recipes/README.md": "recipes.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "GOVERNANCE.md": "governance.md",
    "SECURITY.md": "security.md",
}

# The parts of the package in the order of the API reference, each with what it is for.
AREAS = {
    "audio": "Any audio becomes samples at 16 kHz, mono.",
    "data": "Corpora in and out, vector files, and the stores that keep vectors as they are computed.",
    "quality": "What is in a recording: speech, noise, bandwidth, level, clipping, tones, copies.",
    "conditions": "Recordings brought to conditions.",
    "embeddings": "Audio becomes embeddings: WeSpeaker's ResNet family and Kaldi's filter banks.",
    "attributes": "Embeddings become binary attributes: the autoencoder.",
    "training": "Fits the autoencoder: losses, samplers, the Accelerate loop.",
    "scoring": "Attributes become log-likelihood ratios: counts, trials, calibration, scorers.",
    "matching": "A calibration fitted anew on recordings in the conditions of a case.",
    "populations": "Who is in a population: its speakers by language, sex, source and channel.",
    "domain": "What a calibration is good for, and what lies outside it.",
    "explanation": "Why a likelihood ratio is what it is: as numbers, text and a page.",
    "evaluation": "Scores and labels become one evaluation: metrics, intervals, what they are of.",
    "metrics": "EER, minDCF, Cllr, devPAV and their intervals.",
    "figures": "Figures of performance, of attributes, of a comparison and of recordings.",
    "system": "An embedder, an autoencoder and a scorer as one model.",
    "pipelines": "The two pipelines that `import balr_hf` adds to transformers.",
    "hub": "Pushing to the Hub, and the cards that write themselves.",
    "export": "Audio to attributes as one ONNX file.",
    "identity": "What made a vector, and on whose vectors a model was trained.",
    "validation": "The validation report of a whole system: figures by condition, by speaker, thresholds of adequacy.",
    "detectors": "Whether people speak at the same time, speech is played at another speed, or comes from a room.",
    "phonetics": "What a phonetician measures of a voice: F0, formants, voice quality, spectral balance, rate.",
    "timeline": "Attributes of windows of a recording, and what bands and stretches of time they change with.",
    "describing": "How attributes relate to what can be measured of a voice and of a recording.",
    "verification": "Whether models, vectors and results still belong together.",
    "pretrained": "What all models share.",
    "checkpoints": "Where models are found, on disk and on the Hub.",
    "defaults": "The small models and the sample corpus that ship with the package.",
    "errors": "The errors that say what to do.",
}

# Parts that users of the library do not call; CONTRIBUTING.md and their docstrings tell of them.
INTERNAL = {"class_paths", "cli", "containers", "devices", "files", "options", "registration"}
INTERNAL |= {"tables", "templates", "threads", "untrusted", "vectors"}


def collect(target: Path, gallery: Path | None) -> None:
    """Fill the folder `target`, which is emptied before."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    pages = {path: Path(page) for path, page in PAGES.items()}
    pages |= {f"docs/{path.name}": Path(path.name) for path in sorted((ROOT / "docs").glob("*.md"))}
    pages |= {f"docs/site/{path.name}": Path(path.name) for path in sorted((ROOT / "docs" / "site").glob("*.md"))}
    assets = [
        *(ROOT / "docs").glob("*.svg"),
        *(ROOT / "docs").glob("*.png"),
        *(ROOT / "docs" / "site").glob("*.[cj]s*"),
    ]
    pages |= {path.relative_to(ROOT).as_posix(): Path(path.name) for path in assets}
    notebooks = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
    pages |= {path.relative_to(ROOT).as_posix(): notebook_page(path) for path in notebooks}
    for source, page in pages.items():
        if page.suffix == ".md":
            text = relinked((ROOT / source).read_text(encoding="utf-8"), source, pages)
            if source.endswith(".ipynb"):
                text = notebook(json.loads(text), target, page.stem)
            (target / page).write_text(text, encoding="utf-8")
        else:
            shutil.copy(ROOT / source, target / page)
    if gallery is None:
        from make_gallery import make

        make(target / "gallery")
    else:
        shutil.copytree(gallery, target / "gallery")
    (target / "commands.md").write_text(command_line(), encoding="utf-8")
    (target / "examples.md").write_text(examples(), encoding="utf-8")
    names = api(target / "api")
    (target.parent / "names.json").write_text(json.dumps(names), encoding="utf-8")


def relinked(text: str, source: str, pages: dict[str, Path]) -> str:
    """The text of a file of the repository, with links that hold on the site."""

    def link(match: re.Match[str]) -> str:
        words, target = match["words"], match["target"]
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:") or not path:
            return match[0]
        parts: list[str] = []
        for part in (PurePosixPath(source).parent / path).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        found = "/".join(parts)
        if source.startswith("docs/site/") and not (ROOT / found).exists():
            return match[0]  # a page that is generated, such as gallery/index.md; mkdocs checks it
        if found in pages:
            shown = title(found) if words.endswith(".md") else words
            return f"{match['image']}[{shown}]({pages[found].as_posix()}{'#' if anchor else ''}{anchor})"
        if found == "examples" or (found.startswith("examples/") and found.endswith(".py")):
            return f"[{words}](examples.md{'#' + slug(found) if found.endswith('.py') else ''})"
        if not (ROOT / found).exists():
            raise SystemExit(f"{source}: the link {target} leads nowhere")
        return words

    pieces = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)  # code is left as it is
    pattern = r"(?P<image>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)"
    return "".join(piece if piece.startswith("```") else re.sub(pattern, link, piece) for piece in pieces)


def notebook_page(path: Path) -> Path:
    """The page of a notebook."""
    return Path(f"notebook-{path.stem.replace('_', '-')}.md")


def notebook(content: dict[str, Any], target: Path, name: str) -> str:
    """A notebook as a page: its text, its code, and what the code prints. Its pictures go to the folder `target`."""
    parts = []
    for number, cell in enumerate(content["cells"]):
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            if "text" in output:
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
            else:
                picture = f"{name}-{number}.png"
                (target / picture).write_bytes(base64.b64decode("".join(output["data"]["image/png"])))
                parts.append(f"![What the code above draws]({picture})")
    return "\n\n".join(parts) + "\n"


def title(source: str) -> str:
    """The first heading of a page of the repository."""
    text = (ROOT / source).read_text(encoding="utf-8")
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def command_line() -> str:
    """The reference of all commands, from their parsers."""
    from balr_hf.cli.commands import COMMANDS

    parts = [
        "# Commands",
        "This page is generated from the parsers of the commands, as `balr COMMAND --help` is. A setting can be given "
        "as a flag (`--epochs 50`) or as `section.key=value` (`trainer.epochs=50`). An error is reported in one line; "
        "with `BALR_DEBUG=1` in the environment, the traceback is shown.",
        "| command | what it does |\n| --- | --- |\n"
        + "\n".join(f"| [`balr {name}`](#{slug('balr ' + name)}) | {text} |" for name, (_, text) in COMMANDS.items()),
    ]
    for name, (module, _) in COMMANDS.items():
        parts += command(name, importlib.import_module(module).COMMAND)
    return "\n\n".join(parts) + "\n"


def command(name: str, known: "Command") -> Iterator[str]:
    """The parts of the reference of one command."""
    parser = known.parser()
    formatter = parser._get_formatter()
    yield f"## balr {name}"
    yield known.description
    yield f"```text\n{parser.usage}\n```"
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if "--help" not in action.option_strings]
        if not actions:
            continue
        yield f"**{(group.title or 'options').capitalize() if '.' not in (group.title or '') else group.title}**"
        if group.description:
            yield group.description
        rows = [(invocation(action), formatter._expand_help(action)) for action in actions]
        yield "| argument | what it does |\n| --- | --- |\n" + "\n".join(
            f"| {flags} | {cell(text)} |" for flags, text in rows
        )
    examples = known.epilog.removeprefix("examples:\n")
    if examples:
        lines = "\n".join(line.removeprefix("  ") for line in examples.splitlines())
        yield f"```console\n{lines}\n```"


def invocation(action: argparse.Action) -> str:
    """How an argument is typed."""
    if not action.option_strings:
        return f"`{action.metavar or action.dest.upper()}`"
    return ", ".join(f"`{flag}`" for flag in action.option_strings)


def cell(text: str) -> str:
    """A text in a table of Markdown, taken literally."""
    return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", " ".join(text.split()))


def examples() -> str:
    """All examples with their explanations and their code."""
    parts = ["# Examples", "Each script is complete, and the tests run it."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(code)) or "").split("\n")[0]
        parts += [f"## examples/{path.name}", first, f"````python\n{code.rstrip()}\n````"]
    return "\n\n".join(parts) + "\n"


def api(target: Path) -> dict[str, str]:
    """Write a page for each area, and return the full names of what they document by each name that is unique."""
    target.mkdir()
    package = ROOT / "balr_hf"
    here = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    unknown = {name for name in here if not name.startswith("_")} ^ (AREAS.keys() | INTERNAL)
    if unknown:
        raise SystemExit(f"AREAS and INTERNAL differ from the package in {', '.join(sorted(unknown))}")
    found: dict[str, set[str]] = {}
    intro = "Generated from the docstrings. `import balr_hf` offers the most important names itself."
    index = ["# API reference", intro]
    for area, purpose in AREAS.items():
        parts = [f"# balr_hf.{area}", purpose]
        for module in modules(package, area):
            public = public_names(module)
            if public:
                parts.append(f"::: {module}\n    options:\n      members: {json.dumps(list(public))}")
                for name in (name for names in public.values() for name in names):
                    for short in (f"{module}.{name}", name, name.rpartition(".")[2]):
                        found.setdefault(short, set()).add(f"{module}.{name}")
        (target / f"{area}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        index.append(f"- [`balr_hf.{area}`]({area}.md): {purpose}")
    (target / "index.md").write_text("\n\n".join(index[:2]) + "\n\n" + "\n".join(index[2:]) + "\n", encoding="utf-8")
    return {short: full.pop() for short, full in found.items() if len(full) == 1}


def modules(package: Path, area: str) -> list[str]:
    """The modules of an area, without those of `evaluate`, which have the docstrings of the metrics."""
    paths = sorted(path for path in (package / area).glob("*.py") if path.stem != "__init__")
    return [f"balr_hf.{area}", *(f"balr_hf.{area}.{path.stem}" for path in paths)]


def public_names(module: str) -> dict[str, list[str]]:
    """The functions and classes that a module defines, in their order, each with its own and its methods' names.

    Only what has a docstring and no underscore before its name is public.
    """
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if is_public(node):
            methods = node.body if isinstance(node, ast.ClassDef) else []
            found[node.name] = [node.name, *(f"{node.name}.{m.name}" for m in methods if is_public(m))]
    return found


def is_public(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.ClassDef]:
    """Whether a statement defines a function or class that is public."""
    defines = isinstance(node, ast.FunctionDef | ast.ClassDef)
    return defines and node.name[0] != "_" and bool(ast.get_docstring(node))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder for the pages; what it holds is removed")
    parser.add_argument("--gallery", type=Path, help="folder of a gallery that docs/make_gallery.py made")
    arguments = parser.parse_args()
    collect(arguments.target, arguments.gallery)
