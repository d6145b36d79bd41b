"""Several processes share a corpus: what they save is what one process would have saved."""

import os
import signal
import subprocess
import sys
import time

import datasets
import numpy as np
import pytest

from balr_hf.data.shards import Shard
from balr_hf.errors import ConfigError


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_shares_are_apart_and_whole():
    shares = [Shard.parse(f"{index}/3").rows(10) for index in range(3)]
    assert np.array_equal(np.sum(shares, axis=0), np.ones(10))


@pytest.mark.parametrize("text", ["3/3", "1", "-1/2", "a/b", "0/0"])
def test_a_share_that_cannot_be_says_what_is_expected(text):
    with pytest.raises(ConfigError, match="from 0 to N - 1"):
        Shard.parse(text)


def test_shares_of_files_are_one_corpus(balr, few, tmp_path):
    one, shared = tmp_path / "one", tmp_path / "shared"
    assert balr("extract", few, "--save-dir", one)[0] == 0
    said = [balr("extract", few, "--save-dir", shared, "--shard", f"{index}/3")[1] for index in (2, 0, 1)]
    assert "4 embeddings computed" in said[0] and "without --shard" in said[0]
    assert not (shared / "few.csv").exists()
    status, told = balr("extract", few, "--save-dir", shared)
    assert status == 0 and "0 embeddings computed, 12 there already" in told
    assert contents(shared) == contents(one)


@pytest.mark.parametrize("force", [False, True])
def test_shares_of_a_dataset_are_one_dataset(balr, few, tmp_path, force):
    from balr_hf import load_corpus

    balr("extract", few)
    load_corpus(few).save_to_disk(str(tmp_path / "corpus"))
    words = ["binarize", tmp_path / "corpus", *(["--force"] if force else [])]
    assert balr(*words, "--save-dir", tmp_path / "one")[0] == 0
    for share in ("0/2", "1/2"):
        assert balr(*words, "--save-dir", tmp_path / "shared", "--shard", share)[0] == 0
        assert not (tmp_path / "shared").exists()
    assert balr(*words, "--save-dir", tmp_path / "shared")[0] == 0
    one, shared = (datasets.load_from_disk(str(tmp_path / name)) for name in ("one", "shared"))
    assert one.data.table.equals(shared.data.table)
    assert not list(tmp_path.glob(".*.parts"))


def test_a_forced_share_that_was_stopped_goes_on(balr, few, tmp_path):
    out = tmp_path / "out"
    balr("extract", few, "--save-dir", out)
    before = contents(out)
    for share in ("0/2", "0/2", "1/2"):  # the first share twice: the second time, nothing is left to do
        said = balr("extract", few, "--save-dir", out, "--force", "--shard", share)[1]
    assert "6 embeddings computed, 6 there already" in said
    assert "0 embeddings computed, 12 there already" in balr("extract", few, "--save-dir", out, "--force")[1]
    assert contents(out) == before


@pytest.mark.slow
@pytest.mark.processes
def test_launched_processes_share_the_work_and_one_may_be_killed(balr, sample, tmp_path, free_port):
    one, shared = tmp_path / "one", tmp_path / "shared"
    balr("extract", sample / "test.csv", "--save-dir", one)
    words = ["-m", "balr_hf", "extract", sample / "test.csv", "--save-dir", shared, "data.batch_size=2"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port"]
    process = subprocess.Popen([*launch, str(free_port()), *words], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(shared.rglob("*_emb.txt"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(workers.stdout.split()[0]), signal.SIGKILL)  # the launcher then ends the other one
    assert process.wait() != 0
    done = {path: path.stat().st_mtime_ns for path in shared.rglob("*_emb.txt")}
    assert 4 <= len(done) < 64
    said = balr(*words[2:])[1]
    assert f"{64 - len(done)} embeddings computed, {len(done)} there already" in said
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert contents(shared) == contents(one)


@pytest.mark.slow
def test_launched_processes_inspect_and_score_as_one(balr, sample, tmp_path, free_port, run_python):
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port"]
    corpus = tmp_path / "corpus.csv"
    lines = (sample / "test.csv").read_text().splitlines()
    corpus.write_text("\n".join([*lines[:6], f"gone{lines[6]}", *lines[7:9]]) + "\n")
    inspect = ["inspect", str(corpus), "--root-dir", str(sample), "--plots"]
    balr(*inspect, "--save-dir", tmp_path / "one")
    run_python(*launch, free_port(), "-m", "balr_hf", *inspect, "--save-dir", tmp_path / "two")
    assert contents(tmp_path / "two") == contents(tmp_path / "one") and contents(tmp_path / "one")

    corpus.write_text("\n".join(lines[:9]) + "\n")
    made = tmp_path / "made"
    balr("extract", corpus, "--root-dir", sample, "--save-dir", made)
    balr("binarize", made / "corpus.csv")
    names = [line.split(",")[0] for line in lines[1:9]]
    trials = tmp_path / "trials.csv"
    trials.write_text("\n".join(["enrollment\ttest", *(f"{a}\t{b}" for a in names[:4] for b in names[4:])]) + "\n")
    score = ["score", "test", str(made / "corpus.csv"), str(trials), "--bootstrap", "0"]
    balr(*score, "--save-dir", tmp_path / "scores-1")
    run_python(*launch, free_port(), "-m", "balr_hf", *score, "--save-dir", tmp_path / "scores-2")
    scores = [(tmp_path / f"scores-{number}" / "scores.csv").read_bytes() for number in (1, 2)]
    assert scores[0] == scores[1] and scores[0].count(b"\n") == 17


@pytest.mark.slow
@pytest.mark.processes
def test_four_processes_of_two_launchers_extract_as_one(balr, few, tmp_path, free_port):
    """Two machines are two launchers that meet at one address; each starts two processes. What is there stays."""
    one, shared = tmp_path / "one", tmp_path / "shared"
    balr("extract", few, "--save-dir", one)
    rows = few.read_text()
    few.write_text("".join(rows.splitlines(keepends=True)[:5]))
    assert "4 embeddings computed" in balr("extract", few, "--save-dir", shared)[1]
    few.write_text(rows)
    done = {path: path.stat().st_mtime_ns for path in shared.rglob("*_emb.txt")}
    address = ["--master_addr", "127.0.0.1", "--master_port", str(free_port())]
    meeting = [*address, "--nnodes", "2", "--nproc_per_node", "2"]
    words = ["-m", "balr_hf", "extract", str(few), "--save-dir", str(shared)]
    launchers = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *meeting, "--node_rank", node, *words],
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in ("0", "1")
    ]
    said = [launcher.communicate()[1] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], said
    assert "8 embeddings computed, 4 there already" in said[0] and contents(shared) == contents(one)
    assert len(done) == 4 and all(path.stat().st_mtime_ns == when for path, when in done.items())
