"""What `import balr_hf` adds to transformers: the Auto classes know our models, and `pipeline` our tasks.

Registering needs transformers and torch, which take seconds to import. So each part is registered when transformers
imports the module that it belongs to, or at once if that is there already.
"""

import importlib.util
import sys
from types import ModuleType


def _register_configs(auto: ModuleType) -> None:
    from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.scoring.configuration_scorers import SCORER_CONFIGS

    for config in (WespeakerConfig, BinaryAttributeAutoEncoderConfig, *SCORER_CONFIGS):
        auto.AutoConfig.register(config.model_type, config, exist_ok=True)


def _register_models(auto: ModuleType) -> None:
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.scoring.auto import SCORERS, scorer_class

    for model in (WespeakerModel, BinaryAttributeAutoEncoder, *map(scorer_class, SCORERS)):
        auto.AutoModel.register(model.config_class, model, exist_ok=True)


def _register_feature_extractors(auto: ModuleType) -> None:
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

    auto.AutoFeatureExtractor.register(WespeakerConfig, WespeakerFeatureExtractor, exist_ok=True)


def _register_pipelines(pipelines: ModuleType) -> None:
    import balr_hf.pipelines  # noqa: F401 (registers its tasks at its end, even if it is what imports `pipelines`)


_PARTS = {
    "transformers.models.auto.configuration_auto": _register_configs,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.feature_extraction_auto": _register_feature_extractors,
    "transformers.pipelines": _register_pipelines,
}


class _Registrar:
    """Finds the modules of `_PARTS` as everybody else does, and registers our part once they are executed."""

    def __init__(self):
        self.loaders = {}

    def find_spec(self, name, path=None, target=None):
        if name not in _PARTS or name in self.loaders:
            return None
        self.loaders[name] = None  # the search below comes by here again
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            del self.loaders[name]
            return None
        self.loaders[name], spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return self.loaders[spec.name].create_module(spec)

    def exec_module(self, module):
        name = module.__spec__.name
        module.__spec__.loader = module.__loader__ = self.loaders.pop(name)
        module.__loader__.exec_module(module)
        _PARTS[name](module)


def install() -> None:
    """Register with what there is of transformers, and with the rest when it is imported."""
    sys.meta_path.insert(0, _Registrar())
    for name, register in _PARTS.items():
        if name in sys.modules:
            register(sys.modules[name])
