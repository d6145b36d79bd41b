"""One trial taken apart: figures, words, and the page."""

import html
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from balr_hf.domain import Deviation
from balr_hf.explanation import verbal_scale, wording
from balr_hf.scoring.auto import build_scorer

WIDTH = 12
SAME, DIFFERENT = "of the same speaker", "of different speakers"
EVIL = "<script>alert(1)</script>"

# What the calibrations say of their recordings, in which nothing was measured.
DOMAIN = {"recordings": 400, "speakers": 40, "recordings_a_side": [1, 99], "measures": {}, "counts": {}}


def counts_of(rng, speakers, recordings, sides=1):
    """A side's counts of each speaker; the last attribute is never active."""
    likely = rng.beta(0.6, 0.8, (speakers, WIDTH)) * (np.arange(WIDTH) < WIDTH - 1)
    active = rng.binomial(recordings, likely, (sides, speakers, WIDTH)).astype(np.float64)
    return np.stack([active, recordings - active], -1)


def build(name, method=None, speakers=40):
    rng = np.random.default_rng(0)
    brief = {} if name == "cosine" else {"n_iterations": 20}
    scorer = build_scorer(name, num_attributes=WIDTH, **brief).fit(counts_of(rng, 40, 8)[0])
    if method:
        enroll, test = counts_of(rng, speakers, 5, 2)
        left, right = np.divmod(np.arange(speakers**2), speakers)
        names = [np.char.add("s", side.astype(str)) for side in (left, right)]
        scorer.calibrate(
            enroll[left], test[right], left == right, method, *names, penalty=1e-2 if method == "fusion" else None
        )
        scorer.config.calibration["domain"] = DOMAIN
    return scorer


@pytest.fixture(scope="module", params=[("beta", "affine"), ("maxllr", "fusion"), ("cosine", "affine")], ids="-".join)
def scorer(request):
    return build(*request.param)


@pytest.fixture(scope="module")
def sides():
    return counts_of(np.random.default_rng(1), 6, 5, 2)


@pytest.fixture(scope="module")
def explained(sides):
    return build("beta", "affine").explain(sides[0, 0], sides[1, 0], names=("call 1", "call 2"))


def with_llr(explanation, llr):
    """The explanation of a trial with this LLR, which the calibration vouches for."""
    terms = explanation.terms.copy()
    terms[0] += llr - explanation.unbounded_llr
    return replace(explanation, terms=terms, bounds=(-100.0, 100.0))


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("trial", range(4))
def test_terms_and_offset_add_up_to_the_llr(scorer, sides, trial, calibrated):
    enroll, test = sides[0, 0], sides[1, trial]
    explanation = scorer.explain(enroll, test, calibrated=calibrated)
    score = scorer.score(enroll[None], test[None], calibrated=calibrated).item()
    assert explanation.terms.sum() + (explanation.offset or 0) == pytest.approx(score, rel=1e-10)
    assert explanation.unbounded_llr == pytest.approx(score, rel=1e-10)
    reported = float(np.clip(score, *scorer.bounds)) if calibrated else score
    assert explanation.llr == pytest.approx(reported, rel=1e-10)
    assert explanation.log10_llr == pytest.approx(reported / math.log(10), rel=1e-10)
    assert explanation.raw_llr == pytest.approx(scorer.score(enroll[None], test[None]).item(), rel=1e-10)
    assert explanation.sum_for + explanation.sum_against == pytest.approx(explanation.terms.sum(), rel=1e-9)
    assert explanation.sum_for >= 0 >= explanation.sum_against
    assert (explanation.offset is None) is not calibrated


@pytest.mark.parametrize("calibrated", [True, False])
def test_json_adds_up_to_the_llr_and_holds_all_attributes(scorer, sides, calibrated):
    enroll, test = sides[0, 0], sides[1, 1]
    explanation = scorer.explain(enroll, test, names=("x", "y"), speakers=("one", None), calibrated=calibrated)
    data = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert sorted(entry["attribute"] for entry in data["attributes"]) == list(range(WIDTH))
    whole = data["unbounded_llr"]
    assert sum(e["llr"] for e in data["attributes"]) + (data["offset"] or 0) == pytest.approx(whole, abs=1e-9)
    assert data["sum_for"] + data["sum_against"] + (data["offset"] or 0) == pytest.approx(whole, abs=1e-9)
    assert whole == pytest.approx(scorer.score(enroll[None], test[None], calibrated).item(), abs=1e-9)
    assert (data["bounds"] is not None) is (data["interval"] is not None) is calibrated
    assert data["calibrated"] is calibrated
    assert data["calibration"] == (scorer.config.calibration if calibrated else None)
    assert (data["verbal"] is not None) is (data["verbal_scale"] is not None) is calibrated
    assert (data["a"], data["b"]) == ({"name": "x", "speaker": "one"}, {"name": "y", "speaker": None})
    for entry in data["attributes"]:
        assert entry["a"] == [enroll[entry["attribute"], 0], 5]
        assert entry["b"] == [test[entry["attribute"], 0], 5]


def test_calibrated_scorers_explain_calibrated_scores_unless_told_otherwise(sides):
    assert build("beta", "affine").explain(sides[0, 0], sides[1, 0]).is_calibrated
    assert not build("beta").explain(sides[0, 0], sides[1, 0]).is_calibrated


