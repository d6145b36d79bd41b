"""Make the notebooks in `examples/notebooks/` from the scripts beside them, with what their cells show.

    python docs/make_notebooks.py

Only the scripts are edited. `tests/test_notebooks.py` runs them, and compares them and what they print with the
notebooks. `make notebooks` installs what this script needs, and runs it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parent.parent / "examples" / "notebooks"


def executed(script: Path) -> "NotebookNode":
    """The notebook of a script, with outputs. What changes from run to run is left out: progress bars and times."""
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(script)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(script.parent)}}).execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = str(number)
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    return notebook


if __name__ == "__main__":
    import jupytext

    for path in sorted(NOTEBOOKS.glob("*.py")):
        print(path.name, flush=True)
        jupytext.write(executed(path), path.with_suffix(".ipynb"))
