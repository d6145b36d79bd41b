"""What users push, with its card: models, training runs, calibrated scorers, corpora; and what comes back."""

import io
import json
import os
import re
import shutil
import textwrap

import pyarrow.parquet as parquet
import pytest
from huggingface_hub import DatasetCard

from balr_hf.defaults import SYSTEM, resource

slow = pytest.mark.slow
MARK = "<!-- Written by balr_hf."

# balr_hf is not installed there: its import fails as that of a package that is missing.
WITHOUT_PACKAGE = 'import sys\nsys.modules["balr_hf"] = None\n'


def httpx_error() -> Exception:
    """What the HTTP client of this huggingface_hub raises."""
    from huggingface_hub import errors

    return errors.HfHubHTTPError.__mro__[1]("no answer")


def code_blocks(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


@pytest.fixture
def trained(few, extracted, balr, tmp_path, monkeypatch):
    """A run of each kind in `runs/`, on a few recordings."""
    monkeypatch.chdir(tmp_path)
    words = ["data.N_classes_per_batch=4", "data.M_samples_per_class=2", "data.batch_size=8", "trainer.val_period=1"]
    balr("train", few, few, *words, "trainer.epochs=2")
    balr("binarize", few, "encoder.model.checkpoint_path=runs/train")
    ids = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    pairs = [f"{a}\t{b}" for n, a in enumerate(ids) for b in ids[:n]]
    (tmp_path / "trials.csv").write_text("\n".join(["enrollment\ttest", *pairs]) + "\n")
    balr("score", "train", few)
    return tmp_path


@slow
def test_run_and_scorer_are_pushed_with_cards_whose_code_runs(hub, trained, few, balr, models):
    scorer = "scorer.checkpoint_path=runs/scorer/train"
    status, said = balr("score", "calibrate", "--allow-overlap", few, "trials.csv", scorer)
    assert status == 0, said
    status, said = balr("score", "test", "--allow-overlap", "--bootstrap", "20", few, "trials.csv", scorer)
    assert status == 0, said
    push = """
        import sys
        from balr_hf.cli.main import main

        for line in sys.argv[1:]:
            status = main(line.split())
            assert status == 0, line
    """
    bases = "--embedder me/embedder --autoencoder me/attributes"
    hub.run(
        push,
        f"push {models / 'wespeaker-tiny'} me/embedder",
        f"push {trained}/runs/train me/attributes --embedder me/embedder --datasets me/corpus --license cc-by-4.0",
        f"push {trained}/runs/scorer/train me/scorer {bases} --results {trained}/runs/score --private",
    )
    cards = {name: hub.server.repository(f"me/{name}").read("README.md").decode() for name in ("attributes", "scorer")}
    assert hub.server.repository("me/scorer").private and not hub.server.repository("me/attributes").private
    stored = hub.server.repository("me/attributes").at("main").files
    assert {"training_curves.png", "history.json", "run.json", "modeling_autoencoder.py"} <= stored.keys()
    assert len(hub.server.repository("me/attributes").history()) == 2  # made, and one commit

    attributes, scorer = cards["attributes"], cards["scorer"]
    assert "license: cc-by-4.0" in attributes and "- me/corpus" in attributes
    assert "embeddings of [me/embedder](" in attributes and "base_model" not in attributes
    assert "12 recordings of 4 speakers" in attributes and "Adam, learning rate 0.001" in attributes
    metrics = json.loads((trained / "runs" / "score" / "metrics.json").read_text())
    assert f"value: {round(metrics['cllr'], 6)}" in scorer and "name: few.csv" in scorer
    assert str(trained) not in scorer, "a path of the author's machine"
    assert "| calibration | affine, on" in scorer
    for card in cards.values():
        assert "Limits and ethics" in card and "benamor2022balr" in card and "Licence" in card

    blocks = [block for card in cards.values() for block in code_blocks(card)]
    assert len(blocks) == 5
    joined = "\n".join(f"exec({block!r}, {{}})" for block in blocks)
    assert "same speaker" in hub.run(joined).stdout

    same = """
        import sys, torch
        from balr_hf import BinaryAttributeAutoEncoder, load_scorer

        for load, repo, folder in (
            (BinaryAttributeAutoEncoder.from_pretrained, "me/attributes", sys.argv[1] + "/runs/train/best"),
            (load_scorer, "me/scorer", sys.argv[1] + "/runs/scorer/train"),
        ):
            pulled, local = load(repo).state_dict(), load(folder).state_dict()
            assert pulled.keys() == local.keys() and all(torch.equal(pulled[name], local[name]) for name in local)
        assert load_scorer("me/scorer").is_calibrated
    """
    hub.run(same, trained)


@slow
def test_pushed_models_work_without_the_package(hub, root, models, tmp_path):
    """From the card's own code, which loads the code that lies beside the weights."""
    from balr_hf.hub.publishing import prepare_model

    cards = []
    for repo, name in (("me/embedder", "wespeaker-tiny"), ("me/bae", "autoencoder-tiny")):
        folder = tmp_path / name
        folder.mkdir()
        prepare_model(models / name, folder, repo)
        (folder / "README.md").unlink()
        hub.server.create(repo).add_folder(folder)
        cards.append(_card(models / name, repo))
    blocks = [block for card in cards for block in code_blocks(card) if "trust_remote_code" in block]
    assert len(blocks) == 2
    show = "print(embedding.shape, attributes.shape, type(model).__module__.split('.')[0])"
    done = hub.run(WITHOUT_PACKAGE + "\n".join(blocks) + show).stdout
    assert "torch.Size([1, 256]) torch.Size([2, 512]) transformers_modules" in done

    numbers = """
        import numpy as np, torch
        from transformers import AutoFeatureExtractor, AutoModel

        trust = {"trust_remote_code": True}
        waveform = np.random.default_rng(0).normal(size=32000).astype("float32")
        features = AutoFeatureExtractor.from_pretrained("me/embedder", **trust)([waveform], sampling_rate=16000)
        with torch.no_grad():
            embedding = AutoModel.from_pretrained("me/embedder", **trust).eval()(**features).embeddings
            bits = AutoModel.from_pretrained("me/bae", **trust).eval()(embedding).binary
        print(embedding[0, :8].tolist(), bits.sum().item())
        # what the Hub shows beside the card
        for repo in ("me/embedder", "me/bae"):
            AutoModel.from_pretrained(repo, trust_remote_code=True, dtype="auto")
    """
    numbers = textwrap.dedent(numbers)
    there = hub.run(WITHOUT_PACKAGE + numbers).stdout.splitlines()[-1]
    here = hub.run("import balr_hf" + numbers.replace(", **trust)", ")")).stdout.splitlines()[-1]
    assert there == here


def _card(folder, repo):
    from transformers import AutoConfig

    import balr_hf  # noqa: F401 (registers the configurations)
    from balr_hf.hub.cards import CardFacts, model_card

    return str(model_card(AutoConfig.from_pretrained(folder), CardFacts(repo)))


@slow
def test_saving_with_push_to_hub_uploads_what_push_to_hub_does(hub, models):
    script = """
        import sys
        from balr_hf import BinaryAttributeAutoEncoder, WespeakerFeatureExtractor, WespeakerModel, load_scorer

        folder = sys.argv[1]
        embedder = WespeakerModel.from_pretrained(folder + "/wespeaker-tiny")
        embedder.feature_extractor = WespeakerFeatureExtractor(waveform_scale=1.0)
        scorer = load_scorer(folder + "/scorer-beta-tiny")
        autoencoder = BinaryAttributeAutoEncoder.from_pretrained(folder + "/autoencoder-tiny")
        for model in (embedder, autoencoder, scorer):
            model.push_to_hub("me/" + model.role, license="mit")
            push = {"push_to_hub": True, "license": "mit", "private": True, "max_shard_size": "1GB"}
            model.save_pretrained("saved/" + model.role, repo_id="me/saved-" + model.role, **push)
        autoencoder.save_pretrained("default-name", push_to_hub=True)
        autoencoder.save_pretrained("second", is_main_process=False, push_to_hub=True)
        zeros = {name: value * 0 + 0.5 for name, value in autoencoder.state_dict().items()}
        autoencoder.save_pretrained("other", state_dict=zeros, push_to_hub=True, repo_id="me/zeros")
        assert WespeakerModel.from_pretrained("me/saved-embedder").feature_extractor.waveform_scale == 1.0
    """
    hub.run(script, models)
    repositories = {id: repo for (_, id), repo in hub.server.repositories.items()}
    roles = ("embedder", "autoencoder", "scorer")
    assert repositories.keys() == {
        *(f"me/{p}{r}" for p in ("", "saved-") for r in roles),
        "me/default-name",
        "me/zeros",
    }
    for role in roles:
        pushed, saved = repositories[f"me/{role}"], repositories[f"me/saved-{role}"]
        files = {path: pushed.read(path) for path in pushed.at("main").files}
        assert saved.private and len(saved.history()) == 2
        assert saved.at("main").files.keys() == files.keys() >= {"README.md", "config.json", "model.safetensors"}
        for path, content in files.items():
            expected = content.replace(f"me/{role}".encode(), f"me/saved-{role}".encode())
            assert saved.read(path) == expected.replace(f"# {role}".encode(), f"# saved-{role}".encode()), path
    embedder = repositories["me/saved-embedder"]
    assert json.loads(embedder.read("preprocessor_config.json"))["waveform_scale"] == 1.0
    assert (hub.folder / "saved" / "embedder" / "preprocessor_config.json").read_bytes() == embedder.read(
        "preprocessor_config.json"
    )
    autoencoders = [repositories[name].read("model.safetensors") for name in ("me/autoencoder", "me/zeros")]
    assert autoencoders[1] == (hub.folder / "other" / "model.safetensors").read_bytes() != autoencoders[0]


@slow
def test_saving_with_push_to_hub_without_the_package_uploads_the_feature_extractor_too(hub, models, tmp_path):
    from balr_hf.hub.publishing import prepare_model

    folder = tmp_path / "embedder"
    folder.mkdir()
    prepare_model(models / "wespeaker-tiny", folder, "me/embedder")
    script = """
        from transformers import AutoModel

        model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
        model.feature_extractor.waveform_scale = 2.0
        model.save_pretrained("again", push_to_hub=True, repo_id="me/again")
    """
    hub.run(WITHOUT_PACKAGE + textwrap.dedent(script), folder)
    stored = hub.server.repository("me/again")
    assert json.loads(stored.read("preprocessor_config.json"))["waveform_scale"] == 2.0
    assert "model.safetensors" in stored.at("main").files


@slow
def test_saving_a_system_with_push_to_hub_without_the_package_uploads_the_features_and_the_code_too(hub, tmp_path):
    from balr_hf.hub.publishing import prepare_model

    folder = tmp_path / "system"
    folder.mkdir()
    prepare_model(resource(SYSTEM), folder, "me/system")
    load = """
        import numpy as np
        from transformers import AutoModel

        model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
        waveforms = np.random.default_rng(0).normal(scale=0.1, size=(2, 16000)).astype("float32")
        print(model.compare(*waveforms, sampling_rate=16000).llr.item())
    """
    save = """
        model.save_pretrained("again", push_to_hub=True, repo_id="me/again", commit_message="Again")
        model.save_pretrained("named")  # is not uploaded
        zeros = {name: 0 * weight for name, weight in model.state_dict().items()}
        model.save_pretrained("zeros", state_dict=zeros, push_to_hub=True, repo_id="me/zeros", private=True)
    """
    before = hub.run(WITHOUT_PACKAGE + textwrap.dedent(load) + textwrap.dedent(save), folder).stdout.splitlines()[-1]
    stored, saved = hub.server.repository("me/again").at("main").files, hub.folder / "again"
    assert stored.keys() - {".gitattributes", "README.md"} == {path.name for path in saved.iterdir() if path.is_file()}
    assert {"model.safetensors", "preprocessor_config.json", "modeling_system.py", "modeling_beta.py"} <= stored.keys()
    zeros = hub.server.repository("me/zeros")
    assert zeros.private and zeros.at("main").files.keys() == stored.keys()
    assert zeros.read("model.safetensors") == (hub.folder / "zeros" / "model.safetensors").read_bytes()
    assert zeros.read("model.safetensors") != hub.server.repository("me/again").read("model.safetensors")
    assert hub.run(WITHOUT_PACKAGE + textwrap.dedent(load), "me/again").stdout.splitlines()[-1] == before


@slow
def test_a_pipeline_is_pushed_as_one_system(hub, root, sample):
    script = """
        import sys
        import balr_hf
        from balr_hf.audio import AudioError
        from huggingface_hub import HfApi
        from transformers import pipeline

        first, second, endpoint = sys.argv[1:]
        compare = pipeline("speaker-comparison")
        compare.push_to_hub("me/system", license="mit")
        compare.save_pretrained("saved", push_to_hub=True, repo_id="me/saved-system", license="mit")
        HfApi().upload_file(path_or_fileobj=first, path_in_repo="first.opus", repo_id="me/system")
        again, expected = pipeline("speaker-comparison", "me/system"), compare(first, second)
        # an address is a recording too, here one that leads to another
        for one in (first, endpoint + "/me/system/resolve/main/first.opus"):
            assert again(one, second) == expected, one
        try:
            again(endpoint + "/me/system/resolve/main/none.opus", second)
            raise SystemExit("there is no such recording")
        except AudioError as error:
            assert "none.opus: cannot be downloaded (" in str(error) and "404" in str(error)
    """
    voices = [sample / "espeak17" / f"espeak17-0{number}.opus" for number in (1, 2)]
    hub.run(script, *voices, hub.server.url)
    pushed, saved = (hub.server.repository(name) for name in ("me/system", "me/saved-system"))
    assert (
        pushed.history()[1].files.keys() == saved.at("main").files.keys() >= {"README.md", "preprocessor_config.json"}
    )
    for path in saved.at("main").files:
        content = saved.read(path)
        assert str(root).encode() not in content and str(hub.folder).encode() not in content, path


@slow
def test_push_to_hub_of_a_model_is_one_commit_and_keeps_an_authors_card(hub, models):
    script = """
        import sys
        from balr_hf import BinaryAttributeAutoEncoder
        from huggingface_hub import HfApi

        model = BinaryAttributeAutoEncoder.from_pretrained(sys.argv[1])
        print(model.push_to_hub("me/bae", private=True, commit_message="first").oid)
        card = HfApi().hf_hub_download("me/bae", "README.md")
        text = open(card).read()
        mine = "\\n".join(line for line in text.splitlines() if "<!--" not in line).replace("# bae", "# My own words")
        HfApi().upload_file(path_or_fileobj=mine.encode(), path_in_repo="README.md", repo_id="me/bae")
        results = {"eer": 0.25, "corpus": {"name": "/home/me/secret/test.csv"}, "scorer": "X", "calibration": None,
                   "trials": 4, "same_speaker": 2, "different_speaker": 2, "speakers": 2}
        model.push_to_hub("me/bae", results=[results], commit_message="second")
        model.push_to_hub("me/bae", revision="try", commit_message="third")
        BinaryAttributeAutoEncoder.from_pretrained("me/bae", revision="try")
    """
    hub.run(script, models / "autoencoder-tiny")
    repo = hub.server.repository("me/bae")
    assert repo.private
    first = repo.history()[-2]
    assert MARK in repo.read("README.md", first.id if hasattr(first, "id") else first.oid).decode()
    card = repo.read("README.md").decode()
    assert "# My own words" in card and "value: 0.25" in card and "secret" not in card
    assert "config.json" in repo.at("try").files


def test_a_push_says_before_the_upload_that_it_is_public(hub, models, few):
    script = """
        import sys
        from balr_hf import BinaryAttributeAutoEncoder, load_corpus, publish_corpus

        model = BinaryAttributeAutoEncoder.from_pretrained(sys.argv[1])
        corpus = load_corpus(sys.argv[2])
        for private in (True, None):  # the second makes nothing private, and what is private stays so
            model.push_to_hub("me/closed", private=private)
            publish_corpus(corpus, "me/closed", private=private)
        model.push_to_hub("me/open")
        publish_corpus(corpus, "me/open")
    """
    said = hub.run(script, models / "autoencoder-tiny", few).stderr
    assert said.count("me/open is public: anybody can download what is uploaded") == 2, said
    assert "the recordings themselves" in said and "me/closed is public" not in said


def test_pictures_beside_a_model_are_uploaded_only_if_its_card_shows_them(models, tmp_path, balr):
    model = tmp_path / "model"
    shutil.copytree(models / "autoencoder-tiny", model)
    for name in ("my curve.png", "loss-1.png", "1.png", "spectrogram of the victim.png", "notes.csv"):
        (model / name).write_bytes(b"x")
    (model / "README.md").write_text("# Mine\n\n![Losses](my%20curve.png) ![](./loss-1.png)\n")
    status, said = balr("push", "--prepare", tmp_path / "look", model, "me/bae")
    assert status == 0, said
    uploaded = {path.name for path in (tmp_path / "look").iterdir()}
    assert {"my curve.png", "loss-1.png"} <= uploaded
    assert not uploaded & {"spectrogram of the victim.png", "notes.csv", "1.png"}
    assert "Left out" in said and "spectrogram of the victim.png" in said


@pytest.mark.parametrize("words", [["push", "--prepare", "look"], ["verify"]])
def test_a_scorer_of_ones_own_is_named_where_no_class_can_be_named(models, tmp_path, balr, monkeypatch, words):
    model = tmp_path / "mine"
    shutil.copytree(models / "scorer-beta-tiny", model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "never-registered"}))
    monkeypatch.chdir(tmp_path)
    status, said = balr(*words, model, *(["me/mine"] if "push" in words else []))
    assert status != 0 and "its type 'never-registered' is not known here. A scorer of your own is known" in said
    assert "pip install --upgrade transformers" not in said


