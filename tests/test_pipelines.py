"""`transformers.pipeline` with our two tasks: what goes in, what comes out, and what is refused."""

import io
import json
import multiprocessing
import os
import re

import datasets
import numpy as np
import pytest
import torch
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from balr_hf import (
    BinaryAttributeAutoEncoder,
    SpeakerComparisonModel,
    SpeakerComparisonPipeline,
    WespeakerModel,
    build_scorer,
    load_audio,
    load_scorer,
)
from balr_hf.audio import AudioError
from balr_hf.data import add_vector_column, fixed_length_column
from balr_hf.data.recording_digests import recording_digests
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SCORER, SYSTEM, resource
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.errors import ConfigError, MismatchError, UserError


@pytest.fixture(scope="module")
def voices(root):
    folder = root / "resources" / "data" / "sample"
    return [folder / name for name in ("espeak17/espeak17-01.opus", "espeak17/espeak17-02.opus")] + [
        folder / "espeak20/espeak20-02.opus"
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
    assert len(whole["ba"]) == 512 and len(whole["embedding"]) == 256
    assert whole["active"] == np.flatnonzero(whole["ba"]).tolist() and whole["quality"]["net_speech"] > 1
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    for same in (
        str(path),
        path.read_bytes(),
        samples,
        torch.from_numpy(samples),
        {"array": samples, "sampling_rate": 16000},
        {"array": torch.from_numpy(samples), "sampling_rate": 16000},
        {"raw": samples, "sampling_rate": 16000},
        {"bytes": path.read_bytes(), "path": None},
        Decoder(),
    ):
        np.testing.assert_array_equal(binarize(same)["embedding"], whole["embedding"])


def test_batches_give_what_single_recordings_give(binarize, voices):
    alone = [binarize(path) for path in voices]
    names = datasets.Dataset.from_dict({"audio": [str(path) for path in voices], "id": list("abc")})
    corpus = names.cast_column("audio", datasets.Audio())  # which only torchcodec could decode
    renamed = corpus.rename_column("audio", "sound")
    for batch in (
        binarize(voices, batch_size=2),
        binarize((path for path in voices), batch_size=2),
        binarize(map(str, voices)),
        binarize(names["audio"][:], batch_size=3),
        binarize(names),
        binarize(corpus, batch_size=2),
        binarize(corpus["audio"], batch_size=2),
        binarize(renamed["sound"]),
        binarize(KeyDataset(renamed, "sound"), batch_size=2),
        binarize(corpus.to_iterable_dataset(), batch_size=2),
        binarize(corpus.to_iterable_dataset()["audio"]),
    ):
        batch = list(batch)
        assert len(batch) == 3
        for one, other in zip(alone, batch, strict=True):
            np.testing.assert_allclose(one["embedding"], other["embedding"], atol=1e-4)
            np.testing.assert_array_equal(one["ba"], other["ba"])


def test_integer_samples_of_a_dataset_give_what_their_fractions_give(binarize, voices):
    samples = np.round(load_audio(voices[0]) * 32767).astype(np.int16)
    whole = binarize({"array": samples, "sampling_rate": 16000})
    audio = {"array": datasets.List(datasets.Value("int16")), "sampling_rate": datasets.Value("int64")}
    features = datasets.Features({"id": datasets.Value("string"), "audio": audio})
    rows = {"id": ["a"], "audio": [{"array": samples, "sampling_rate": 16000}]}
    corpus = datasets.Dataset.from_dict(rows, features=features)
    for found in (binarize(corpus), binarize(corpus["audio"]), binarize(corpus.to_iterable_dataset())):
        np.testing.assert_array_equal(next(iter(found))["embedding"], whole["embedding"])
    embedded, skipped = compute_embeddings(binarize.model.embedder, corpus)
    assert not skipped
    np.testing.assert_allclose(embedded[0]["embedding"], whole["embedding"], atol=1e-4)


def test_attributes_are_those_of_the_corpus_functions(binarize, few):
    from balr_hf import load_corpus

    corpus = WespeakerModel.from_pretrained(resource(EMBEDDER)).extract_embeddings(load_corpus(few))
    corpus = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).get_binary_attributes(corpus)
    for row in corpus.select([0, 5]):
        assert binarize(row["audio"])["ba"] == row["ba"]


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
    assert json.loads(json.dumps(same, allow_nan=False))["llr"] == same["llr"]
    sizes = [abs(part["llr"]) for part in same["attributes"]]
    assert sizes == sorted(sizes, reverse=True)


