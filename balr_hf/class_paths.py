"""Classes of the user's own, named by their dotted path: `my_package.losses.MyLoss`."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from balr_hf.errors import ConfigError, reason_of

Base = TypeVar("Base")


def import_class(path: str, base: type[Base], role: str) -> type[Base]:
    """Import the class that a dotted path names.

    Args:
        path (str): module and class, e.g. `my_package.losses.MyLoss`; the module must be importable.
        base (type): what the class must be a subclass of.
        role (str): what the class is for, in messages: `loss`.

    Returns:
        the class.

    Raises:
        ConfigError: the module cannot be imported, has no such class, or the class is not a subclass of `base`.
    """
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:  # ValueError: an empty part, as in `..MyLoss`
        raise ConfigError(
            f"cannot import the {role} {path}: {reason_of(error)}; install its package, or put its folder into "
            "PYTHONPATH"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise ConfigError(f"the module {module_name} has no class {name} (for the {role} {path})")
    if not issubclass(found, base):
        raise ConfigError(f"{path} cannot be a {role}: it is not a subclass of {base.__module__}.{base.__qualname__}")
    return found


def check_keywords(call: Callable, settings: Mapping[str, Any], name: str) -> None:
    """Check that a constructor takes these keywords.

    Args:
        call: a class or a function.
        settings: keywords and their values.
        name (str): what it is called in messages: `the loss mse`.

    Raises:
        ConfigError: keywords that it does not take, or others that it needs.
    """
    parameters = inspect.signature(call).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    valid = ", ".join(p.name for p in named) or "none"
    unknown = [key for key in settings if key not in [p.name for p in named]]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise ConfigError(f"{name} has no setting {', '.join(unknown)}: expected {valid}")
    lacking = [p.name for p in named if p.default is p.empty and p.name not in settings]
    if lacking:
        raise ConfigError(f"{name} needs a value for {', '.join(lacking)}; its settings are {valid}")
