"""The recordings of real voices that ship: whole, attributed, and of people who may be shared."""

import csv

import pytest

from balr_hf.defaults import VOICES, resource

FREE = {"CC BY 4.0", "MIT"}


@pytest.fixture(scope="module")
def rows():
    with (resource(VOICES) / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_person_has_three_recordings_that_can_be_compared(rows):
    from balr_hf import load_corpus
    from balr_hf.audio import load_audio
    from balr_hf.quality import measure_recording, reason_to_refuse

    corpus = load_corpus(resource(VOICES))
    assert sorted(corpus["id"]) == sorted(row["id"] for row in rows) and len(rows) == 36
    speakers = [row["speaker"] for row in rows]
    assert len(set(speakers)) == 12 and {speakers.count(name) for name in speakers} == {3}
    for row in rows[::5]:
        quality, _ = measure_recording(load_audio(resource(VOICES) / row["audio"]))
        assert reason_to_refuse(quality) is None and quality.net_speech > 2, row["id"]


def test_every_source_has_a_free_licence_and_an_attribution(rows):
    assert {row["licence"] for row in rows} <= FREE
    text = (resource(VOICES) / "README.md").read_text(encoding="utf-8")
    for source, licence in {(row["source"], row["licence"]) for row in rows}:
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{source}` |"))
        assert (licence in line and "github.com" in line) or "openslr.org" in line
    assert "Copyright (c) 2024 Sakshee Patil" in text


def test_trials_are_all_pairs_within_a_source(rows):
    from balr_hf.scoring.trials import read_trials

    trials = read_trials(resource(VOICES) / "trials.csv")
    known = {row["id"]: row for row in rows}
    sides = [known[side[0]] for side in trials.sides]
    pairs = [(sides[a], sides[b]) for a, b in zip(trials.enroll, trials.test, strict=True)]
    assert len(pairs) == 198 and all(a["source"] == b["source"] for a, b in pairs)
    assert sum(a["speaker"] == b["speaker"] for a, b in pairs) == 36


def test_folder_is_small_and_has_nothing_else(rows):
    folder = resource(VOICES)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"README.md", "metadata.csv", "trials.csv", *(row["audio"] for row in rows)}
    assert sum((folder / name).stat().st_size for name in files) < 1_500_000


def test_no_model_that_ships_was_fitted_to_these_people(rows):
    from balr_hf import load_scorer
    from balr_hf.defaults import SCORER

    scorer = load_scorer(resource(SCORER))
    assert scorer.known_speakers({row["speaker"] for row in rows}, "reference") == []
