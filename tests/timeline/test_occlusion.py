import numpy as np
import pytest
import torch

from balr_hf import ConfigError, attribute_timeline, audio, occlusion_map
from balr_hf.timeline import occlusion
from balr_hf.timeline.activations import Activations

RATE = 16_000


@pytest.fixture(scope="module")
def found(system, voice):
    return occlusion_map(system, voice, bands=4)


def activations(system, features):
    embeddings = system.embedder(features).embeddings
    return system.autoencoder.encoder[:-1](embeddings)[0].numpy()


@torch.no_grad()
def test_cells_are_what_the_models_make_of_features_with_a_hole(system, voice, found):
    features = system.feature_extractor(voice, RATE)["input_features"]
    bands = np.linspace(0, 80, 5).astype(int)
    stretches = np.linspace(0, features.shape[1], found.cells.shape[2] + 1).round().astype(int)
    assert np.allclose(found.activations, activations(system, features), atol=1e-3)
    for band, stretch in ((0, 0), (2, 3), (3, found.cells.shape[2] - 1)):
        rows, columns = slice(*stretches[stretch : stretch + 2]), slice(*bands[band : band + 2])
        for cells, where in (
            (found.cells[:, band, stretch], (0, rows, columns)),
            (found.whole_bands[:, band], (0, slice(None), columns)),
            (found.whole_stretches[:, stretch], (0, rows, slice(None))),
        ):
            changed = features.clone()
            changed[where] = features.mean(1)[0, where[2]]
            assert np.allclose(cells, activations(system, changed), atol=1e-3)


def test_the_same_comes_out_again(system, voice, found, monkeypatch):
    monkeypatch.setattr(Activations, "recordings_per_pass", lambda self, frames: 5)
    assert np.allclose(occlusion_map(system, voice, bands=4).cells, found.cells, atol=1e-3)
    one, other = (occlusion_map(system, voice, bands=2, seconds=1) for _ in range(2))
    assert np.array_equal(one.cells, other.cells)


def test_edges_are_those_of_the_recording_and_of_the_filters(voice, found):
    assert found.bands[0] == pytest.approx(20) and found.bands[-1] == pytest.approx(8000)
    assert (np.diff(found.bands) > 0).all()
    mel = 1127 * np.log1p(found.bands / 700)
    assert np.allclose(np.diff(mel), (mel[-1] - mel[0]) / 4, rtol=0.03)
    assert found.stretches[0] == 0 and found.stretches[-1] == pytest.approx(len(voice) / RATE)
    assert np.allclose(np.diff(found.stretches), 0.5, atol=0.06) and not found.is_excerpt


def test_a_change_is_relative_to_the_activation(found):
    attribute = int(np.abs(found.activations).argmax())
    relative = found.relative(attribute)
    assert relative.shape == (5, found.cells.shape[2] + 1) and np.isnan(relative[-1, -1])
    whole = float(found.activations[attribute])
    assert np.allclose(relative[:-1, :-1], found.cells[attribute] / whole - 1, atol=1e-6)
    assert np.allclose(relative[:-1, -1], found.whole_bands[attribute] / whole - 1, atol=1e-6)
    assert np.allclose(relative[-1, :-1], found.whole_stretches[attribute] / whole - 1, atol=1e-6)
    for attribute in range(512):
        flipped = (found.cells[attribute] > 0) != (found.activations[attribute] > 0)
        assert np.array_equal(found.flips(attribute)[:-1, :-1], flipped)


def test_cost_is_bounded_and_the_part_with_most_speech_is_looked_at(system, voice, monkeypatch):
    passes = []
    whole = Activations.of_features
    monkeypatch.setattr(
        *(Activations, "of_features", lambda self, f: passes.append(f.shape[0] * f.shape[1]) or whole(self, f))
    )
    monkeypatch.setattr(occlusion, "STRETCH", 0.1)
    monkeypatch.setattr(occlusion, "MOST_STRETCHES", 3)
    silence = np.zeros(4 * RATE, dtype=np.float32)
    long = np.concatenate([silence, voice, silence])
    found = occlusion_map(system, long, bands=2, seconds=4)
    assert found.cells.shape == (512, 2, 3) and found.is_excerpt
    assert found.stretches[0] == 4.0 and found.stretches[-1] == pytest.approx(8.0)
    heard = 3_840  # the voice, and digital silence up to the next frame of 32 ms
    frames = 1 + (heard - 25) // system.embedder.feature_extractor.frame_shift
    assert sum(passes) == (2 + 1) * (3 + 1) * frames
    monkeypatch.setattr(audio, "LONG_SAMPLES", 40_000)
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 10_001)
    again = occlusion_map(system, {"array": long, "sampling_rate": RATE}, bands=2, seconds=4)
    assert np.allclose(again.cells, found.cells, atol=1e-3)


def test_long_pauses_are_shortened_as_where_recordings_are_compared(system, voice):
    noise = np.random.default_rng(0).normal(0, 1e-4, 5 * RATE).astype(np.float32)
    paused = np.concatenate([voice, noise, voice])
    found = occlusion_map(system, paused, bands=2)
    assert ((found.activations > 0) == attribute_timeline(system, paused).whole).all() and not found.is_excerpt
    assert found.stretches[0] == 0 and found.stretches[-1] == len(paused) / RATE
    lengths = np.diff(found.stretches)
    pause = lengths.argmax()
    assert found.stretches[pause] < len(voice) / RATE + 0.5 and lengths[pause] > 4
    assert (lengths > 0).all() and np.delete(lengths, pause).max() < 0.7


def test_a_part_of_digital_silence_is_looked_at_where_there_is_no_speech(system):
    noise = np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32)
    found = occlusion_map(system, np.concatenate([np.zeros(2 * RATE, dtype=np.float32), noise]), 2, 1, min_speech=0)
    assert found.stretches == pytest.approx([0.0, 0.5, 1.0], abs=0.03) and found.is_excerpt


def test_settings_that_cannot_be_used_are_refused(system, voice):
    with pytest.raises(ConfigError, match="bands=81: expected 1 to 80, the number of mel filters"):
        occlusion_map(system, voice, bands=81)
    with pytest.raises(ConfigError, match=r"seconds=0.5: expected at least 1"):
        occlusion_map(system, voice, seconds=0.5)
