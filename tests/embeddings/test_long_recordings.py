"""Recordings that are not held in memory: measured and embedded in blocks, as if they were."""

import pickle

import numpy as np
import pytest
import torch

from balr_hf import WespeakerConfig, WespeakerModel, audio, load_audio
from balr_hf.audio import AudioError, LongAudio
from balr_hf.data.reading import load_corpus
from balr_hf.embeddings import passes
from balr_hf.embeddings.extraction import compute_embeddings
from balr_hf.quality import find_copy, heard, load_measured

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def speech(root) -> np.ndarray:
    """Sentences with pauses, of 20 seconds or so."""
    paths = sorted((root / "resources/data/sample/espeak01").glob("*.opus"))[:6]
    return np.concatenate([part for path in paths for part in (load_audio(path), np.zeros(8000, dtype=np.float32))])


@pytest.fixture
def short_memory(monkeypatch):
    """Everything of more than 5 seconds is too long to be held in memory, and goes through in pieces of 3 seconds."""
    monkeypatch.setattr(audio, "LONG_SAMPLES", 80_000)
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 30_001)
    monkeypatch.setattr(passes, "FRAMES_PER_PIECE", 304)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("folded", [False, True])
def test_pieces_give_what_one_pass_gives(block, folded):
    torch.manual_seed(0)
    model = WespeakerModel(WespeakerConfig(block=block, num_blocks=[1, 2, 3, 2], m_channels=4, embed_dim=16)).eval()
    model = model.for_inference() if folded else model
    features = 3 * torch.randn(1003, 80)
    with torch.inference_mode():
        whole = model(features[None]).embeddings[0]
    for frames_per_piece in (8, 100, 1000):
        stream = model.streamed(frames_per_piece)
        for some in features.split(37):
            stream.add(some)
        found = stream.finish()
        assert (found - whole).norm() < 1e-6 * whole.norm(), frames_per_piece


def test_features_in_blocks_are_those_of_the_whole(tiny_embedder, speech):
    extractor = tiny_embedder.feature_extractor
    banks = extractor.streamed()
    found = torch.cat([banks.add(part) for part in np.array_split(speech, 61)])
    whole = extractor(speech, 16_000)["input_features"][0]
    torch.testing.assert_close(found - found.mean(0), whole, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000])
@pytest.mark.parametrize("change", ["none", "clipped", "faint", "hum"])
def test_measures_and_embedding_are_those_of_a_recording_in_memory(tiny_embedder, speech, rate, change, short_memory):
    samples = audio.resample(speech, 16_000, rate)
    hum = 0.05 * np.sin(2 * np.pi * 100 * np.arange(len(samples)) / rate)
    changes = {"clipped": np.clip(samples * 8, -0.6, 0.5) + 0.05, "faint": samples * 1e-3, "hum": samples + hum}
    source = {"array": np.asarray(changes.get(change, samples), dtype=np.float32), "sampling_rate": rate}
    model, extractor = tiny_embedder.for_inference(), tiny_embedder.feature_extractor
    long = passes.load_usable(source, extractor)
    audio.LONG_SAMPLES, passes.FRAMES_PER_PIECE = 2**24, 6000  # monkeypatch sets them back
    short = passes.load_usable(source, extractor)
    assert isinstance(long.samples, passes.LongRecording) and isinstance(short.samples, np.ndarray)
    measured, expected = long.quality.to_dict(), short.quality.to_dict()
    for name, value in expected.items():
        near = isinstance(value, float)
        assert measured[name] == (pytest.approx(value, rel=1e-6, abs=1e-9) if near else value), name
    passes.FRAMES_PER_PIECE = 304
    found = passes.embed_waveforms(model, extractor, [long.samples], CPU)
    passes.FRAMES_PER_PIECE = 6000
    expected = passes.embed_waveforms(model, extractor, [short.samples], CPU)
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


def test_copies_of_long_recordings_are_found(speech, short_memory):
    long = [LongAudio({"array": speech * level, "sampling_rate": 16_000}, 16_000) for level in (1, 1, 0.5)]
    assert find_copy(long[0], long[1]).exact
    copy = find_copy(long[0], long[2])
    assert copy is not None and copy.whole and not copy.exact
    assert find_copy(speech[32_000:64_000], long[0]).offset == pytest.approx(2, abs=0.01)


def test_recording_that_changes_while_it_is_read_is_refused(speech):
    class Changing(LongAudio):
        times = 0

        def blocks(self):
            Changing.times += 1
            yield speech[: len(speech) - 1000 * Changing.times]

    with pytest.raises(AudioError, match="changed while it was read"):
        passes.measure_long(Changing(None, 16_000))


