"""Recordings that hold more than one voice, as the commands tell of them."""

import csv
import json
import wave

import numpy as np
import pytest

from balr_hf.audio import load_audio

RATE = 16_000


@pytest.fixture(scope="module")
def recordings(root, tmp_path_factory):
    """`two.wav` has 6 s of a man and 6 s of a woman, `one.wav` 12 s of the man, and `short.wav` 3 s of him.

    `both.wav` has 6 s of both at the same time.
    """
    folder, voices = tmp_path_factory.mktemp("recordings"), root / "resources" / "data" / "voices"
    man, woman = (
        np.concatenate([load_audio(path) for path in sorted((voices / name).iterdir()) if path.suffix == ".opus"])
        for name in ("2033", "1998")
    )
    made = {"two": (man[: 6 * RATE], woman[: 6 * RATE]), "one": (man[: 12 * RATE],), "short": (man[: 3 * RATE],)}
    made["both"] = (0.5 * man[6 * RATE :][: 6 * RATE] + 0.5 * man.std() / woman.std() * woman[: 6 * RATE],)
    for name, parts in made.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((np.concatenate(parts) * 32767).astype("<i2").tobytes())
    return folder


def _json(printed: str) -> dict:
    """The JSON object in what a command printed."""
    found, _ = json.JSONDecoder().raw_decode(printed[printed.index("{") :])
    return found


@pytest.mark.slow
def test_inspect_names_the_recordings_of_two_voices(recordings, balr, tmp_path):
    code, printed = balr("inspect", str(recordings), "--voices", "--save-dir", str(tmp_path))
    assert code == 0
    assert "two.wav may hold more than one voice" in printed
    assert "one.wav may hold more than one voice" not in printed
    assert "both.wav may hold people who speak at the same time" in printed
    assert "two.wav may hold people" not in printed and "one.wav may hold people" not in printed
    assert (
        "2 may hold more than one voice, play it at another speed or come from a reverberant room; 2 are too short to "
        "have parts compared" in printed
    )
    with (tmp_path / "voices.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"one.wav", "two.wav", "short.wav", "both.wav"}
    assert float(rows["two.wav"]["llr"]) < -np.log(2) < 0 < float(rows["one.wav"]["llr"])
    assert float(rows["both.wav"]["overlapped"]) < 1 < 5 < float(rows["one.wav"]["overlapped"])
    assert rows["short.wav"]["llr"] == rows["both.wav"]["stretches"] == ""


def test_inspect_refuses_a_system_without_a_question_to_it(recordings, balr):
    code, printed = balr("inspect", str(recordings), "--system", "somewhere")
    assert code == 2
    assert "--system names the system for --voices" in printed


@pytest.mark.slow
def test_explain_gives_no_verdict_on_a_recording_of_two_voices(recordings, balr):
    two, one, short = (str(recordings / f"{name}.wav") for name in ("two", "one", "short"))
    limits = "net_speech=100,probability=0,snr=100,bandwidth=9"
    code, printed = balr("explain", short, two, "--json", "--limits", limits)
    assert code == 0
    found = _json(printed)
    assert found["verbal"] is None
    assert found["voices"]["a"] == [None] and found["voices"]["b"][0]["is_beyond"]
    assert any("B may hold more than one voice" in text for text in found["cautions"])
    code, printed = balr("explain", short, one, "--json", "--limits", limits)
    assert _json(printed)["voices"]["b"][0]["is_beyond"] is False


def test_explain_gives_no_verdict_on_people_who_speak_at_the_same_time(recordings, balr):
    both, short = (str(recordings / f"{name}.wav") for name in ("both", "short"))
    wide = "net_speech=100,probability=0,snr=100,bandwidth=9,snr_difference=99"
    found = _json(balr("explain", short, both, "--json", "--limits", wide)[1])
    assert found["no_verdict"] == ["overlapped"] and found["verbal"] is None
    assert found["overlapped"]["a"][0]["percentile"] > 5 and found["overlapped"]["b"][0]["is_beyond"]
    assert any("B may hold people who speak at the same time" in text for text in found["cautions"])
    assert any(name == "Detector of overlapped speech" for name, _ in found["details"])
    found = _json(balr("explain", short, both, "--json", "--limits", f"{wide},overlapped=0")[1])
    assert found["no_verdict"] == [] and "set wider than the default ones" in found["cautions"][0]


def test_explain_and_the_pipeline_caution_of_a_side_whose_recordings_are_of_two_people(recordings, root, balr):
    from transformers import pipeline

    import balr_hf  # noqa: F401  # registers the pipeline

    voices = root / "resources" / "data" / "voices"
    man, woman = (sorted(map(str, (voices / name).glob("*.opus"))) for name in ("2033", "1998"))
    mixed, alike = [man[1], woman[0]], man[1:]
    compare = pipeline("speaker-comparison")
    for side, is_told in ((mixed, True), (alike, False)):
        told = _json(balr("explain", man[0], ",".join(side), "--json")[1])["cautions"]
        piped = compare(man[0], side)["cautions"]
        for cautions in (told, piped):
            assert any("Recording 1 and recording 2 of B may be of different" in text for text in cautions) is is_told
