"""What runs on a GPU gives what a CPU gives: features, embeddings, training, scores and whole commands."""

import json

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers import pipeline

from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    BinaryAttributeEncoderTrainer,
    ConsistencyLoss,
    DecorrelationLoss,
    MSELoss,
    SpeakerComparisonModel,
    TripletMarginLoss,
    WespeakerConfig,
    WespeakerModel,
    load_audio,
    load_corpus,
)
from balr_hf.data import vector_matrix
from balr_hf.defaults import AUTOENCODER, SYSTEM, resource
from balr_hf.embeddings import passes
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.scoring.auto import SCORERS, build_scorer
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.trials import Trials, score_trials
from balr_hf.system.parts import differing_parts
from balr_hf.training.arguments import DataArguments
from balr_hf.training.losses import LOSSES

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


@pytest.fixture
def waveforms(few):
    return [load_audio(row["audio"]) for row in load_corpus(few)]


@pytest.fixture
def embedder(tiny_embedder, cuda):
    """The shipped embedder on the GPU; afterwards on the CPU again, since all tests share it."""
    yield tiny_embedder.to(cuda)
    tiny_embedder.to("cpu")


def least_cosine(a, b):
    return ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()


@pytest.mark.parametrize("activation", [None, 0.2])
def test_hyperplanes_of_a_model_on_a_gpu_are_those_of_a_cpu(cuda, activation):
    embeddings = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    here, there = (
        BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(8, 40)).to(device).eval()
        for device in ("cpu", cuda)
    )
    for model, given in ((here, embeddings), (there, embeddings.to(cuda))):
        model.set_hyperplanes(given, activation=activation)
    for ours, other in zip(here.encoder.state_dict().values(), there.encoder.state_dict().values(), strict=True):
        assert torch.equal(ours, other.cpu())


def test_features_on_a_gpu_equal_those_on_a_cpu(tiny_embedder, waveforms, cuda):
    extractor = tiny_embedder.feature_extractor
    here, there = (extractor(waveforms, 16000, device) for device in ("cpu", cuda))
    assert there["input_features"].device.type == torch.device(cuda).type
    torch.testing.assert_close(there["attention_mask"].cpu(), here["attention_mask"])
    torch.testing.assert_close(there["input_features"].cpu(), here["input_features"], atol=2e-3, rtol=0)


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.99999), ("tf32", 0.999), ("bf16", 0.995)])
def test_embeddings_on_a_gpu_are_those_of_a_cpu(embedder, waveforms, cuda, precision, least):
    extractor, folded = embedder.feature_extractor, embedder.for_inference()
    there = embed_waveforms(folded, extractor, waveforms, torch.device(cuda), precision)
    here = embed_waveforms(folded.to("cpu"), extractor, waveforms, torch.device("cpu"))
    assert least_cosine(here, there) > least


def test_single_precision_is_not_lowered_unless_asked(embedder, waveforms, cuda):
    """Each recording alone and together with others, in fp32: by default cuDNN computes in tf32."""
    extractor, device = embedder.feature_extractor, torch.device(cuda)
    together = embed_waveforms(embedder, extractor, waveforms, device)
    alone = np.concatenate([embed_waveforms(embedder, extractor, [one], device) for one in waveforms])
    np.testing.assert_allclose(together, alone, atol=1e-4 * np.abs(alone).max())
    assert not np.array_equal(together, embed_waveforms(embedder, extractor, waveforms, device, "tf32"))


def test_settings_of_cudnn_are_put_back(embedder, waveforms, cuda):
    before = torch.backends.cudnn.conv.fp32_precision
    for precision in passes.PRECISIONS:
        embed_waveforms(embedder, embedder.feature_extractor, waveforms[:1], torch.device(cuda), precision)
        assert torch.backends.cudnn.conv.fp32_precision == before


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-5), ("tf32", 2e-3), ("bf16", 2e-2)])
def test_convolutions_that_rectify_give_what_they_give_without(cuda, block, precision, error):
    """A hook, which might look at what is rectified apart, makes the model compute everything apart, as fp32 does."""
    torch.manual_seed(0)
    config = WespeakerConfig(block=block, num_blocks=[1, 2, 1, 1], m_channels=16)
    model, device = WespeakerModel(config).eval().for_inference().to(cuda), torch.device(cuda)
    features, mask = torch.randn(3, 120, 80, device=device), torch.ones(3, 120, dtype=torch.long, device=device)
    mask[1, 70:] = 0
    for real in (mask, None):

        def embed(real=real):
            with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
                return passes.embed_features(model, features, device, real, precision)

        with torch.profiler.profile() as profiler:
            together = embed()
        handle = model.layer1[0].conv1.register_forward_hook(lambda *seen: None)
        with torch.profiler.profile() as without:
            apart = embed()
        handle.remove()
        names = [{event.key for event in seen.key_averages()} for seen in (profiler, without)]
        assert [any("convolution_add_relu" in name for name in some) for some in names] == [precision != "fp32", False]
        assert (together - apart).norm() < error * apart.norm()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_long_recordings_in_pieces_equal_one_pass(embedder, waveforms, cuda, monkeypatch, precision):
    samples, device = [np.concatenate(waveforms)], torch.device(cuda)
    whole = embed_waveforms(embedder, embedder.feature_extractor, samples, device, precision)
    monkeypatch.setitem(passes.FRAMES_PER_PASS, device.type, 800)
    pieces = embed_waveforms(embedder, embedder.feature_extractor, samples, device, precision)
    assert least_cosine(whole, pieces) > (0.999999 if precision == "fp32" else 0.9999)


