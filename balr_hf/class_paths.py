"""Classes of the user's own, which are named by their dotted paths: `my_package.losses.MyLoss`."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from balr_hf.errors import ConfigError, reason_of

Base = TypeVar("Base")


def import_class(path: str, base: type[Base], role: str) -> type[Base]:
    """Import the class that a dotted path names.

    Args:
        path (str): module and class, e.g. `my_package.losses.MyLoss`; the module must be importable.
        base (type): the class of which it must be a subclass.
        role (str): what the class is called in messages: `loss`.

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


def check_keywords(cls: type, base: type, settings: Mapping[str, Any], role: str) -> None:
    """Check that a class can be made with these keywords; see [`keywords_of`].

    Args:
        cls (type): a subclass of `base`.
        base (type): the last class whose keywords count.
        settings: keywords and their values.
        role (str): what the class is called in messages: `the loss mse`.

    Raises:
        ConfigError: there are keywords that it does not take, or it needs a keyword that is not there.
    """
    named = keywords_of(cls, base)
    valid = ", ".join(named) or "none"
    unknown = [key for key in settings if key not in named]
    if unknown:
        raise ConfigError(f"{role} has no setting {', '.join(unknown)}: expected {valid}")
    lacking = [name for name, parameter in named.items() if parameter.default is parameter.empty]
    lacking = [name for name in lacking if name not in settings]
    if lacking:
        raise ConfigError(f"{role} needs a value for {', '.join(lacking)}; its settings are {valid}")


def keywords_of(cls: type, base: type) -> dict[str, inspect.Parameter]:
    """The keywords that a class can be made with: its own and, if it passes `**kwargs` on, those of its base classes.

    Args:
        cls (type): a subclass of `base`.
        base (type): the last class whose keywords count.

    Returns:
        the parameters by name.
    """
    named: dict[str, inspect.Parameter] = {}
    for part in cls.__mro__:
        if "__init__" not in vars(part) or not issubclass(part, base):
            continue
        parameters = list(inspect.signature(part.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                named.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return named
