"""`balr detectors`: a system learns to notice people who speak at the same time, and speech at another speed."""

import json
import shutil

import pytest

from balr_hf import SpeakerComparisonModel
from balr_hf.cli.detectors import _all_kinds
from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
from balr_hf.detectors.detector import FILES


@pytest.fixture
def system(tmp_path):
    """The shipped system without its detectors."""
    shutil.copytree(
        resource(SYSTEM), tmp_path / "system", ignore=shutil.ignore_patterns(*FILES.values(), "attributes.json")
    )
    return tmp_path / "system"


@pytest.mark.slow
def test_a_system_learns_on_the_sample_and_goes_on_where_the_same_command_was_stopped(system, balr, monkeypatch):
    from balr_hf.detectors import fitting

    (draw, made), heard = fitting.MAKERS["overlapped"], []

    def counted(drawn, waveform):
        heard.append(drawn.seed)
        if len(heard) > stop_after:
            raise KeyboardInterrupt
        return made(drawn, waveform)

    monkeypatch.setitem(fitting.MAKERS, "overlapped", (draw, counted))
    corpus, blocks = resource(SAMPLE_CORPUS) / "metadata.csv", system / ".detectors"
    (system / FILES["overlapped"]).write_bytes(b"damaged")  # as whoever is told to make it anew has it
    words = ("detectors", system, corpus, "--count", "500", "--name", "synthetic voices", "--json")
    words += ("--conditions", "unchanged; snr=20", "--kinds", "overlapped,speed")
    stop_after = 150
    assert balr(*words)[0] == 130
    assert len(list(blocks.glob("*/*.safetensors"))) == 2
    heard.clear()
    stop_after = 70
    assert balr(*words, "--seed", "1")[0] == 130
    assert len(list(blocks.glob("*/*.safetensors"))) == 3
    heard.clear()
    stop_after = 1000
    code, printed = balr(*words)
    assert code == 0 and 500 - 128 <= len(heard) < 500 and not blocks.exists()

    both, _ = json.JSONDecoder().raw_decode(printed[printed.index("{") :])
    assert list(both) == ["overlapped", "speed"]
    found = both["overlapped"]
    assert (found["speakers"], found["corpus"], found["seed"]) == (24, "synthetic voices", 0)
    assert found["conditions"] == ["snr=20,noise=pink", "unchanged"]
    mixtures = sum(band["recordings"] for band in found["found"])
    assert mixtures == found["recordings"][1]
    assert sum(found["recordings"]) + sum(found["left_out"]) == 500
    loudest, _, weakest = (band["found"] / band["recordings"] for band in found["found"])
    assert loudest > max(weakest, 0.1)
    fast = [band for band in both["speed"]["found"] if band["amount"] == [1.6, 2.0]]
    assert {band["way"] for band in fast} == {"faster", "slower"}
    assert sum(band["found"] for band in fast) > 0.3 * sum(band["recordings"] for band in fast)
    detectors = SpeakerComparisonModel.from_pretrained(system).detectors
    assert [len(one.usual) for one in detectors.values()] == [of["recordings"][0] for of in both.values()]


def test_what_cannot_be_learnt_from_is_refused(system, balr, tmp_path, monkeypatch, caplog):
    assert balr("detectors", system)[0] == 2
    code, said = balr("detectors", system, "corpus.csv", "--conditions", " ; ")
    assert code == 2 and "names no condition: expected e.g." in said
    code, said = balr("detectors", system, "corpus.csv", "--conditions", "loud=3")
    assert code == 2 and "loud=3" in said
    code, said = balr("detectors", system, "corpus.csv", "--conditions", "snr=10,noise=babble")
    assert code == 1 and "corpus.csv" in said  # which is looked for first
    code, said = balr("detectors", system, "corpus.csv", "--save-dir", system / "config.json")
    assert code == 2 and "is a file: name a folder" in said
    code, said = balr("detectors", "me/system", "corpus.csv")
    assert code == 2 and "name one for the detectors with --save-dir" in said
    (tmp_path / "nobody.csv").write_text(f"audio\n{resource(SAMPLE_CORPUS)}/espeak01/espeak01-01.opus\n")
    code, said = balr("detectors", system, tmp_path / "nobody.csv")
    assert code == 1 and "the corpus has no column speaker" in said
    code, said = balr("detectors", system, "corpus.csv", "--kinds", "speed,music")
    assert code == 2 and "--kinds speed,music: expected one or more of overlapped, speed, room" in said
    monkeypatch.setattr("balr_hf.detectors.rooms.can_simulate_rooms", lambda: False)
    code, said = balr("detectors", system, "corpus.csv", "--kinds", "speed,room")
    assert code == 2 and "simulated rooms need pyroomacoustics: pip install 'balr_hf[rooms]'" in said
    caplog.set_level("INFO")
    assert _all_kinds(["speed", "room"]) == ["speed"] and "No detector of rooms" in caplog.text
    assert not any((system / name).exists() for name in FILES.values())
