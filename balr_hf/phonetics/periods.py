"""Single periods of the voice, and how irregular they are: jitter (of their length) and shimmer (of their amplitude).

Reference:
    P. Boersma, "Should jitter be measured by peak picking or by waveform matching?", Folia Phoniatrica et Logopaedica
    61, 2009: waveform matching, as Praat's To PointProcess (cc). The limits are the defaults of Praat's Get jitter
    (local) and Get shimmer (local).
"""

import numpy as np
import scipy.fft

from balr_hf.audio import SAMPLING_RATE
from balr_hf.phonetics.frames import STEP, runs

# Seconds: shorter and longer periods do not count. Then how many times longer one of two neighbours may be than the
# other, and how many times larger its amplitude.
SHORTEST, LONGEST = 0.0001, 0.02
LENGTH_FACTOR, AMPLITUDE_FACTOR = 1.3, 1.6
# Periods: between which a neighbouring period is looked for.
NEAREST, FARTHEST = 0.8, 1.25
# Least correlation of two neighbouring periods: inside a voiced stretch, and beyond its end.
ALIKE, ALIKE_BEYOND = 0.3, 0.7
# Shares of the recording's peak: fainter periods are left out.
FAINT, FAINT_BEYOND = 0.01, 0.023333
# Fewest pairs of neighbouring periods that a figure rests on.
FEWEST = 10

# Samples of a stretch that holds a period and its neighbour: 2.25 periods of 75 Hz.
_SIZE = 512


