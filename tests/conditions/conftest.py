"""Speech for the tests of conditions: sentences with pauses, faintly noisy, whose truth is known."""

import numpy as np
import pytest

from balr_hf.audio import load_audio


@pytest.fixture(scope="session")
def voices(root) -> list[np.ndarray]:
    """One sentence of each of eight voices, at 16 kHz."""
    folders = sorted((root / "resources/data/sample").glob("espeak*"))[:8]
    return [load_audio(next(iter(sorted(folder.glob("*.opus"))))) for folder in folders]


@pytest.fixture(scope="session")
def recording(root) -> np.ndarray:
    """Four sentences of one voice with pauses of half a second between them, at an SNR of about 40 dB."""
    paths = sorted((root / "resources/data/sample/espeak01").glob("*.opus"))[:4]
    pause = np.zeros(8_000, dtype=np.float32)
    parts = [pause]
    for path in paths:
        sentence = load_audio(path)
        parts += [(sentence * 0.05 / sentence.std()).astype(np.float32), pause]
    samples = np.concatenate(parts)
    return samples + np.random.default_rng(1).normal(0, 0.0005, len(samples)).astype(np.float32)