def test_raw_explanation_says_so_and_gives_no_verdict(sides):
    explanation = build("beta").explain(sides[0, 0], sides[1, 0])
    text, page = explanation.to_text(), explanation.to_html()
    assert explanation.verdict is None
    assert "NOT CALIBRATED" in text
    assert "overconfident: it is not a likelihood ratio" in explanation.cautions[0]
    for shown in (text, page):
        assert "ot calibrated" in shown
        assert "ENFSI" not in shown
        assert "times more probable" not in shown
        assert not any(words in shown for _, words in verbal_scale.SCALE)


def test_uncalibrated_cosine_is_called_a_similarity(sides):
    explanation = build("cosine").explain(sides[0, 0], sides[0, 0])
    assert "This is a similarity, not a likelihood ratio" in explanation.cautions[0]
    assert not explanation.is_llr
    assert f"Similarity {explanation.llr:+.4f}" in explanation.to_text()
    assert "LLR" not in explanation.to_text()
    assert "ln LR" not in explanation.to_text()
    assert "ln LR" not in explanation.to_html()
    assert f"Similarity {explanation.llr:+.4f}" in explanation.to_html()


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1, "no support"),
        (1.9, "no support"),
        (2, "weak support"),
        (9.99, "weak support"),
        (10, "moderate support"),
        (99.9, "moderate support"),
        (100, "moderately strong support"),
        (999, "moderately strong support"),
        (1000, "strong support"),
        (9999, "strong support"),
        (10_000, "very strong support"),
        (999_999, "very strong support"),
        (1e6, "extremely strong support"),
        (1e30, "extremely strong support"),
    ],
)
def test_verbal_scale_is_enfsis_and_mirrored(ratio, words):
    for llr, side in ((math.log(ratio), SAME), (-math.log(ratio), DIFFERENT)):
        verdict = verbal_scale.verdict(llr)
        if words == "no support":
            assert verdict == "no support for either proposition"
        else:
            other = DIFFERENT if side == SAME else SAME
            assert verdict == f"{words} for the proposition that the recordings are {side} rather than {other}"


@pytest.mark.parametrize(
    ("ratio", "printed", "words"),
    [
        (1.04, "1.0", "no support"),
        (1.967, "1.9", "no support"),
        (1.979, "1.9", "no support"),
        (2, "2.0", "weak support"),
        (9.966, "9.9", "weak support"),
        (10, "10", "moderate support"),
        (99.6, "99", "moderate support"),
        (100, "100", "moderately strong support"),
        (998, "990", "moderately strong support"),
        (1_000, "1,000", "strong support"),
        (2_049, "2,000", "strong support"),
        (9_999, "9,900", "strong support"),
        (999_999, "990,000", "very strong support"),
        (1_000_000, "1,000,000", "extremely strong support"),
        (9.99e8, "990,000,000", "extremely strong support"),
        (9.99e9, "10^9", "extremely strong support"),
        (1e300, "10^300", "extremely strong support"),
    ],
)
def test_the_printed_ratio_and_its_words_agree(explained, ratio, printed, words):
    for llr in (math.log(ratio), -math.log(ratio)):
        found = replace(with_llr(explained, llr), bounds=(-1000.0, 1000.0))
        shown = printed if llr > 0 or printed == "1.0" else f"1/{printed}"
        assert found.describe_figures()[0] == f"LR {shown}" and found.verdict.startswith(words)
        assert found.to_dict()["verbal"] == found.verdict and found.verdict[1:] in found.to_text()
        assert (found.direction == "neither") is (words == "no support")
        if printed == "1.0":
            assert found.describe_findings().startswith("The findings are about as probable if")
        else:
            assert f"The findings are {printed} times more probable" in found.describe_findings()
        logarithm = float(found.describe_figures()[2].split()[0])
        assert 10 ** abs(logarithm) <= ratio * (1 + 1e-9) and math.log10(ratio) - abs(logarithm) < 0.01 + 1e-9


def test_no_ratio_is_printed_that_its_words_do_not_fit():
    printed_least = [least for least, _ in verbal_scale.SCALE]
    for llr in np.random.default_rng(0).uniform(-16, 16, 2000):
        number = float(wording.rounded_times(llr).replace(",", ""))
        assert number <= math.exp(abs(llr)) < 1.1 * number
        assert verbal_scale.degree(llr) == sum(number >= least for least in printed_least) - 1


def test_the_scale_begins_each_range_with_the_number_that_gets_its_words():
    """LR 1,050,000 is printed as 1,000,000, which the range of extremely strong support must include."""
    for least, words in verbal_scale.SCALE:
        limits, support = verbal_scale.ranges()[verbal_scale.degree(math.log(1.05 * least))]
        assert support == words and limits.startswith(f"{least:,} ")


@pytest.mark.parametrize(("llr", "findings"), [(math.log(250), "LR 250"), (-math.log(250), "LR 1/250")])
def test_the_text_says_what_the_llr_means(explained, llr, findings):
    explanation = with_llr(explained, llr)
    text = explanation.to_text()
    same, different = (SAME, DIFFERENT) if llr > 0 else (DIFFERENT, SAME)
    assert findings in text
    assert f"{llr:+.2f} (ln)" in text
    assert f"{'+' if llr > 0 else '-'}2.39 (log10)" in text  # of 2.3979, which is rounded towards 0
    assert (
        f"Moderately strong support for the proposition that the recordings are {same} rather than {different}" in text
    )
    assert (
        f"The findings are 250 times more probable if the recordings are {same} than if they are {different}" in text
    )


