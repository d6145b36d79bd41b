"""Overrides (`section.key=value`): telling them from other words, and reading them from a configuration file."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from balr_hf.cli.suggestions import did_you_mean
from balr_hf.errors import ConfigError

# Hydra adds a key by `+key=value` and sets or adds one by `++key=value`; here every key exists.
_OVERRIDE = re.compile(r"\+{0,2}(?P<text>[A-Za-z_]\w*(\.\w+)*=.*)", re.DOTALL)

# The sections of all commands, and the options that a configuration file may set for the commands that have them.
SECTIONS = ("data", "embeddings", "encoder", "trainer", "scorer")
OPTIONS = (
    *("save_dir", "device", "exist_ok", "force", "save_output", "save_format", "audio_formats", "root_dir"),
    *("balr_format", "sep", "allow_overlap", "num_proc", "precision", "calibrated", "bootstrap", "plots"),
)


def split_overrides(argv: list[str], pairs: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """Separate overrides from flags and paths; an existing file whose name looks like an override is a path.

    Args:
        argv: the words that were typed.
        pairs: flags whose values look like overrides, as in `--condition snr=10`; the word after one is its value.
    """
    words: list[str] = []
    overrides = []
    for word in argv:
        found = None if words and words[-1] in pairs else _OVERRIDE.fullmatch(word)
        if found and not Path(word).exists():
            overrides.append(found["text"])
        else:
            words.append(word)
    return words, overrides


def file_overrides(folder: str, name: str, mine: Collection[str]) -> list[str]:
    """The settings of a YAML file as overrides.

    Args:
        folder (str): the file's folder.
        name (str): the file's name, with or without `.yaml`.
        mine: the sections and options of the command; those of other commands
            are left out.

    Raises:
        ConfigError: the file does not exist, is not proper YAML, or has a section that no command has.
    """
    import yaml

    path = Path(folder) / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        raise ConfigError(f"no configuration at {path} (--config-path, --config-name)")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not proper YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} must hold sections with their settings (trainer: {{epochs: 5}})")
    texts = [*_defaults(settings.pop("defaults", None), path), *_flatten(settings)]
    kept = []
    for text in texts:
        section = re.split(r"[.=]", text, maxsplit=1)[0]
        if section not in (*SECTIONS, *OPTIONS, *mine):
            hint = did_you_mean(section, (*SECTIONS, *OPTIONS))
            raise ConfigError(f"{path} has the unknown section {section!r}: expected {', '.join(SECTIONS)}{hint}")
        if section in mine:
            kept.append(text)
    return kept


def _defaults(entries: Any, path: Path) -> list[str]:
    """Hydra's list of defaults, `[{scorer: maxllr}, _self_]`, as overrides; an entry of any other form is refused."""
    texts = []
    for entry in entries or ():
        if entry == "_self_":
            continue
        if not isinstance(entry, dict) or len(entry) != 1 or "@" in next(iter(entry)):
            raise ConfigError(
                f"{path}: cannot compose the default {entry!r}: expected a section and its choice (scorer: maxllr)"
            )
        key, value = next(iter(entry.items()))
        key = key.removeprefix("override ").strip().strip("/").replace("/", ".")
        texts.append(f"{key}={_text(value)}")
    return texts


def _flatten(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """Nested sections as overrides: `{trainer: {epochs: 5}}` becomes `trainer.epochs=5`."""
    texts = []
    for key, value in settings.items():
        if isinstance(value, dict):
            texts += _flatten(value, f"{prefix}{key}.")
        else:
            texts.append(f"{prefix}{key}={_text(value)}")
    return texts


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
