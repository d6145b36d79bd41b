"""Syllable nuclei: how fast somebody speaks, without a transcript.

Reference:
    N. H. de Jong and T. Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically",
    Behavior Research Methods 41(2), 2009.
"""

import numpy as np

# Decibels below the level that is exceeded 1 % of the time: fainter peaks are no syllables. Then by how much the level
# must dip between two syllables.
FAINT, DIP = 25.0, 2.0


def syllable_nuclei(levels: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Find the nuclei of syllables: voiced peaks of the level, between each two of which it dips by more than 2 dB.

    Args:
        levels (`(frames,)`): in dB, 10 ms apart; see [`level_track`].
        voiced (`(frames,)`): bool.

    Returns:
        int `(nuclei,)`: their frames.
    """
    if len(levels) < 3:
        return np.zeros(0, dtype=np.int64)
    middle = levels[1:-1]
    peaks = np.flatnonzero((middle > levels[:-2]) & (middle >= levels[2:])) + 1
    peaks = peaks[levels[peaks] > np.quantile(levels, 0.99) - FAINT]
    if not peaks.size:
        return peaks
    # a peak counts if the level dips before the next one; of peaks without a dip between them, the last one stands
    lowest = np.minimum.reduceat(levels, peaks)[:-1]
    dips = np.append(levels[peaks[:-1]] - lowest > DIP, True)
    nuclei = peaks[dips]
    return nuclei[voiced[nuclei]]