def test_states_are_words_for_one_recording_and_counts_for_several(sides):
    counts = np.zeros((2, WIDTH, 2))
    counts[0], counts[1] = (3, 2), (0, 1)
    counts[1, 4] = (1, 0)
    explanation = build("beta").explain(*counts)
    states = {e.attribute: e.states for e in explanation.evidence()}
    assert states[0] == ("active in 3 of 5", "inactive")
    assert states[4] == ("active in 3 of 5", "active")
    assert "active in 3 of 5" in explanation.to_text(top=WIDTH)
    assert [what for _, what in explanation.describe_sides()] == ["5 recordings", "1 recording"]


@pytest.mark.parametrize("top", [0, 1, 3, WIDTH])
def test_strongest_come_first_and_on_their_side(explained, top):
    same, different = explained.strongest(top)
    terms = explained.terms
    assert [e.llr for e in same] == sorted(terms[terms > 0], reverse=True)[:top]
    assert [e.llr for e in different] == sorted(terms[terms < 0])[:top]
    assert all(e.llr == terms[e.attribute] for e in same + different)


def test_evidence_is_of_all_attributes_with_what_the_population_knows(explained):
    evidence = explained.evidence()
    assert np.all(np.diff([abs(e.llr) for e in evidence]) <= 0)
    assert sorted(e.attribute for e in evidence) == list(range(WIDTH))
    assert {e.attribute for e in evidence if not e.informative} == {WIDTH - 1}
    for e in evidence:
        assert e.typicality == explained.typicality[e.attribute]
        assert e.activation == explained.activation[e.attribute]


def test_uninformative_attributes_are_counted(explained):
    assert explained.num_uninformative == 1
    assert explained.to_dict()["num_uninformative"] == 1
    for shown in (explained.to_text(), explained.to_html()):
        assert f"{WIDTH}, of which 1 carries no evidence: its term is 0" in shown


def test_few_calibration_speakers_are_a_caution(sides):
    few = with_llr(build("beta", "affine", speakers=20).explain(sides[0, 0], sides[1, 0]), 0.5)
    many = with_llr(build("beta", "affine", speakers=40).explain(sides[0, 0], sides[1, 0]), 0.5)
    assert not any("speakers" in caution for caution in many.cautions)
    (caution,) = [caution for caution in few.cautions if "speakers" in caution]
    assert "of 20 speakers (that is few" in caution
    assert caution in few.to_text()
    assert caution in few.to_html()
    assert caution in few.to_dict()["cautions"]
    assert few.to_text().count("that is few") == few.to_html().count("that is few") == 1


@pytest.mark.parametrize("llr", [9.0, -9.0])
def test_a_ratio_beyond_its_bounds_is_the_bound(explained, llr):
    explanation = replace(with_llr(explained, llr), bounds=(-5.0, math.log(2000)))
    text, page = explanation.to_text(), html.unescape(explanation.to_html())
    assert explanation.unbounded_llr == pytest.approx(llr) and explanation.is_bounded
    assert explanation.llr == (math.log(2000) if llr > 0 else -5.0)
    for shown in (text, page):
        assert f"LR {'2,000' if llr > 0 else '1/140'} (held at the calibration's bound)" in shown
        assert "held within the calibration's bounds" in shown
        assert f"The findings are reported as {'2,000' if llr > 0 else '140'} times more probable" in shown
        assert "the calibration vouches for no more" in shown
        assert f"The attributes and the offset give an LR of {'8,100' if llr > 0 else '1/8,100'} before it" in shown
    assert explanation.sums()[-2] == ("sum", f"{llr:+.2f}")
    data = explanation.to_dict()
    assert data["unbounded_llr"] == pytest.approx(llr) and data["llr"] == explanation.llr
    assert not any("give an LR of" in caution for caution in with_llr(explained, llr).cautions)
    assert "95 % interval of the LR, before it is bounded:" in explanation.describe_interval()


def test_programs_get_no_ratio_where_there_is_no_verdict(explained):
    stated = explained.to_dict()
    assert stated["llr"] == stated["calibrated_llr"] == explained.llr and stated["withheld_llr"] is None
    withheld = replace(explained, copies=("recording 1 of A is recording 1 of B",)).to_dict()
    assert withheld["no_verdict"] == ["copies"] and withheld["withheld_llr"] == explained.llr
    assert withheld["llr"] is withheld["log10_llr"] is withheld["calibrated_llr"] is None


def test_the_interval_has_two_digits_and_contains_the_ratio(explained):
    low, high = explained.interval
    assert low < explained.unbounded_llr < high
    sentence = explained.describe_interval()
    assert sentence in explained.to_text() and sentence in html.unescape(explained.to_html())
    assert "(from draws of the 40)" in sentence and "bounded" not in sentence
    few = replace(explained, calibration={**explained.calibration, "num_same_speaker_speakers": 5})
    assert "(from draws of the 40, of whom 5 have same-speaker trials)" in few.describe_interval()
    other = replace(explained, calibration={**explained.calibration, "num_different_speaker_speakers": 5})
    assert "(from draws of the 40, of whom 5 have different-speaker trials)" in other.describe_interval()
    assert any("same-speaker trials of 5 speakers and" in text and "that is few" in text for text in few.cautions)
    assert "same-speaker trials of 5 speakers and" in dict(few.describe_method())["Calibration"]
    for number in re.findall(r"[\d,.]+(?= to)|(?<=to )[\d,.]+\d", sentence.split(". ")[0].replace("1/", "")):
        assert len(number.replace(",", "").replace(".", "").strip("0")) <= 2, number


