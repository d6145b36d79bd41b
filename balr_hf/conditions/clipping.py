"""Clipping: the loudest samples cut off flat."""

import numpy as np

# The shares of samples that can be cut off.
MOST = 0.3


def clip(samples: np.ndarray, share: float) -> np.ndarray:
    """Cut the loudest samples off flat, as an overdriven microphone does.

    Args:
        samples (`(samples,)`): float32.
        share (float): of the samples that are cut off.

    Returns:
        float32 `(samples,)`.
    """
    top = np.quantile(np.abs(samples), 1 - share)
    return np.clip(samples, -top, top)
