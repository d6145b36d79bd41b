"""Attributes that are made from measures, and attributes that are not."""

import numpy as np
import pytest

from balr_hf.describing import Meaning, describe_attributes
from balr_hf.describing.association import Areas, Ranks, auc, chance, permuted_rows
from balr_hf.describing.description import quartiles
from balr_hf.describing.prediction import ceiling, folds_of, singly, together

SPEAKERS, EACH = 60, 5


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def corpus(rng) -> dict:
    """Measures that belong to speakers (F0, formants), and some that belong to recordings (noise)."""
    speakers = np.repeat(np.arange(SPEAKERS), EACH)
    sex = np.where(speakers % 2, "F", "M")
    own = rng.standard_normal((SPEAKERS, 3))[speakers]
    voice = own + 0.2 * rng.standard_normal((len(speakers), 3))
    voice[:, 0] += 3 * (sex == "F")
    recording = rng.standard_normal((len(speakers), 2))
    return {"voice": voice, "recording": recording, "speakers": [f"s{n}" for n in speakers], "groups": sex}


NAMES = (("f0", "dispersion", "hnr"), ("snr", "level"))


def described(corpus, active, **more):
    return describe_attributes(active, **corpus, names=NAMES, permutations=100, **more)


def test_areas_are_those_of_sklearn(rng):
    from sklearn.metrics import roc_auc_score

    measures = np.round(rng.standard_normal((80, 3)), 1)  # with ties
    measures[::7, 1] = np.nan
    active = rng.random((80, 4)) < 0.3
    areas = Ranks(measures).areas(active)
    for attribute in range(4):
        for measure in range(3):
            known = np.isfinite(measures[:, measure])
            expected = roc_auc_score(active[known, attribute], measures[known, measure])
            assert areas[attribute, measure] == pytest.approx(expected)
    scores = np.round(rng.standard_normal((80, 4)), 1)
    assert auc(scores, active) == pytest.approx([roc_auc_score(active[:, n], scores[:, n]) for n in range(4)])
    assert np.isnan(auc(scores, np.ones((80, 4), bool))).all()


def voices(rng, speakers, each, distance=1.0):
    """Scores of an attribute that speakers have more or less often; recordings of one speaker are alike."""
    who = np.repeat(np.arange(speakers), each)
    own, often = rng.standard_normal(speakers), rng.random(speakers)
    active = rng.random(len(who)) < often[who]
    scores = own[who] + distance * often[who] + 0.5 * rng.standard_normal(len(who)) + 0.5 * active
    return scores[:, None], active[:, None], who


def test_variances_of_areas_are_those_of_draws_of_the_speakers(rng):
    """Recordings of one speaker are not so many speakers: taken for such, they would give half the variance here."""
    scores, active, who = voices(rng, 80, 6)
    found = Areas.of(scores, active, who)
    assert found.values == pytest.approx(auc(scores, active))
    rows_of = [np.flatnonzero(who == one) for one in range(80)]
    drawn = []
    for _ in range(2_000):
        rows = np.concatenate([rows_of[one] for one in rng.integers(0, 80, 80)])
        drawn.append(auc(scores[rows], active[rows])[0])
    assert found.variances[0] == pytest.approx(np.var(drawn), rel=0.15)
    assert Areas.of(scores, active, np.arange(len(who))).variances[0] < 0.5 * found.variances[0]


def test_the_variance_of_areas_of_few_speakers_is_that_of_a_sample(rng):
    """With every speaker twice, each has half the influence: twice the sum of quarters, over n - 1 for 2 n."""
    scores, active, who = voices(rng, 5, 6)
    once = Areas.of(scores, active, who)
    twice = Areas.of(np.tile(scores, (2, 1)), np.tile(active, (2, 1)), np.concatenate([who, who + 5]))
    assert twice.values == pytest.approx(once.values) and 0 < once.values[0] < 1
    assert twice.variances / once.variances == pytest.approx((10 / 9 * 2 / 4) / (5 / 4))


