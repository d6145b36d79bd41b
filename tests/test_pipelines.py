"""`transformers.pipeline` with our two tasks: what goes in, what comes out, and what is refused."""

import io

import datasets
import numpy as np
import pytest
import torch
from transformers import pipeline

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, build_scorer, load_audio, load_scorer
from balr_hf.audio import AudioError
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, resource
from balr_hf.errors import UserError


@pytest.fixture(scope="module")
def voices(root):
    folder = root / "resources" / "data" / "sample"
    return [folder / name for name in ("espeak17/espeak17-01.opus", "espeak17/espeak17-02.opus")] + [
        folder / "espeak18/espeak18-02.opus"
    ]


@pytest.fixture(scope="module")
def binarize():
    return pipeline("binary-attributes", device="cpu")


@pytest.fixture(scope="module")
def compare():
    return pipeline("speaker-comparison", device="cpu")


def test_recordings_of_all_kinds_have_the_same_attributes(binarize, voices):
    path = voices[0]
    samples = load_audio(path)

    class Decoder:
        def get_all_samples(self):
            return type("Samples", (), {"data": torch.from_numpy(samples)[None], "sample_rate": 16000})()

    whole = binarize(path)
    assert whole["ba"].shape == (512,) and whole["ba"].dtype == bool and whole["embedding"].shape == (256,)
    assert whole["active"] == np.flatnonzero(whole["ba"]).tolist()
    for same in (
        str(path),
        path.read_bytes(),
        samples,
        torch.from_numpy(samples),
        {"array": samples, "sampling_rate": 16000},
        {"raw": samples, "sampling_rate": 16000},
        {"bytes": path.read_bytes(), "path": None},
        Decoder(),
    ):
        np.testing.assert_array_equal(binarize(same)["embedding"], whole["embedding"])


def test_batches_give_what_single_recordings_give(binarize, voices):
    alone = [binarize(path) for path in voices]
    corpus = datasets.Dataset.from_dict({"audio": [str(path) for path in voices]})
    for batch in (
        binarize(voices, batch_size=2),
        list(binarize((path for path in voices), batch_size=2)),
        binarize(corpus["audio"][:], batch_size=3),
    ):
        assert len(batch) == 3
        for one, other in zip(alone, batch, strict=True):
            np.testing.assert_allclose(one["embedding"], other["embedding"], atol=1e-4)
            np.testing.assert_array_equal(one["ba"], other["ba"])


def test_attributes_are_those_of_the_corpus_functions(binarize, few):
    from balr_hf import load_corpus

    corpus = WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(load_corpus(few))
    corpus = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).get_binary_attributes(corpus)
    for row in corpus.select([0, 5]):
        assert binarize(row["audio"])["ba"].tolist() == row["ba"]


def test_comparison_adds_up_and_tells_voices_apart(compare, voices):
    same, other = compare([(voices[0], voices[1]), (voices[0], voices[2])], batch_size=2)
    assert same["calibrated_llr"] > 0 > other["calibrated_llr"]
    assert "of the same speaker" in same["verbal"] and "of different speakers" in other["verbal"]
    assert same["cautions"] and len(same["attributes"]) == 512
    offset = load_scorer(resource(SCORER)).calibration_offset.item()
    summed = sum(part["llr"] for part in same["attributes"]) + offset
    assert same["calibrated_llr"] == pytest.approx(min(max(summed, same["bounds"][0]), same["bounds"][1]))
    assert same["interval"][0] < summed < same["interval"][1] and not any(d["is_beyond"] for d in same["deviations"])
    assert compare(voices[0], voices[1]) == same
    sizes = [abs(part["llr"]) for part in same["attributes"]]
    assert sizes == sorted(sizes, reverse=True)


def test_top_k_names_and_explanation(compare, voices):
    result = compare(voices[0], voices[1], top_k=3, return_explanation=True, names=("questioned", "known"))
    assert len(result["attributes"]) == 3
    assert result["explanation"].names == ("questioned", "known")
    assert result["explanation"].llr == result["calibrated_llr"]


def test_a_side_may_have_several_recordings(compare, voices):
    result = compare([voices[0], voices[1]], voices[2], return_explanation=True)
    assert result["explanation"].counts.sum(-1).max(1).tolist() == [2, 1]
    swapped = compare(voices[2], [voices[0], voices[1]])
    assert swapped["calibrated_llr"] == pytest.approx(result["calibrated_llr"])


def test_scorer_without_calibration_says_so(voices, tiny_embedder):
    scorer = load_scorer(resource(SCORER)).remove_calibration()
    compare = pipeline(
        "speaker-comparison", model=tiny_embedder, autoencoder=resource(AUTOENCODER), scorer=scorer, device="cpu"
    )
    result = compare(voices[0], voices[1])
    assert result["calibrated_llr"] is None and result["verbal"] is None
    assert "Not calibrated" in result["cautions"][0]
    assert sum(part["llr"] for part in result["attributes"]) == pytest.approx(result["llr"])


