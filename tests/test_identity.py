"""Models and vectors know one another: what does not belong together is refused, computed anew or said."""

import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, pipeline

from balr_hf import BinaryAttributeAutoEncoder, SpeakerComparisonModel, WespeakerModel, identity, load_corpus
from balr_hf.attributes.binarization import compute_binary_attributes
from balr_hf.checkpoints import weights_digest
from balr_hf.data import vector_matrix
from balr_hf.data.manifests import MANIFEST, read_manifest
from balr_hf.data.origins import origins_of
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, SYSTEM, is_shipped, resource
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.errors import MismatchError, UserError
from balr_hf.explanation.wording import NO_VERDICT_UNMEASURED
from balr_hf.hub.card_writers import CardFacts
from balr_hf.hub.cards import model_card
from balr_hf.hub.publishing import load_model
from balr_hf.identity import digest_of, is_demonstration, model_digest, model_identity
from balr_hf.scoring.auto import load_scorer


@pytest.fixture(scope="module")
def other_embedder(tmp_path_factory):
    """The folder of an embedder that is like the shipped one, with the axes of its embeddings turned."""
    model = WespeakerModel.from_pretrained(resource(EMBEDDER))
    generator = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(model.config.embed_dim, model.config.embed_dim, generator=generator))
    with torch.no_grad():
        model.seg_1.weight.copy_(turned @ model.seg_1.weight)
        model.seg_1.bias.copy_(turned @ model.seg_1.bias)
    folder = tmp_path_factory.mktemp("models") / "turned"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def other_autoencoder(tmp_path_factory):
    """The folder of an autoencoder that is like the shipped one, with its attributes in another order."""
    model = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    order = torch.randperm(model.config.internal_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.encoder[3].weight.copy_(model.encoder[3].weight[order])
        model.encoder[3].bias.copy_(model.encoder[3].bias[order])
        model.decoder[0].weight.copy_(model.decoder[0].weight[:, order])
    folder = tmp_path_factory.mktemp("models") / "permuted"
    model.save_pretrained(folder)
    return folder


def test_digest_is_of_all_that_decides_the_output(tmp_path):
    model = WespeakerModel.from_pretrained(resource(EMBEDDER))
    digest = model_digest(model)
    model.save_pretrained(tmp_path / "copy")
    copy = WespeakerModel.from_pretrained(tmp_path / "copy")
    assert model_digest(copy) == digest and model_identity(copy) == f"copy@{digest}"
    copy.feature_extractor.waveform_scale = 1.0
    assert weights_digest(copy.state_dict()) == weights_digest(model.state_dict()) and model_digest(copy) != digest
    copy = WespeakerModel.from_pretrained(tmp_path / "copy")
    with torch.no_grad():
        copy.seg_1.bias[0] += 1e-6
    assert model_digest(copy) != digest


def test_what_was_made_before_other_samples_were_embedded_is_refused(extracted, monkeypatch):
    """Whoever changes which samples are embedded raises a number, and nothing else is needed."""
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    before = model_digest(embedder), model_digest(autoencoder)
    (detector, *_) = load_model(resource(SYSTEM)).detectors.values()
    monkeypatch.setattr(identity, "PREPARATION", 2)
    assert model_digest(embedder) != before[0] and model_digest(autoencoder) == before[1]
    with pytest.raises(UserError, match=r"12 of the 12 embeddings .* were made by another model"):
        embedder.extract_embeddings(extracted, save_dir=extracted.parent)
    with pytest.raises(MismatchError, match="the autoencoder was made for"):
        compute_binary_attributes(autoencoder, compute_embeddings(embedder, load_corpus(extracted), force=True)[0])
    with pytest.raises(MismatchError, match="is a detector for the embedder"):
        detector.check(embedder)
    with pytest.raises(MismatchError, match="the autoencoder was made for"):
        load_model(resource(SYSTEM))


def test_shipped_models_know_one_another():
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    scorer = load_scorer(resource(SCORER))
    assert digest_of(autoencoder.config.embedder_identity) == model_digest(embedder)
    assert digest_of(scorer.config.autoencoder_identity) == model_digest(autoencoder)
    assert digest_of(scorer.config.embedder_identity) == model_digest(embedder)
    assert scorer.config.calibration["scorer"]


def test_vectors_say_what_made_them(few, balr, tmp_path):
    assert balr("extract", few)[0] == 0 and balr("binarize", few)[0] == 0
    manifest = read_manifest(few.parent / MANIFEST)
    assert len(manifest) == 24
    corpus = load_corpus(few)
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    for kind, digest in (("embedding", model_digest(embedder)), ("ba", None)):
        origins = origins_of(corpus, kind)
        assert all(origin is not None for origin in origins)
        assert digest is None or {digest_of(origin.model) for origin in origins} == {digest}
    assert {origin.source[:7] for origin in origins_of(corpus, "embedding")} == {"sha256:"}
    assert {digest_of(origin.embedder) for origin in origins_of(corpus, "ba")} == {model_digest(embedder)}
    # The same in a Dataset, whatever it is computed by.
    computed, _ = compute_embeddings(embedder, load_corpus(few).remove_columns(["embedding", "embedding_origin"]))
    assert origins_of(computed, "embedding") == origins_of(corpus, "embedding")
    # A vector that something else wrote is of unknown origin.
    path = next(few.parent.rglob("*_emb.txt"))
    np.savetxt(path, np.loadtxt(path) + 1, fmt="%.9g")
    assert sum(origin is None for origin in origins_of(load_corpus(few), "embedding")) == 1


def test_embeddings_of_another_model_are_neither_taken_nor_mixed(few, balr, other_embedder, tmp_path):
    other = f"embeddings.model.model_repo={other_embedder}"
    assert balr("extract", few)[0] == 0
    before = {path: path.read_text() for path in few.parent.rglob("*_emb.txt")}
    status, said = balr("extract", few, other)
    assert status == 1 and "made by another model" in said and "turned (" in said and "--force" in said
    status, said = balr("extract", few, "embeddings.model.features.waveform_scale=1")
    assert status == 1 and "made by another model" in said
    status, said = balr("extract", few, "--precision", "bf16")
    assert status == 1 and "at bf16" in said
    assert {path: path.read_text() for path in few.parent.rglob("*_emb.txt")} == before
    # Into another folder, all are computed, and the csv there names them.
    status, said = balr("extract", few, "--save-dir", tmp_path / "new", other)
    assert status == 0 and "12 embeddings computed" in said and "are not used" in said
    assert len((tmp_path / "new" / "few.csv").read_text().splitlines()) == 13
    # With --force they are replaced; the attributes that were made of the earlier ones do not stay.
    assert balr("binarize", few)[0] == 0
    assert balr("extract", few, other, "--force")[0] == 0
    assert balr("score", "test", few, _trials(few))[0] == 1
    status, said = balr("binarize", few)
    assert status == 1 and "The embeddings were made by the embedder turned (" in said and "--allow-mismatch" in said
    status, said = balr("binarize", few, "--allow-mismatch")
    assert status == 0 and "12 binary attributes computed" in said and "mean nothing" in said
    status, said = balr("score", "test", few, _trials(few), "--save-dir", tmp_path / "scored")
    assert status == 0 and "the results mean nothing" in said
    metrics = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert "turned (" in metrics["mismatch"][0]


def test_mixed_corpus_is_refused(few, extracted, balr, other_embedder, tmp_path):
    assert (
        balr("extract", few, "--save-dir", tmp_path / "new", f"embeddings.model.model_repo={other_embedder}")[0] == 0
    )
    mine, theirs = sorted(few.parent.rglob("*_emb.txt")), sorted((tmp_path / "new").rglob("*_emb.txt"))
    rows = [f"r{n},{mine[n] if n % 2 else theirs[n]},s{n // 3}" for n in range(12)]
    (tmp_path / "mixed.csv").write_text("\n".join(["id,embedding,speaker", *rows]) + "\n")
    status, said = balr("binarize", tmp_path / "mixed.csv")
    assert status == 1 and "made by 2 different embedders" in said
    status, said = balr("train", tmp_path / "mixed.csv", tmp_path / "mixed.csv", "trainer.epochs=1")
    assert status == 1 and "made by 2 different embedders" in said


@pytest.fixture
def trained_on_mixed(few, extracted, balr, other_embedder, tmp_path):
    """The run of an autoencoder whose training set one embedder made, and its validation set another, as allowed."""
    other = f"embeddings.model.model_repo={other_embedder}"
    assert balr("extract", few, "--save-dir", tmp_path / "new", other)[0] == 0
    with_speakers = tmp_path / "new" / few.name
    size = WespeakerModel.from_pretrained(resource(EMBEDDER)).config.embed_dim
    sizes = (f"trainer.input_dim={size}", "trainer.internal_dim=16")
    batches = ("data.batch_size=4", "data.N_classes_per_batch=2", "data.M_samples_per_class=2")
    run = ("train", few, with_speakers, "trainer.epochs=1", *sizes, *batches, "--save-dir", tmp_path / "run")
    status, said = balr(*run)
    assert status == 1 and "made by 2 different embedders" in said and "--allow-mismatch" in said
    assert not (tmp_path / "run").exists()
    status, said = balr(*run, "--allow-mismatch", "--json")
    assert status == 0 and "its attributes mean nothing" in said
    assert said.count('"mismatch": "The autoencoder was trained although') == 2  # in the settings and in the results
    return tmp_path / "run"


def test_allowed_training_on_several_embedders_is_said_by_all_that_comes_of_it(trained_on_mixed, few, balr, tmp_path):
    said_of_it = "The autoencoder was trained although the embeddings were made by 2 different embedders, "
    record = json.loads((trained_on_mixed / "run.json").read_text())
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(trained_on_mixed / "best")
    assert record["mismatch"] == autoencoder.config.training["mismatch"] and "turned (" in record["mismatch"]
    assert record["mismatch"].startswith(said_of_it) and autoencoder.config.embedder_identity is None
    card = model_card(autoencoder.config, CardFacts("me/mixed")).text
    assert said_of_it in card and "the attributes mean nothing" in card
    status, said = balr("verify", trained_on_mixed)
    assert status == 1 and said_of_it in said and "which was allowed" in said
    named = f"encoder.model.checkpoint_path={trained_on_mixed}"
    status, said = balr("binarize", few, named)
    assert status == 1 and said_of_it in said and "--allow-mismatch" in said
    assert balr("binarize", few, named, "--allow-mismatch")[0] == 0
    origins = origins_of(load_corpus(few), "ba")
    assert {origin.mismatch for origin in origins} == {record["mismatch"]}
    status, said = balr("score", "train", few, "--save-dir", tmp_path / "scorer")
    assert status == 0 and said_of_it in said
    scorer, embedder = load_scorer(tmp_path / "scorer"), WespeakerModel.from_pretrained(resource(EMBEDDER))
    with pytest.raises(MismatchError, match=said_of_it):
        SpeakerComparisonModel.from_parts(embedder, autoencoder, scorer)
    system = SpeakerComparisonModel.from_parts(embedder, autoencoder, scorer, allow_mismatch=True)
    assert system.config.mismatch == record["mismatch"]


def test_replaced_audio_is_embedded_anew(few, balr):
    assert balr("extract", few)[0] == 0 and balr("binarize", few)[0] == 0
    audio = sorted(few.parent.rglob("*.opus"))
    shutil.copyfile(audio[-1], audio[0])
    status, said = balr("extract", few)
    assert status == 0 and "1 of the 12 embeddings there are of other audio" in said
    assert "1 embeddings computed, 11 there already" in said
    assert balr("score", "test", few, _trials(few))[0] == 1  # the attributes are of the earlier embedding
    status, said = balr("binarize", few)
    assert status == 0 and "1 binary attributes computed, 11 there already" in said
    assert balr("extract", few)[1].count("Nothing to do") == 1


def test_attributes_of_another_autoencoder_are_not_scored(few, balr, other_autoencoder, tmp_path):
    assert balr("extract", few)[0] == 0
    other = f"encoder.model.checkpoint_path={other_autoencoder}"
    assert balr("binarize", few, other)[0] == 0
    status, said = balr("score", "test", few, _trials(few))
    assert status == 1 and "made by the autoencoder permuted (" in said and "the scorer was made for" in said
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    status, said = balr("explain", "--corpus", few, a, b)
    assert status == 1 and "made by the autoencoder permuted (" in said
    status, said = balr("explain", "--corpus", few, a, b, "--allow-mismatch")
    assert status == 0 and "made by the autoencoder permuted (" in said.split("caution", 1)[-1]
    status, said = balr("binarize", few)
    assert status == 1 and "made by another model" in said
    status, said = balr("score", "train", few, "--save-dir", tmp_path / "scorer")
    assert status == 0
    config = json.loads((tmp_path / "scorer" / "config.json").read_text())
    assert config["autoencoder_identity"].startswith("permuted@")


def test_models_that_do_not_belong_together_make_no_pipeline(other_embedder, other_autoencoder):
    from transformers import pipeline

    with pytest.raises(MismatchError, match="made by the embedder turned"):
        pipeline("binary-attributes", str(other_embedder), autoencoder=resource(AUTOENCODER))
    models = {"autoencoder": other_autoencoder, "scorer": resource(SCORER)}
    with pytest.raises(MismatchError, match="made by the autoencoder permuted"):
        pipeline("speaker-comparison", str(resource(EMBEDDER)), **models)
    assert pipeline("speaker-comparison", str(resource(EMBEDDER)), **models, allow_mismatch=True).scorer is not None


def test_calibration_of_another_scorer_is_refused(tmp_path):
    scorer = load_scorer(resource(SCORER))
    scorer.save_pretrained(tmp_path / "scorer")
    assert load_scorer(tmp_path / "scorer").is_calibrated
    scorer.informative[int(scorer.informative.nonzero()[0])] = False
    scorer.save_pretrained(tmp_path / "scorer")
    with pytest.raises(UserError, match="is that of another scorer"):
        load_scorer(tmp_path / "scorer")


@pytest.fixture(scope="module")
def two_calibrations(tmp_path_factory):
    """The folders of the shipped system and of its scorer, each with two calibrations of the same size."""
    folder = tmp_path_factory.mktemp("calibrations")
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    for name, offset, widen in (("one", 0.0, 1.0), ("other", -0.7, 2.0)):
        system.scorer.calibration_offset += offset
        bounds = [end * widen for end in system.scorer.config.calibration["bounds"]]
        system.scorer.config.calibration["bounds"] = bounds
        system.save_pretrained(folder / "system" / name)
        system.scorer.save_pretrained(folder / "scorer" / name)
    return folder


@pytest.mark.parametrize("load", [load_model, AutoModel.from_pretrained, load_scorer])
@pytest.mark.parametrize("kind", ["system", "scorer"])
def test_a_calibration_put_together_from_two_is_refused(two_calibrations, tmp_path, kind, load):
    one, other, mixed = two_calibrations / kind / "one", two_calibrations / kind / "other", tmp_path / "mixed"
    for whole in (one, other):
        assert load(whole).config is not None
    shutil.copytree(one, mixed)
    shutil.copy(other / "config.json", mixed)
    with pytest.raises(MismatchError, match=r"is not as it was saved: its record in config\.json"):
        load(mixed)
    shutil.copy(other / "model.safetensors", mixed)
    assert load(mixed).config is not None


def edited_record(name, value):
    """An edit of one entry of the record of a calibration, which is removed if the new value is None."""

    def edit(folder):
        config = json.loads((folder / "config.json").read_text())
        record = config["scorer"]["calibration"]
        before = record.pop(name)
        if value is not None:
            record[name] = value(before)
        (folder / "config.json").write_text(json.dumps(config))

    return edit


def edited_tensor(name, factor):
    """An edit of one tensor of a calibration."""

    def edit(folder):
        weights = load_file(folder / "model.safetensors")
        weights[name] = weights[name] * factor
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


def edited_reference(folder):
    """An edit of what is known of the reference population, of which limits are made."""
    config = json.loads((folder / "config.json").read_text())
    quantiles = config["scorer"]["reference"]["log_probability"]
    config["scorer"]["reference"]["log_probability"] = [value - 100 for value in quantiles]
    (folder / "config.json").write_text(json.dumps(config))


def edited_demonstration(folder):
    """The mark of a demonstration is taken off, or put on."""
    config = json.loads((folder / "config.json").read_text())
    config["scorer"]["demonstration"] = not config["scorer"].get("demonstration", False)
    (folder / "config.json").write_text(json.dumps(config))


EDITS = {
    "bounds": edited_record("bounds", lambda found: [2 * end for end in found]),
    "one limit": edited_record("domain", lambda found: found | {"recordings_a_side": [1, 99]}),
    "no domain": edited_record("domain", None),
    "speech": edited_record("speech", lambda found: "any speech"),
    "reference": edited_reference,
    "demonstration": edited_demonstration,
    "offset": edited_tensor("scorer.calibration_offset", 1.01),
    "weights": edited_tensor("scorer.calibration_weights", 1.01),
    "draws": edited_tensor("scorer.calibration_draws", 1.01),
}


@pytest.mark.parametrize("edit", list(EDITS))
def test_a_calibration_that_was_edited_is_refused(two_calibrations, tmp_path, balr, edit):
    shutil.copytree(two_calibrations / "system" / "one", tmp_path / "system")
    EDITS[edit](tmp_path / "system")
    status, said = balr("verify", tmp_path / "system")
    assert (
        status == 1
        and "is not as it was saved" in said
        and "allow-mismatch" not in said
        and said.strip().count("\n") == 0
    )


def test_a_calibration_that_was_changed_on_purpose_is_saved_with_its_own_digest(two_calibrations, tmp_path):
    scorer = load_scorer(two_calibrations / "system" / "one")
    digest = scorer.config.calibration["digest"]
    scorer.config.calibration["speech"] = "phone calls"
    scorer.save_pretrained(tmp_path / "scorer")
    found = load_scorer(tmp_path / "scorer").config.calibration
    assert found["speech"] == "phone calls" and found["digest"] != digest
    found = load_scorer(two_calibrations / "scorer" / "one").config.calibration
    assert found["digest"] == digest  # of the calibration, and not of where it lies


def test_a_calibration_without_a_digest_is_loaded_and_verify_says_that_it_is_unknown(two_calibrations, tmp_path, balr):
    shutil.copytree(two_calibrations / "system" / "one", tmp_path / "system")
    status, said = balr("verify", tmp_path / "system")
    assert status == 0 and "the calibration (its record and its tensors) is as it was saved" in said
    edited_record("digest", None)(tmp_path / "system")
    status, said = balr("verify", tmp_path / "system")
    assert status == 0 and "whether it is as it was saved is unknown" in said
    SpeakerComparisonModel.from_pretrained(tmp_path / "system").save_pretrained(tmp_path / "again")
    status, said = balr("verify", tmp_path / "again")
    assert status == 0 and "whether it is as it was saved is unknown" in said


def test_reports_say_that_a_calibration_has_no_digest(two_calibrations, tmp_path, few, balr):
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    asked = ("explain", "--system", tmp_path / "system", "--corpus", few, a, b)
    shutil.copytree(two_calibrations / "system" / "one", tmp_path / "system")
    status, said = balr(*asked)
    assert status == 0 and "The calibration has no digest" not in said
    edited_record("digest", None)(tmp_path / "system")
    edited_record("bounds", lambda found: [10 * end for end in found])(tmp_path / "system")
    status, said = balr(*asked)
    assert status == 0 and "Note: The calibration has no digest" in said
    status, said = balr(
        *("validate", tmp_path / "system", few, "1x1", "--save-dir", tmp_path / "validation", "--bootstrap", "20")
    )
    assert status == 0 and "The calibration has no digest" in (tmp_path / "validation" / "report.txt").read_text()


def test_the_packages_models_are_demonstrations_without_their_marks_too(two_calibrations, tmp_path, few, balr):
    """No mark is in the digests of embedder and autoencoder, since it decides nothing that they compute."""
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    shutil.copytree(two_calibrations / "system" / "one", tmp_path / "system")
    config = json.loads((tmp_path / "system" / "config.json").read_text())
    for part in (config, config["scorer"], config["embedder"], config["autoencoder"]):
        part.pop("demonstration", None)
    config["scorer"]["calibration"].pop("digest")
    (tmp_path / "system" / "config.json").write_text(json.dumps(config))
    system = SpeakerComparisonModel.from_pretrained(tmp_path / "system")
    assert not is_shipped(system.embedder) and not is_shipped(system.scorer)
    assert is_demonstration(system.embedder) and is_demonstration(system.autoencoder)
    status, said = balr("explain", "--system", tmp_path / "system", "--corpus", few, a, b)
    assert status == 0 and said.startswith("DEMONSTRATION")
    compare = pipeline("speaker-comparison", model=system, allow_mismatch=True)
    with torch.no_grad():
        next(compare.autoencoder.parameters()).add_(0.1)
    for part in (compare.autoencoder, compare.scorer):
        part.config.update({"embedder_identity": None, "autoencoder_identity": None})
        assert not is_demonstration(part)
    assert compare(*sorted(map(str, few.parent.rglob("*.opus")))[:2])["demonstration"] is True  # by the embedder
    with torch.no_grad():
        next(system.embedder.parameters()).add_(0.1)
    assert not is_demonstration(system.embedder)


@pytest.mark.parametrize("scorer", ["beta", "cosine"])
def test_what_the_packages_models_made_is_a_demonstration_whatever_scorer_compares_it(few, balr, tmp_path, scorer):
    """One that is fitted to their attributes names them, and of a corpus it is known who made its vectors."""
    assert balr("extract", few)[0] == 0 and balr("binarize", few)[0] == 0
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    chosen = f"scorer={scorer}"
    if scorer == "beta":
        assert balr("score", "train", few, "--save-dir", tmp_path / "own")[0] == 0
        assert is_demonstration(load_scorer(tmp_path / "own")) and not is_shipped(load_scorer(tmp_path / "own"))
        chosen = f"scorer.checkpoint_path={tmp_path / 'own'}"
    status, said = balr("explain", "--corpus", few, a, b, chosen)
    assert status == 0 and said.startswith("DEMONSTRATION")


def test_reports_name_the_digest_of_the_calibrations_record(two_calibrations, tmp_path, few, balr):
    """Limits, names and rates of a record can be changed and saved again, by which the scorer's digest stays."""
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    said, scorers = {}, {}
    for name in ("one", "changed"):
        system = SpeakerComparisonModel.from_pretrained(two_calibrations / "system" / "one")
        if name == "changed":
            system.scorer.config.calibration["domain"]["recordings_a_side"] = [1, 99]
        system.save_pretrained(tmp_path / name)
        digest = json.loads((tmp_path / name / "config.json").read_text())["scorer"]["calibration"]["digest"]
        status, text = balr("explain", "--system", tmp_path / name, "--corpus", few, a, b)
        assert status == 0 and f"SHA-256 {digest}" in text
        said[name], scorers[name] = digest, model_digest(system.scorer)
    assert said["one"] != said["changed"] and scorers["one"] == scorers["changed"]


@pytest.mark.parametrize("kind", ["emb", "ba"])
def test_a_report_names_recordings_whose_vectors_may_be_those_of_others(few, balr, kind):
    """The vector of another recording, which lies beside the audio, makes a likelihood ratio of any size."""
    a, b, other = (line.split(",")[0] for line in few.read_text().splitlines()[1:4])
    assert balr("extract", few)[0] == 0 and balr("binarize", few)[0] == 0
    status, said = balr("explain", "--corpus", few, a, b)
    assert status == 0 and "was not checked" not in said
    path = {name: few.parent / f"{name}_{kind}.txt" for name in (a, other)}
    if kind == "emb":
        (few.parent / f"{a}_ba.txt").unlink()
    path[a].write_text(path[other].read_text())
    status, said = balr("explain", "--corpus", few, a, b)
    what = {"emb": "embeddings", "ba": "attributes"}[kind]
    assert status == 0 and f"Note: The {what} of {a} were in the corpus already, and nothing there says what" in said
    assert f"unknown, of what was in the corpus already ({a})" in said


def test_a_report_says_that_embeddings_are_of_another_precision_than_the_calibration(few, balr):
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    assert balr("extract", few, "--precision", "bf16")[0] == 0 and balr("binarize", few)[0] == 0
    status, said = balr("explain", "--corpus", few, a, b)
    assert status == 0 and "Note: The embeddings were computed in bf16, and those of the calibration in fp32" in said


def test_recordings_that_were_not_measured_get_no_verdict(few, balr, tmp_path):
    """Or whoever takes the measures out of a corpus takes all limits of the calibration away."""
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    assert balr("extract", few, "--save-dir", tmp_path / "vectors")[0] == 0
    assert balr("binarize", tmp_path / "vectors" / "few.csv")[0] == 0
    asked = ("explain", "--corpus", tmp_path / "vectors" / "few.csv", a, b)
    status, said = balr(*asked)
    assert status == 0 and "NO VERDICT" not in said
    (tmp_path / "vectors" / "quality.csv").unlink()
    status, said = balr(*asked)
    assert status == 0 and NO_VERDICT_UNMEASURED in said
    assert "Why there is no verdict: whether the calibration holds for recordings like these is unknown" in said
    status, said = balr(*asked, "--json")
    assert json.loads(said[said.index("{\n") : said.rindex("\n}") + 2])["no_verdict"] == ["unmeasured"]


def test_a_report_says_which_measures_were_not_made_for_it(few, balr, tmp_path):
    a, b = (line.split(",")[0] for line in few.read_text().splitlines()[1:3])
    assert balr("extract", few, "--save-dir", tmp_path / "vectors")[0] == 0
    assert balr("binarize", tmp_path / "vectors" / "few.csv")[0] == 0
    status, said = balr("explain", "--corpus", tmp_path / "vectors" / "few.csv", a, b)
    assert status == 0 and f"Note: What was measured of {a}, {b} was in the corpus already: there is no audio" in said
    status, said = balr("explain", "--corpus", few, a, b)
    assert status == 0 and "was in the corpus already" not in said


def test_forced_run_goes_on_where_it_was_stopped(few, balr, monkeypatch):
    from balr_hf.data import file_store

    assert balr("extract", few)[0] == 0
    kept = file_store.FileStore.save

    def stopping(store, ids, *rest):
        if any(store.folder.glob(".balr-forced-*")) and store._forced.read():
            raise KeyboardInterrupt
        kept(store, ids, *rest)

    monkeypatch.setattr(file_store.FileStore, "save", stopping)
    assert balr("extract", few, "--force", "data.batch_size=5")[0] not in (0, 1)
    monkeypatch.setattr(file_store.FileStore, "save", kept)
    # One of the five recordings that are done is another one by the time that the run goes on.
    (record,) = few.parent.glob(".balr-forced-*")
    done = Path(record.read_text().split("\0")[1].replace("_emb.txt", ".opus"))
    shutil.copyfile(sorted(few.parent.rglob("*.opus"))[-1], done)
    status, said = balr("extract", few, "--force", "data.batch_size=5")
    assert status == 0 and "8 embeddings computed, 4 there already" in said
    status, said = balr("extract", few, "--force")
    assert status == 0 and "12 embeddings computed, 0 there already" in said


def test_embeddings_of_before_long_pauses_were_shortened_are_told_of(few, balr):
    quality = few.parent / "quality.csv"
    assert balr("extract", few)[0] == 0
    manifest = few.parent / MANIFEST
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert "earlier version" not in balr("extract", few)[1]
    manifest.write_text("".join(json.dumps({**line, "stat": ""}) + "\n" for line in lines))
    assert "earlier version" not in balr("extract", few)[1]  # of these recordings none has a long pause
    head, first, *others = quality.read_text().splitlines()
    name, duration, *values = first.split(",")
    quality.write_text("\n".join([head, ",".join([name, str(float(duration) + 3), *values]), *others]) + "\n")
    said = balr("extract", few)[1]
    assert f"1 of the {len(lines)} embeddings there are of an earlier version, which embedded pauses whole" in said
    assert f"such as {name})" in said
    assert balr("extract", few, "--force")[0] == 0
    assert "earlier version" not in balr("extract", few)[1]


def test_vectors_of_unknown_origin_are_taken_with_a_warning(few, balr):
    assert balr("extract", few)[0] == 0
    (few.parent / MANIFEST).unlink()
    status, said = balr("extract", few)
    assert status == 0 and "12 of the 12 embeddings there are of unknown origin" in said
    status, said = balr("binarize", few)
    assert status == 0 and "only judged by how it reconstructs them" in said


def test_quick_comparison_is_by_size_and_time(few, balr):
    assert balr("extract", few, "--quick")[0] == 0
    assert {origin.source[:5] for origin in read_manifest(few.parent / MANIFEST).values()} == {"stat:"}
    audio = sorted(few.parent.rglob("*.opus"))[0]
    audio.write_bytes(audio.read_bytes())
    status, said = balr("extract", few, "--quick")
    assert status == 0 and "1 of the 12 embeddings there are of other audio" in said


def test_library_refuses_what_the_commands_refuse(few, other_embedder):
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
    other = WespeakerModel.from_pretrained(other_embedder)
    corpus, _ = compute_embeddings(embedder, load_corpus(few))
    with pytest.raises(UserError, match=r"made by another model.*force=True"):
        compute_embeddings(other, corpus)
    turned, _ = compute_embeddings(other, corpus, force=True)
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    with pytest.raises(MismatchError, match="made by the embedder turned"):
        compute_binary_attributes(autoencoder, turned)
    done, _ = compute_binary_attributes(autoencoder, corpus)
    assert vector_matrix(done, "ba")[1].all()


def _trials(few):
    names = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    path = few.with_name("trials.tsv")
    path.write_text("\n".join(["a\tb", *(f"{a}\t{b}" for a in names for b in names if a < b)]) + "\n")
    return path


def test_a_recording_without_attributes_hides_no_maker():
    """A corpus with one recording that has no attributes still tells what made the others."""
    from balr_hf.data.columns import add_vector_column, fixed_length_column
    from balr_hf.data.origins import Origin, add_origins, attributes_made_by, vector_digests

    bits = np.eye(3, 8, dtype=bool)
    made = [Origin("encoder@a", "fp32", "", digest, "embedder@b") for digest in vector_digests(bits)]
    corpus = datasets.Dataset.from_dict({"id": ["a", "b", "c"]})
    corpus = add_vector_column(corpus, "ba", fixed_length_column(bits, np.array([True, True, False])))
    assert attributes_made_by(add_origins(corpus, "ba", [made[0], made[1], None])) == ("encoder@a", "embedder@b")
    assert attributes_made_by(add_origins(corpus, "ba", [made[0], None, None])) == (None, None)


def test_a_changed_vector_has_no_origin_any_more():
    """Digests keep their places where vectors are missing, and each belongs to its own vector."""
    from balr_hf.data.columns import add_vector_column, fixed_length_column
    from balr_hf.data.origins import Origin, add_origins, origins_of, vector_digests

    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    present = np.array([False, True, True, False, True])
    made = [Origin("embedder@a", "fp32", "", digest) for digest in vector_digests(vectors)]
    noted = [origin if there else None for origin, there in zip(made, present, strict=True)]
    corpus = datasets.Dataset.from_dict({"id": list("abcde")})
    corpus = add_origins(
        add_vector_column(corpus, "embedding", fixed_length_column(vectors, present)), "embedding", noted
    )
    assert origins_of(corpus, "embedding") == noted
    vectors[2, 1] = np.nextafter(vectors[2, 1], 2)
    corpus = add_vector_column(corpus.remove_columns("embedding"), "embedding", fixed_length_column(vectors, present))
    assert origins_of(corpus, "embedding") == [None, made[1], None, None, made[4]]


@pytest.mark.parametrize("length", [12, 16])
@pytest.mark.parametrize("start", [0, 3])
def test_attributes_in_a_column_have_the_digests_of_a_matrix(length, start):
    """Whole bytes are digested as they lie in the column, wherever they begin; other numbers of attributes are not."""
    from balr_hf.data.columns import add_vector_column, fixed_length_column
    from balr_hf.data.origins import Origin, add_origins, origins_of, vector_digests

    bits = np.random.default_rng(0).random((7, length)) < 0.5
    present = np.array([True, False, True, True, True, False, True])
    made = [Origin("encoder@a", "fp32", "", digest) for digest in vector_digests(bits)]
    noted = [origin if there else None for origin, there in zip(made, present, strict=True)]
    column = fixed_length_column(bits, present).slice(start)
    corpus = add_vector_column(datasets.Dataset.from_dict({"id": list("abcdefg")[start:]}), "ba", column)
    assert origins_of(add_origins(corpus, "ba", noted[start:]), "ba") == noted[start:]
    whole = add_vector_column(datasets.Dataset.from_dict({"id": list("abcdefg")}), "ba", fixed_length_column(bits))
    part = add_origins(whole, "ba", made).select(range(start, 7))
    assert origins_of(part, "ba") == made[start:]
    assert origins_of(add_origins(whole, "ba", made[1:] + made[:1]), "ba") == [None] * 7


def test_manifest_lines_that_are_not_whole_are_left_out(tmp_path):
    whole = '{"file": "a_emb.txt", "model": "m@1", "precision": 16, "vector": "v"}'
    lines = [whole, '{"file": "b_emb.txt", "mod', "[1]", "1,2", '{"file": 3, "model": "m"}', whole.replace("a_", "c_")]
    (tmp_path / MANIFEST).write_text("\n".join(lines))
    found = read_manifest(tmp_path / MANIFEST)
    assert found.keys() == {"a_emb.txt", "c_emb.txt"}
    assert found["a_emb.txt"]._asdict() == {
        "model": "m@1",
        "precision": "fp32",
        "source": "",
        "vector": "v",
        "embedder": "",
        "mismatch": "",
        "audio": "",
        "stat": "",
    }