def test_intervals_of_areas_contain_what_all_speakers_show(rng):
    everybody = auc(*voices(rng, 100_000, 4)[:2])[0]
    inside = 0
    for _ in range(400):
        found = Areas.of(*voices(rng, 25, 4))
        low, high = found.interval(0)
        assert 0 < low < found.values[0] < high < 1
        inside += low <= everybody <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_areas_that_nothing_tells_the_interval_of_have_none():
    who, states = np.repeat(np.arange(6), 2), np.zeros((12, 3), bool)
    states[:2, 0], states[::2, 1] = True, True  # one speaker alone, all speakers, nobody
    scores = np.arange(36.0).reshape(12, 3) % 7
    found = Areas.of(scores, states, who)
    assert found.speakers.tolist() == [1, 6, 0]
    assert found.value(0) is not None and found.interval(0) is None
    assert found.interval(1) is not None
    assert found.value(2) is None and found.interval(2) is None
    separated = Areas.of(states.astype(float), states, who)
    assert separated.value(1) == 1.0 and separated.interval(1) is None
    assert found.among(np.zeros(3, bool)).value(1) is None
    nothing = Areas.mean([], 2)
    assert nothing.value(0) is None and nothing.interval(1) is None


def test_the_mean_of_areas_leaves_out_what_has_none():
    one = Areas(np.array([0.6, 0.8]), np.array([0.01, 0.02]), np.array([5, 6]))
    other = Areas(np.array([0.8, np.nan]), np.array([0.03, np.nan]), np.array([7, 0]))
    found = Areas.mean([one, other], 2)
    assert found.values == pytest.approx([0.7, 0.8]) and found.variances == pytest.approx([0.01, 0.02])
    assert found.speakers.tolist() == [12, 6]


def test_descriptions_have_the_intervals_of_their_figures(corpus):
    active = np.column_stack([corpus["voice"][:, 0] > 1.5, np.zeros(SPEAKERS * EACH, bool)])
    first, never = described(corpus, active, sources=["a", "b", "c"] * 100)
    names = {"voice_auc", "recording_auc", "ceiling", "elsewhere", "recording_elsewhere", "within.F", "within.M"}
    assert set(first.intervals) <= names and {"voice_auc", "recording_auc", "ceiling"} <= set(first.intervals)
    low, high = first.intervals["voice_auc"]
    assert low < first.voice_auc < high
    assert never.intervals == {}


def test_permutations_move_speakers_as_a_whole(rng):
    speakers = rng.permutation(np.repeat(np.arange(8), (3, 1, 4, 2, 2, 5, 3, 1)))
    for _ in range(20):
        rows = permuted_rows(speakers, rng)
        taken = {int(one): set(speakers[rows[speakers == one]]) for one in range(8)}
        assert all(len(others) == 1 for others in taken.values())
        assert len(set.union(*taken.values())) == 8
        for one in range(8):
            used = rows[speakers == one]
            assert len(set(used)) == min(len(used), (speakers == speakers[used[0]]).sum())


def test_no_speaker_is_fitted_and_tested(rng):
    speakers = rng.integers(0, 12, 100)
    tested = []
    for fitted, held_out in folds_of(speakers):
        assert not set(speakers[fitted]) & set(speakers[held_out])
        tested += list(held_out)
    assert sorted(tested) == list(range(100))
    with pytest.raises(ValueError, match="at least two"):
        folds_of(np.zeros(5, int))


def test_each_attribute_gets_its_class(corpus, rng):
    voice, recording = corpus["voice"], corpus["recording"]
    count = len(voice)
    active = np.stack(
        [
            voice[:, 0] > 1.5,
            voice[:, 1] + 1.2 * rng.standard_normal(count) > 0,
            voice[:, 2] + 3.5 * rng.standard_normal(count) > 0,
            recording[:, 0] + 0.3 * rng.standard_normal(count) > 0.5,
            rng.random(count) < 0.3,
            np.arange(count) == 0,
        ],
        axis=1,
    )
    high, apart, weak, noisy, random, lonely = described(corpus, active)
    assert high.meaning == apart.meaning == Meaning.DESCRIBED and high.q < 0.05
    assert high.associations[0].measure == "f0" and high.associations[0].higher and high.associations[0].auc > 0.95
    assert high.associations[0].active[1] == pytest.approx(np.median(voice[active[:, 0], 0]))
    assert high.associations[0].inactive[0] == pytest.approx(np.percentile(voice[~active[:, 0], 0], 25))
    assert apart.associations[0].measure == "dispersion"
    assert weak.meaning in (Meaning.WEAKLY_DESCRIBED, Meaning.UNDESCRIBED) and weak.voice_auc < 0.7
    assert noisy.meaning is Meaning.FOLLOWS_RECORDING and noisy.associations[0].measure == "snr"
    assert random.meaning is Meaning.UNDESCRIBED and random.q > 0.05
    assert lonely.meaning is Meaning.UNDESCRIBED and lonely.associations == () and lonely.q == 1


