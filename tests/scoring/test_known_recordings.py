"""A scorer knows the recordings again that it was fitted to and calibrated on, whatever their speakers are called."""

import json
import re

import pytest

from balr_hf import build_scorer, load_scorer
from balr_hf.data.recording_digests import recording_digests
from balr_hf.errors import ConfigError
from balr_hf.explanation.cautions import unknown_people
from balr_hf.scoring.counts import speaker_counts
from balr_hf.scoring.made_trials import make_trials
from balr_hf.scoring.overlap import Overlap, overlaps
from balr_hf.scoring.trials import side_counts, side_speakers

ATTRIBUTES = 256


@pytest.fixture
def populations(make_corpus):
    return [
        make_corpus(speakers, 4, attributes=ATTRIBUTES, name=name, seed=seed)
        for seed, (name, speakers) in enumerate({"r": 12, "d": 10, "t": 5}.items())
    ]


@pytest.fixture
def scorer(populations):
    reference, dev, _ = populations
    found = build_scorer("beta", num_attributes=ATTRIBUTES)
    found.fit(*speaker_counts(reference)).describe_reference(reference)
    trials = make_trials(dev)
    counts, names = side_counts(dev, trials.sides), side_speakers(dev, trials.sides)
    enroll, test = names[trials.enroll], names[trials.test]
    found.calibrate(counts, counts, enroll == test, enroll_speakers=enroll, test_speakers=test, trials=trials)
    return found.describe_calibration(dev, trials.sides)


def renamed(corpus):
    names = [f"someone {name}" for name in corpus["speaker"]]
    return corpus.remove_columns("speaker").add_column("speaker", names)


def known(scorer, corpus, role):
    return scorer.known_recordings(recording_digests(corpus), role)


def test_recordings_are_known_after_saving_and_loading(scorer, populations, tmp_path):
    reference, dev, test = populations
    scorer.save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)
    assert loaded.reference_recordings.shape == (48, 18) and loaded.calibration_recordings.shape == (40, 18)
    for role, own, other in (("reference", reference, dev), ("calibration", dev, reference)):
        assert known(loaded, own, role).all()
        assert not known(loaded, other, role).any() and not known(loaded, test, role).any()


def test_the_order_of_digests_tells_nothing_of_the_corpus(scorer, populations):
    reference, dev, _ = populations
    turned = reference.select(range(len(reference))[::-1])
    other = build_scorer("beta", num_attributes=ATTRIBUTES).fit(*speaker_counts(turned)).describe_reference(turned)
    assert other.reference_recordings.equal(scorer.reference_recordings)
    assert other.reference_speakers.equal(scorer.reference_speakers)
    before = scorer.calibration_recordings
    scorer.describe_calibration(dev, [[name] for name in dev["id"][::-1]])
    assert scorer.calibration_recordings.equal(before)
    assert scorer.calibration_speakers.tolist() == sorted(scorer.calibration_speakers.tolist())


def test_overlap_is_told_by_names_and_by_recordings(scorer, populations):
    reference, dev, test = populations
    sides = [[name] for name in dev["id"]]
    found = overlaps(scorer, dev, sides, dev["speaker"])
    assert not found["reference"] and found["calibration"].speakers == sorted(set(dev["speaker"]))
    assert found["calibration"].recordings == []
    assert found["calibration"].describe().startswith("10 speakers of the test (d0, d1, ")
    for corpus, names in ((renamed(dev), renamed(dev)["speaker"]), (dev.remove_columns("speaker"), None)):
        found = overlaps(scorer, corpus, sides, names)
        assert found["calibration"].speakers == [] and found["calibration"].recordings == dev["id"][:]
        assert found["calibration"].describe().startswith("40 recordings of the test, under whatever names (d0, d1")
    some = overlaps(scorer, renamed(reference), [["r3"], ["r7"]], {"nobody"})
    assert some["reference"].recordings == ["r3", "r7"]
    both = dev.select(range(8)).remove_columns("speaker").add_column("speaker", ["d0"] * 4 + ["another"] * 4)
    told = overlaps(scorer, both, [[name] for name in both["id"]], both["speaker"])["calibration"].describe()
    assert told == (
        "1 speaker of the test (d0), and 4 recordings of the test, whose speakers have other names there "
        "(d4, d5, d6, d7)"
    )
    assert not any(overlaps(scorer, test, [[name] for name in test["id"]], test["speaker"]).values())


def test_another_fit_and_another_calibration_forget_the_recordings_before(scorer, populations, tmp_path):
    reference, dev, test = populations
    scorer.fit(*speaker_counts(test))
    assert not known(scorer, reference, "reference").any() and not known(scorer, dev, "calibration").any()
    scorer.save_pretrained(tmp_path)
    assert not hasattr(load_scorer(tmp_path), "reference_recordings")
    scorer.describe_reference(test)
    assert known(scorer, test, "reference").all()