def test_bad_recordings_are_named(binarize, compare, tmp_path, voices):
    silent = np.zeros(16000, dtype=np.float32)
    short = np.random.default_rng(0).normal(size=500).astype(np.float32)
    (tmp_path / "not.wav").write_text("no sound")
    for bad, reason in (
        (tmp_path / "none.wav", "file not found"),
        (tmp_path / "not.wav", "not audio"),
        (b"", "empty file"),
        (silent, "digital silence"),
        (short, "too short: 31 ms"),
        ({"array": silent}, "without their sampling_rate"),
        (io.BytesIO(), "cannot read audio from a BytesIO"),
    ):
        with pytest.raises(AudioError, match=reason):
            binarize(bad)
        with pytest.raises(AudioError, match=reason):
            compare(voices[0], bad)


def test_bad_calls_are_refused(binarize, compare, voices):
    for bad in (voices[0], [voices[0]], {"a": voices[0]}):
        with pytest.raises(UserError, match="two sides"):
            compare(bad)
    with pytest.raises(UserError, match="no recording"):
        compare(voices[0], [])
    with pytest.raises(TypeError, match="binary-attributes knows no top_k"):
        binarize(voices[0], top_k=3)


def test_models_that_do_not_go_together_are_refused(tiny_embedder, tmp_path):
    from balr_hf import BinaryAttributeAutoEncoderConfig

    tiny_embedder.save_pretrained(tmp_path / "own")
    with pytest.raises(UserError, match="autoencoder= is missing"):
        pipeline("binary-attributes", str(tmp_path / "own"), device="cpu")
    with pytest.raises(UserError, match="scorer= is missing"):
        BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).save_pretrained(tmp_path / "ae")
        pipeline("speaker-comparison", str(tmp_path / "own"), autoencoder=tmp_path / "ae", device="cpu")
    small = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(8, 16))
    with pytest.raises(UserError, match="256 values, the autoencoder expects 8"):
        pipeline("binary-attributes", model=tiny_embedder, autoencoder=small, device="cpu")
    with pytest.raises(UserError, match="512 attributes, the scorer knows 4"):
        pipeline(
            "speaker-comparison", model=tiny_embedder, scorer=build_scorer("cosine", num_attributes=4), device="cpu"
        )


def test_a_scorer_of_ones_own_on_the_packages_embedder_is_a_demonstration_too(voices):
    compare = pipeline("speaker-comparison", scorer=build_scorer("cosine", num_attributes=512), device="cpu")
    explanation = compare(voices[0], voices[1], return_explanation=True)["explanation"]
    assert explanation.demonstration and explanation.to_text().startswith("DEMONSTRATION")


@pytest.fixture(scope="module")
def system(compare, tmp_path_factory):
    """A folder that a pipeline wrote: the package's models as one system."""
    folder = tmp_path_factory.mktemp("system")
    compare.save_pretrained(folder)
    return folder


def test_a_saved_pipeline_is_a_whole_system_for_both_tasks(system, compare, binarize, voices):
    again = pipeline("speaker-comparison", str(system), device="cpu")
    assert again(voices[0], voices[1]) == compare(voices[0], voices[1])
    assert again(voices[0], voices[1], return_explanation=True)["explanation"].demonstration
    assert type(again.scorer) is type(compare.scorer) and again.scorer is again.model.scorer
    bits = pipeline("binary-attributes", str(system), device="cpu")(voices[0])["ba"]
    assert np.array_equal(bits, binarize(voices[0])["ba"])


def test_parts_that_are_named_replace_those_of_a_system(system, voices, tmp_path):
    scorer = load_scorer(resource(SCORER)).remove_calibration()
    compare = pipeline("speaker-comparison", str(system), scorer=scorer, device="cpu")
    assert compare(voices[0], voices[1])["calibrated_llr"] is None
    compare.save_pretrained(tmp_path)
    assert not load_scorer(tmp_path).is_calibrated and load_scorer(system).is_calibrated
    with pytest.raises(UserError, match="scorer= is missing"):  # that of the system is of another autoencoder
        pipeline("speaker-comparison", str(system), autoencoder=system, device="cpu")


def test_a_pipeline_without_a_scorer_says_that_it_saves_the_embedder_only(tiny_embedder, tmp_path, caplog):
    binarize = pipeline("binary-attributes", model=tiny_embedder, autoencoder=resource(AUTOENCODER), device="cpu")
    binarize.save_pretrained(tmp_path)
    assert "Saved is the embedder only" in caplog.text
    assert type(WespeakerModel.from_pretrained(tmp_path)) is WespeakerModel
