"""`balr --show-completion` and `--install-completion`: commands, flags and choices in the user's shell, by shtab."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from balr_hf.cli.commands import COMMANDS

# Shells that shtab supports -> the file in the user's home for the script, and what the user has to add, if anything.
SHELLS = {
    "bash": (".local/share/bash-completion/completions/balr", None),
    "zsh": (".zfunc/_balr", "add to ~/.zshrc: fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "tcsh": (".balr-completion.tcsh", "add to ~/.tcshrc: source ~/.balr-completion.tcsh"),
}


def complete(flag: str, words: list[str]) -> int:
    """Print or install the completion for a shell; returns the exit status.

    Args:
        flag (str): `--show-completion` or `--install-completion`.
        words: the shell's name; by default the one in the environment variable SHELL.
    """
    shell = words[0] if words else Path(os.environ.get("SHELL", "bash")).name
    if shell not in SHELLS:
        print(f"balr: error: no completion for the shell {shell!r}: expected {', '.join(SHELLS)}", file=sys.stderr)
        return 2
    import shtab

    script = shtab.complete(parser(), shell)
    if flag == "--show-completion":
        print(script)
        return 0
    place, more = SHELLS[shell]
    path = Path.home() / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script + "\n", encoding="utf-8")
    print(f"Wrote {path}" + (f"; {more}" if more else ": new shells complete balr"))
    return 0


def parser() -> argparse.ArgumentParser:
    """One parser with all commands, as shtab needs it; `train` of `score train` is a subcommand of `score`."""
    root = argparse.ArgumentParser("balr")
    root.add_argument("--version", action="store_true", help="Show the version.")
    for flag in ("--show-completion", "--install-completion"):
        root.add_argument(flag, choices=list(SHELLS), help="Completion of commands and flags for a shell.")
    levels = {"": root.add_subparsers(dest="command")}
    for name, (module, text) in COMMANDS.items():
        *above, word = name.split()
        parent = " ".join(above)
        if parent not in levels:
            group = levels[""].add_parser(parent, help=f"Commands that begin with {parent}.")
            levels[parent] = group.add_subparsers(dest=f"{parent}_command")
        command = importlib.import_module(module).COMMAND.parser()
        levels[parent].add_parser(word, parents=[_copy(command)], help=text, add_help=False)
    return root


def _copy(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """A plain parser with the same arguments."""
    plain = argparse.ArgumentParser(add_help=False)
    for action in parser._actions:
        plain._add_action(action)
    return plain
