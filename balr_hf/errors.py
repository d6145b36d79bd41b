"""Errors that a user can cause, which the command line prints as one line without a traceback."""

from collections.abc import Iterable


class UserError(ValueError):
    """Something in the input, the files or the settings is wrong. The message says what, and what to do about it."""


class ModelFilesError(UserError, OSError):
    """The files of a model are missing, out of reach or damaged; an `OSError`, like transformers' error for this."""


class WeightsError(UserError, RuntimeError):
    """The weights of a model do not fit it. Like transformers' error for this, it is a `RuntimeError`."""


class ConfigError(UserError):
    """A setting has an unknown name or a bad value (the command line exits with 2)."""


class MismatchError(UserError):
    """Models or vectors do not belong together, so that what comes out would mean nothing.

    Args:
        wrong (str): a sentence that says what does not belong together.
        remedy (str, *optional*): what to do, without a full stop, where it cannot be allowed.

    Attributes:
        wrong (str): the first sentence.
    """

    def __init__(self, wrong: str, remedy: str | None = None):
        allowed = (
            "Use what belongs together, or go on all the same with --allow-mismatch (allow_mismatch=True): every "
            "result will say so"
        )
        super().__init__(f"{wrong}. {remedy or allowed}")
        self.wrong = wrong


def name_some(names: Iterable[object], limit: int = 5) -> str:
    """Join the first `limit` of `names` for a message: `a, b, c and 12 more`."""
    texts = [str(name) for name in names]
    shown = ", ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown} and {len(texts) - limit} more"


def reason_of(error: BaseException) -> str:
    """Return an error's text in one line, followed by that of the error which caused it."""
    cause = error.__cause__
    text = " ".join(str(error).split()) or type(error).__name__
    return text if cause is None or str(cause) in str(error) else f"{text}: {reason_of(cause)}"


def defining_package(error: BaseException) -> str:
    """Return the top-level package that defines the class of an error: `datasets`, or `builtins`."""
    return type(error).__module__.partition(".")[0]


def raising_package(error: BaseException) -> str:
    """Return the top-level package whose code raised an error: `datasets`; empty if no code has raised it yet."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
