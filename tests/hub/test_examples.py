"""Examples that need a Hub, and the Python of docs/hub.md, against the local one."""

import re

import pytest

pytestmark = pytest.mark.slow

RUN = """
    import runpy, sys

    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_push_makes_private_repositories_that_work_together(hub, root):
    said = hub.run(RUN, root / "examples" / "push.py", "me").stdout
    assert len(re.findall(r"/commit/", said)) == 4
    names = [("embedder", "models"), ("attributes", "models"), ("scorer", "models"), ("corpus", "datasets")]
    assert all(hub.server.repository(f"me/balr-{name}", kind).private for name, kind in names)
    assert "me/balr-attributes" in hub.server.repository("me/balr-scorer").read("README.md").decode()
    use = """
        from transformers import pipeline

        from balr_hf import load_corpus

        models = {"autoencoder": "me/balr-attributes", "scorer": "me/balr-scorer"}
        compare = pipeline("speaker-comparison", "me/balr-embedder", **models)
        corpus = load_corpus("me/balr-corpus:test")
        first, second, *_, last = corpus["audio"]
        assert compare(first, second)["calibrated_llr"] > 0 > compare(first, last)["calibrated_llr"]
    """
    hub.run(use)


def test_train_system_uploads_system_and_attributes_once(hub, root, tmp_path):
    """A finished run of the shipped system: both repositories have cards, and nothing is uploaded twice."""
    import json
    import shutil

    import numpy as np

    from balr_hf.defaults import SYSTEM, resource
    from balr_hf.evaluation import Evaluation

    run = tmp_path / "run"
    shutil.copytree(resource(SYSTEM), run / "system")
    llrs, labels = np.array([2.0, 1.0, -1.0, -3.0]), np.array([True, True, False, False])
    found = Evaluation.of(
        llrs, labels, resamples=0, scorer="DirichletMultinomialScorer", corpus={"name": "my test part"}
    )
    (run / "validation").mkdir()
    (run / "validation" / "metrics.json").write_text(json.dumps(found.to_dict()))
    for part in ("reference", "calibration", "test"):
        folder = run / "attributes" / part
        folder.mkdir(parents=True)
        for number in range(2):
            np.save(folder / f"{number}_ba.npy", np.arange(512) % 2 == number)
        lines = ["id,binary_attributes,speaker", *(f"{part}{n},{n}_ba.npy,voice {n}" for n in range(2))]
        (folder / f"{part}.csv").write_text("\n".join(lines) + "\n")
    push = """
        import runpy, sys
        from pathlib import Path

        example = runpy.run_path(sys.argv[1] + "/examples/train_system.py")
        given = example["Arguments"](
            push_to="me/system", push_corpus_to="me/ba", private=True, license="mit", conditions="none"
        )
        for _ in range(2):
            example["push"](example["Job"](given, Path(sys.argv[2]), None, None, None))
    """
    first, second = hub.run(push, root, run).stdout.strip().split("\npublished: me/system ")
    assert first.startswith("published: me/system ") and "published: me/ba (" in second
    system, attributes = hub.server.repository("me/system"), hub.server.repository("me/ba", "datasets")
    assert system.private and attributes.private
    card = system.read("README.md").decode()
    assert "my test part" in card and "license: mit" in card
    assert "license: mit" in attributes.read("README.md").decode()
    assert not [name for name in attributes.at("main").files if "audio" in name]
    use = """
        from balr_hf import load_corpus

        assert load_corpus("me/ba:calibration").column_names == ["id", "speaker", "ba"]
    """
    hub.run(use)
    assert len([commit for commit in system.history() if commit.title == "Upload model"]) == 1


def test_load_wespeaker_downloads(hub, root):
    """By its default name, from a repository as WeSpeaker's."""
    import io
    import json

    import torch

    from balr_hf import WespeakerConfig, WespeakerModel

    arguments = {"m_channels": 2, "embed_dim": 8}
    weights = io.BytesIO()
    torch.save(WespeakerModel(WespeakerConfig.from_wespeaker("ResNet34", arguments)).state_dict(), weights)
    folder = hub.folder / "wespeaker"
    folder.mkdir()
    (folder / "avg_model.pt").write_bytes(weights.getvalue())
    (folder / "config.yaml").write_text(f"model: ResNet34\nmodel_args: {json.dumps(arguments)}\n")
    hub.server.create("Wespeaker/wespeaker-voxceleb-resnet34-LM").add_folder(folder)
    said = hub.run(RUN, root / "examples" / "load_wespeaker.py").stdout
    assert "[3, 4, 6, 3] basic blocks" in said and "Embeddings of 8 values" in said


def test_corpus_of_others_from_the_hub(hub, root, few):
    push = """
        import sys

        import datasets

        from balr_hf import load_corpus

        theirs = load_corpus(sys.argv[1]).select_columns(["audio", "speaker"]).rename_column("speaker", "client")
        theirs = theirs.class_encode_column("client").cast_column("audio", datasets.Audio(sampling_rate=16000))
        theirs.push_to_hub("me/theirs", split="validation")
    """
    hub.run(push, few)
    example = root / "examples" / "corpus_with_decoded_audio.py"
    said = hub.run(RUN, example, "me/theirs", "validation", "client").stdout
    assert "files: 12 recordings; the first, espeak01-01 of espeak01" in said


def test_python_of_the_page_on_the_hub_prints_what_it_shows(hub, root, few, models, assert_shown):
    """Its blocks in one process, in their order."""
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "hub.md").read_text(), re.DOTALL)
    assert len(blocks) >= 4
    prepare = """
        import shutil, sys
        from pathlib import Path

        for name in ("wespeaker-tiny", "autoencoder-tiny", "scorer-beta-tiny"):
            shutil.copytree(Path(sys.argv[2]) / name, name)
        voice = Path(sys.argv[1]).parent / "espeak17"
        shutil.copy(voice / "espeak17-01.opus", "questioned.opus")
        shutil.copy(voice / "espeak17-02.opus", "known.opus")
        shutil.copytree(voice.parent, "corpus")
    """
    hub.run(prepare, few, models)
    code = "\n".join(blocks)
    assert_shown(code, hub.run(code).stdout)