def test_a_difference_of_the_sexes_alone_vanishes_within_each(corpus, rng):
    """F0 tells the sexes apart, and the attribute is nothing but the sex with errors."""
    women = corpus["groups"] == "F"
    active = (women ^ (rng.random(len(women)) < 0.2))[:, None]
    (found,) = described(corpus, active)
    assert found.voice_auc > 0.7 and set(found.within) == {"F", "M"}
    assert all(abs(value - 0.5) < 0.12 for value in found.within.values())


def test_what_holds_in_each_source_but_not_across_them_is_not_described(corpus, rng):
    """One attribute follows F0 everywhere, the other is turned round in one of two sources."""
    sources = np.array(["studio" if int(name[1:]) % 4 < 2 else "phones" for name in corpus["speakers"]])
    f0 = corpus["voice"][:, 1] + 0.3 * rng.standard_normal(len(sources)) > 0
    odd = sources == "phones"
    active = np.stack([f0, f0 ^ odd], axis=1)
    corpus["voice"] = np.column_stack([corpus["voice"], corpus["voice"][:, 1] * odd])  # how a fit sees the source
    names = (("f0", "dispersion", "hnr", "turned"), NAMES[1])
    everywhere, here = describe_attributes(active, **corpus, names=names, sources=sources, permutations=100)
    assert everywhere.meaning is Meaning.DESCRIBED and set(everywhere.elsewhere) == set(sources)
    assert min(everywhere.elsewhere.values()) > 0.8
    assert here.voice_auc > 0.8 and np.mean([*here.elsewhere.values()]) < 0.6
    assert here.meaning is Meaning.UNDESCRIBED
    without = describe_attributes(active, **corpus, names=names, permutations=100)
    assert [one.elsewhere for one in without] == [{}, {}] and without[1].meaning is Meaning.DESCRIBED


def test_what_the_recording_tells_is_asked_of_other_sources_too(corpus, rng):
    """Noise goes with both attributes, but in one of two sources the other way round with the second."""
    sources = np.array(["studio" if int(name[1:]) % 4 < 2 else "phones" for name in corpus["speakers"]])
    odd = sources == "phones"
    noisy = corpus["recording"][:, 0] + 0.3 * rng.standard_normal(len(odd)) > 0
    corpus["recording"] = np.column_stack([corpus["recording"], corpus["recording"][:, 0] * odd])
    names = (NAMES[0], ("snr", "level", "turned"))
    active = np.stack([noisy, noisy ^ odd], axis=1)
    everywhere, here = describe_attributes(active, **corpus, names=names, sources=sources, permutations=100)
    assert everywhere.meaning is Meaning.FOLLOWS_RECORDING and everywhere.recording_elsewhere > 0.8
    assert here.recording_auc > 0.8 and here.recording_elsewhere < 0.6 and here.meaning is Meaning.UNDESCRIBED


def test_small_sources_and_rare_states_are_not_tested_on(corpus):
    active = (corpus["voice"][:, :1] > 0) & ~np.isin(corpus["speakers"], [f"s{n}" for n in range(12)])[:, None]
    number = np.array([int(name[1:]) for name in corpus["speakers"]])
    sources = [None if n > 50 else "few" if n > 45 else "none active" if n < 12 else "rest" for n in number]
    (found,) = described(corpus, active, sources=sources)
    assert found.elsewhere.keys() == {"none active", "rest"} and found.elsewhere["none active"] is None
    (found,) = described(corpus, active, sources=["one"] * len(sources))
    assert found.elsewhere == {}
    with pytest.raises(ValueError, match="one row per recording"):
        described(corpus, active, sources=["one"])


def test_speakers_do_not_count_as_often_as_they_have_recordings(rng):
    """Measures and attributes that belong to few speakers agree by chance; permuting recordings would not see it."""
    speakers = np.repeat(np.arange(12), 40)
    false = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        voice = draw.standard_normal((12, 2))[speakers] + 0.01 * draw.standard_normal((480, 2))
        active = (draw.random(12) < 0.5)[speakers][:, None]
        (found,) = describe_attributes(
            active, voice, np.zeros((480, 0)), list(speakers), (("a", "b"), ()), permutations=60
        )
        false += found.q <= 0.05
    assert false <= 4


