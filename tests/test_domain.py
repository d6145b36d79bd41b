"""What lies outside the populations that a likelihood ratio rests on is named, and beyond limits nothing is said."""

import dataclasses
import inspect
import re

import datasets
import numpy as np
import pytest

from balr_hf.cli.explain import Options
from balr_hf.data.quality import add_quality_column
from balr_hf.domain import (
    HIGHEST_SNR,
    Limits,
    Side,
    describe_in_words,
    describe_population,
    describe_sessions,
    describe_unlike,
    deviations,
    log_probabilities,
    side_measures,
    sides_measures,
)
from balr_hf.domain.limits import AT_LEAST, AT_MOST, FACTORS, MEASURES, PERCENTILES
from balr_hf.errors import ConfigError
from balr_hf.explanation.heard import KINDS
from balr_hf.quality import RecordingQuality
from balr_hf.scoring import quality_measures


def quality(**changes):
    usual = {
        **{"duration": 8.0, "net_speech": 6.0, "level": -25.0, "peak": -6.0, "snr": 30.0, "snr_method": "pauses"},
        **{"bandwidth": 8000.0, "clipping": 0.0, "tone": None, "tone_share": 0.0, "dc_offset": 0.0},
        "sampling_rate": 16000,
    }
    return RecordingQuality(**{**usual, **changes}).to_dict()


def test_whatever_is_compared_or_heard_has_a_limit_that_the_command_line_tells():
    limits = {field.name: field.default for field in dataclasses.fields(Limits)}
    assert {*MEASURES, *(kind.name for kind in KINDS)} <= limits.keys(), "each needs a field of Limits"
    assert {kind.name for kind in KINDS} <= set(PERCENTILES)
    assert {*FACTORS, *AT_MOST, *AT_LEAST} <= set(MEASURES) <= {f.name for f in dataclasses.fields(RecordingQuality)}
    told = next(field for field in dataclasses.fields(Options) if field.name == "limits").metadata["help"]
    told = told.partition("[default: ")[2].partition("]")[0]
    assert Limits.parse(told) == Limits()
    assert {part.partition("=")[0] for part in told.split(",")} == limits.keys(), "balr explain --limits"
    described = inspect.getdoc(Limits).partition("Attributes:")[2]
    assert [name for name in limits if not re.search(rf"^ +(\w+, )*{name}\b[\w, ]*: ", described, re.MULTILINE)] == []


@pytest.fixture
def population():
    """100 recordings of 10 speakers, with 4 to 10 s of speech and an SNR of 20 to 40 dB."""
    names = [f"r{n}" for n in range(100)]
    sexes = ["f" if n < 50 else "m" for n in range(100)]
    dataset = datasets.Dataset.from_dict({"id": names, "speaker": [f"s{n // 10}" for n in range(100)], "sex": sexes})
    spread = np.linspace(0, 1, 100)
    known = {n: quality(net_speech=4 + 6 * x, snr=20 + 20 * x) for n, x in zip(names, spread, strict=True)}
    return describe_population(add_quality_column(dataset, known), [[name] for name in names])


def test_names_of_sessions_are_not_kept():
    """They can be dates and places, and the description goes with a scorer wherever it is published."""
    columns = {"id": ["a", "b"], "speaker": ["s", "s"], "sex": ["f", "f"], "session": ["call of 12 March", "call 2"]}
    described = describe_population(datasets.Dataset.from_dict(columns), [["a"], ["b"]])
    assert described["counts"] == {"sex": {"f": 2}} and "12 March" not in repr(described)


def test_population_is_described_in_numbers_and_words(population):
    assert population["recordings"] == 100 and population["speakers"] == 10 and population["measured"] == 100
    assert population["counts"] == {"sex": {"f": 50, "m": 50}} and population["recordings_a_side"] == [1, 1]
    percents = 0, 1, 5, 25, 50, 75, 95, 99, 100  # those of all calibrations that are saved
    assert population["measures"]["net_speech"] == pytest.approx([4 + 6 * percent / 100 for percent in percents])
    words = describe_in_words(population)
    assert "100 recordings of 10 speakers" in words and "net speech 4.1 to 9.9 s" in words
    assert "recordings of each sex: f (50), m (50)" in words
    told = describe_in_words({**population, "counts": {"sex": {"f": 50, "m": 30}}})
    assert "recordings of each sex: f (50), m (30), not known (20)" in told
    assert describe_in_words({**population, "counts": {"session": {"call 7": 100}}}) == words.replace(
        "; recordings of each sex: f (50), m (50)", ""
    )


