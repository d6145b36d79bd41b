"""A run that is killed leaves nothing half-written, and the next one goes on where it was."""

import os
import signal
import subprocess
import sys
import time

import datasets
import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.data import vector_matrix

pytestmark = pytest.mark.slow


@pytest.fixture
def hundred(sample):
    """A hundred recordings."""
    lines = (sample / "metadata.csv").read_text().splitlines()
    (sample / "hundred.csv").write_text("\n".join(lines[:101]) + "\n")
    return sample / "hundred.csv"


def kill_when(words, ready, root):
    """Start `balr`, wait until `ready()` says so, kill it with SIGKILL."""
    command = [sys.executable, "-m", "balr_hf.cli.main", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while not ready() and time.time() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_extraction_to_files_goes_on(balr, hundred, root, tmp_path):
    out = tmp_path / "out"
    words = ["extract", "--save-dir", out, hundred, "data.batch_size=5"]
    kill_when(words, lambda: len(list(out.rglob("*_emb.txt"))) >= 30, root)
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*_emb.txt")}
    assert 30 <= len(done) < 100
    assert all(np.loadtxt(path).shape == (256,) for path in done)

    status, said = balr(*words)
    assert status == 0
    assert f"{100 - len(done)} embeddings computed, {len(done)} there already" in said
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert not list(out.rglob("*.tmp"))
    balr("extract", "--save-dir", tmp_path / "whole", hundred)
    resumed, whole = (vector_matrix(load_corpus(f / "hundred.csv"), "embedding")[0] for f in (out, tmp_path / "whole"))
    assert resumed.shape == (100, 256)
    np.testing.assert_allclose(resumed, whole, atol=1e-4)


def test_killed_extraction_to_a_dataset_goes_on(balr, hundred, root, tmp_path):
    load_corpus(hundred).save_to_disk(str(tmp_path / "corpus"))
    out = tmp_path / "out"
    words = ["extract", "--save-dir", out, tmp_path / "corpus", "data.batch_size=5"]
    kill_when(words, lambda: len(list(tmp_path.glob(".out.*.parts/*.npz"))) >= 6, root)
    assert not out.exists()
    parts = len(list(tmp_path.glob(".out.*.parts/*.npz")))
    status, said = balr(*words)
    assert status == 0
    assert f"Going on with an interrupted run: {5 * parts} recordings are done already" in said
    assert f"{100 - 5 * parts} embeddings computed, {5 * parts} there already" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "out", "sample"]
    balr("extract", "--save-dir", tmp_path / "whole", tmp_path / "corpus")
    resumed, whole = (
        vector_matrix(datasets.load_from_disk(str(f)), "embedding")[0] for f in (out, tmp_path / "whole")
    )
    np.testing.assert_allclose(resumed, whole, atol=1e-4)
