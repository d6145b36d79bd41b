"""What the README and examples/ show runs as it stands there (training under accelerate: tests/training)."""

import re
import shlex

import pytest

pytestmark = pytest.mark.slow


def test_demo_ends_in_a_result(root, tmp_path, run_python):
    said = run_python(root / "examples" / "demo.py", cwd=tmp_path).stdout
    assert "of the pairs, 224 are of one voice and 1792 of two" in said
    one, two = (float(value) for value in re.findall(r"median LLR.*?([+-][\d.]+)\n", said))
    assert one > 0 > two
    assert not list(tmp_path.iterdir())


def test_python_of_the_readme_runs_as_pasted(root, tmp_path, run_python):
    (block,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    done = run_python(
        "-c",
        block + "\nprint(float(llr), float(terms.sum()), float(scorer.calibration_offset), tuple(terms.shape))",
        cwd=tmp_path,
    )
    llr, total, offset, shape = re.match(r"(\S+) (\S+) (\S+) (.*)", done.stdout.splitlines()[-1]).groups()
    assert float(llr) == pytest.approx(float(total) + float(offset))
    assert shape == "(1, 512)"


def test_commands_of_the_readme_run_as_written(root, sample, balr, monkeypatch):
    """Those on the sample corpus; the others name files and repositories of the reader's own."""
    section = (root / "README.md").read_text().split("## On the command line")[1].split("### For real work")[0]
    lines = [line.split("  #")[0].strip() for line in section.splitlines() if line.startswith("balr ")]
    assert len(lines) == 11
    monkeypatch.chdir(sample)
    for line in lines:
        status, said = balr(*shlex.split(line)[1:])
        assert status == 0, f"{line}\n{said}"
    assert (sample / "runs" / "score2" / "metrics.json").exists()
    assert (sample / "runs" / "score3" / "plots" / "tippett.svg").exists()
    assert "<svg" in (sample / "report.html").read_text()