def test_recordings_without_memory_beside_others_are_tried_alone(embedder, waveforms, cuda, monkeypatch):
    extractor, device = embedder.feature_extractor, torch.device(cuda)
    expected = embed_waveforms(embedder, extractor, waveforms, device)

    def starving(model, extractor, some, *options, embed_together=passes.embed_together):
        if len(some) > 1:
            torch.empty(2**50, dtype=torch.uint8, device=device)
        return embed_together(model, extractor, some, *options)

    monkeypatch.setattr(passes, "embed_together", starving)
    found = embed_waveforms(embedder, extractor, waveforms, device)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("batch_size", [64, 5])
def test_a_corpus_is_extracted_and_binarized_as_on_a_cpu(tiny_embedder, few, cuda, batch_size):
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER)).eval()
    corpus = load_corpus(few)
    extracted = [
        tiny_embedder.extract_embeddings(corpus, devices=[device], batch_size=batch_size) for device in ("cpu", cuda)
    ]
    here, there = (vector_matrix(one, "embedding")[0] for one in extracted)
    assert least_cosine(here, there) > 0.99999
    bits = [
        vector_matrix(autoencoder.get_binary_attributes(one, device=device), "ba")[0]
        for one, device in zip(extracted, ("cpu", cuda), strict=True)
    ]
    assert (bits[0] != bits[1]).mean() < 0.002


def make(sets, folder, losses, device, **options):
    data = DataArguments(batch_size=32, N_classes_per_batch=8, M_samples_per_class=4)
    options = {"epochs": 4, "val_period": 2, "input_dim": 16, "internal_dim": 24, "log_with": "none", **options}
    return BinaryAttributeEncoderTrainer(*sets, data, losses, save_dir=folder, device=device, **options)


def copies(sets):
    """The same sets, in which every second recording is a copy of the one before."""
    return tuple(
        one.add_column("source_id", [one["id"][row - row % 2] for row in range(len(one))], new_fingerprint="copies")
        for one in sets
    )


def history(folder):
    rows = json.loads((folder / "history.json").read_text())
    return {f"{row['epoch']} {name}": value for row in rows for name, value in row.items() if name != "epoch"}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)
def test_training_on_a_gpu_starts_as_on_a_cpu(sets, tmp_path, cuda, loss):
    """One epoch: the same weights and batches; later the two part by rounding, since attributes flip."""
    sets = copies(sets) if loss is ConsistencyLoss else sets
    for name, device in (("here", "cpu"), ("there", cuda)):
        losses = [loss()] if loss is MSELoss else [MSELoss(), loss()]
        make(sets, tmp_path / name, losses, device, epochs=1, val_period=1, log_period=1).train()
        AcceleratorState._reset_state(reset_partial_state=True)
    here, there = history(tmp_path / "here"), history(tmp_path / "there")
    assert here.keys() == there.keys() and {name for name in here if "train/" in name}
    for name, value in here.items():
        if "constant" not in name:
            assert there[name] == pytest.approx(value, rel=0.05), name


@pytest.mark.parametrize("losses", [[MSELoss], [MSELoss, DecorrelationLoss]], ids=["mse", "mse and decorrelation"])
def test_a_captured_step_trains_as_one_that_is_not(sets, tmp_path, cuda, losses):
    for name, graph in (("usual", False), ("graph", True)):
        made = [loss() for loss in losses]
        make(sets, tmp_path / name, made, cuda, epochs=8, log_period=1, cuda_graph=graph).train()
        AcceleratorState._reset_state(reset_partial_state=True)
    usual, graph = history(tmp_path / "usual"), history(tmp_path / "graph")
    for name, value in usual.items():
        if "constant" not in name:
            assert graph[name] == pytest.approx(value, rel=0.02), name
    weights = [load_file(tmp_path / name / "last" / "model.safetensors") for name in ("usual", "graph")]
    counted = [one["encoder.2.num_batches_tracked"].item() for one in weights]
    assert counted[0] == counted[1]


