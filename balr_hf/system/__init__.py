"""recordings -> likelihood ratio: embedder, autoencoder and scorer as one model of transformers, in one folder."""
