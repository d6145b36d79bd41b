"""Entry point of `balr`, and of `python -m balr_hf`: finds the command and runs it."""

import atexit
import importlib
import os
import sys

from balr_hf.cli.commands import COMMANDS
from balr_hf.devices import part_from_other_processes
from balr_hf.errors import ConfigError, UserError
from balr_hf.untrusted import one_line

TYPE_CHECKING = False  # as `typing` has it, which takes long to import
if TYPE_CHECKING:
    import threading

DESCRIPTION = """Explainable speaker comparison: audio -> embedding -> binary attributes -> likelihood ratio.

Commands:
{commands}

Options:
  --help                     Show this message.
  --version                  Show the version.
  --show-completion [SHELL]  Print a script that completes commands and flags in bash, zsh or tcsh (by default in
                             your shell).
  --install-completion [SHELL]
                             Install that script.

balr COMMAND --help explains a command with all its settings, and shows examples. A setting can be given as a flag
(--epochs 50) or as section.key=value (trainer.epochs=50). An error is reported in one line; if the environment
variable BALR_DEBUG is set to 1, the traceback is shown instead.

The package ships with small demonstration models, so that this works at once: balr explain ONE.wav OTHER.wav"""


# The commands whose work several processes share, where a launcher started them.
SHARED = ("extract", "binarize", "inspect", "score test", "train")


def usage(group: str = "") -> str:
    """The help text, of all commands or of those that begin with `group`."""
    lines = [f"  {name:<15} {text}" for name, (_, text) in COMMANDS.items() if name.startswith(group)]
    return f"usage: balr {group + ' ' if group else ''}COMMAND ...\n\n" + DESCRIPTION.format(commands="\n".join(lines))


def main(argv: list[str] | None = None) -> int:
    """Run `balr` with these arguments; returns the exit status."""
    _open_missing_streams()
    argv = list(sys.argv[1:] if argv is None else argv)
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in COMMANDS), 0)
    command = " ".join(argv[:words])
    name = f"balr {command}".rstrip()
    try:
        status = _run(command, argv[words:]) if command else _answer(argv)
        sys.stdout.flush()  # while it can be told that it fails
        return status
    except (UserError, OSError) as error:  # any other error is a fault of the package and keeps its traceback
        if os.environ.get("BALR_DEBUG"):
            raise
        atexit.unregister(part_from_other_processes)  # which training has asked for
        message = one_line(str(error)) or type(error).__name__
        print(f"{name}: error: {message}", file=sys.stderr)
        _give_up_output()
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        atexit.unregister(part_from_other_processes)
        again = "add --resume-from RUN" if command == "train" else "run the command again"
        print(f"{name}: interrupted. What was saved is kept; to continue, {again}", file=sys.stderr)
        return 130


def _open_missing_streams() -> None:
    """Let nothing become of what is printed where a standard stream is closed, as in some jobs without a terminal.

    Otherwise what is written to it would be an error, or go into a file that was opened since.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the exit


def _give_up_output() -> None:
    """Drop what cannot be printed, of which Python would complain once more at the exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answer(argv: list[str]) -> int:
    """Do what concerns all commands, such as `--help`."""
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
    """Run one command."""
    from balr_hf.cli.slow_imports import tell_of_slow_imports

    if os.environ.get("RANK", "0") != "0" and command not in SHARED:
        return 0  # the first process that a launcher started does it
    module = importlib.import_module(COMMANDS[command][0])
    _set_up_logging()
    arguments = module.COMMAND.parse(argv)
    with tell_of_slow_imports():
        _load_libraries()
    status = module.run(arguments) or 0
    part_from_other_processes()
    return status


def _set_up_logging() -> None:
    """Messages go to standard error, of the main process only; other libraries report errors only."""
    import logging
    import threading

    from balr_hf.cli.printing import PrintableFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    main_process = os.environ.get("RANK", "0") == "0"
    logging.getLogger("balr_hf").setLevel(logging.INFO if main_process else logging.ERROR)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    threading.excepthook = _tell_of_thread
    logging.getLogger("huggingface_hub").propagate = False  # it prints its messages about retries itself


def _tell_of_thread(failed: "threading.ExceptHookArgs") -> None:
    """Report in one line what a thread of a library raised, such as that of a tracker where the disk is full."""
    import logging

    logging.getLogger("balr_hf").error("A thread failed (%s: %s)", failed.exc_type.__name__, failed.exc_value)


def _load_libraries() -> None:
    """Import what nearly every command needs, and exempt the many objects that this makes from garbage collection.

    They live as long as the process, and to check them again and again takes a third of the time of a small command.
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
    disable_progress_bar()  # weights are read and written too quickly for a progress bar


if __name__ == "__main__":  # as scripts start it that are older than `python -m balr_hf`
    sys.exit(main())