def test_case_inside_has_no_deviation(population):
    assert deviations([Side(1, [quality()]), Side(1, [quality(net_speech=4.5, snr=22.0)])], population, None) == []


@pytest.mark.parametrize(
    ("changes", "measure", "is_beyond", "text"),
    [
        (
            {"net_speech": 1.2},
            "net_speech",
            True,
            "B has 1.2 s of speech; 98 % of the calibration's recordings have 4.1 to 9.9 s.",
        ),
        (
            {"net_speech": 3.5},
            "net_speech",
            False,
            "4.1 to 9.9 s (within the limits).",
        ),
        ({"net_speech": 60.0}, "net_speech", True, "B has 60.0 s of speech"),
        ({"snr": 8.0}, "snr", True, "B has an SNR of 8 dB; 98 % of the calibration's recordings have 20 to 40 dB."),
        ({"snr": 19.0}, "snr", False, "B has an SNR of 19 dB"),
        ({"bandwidth": 3500.0}, "bandwidth", True, "B has a bandwidth of 3.5 kHz"),
        ({"clipping": 0.05}, "clipping", True, "B has 5.0% of its samples clipped"),
        ({"tone_share": 0.02}, "tone_share", False, "B has 2.0% of its power in a steady tone"),
    ],
)
def test_what_lies_outside_is_named(population, changes, measure, is_beyond, text):
    (found,) = deviations([Side(1, [quality()]), Side(1, [quality(**changes)])], population, None)
    assert (found.side, found.measure, found.is_beyond) == ("B", measure, is_beyond)
    assert text in found.text


def test_worst_recording_of_a_side_counts(population):
    sides = [Side(1, [quality()]), Side(3, [quality(), quality(snr=5.0), quality(snr=15.0)])]
    found, _ = deviations(sides, population, None)
    assert found.value == 5
    assert found.text.startswith("2 of B's 3 recordings lie outside the calibration: the furthest has an SNR of 5 dB")
    found, _ = deviations([Side(1, [quality()]), Side(3, [quality(), quality(snr=5.0), quality()])], population, None)
    assert found.text.startswith("One of B's 3 recordings has an SNR of 5 dB")


def test_recordings_at_the_very_end_of_the_range_are_not_counted_as_outside(population):
    """No recording of the calibration is clipped, nor are two of these three."""
    found, _ = deviations([Side(3, [quality(), quality(clipping=0.05), quality()])], population, None)
    assert found.text.startswith("One of A's 3 recordings has 5.0% of its samples clipped")
    least = {"measures": {**population["measures"], "net_speech": [6.0] * 9}}
    found, _ = deviations([Side(2, [quality(), quality(net_speech=60.0)])], {**population, **least}, None)
    assert found.text.startswith("One of A's 2 recordings has 60.0 s of speech")


def test_recording_beyond_the_limits_counts_before_one_that_lies_further_off(population):
    (found,) = deviations([Side(2, [quality(net_speech=3.0), quality(net_speech=12.2)])], population, None)[:1]
    assert (found.value, found.is_beyond) == (3.0, True)  # 12.2 s is 2.3 s too much, but within the factor of 1.25


@pytest.mark.parametrize(("unsaid", "said"), [(10.04, 10.06), (3.96, 3.94)], ids=["10.0 s", "4.0 s"])
def test_what_seems_to_be_the_end_of_the_range_is_not_called_outside(population, unsaid, said):
    """The range is from 4.02 to 9.96 s, which is told as 4.0 to 10.0 s."""
    population["measures"]["net_speech"] = [3.0, 4.02, 5.0, 6.0, 7.0, 8.0, 9.0, 9.96, 11.0]
    assert deviations([Side(1, [quality(net_speech=unsaid)])], population, None) == []
    (found,) = deviations([Side(1, [quality(net_speech=said)])], population, None)
    assert f"A has {said:.1f} s of speech; 98 % of the calibration's recordings have 4.0 to 10.0 s" in found.text


def test_other_numbers_of_recordings_are_named(population):
    five = Side(5, [quality()] * 5)
    found = deviations([five, five], population, None)
    assert [one.text for one in found] == [
        f"{s} has 5 recordings; the system was calibrated with 1 a side." for s in "AB"
    ]
    assert all(one.is_beyond for one in found)
    assert not any(one.is_beyond for one in deviations([five, five], population, None, Limits(recordings=4)))