@pytest.fixture(scope="module")
def at_once(root):
    """Two people's recordings of 6 s, and one of 6 s in which both speak at the same time."""
    folder = root / "resources" / "data" / "voices"
    man, woman = (
        np.concatenate([load_audio(path) for path in sorted((folder / name).glob("*.opus"))])
        for name in ("2033", "1998")
    )
    mixture = 0.5 * man[96_000:192_000] + 0.5 * man.std() / woman.std() * woman[:96_000]
    return man[:96_000], woman[96_000:192_000], mixture


def test_people_who_speak_at_the_same_time_get_no_verdict(compare, at_once):
    man, woman, mixture = at_once
    pairs = [(man, woman), (man, mixture), ([woman, mixture], man)]
    alone = [compare(*pair) for pair in pairs]
    assert compare(pairs, batch_size=3) == alone
    one, two, several = alone
    assert "overlapped" not in one["no_verdict"]
    assert min(one["overlapped"][side][0]["percentile"] for side in "ab") > 5
    assert "overlapped" in two["no_verdict"] and two["verbal"] is None
    assert [found["is_beyond"] for found in two["overlapped"]["b"]] == [True]
    assert [found["is_beyond"] for found in several["overlapped"]["a"]] == [False, True]
    assert any("Recording 2 of A may hold people who speak at the same time" in text for text in several["cautions"])


def test_a_detector_for_another_embedder_is_refused_and_not_used(at_once):
    from dataclasses import replace

    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    own = system.detectors["overlapped"]
    made = pipeline("speaker-comparison", model=system)
    system.detectors["overlapped"] = replace(own, record={**own.record, "embedder": "other@" + "f" * 64})
    with pytest.raises(MismatchError, match="is a detector for the embedder other"):
        pipeline("speaker-comparison", model=system)
    with pytest.raises(MismatchError, match="is a detector for the embedder other"):
        made(*at_once[:2])
    allowed = pipeline("speaker-comparison", model=system, allow_mismatch=True)
    found = allowed(at_once[0], at_once[2], return_explanation=True)
    assert found["overlapped"] == {"a": [], "b": []} and "overlapped" not in found["no_verdict"]
    assert dict(found["explanation"].describe_method())["One voice at a time"].startswith("not looked at")


def test_the_detector_is_that_of_the_embedder_whatever_the_autoencoder(at_once):
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    parts = {"autoencoder": resource(AUTOENCODER), "scorer": resource(SCORER)}
    found = pipeline("speaker-comparison", model=system, **parts)(at_once[0], at_once[2])
    assert "overlapped" in found["no_verdict"]


def test_top_k_names_and_explanation(compare, voices):
    result = compare(voices[0], voices[1], top_k=3, return_explanation=True, names=("questioned", "known"))
    assert len(result["attributes"]) == 3
    assert result["explanation"].names == ("questioned", "known")
    assert result["explanation"].llr == result["calibrated_llr"]


def test_recordings_that_the_scorer_was_made_with_are_cautioned_of(compare, binarize, voices, tmp_path):
    scorer = load_scorer(resource(SCORER))
    attributes = {path: binarize(path)["ba"] for path in voices}
    rows = {"id": ["a", "b"], "speaker": ["x", "y"]}
    corpus = datasets.Dataset.from_dict(rows)
    bits = np.array([attributes[voices[1]], attributes[voices[2]]], dtype=bool)
    scorer.describe_reference(add_vector_column(corpus, "ba", fixed_length_column(bits)))
    scorer.config.autoencoder_identity = None  # of the made-up population, of which it is unknown
    found = SpeakerComparisonPipeline(compare.model.embedder, compare.autoencoder, scorer, device="cpu")
    told = "is in the scorer's reference population, as a recording: the figure flatters the scorer."
    cautions = found(voices[0], voices[1:])["cautions"]
    assert [text for text in cautions if text.endswith(told)] == [f"Recording {one} of B {told}" for one in (1, 2)]
    assert not any(told in text for text in compare(voices[0], voices[2])["cautions"])


