"""People who speak at the same time, and speech at another speed, as explanations tell of them."""

import json

import numpy as np
import pytest

from balr_hf.domain import Deviation, Limits
from balr_hf.explanation import wording
from balr_hf.explanation.heard import NEEDED, OVERLAPPED, ROOM, SPEED, Heard, describe_heard, shown

WIDTH = 12


def explained(scorer, *percentiles: float, limits: Limits | None = None, **options):
    """A comparison of A, of which each recording has one of these percentiles, and B, which has 60 %."""
    counts = np.full((WIDTH, 2), len(percentiles) / 2)
    a = tuple(Heard.of(OVERLAPPED, [percentile], limits) for percentile in percentiles)
    heard = {"overlapped": (a, (Heard.of(OVERLAPPED, [60.0], limits),))}
    return scorer.explain(counts, counts, heard=heard, limits=limits, **options)


def overlapping(found) -> list[str]:
    return [text for text in found.cautions if "same time" in text]


def test_a_recording_that_sounds_like_two_voices_gets_no_verdict(scorer):
    found = explained(scorer, 0.4)
    assert found.verdict is None
    assert found.no_verdict == ["overlapped"]
    assert found.describe_verdict() == OVERLAPPED.headline
    (caution,) = overlapping(found)
    assert caution.startswith(f"{wording.WHY} A may hold people who speak at the same time")
    assert "of recordings of one voice, 0.4 % sound as much like two voices at once." in caution
    for report in (found.to_text(), found.to_html()):
        assert OVERLAPPED.headline in report
        assert "0.4 %" in report


def test_one_that_may_keeps_its_verdict_and_is_told_of(scorer):
    found = explained(scorer, 60.0, 3.0)
    assert found.no_verdict == []
    (caution,) = overlapping(found)
    assert caution.startswith("Recording 2 of A may hold")


def test_one_like_others_is_not_told_of(scorer):
    found = explained(scorer, 42.0)
    assert overlapping(found) == []
    row = dict(found.describe_method())["One voice at a time"]
    assert row == "A: 42 %; B: 60 % of recordings of one voice sound as much like two voices at once"


def test_limits_that_let_it_pass_are_told_and_stricter_ones_hold(scorer):
    wide = explained(scorer, 0.4, limits=Limits.parse("overlapped=0.1"))
    assert wide.no_verdict == [] and wide.cautions[0] == wording.WIDER and len(overlapping(wide)) == 1
    strict = explained(scorer, 8.0, limits=Limits.parse("overlapped=10"))
    assert strict.no_verdict == ["overlapped"] and len(overlapping(strict)) == 1


def test_limits_that_alone_prevent_a_verdict_are_told(scorer):
    strict = explained(scorer, 8.0, limits=Limits.parse("overlapped=10"))
    assert strict.cautions[0] == wording.NARROWER
    assert dict(strict.describe_method())["Limits"] == "set for this comparison: overlapped 10 (default 1)"
    assert strict.to_dict()["limits"]["overlapped"] == 10
    # With the defaults there is no verdict either; there is one; there is none by the defaults.
    for percentile, limits in ((0.4, "overlapped=10"), (8.0, "overlapped=5"), (0.4, "")):
        found = explained(scorer, percentile, limits=Limits.parse(limits))
        assert wording.NARROWER not in found.cautions
    assert "Limits" not in dict(found.describe_method())
    assert explained(scorer, 8.0, limits=Limits.parse("snr=inf")).to_dict()["limits"]["snr"] is None


def test_what_was_not_looked_at_is_said(scorer):
    counts = np.ones((WIDTH, 2))
    parts = ((None,), (None,))
    found = scorer.explain(counts, counts, voices=parts)
    assert dict(found.describe_method())["One voice at a time"] == f"not looked at: {NEEDED}"
    assert overlapping(found) == [
        "Whether in recordings of A and of B people speak at the same time, speech is played at another speed or a "
        f"voice comes from a reverberant room was not looked at: {NEEDED}."
    ]
    one = scorer.explain(counts, counts, voices=parts, heard={"overlapped": ((), (Heard.of(OVERLAPPED, [50.0]),))})
    assert overlapping(one)[0].startswith("Whether in recordings of A people speak at the same time was not")
    heard = {"speed": ((), ()), "overlapped": ((), ()), "room": ((Heard.of(ROOM, [50.0]),), (Heard.of(ROOM, [50.0]),))}
    two = scorer.explain(counts, counts, voices=parts, heard=heard)
    assert "people speak at the same time or speech is played at another speed" in " ".join(overlapping(two))
    assert "A: not looked at" in describe_heard(one.heard, OVERLAPPED)
    assert overlapping(scorer.explain(counts, counts)) == []  # it is said that no second voice was looked for