def test_numbers_of_recordings_that_were_never_compared_are_named(population):
    one, three = Side(1, [quality()]), Side(3, [quality()] * 3)
    compared = {**population, "recordings_a_side": [1, 3], "recordings_compared": [[1, 3]]}
    assert deviations([one, three], compared, None) == [] == deviations([three, one], compared, None)
    for side in (one, three):
        (found,) = deviations([side, side], compared, None)
        n = side.recordings
        assert found.text == f"A has {n} and B has {n} recordings; the system was calibrated with 1 against 3."
        assert found.is_beyond and found.measure == "recordings"
    assert deviations([one, one], compared, None, Limits(recordings=2)) == []
    assert deviations([one, one], {**compared, "recordings_compared": None}, None) == []  # of an earlier version


@pytest.fixture
def calls_and_interviews():
    """10 speakers with two calls and 10 with two interviews, each compared with recordings of its own kind only."""
    names = [f"r{n}" for n in range(40)]
    dataset = datasets.Dataset.from_dict({"id": names, "speaker": [f"s{n // 2}" for n in range(40)]})
    known = {name: quality(bandwidth=3500.0 if n < 20 else 7500.0, snr=25.0 + n % 2) for n, name in enumerate(names)}
    pairs = [(a, b) for a in range(40) for b in range(a) if (a < 20) == (b < 20)]
    return describe_population(
        add_quality_column(dataset, known), [[name] for name in names], trials=tuple(np.array(pairs).T)
    )


def test_sides_that_differ_more_than_any_trial_are_named(calls_and_interviews):
    call, interview = Side(1, [quality(bandwidth=3500.0, snr=25.0)]), Side(1, [quality(bandwidth=7500.0, snr=26.0)])
    assert calls_and_interviews["differences"]["bandwidth"]["same_speaker"][-1] == 0
    assert deviations([call, call], calls_and_interviews, None) == []
    assert deviations([interview, interview], calls_and_interviews, None) == []
    (found,) = deviations([call, interview], calls_and_interviews, None)
    assert (found.side, found.measure, found.is_beyond, found.value) == ("A and B", "bandwidth_difference", True, 4.0)
    assert found.text == (
        "The bandwidths of A and B differ by 4.0 kHz; in 99 % of the calibration's different-speaker trials, those of "
        "the two sides differ by at most 0.0 kHz."
    )
    (found,) = deviations([call, interview], calls_and_interviews, None, Limits(bandwidth_difference=4))
    assert found.is_allowed and not found.is_beyond and "(within the limits that were set)" in found.text
    earlier = {name: value for name, value in calls_and_interviews.items() if name != "differences"}
    assert deviations([call, interview], earlier, None) == []


def test_trials_of_each_kind_have_to_compare_such_sides():
    """Different speakers are compared between calls and interviews, but no speaker has both."""
    names = [f"r{n}" for n in range(40)]
    dataset = datasets.Dataset.from_dict({"id": names, "speaker": [f"s{n // 2}" for n in range(40)]})
    known = {name: quality(bandwidth=3500.0 if n < 20 else 7500.0) for n, name in enumerate(names)}
    trials = tuple(np.array([(a, b) for a in range(40) for b in range(a)]).T)
    found = describe_population(add_quality_column(dataset, known), [[name] for name in names], trials=trials)
    assert found["differences"]["bandwidth"]["different_speaker"][-1] == 4
    (one,) = deviations([Side(1, [quality(bandwidth=3500.0)]), Side(1, [quality(bandwidth=7500.0)])], found, None)
    assert one.is_beyond and "the calibration's same-speaker trials" in one.text


def test_noise_that_is_hardly_there_makes_no_difference(calls_and_interviews):
    loud, silent = Side(1, [quality(bandwidth=7500.0, snr=31.0)]), Side(1, [quality(bandwidth=7500.0, snr=60.0)])
    found = deviations([loud, silent], calls_and_interviews, None)
    assert "snr_difference" not in {one.measure for one in found}
    noisy = Side(1, [quality(bandwidth=7500.0, snr=25.0)])
    found = deviations([noisy, silent], calls_and_interviews, None)
    assert "snr_difference" in {one.measure for one in found}


def test_what_is_clean_is_so_for_calibrations_with_quality_measures_too():
    assert HIGHEST_SNR == quality_measures.HIGHEST_SNR  # whose file has to stand alone beside a model


