"""Trials of the same audio are left out, and each pair of sides counts once."""

import numpy as np
import pytest
import torch

from balr_hf import build_scorer
from balr_hf.data.origins import Origin, add_origins, vector_digests
from balr_hf.errors import UserError
from balr_hf.scoring.distinct_trials import (
    check_speakers_of_audio,
    counted_once,
    describe_contradicted_labels,
    is_symmetric,
    without_shared_audio,
)
from balr_hf.scoring.made_trials import make_trials
from balr_hf.scoring.trials import Trials, compact_side_counts, side_counts

ATTRIBUTES = 12


@pytest.fixture
def corpus(make_corpus):
    return make_corpus(6, 3, attributes=ATTRIBUTES)


def hearing(corpus, audio):
    """The corpus, with origins that tell of the audio of each recording: texts."""
    digests = vector_digests(np.array(corpus["ba"][:]))
    made = [
        Origin("a@1", "fp32", "", digest, "e@2", "", f"sha256:{heard}")
        for digest, heard in zip(digests, audio, strict=True)
    ]
    return add_origins(corpus, "ba", made)


def doubled(corpus):
    """The corpus with each recording `sN` once more, as `copyN`."""
    audio = [name.removeprefix("s") for name in corpus["id"]] * 2
    both = corpus.select([*range(len(corpus)), *range(len(corpus))])
    ids = [*corpus["id"], *(f"copy{number}" for number in audio[: len(corpus)])]
    return hearing(both.remove_columns("id").add_column("id", ids), audio)


def listed(*pairs):
    """Trials between the sides of pairs of texts, such as `s0,s1 s2`."""
    sides: dict[str, int] = {}
    numbers = np.array([[sides.setdefault(text, len(sides)) for text in pair.split()] for pair in pairs])
    return Trials(["enrollment", "test"], [p.split() for p in pairs], [t.split(",") for t in sides], *numbers.T)


def fitted(name, corpus):
    scorer = build_scorer(name, num_attributes=ATTRIBUTES)
    if name != "cosine":
        rng = np.random.default_rng(0)
        rates = rng.random((8, ATTRIBUTES))
        scorer.fit(torch.from_numpy(np.stack([(6 * rates).round(), 6 - (6 * rates).round()], -1)))
    return scorer


PAIRS = ("s0 s1", "s0 s3", "s1 s0", "s0 s1", "s2,s1 s4", "s4 s1,s2", "s5 s4")


@pytest.mark.parametrize("name", ["beta", "cosine", "dna", "maxllr", "speech"])
def test_every_scorer_is_symmetric(corpus, name):
    rng = np.random.default_rng(0)
    sides = [[name] for name in corpus["id"]]
    if name not in ("dna", "speech"):
        sides += [["s0", "s1", "s2"], ["s3", "s4"]]
    pairs = [rng.choice(len(sides), 2, replace=False) for _ in range(100)]
    trials = Trials.between(*np.transpose(pairs))
    assert is_symmetric(fitted(name, corpus), compact_side_counts(corpus, sides), trials)


@pytest.mark.parametrize("counted", [side_counts, compact_side_counts])
def test_repeated_and_mirrored_pairs_count_once(corpus, counted, caplog):
    trials = listed(*PAIRS)
    kept = counted_once(corpus, trials, fitted("beta", corpus), counted(corpus, trials.sides))
    assert kept.tolist() == [0, 1, 4, 6]
    (message,) = caplog.messages
    assert message.startswith("3 of the 7 trials repeat a pair") and message.endswith("4 trials are left")
    assert counted_once(corpus, listed("s0 s1", "s2 s1"), None, None) is None


def test_a_scorer_to_whom_the_order_matters_keeps_both_orders(corpus, monkeypatch):
    scorer = fitted("beta", corpus)
    made = type(scorer).term_table

    def one_sided(self, enroll, test, *rest):
        test = np.array(test)
        test[..., 0] *= 2
        return made(self, enroll, test, *rest)

    monkeypatch.setattr(type(scorer), "side_table", lambda *_: None)
    monkeypatch.setattr(type(scorer), "term_table", one_sided)
    trials = listed(*PAIRS)
    kept = counted_once(corpus, trials, scorer, compact_side_counts(corpus, trials.sides))
    assert kept.tolist() == [0, 1, 2, 4, 5, 6]
    trials = listed("s0 s1", "s1 s0")
    assert counted_once(corpus, trials, scorer, compact_side_counts(corpus, trials.sides)) is None


