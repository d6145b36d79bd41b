import base64
import html
import io
import json
import re
import wave
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from balr_hf import ComparedTimelines, load_audio
from balr_hf.scoring.counts import recording_counts
from balr_hf.timeline import compared as module
from balr_hf.timeline.section import timeline_section

RATE = 16_000
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def other(root):
    return load_audio(root / "resources/data/sample/espeak01/espeak01-02.opus")


@pytest.fixture(scope="module")
def explain(system):
    def explain(*sides):
        counts = [recording_counts(system.attributes(system.embed(side, RATE)).numpy()).sum(0) for side in sides]
        return system.scorer.explain(*counts, calibrated=False)

    return explain


@pytest.fixture(scope="module")
def explanation(explain, voice, other):
    return explain([voice], [other])


@pytest.fixture(scope="module")
def compared(system, voice, other, explanation):
    sides = [[("questioned.wav", voice)], [("known.wav", other)]]
    return ComparedTimelines.of(system, sides, explanation, tracks=3, occlusion=True, sound=True)


def test_the_strongest_attributes_are_shown_in_order(compared, explanation):
    same, different = explanation.strongest(3)
    assert [e.attribute for e in compared.evidence] == [e.attribute for e in (*same, *different)]
    rows = compared.rows()
    assert [row[0] for row in rows] == [str(e.attribute) for e in compared.evidence]
    for row, e in zip(rows, compared.evidence, strict=True):
        for cell, states, recording in zip(row[2:], e.states, compared.recordings, strict=True):
            state, agreeing, heard = re.fullmatch(r"(\w+) \((\d+) of (\d+) windows\)", cell).groups()
            assert state == states
            assert int(agreeing) / int(heard) == pytest.approx(recording.timeline.stability[e.attribute])


def test_agreement_is_told_with_both_sides(compared):
    a, b = (recording.timeline for recording in compared.recordings)
    own, others = a.agreement, a.agreement_with(b.whole).mean()
    assert own > others
    (name, words), _ = compared.describe()
    assert name == "A: questioned.wav"
    assert (
        f"{100 * own:.1f} % of all attributes, and with those of the other side (B) in {100 * others:.1f} %." in words
    )
    steady = [compared.recordings[1].timeline.stability[e.attribute] for e in compared.evidence]
    unsteady = [str(e.attribute) for e, share in zip(compared.evidence, steady, strict=True) if share < 0.5]
    told = [re.split("attributes? ", note)[1] for note in compared.notes() if note.startswith("In B, fewer than half")]
    assert told == ([f"{', '.join(unsteady)}."] if unsteady else [])
    assert words in compared.to_text() and "do not show: what an attribute means" in compared.to_text()


def test_everything_is_json(compared):
    found = json.loads(json.dumps(compared.to_dict(), allow_nan=False))
    a = found["recordings"][0]
    assert a["side"] == "A" and len(a["starts"]) == len(a["heard"]) == len(a["tracks"][0]["active"])
    assert len(a["stability"]) == 512 and len(a["tracks"]) == 6
    assert a["tracks"][0]["stability"] == a["stability"][a["tracks"][0]["attribute"]]
    assert np.shape(a["occlusion"]["attributes"][0]["cells"]) == (8, len(a["occlusion"]["stretches"]) - 1)