def test_an_interval_beyond_the_bounds_or_around_one_is_told(explained):
    within = replace(with_llr(explained, 1.0), bounds=(-6.0, 6.0), interval=(0.5, 1.5))
    assert "bounded" not in within.describe_interval()
    for interval in ((-6.5, 1.5), (0.5, 6.5)):
        assert "LR, before it is bounded: " in replace(within, interval=interval).describe_interval()
    for interval, vouched in (
        ((-6.5, 1.5), "of which the calibration vouches for 1/400 to 4.5 only"),
        ((0.5, 6.5), "of which the calibration vouches for 1.6 to 400 only"),
        ((6.1, 9.0), "for none of which the calibration vouches"),
        ((-9.0, -6.1), "for none of which the calibration vouches"),
    ):
        assert f", {vouched}. It tells" in replace(within, interval=interval).describe_interval()
    told = "The 95 % interval of the LR includes 1"
    around = replace(within, interval=(-0.1, 2.0))
    assert any(text.startswith(told) for text in around.cautions) and told in around.to_text()
    assert not any(text.startswith(told) for text in within.cautions)
    assert not any(text.startswith(told) for text in replace(around, deviations=(outside(),)).cautions)


def test_several_recordings_of_a_side_are_said_to_count_as_separate_ones(explained):
    def told(*numbers):
        counts = np.stack([np.ones((WIDTH, 2)) * [number, 0] for number in numbers])
        return [text for text in replace(explained, counts=counts).cautions if "count as separate ones" in text]

    assert told(1, 1) == []
    (of_b,) = told(1, 5)
    assert of_b.startswith("The 5 recordings of B count") and "stretches of one recording" in of_b
    assert [text[:22] for text in told(2, 5)] == ["The 2 recordings of A ", "The 5 recordings of B "]


def test_the_speaker_of_a_side_is_said_to_be_what_the_corpus_says(explained):
    named = replace(explained, speakers=("Mr X", None))
    assert named.describe_sides()[0][1].endswith(", speaker Mr X as the corpus says")
    assert "speaker" not in named.describe_sides()[1][1]


@pytest.mark.parametrize(
    ("interval", "ends", "includes"),
    [
        ((1.04, 3.71), "1.0 to 3.8", True),
        ((1.11, 3.7), "1.1 to 3.7", False),
        ((0.91, 1980), "1/1.1 to 2,000", True),
        ((1 / 3.71, 1 / 1.04), "1/3.8 to 1.0", True),
        ((1 / 998, 1 / 1.19), "1/1,000 to 1/1.1", False),
        ((250, 2.5e12), "250 to 10^13", False),
        ((250, 1e12), "250 to 10^12", False),
    ],
)
def test_intervals_are_rounded_outwards(explained, interval, ends, includes):
    found = replace(with_llr(explained, 1.0), interval=tuple(map(math.log, interval)))
    assert f"95 % interval of the LR: {ends}. " in found.describe_interval()
    assert any("interval of the LR includes 1" in caution for caution in found.cautions) is includes


def test_a_sum_that_prints_as_its_bound_is_a_little_more(explained):
    for sign, which in ((1, "a little more than 280"), (-1, "a little less than 1/280")):
        bounds = (-math.log(281.8), math.log(281.8))
        found = replace(with_llr(explained, sign * math.log(282.4)), bounds=bounds)
        (told,) = [caution for caution in found.cautions if "vouch for" in caution]
        assert told == (
            f"The attributes and the offset give an LR of {which} before it is held at the bound; the trials of the "
            "calibration vouch for 1/280 to 280 only."
        )


def test_a_bound_of_one_is_as_probable_either_way(explained):
    found = replace(with_llr(explained, 3.0), bounds=(-1.0, 0.0))
    assert found.describe_findings() == (
        "The findings are reported as about as probable if the recordings are of the same speaker as if they are of "
        "different speakers: the calibration vouches for no more."
    )


def test_what_the_quality_adds_is_a_part_of_the_unbounded_ratio(explained):
    found = replace(with_llr(explained, 9.0), quality_terms=(("noisier side, SNR 20 dB", 0.0),), bounds=(-5.0, 5.0))
    assert any(
        text.startswith("The attributes, the offset and the quality of the recordings give an LR of 8,100 before")
        for text in found.cautions
    )


def test_the_scale_in_the_text_has_all_classes(explained):
    text = with_llr(explained, 1.0).to_text()
    assert f"{verbal_scale.SOURCE} (1 to 2 no support; 2 to 10 weak; 10 to 100 moderate; " in text


