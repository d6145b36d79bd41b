"""Speakers of an autoencoder's training are recognised, and nobody reads their names from its configuration."""

import json

import numpy as np
import pytest

from balr_hf import BinaryAttributeAutoEncoder, BinaryAttributeEncoderTrainer, MSELoss
from balr_hf.training.arguments import DataArguments
from balr_hf.training.trained_speakers import KEY, pack_speakers, trained_on


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
