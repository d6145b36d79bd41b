"""Every `balr` line of the documents that the project was specified by, on the sample corpus and the CPU."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest

METADATA = "resources/data/voxceleb2/metadata.csv"
SETS = "resources/data/voxceleb2/train.csv resources/data/voxceleb2/test.csv"
LAUNCHED = "train resources/data/voxceleb2/train.csv resources/data/voxceleb2/test.csv --device cuda:0,1"
RECORDINGS = 48  # two of each of the sample corpus's voices
REPOSITORY = "Wespeaker/wespeaker-voxceleb-resnet293-LM"

LINES = [  # in an order in which each finds what it needs
    "balr --help",
    "balr extract --help",
    "balr extract /path/to/dataset",
    f"balr extract {METADATA}",
    "balr binarize /path/to/dataset",
    f"balr binarize {METADATA}",
    "balr train /path/to/train_dataset /path/to/validation_dataset",
    "balr train /path/to/train_dataset /path/to/validation_dataset trainer.epochs=50 trainer.learning_rate=0.002",
    f"balr train {SETS}",
    f"balr train --save-dir training_output --device cuda {SETS} trainer.epochs=10 'trainer.losses=[mse, arcface]'",
    f"balr train --device cuda {SETS} data.num_workers=4 data.shuffle=False "
    "data.sampler=balr.samplers.nxm_samplers.ExhaustiveNxMSampler data.N_classes_per_batch=32 "
    "data.M_samples_per_class=10 data.batch_size=320",
    f"balr binarize --force --save-dir resources/data/voxceleb2-ba --device cuda {METADATA} "
    "encoder.model.checkpoint_path=runs/train/best.pt",
]
EXTRACT_FROM_REPOSITORY = (
    f"balr extract --force --save-dir resources/data/voxceleb2-emb --device cuda {METADATA} "
    f"embeddings.model.model_repo={REPOSITORY} embeddings.model.model_name=avg_model.pt"
)


def adapted(line: str) -> list[str]:
    """The words after `balr`, with the paths and devices of the sample corpus, and few epochs if it names none."""
    line = line.replace("/path/to/train_dataset", "resources/data/sample/train.csv")
    line = line.replace("/path/to/validation_dataset", "resources/data/sample/test.csv")
    line = line.replace("/path/to/dataset", "resources/data/sample").replace("voxceleb2", "sample")
    words = shlex.split(re.sub(r"--device cuda(:[\d,]+)?", "--device cpu", line))[1:]
    if words[0] == "train" and "trainer.epochs=" not in line:
        words.append("trainer.epochs=2")
    return words


@pytest.fixture
def checkout(tmp_path, root, monkeypatch):
    """A working folder laid out like a checkout: `resources/data/sample`, two recordings a voice, and runs to come."""
    source, target = root / "resources" / "data" / "sample", tmp_path / "resources" / "data" / "sample"
    some = [*source.glob("*/*-01.opus"), *source.glob("*/*-02.opus")]
    assert len(some) == RECORDINGS
    for path in some:
        (target / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.parent.name)
    for name in ("metadata.csv", "train.csv", "test.csv"):
        head, *rows = (source / name).read_text().splitlines(keepends=True)
        (target / name).write_text(head + "".join(row for row in rows if row.split(",")[0].endswith(("-01", "-02"))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_line_runs(balr, checkout):
    for line in LINES:
        status, said = balr(*adapted(line))
        assert status == 0, f"{line}\n{said}"
    sample = checkout / "resources" / "data" / "sample"
    assert len(list(sample.rglob("*_emb.txt"))) == len(list(sample.rglob("*_ba.txt"))) == RECORDINGS
    assert len(list((checkout / "resources" / "data" / "sample-ba").rglob("*_ba.txt"))) == RECORDINGS
    assert sorted(path.name for path in (checkout / "runs").iterdir()) == ["train", "train2", "train3", "train4"]
    second = json.loads((checkout / "runs" / "train2" / "run.json").read_text())
    assert (second["epochs"], second["learning_rate"]) == (50, 0.002)
    assert set(json.loads((checkout / "training_output" / "run.json").read_text())["losses"]) == {"mse", "arcface"}
    fourth = json.loads((checkout / "runs" / "train4" / "run.json").read_text())
    assert fourth["data"]["sampler"].endswith("ExhaustiveNxMSampler")
    assert fourth["data"]["M_samples_per_class"] == 10


@pytest.mark.slow
def test_embedder_of_a_wespeaker_repository(few, tmp_path, run_python, monkeypatch):
    """The repository lies in the Hub's cache, as a download leaves it."""
    import torch

    from balr_hf import WespeakerConfig, WespeakerModel

    repository = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    snapshot = repository / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    arguments = {"feat_dim": 80, "embed_dim": 8, "pooling_func": "TSTP", "two_emb_layer": False, "m_channels": 2}
    model = WespeakerModel(WespeakerConfig.from_wespeaker("ResNet293", arguments))
    torch.save(model.state_dict(), snapshot / "avg_model.pt")
    (snapshot / "config.yaml").write_text(f"model: ResNet293\nmodel_args: {json.dumps(arguments)}\n")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    words = adapted(EXTRACT_FROM_REPOSITORY.replace(METADATA, str(few)))
    run_python("-m", "balr_hf", *words, cwd=tmp_path)
    written = list((tmp_path / "resources" / "data" / "sample-emb").rglob("*_emb.txt"))
    assert len(written) == 12
    assert len(written[0].read_text().splitlines()) == 8


@pytest.mark.slow
def test_training_launched_on_two_processes(checkout, run_python, free_port):
    random = np.random.default_rng(0)
    for path in (checkout / "resources" / "data" / "sample").rglob("*.opus"):
        np.savetxt(path.with_name(f"{path.stem}_emb.txt"), random.normal(size=256))
    words = adapted(f"balr {LAUNCHED}")
    accelerate = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port"]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port"]
    for number, launcher in (("", accelerate), ("2", torchrun)):
        run_python(*launcher, free_port(), "-m", "balr_hf", *words, cwd=checkout)
        run = json.loads((checkout / "runs" / f"train{number}" / "run.json").read_text())
        assert run["num_processes"] == 2


def test_no_line_of_the_documents_is_missing_here(golden):
    known = {*LINES, EXTRACT_FROM_REPOSITORY}
    lines = (golden / "balr2_commands.txt").read_text().splitlines()
    assert {line for line in lines if line.startswith("balr ")} <= known
    launched = [line for line in lines if line.startswith("torchrun ")]
    assert len(launched) == 2
    assert all(line.split("main.py ")[1].split()[0] == "train" and "--device cuda:0,1" in line for line in launched)
