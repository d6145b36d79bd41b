"""`balr degrade`: copies of a corpus, whose measures and columns say what became of them."""

import csv
import json

import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.audio import load_audio
from balr_hf.errors import UserError


def rows_of(folder):
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def four(few):
    """A csv of four recordings of two voices."""
    lines = few.read_text().splitlines()
    path = few.with_name("four.csv")
    path.write_text("\n".join([lines[0], *lines[1:3], *lines[4:6]]) + "\n")
    return path


@pytest.fixture
def copy(four, tmp_path, balr):
    """The corpus as telephone calls with noise at 10 dB."""
    folder = tmp_path / "copy"
    status, said = balr("degrade", four, "--condition", "snr=10,band=telephone", "--seed", "3", "--save-dir", folder)
    assert status == 0 and "4 recordings" in said
    return folder


def test_labels_and_provenance_are_kept(copy, four):
    rows = rows_of(copy)
    with four.open(newline="") as file:
        originals = {row["id"]: row for row in csv.DictReader(file)}
    assert [row["id"] for row in rows] == list(originals)
    for row in rows:
        assert row["source_id"] == row["id"] and row["condition"] == "band=telephone,snr=10,noise=pink"
        assert all(row[name] == originals[row["id"]][name] for name in ("speaker", "sex", "text"))
    assert len({row["seed"] for row in rows}) == len(rows)


def test_a_label_that_could_be_a_formula_is_written_as_a_text_and_read_as_it_was(four, balr, tmp_path):
    lines = four.read_text().splitlines()
    names = next(csv.reader(lines[:1]))
    rows = list(csv.DictReader(lines))
    rows[0]["text"], rows[1]["text"] = "=cmd|' /C calc'!A0", "\x1b[31mred"
    with four.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    folder = tmp_path / "copy"
    assert balr("degrade", four, "--condition", "snr=10", "--save-dir", folder)[0] == 0
    written = rows_of(folder)
    assert written[0]["text"] == "'=cmd|' /C calc'!A0" and written[1]["text"] == "\\x1b[31mred"
    assert load_corpus(folder)["text"][0] == "=cmd|' /C calc'!A0"
    (folder / "degraded.json").write_text("[")
    with pytest.raises(UserError, match=r"degraded\.json is damaged"):
        load_corpus(folder)
    status, said = balr("degrade", four, "--condition", "snr=10", "--save-dir", folder)
    assert status == 1 and "degraded.json is damaged" in said


def test_inspect_confirms_the_conditions(copy, balr, tmp_path):
    status, _ = balr("inspect", copy, "--json", "--save-dir", tmp_path / "measured")
    assert status == 0
    with (tmp_path / "measured" / "quality.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_pauses = [float(row["snr"]) for row in rows if row["snr_method"] == "pauses"]
    assert all(float(row["bandwidth"]) == pytest.approx(3_560, abs=150) for row in rows)
    assert not by_pauses or np.median(by_pauses) == pytest.approx(10, abs=2)


def test_a_stopped_run_goes_on_where_it_was(copy, four, balr):
    paths = sorted(copy.rglob("*.flac"))
    before, times = paths[2].read_bytes(), {path: path.stat().st_mtime_ns for path in paths}
    paths[2].unlink()
    arguments = ("degrade", four, "--condition", "snr=10,band=telephone", "--seed", "3", "--save-dir", copy)
    status, said = balr(*arguments)
    assert status == 0 and "4 recordings" in said and "3 there already" in said
    assert paths[2].read_bytes() == before
    assert all(path.stat().st_mtime_ns == times[path] for path in paths if path != paths[2])
    status, said = balr(*arguments[:-1], copy, "--json")
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["there_already"] == 4


def test_what_is_drawn_is_that_of_the_recording_whatever_the_corpus_around(copy, four, balr, tmp_path):
    lines = four.read_text().splitlines()
    part = four.with_name("part.csv")
    part.write_text("\n".join([lines[0], *reversed(lines[2:4])]) + "\n")
    other = tmp_path / "other"
    assert balr("degrade", part, "--condition", "snr=10,band=telephone", "--seed", "3", "--save-dir", other)[0] == 0
    whole = {row["id"]: copy / row["audio"] for row in rows_of(copy)}
    for row in rows_of(other):
        np.testing.assert_array_equal(load_audio(other / row["audio"]), load_audio(whole[row["id"]]))


def test_another_copy_is_not_mixed_in(copy, four, balr):
    status, said = balr("degrade", four, "--condition", "snr=5", "--save-dir", copy)
    assert status == 1 and "holds another copy" in said and "conditions, seed" in said


def test_several_conditions_and_what_cannot_be_degraded(four, balr, tmp_path):
    folder = tmp_path / "copies"
    status, said = balr("degrade", four, "--condition", "unchanged; duration=1.5; duration=60", "--save-dir", folder)
    assert status == 0 and "too little speech" in said
    rows = rows_of(folder)
    conditions = [row["condition"] for row in rows]
    assert conditions.count("unchanged") == 4 and "duration=60" not in conditions
    skipped = (folder / "skipped.csv").read_text().splitlines()[1:]
    assert len(rows) + len(skipped) == 12 and sum("(duration=60)" in line for line in skipped) == 4
    assert {row["id"] for row in rows if row["condition"] == "unchanged"} == {f"{r['source_id']}@1" for r in rows[:4]}


def test_recorded_noise_comes_from_the_named_corpus(four, balr, tmp_path):
    arguments = ("degrade", four, "--condition", "snr=0,noise=recorded", "--save-dir", tmp_path / "copy")
    status, said = balr(*arguments)
    assert status == 1 and "--noise" in said
    noise = next((four.parent / "espeak02").glob("*.opus"))
    assert balr(*arguments[:-1], tmp_path / "noisy", "--noise", noise)[0] == 0


@pytest.mark.parametrize(
    "words, hint",
    [((), "--condition is missing"), (("--condition", "snr=10"), "--save-dir is missing")],
)
def test_what_is_missing_is_named(four, balr, words, hint):
    status, said = balr("degrade", four, *words)
    assert status == 2 and hint in said
