"""From typed words to dataclasses: flags (by argparse-dataclass), and `section.key=value` overrides of them."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from argparse_dataclass import ArgumentParser

from balr_hf.errors import ConfigError

_OVERRIDE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=.*", re.DOTALL)


def positional(name: str, help: str) -> Any:
    """A required positional argument of a command's options."""
    return field(metadata={"args": [name], "help": help, "type": str})


def names(text: str) -> tuple[str, ...]:
    """`[mse, arcface]`, `mse,arcface` or `mse arcface` as a tuple of names."""
    return tuple(part.strip("'\"") for part in re.split(r"[,\s]+", text.strip().strip("[]()")) if part)


def boolean(text: str) -> bool:
    """`true`, `yes`, `1`, `false`, ... as a bool."""
    value = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if text.strip().lower() not in value:
        raise ValueError("expected true or false")
    return value[text.strip().lower()]


@dataclass(frozen=True)
class Section:
    """A group of settings of a command.

    Args:
        path: how overrides name it, e.g. `trainer` (`trainer.epochs=50`).
        arguments: the dataclass of its settings.
        prefix: before its flags, where another section has settings of the same names.
        selects: if set, the field that `path=value` itself sets (`scorer=beta`, `trainer.losses=[mse]`).
    """

    path: str
    arguments: type
    prefix: str = ""
    selects: str | None = None

    def fields(self):
        """`(field, its name among all settings of the command, which makes its flag)`."""
        return [(f, self.prefix + f.metadata.get("flat", f.name)) for f in fields(self.arguments)]


