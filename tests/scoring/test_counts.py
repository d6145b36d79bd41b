import datasets
import numpy as np
import pytest

from balr_hf import side_counts, speaker_counts
from balr_hf.data.origins import Origin, add_origins
from balr_hf.errors import UserError
from balr_hf.scoring.counts import recording_counts


def corpus(bits, speakers):
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "speaker": datasets.Value("string"),
            "ba": datasets.List(datasets.Value("bool"), length=2),
        }
    )
    return datasets.Dataset.from_dict(
        {"id": [str(n) for n in range(len(bits))], "speaker": speakers, "ba": bits}, features=features
    )


def test_counts_sum_over_each_speakers_recordings():
    counts, speakers = speaker_counts(
        corpus([[True, False], [True, True], [False, False], [True, False]], ["b", "a", "b", "b"])
    )
    assert speakers == ["b", "a"]
    assert counts.tolist() == [[[2, 1], [0, 3]], [[1, 0], [1, 0]]]


def test_counts_equal_a_loop_over_recordings(make_corpus):
    data = make_corpus(7, 5, attributes=9).shuffle(seed=3)
    counts, speakers = speaker_counts(data)
    expected = np.zeros_like(counts)
    for row in data:
        bits = np.array(row["ba"])
        expected[speakers.index(row["speaker"])] += np.stack([bits, ~bits], -1)
    assert np.array_equal(counts, expected)


def test_recordings_that_lack_something_are_skipped_and_counted(caplog):
    counts, speakers = speaker_counts(corpus([[True, False], None, [True, True]], ["a", "a", None]))
    assert speakers == ["a"]
    assert counts.tolist() == [[[1, 0], [0, 1]]]
    assert "skipped 2 recordings: 1 (no attributes), 2 (no speaker)" in caplog.text


def test_corpus_without_attributes_says_what_to_do():
    with pytest.raises(UserError, match=r"no ba column.*run balr binarize first"):
        speaker_counts(datasets.Dataset.from_dict({"id": ["x"], "speaker": ["a"]}))


def test_single_recordings_have_one_count_an_attribute():
    for bits in ([[True, False]], [[1, 0]], [[1.0, 0.0]]):
        assert recording_counts(np.array(bits)).tolist() == [[[1, 0], [0, 1]]]
    for bits in ([[1.0, 0.4]], [[-1, 1]], [[np.nan, 1]]):
        with pytest.raises(UserError, match="other than 0 and 1"):
            recording_counts(np.array(bits))


def test_recordings_that_would_count_twice_are_refused(make_corpus):
    data = make_corpus(3, 2, attributes=4)
    with pytest.raises(UserError, match=r"duplicate ids .*: s0, s1, s2, s3, s4 and 1 more"):
        speaker_counts(datasets.concatenate_datasets([data, data]))
    assert speaker_counts(data.remove_columns("id"))[0].sum() == 6 * 4


@pytest.mark.parametrize("second, warns", [("m@2", True), ("m@1", False), (None, False)])
def test_attributes_of_several_autoencoders_are_warned_of(make_corpus, second, warns, caplog):
    data = make_corpus(3, 2, attributes=4)
    origins = [Origin("m@1")] * 3 + [None if second is None else Origin(second)] * 3
    data = add_origins(data, "ba", origins)
    for count in (speaker_counts, lambda dataset: side_counts(dataset, [["s0"], ["s5"]])):
        caplog.clear()
        count(data)
        assert ("made by 2 different autoencoders" in caplog.text) == warns
