"""Measures of recordings whose truth is known by how they were made."""

import numpy as np
import pytest
import torch
from scipy.signal import firwin, resample_poly

from balr_hf.audio import AudioError, load_audio
from balr_hf.defaults import VOICES, resource
from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
from balr_hf.embeddings.passes import load_usable
from balr_hf.errors import UserError
from balr_hf.quality import measure_recording, speech_probabilities, speech_segments
from balr_hf.quality import net_speech as net_speech_module
from balr_hf.quality.bandwidth import bandwidth
from balr_hf.quality.clipping import FlatTops, clipping
from balr_hf.quality.level import LEAST, level, peak
from balr_hf.quality.net_speech import net_speech
from balr_hf.quality.snr import Amplitudes, frame_powers
from balr_hf.quality.tone import dominant_tone

RATE = 16_000


def tone(frequency: float, seconds: float, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def low_passed(samples: np.ndarray, frequency: float) -> np.ndarray:
    return np.convolve(samples, firwin(1_001, frequency, fs=RATE), mode="same").astype(np.float32)


def test_probabilities_are_those_of_silero_vad(paused):
    from importlib.util import find_spec
    from pathlib import Path

    model = torch.jit.load(str(Path(find_spec("silero_vad").origin).parent / "data" / "silero_vad.jit"))
    samples = torch.from_numpy(paused[: 512 * 200])
    for frame in torch.zeros(31, 512):  # a second of silence before the recording
        model(frame, RATE)
    expected = torch.stack([model(frame, RATE)[0, 0] for frame in samples.split(512)])
    np.testing.assert_allclose(speech_probabilities(paused[: 512 * 200]), expected.detach().numpy(), atol=1e-5)


def test_speech_is_found_where_it_is_and_nowhere_else(sentences, paused):
    segments = speech_segments(paused)
    truth = sum(len(sentence) for sentence in sentences) / RATE
    assert net_speech(segments) == pytest.approx(truth, rel=0.1)
    marked = np.zeros(len(paused), dtype=bool)
    for start, end in segments:
        marked[round(start * RATE) : round(end * RATE)] = True
    assert np.mean(paused[marked] == 0) < 0.05 and np.square(paused[~marked]).sum() < 0.02 * np.square(paused).sum()


def test_speech_at_the_very_start_is_no_pause(monkeypatch):
    """Without a past, the network misses the start of this recording, whose power then passes for that of noise."""
    spoken = load_audio(resource(VOICES) / "3080" / "ls_3080-00.opus")[round(0.49 * RATE) :]
    (start, _), *_ = speech_segments(spoken)
    assert start < 0.1 and measure_recording(spoken)[0].snr > 30
    monkeypatch.setattr(net_speech_module._network(), "_after_silence", None)
    (start, _), *_ = speech_segments(spoken)
    assert start > 0.3 and measure_recording(spoken)[0].snr < 0


def test_a_network_that_cannot_be_loaded_is_no_fault_of_a_recording(monkeypatch, tmp_path):
    net_speech_module._loaded_network.cache_clear()
    monkeypatch.setattr(net_speech_module, "_package", lambda: tmp_path)
    with pytest.raises(UserError, match=r"the voice-activity model .* cannot be loaded") as found:
        load_usable({"array": np.ones(RATE, dtype=np.float32) / 9, "sampling_rate": RATE}, WespeakerFeatureExtractor())
    assert not isinstance(found.value, AudioError)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_a_default_type_of_torch_changes_no_probability_and_no_random_number_is_taken(kind, sentences):
    expected, before = speech_probabilities(sentences[0]), torch.get_rng_state()
    net_speech_module._loaded_network.cache_clear()
    default = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        np.testing.assert_array_equal(speech_probabilities(sentences[0]), expected)
    finally:
        torch.set_default_dtype(default)
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_leaves_torchs_threads_as_they_are(sentences):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure_recording(sentences[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_net_speech_does_not_depend_on_the_level(paused):
    seconds = [net_speech(speech_segments(paused * np.float32(10 ** (-down / 20)))) for down in (0, 20, 40, 60)]
    np.testing.assert_allclose(seconds, seconds[0], rtol=0.05)


@pytest.mark.parametrize("decibels", [0, 10, 20, 30])
def test_snr_is_what_was_mixed(paused, rng, decibels):
    speech = paused[paused != 0]
    noise = rng.normal(size=len(paused)) * speech.std() * 10 ** (-decibels / 20)
    quality, _ = measure_recording((paused + noise).astype(np.float32))
    assert quality.snr_method == "pauses"
    assert quality.snr == pytest.approx(decibels, abs=1.5)


def test_snr_is_not_ruled_by_a_click_in_a_pause(paused, rng):
    noisy = paused + rng.normal(size=len(paused)) * 0.0005
    clicked = noisy.copy()
    clicked[8_000:8_200] = 0.9 * (-1) ** np.arange(200)
    quality, _ = measure_recording(noisy.astype(np.float32))
    with_click, _ = measure_recording(clicked.astype(np.float32))
    assert with_click.snr == pytest.approx(quality.snr, abs=1)


def noisy_of(clean, rng, decibels=10):
    noise = rng.normal(size=len(clean)) * clean[clean != 0].std() * 10 ** (-decibels / 20)
    return (clean + noise).astype(np.float32)


@pytest.mark.parametrize("place", ["before", "after", "in a pause"])
def test_digital_silence_does_not_pass_for_a_pause_without_noise(paused, rng, place):
    """A second of it made 60 dB of 10."""
    noisy = noisy_of(paused, rng)
    cut = {"before": 0, "after": len(noisy), "in a pause": RATE // 2}[place]
    padded, _ = measure_recording(np.insert(noisy, cut, np.zeros(8 * RATE, dtype=np.float32)))
    assert padded.snr_method == "pauses" and padded.snr == pytest.approx(10, abs=1.5)


@pytest.mark.parametrize("sides", [(8 * RATE, 0), (0, 8 * RATE + 100)], ids=["before", "after"])
@pytest.mark.parametrize("method", ["pauses", "wada"])
def test_digital_silence_around_a_recording_changes_no_snr(paused, sentences, rng, sides, method):
    noisy = noisy_of({"pauses": paused[RATE:], "wada": sentences[0]}[method], rng, 30)
    (quality, _), (padded, _) = measure_recording(noisy), measure_recording(np.pad(noisy, sides))
    assert padded.snr_method == quality.snr_method == method
    assert padded.snr == pytest.approx(quality.snr, abs=1.5)


@pytest.mark.parametrize("decibels", [-5, 0, 5, 10, 15, 20, 30, 40])
def test_wada_knows_the_distributions_that_it_is_made_for(rng, decibels):
    """Amplitudes of a gamma distribution of shape 0.4, as Kim and Stern assume of speech, and normal noise."""
    speech = rng.gamma(0.4, size=2_000_000) * rng.choice([-1, 1], size=2_000_000)
    noise = rng.normal(size=speech.size) * np.sqrt(np.mean(speech**2)) * 10 ** (-decibels / 20)
    amplitudes = Amplitudes()
    amplitudes.add(speech + noise)
    assert amplitudes.snr() == pytest.approx(decibels, abs=0.7)


def test_speech_without_pauses_has_a_rough_snr(sentences):
    joined = np.concatenate([s[np.abs(s) > 0.001] for s in sentences])
    quality, _ = measure_recording(joined.astype(np.float32))
    assert quality.snr_method == "wada" and -20 <= quality.snr <= 60


@pytest.mark.parametrize("frequency", [2_500, 3_400, 4_000, 5_500, 7_000])
def test_bandwidth_is_where_the_recording_was_cut(paused, rng, frequency):
    full = paused[paused != 0] + rng.normal(size=(paused != 0).sum()) * 0.0005
    assert bandwidth(low_passed(full.astype(np.float32), frequency)) == pytest.approx(frequency, abs=250)


def test_bandwidth_of_a_telephone_is_that_of_its_8_khz(paused):
    speech = paused[paused != 0]
    telephone = resample_poly(resample_poly(speech, 1, 2), 2, 1).astype(np.float32)
    assert bandwidth(telephone) == pytest.approx(3_900, abs=250)


@pytest.mark.parametrize("decibels", [0, 10, 20, 40])
def test_noise_does_not_pass_for_a_narrow_band(paused, rng, decibels):
    speech = paused[paused != 0]
    noisy = speech + rng.normal(size=len(speech)) * speech.std() * 10 ** (-decibels / 20)
    assert bandwidth(noisy.astype(np.float32)) >= 7_500


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
def test_clipping_is_the_share_that_was_clipped(rng, share):
    samples = np.convolve(rng.normal(size=400_000), np.hanning(41), mode="same")  # no sample stands alone at a top
    limit = np.quantile(np.abs(samples), 1 - share)
    assert clipping(np.clip(samples, -limit, limit).astype(np.float32)) == pytest.approx(share, rel=0.1)
    assert clipping(samples.astype(np.float32)) < 1e-5


def test_loud_and_quiet_recordings_are_not_clipped(paused):
    for factor in (1.0, 0.01):
        sixteen_bits = np.round(paused * factor * 32_768) / 32_768
        assert clipping(sixteen_bits.astype(np.float32)) < 1e-3
    assert clipping(tone(100, 2, 0.9)) == 0
    assert clipping(np.zeros(100, dtype=np.float32)) == 0


@pytest.mark.parametrize(("frequency", "below"), [(50, 10), (60, 20), (440, 10), (1_000, 20), (3_000, 25)])
def test_tone_is_found_under_speech(paused, frequency, below):
    amplitude = np.sqrt(2) * paused.std() * 10 ** (-below / 20)
    mixed = paused + tone(frequency, len(paused) / RATE, amplitude)
    found, share = dominant_tone(mixed)
    assert found == pytest.approx(frequency, abs=2)
    truth = amplitude**2 / 2 / mixed.var()
    assert share == pytest.approx(truth, rel=0.4)


def test_noise_and_speech_are_no_tones(paused, rng):
    assert dominant_tone(rng.normal(size=80_000).astype(np.float32)) == (None, 0.0)
    assert dominant_tone(paused) == (None, 0.0)


def test_level_peak_and_dc_offset(rng):
    sine = tone(440, 1, 0.5)
    assert level(sine) == pytest.approx(-9.03, abs=0.01) and peak(sine) == pytest.approx(-6.02, abs=0.01)
    assert level(np.zeros(10, dtype=np.float32)) == LEAST
    quality, _ = measure_recording(sine + np.float32(0.1))
    assert quality.dc_offset == pytest.approx(0.1, abs=1e-3) and quality.level == pytest.approx(-9.03, abs=0.01)


def test_clipping_of_a_recording_in_blocks_is_that_of_the_whole_wherever_flat_tops_are_cut(rng):
    """Runs that begin in one block, go through others and end in one, at the top and at the bottom."""
    for _ in range(200):
        levels = rng.choice([-1.0, 0.0, 1.0], 12, p=[0.4, 0.2, 0.4])
        samples = np.repeat(levels, rng.integers(1, 9, 12)).astype(np.float32)
        whole = FlatTops(samples.min(), samples.max())
        for block in np.split(samples, np.sort(rng.choice(len(samples) - 1, 6, replace=False)) + 1):
            whole.add(block)
        assert whole.share() == clipping(samples)


def test_powers_of_frames_are_those_of_32_ms_and_of_what_is_left():
    samples = np.repeat(np.float32([1, -2, 3]), [512, 512, 100])  # 512 samples are 32 ms at 16 kHz
    assert frame_powers(samples).tolist() == [1, 4, 9]
    assert frame_powers(samples[:1024]).tolist() == [1, 4] and frame_powers(samples[:3]).tolist() == [1]


@pytest.mark.parametrize(("steps", "share"), [(2, 0.0), (3, 1.0)])
def test_two_steps_of_16_bits_are_no_tops(steps, share):
    samples = np.repeat(np.float32([0, steps / 32_768]), 50)
    blocks = FlatTops(samples.min(), samples.max())
    blocks.add(samples)
    assert blocks.share() == clipping(samples) == share


def test_clipping_and_peak_are_measured_before_resampling(sentences):
    original = resample_poly(sentences[0], 3, 1)
    original = np.clip(original, -0.3 * original.max(), 0.3 * original.max()).astype(np.float32)
    samples = resample_poly(original, 1, 3).astype(np.float32)
    quality, _ = measure_recording(samples, original, 48_000)
    assert quality.clipping == pytest.approx(clipping(original)) and quality.clipping > 0.005
    assert quality.sampling_rate == 48_000 and quality.duration == pytest.approx(len(samples) / RATE, abs=0.01)


def test_shortest_recordings_are_measured():
    for length in (1, 100, 511, 512, 513, 1_024):
        quality, segments = measure_recording(np.full(length, 0.1, dtype=np.float32))
        assert quality.net_speech == 0 and segments == [] and quality.snr is None and quality.bandwidth is None


def test_description_names_what_is_unusual(paused, rng):
    quality, _ = measure_recording(np.clip(paused * 8, -0.9, 0.9) + 0.05 + tone(50, len(paused) / RATE, 0.05))
    said = quality.describe()
    assert "clipped" in said and "tone of 50 Hz" in said and "DC offset +5" in said
