"""`balr explain --timeline` and `--occlusion`, on recordings of the sample corpus."""

import json
import re
from functools import partial

import numpy as np
import pytest

from balr_hf.timeline import compared

A, B = "espeak17/espeak17-01.opus", "espeak17/espeak17-02.opus"


@pytest.fixture
def folder(sample, monkeypatch):
    monkeypatch.chdir(sample)
    return sample


def test_timeline_is_told_drawn_and_played(folder, balr):
    words = ["--timeline", "--html", "report.html", "--save-dir", "figures", A, B]
    status, said = balr("explain", *words)
    assert status == 0, said
    assert "Attributes over time (windows of 1 s, one every 0.25 s)" in said
    assert re.search(rf"A: {A}\n +\d+ of \d+ windows have enough speech. On average, they agree with the whole", said)
    assert (folder / "figures" / "timeline.png").exists() and (folder / "figures" / "timeline.svg").exists()
    assert not (folder / "figures" / "occlusion.png").exists()
    page = (folder / "report.html").read_text()
    assert page.count("<audio") == 2 and "Attributes over time" in page


def test_json_has_the_tracks_and_the_map(folder, balr, monkeypatch):
    monkeypatch.setattr(compared, "map_of", partial(compared.map_of, bands=1, seconds=1.0))
    status, said = balr("explain", "--json", "--occlusion", A, B)
    assert status == 0, said
    found = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]
    a, b = found["timeline"]["recordings"]
    assert (a["name"], b["name"]) == (A, B) and a["occlusion"] and b["occlusion"]
    states = {row["attribute"]: row["a"] for row in found["attributes"]}
    for track in a["tracks"]:
        active, recordings = states[track["attribute"]]
        assert track["whole"] == (active == recordings == 1)


def test_save_dir_alone_is_refused(folder, balr):
    status, said = balr("explain", "--save-dir", "figures", A, B)
    assert status != 0 and "--save-dir is for the figures of --timeline and --occlusion: add one of them" in said


def test_attributes_of_other_models_are_refused(folder, few, balr, tmp_path):
    """The corpus has attributes that no model made of its audio: windows would say nothing of what was compared."""
    from balr_hf import load_corpus
    from balr_hf.data import add_vector_column, fixed_length_column

    corpus = load_corpus(few)
    bits = np.random.default_rng(0).random((len(corpus), 512)) < 0.5
    made = add_vector_column(corpus, "ba", fixed_length_column(bits))
    made.save_to_disk(tmp_path / "made")
    words = ["explain", "--corpus", tmp_path / "made", "espeak17/espeak17-01", "espeak17/espeak17-02"]
    assert balr(*words)[0] == 0
    status, said = balr(*words, "--timeline")
    assert status != 0 and "attributes in the corpus are not those that the models make of its audio" in said
    made.remove_columns("audio").save_to_disk(tmp_path / "deaf")
    words[2] = tmp_path / "deaf"
    status, said = balr(*words, "--timeline")
    assert status != 0 and "there is no audio of espeak17/espeak17-01" in said


def test_a_copy_on_one_side_is_refused(folder, few, balr):
    first, second = (few.parent / "espeak17" / f"espeak17-0{number}.opus" for number in (1, 2))
    copy = few.parent / "copy.opus"
    copy.write_bytes(first.read_bytes())
    status, said = balr("explain", f"{first},{copy}", second)
    assert status == 1 and "are the same recording, sample for sample: it would count twice, so give it once" in said
    status, said = balr("explain", f"{first},{first}", second)
    assert status == 2 and f"{first} is named more than once on one side: a recording counts once" in said


def test_corpus_whose_attributes_were_made_by_the_models_is_looked_at(folder, few, balr, tmp_path):
    assert balr("extract", few, "--save-dir", tmp_path / "embedded", "--save-format", "dataset")[0] == 0
    assert balr("binarize", tmp_path / "embedded", "--save-dir", tmp_path / "made", "--save-format", "dataset")[0] == 0
    stem = "espeak17/espeak17"
    status, said = balr("explain", "--corpus", tmp_path / "made", f"{stem}-01,{stem}-03", f"{stem}-02", "--timeline")
    assert status == 0, said
    assert "A2: espeak17/espeak17-03" in said and "differ from those that were compared" not in said
