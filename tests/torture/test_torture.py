"""A few seconds of `make torture`: some kills, and some cases of several kinds of file."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run
run.load_everything()
commands = "binarize a Dataset in its place", "score calibrate", "push"
kinds = "scorer", "csv", "trial list", "vector file", "manifest", "Dataset", "Dataset's data", "state"
sys.exit("\\n".join(run.run(Path(sys.argv[2]), 1, 8, 0, 0, commands, kinds)) or 0)
"""


def test_nothing_is_lost_and_nothing_ends_in_a_traceback(run_python, tmp_path):
    done = run_python("-c", SCRIPT, Path(__file__).parent, tmp_path / "work", check=False, cold=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "0 lost, 0 tracebacks, 0 left" in done.stdout