def test_a_push_leaves_no_earlier_weights_that_would_be_loaded(hub, models):
    script = """
        import sys
        import torch
        from huggingface_hub import HfApi
        from balr_hf import BinaryAttributeAutoEncoder

        model = BinaryAttributeAutoEncoder.from_pretrained(sys.argv[1])
        model.push_to_hub("me/bae", variant="best")
        for size in ("50GB", "200KB", "400KB", "50GB"):
            with torch.no_grad():
                model.encoder[0].weight += 1
            model.push_to_hub("me/bae", max_shard_size=size)
            loaded = BinaryAttributeAutoEncoder.from_pretrained("me/bae")
            print(torch.equal(loaded.encoder[0].weight, model.encoder[0].weight))
        print(*(name for name in sorted(HfApi().list_repo_files("me/bae")) if "safetensors" in name))
    """
    done = hub.run(script, models / "autoencoder-tiny")
    assert done.stdout.splitlines() == ["True"] * 4 + ["model.best.safetensors model.safetensors"]
    assert len(hub.server.repository("me/bae").history()) == 6  # with the first, empty one: each push is one commit


def test_a_pushed_system_has_no_detectors_and_descriptions_of_an_earlier_one(hub):
    """Those of another embedder would keep the repository from being loaded, and others would come back."""
    script = """
        import torch
        from transformers import AutoModel
        from balr_hf import SpeakerComparisonModel
        from balr_hf.defaults import SYSTEM, resource

        system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
        system.push_to_hub("me/system")
        loaded = AutoModel.from_pretrained("me/system")
        print(*loaded.detectors, loaded.descriptions is not None)
        del system.detectors["room"]
        system.descriptions = None
        system.push_to_hub("me/system")
        loaded = AutoModel.from_pretrained("me/system")
        print(*loaded.detectors, loaded.descriptions is not None)
        with torch.no_grad():
            loaded.embedder.seg_1.bias += 1
        parts = loaded.embedder, loaded.autoencoder, loaded.scorer
        SpeakerComparisonModel.from_parts(*parts, allow_mismatch=True).push_to_hub("me/system")
        print(*AutoModel.from_pretrained("me/system").detectors, "loaded")
    """
    assert hub.run(script).stdout.splitlines() == ["overlapped speed room True", "overlapped speed False", "loaded"]


