"""Standard streams that are closed, or that take nothing more."""

import os
import subprocess
import sys

import pytest

from balr_hf.cli.main import main

RECORDING = "espeak17/espeak17-01.opus"

CLOSED = """
import os, sys
os.close({number})
sys.{name} = None
from balr_hf.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


@pytest.mark.parametrize("number, name", [(0, "stdin"), (1, "stdout"), (2, "stderr")])
def test_a_command_works_where_a_standard_stream_is_closed(run_python, sample, number, name):
    """As in some jobs without a terminal."""
    done = run_python("-c", CLOSED.format(number=number, name=name), "inspect", sample / RECORDING)
    assert "Traceback" not in done.stderr
    assert ("espeak17-01     3.8" in done.stdout) == (name != "stdout")
    assert ("1 recording measured" in done.stderr) == (name != "stderr")


@needs_dev_full
@pytest.mark.parametrize("words", [["inspect"], ["inspect", "--json"]], ids=" ".join)
def test_a_result_that_cannot_be_printed_is_one_clear_error(capfd, monkeypatch, sample, words):
    """As on a full disk."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main([*words, str(sample / RECORDING)]) == 1
    error = "balr inspect: error: [Errno 28] No space left on device: 'standard output'"
    assert capfd.readouterr().err.splitlines()[-1] == error


@needs_dev_full
@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_an_answer_that_cannot_be_printed_is_one_clear_error(root, flag):
    command, env = [sys.executable, "-m", "balr_hf", flag], {**os.environ, "PYTHONPATH": str(root)}
    env.pop("PYTHONUNBUFFERED", None)  # so that Python prints at its exit, too
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "balr: error: [Errno 28] No space left on device\n")


def test_completion_that_cannot_be_written_is_one_clear_error(balr, monkeypatch, tmp_path):
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    status, said = balr("--install-completion", "bash")
    assert (status, said.strip().startswith("balr: error: [Errno 20] Not a directory")) == (1, True)


def test_an_interruption_while_a_command_is_imported_is_one_line(balr, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("balr_hf.cli.main.importlib.import_module", interrupted)
    status, said = balr("inspect", "x.wav")
    assert (status, said.strip()) == (
        130,
        "balr inspect: interrupted. What was saved is kept; to continue, run the command again",
    )
