"""Identities: which model made a vector, and on whose vectors a model was trained.

An identity is a name and a digest, `NAME@SHA256`. The digest is of all that decides a model's output: its weights,
the settings of its configuration, and for an embedder the features that it takes, and of which samples. Names are for
people; whether two models are the same is decided by their digests alone.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from balr_hf.defaults import SYSTEM, is_shipped, resource

# What configurations keep besides the settings that decide a model's output: where a model comes from.
BOOKKEEPING = {
    "training",
    "embedder_identity",
    "autoencoder_identity",
    "num_reference_speakers",
    "num_reference_digests",
    "num_uninformative",
    "calibration",
    "reference",
}
# The settings of the features, of which a feature extractor has more that decide nothing.
FEATURES = (
    "num_mel_bins",
    "sampling_rate",
    "frame_length",
    "frame_shift",
    "dither",
    "waveform_scale",
    "normalize_mean",
)
# Which samples of a recording are embedded: how it is resampled, and what of its pauses is left out. Whoever changes
# that raises this number, and every embedder has another digest: see "Changing what is measured" in CONTRIBUTING.md.
PREPARATION = 1


class HasWeights(Protocol):
    """Whatever has a state dict: a `torch.nn.Module`."""

    def state_dict(self) -> dict[str, Any]: ...


def model_identity(model: HasWeights) -> str:
    """Name a model by all that decides its output.

    Args:
        model: an embedder with its `feature_extractor`, an autoencoder or a scorer.

    Returns:
        `NAME@SHA256`; the name is that of the model's folder or Hub repository, and `unnamed` if it has none.
    """
    return f"{_name(model)}@{model_digest(model)}"


def model_digest(model: HasWeights) -> str:
    """Compute the sha256 of all that decides a model's output: weights, settings, features, bounds of a calibration.

    Two models with one digest give the same output on the same machine. The digest does not depend on the model's
    name, device or version of a library.
    """
    config = getattr(model, "config", None)
    bounds = (getattr(config, "calibration", None) or {}).get("bounds")
    return _digest(
        model.state_dict(),
        config,
        bounds=_plain(bounds),
        features=_features(getattr(model, "feature_extractor", None)),
    )


def is_demonstration(model: Any) -> bool:
    """Whether a model is one of the package's own, or was saved from one, even where the mark of that was taken off.

    So is one that was made for one of these, since that has a part in all its results. The mark decides nothing that a
    model computes, so that it is not in its digest.
    """
    config = getattr(model, "config", None)
    made_for = (getattr(config, f"{maker}_identity", None) for maker in ("embedder", "autoencoder"))
    if is_shipped(model) or any(map(is_of_demonstration, filter(None, made_for))):
        return True
    return hasattr(model, "state_dict") and model_digest(model) in _shipped_digests()


def is_of_demonstration(identity: str) -> bool:
    """Whether an identity is that of the package's own embedder or autoencoder."""
    return digest_of(identity) in _shipped_digests()


@cache
def _shipped_digests() -> frozenset[str]:
    """The digests of the package's own embedder and autoencoder, as its scorer names them."""
    scorer = json.loads((resource(SYSTEM) / "config.json").read_text(encoding="utf-8"))["scorer"]
    return frozenset(digest_of(scorer[f"{maker}_identity"]) for maker in ("embedder", "autoencoder"))


def uncalibrated_digest(scorer: Any) -> str:
    """Compute the sha256 of what a calibration is fitted to: a scorer's parameters and settings."""
    weights = {name: value for name, value in scorer.state_dict().items() if not name.startswith("calibration_")}
    return _digest(weights, scorer.config)


def calibration_digest(scorer: Any, weights: Mapping[str, Any] | None = None) -> str:
    """Compute the sha256 of a calibration itself: all its tensors, its record without this digest, and what is beside.

    It is stated in the record as `digest` whenever a calibrated scorer is saved, so that a record and tensors of two
    calibrations, or an edited record, are noticed. So are edits of the description of the reference population, which
    decides beyond which limits there is no verdict, and of the mark of a demonstration.

    Args:
        scorer ([`Scorer`]): a calibrated scorer.
        weights (dict, *optional*): a state dict that is to be saved instead of the scorer's own.
    """
    from balr_hf.checkpoints import weights_digest

    weights = scorer.state_dict() if weights is None else weights
    tensors = {name: value for name, value in weights.items() if name.startswith("calibration_")}
    record = {name: value for name, value in scorer.config.calibration.items() if name != "digest"}
    beside = {
        "reference": _plain(scorer.config.reference),
        "demonstration": bool(getattr(scorer.config, "demonstration", False)),
    }
    return _sha256({"weights": weights_digest(tensors), "record": _plain(record), **beside})


