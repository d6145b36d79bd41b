"""Each family of measures on signals whose truth is known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from balr_hf.phonetics.cepstrum import cpp_track
from balr_hf.phonetics.dynamics import level_range, level_track
from balr_hf.phonetics.formants import burg, dispersion, formant_track
from balr_hf.phonetics.frames import frame_times
from balr_hf.phonetics.harmonicity import hnr_track
from balr_hf.phonetics.periods import glottal_pulses, jitter, shimmer
from balr_hf.phonetics.pitch import f0_range, f0_slope, pitch_track
from balr_hf.phonetics.spectrum import (
    alpha_ratio,
    band_levels,
    hammarberg_index,
    mean_spectrum,
    spectral_tilt,
)
from balr_hf.phonetics.syllables import syllable_nuclei

from .conftest import RATE, pulses, voice, vowel


def inner(samples: np.ndarray) -> np.ndarray:
    """The times of frames that are not at an end."""
    return frame_times(len(samples))[10:-10]


def with_noise(samples: np.ndarray, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """White noise added, at a ratio in dB."""
    noise = rng.standard_normal(len(samples))
    return samples + noise * samples.std() * 10 ** (-ratio / 20)


@pytest.mark.parametrize("f0", [80.0, 123.4, 220.0, 431.0, 580.0])
def test_f0_of_a_vowel(f0):
    track = pitch_track(voice(f0))
    assert track.voiced[5:-5].all()
    assert track.f0[5:-5] == pytest.approx(f0, rel=2e-3)


def test_f0_is_that_of_the_period_and_not_of_the_strongest_harmonic():
    time = np.arange(RATE) / RATE
    samples = sum(level * np.sin(2 * np.pi * n * 150 * time) for n, level in ((1, 0.1), (2, 1.0), (3, 0.2)))
    assert np.median(pitch_track(samples).f0) == pytest.approx(150, rel=2e-3)


def test_noise_and_silence_are_unvoiced(rng):
    assert pitch_track(rng.standard_normal(2 * RATE)).voiced.mean() < 0.05
    assert not pitch_track(np.zeros(RATE)).voiced.any()
    assert pitch_track(np.zeros(600)).f0.shape == (0,)


def test_voice_between_silences_is_where_it_is():
    track = pitch_track(np.concatenate([np.zeros(RATE), voice(200, 1.0), np.zeros(RATE)]))
    found = track.times[track.voiced]
    assert found[0] == pytest.approx(1.01, abs=0.03) and found[-1] == pytest.approx(1.99, abs=0.03)


def test_long_recordings_are_no_different_at_the_edges_of_blocks():
    """Frames are looked at in blocks of ten seconds."""
    track = pitch_track(voice(140, 23.0))
    assert track.f0[5:-5] == pytest.approx(140, rel=2e-3)


def test_slope_and_range_of_a_glide():
    """F0 rises by 6 semitones per second in each of two stretches, the second of which starts lower."""
    parts = []
    for start in (200.0, 150.0):
        time = np.arange(2 * RATE) / RATE
        phase = np.cumsum(start * 2 ** (6 * time / 12)) / RATE
        parts += [sum(np.sin(2 * np.pi * n * phase) / n for n in range(1, 9)), np.zeros(RATE // 2)]
    track = pitch_track(np.concatenate(parts[:-1]))
    assert f0_slope(track, track.voiced) == pytest.approx(6, rel=0.03)
    one = pitch_track(parts[0])
    assert f0_range(one.f0[one.voiced]) == pytest.approx(0.8 * 12, rel=0.03)


def test_slope_needs_a_stretch():
    track = pitch_track(voice(200))
    lonely = np.zeros_like(track.voiced)
    lonely[20:60:10] = True
    assert f0_slope(track, lonely) is None


@pytest.mark.parametrize(
    "formants", [(500.0, 1500.0, 2500.0, 3500.0, 4500.0), (300.0, 2200.0, 2900.0, 3800.0, 4700.0)]
)
def test_formants_of_a_vowel(formants):
    samples = voice(110, formants=formants)
    found = np.median(formant_track(samples, inner(samples)), axis=0)
    assert found == pytest.approx(np.array(formants[:4]), rel=0.03)
    assert dispersion(found) == pytest.approx((formants[3] - formants[0]) / 3, rel=0.03)


def test_burg_finds_the_process_that_made_a_signal(rng):
    made = lfilter([1.0], [1.0, -1.2, 0.8], rng.standard_normal(20_000))
    assert burg(made[None], 2)[0] == pytest.approx([1.2, -0.8], abs=0.02)
    assert (burg(np.zeros((2, 50)), 4) == 0).all()


@pytest.mark.parametrize("ratio", [5.0, 10.0, 20.0])
def test_harmonics_to_noise_ratio(ratio, rng):
    time = np.arange(2 * RATE) / RATE
    clean = sum(np.sin(2 * np.pi * n * 160 * time) / n for n in range(1, 20))
    samples = with_noise(clean, ratio, rng)
    assert hnr_track(samples, inner(samples)).mean() == pytest.approx(ratio, abs=1.0)


@pytest.mark.parametrize("f0", [100.0, 287.3, 431.7])
def test_a_period_between_samples_is_no_noise(f0):
    time = np.arange(RATE) / RATE
    clean = sum(np.sin(2 * np.pi * n * f0 * time + n) for n in range(1, int(7000 / f0)))
    assert hnr_track(clean, inner(clean)).min() > 35


def test_pulses_are_found_one_per_period():
    lengths = 1 / (150 + 30 * np.sin(np.arange(300) / 20))
    true = 0.02 + np.cumsum(lengths)
    samples = vowel(pulses(true, true[-1] + 0.05), (500.0, 1500.0, 2500.0, 3500.0))
    track = pitch_track(samples)
    found = glottal_pulses(samples, track.times, track.f0)
    assert len(found) == pytest.approx(len(true), abs=6)  # some more at the ends
    periods = np.interp(found[:-1], true[:-1], np.diff(true))
    assert np.diff(found)[3:-3] == pytest.approx(periods[3:-3], rel=0.03)


@pytest.mark.parametrize("percent", [0.5, 1.0, 2.0])
def test_jitter_of_periods_of_known_length(percent, rng):
    lengths = (1 + percent / 100 * np.sqrt(np.pi) / 2 * rng.standard_normal(400)) / 120
    true = 0.02 + np.cumsum(lengths)
    expected = 100 * np.abs(np.diff(lengths[1:])).mean() / lengths[1:].mean()
    assert jitter(true) == pytest.approx(expected)
    samples = pulses(true, true[-1] + 0.05)
    track = pitch_track(samples)
    assert jitter(glottal_pulses(samples, track.times, track.f0)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("percent", [3.0, 10.0])
def test_shimmer_of_periods_of_known_amplitude(percent, rng):
    true = np.arange(0.02, 3.0, 1 / 120)
    amplitudes = 1 + percent / 100 * np.sqrt(np.pi) / 2 * rng.standard_normal(len(true))
    expected = 100 * np.abs(np.diff(amplitudes)).mean() / amplitudes.mean()
    samples = pulses(true, 3.05, amplitudes)
    track = pitch_track(samples)
    found = shimmer(samples, glottal_pulses(samples, track.times, track.f0))
    assert found == pytest.approx(expected, rel=0.1)


def test_few_periods_have_no_jitter_and_shimmer():
    points = np.arange(8) / 100
    assert jitter(points) is None and shimmer(np.ones(RATE), points) is None
    assert jitter(np.zeros(0)) is None and shimmer(np.ones(RATE), np.zeros(0)) is None
    assert glottal_pulses(np.zeros(RATE), frame_times(RATE), np.full(97, np.nan)).size == 0


def test_cepstral_peak_falls_with_noise(rng):
    clean = voice(140)
    heights = [cpp_track(with_noise(clean, ratio, rng), inner(clean)).mean() for ratio in (40, 20, 10, 0)]
    assert (np.diff(heights) < -0.5).all()
    assert cpp_track(rng.standard_normal(RATE), frame_times(RATE)).mean() < heights[2]


def test_balance_of_white_noise(rng):
    samples = rng.standard_normal(10 * RATE)
    power = mean_spectrum(samples, frame_times(len(samples)))
    assert spectral_tilt(power) == pytest.approx(0, abs=0.1)
    assert alpha_ratio(power) == pytest.approx(10 * np.log10(4000 / 950), abs=0.15)
    widths = np.array([450, 500, 1000, 2000, 4000])
    assert band_levels(power) == pytest.approx(10 * np.log10(widths / 7950), abs=0.3)


def test_tilt_of_noise_that_falls_by_six_decibels_per_octave(rng):
    white = np.fft.rfft(rng.standard_normal(10 * RATE))
    white[1:] /= np.arange(1, len(white))
    samples = np.fft.irfft(white)
    assert spectral_tilt(mean_spectrum(samples, inner(samples))) == pytest.approx(-6.02, abs=0.15)


def test_hammarberg_index_of_two_tones():
    time = np.arange(RATE) / RATE
    samples = np.sin(2 * np.pi * 500 * time) + 10 ** (-17 / 20) * np.sin(2 * np.pi * 3000 * time)
    assert hammarberg_index(mean_spectrum(samples, inner(samples))) == pytest.approx(17, abs=0.1)


def test_no_power_has_no_balance():
    power = mean_spectrum(np.zeros(RATE), frame_times(RATE))
    assert spectral_tilt(power) is None and alpha_ratio(power) is None and hammarberg_index(power) is None
    assert band_levels(power) == [None] * 5


def test_level_and_its_range():
    """Half of the time 20 dB fainter."""
    samples = np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / RATE)
    samples[RATE:] *= 0.1
    levels = level_track(samples, inner(samples))
    assert levels[:80] == pytest.approx(-3.01, abs=0.1)
    assert level_range(levels) == pytest.approx(20, abs=0.2)
    assert (level_track(np.zeros(RATE), frame_times(RATE)) == -200).all()


@pytest.mark.parametrize("rate", [3, 5])
def test_syllables_are_counted(rate):
    """A vowel that swells so many times per second."""
    samples = voice(130, 6.0)
    samples *= 0.55 - 0.45 * np.cos(2 * np.pi * rate * np.arange(len(samples)) / RATE)
    track = pitch_track(samples)
    assert len(syllable_nuclei(level_track(samples, track.times), track.voiced)) == pytest.approx(6 * rate, abs=1)


def test_unvoiced_faint_and_shallow_peaks_are_no_syllables():
    time = np.arange(600) * 0.01
    swells = 20 * np.log10(0.55 - 0.45 * np.cos(2 * np.pi * 4 * time))
    voiced = time < 3
    assert len(syllable_nuclei(swells, voiced)) == 12
    assert len(syllable_nuclei(np.where(voiced, swells, swells - 30), np.ones(600, bool))) == 12
    assert len(syllable_nuclei(0.5 * np.cos(2 * np.pi * 4 * time), np.ones(600, bool))) <= 1
    assert syllable_nuclei(np.zeros(2), np.ones(2, bool)).size == 0
