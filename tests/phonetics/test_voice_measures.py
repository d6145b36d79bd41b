"""All measures of a voice together: against Praat, and where there is nothing to measure."""

import json
import warnings
from dataclasses import fields

import numpy as np
import pytest
from scipy.stats import spearmanr

from balr_hf.audio import AudioError, load_audio
from balr_hf.conditions.band import limit_band
from balr_hf.phonetics import VoiceMeasures, load_voice, measure_voice
from balr_hf.phonetics.pitch import pitch_track

from .conftest import RATE, voice


@pytest.fixture(scope="module")
def praat(root) -> dict[str, dict]:
    """What Praat measures of one recording of each voice of the sample corpus; see make_praat.py beside the file."""
    return json.loads((root / "tests/data/golden/praat.json").read_text())["recordings"]


@pytest.fixture(scope="module")
def recordings(root, praat) -> dict[str, np.ndarray]:
    return {name: load_audio(root / "resources/data/sample" / name[:8] / f"{name}.opus") for name in praat}


@pytest.fixture(scope="module")
def ours(recordings) -> dict[str, dict]:
    """Our measures of the same, the whole recording taken for speech, as Praat does."""
    return {
        name: measure_voice(samples, [(0.0, len(samples) / RATE)], bandwidth=8_000)[0].to_dict()
        for name, samples in recordings.items()
    }


def pairs(ours, praat, name) -> tuple[np.ndarray, np.ndarray]:
    return np.array([ours[key][name] for key in praat]), np.array([praat[key][name] for key in praat])


def test_f0_is_praats(ours, praat, recordings):
    for name, tolerance in (("f0_median", 0.5), ("f0_range", 0.2)):
        found, theirs = pairs(ours, praat, name)
        assert found == pytest.approx(theirs, abs=tolerance)
    for key in (key for key in praat if "f0" in praat[key]):
        track, theirs = pitch_track(recordings[key]), np.array(praat[key]["f0"])
        assert (track.voiced == (theirs > 0)).mean() > 0.99
        both = track.voiced & (theirs > 0)
        assert np.quantile(np.abs(track.f0[both] / theirs[both] - 1), 0.98) < 1e-3


@pytest.mark.parametrize(
    ("name", "rank", "tolerance"),
    [
        ("f1", 0.97, 15.0),
        ("f2", 0.97, 30.0),
        ("f3", 0.97, 30.0),
        ("f4", 0.97, 30.0),
        ("hnr", 0.95, 1.0),
        ("jitter", 0.93, 0.05),
        ("shimmer", 0.97, 0.3),
    ],
)
def test_other_measures_are_about_praats(ours, praat, name, rank, tolerance):
    """By rank over the voices, and by the median difference, in the unit of the measure."""
    found, theirs = pairs(ours, praat, name)
    assert spearmanr(found, theirs).statistic > rank
    assert np.median(np.abs(found - theirs)) < tolerance


def test_every_measure_has_a_figure_and_a_unit(ours):
    for measures in ours.values():
        assert all(value is not None and np.isfinite(value) for value in measures.values())
    assert all(item.metadata["label"] and "unit" in item.metadata for item in fields(VoiceMeasures))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.05, 2.0])
@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_without_a_voice_there_is_no_figure(kind, seconds, rng):
    samples = (rng.standard_normal(round(seconds * RATE)) * (kind == "noise")).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measures, tracks = measure_voice(samples, [(0.0, seconds)])
    if measures.voiced < 0.1:
        others = {"speech": None, "voiced": None, "voiced_share": None}
        assert set((measures.to_dict() | others).values()) == {None}
        assert "no voice" in measures.describe()
    assert len(tracks.times) == len(tracks.f0) == len(tracks.formants)


def test_only_speech_is_measured():
    """A steady tone of 300 Hz outside of speech is not the voice."""
    tone = np.sin(2 * np.pi * 300 * np.arange(2 * RATE) / RATE)
    samples = np.concatenate([voice(120), tone]).astype(np.float32)
    measures, tracks = measure_voice(samples, [(0.0, 1.95)], bandwidth=8_000)
    assert measures.f0_median == pytest.approx(120, abs=0.5) and measures.voiced_share > 0.95
    assert measures.speech == 1.95 and measures.voiced == pytest.approx(1.92, abs=0.05)
    assert np.isnan(tracks.f0[tracks.times > 1.96]).all() and np.isnan(tracks.formants[tracks.times > 1.96]).all()


def test_level_and_offset_of_the_recording_do_not_matter(recordings):
    samples = recordings["espeak02-01"]
    speech = [(0.0, len(samples) / RATE)]
    plain, changed = (measure_voice(x, speech)[0].to_dict() for x in (samples, samples * np.float32(0.01)))
    assert changed == pytest.approx(plain, rel=1e-3)
    offset = measure_voice(samples + np.float32(0.05), speech)[0].to_dict()
    for name in ("f0_median", "f2", "f3", "hnr", "jitter", "cpp", "spectral_tilt", "level_range"):
        assert offset[name] == pytest.approx(plain[name], rel=0.03), name


def test_a_narrow_band_has_no_formants(recordings):
    """What a telephone removes must not pass for a property of the voice."""
    samples = recordings["espeak02-01"]
    speech = [(0.0, len(samples) / RATE)]
    measures = measure_voice(limit_band(samples, "telephone"), speech)[0]
    for name in ("f1", "f4", "formant_dispersion", "spectral_tilt", "alpha_ratio", "band_4000_8000"):
        assert getattr(measures, name) is None, name
    assert measures.f0_median == pytest.approx(measure_voice(samples, speech)[0].f0_median, abs=2)
    assert measure_voice(samples, speech, bandwidth=6_000)[0].band_4000_8000 is None
    assert measure_voice(samples, speech, bandwidth=6_000)[0].f4 is not None


def test_files_are_measured_with_their_recordings_quality(root):
    measured = load_voice(root / "resources/data/sample/espeak02/espeak02-01.opus")
    assert measured.voice.speech == pytest.approx(measured.recording.quality.net_speech)
    assert measured.voice.f0_median == pytest.approx(185, abs=5)


def test_recordings_that_memory_would_not_hold_are_refused(root, monkeypatch):
    monkeypatch.setattr("balr_hf.phonetics.measured.LONGEST", 1.0)
    with pytest.raises(AudioError, match="cut it"):
        load_voice(root / "resources/data/sample/espeak02/espeak02-01.opus")


@pytest.mark.parametrize("bad", [np.zeros((2, 100)), np.array([0.0, np.nan])])
def test_bad_samples_are_refused(bad):
    with pytest.raises(ValueError, match="finite samples"):
        measure_voice(bad, [])
