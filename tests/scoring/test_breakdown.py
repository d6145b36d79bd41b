"""Trials by what the corpus says of their sides."""

from types import SimpleNamespace

import datasets
import numpy as np
import pytest

from balr_hf.data.quality import add_quality_column
from balr_hf.domain import QUANTILES, Side, describe_population, deviations
from balr_hf.errors import UserError
from balr_hf.quality import RecordingQuality
from balr_hf.scoring.breakdown import (
    SidesOutside,
    describe_easy_trials,
    groups,
    keep_chosen,
    outside_calibration,
    side_value_sets,
    side_values,
    sides_outside,
)
from balr_hf.scoring.counts import SideCounts
from balr_hf.scoring.trials import Trials


@pytest.fixture
def corpus():
    return datasets.Dataset.from_dict({"id": list("abcd"), "sex": ["f", "f", "m", None], "speaker": list("wxyz")})


def test_values_of_sides_are_those_of_their_recordings(corpus):
    sides = [["a"], ["a", "b"], ["b", "c"], ["d"]]
    assert side_values(corpus, sides, "sex").tolist() == ["f", "f", None, None]
    with pytest.raises(UserError, match="no column channel"):
        side_values(corpus, sides, "channel")


SIDES = [["a"], ["b"], ["c"], ["d"]]


def test_within_keeps_same_speakers_and_different_ones_of_one_value(corpus):
    speakers = np.array(list("wxyw"))
    trials = Trials([], [], SIDES, np.array([0, 0, 3, 3]), np.array([1, 2, 0, 2]))
    kept = keep_chosen(corpus, trials, speakers, within="sex")
    assert list(zip(kept.enroll.tolist(), kept.test.tolist(), strict=True)) == [(0, 1), (3, 0)]
    with pytest.raises(UserError, match="--within sex: no two different speakers of the trials share a value"):
        keep_chosen(corpus, trials.select(np.array([1, 3])), speakers, within="sex")


def test_across_keeps_different_speakers_and_recordings_of_one_that_share_nothing():
    corpus = datasets.Dataset.from_dict({"id": list("abcd"), "session": ["1", "2", "3", None]})
    assert side_value_sets(corpus, [["a", "b"], ["c", "d"]], "session") == [{"1", "2"}, frozenset()]
    with pytest.raises(UserError, match=r"no column id,session \(.*\)\. Name one column alone$"):
        side_value_sets(corpus, [["a"]], "id,session")
    with pytest.raises(UserError, match=r"no column place \([^)]*\)$"):
        side_value_sets(corpus, [["a"]], "place")
    sides = [["a"], ["b"], ["c"], ["d"], ["a", "b"], ["c"]]
    pairs = [(0, 1), (0, 2), (2, 4), (0, 4), (0, 3), (2, 5)]
    trials = Trials([], [], sides, *np.array(pairs).T)
    kept = keep_chosen(corpus, trials, np.array(list("xxxxxx")), across="session")
    assert list(zip(kept.enroll.tolist(), kept.test.tolist(), strict=True)) == [(0, 1), (0, 2), (2, 4)]
    kept = keep_chosen(corpus, trials, np.array(list("xyxxyz")), across="session")  # different ones, whatever session
    assert list(zip(kept.enroll.tolist(), kept.test.tolist(), strict=True)) == [(0, 1), (0, 2), (2, 4), (0, 4), (2, 5)]
    with pytest.raises(UserError, match="--across session: no speaker of the trials has recordings that differ"):
        keep_chosen(corpus, trials.select(np.array([3])), np.array(list("xxxxxx")), across="session")


