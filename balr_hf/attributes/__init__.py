"""embedding -> binary attributes: the autoencoder, as a configuration and a model of transformers."""
