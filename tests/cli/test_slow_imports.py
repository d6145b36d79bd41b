"""The line that is shown while libraries are imported for long."""

import importlib
import io
import os
import pty
import subprocess
import sys

import pytest

from balr_hf.cli import slow_imports
from balr_hf.cli.slow_imports import NOTICE, tell_of_slow_imports


class Terminal(io.StringIO):
    def isatty(self):
        return True


def import_slowly(monkeypatch, tmp_path, stderr, seconds):
    """Import two modules, of which the second is asked for after so many seconds; gives what was written."""
    clock = iter([0.0, 0.1, *[seconds] * 100])
    monkeypatch.setattr(slow_imports, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    with tell_of_slow_imports():
        for name in ("slow_one", "slow_two"):
            (tmp_path / f"{name}.py").write_text("")
            importlib.invalidate_caches()
            monkeypatch.delitem(sys.modules, name, raising=False)
            importlib.import_module(name)
    assert sys.meta_path == finders
    return stderr.getvalue()


def test_terminal_is_told_once_and_cleared(monkeypatch, tmp_path):
    said = import_slowly(monkeypatch, tmp_path, Terminal(), slow_imports.PATIENCE + 1)
    assert said == f"{NOTICE}\r{' ' * len(NOTICE)}\r"
    assert len(NOTICE) < 80  # a line that wraps could not be cleared


def test_nothing_is_said_of_quick_imports_or_where_nobody_watches(monkeypatch, tmp_path):
    assert import_slowly(monkeypatch, tmp_path, Terminal(), slow_imports.PATIENCE - 1) == ""
    assert import_slowly(monkeypatch, tmp_path, io.StringIO(), slow_imports.PATIENCE + 1) == ""
    monkeypatch.setenv("RANK", "1")
    assert import_slowly(monkeypatch, tmp_path, Terminal(), slow_imports.PATIENCE + 1) == ""


@pytest.mark.slow
def test_command_on_a_terminal_says_so_before_its_own_message(root):
    code = "from balr_hf.cli import main, slow_imports; slow_imports.PATIENCE = 0; main.main(['verify', 'nowhere'])"
    controller, terminal = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], stderr=terminal, env=env, check=True, timeout=300)
    os.close(terminal)
    said = os.read(controller, 10_000).decode()
    os.close(controller)
    assert said.startswith(f"{NOTICE}\r{' ' * len(NOTICE)}\r") and "balr verify: error: " in said