def test_files_that_the_scorer_was_made_with_are_cautioned_of_whatever_their_attributes(compare, voices):
    """Of a file that the population has in two formats, the attributes tell no recording apart."""
    scorer = load_scorer(resource(SCORER))
    corpus = datasets.Dataset.from_dict({"id": ["a"], "audio": [{"bytes": None, "path": str(voices[1])}]})
    scorer.calibration_recordings = torch.from_numpy(recording_digests(corpus, read_files=True))
    found = SpeakerComparisonPipeline(compare.model.embedder, compare.autoencoder, scorer, device="cpu")
    content = voices[1].read_bytes()
    for recording in (voices[1], str(voices[1]), content, {"bytes": content, "path": None}):
        told = [text for text in found(voices[0], recording)["cautions"] if "as a recording" in text]
        assert len(told) == 1 and told[0].startswith("Recording 1 of B is one that the scorer was calibrated on, as")
    assert not any("as a recording" in text for text in found(voices[0], voices[2])["cautions"])


def test_a_side_may_have_several_recordings(compare, voices):
    result = compare([voices[0], voices[1]], voices[2], return_explanation=True)
    assert result["explanation"].counts.sum(-1).max(1).tolist() == [2, 1]
    swapped = compare(voices[2], [voices[0], voices[1]])
    assert swapped["calibrated_llr"] == pytest.approx(result["calibrated_llr"])
    with pytest.raises(AudioError, match=r"recording 1 of B and recording 2 of B are the same .* count twice"):
        compare(voices[2], [voices[0], voices[0]])


def test_pairs_of_a_dataset_are_compared(compare, voices):
    expected = compare([(voices[0], voices[1]), (voices[0], voices[2])], top_k=1)
    columns = {"a": [str(voices[0])] * 2, "id": ["x", "y"], "b": [str(path) for path in voices[1:]]}
    corpus = datasets.Dataset.from_dict(columns)
    corpus = corpus.cast_column("a", datasets.Audio()).cast_column("b", datasets.Audio())
    assert list(compare(corpus, top_k=1, batch_size=2)) == expected
    assert list(compare(zip(columns["a"], columns["b"], strict=True), top_k=1)) == expected
    side = compare(voices[0], corpus["b"], top_k=1)  # two recordings of one side
    assert side == compare(voices[0], voices[1:], top_k=1)
    with pytest.raises(UserError, match="1 columns of type Audio"):
        compare(corpus.remove_columns("a"))


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_a_bad_recording_does_not_stop_the_others(binarize, compare, voices, tmp_path, caplog, batch_size):
    silent = np.zeros(16000, dtype=np.float32)
    good = [binarize(voices[0]), binarize(voices[1])]
    for corpus in ([voices[0], silent, tmp_path / "none.wav", voices[1]], [silent, voices[0], b"", b"", voices[1]]):
        with pytest.raises(AudioError):
            binarize(corpus, batch_size=batch_size)
        returned = binarize(corpus, batch_size=batch_size, on_error="return")
        assert {frozenset(one) for one in returned} == {frozenset(good[0])}
        assert sum(one["ba"] is None and bool(one["error"]) for one in returned) == len(corpus) - 2
        assert all("digital silence" in one["error"] for one, at in zip(returned, corpus, strict=True) if at is silent)
        skipped = binarize(iter(corpus), batch_size=batch_size, on_error="skip")
        for found in ([one for one in returned if one["error"] is None], list(skipped)):
            assert [one["ba"] for one in found] == [one["ba"] for one in good]
    assert f"Skipped: {tmp_path}/none.wav: file not found" in caplog.text
    pairs = [(voices[0], silent), (voices[0], voices[1]), ([voices[0], b""], voices[1])]
    returned = compare(pairs, batch_size=batch_size, on_error="return")
    assert [one.get("error") for one in returned][::2] == [
        "recording 1 of B: digital silence",
        "recording 2 of A: empty file",
    ]
    whole = compare(voices[0], voices[1])
    assert returned[1] == whole and whole["error"] is None
    for refused in returned[::2]:
        assert set(refused) == set(whole) and refused["no_verdict"] == ["refused"] and refused["demonstration"] is True
        assert refused["verbal"] is refused["calibrated_llr"] is refused["interval"] is None
    table = datasets.Dataset.from_list(returned)
    assert table["error"][0] and table["llr"][1] == whole["llr"] and table["no_verdict"][2] == ["refused"]
    assert [one["llr"] for one in compare(pairs, batch_size=batch_size, on_error="skip")] == [returned[1]["llr"]]


