"""The notebooks of examples/: each is a script and a notebook with the same cells, which print what it shows."""

import json
import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parent.parent / "examples" / "notebooks").glob("*.py"))


def cells_of_script(path: Path) -> list[tuple[str, str]]:
    """Kind and text of each cell of a script in the percent format, without its header."""
    text = path.read_text(encoding="utf-8")
    parts = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)[1:]
    cells = []
    for marker, body in zip(parts[::2], parts[1::2], strict=True):
        kind = "markdown" if marker.strip() == "[markdown]" else "code"
        lines = body.strip("\n").split("\n")
        cells.append((kind, "\n".join(re.sub("^# ?", "", line) if kind == "markdown" else line for line in lines)))
    return cells


def cells_of_notebook(path: Path) -> list[dict]:
    return json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]


def printed(cell: dict) -> str:
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", ()))


def test_there_are_notebooks():
    assert len(SCRIPTS) >= 3


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_and_notebook_have_the_same_cells(script):
    """If this fails, run `make notebooks`."""
    notebook = [(cell["cell_type"], "".join(cell["source"])) for cell in cells_of_notebook(script)]
    assert cells_of_script(script) == notebook


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebook_is_small_and_has_no_errors(script):
    outputs = [output for cell in cells_of_notebook(script) for output in cell.get("outputs", ())]
    assert script.with_suffix(".ipynb").stat().st_size < 100_000
    assert {output["output_type"] for output in outputs} == {"stream", "display_data"}
    assert {output["name"] for output in outputs if "name" in output} == {"stdout"}
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_cells_print_what_the_notebook_shows(script, tmp_path, monkeypatch, capfd, assert_shown):
    """If this fails though the code is right, run `make notebooks`: models or words have changed."""
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    defined = {"__name__": "notebook"}
    for (kind, code), cell in zip(cells_of_script(script), cells_of_notebook(script), strict=True):
        if kind == "code":
            capfd.readouterr()
            exec(compile(code, script.name, "exec"), defined)
            found = capfd.readouterr().out
            shown = printed(cell)
            assert bool(shown) == bool(found)
            assert_shown("\n".join(f"# => {line}" for line in shown.splitlines()), found)
