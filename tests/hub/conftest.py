"""A local Hub, and a way to run client code against it."""

import importlib.util
import os
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Tests are no package, so that their neighbours cannot be imported by name.
_spec = importlib.util.spec_from_file_location("balr_hf_test_hub_server", Path(__file__).with_name("server.py"))
_server = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_server)


@dataclass
class Hub:
    """A running server (`tests/hub/server.py`), and processes that take it for the Hub."""

    server: "_server.HubServer"
    root: Path
    folder: Path
    python: Any
    caches: list[Path] = field(default_factory=list)

    def run(
        self,
        script: str,
        *argv,
        token: bool | str = True,
        cache: Path | None = None,
        check: bool = True,
        input: str | None = None,
        **env,
    ) -> subprocess.CompletedProcess:
        """Run Python against the server, in a process of its own: the Hub's address is read at import.

        Args:
            script: source text.
            *argv: becomes `sys.argv[1:]`.
            token: the user's, none, or another one.
            cache: HF_HOME; a fresh one by default.
            check: whether failure of the script fails the test.
            input: what it can read from `sys.stdin`.
            **env: more environment variables.
        """
        if cache is None:
            cache = self.folder / f"cache{len(self.caches)}"
        self.caches.append(Path(cache))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_", "HUGGINGFACE_"))}
        environment = {
            **{name: value for name, value in kept.items() if not name.lower().endswith("_proxy")},
            **{"HF_ENDPOINT": self.server.url, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"},
            **{"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            **{"NO_PROXY": "127.0.0.1,localhost", "PYTHONPATH": str(self.root)},
            **({"HF_TOKEN": self.server.token if token is True else token} if token else {}),
            **env,
        }
        command = ["-c", textwrap.dedent(script), *map(str, argv)]
        done = self.python.run(command, environment, self.folder, input, timeout=120)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture
def hub(root, tmp_path, warm_python) -> Iterator[Hub]:
    """An empty Hub with one user, `me`; at the end, the user's token must have gone nowhere but to it."""
    with _server.HubServer() as server:
        hub = Hub(server, root, tmp_path, warm_python)
        yield hub
    assert not server.errors, server.errors[0]
    assert not server.places_with(server.token)
    for cache in hub.caches:
        for path in cache.rglob("*"):
            assert not path.is_file() or server.token.encode() not in path.read_bytes(), path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """The parts of the system that ships with the package, each in a folder of its own."""
    from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_scorer
    from balr_hf.defaults import SYSTEM, resource

    folder = tmp_path_factory.mktemp("models")
    for name, load in (
        ("wespeaker-tiny", WespeakerModel.from_pretrained),
        ("autoencoder-tiny", BinaryAttributeAutoEncoder.from_pretrained),
        ("scorer-beta-tiny", load_scorer),
    ):
        load(resource(SYSTEM)).save_pretrained(folder / name)
    return folder
