"""A user's script, README's steps: the comments say what a type checker must know of each value."""

from typing import reveal_type

import balr_hf
from balr_hf import (
    BinaryAttributeAutoEncoder,
    WespeakerModel,
    load_corpus,
    load_scorer,
    recording_counts,
    vector_matrix,
)
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, SCORER, resource

reveal_type(balr_hf.WespeakerModel)  # WespeakerModel
corpus = load_corpus(resource(SAMPLE_CORPUS) / "test.csv")
reveal_type(corpus)  # Dataset
embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
reveal_type(embedder)  # WespeakerModel
corpus = embedder.extract_embeddings(corpus)
reveal_type(corpus)  # Dataset
autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
reveal_type(autoencoder)  # BinaryAttributeAutoEncoder
corpus = autoencoder.get_binary_attributes(corpus)
reveal_type(corpus)  # Dataset

counts = recording_counts(vector_matrix(corpus, "ba")[0])
reveal_type(counts)  # ndarray
scorer = load_scorer(resource(SCORER))
reveal_type(scorer)  # Scorer
reveal_type(scorer.score(counts[:1], counts[1:2], calibrated=True))  # Tensor
reveal_type(scorer.attribute_scores(counts[:1], counts[1:2]))  # Tensor
reveal_type(scorer.score_matrix(counts, counts))  # Tensor
explanation = scorer.explain(counts[0], counts[1])
reveal_type(explanation)  # Explanation
reveal_type(explanation.to_text())  # str
