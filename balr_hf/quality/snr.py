"""Signal-to-noise ratio of speech: from its pauses, or from the distribution of its amplitudes where it has none."""

import numpy as np

from balr_hf.quality.net_speech import FRAME

# Decibels: what is told apart. More than 60 dB changes nothing for an embedder, and is given as 60 dB.
LOWEST, HIGHEST = -20.0, 60.0
# Frames of 32 ms: a pause is at least so long (0.3 s), and the frames at its ends are left out, since speech fades.
SHORTEST_PAUSE, MARGIN = 10, 2
# Decibels above the median frame of the pauses: louder frames are bursts (a click, a missed syllable), and no noise.
BURST = 10.0

# The statistic of WADA-SNR, log(mean |x|) - mean(log |x|), for speech whose amplitudes have a gamma distribution of
# shape 0.4 with normally distributed noise at -20, -15, ... 100 dB; by numerical integration (see the tests).
_WADA = (
    *(0.409435, 0.409777, 0.412148, 0.423839, 0.461837, 0.543551, 0.667346, 0.812272, 0.955825, 1.084657, 1.194065),
    *(1.284208, 1.357265, 1.415945, 1.462844, 1.500225, 1.529975, 1.553631, 1.572433, 1.587373, 1.599243, 1.608672),
    *(1.616163, 1.622113, 1.626839),
)


def snr(samples: "np.ndarray | Amplitudes", powers: np.ndarray, speech: np.ndarray) -> tuple[float | None, str | None]:
    """The signal-to-noise ratio in dB, and how it was measured.

    Args:
        samples (`(samples,)`): at 16 kHz, without DC offset; or their amplitudes, if they are not in memory.
        powers (`(frames,)`): mean squares of the frames of 32 ms.
        speech (`(frames,)`): bool, whether a frame is speech.

    Returns:
        `(snr, method)`: `pauses` or `wada`; both None where there is no speech.
    """
    if not speech.any():
        return None, None
    pauses = _inner_pauses(speech)
    if pauses.any():
        return snr_from_pauses(powers[speech], powers[pauses]), "pauses"
    return (samples.snr() if isinstance(samples, Amplitudes) else wada_snr(samples)), "wada"


def snr_from_pauses(speech: np.ndarray, noise: np.ndarray) -> float:
    """`10 log10((P_speech - P_noise) / P_noise)`.

    P_noise is the mean over the frames of pauses that are no more than 10 dB above their median, so that a click or a
    syllable that was not marked as speech does not pass for noise.

    Args:
        speech (`(frames,)`): mean squares of the frames with speech.
        noise (`(frames,)`): of the frames without.
    """
    kept = noise[noise <= 10 ** (BURST / 10) * np.median(noise)]
    quiet, loud = float(kept.mean()), float(speech.mean())
    if quiet <= 0:
        return HIGHEST
    if loud <= quiet:
        return LOWEST
    return float(np.clip(10 * np.log10((loud - quiet) / quiet), LOWEST, HIGHEST))


def wada_snr(samples: np.ndarray) -> float:
    """WADA-SNR: what the distribution of amplitudes tells of the noise, without any pause.

    Args:
        samples (`(samples,)`): without DC offset.

    Reference:
        C. Kim and R. Stern, "Robust signal-to-noise ratio estimation based on waveform amplitude distribution
        analysis", Interspeech 2008.
    """
    amplitudes = np.abs(samples, dtype=np.float64)
    amplitudes = amplitudes[amplitudes > 0]
    if not amplitudes.size:
        return LOWEST
    return _of_statistic(np.log(amplitudes.mean()) - np.log(amplitudes).mean())


class Amplitudes:
    """Sums up amplitudes and their logarithms, of a recording that comes in blocks."""

    def __init__(self) -> None:
        self._count, self._sum, self._logs = 0, 0.0, 0.0

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples `(samples,)`, without DC offset."""
        amplitudes = np.abs(samples, dtype=np.float64)
        amplitudes = amplitudes[amplitudes > 0]
        self._count += len(amplitudes)
        self._sum += float(amplitudes.sum())
        self._logs += float(np.log(amplitudes).sum())

    def snr(self) -> float:
        """What [`wada_snr`] tells of the whole recording."""
        if not self._count:
            return LOWEST
        return _of_statistic(np.log(self._sum / self._count) - self._logs / self._count)


def _of_statistic(statistic: float) -> float:
    """The signal-to-noise ratio in dB that goes with a WADA statistic."""
    return float(min(HIGHEST, np.interp(statistic, _WADA, np.linspace(LOWEST, 100.0, len(_WADA)))))


def frame_powers(samples: np.ndarray) -> np.ndarray:
    """Mean squares of the frames of 32 ms `(frames,)`, the last one of what is left."""
    whole = len(samples) // FRAME
    powers = np.square(samples[: whole * FRAME].reshape(whole, FRAME), dtype=np.float64).mean(1)
    rest = samples[whole * FRAME :]
    return np.append(powers, np.square(rest, dtype=np.float64).mean()) if rest.size else powers


def _inner_pauses(speech: np.ndarray) -> np.ndarray:
    """Which frames are well inside a pause of 0.3 s or more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~speech, [False]]).astype(np.int8)))
    inside = np.zeros(len(speech), dtype=bool)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= SHORTEST_PAUSE:
            inside[start + MARGIN : end - MARGIN] = True
    return inside
