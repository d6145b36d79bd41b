"""Whether a recording holds one voice, by what the scorer says of its two parts."""

import json

import numpy as np
import pytest

from balr_hf.domain import Deviation, Limits
from balr_hf.explanation import voices, wording
from balr_hf.explanation.voices import (
    NEEDED,
    OneVoice,
    Parts,
    can_compare_parts,
    compare_parts,
    shortest_part,
    unlike_recordings,
)

WIDTH = 12
QUALITY = {"duration": 7.0, "net_speech": 6.0, "level": -26.0, "peak": -6.0, "snr": 30.0, "snr_method": "pauses"}
QUALITY |= {"bandwidth": 7600.0, "clipping": 0.0, "tone": None, "tone_share": 0.0, "dc_offset": 0.0}
QUALITY |= {"sampling_rate": 16_000}


def parts(alike: bool) -> Parts:
    bits = np.arange(WIDTH) % 2 == 0
    return Parts(np.stack([bits, bits if alike else ~bits]), (12.0, 8.0), ((62.5, 70.5), (80.0, 80.0)))


def explained(scorer, alike: bool, limits: Limits | None = None, **options):
    bits = np.arange(WIDTH) % 2 == 0
    counts = np.stack([bits, ~bits], -1).astype(np.float64)
    quality = ((QUALITY,), (QUALITY,))
    compared = (compare_parts(scorer, parts(alike), QUALITY, limits),), (None,)
    return scorer.explain(counts, counts, quality=quality, voices=compared, limits=limits, **options)


def wide(voices: float) -> Limits:
    """Limits that nothing but voices goes beyond."""
    return Limits(1e9, 1e9, 1e9, 1e9, 1e9, 0.0, 1e9, voices)


def test_parts_are_compared_as_two_recordings_are(scorer):
    found = compare_parts(scorer, parts(alike=False), QUALITY)
    bits = parts(alike=False).bits.astype(np.float64)
    counts = np.stack([bits, 1 - bits], -1)
    assert found.llr == pytest.approx(scorer.score(counts[:1], counts[1:], calibrated=True).item(), rel=1e-12)
    assert found.llr < -np.log(2)
    assert found.is_doubtful and found.is_beyond and not found.is_allowed


def test_a_recording_of_unlike_parts_gets_no_verdict_and_says_where(scorer):
    found = explained(scorer, alike=False, limits=wide(2))
    assert found.verdict is None
    assert found.describe_verdict() == wording.NO_VERDICT_VOICES
    (caution,) = [text for text in found.cautions if "more than one voice" in text]
    expected = f"{wording.WHY} A may hold more than one voice, or one under changing conditions: its two parts"
    assert caution.startswith(expected)
    assert "(12 s, and 8 s at 1:02.5 to 1:10.5, 1:20.0 to 1:20.0)" in caution
    assert dict(found.describe_method())["One voice"].endswith("(12 s, 8 s); B: too short to be told")
    assert wording.NO_VERDICT_VOICES in found.to_text()
    assert wording.NO_VERDICT_VOICES in found.to_html()


def test_a_recording_of_like_parts_keeps_its_verdict(scorer):
    found = explained(scorer, alike=True, limits=wide(2))
    assert found.verdict is not None
    assert not [text for text in found.cautions if "more than one voice" in text]
    assert "A: LR " in dict(found.describe_method())["One voice"]


def test_limits_that_let_it_pass_are_told(scorer):
    found = explained(scorer, alike=False, limits=wide(1e9))
    assert found.verdict is not None
    assert found.cautions[0] == wording.WIDER
    assert any("more than one voice" in text for text in found.cautions)


def test_what_was_not_looked_at_is_said(scorer):
    counts = np.ones((WIDTH, 2))
    found = scorer.explain(counts, counts)
    assert dict(found.describe_method())["One voice"] == f"not looked at: {NEEDED}"
    assert f"Whether each recording of A and of B holds one voice was not looked at: {NEEDED}." in found.cautions
    one_side = scorer.explain(counts, counts, quality=((QUALITY,), (QUALITY,)), voices=((), (None,)))
    (caution, _) = [text for text in one_side.cautions if "not looked at" in text]
    assert caution.startswith("Whether each recording of A holds one voice")
    assert found.to_dict()["voices"] == {"a": [], "b": []}


def test_without_a_calibration_nothing_is_compared(scorer):
    found = explained(scorer, alike=False, calibrated=False)
    assert found.voices == ((), ())
    assert "One voice" not in dict(found.describe_method())