def glottal_pulses(samples: np.ndarray, times: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """Find one point in each period of the voice.

    From the highest peak in the middle of each voiced stretch, one goes from period to period to either end of the
    stretch: the next point is where the waveform correlates best with the period around the last. All stretches are
    gone through together.

    Args:
        samples (`(samples,)`): at 16 kHz.
        times, f0 (`(frames,)`): the track of F0 in Hz, NaN where there is no voice; see [`PitchTrack`].

    Returns:
        float64 `(points,)`: seconds, sorted.
    """
    stretches = runs(np.isfinite(f0))
    if not len(stretches):
        return np.zeros(0)
    voiced = np.isfinite(f0)
    known_times, known = times[voiced], f0[voiced]
    padded = np.zeros(len(samples) + 2 * _SIZE)
    padded[_SIZE:-_SIZE] = samples
    loudest = float(np.abs(padded).max())
    starts, ends = times[stretches[:, 0]] - STEP / 2, times[stretches[:, 1] - 1] + STEP / 2
    middles = _peaks_near(padded, (starts + ends) / 2, np.interp((starts + ends) / 2, known_times, known))
    found = [middles]
    at = np.concatenate([middles, middles])
    direction = np.repeat([-1, 1], len(stretches))
    limit = np.concatenate([starts, ends])
    while at.size:
        period = 1 / np.interp(at, known_times, known)
        step, correlation, peak = _next(padded, at, period, direction)
        at = at + direction * step
        beyond = direction * (at - limit) > 0
        kept = np.where(
            beyond,
            (correlation > ALIKE_BEYOND) & (peak > FAINT_BEYOND * loudest),
            (correlation > ALIKE) & (peak > FAINT * loudest),
        )
        found.append(at[kept])
        at, direction, limit = at[~beyond], direction[~beyond], limit[~beyond]
    points = np.sort(np.concatenate(found))
    # where two stretches meet, both may have found the same period
    apart = np.diff(points, prepend=-np.inf) > NEAREST / np.interp(points, known_times, known)
    return points[apart]


def _peaks_near(padded: np.ndarray, centres: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """The time of the largest absolute sample within half a period of each centre, in seconds."""
    reach = np.arange(-(_SIZE // 4), _SIZE // 4 + 1)
    at = np.round(centres * SAMPLING_RATE).astype(np.int64)
    values = np.abs(padded[np.clip(at[:, None] + reach + _SIZE, 0, len(padded) - 1)])
    values[np.abs(reach) > 0.5 * SAMPLING_RATE / f0[:, None]] = -1
    return (at + reach[values.argmax(1)]) / SAMPLING_RATE


def _next(
    padded: np.ndarray, at: np.ndarray, period: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distance in seconds to the neighbouring period of each point, its correlation with it, and its peak.

    Where the correlation has no maximum within reach, the distance is a period and the correlation -1.
    """
    width = np.maximum(2, np.round(period * SAMPLING_RATE).astype(np.int64))
    left = np.round((at - period / 2) * SAMPLING_RATE).astype(np.int64) + _SIZE
    # backwards in time, everything is mirrored
    begin = np.where(direction > 0, left, left + width - 1)
    places = begin[:, None] + direction[:, None] * np.arange(_SIZE)
    waves = padded[np.clip(places, 0, len(padded) - 1)]
    lags = np.arange(_SIZE)
    periods = np.where(lags < width[:, None], waves, 0)
    # circular, which does no harm: no lag that is looked at reaches beyond the stretch
    products = scipy.fft.irfft(scipy.fft.rfft(waves) * scipy.fft.rfft(periods).conj(), _SIZE)
    squares = np.zeros((len(at), _SIZE + 1))
    np.cumsum(np.square(waves), axis=1, out=squares[:, 1:])
    rows = np.arange(len(at))
    ends = np.minimum(lags + width[:, None], _SIZE)
    powers = squares[rows[:, None], ends] - squares[:, :-1]
    scale = np.sqrt(np.maximum(powers * powers[:, :1], 0))
    correlations = np.divide(products, scale, out=np.zeros_like(scale), where=scale > 1e-20)
    exact = period[:, None] * SAMPLING_RATE
    within = (lags > NEAREST * exact) & (lags < FARTHEST * exact)
    maxima = np.zeros_like(within)
    maxima[:, 1:-1] = (correlations[:, 1:-1] >= correlations[:, :-2]) & (correlations[:, 1:-1] >= correlations[:, 2:])
    heights = np.where(within & maxima, correlations, -1)
    best = heights.argmax(1)
    correlation = heights[rows, best]
    some = correlation > -1
    best = np.where(some, best, 1)
    before, middle, after = (correlations[rows, best + step] for step in (-1, 0, 1))
    bend = 2 * middle - before - after
    shift = np.divide(0.5 * (after - before), bend, out=np.zeros_like(bend), where=bend > 1e-12)
    inside = (lags >= best[:, None]) & (lags < (best + width)[:, None])
    peak = np.where(inside, np.abs(waves), 0).max(1)
    return np.where(some, (best + shift) / SAMPLING_RATE, period), correlation, peak


def jitter(points: np.ndarray) -> float | None:
    """Jitter (local): mean absolute difference of two neighbouring periods over the mean period, in percent.

    Args:
        points (`(points,)`): in seconds, one per period; see [`glottal_pulses`].

    Returns:
        None where fewer than 10 pairs of periods can be compared.
    """
    lengths = np.diff(points)
    real = (lengths >= SHORTEST) & (lengths <= LONGEST)
    pairs = _alike(lengths)
    if pairs.sum() < FEWEST:
        return None
    return float(100 * np.abs(np.diff(lengths))[pairs].mean() / lengths[real].mean())


def shimmer(samples: np.ndarray, points: np.ndarray) -> float | None:
    """Shimmer (local): mean absolute difference of the amplitudes of two neighbouring periods over their mean, in %.

    The amplitude of a period is the root mean square around its point, under a Hann window of 0.2 periods on either
    side, as Praat has it.

    Args:
        samples (`(samples,)`): at 16 kHz.
        points (`(points,)`): in seconds, one per period; see [`glottal_pulses`].

    Returns:
        None where fewer than 10 pairs of periods can be compared.
    """
    lengths = np.diff(points)
    centres = np.flatnonzero(_alike(lengths)) + 1  # points with a period on either side
    if len(centres) <= FEWEST:
        return None
    amplitudes = np.full(len(points), np.nan)
    amplitudes[centres] = _amplitudes(samples, points[centres], 0.2 * lengths[centres - 1], 0.2 * lengths[centres])
    first, second = amplitudes[:-1], amplitudes[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        larger = np.maximum(first, second) / np.minimum(first, second)
    pairs = (larger <= AMPLITUDE_FACTOR) & (lengths >= SHORTEST) & (lengths <= LONGEST)
    if pairs.sum() < FEWEST:
        return None
    return float(100 * np.abs(second - first)[pairs].mean() / np.nanmean(amplitudes))


def _alike(lengths: np.ndarray) -> np.ndarray:
    """Which pairs of neighbouring periods, `(periods - 1,)`, are real periods of about the same length."""
    first, second = lengths[:-1], lengths[1:]
    real = (np.minimum(first, second) >= SHORTEST) & (np.maximum(first, second) <= LONGEST)
    return real & (np.maximum(first, second) <= LENGTH_FACTOR * np.minimum(first, second))


def _amplitudes(samples: np.ndarray, centres: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Root mean squares under Hann windows that reach `before` and `after` the centres, all in seconds."""
    reach = int(np.ceil(0.2 * LONGEST * SAMPLING_RATE)) + 1
    places = np.round(centres * SAMPLING_RATE).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    # a sample stands for the middle of its time
    away = (places + 0.5) / SAMPLING_RATE - centres[:, None]
    share = np.abs(away) / np.where(away < 0, before[:, None], after[:, None])
    window = np.where(share < 1, 0.5 + 0.5 * np.cos(np.pi * share), 0)
    values = samples[np.clip(places, 0, len(samples) - 1)].astype(np.float64)
    return np.sqrt(np.square(values * window).sum(1) / np.square(window).sum(1))