@slow
def test_corpus_is_pushed_with_card_and_comes_back(hub, few):
    script = """
        import sys
        from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
        from balr_hf.cli.main import main
        from balr_hf.data import save_dataset
        from balr_hf.defaults import AUTOENCODER, EMBEDDER, resource
        from pathlib import Path

        corpus = WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(load_corpus(sys.argv[1]))
        corpus = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).get_binary_attributes(corpus)
        save_dataset(corpus, Path("whole"))
        assert main(["push", "whole", "me/corpus", "--split", "test", "--license", "mit"]) == 0
        assert main(["push", "--prepare", "look", "whole", "me/corpus", "--split", "test", "--license", "mit"]) == 0
        back = load_corpus("me/corpus")
        for name in ("id", "speaker", "embedding", "ba"):
            assert list(back[name]) == list(corpus[name]), name
        from balr_hf import load_audio
        assert (load_audio(back[0]["audio"]) == load_audio(corpus[0]["audio"])).all()
        assert load_corpus("me/corpus@main:test").num_rows == len(corpus)
        stream = load_corpus("hf://datasets/me/corpus", streaming=True)
        assert [row["id"] for row in stream] == corpus["id"][:]
        from balr_hf import publish_corpus
        from huggingface_hub import HfApi
        HfApi().create_repo("me/own", repo_type="dataset")
        mine = {"path_in_repo": "README.md", "repo_id": "me/own", "repo_type": "dataset"}
        HfApi().upload_file(path_or_fileobj=b"---\\npretty_name: My corpus\\n---\\n# My words\\n", **mine)
        paths = corpus.select_columns(["id", "audio"]).to_list()
        paths = [{"id": row["id"], "audio": row["audio"]["path"]} for row in paths]
        publish_corpus(type(corpus).from_list(paths), "me/own", license="cc0-1.0", language="en")
        for bad in ("me/corpus@none", "me/corpus:train", "me/nothing"):
            assert main(["binarize", bad, "--save-dir", "x"]) == 1
    """
    done = hub.run(script, few)
    card = hub.server.repository("me/corpus", "datasets").read("README.md").decode()
    look = hub.folder / "look"
    assert [path.name for path in look.iterdir()] == ["README.md"]
    assert "Would upload 12 recordings with their audio as the split test" in done.stderr
    ours, sent = (DatasetCard(text) for text in ((look / "README.md").read_text(encoding="utf-8"), card))
    assert ours.text == sent.text
    ours, sent = ours.data.to_dict(), sent.data.to_dict()
    assert ours["dataset_info"]["features"] == sent["dataset_info"]["features"]
    # the sizes and names of files, which only the upload finds out
    assert {name for name in sent if ours.get(name) != sent[name]} == {"dataset_info", "configs"}
    assert "dataset_info" in card and "license: mit" in card and "12 recordings, 4 speakers" in card
    assert "| `ba` | binary attributes | bool (512) |" in card
    own = hub.server.repository("me/own", "datasets").read("README.md").decode()
    assert "license: cc0-1.0" in own and "pretty_name: My corpus" in own and own.endswith("---\n# My words\n")
    assert "language:\n- en\n" in own and "- audio-classification" in own
    for repo, split in (("me/corpus", "test"), ("me/own", "train")):
        stored = hub.server.repository(repo, "datasets")
        table = parquet.read_table(io.BytesIO(stored.read(f"data/{split}-00000-of-00001.parquet")))
        assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["audio"] == {"_type": "Audio"}
        assert "- name: audio\n    dtype: audio\n" in stored.read("README.md").decode()
        audio = table["audio"].to_pylist()
        assert all(len(one["bytes"]) > 1000 and "/" not in one["path"] for one in audio)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == 3 and all(line.startswith("balr binarize: error: ") for line in errors), errors


