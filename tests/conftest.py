"""Fixtures that many tests share. Nothing here or in any test reaches the network."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist keeps the cores busy

import importlib.util
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

# Tests are no package, so that their neighbours cannot be imported by name.
_spec = importlib.util.spec_from_file_location("balr_hf_test_warm_python", Path(__file__).with_name("warm_python.py"))
_warm_python = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_warm_python)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by what they need, so that no marker is forgotten: see tests/README.md."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "hub" in item.path.relative_to(ROOT / "tests").parts:
            item.add_marker("hub")
        if "run_python" in fixtures:
            item.add_marker("processes")
        if "browser" in fixtures:
            item.add_marker("browser")
        if "cuda" in fixtures:
            item.add_marker("gpu")


@pytest.fixture
def cuda() -> str:
    """The name of a GPU; tests that need one are skipped without."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    return "cuda"


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """Figures recorded from the reference systems (see tests/data/golden/README.md)."""
    return ROOT / "tests" / "data" / "golden"


@pytest.fixture
def sample(tmp_path) -> Path:
    """A copy of the sample corpus, so that vector files can be written beside its audio."""
    folder = tmp_path / "sample"
    shutil.copytree(ROOT / "resources" / "data" / "sample", folder)
    return folder


@pytest.fixture
def copies_waited_for(monkeypatch) -> set[str]:
    """Fail at a copy to another device than an NVIDIA GPU that is not waited for; the devices' types are collected."""
    import torch

    seen: set[str] = set()

    def to(tensor, *places, original=torch.Tensor.to, **options):
        found = original(tensor, *places, **options)
        seen.add(found.device.type)
        assert found.device.type == "cuda" or not options.get("non_blocking"), "torch may read memory that is freed"
        return found

    monkeypatch.setattr(torch.Tensor, "to", to)
    return seen


@pytest.fixture
def few(sample) -> Path:
    """The sample corpus with three recordings of each of four voices: `few.csv`."""
    return write_few(sample)


def write_few(folder: Path) -> Path:
    """Write `few.csv` into a copy of the sample corpus."""
    lines = (folder / "metadata.csv").read_text().splitlines()
    kept = [line for line in lines[1:] if line[6:8] in ("01", "02", "17", "18") and line[18:20] in ("01", "02", "03")]
    (folder / "few.csv").write_text("\n".join([lines[0], *kept]) + "\n")
    return folder / "few.csv"


@pytest.fixture(scope="session")
def extracted_once(tmp_path_factory) -> Path:
    """A copy of the sample corpus after `balr extract few.csv`."""
    from balr_hf.cli.main import main

    folder = tmp_path_factory.mktemp("extracted") / "sample"
    shutil.copytree(ROOT / "resources" / "data" / "sample", folder)
    assert main(["extract", str(write_few(folder))]) == 0
    return folder


@pytest.fixture
def extracted(few, extracted_once) -> Path:
    """`few` after `balr extract few.csv`, for tests of what comes then."""
    shutil.copytree(extracted_once, few.parent, dirs_exist_ok=True)
    return few


@pytest.fixture(scope="session")
def tiny_embedder():
    """The shipped embedder."""
    from balr_hf import WespeakerModel
    from balr_hf.defaults import EMBEDDER, resource

    return WespeakerModel.from_pretrained(resource(EMBEDDER))


@pytest.fixture
def fresh_accelerate():
    """Accelerate fixes the device and the precision for the whole process; tests of training choose theirs."""
    from accelerate.state import AcceleratorState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def sets(make_corpus):
    """A training set and a validation set of random embeddings."""
    return make_corpus(20, 6, seed=0, name="t"), make_corpus(10, 6, seed=1, name="v")


@pytest.fixture
def make_corpus():
    """Makes a corpus of random embeddings (and attributes) that cluster by speaker."""
    import datasets

    from balr_hf.data import add_vector_column, fixed_length_column

    def make(speakers: int, recordings: int, size: int = 16, seed: int = 0, attributes: int = 0, name: str = "s"):
        rng = np.random.default_rng(seed)
        speaker = np.repeat(np.arange(speakers), recordings)
        columns = {"id": [f"{name}{n}" for n in range(len(speaker))], "speaker": [f"{name}{s}" for s in speaker]}
        dataset = datasets.Dataset.from_dict(columns)
        centres = rng.normal(size=(speakers, size))
        embeddings = centres[speaker] + 0.5 * rng.normal(size=(len(speaker), size))
        dataset = add_vector_column(dataset, "embedding", fixed_length_column(embeddings.astype(np.float32)))
        if attributes:
            likely = rng.random((speakers, attributes)) ** 2
            bits = rng.random((len(speaker), attributes)) < likely[speaker]
            dataset = add_vector_column(dataset, "ba", fixed_length_column(bits))
        return dataset

    return make


