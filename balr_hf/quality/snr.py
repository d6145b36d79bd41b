"""Signal-to-noise ratio of speech: from its pauses, or from the distribution of its amplitudes where it has none."""

import numpy as np

from balr_hf.quality.net_speech import FRAME

# Decibels: what is told apart. More than 60 dB changes nothing for an embedder, and is given as 60 dB.
LOWEST, HIGHEST = -20.0, 60.0
# Frames of 32 ms: a pause is at least so long (0.3 s), and the frames at its ends are left out, since speech fades.
SHORTEST_PAUSE, MARGIN = 10, 2
# Decibels above the median frame of the pauses: louder frames are bursts (a click, a missed syllable), and no noise.
BURST = 10.0
# The power (-140 dB of full scale, below the noise of any converter) under which samples are digital silence: not that
# of `pauses`, with which faint recordings would lose the quieter half of their pauses.
NOTHING = 1e-14

# The statistic of WADA-SNR, log(mean |x|) - mean(log |x|), for speech whose amplitudes have a gamma distribution of
# shape 0.4 with normally distributed noise at -20, -15, ... 100 dB; by numerical integration (see the tests).
_WADA = (
    *(0.409435, 0.409777, 0.412148, 0.423839, 0.461837, 0.543551, 0.667346, 0.812272, 0.955825, 1.084657, 1.194065),
    *(1.284208, 1.357265, 1.415945, 1.462844, 1.500225, 1.529975, 1.553631, 1.572433, 1.587373, 1.599243, 1.608672),
    *(1.616163, 1.622113, 1.626839),
)


def snr(
    amplitudes: "Amplitudes", powers: np.ndarray, speech: np.ndarray, silent: np.ndarray
) -> tuple[float | None, str | None]:
    """The signal-to-noise ratio in dB, and how it was measured.

    Digital silence, as an editor or a gate makes it, tells nothing of the noise beneath the speech. Before and after a
    recording it counts as no part of it, and within only if there is no other pause.

    Args:
        amplitudes: of the samples at 16 kHz, without DC offset, and without digital silence.
        powers (`(frames,)`): mean squares of the frames of 32 ms.
        speech (`(frames,)`): bool, whether a frame is speech.
        silent (`(frames,)`): bool, whether it is digital silence.

    Returns:
        `(snr, method)`: `pauses` or `wada`; both None where there is no speech.
    """
    sounding = np.flatnonzero(~silent)
    if len(sounding):
        within = slice(sounding[0], sounding[-1] + 1)
        powers, speech, silent = powers[within], speech[within], silent[within]
    if not speech.any():
        return None, None
    pauses = _inner_pauses(speech)
    telling = pauses & ~silent
    telling[1:] &= ~silent[:-1]  # what stands beside digital silence may be so in part
    telling[:-1] &= ~silent[1:]
    pauses = telling if telling.any() else pauses
    if pauses.any():
        return snr_from_pauses(powers[speech], powers[pauses]), "pauses"
    return amplitudes.snr(), "wada"


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


def are_silent(variances: np.ndarray) -> np.ndarray:
    """Which frames are digital silence, bool `(frames,)`, by [`balr_hf.quality.pauses.frame_variances`]."""
    return variances < NOTHING


class Amplitudes:
    """Sums up amplitudes and their logarithms, of a recording that comes in blocks."""

    def __init__(self) -> None:
        self._count, self._sum, self._logs = 0, 0.0, 0.0

    def add(self, samples: np.ndarray, silent: np.ndarray | None = None) -> None:
        """Take the next samples `(samples,)`, without DC offset.

        Args:
            samples: as above.
            silent (bool `(frames,)`, *optional*): which of their frames of 32 ms are digital silence, which are left
                out; the last frame may be shorter.
        """
        if silent is not None and silent.any():
            samples = samples[~np.repeat(silent, FRAME)[: len(samples)]]
        amplitudes = np.abs(samples, dtype=np.float64)
        amplitudes = amplitudes[amplitudes > NOTHING**0.5]
        self._count += len(amplitudes)
        self._sum += float(amplitudes.sum())
        self._logs += float(np.log(amplitudes).sum())

    def snr(self) -> float:
        """WADA-SNR in dB: what the distribution of amplitudes tells of the noise, without any pause.

        References:
            C. Kim and R. Stern, "Robust signal-to-noise ratio estimation based on waveform amplitude distribution
            analysis", Interspeech 2008.
        """
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
