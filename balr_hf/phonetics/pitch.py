"""Fundamental frequency (F0): its track by the autocorrelation method, and what is told of the track.

Reference:
    P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
    sampled sound", IFA Proceedings 17, 1993. The costs are the defaults of Praat (To Pitch (ac)).
"""

from dataclasses import dataclass

import numpy as np

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.autocorrelation import HIGHEST_F0, LOWEST_F0, Autocorrelation, peaks, refined
from balr_hf.phonetics.frames import STEP, frame_times, in_blocks, runs, windows_at

# Candidates of a frame: one without voice, and the strongest others.
CANDIDATES = 15
# A frame whose peak is below this share of the recording's tends to be silent; one whose autocorrelation stays below
# the second number tends to be unvoiced.
SILENCE, VOICING = 0.03, 0.45
# What a lower octave, a jump of an octave, and a change between voiced and unvoiced cost (in 10 ms).
OCTAVE_COST, OCTAVE_JUMP_COST, VOICING_COST = 0.01, 0.35, 0.14
# Seconds: a shorter voiced stretch tells nothing of the slope.
SHORTEST_SLOPE = 0.05
# Percentiles between which the range is measured: an octave error in some frames must not decide.
RANGE_PERCENTILES = (10, 90)

# Samples of a period of the lowest F0, and of the window: three such periods, two samples less, as in Praat.
_PERIOD, _SIZE = int(SAMPLING_RATE / LOWEST_F0), round(3 * SAMPLING_RATE / LOWEST_F0) - 2


@dataclass(frozen=True)
class PitchTrack:
    """F0 over time.

    Attributes:
        times: float64 `(frames,)`, the centres of the frames in seconds, 10 ms apart.
        f0: float64 `(frames,)`, in Hz; NaN where there is no voice.
    """

    times: np.ndarray
    f0: np.ndarray

    @property
    def voiced(self) -> np.ndarray:
        """Which frames are voiced: bool `(frames,)`."""
        return np.isfinite(self.f0)


def pitch_track(samples: np.ndarray) -> PitchTrack:
    """Find F0 every 10 ms, between 75 and 600 Hz.

    Each frame of 40 ms has up to 15 candidates: peaks of its autocorrelation, and no voice at all. A path search picks
    those whose strengths, less the costs of jumps between them, have the largest sum over the recording.

    Args:
        samples (`(samples,)`): at 16 kHz.

    Returns:
        [`PitchTrack`]
    """
    times = frame_times(len(samples))
    if not times.size:
        return PitchTrack(times, np.zeros(0))
    # one candidate more than the voiced ones: the first is "no voice"
    frequencies = np.full((len(times), CANDIDATES), np.nan)
    scores = np.full((len(times), CANDIDATES), -np.inf)
    loudest = float(np.abs(samples - np.mean(samples, dtype=np.float64)).max())
    autocorrelation = Autocorrelation(np.hanning(_SIZE + 2)[1:-1], finer=4)
    middle, half = _SIZE // 2, _PERIOD // 2 + 1
    near = slice(middle - half, middle + half)
    for block in in_blocks(len(times)):
        frames = windows_at(samples, times[block], _SIZE)
        frames -= frames[:, middle - _PERIOD : middle + _PERIOD].mean(1, keepdims=True)
        highest = np.abs(frames[:, near] * autocorrelation.window[near]).max(1)
        intensity = np.minimum(1.0, highest / loudest) if loudest > 0 else highest
        scores[block, 0] = VOICING + np.maximum(0, 2 - intensity * (1 + VOICING) / SILENCE)
        frequencies[block, 1:], scores[block, 1:] = _candidates(autocorrelation, frames)
    chosen = _best_path(frequencies, scores)
    return PitchTrack(times, frequencies[np.arange(len(times)), chosen])


def _candidates(autocorrelation: Autocorrelation, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frequencies in Hz and the scores of the strongest candidates of frames: both `(frames, CANDIDATES - 1)`.

    Where there are fewer, the frequency is NaN and the score minus infinity.
    """
    found, first = autocorrelation(frames), autocorrelation.first
    lags = np.arange(first, found.shape[1] - 1)
    # a preference for high frequencies, as Praat has it: otherwise two periods would do as well as one
    rank = found[:, first:-1] - OCTAVE_COST * np.log2(lags * (HIGHEST_F0 / autocorrelation.rate))
    rank[~peaks(found, first) | (found[:, first:-1] <= 0.5 * VOICING)] = -np.inf
    places = np.argpartition(rank, -(CANDIDATES - 1), axis=1)[:, -(CANDIDATES - 1) :]
    rows = np.arange(len(found))[:, None]
    real = np.isfinite(rank[rows, places])
    at, heights = refined(found, rows, places + first)
    frequencies = autocorrelation.rate / at
    real &= (frequencies >= LOWEST_F0) & (frequencies < HIGHEST_F0)
    frequencies = np.where(real, frequencies, np.nan)
    scores = np.where(real, heights - OCTAVE_COST * np.log2(HIGHEST_F0 / frequencies), -np.inf)
    return frequencies, scores


def _best_path(frequencies: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The candidate of each frame, int `(frames,)`: the path with the largest sum of scores less transition costs."""
    octaves = np.log2(frequencies)
    voiced = np.isfinite(octaves)
    octaves = np.where(voiced, octaves, 0.0)
    correction = 0.01 / STEP
    came_from = np.zeros(scores.shape, dtype=np.int64)
    best, columns = scores[0], np.arange(scores.shape[1])
    for block in in_blocks(len(scores) - 1):
        here, there = slice(block.start, block.stop), slice(block.start + 1, block.stop + 1)
        both = voiced[here, :, None] & voiced[there, None, :]
        change = voiced[here, :, None] ^ voiced[there, None, :]
        jumps = np.abs(octaves[here, :, None] - octaves[there, None, :])
        costs = correction * (OCTAVE_JUMP_COST * jumps * both + VOICING_COST * change)
        for step, cost in enumerate(costs, start=block.start + 1):
            sums = best[:, None] - cost
            came_from[step] = picked = sums.argmax(0)
            best = sums[picked, columns] + scores[step]
    path = np.zeros(len(scores), dtype=np.int64)
    path[-1] = best.argmax()
    for step in range(len(scores) - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path


def semitones(f0: np.ndarray) -> np.ndarray:
    """Frequencies in Hz as semitones above 1 Hz: 12 for an octave."""
    return 12 * np.log2(f0)


def f0_range(f0: np.ndarray) -> float:
    """Semitones between the 10th and the 90th percentile of F0 in voiced frames, `(frames,)` in Hz, not empty."""
    low, high = np.percentile(semitones(f0), RANGE_PERCENTILES)
    return float(high - low)


def f0_slope(track: PitchTrack, chosen: np.ndarray) -> float | None:
    """How fast F0 rises (falls, if negative) within a voiced stretch, in semitones per second.

    One straight line is fitted to each voiced stretch by least squares; all have one slope, each its own height.

    Args:
        track ([`PitchTrack`]): of the recording.
        chosen (`(frames,)`): bool, the voiced frames that count.

    Returns:
        None where no voiced stretch has 50 ms.
    """
    product = square = 0.0
    for first, end in runs(chosen):
        if (end - first) * STEP < SHORTEST_SLOPE - 1e-9:
            continue
        away = track.times[first:end] - track.times[first:end].mean()
        product += float(away @ semitones(track.f0[first:end]))
        square += float(away @ away)
    return product / square if square else None
