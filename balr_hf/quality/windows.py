"""Windows over samples that come in blocks."""

import numpy as np


class Windows:
    """Cuts samples that come in blocks into overlapping windows, as if they were one array.

    Args:
        size (int): samples of a window.
        hop (int): samples between the starts of two windows, at most `size`.

    Attributes:
        rest: the samples that wait for more, `(samples,)`.
    """

    def __init__(self, size: int, hop: int):
        self.size, self.hop = size, hop
        self.rest = np.zeros(0, dtype=np.float32)

    def add(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples `(samples,)`, and return the windows that end in them, `(windows, size)`."""
        held = np.concatenate([self.rest, samples])
        count = max(0, 1 + (len(held) - self.size) // self.hop)
        self.rest = held[count * self.hop :].copy()
        if not count:
            return np.zeros((0, self.size), dtype=held.dtype)
        return np.lib.stride_tricks.sliding_window_view(held, self.size)[:: self.hop]