def test_sides_are_measured_together_as_each_by_itself():
    recordings = [quality(snr=20.0), quality(snr=60.0, bandwidth=4000.0), None, quality(snr=35.0), quality()]
    found = sides_measures(recordings, np.array([2, 1, 2]))
    assert found[0].tolist() == side_measures(recordings[:2], 2).tolist() == [25.0, 6.0]
    assert np.isnan(found[1]).all() and found[2].tolist() == side_measures(recordings[3:], 2).tolist()


def test_side_is_the_mean_of_its_recordings():
    found = side_measures([quality(snr=20.0, bandwidth=4000.0), quality(snr=60.0, bandwidth=8000.0)], 2)
    assert found.tolist() == [25.0, 6.0]
    assert np.isnan(side_measures([quality()], 2)).all() and np.isnan(side_measures([quality(snr=None)], 1)[0])


def test_a_trace_of_clipping_is_not_worth_saying(population):
    assert deviations([Side(1, [quality(clipping=0.0004)])], population, None) == []
    (found,) = deviations([Side(1, [quality(clipping=0.0006)])], population, None)
    assert found.text.startswith("A has 0.1% of its samples clipped") and not found.is_beyond


def test_limits_can_be_set(population):
    case = [Side(1, [quality(snr=8.0)]), Side(1, [quality()])]
    assert deviations(case, population, None)[0].is_beyond
    assert not deviations(case, population, None, Limits.parse("snr=15"))[0].is_beyond
    assert Limits.parse("") == Limits()
    assert Limits.parse("speed=100,clipping=1") == Limits(speed=100, clipping=1)


def test_what_wider_limits_allow_is_not_called_slight(population):
    case = [Side(1, [quality(snr=15.0)]), Side(1, [quality()])]
    (found,) = deviations(case, population, None, Limits(snr=20))
    assert found.is_allowed and not found.is_beyond and "(within the limits that were set)" in found.text
    (usual,) = deviations(case, population, None)
    assert usual.is_beyond and not usual.is_allowed
    five = Side(5, [quality()] * 5)
    assert all(one.is_allowed for one in deviations([five, five], population, None, Limits(recordings=4)))


def test_a_bandwidth_that_wider_limits_allow_is_told_and_what_coders_change_is_not(population):
    (found,) = deviations([Side(1, [quality(bandwidth=3500.0)])], population, None, Limits(bandwidth=5))
    assert found.is_allowed and not found.is_beyond
    assert found.text.startswith("A has a bandwidth of 3.5 kHz") and "(within the limits that were set)" in found.text
    assert deviations([Side(1, [quality(bandwidth=7600.0)])], population, None) == []


def test_a_call_gets_no_verdict_where_the_calibration_has_such_a_band_by_a_filter_alone(population):
    call, interview = (Side(1, [{"bandwidth": hertz}]) for hertz in (4_200.0, 4_300.0))

    def filtered(side, share, limits=None):
        of = {**population, "filtered": share, "measures": {}}
        return [one for one in deviations([side], of, None, limits) if one.measure == "filtered"]

    (found,) = filtered(call, 0.998)
    assert found.is_beyond and (found.value, found.high) == (0.998, 0.5)
    assert (
        "A has the band of a call, and 99 % of the calibration's recordings with such a band are copies" in found.text
    )
    (found,) = filtered(call, 1.0, Limits.parse("filtered=1"))
    assert found.is_allowed and not found.is_beyond and "and all of the" in found.text
    assert "no telephone (within the limits that were set)." in found.text
    assert not filtered(interview, 1.0) and not filtered(call, 0.5) and not filtered(call, 0.0)
    assert filtered(call, 0.2, Limits(filtered=0.1))[0].is_beyond
    assert not any(one.measure == "filtered" for one in deviations([call], {**population, "measures": {}}, None))
    with pytest.raises(ConfigError, match="filtered=2: expected shares of 1"):
        Limits.parse("filtered=2")


