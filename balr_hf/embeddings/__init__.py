"""audio -> embedding: the WeSpeaker model family as a transformers configuration, feature extractor and model."""
