"""Level: a recording made louder or fainter."""

import numpy as np

from balr_hf.audio import AudioError

# Decibels relative to full scale: the levels that can be asked for.
LOWEST, HIGHEST = -80.0, -3.0


def bring_to_level(samples: np.ndarray, level: float) -> np.ndarray:
    """Scale a recording to a level.

    Args:
        samples (`(samples,)`): float32.
        level (float): the wanted root mean square, without the DC offset, in dB relative to full scale.

    Raises:
        AudioError: it is silent, or its peaks would not fit into full scale.
    """
    now = float(np.std(samples, dtype=np.float64))
    if now <= 0:
        raise AudioError("is silent, and has no level to change")
    scaled = samples * np.float32(10 ** (level / 20) / now)
    if np.abs(scaled).max() > 1:
        raise AudioError(f"a level of {level:g} dBFS would clip it; add clipping=SHARE before, or ask for less")
    return scaled


def within_full_scale(samples: np.ndarray) -> np.ndarray:
    """Scale a recording down if its peaks exceed full scale, so that nothing is clipped unasked."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak <= 1 else samples * np.float32(0.999 / peak)
