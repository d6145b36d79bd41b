"""The validation of the shipped system on synthetic corpora: numbers, breakdowns, thresholds, text and page."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import concatenate_datasets

from balr_hf import SpeakerComparisonModel
from balr_hf.data import add_vector_column, fixed_length_column, vector_matrix
from balr_hf.data.origins import Origin, add_origins, vector_digests
from balr_hf.data.quality import add_quality_column
from balr_hf.defaults import SYSTEM, resource
from balr_hf.errors import ConfigError, MismatchError, UserError
from balr_hf.evaluation import Evaluation
from balr_hf.figures.style import percent
from balr_hf.files import json_text
from balr_hf.identity import model_identity
from balr_hf.metrics import compute_metrics, misleading_intervals
from balr_hf.quality import RecordingQuality
from balr_hf.scoring.made_trials import make_trials
from balr_hf.scoring.trials import Trials, side_counts, side_speakers
from balr_hf.training.trained_speakers import KEY, embedder_trained_on, pack_speakers
from balr_hf.validation import validate
from balr_hf.validation.adequacy import Criterion, judge, parse_thresholds
from balr_hf.validation.page import figures
from balr_hf.validation.tables import heat_map
from balr_hf.validation.wording import COVERAGE, COVERAGE_OF_UNEVEN
from balr_hf.validation.zoo import menagerie

EVIL = '<script>alert(1)</script>&"'
SPEAKERS = 12


@pytest.fixture(scope="module")
def system():
    """The shipped system, calibrated so that some made-up trials of either kind mislead or exceed the bounds."""
    found = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    found.scorer.calibration_weights *= 0.8
    found.scorer.calibration_offset.fill_(2.5)
    found.scorer.config.calibration["bounds"] = [-2.5, 1.5]
    return found


def quality(speech, snr, bandwidth):
    return RecordingQuality(
        **{"duration": 2 * speech, "net_speech": speech, "level": -25.0, "peak": -6.0, "snr": snr},
        **{"snr_method": "pauses", "bandwidth": bandwidth, "clipping": 0.0, "tone": None, "tone_share": 0.0},
        **{"dc_offset": 0.0, "sampling_rate": 16000},
    ).to_dict()


@pytest.fixture
def corpus(make_corpus, system):
    """Twelve speakers of either sex, with four recordings each, of which some are short, noisy or of a telephone."""
    found = make_corpus(SPEAKERS, 4, name="v")
    rng = np.random.default_rng(0)
    usual = 0.5 * system.scorer.activation.numpy() + 0.5 * rng.random(512) ** 2
    rates = np.clip(usual + 0.19 * rng.normal(size=(SPEAKERS, 512)), 0.01, 0.99).repeat(4, axis=0)
    found = add_vector_column(found, "ba", fixed_length_column(rng.random(rates.shape) < rates))
    speech, snr = rng.uniform(1, 12, len(found)), rng.uniform(5, 40, len(found))
    rows = np.stack([speech, snr, rng.choice([3600.0, 8000.0], len(found))], 1).tolist()
    found = add_quality_column(found, {name: quality(*row) for name, row in zip(found["id"], rows, strict=True)})
    return found.add_column("sex", [("female", "male")[int(name[1:]) % 2] for name in found["speaker"]])


@pytest.fixture
def trials(corpus):
    return make_trials(corpus)


@pytest.fixture
def found(system, corpus, trials):
    thresholds = {"cllr": 0.5, "eer": 0.6, "misleading_same": 0.9}
    return validate(system, corpus, trials, draws=20, thresholds=thresholds)


def expected(system, corpus, trials):
    """The ratios that `compare` and a case report give, and the labels."""
    counts = side_counts(corpus, trials.sides)
    llrs = system.scorer.score(counts[trials.enroll], counts[trials.test], calibrated=True).numpy()
    speakers = side_speakers(corpus, trials.sides)
    return llrs, speakers[trials.enroll], speakers[trials.test]


def test_numbers_are_those_of_the_ratios_that_the_system_reports(system, corpus, trials, found):
    exact, enroll, test = expected(system, corpus, trials)
    llrs = exact.clip(*system.scorer.bounds)
    assert (llrs != exact).any()
    np.testing.assert_allclose(found.llrs, llrs, rtol=1e-6)
    bounds = system.scorer.bounds
    evaluation = Evaluation.of(exact, enroll == test, (enroll, test), resamples=20, bounds=bounds)
    assert found.evaluation.metrics == pytest.approx(evaluation.metrics, nan_ok=True)
    assert 0.02 < evaluation.metrics["eer"] < 0.4 and min(found.misleading.same, found.misleading.different) > 0
    for name, ends in evaluation.intervals.items():
        assert found.evaluation.intervals[name] == pytest.approx(ends)
    unbounded = compute_metrics(exact, enroll == test)["cllr"]
    assert found.evaluation.unbounded["cllr"] == pytest.approx(unbounded) != found.evaluation.metrics["cllr"]
    assert f"Cllr  {unbounded:.3f} without the calibration's bounds (LR 1/" in found.evaluation.describe()
    least = compute_metrics(exact, enroll == test)["cllr_min"]
    for told in (found.to_text(), found.to_html()):
        assert "EER and Cllr_min are of their order" in told and f"{least:.3f}" in told
        assert f"Without the bounds, as by balr score test, Cllr is {unbounded:.3f}." in told
    same, different = llrs[enroll == test], llrs[enroll != test]
    assert (found.misleading.same, found.misleading.different) == ((same < 0).sum(), (different > 0).sum())
    assert found.misleading.lowest_same == pytest.approx(same.min())
    assert found.misleading.highest_different == pytest.approx(different.max())
    rows = {row[0]: row[1:3] for row in found.figures_of_merit()}
    low, high = evaluation.intervals["cllr"]
    assert rows["Cllr"] == (f"{evaluation.metrics['cllr']:.3f}", f"{low:.3f} to {high:.3f}")
    rates = misleading_intervals(llrs, enroll == test, enroll, test, resamples=20)
    for name, kind in (("misleading_same", "same"), ("misleading_different", "different")):
        assert found.misleading_intervals[name] == pytest.approx(rates[name])
        assert rows[f"Misleading, {kind}-speaker"][1] == "{:.2%} to {:.2%}".format(*rates[name])
        assert found.to_dict()["validation"]["misleading"]["intervals"][name] == found.misleading_intervals[name]
    assert rows["devPAV"][1] == "-" and rows["Misleading, different-speaker"][0] == f"{(different > 0).mean():.2%}"


def test_figures_of_order_are_without_the_bounds_and_those_of_calibration_within(
    system, corpus, trials, monkeypatch, tmp_path
):
    exact, enroll, test = expected(system, corpus, trials)
    labels = enroll == test
    highest = compute_metrics(exact, labels)["eer_threshold"] - 0.5  # so that all decisions are among ties
    bounds = (highest - 1, highest)
    monkeypatch.setitem(system.scorer.config.calibration, "bounds", list(bounds))
    given, held = compute_metrics(exact, labels), compute_metrics(exact.clip(*bounds), labels)
    found = validate(system, corpus, trials, draws=0, thresholds={"cllr_min": given["cllr_min"] + 1e-6})
    metrics = found.save(tmp_path, trials)
    for name in ("eer", "min_dcf_0.01", "cllr_min"):
        assert metrics[name] == pytest.approx(given[name], abs=1e-6) and held[name] > given[name] + 1e-3
    for name in ("cllr", "devpav"):
        assert metrics[name] == pytest.approx(held[name], abs=1e-6) and abs(held[name] - given[name]) > 1e-3
    assert found.is_adequate
    drawn = figures(found)
    legend = [text.get_text() for name in ("ece", "det") for text in drawn[name].legends[0].get_texts()]
    assert f"LLRs as reported (Cllr = {held['cllr']:.3g})" in legend
    assert f"after PAV (Cllr_min = {given['cllr_min']:.3g})" in legend
    assert f"calibrated, without bounds: EER {percent(given['eer'])}" in legend
    rows = np.genfromtxt(tmp_path / "scores.csv", delimiter="\t", names=True, dtype=None, encoding="utf-8")
    np.testing.assert_allclose(rows["unbounded_scores"], exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rows["scores"], exact.clip(*bounds), rtol=1e-5, atol=1e-6)


def test_cells_add_up_to_all_trials(found, trials):
    assert {factor.name for factor in found.varying} == {"net_speech", "snr", "bandwidth", "sex"}
    for factor in found.factors:
        parts = factor.parts
        assert sum(part.evaluation.trials for part in parts) == len(trials)
        assert sum(part.misleading.same for part in parts) == found.misleading.same
        assert sum(part.misleading.different for part in parts) == found.misleading.different
        cells = [cell for row in heat_map(factor) for cell in row if cell is not None]
        assert len(cells) == len(factor.classes) * (len(factor.classes) + 1) / 2
        numbers = [
            int(n.replace(",", "")) for cell in cells for n in re.findall(r"% of ([\d,]+)", " ".join(cell.lines))
        ]
        assert sum(numbers) == len(trials)
    assert "Recordings a side: 1" in found.describe_alike()


def test_parts_have_the_trials_of_their_conditions(found, system, corpus, trials):
    sex = next(factor for factor in found.factors if factor.name == "sex")
    value = dict(zip(corpus["id"], corpus["sex"], strict=True))
    pairs = [
        {value[trials.sides[a][0]], value[trials.sides[b][0]]} for a, b in zip(trials.enroll, trials.test, strict=True)
    ]
    for part in sex.parts:
        chosen = np.array([pair == {sex.classes[number] for number in part.classes} for pair in pairs])
        assert part.evaluation.trials == chosen.sum()
        if found.labels[chosen].any():
            metrics = compute_metrics(found.exact[chosen], found.labels[chosen], system.scorer.bounds)
            assert part.evaluation.metrics == pytest.approx(metrics, nan_ok=True)
            assert part.cllr == pytest.approx(compute_metrics(found.llrs[chosen], found.labels[chosen])["cllr"])
    telephone = next(factor for factor in found.factors if factor.name == "bandwidth")
    assert telephone.classes == ("up to 4 kHz (telephone)", "above 6 kHz")


def test_a_bandwidth_at_an_edge_is_not_above_it(system, corpus):
    corpus = add_quality_column(corpus, {name: quality(3.0, 20.0, 6000.0) for name in corpus["id"]})
    found = validate(system, corpus, make_trials(corpus), draws=0)
    assert next(factor for factor in found.factors if factor.name == "bandwidth").classes == ("4 to 6 kHz",)


def test_sides_of_several_recordings_and_unmeasured_ones_have_their_classes(system, corpus):
    corpus = corpus.remove_columns("recording_quality")
    found = validate(system, corpus, make_trials(corpus, 2, 1), draws=0)
    factors = {factor.name: factor for factor in found.factors}
    assert factors["recordings"].classes == ("1", "2")
    assert factors["net_speech"].classes == ("not known",)
    assert any("were not measured" in caution for caution in found.cautions)
    assert "No intervals" in found.to_text()


def test_rare_values_of_a_column_are_taken_together(system, corpus, trials):
    corpus = corpus.add_column("place", [f"p{number // 2}" for number in range(len(corpus))])
    found = validate(system, corpus, trials, draws=0, by=("place",))
    (place,) = [factor for factor in found.factors if factor.name == "place"]
    assert len(place.classes) == 8 and place.classes[-1] == "other values"
    with pytest.raises(UserError, match="no column town"):
        validate(system, corpus, trials, draws=0, by=("town",))


@pytest.mark.parametrize(("values", "expected"), [(("9", "12", "30"), ("9", "12", "30")), (("9", "b", "12"), None)])
def test_values_that_are_numbers_are_in_their_order(system, corpus, trials, values, expected):
    ages = [values[number % 3] for number in range(len(corpus))]
    found = validate(system, corpus.add_column("age", ages), trials, draws=0, by=("age",))
    (age,) = [factor for factor in found.factors if factor.name == "age"]
    assert age.classes == (expected or tuple(sorted(values)))


def test_every_trial_counts_for_its_speakers(found):
    speakers = found.zoo.speakers
    assert len(speakers) == SPEAKERS
    assert sum(one.same for one in speakers) == found.misleading.of_same
    assert sum(one.different for one in speakers) == 2 * found.misleading.of_different
    assert sum(one.misleading_same for one in speakers) == found.misleading.same
    assert sum(one.misleading_different for one in speakers) == 2 * found.misleading.different


def test_animals_are_in_their_corners():
    names = [f"s{number}" for number in range(8)]
    enroll, test = np.divmod(np.arange(64), 8)
    kept = enroll <= test
    enroll, test = enroll[kept], test[kept]
    own = np.array([9.0, 8.0, 5.0, 5.1, 5.2, 5.3, 1.0, 0.5])
    other = np.array([-9.0, 4.0, -3.0, -3.1, -3.2, -3.3, 5.0, -8.0])
    llrs = np.where(enroll == test, own[enroll], other[enroll] + other[test])
    zoo = menagerie(llrs, enroll == test, (enroll, test), names)
    animals = {animal: [one.name for one in some] for animal, some in zoo.animals.items()}
    assert animals == {"doves": ["s0"], "chameleons": ["s1"], "phantoms": ["s7"], "worms": ["s6"]}
    few = menagerie(llrs[:8], (enroll == test)[:8], (enroll[:8], test[:8]), names)
    assert few.quarters is None and len(few.placed) == 1
    assert few.speakers[1].mean_same is None


def test_speakers_who_are_all_alike_are_in_no_corner():
    """Where LRs are held at the bounds, means are equal but for rounding: all speakers were doves."""
    names = [f"s{number}" for number in range(12)]
    enroll, test = np.triu_indices(12)
    same = enroll == test
    own = np.arange(12) / 10
    zoo = menagerie(np.where(same, 2.7, -3.3), same, (enroll, test), names)
    assert len(zoo.placed) == 12 and not any(zoo.animals.values())
    zoo = menagerie(np.where(same, own[enroll], -3.3), same, (enroll, test), names)
    assert not any(zoo.animals.values())


def test_worst_trials_are_those_furthest_on_the_wrong_side(found, trials, system, corpus):
    exact, *_ = expected(system, corpus, trials)
    for same in (True, False):
        worst = [trial for trial in found.worst if trial.same == same]
        distance = np.where(found.labels == same, exact * (-1 if same else 1), -np.inf)
        assert len(worst) == min(10, (distance > 0).sum())
        furthest = sorted(distance[distance > 0], reverse=True)[:10]
        assert [abs(exact[trial.number]) for trial in worst] == pytest.approx(furthest)
        for trial in worst:
            assert trial.sides == tuple(trials.sides[of[trial.number]][0] for of in (trials.enroll, trials.test))
            assert (trial.speakers[0] == trial.speakers[1]) == same
            low, high = system.scorer.bounds
            assert trial.is_bounded == (not low <= exact[trial.number] <= high)
            assert "s of speech, SNR" in trial.conditions[0] and "sex" in trial.conditions[1]
            assert trial.describe_ratio().endswith(("or more", "or less")) == trial.is_bounded


def test_trials_outside_of_the_calibration_are_counted(found, trials):
    domain = found.evaluation.domain
    assert 0 < domain["trials_beyond_limits"] <= len(trials)
    assert (found.outside != "").sum() == domain["trials_beyond_limits"]
    assert f"{domain['trials_beyond_limits']:,} of {len(trials):,} trials lie beyond the limits" in found.to_text()


@pytest.mark.parametrize(
    ("value", "upper", "met", "words"),
    [
        (0.4, 0.45, True, "met, it is 0.400, and its whole interval, which ends at 0.450, lies within"),
        (0.4, 0.6, True, "met, it is 0.400, but its interval ends at 0.600, beyond the threshold"),
        (0.5, None, True, "met, it is 0.500, without an interval"),
        (0.51, 0.6, False, "not met, it is 0.510 (its interval ends at 0.600)"),
        (np.nan, None, False, "not met, since it has no value"),
    ],
)
def test_a_threshold_is_met_or_not(value, upper, met, words):
    criterion = Criterion("cllr", 0.5, value, upper)
    assert criterion.is_met == met and words in criterion.describe()
    assert criterion.to_dict()["met"] == met


@pytest.mark.parametrize(
    ("metric", "at_most", "value", "upper", "words"),
    [
        ("eer", 0.1, 0.10001, None, "EER at most 10%: not met, it is 10.001%, without"),
        ("eer", 0.1, 0.1, 0.10001, "met, it is 10.00%, but its interval ends at 10.001%, beyond"),
        ("cllr", 0.5, 0.5004, 0.6, "not met, it is 0.5004 (its interval ends at 0.600)"),
        (
            "cllr",
            0.4998,
            0.4997,
            0.49979,
            "at most 0.4998: met, it is 0.4997, and its whole interval, which ends at 0.4998",
        ),
        ("misleading_different", 0.0, 0.00001, None, "not met, it is 0.001%"),
        ("misleading_same", 0.07, 0.1, None, "Misleading same-speaker trials at most 7%: not met, it is 10.00%"),
        ("misleading_same", 0.00002, 0.1, None, "at most 0.002%: not met, it is 10.00%"),
        ("cllr", 0.12345678, 0.1234567, None, "at most 0.12345678: met, it is 0.123,"),
        ("devpav", 0.0, 1e-30, None, "not met"),
    ],
)
def test_no_value_is_rounded_across_its_threshold(metric, at_most, value, upper, words):
    assert words in Criterion(metric, at_most, value, upper).describe()


def test_thresholds_are_read_and_judged(found):
    assert parse_thresholds("cllr=0.5, misleading_different=0.1") == {"cllr": 0.5, "misleading_different": 0.1}
    for text, message in (("cllx=1", "unknown metric 'cllx'"), ("eer=", "eer=NUMBER"), ("cllr=-1", "at least 0")):
        with pytest.raises(ConfigError, match=message):
            parse_thresholds(text)
    for text in ("eer=5", "misleading_same=50", "misleading_different=1.5", "eer=nan"):  # in percent: always met
        with pytest.raises(ConfigError, match="from 0 to 1"):
            parse_thresholds(text)
    with pytest.raises(ConfigError, match="eer=5: expected eer=NUMBER from 0 to 1"):
        judge({"eer": 5.0}, {"eer": 0.02}, {})
    with pytest.raises(ConfigError, match="named twice"):
        parse_thresholds("eer=0.1,eer=0.2")
    by_name = {criterion.metric: criterion for criterion in found.adequacy}
    assert by_name["eer"].value == found.evaluation.metrics["eer"]
    assert by_name["cllr"].upper == found.evaluation.intervals["cllr"][1]
    assert by_name["misleading_same"].upper == found.misleading_intervals["misleading_same"][1]
    assert found.is_adequate == all(criterion.is_met for criterion in found.adequacy)
    (wrong,) = judge({"misleading_different": 0.0}, found.misleading.rates, {})
    assert wrong.value == found.misleading.different / found.misleading.of_different


def test_what_does_not_belong_together_is_refused(system, corpus, trials, make_corpus):
    alien = [Origin(model=f"other@{'0' * 64}")] * len(corpus)
    corpus = add_origins(corpus, "ba", alien)
    with pytest.raises(MismatchError, match="made by the autoencoder other"):
        validate(system, corpus, trials, draws=0)
    found = validate(system, corpus, trials, draws=0, allow_mismatch=True)
    assert found.cautions[0].startswith("The attributes were made by the autoencoder other")


def test_parts_that_were_joined_though_they_do_not_belong_together_are_a_caution(system, corpus, trials, monkeypatch):
    monkeypatch.setattr(system.config, "mismatch", "The embeddings were made by another embedder")
    found = validate(system, corpus, trials, draws=0)
    assert found.cautions[0] == "The embeddings were made by another embedder."
    assert found.to_dict()["mismatch"] == ["The embeddings were made by another embedder."]


@pytest.mark.parametrize(
    ("held", "exact", "told"),
    [
        (0.30, 0.29, "Without the calibration's bounds Cllr is 0.290, of which 0.190 is lost by calibration"),
        (0.30, 0.11, "Of the Cllr of 0.300, 0.190 is lost by the bounds of the calibration"),
        (0.12, 0.11, None),
    ],
)
def test_what_is_lost_by_bounds_is_not_laid_to_the_calibration(found, held, exact, told):
    metrics = {**found.evaluation.metrics, "cllr": held, "cllr_min": 0.1, "cllr_cal": held - 0.1}
    evaluation = replace(found.evaluation, metrics=metrics, unbounded={**metrics, "cllr": exact})
    lost = [caution for caution in replace(found, evaluation=evaluation).cautions if " is lost by " in caution]
    assert [caution.startswith(told or "") for caution in lost] == [True] * (told is not None)


def test_a_value_and_an_interval_that_end_at_the_threshold_are_within_it():
    (met,) = judge({"cllr": 0.5}, {"cllr": 0.5}, {"cllr": (0.4, 0.5)})
    assert met.is_met and met.is_met_surely and "lies within the threshold" in met.describe()
    (unsure,) = judge({"cllr": 0.5}, {"cllr": 0.5}, {"cllr": (0.4, 0.50001)})
    assert unsure.is_met and not unsure.is_met_surely


def test_what_lies_outside_is_told_by_measure_and_what_is_unknown_of_it_too(found):
    def told(within=None, **domain):
        evaluation = replace(found.evaluation, trials=20, domain=domain or None, within=within)
        validation = replace(found, evaluation=evaluation)
        return validation.describe_outside(), " ".join(validation.cautions)

    assert told()[0] is None and "The calibration keeps no description of its recordings" in told()[1]
    nothing = {"sides": 10, "measured": 10, "measures": {}, "differences": {}}
    text, cautions = told(**nothing, trials_beyond_limits=0, trials_unmeasured=0)
    assert text.startswith("0 of 20 trials lie beyond the limits") and text.endswith("verdict on such a comparison.")
    assert "were not measured" not in cautions and "keeps no description" not in cautions
    some = {"sides": 10, "measured": 8, "measures": {"snr": 2}, "differences": {"bandwidth": 4}}
    within = {"trials": 3, "note": "not evaluated: they are all of one kind"}
    text, cautions = told(within, **some, trials_beyond_limits=7, trials_unmeasured=5)
    assert text.startswith("7 of 20 trials lie beyond the limits") and "2 of 10 sides were not measured" in cautions
    assert text.endswith(
        "Sides by measure: SNR 2 (of 10 sides). In 4, the two sides differ more in bandwidth than those of the "
        "calibration. Of 5 further trials this is not known, since a side was not measured. The 3 trials within the "
        "limits are not evaluated: they are all of one kind."
    )


def test_conditions_in_which_the_system_does_harm_are_named(found):
    sex = next(factor for factor in found.factors if factor.name == "sex")
    evaluation = replace(
        sex.parts[0].evaluation,
        speakers=20,
        same_speaker_speakers=20,
        different_speaker_speakers=20,
        metrics={**sex.parts[0].evaluation.metrics, "cllr": 1.5},
    )
    misleading = replace(sex.parts[0].misleading, of_same=40, of_different=40)
    parts = (replace(sex.parts[0], evaluation=evaluation, misleading=misleading), *sex.parts[1:])
    assert found.evaluation.metrics["cllr"] < 1
    harmful = replace(found, factors=(replace(sex, parts=parts),))
    assert (
        "Cllr is 1 or more, which is worse than no system, in some conditions: Sex female (1.50)." in harmful.cautions
    )
    for factor in found.factors:  # draws of few speakers hardly differ, and would seem to be sure
        assert not any(part.evaluation.intervals for part in factor.parts if part.is_few)
    assert found.evaluation.intervals and any(part.is_few for part in sex.parts)
    few = replace(parts[0], misleading=replace(misleading, of_same=29))
    assert few.is_few and not parts[0].is_few
    assert replace(parts[0], evaluation=replace(evaluation, same_speaker_speakers=9)).is_few
    ignored = replace(found, factors=(replace(sex, parts=(few, *sex.parts[1:])),))
    assert not any("in some conditions" in caution for caution in ignored.cautions)


def test_unknown_makers_few_speakers_and_the_demonstration_are_cautions(found):
    assert any(
        caution.startswith("Of 48 of the attributes it is not known which models") for caution in found.cautions
    )
    assert any("rest on 12 speakers, which is few" in caution for caution in found.cautions)
    of_five = replace(found, evaluation=replace(found.evaluation, speakers=60, same_speaker_speakers=5))
    assert any("rest on 5 speakers with same-speaker trials, which is few" in text for text in of_five.cautions)
    assert "60 speakers: 60 same-speaker, of 5 speakers, 381" in of_five.describe_trials()
    alone = replace(of_five.evaluation, same_speaker_speakers=1, intervals={}, draws_of_speakers=9)
    assert any("same-speaker trials are of one speaker" in text for text in replace(found, evaluation=alone).cautions)
    again = Evaluation.from_dict(of_five.evaluation.to_dict())
    assert again.fewest_speakers == 5 and "(60 same-speaker, of 5 speakers) of 60 speakers" in again.describe()
    assert found.demonstration and found.to_text().startswith("DEMONSTRATION")


def test_how_often_intervals_hold_is_what_the_benchmark_found(root):
    lines = (root / "benchmarks" / "README.md").read_text().partition("intervals of metrics: ")[2].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    header, _, *rows = table[: 2 + 9]
    assert header[2:] == ["EER", "minDCF 0.01", "minDCF 0.05", "Cllr", "Cllr_min"]
    for place, name in ((2, "EER"), (5, "Cllr"), (6, "Cllr_min")):
        for stated, systems in ((COVERAGE, ("good", "middling")), (COVERAGE_OF_UNEVEN, ("uneven",))):
            shares = [int(row[place].rstrip("%")) for row in rows if row[0].startswith(systems)]
            assert len(shares) == 3 * len(systems) and stated[name] == (min(shares), max(shares)), name


def test_text_and_page_and_json_say_the_same(found):
    text, page = found.to_text(), html.unescape(found.to_html())
    sentences = [*found.cautions, *(c.describe() for c in found.adequacy), found.describe_adequacy()]
    sentences += [found.describe_outside(), found.describe_trials(), *found.describe_coverage()]
    sentences += [word for row in (*found.system, *found.data) for word in row]
    sentences += [word for row in found.figures_of_merit() for word in row[:3]]
    for sentence in sentences:
        assert sentence in text and sentence in page, sentence
    assert page.count("<svg") == page.count("</svg>") == 5
    data = json.loads(json_text(found.to_dict()))
    assert data["cllr"] == found.evaluation.metrics["cllr"]
    assert data["validation"]["adequate"] == found.is_adequate
    assert Evaluation.from_dict(data).metrics == found.evaluation.metrics
    names = {"Embedder", "Autoencoder", "Scorer", "Precision", "Reference population", "Calibration", "Calibrated on"}
    assert names | {"Bounds", "Date", "Command", "Software"} <= {name for name, _ in found.system}
    assert sum("SHA-256" in value for _, value in found.system) == 3


def test_page_escapes_texts_and_loads_nothing(system, corpus, trials):
    columns = corpus.to_dict()
    columns["sex"] = [EVIL if sex == "male" else sex for sex in columns["sex"]]
    corpus = corpus.remove_columns(["sex", "speaker"]).add_column("sex", columns["sex"])
    corpus = corpus.add_column("speaker", [f"{name}{EVIL}" for name in columns["speaker"]])
    page = validate(system, corpus, trials, draws=0, corpus=EVIL, trial_list=EVIL).to_html()
    assert "<script" not in page and page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    assert re.findall(r"https?:", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)) == []
    assert all(link.startswith("#") for link in re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)", page))
    assert not re.search(r"<(link|script|iframe|object|embed|base)\b|@import|\son\w+\s*=", page)


def test_systems_and_trials_that_cannot_be_validated_are_refused(corpus, trials, system):
    kinds = np.flatnonzero(
        side_speakers(corpus, trials.sides)[trials.enroll] != side_speakers(corpus, trials.sides)[trials.test]
    )
    with pytest.raises(UserError, match="are of two speakers: a validation needs both kinds"):
        validate(system, corpus, trials.select(kinds), draws=0)
    with pytest.raises(UserError, match="names the speaker of every recording"):
        validate(system, corpus.remove_columns("speaker"), trials, draws=0)
    raw = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    raw.scorer.remove_calibration()
    with pytest.raises(UserError, match="the system is not calibrated"):
        validate(raw, corpus, trials, draws=0)


def test_speakers_of_the_scorers_own_populations_are_refused(corpus, trials, monkeypatch):
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    monkeypatch.setattr(
        type(system.scorer), "known_speakers", lambda self, names, role: ["v1"] if role == "calibration" else []
    )
    with pytest.raises(
        UserError, match=r"Among those that it was calibrated on: 1 speaker of the test \(v1\)\. The figures"
    ):
        validate(system, corpus, trials, draws=0)
    found = validate(system, corpus, trials, draws=0, allow_overlap=True)
    assert any(
        "calibrated on: 1 speaker of the test (v1). The figures flatter it" in caution for caution in found.cautions
    )
    told = found.to_dict()
    assert told["speakers_known_to_scorer"] == {"reference": [], "calibration": ["v1"]}
    assert told["recordings_known_to_scorer"] == {"reference": [], "calibration": []}
    (sentence,) = Evaluation.from_dict(told).describe_known()
    assert sentence.startswith("1 speaker of these trials is among those that the scorer was calibrated on")


def test_recordings_of_the_calibration_are_refused_under_other_names(corpus, trials):
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    system.scorer.describe_calibration(corpus.select(range(8)), [[name] for name in corpus["id"][:8]])
    with pytest.raises(
        UserError,
        match=r"Among those that it was calibrated on: 8 recordings of the test, under whatever names \(v0, ",
    ):
        validate(system, corpus, trials, draws=0)
    found = validate(system, corpus, trials, draws=0, allow_overlap=True)
    assert any("Among those that it was calibrated on: 8 recordings" in caution for caution in found.cautions)


def test_speakers_of_the_autoencoders_training_are_refused(corpus, trials):
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    told = {"recordings": 12, "speakers": 2}
    system.autoencoder.config.training = {"training_set": told, KEY: pack_speakers(["v2", "somebody else"])}
    with pytest.raises(UserError, match=r"1 speakers of the test are those that the autoencoder was trained .*v2"):
        validate(system, corpus, trials, draws=0)
    found = validate(system, corpus, trials, draws=0, allow_overlap=True)
    assert any("trained on (v2): the figures flatter it" in caution for caution in found.cautions)
    assert found.to_dict()["speakers_trained_on"] == {"autoencoder": ["v2"], "embedder": []}
    row = dict(found.system)["Training of the autoencoder"]
    assert row == "12 recordings of 2 speakers; 1 speakers of the test are among them, by their names"


def test_speakers_of_the_packages_own_embedder_are_refused_with_another_scorer(corpus, trials, monkeypatch):
    system = SpeakerComparisonModel.from_pretrained(resource(SYSTEM))
    own = system.scorer.reference_speakers
    system.scorer.reference_speakers = own[:0]  # of another population
    names = ["1034" if name == "v3" else name for name in corpus["speaker"]]
    corpus = corpus.remove_columns("speaker").add_column("speaker", names)
    with pytest.raises(
        UserError, match=r"^1 speakers of the test are those that the embedder was trained on \(1034\)"
    ):
        validate(system, corpus, trials, draws=0)
    found = validate(system, corpus, trials, draws=0, allow_overlap=True)
    assert any("embedder was trained on (1034): the figures flatter it" in caution for caution in found.cautions)
    system.embedder.config.demonstration = False  # by its digest it is the same
    assert embedder_trained_on(system.embedder, ["1034", "somebody"]) == ["1034"]
    with torch.no_grad():
        next(system.embedder.parameters()).add_(0.1)
    assert embedder_trained_on(system.embedder, ["1034", "somebody"]) is None


def test_repeated_trials_and_copies_count_once(system, corpus, trials, tmp_path, found):
    names = corpus["id"]
    audio = [f"sha256:{name}" for name in names]
    digests = vector_digests(vector_matrix(corpus, "ba")[0])
    identity = model_identity(system.autoencoder)
    made = [Origin(identity, "fp32", "", d, "", "", a) for d, a in zip(digests, audio, strict=True)]
    told = add_origins(corpus.remove_columns("embedding"), "ba", made)
    copy = told.select([0]).remove_columns("id").add_column("id", ["copy"])
    both = concatenate_datasets([told, copy.select_columns(told.column_names)])
    rows = [*trials.rows, *(row[::-1] for row in trials.rows), [names[0], "copy"]]
    number = len(trials.sides)
    zero = trials.sides.index([names[0]])
    listed = Trials(
        trials.header,
        rows,
        [*trials.sides, ["copy"]],
        np.array([*trials.enroll, *trials.test, zero]),
        np.array([*trials.test, *trials.enroll, number]),
    )
    again = validate(system, both, listed, draws=0)
    assert np.array_equal(again.llrs, found.llrs) and again.evaluation.metrics == found.evaluation.metrics
    assert again.worst == found.worst
    assert (
        f"{len(trials) + 1:,} of the {2 * len(trials) + 1:,} trials that were listed are left out" in again.to_text()
    )
    again.save(tmp_path, listed)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == len(trials) + 1
    speakers = both.remove_columns("speaker").add_column("speaker", [*corpus["speaker"], "somebody"])
    with pytest.raises(UserError, match=f"the audio is the same: {names[0]} of v0 and copy of somebody"):
        validate(system, speakers, listed, draws=0)


def test_recordings_of_no_trial_are_not_counted(system, corpus, trials):
    """`--within` and `--across` leave sides that no trial has: they are not what the system was validated on."""
    some = trials.select(np.flatnonzero((trials.enroll < 20) & (trials.test < 20)))
    sides = np.unique([some.enroll, some.test])
    assert len(sides) < len(some.sides)
    found = validate(system, corpus, some, draws=0)
    assert found.evaluation.domain["sides"] == found.evaluation.domain["measured"] == len(sides)
    alone = validate(system, corpus, some.without_unused_sides(), draws=0)
    assert found.evaluation.domain == alone.evaluation.domain and found.data == alone.data
    assert dict(found.data)["Recordings of the trials"].startswith(f"{len(sides)} recordings of ")


def test_easy_trials_and_sessions_are_cautions(system, corpus, trials):
    sessions = corpus.add_column("session", ["1"] * len(corpus))
    found = validate(system, sessions, trials, draws=0)
    assert "session" in {factor.name for factor in found.factors}
    assert any("the two sides differ in sex in" in caution and "--within sex" in caution for caution in found.cautions)
    assert any("compare recordings of one session" in caution and "--across" in caution for caution in found.cautions)
    plain = validate(system, corpus.remove_columns("sex"), trials, draws=0)
    assert not any("--within" in caution or "session" in caution for caution in plain.cautions)


def test_no_interval_of_the_eer_is_a_caution(system, corpus, trials):
    found = validate(system, corpus, trials, draws=20)
    perfect = replace(found.evaluation, intervals={}, metrics=found.evaluation.metrics | {"eer": 0.0})
    (told,) = [text for text in replace(found, evaluation=perfect).cautions if "no interval" in text]
    assert told.startswith("The EER has no interval, since no draw of the speakers has an error. With 12 speakers, ")
    assert "up to 25% of all speakers" in told
    assert not any("no interval" in text for text in found.cautions)


def test_a_rate_without_misleading_trials_is_bounded_by_trials_and_by_speakers(found):
    none = replace(found.misleading, same=0, of_same=300)
    (told,) = [text for text in replace(found, misleading=none).cautions if text.startswith("None of the 300 same")]
    assert "a rate of up to 1.00% would often show none" in told
    assert told.endswith("With 12 speakers, errors that up to 25% of all speakers bring about would often not show.")


def test_harm_where_little_is_known_is_a_caution_of_its_own(found):
    factor = next(factor for factor in found.factors if factor.name == "sex")
    worse = [
        replace(
            part, evaluation=replace(part.evaluation, speakers=4, metrics={**part.evaluation.metrics, "cllr": 1.5})
        )
        for part in factor.parts
    ]
    cautions = replace(found, factors=(replace(factor, parts=tuple(worse)),)).cautions
    told = "in conditions with so few speakers or trials that it may be chance: Sex female (1.50)"
    assert any(text.startswith(f"Cllr is 1 or more only {told}") for text in cautions)
    assert not any("in some conditions" in text for text in cautions)
    enough = replace(worse[0].evaluation, speakers=20, same_speaker_speakers=20, different_speaker_speakers=20)
    harmful = replace(
        worse[0], evaluation=enough, misleading=replace(worse[0].misleading, of_same=40, of_different=40)
    )
    both = replace(found, factors=(replace(factor, parts=tuple(worse)), replace(factor, parts=(harmful,)))).cautions
    assert any(text.startswith(f"Cllr is 1 or more also {told}") for text in both)
    assert any("in some conditions: Sex female (1.50)" in text for text in both)


def test_thresholds_that_are_met_by_trials_without_a_verdict_are_told_so(found):
    def told(beyond):
        domain = (found.evaluation.domain or {}) | {"trials_beyond_limits": beyond}
        adequacy = (Criterion("cllr", 1e9, 0.1, 0.2),)
        return replace(
            found, evaluation=replace(found.evaluation, domain=domain), adequacy=adequacy
        ).describe_adequacy()

    trials = found.evaluation.trials
    assert told(trials // 2) == "The stated threshold is met."
    assert told(trials // 2 + 1).startswith(
        f"The stated threshold is met. Yet {trials // 2 + 1:,} of the {trials:,} trials"
    )
