"""Who is in a population, counted and in words; and that explanations and reports say it."""

import datasets
import pytest

from balr_hf.domain import describe_population, describe_reference
from balr_hf.errors import ConfigError
from balr_hf.populations import UNKNOWN, describe_speakers, speakers_by
from balr_hf.scoring.configuration_scorers import DirichletMultinomialScorerConfig


@pytest.fixture
def corpus():
    """Five recordings of four speakers and one of nobody. One speaker was recorded by two channels, one has no sex."""
    columns = {
        "id": list("abcdef"),
        "speaker": ["s1", "s1", "s2", "s3", "s4", None],
        "sex": ["f", "f", "m", None, "f", "m"],
        "channel": ["phone", "laptop", "phone", "phone", "", "laptop"],
    }
    return datasets.Dataset.from_dict(columns)


def test_speakers_are_counted_once_for_each_value(corpus):
    assert speakers_by(corpus) == {
        "sex": {"f": 2, "m": 1, UNKNOWN: 1},
        "channel": {"phone": 3, "laptop": 1, UNKNOWN: 1},
    }
    assert describe_population(corpus)["speakers_by"] == speakers_by(corpus)
    assert describe_population(corpus.remove_columns("speaker"))["speakers_by"] == {}


def test_words_say_what_is_known_and_what_is_not(corpus):
    population = describe_population(corpus)
    assert describe_speakers(population, 4) == (
        "4 speakers; sex: f (2), m (1), not known (1); channel: phone (3), laptop (1), not known (1); "
        "not recorded: language, source"
    )
    assert describe_speakers(population, 4, ("sex",)) == "4 speakers; sex: f (2), m (1), not known (1)"
    assert describe_speakers(None, 1, ("language",)) == "1 speaker; not recorded: language"
    assert describe_reference(population, 4).endswith("; 6 recordings; what is in its recordings was not measured")
    assert describe_reference(None, 900).startswith("900 speakers; not recorded: language, sex, source, channel, nor")


def test_many_values_are_not_all_said():
    corpus = datasets.Dataset.from_dict({"speaker": list("abcdefghij"), "language": list("abcdefghij")})
    words = describe_speakers({"speakers_by": speakers_by(corpus)}, 10, ("language",))
    assert words == "10 speakers; language: a (1), b (1), c (1), d (1), e (1), f (1), g (1), h (1) and others"


@pytest.mark.parametrize("damaged", [{"sex": 3}, {"sex": {"f": "many"}}, []])
def test_damaged_counts_are_refused(corpus, damaged):
    population = {**describe_population(corpus), "speakers_by": damaged}
    with pytest.raises(ConfigError, match="reference is damaged"):
        DirichletMultinomialScorerConfig(reference=population)