def test_an_offset_that_reverses_the_attributes_is_told(explained):
    turned = replace(with_llr(explained, 1.0), offset=3.0)
    turned = replace(turned, terms=turned.terms - (turned.terms.sum() + 2.0) / len(turned.terms))
    assert any("The offset reverses the attributes: they sum to -2.00" in caution for caution in turned.cautions)
    assert not any("reverses" in caution for caution in with_llr(explained, 1.0).cautions if explained.offset < 1)


def outside(**changes):
    usual = {"side": "B", "measure": "snr", "population": "calibration", "value": 5.0, "low": 20.0, "high": 40.0}
    text = "B has an SNR of 5 dB; the calibration has 20 to 40 dB."
    return Deviation(**{**usual, "is_beyond": True, "text": text, **changes})


def test_outside_the_domain_no_verdict_is_given(explained):
    beyond, inside = (replace(with_llr(explained, 6.0), deviations=(outside(is_beyond=b),)) for b in (True, False))
    assert beyond.verdict is None and inside.verdict is not None and beyond.direction == "neither"
    for shown in (beyond.to_text(), html.unescape(beyond.to_html())):
        assert "NO VERDICT: the system was not calibrated for recordings like these" in shown
        assert "B has an SNR of 5 dB; the calibration has 20 to 40 dB." in shown
        assert "times more probable" not in shown and "ENFSI" not in shown
        before, after = shown.split(f"{wording.COMPUTED} LR ")
        assert "NO VERDICT" in before and "NO VERDICT" not in after and "LR 4" not in before
        assert not any(words in shown for _, words in verbal_scale.SCALE)
    assert inside.deviations[0].text in inside.cautions
    assert beyond.describe_interval() is None and "95 % interval" not in beyond.to_text() + beyond.to_html()
    assert inside.describe_interval() is not None
    data = json.loads(json.dumps(beyond.to_dict(), allow_nan=False))
    assert data["verbal"] is None and data["deviations"][0]["measure"] == "snr"


@pytest.mark.parametrize(("low", "high", "seconds"), [(1.2, 8.3, "8"), (1.2, 1.9, "1.9"), (2.0, 3.0, "3")])
def test_too_much_speech_can_be_cut(explained, low, high, seconds):
    speech = {"side": "A", "measure": "net_speech", "low": low, "high": high}
    found = replace(explained, deviations=(outside(**speech, value=14.0),))
    (told,) = [text for text in found.cautions if "balr degrade" in text]
    assert (
        f"balr degrade FILE --condition duration={seconds} --save-dir cut" in told and "recordings of A that" in told
    )
    assert wording.REMEDY in found.cautions
    for other in (outside(**speech, value=0.5), outside(**speech, value=14.0, is_beyond=False), outside()):
        assert not any("balr degrade" in text for text in replace(explained, deviations=(other,)).cautions)
    long = [outside(**{**speech, "side": side}, value=14.0) for side in "AB"]
    (told,) = [text for text in replace(explained, deviations=tuple(long)).cautions if "balr degrade" in text]
    assert "the recordings of A and of B that are too long" in told
    noisy = replace(explained, deviations=(long[0], outside()))  # of which a stretch would be as noisy
    assert not any("balr degrade" in text for text in noisy.cautions)


def test_what_an_interval_with_one_could_support_is_told(explained):
    def told(llr, interval):
        found = replace(with_llr(explained, llr), interval=interval)
        return next((text for text in found.cautions if "interval of the LR includes 1" in text), None)

    assert told(1.0, (-0.5, 2.0)).endswith("could support neither proposition, or the other one.")
    assert told(-1.0, (-2.0, 0.5)).endswith("could support neither proposition, or the other one.")
    assert told(1.0, (0.03, 2.0)).endswith("could support neither proposition.")  # it is printed as 1.0
    assert told(1.0, (0.5, 2.0)) is None and told(0.3, (-0.5, 2.0)) is None  # that supports neither itself


def test_limits_that_were_set_wider_are_told_first(explained):
    allowed = replace(with_llr(explained, 6.0), deviations=(outside(is_beyond=False, is_allowed=True),))
    assert allowed.verdict is not None
    assert allowed.cautions[0].startswith("The limits of what the calibration holds for were set wider")
    assert not any("set wider" in caution for caution in with_llr(explained, 6.0).cautions)


def test_noise_on_one_side_only_is_told(explained):
    def is_told(*ratios, **changes):
        measured = [{"snr": ratio, "level": -25.0} for ratio in ratios]
        calibration = {**explained.calibration, **changes}
        found = replace(explained, quality=((measured[0],), (measured[1],)), calibration=calibration)
        return "A has a signal-to-noise ratio of 15 dB, B of 40 dB: where" in " ".join(found.cautions)

    assert is_told(15.0, 40.0) and not is_told(15.0, 40.0, method="quality")
    beyond = outside(side="A and B", measure="snr_difference", text="They differ.")
    measured = tuple(({"snr": ratio, "level": -25.0},) for ratio in (15.0, 40.0))
    found = replace(explained, quality=measured, deviations=(beyond,))
    assert not any("has a signal-to-noise ratio of" in text for text in found.cautions)  # which is said already
    assert not is_told(15.0, 40.0, matched=["3.0 s", "3.0 s, SNR 15 dB"])