@pytest.fixture(scope="session")
def make_descriptions():
    """Makes the descriptions of attributes whose measures are made up: one attribute of each class, in turns."""
    from balr_hf.describing import Association, AttributeDescription, AttributeDescriptions, Meaning
    from balr_hf.describing.descriptions import Distribution, Population

    def one(number: int) -> AttributeDescription:
        f0 = Association("f0_median", 0.9, True, (170.0, 190.0, 210.0), (100.0, 110.0, 120.0))
        f4 = Association("f4", 0.66, False, (3500.0, 3600.0, 3700.0), (3800.0, 3900.0, 4000.0))
        snr = Association("snr", 0.8, True, (30.0, 40.0, 50.0), (10.0, 15.0, 20.0))
        kinds = [
            (Meaning.DESCRIBED, (f0, f4, snr), 0.91, 0.55, {"female": 0.52, "male": 0.55}),
            (Meaning.WEAKLY_DESCRIBED, (f4, snr), 0.66, 0.62, {"female": 0.66, "male": 0.55}),
            (Meaning.FOLLOWS_RECORDING, (snr, f4), 0.55, 0.8, {"female": 0.5, "male": 0.5}),
            (Meaning.UNDESCRIBED, (f4,), 0.54, 0.52, {"female": 0.5, "male": 0.5}),
        ]
        meaning, associations, voice, recording, within = kinds[number % len(kinds)]
        return AttributeDescription(
            number, meaning, 0.4, 0.01, associations, voice, recording, within, 0.84, {"female": 0.7, "male": 0.1}
        )

    def make(attributes: int, autoencoder: str = "made-up@0", corpus: str = "corpus.csv") -> AttributeDescriptions:
        measures = {
            "f0_median": Distribution(200, (90.0, 110.0, 150.0, 190.0, 230.0)),
            "snr": Distribution(200, (10.0, 15.0, 25.0, 40.0, 50.0)),
        }
        sexes = {"female": 60, "male": 60}
        population = Population(corpus, 200, 120, sexes, measures, {"female": measures, "male": measures})
        made_with = {"balr_hf": "0", "permutations": 1000, "seed": 0}
        entries = tuple(one(number) for number in range(attributes))
        return AttributeDescriptions(autoencoder, "", population, "2026-01-01", made_with, entries)

    return make


@pytest.fixture
def balr(capfd, caplog):
    """Runs the command line in this process; gives its exit status and what it said."""

    def run(*argv: str) -> tuple[int, str]:
        from balr_hf.cli.main import main

        capfd.readouterr()
        caplog.clear()
        try:
            status = main([str(word) for word in argv])
        except SystemExit as exit:
            status = exit.code
        captured = capfd.readouterr()
        return status, "\n".join([captured.out, captured.err, *caplog.messages])

    return run


@pytest.fixture(scope="session")
def warm_python() -> Iterator[_warm_python.WarmPython]:
    """Starts Python processes quickly, see `tests/warm_python.py`."""
    started = _warm_python.WarmPython()
    yield started
    started.close()


@pytest.fixture
def run_python(warm_python):
    """Runs a Python command in a process of its own; `cold` where it matters what Python has imported at its start."""

    def run(
        *argv: str, cwd: Path | None = None, check: bool = True, cold: bool = False
    ) -> subprocess.CompletedProcess:
        env, words = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}, [str(word) for word in argv]
        if cold:
            command = [sys.executable, *words]
            done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
        else:
            done = warm_python.run(words, env, cwd)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Finds a port that nothing listens on, so that runs side by side do not ask for the same one."""

    def find() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    return find


# A figure as documents show it: a sign, digits, thousands and decimals.
NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?"
# Whole numbers of what is counted.
COUNT = (
    r"(?<![\d.,])(\d+(?:,\d{3})*) (?:(?:same|different)-speaker|(?:binary )?attributes|copies|embeddings|recordings"
    r"|sides|speakers|trials)\b"
)


@pytest.fixture(scope="session")
def assert_shown() -> Callable[..., None]:
    """Asserts that code prints the lines that it shows as `# => ...`; figures may differ a little among machines.

    What is counted hardly differs: 1 in 100 at most, where single attributes or trials flip. Figures of a model that
    was `trained` before may differ twofold on another kind of processor, which rounds differently in each step.
    """

    def words(line: str) -> str:
        return " ".join(re.sub(NUMBER, "0", line).split())

    def figures(line: str) -> list[float]:
        return [float(text.replace(",", "")) for text in re.findall(NUMBER, line)]

    def counts(line: str) -> list[float]:
        return [float(text.replace(",", "")) for text in re.findall(COUNT, line)]

    def check(code: str, printed: str, trained: bool = False) -> None:
        import torch

        is_other_kind = torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512")
        lines: dict[str, list[str]] = {}
        for line in printed.splitlines():
            lines.setdefault(words(line), []).append(line)
        for shown in re.findall(r"^# => (.*)$", code, re.MULTILINE):
            alike = lines.get(words(shown))
            assert alike, f"shown, but not printed: {shown}"
            wanted = pytest.approx(figures(shown), rel=1 if trained and is_other_kind else 0.05, abs=0.02)
            counted = pytest.approx(counts(shown), rel=0.01, abs=0)
            same = any(figures(line) == wanted and counts(line) == counted for line in alike)
            assert same, f"shown:   {shown}\nprinted: {alike}"

    return check
