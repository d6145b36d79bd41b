"""`balr channels`: the sides of a call become recordings of their own, with the samples of the original."""

import csv
import json
import shutil
import wave

import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.audio import decode_audio, load_audio
from balr_hf.conditions.channels import save_channels
from balr_hf.errors import UserError


@pytest.fixture
def calls(root, tmp_path):
    """A csv of a call at 8 kHz with a voice in each channel, and of a recording with one channel."""
    folder = tmp_path / "calls"
    folder.mkdir()
    voices = sorted((root / "resources/data/sample").glob("espeak0[12]"))
    sides = [
        np.concatenate([load_audio(path, 8_000) for path in sorted(voice.glob("*.opus"))[:3]]) for voice in voices
    ]
    length = min(map(len, sides))
    samples = np.round(32_767 * np.stack([side[:length] for side in sides], axis=1)).astype("<i2")
    with wave.open(str(folder / "call.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(samples.tobytes())
    shutil.copy(voices[0] / "espeak01-01.opus", folder / "alone.opus")
    (folder / "calls.csv").write_text(
        "id,audio,speaker,line\ncall,call.wav,nobody,=landline\nalone,alone.opus,espeak01,\nmissing,nowhere.wav,x,\n"
    )
    return folder / "calls.csv"


def rows_of(folder):
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_each_channel_is_a_recording_with_the_samples_of_the_original(calls, balr, tmp_path):
    folder = tmp_path / "sides"
    status, said = balr("channels", calls, "--save-dir", folder)
    assert status == 0 and "3 recordings" in said and "1 skipped" in said
    rows = rows_of(folder)
    assert list(rows) == ["call-channel1", "call-channel2", "alone"]
    assert "speaker" not in rows["alone"] and rows["call-channel2"]["source_channel"] == "2"
    assert {row["source_id"] for row in rows.values()} == {"call", "alone"}
    for number in (1, 2):
        saved, rate = decode_audio(folder / rows[f"call-channel{number}"]["audio"])
        original, _ = decode_audio(calls.with_name("call.wav"), channel=number)
        assert rate == 8_000
        np.testing.assert_array_equal(saved, original)
    assert (folder / "skipped.csv").read_text().splitlines()[1].startswith("missing,")
    read = load_corpus(folder)
    assert read["id"] == list(rows) and read["line"][0] == "=landline"


def test_a_call_is_refused_and_its_channels_are_not(calls, balr, tmp_path):
    status, said = balr("inspect", calls, "--json")
    assert status == 0 and "call (its channels hold different sounds" in said
    counted = (
        "1 recording measured, 0 of which extract and explain would refuse; 2 were not measured, and would be refused"
    )
    assert counted in said
    save_channels(str(calls), tmp_path / "sides")
    status, said = balr("inspect", tmp_path / "sides")
    assert status == 0 and "3 recordings measured, 0 of which extract and explain would refuse" in said


def test_a_stopped_run_goes_on_and_another_corpus_is_refused(calls, balr, tmp_path, few):
    folder = tmp_path / "sides"
    save_channels(str(calls), folder)
    before = rows_of(folder)
    (folder / before["call-channel2"]["audio"]).unlink()
    status, said = balr("channels", calls, "--save-dir", folder, "--json")
    assert status == 0 and json.loads(said[said.index("{") : said.rindex("}") + 1])["there_already"] == 2
    assert rows_of(folder) == before
    with pytest.raises(UserError, match="holds another copy"):
        save_channels(str(few), folder)
    status, said = balr("degrade", calls, "--condition", "snr=10", "--save-dir", folder)
    assert status == 1 and "conditions" in said and "holds another copy" in said


def test_a_name_that_a_channel_would_have_is_refused(calls, tmp_path):
    calls.write_text("id,audio\ncall,call.wav\ncall-channel1,alone.opus\n")
    with pytest.raises(UserError, match="call-channel1"):
        save_channels(str(calls), tmp_path / "sides")


def test_the_folder_is_required(calls, balr):
    status, said = balr("channels", calls)
    assert status == 2 and "--save-dir is missing" in said