def test_what_happens_on_errors_can_be_said_once(voices, binarize, compare):
    lenient = pipeline("binary-attributes", device="cpu", on_error="return")
    assert "empty file" in lenient(b"")["error"] and lenient(voices[0])["error"] is None
    assert binarize(b"", on_error="skip") is None
    for call in (binarize, compare):
        with pytest.raises(ConfigError, match="on_error='ignore': expected raise, skip, return"):
            call([(voices[0], voices[1])], on_error="ignore")
        with pytest.raises(UserError, match="several splits: choose one of test"):
            call(datasets.DatasetDict({"test": datasets.Dataset.from_dict({"audio": []})}))
        assert call([]) == []
    with pytest.raises(UserError, match="two sides"):  # a call that is wrong is no bad recording
        compare([voices[0]], on_error="return")
    with pytest.raises(UserError, match="no column audio, only sound"):
        binarize(datasets.Dataset.from_dict({"sound": ["a.wav"]}))


def test_models_in_training_stay_in_training_and_compute_as_in_inference(binarize, voices):
    embedder = WespeakerModel.from_pretrained(resource(EMBEDDER)).train()
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).train()
    before = {name: value.clone() for name, value in [*embedder.named_buffers(), *autoencoder.named_buffers()]}
    parts = {"model": embedder, "autoencoder": autoencoder, "device": "cpu"}
    assert pipeline("binary-attributes", **parts)(voices[0]) == binarize(voices[0])
    pipeline("speaker-comparison", **parts, scorer=resource(SCORER))(voices[0], voices[1])
    assert all(part.training for model in (embedder, autoencoder) for part in model.modules())
    after = dict([*embedder.named_buffers(), *autoencoder.named_buffers()])
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_an_address_is_refused_offline(binarize):
    with pytest.raises(AudioError, match=r"https://x\.invalid/a\.wav: cannot be downloaded \(.*offline"):
        binarize("https://x.invalid/a.wav")


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
        ({"raw": short, "array": silent, "sampling_rate": 16000}, "has both raw and array"),
        (silent > 0, "samples of the type bool"),
        (np.ma.array(silent, mask=silent == 0), "are masked"),
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
    for bad in (-1, 2.5):
        with pytest.raises(ConfigError, match=rf"top_k={bad}: expected a number of attributes, 0 or more"):
            compare(voices[0], voices[1], top_k=bad)
    for names in ("AB", ("A",), ("A", "B", "C"), (None, 1), ("A", ""), 3):
        with pytest.raises(ConfigError, match=rf"names={re.escape(repr(names))}: expected the names of the two sides"):
            compare(voices[0], voices[1], names=names)


def test_models_of_half_precision_are_refused(tiny_embedder):
    half = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER), dtype=torch.bfloat16)
    with pytest.raises(UserError, match=r"the autoencoder has weights of type bfloat16, .* load it in float32"):
        pipeline("binary-attributes", model=tiny_embedder, autoencoder=half, allow_mismatch=True, device="cpu")


def test_features_that_are_not_those_of_the_embedder_are_refused():
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    own = system.feature_extractor
    same, other = (type(own)(**{**own.to_dict(), **changed}) for changed in ({}, {"normalize_mean": False}))
    assert SpeakerComparisonPipeline(system, feature_extractor=same).feature_extractor is same
    with pytest.raises(ConfigError, match="feature_extractor= has other settings than that of the embedder"):
        SpeakerComparisonPipeline(system, feature_extractor=other)