def test_a_look_at_the_card_of_a_corpus_sends_nothing(sample, balr, tmp_path, monkeypatch):
    from huggingface_hub import HfApi

    def call(*_, **__):
        raise AssertionError("the Hub was called")

    monkeypatch.setattr(HfApi, "create_repo", call)
    monkeypatch.setattr("balr_hf.hub.publishing.hf_hub_download", call)
    words = ["--split", "test", "--license", "mit", "--language", "en, de", "--prepare", tmp_path / "look"]
    status, said = balr("push", sample / "test.csv", "me/corpus", *words)
    assert status == 0, said
    assert "Would upload 64 recordings with their audio as the split test" in said
    card = DatasetCard.load(tmp_path / "look" / "README.md")
    assert (card.data.license, card.data.language, card.data.size_categories) == ("mit", ["en", "de"], ["n<1K"])
    assert card.data["dataset_info"]["splits"][0]["num_examples"] == 64
    assert "64 recordings, 8 speakers in the split `test`" in card.text
    assert str(sample) not in str(card), "a path of the author's machine"


@slow
def test_interrupted_push_leaves_nothing_and_goes_through_again(hub, models):
    push = """
        import sys, time
        from balr_hf.cli.main import main

        time.sleep = lambda seconds: None  # between retries
        sys.exit(main(["push", sys.argv[1], "me/bae"]))
    """
    hub.server.fail_after_bytes(100_000)
    done = hub.run(push, models / "autoencoder-tiny", check=False)
    assert done.returncode == 1 and "balr push: error: " in done.stderr and "Traceback" not in done.stderr
    repo = hub.server.repository("me/bae")
    assert not set(repo.at("main").files) - {".gitattributes"}
    hub.server.fail_after_bytes(0, times=0)
    hub.run(push, models / "autoencoder-tiny")
    assert "model.safetensors" in repo.at("main").files
    done = hub.run(push, models / "autoencoder-tiny", token=False, check=False)
    assert done.returncode == 1 and "balr push: error: " in done.stderr and "Traceback" not in done.stderr


