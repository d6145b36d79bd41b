"""`balr describe`, and what `balr explain` and the pipeline make of its result."""

import json
import shutil

import pytest

from balr_hf.cli.describe import _summary
from balr_hf.defaults import SYSTEM, resource


@pytest.fixture
def system(tmp_path):
    shutil.copytree(resource(SYSTEM), tmp_path / "system", ignore=shutil.ignore_patterns("attributes.json"))
    return tmp_path / "system"


def test_described_system_explains_itself(few, system, balr, tmp_path, monkeypatch):
    from transformers import pipeline

    from balr_hf import SpeakerComparisonModel
    from balr_hf.describing import corpus as making

    words = ["describe", system, few, "--permutations", 100, "--cache", tmp_path / "cache", "--name", "four voices"]
    page = tmp_path / "attributes.html"
    status, said = balr(*words, "--html", page, "--audio", 1)
    assert status == 0, said
    assert "512 attributes, described on 12 recordings of 4 speakers (2 female, 2 male), four voices" in said
    assert "Described on 4 speakers only" in said
    assert "No attribute is described by measures of the voice." in said and "Best described" not in said
    assert page.read_text().count("<article") == 512
    first = (system / "attributes.json").read_bytes()
    loaded = SpeakerComparisonModel.from_pretrained(system)
    assert loaded.descriptions.population.corpus == "four voices"

    def fail(*_):
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(making, "measure_voice_and_recording", fail)
        status, said = balr(*words, "--json", "--save-dir", tmp_path / "elsewhere")
    assert status == 0, said
    assert (tmp_path / "elsewhere" / "attributes.json").read_bytes() == first
    assert (system / "attributes.json").read_bytes() == first

    folder = few.parent / "espeak17"
    a, b = folder / "espeak17-01.opus", folder / "espeak17-02.opus"
    status, said = balr("explain", "--system", system, a, b, "--json")
    assert status == 0, said
    content = json.loads(said[: said.rindex("}") + 1])
    total = sum(one["llr"] for one in content["groups"]) + content["offset"]
    total += sum(one["llr"] for one in content["quality_terms"])
    assert total == pytest.approx(content["unbounded_llr"], abs=1e-9)
    assert next(one for one in content["measures"] if one["measure"] == "f0_median")["a"] == pytest.approx([81], abs=3)

    compare = pipeline("speaker-comparison", str(system), device="cpu")
    result = compare(str(a), str(b), return_explanation=True)
    assert [one["llr"] for one in result["groups"]] == pytest.approx([one["llr"] for one in content["groups"]])
    of_pipeline, of_command = (
        {row["measure"]: row for row in found}
        for found in (result["explanation"].to_dict()["measures"], content["measures"])
    )
    assert of_pipeline.keys() == of_command.keys()
    for name, row in of_command.items():
        assert of_pipeline[name]["a"] == pytest.approx(row["a"], rel=1e-6), name
    assert not any(compare(str(a), str(b), return_explanation=False).get("measures", ()))


def test_undescribed_attributes_are_not_among_those_described_best(make_descriptions):
    descriptions = make_descriptions(4)  # described, weakly described, following the recording, undescribed
    _, best = _summary(descriptions).split("Best described, with 95 % intervals over the speakers:\n")
    assert [line.split(":")[0] for line in best.splitlines()] == ["0", "1"]


def test_descriptions_of_another_autoencoder_stop_an_explanation_and_can_be_made_anew(
    few, system, balr, make_descriptions
):
    make_descriptions(512).save(system)
    folder = few.parent / "espeak17"
    status, said = balr("explain", "--system", system, folder / "espeak17-01.opus", folder / "espeak17-02.opus")
    assert status == 1
    assert "describes the 512 attributes of the autoencoder made-up" in said


def test_options_that_do_not_go_together_are_refused(few, system, balr):
    status, said = balr("describe", system, few, "--audio", 1)
    assert (status, "--audio needs --html" in said) == (2, True)
    status, said = balr("describe", "me/system", few)
    assert (status, "with --save-dir" in said) == (2, True)


def test_attributes_are_looked_up_by_number_without_a_corpus(system, balr, few, make_descriptions):
    from balr_hf import BinaryAttributeAutoEncoder
    from balr_hf.identity import model_identity

    status, said = balr("describe", "--attribute", "17,203")
    assert status == 0, said
    assert said.count("\nAttribute ") == 2
    assert "Attribute 17: weakly described, spectral balance" in said

    status, said = balr("describe", system, "--attribute", "2")
    assert (status, "has no descriptions of its attributes" in said) == (1, True)
    make_descriptions(512, model_identity(BinaryAttributeAutoEncoder.from_pretrained(system))).save(system)
    status, said = balr("describe", system, "--attribute", "2,2", "--json")
    assert status == 0, said
    (found,) = json.loads(said[: said.rindex("}") + 1])["attributes"]
    assert (found["attribute"], found["class"]) == (2, "follows the recording")

    status, said = balr("describe", system, "--attribute", "512")
    assert (status, "has no attribute 512: its 512 are 0 to 511" in said) == (1, True)
    for words, what in (
        ([system, few, "--attribute", 1], "needs no corpus"),
        ([system, "--attribute", 1, "--html", "page.html"], "--html has no meaning with --attribute"),
        ([system, "--attribute", "F0"], "invalid attribute_numbers value: 'F0'"),
        ([system], "expected SYSTEM CORPUS, got "),
    ):
        status, said = balr("describe", *words)
        assert (status, what in said) == (2, True), said


def test_descriptions_stay_with_the_autoencoder_when_a_system_is_assembled(system, balr, make_descriptions, tmp_path):
    from balr_hf import BinaryAttributeAutoEncoder
    from balr_hf.identity import model_identity

    identity = model_identity(BinaryAttributeAutoEncoder.from_pretrained(system))
    make_descriptions(512, identity).save(system)
    status, said = balr("assemble", system, system, system, tmp_path / "again")
    assert status == 0, said
    assert (tmp_path / "again" / "attributes.json").read_bytes() == (system / "attributes.json").read_bytes()
    make_descriptions(512, "other@1").save(system)
    status, said = balr("assemble", system, system, system, tmp_path / "other")
    assert status == 0, said
    assert "descriptions of the attributes are left out" in said
    assert not (tmp_path / "other" / "attributes.json").exists()