@pytest.mark.parametrize(
    ("ratios", "is_told"),
    [
        *[((25, 50), False), ((20, 50), False), ((30, 60), False), ((15, 25), False), ((None, 50), False)],
        *[((50, 15), True), ((18, 31), True), ((0, 12), True)],
    ],
)
def test_only_noise_that_is_heard_makes_sides_unlike(explained, ratios, is_told):
    quality = tuple(({"snr": ratio, "level": -25.0},) for ratio in ratios)
    cautions = replace(explained, quality=quality).cautions
    assert any("one recording only is noisy" in caution for caution in cautions) is is_told


def test_copies_get_no_verdict(explained):
    copied = replace(with_llr(explained, 6.0), copies=("a and b are the same recording: that says nothing.",))
    assert copied.verdict is None and copied.cautions[0].startswith("a and b are the same recording")
    assert "NO VERDICT: the two sides hold the same recording" in copied.to_text()


def test_what_was_not_measured_or_not_described_is_told(explained):
    assert any("were not measured" in caution for caution in explained.cautions)
    assert any("keeps no bounds" in caution for caution in replace(explained, bounds=None).cautions)


def test_whoever_left_a_calibration_out_is_not_told_to_calibrate(sides):
    def first(scorer):
        return scorer.explain(sides[0, 0], sides[1, 0], calibrated=False).cautions[0]

    for name, what in (("beta", "a sum over attributes"), ("cosine", "a similarity, not a likelihood ratio")):
        assert first(build(name)).startswith(f"Not calibrated. This is {what}")
        assert first(build(name)).endswith("Calibrate the scorer with balr score calibrate.")
        assert first(build(name, "affine")).startswith(f"Not calibrated. This is {what}")
        assert first(build(name, "affine")).endswith("The scorer has a calibration, which was left out on request.")


def test_a_calibration_that_does_not_say_which_recordings_it_is_of_gives_no_verdict(explained):
    calibration = {name: value for name, value in explained.calibration.items() if name != "domain"}
    found = replace(with_llr(explained, 6.0), calibration=calibration)
    assert with_llr(explained, 6.0).no_verdict == []
    assert found.no_verdict == ["domain"] and found.verdict is None and found.direction == "neither"
    assert wording.NO_VERDICT_DOMAIN in found.to_text() and wording.NO_VERDICT_DOMAIN in found.to_html()
    assert found.to_dict()["verbal"] is None
    assert replace(found, bounds=None).describe_verdict() == wording.NO_VERDICT_BOUNDS


def test_a_ratio_just_below_one_is_said_as_one(explained):
    figures = with_llr(explained, -0.001).describe_figures()
    assert figures == ["LR 1.0", "LLR +0.00 (ln)", "+0.00 (log10)"]


def test_demonstration_models_are_named_in_the_report(explained):
    shown = replace(explained, demonstration=True)
    assert shown.to_text().startswith(wording.DEMONSTRATION) and 'class="banner"' in shown.to_html()
    assert wording.DEMONSTRATION not in explained.to_text() and 'class="banner"' not in explained.to_html()


def test_beta_shows_what_explains_its_terms_and_other_scorers_typicality(sides, explained):
    assert explained.columns()[-2:] == ["rarity", "steadiness"]
    assert build("maxllr").explain(sides[0, 0], sides[1, 0]).columns()[-1] == "typicality"
    for e in explained.evidence():
        rates = {(5, 5): 1 - e.activation, (0, 0): e.activation}
        assert e.rarity == rates.get((e.a[0], e.b[0]))


def test_the_case_comes_first(explained):
    shown = replace(explained, case=(("Case", "2026-17"), ("Examiner", EVIL)))
    assert (
        shown.to_text().startswith(f"{wording.THE_CASE}\n  Case      2026-17\n")
        and shown.to_dict()["case"]["Case"] == "2026-17"
    )
    page = shown.to_html()
    assert page.index("2026-17") < page.index("call 1</dd>" if "call 1</dd>" in page else "call 1 <small>")
    assert "<script" not in page


MEASURED = {
    **{"duration": 8.0, "net_speech": 6.0, "level": -25.0, "peak": -6.0, "snr": 30.0, "snr_method": "wada"},
    **{"bandwidth": 3500.0, "clipping": 0.02, "tone": 50.0, "tone_share": 0.1, "dc_offset": 0.0},
    "sampling_rate": 16000,
}


def test_a_side_of_which_some_recordings_were_not_measured_is_told():
    """Nobody knows which of a side were measured, so they have no numbers; the calibration may not hold for others."""
    scorer = build("beta", "affine")
    quantiles = {"measures": {"net_speech": [1.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]}}
    scorer.config.calibration["domain"] = {**DOMAIN, **quantiles}
    three, two = (np.full((WIDTH, 2), [1, number - 1]) for number in (3, 2))

    def explained(of_a, of_b):
        found = scorer.explain(three, two, quality=([MEASURED] * of_a, [MEASURED] * of_b))
        why = [text for text in found.cautions[:1] if "holds for recordings like these" in text]  # before all others
        return [name for name, _ in found.describe_quality()], [text.split(": ")[2].split(". ")[0] for text in why]

    assert explained(3, 2) == (["A1", "A2", "A3", "B1", "B2"], [])
    assert explained(2, 2) == (["A, one of 3", "A, one of 3", "B1", "B2"], ["not all of them were measured"])
    assert explained(3, 1) == (["A1", "A2", "A3", "B, one of 2"], ["not all of them were measured"])
    assert explained(0, 0) == ([], ["they were not measured"])
    scorer.config.calibration["domain"]["measures"] = {}
    found = scorer.explain(three, two, quality=([MEASURED] * 3, [MEASURED] * 2))
    assert "unmeasured" not in found.no_verdict
    why = "those of the calibration were not measured"
    assert f"Whether the calibration holds for recordings like these is unknown: {why}." in found.cautions


