"""balr_hf: explainable speaker comparison with binary attributes, on Hugging Face Accelerate and datasets.

Recordings go in, and a likelihood ratio comes out that can be read attribute by attribute:

    audio -> WespeakerModel -> embedding -> BinaryAttributeAutoEncoder -> ba -> scorer -> log-likelihood ratio

The public names stand here and, for editors and type checkers, in `__init__.pyi`; reading that file at import would
take as long as all else. Each is loaded on first use (PEP 562), so that `import balr_hf` itself imports neither torch
nor transformers. As soon as transformers is imported, it learns of our models and pipelines: see
`balr_hf.registration`.
"""

import lazy_loader

from balr_hf import registration

# Module of the package -> the public names that it defines.
NAMES = {
    "_version": ["__version__"],
    "attributes.configuration_autoencoder": ["BinaryAttributeAutoEncoderConfig"],
    "attributes.modeling_autoencoder": ["BinaryAttributeAutoEncoder", "BinaryAttributeOutput"],
    "audio": ["AudioError", "load_audio"],
    "data.columns": ["vector_matrix"],
    "data.reading": ["load_corpus"],
    "data.saving": ["save_dataset"],
    "data.segmentation": ["segments"],
    "data.stores": ["open_store"],
    "data.vectors": ["read_vector", "write_vector"],
    "embeddings.configuration_wespeaker": ["WespeakerConfig"],
    "embeddings.feature_extraction_wespeaker": ["WespeakerFeatureExtractor"],
    "embeddings.modeling_wespeaker": ["WespeakerModel", "WespeakerOutput"],
    "errors": ["ConfigError", "UserError"],
    "evaluation": ["Evaluation"],
    "explanation.explanation": ["Explanation"],
    "export": ["Agreement", "AudioToAttributes", "export_onnx"],
    "hub.publishing": ["publish_corpus", "publish_model"],
    "metrics": ["compute_metrics", "evaluate_module"],
    "pipelines": ["BinaryAttributesPipeline", "SpeakerComparisonPipeline"],
    "scoring.auto": ["build_scorer", "load_scorer"],
    "scoring.calibration": ["Calibration"],
    "scoring.configuration_scorers": [
        "CosineSimilarityScorerConfig",
        "DNALLRScorerConfig",
        "DirichletMultinomialScorerConfig",
        "MaxLLRScorerConfig",
        "ScorerConfig",
        "SpeechLLRScorerConfig",
    ],
    "scoring.counts": ["recording_counts", "speaker_counts"],
    "scoring.modeling_beta": ["DirichletMultinomialScorer"],
    "scoring.modeling_cosine": ["CosineSimilarityScorer"],
    "scoring.modeling_maxllr": ["MaxLLRScorer"],
    "scoring.modeling_profile": ["DNALLRScorer", "SpeechLLRScorer"],
    "scoring.modeling_scorer": ["Scorer"],
    "scoring.trial_lists": ["Trials", "read_trials"],
    "scoring.trials": ["score_trials", "side_counts", "side_speakers", "trial_labels"],
    "system.configuration_system": ["SpeakerComparisonConfig"],
    "system.modeling_system": ["SpeakerComparisonModel", "SpeakerComparisonOutput"],
    "timeline": [
        "AttributeTimeline",
        "ComparedTimelines",
        "OcclusionMap",
        "SystemParts",
        "attribute_timeline",
        "occlusion_map",
    ],
    "training.arguments": ["DataArguments"],
    "training.losses": [
        "ArcFaceLoss",
        "AutoEncoderLoss",
        "ConsistencyLoss",
        "DecorrelationLoss",
        "MSELoss",
        "SparsityLoss",
        "TripletMarginLoss",
    ],
    "training.samplers": ["ExhaustiveNxMSampler", "RandomNxMSampler"],
    "training.trainer": ["BinaryAttributeEncoderTrainer"],
}

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=NAMES)

registration.install()