def test_measures_that_few_speakers_have_do_not_hide_the_others(corpus, rng):
    """As where some recordings are wide-band and most are calls, which have no energy above 4 kHz to measure."""
    few = np.where(np.arange(SPEAKERS) < 6, rng.standard_normal((4, SPEAKERS)), np.nan).T
    voice = np.column_stack([corpus["voice"], np.repeat(few, EACH, axis=0), np.ones(SPEAKERS * EACH)])
    low = corpus["voice"][:, :1] + rng.standard_normal((SPEAKERS * EACH, 1)) < 1.5
    nothing = np.repeat(rng.random((SPEAKERS, 200)) < 0.5, EACH, axis=0)
    names = ((*NAMES[0], "a", "b", "c", "d", "constant"), NAMES[1])
    (found,) = describe_attributes(low, **{**corpus, "voice": voice}, names=names, permutations=200)
    assert found.meaning is Meaning.DESCRIBED and found.q < 0.01
    ranks = Ranks(np.column_stack([voice, corpus["recording"]]))
    speakers = np.repeat(np.arange(SPEAKERS), EACH)
    by_chance = chance(ranks.areas(nothing), ranks, nothing, speakers, permutations=200, seed=0)
    assert 0.1 < np.mean(by_chance <= 0.25) < 0.4  # a quarter, as of probabilities


def test_held_out_direction_and_ceiling(corpus, rng):
    codes = np.array([int(name[1:]) for name in corpus["speakers"]])
    fixed = (rng.random(SPEAKERS) < 0.5)[codes][:, None]
    assert ceiling(fixed, codes).values == pytest.approx([1.0])
    fickle = rng.random((len(codes), 1)) < 0.5
    assert ceiling(fickle, codes).values == pytest.approx([0.5], abs=0.12)
    assert np.isnan(ceiling(fickle[:5], np.arange(5)).values).all()
    low = corpus["voice"][:, :1] < 1.5
    assert singly(corpus["voice"], low, codes)[0, 0] > 0.95
    assert together(corpus["voice"], low, codes).values[0] > 0.9
    assert np.isnan(together(np.full((len(codes), 2), np.nan), low, codes).values).all()


def test_what_one_speaker_alone_has_is_not_known_of_others(corpus):
    """Without that speaker nothing can be fitted: the area was that of the wrong direction, or 0.5 of all together."""
    codes = np.array([int(name[1:]) for name in corpus["speakers"]])
    names, speakers = list(corpus["speakers"]), np.append(codes, np.full(10, 3))
    corpus["speakers"] = names + ["s3"] * 10
    for name in ("voice", "recording", "groups"):
        corpus[name] = np.concatenate([corpus[name], corpus[name][codes == 3], corpus[name][codes == 3]])
    active = (speakers == 3)[:, None]
    corpus["voice"][active[:, 0], 1] += 10
    assert np.isnan(singly(corpus["voice"], active, speakers)).all()
    assert np.isnan(together(corpus["voice"], active, speakers).values).all()
    for states in (active, ~active):
        (found,) = described(corpus, states)
        assert found.associations == () and found.voice_auc is None and found.recording_auc is None
        assert found.meaning is Meaning.UNDESCRIBED
    few = active | np.isin(speakers, (4, 9, 11))[:, None]  # which are in several folds, and so can be fitted
    assert np.isfinite(singly(corpus["voice"], few, speakers)).all()


def test_measures_of_no_meaning_are_at_one_half_on_held_out_speakers(rng):
    """Not above: the direction comes from the other speakers."""
    speakers = np.repeat(np.arange(20), 5)
    areas = singly(rng.standard_normal((100, 4)), rng.random((100, 60)) < 0.5, speakers)
    assert areas.mean() == pytest.approx(0.5, abs=0.03)


def test_missing_figures_are_left_out(corpus):
    corpus["voice"][::4, 0] = np.nan
    corpus["voice"][:, 1] = np.nan
    active = np.nan_to_num(corpus["voice"][:, :1]) > 1.5
    (found,) = described(corpus, active)
    assert found.associations[0].measure == "f0" and "dispersion" not in {one.measure for one in found.associations}


def test_inputs_that_do_not_fit_are_refused(corpus):
    active = np.zeros((SPEAKERS * EACH, 2), dtype=bool)
    with pytest.raises(ValueError, match="one row per recording"):
        described(corpus, active[:-1])
    with pytest.raises(ValueError, match="type bool"):
        described(corpus, active.astype(float))
    with pytest.raises(ValueError, match="names"):
        described(corpus | {"recording": np.zeros((len(active), 3))}, active)


def test_quartiles_are_those_of_numpy(rng):
    measures = rng.standard_normal((23, 5))
    measures[::3, 1], measures[1:, 2], measures[:, 3] = np.nan, np.nan, np.nan
    found = quartiles(measures)
    for column in (0, 1, 2, 4):
        assert found[column] == pytest.approx(np.nanpercentile(measures[:, column], (25, 50, 75)))
    assert np.isnan(found[3]).all()