def test_long_recordings_are_measured_without_a_model(few, short_memory, monkeypatch):
    path = sorted(few.parent.rglob("*.opus"))[0]
    monkeypatch.setattr(audio, "LONG_SAMPLES", 1000)
    measured = load_measured(path)
    assert isinstance(measured.samples, LongAudio)
    np.testing.assert_array_equal(measured.whole(), load_audio(path))


def test_long_recordings_can_be_handed_on_by_another_process(tiny_embedder, few, short_memory, monkeypatch):
    monkeypatch.setattr(audio, "LONG_SAMPLES", 1000)
    extractor, path = tiny_embedder.feature_extractor, sorted(few.parent.rglob("*.opus"))[0]
    here = passes.load_usable(str(path), extractor).samples
    there = pickle.loads(pickle.dumps(here))
    assert isinstance(there, passes.LongRecording)
    found = [passes.embed_waveforms(tiny_embedder, extractor, [one], torch.device("cpu")) for one in (here, there)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("message", ["DefaultCPUAllocator: can't allocate memory", None])
def test_recording_without_memory_is_skipped_and_the_others_are_done(tiny_embedder, few, monkeypatch, message):
    corpus = load_corpus(few)
    frames = [tiny_embedder.feature_extractor.num_frames(len(load_audio(row["audio"]))) for row in corpus]

    def starving(model, extractor, waveforms, *options, embed_together=passes.embed_together):
        if max(extractor.num_frames(len(samples)) for samples in waveforms) == max(frames):
            raise MemoryError if message is None else RuntimeError(message)
        return embed_together(model, extractor, waveforms, *options)

    monkeypatch.setattr(passes, "embed_together", starving)
    for on_gpu in (False, True):
        if on_gpu:
            monkeypatch.setitem(passes.FRAMES_PER_PASS, "cpu", 10**6)
        found, skipped = compute_embeddings(tiny_embedder, corpus)
        assert len(skipped) == frames.count(max(frames)) and "memory" in skipped[0].reason
        assert sum(embedding is None for embedding in found["embedding"]) == len(skipped)


def test_errors_of_the_model_are_not_taken_for_those_of_a_recording(tiny_embedder, few, monkeypatch):
    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(passes, "embed_together", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        compute_embeddings(tiny_embedder, load_corpus(few))


def test_features_of_long_recordings_are_in_single_precision_whatever_the_model_computes_in(
    tiny_embedder, few, monkeypatch
):
    """As those of short ones: bf16 is for the convolutions."""
    extractor, lowered = tiny_embedder.feature_extractor, []

    def filter_banks(*options, filter_banks=extractor._filter_banks):
        lowered.append(torch.is_autocast_enabled("cpu"))
        return filter_banks(*options)

    monkeypatch.setattr(extractor, "_filter_banks", filter_banks)
    monkeypatch.setattr(passes, "FRAMES_PER_PIECE", 100)
    samples = [load_audio(sorted(few.parent.rglob("*.opus"))[0])]
    passes.embed_waveforms(tiny_embedder, extractor, samples, torch.device("cpu"), "bf16")
    assert lowered == [False]


@pytest.mark.parametrize("device_with_passes", [False, True])
def test_recording_of_fewer_frames_than_a_pass_is_embedded_if_it_is_not_in_memory(
    tiny_embedder, speech, short_memory, monkeypatch, device_with_passes
):
    if device_with_passes:
        monkeypatch.setitem(passes.FRAMES_PER_PASS, "cpu", 60_000)
    monkeypatch.setattr(passes, "FRAMES_PER_PIECE", 60_000)
    model, extractor = tiny_embedder.for_inference(), tiny_embedder.feature_extractor
    long = passes.load_usable({"array": speech, "sampling_rate": 16_000}, extractor).samples
    assert isinstance(long, passes.LongRecording) and long.frames < 60_000
    tries, together = [], passes.embed_together
    monkeypatch.setattr(passes, "embed_together", lambda *all: tries.append(len(all[2])) or together(*all))
    short = heard(speech, long.stretches)
    assert len(short) < len(speech)  # the digital silence between the sentences is left out
    found = passes.embed_each(model, extractor, [long, short, long, short], CPU)
    assert sorted(tries) == ([1, 1, 2] if device_with_passes else [1] * 4)  # alone, and at the first try
    for one in found:
        assert np.linalg.norm(one - found[1]) < 1e-5 * np.linalg.norm(found[1])


def test_words_that_tell_of_memory_are_known():
    assert passes._tells_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not passes._tells_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
