"""Start-up: how long a user waits before a command begins, and for the smallest useful command."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import against, seconds, table

from balr_hf.defaults import SAMPLE_CORPUS, resource

MAIN = [sys.executable, "-m", "balr_hf.cli.main"]


def main() -> None:
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": root}

    def run(command: list[str], folder: str, repeats: int = 3) -> float:
        def once():
            subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)

        once()  # fills the disk's cache
        return seconds(once, repeats)

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(resource(SAMPLE_CORPUS), folder, dirs_exist_ok=True)
        for step in ("extract", "binarize"):
            subprocess.run([*MAIN, step, "test.csv"], cwd=folder, env=env, check=True, capture_output=True)
        torch = run([sys.executable, "-c", "import torch"], folder)
        model = run([sys.executable, "-c", "from transformers import PreTrainedModel"], folder)
        rows = [
            ["`import torch`", f"{torch:.2f} s"],
            ["`from transformers import PreTrainedModel`, the base of every model", f"{model:.2f} s"],
            ["`import balr_hf`", f"{run([sys.executable, '-c', 'import balr_hf'], folder):.2f} s"],
            ["`balr --help`", against(run([*MAIN, "--help"], folder), 0.5, ".2f", " s", at_most=True)],
            ["`balr train --help`", f"{run([*MAIN, 'train', '--help'], folder):.2f} s"],
            [
                "`balr score test` on the sample: 2,016 trials",
                against(run([*MAIN, "score", "test", "test.csv", "trials.csv"], folder), 3, ".2f", " s", at_most=True),
            ],
        ]
    table("Start-up", ["", "time"], rows)


if __name__ == "__main__":
    main()
