"""An explanation of attributes that are described: groups, sentences, the measures of both sides."""

import html
import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from balr_hf.describing.descriptions import Distribution
from balr_hf.explanation.described import grouped, recording_caution
from balr_hf.explanation.wording import BY_SEX, NOT_BY_SEX, SENTENCES, WHERE_MEASURES_ARE
from balr_hf.scoring.auto import build_scorer

WIDTH = 12
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def scorer():
    rng = np.random.default_rng(0)
    shares = rng.beta(0.6, 0.8, (60, WIDTH))
    active = rng.binomial(1, shares, (2, 60, WIDTH))
    counts = np.stack([active, 1 - active], -1)
    fitted = build_scorer("beta", num_attributes=WIDTH).fit(counts[:, :40].sum(0), [f"s{n}" for n in range(40)])
    left, right = np.divmod(np.arange(400), 20)
    names = [[f"c{n}" for n in side] for side in (left, right)]
    fitted.calibrate(counts[0, 40 + left], counts[1, 40 + right], left == right, "affine", *names)
    return fitted


@pytest.fixture
def counts():
    active = np.random.default_rng(1).integers(0, 2, (2, WIDTH))
    return np.stack([active, 1 - active], -1)


def with_sexes(descriptions, by_sex):
    """Descriptions of which the distributions within each sex are others."""
    return replace(descriptions, population=replace(descriptions.population, by_sex=by_sex))


MEASURES = ([{"f0_median": 120.0, "snr": 30.0}, {"f0_median": 130.0}], [{"f0_median": 250.0, "snr": None}])


@pytest.fixture
def explained(scorer, counts, make_descriptions):
    return scorer.explain(*counts, descriptions=make_descriptions(WIDTH), measures=MEASURES)


@pytest.mark.parametrize("calibrated", [True, False])
def test_groups_add_up_to_the_whole(scorer, counts, make_descriptions, calibrated):
    found = scorer.explain(*counts, descriptions=make_descriptions(WIDTH), calibrated=calibrated)
    groups = found.groups()
    assert [one.group for one in groups] == ["F0 and sex", "vocal tract", "recording", "undescribed"]
    assert [one.attributes for one in groups] == [3, 3, 3, 3]
    for place, one in enumerate(groups):
        assert one.llr == pytest.approx(found.terms[place::4].sum(), abs=1e-12)
        assert one.sum_for + one.sum_against == pytest.approx(one.llr, abs=1e-12)
    whole = sum(one.llr for one in groups)
    assert whole + (found.constant or 0.0) == pytest.approx(found.unbounded_llr, abs=1e-12)
    if not calibrated:
        assert whole == pytest.approx(found.raw_llr, abs=1e-9)
    assert sum(one.share for one in groups) == pytest.approx(1)


def test_every_row_has_its_sentence_in_text_page_and_json(explained):
    text, page, content = explained.to_text(top=WIDTH), explained.to_html(top=2), explained.to_dict()
    json.dumps(content, allow_nan=False)
    assert len(content["attributes"]) == WIDTH
    for entry in content["attributes"]:
        assert entry["sentence"] == explained.descriptions.sentence(entry["attribute"])
        assert entry["group"] == explained.descriptions.groups[entry["attribute"]]
    shown = [e for side in explained.strongest(WIDTH) for e in side]
    assert sum(text.count(sentence) for sentence in {explained.sentence(e.attribute) for e in shown}) == len(shown)
    assert page.count('class="sentence"') == WIDTH + sum(map(len, explained.strongest(2)))
    for what in (text, page):
        assert what.index("What the attributes go with") < what.index("More often active with a higher voice")
    assert [one["group"] for one in content["groups"]] == [one.group for one in explained.groups()]


def test_measures_of_both_sides_stand_beside_the_others(scorer, counts, make_descriptions):
    descriptions = with_sexes(make_descriptions(WIDTH), {})
    explained = scorer.explain(*counts, descriptions=descriptions, measures=MEASURES)
    (f0,), (snr,) = (row.rows() for row in explained.side_measures())
    assert f0 == [
        "median F0 (Hz)",
        "125",
        "250",
        "all",
        "110 / 150 / 190",
        "in the middle half",
        "higher than 95 % of others",
    ]
    assert snr[1:3] == ["30", "-"]
    assert snr[6] == "-"
    assert explained.to_html().count('<svg class="strip"') == 2
    assert "The measures of both sides" in explained.to_text()
    content = explained.to_dict()["measures"]
    assert content[1]["b"] == []
    assert content[0]["population"]["percentiles"] == {"5": 90, "25": 110, "50": 150, "75": 190, "95": 230}


def test_readers_are_sent_to_the_table_of_measures_only_where_there_is_one(
    scorer, counts, make_descriptions, explained
):
    bare = scorer.explain(*counts, descriptions=make_descriptions(WIDTH))  # of vectors, nothing was measured
    for found, is_there in ((explained, True), (bare, False)):
        for shown in (found.to_text(), html.unescape(found.to_html())):
            assert SENTENCES in shown and (WHERE_MEASURES_ARE in shown) is is_there