def file_digest(path: str | Path) -> str:
    """Compute the sha256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(identity: str) -> str:
    """Return the digest of an identity, by which models are compared."""
    return identity.rpartition("@")[2]


def is_same(one: str, other: str) -> bool:
    """Tell whether two identities are those of one model, whatever its names."""
    return digest_of(one) == digest_of(other)


def shown(identity: str) -> str:
    """Show an identity in a message: the name, and the first digits of the digest in brackets."""
    name, _, digest = identity.rpartition("@")
    return f"{name or 'unnamed'} ({digest[:12]})"


def other_makers(made_by: Iterable[str], expected: str | None, what: str, maker: str, user: str = "") -> str | None:
    """Tell what is wrong with vectors that a model is to be used on.

    Args:
        made_by: the identities of the models that made the vectors, as far as they are known.
        expected: the identity of the one on whose vectors the model was trained; None if it is unknown.
        what (str): what the vectors are called: `embeddings`, `attributes`.
        maker (str): what the models that made them are called: `embedder`, `autoencoder`.
        user (str): what the model is called that is to be used on them: `autoencoder`, `scorer`.

    Returns:
        a sentence, without its full stop, that names the models; None if nothing is known to be wrong.
    """
    found = {digest_of(identity): identity for identity in made_by}
    if len(found) > 1:
        some = " and ".join(map(shown, list(found.values())[:3]))
        return f"The {what} were made by {len(found)} different {maker}s, {some}, and cannot be compared"
    if expected is None or not found or digest_of(expected) in found:
        return None
    (identity,) = found.values()
    return f"The {what} were made by the {maker} {shown(identity)}, but the {user} was made for {shown(expected)}"


def wrong_parts(embedder: Any, autoencoder: Any, scorer: Any = None) -> str | None:
    """Tell whether an embedder, an autoencoder and a scorer are known not to belong together.

    Args:
        embedder: with its `feature_extractor`; None if it is not there.
        autoencoder: its configuration names the embedder that it was trained for, if that is known; None if it is not
            there.
        scorer: its configuration names the autoencoder that it was fitted for, if that is known; None if it is not
            there.

    Returns:
        a sentence, without its full stop, that names the models; None if nothing is known to be wrong.
    """
    wrong = None if autoencoder is None else allowed_in_training(autoencoder)
    if (
        wrong is None
        and embedder is not None
        and autoencoder is not None
        and (expected := autoencoder.config.embedder_identity)
    ):
        made_by = [model_identity(embedder)]
        wrong = other_makers(made_by, expected, "embeddings", "embedder", "autoencoder")
    if wrong is None and autoencoder is not None and scorer is not None and scorer.config.autoencoder_identity:
        made_by, expected = [model_identity(autoencoder)], scorer.config.autoencoder_identity
        wrong = other_makers(made_by, expected, "attributes", "autoencoder", "scorer")
    return wrong


def known_to_belong(embedder: Any, autoencoder: Any, scorer: Any) -> bool:
    """Whether each model is known to have been made for the one before it; arguments as those of [`wrong_parts`]."""
    known = autoencoder.config.embedder_identity and scorer.config.autoencoder_identity
    return bool(known) and wrong_parts(embedder, autoencoder, scorer) is None


def allowed_in_training(autoencoder: Any) -> str | None:
    """What was wrong with the embeddings that an autoencoder was trained on, and was allowed: a sentence, or None."""
    record = getattr(autoencoder.config, "training", None)
    return record.get("mismatch") if isinstance(record, Mapping) else None


def _name(model: Any) -> str:
    """The name of the folder or repository; `train/best` for the best model of the run `train`."""
    source = str(getattr(model, "name_or_path", "") or "").replace("\\", "/").rstrip("/")
    if not source:
        return "unnamed"
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not Path(source).exists():
        return source  # of the Hub
    parts = [part for part in source.split("/") if part not in ("", ".", "..")]
    return "/".join(parts[-2:] if parts[-1:] in (["best"], ["last"]) else parts[-1:]) or "unnamed"


def _digest(weights: Mapping[str, Any], config: Any, **more: Any) -> str:
    from balr_hf.checkpoints import weights_digest

    decisive = {
        "weights": weights_digest(weights),
        "type": getattr(config, "model_type", ""),
        "settings": {name: _plain(getattr(config, name, None)) for name in _settings(type(config))},
        **more,
    }
    return _sha256(decisive)


def _sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _settings(config_class: type) -> list[str]:
    """The parameters of a configuration class and of its bases, without those that transformers adds."""
    names: set[str] = set()
    for base in config_class.__mro__:
        if base.__name__ == "PreTrainedConfig":
            break
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            names |= {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD or p.kind is p.KEYWORD_ONLY}
    return sorted(names - BOOKKEEPING - {"self"})


def _features(extractor: Any) -> dict[str, Any]:
    if extractor is None:
        return {}
    prepared = {} if PREPARATION == 1 else {"preparation": PREPARATION}
    if hasattr(extractor, "waveform_scale"):
        return {name: _plain(getattr(extractor, name)) for name in FEATURES if hasattr(extractor, name)} | prepared
    return (_plain(extractor.to_dict()) if hasattr(extractor, "to_dict") else {}) | prepared


def _plain(value: Any) -> Any:
    """Bring a value to a form in which equal settings read alike: 32768 and 32768.0, lists and tuples."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else str(value)
