"""`balr overlapped`: a system learns to notice people who speak at the same time."""

import json
import shutil

import pytest

from balr_hf import SpeakerComparisonModel
from balr_hf.defaults import SAMPLE_CORPUS, SYSTEM, resource
from balr_hf.overlapped.detector import FILE


@pytest.fixture
def system(tmp_path):
    """The shipped system without its detector."""
    shutil.copytree(resource(SYSTEM), tmp_path / "system", ignore=shutil.ignore_patterns(FILE, "attributes.json"))
    return tmp_path / "system"


@pytest.mark.slow
def test_a_system_learns_on_the_sample_and_reports_what_it_finds(system, balr):
    corpus = resource(SAMPLE_CORPUS) / "metadata.csv"
    (system / FILE).write_bytes(b"damaged")  # as whoever is told to make it anew has it
    words = (system, corpus, "--count", "500", "--name", "synthetic voices", "--conditions", "unchanged; snr=20")
    code, printed = balr("overlapped", *words, "--json")
    assert code == 0
    found, _ = json.JSONDecoder().raw_decode(printed[printed.index("{") :])
    assert (found["speakers"], found["corpus"], found["seed"]) == (24, "synthetic voices", 0)
    assert found["conditions"] == ["snr=20,noise=pink", "unchanged"]
    mixtures = sum(band["mixtures"] for band in found["found"])
    assert mixtures == found["recordings"][1]
    assert sum(found["recordings"]) + sum(found["left_out"]) == 500
    loudest, _, weakest = (band["found"] / band["mixtures"] for band in found["found"])
    assert loudest > max(weakest, 0.1)
    detector = SpeakerComparisonModel.from_pretrained(system).overlapped_speech_detector
    assert len(detector.one_voice) == found["recordings"][0]
    assert not (system / ".overlapped").exists()


@pytest.mark.slow
def test_what_a_stopped_run_has_computed_is_used_by_the_same_command_only(system, balr, monkeypatch):
    from balr_hf.overlapped import fitting

    made, heard = fitting.make, []

    def counted(draw, waveform):
        heard.append(draw.seed)
        if len(heard) > stop_after:
            raise KeyboardInterrupt
        return made(draw, waveform)

    monkeypatch.setattr(fitting, "make", counted)
    words = (
        "overlapped",
        system,
        resource(SAMPLE_CORPUS) / "metadata.csv",
        "--count",
        "500",
        "--conditions",
        "snr=20",
    )
    stop_after = 150
    assert balr(*words)[0] == 130
    assert len(list((system / ".overlapped").glob("*/*.safetensors"))) == 2
    heard.clear()
    assert balr(*words, "--seed", "1")[0] == 130
    assert len(list((system / ".overlapped").glob("*/*.safetensors"))) == 4
    heard.clear()
    stop_after = 1000
    assert balr(*words)[0] == 0
    assert 500 - 128 <= len(heard) < 500 and not (system / ".overlapped").exists()


def test_what_cannot_be_learnt_from_is_refused(system, balr, tmp_path):
    assert balr("overlapped", system)[0] == 2
    code, said = balr("overlapped", system, "corpus.csv", "--conditions", " ; ")
    assert code == 2 and "names no condition: expected e.g." in said
    code, said = balr("overlapped", system, "corpus.csv", "--conditions", "loud=3")
    assert code == 2 and "loud=3" in said
    code, said = balr("overlapped", system, "corpus.csv", "--conditions", "snr=10,noise=babble")
    assert code == 1 and "corpus.csv" in said  # which is looked for first
    code, said = balr("overlapped", system, "corpus.csv", "--save-dir", system / "config.json")
    assert code == 2 and "is a file: name a folder" in said
    code, said = balr("overlapped", "me/system", "corpus.csv")
    assert code == 2 and "name one for the detector with --save-dir" in said
    (tmp_path / "nobody.csv").write_text(f"audio\n{resource(SAMPLE_CORPUS)}/espeak01/espeak01-01.opus\n")
    code, said = balr("overlapped", system, tmp_path / "nobody.csv")
    assert code == 1 and "the corpus has no column speaker" in said
    assert not (system / FILE).exists()