@slow
def test_example_trains_and_pushes(hub, root):
    script = """
        import runpy, sys

        example = sys.argv[1] + "/examples/train.py"
        sys.argv = [example, "--epochs", "2", "--push-to-hub", "--hub-model-id", "me/attributes", "--hub-private"]
        runpy.run_path(example, run_name="__main__")
    """
    assert "Uploaded: " in hub.run(script, root).stdout
    repo = hub.server.repository("me/attributes")
    assert repo.private and "training_curves.png" in repo.at("main").files
    assert "128 recordings of 16 speakers" in repo.read("README.md").decode()


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (ConnectionError("no route"), True),
        (httpx_error(), True),
        (AttributeError("a bug"), False),
        (ValueError("a bug"), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_a_bug_in_an_upload_is_not_told_as_the_users_error(models, monkeypatch, error, is_told):
    from huggingface_hub import HfApi

    from balr_hf.errors import UserError
    from balr_hf.hub.publishing import publish_model

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", fail)
    expected = pytest.raises(UserError, match="cannot upload to me/x: ") if is_told else pytest.raises(type(error))
    with expected as caught:
        publish_model(models / "autoencoder-tiny", "me/x")
    assert isinstance(caught.value, UserError) == is_told


def test_a_name_that_the_hub_cannot_have_is_the_users_error(models):
    from balr_hf.errors import UserError
    from balr_hf.hub.publishing import publish_model

    with pytest.raises(UserError, match="cannot upload to me//x: Repo id must"):
        publish_model(models / "autoencoder-tiny", "me//x")


@pytest.mark.parametrize("kind", ["DatasetDict", "IterableDataset", "str"])
def test_what_is_no_one_corpus_is_not_pushed(kind, tmp_path):
    import datasets

    from balr_hf import publish_corpus
    from balr_hf.errors import UserError
    from balr_hf.hub.publishing import prepare_corpus

    corpus = datasets.Dataset.from_dict({"id": ["a"], "speaker": ["s"]})
    given = {"DatasetDict": datasets.DatasetDict(test=corpus), "IterableDataset": corpus.to_iterable_dataset()}
    for push in (publish_corpus, lambda dataset, repo_id: prepare_corpus(dataset, tmp_path, repo_id)):
        with pytest.raises(UserError, match=f"of type {kind}: expected one datasets.Dataset"):
            push(given.get(kind, "corpus.csv"), "me/corpus")


@slow
def test_a_split_that_does_not_fit_is_the_users_error(hub, few):
    script = """
        import sys
        from balr_hf import load_corpus
        from balr_hf.errors import UserError
        from balr_hf.hub.publishing import publish_corpus

        corpus = load_corpus(sys.argv[1])
        publish_corpus(corpus, "me/corpus")
        try:
            publish_corpus(corpus.rename_column("speaker", "who"), "me/corpus", split="test")
        except UserError as error:
            print(error)
    """
    assert "cannot upload to me/corpus: Features of the new split don't match" in hub.run(script, few).stdout


def test_results_of_another_scorer_are_refused(models, tmp_path, balr):
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps({"trials": 3, "scorer_digest": "of another", "corpus": {"name": "test.csv"}}))
    status, said = balr(
        "push", models / "scorer-beta-tiny", "me/scorer", "--results", metrics, "--prepare", tmp_path / "look"
    )
    assert status == 1 and "the results on test.csv are of another scorer" in said


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["nowhere", "me/x"], "no such file or folder: nowhere"),
        (["{sample}", "me/x", "--prepare", "{sample}"], "exists already"),
        (["{models}/autoencoder-tiny", "me/x", "--results", "nowhere"], "no metrics of balr score test at nowhere"),
        (["{models}/autoencoder-tiny", "me/x", "--results", "{sample}/train.csv"], "no metrics of balr score test"),
        (["{models}/autoencoder-tiny", "me/x", "--prepare", "{sample}"], "exists already"),
    ],
)
def test_bad_pushes_end_in_one_line(balr, sample, models, words, wrong):
    words = [word.format(sample=sample, models=models) for word in words]
    status, said = balr("push", *words)
    assert status == 1 and wrong in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["{models}/autoencoder-tiny", "--split", "train"], "is a model, and --split is for a corpus: leave it out"),
        (
            ["{sample}", "--embedder", "me/x", "--base-models", "me/y"],
            "a corpus, and --embedder, --base-models is for",
        ),
    ],
)
def test_options_for_the_card_of_something_else_are_refused(balr, sample, models, tmp_path, words, wrong):
    source, *options = [word.format(sample=sample, models=models) for word in words]
    status, said = balr("push", source, "me/x", *options, "--prepare", tmp_path / "look")
    assert status == 2 and wrong in said and not (tmp_path / "look").exists()