def test_the_same_audio_under_other_names_is_no_trial_and_no_further_evidence(corpus, caplog):
    both = doubled(corpus)
    trials = listed("s0 copy0", "s0 s1", "copy0 s1", "s1,copy0 s4", "s0,s2 copy2,s4", "copy3 s4")
    left, kept = without_shared_audio(both, trials)
    assert kept.tolist() == [1, 2, 3, 5] and [row[0] for row in left.rows] == ["s0", "copy0", "s1,copy0", "copy3"]
    (message,) = caplog.messages
    assert message.startswith("Left out 2 of the 6 trials")
    assert "s0 against copy0" in message and "s0, s2 against copy2, s4" in message
    once = counted_once(both, left, fitted("beta", corpus), compact_side_counts(both, left.sides))
    assert once.tolist() == [0, 2, 3]
    with pytest.raises(UserError, match="no trial is left, because the two sides of each hold the same audio"):
        without_shared_audio(both, listed("s0 copy0"))
    assert without_shared_audio(corpus, trials) == (trials, None)  # nothing is known of its audio


def test_trials_of_the_same_audio_beyond_those_that_are_named_are_counted(corpus, caplog):
    both = doubled(corpus)
    without_shared_audio(both, listed(*(f"s{number} copy{number}" for number in range(6)), "s0 s1"))
    (message,) = caplog.messages
    assert message.startswith("Left out 6 of the 7 trials") and message.endswith(" and 3 more")


def test_audio_of_several_speakers_is_named(corpus):
    heard = [name.removeprefix("s") for name in corpus["id"]]
    heard[4] = "0"  # s4 is of another speaker than s0
    wrong = hearing(corpus, heard)
    with pytest.raises(UserError, match=r"the audio is the same: s0 of s0 and s4 of s1\. One of the names is wrong"):
        check_speakers_of_audio(wrong, listed("s0 s5", "s1 s4"))
    check_speakers_of_audio(wrong, listed("s0 s5"))  # the other one is in no trial
    check_speakers_of_audio(doubled(corpus), listed("s0 copy0"))


def test_trials_are_made_of_one_copy_of_each_recording(corpus, caplog):
    made = make_trials(doubled(corpus))
    assert "18 recordings are copies of others" in caplog.text
    names = {name.removeprefix("copy").removeprefix("s") for side in made.sides for name in side}
    assert len(made.sides) == len(names) == len(corpus)
    pairs = [frozenset(pair) for pair in zip(made.enroll.tolist(), made.test.tolist(), strict=True)]
    assert len(set(pairs)) == len(pairs)


def test_a_million_trials_are_told_apart_quickly(corpus):
    import time

    rng = np.random.default_rng(0)
    sides = [[name] for name in corpus["id"]]
    trials = Trials([], [], sides, *rng.integers(len(sides), size=(2, 1_000_000)))
    counts, scorer = compact_side_counts(corpus, sides), fitted("beta", corpus)
    start = time.process_time()
    kept = counted_once(corpus, trials, scorer, counts)
    assert len(kept) == len(sides) * (len(sides) + 1) // 2
    assert time.process_time() - start < 5


@pytest.mark.parametrize("words", [("1", "0"), ("target", "nontarget"), ("True", "FALSE")])
def test_labels_that_contradict_the_speakers_are_told(words, caplog):
    yes, no = words
    same = np.array([True, False, False, True])
    trials = listed("s0 s1", "s0 s3", "s1 s4", "s3 s4")

    def with_labels(name, *values):
        rows = [[*row, value] for row, value in zip(trials.rows, values, strict=True)]
        return Trials([*trials.header, name], rows, trials.sides, trials.enroll, trials.test)

    assert describe_contradicted_labels(with_labels("label", yes, no, no, yes), same) is None
    for name in ("same_speaker", "Same speaker", "LABEL", "key", "is_target", "targettype"):
        assert describe_contradicted_labels(with_labels(name, no, no, yes, yes), same).startswith("2 of the 4 labels")
    told = describe_contradicted_labels(with_labels("Target", no, no, yes, yes), same)
    assert told.startswith("2 of the 4 labels in the column 'Target' of the trial list contradict the corpus")
    with caplog.at_level("WARNING"):
        told = describe_contradicted_labels(with_labels("label", no, "maybe", yes, yes), same)
    assert told.startswith("2 of the 4 labels")  # those that are understood are compared
    assert (
        "1 of the 4 labels in the column 'label' of the trial list are not understood (such as 'maybe')" in caplog.text
    )
    caplog.clear()
    assert describe_contradicted_labels(with_labels("key", "a", "b", "c", "d"), same) is None
    assert not caplog.messages  # a column of that name may hold something else
    assert describe_contradicted_labels(with_labels("session", no, no, yes, yes), same) is None
    assert describe_contradicted_labels(trials, same) is None