def test_a_calibration_with_several_recordings_a_side_cannot_tell(scorer):
    assert can_compare_parts(scorer)
    before = scorer.config.calibration
    try:
        for sides, compared in (([3, 3], [[3, 3]]), ([1, 3], [[1, 3]])):
            domain = {"recordings_a_side": sides, "recordings_compared": compared, "measures": {}}
            scorer.config.calibration = before | {"domain": domain}
            assert not can_compare_parts(scorer)
        scorer.config.calibration = before | {"domain": domain | {"recordings_compared": [[1, 1], [1, 3]]}}
        assert can_compare_parts(scorer)
    finally:
        scorer.config.calibration = before


def test_a_part_needs_the_speech_of_the_calibrations_recordings(scorer):
    assert shortest_part(scorer, QUALITY, 8.5) == 0
    before, quantiles = scorer.config.calibration, [4.0, 5.0, 6.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0]
    try:
        scorer.config.calibration = before | {"domain": {"measures": {"net_speech": quantiles}}}
        assert shortest_part(scorer, QUALITY, 12.0) == 10.0  # half of what is heard is speech
        assert shortest_part(scorer, QUALITY, 6.0) == 5.0
    finally:
        scorer.config.calibration = before


def test_what_was_found_is_json(scorer):
    found = json.loads(json.dumps(explained(scorer, alike=False).to_dict()))["voices"]
    assert found["b"] == [None]
    (one,) = found["a"]
    assert one["seconds"] == [12.0, 8.0] and one["stretches"][0] == [62.5, 70.5]
    assert one["is_beyond"] is True


def test_one_of_several_recordings_is_named_by_its_number():
    one = OneVoice(-1.0, (9.0, 3.0), ((0.0, 1.0),) * 5, True, False)
    assert "Recording 2 of A may hold" in one.describe("Recording 2 of A")
    assert one.describe("A").count("0:00.0 to 0:01.0") == 3
    assert " and more)" in one.describe("A")


def test_no_more_is_said_than_the_bounds_vouch_for(scorer):
    unlike = OneVoice(-9.0, (9.0, 4.0), ((0.0, 1.0),), True, False, bounds=(-3.0, 2.0))
    assert unlike.llr == -9.0 and unlike.reported == -3.0
    assert "are at least 20 times more probable if different people speak" in unlike.describe("A")
    alike = OneVoice(5.0, (9.0, 4.0), (), False, False, bounds=(-3.0, 2.0))
    assert f"LR 7.3 ({wording.HELD})" in voices.describe_voices(((alike,), (None,)))
    within = OneVoice(-1.0, (9.0, 4.0), ((0.0, 1.0),), True, False, bounds=(-3.0, 2.0))
    assert "at least" not in within.describe("A") and wording.HELD not in voices.describe_voices(
        ((within,), (within,))
    )
    assert compare_parts(scorer, parts(alike=False), QUALITY).bounds == scorer.bounds


def test_parts_are_said_to_be_compared_by_another_calibration_than_the_one_matched_to_a_case(scorer):
    found = explained(scorer, alike=True)
    assert voices.OWN_CALIBRATION not in dict(found.describe_method())["One voice"]
    found.calibration = {**found.calibration, "matched": ["duration=3", "duration=3"]}
    assert f"; {voices.OWN_CALIBRATION}" in dict(found.describe_method())["One voice"]
    assert voices.OWN_CALIBRATION not in voices.describe_voices(((None,), (None,)), matched=True)
    found.calibration["saved_for"] = []  # which then is the scorer's own
    assert voices.OWN_CALIBRATION not in dict(found.describe_method())["One voice"]


def test_a_second_voice_is_in_the_headline_beside_other_reasons(scorer):
    found = explained(scorer, alike=False, limits=wide(2))
    found.deviations = (Deviation("A", "snr", "calibration", 1.0, 2.0, 3.0, True, "too noisy"),)
    assert found.no_verdict == ["outside", "voices"]
    assert found.describe_verdict() == f"{wording.NO_VERDICT}, {wording.AND_VOICES}"


def test_a_calibration_within_one_session_is_told(scorer):
    counts = np.ones((WIDTH, 2))
    before = scorer.config.calibration
    try:
        domain = {"sessions": {"same_speaker": 10, "within_one": 10}, "measures": {}, "recordings_a_side": [1, 1]}
        scorer.config.calibration = before | {"domain": domain | {"recordings": 20, "speakers": 5}}
        (told,) = [text for text in scorer.explain(counts, counts).cautions if "session" in text]
    finally:
        scorer.config.calibration = before
    expected = "All 10 same-speaker trials of the calibration compare recordings of one session."
    assert told == f"{expected} {wording.OTHER_SESSIONS}"