def test_page_plays_what_it_shows(compared, voice, explanation):
    page = explanation.to_html(sections=[timeline_section(compared)])
    sounds = re.findall(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"', page)
    assert len(sounds) == 2
    with wave.open(io.BytesIO(base64.b64decode(sounds[0]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32_767
    assert np.abs(samples - voice).max() < 1 / 32_767
    for side, recording in zip("ab", compared.recordings, strict=True):
        links = re.findall(rf'xlink:href="#{side}=(\d+),([01]),([\d.]+),([\d.]+)"', page)
        found = [(int(a), float(start), float(end), state == "1") for a, state, start, end in links]
        expected = [(e.attribute, *s) for e in compared.evidence for s in recording.timeline.stretches(e.attribute)]
        assert len(found) == len(expected)
        for one, wanted in zip(found, expected, strict=True):
            assert one == pytest.approx(wanted)
    assert page.count("do not show: what an attribute means") == page.count("does not show: what an attribute") == 1
    assert page.count("<script>") == 1 and "aria-live" in page


def test_page_without_sound_has_no_script_and_no_links(compared, explanation):
    silent = replace(
        compared, recordings=tuple(replace(one, sound=None, occlusion=None) for one in compared.recordings)
    )
    page = explanation.to_html(sections=[timeline_section(silent)])
    assert "<script" not in page and "<audio" not in page
    assert not re.search(r"xlink:href=\"#\w+=", page)


def test_section_escapes_names_and_loads_nothing(compared, explanation):
    evil = replace(compared, recordings=tuple(replace(one, name=EVIL) for one in compared.recordings))
    section = timeline_section(evil)
    assert EVIL not in section and section.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    assert section.count("<script") == 1
    assert re.findall(r"https?:", re.sub(r'xmlns(:\w+)?="[^"]*"', "", section)) == []
    links = re.findall(r"\s(?:src|href|xlink:href)\s*=\s*[\"']?([^\"'\s>]{0,24})", section)
    assert {link[:21] for link in links if not link.startswith("#")} == {
        "data:audio/wav;base64",
        "data:image/png;base64",
    }
    assert EVIL not in explanation.to_html(sections=[EVIL])  # a plain string is text


def test_page_without_timeline_is_as_before(explanation):
    assert explanation.to_html(sections=()) == explanation.to_html()
    assert "timeline" not in explanation.to_html()


def test_several_recordings_of_a_side_are_told_apart(system, explain, voice, other, monkeypatch):
    monkeypatch.setattr(module, "MOST_DRAWN", 2)
    monkeypatch.setattr(module, "map_of", partial(module.map_of, bands=1, seconds=1.0))
    parts = [voice[: 2 * RATE], voice, voice[RATE:]]
    sides = [[(f"a{n}", part) for n, part in enumerate(parts)], [("b", other)]]
    found = ComparedTimelines.of(system, sides, explain(parts, [other]), tracks=1, occlusion=True, sound=True)
    assert [name for name, _ in found.describe()] == ["A1: a0", "A2: a1", "A3: a2", "B: b"]
    assert found.label(found.recordings[2]) == "A3"
    assert found.columns()[2:] == ["A1", "A2", "B"] and len(found.rows()[0]) == 5
    assert [one.occlusion is not None for one in found.recordings] == [False, True, False, True]
    assert [one.sound is not None for one in found.recordings] == [True, True, False, True]
    notes = " ".join(found.notes())
    assert "the first 2 recordings of a side; 1 are not drawn" in notes and "with most speech" in notes
    section = timeline_section(found)
    assert all(html.escape(note) in section for note in found.notes())
    links = set(re.findall(r'xlink:href="#(\w+)=', section))
    assert links == {"a1", "a2", "b"}
    assert len(found.figure().axes) == 6


def test_recordings_of_which_nothing_can_be_said(system, explanation, voice, other, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_SOUND", 2.0)
    sides = [[("short", voice[RATE : RATE + RATE * 3 // 4])], [("long", other)]]
    found = ComparedTimelines.of(system, sides, explanation, tracks=2, sound=True)
    (_, short), (_, long) = found.describe()
    assert short == "It has 0.8 s: room for one window of 1 s only, so that nothing can be said of its stretches."
    assert "windows have enough speech" in long
    assert found.rows()[0][2] in ("active", "inactive")
    assert json.dumps(found.to_dict(), allow_nan=False) and found.occlusion_figure() is None
    section = timeline_section(found)
    assert section.count("<audio") == 1 and "since it is longer than five minutes" in section
    assert "Map" not in section and "the map does not" not in section
    none = replace(found, evidence=())
    assert none.figure() is None and "<svg" not in timeline_section(none) and "short" in none.to_text()


def test_error_names_the_recording(system, explanation, voice):
    with pytest.raises(Exception, match=r"^b.wav: digital silence"):
        ComparedTimelines.of(system, [[("a", voice)], [("b.wav", np.zeros(RATE))]], explanation)
