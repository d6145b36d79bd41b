"""Speech for the tests of measures: sentences of the sample corpus, with pauses of digital silence between them."""

import numpy as np
import pytest

from balr_hf.audio import load_audio


@pytest.fixture(scope="session")
def sentences(root) -> list[np.ndarray]:
    """Five sentences of one voice, at 16 kHz."""
    return [load_audio(path) for path in sorted((root / "resources/data/sample/espeak01").glob("*.opus"))[:5]]


@pytest.fixture(scope="session")
def paused(sentences) -> np.ndarray:
    """The sentences, at one level, with a second of digital silence before, between and after them."""
    silence = np.zeros(16_000, dtype=np.float32)
    parts = [silence]
    for sentence in sentences:
        parts += [(sentence * 0.05 / sentence.std()).astype(np.float32), silence]
    return np.concatenate(parts)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
