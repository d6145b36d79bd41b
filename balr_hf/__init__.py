"""balr_hf: explainable speaker comparison with binary attributes, on Hugging Face Accelerate and datasets.

A recording goes in, a likelihood ratio that can be read attribute by attribute comes out:

    audio -> WespeakerModel -> embedding -> BinaryAttributeAutoEncoder -> ba -> scorer -> log-likelihood ratio

Names are loaded on first use (PEP 562), so `import balr_hf` itself imports neither torch nor transformers. It teaches
transformers our models and pipelines whenever that is imported: see `balr_hf.registration`.
"""

import importlib

from balr_hf import registration
from balr_hf._version import __version__

# public name -> module that defines it
_EXPORTS = {
    "load_audio": "balr_hf.audio",
    "AudioError": "balr_hf.audio",
    "load_corpus": "balr_hf.data",
    "publish_corpus": "balr_hf.hub.publishing",
    "segments": "balr_hf.data.segmentation",
    "speaker_counts": "balr_hf.scoring.counts",
    "WespeakerConfig": "balr_hf.embeddings.configuration_wespeaker",
    "WespeakerFeatureExtractor": "balr_hf.embeddings.feature_extraction_wespeaker",
    "WespeakerModel": "balr_hf.embeddings.modeling_wespeaker",
    "WespeakerOutput": "balr_hf.embeddings.modeling_wespeaker",
    "BinaryAttributeAutoEncoderConfig": "balr_hf.attributes.configuration_autoencoder",
    "BinaryAttributeAutoEncoder": "balr_hf.attributes.modeling_autoencoder",
    "BinaryAttributeOutput": "balr_hf.attributes.modeling_autoencoder",
    "BinaryAttributeEncoderTrainer": "balr_hf.training.trainer",
    "MSELoss": "balr_hf.training.losses",
    "TripletMarginLoss": "balr_hf.training.losses",
    "ArcFaceLoss": "balr_hf.training.losses",
    "SparsityLoss": "balr_hf.training.losses",
    "RandomNxMSampler": "balr_hf.training.samplers",
    "ExhaustiveNxMSampler": "balr_hf.training.samplers",
    "CosineSimilarityScorer": "balr_hf.scoring.modeling_cosine",
    "CosineSimilarityScorerConfig": "balr_hf.scoring.configuration_scorers",
    "DNALLRScorer": "balr_hf.scoring.modeling_profile",
    "DNALLRScorerConfig": "balr_hf.scoring.configuration_scorers",
    "SpeechLLRScorer": "balr_hf.scoring.modeling_profile",
    "SpeechLLRScorerConfig": "balr_hf.scoring.configuration_scorers",
    "MaxLLRScorer": "balr_hf.scoring.modeling_maxllr",
    "MaxLLRScorerConfig": "balr_hf.scoring.configuration_scorers",
    "DirichletMultinomialScorer": "balr_hf.scoring.modeling_beta",
    "DirichletMultinomialScorerConfig": "balr_hf.scoring.configuration_scorers",
    "load_scorer": "balr_hf.scoring.auto",
    "compute_metrics": "balr_hf.metrics",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str):
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'balr_hf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


registration.install()
