"""The package as a whole: start-up, public names, and what an installed wheel contains."""

import importlib.metadata
import subprocess
import sys
import zipfile

import pytest

import balr_hf


def test_public_names_can_all_be_imported():
    assert all(getattr(balr_hf, name) is not None for name in balr_hf.__all__)
    assert dir(balr_hf) == balr_hf.__all__
    assert balr_hf.__version__ == importlib.metadata.version("balr_hf")
    with pytest.raises(AttributeError, match="Nothing"):
        balr_hf.Nothing  # noqa: B018


def test_importing_the_package_takes_less_than_a_twentieth_of_a_second(run_python):
    script = "import time\nstart = time.process_time()\nimport balr_hf\nassert time.process_time() - start < 0.05\n"
    run_python("-c", script, cold=True)


def test_importing_the_package_or_asking_for_help_imports_no_torch(run_python):
    script = (
        "import sys, balr_hf\n"
        "from balr_hf.cli.main import main\n"
        "main(['--help'])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'evaluate'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run_python("-c", script, cold=True)


def test_help_of_every_command_imports_no_torch(run_python):
    script = (
        "import sys\n"
        "from balr_hf.cli.main import COMMANDS, main\n"
        "for command in COMMANDS:\n"
        "    try:\n"
        "        main([*command.split(), '--help'])\n"
        "    except SystemExit as exit:\n"
        "        assert exit.code == 0\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    run_python("-c", script, cold=True)


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """A wheel of the package."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_wheel_has_every_file_of_the_package(root, wheel):
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
    files = [path for path in (root / "balr_hf").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = {path.relative_to(root).as_posix() for path in files} - there
    assert not missing
    assert {path.suffix for path in files} >= {".py", ".pyi", ".typed", ".jinja", ".css"}


@pytest.mark.slow
def test_wheel_finds_its_resources_wherever_it_is_installed(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = (
        "import balr_hf, sys\n"
        "from balr_hf.defaults import *\n"
        "for name in (EMBEDDER, AUTOENCODER, SCORER, SAMPLE_CORPUS + '/trials.csv'):\n"
        "    print(resource(name))\n"
        "from balr_hf.cli.main import main\n"
        "sys.exit(main(['extract', '--no-save-output', str(resource(SAMPLE_CORPUS + '/espeak01'))]))\n"
    )
    env = {"PYTHONPATH": str(tmp_path / "installed"), "PATH": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path / "installed" / "balr_hf" / "resources")) == 4
    assert "8 recordings: 8 embeddings computed" in done.stderr


def test_shipped_models_say_what_they_are(root):
    for config in (root / "resources" / "models").glob("*/config.json"):
        assert (config.parent / "README.md").read_text().startswith("---\n"), config


# The order of imports must not matter, nor what of transformers was imported before or is imported first.
@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "import balr_hf",
        "import transformers.pipelines",
        "import balr_hf; from transformers import AutoFeatureExtractor",
        "import balr_hf.pipelines",
        "import balr_hf.scoring.modeling_scorer",
        "import balr_hf.system.configuration_system",
        "import balr_hf.system.modeling_system",
    ],
)
def test_auto_classes_and_pipelines_know_our_models(root, first, run_python):
    script = (
        f"{first}\n"
        "import sys, balr_hf\n"
        "from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, pipeline\n"
        "config, model = AutoConfig.from_pretrained('system-small'), AutoModel.from_pretrained('system-small')\n"
        "for name in ('embedder', 'autoencoder', 'scorer'):\n"
        "    part, own = getattr(model, name), AutoConfig.for_model(getattr(config, name).model_type)\n"
        "    assert type(part).__module__.startswith('balr_hf.') and type(part.config) is type(own), name\n"
        "    assert type(AutoModel.from_config(own)) is type(part), name\n"
        "assert type(model) is balr_hf.SpeakerComparisonModel and type(config) is type(model.config)\n"
        "assert type(AutoFeatureExtractor.from_pretrained('system-small')) is balr_hf.WespeakerFeatureExtractor\n"
        "pipeline('speaker-comparison', device='cpu')\n"
    )
    run_python("-c", script, cwd=root / "resources" / "models")


# With so few imports that nothing else of transformers has been imported by another.
@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "import balr_hf; from transformers import AutoConfig; AutoConfig.from_pretrained('system-small')",
        "import balr_hf; from transformers import AutoModel; AutoModel.from_pretrained('system-small')",
        "from transformers import AutoModel; import balr_hf; AutoModel.from_pretrained('system-small')",
        "import balr_hf, transformers; transformers.AutoFeatureExtractor.from_pretrained('system-small')",
        "import transformers, balr_hf; transformers.pipeline('binary-attributes', device='cpu')",
        "import balr_hf; from transformers import pipeline; pipeline('speaker-comparison', device='cpu')",
        "from transformers import pipeline; import balr_hf; pipeline('speaker-comparison', device='cpu')",
    ],
)
def test_one_import_is_enough(root, script, run_python):
    run_python("-c", script, cwd=root / "resources" / "models")


@pytest.mark.slow
def test_transformers_lists_the_folders_of_its_models_once(run_python):  # but a few
    script = (
        "import sys, balr_hf\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, given: event == 'os.scandir' and seen.append(str(given[0])))\n"
        "from transformers import PreTrainedModel\n"
        "models = [name for name in seen if '/transformers/models/' in name.replace('\\\\', '/')]\n"
        "assert 100 < len(models) < 1.1 * len(set(models)), (len(models), len(set(models)))\n"
    )
    run_python("-c", script, cold=True)
