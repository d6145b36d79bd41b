"""A user's script: README's steps from a corpus to an explained likelihood ratio, with the types that mypy is to see."""

from typing import reveal_type

import balr_hf
from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus, load_scorer, recording_counts
from balr_hf import vector_matrix
from balr_hf.defaults import AUTOENCODER, EMBEDDER, SAMPLE_CORPUS, SCORER, resource

reveal_type(balr_hf.WespeakerModel)
corpus = load_corpus(resource(SAMPLE_CORPUS) / "test.csv")
reveal_type(corpus)
embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))
reveal_type(embedder)
corpus = embedder.extract_embeddings(corpus)
reveal_type(corpus)
autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
corpus = autoencoder.get_binary_attributes(corpus)
reveal_type(corpus)
attributes = vector_matrix(corpus, "ba")
counts = recording_counts(attributes[0])
reveal_type(counts)
scorer = load_scorer(resource(SCORER))
reveal_type(scorer)
llr = scorer.score(counts[:1], counts[1:2], calibrated=True)
reveal_type(llr)
reveal_type(scorer.attribute_scores(counts[:1], counts[1:2]))
reveal_type(scorer.score_matrix(counts, counts))
explanation = scorer.explain(counts[0], counts[1])
reveal_type(explanation)
reveal_type(explanation.to_text())
