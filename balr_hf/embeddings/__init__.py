"""From audio to embeddings: WeSpeaker's models as a transformers configuration, feature extractor and model."""
