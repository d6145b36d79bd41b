import datasets
import numpy as np
import pytest
import torch

from balr_hf import BinaryAttributeAutoEncoder, BinaryAttributeAutoEncoderConfig
from balr_hf.attributes.binarization import compute_binary_attributes, mismatch
from balr_hf.data import vector_matrix
from balr_hf.errors import MismatchError, UserError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(16, 24)).eval()


@pytest.mark.parametrize("batch_size", [1000, 7])
def test_attributes_are_those_of_the_model(model, make_corpus, batch_size):
    corpus = make_corpus(5, 4)
    result = model.get_binary_attributes(corpus, batch_size=batch_size, allow_mismatch=True)
    assert result.features["ba"] == datasets.List(datasets.Value("bool"), length=24)
    embeddings, _ = vector_matrix(corpus, "embedding")
    bits, _ = vector_matrix(result, "ba")
    assert np.array_equal(bits, model(torch.tensor(embeddings)).binary.bool().numpy())
    assert 0.05 < bits.mean() < 0.95


def test_reordered_corpus_gets_the_right_rows(model, make_corpus):
    corpus = make_corpus(5, 4)
    expected = dict(zip(corpus["id"], model.get_binary_attributes(corpus, allow_mismatch=True)["ba"], strict=True))
    part = corpus.shuffle(seed=1).select(range(3, 15))
    shuffled = model.get_binary_attributes(part, allow_mismatch=True)
    assert all(row["ba"] == expected[row["id"]] for row in shuffled)


def test_recordings_without_embedding_keep_their_row_and_are_named(model, make_corpus):
    corpus = make_corpus(2, 2)
    embeddings = [None, *list(corpus["embedding"])[1:]]
    partly = corpus.remove_columns("embedding").add_column(
        "embedding", embeddings, feature=corpus.features["embedding"]
    )
    result, skipped = compute_binary_attributes(model, partly, allow_mismatch=True)
    assert [(row.id, row.reason) for row in skipped] == [("s0", "no embedding")]
    assert [bits is None for bits in result["ba"]] == [True, False, False, False]


def test_existing_attributes_are_kept_unless_forced(model, make_corpus):
    corpus = make_corpus(2, 3, attributes=24)
    saved = []
    kept, _ = compute_binary_attributes(model, corpus, save=lambda ids, *_: saved.extend(ids))
    assert (saved, list(kept["ba"])) == ([], list(corpus["ba"]))
    options = {"force": True, "allow_mismatch": True}
    forced, _ = compute_binary_attributes(model, corpus, save=lambda ids, *_: saved.extend(ids), **options)
    assert saved == list(corpus["id"])
    assert list(forced["ba"]) != list(corpus["ba"])


def test_embeddings_of_another_size_are_refused(model, make_corpus):
    with pytest.raises(UserError, match="8 values, the autoencoder expects 16"):
        compute_binary_attributes(model, make_corpus(2, 2, size=8))


def test_corpus_without_embeddings_says_what_to_do(model):
    with pytest.raises(UserError, match=r"no embedding column.*run balr extract first"):
        compute_binary_attributes(model, datasets.Dataset.from_dict({"id": ["a"]}))


def test_embeddings_that_the_autoencoder_was_not_trained_on_are_told(make_corpus, caplog):
    own = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(16, 24)).eval()
    corpus = make_corpus(5, 4)
    embeddings, _ = vector_matrix(corpus, "embedding")
    mean = torch.tensor(embeddings.mean(0))
    with torch.no_grad():  # an autoencoder that gives the mean fits embeddings that lie about it
        own.decoder[2].weight.zero_()
        own.decoder[2].bias.copy_(mean)
    near = (
        mean.numpy()
        + 0.1 * np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32) * mean.norm().item() / 4
    )
    assert mismatch(own, near) is None
    assert "fails to reconstruct" in mismatch(own, -near)
    other = corpus.remove_columns("embedding").add_column("embedding", list(-embeddings))
    with pytest.raises(MismatchError, match=r"The autoencoder fails to reconstruct.*allow_mismatch=True"):
        compute_binary_attributes(own, other)
    done, _ = compute_binary_attributes(own, other, allow_mismatch=True)
    assert "The autoencoder fails to reconstruct" in caplog.text
    assert all("fails to reconstruct" in row["mismatch"] for row in done["ba_origin"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_are_refused(model, make_corpus, dtype):
    with pytest.raises(UserError, match=rf"the autoencoder's weights were cast to {dtype}.*dtype=torch\.float32"):
        model.to(dtype).get_binary_attributes(make_corpus(2, 2), allow_mismatch=True)
    with pytest.raises(UserError, match="the autoencoder's weights were cast"):
        compute_binary_attributes(model, make_corpus(2, 2), allow_mismatch=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_odd_embedding_is_skipped_by_name_and_stops_nothing(make_corpus, value, caplog):
    own = BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(16, 24)).eval()
    corpus = make_corpus(1, 4)
    embeddings, _ = vector_matrix(corpus, "embedding")
    with torch.no_grad():  # so that it fits the others
        own.decoder[2].weight.zero_()
        own.decoder[2].bias.copy_(torch.tensor(embeddings.mean(0)))
    odd = embeddings.copy()
    odd[2] = 0.0
    odd[2, 3] = value
    changed = corpus.remove_columns("embedding").add_column("embedding", list(odd))
    done, skipped = compute_binary_attributes(own, changed)
    wrong = "the embedding is zero or has values that are not finite"
    assert [(row.id, row.reason) for row in skipped] == [("s2", wrong)]
    assert [bits is None for bits in done["ba"]] == [False, False, True, False]
    own.get_binary_attributes(changed)
    assert "skipped 1 recording: s2 (the embedding " in caplog.text
    _, skipped = compute_binary_attributes(own, changed.select([2]))
    assert [row.id for row in skipped] == ["s2"]
    assert mismatch(own, odd) is None and mismatch(own, odd[2:3]) is None
