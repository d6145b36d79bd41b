"""Turns typed words into dataclasses: flags (by argparse-dataclass) and overrides (`section.key=value`)."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass
from itertools import pairwise
from typing import Any

from argparse_dataclass import ArgumentParser

from balr_hf.cli.grouped_parser import GroupedParser, HelpFormatter
from balr_hf.cli.overrides import file_overrides, split_overrides
from balr_hf.cli.suggestions import did_you_mean
from balr_hf.errors import ConfigError

logger = logging.getLogger(__name__)


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
        prefix: what its flags begin with, needed where another section of the command has settings of the same names.
        selects: if set, the field that `path=value` itself sets (`scorer=beta`, `trainer.losses=[mse]`).
        only: if set, the one value that `path=value` may have, as in BALR 2.0 (`encoder.model=autoencoder`).
        is_open: whether keys that are not fields are kept, for a class of the user's own
            (`scorer._target_=my.MyScorer`).
        idle: keys that are accepted because BALR 2.0 has them, although they change nothing, there or here.
        note: what `--help` says below the heading, if anything.
        used: the keys that the command uses; where others are given, a warning says so. All by default.
    """

    path: str
    arguments: type
    prefix: str = ""
    selects: str | None = None
    only: str | None = None
    is_open: bool = False
    idle: tuple[str, ...] = ()
    note: str = ""
    used: tuple[str, ...] | None = None

    @property
    def title(self) -> str:
        """The heading of its flags in `--help`."""
        words = re.sub(r"\s*\(`.*`\)", "", (self.arguments.__doc__ or "").split("\n")[0]).rstrip(".")
        first = words.split(" ")[0]
        words = first.lower() + words[len(first) :] if first.istitle() else words  # but `ArcFace` stays as it is
        return f"{self.path}{'.*' if self.keys() else ''}: {words}"

    def keys(self) -> list[str]:
        """The keys that overrides can set."""
        return [f.name for f, _ in self.fields() if f.name != self.selects]

    def fields(self) -> list[tuple[Field[Any], str]]:
        """Its fields, each with its name among all settings of the command, from which the flag is made."""
        return [(f, self.prefix + f.metadata.get("flat", f.name)) for f in fields(self.arguments)]


