"""The benchmark of GPUs runs on a CPU, with little of everything; and the list of recordings is what the page says."""

import csv
from collections import Counter

import pytest


@pytest.mark.slow
def test_gpu_benchmark_runs(run_python, root):
    printed = run_python(root / "benchmarks" / "gpu.py", "--device", "cpu", "--small").stdout
    titles = [line.removeprefix("### ").split(":")[0] for line in printed.splitlines() if line.startswith("###")]
    assert titles == ["ResNet34 on cpu", "Precision on cpu", "Training on cpu", "Scoring on cpu"]
    assert "| fp32 | 1.000000 | 1.000000 | 0.000% |" in printed


def test_gpu_benchmark_says_that_there_is_no_gpu(run_python, root):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert "No GPU here" in run_python(root / "benchmarks" / "gpu.py").stdout


def test_list_of_librispeech_is_what_the_page_says(root):
    """Ids are SPEAKER-CHAPTER-UTTERANCE."""
    with (root / "benchmarks" / "librispeech.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["part"], *row["id"].split("-")) for row in csv.DictReader(file)]
    assert len(set(rows)) == len(rows)
    speakers = {part: [row[1] for row in rows if row[0] == part] for part in ("train", "test")}
    assert len(speakers["train"]) == len(set(speakers["train"])) == 251
    assert set(Counter(speakers["test"]).values()) == {10} and len(speakers["test"]) == 100
    assert {row[3] for row in rows if row[0] == "test"} == {f"{number:04}" for number in range(10)}
    assert not set(speakers["train"]) & set(speakers["test"])