@pytest.mark.parametrize("graph", [False, True], ids=["as usual", "captured"])
def test_a_resumed_run_goes_on_where_it_was(sets, tmp_path, cuda, graph):
    for name, epochs, resumed in (("whole", 6, None), ("parts", 4, None), ("parts", 6, "parts")):
        source = None if resumed is None else tmp_path / resumed
        folder = None if resumed else tmp_path / name
        options = {"epochs": epochs, "log_period": 1, "cuda_graph": graph, "resume_from": source}
        make(sets, folder, [MSELoss()], cuda, **options).train()
        AcceleratorState._reset_state(reset_partial_state=True)
    whole, parts = history(tmp_path / "whole"), history(tmp_path / "parts")
    assert whole["6 train/loss"] == pytest.approx(parts["6 train/loss"], rel=0.02)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_mixed_precision_trains(sets, tmp_path, cuda, precision):
    make(sets, tmp_path / "run", [MSELoss(), TripletMarginLoss()], cuda, mixed_precision=precision).train()
    found = history(tmp_path / "run")
    assert found["4 train/loss"] < found["2 train/loss"]


@pytest.mark.parametrize("name", SCORERS)
def test_scores_on_a_gpu_equal_those_on_a_cpu(cuda, name):
    rng = np.random.default_rng(0)
    likely = rng.beta(0.5, 0.8, (20, 32))
    bits = rng.random((20, 8, 32)) < likely[:, None]
    counts, several = recording_counts(bits.reshape(-1, 32)), recording_counts(bits).sum(1)
    sides = counts if name in ("dna", "speech") else several  # these two compare single recordings
    trials = Trials([], range(500), [], *rng.integers(0, len(counts), (2, 500)))
    found = []
    for device in ("cpu", cuda):
        scorer = build_scorer(name, num_attributes=32).to(device).fit(several)
        matrix, listed = scorer.score_matrix(counts, counts), score_trials(scorer, counts, trials)
        compared = scorer.score(sides[:5], sides[5:10])
        same = np.arange(20).repeat(8)
        labels = (same[trials.enroll] == same[trials.test]).astype(int)
        scorer.calibrate(counts, counts, labels, trials=trials)
        calibrated = scorer.score_matrix(counts, counts, calibrated=True)
        found.append([matrix.cpu().numpy(), listed, compared.cpu().numpy(), calibrated.cpu().numpy()])
        assert matrix.device.type == torch.device(device).type
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-6)


def test_parts_of_a_recording_are_those_of_a_cpu(waveforms, cuda):
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM)).eval()
    recording = np.concatenate(waveforms)[: 40 * 16_000]
    found = [
        differing_parts(system.embedder.to(device), system.autoencoder, recording, (), torch.device(device))
        for device in ("cpu", cuda)
    ]
    assert found[0].seconds == found[1].seconds
    assert found[0].stretches == found[1].stretches
    assert (found[0].bits == found[1].bits).mean() > 0.99


def test_a_comparison_on_a_gpu_is_that_of_a_cpu(few, cuda):
    """And what its detectors hear; a few attributes may differ, since sums are rounded in another order."""
    paths = [row["audio"]["path"] for row in load_corpus(few)][:2]
    here, there = (pipeline("speaker-comparison", device=device)(*paths) for device in ("cpu", cuda))
    assert there["raw_llr"] == pytest.approx(here["raw_llr"], abs=2)
    assert there["no_verdict"] == here["no_verdict"]
    for kind in ("overlapped", "speed", "room"):
        for side in ("a", "b"):
            (one,), (other,) = here[kind][side], there[kind][side]
            assert other["percentile"] == pytest.approx(one["percentile"], abs=0.5) and other["way"] == one["way"]


def test_commands_run_on_a_gpu(balr, few, tmp_path, monkeypatch, cuda):
    monkeypatch.chdir(tmp_path)
    ids = [line.split(",")[0] for line in few.read_text().splitlines()[1:]]
    pairs = [f"{a}\t{b}" for number, a in enumerate(ids) for b in ids[number + 1 :]]
    (tmp_path / "trials.csv").write_text("\n".join(["enrollment\ttest", *pairs]) + "\n")
    for words in (
        ["extract", few],
        ["train", few, few, "trainer.epochs=2", "data.sampler=none"],
        ["binarize", few],
        ["score", "train", few, "--save-dir", "scorer"],
        ["score", "test", few, "trials.csv", "scorer.checkpoint_path=scorer"],
    ):
        status, said = balr(*words, "--device", cuda)
        assert status == 0, said