def test_recordings_are_described(explained):
    measured = MEASURED
    shown = replace(explained, quality=((measured,), (measured, measured)))
    assert shown.to_text().count("8.0 s, 6.0 s of speech, level -25 dBFS, SNR 30 dB (WADA), bandwidth 3.5 kHz") == 3
    assert html.unescape(shown.to_html()).count("a tone of 50 Hz with 10.0% of the power") == 3
    assert not any("dBFS" in caution for caution in shown.cautions)
    faint = replace(shown, quality=((measured,), (measured, {**measured, "level": -83.0})))
    told = (
        "One of B's recordings has a level of -83 dBFS: in a file of 16 bits, the rounding of its samples is a noise "
    )
    assert [caution for caution in faint.cautions if "dBFS" in caution] == [told + "only 18 dB below it."]


def test_remarks_are_handed_on(sides):
    explanation = build("beta").explain(sides[0, 0], sides[1, 0], remarks=("The speaker is of the reference.",))
    assert "The speaker is of the reference." in explanation.cautions
    assert "Note: The speaker is of the reference." in explanation.to_text()


def test_no_name_makes_a_line_of_its_own(explained):
    forged = "known.wav\r\nLR 1,000,000\u2028LLR +13.82"
    shown = replace(explained, names=(forged, "b"), remarks=(f"{forged} is odd.",), case=(("Case", forged),))
    lines = shown.to_text().splitlines()
    assert not any(line.startswith(("LR 1,000,000", "LLR +13.82")) for line in lines)
    assert len([line for line in lines if "known.wav LR 1,000,000 LLR +13.82" in line]) == 3


@pytest.fixture(scope="module")
def hostile(explained):
    calibration = {**explained.calibration, "speech": EVIL, "method": EVIL}
    changes = {"speakers": (EVIL, None), "remarks": (EVIL,), "scorer": EVIL, "calibration": calibration}
    return replace(explained, names=(EVIL, 'a"b&c'), **changes)


def test_page_escapes_names(hostile):
    page = hostile.to_html()
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 7
    assert "a&#34;b&amp;c" in page


def test_page_loads_nothing(hostile):
    page = hostile.to_html()
    assert re.findall(r"https?:", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)) == []
    assert all(link.startswith("#") for link in re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)", page))
    assert all(link.strip("\"'").startswith("#") for link in re.findall(r"url\(([^)]*)\)", page))
    assert not re.search(r"<(link|script|iframe|object|embed|base)\b|@import|\son\w+\s*=", page)


@pytest.mark.parametrize("llr", [3.0, -3.0, 0.1])
def test_page_shows_the_figure_and_the_numbers(explained, llr):
    explanation = with_llr(explained, llr)
    page = explanation.to_html(top=3)
    assert page.count("<svg") == page.count("</svg>") == 2  # the attributes, and the Tippett plot
    assert wording.VALIDATION in html.unescape(page) and "this case" in page
    assert explanation.describe_ratio() in page
    assert f"LLR {llr:+.2f} (ln)" in page
    assert explanation.verdict[1:] in page
    for e in explanation.evidence():
        row = f"<td>{e.attribute}</td><td>{e.llr:+.3f}</td>"
        strong = any(e in side for side in explanation.strongest(3))
        assert page.count(row) == 1 + strong
    for name, value in explanation.sums():
        assert f'<td class="text">{name}</td><td>{value}</td>' in page
    assert explanation.sums()[-1] == ("sum", f"{llr:+.2f}")
    assert "call 1" in page
    assert page.count('class="here') == 1


def test_the_plot_marks_the_ratio_that_is_reported(explained):
    """Beyond the bounds, a line at the sum would show a stronger likelihood ratio than the report states."""
    for llr, reported in ((9.0, 3.0), (2.5, 2.5), (-9.0, -3.0)):
        axes = replace(with_llr(explained, llr), bounds=(-3.0, 3.0)).tippett().axes[0]
        (label,) = [text for text in axes.texts if text.get_text() == "this case"]
        assert label.get_position()[0] == pytest.approx(reported / np.log(10))


@pytest.mark.parametrize("method", ["affine", None])
def test_text_and_page_say_the_same(sides, method):
    explanation = build("beta", method).explain(sides[0, 0], sides[1, 0])
    text, page = explanation.to_text(), html.unescape(explanation.to_html())
    sentences = [*explanation.describe_figures(), explanation.describe_verdict(), *explanation.cautions]
    sentences += [word for pair in explanation.describe_method() for word in pair]
    sentences += [title for title, _ in explanation.tables()]
    sentences += [
        wording.THE_SUM,
        wording.THE_METHOD,
        wording.RARITY,
        wording.LIMITS,
        *explanation.propositions(),
        *filter(None, [explanation.describe_findings()]),
    ]
    for sentence in sentences:
        assert text.count(sentence) >= 1 <= page.count(sentence), sentence


