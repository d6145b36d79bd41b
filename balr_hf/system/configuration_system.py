"""Configuration of a whole system for speaker comparison."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from transformers import CONFIG_MAPPING, PreTrainedConfig

try:
    from balr_hf.attributes.configuration_autoencoder import BinaryAttributeAutoEncoderConfig
    from balr_hf.embeddings.configuration_wespeaker import WespeakerConfig
    from balr_hf.errors import ConfigError
    from balr_hf.scoring.configuration_scorers import SCORER_CONFIGS, CosineSimilarityScorerConfig, ScorerConfig
except ModuleNotFoundError:  # this file came with a model, to where the package is not installed
    if not TYPE_CHECKING:
        from .configuration_autoencoder import BinaryAttributeAutoEncoderConfig
        from .configuration_scorers import SCORER_CONFIGS, CosineSimilarityScorerConfig, ScorerConfig
        from .configuration_wespeaker import WespeakerConfig

        ConfigError = ValueError


class SpeakerComparisonConfig(PreTrainedConfig):
    """Configuration of a [`SpeakerComparisonModel`]: those of its three parts.

    Args:
        embedder ([`WespeakerConfig`] or dict, *optional*): the configuration of the embedder.
        autoencoder ([`BinaryAttributeAutoEncoderConfig`] or dict, *optional*): that of the autoencoder.
        scorer ([`ScorerConfig`] or dict, *optional*): that of the scorer, of any kind, which a dict names by its
            `model_type`. By default the scorer is the cosine similarity.
        mismatch (str, *optional*): what is wrong with parts that were joined although they are known not to belong
            together; None if nothing is known to be wrong.

    Raises:
        ConfigError: a dict is of an embedder or of an autoencoder that is none of the package's, or of a scorer of a
            kind that is not known here. Of a scorer of your own, call [`balr_hf.scoring.auto.scorer_class`] with the
            path of its class first.
    """

    model_type = "balr-speaker-comparison"
    sub_configs: ClassVar[dict[str, type]] = {
        "embedder": WespeakerConfig,
        "autoencoder": BinaryAttributeAutoEncoderConfig,
        "scorer": ScorerConfig,
    }

    def __init__(
        self,
        embedder: WespeakerConfig | dict[str, Any] | None = None,
        autoencoder: BinaryAttributeAutoEncoderConfig | dict[str, Any] | None = None,
        scorer: ScorerConfig | dict[str, Any] | None = None,
        mismatch: str | None = None,
        **kwargs: Any,
    ):
        if not isinstance(embedder, PreTrainedConfig):
            check_kind("embedder", (embedder or {}).get("model_type"))
            embedder = WespeakerConfig(**embedder or {})
        if not isinstance(autoencoder, PreTrainedConfig):
            check_kind("autoencoder", (autoencoder or {}).get("model_type"))
            autoencoder = BinaryAttributeAutoEncoderConfig(**autoencoder or {})
        self.embedder = embedder
        self.autoencoder = autoencoder
        self.scorer = scorer if isinstance(scorer, PreTrainedConfig) else _scorer_config(scorer or {})
        self.mismatch = mismatch
        super().__init__(**kwargs)

    def to_diff_dict(self) -> dict[str, Any]:
        """What `config.json` gets: as that of `PreTrainedConfig`, and each part as if it was saved alone."""
        found = super().to_diff_dict()
        for name in self.sub_configs:
            part = getattr(self, name).to_diff_dict()
            found[name] = {key: value for key, value in part.items() if key != "transformers_version"}
        return found


def check_kind(name: str, kind: str | None) -> None:
    """Refuse a part of which a system that is loaded makes another model, with the same weights perhaps.

    Args:
        name (str): `embedder` or `autoencoder`.
        kind (str, *optional*): its `model_type`.

    Raises:
        ConfigError: it is not that of the package's own.
    """
    own = WespeakerConfig if name == "embedder" else BinaryAttributeAutoEncoderConfig
    if kind not in (None, own.model_type):
        raise ConfigError(
            f"the {name} of this system is of the kind {kind}, but one of a system is {own.model_type}: save "
            "it and load it by itself, and join the parts by SpeakerComparisonModel.from_parts"
        )


def _scorer_config(settings: dict[str, Any]) -> ScorerConfig:
    """Make the configuration of a scorer of any kind."""
    kind = settings.get("model_type", CosineSimilarityScorerConfig.model_type)
    known = {config.model_type: config for config in SCORER_CONFIGS}
    if kind not in known and kind not in CONFIG_MAPPING:
        raise ConfigError(
            f"the scorer of this system is of the kind {kind}, which is none of {', '.join(known)}: if it is a scorer "
            "of your own, call balr_hf.scoring.auto.scorer_class with the path of its class first"
        )
    return cast("ScorerConfig", (known.get(kind) or CONFIG_MAPPING[kind])(**settings))