@dataclass(frozen=True)
class Command:
    """A command's options and settings.

    Args:
        name: e.g. `score train`.
        description: the first paragraph of `--help`.
        options: the dataclass of its own options.
        sections: the settings that overrides can reach.
        epilog: examples, at the end of `--help`.
    """

    name: str
    description: str
    options: type
    sections: Sequence[Section] = ()
    epilog: str = ""

    def parse(self, argv: list[str]) -> "Arguments":
        """Parse the words after the command.

        Raises:
            ConfigError: an unknown override or a bad value. Wrong flags end in argparse's own message and exit 2.
        """
        argv, overrides = _split(_merge_repeated(argv, "--audio-formats"))
        flat = self._parser().parse_args([self._switch(word) for word in argv])
        given = set()
        for text in [*self._file_overrides(flat), *overrides]:
            given.add(self._override(flat, text))
        arguments = Arguments(self, flat, given)
        for section in [Section("", self.options), *self.sections]:
            try:
                arguments.build(section)
            except ConfigError as error:
                valid = ", ".join(f.name for f, _ in section.fields() if f.name != section.selects)
                raise ConfigError(
                    f"{error} (section {section.path}: {valid})" if section.path else str(error)
                ) from None
        return arguments

    def _parser(self) -> ArgumentParser:
        flat_fields = []
        for section in [Section("", self.options), *self.sections]:
            for f, name in section.fields():
                metadata = dict(f.metadata)
                if section.prefix:
                    metadata.pop("args", None)
                metadata.setdefault("type", f.type)
                if f.type is bool:  # argparse-dataclass would make --name or --no-name; here both are flags
                    flag = name.replace("_", "-")
                    on = "on" if f.default else "off"
                    metadata |= {
                        "type": boolean,
                        "args": [f"--{flag}", f"--no-{flag}"],
                        "metavar": "",
                        "help": f"{f.metadata['help']} [default: {on}]",
                    }
                spec = field(default=f.default, default_factory=f.default_factory, metadata=metadata)
                flat_fields.append((name, object if f.type is bool else f.type, spec))
        flat_fields.sort(key=lambda item: item[2].default is not MISSING or item[2].default_factory is not MISSING)
        parser = ArgumentParser(
            make_dataclass("Flat", flat_fields),
            prog=f"balr {self.name}",
            description=self.description + self._override_help(),
            epilog=self.epilog,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        parser.usage = f"balr {self.name} [OPTIONS] {' '.join(self._positionals())} [SECTION.KEY=VALUE ...]"
        return parser

    def _switch(self, word: str) -> str:
        """`--force` and `--no-force` as `--force=true` and `--force=false`."""
        name = word.removeprefix("--").replace("-", "_")
        switches = {
            name for s in [Section("", self.options), *self.sections] for f, name in s.fields() if f.type is bool
        }
        if word.startswith("--") and name in switches:
            return f"{word}=true"
        if word.startswith("--no-") and name.removeprefix("no_") in switches:
            return f"--{word.removeprefix('--no-')}=false"
        return word

    def _positionals(self) -> list[str]:
        return [f.metadata["args"][0].upper() for f in fields(self.options) if "args" in f.metadata]

    def _override_help(self) -> str:
        lines = [f"  {section.path}.*: {', '.join(f.name for f, _ in section.fields())}" for section in self.sections]
        return "\n\noverrides (each sets the same as the flag of its name):\n" + "\n".join(lines) if lines else ""

    def _override(self, flat: Any, text: str) -> str:
        """Apply one `section.key=value`; returns the key."""
        key, value = text.split("=", 1)
        for section in self.sections:
            if section.selects is not None and key == section.path:
                self._assign(flat, section, section.selects, section.selects, key, value)
                return key
            if key.startswith(f"{section.path}.") and "." not in key.removeprefix(f"{section.path}."):
                short = key.removeprefix(f"{section.path}.")
                for f, name in section.fields():
                    if f.name == short and f.name != section.selects:
                        self._assign(flat, section, f.name, name, key, value)
                        return key
                valid = ", ".join(f.name for f, _ in section.fields() if f.name != section.selects)
                raise ConfigError(f"unknown key {key} (in {text}): section {section.path} has {valid}")
        known = ", ".join(section.path for section in self.sections) or "none"
        raise ConfigError(f"unknown override {text}: balr {self.name} has the sections {known}")

    def _assign(self, flat: Any, section: Section, field_name: str, name: str, key: str, value: str) -> None:
        f = next(f for f in fields(section.arguments) if f.name == field_name)
        convert: Callable[[str], Any] = f.metadata.get("type", f.type)
        try:
            if value.strip().lower() in ("null", "none", "") and f.default is None:
                converted = None
            else:
                converted = boolean(value) if convert is bool else convert(value)
        except (ValueError, TypeError) as error:
            valid = ", ".join(f.name for f, _ in section.fields())
            kind = getattr(convert, "__name__", str(convert))
            raise ConfigError(
                f"bad value {value!r} for {key}: expected {kind} (section {section.path}: {valid})"
            ) from error
        setattr(flat, name, converted)

    def _file_overrides(self, flat: Any) -> list[str]:
        """The overrides that `--config-path FOLDER --config-name NAME` stands for; other commands' sections pass."""
        folder = getattr(flat, "config_path", None)
        if folder is None:
            return []
        import yaml

        path = Path(folder) / f"{flat.config_name.removesuffix('.yaml')}.yaml"
        if not path.is_file():
            raise ConfigError(f"no configuration at {path} (--config-path, --config-name)")
        try:
            settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not proper YAML: {error}") from error
        if not isinstance(settings, dict):
            raise ConfigError(f"{path} must hold sections with their settings (trainer: {{epochs: 5}})")
        mine = {section.path.split(".")[0] for section in self.sections}
        return [text for text in _flatten(settings) if text.split("=")[0].split(".")[0] in mine]


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of descriptions; switches show no value."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=36)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return super()._format_action_invocation(action).replace(" ,", ",").rstrip()


class Arguments:
    """A command's parsed words.

    Attributes:
        given: keys of the overrides that were typed.
    """

    def __init__(self, command: Command, flat: Any, given: set[str]):
        self._command, self._flat, self.given = command, flat, given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flat, name)

    def section(self, path: str) -> Any:
        """The dataclass instance of a section."""
        return self.build(next(section for section in self._command.sections if section.path == path))

    def build(self, section: Section) -> Any:
        """Make the section's dataclass of what was typed, which checks the values."""
        return section.arguments(**{f.name: getattr(self._flat, name) for f, name in section.fields()})


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Separate overrides from flags and paths; an existing file whose name looks like an override is a path."""
    words, overrides = [], []
    for word in argv:
        is_override = _OVERRIDE.fullmatch(word) and not Path(word).exists()
        (overrides if is_override else words).append(word)
    return words, overrides


def _merge_repeated(argv: list[str], flag: str) -> list[str]:
    """`--flag a --flag b` -> `--flag a,b`."""
    values = [value for word, value in pairwise(argv) if word == flag]
    if len(values) < 2:
        return argv
    first = argv.index(flag)
    rest = [w for i, w in enumerate(argv) if w != flag and (i == 0 or argv[i - 1] != flag)]
    return [*rest[:first], flag, ",".join(values), *rest[first:]]


def _flatten(settings: dict, prefix: str = "") -> list[str]:
    texts = []
    for key, value in settings.items():
        if isinstance(value, dict):
            texts += _flatten(value, f"{prefix}{key}.")
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else value
            texts.append(f"{prefix}{key}={text}")
    return texts
