"""Labels of a corpus that contradict each other, or are one label written in several ways."""

import logging

import datasets
import pytest

from balr_hf.data import load_corpus
from balr_hf.data.labels import describe_odd_labels


def corpus(**columns):
    return datasets.Dataset.from_dict({"id": [f"r{n}" for n in range(len(columns["speaker"]))], **columns})


def test_labels_that_agree_say_nothing():
    assert describe_odd_labels(corpus(speaker=["a", "a", "b", None], sex=["m", "m", "f", None])) == []
    assert describe_odd_labels(corpus(speaker=["a", "b"], sex=[1, 2])) == []


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("sex", ["m", "M", "f"]),
        ("sex", ["male", "m", "f"]),
        ("sex", ["f ", "f", "m"]),
        ("channel", ["Telephone", "telephone", "studio"]),
        ("language", ["caf\u00e9", "cafe\u0301", "en"]),
    ],
)
def test_a_value_that_is_written_in_two_ways_is_told_of(column, values):
    (told,) = describe_odd_labels(corpus(speaker=["a", "b", "c"], **{column: values}))
    one, other = sorted(values[:2])
    assert told == (
        f"The column {column} has values that seem to be one, and are taken for several: {one!r} and {other!r}"
    )


def test_a_speaker_whose_name_is_written_in_two_ways_is_told_of():
    (told,) = describe_odd_labels(corpus(speaker=["Ann", "ann", "Bo"]))
    assert told.endswith("taken for several: 'Ann' and 'ann'")


def test_a_speaker_of_two_sexes_is_told_of():
    (told,) = describe_odd_labels(corpus(speaker=["a", "a", "b", "b"], sex=["m", "f", "f", ""]))
    assert told.startswith("1 speaker has recordings of more than one sex (a): ")


def test_a_speaker_whose_sex_is_written_in_two_ways_has_one_sex():
    (told,) = describe_odd_labels(corpus(speaker=["a", "a"], sex=["m", "male"]))
    assert "written" not in told and told.endswith("'m' and 'male'")


def test_reading_a_corpus_tells_of_its_labels(tmp_path, caplog):
    path = tmp_path / "corpus.csv"
    path.write_text("id,audio,speaker,sex\nx,x.wav,a,m\ny,y.wav,a,f\n", encoding="utf-8")
    for name in "xy":
        (tmp_path / f"{name}.wav").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        load_corpus(path)
    (told,) = [record.getMessage() for record in caplog.records if "more than one sex" in record.getMessage()]
    assert told.startswith(f"{path}: 1 speaker has ")
