"""Attributes of a system that are looked up by their numbers."""

import numpy as np
import pytest

from balr_hf import SpeakerComparisonModel
from balr_hf.defaults import SYSTEM, resource
from balr_hf.errors import UserError
from balr_hf.system.lookup import look_up


@pytest.fixture(scope="module")
def shipped():
    return SpeakerComparisonModel.from_pretrained(resource(SYSTEM))


def test_everything_that_the_file_has_of_an_attribute_is_found_and_nothing_of_others(shipped):
    found = look_up(shipped, [203, 17])
    content = found.to_dict()
    assert [one["attribute"] for one in content["attributes"]] == [203, 17]
    whole = shipped.descriptions.to_dict()["attributes"]
    for one in content["attributes"]:
        assert {name: one[name] for name in whole[0]} == whole[one["attribute"]]
    text = found.text()
    for number in (203, 17):
        assert shipped.descriptions.sentence(number) in text
        assert all(limit in text for limit in shipped.descriptions.not_said(number))
        assert f"Tells most: {whole[number]['tells']}" in text
    assert shipped.descriptions.sentence(18) not in text


def test_reference_is_that_of_the_scorer(shipped):
    scorer = shipped.scorer
    known = look_up(shipped, [17]).reference[17]
    assert known.speakers == 900
    assert known.activation == scorer.activation[17]
    assert known.typicality == scorer.typicality[17]
    assert known.steadiness == scorer.steadiness[17]
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2, (20, 512)) for _ in range(2))
    sides = (np.stack([side, 1 - side], axis=-1).astype(float) for side in (a, b))
    scores = scorer.attribute_scores(*sides, calibrated=True)[:, 17]
    named = {(1, 1): "active in both recordings", (0, 0): "inactive in both"}
    for one, other, score in zip(a[:, 17], b[:, 17], scores, strict=True):
        term = known.terms[named.get((one, other), "active in one of the two")]
        assert score == pytest.approx(term, abs=1e-9)


def test_what_is_not_there_is_refused(shipped):
    with pytest.raises(UserError, match="no attribute 512, 600: its 512 are 0 to 511"):
        look_up(shipped, [17, 512, 600])
    bare = SpeakerComparisonModel.from_pretrained(resource(SYSTEM), with_descriptions=False)
    with pytest.raises(UserError, match="the system has no descriptions of its attributes: balr describe"):
        look_up(bare, [17])


def test_a_scorer_without_reference_population_says_so(make_descriptions):
    from balr_hf.identity import model_identity
    from balr_hf.scoring.auto import build_scorer

    model = SpeakerComparisonModel.from_pretrained(resource(SYSTEM), with_descriptions=False)
    model.descriptions = make_descriptions(512, model_identity(model.autoencoder))
    model.scorer = build_scorer("cosine", num_attributes=512)
    found = look_up(model, [3])
    assert found.to_dict()["attributes"][0]["reference"] is None
    assert "The scorer has no reference population" in found.text()
