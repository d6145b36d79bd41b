"""Settings as fields of dataclasses: each has a default, a help text, and bounds of its values."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from balr_hf.errors import ConfigError


def option(default: Any, help: str, **metadata: Any) -> Any:
    """Make a dataclass field with a help text.

    Args:
        default: the field's default; the help text states it.
        help (str): what the setting does.
        **metadata: what `argparse_dataclass` reads (`type`, `args`, ...), and the bounds that [`Checked`] applies:
            `least` (the value is at least this), `above` (it is more than this), `below` (it is less than this),
            `among` (it is one of these).
    """
    if default not in (None, "") and not isinstance(default, bool):
        help += f" [default: {' '.join(map(str, default)) if isinstance(default, tuple) else default}]"
    return field(default=default, metadata={"help": help.replace("%", "%%"), **metadata})


@dataclass
class Checked:
    """The base class of settings: a value that is not finite or outside its bounds raises a [`ConfigError`].

    The error names the setting.
    """

    def __post_init__(self) -> None:
        for f in fields(self):
            value, bounds = getattr(self, f.name), f.metadata
            if value is None:
                continue
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"bad value {value} for {f.name}: expected a finite number")
            if "least" in bounds and not value >= bounds["least"]:
                raise ConfigError(f"bad value {value} for {f.name}: expected at least {bounds['least']}")
            if "above" in bounds and not value > bounds["above"]:
                raise ConfigError(f"bad value {value} for {f.name}: expected more than {bounds['above']}")
            if "below" in bounds and not value < bounds["below"]:
                raise ConfigError(f"bad value {value} for {f.name}: expected less than {bounds['below']}")
            if "among" in bounds and value not in bounds["among"]:
                raise ConfigError(f"bad value {value!r} for {f.name}: expected {', '.join(bounds['among'])}")
