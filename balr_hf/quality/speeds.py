"""The same recording at another speed, forwards or backwards, recognised by how loud its bands are over time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Of signals at 4 kHz: samples of a frame and from one frame to the next, and Hz between which there are five bands.
RATE, FRAME, HOP = 4_000, 160, 80
BANDS = (500, 640, 820, 1_050, 1_340, 1_700)
# Seconds of the piece of the shorter recording that is looked for in the longer one, and by what it is stretched for
# that: a step of 1 % moves its ends by half a frame.
PIECE = 4.0
STRETCHES = tuple(1 + step / 100 for step in range(-10, 12))
# The correlation from which a piece may be the same speech. In 837 pairs of recordings of many speakers, of which most
# read the same lists of words, the largest was 0.83, and 0.67 in 297 pairs of one speaker; but in 3 of 659 pairs of
# calls of one speaker, who reads the same sentences, it was 0.87 to 0.90. Pieces of copies at another
# speed were above 0.90, and above 0.87 after MP3 of 16 kbit/s or Opus of 12 kbit/s in a telephone's band.
SAME = 0.87
# Samples at 4 kHz (17 minutes) of the longer recording in which the piece is looked for at once.
AT_ONCE = 2**22
# Power, relative to the mean, to which silence is lifted, so that nothing depends on how silent it is.
FLOOR = 1e-3


def find_speed(short: np.ndarray, long: np.ndarray) -> tuple[float, bool] | None:
    """Whether a piece of a recording is in another one at another speed, or backwards.

    Speech that is slower or faster has the same levels in the same order. A piece of 4 s is stretched by factors from
    0.9 to 1.11, and looked for as it is and backwards by the normalised correlation of the logarithmic power of five
    bands. Bands are wide enough for what a change of speed moves between them, so that it does not matter whether
    the pitch was kept.

    Args:
        short, long (`(samples,)`): at 4 kHz.

    Returns:
        `(speed, backwards)`: how much faster the longer one plays it, to 1 %, and whether it does so backwards; None
        if it is not there, or the shorter one has less than 4 s.
    """
    size = round(PIECE * RATE)
    if len(short) < size + FRAME:
        return None
    piece = _most_varied(_levels(short))
    best: tuple[float, float, bool] = (0.0, 1.0, False)
    for start in range(0, max(1, len(long) - size // 2), AT_ONCE):
        best = max(best, *_matches(piece, _levels(long[start : start + AT_ONCE + 2 * size])))
    correlation, stretch, backwards = best
    return (1 / stretch, backwards) if correlation >= SAME else None


def _levels(samples: np.ndarray) -> np.ndarray:
    """The logarithmic power of each band, frame by frame: float32 `(bands, frames)`, 50 frames a second."""
    from scipy.fft import rfft

    if len(samples) < FRAME:
        return np.zeros((len(BANDS) - 1, 0), dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float32), FRAME)[::HOP]
    powers = np.square(np.abs(rfft(frames * np.hanning(FRAME).astype(np.float32))))
    edges = np.round(np.array(BANDS) * FRAME / RATE).astype(int)
    bands = np.add.reduceat(powers[:, : edges[-1]], edges[:-1], axis=1)
    return np.log(bands + FLOOR * bands.mean() + 1e-20).T


def _most_varied(levels: np.ndarray) -> np.ndarray:
    """The piece whose levels vary most, `(bands, frames)`: pauses and steady sounds tell nothing."""
    width = round(PIECE * RATE / HOP) - 1
    starts = range(0, levels.shape[1] - width + 1, width // 8)
    return max((levels[:, start : start + width] for start in starts), key=lambda piece: piece.var(axis=1).sum())


def _matches(piece: np.ndarray, levels: np.ndarray) -> Iterator[tuple[float, float, bool]]:
    """For each stretch, forwards and backwards: the largest correlation, the stretch, and whether it is backwards."""
    from scipy.fft import irfft, next_fast_len, rfft

    yield 0.0, 1.0, False
    bands, width = piece.shape
    size = next_fast_len(levels.shape[1] + round(max(STRETCHES) * width), real=True)
    centred = levels - levels.mean(axis=1, keepdims=True) if levels.size else levels
    spectrum = rfft(centred, size)
    sums = np.pad(np.cumsum(centred, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    squares = np.pad(np.cumsum(np.square(centred, dtype=np.float64).sum(axis=0)), (1, 0))
    for stretch in STRETCHES:
        wide = round(stretch * width)
        if wide > levels.shape[1]:
            continue
        energies = squares[wide:] - squares[:-wide] - np.square(sums[:, wide:] - sums[:, :-wide]).sum(axis=0) / wide
        norms = np.sqrt(np.maximum(energies, bands * wide * FLOOR))
        places = np.linspace(0, width - 1, wide)
        pattern = np.stack([np.interp(places, np.arange(width), band) for band in piece])
        pattern -= pattern.mean(axis=1, keepdims=True)
        pattern = rfft((pattern / np.linalg.norm(pattern)).astype(np.float32), size)
        forwards = irfft((spectrum * pattern.conj()).sum(axis=0), size)[: len(norms)]
        backwards = irfft((spectrum * pattern).sum(axis=0), size)[wide - 1 :][: len(norms)]
        yield float((forwards / norms).max()), stretch, False
        yield float((backwards / norms).max()), stretch, True