def test_a_feature_extractor_may_be_named(binarize, voices):
    named = pipeline("binary-attributes", str(resource(SYSTEM)), feature_extractor=str(resource(SYSTEM)), device="cpu")
    assert named(voices[0]) == binarize(voices[0])


def test_a_pipeline_asked_for_half_precision_computes_in_float32(binarize, voices):
    asked = pipeline("binary-attributes", dtype=torch.bfloat16, device="cpu")
    assert asked(voices[0]) == binarize(voices[0])


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


@pytest.mark.parametrize("task", ["binary-attributes", "speaker-comparison"])
def test_models_of_another_kind_are_refused(task, tiny_embedder):
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    for model in (autoencoder, load_scorer(resource(SCORER)), torch.nn.Linear(2, 2)):
        expected = f"model={type(model).__name__}: expected a whole system or an embedder"
        with pytest.raises(UserError, match=expected):
            pipeline(task, model=model, autoencoder=autoencoder, device="cpu")
    with pytest.raises(UserError, match="autoencoder=WespeakerModel: expected an autoencoder"):
        pipeline(task, model=tiny_embedder, autoencoder=tiny_embedder, device="cpu")
    with pytest.raises(UserError, match="autoencoder=3: expected an autoencoder"):
        pipeline(task, model=tiny_embedder, autoencoder=3, device="cpu")


def test_a_scorer_of_another_kind_is_refused(tiny_embedder):
    for scorer, name in ((tiny_embedder, "WespeakerModel"), (3, "3")):
        with pytest.raises(UserError, match=f"scorer={name}: expected a scorer"):
            pipeline("speaker-comparison", scorer=scorer, device="cpu")


def test_a_scorer_of_ones_own_on_the_packages_embedder_is_a_demonstration_too(voices):
    compare = pipeline("speaker-comparison", scorer=build_scorer("cosine", num_attributes=512), device="cpu")
    explanation = compare(voices[0], voices[1], return_explanation=True)["explanation"]
    assert explanation.demonstration and explanation.to_text().startswith("DEMONSTRATION")


@pytest.fixture(scope="module")
def system(compare, tmp_path_factory):
    """A folder that a pipeline wrote: the package's models as one system."""
    folder = tmp_path_factory.mktemp("system")
    compare.save_pretrained(folder / "saved")
    return (folder / "saved").rename(folder / "moved")


def test_a_saved_pipeline_is_a_whole_system_for_both_tasks(system, compare, binarize, voices):
    again = pipeline("speaker-comparison", str(system), device="cpu")
    assert again(voices[0], voices[1]) == compare(voices[0], voices[1])
    assert again(voices[0], voices[1], return_explanation=True)["explanation"].demonstration
    assert type(again.scorer) is type(compare.scorer) and again.scorer is again.model.scorer
    assert pipeline("binary-attributes", str(system), device="cpu")(voices[0]) == binarize(voices[0])


def test_a_saved_pipeline_names_no_place_of_this_machine(system, binarize, tmp_path):
    binarize.save_pretrained(tmp_path)
    written = [path.read_bytes() for folder in (system, tmp_path) for path in folder.iterdir()]
    for place in (tmp_path, system, resource(EMBEDDER).parent):
        assert not any(str(place).encode() in content for content in written)


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


def test_a_result_says_for_programs_why_it_must_not_be_used(compare, voices):
    good, copied = compare(voices[0], voices[1]), compare(voices[0], voices[0])
    assert good["no_verdict"] == [] and good["verbal"]
    assert copied["no_verdict"][0] == "copies" and copied["verbal"] is None and copied["copies"]
    for found in (good, copied):
        assert found["demonstration"] is True
        assert found["raw_llr"] == found["llr"]
    for found, stated, empty in ((good, "calibrated_llr", "withheld_llr"), (copied, "withheld_llr", "calibrated_llr")):
        assert found["bounds"][0] <= found[stated] <= found["bounds"][1] and found[empty] is None
        assert set(found["voices"]) == set(found["quality"]) == {"a", "b"}


