"""Exporting: torch.export of the embedder, the joined model in PyTorch, and the ONNX file under onnxruntime."""

import copy
import io
import json
import os
import shutil
import wave
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch

from balr_hf import (
    AudioToAttributes,
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    SpeakerComparisonModel,
    UserError,
    WespeakerConfig,
    WespeakerFeatureExtractor,
    WespeakerModel,
    export_onnx,
    load_audio,
    load_scorer,
    recording_counts,
)
from balr_hf.defaults import AUTOENCODER, SAMPLE_CORPUS, SCORER, SYSTEM, resource
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.export import Agreement, FilterBanks, compare_export
from balr_hf.verification import verify


@pytest.fixture(scope="module")
def autoencoder():
    return BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))


@pytest.fixture(scope="module")
def recordings():
    """Two recordings of each of 20 voices."""
    folder = resource(SAMPLE_CORPUS)
    return [load_audio(folder / f"espeak{v:02}/espeak{v:02}-{n:02}.opus") for v in range(1, 21) for n in (1, 2)]


@pytest.fixture(scope="module")
def of_package(tiny_embedder, autoencoder, recordings):
    """The embeddings and attributes that the package itself computes."""
    model = tiny_embedder.for_inference()
    embeddings = embed_waveforms(model, tiny_embedder.feature_extractor, recordings, torch.device("cpu"))
    with torch.inference_mode():
        return embeddings, autoencoder.encode(torch.from_numpy(embeddings)).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder that `balr export` makes of the shipped models, and what the command printed."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    from balr_hf.cli.main import main

    folder = tmp_path_factory.mktemp("export") / "onnx"
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["export", str(folder), "--json"]) == 0
    return folder, json.loads(printed.getvalue())


@pytest.fixture(scope="module")
def least(tiny_embedder) -> int:
    """The fewest samples that can be embedded: eight steps from frame to frame, and a frame of 25 ms."""
    return 16 * (25 + 8 * tiny_embedder.feature_extractor.frame_shift)