@slow
def test_a_whole_system_is_pushed_and_its_cards_code_runs_with_and_without_the_package(
    hub, models, tmp_path, few, make_descriptions
):
    from balr_hf import BinaryAttributeAutoEncoder
    from balr_hf.identity import model_identity

    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(models / "autoencoder-tiny")
    (tmp_path / "described").mkdir()
    make_descriptions(512, model_identity(autoencoder)).save(tmp_path / "described")
    push = """
        import shutil
        import sys
        from balr_hf.cli.main import main

        parts, descriptions, recordings = sys.argv[1:4], sys.argv[4], sys.argv[5:]
        assert main(["assemble", *parts, "system"]) == 0
        shutil.copy(descriptions, "system")
        assert main(["push", "system", "me/system", "--license", "mit"]) == 0
        assert main(["explain", "--json", "--system", "me/system", *recordings]) == 0
    """
    parts = [models / name for name in ("wespeaker-tiny", "autoencoder-tiny", "scorer-beta-tiny")]
    voices = [few.parent / "espeak01" / f"espeak01-0{number}.opus" for number in (1, 2)]
    explained = json.loads(hub.run(push, *parts, tmp_path / "described" / "attributes.json", *voices).stdout)
    assert [one["group"] for one in explained["groups"]] == ["F0 and sex", "vocal tract", "recording", "undescribed"]
    repository = hub.server.repository("me/system")
    assert "attributes.json" in repository.at("main").files
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= repository.at("main").files.keys()
    card = repository.read("README.md").decode()
    assert "## What the attributes go with" in card and "More often active with a higher voice" in card
    assert "license: mit" in card and "900 speakers" in card and "ResNet of 1-1-2-2 basic blocks" in card
    with_package, without = code_blocks(card)
    assert "'attribute'" in hub.run(with_package).stdout
    beside_the_card = 'AutoModel.from_pretrained("me/system", trust_remote_code=True, dtype="auto")\n'  # on the Hub
    assert "torch.Size([1, 512])" in hub.run(WITHOUT_PACKAGE + without + beside_the_card).stdout

    numbers = """
        import sys
        import numpy as np
        from transformers import AutoFeatureExtractor, AutoModel

        trust = {"trust_remote_code": True}
        system = AutoModel.from_pretrained("me/system", **trust)
        waveforms = np.random.default_rng(0).normal(scale=0.1, size=(3, 16000)).astype("float32")
        output = system.compare(waveforms[0], waveforms[1:], sampling_rate=16000)
        extractor = AutoFeatureExtractor.from_pretrained("me/system", **trust)
        batch = [extractor([waveform])["input_features"] for waveform in waveforms[:2]]
        print(output.llr.item(), output.calibrated_llr.item(), system(*batch).llr.item())
    """
    numbers = textwrap.dedent(numbers)
    there = hub.run(WITHOUT_PACKAGE + numbers).stdout.splitlines()[-1]
    here = hub.run("import balr_hf" + numbers.replace(", **trust)", ")")).stdout.splitlines()[-1]
    assert there == here
    again = """
        import json, sys
        from transformers import pipeline
        import balr_hf

        print(json.dumps(pipeline("speaker-comparison", "me/system")(*sys.argv[1:])["llr"]))
    """
    assert json.loads(hub.run(again, *voices).stdout) == explained["raw_llr"]