def test_it_is_in_the_headline_beside_other_reasons(scorer):
    found = explained(scorer, 0.4)
    found.deviations = (Deviation("A", "snr", "calibration", 1.0, 2.0, 3.0, True, "too noisy"),)
    assert found.no_verdict == ["outside", "overlapped"]
    assert found.describe_verdict() == f"{wording.NO_VERDICT}, {wording.AND_VOICES}"


def test_it_is_told_without_a_calibration_too(scorer):
    found = explained(scorer, 0.4, calibrated=False)
    assert found.no_verdict == ["uncalibrated", "overlapped"]
    assert len(overlapping(found)) == 1


def test_what_was_found_is_json(scorer):
    found = json.loads(json.dumps(explained(scorer, 0.4).to_dict()))["overlapped"]
    assert found["a"] == [{"percentile": 0.4, "way": "overlapped", "is_beyond": True, "is_allowed": False}]
    assert found["b"][0]["is_beyond"] is False


def test_speech_at_another_speed_gets_no_verdict_and_is_said_to_be_faster_or_slower(scorer):
    counts = np.ones((WIDTH, 2))
    fast, slow, usual = (Heard.of(SPEED, pair) for pair in ([0.2, 90.0], [80.0, 1.4], [40.0, 70.0]))
    assert (fast.percentile, slow.percentile, usual.percentile) == (0.4, 2.8, 80.0)
    assert Heard.of(SPEED, [60.0, 70.0]).percentile == 100
    found = scorer.explain(counts, counts, heard={"speed": ((fast,), (slow,)), "overlapped": ((), ())})
    assert found.no_verdict == ["speed"] and found.describe_verdict() == SPEED.headline
    told = [text for text in found.cautions if "was spoken" in text]
    assert told[0].startswith(f"{wording.WHY} A may play speech faster than it was spoken")
    assert told[1].startswith("B may play speech slower than it was spoken") and "2.8 % sound as much like" in told[1]
    assert dict(found.describe_method())["Speed"].startswith("A: 0.4 %; B: 2.8 % of recordings at the speed of the")
    assert found.to_dict()["speed"]["a"][0]["way"] == "faster"
    assert not scorer.explain(counts, counts, heard={"speed": ((usual,), (usual,))}).no_verdict
    wide = Heard.of(SPEED, [0.2, 90.0], Limits.parse("speed=0.3"))
    assert wide.is_allowed and not wide.is_beyond


def test_a_reverberant_room_gets_no_verdict(scorer):
    counts = np.ones((WIDTH, 2))
    far, near = Heard.of(ROOM, [0.4]), Heard.of(ROOM, [40.0])
    found = scorer.explain(counts, counts, heard={"room": ((far,), (near,))})
    assert found.no_verdict == ["room"] and found.describe_verdict() == ROOM.headline
    told = (
        "A may come from a reverberant room, or from far away from a microphone: of usual recordings, 0.4 % sound as"
    )
    assert any(told in text for text in found.cautions)
    assert dict(found.describe_method())["Room"] == "A: 0.4 %; B: 40 % of usual recordings sound as reverberant"
    assert found.to_dict()["room"]["a"][0]["way"] == "reverberant"


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [
        (0.0, "0 %"),
        (0.0999, "0.1 %"),
        (0.999, "0.999 %"),
        (1.0, "1 %"),
        (4.97, "4.97 %"),
        (9.99, "9.99 %"),
        (0.99996, "0.99996 %"),
        (4.42, "4.4 %"),
        (59.6, "60 %"),
    ],
)
def test_small_percentiles_are_not_rounded_up_to_a_limit(percentile, expected):
    assert shown(percentile) == expected
