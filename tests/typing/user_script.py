"""A user's script with the steps of docs/python.md, and what a type checker must know of each value.

`make types` checks it, together with the package.
"""

from typing import assert_type

import numpy as np
import torch
from datasets import Dataset

import balr_hf
from balr_hf import (
    BinaryAttributeAutoEncoder,
    DNALLRScorerConfig,
    Explanation,
    Scorer,
    ScorerConfig,
    WespeakerFeatureExtractor,
    WespeakerModel,
    build_scorer,
    load_corpus,
    load_scorer,
    recording_counts,
    speaker_counts,
    vector_matrix,
)
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, SCORER, resource

assert_type(balr_hf.WespeakerModel, type[WespeakerModel])
corpus = load_corpus(resource(SAMPLE_CORPUS) / "test.csv")
assert_type(corpus, Dataset)
embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
assert_type(embedder, WespeakerModel)
corpus = embedder.extract_embeddings(corpus)
assert_type(corpus, Dataset)
autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
assert_type(autoencoder, BinaryAttributeAutoEncoder)
corpus = autoencoder.get_binary_attributes(corpus)
assert_type(corpus, Dataset)

extractor = embedder.feature_extractor
assert_type(extractor, WespeakerFeatureExtractor)
waveforms = [np.zeros(16000, np.float32), np.zeros(8000, np.float32)]
batch = extractor(waveforms, sampling_rate=16000, padding="max_length", max_length=50, truncation=True)
embeddings = embedder(**batch).embeddings
assert_type(autoencoder.encode(embeddings), torch.Tensor)

counts = recording_counts(vector_matrix(corpus, "ba")[0])
assert_type(counts, np.ndarray)
scorer = build_scorer("beta", num_attributes=counts.shape[1])
scorer = scorer.fit(*speaker_counts(corpus))
assert_type(scorer, Scorer)
scorer = load_scorer(resource(SCORER))
assert_type(scorer, Scorer)
assert_type(scorer.score(counts[:1], counts[1:2], calibrated=True), torch.Tensor)
assert_type(scorer.attribute_scores(counts[:1], counts[1:2]), torch.Tensor)
assert_type(scorer.score_matrix(counts, counts), torch.Tensor)
explanation = scorer.explain(counts[0], counts[1])
assert_type(explanation, Explanation)
assert_type(explanation.to_text(), str)


class MyConfig(ScorerConfig):
    model_type = "my-scorer"
    strength: float = 1.0


assert_type(DNALLRScorerConfig(num_attributes=8, drop_in=0.1).num_attributes, int)
assert_type(MyConfig(strength=2.0).strength, float)
