import numpy as np
import pytest

from balr_hf import SpeakerComparisonModel, load_audio
from balr_hf.defaults import SYSTEM, resource


@pytest.fixture(scope="session")
def system() -> SpeakerComparisonModel:
    """The shipped system."""
    return SpeakerComparisonModel.from_pretrained(resource(SYSTEM))


@pytest.fixture(scope="session")
def voice(root) -> np.ndarray:
    """One sentence, of about four seconds."""
    return load_audio(root / "resources/data/sample/espeak17/espeak17-01.opus")