def test_copies_with_the_band_of_a_call_are_counted():
    conditions = [
        "band=telephone,snr=15,noise=pink",
        "codec=mulaw",
        "band=6000",
        "snr=15",
        "unchanged",
        None,
        "in a car",
    ]
    names = [str(number) for number in range(len(conditions))]
    corpus = datasets.Dataset.from_dict({"id": names, "speaker": names, "condition": conditions})

    def filtered(bands):
        found = {name: quality(bandwidth=hertz) for name, hertz in zip(names, bands, strict=True)}
        return describe_population(add_quality_column(corpus, found)).get("filtered")

    assert filtered([3_500.0] * 7) == pytest.approx(2 / 7)
    assert filtered([8_000.0, *[3_500.0] * 2, *[8_000.0] * 4]) == 0.5
    assert filtered([3_500.0, None, *[8_000.0] * 5]) == 1.0
    assert filtered([8_000.0] * 7) is None
    real = add_quality_column(corpus.remove_columns("condition"), {"0": quality(bandwidth=3_500.0)})
    assert "filtered" not in describe_population(real)


def test_narrower_limits_than_the_usual_ones_are_kept_too(calls_and_interviews):
    """In the calibration, the SNR of two sides differs by at most 1 dB."""
    case = [Side(1, [quality(bandwidth=7500.0, snr=snr)]) for snr in (26.0, 24.0)]

    def differing(limits=None):
        return [one for one in deviations(case, calls_and_interviews, None, limits) if one.side == "A and B"]

    assert differing() == [] == differing(Limits(snr_difference=1.1))
    (found,) = differing(Limits(snr_difference=0.9))
    assert found.measure == "snr_difference" and found.is_beyond and not found.is_allowed
    assert found.text.endswith("those of the two sides differ by at most 1 dB.")


def test_a_percentile_of_the_attributes_above_the_first_is_kept_too():
    """Of the reference recordings, 1 % are less probable than -99, and 5 % less than -90."""
    reference = {"log_probability": [-100.0, -99.0, -90, -80, -70, -60, -50, -40, -30]}
    case = [Side(1, (), -97.0)]  # two ninths of the way from 1 % to 5 %
    assert deviations(case, None, reference) == [] == deviations(case, None, reference, Limits(probability=1.8))
    (found,) = deviations(case, None, reference, Limits(probability=1.9))
    assert found.is_beyond and found.value == pytest.approx(1 + 4 * 2 / 9) and "those of 98.1 % of its" in found.text


@pytest.mark.parametrize(
    "text",
    ["snr", "snr=loud", "loudness=3", "snr=-1", "net_speech=0.5", "snr=nan", "speed=101", "room=200", "clipping=5"],
)
def test_bad_limits_are_refused(text):
    with pytest.raises(ConfigError, match="limits"):
        Limits.parse(text)


def test_improbable_attributes_are_named():
    rng = np.random.default_rng(0)
    activation = rng.beta(2, 2, 400)
    bits = rng.random((200, 400)) < activation
    dataset = datasets.Dataset.from_dict({"id": [str(n) for n in range(200)]})
    logs = log_probabilities(bits, activation, 50)
    reference = describe_population(dataset, log_probabilities=logs)
    usual, odd = float(np.median(logs)), float(log_probabilities(bits[:1] ^ True, activation, 50)[0])
    assert deviations([Side(1, (), usual), Side(1, (), usual)], None, reference) == []
    (found,) = deviations([Side(1, (), usual), Side(1, (), odd)], None, reference)
    assert found.is_beyond and "B's attributes are less probable" in found.text


@pytest.mark.parametrize(
    ("log_probability", "is_beyond", "than"),
    [
        (-100.1, True, "any reference recording's"),
        (-99.96, True, "those of 99.9 % of its recordings"),
        (-99.54, True, "those of 99.5 % of its recordings"),
        (-99.46, False, "those of 99.4 % of its recordings"),
    ],
)
def test_improbable_attributes_are_not_rounded_to_a_limit(log_probability, is_beyond, than):
    """100.0 % would be all recordings, and 99.5 % is where the limit is."""
    reference = {"log_probability": [-100.0, -99.0, -90, -80, -70, -60, -50, -40, -30]}
    (found,) = deviations([Side(1, (), log_probability)], None, reference)
    assert found.is_beyond == is_beyond and than in found.text


def test_log_probability_is_that_of_independent_attributes():
    activation = np.array([0.0, 0.25, 1.0])
    rates = (activation * 4 + 0.5) / 5
    expected = np.log(rates[0]) + np.log(1 - rates[1]) + np.log(rates[2])
    assert log_probabilities(np.array([[True, False, True]]), activation, 4)[0] == pytest.approx(expected)


