"""The benchmark of GPUs runs, on a CPU and with little of everything: where there is no GPU nothing else shows it."""

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
