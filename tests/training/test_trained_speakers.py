"""Speakers of an autoencoder's training are recognised, and nobody reads their names from its configuration."""

import copy
import json

import numpy as np
import pytest
import torch

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    BinaryAttributeEncoderTrainer,
    DirichletMultinomialScorer,
    DirichletMultinomialScorerConfig,
    MSELoss,
)
from balr_hf.defaults import SCORER, resource
from balr_hf.identity import model_digest, model_identity
from balr_hf.scoring.auto import load_scorer
from balr_hf.training.arguments import DataArguments
from balr_hf.training.trained_speakers import (
    KEY,
    describe_embedder_trained_on,
    embedder_trained_on,
    pack_speakers,
    people_trained_on,
    trained_on,
)


def test_names_are_found_as_corpora_have_them():
    record = {KEY: pack_speakers(["anna", "Jose\u0301", "anna"])}
    assert trained_on(record, ["bert", " anna ", "Jos\u00e9", "anne"]) == [" anna ", "Jos\u00e9"]
    assert "anna" not in json.dumps(record)


@pytest.mark.parametrize("record", [None, {}, {KEY: ""}, {KEY: "no base64"}, {KEY: "AAAA"}, {KEY: 3}, {KEY: None}])
def test_what_is_not_there_or_damaged_tells_nothing(record):
    assert trained_on(record, ["anna"]) is None


def test_an_autoencoder_keeps_whom_it_was_trained_and_validated_on(sets, tmp_path, fresh_accelerate):
    train, val = sets
    settings = DataArguments(sampler="none", batch_size=16)
    sizes = {"input_dim": len(train[0]["embedding"]), "internal_dim": 8}
    BinaryAttributeEncoderTrainer(
        train, val, settings, [MSELoss()], epochs=1, save_dir=tmp_path / "run", device="cpu", **sizes
    ).train()
    record = BinaryAttributeAutoEncoder.from_pretrained(tmp_path / "run" / "last").config.training
    names = sorted({*train["speaker"], *val["speaker"]})
    assert trained_on(record, [*names, "somebody else"]) == names
    assert len(np.unique(names)) == len(names)


def test_speakers_of_the_packages_own_embedder_are_known_and_of_others_not(tiny_embedder):
    names = ["1034", "1089", "nobody of that name"]
    reference = load_scorer(resource(SCORER)).known_speakers(names, "reference")
    assert reference and "nobody of that name" not in reference
    for own in (tiny_embedder, model_identity(tiny_embedder), f"renamed@{model_digest(tiny_embedder)}"):
        assert embedder_trained_on(own, names) == reference
    assert embedder_trained_on(tiny_embedder, ["nobody of that name"]) == []
    changed = copy.deepcopy(tiny_embedder)
    next(changed.parameters()).data += 1  # trained further: its first training remains
    assert embedder_trained_on(changed, names) == reference
    changed.config.demonstration = False
    for other in (changed, model_identity(changed), None):
        assert embedder_trained_on(other, names) is None
        assert describe_embedder_trained_on(other, names) is None
    said = describe_embedder_trained_on(tiny_embedder, names, "of the speakers")
    assert (
        said == f"{len(reference)} of the speakers are those that the embedder was trained on ({', '.join(reference)})"
    )


def test_a_report_says_on_whom_of_its_populations_the_models_were_trained():
    shipped = load_scorer(resource(SCORER))
    calibrated_on = int(shipped.calibration_speakers.count_nonzero())
    both = "the embedder and the autoencoder on 900 of the 900 speakers of the reference population"
    row = ("Trained on the same people", f"{both} and 0 of the {calibrated_on} speakers of the calibration")
    assert people_trained_on(shipped) == row
    shipped.forget_people()
    assert people_trained_on(shipped)[1] == "not known of the embedder and the autoencoder"

    bits = np.random.default_rng(0).random((6, 3, 4)) < 0.5
    counts = torch.tensor(np.stack([bits.sum(1), np.full((6, 4), 3)], 2))
    own = DirichletMultinomialScorer(DirichletMultinomialScorerConfig(num_attributes=4))
    own.fit(counts, [f"r{number}" for number in range(6)])
    autoencoder = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(4, 4))
    unknown = "not known of the embedder and the autoencoder"
    assert people_trained_on(own)[1] == people_trained_on(own, autoencoder)[1] == unknown
    autoencoder.config.training = {KEY: pack_speakers(["r0", "r5", "somebody else"])}
    told = "not known of the embedder; the autoencoder on 2 of the 6 speakers of the reference population"
    assert people_trained_on(own, autoencoder)[1] == told
