"""Training as `accelerate launch` starts it, with one and two processes on a CPU."""

import json
import runpy

import pytest

from balr_hf import load_corpus
from balr_hf.defaults import EMBEDDER, resource

pytestmark = pytest.mark.slow

RECORDER = """
import json, sys
import datasets
from accelerate import debug_launcher
from balr_hf import BinaryAttributeEncoderTrainer, MSELoss
from balr_hf.training.arguments import DataArguments
from balr_hf.training.speaker_embeddings import SpeakerEmbeddings

def train_and_record(folder):
    corpus = datasets.load_from_disk(sys.argv[1])
    trainer = BinaryAttributeEncoderTrainer(
        corpus, corpus, DataArguments(batch_size=8, N_classes_per_batch=4, M_samples_per_class=2), [MSELoss()],
        input_dim=16, internal_dim=24, epochs=2, save_dir=f"{folder}/run", device=None, log_with="none",
    )
    seen, gather = [], SpeakerEmbeddings.__getitems__
    def record(self, rows):
        if self is trainer.trainset:
            seen.append(rows)
        return gather(self, rows)
    SpeakerEmbeddings.__getitems__ = record
    trainer.train()
    process = trainer.process
    json.dump(seen, open(f"{folder}/seen-{process.process_index}-of-{process.num_processes}.json", "w"))

for processes in (1, 2):
    debug_launcher(train_and_record, (sys.argv[2],), processes)
"""


@pytest.fixture
def launch(run_python, root, tmp_path, free_port):
    def run(processes, *arguments):
        config = ["--config_file", root / "accelerate_config.yaml", "--num_processes", processes]
        config += ["--main_process_port", free_port()]
        return run_python("-m", "accelerate.commands.launch", *config, *arguments, cwd=tmp_path)

    return run


def test_two_processes_see_the_batches_that_one_sees(make_corpus, tmp_path, run_python):
    """Forked by accelerate's launcher for tests; those below are started as users do."""
    make_corpus(18, 4).save_to_disk(str(tmp_path / "corpus"))
    run_python("-c", RECORDER, tmp_path / "corpus", tmp_path)
    one, zero, other = (json.loads((tmp_path / f"seen-{n}.json").read_text()) for n in ("0-of-1", "0-of-2", "1-of-2"))
    assert len(one) == 10  # 18 speakers in batches of 4: 5 batches an epoch
    first, second = one[:5], one[5:]
    assert zero == [first[0], first[2], first[4], second[0], second[2], second[4]]
    assert other == [first[1], first[3], first[0], second[1], second[3], second[0]]


@pytest.mark.parametrize("processes", [1, 2])
def test_example_trains(processes, few, tmp_path, launch, root):
    """On a few recordings; tests/hub trains on those that it takes by default."""
    sizes = ["--epochs", 2, "--speakers", 4, "--recordings", 2]
    done = launch(processes, root / "examples" / "train.py", "--train", few, "--val", few, *sizes)
    assert f"Trained with {processes} process(es): runs/train/best" in done.stdout
    assert (tmp_path / "runs" / "train" / "best" / "model.safetensors").exists()
    assert json.loads((tmp_path / "runs" / "train" / "run.json").read_text())["num_processes"] == processes
    assert not (tmp_path / "runs" / "train2").exists()


def test_the_example_takes_another_corpus_after_the_first(few, root, tmp_path, monkeypatch):
    """As after a first try on the sample: what was computed of one corpus is not replaced by that of another."""
    monkeypatch.chdir(tmp_path)
    with_embeddings = runpy.run_path(str(root / "examples" / "train.py"))["with_embeddings"]
    corpus = load_corpus(few)
    found = []
    for number in range(2):
        corpus.select([number]).save_to_disk(str(tmp_path / f"corpus{number}"))
        path, embedder = str(tmp_path / f"corpus{number}"), str(resource(EMBEDDER))
        found += with_embeddings(path, embedder, tmp_path / "embeddings" / "train")
    assert [row["id"] for row in found] == corpus["id"][:2]
    assert all(row["embedding"] is not None for row in found)


SWEEP = """
import sys
import datasets
from balr_hf import BinaryAttributeEncoderTrainer, DataArguments, MSELoss

corpus = datasets.load_from_disk(sys.argv[1])
for seed in (1, 2):
    trainer = BinaryAttributeEncoderTrainer(
        corpus, corpus, DataArguments(N_classes_per_batch=4, M_samples_per_class=2), [MSELoss()],
        input_dim=16, internal_dim=24, epochs=1, seed=seed, device=None, log_with="none",
    )
    trainer.train()
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.print("trained", seed, trainer.accelerator.num_processes)
"""


def test_processes_train_one_model_after_another(make_corpus, tmp_path, launch):
    """The connection between the processes outlives a training, so that a script can go on with all of them."""
    make_corpus(6, 4).save_to_disk(str(tmp_path / "corpus"))
    (tmp_path / "sweep.py").write_text(SWEEP)
    done = launch(2, tmp_path / "sweep.py", tmp_path / "corpus")
    said = [
        line for line in done.stdout.splitlines() if not line.startswith("[Gloo]")
    ]  # which older versions of torch add
    assert said == ["trained 1 2", "trained 2 2"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["train", "train2"]


PARTING = """
import sys, torch
from balr_hf.cli.main import main
from balr_hf.training.trainer import process_state

process_state("cpu")
torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
torch.distributed.destroy_process_group = lambda: print("parted")
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["train", "no", "no"], 1)])
def test_a_process_that_failed_does_not_wait_to_part_from_the_others(words, status, run_python):
    """These may wait for it. Without an error, it parts at its exit."""
    done = run_python("-c", PARTING, *words, check=False, cold=True)
    assert done.returncode == status, done.stderr
    assert ("parted" in done.stdout) == (status == 0)