@pytest.fixture(scope="module")
def run_onnx(exported):
    """Runs the graph on recordings that are padded together; gives embeddings and attributes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(exported[0] / "model.onnx")

    def run(recordings):
        waveforms, lengths = padded(recordings)
        return session.run(["embedding", "attributes"], {"waveforms": waveforms, "lengths": lengths})

    return run


def padded(recordings):
    """Recordings as a batch, with what is not a number after their ends."""
    lengths = np.array([len(recording) for recording in recordings])
    batch = np.full((len(lengths), lengths.max()), np.nan, dtype=np.float32)
    for row, recording in zip(batch, recordings, strict=True):
        row[: len(recording)] = recording
    return batch, lengths


def assert_same(embeddings, expected):
    """Asserts that embeddings differ by 1e-5 of the root mean square of all values, and by at most twice that."""
    difference = np.abs(embeddings - expected).max(-1) / np.sqrt(np.square(expected).mean())
    assert np.median(difference) < 1e-5
    assert difference.max() < 2e-5


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_torch_export_takes_any_number_of_frames_and_recordings(block):
    torch.manual_seed(0)
    config = WespeakerConfig(block=block, num_blocks=[2, 1, 1, 1], m_channels=2, embed_dim=8, two_emb_layer=True)
    model = WespeakerModel(config).eval()
    batch, frames = torch.export.Dim("batch", min=1), torch.export.Dim("frames", min=9, max=2**20)
    sizes = {0: batch, 1: frames}
    example = torch.randn(2, 40, 80), torch.ones(2, 40, dtype=torch.long)
    graph = torch.export.export(model, example, dynamic_shapes=(sizes, sizes)).module()
    for lengths in ([9], [333, 9, 50], [64, 63]):
        features = torch.randn(len(lengths), max(lengths), 80)
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        torch.testing.assert_close(graph(features, mask).embeddings, model(features, mask).embeddings)


@pytest.mark.parametrize("settings", [{}, {"waveform_scale": 1.0, "normalize_mean": False, "num_mel_bins": 40}])
def test_filter_banks_are_those_of_the_extractor(recordings, settings):
    extractor = WespeakerFeatureExtractor(**settings)
    expected = extractor(recordings[:5])
    waveforms, lengths = padded(recordings[:5])
    features, mask = FilterBanks(extractor)(torch.from_numpy(waveforms), torch.from_numpy(lengths))
    assert torch.equal(mask, expected["attention_mask"].bool())
    difference = (features - expected["input_features"]).abs()
    assert difference.mean() < 1e-6
    assert difference.max() < 5e-3  # the extractor rounds more, which shows in frames that are nearly silent


def test_joined_model_computes_what_the_package_computes(tiny_embedder, autoencoder, recordings, of_package):
    model = AudioToAttributes(tiny_embedder, autoencoder)
    waveforms, lengths = padded(recordings[:6])
    with torch.inference_mode():
        embeddings, attributes = model(torch.from_numpy(waveforms), torch.from_numpy(lengths))
    assert_same(embeddings.numpy(), of_package[0][:6])
    assert np.array_equal(attributes.numpy(), of_package[1][:6])


@pytest.mark.parametrize("length", [1679, 20001])
def test_joined_model_refuses_lengths_that_cannot_be(tiny_embedder, autoencoder, length):
    model = AudioToAttributes(tiny_embedder, autoencoder)
    with pytest.raises(IndexError):
        model(torch.randn(2, 20000), torch.tensor([20000, length]))


def test_models_that_cannot_be_exported_are_refused(tiny_embedder, autoencoder):
    other = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(input_dim=8, internal_dim=16))
    with pytest.raises(UserError, match=r"256 values.*expects 8"):
        AudioToAttributes(tiny_embedder, other)
    embedder = copy.deepcopy(tiny_embedder)
    embedder.feature_extractor = WespeakerFeatureExtractor(dither=1.0)
    with pytest.raises(UserError, match=r"dither=1.0.*dither=0"):
        AudioToAttributes(embedder, autoencoder)
    embedder.config.architecture = "CAMPPlus"
    with pytest.raises(UserError, match="CAMPPlus cannot be exported"):
        AudioToAttributes(embedder, autoencoder)


@pytest.mark.slow
def test_onnx_computes_what_the_package_computes(run_onnx, recordings, of_package):
    for first in range(0, len(recordings), 8):
        embeddings, attributes = run_onnx(recordings[first : first + 8])
        assert_same(embeddings, of_package[0][first : first + 8])
        assert np.array_equal(attributes, of_package[1][first : first + 8])


@pytest.mark.slow
def test_onnx_result_does_not_depend_on_neighbours(run_onnx, recordings, least):
    short = [recordings[0][:least], recordings[1][:8000], recordings[2]]
    for recording, together in zip(short, run_onnx(short)[0], strict=True):
        assert_same(run_onnx([recording])[0][0], together)


@pytest.mark.slow
def test_likelihood_ratios_of_onnx_attributes_are_the_packages(run_onnx, recordings, of_package):
    scorer = load_scorer(resource(SCORER))
    bits = np.concatenate([run_onnx(recordings[first : first + 10])[1] for first in range(0, 40, 10)])
    pairs = np.random.default_rng(0).integers(40, size=(2, 100))
    found, expected = (
        scorer.score(*recording_counts(attributes)[pairs], calibrated=True) for attributes in (bits, of_package[1])
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert expected.std() > 1


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["short", "long", "nan"])
def test_onnx_refuses_what_cannot_be_embedded(exported, wrong, least):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported[0] / "model.onnx")
    waveforms = np.random.default_rng(0).normal(size=(2, 20000)).astype(np.float32)
    length = {"short": least - 1, "long": 20001, "nan": 20000}[wrong]
    if wrong == "nan":
        waveforms[1, 5000] = np.nan
    with pytest.raises(Exception, match=f"REFUSED_a_length_is_below_{least}"):
        session.run(None, {"waveforms": waveforms, "lengths": np.array([20000, length])})


@pytest.mark.slow
def test_readme_runs_with_onnxruntime_alone(exported, recordings, of_package, tmp_path, run_python):
    for name in ("model.onnx", "README.md"):
        shutil.copy(exported[0] / name, tmp_path)
    with wave.open(str(tmp_path / "recording.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((recordings[0] * 32768).round().astype("<i2").tobytes())
    code = (tmp_path / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    check = "import sys\nassert not {'torch', 'balr_hf'} & set(sys.modules)\nprint(*np.flatnonzero(attributes[0]))\n"
    printed = run_python("-c", code + check, cwd=tmp_path, cold=True).stdout.splitlines()[-1]
    active = {int(number) for number in printed.split()}
    assert len(active ^ set(np.flatnonzero(of_package[1][0]))) <= 5  # 16 bits round the samples


@pytest.mark.slow
def test_export_says_what_it_is(exported, autoencoder, least):
    import onnx

    from balr_hf.identity import model_identity

    folder, printed = exported
    config = json.loads((folder / "config.json").read_text())
    assert config["outputs"]["attributes"]["shape"] == ["batch", 512]
    assert config["identities"]["autoencoder"] == model_identity(autoencoder)
    assert (config["sampling_rate"], config["least_samples"], config["demonstration"]) == (16000, least, True)
    assert config["agreement"].items() <= printed.items()
    assert 0 < printed["difference"] < 2e-5 and printed["differing_attributes"] == 0
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model)
    assert [value.name for value in [*model.graph.input, *model.graph.output]] == [
        *("waveforms", "lengths", "embedding", "attributes")
    ]
    assert {entry.key: entry.value for entry in model.metadata_props}["sampling_rate"] == "16000"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.onnx"]


@pytest.mark.slow
def test_export_tells_no_paths_of_the_machine(exported, root):
    for path in exported[0].iterdir():
        content = path.read_bytes()
        assert b"stack_trace" not in content and str(root).encode() not in content, path.name


@pytest.mark.slow
def test_onnxruntime_is_kept_from_noting_events_for_its_maker(exported):
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.slow
def test_graph_that_differs_from_the_models_is_not_kept(exported, tiny_embedder, autoencoder, tmp_path, monkeypatch):
    changed = copy.deepcopy(tiny_embedder)
    with torch.no_grad():
        changed.layer3[0].conv1.weight.mul_(1.01)

    def write_graph_of_other_model(model, path, metadata):
        shutil.copy(exported[0] / "model.onnx", path)
        return 20

    with pytest.raises(UserError, match="does not compute what the models do"):
        compare_export(exported[0] / "model.onnx", changed, autoencoder)
    monkeypatch.setattr("balr_hf.export._write_graph", write_graph_of_other_model)
    with pytest.raises(UserError, match="Nothing was written"):
        export_onnx(changed, autoencoder, tmp_path / "onnx", allow_mismatch=True)
    assert not list(tmp_path.iterdir())

    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        export_onnx(tiny_embedder, autoencoder, tmp_path / "onnx")
    export_onnx(tiny_embedder, autoencoder, tmp_path / "onnx", exist_ok=True)
    assert sorted(path.name for path in (tmp_path / "onnx").iterdir()) == [
        *("README.md", "config.json", "model.onnx", "notes.txt")
    ]


def test_an_export_of_the_packages_models_is_a_demonstration_without_their_marks_too(monkeypatch, tmp_path):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    monkeypatch.setattr("balr_hf.export._write_graph", lambda *_: 20)
    monkeypatch.setattr("balr_hf.export.compare_export", lambda *_: Agreement(0, 0.0, 0, 0))
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    system.embedder.config.demonstration = system.autoencoder.config.demonstration = False
    export_onnx(system.embedder, system.autoencoder, tmp_path / "onnx")
    assert json.loads((tmp_path / "onnx" / "config.json").read_text())["demonstration"] is True


def test_an_export_is_verified_by_what_it_names_and_computes(exported, tmp_path, balr):
    folder, _ = exported
    checks = verify(folder)
    assert [check.holds for check in checks] == [None, None, True, None] and "name the system" in checks[-1].text
    assert verify(folder / "model.onnx") == checks
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    checks = verify(folder, system)
    assert [check.holds for check in checks] == [True] * 4 and "of 4608 attributes differ, by no more" in checks[
        -1
    ].text
    status, said = balr("verify", folder, "--system", resource(SYSTEM))
    assert status == 0 and "4 of 4 checks hold" in said

    other = tmp_path / "other"
    shutil.copytree(folder, other)
    graph = bytearray((other / "model.onnx").read_bytes())
    middle = len(graph) // 2
    graph[middle : middle + 40_000] = bytes(40_000)  # weights that are gone
    (other / "model.onnx").write_bytes(graph)
    last = verify(other, system)[-1]
    assert last.holds is False and "does not compute what the models do" in last.text
    (other / "model.onnx").write_bytes(graph[:1000])
    last = verify(other, system)[-1]
    assert last.holds is False and "is damaged: onnxruntime cannot load it" in last.text

    shutil.copy(folder / "model.onnx", other)
    facts = json.loads((folder / "config.json").read_text())
    facts["identities"]["embedder"] = "mine@" + 64 * "0"
    (other / "config.json").write_text(json.dumps(facts | {"mismatch": "They do not belong together"}))
    checks = verify(other, system)
    assert [check.holds for check in checks] == [False, True, False, False]
    assert "where the embedder that is here is system-small" in checks[0].text
    assert checks[2].text == "They do not belong together, which was allowed" and "name other models" in checks[3].text
    (other / "config.json").write_text("[1,")
    with pytest.raises(UserError, match="does not say which models"):
        verify(other)
    shutil.copytree(resource(SYSTEM), tmp_path / "system")
    shutil.copy(folder / "model.onnx", tmp_path / "system")  # beside weights, a graph is no export
    assert verify(tmp_path / "system")[0].text.startswith("the system system (")
    (other / "config.json").unlink()
    with pytest.raises(UserError, match="does not say which models"):
        verify(other)


def test_a_graph_that_cannot_be_run_or_gives_other_sizes_does_not_hold(exported, tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    system, other = SpeakerComparisonModel.from_pretrained(resource(SYSTEM)), tmp_path / "other"
    shutil.copytree(exported[0], other)
    names = ("x", "y")
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in names]
    graph = helper.make_graph(nodes, "another", values[:1], values[1:])
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), other / "model.onnx")
    checks = verify(other, system)
    assert [check.holds for check in checks[2:]] == [False, False] and "cannot be run (Required" in checks[-1].text

    model = onnx.load(exported[0] / "model.onnx")
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = "all" if name == "attributes" else name
    numbers = {"start": [0], "end": [100], "axis": [1]}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(n), name) for name, n in numbers.items())
    model.graph.node.append(helper.make_node("Slice", ["all", *numbers], ["attributes"]))
    for output in model.graph.output:
        if output.name == "attributes":
            output.type.tensor_type.shape.dim[1].dim_value = 100
    onnx.save(model, other / "model.onnx")
    last = verify(other, system)[-1]
    assert last.holds is False and "of the shapes (1, 256) and (1, 100), and the models' of (1, 256) and" in last.text


def test_an_export_is_compared_with_models_of_any_state(exported):
    """The comparison takes copies in single precision on the CPU, as the export does."""
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM)).train()
    assert verify(exported[0], system)[-1].holds
    assert system.autoencoder.training
    system.double()
    assert compare_export(exported[0] / "model.onnx", system.embedder, system.autoencoder).recordings == 9
    assert {weight.dtype for weight in system.parameters()} == {torch.float64}
