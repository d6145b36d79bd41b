"""A few seconds of `make torture`: a kill of each command, and some cases of each kind of file."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run
run.load_everything()
sys.exit("\\n".join(run.run(Path(sys.argv[2]), 1, 5, 60)))
"""


def test_nothing_is_lost_and_nothing_ends_in_a_traceback(run_python, tmp_path):
    done = run_python("-c", SCRIPT, Path(__file__).parent, tmp_path / "work", check=False, cold=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "0 lost, 0 tracebacks, 0 left" in done.stdout
