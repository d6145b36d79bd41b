"""Entry point of `balr` (and of `accelerate launch -m balr_hf.cli.main`): finds the command and runs it."""

import importlib
import os
import sys

from balr_hf.cli.commands import COMMANDS

DESCRIPTION = """Explainable speaker comparison: audio -> embedding -> binary attributes -> likelihood ratio.

Commands:
{commands}

Options:
  --help                     Show this message.
  --version                  Show the version.
  --show-completion [SHELL]  Print the completion of commands and flags for bash, zsh or tcsh (by default yours).
  --install-completion [SHELL]
                             Install it for your shell.

balr COMMAND --help tells more. Settings can be given as flags (--epochs 50) or as section.key=value
(trainer.epochs=50). An error is one line; BALR_DEBUG=1 shows where it came from."""


def usage(group: str = "") -> str:
    """The help text, of all commands or of those that begin with `group`."""
    lines = [f"  {name:<15} {text}" for name, (_, text) in COMMANDS.items() if name.startswith(group)]
    return f"usage: balr {group + ' ' if group else ''}COMMAND ...\n\n" + DESCRIPTION.format(commands="\n".join(lines))


def main(argv: list[str] | None = None) -> int:
    """Run `balr` with these arguments; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in COMMANDS), 0)
    if words:
        return _run(" ".join(argv[:words]), argv[words:])
    group = argv.pop(0) if argv and any(name.startswith(f"{argv[0]} ") for name in COMMANDS) else ""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage(group))
        return 0
    if argv[0] == "--version":
        from balr_hf import __version__

        print(__version__)
        return 0
    if argv[0] in ("--show-completion", "--install-completion"):
        from balr_hf.cli.completion import complete

        return complete(argv[0], argv[1:])
    from balr_hf.cli.suggestions import did_you_mean

    known, asked = [name for name in COMMANDS if name.startswith(group)], f"{group} {argv[0]}".strip()
    hint = did_you_mean(asked, known)
    print(f"balr: error: unknown command {asked!r}: expected {', '.join(known)}{hint}", file=sys.stderr)
    return 2


def _run(command: str, argv: list[str]) -> int:
    from balr_hf.errors import ConfigError, UserError

    module = importlib.import_module(COMMANDS[command][0])
    try:
        _set_up_logging()
        arguments = module.COMMAND.parse(argv)
        _load_libraries()
        return module.run(arguments) or 0
    except (UserError, OSError) as error:  # what a user can cause; anything else is a fault of ours: a traceback
        if os.environ.get("BALR_DEBUG"):
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"balr {command}: error: {message}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        again = "add --resume-from RUN" if command == "train" else "run the command again"
        print(f"balr {command}: interrupted; what was saved is kept; to go on, {again}", file=sys.stderr)
        return 130


def _set_up_logging() -> None:
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    main_process = os.environ.get("RANK", "0") == "0"
    logging.getLogger("balr_hf").setLevel(logging.INFO if main_process else logging.ERROR)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("huggingface_hub").propagate = False  # it prints its retries itself


def _load_libraries() -> None:
    """Import what nearly every command needs, and keep the garbage collector from its many objects, which stay.

    Looking through them again and again takes a third of the time of a small command.
    """
    import gc

    loaded, collecting = "transformers.modeling_utils" in sys.modules, gc.isenabled()
    gc.disable()
    try:
        import datasets  # noqa: F401
        from transformers import PreTrainedModel  # noqa: F401
        from transformers.utils.logging import disable_progress_bar
    finally:
        if not loaded:
            gc.freeze()
        if collecting:
            gc.enable()
    disable_progress_bar()  # of reading and writing weights: too quick to watch


if __name__ == "__main__":
    sys.exit(main())