def test_what_was_not_measured_is_not_compared(population):
    assert deviations([Side(1), Side(1)], population, None) == []
    unmeasured = describe_population(datasets.Dataset.from_dict({"id": ["a", "b"]}))
    assert unmeasured["measures"] == {} and "was not measured" in describe_in_words(unmeasured)
    assert deviations([Side(1, [quality(snr=0.0)])] * 2, unmeasured, None) == []


def test_trials_within_one_session_are_counted_and_told():
    speakers, sessions = list("aaabbb"), ["1", "1", "2", "1", "1", None]
    names = [f"r{number}" for number in range(6)]
    corpus = datasets.Dataset.from_dict({"id": names, "speaker": speakers, "session": sessions})
    sides = [*([name] for name in names), ["r0", "r1"], ["r1", "r2"]]

    def told(*pairs):
        population = describe_population(corpus, sides, trials=tuple(np.array(pairs).T))
        return population["sessions"], describe_sessions(population)

    counted, sentence = told(
        (0, 1), (0, 3), (3, 4), (4, 5)
    )  # different speakers, and an unknown session, do not count
    assert counted == {"same_speaker": 2, "within_one": 2}
    assert sentence == "All 2 same-speaker trials compare recordings of one session"
    assert told((0, 1), (0, 2), (1, 2))[1] is None  # a third
    assert told((0, 1), (3, 4), (6, 1), (6, 2))[1].startswith("3 of the 4 same-speaker trials")
    assert told((6, 2), (7, 0))[0] == {"same_speaker": 2, "within_one": 1}  # one recording of side 7 is of session 1
    without = describe_population(corpus.remove_columns("session"), sides, trials=(np.array([0]), np.array([1])))
    assert "sessions" not in without and describe_sessions(without) is None and describe_sessions(None) is None


def test_different_speakers_whose_recordings_are_unlike_are_counted_and_told():
    names = list("abcdef")
    columns = {"sex": ["m", "m", "f", "f", None, "m"], "language": ["en"] * 6}
    corpus = datasets.Dataset.from_dict({"id": names, "speaker": list("uuvwxy"), **columns})

    def told(*pairs):
        population = describe_population(corpus, [[name] for name in names], trials=tuple(np.array(pairs).T))
        unlike = population["unlike"]
        return unlike, describe_unlike(unlike["different_speaker"], unlike["columns"], " of the calibration")

    unlike, sentence = told((0, 1), (0, 2), (1, 3), (2, 3), (0, 4), (1, 5))  # one speaker, and an unknown sex
    assert unlike == {"different_speaker": 5, "columns": {"language": 0, "sex": 2}}
    assert sentence == "Of the 5 different-speaker trials of the calibration, the two sides differ in sex in 2 (40%)"
    assert told((0, 1), (0, 2), (0, 5), (1, 5))[1] is None  # a third


def test_a_room_beyond_those_of_the_calibration_gets_no_verdict_and_a_drier_one_does(caplog):
    names = [f"r{n}" for n in range(100)]
    dataset = datasets.Dataset.from_dict({"id": names, "speaker": [f"s{n // 10}" for n in range(100)]})
    known = {name: quality(decay=400 + 3 * n) for n, name in enumerate(names)}
    population = describe_population(add_quality_column(dataset, known), [[name] for name in names])
    (one,) = deviations([Side(1, [quality(decay=300.0)]), Side(1, [quality(decay=2000.0)])], population, None)
    assert (one.measure, one.is_beyond, one.low, one.high) == ("decay", True, pytest.approx(402.97), 697)
    expected = "A has 300 dB/s as the decay of its fastest sounds; 99 % of the calibration's recordings have at least"
    assert one.text == f"{expected} 403 dB/s."
    assert deviations([Side(1, [quality(decay=None)])], population, None) == []
    (near,) = deviations([Side(1, [quality(decay=395.0)])], population, None)
    assert not near.is_beyond
    (allowed,) = deviations([Side(1, [quality(decay=300.0)])], population, None, Limits.parse("decay=2"))
    assert allowed.is_allowed and not allowed.is_beyond
    mixed = {name: one if n % 3 else {**one, "decay": None} for n, (name, one) in enumerate(known.items())}
    partly = describe_population(add_quality_column(dataset, mixed), [[name] for name in names])
    assert "decay" not in partly["measures"] and "known of 66 of 100 recordings" in caplog.text
    del population["measures"]["decay"]  # as of a calibration of an earlier version
    assert deviations([Side(1, [quality(decay=1.0)])], population, None) == []
