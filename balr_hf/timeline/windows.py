"""Overlapping windows of a recording whose samples come in blocks, so that long recordings need little memory."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np


def cut(blocks: Iterable[np.ndarray], length: int, hop: int) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a recording into overlapping windows of equal length.

    The last window ends with the recording, unless less than half a hop would be left over, which then lies in no
    window. A recording that is shorter than a window is one window, as long as the recording.

    Args:
        blocks (iterable of `np.ndarray` of shape `(samples,)`): the recording, in one part or in many.
        length (int): of a window, in samples.
        hop (int): from the start of one window to that of the next, in samples; at most `length`.

    Yields:
        `(start, samples)`: the first sample of a window, and its samples of shape `(length,)`.
    """
    held, before, start = np.zeros(0, dtype=np.float32), 0, 0  # `before` samples have been let go
    for block in blocks:
        held = np.concatenate([held, block])
        while start + length <= before + len(held):
            yield start, held[start - before : start - before + length]
            start += hop
        gone = min(start, before + len(held) - length) - before  # the last window may need what lies before `start`
        if gone > 0:
            held, before = held[gone:].copy(), before + gone
    if not start:
        if len(held):
            yield 0, held
        return
    last = before + len(held) - length
    if 2 * (last - (start - hop)) >= hop:
        yield last, held[-length:]


def excerpt(blocks: Iterable[np.ndarray], start: int, length: int) -> np.ndarray:
    """Take a part of a recording.

    Args:
        blocks (iterable of `np.ndarray` of shape `(samples,)`): the recording, in one part or in many.
        start (int): the first sample.
        length (int): how many samples; fewer come back if the recording ends before.

    Returns:
        `np.ndarray` of shape `(length,)`.
    """
    parts, position = [np.zeros(0, dtype=np.float32)], 0
    for block in blocks:
        parts.append(block[max(0, start - position) : max(0, start + length - position)])
        position += len(block)
        if position >= start + length:
            break
    return np.concatenate(parts)


def speech_shares(starts: np.ndarray, seconds: float, speech: Sequence[tuple[float, float]]) -> np.ndarray:
    """How much of each window is speech.

    Args:
        starts (float64 `np.ndarray` of shape `(windows,)`): of the windows, in seconds.
        seconds (float): the length of a window.
        speech (sequence of two float): `(start, end)` of each stretch of speech in seconds, in order.

    Returns:
        float64 `np.ndarray` of shape `(windows,)`, each from 0 to 1.
    """
    if not speech:
        return np.zeros(len(starts))
    edges = np.ravel(np.asarray(speech, dtype=np.float64))
    spoken = np.cumsum(np.diff(edges, prepend=edges[0]) * (np.arange(len(edges)) % 2))
    until = np.interp([starts, starts + seconds], edges, spoken)
    return np.clip((until[1] - until[0]) / seconds, 0, 1)


class Outline:
    """The lowest and the highest sample of equal parts of a recording that comes in blocks, for drawing its waveform.

    Args:
        num_samples (int): how many samples the recording has, or about how many.
        parts (int): how many parts there are at most, if there are no more samples than that.
    """

    def __init__(self, num_samples: int, parts: int):
        self.samples_per_part = max(1, -(-num_samples // parts))
        self._held = np.zeros(0, dtype=np.float32)
        self._found = [np.zeros((0, 2), dtype=np.float32)]

    def add(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples of shape `(samples,)`, and return them."""
        self._held = np.concatenate([self._held, samples])
        self._look(len(self._held) // self.samples_per_part)
        return samples

    def finish(self) -> np.ndarray:
        """Return the lowest and highest samples, float32 `(parts, 2)`; the last part may be shorter."""
        if len(self._held):
            missing = self.samples_per_part - len(self._held)
            self._held = np.pad(self._held, (0, missing), mode="edge")
            self._look(1)
        return np.concatenate(self._found)

    def _look(self, parts: int) -> None:
        looked_at = self._held[: parts * self.samples_per_part].reshape(parts, self.samples_per_part)
        if parts:
            self._found.append(np.stack([looked_at.min(1), looked_at.max(1)], axis=1))
            self._held = self._held[parts * self.samples_per_part :].copy()
