"""The two parts of a recording that differ most: found where a second person speaks, however the recording comes."""

import csv

import numpy as np
import pytest
import torch

from balr_hf import SpeakerComparisonModel
from balr_hf.audio import load_audio
from balr_hf.defaults import SYSTEM, resource
from balr_hf.embeddings.passes import load_usable
from balr_hf.explanation.voices import compare_parts
from balr_hf.quality import measure_recording
from balr_hf.system.parts import LEAST, WINDOW, differing_parts

RATE = 16_000
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def system():
    return SpeakerComparisonModel.from_pretrained(resource(SYSTEM)).eval()


@pytest.fixture(scope="module")
def spoken(root):
    """The recordings of the demonstration's people at one level, by speaker."""
    folder = root / "resources" / "data" / "voices"
    found: dict[str, list[np.ndarray]] = {}
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            samples = load_audio(folder / row["audio"])
            found.setdefault(row["speaker"], []).append(samples * np.float32(0.05 / samples.std()))
    return found


def parts_of(system, samples, stretches=()):
    return differing_parts(system.embedder, system.autoencoder, samples, stretches, CPU)


def compared(system, samples):
    return compare_parts(system.scorer, parts_of(system, samples), measure_recording(samples)[0].to_dict())


@pytest.fixture(scope="module")
def two_people(spoken):
    """10 s of one man, and then 7 s of another."""
    first, second = np.concatenate(spoken["2033"]), np.concatenate(spoken["1688"])
    return np.concatenate([first[: 10 * RATE], second[: 7 * RATE]])


def test_two_people_one_after_the_other_are_told_apart_where_they_change(system, two_people):
    found = compared(system, two_people)
    assert found.is_beyond
    ((start, end),) = found.stretches
    assert start == pytest.approx(10, abs=WINDOW / 2)
    assert end == pytest.approx(17, abs=0.1)
    assert sum(found.seconds) == pytest.approx(17, abs=WINDOW)


def test_a_person_who_speaks_in_turns_is_found_in_each_of_them(system, spoken):
    one, other = (np.concatenate(spoken[name]) for name in ("2033", "1998"))
    turns = [voice[place * 5 * RATE :][: 5 * RATE] for place in range(3) for voice in (one, other)]
    found = compared(system, np.concatenate(turns))
    assert found.is_beyond
    assert len(found.stretches) == 3


def test_a_person_who_speaks_shortly_amid_a_long_recording_is_found(system, spoken):
    one, other = (np.concatenate(spoken[name]) for name in ("2033", "1998"))
    half = np.resize(one, 90 * RATE)
    found = compared(system, np.concatenate([half, other[: 8 * RATE], half]))
    assert found.is_beyond
    ((start, end),) = found.stretches
    assert start == pytest.approx(90, abs=WINDOW)
    assert end == pytest.approx(98, abs=WINDOW)


def test_recordings_of_one_person_hold_one_voice(system, spoken):
    doubtful = [
        name for name, recordings in spoken.items() if compared(system, np.concatenate(recordings)).is_doubtful
    ]
    assert doubtful == []


def test_a_short_recording_cannot_be_told(system, spoken):
    samples = np.concatenate(spoken["2033"])
    assert parts_of(system, samples[: int(1.9 * LEAST * RATE)]) is None
    assert parts_of(system, samples[: int(2.5 * LEAST * RATE)]) is not None


def test_parts_are_as_long_as_they_must_be(system, two_people):
    parts = differing_parts(system.embedder, system.autoencoder, two_people, (), CPU, least=7.0)
    assert min(parts.seconds) >= 7
    assert differing_parts(system.embedder, system.autoencoder, two_people, (), CPU, least=9.0) is None


def test_places_are_those_of_the_recording_with_its_pauses(system, two_people):
    stretches = [(5 * RATE, 15 * RATE), (20 * RATE, 27 * RATE)]  # five seconds before each voice were left out
    ((start, end),) = parts_of(system, two_people, stretches).stretches
    assert start == pytest.approx(20, abs=WINDOW / 2)
    assert end == pytest.approx(27, abs=0.1)


def test_a_recording_that_is_not_in_memory_has_the_same_parts(system, two_people, tmp_path, monkeypatch):
    import wave

    from balr_hf.audio import LongAudio

    with wave.open(str(tmp_path / "two.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((two_people * 32767).astype("<i2").tobytes())
    extractor = system.embedder.feature_extractor
    whole = load_usable(tmp_path / "two.wav", extractor)
    monkeypatch.setattr("balr_hf.audio.LONG_SAMPLES", 4 * RATE)
    pieces = load_usable(tmp_path / "two.wav", extractor)
    assert isinstance(pieces.whole, LongAudio)
    expected = differing_parts(system.embedder, system.autoencoder, whole.samples, whole.stretches, CPU)
    found = differing_parts(system.embedder, system.autoencoder, pieces.samples, pieces.stretches, CPU)
    assert found.seconds == expected.seconds
    np.testing.assert_allclose(found.stretches, expected.stretches, atol=1e-3)
    assert (found.bits == expected.bits).mean() > 0.99


def test_windows_of_a_long_recording_are_spread_over_it(system, two_people, monkeypatch):
    monkeypatch.setattr("balr_hf.system.parts.MOST", 6)
    found = parts_of(system, two_people)
    assert sum(found.seconds) == pytest.approx(6 * WINDOW, abs=1)
    assert found.stretches[0][0] >= 8
