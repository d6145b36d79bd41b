"""The small models and the recordings that ship with the package, so that everything can be tried offline."""

from pathlib import Path
from typing import Any

from balr_hf.errors import UserError

SYSTEM = "models/system-small"
# The system's parts, which are loaded from its folder.
EMBEDDER = AUTOENCODER = SCORER = SYSTEM
SAMPLE_CORPUS = "data/sample"  # synthetic voices
VOICES = "data/voices"  # recordings of people


def resource(name: str) -> Path:
    """Return the path of a resource that ships with the package, in an installed wheel or in a checkout.

    Args:
        name (str): e.g. `data/sample/metadata.csv`, or one of this module's names.

    Raises:
        UserError: the installation lacks it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "resources", package.parent / "resources"):
        if (folder / name).exists():
            return folder / name
    raise UserError(f"this installation lacks its resource {name}: reinstall balr_hf")


def is_shipped(model: Any) -> bool:
    """Whether a model is one of the package's own, or was saved from one: a demonstration, and not for casework."""
    return bool(getattr(getattr(model, "config", None), "demonstration", False))
