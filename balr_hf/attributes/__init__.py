"""embedding -> binary attributes: the autoencoder as a transformers configuration and model."""