def test_a_caller_under_autocast_gets_what_everybody_gets(compare, voices):
    expected = compare(voices[0], voices[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert compare(voices[0], voices[1]) == expected


def _in_a_fork(queue, call, pair):
    queue.put(call(*pair)["llr"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_gives_the_same_result(compare, voices):
    """OpenMP's threads do not survive a fork: the child would wait for them without an end."""
    pair = voices[0], voices[1]
    expected = compare(*pair)["llr"]
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=_in_a_fork, args=(queue, compare, pair))
    child.start()
    try:
        assert queue.get(timeout=120) == pytest.approx(expected, abs=1e-4)
    finally:
        child.join(10)
        child.kill()


def test_a_pipeline_follows_its_models(voices):
    """What answers is what `save_pretrained` writes, and half precision is refused here, too."""
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    compare = SpeakerComparisonPipeline(system, allow_mismatch=True)
    pair = voices[0], voices[2]
    before = compare(*pair)
    assert before == compare(*pair)
    with torch.no_grad():
        system.autoencoder.encoder[3].bias.add_(0.5)
    changed = compare(*pair)
    assert changed["raw_llr"] != before["raw_llr"]
    assert any("made for" in caution for caution in changed["cautions"])
    with pytest.raises(MismatchError):
        strict = SpeakerComparisonPipeline(SpeakerComparisonModel.from_pretrained(resource(SYSTEM)))
        with torch.no_grad():
            strict.model.embedder.seg_1.weight.mul_(2)
        strict(*pair)
    system.embedder.half()
    with pytest.raises(UserError, match="weights of type float16"):
        compare(*pair)


def test_changes_by_the_data_of_weights_are_followed(voices):
    """As averages of weights are copied into models: the versions of the weights do not tell."""
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    compare = SpeakerComparisonPipeline(system, allow_mismatch=True)
    before = compare(voices[0], voices[2])
    copied = compare._embedder
    compare(voices[0], voices[2])
    assert compare._embedder is copied
    for weight in system.autoencoder.parameters():
        weight.data.mul_(-1)
    after = compare(voices[0], voices[2])
    assert after["raw_llr"] != before["raw_llr"] and any("made for" in caution for caution in after["cautions"])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_is_no_change_of_the_models(binarize, threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert binarize._versions() == binarize._copied
    finally:
        torch.set_num_threads(before)


def _replace_scorer(compare):
    compare.scorer = load_scorer(resource(SCORER)).remove_calibration()


def _replace_autoencoder(compare):
    compare.autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))


def _replace_model(compare):
    compare.model = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))


def _replace_scorer_of_system(compare):
    compare.model.scorer = load_scorer(resource(SCORER)).remove_calibration()


@pytest.mark.parametrize(
    ("replace", "name"),
    [
        (_replace_scorer, "scorer"),
        (_replace_autoencoder, "autoencoder"),
        (_replace_model, "embedder"),
        (_replace_scorer_of_system, "scorer"),
    ],
)
def test_a_pipeline_computes_and_saves_the_models_that_it_was_made_with(replace, name, voices, tmp_path):
    compare = SpeakerComparisonPipeline(SpeakerComparisonModel.from_pretrained(resource(SYSTEM)))
    replace(compare)
    wrong = f"the {name} of this pipeline was replaced after the pipeline was made"
    for call in (
        lambda: compare(voices[0], voices[1]),
        lambda: compare(voices[0], voices[1], on_error="return"),
        lambda: compare.save_pretrained(tmp_path / "saved"),
        lambda: compare.push_to_hub("me/system"),
    ):
        with pytest.raises(UserError, match=wrong):
            call()
    assert not (tmp_path / "saved").exists()


def test_a_scorer_that_is_calibrated_anew_is_followed(voices, tmp_path):
    compare = SpeakerComparisonPipeline(SpeakerComparisonModel.from_pretrained(resource(SYSTEM)))
    compare.scorer.remove_calibration()
    assert compare(voices[0], voices[1])["calibrated_llr"] is None
    compare.save_pretrained(tmp_path)
    assert not load_scorer(tmp_path).is_calibrated