def test_results_of_another_scorer_are_refused_for_a_system(models, tmp_path, balr):
    parts = [models / name for name in ("wespeaker-tiny", "autoencoder-tiny", "scorer-beta-tiny")]
    assert balr("assemble", *parts, tmp_path / "system")[0] == 0
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps({"trials": 3, "scorer_digest": "of another", "corpus": {"name": "test.csv"}}))
    status, said = balr("push", tmp_path / "system", "me/x", "--results", metrics, "--prepare", tmp_path / "look")
    assert status == 1 and "the results on test.csv are of another scorer" in said


@slow
def test_the_preset_of_balr_is_made_from_the_hub_and_an_address(hub, golden, tmp_path):
    import hashlib
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    import torch

    from balr_hf import WespeakerConfig, WespeakerModel

    source, arguments = tmp_path / "wespeaker", {"m_channels": 2, "embed_dim": 32}
    source.mkdir()
    (source / "config.yaml").write_text(f"model: ResNet18\nmodel_args: {json.dumps(arguments)}\n")
    made = WespeakerModel(WespeakerConfig.from_wespeaker("ResNet18", arguments))
    torch.save(made.state_dict(), source / "avg_model.pt")
    hub.server.create("Wespeaker/wespeaker-voxceleb-resnet34-LM").add_folder(source)

    file = golden / "upstream_autoencoder.pt"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    serve = partial(SimpleHTTPRequestHandler, directory=golden)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{file.name}"
        assemble = """
            import sys
            from balr_hf.cli.main import main

            sys.exit(main(["assemble", "--preset", "balr2", *sys.argv[1:]]))
        """
        cache = {"cache": tmp_path / "cache", "TORCH_HOME": str(tmp_path / "torch")}
        done = hub.run(assemble, "other", "--autoencoder", address, check=False, **cache)
        assert done.returncode == 1 and 'invalid hash value (expected "9211ab5d5944' in done.stderr
        assert not (tmp_path / "other").exists() and not list((tmp_path / "torch").rglob("*.pt"))
        hub.run(assemble, "system", "--autoencoder", address, "--sha256", digest, **cache)
        server.shutdown()
    # Both are in their caches now.
    offline = {**cache, "HF_HUB_OFFLINE": "1"}
    done = hub.run(assemble, "again", "--autoencoder", address, "--sha256", digest, **offline)
    assert "48 attributes" in done.stderr and "features scaled by 1," in done.stderr
    done = hub.run(assemble, "new", "--autoencoder", file, "--sha256", digest, HF_HUB_OFFLINE="1", check=False)
    assert done.returncode == 1 and "cannot load embedder from Wespeaker/" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr

    from balr_hf import SpeakerComparisonModel

    for name in ("system", "again"):
        system = SpeakerComparisonModel.from_pretrained(tmp_path / name)
        assert torch.equal(system.embedder.conv1.weight, made.conv1.weight)
        assert system.feature_extractor.waveform_scale == 1 and system.config.scorer.num_attributes == 48