def test_a_scorer_that_forgets_people_scores_as_before(scorer, populations, tmp_path):
    reference, dev, test = populations
    counts = side_counts(test, [[name] for name in test["id"][:2]])
    before = scorer.explain(counts[0], counts[1])
    names = {role: list(getattr(scorer, f"{role}_speakers")) for role in ("reference", "calibration")}
    assert all(any(of_role) for of_role in names.values())
    for population in (scorer.config.reference, scorer.config.calibration["domain"]):  # as of an earlier version
        population["counts"] = {"sex": {"f": 9}, "session": {"call of 12 March": 9}}
    scorer.config.calibration |= {"matched": ["duration=3", "duration=2"], "saved_for": ["Left out are: A. Suspect"]}
    assert scorer.forget_people() is scorer
    scorer.save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)  # whose calibration is still that of this scorer
    for role, corpus in (("reference", reference), ("calibration", dev)):
        assert not known(loaded, corpus, role).any() and not loaded.known_speakers(corpus["speaker"], role)
        assert len(getattr(loaded, f"{role}_speakers")) == len(names[role])  # how many there were stays
    assert not re.search("12 March|Suspect", (tmp_path / "config.json").read_text())
    assert loaded.config.reference["counts"] == {"sex": {"f": 9}}
    stored = (tmp_path / "model.safetensors").read_bytes()
    for digest in (*names["reference"], *names["calibration"]):
        assert int(digest).to_bytes(8, "little", signed=True) not in stored
    after = loaded.explain(counts[0], counts[1])
    told = " ".join(after.cautions)
    assert (
        "saved for it" in told and "Said when the calibration was matched: several things, which forget_people" in told
    )
    assert (after.llr, after.unbounded_llr, after.bounds) == (before.llr, before.unbounded_llr, before.bounds)


def test_a_scorer_that_knows_nobody_says_that_an_overlap_is_not_noticed(scorer, populations):
    assert unknown_people(scorer) == []
    scorer.forget_people()
    (told,) = unknown_people(scorer)
    assert told.startswith("Who is in the scorer's reference population and in its calibration is not known, ")
    (told,) = unknown_people(scorer, ("reference",))
    assert told.startswith("Who is in the scorer's reference population is not known, ")
    nameless = build_scorer("beta", num_attributes=ATTRIBUTES).fit(speaker_counts(populations[0])[0])
    assert unknown_people(nameless) == [told]
    assert unknown_people(build_scorer("cosine", num_attributes=ATTRIBUTES)) == []


def test_forgetting_makes_no_unchecked_calibration_a_checked_one(scorer, tmp_path):
    scorer.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["calibration"]["digest"]
    path.write_text(json.dumps(config))
    scorer = load_scorer(tmp_path)
    assert scorer.is_calibration_unchecked and scorer.forget_people().is_calibration_unchecked


def test_a_description_after_the_calibration_leaves_it_valid(scorer, populations, tmp_path):
    reference, dev, _ = populations
    scorer.describe_reference(reference.select(range(12)))
    scorer.save_pretrained(tmp_path)
    loaded = load_scorer(tmp_path)
    assert known(loaded, reference, "reference").sum() == 12 and known(loaded, dev, "calibration").all()


@pytest.mark.parametrize("number", [-1, 2**40, "many", True])
def test_numbers_of_digests_that_nothing_has_are_refused(scorer, tmp_path, number):
    scorer.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for record, name in ((config, "num_reference_digests"), (config["calibration"], "num_digests")):
        before, record[name] = record[name], number
        path.write_text(json.dumps(config))
        with pytest.raises(ConfigError, match=name):
            load_scorer(tmp_path)
        record[name] = before


def test_digests_that_were_taken_away_are_missed(scorer, tmp_path):
    from safetensors.torch import load_file, save_file

    scorer.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    for name in ("reference_recordings", "calibration_recordings"):
        save_file({key: value for key, value in tensors.items() if key != name}, path, {"format": "pt"})
        with pytest.raises(Exception, match=name):
            load_scorer(tmp_path)
        emptied = {key: value * 0 if key == name else value for key, value in tensors.items()}
        save_file(emptied, path, {"format": "pt"})
        with pytest.raises(Exception, match="calibration of"):
            load_scorer(tmp_path)


@pytest.mark.parametrize(
    ("known", "text", "remedy"),
    [
        (Overlap(["anna"], []), "1 speaker of the test (anna)", "Use others, or --allow-overlap if these are"),
        (Overlap(["anna", "bert"], []), "2 speakers of the test (anna, bert)", "Use others, or --allow-overlap"),
        (Overlap([], ["r1"]), "1 recording of the test, under whatever names (r1)", "Leave these recordings out;"),
        (
            Overlap(["anna"], ["r1", "r2"]),
            "1 speaker of the test (anna), and 2 recordings of the test, whose speakers have other names there "
            "(r1, r2)",
            "Leave these recordings out;",
        ),
    ],
)
def test_what_is_known_is_counted_and_named_with_what_to_do_about_it(known, text, remedy):
    assert known and known.describe() == text and known.remedy.startswith(remedy)
    assert not Overlap([], [])