def test_trials_of_unlike_recordings_are_told(corpus):
    sides = [["a"], ["b"], ["c"], ["d"]]

    def told(*pairs, columns=corpus):
        trials = Trials([], [], sides, *np.array(pairs).T)
        return describe_easy_trials(columns, trials, np.zeros(len(trials), dtype=bool))

    assert told((0, 1), (0, 2)).startswith(
        "Of the 2 different-speaker trials, the two sides differ in sex in 1 (50%). Such trials are easier"
    )
    assert told((0, 1), (0, 2))[-61:] == "--within sex compares different speakers of the same sex only."[-61:]
    assert told((0, 1), (0, 1), (0, 2)) is None
    assert told((0, 3), (2, 3)) is None  # of d it is not known
    sources = corpus.add_column("source", list("xyxx"))
    assert "source in 1 (100%), sex" not in told((0, 1), columns=sources)
    assert "differ in source in 1 (50%), sex in 1 (50%)" in told((0, 1), (0, 2), columns=sources)
    assert describe_easy_trials(sources, Trials([], [], sides, np.array([0]), np.array([1])), np.array([True])) is None


def test_groups_are_pairs_of_values_in_either_order(corpus):
    trials = Trials.between(np.array([0, 0, 2, 3]), np.array([1, 2, 0, 2]))
    values = side_values(corpus, [["a"], ["b"], ["c"], ["d"]], "sex")
    found = {name: mask.tolist() for name, mask in groups(trials, values)}
    assert found == {
        "f": [True, False, False, False],
        "f / m": [False, True, True, False],
        "m / unknown": [False, False, False, True],
    }


def test_no_two_groups_have_one_name():
    values = np.array(["f", "m", "f / m"], dtype=object)
    found = dict(groups(Trials.between(np.array([0, 1, 2]), np.array([1, 1, 2])), values))
    expected = {"f // m": [True, False, False], "m": [False, True, False], "f / m": [False, False, True]}
    assert {name: mask.tolist() for name, mask in found.items()} == expected


def quality(rng):
    """Of one recording, anywhere about what it is compared with."""
    return RecordingQuality(
        **{"duration": 30.0, "net_speech": rng.uniform(2, 16), "level": -25.0, "peak": -6.0},
        **{"snr": rng.choice([None, rng.uniform(10, 50)]), "snr_method": "pauses", "bandwidth": rng.uniform(3e3, 8e3)},
        **{"clipping": rng.choice([0.0, 0.1], p=[0.9, 0.1]), "tone": None, "tone_share": rng.uniform(0, 0.1)},
        **{"dc_offset": 0.0, "sampling_rate": 16000},
    ).to_dict()


def test_sides_outside_are_those_that_get_no_verdict_in_a_case():
    rng = np.random.default_rng(0)
    names = [f"r{number}" for number in range(300)]
    known = {name: quality(rng) for name in names[:250]}
    corpus = add_quality_column(datasets.Dataset.from_dict({"id": names}), known)
    calibration = describe_population(corpus.select(range(0, 250, 5)), [[names[0]], names[:2]])
    calibration["measures"] |= {"net_speech": [4, 4, 4, 4, 5, 6, 8, 8, 8], "bandwidth": [5, 5, 6, 7, 7, 7, 7, 7, 8]}
    calibration["measures"] |= {"snr": [15] * 5 + [40] * 4, "clipping": [0] * 9, "tone_share": [0] * 6 + [0.02] * 3}
    log_probability = rng.uniform(-100, 0, 120)
    reference = {"log_probability": np.percentile(log_probability, QUANTILES).tolist()}
    sides = [rng.choice(names, size, replace=False).tolist() for size in rng.integers(1, 4, 120)]
    found = sides_outside(corpus, sides, calibration, reference, log_probability)
    for row, side in enumerate(sides):
        rows = [known[name] for name in side if name in known]
        case = Side(len(side), rows, log_probability[row])
        beyond = {one.measure for one in deviations([case], calibration, reference) if one.is_beyond}
        assert {name for name, mask in found.measures.items() if mask[row]} == beyond
        assert found.measured[row] == (len(rows) == len(side))
    assert all(0 < mask.sum() < 120 for mask in found.measures.values()) and len(found.measures) == 7