@dataclass(frozen=True)
class Command:
    """The options and settings of a command.

    Args:
        name: e.g. `score train`.
        description: the first paragraph of `--help`.
        options: the dataclass of its own options.
        sections: the settings that overrides can set.
        epilog: examples, at the end of `--help`.
    """

    name: str
    description: str
    options: type
    sections: Sequence[Section] = ()
    epilog: str = ""
    on_more_words: str = ""  # what a user may have meant who typed more words than the command takes

    def parse(self, argv: list[str]) -> "Arguments":
        """Parse the words after the command.

        Raises:
            ConfigError: an unknown flag or override, a missing argument, or a bad value.
        """
        pairs = [f"--{f.name.replace('_', '-')}" for f in fields(self.options) if f.metadata.get("pairs")]
        argv, overrides = split_overrides(_merge_repeated(argv, "--audio-formats"), pairs)
        words = [self._switch(word) for word in argv]
        parser = self.parser()
        flat, unknown = parser.parse_known_args(words)
        if unknown:
            flag = next((word.split("=")[0] for word in unknown if word.startswith("-")), None)
            if flag is None:
                hint = f" ({self.on_more_words})" if self.on_more_words else ""
                raise ConfigError(f"unexpected word {unknown[0]}{hint}: {self._expected(parser)}")
            known = [flag for action in parser._actions for flag in action.option_strings]
            raise ConfigError(f"unknown flag {flag}{did_you_mean(flag, known)} (balr {self.name} --help lists them)")
        arguments = Arguments(self, flat, self._typed(words))
        if getattr(flat, "config_path", None) is not None:
            mine = {section.path.split(".")[0] for section in self.sections} | {f.name for f in fields(self.options)}
            overrides = [*file_overrides(flat.config_path, flat.config_name, mine), *overrides]
        for text in overrides:
            self._override(arguments, text)
        for section in [Section("", self.options), *self.sections]:
            try:
                arguments.build(section)
            except ConfigError as error:
                valid = ", ".join(section.keys())
                raise ConfigError(
                    f"{error} (section {section.path}: {valid})" if section.path else str(error)
                ) from None
        self._warn_unused(arguments.given)
        return arguments

    def _expected(self, parser: ArgumentParser) -> str:
        """What the command takes, for an error: its usage, and its first example."""
        example = next((line.strip() for line in self.epilog.splitlines() if line.startswith("  ")), None)
        shown = "" if example is None else f", for example: {example}"
        if "--save-dir" not in shown and "save_dir" in {f.name for f in fields(self.options)}:
            shown += "; the folder for what is written is given by --save-dir"
        return f"expected {parser.usage}{shown} (balr {self.name} --help explains all)"

    def _warn_unused(self, given: set[str]) -> None:
        """Say which of the settings that were given have no effect in this command."""
        for section in self.sections:
            names = set() if section.used is None else set(section.keys()).difference(section.used)
            unused = sorted(given.intersection(f"{section.path}.{name}" for name in names))
            if unused:
                logger.warning("No effect in balr %s: %s", self.name, ", ".join(unused))

    def _typed(self, words: list[str]) -> set[str]:
        """The keys of the settings that were typed as flags."""
        flags = {word.split("=")[0] for word in words if word.startswith("--")}
        return {
            section.path if f.name == section.selects else f"{section.path}.{f.name}"
            for section in self.sections
            for f, name in section.fields()
            if f"--{name.replace('_', '-')}" in flags
        }

    def parser(self) -> ArgumentParser:
        """The parser of the positional arguments and the flags."""
        flat_fields: list[tuple[str, Any, Any]] = []
        titles: dict[str, str] = {}
        notes: dict[str, str] = {}
        for section in [Section("", self.options), *self.sections]:
            for f, name in section.fields():
                metadata = dict(f.metadata)
                if "among" in metadata:
                    metadata["choices"] = metadata["among"]
                if section.path:
                    titles[name] = section.title
                    notes[section.title] = section.note
                elif "group" in metadata:
                    titles[name] = metadata["group"]
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
        parser = GroupedParser(
            make_dataclass("Flat", flat_fields),
            titles,
            notes,
            prog=f"balr {self.name}",
            description=self.description + self._override_help(),
            epilog=self.epilog,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        overrides = ["[SECTION.KEY=VALUE ...]"] if self.sections else []
        parser.usage = " ".join(["balr", self.name, "[OPTIONS]", *self._positionals(), *overrides])
        parser.expected = self._expected(parser)
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
        return [
            f.metadata.get("metavar", f.metadata["args"][0].upper()) for f in fields(self.options) if _is_positional(f)
        ]

    def _override_help(self) -> str:
        lines = []
        for section in self.sections:
            if section.selects is not None:
                lines.append(f"  {section.path}=...")
            if section.keys():
                lines.append(f"  {section.path}.*: {', '.join(section.keys())}")
        heading = "settings that SECTION.KEY=VALUE can set (each also has a flag, which is explained below):"
        return "\n".join(["\n", heading, *lines]) if lines else ""

    def _override(self, arguments: "Arguments", text: str) -> None:
        """Apply one `section.key=value`."""
        key, value = text.split("=", 1)
        if key.endswith("._target_"):  # Hydra's key for the path of a class
            owner = key.removesuffix("._target_")
            if self._is_own_part(owner):
                arguments.own_class(owner, value)
                return
            key = owner
        if key in {f.name for f in fields(self.options) if not _is_positional(f)}:
            self._assign(arguments, Section("", self.options), key, key, key, value)
            return
        for section in self.sections:
            short = key.removeprefix(f"{section.path}.")
            if key == section.path and section.selects is not None:
                self._assign(arguments, section, section.selects, section.selects, key, value)
                return
            if key == section.path and section.only is not None:
                if value != section.only:
                    raise ConfigError(f"{text}: expected {key}={section.only}, since there is no other")
                return
            if short == key or "." in short:
                continue
            if short in section.idle:
                logger.info("%s has no effect, as in BALR 2.0", text)
                return
            for f, name in section.fields():
                if f.name == short and f.name != section.selects:
                    self._assign(arguments, section, f.name, name, key, value)
                    return
            if any(key == other.path for other in self.sections):
                raise ConfigError(f"{text}: {key} is a section with keys of its own, and has no value itself")
            if section.is_open:
                arguments.keep_own(section.path, short, value)
                return
            hint = did_you_mean(short, section.keys())
            raise ConfigError(
                f"unknown key {key} (in {text}): section {section.path} has {', '.join(section.keys())}{hint}"
            )
        owner, _, last = key.rpartition(".")
        if self._is_own_part(owner):
            arguments.keep_own(owner, last, value)
            return
        known = [section.path for section in self.sections]
        hint = did_you_mean(owner or key, known)
        has = f"has the sections {', '.join(known)}" if known else "has flags only, no sections"
        pairs = [f"--{f.name.replace('_', '-')}" for f in fields(self.options) if f.metadata.get("pairs")]
        if pairs and "." not in key:
            hint += f"; what belongs to {' or '.join(pairs)} follows it in one word: {pairs[0]} KEY=VALUE,KEY=VALUE"
        raise ConfigError(f"unknown override {text}: balr {self.name} {has}{hint}")

    def _is_own_part(self, path: str) -> bool:
        """Whether `path` can name something that the user adds to an open section: `trainer.losses.mine`."""
        parent, paths = path.rpartition(".")[0], {section.path: section.is_open for section in self.sections}
        return path not in paths and paths.get(parent, False)

    def _assign(
        self, arguments: "Arguments", section: Section, field_name: str, name: str, key: str, value: str
    ) -> None:
        f = next(f for f in fields(section.arguments) if f.name == field_name)
        convert: Callable[[str], Any] = f.metadata.get("type", f.type)
        try:
            if value.strip().lower() in ("null", "none", "") and f.default is None:
                converted = None
            else:
                converted = boolean(value) if convert is bool else convert(value)
        except (ValueError, TypeError) as error:
            kind = getattr(convert, "__name__", str(convert))
            valid = ", ".join(f.name for f, _ in section.fields())
            place = f" (section {section.path}: {valid})" if section.path else ""
            raise ConfigError(f"bad value {value!r} for {key}: expected {kind}{place}") from error
        arguments.set(name, key, converted)


def _is_positional(f: Field[Any]) -> bool:
    return "args" in f.metadata and not f.metadata["args"][0].startswith("-")


class Arguments:
    """What was typed after a command, parsed.

    Attributes:
        given: keys of the overrides and flags that were typed.
        own: settings of classes of the user's own, by what they belong to: `{"trainer.losses.mine": {...}}`.
        own_classes: the paths of those classes, likewise.
    """

    def __init__(self, command: Command, flat: Any, given: set[str]) -> None:
        self._command, self._flat, self.given = command, flat, given
        self.own: dict[str, dict[str, Any]] = {}
        self.own_classes: dict[str, str] = {}

    def set(self, name: str, key: str, value: Any) -> None:
        """Set one of the command's settings, which the override `key` names."""
        setattr(self._flat, name, value)
        self.given.add(key)

    def own_class(self, part: str, path: str) -> None:
        """Note the path of the user's own class for a part of the settings (`trainer.losses.mine`)."""
        self.own_classes[part] = path

    def keep_own(self, part: str, key: str, value: str) -> None:
        """Note a setting for a class of the user's own; its value is read as YAML."""
        import yaml

        self.own.setdefault(part, {})[key] = yaml.safe_load(value)
        self.given.add(f"{part}.{key}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flat, name)

    def section(self, path: str) -> Any:
        """The settings of a section, as an instance of its dataclass."""
        return self.build(next(section for section in self._command.sections if section.path == path))

    def build(self, section: Section) -> Any:
        """Make an instance of the section's dataclass, which checks the values."""
        return section.arguments(**{f.name: getattr(self._flat, name) for f, name in section.fields()})


def _merge_repeated(argv: list[str], flag: str) -> list[str]:
    """`--flag a --flag=b` -> `--flag a,b`."""
    argv = [part for word in argv for part in (word.split("=", 1) if word.startswith(f"{flag}=") else [word])]
    values = [value for word, value in pairwise(argv) if word == flag]
    if len(values) < 2:
        return argv
    first = argv.index(flag)
    rest = [w for i, w in enumerate(argv) if w != flag and (i == 0 or argv[i - 1] != flag)]
    return [*rest[:first], flag, ",".join(values), *rest[first:]]