def test_the_population_that_hd_names_is_told(sides):
    scorer = build("beta")
    rare = "The relevant population of Hd is represented by the reference population"
    assert scorer.explain(sides[0, 0], sides[1, 0]).propositions()[-1] == (
        f"{rare} (40 speakers; not recorded: language, sex), which tells how rare attributes are."
    )
    people = {"language": {"de": 30, "en": 9, "not known": 1}, "sex": {"m": 40}, "source": {"calls": 40}}
    scorer.config.reference = {
        **{"recordings": 90, "speakers": 40, "recordings_a_side": [1, 1], "counts": {}, "measures": {}},
        "speakers_by": people,
    }
    explanation = scorer.explain(sides[0, 0], sides[1, 0])
    told = "40 speakers; language: de (30), en (9), not known (1); sex: m (40)"
    assert explanation.propositions() == [
        *wording.PROPOSITIONS,
        f"{rare} ({told}), which tells how rare attributes are.",
    ]
    method = dict(explanation.describe_method())
    assert method["Reference population"].startswith(
        f"{told}; source: calls (40); not recorded: channel; 90 recordings"
    )
    assert explanation.to_dict()["reference"]["speakers_by"] == people
    alone = build_scorer("cosine", num_attributes=WIDTH)  # which was fitted to nobody
    assert alone.explain(sides[0, 0], sides[1, 0]).propositions() == list(wording.PROPOSITIONS)


def test_hd_tells_whose_trials_decide_how_alike_different_speakers_are(explained):
    trials, tell = (
        "the 1,560 different-speaker trials of the calibration",
        "which tell how alike different speakers are",
    )
    assert explained.propositions()[-1] == (
        "The relevant population of Hd is represented by the reference population (40 speakers; not recorded: "
        f"language, sex), which tells how rare attributes are, and by {trials} (40 speakers; not recorded: language, "
        f"sex), {tell}."
    )
    domain = {"recordings": 90, "recordings_a_side": [1, 1], "measures": {}}
    domain["speakers_by"] = {"sex": {"f": 30, "m": 28}}
    known = {**explained.calibration, "num_speakers": 58, "domain": domain, "within": "sex", "matched": ["3.0 s"]}
    known["num_different_speaker_speakers"] = 58
    told = (
        f"{trials} that was matched to the case (58 speakers; sex: f (30), m (28); not recorded: language; trials of "
        f"speakers of the same sex only), {tell}."
    )
    matched = replace(explained, calibration=known)
    assert matched.propositions()[-1].endswith(f", and by {told}") and told in matched.to_text()
    doubted = replace(matched, calibration={**known, "doubt": 0.0043})
    assert dict(doubted.describe_method())["Calibration"].endswith(
        "; to 0.4 %, each trial counts as one of the other kind"
    )
    assert "of the other kind" not in dict(matched.describe_method())["Calibration"]
    assert told in html.unescape(matched.to_html()) and matched.to_dict()["propositions"] == matched.propositions()
    for counts, end in (
        ({"sex": {"f": 60}}, "; not recorded: language), "),
        ({"sex": {"f": 60}, "language": {"en": 60}}, "), "),
    ):  # early records have recordings of each sex only
        early = {**known, "domain": {**domain, "speakers_by": {}, "counts": counts}, "within": None}
        assert replace(explained, calibration=early).propositions()[-1].endswith(f"(58 speakers{end}{tell}.")
    nobody = replace(explained, num_reference_speakers=None, calibration={**known, "num_speakers": 0, "domain": None})
    nobody.calibration["num_different_speaker_speakers"] = None
    women = replace(explained, calibration={**known, "num_different_speaker_speakers": 30})  # who they are is not kept
    assert (
        f"that was matched to the case (30 speakers; trials of speakers of the same sex only), {tell}"
        in (women.propositions()[-1])
    )
    assert nobody.propositions()[-1].startswith("The relevant population of Hd is represented by the 1,560 different")
    assert "(of speakers whom the record does not name; trials of" in nobody.propositions()[-1]


def test_misleading_trials_are_counted_where_there_is_a_verdict(explained):
    row = {}
    for llr, kind in ((1.0, "different-speaker"), (-1.0, "same-speaker")):
        found = with_llr(explained, llr)
        row[kind] = dict(found.describe_method())["Misleading evidence"]
        assert row[kind] in found.to_text() and row[kind] in html.unescape(found.to_html())
        assert f" {kind} trials of the calibration (40 speakers)" in row[kind]
        assert found.to_dict()["misleading"]["kind"] == kind
    assert " had an LR of 2.7 or more" in row["different-speaker"] and "1/2.7 or less" in row["same-speaker"]
    at_the_bound = replace(with_llr(explained, 9.0), bounds=(-1.0, 1.0))
    assert at_the_bound.misleading == with_llr(explained, 1.0).misleading
    for without in (with_llr(explained, 0.001), replace(with_llr(explained, 1.0), deviations=(outside(),))):
        assert without.to_dict()["misleading"] is None
        assert "Misleading evidence" not in dict(without.describe_method())


def test_explaining_another_number_of_attributes_is_refused(sides):
    with pytest.raises(ValueError, match="expected \\(n, 12, 2\\)"):
        build("beta").explain(sides[0, 0, :5], sides[1, 0, :5])
