"""`balr degrade`: copies of a corpus, whose measures and columns say what became of them."""

import csv
import json
import shutil
from pathlib import Path

import av
import datasets
import numpy as np
import pytest

from balr_hf import load_corpus
from balr_hf.audio import load_audio
from balr_hf.conditions import parse_conditions
from balr_hf.conditions.copies import save_copies
from balr_hf.errors import ConfigError, UserError


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


def test_a_copy_without_recordings_is_not_said_to_be_measured(four, balr, tmp_path):
    status, said = balr("degrade", four, "--condition", "duration=60", "--save-dir", tmp_path / "none")
    assert status == 1 and "0 recordings in " in said and "(0 there already, 4 skipped)" in said
    assert "balr inspect" not in said


def test_several_conditions_and_what_cannot_be_degraded(four, balr, tmp_path):
    folder = tmp_path / "copies"
    status, said = balr("degrade", four, "--condition", "unchanged; duration=1.5; duration=60", "--save-dir", folder)
    assert status == 0 and "too little speech" in said
    rows = rows_of(folder)
    conditions = [row["condition"] for row in rows]
    assert conditions.count("unchanged") == 4 and "duration=60" not in conditions
    skipped = (folder / "skipped.csv").read_text().splitlines()[1:]
    assert len(rows) + len(skipped) == 12 and sum("(duration=60)" in line for line in skipped) == 4
    assert all(row["id"] == row["source_id"] for row in rows if row["condition"] == "unchanged")
    others = [row for row in rows if row["condition"] != "unchanged"]
    assert others and all(row["id"] == f"{row['source_id']}@2" for row in others)


def test_an_id_that_a_copy_would_have_is_refused(four, balr, tmp_path):
    lines = four.read_text().splitlines()
    first = lines[1].split(",")[0]
    four.write_text("\n".join([lines[0], lines[1], f"{first}@2,{lines[2].split(',', 1)[1]}"]) + "\n")
    folder = tmp_path / "copies"
    status, said = balr("degrade", four, "--condition", "unchanged; level=-30", "--save-dir", folder)
    assert status == 1 and f"{first}@2" in said and "rename" in said and not folder.exists()
    assert balr("degrade", four, "--condition", "level=-30", "--save-dir", folder)[0] == 0
    assert [row["id"] for row in rows_of(folder)] == [first, f"{first}@2"]


@pytest.fixture
def saved(four, tmp_path):
    """The corpus as Datasets on disk: with paths of audio, with the audio itself, in splits, and as parquet."""
    corpus = load_corpus(four)
    whole = [
        {"bytes": Path(audio["path"]).read_bytes(), "path": Path(audio["path"]).name} for audio in corpus["audio"]
    ]
    rows = [{**row, "audio": audio} for row, audio in zip(corpus, whole, strict=True)]
    within = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))
    corpus.save_to_disk(tmp_path / "paths")
    within.save_to_disk(tmp_path / "within")
    datasets.DatasetDict(train=within.select([0]), test=within.select([1, 2, 3])).save_to_disk(tmp_path / "splits")
    within.to_parquet(tmp_path / "corpus.parquet")
    within.remove_columns("audio").save_to_disk(tmp_path / "silent")
    return tmp_path


@pytest.mark.parametrize("name, number", [("paths", 4), ("within", 4), ("corpus.parquet", 4), ("splits:test", 3)])
def test_a_dataset_on_disk_makes_the_copies_that_its_files_make(saved, copy, balr, name, number):
    folder = saved / "again"
    given = ("degrade", saved / name, "--condition", "snr=10,band=telephone", "--seed", "3", "--save-dir", folder)
    assert balr(*given)[0] == 0
    rows, expected = rows_of(folder), {row["id"]: row for row in rows_of(copy)}
    assert len(rows) == number and {row["speaker"] for row in rows} <= {"espeak01", "espeak02"}
    for row in rows:
        assert row["sex"] == expected[row["id"]]["sex"] and row["seed"] == expected[row["id"]]["seed"]
        assert (folder / row["audio"]).read_bytes() == (copy / expected[row["id"]]["audio"]).read_bytes()
    status, said = balr(*given)
    assert status == 0 and f"{number} there already" in said


def test_a_dataset_that_cannot_be_degraded_is_refused_and_claims_no_folder(saved, balr):
    for name, hint in (("splits", "name one"), ("silent", "no audio")):
        status, said = balr("degrade", saved / name, "--condition", "snr=10", "--save-dir", saved / "none")
        assert status == 1 and hint in said and not (saved / "none").exists()


def test_python_makes_the_same_copies_as_the_command(copy, four, tmp_path):
    conditions = parse_conditions("band=telephone,snr=10")
    for corpus in (four, load_corpus(four)):
        made = save_copies(corpus, conditions, tmp_path / type(corpus).__name__, seed=3)
        assert (made.recordings, made.there_already, made.skipped) == (4, 0, [])
        assert (made.folder / "metadata.csv").read_bytes() == (copy / "metadata.csv").read_bytes()
        for path in copy.rglob("*.flac"):
            assert (made.folder / path.relative_to(copy)).read_bytes() == path.read_bytes()
    for none in ([], [*conditions, *conditions]):
        with pytest.raises(ConfigError, match="each of them once"):
            save_copies(four, none, tmp_path / "none")


def test_faint_copies_are_rounded_without_a_noise_of_their_own(four, tmp_path):
    conditions = parse_conditions("level=-80; level=-30")
    made = save_copies(four, conditions, tmp_path / "faint")
    originals = {row["id"]: load_audio(row["audio"]) for row in load_corpus(four)}
    for row in rows_of(made.folder):
        written = load_audio(made.folder / row["audio"])
        wanted = conditions["@" in row["id"]].apply(originals[row["source_id"]], int(row["seed"]))
        error = np.square(written - wanted).mean() / np.square(wanted).mean()
        assert 10 * np.log10(error) < -60
        with av.open(made.folder / row["audio"]) as container:
            assert container.streams.audio[0].format.bits == (16 if "@" in row["id"] else 32)  # as FFmpeg decodes 24


def test_a_stopped_run_is_not_continued_with_other_noise(four, balr, tmp_path):
    noise, folder = tmp_path / "noise", tmp_path / "copy"
    shutil.copytree(four.parent / "espeak02", noise)
    arguments = ("degrade", four, "--condition", "snr=0,noise=recorded", "--noise", noise, "--save-dir", folder)
    assert balr(*arguments)[0] == 0
    next(noise.glob("*.opus")).unlink()
    status, said = balr(*arguments)
    assert status == 1 and "noise_fingerprint differ" in said


def test_recorded_noise_comes_from_the_named_corpus(four, balr, tmp_path):
    arguments = ("degrade", four, "--condition", "snr=0,noise=recorded", "--save-dir", tmp_path / "copy")
    status, said = balr(*arguments)
    assert status == 1 and "--noise" in said
    noise = next((four.parent / "espeak02").glob("*.opus"))
    words = ("degrade", four, "--condition", "snr=10; duration=2", "--save-dir", tmp_path / "copy", "--noise", noise)
    status, said = balr(*words)
    assert status == 2 and "no condition takes them: say noise=recorded" in said and not (tmp_path / "copy").exists()
    assert balr(*arguments[:-1], tmp_path / "noisy", "--noise", noise)[0] == 0


@pytest.mark.parametrize(
    "words, hint",
    [((), "--condition is missing"), (("--condition", "snr=10"), "--save-dir is missing")],
)
def test_what_is_missing_is_named(four, balr, words, hint):
    status, said = balr("degrade", four, *words)
    assert status == 2 and hint in said