def test_trials_name_in_what_their_sides_lie_outside():
    measures = {"snr": np.array([False, True, False, False]), "recordings": np.array([False, True, True, False])}
    recordings = np.array([1, 3, 3, 1])
    sides = SidesOutside(measures, np.array([True, True, True, False]), recordings, np.zeros((4, 2)), {})
    trials = Trials.between(np.array([0, 0, 2, 0, 1]), np.array([0, 1, 0, 3, 3]))
    expected = ["", "snr;recordings", "recordings", "unmeasured", "snr;recordings;unmeasured"]
    assert sides.codes(trials).tolist() == expected
    assert sides.within(trials).tolist() == [True, False, False, False, False]
    assert sides.count(trials) == {
        **{"sides": 4, "measured": 3, "beyond_limits": 2, "measures": {"snr": 1, "recordings": 2}},
        **{"differences": {}, "trials_beyond_limits": 3, "trials_unmeasured": 1},
    }
    known = {name: np.zeros(4, dtype=bool) for name in measures}
    sides = SidesOutside(
        known, np.ones(4, dtype=bool), recordings, np.zeros((4, 2)), {"recordings_compared": [[1, 3]]}
    )
    assert sides.codes(trials).tolist() == ["recordings", "", "", "recordings", ""]
    assert sides.within(trials).tolist() == [False, True, True, False, True]
    assert sides.count(trials)["trials_beyond_limits"] == 2


def test_trials_whose_sides_differ_more_than_those_of_the_calibration_lie_outside():
    compared = np.array([[30.0, 7.5], [30.0, 3.5], [16.0, 7.5], [np.nan, 7.5]])  # dB, kHz
    largest = {"same_speaker": [0.0] * 7 + [5.0, 9.0], "different_speaker": [0.0] * 7 + [12.0, 20.0]}
    narrow = {"same_speaker": [0.0] * 7 + [0.6, 4.0], "different_speaker": [0.0] * 7 + [0.4, 4.0]}
    calibration = {"differences": {"snr": largest, "bandwidth": narrow}}
    sides = SidesOutside({"recordings": np.zeros(4, bool)}, np.ones(4, bool), np.ones(4, int), compared, calibration)
    trials = Trials.between(np.array([0, 0, 0, 1, 0]), np.array([0, 1, 2, 2, 3]))
    assert sides.codes(trials).tolist() == [
        *("", "bandwidth_difference", "snr_difference", "snr_difference;bandwidth_difference", ""),
    ]
    assert sides.within(trials).tolist() == [True, False, False, False, True]
    counted = sides.count(trials)
    assert counted["differences"] == {"snr": 2, "bandwidth": 2} and counted["trials_beyond_limits"] == 3


def test_sides_with_attributes_that_no_reference_speaker_has_lie_outside(corpus):
    """Of 9 reference speakers nine tenths have each attribute: (9 x 0.9 + 0.5) / (9 + 1) = 0.86 is its rate."""
    usual, rare = 10 * np.log(0.86), 10 * np.log(0.14)
    config = SimpleNamespace(
        calibration={"domain": {"recordings_a_side": [1, 3], "measures": {}}},
        reference={"log_probability": np.linspace(2 / 3 * usual + 1 / 3 * rare - 1, usual, 9).tolist()},
        num_reference_speakers=9,
    )
    sides = [["a"], ["b"], ["a", "b", "c"], ["a", "b", "c"]]
    counts = SideCounts(np.repeat([1, 0, 2, 1], 10).reshape(4, 10).astype(np.uint8), np.array([1, 1, 3, 3]))
    found = outside_calibration(config, np.full(10, 0.9), corpus, sides, counts)
    assert found.measures["probability"].tolist() == [False, True, False, True]
    for missing in ("num_reference_speakers", "reference"):
        unknown = SimpleNamespace(**{**vars(config), missing: None})
        assert "probability" not in outside_calibration(unknown, np.full(10, 0.9), corpus, sides, counts).measures
    uncalibrated = SimpleNamespace(**{**vars(config), "calibration": None})
    assert outside_calibration(uncalibrated, np.full(10, 0.9), corpus, sides, counts) is None


def test_nothing_is_within_what_was_not_described(corpus):
    assert sides_outside(corpus, [["a"]], None) is None
    found = sides_outside(corpus, [["a"], ["a", "b"]], {"recordings_a_side": [1, 1], "measures": {}})
    assert found.measured.tolist() == [False, False] and found.any.tolist() == [False, True]