def test_a_calibration_whose_different_speakers_are_easy_to_tell_apart_is_told(scorer):
    def told(sex):
        unlike = {"different_speaker": 100, "columns": {"language": 0, "sex": sex}}
        domain = {"unlike": unlike, "measures": {}, "recordings_a_side": [1, 1], "recordings": 20, "speakers": 5}
        scorer.config.calibration = before | {"domain": domain}
        return [text for text in scorer.explain(counts, counts).cautions if wording.EASIER in text]

    counts, before = np.ones((WIDTH, 2)), scorer.config.calibration
    try:
        few, (many,) = told(30), told(44)
    finally:
        scorer.config.calibration = before
    expected = "Of the 100 different-speaker trials of the calibration, the two sides differ in sex in 44 (44%)."
    assert few == [] and many == f"{expected} {wording.EASIER}"


def test_recordings_too_short_to_be_searched_are_told(scorer):
    def told(*sides):
        quality = tuple((QUALITY,) * len(side) for side in sides)
        cautions = scorer.explain(np.ones((WIDTH, 2)), np.ones((WIDTH, 2)), quality=quality, voices=sides).cautions
        return [text for text in cautions if "second voice" in text]

    alike = compare_parts(scorer, parts(alike=True), QUALITY)
    assert told((None,), (None,)) == [
        "A and B are too short to be searched for a second voice before or after the first: listen to them."
    ]
    assert told((alike,), (None,)) == [
        "B is too short to be searched for a second voice before or after the first: listen to it."
    ]
    (several,) = told((None, alike, None), (None,))
    assert several.startswith("Recording 1 of A, recording 3 of A and B are too short")
    assert told((alike,), (alike,)) == []


def test_the_limit_is_a_factor():
    from balr_hf.errors import ConfigError

    assert Limits.parse("voices=10").voices == 10
    with pytest.raises(ConfigError, match="for net_speech, voices and decay a factor of at least 1"):
        Limits.parse("voices=0.5")


def test_a_long_recording_that_was_not_looked_at_is_told(scorer):
    long = QUALITY | {"net_speech": 20.0}
    found = scorer.explain(
        np.ones((WIDTH, 2)), np.ones((WIDTH, 2)), quality=((long,), (QUALITY,)), voices=((None,), (None,))
    )
    (told, _) = [text for text in found.cautions if "not looked at" in text]
    assert told.startswith("Whether A holds one voice was not looked at")


def test_without_bounds_there_is_no_verdict(scorer):
    counts = np.stack([np.arange(WIDTH) % 2, 1 - np.arange(WIDTH) % 2], -1).astype(np.float64)
    found = scorer.explain(counts, counts)
    assert found.no_verdict == []
    found.bounds = None
    assert found.no_verdict == ["bounds"] and found.verdict is None
    assert found.describe_verdict() == wording.NO_VERDICT_BOUNDS
    assert found.describe_interval() is None


def test_recordings_of_a_side_that_are_unlike_are_named(scorer):
    bits = parts(alike=False).bits.astype(np.float64)[[0, 0, 1]]
    counts, quality = np.stack([bits, 1 - bits], -1), [QUALITY] * 3
    (told,) = unlike_recordings(scorer, "B", counts, quality)
    assert told.startswith("Recording 1 and recording 3 of B, of 3 those least alike, may be of different speakers")
    assert told.endswith("The likelihood ratio takes all recordings of a side for those of one speaker.")
    assert unlike_recordings(scorer, "B", counts[:2], quality[:2]) == ()
    assert unlike_recordings(scorer, "B", counts[2:], quality[2:]) == ()
    assert unlike_recordings(scorer, "B", counts, quality, Limits(voices=1e9)) == ()
    assert unlike_recordings(scorer, "B", counts, quality[:2]) == ()  # not all of them were measured


def test_many_recordings_of_a_side_are_compared_with_all_others_a_few_pairs_at_once(scorer, monkeypatch):
    bits = parts(alike=False).bits.astype(np.float64)[[0, 0, 0, 1]]
    counts, quality = np.stack([bits, 1 - bits], -1), [QUALITY] * 4
    (told,) = unlike_recordings(scorer, "B", counts, quality)
    assert told.startswith(
        "Recording 1 and recording 4 of B, of 4 those least alike,"
    )  # the first of three such pairs
    for at_once in (1, 2, 4):
        monkeypatch.setattr("balr_hf.explanation.voices.PAIRS_AT_ONCE", at_once)
        assert unlike_recordings(scorer, "B", counts, quality) == (told,)