def test_measures_of_the_voice_are_compared_with_others_of_each_sex(scorer, counts, make_descriptions):
    women, men = (90, 180.0, 200.0, 220.0, 260.0), (80.0, 100.0, 120.0, 140.0, 170.0)
    by_sex = {
        sex: {"f0_median": Distribution(100, values), "snr": Distribution(100, values)}
        for sex, values in (("female", women), ("male", men))
    }
    descriptions = with_sexes(make_descriptions(WIDTH), by_sex)
    found = scorer.explain(*counts, descriptions=descriptions, measures=MEASURES)
    f0, snr = (row.rows() for row in found.side_measures())
    assert f0 == [
        [
            "median F0 (Hz)",
            "125",
            "250",
            "female",
            "180 / 200 / 220",
            "in the lowest quarter",
            "in the highest quarter",
        ],
        ["", "", "", "male", "100 / 120 / 140", "in the middle half", "higher than 95 % of others"],
    ]
    assert [cells[3] for cells in snr] == ["all"]  # how a recording was made has nothing to do with the sex
    text, page, content = found.to_text(), found.to_html(), found.to_dict()["measures"]
    for what in (text, page):
        assert BY_SEX in unescape(what) and NOT_BY_SEX not in unescape(what)
    assert "female  180 / 200 / 220  in the lowest quarter" in text and "male    100 / 120 / 140  " in text
    assert 'aria-label="median F0: female 200 Hz, male 120 Hz, A 125 Hz, B 250 Hz"' in page
    assert content[0]["by_sex"]["male"]["percentiles"]["50"] == 120 and content[1]["by_sex"] == {}


@pytest.mark.parametrize("known", [[], ["female"]])
def test_others_of_both_sexes_together_are_said_to_be_so(scorer, counts, make_descriptions, known):
    descriptions = make_descriptions(WIDTH)
    descriptions = with_sexes(descriptions, dict.fromkeys(known, descriptions.population.measures))
    found = scorer.explain(*counts, descriptions=descriptions, measures=MEASURES)
    for what in (found.to_text(), found.to_html()):
        assert NOT_BY_SEX in unescape(what) and BY_SEX not in unescape(what)
    assert [cells[3] for row in found.side_measures() for cells in row.rows()] == ["all", "all"]


def test_amounts_are_not_compared_with_recordings_that_were_cut(scorer, counts, make_descriptions):
    descriptions = make_descriptions(WIDTH)
    known = {**descriptions.population.measures, "duration": Distribution(9, (3.5,) * 5)}
    descriptions = replace(descriptions, population=replace(descriptions.population, measures=known))
    measures = ([{"duration": 8.0, "snr": 30.0}], [{"duration": 4.0, "snr": 20.0}])
    found = scorer.explain(*counts, descriptions=descriptions, measures=measures)
    (row,) = (row for row in found.side_measures() if row.measure.name == "duration")
    assert row.rows() == [["length (s)", "8.0", "4.0", "-", "-", "-", "-"]]
    assert found.to_html().count('<svg class="strip"') == 1
    assert "of the recording and the amount of speech" in found.to_text()
    assert "of the voice:" not in found.to_text()


def test_without_descriptions_nothing_changes_but_a_hint(scorer, counts, explained):
    plain = scorer.explain(*counts)
    text, content = plain.to_text(), plain.to_dict()
    assert "balr describe SYSTEM CORPUS" in text
    assert "balr describe SYSTEM CORPUS" in plain.to_html()
    assert plain.groups() == plain.side_measures() == []
    assert "What the attributes go with" not in text
    assert not {"groups", "measures", "descriptions"} & content.keys()
    assert "sentence" not in content["attributes"][0]
    assert content["llr"] == explained.to_dict()["llr"]
    assert "balr describe" not in explained.to_text()
    assert "Described on 200 recordings of 120 speakers" in explained.to_text()


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ([3.0, 0.2], None),
        ([3.0, 1.0], "add +1.00 to the log-likelihood ratio, which is 25 % of what all groups add"),
        ([-1.0, 1.5], "Without them, the attributes would sum to -1.00, which has the opposite sign."),
        ([-0.1, -3.0], "add -3.00"),
    ],
)
def test_a_large_share_of_the_recording_is_a_caution(terms, words):
    found = recording_caution(grouped(np.array(terms), ["F0 and sex", "recording"]), True)
    assert found is None if words is None else words in found


def test_the_caution_is_among_those_of_the_report(explained):
    terms = explained.terms.copy()
    terms[2] += 50
    found = replace(explained, terms=terms)
    assert any("follow the recording rather than the voice add" in text for text in found.cautions)
    assert "follow the recording rather than the voice add" in found.to_html()


def test_names_of_corpora_are_escaped(scorer, counts, make_descriptions):
    found = scorer.explain(*counts, descriptions=make_descriptions(WIDTH, corpus=EVIL), measures=MEASURES)
    assert EVIL not in found.to_html()
    assert not re.search(r'(?:src|href)="https?:', found.to_html())


def test_descriptions_of_another_number_of_attributes_are_refused(scorer, counts, make_descriptions):
    with pytest.raises(ValueError, match="descriptions of 5 attributes, but there are 12"):
        scorer.explain(*counts, descriptions=make_descriptions(5))
