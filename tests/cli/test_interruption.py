"""A run that is killed leaves nothing half-written, and the next one goes on where it was."""

import signal

import datasets
import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.data import vector_matrix

pytestmark = pytest.mark.slow


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path

def kill():
    while len(list(Path(folder).glob(pattern))) < int(number):
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGKILL)

folder, pattern, number, *words = sys.argv[1:]
threading.Thread(target=kill, daemon=True).start()
from balr_hf.cli.main import main
main(words)
"""


@pytest.fixture
def sixteen(sample):
    """Sixteen recordings."""
    lines = (sample / "metadata.csv").read_text().splitlines()
    (sample / "sixteen.csv").write_text("\n".join(lines[:17]) + "\n")
    return sample / "sixteen.csv"


@pytest.fixture
def killed(run_python):
    """Runs `balr` in a process that SIGKILL ends once `folder` holds a number of files of a pattern."""

    def run(words, folder, pattern, number):
        done = run_python("-c", KILLED, folder, pattern, number, *words, check=False)
        assert done.returncode == -signal.SIGKILL, f"the run ended before it could be killed: {done.stderr}"

    return run


def test_killed_extraction_to_files_goes_on(balr, sixteen, killed, tmp_path):
    out = tmp_path / "out"
    words = ["extract", "--save-dir", out, sixteen, "data.batch_size=2"]
    killed(words, tmp_path, "out/**/*_emb.txt", 6)
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*_emb.txt")}
    assert 6 <= len(done) < 16
    assert all(np.loadtxt(path).shape == (256,) for path in done)

    status, said = balr(*words)
    assert status == 0
    assert f"{16 - len(done)} embeddings computed, {len(done)} there already" in said
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert not list(out.rglob("*.tmp"))
    balr("extract", "--save-dir", tmp_path / "whole", sixteen)
    resumed, whole = (vector_matrix(load_corpus(f / "sixteen.csv"), "embedding")[0] for f in (out, tmp_path / "whole"))
    assert resumed.shape == (16, 256)
    np.testing.assert_allclose(resumed, whole, atol=1e-4)


def test_killed_extraction_to_a_dataset_goes_on(balr, sixteen, killed, tmp_path):
    load_corpus(sixteen).save_to_disk(str(tmp_path / "corpus"))
    out = tmp_path / "out"
    words = ["extract", "--save-dir", out, tmp_path / "corpus", "data.batch_size=2"]
    killed(words, tmp_path, ".out.*.parts/*.npz", 3)
    assert not out.exists()
    parts = len(list(tmp_path.glob(".out.*.parts/*.npz")))
    status, said = balr(*words)
    assert status == 0
    assert f"Going on with an interrupted run: {2 * parts} recordings are done already" in said
    assert f"{16 - 2 * parts} embeddings computed, {2 * parts} there already" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "out", "sample"]
    balr("extract", "--save-dir", tmp_path / "whole", tmp_path / "corpus")
    resumed, whole = (
        vector_matrix(datasets.load_from_disk(str(f)), "embedding")[0] for f in (out, tmp_path / "whole")
    )
    np.testing.assert_allclose(resumed, whole, atol=1e-4)


FULL = """
import resource, signal, sys
from balr_hf.cli.main import main
import balr_hf.training.trainer, balr_hf.embeddings.modeling_wespeaker
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("command", ["train", "convert"])
def test_a_file_that_cannot_be_written_is_one_clear_error(run_python, make_corpus, root, tmp_path, command):
    """As on a full disk: no file may become larger."""
    make_corpus(4, 4).save_to_disk(str(tmp_path / "corpus"))
    corpus, made = tmp_path / "corpus", tmp_path / "made"
    words = {
        "train": ["train", corpus, corpus, "trainer.input_dim=16", "trainer.internal_dim=4096", "--save-dir", made],
        "convert": ["convert", root / "resources" / "models" / "system-small", made],
    }
    done = run_python("-c", FULL, 100_000, *words[command], check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"balr {command}: error: " in done.stderr and "File too large" in done.stderr