@slow
def test_cards_of_a_scorer_of_the_authors_own_name_its_class_before_it_is_loaded(hub, root, tmp_path):
    """Their code runs wherever the author's package is; without the class, it would run for the author only."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "their_scorers.py").write_text(
        textwrap.dedent(
            """
            import torch
            from balr_hf import Scorer, ScorerConfig


            class AgreementConfig(ScorerConfig):
                model_type = "their-agreement"
                strength: float = 0.1


            class Agreement(Scorer):
                config_class = AgreementConfig

                def _fit(self, counts):
                    pass

                def _attribute_scores(self, enroll, test):
                    same = (enroll[..., 0] > 0) == (test[..., 0] > 0)
                    return torch.where(same, self.config.strength, -self.config.strength)
            """
        )
    )
    push = """
        import numpy as np
        from balr_hf import SpeakerComparisonModel, build_scorer, recording_counts
        from balr_hf.defaults import SYSTEM, resource

        counts = recording_counts(np.random.default_rng(0).random((8, 512)) > 0.5)
        scorer = build_scorer("their_scorers.Agreement", num_attributes=512).fit(counts)
        scorer.push_to_hub("me/scorer")
        system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
        SpeakerComparisonModel.from_parts(system.embedder, system.autoencoder, scorer).push_to_hub("me/system")
    """
    path = f"{root}{os.pathsep}{tmp_path / 'own'}"
    hub.run(push, PYTHONPATH=path)
    for name in ("scorer", "system"):
        card = hub.server.repository(f"me/{name}").read("README.md").decode()
        assert "| strength | 0.1 |" in card and "balr explain --system" not in card
        (code,) = code_blocks(card)
        assert 'scorer_class("their_scorers.Agreement")' in code
        hub.run(code, PYTHONPATH=path)
