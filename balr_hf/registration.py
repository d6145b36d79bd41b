"""What `import balr_hf` adds to transformers: the Auto classes know our models, and `pipeline` knows our tasks.

Registering needs transformers and torch, which take seconds to import. So each part is registered when transformers
imports the module that it belongs to, or at once if that module was imported already. The post-import hooks of `wrapt`
would do the same, but importing `wrapt` takes ten times as long as importing `balr_hf`.

A cache of transformers is enlarged in the same way, which shortens the import of its models.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys

TYPE_CHECKING = False  # as `typing` has it, which takes as long to import as all else here
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def _register_configs(auto: ModuleType) -> None:
    from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.scoring.configuration_scorers import SCORER_CONFIGS

    for config in (WespeakerConfig, BinaryAttributeAutoEncoderConfig, *SCORER_CONFIGS):
        auto.AutoConfig.register(config.model_type, config, exist_ok=True)
    importlib.import_module("balr_hf.system.configuration_system")


def _register_models(auto: ModuleType) -> None:
    from balr_hf.attributes.modeling_autoencoder import BinaryAttributeAutoEncoder
    from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
    from balr_hf.scoring.auto import SCORERS, scorer_class

    models: list[Any] = [WespeakerModel, BinaryAttributeAutoEncoder, *map(scorer_class, SCORERS)]
    for model in models:
        auto.AutoModel.register(model.config_class, model, exist_ok=True)
    importlib.import_module("balr_hf.system.modeling_system")


def _register_feature_extractors(auto: ModuleType) -> None:
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor
    from balr_hf.system.configuration_system import SpeakerComparisonConfig

    for config in (WespeakerConfig, SpeakerComparisonConfig):
        auto.AutoFeatureExtractor.register(config, WespeakerFeatureExtractor, exist_ok=True)


def _register_system_config(module: ModuleType) -> None:
    from transformers import AutoConfig

    config = module.SpeakerComparisonConfig
    AutoConfig.register(config.model_type, config, exist_ok=True)


def _register_system(module: ModuleType) -> None:
    from transformers import AutoModel

    AutoModel.register(module.SpeakerComparisonConfig, module.SpeakerComparisonModel, exist_ok=True)


def _register_pipelines(pipelines: ModuleType) -> None:
    import balr_hf.pipelines  # noqa: F401 (registers its tasks at its end, even if it is what imports `pipelines`)


def _enlarge_cache(module: ModuleType) -> None:
    """Have transformers look through the folders of its models once and not twice.

    It remembers 128 of them (`functools.lru_cache`), and has more, so that the second time it finds none.
    """
    remembering: Any = getattr(module, "create_import_structure_from_path", None)
    if hasattr(remembering, "cache_parameters") and remembering.cache_parameters()["maxsize"] is not None:
        vars(module)["create_import_structure_from_path"] = functools.cache(remembering.__wrapped__)


_PARTS: dict[str, Callable[[ModuleType], None]] = {
    "transformers.utils.import_utils": _enlarge_cache,
    "transformers.models.auto.configuration_auto": _register_configs,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.feature_extraction_auto": _register_feature_extractors,
    "transformers.pipelines": _register_pipelines,
    # A system imports its parts, which have transformers import its Auto classes: too early to register the system.
    "balr_hf.system.configuration_system": _register_system_config,
    "balr_hf.system.modeling_system": _register_system,
}


class _RegisteringFinder:
    """Finds the modules of `_PARTS` as the other finders do, and has them loaded by a [`_RegisteringLoader`]."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _PARTS or name in self._searching:
            return None
        self._searching.add(name)  # the search below asks this finder again
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, _PARTS[name])  # type: ignore[assignment]
        return spec


class _RegisteringLoader:
    """Loads a module with its own loader, and then registers what belongs to it."""

    def __init__(self, loader: Loader, register: Callable[[ModuleType], None]) -> None:
        self._loader, self._register = loader, register

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._register(module)


def install() -> None:
    """Register what belongs to the modules that are imported already, and with the others when they are."""
    sys.meta_path.insert(0, _RegisteringFinder())  # type: ignore[arg-type]
    for name, register in _PARTS.items():
        if name in sys.modules:
            register(sys.modules[name])
