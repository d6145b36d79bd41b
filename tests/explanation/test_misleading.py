"""How many trials of a calibration had a likelihood ratio like that of a case, by percentiles of them."""

import math

import numpy as np
import pytest

from balr_hf.explanation.misleading import misleading_trials
from balr_hf.scoring.calibration import validated


def calibration_of(same, different, speakers=58):
    """The record of a calibration whose trials had these cross-validated LLRs."""
    labels = np.repeat([True, False], [len(same), len(different)])
    return {
        "num_speakers": speakers,
        "num_same_speaker": len(same),
        "num_different_speaker": len(different),
        "validation": validated(np.concatenate([same, different]), labels),
    }


@pytest.mark.parametrize("trials", [3, 20, 101, 733, 20_000])
def test_the_true_number_is_within_its_bounds_which_are_narrow(trials):
    rng = np.random.default_rng(trials)
    same, different = rng.normal(3, 3, 50), rng.normal(-3, 3, trials)
    known, mirrored = calibration_of(same, different), calibration_of(-different, -same)
    for number in (1.1, 1.5, 2, 7.3, 10, 170, 2_000):
        true = int((different >= math.log(number)).sum())
        found = misleading_trials(math.log(number), known)
        assert found.least <= true <= found.most and found.most - found.least <= trials / 100 + 2
        assert (found.kind, found.trials, found.speakers) == ("different-speaker", trials, 58)
        other = misleading_trials(-math.log(number), mirrored)
        assert (other.least, other.most, other.kind) == (found.least, found.most, "same-speaker")
        assert other.llr == -found.llr


def test_the_speakers_are_those_of_the_trials_that_are_counted():
    known = calibration_of(np.ones(9), -np.ones(9)) | {"num_same_speaker_speakers": 5}
    assert misleading_trials(-0.5, known).speakers == 5 and misleading_trials(0.5, known).speakers == 58


def test_the_count_begins_at_the_printed_number():
    known = calibration_of(np.ones(9), np.log([0.5, 1.95, 1.97, 3.0]))
    found = misleading_trials(math.log(1.96), known)
    assert (found.least, found.most) == (3, 3) and found.llr == pytest.approx(math.log(1.9))
    assert ", cross-validated, 3 (75.0 %) had an LR of 1.9 or more, before bounds. " in found.describe()


def test_what_percentiles_can_tell_is_said():
    different = np.log(np.arange(1, 1_001) / 100)  # LRs of 0.01 to 10
    known = calibration_of(np.log([0.2, 0.3, 50.0, 60.0]), different)
    told = {llr: misleading_trials(math.log(llr), known).describe() for llr in (5, 10, 11, 0.25, 0.1)}
    assert told[5].startswith(
        "of the 1,000 different-speaker trials of the calibration (58 speakers), cross-validated, "
    )
    assert ", 500 to 510 (50.0 to 51.0 %) had an LR of 5.0 or more, before bounds. " in told[5]
    assert ", at most 10 (1.0 %) had an LR of 10 or more, before bounds. " in told[10]
    assert ", none had an LR of 11 or more, before bounds. " in told[11]
    assert (
        " 4 same-speaker trials of" in told[0.25] and ", 1 (25.0 %) had an LR of 1/4.0 or less, before" in told[0.25]
    )
    assert ", none had an LR of 1/10 or less, " in told[0.1]
    assert all("no probability of an error in this case" in text for text in told.values())


def test_a_share_of_nearly_none_is_no_end_of_a_range():
    known = calibration_of(np.ones(9), np.concatenate([np.full(19_999, -1.0), [3.0]]))
    assert ", cross-validated, 1 to 200 (at most 1.0 %) had" in misleading_trials(1.0, known).describe()


def test_shares_are_rounded_outwards():
    known = calibration_of(np.ones(9), np.log(np.arange(1, 1_601) / 160))
    told = misleading_trials(math.log(10), known).describe()
    assert ", at most 16 (1.0 %) had" in told
    known = calibration_of(np.ones(9), np.log(np.arange(1, 1_600) / 160))  # 16 of 1,599 are 1.0006 %
    assert ", 1 to 16 (at most 1.1 %) had" in misleading_trials(math.log(9.9), known).describe()


def test_nothing_is_counted_at_one_or_without_a_validation():
    known = calibration_of(np.ones(9), -np.ones(9))
    assert misleading_trials(0.01, known) is None and misleading_trials(-0.01, known) is None
    assert misleading_trials(3.0, {**known, "validation": None}) is None
    assert misleading_trials(3.0, {**known, "num_speakers": 0}).speakers is None
